//! Token transfers, and what the wallet shows of them.

use dfns_sdk_rust::wallets::types::{GetTransferResponse, GetWalletAssetsQuery};
use dfns_sdk_rust::{DfnsClient, networks::types::EstimateFeesQuery};
use serde_json::{Value, json};

use crate::organisation::{Organisation, SOME_ADDRESS, USDC_ON_POLYGON, refusal, until};

#[tokio::test]
async fn a_token_transfer_is_broadcast_and_confirmed_and_the_balance_falls_by_its_amount() {
    let organisation = Organisation::create().await;
    let dfns = organisation.dfns("payer");
    let wallet_id = organisation.wallet("Polygon");
    let before = balance(&dfns, &wallet_id).await;

    let body = a_transfer("2500000");
    let requested = dfns.wallets.transfer_asset(wallet_id.clone(), body.clone()).await.expect("a transfer");
    assert!(["Pending", "Executing"].contains(&requested.status.as_str()), "{}", requested.status);
    assert_eq!(requested.request_body, body);

    let confirmed = until_status(&dfns, &wallet_id, &requested.id, "Confirmed").await;
    assert!(confirmed.tx_hash.is_some());
    assert!(confirmed.date_broadcasted.is_some() && confirmed.date_confirmed.is_some());
    assert_eq!(balance(&dfns, &wallet_id).await, before - 2_500_000);

    let listed = dfns.wallets.list_transfers(wallet_id.clone(), None).await.expect("a list");
    assert_eq!(listed.items.iter().map(|item| &item.id).collect::<Vec<_>>(), [&requested.id]);
    let history = dfns.wallets.get_wallet_history(wallet_id, None).await.expect("a history");
    let hash = confirmed.tx_hash.as_deref();
    let moved = history.items.iter().find(|item| item["txHash"].as_str() == hash).expect("the movement");
    assert_eq!((&moved["direction"], &moved["value"]), (&json!("Out"), &json!("2500000")));
}

#[tokio::test]
async fn one_external_id_is_one_transfer_and_another_body_is_a_conflict_that_names_it() {
    let organisation = Organisation::create().await;
    let dfns = organisation.dfns("payer");
    let wallet_id = organisation.wallet("Polygon");
    let mut body = a_transfer("2500000");
    body["externalId"] = json!("tr-once");
    let first = dfns.wallets.transfer_asset(wallet_id.clone(), body.clone()).await.expect("a transfer");
    let again = dfns.wallets.transfer_asset(wallet_id.clone(), body.clone()).await.expect("the same transfer");
    assert_eq!(again.id, first.id);

    body["amount"] = json!("2500001");
    let (status, error) = refusal(dfns.wallets.transfer_asset(wallet_id, body).await);
    assert_eq!(status, 409);
    assert_eq!(error["details"]["duplicate"], json!({ "id": first.id, "externalId": "tr-once" }));
}

#[tokio::test]
async fn a_wallet_is_listed_read_and_priced() {
    let organisation = Organisation::create().await;
    let dfns = organisation.dfns("reader");
    assert_eq!(dfns.wallets.list_wallets(None).await.expect("a list").items.len(), 2);
    let wallet = dfns.wallets.get_wallet(organisation.wallet("Polygon")).await.expect("a wallet");
    assert_eq!((wallet.network.as_str(), wallet.status.as_str()), ("Polygon", "Active"));

    let query = GetWalletAssetsQuery { net_worth: Some("true".to_owned()) };
    let assets = dfns.wallets.get_wallet_assets(wallet.id, Some(query)).await.expect("assets");
    assert!(assets.net_worth.expect("a net worth")["USD"].is_number());

    let query = EstimateFeesQuery { network: "Polygon".to_owned() };
    let fees = dfns.networks.estimate_fees(Some(query)).await.expect("fees");
    assert_eq!(fees["kind"], "Eip1559");
    assert!(fees["standard"]["maxFeePerGas"].is_string(), "{fees}");
}

/// A transfer of `amount` micro-USDC.
pub fn a_transfer(amount: &str) -> Value {
    json!({ "kind": "Erc20", "contract": USDC_ON_POLYGON, "to": SOME_ADDRESS, "amount": amount })
}

pub async fn until_status(dfns: &DfnsClient, wallet_id: &str, transfer_id: &str, status: &str) -> GetTransferResponse {
    until(
        async || dfns.wallets.get_transfer(wallet_id.to_owned(), transfer_id.to_owned()).await,
        |transfer| transfer.status == status,
    )
    .await
}

/// The wallet's USDC in millionths.
async fn balance(dfns: &DfnsClient, wallet_id: &str) -> u128 {
    let held = dfns.wallets.get_wallet_assets(wallet_id.to_owned(), None).await.expect("assets");
    let usdc = held.assets.iter().find(|asset| asset["contract"] == USDC_ON_POLYGON).expect("USDC");
    usdc["balance"].as_str().and_then(|digits| digits.parse().ok()).expect("a balance in digits")
}
