//! Payouts: quote, create, confirm, follow, list, cancel.

use dfns_sdk_rust::payouts::types::ListPayoutsQuery;
use dfns_sdk_rust::{DfnsClient, Error};
use serde_json::{Value, json};

use crate::organisation::{Organisation, SOME_ADDRESS, USDC_ON_POLYGON, USDC_ON_SOLANA, refusal, until};

/// 1,000 USDC; an amount that ends in 00 is paid out.
const AMOUNT: &str = "1000000000";

#[tokio::test]
async fn a_payout_is_quoted_created_confirmed_completed_and_listed() {
    let organisation = Organisation::create().await;
    let dfns = organisation.dfns("payer");
    let mut body = a_payout(&organisation);
    body["externalId"] = json!("po-1");

    let quote = dfns.payouts.request_payout_quote(quote_of(&body)).await.expect("a quote");
    assert_eq!(quote.provider, "Borderless");
    assert_eq!(quote.asset["network"], "Polygon");
    assert_eq!(quote.quotes[0]["offer"]["fiatCurrency"], "USD");
    assert!(quote.quotes[0]["offer"]["amount"].is_number(), "{quote:?}");

    let created = dfns.payouts.create_payout(body.clone()).await.expect("a payout");
    assert_eq!(created["status"], "Processing");
    assert_eq!(created["data"]["executionStatus"], "Initializing");
    assert_eq!(created["requester"]["userId"], organisation.user("payer").user_id);

    let ready = until_it_awaits_confirmation(&dfns, &created).await;
    for field in ["walletId", "fiatCurrency", "provider", "externalId"] {
        assert_eq!(ready[field], body[field], "{field}");
    }
    for field in ["borderlessAccountId", "paymentInstructionsId", "paymentPurpose", "country"] {
        assert_eq!(ready["data"][field], body[field], "{field}");
    }

    confirm(&dfns, &ready).await.expect("confirmed");
    let paid = until_it_ends(&dfns, &ready).await;
    assert_eq!(paid["status"], "Completed");
    assert_eq!(paid["data"]["executionStatus"], "Completed");

    let (wallet_id, transfer_id) = (text(&paid["walletId"]), text(&paid["data"]["transferId"]));
    let transfer = dfns.wallets.get_transfer(wallet_id, transfer_id).await.expect("its transfer");
    assert_eq!(transfer.status, "Confirmed");
    assert_eq!(transfer.request_body["to"], ready["data"]["depositAddress"]);
    assert_eq!(transfer.tx_hash.as_deref(), paid["data"]["transactionHash"].as_str());

    let listed = dfns.payouts.list_payouts(None).await.expect("a list");
    assert_eq!(listed.items, [paid]);
}

#[tokio::test]
async fn an_spl_payout_from_solana_completes_as_well() {
    let organisation = Organisation::create().await;
    let dfns = organisation.dfns("payer");
    let mut body = a_payout(&organisation);
    body["walletId"] = json!(organisation.wallet("Solana"));
    body["asset"] = json!({ "kind": "Spl", "amount": AMOUNT, "mint": USDC_ON_SOLANA });
    let created = dfns.payouts.create_payout(body).await.expect("a payout");
    let ready = until_it_awaits_confirmation(&dfns, &created).await;
    confirm(&dfns, &ready).await.expect("confirmed");
    assert_eq!(until_it_ends(&dfns, &ready).await["status"], "Completed");
}

#[tokio::test]
async fn a_payout_that_awaits_confirmation_can_be_cancelled_and_then_not_confirmed() {
    let organisation = Organisation::create().await;
    let dfns = organisation.dfns("payer");
    let created = dfns.payouts.create_payout(a_payout(&organisation)).await.expect("a payout");
    let ready = until_it_awaits_confirmation(&dfns, &created).await;

    let cancel = json!({ "action": "Cancel" });
    dfns.payouts.create_payout_action(text(&ready["id"]), cancel).await.expect("cancelled");
    let canceled = until_it_ends(&dfns, &ready).await;
    assert_eq!(canceled["status"], "Canceled");
    assert!(canceled["data"]["dateCanceled"].is_string());
    let (status, _) = refusal(confirm(&dfns, &ready).await);
    assert_eq!(status, 412);
}

#[tokio::test]
async fn a_confirmation_that_names_another_address_is_refused_and_moves_nothing() {
    let organisation = Organisation::create().await;
    let dfns = organisation.dfns("payer");
    let created = dfns.payouts.create_payout(a_payout(&organisation)).await.expect("a payout");
    let ready = until_it_awaits_confirmation(&dfns, &created).await;

    let mut body = confirmation_of(&ready);
    body["transfer"]["to"] = json!(SOME_ADDRESS);
    let (status, _) = refusal(dfns.payouts.create_payout_action(text(&ready["id"]), body).await);
    assert_eq!(status, 400);
    let transfers = dfns.wallets.list_transfers(organisation.wallet("Polygon"), None).await;
    assert!(transfers.expect("a list").items.is_empty());
}

#[tokio::test]
async fn creating_twice_with_one_external_id_gives_one_payout_and_another_body_is_a_conflict() {
    let organisation = Organisation::create().await;
    let dfns = organisation.dfns("payer");
    let mut body = a_payout(&organisation);
    body["externalId"] = json!("po-once");
    let first = dfns.payouts.create_payout(body.clone()).await.expect("a payout");
    let again = dfns.payouts.create_payout(body.clone()).await.expect("the same payout");
    assert_eq!(again["id"], first["id"]);

    body["country"] = json!("BR");
    let (status, error) = refusal(dfns.payouts.create_payout(body).await);
    assert_eq!(status, 409);
    let duplicate = json!({ "id": first["id"], "externalId": "po-once" });
    assert_eq!(error["details"]["duplicate"], duplicate);
}

#[tokio::test]
async fn a_list_is_filtered_by_several_statuses_and_read_page_by_page() {
    let organisation = Organisation::create().await;
    let dfns = organisation.dfns("payer");
    let mut ids = Vec::new();
    for _ in 0..2 {
        let created = dfns.payouts.create_payout(a_payout(&organisation)).await.expect("a payout");
        ids.push(text(&created["id"]));
    }
    let page = async |status: &[&str], pagination_token| {
        let query = ListPayoutsQuery {
            limit: Some(1),
            pagination_token,
            wallet_id: None,
            status: Some(status.iter().map(ToString::to_string).collect()),
            provider: Some(vec!["Borderless".to_owned()]),
        };
        dfns.payouts.list_payouts(Some(query)).await.expect("a page")
    };

    let open = ["Processing", "Failed"];
    let first = page(&open, None).await;
    let second = page(&open, first.next_page_token.clone()).await;
    assert_eq!(second.next_page_token, None);
    let mut seen: Vec<_> = first.items.iter().chain(&second.items).map(|payout| text(&payout["id"])).collect();
    seen.sort();
    ids.sort();
    assert_eq!(seen, ids);
    assert!(page(&["Expired"], None).await.items.is_empty());
}

/// The body of a payout from the Polygon wallet.
pub fn a_payout(organisation: &Organisation) -> Value {
    json!({
        "walletId": organisation.wallet("Polygon"),
        "asset": { "kind": "Erc20", "amount": AMOUNT, "contract": USDC_ON_POLYGON },
        "fiatCurrency": "USD",
        "provider": "Borderless",
        "country": "US",
        "borderlessAccountId": "acc-1",
        "paymentInstructionsId": "pi-1",
        "paymentPurpose": "salary payment",
    })
}

fn quote_of(payout: &Value) -> Value {
    let fields = ["walletId", "asset", "fiatCurrency", "provider", "country"];
    fields.iter().map(|field| ((*field).to_owned(), payout[field].clone())).collect()
}

/// The body that confirms `payout` exactly as it was read.
fn confirmation_of(payout: &Value) -> Value {
    let asset = &payout["asset"];
    let token = if asset["kind"] == "Erc20" { "contract" } else { "mint" };
    json!({
        "action": "Confirm",
        "walletId": payout["walletId"],
        "transfer": {
            "kind": asset["kind"],
            "amount": asset["amount"],
            token: asset[token],
            "to": payout["data"]["depositAddress"],
        },
    })
}

pub async fn confirm(dfns: &DfnsClient, payout: &Value) -> Result<(), Error> {
    let body = confirmation_of(payout);
    dfns.payouts.create_payout_action(text(&payout["id"]), body).await.map(|_| ())
}

pub async fn until_it_awaits_confirmation(dfns: &DfnsClient, payout: &Value) -> Value {
    until(
        async || dfns.payouts.get_payout(text(&payout["id"])).await,
        |read| read["data"]["executionStatus"] == "AwaitingPayoutConfirmation",
    )
    .await
}

pub async fn until_it_ends(dfns: &DfnsClient, payout: &Value) -> Value {
    until(async || dfns.payouts.get_payout(text(&payout["id"])).await, |read| read["status"] != "Processing").await
}

/// The text of a JSON string.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("expected a text, got {value}")).to_owned()
}
