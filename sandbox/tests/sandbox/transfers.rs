//! Direct transfers, wallets and what networks tell.

use serde_json::{Value, json};

use crate::harness::*;

fn stranger() -> String {
    format!("0x{}", "ab".repeat(20))
}

fn transfer(amount: &str, external_id: &str) -> Value {
    json!({"kind": "Erc20", "amount": amount, "contract": USDC, "to": stranger(), "externalId": external_id})
}

async fn start(org: &Org, amount: &str, external_id: &str) -> (String, Value) {
    let base = format!("/wallets/{}/transfers", org.wallet("Polygon"));
    let (status, made) = org.user("payer").write("POST", &base, &transfer(amount, external_id)).await;
    assert_eq!(status, 200, "{made}");
    (format!("{base}/{}", text(&made["id"])), made)
}

#[tokio::test]
async fn a_transfer_confirms_and_shows_in_assets_and_history() {
    let org = org().await;
    let payer = org.user("payer");
    let (path, made) = start(&org, "123456789", "t-1").await;
    assert_eq!(made["status"], "Executing");
    org.advance(2_000).await;
    let (_, done) = payer.get(&path).await;
    assert_eq!(done["status"], "Confirmed", "{done}");
    assert!(done["fee"].is_string() && done["txHash"].is_string() && done["dateConfirmed"].is_string());

    let wallet = org.wallet("Polygon");
    let (_, assets) = payer.get(&format!("/wallets/{wallet}/assets?netWorth=true")).await;
    let usdc = assets["assets"].as_array().unwrap().iter().find(|asset| asset["symbol"] == "USDC").unwrap();
    assert_eq!(usdc["balance"], "999999876543211");
    assert_eq!(usdc["quotes"], json!({"USD": 1}));
    assert!(assets["netWorth"]["USD"].is_number());
    let (_, history) = payer.get(&format!("/wallets/{wallet}/history?direction=Out")).await;
    assert_eq!(history["items"][0]["txHash"], done["txHash"]);
    assert_eq!(history["items"][0]["value"], "123456789");
    assert_eq!(payer.get(&format!("/wallets/{wallet}/history?direction=In")).await.1["items"], json!([]));
}

#[tokio::test]
async fn an_external_id_is_bound_for_ever() {
    let org = org().await;
    let payer = org.user("payer");
    let (_, first) = start(&org, "93", "t-1").await;
    org.advance(2_000).await;
    let (_, again) = start(&org, "93", "t-1").await;
    assert_eq!((&again["id"], &again["status"]), (&first["id"], &json!("Failed")), "the replay returns the dead one");
    let base = format!("/wallets/{}/transfers", org.wallet("Polygon"));
    let (status, conflict) = payer.write("POST", &base, &transfer("94", "t-1")).await;
    assert_eq!(status, 409);
    assert_eq!(conflict["error"]["details"]["duplicate"], json!({"id": first["id"], "externalId": "t-1"}));
    let elsewhere = json!({"kind": "Spl", "amount": "93", "mint": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
        "to": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "externalId": "t-1"});
    let base = format!("/wallets/{}/transfers", org.wallet("Solana"));
    assert_eq!(payer.write("POST", &base, &elsewhere).await.0, 409);
}

#[tokio::test]
async fn a_transfer_without_funds_fails_before_it_is_broadcast() {
    let org = org().await;
    let (path, _) = start(&org, "1000000000000001", "t-1").await;
    org.advance(2_000).await;
    let (_, failed) = org.user("payer").get(&path).await;
    assert_eq!(failed["status"], "Failed");
    assert_eq!(failed["txHash"], Value::Null);
    assert!(text(&failed["reason"]).starts_with("Insufficient balance"));
}

#[tokio::test]
async fn two_transfers_of_the_same_tokens_are_both_made_and_one_fails() {
    let org = org().await;
    let payer = org.user("payer");
    let (first, _) = start(&org, "600000000000000", "t-1").await;
    let (second, _) = start(&org, "600000000000000", "t-2").await;
    org.advance(2_000).await;
    let mut statuses = vec![text(&payer.get(&first).await.1["status"]), text(&payer.get(&second).await.1["status"])];
    statuses.sort();
    assert_eq!(statuses, ["Confirmed", "Failed"]);
}

#[tokio::test]
async fn abort_works_only_before_broadcast_and_replacement_only_after() {
    let org = org_with(json!({"delays": {"broadcast": 60_000, "chainConfirmation": 60_000}})).await;
    let payer = org.user("payer");
    let (path, _) = start(&org, "100", "t-1").await;
    assert_eq!(payer.write("POST", &format!("{path}/cancel"), &Value::Null).await.0, 412);
    let (_, aborted) = payer.write("PUT", &format!("{path}/abort"), &Value::Null).await;
    assert_eq!(aborted["status"], "Failed");

    let (path, _) = start(&org, "100", "t-2").await;
    org.advance(61_000).await;
    assert_eq!(payer.write("PUT", &format!("{path}/abort"), &Value::Null).await.0, 412);
    let (status, transaction) = payer.write("POST", &format!("{path}/cancel"), &Value::Null).await;
    assert_eq!(status, 200);
    assert!(text(&transaction["id"]).starts_with("tx-"));
    assert_eq!(payer.get(&path).await.1["replacementId"], transaction["id"]);
    org.advance(61_000).await;
    assert_eq!(payer.get(&path).await.1["status"], "Failed");
    assert_eq!(org.ledger("t-2").await["totals"]["transfersConfirmed"], 0);

    let (path, _) = start(&org, "97", "t-3").await;
    org.advance(24 * HOUR).await;
    assert_eq!(payer.get(&path).await.1["status"], "Broadcasted", "97 is never confirmed");
    assert_eq!(payer.write("POST", &format!("{path}/speed-up"), &json!({})).await.0, 200);
    org.advance(61_000).await;
    assert_eq!(payer.get(&path).await.1["status"], "Confirmed");
}

#[tokio::test]
async fn transfers_are_listed_per_wallet() {
    let org = org().await;
    let payer = org.user("payer");
    for number in 0..3 {
        start(&org, "100", &format!("t-{number}")).await;
    }
    let wallet = org.wallet("Polygon");
    let (_, page) = payer.get(&format!("/wallets/{wallet}/transfers?limit=2")).await;
    assert_eq!((page["items"].as_array().unwrap().len(), &page["walletId"]), (2, &json!(wallet)));
    let token = text(&page["nextPageToken"]);
    let (_, rest) = payer.get(&format!("/wallets/{wallet}/transfers?limit=2&paginationToken={token}")).await;
    assert_eq!(rest["items"][0]["externalId"], "t-0");
    assert_eq!(payer.get(&format!("/wallets/{}/transfers", org.wallet("Solana"))).await.1["items"], json!([]));
}

#[tokio::test]
async fn networks_answer_with_fees_and_token_facts() {
    let org = org().await;
    let payer = org.user("payer");
    assert_eq!(payer.get("/networks/fees?network=Polygon").await.1["kind"], "Eip1559");
    assert_eq!(payer.get("/networks/fees?network=Solana").await.1["kind"], "Solana");
    assert_eq!(payer.get("/networks/fees?network=Bitcoin").await.0, 400);

    let (_, wallet) = payer.get(&format!("/wallets/{}", org.wallet("Polygon"))).await;
    assert_eq!((&wallet["status"], &wallet["network"]), (&json!("Active"), &json!("Polygon")));
    let call = async |name: &str, calldata: Value| {
        let body = json!({"contract": USDC, "calldata": calldata,
            "abi": {"type": "function", "name": name, "stateMutability": "view", "inputs": [], "outputs": []}});
        reply(payer.send("POST", "/networks/Polygon/call-function", Some(&body.to_string()), None).await.unwrap()).await
    };
    assert_eq!(call("balanceOf", json!([wallet["address"]])).await, (200, json!("1000000000000000")));
    assert_eq!(call("paused", json!([])).await, (200, json!(false)));
    assert_eq!(call("isBlacklisted", json!([stranger()])).await, (200, json!(false)));
    assert_eq!(call("decimals", json!([])).await, (200, json!("6")));
    assert_eq!(call("symbol", json!([])).await, (200, json!("USDC")));
    assert_eq!(call("mint", json!([])).await.0, 400);
}
