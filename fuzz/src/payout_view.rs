//! What Dfns says of a payout: read, turned into our words, and compared with what was asked.

use jiff::{SignedDuration, Timestamp};
use remit_dfns::Payout;
use remit_domain::{PayoutRequest, PayoutView, Progress, Until, echo_check, ending_of};
use serde_json::{Value, json};

use crate::{now, text_at, translate};

const US: &str = "us-3v1ag-v6b36-f2acnr30000008sp";

/// The body of an answer about a payout.
pub fn payout_view(data: &[u8]) {
    let Ok(payout) = serde_json::from_slice::<Payout>(data) else { return };
    let date = now() + SignedDuration::from_secs(20);
    let view = translate::view(payout, US, Some(date));

    let request = asked();
    let differences = echo_check(&request, &request.key(), &view.asked);
    let again: PayoutView = serde_json::from_value(json!(view)).expect("a view is read as it was written");
    assert_eq!(again, view);
    for until in [Until::Now, Until::Ready, Until::HeldOrFinal, Until::NotHeld, Until::Certain] {
        let _ = until.is_met_by(&view);
    }
    assert!(ending_of(&view).is_none() || view.progress.is_final(), "an ending that is not one: {view:?}");
    assert!(!view.progress.describe().is_empty());

    // Where the whole of it is JSON for any reader, that reading says what is right.
    let Ok(json) = serde_json::from_slice::<Value>(data) else { return };
    // Serde also takes an array of the fields in their order; Dfns writes none, and this second reading knows none.
    let is_array = |of: &&str| json.pointer(of).is_some_and(Value::is_array);
    if ["", "/asset", "/requester", "/data"].iter().any(is_array) {
        return;
    }
    assert_eq!(differences.is_empty(), is_what_was_asked(&json), "{differences:?} of {json}");
    assert_eq!(view.deposit_address.as_deref(), text_at(&json, "/data/depositAddress"));
    assert_eq!(view.transfer.as_deref(), text_at(&json, "/data/transferId"));
    assert_eq!(Some(view.payout.as_str()), text_at(&json, "/id"));
    let status = text_at(&json, "/status").unwrap_or_default();
    assert_eq!(view.progress == Progress::Completed, status == "Completed");
    let over = ["Completed", "Failed", "Rejected", "Expired", "Canceled"];
    assert_eq!(view.progress.is_final(), over.contains(&status), "{status}");
    if view.progress == Progress::AwaitingConfirmation {
        assert_eq!(
            (status, text_at(&json, "/data/executionStatus")),
            ("Processing", Some("AwaitingPayoutConfirmation"))
        );
    }
    let created = text_at(&json, "/dateCreated").and_then(|text| text.parse::<Timestamp>().ok());
    assert_eq!(view.age_ms.is_some(), created.is_some());
}

fn asked() -> PayoutRequest {
    PayoutRequest::parse(&json!({
        "externalId": "po-000123",
        "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k",
        "asset": {"kind": "Erc20", "contract": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"},
        "amount": "1000000000",
        "destination": {
            "kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
            "currency": "BRL", "country": "BR", "purpose": "salary payment"
        }
    }))
    .expect("a good request")
}

/// The echo check, said once more over a plain reading of the same JSON.
fn is_what_was_asked(json: &Value) -> bool {
    let contract = text_at(json, "/asset/contract").unwrap_or_default();
    [
        ("/externalId", "po-000123"),
        ("/walletId", "wa-5pfuu-9euek-h0odgb6snva8ph3k"),
        ("/asset/kind", "Erc20"),
        ("/asset/amount", "1000000000"),
        ("/provider", "Borderless"),
        ("/fiatCurrency", "BRL"),
        ("/data/borderlessAccountId", "acc-1"),
        ("/data/paymentInstructionsId", "pi-1"),
        ("/data/country", "BR"),
        ("/data/paymentPurpose", "salary payment"),
        ("/requester/userId", US),
    ]
    .iter()
    .all(|(field, asked)| text_at(json, field) == Some(asked))
        && contract.eq_ignore_ascii_case("0x3c499c542cef5e3811e1192ce70d8cc03d5c3359")
}
