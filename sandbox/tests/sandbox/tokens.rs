//! What the issuer of a token can do: pause it, and put addresses on a list.

use serde_json::{Value, json};

use crate::harness::*;

const LISTED: &str = "0xAbCdEf0123456789aBcDeF0123456789abcdef01";
const OTHER: &str = "0x1111111111111111111111111111111111111111";

/// What the contract of USDC answers.
async fn asked(user: &User, function: &str, calldata: Value) -> Value {
    let body = json!({"contract": USDC, "calldata": calldata,
        "abi": {"type": "function", "name": function, "stateMutability": "view", "inputs": [], "outputs": []}});
    let sent = user.send("POST", "/networks/Polygon/call-function", Some(&body.to_string()), None).await;
    let (status, answer) = reply(sent.unwrap()).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// How a transfer of USDC goes, and why.
async fn transferred(org: &Org, external_id: &str, to: &str) -> (Value, Value) {
    let payer = org.user("payer");
    let base = format!("/wallets/{}/transfers", org.wallet("Polygon"));
    let body = json!({"kind": "Erc20", "amount": "5000", "contract": USDC, "to": to, "externalId": external_id});
    let (status, made) = payer.write("POST", &base, &body).await;
    assert_eq!(status, 200, "{made}");
    org.advance(MINUTE).await;
    let (_, read) = payer.get(&format!("{base}/{}", text(&made["id"]))).await;
    (read["status"].clone(), read["reason"].clone())
}

#[tokio::test]
async fn a_paused_token_says_so_and_moves_nothing_until_it_runs_again() {
    let org = org().await;
    let payer = org.user("payer");
    let paused = |paused: bool| json!({"network": "Polygon", "contract": USDC, "paused": paused});
    assert_eq!(asked(&payer, "paused", json!([])).await, false);
    org.control("PUT", "/tokens", paused(true)).await;
    assert_eq!(asked(&payer, "paused", json!([])).await, true);
    let reverted = (json!("Failed"), json!("Execution reverted: the token is paused"));
    assert_eq!(transferred(&org, "t-1", OTHER).await, reverted);

    org.control("PUT", "/tokens", paused(false)).await;
    assert_eq!(transferred(&org, "t-2", OTHER).await.0, "Confirmed");
}

#[tokio::test]
async fn a_blacklisted_address_is_one_in_any_spelling_and_gets_nothing() {
    let org = org().await;
    let payer = org.user("payer");
    let blacklisted = json!({"network": "Polygon", "contract": USDC, "blacklisted": [LISTED]});
    let now = org.control("PUT", "/tokens", blacklisted).await;
    assert_eq!((&now["paused"], &now["blacklisted"]), (&json!(false), &json!([LISTED.to_lowercase()])));
    assert_eq!(asked(&payer, "isBlacklisted", json!([LISTED.to_lowercase()])).await, true);
    assert_eq!(asked(&payer, "isBlacklisted", json!([OTHER])).await, false);
    assert_eq!(transferred(&org, "t-1", LISTED).await.0, "Failed");
    assert_eq!(transferred(&org, "t-2", OTHER).await.0, "Confirmed");

    org.control("PUT", "/tokens", json!({"network": "Polygon", "contract": USDC, "paused": true})).await;
    assert_eq!(asked(&payer, "isBlacklisted", json!([LISTED])).await, true, "a change in part leaves the rest");
}

#[tokio::test]
async fn only_tokens_that_a_wallet_knows_have_switches() {
    let org = org().await;
    let path = format!("/organisations/{}/tokens", org.id);
    for wrong in [
        json!({"network": "Polygon", "contract": OTHER, "paused": true}),
        json!({"network": "Base", "contract": USDC, "paused": true}),
        json!({"network": "Polygon", "contract": USDC, "blacklisted": ["me"]}),
        json!({"network": "Polygon", "contract": USDC, "frozen": true}),
    ] {
        assert_eq!(org.sandbox.control("PUT", &path, wrong.clone()).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_wallet_that_is_not_active_says_so_and_a_balance_is_as_it_was_set() {
    let org = org().await;
    let (payer, wallet) = (org.user("payer"), org.wallet("Polygon"));
    org.control("PUT", &format!("/wallets/{wallet}"), json!({"status": "Inactive"})).await;
    assert_eq!(payer.get(&format!("/wallets/{wallet}")).await.1["status"], "Inactive");
    org.control("PUT", "/balances", json!({"walletId": wallet, "kind": "Native", "balance": "7"})).await;
    let (_, assets) = payer.get(&format!("/wallets/{wallet}/assets")).await;
    let native = assets["assets"].as_array().unwrap().iter().find(|asset| asset["kind"] == "Native").unwrap();
    assert_eq!(native["balance"], "7");
}
