//! Not one unit is made or lost.

use serde_json::{Value, json};

use crate::harness::*;

/// Per asset, what was granted and what is held.
async fn sums(org: &Org) -> Vec<(String, String, String)> {
    let ledger = org.control("GET", "/ledger", Value::Null).await;
    let sums = ledger["sums"].as_array().unwrap();
    sums.iter().map(|sum| (text(&sum["asset"]), text(&sum["opening"]), text(&sum["current"]))).collect()
}

#[tokio::test]
async fn balances_always_add_up() {
    let org = org().await;
    let payer = org.user("payer");
    let before = sums(&org).await;
    // A small generator: what is paid does not matter, only that it varies and repeats.
    let mut state: u64 = 0x5EED;
    for number in 0..40 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let amount = (state >> 33) % 40_000_000_000_000 + 1;
        if number % 3 == 0 {
            let to = format!("0x{:040x}", state >> 60);
            let body = json!({"kind": "Erc20", "amount": amount.to_string(), "contract": USDC, "to": to});
            payer.write("POST", &format!("/wallets/{}/transfers", org.wallet("Polygon")), &body).await;
        } else if let (200, made) =
            payer.write("POST", "/payouts", &org.payout(&format!("po-{number}"), &amount.to_string())).await
        {
            org.advance(400).await;
            payer.confirm(&payer.payout(&text(&made["id"])).await).await;
        }
        if number % 7 == 0 {
            org.advance(1_000).await;
        }
    }
    org.advance(10 * 24 * HOUR).await;
    let after = sums(&org).await;
    for (asset, opening, current) in &after {
        assert_eq!(opening, current, "{asset}");
    }
    let openings = |sums: &[(String, String, String)]| sums.iter().map(|sum| sum.1.clone()).collect::<Vec<_>>();
    assert_eq!(openings(&before), openings(&after));

    let ledger = org.control("GET", "/ledger", Value::Null).await;
    let confirmed: u128 = ledger["transfers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|transfer| transfer["status"] == "Confirmed")
        .map(|transfer| text(&transfer["amount"]).parse::<u128>().unwrap())
        .sum();
    assert!(confirmed > 0);
    let wallet =
        ledger["balances"].as_array().unwrap().iter().find(|account| {
            account["walletId"] == org.wallet("Polygon") && account["asset"] == format!("erc20:{USDC}")
        });
    assert_eq!(text(&wallet.unwrap()["moved"]), format!("-{confirmed}"));
}

#[tokio::test]
async fn a_balance_can_be_set_and_the_difference_is_booked_as_opening() {
    let org = org().await;
    let set = json!({"walletId": org.wallet("Polygon"), "kind": "Erc20", "contract": USDC, "balance": "5000000"});
    org.control("PUT", "/balances", set).await;
    let ledger = org.control("GET", "/ledger", Value::Null).await;
    let sum = ledger["sums"].as_array().unwrap().iter().find(|sum| sum["asset"] == format!("erc20:{USDC}")).unwrap();
    assert_eq!((&sum["opening"], &sum["current"]), (&json!("5000000"), &json!("5000000")));

    let wallet = json!({"network": "Base", "tags": ["hot"], "assets": [
        {"kind": "Native", "balance": "12"},
        {"kind": "Erc20", "contract": "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913", "symbol": "USDC", "balance": "340282366920938463463374607431"},
    ]});
    let made = org.control("POST", "/wallets", wallet).await;
    let (_, assets) = org.user("payer").get(&format!("/wallets/{}/assets", text(&made["id"]))).await;
    assert_eq!(assets["assets"][1]["balance"], "340282366920938463463374607431");
}

#[tokio::test]
async fn the_ledger_says_of_each_external_id_what_was_accepted_and_moved() {
    let org = org().await;
    let payer = org.user("payer");
    for (name, amount) in [("paid", "700"), ("reverted", "793"), ("unconfirmed", "800")] {
        let payout = org.awaiting_payout(&payer, name, amount).await;
        org.new_payout(&payer, name, amount).await;
        if name != "unconfirmed" {
            payer.confirm(&payout).await;
            assert_eq!(payer.confirm(&payout).await.0, 412);
        }
    }
    org.advance(5_000).await;
    let ledger = org.control("GET", "/ledger", Value::Null).await;
    let line = |name: &str, confirm_calls: u64, transfers: u64, confirmed: u64, moved: &str| {
        json!({"externalId": name, "createCalls": 2, "createsAccepted": 1, "confirmCalls": confirm_calls,
               "confirmsAccepted": confirm_calls / 2, "cancelsAccepted": 0, "transfers": transfers,
               "transfersOpen": 0, "transfersConfirmed": confirmed, "moved": moved})
    };
    let expected = [line("paid", 2, 1, 1, "700"), line("reverted", 2, 1, 0, "0"), line("unconfirmed", 0, 0, 0, "0")];
    assert_eq!(ledger["byExternalId"], json!(expected));
    assert_eq!(org.ledger("paid").await["byExternalId"], json!([expected[0]]));
}
