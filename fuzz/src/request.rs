//! Payout requests as anybody's JSON: what is read is exactly what is meant, and for ever.

use remit_domain::{Destination, PayoutRequest, policy::Traits};
use serde_json::{Value, json};

use crate::text_at;

/// The JSON of a request.
pub fn request(data: &[u8]) {
    let json: Option<Value> = serde_json::from_slice(data).ok();
    let read: Option<PayoutRequest> = serde_json::from_slice(data).ok();
    let Some(json) = json else {
        assert!(read.is_none(), "read, and not JSON");
        return;
    };
    let parsed = PayoutRequest::parse(&json);
    assert_eq!(parsed.as_ref().ok(), read.as_ref(), "two ways in, two answers");
    let request = match parsed {
        Ok(request) => request,
        Err(refusal) => {
            assert!(!refusal.0.is_empty(), "refused without a reason: {json}");
            assert!(refusal.0.iter().all(|error| !error.expected.is_empty()), "{refusal}");
            return;
        }
    };
    says_what_the_json_says(&request, &json);

    let again = PayoutRequest::parse(&json!(request)).expect("a request is read as it was written");
    assert_eq!(again, request);
    assert_eq!((again.digest(), again.key()), (request.digest(), request.key()));
    assert_eq!(request.key(), request.base_key().attempt(request.attempt));
    assert!(request.key().as_str().len() <= 50, "Dfns takes 50 characters");
    assert!(request.key().workflow_id().is_ascii());

    // Any other amount, payee or id is another request.
    for (field, other) in [
        ("/amount", if json["amount"] == "1" { "2" } else { "1" }),
        ("/externalId", if json["externalId"] == "a" { "b" } else { "a" }),
        ("/destination/instructionsId", if json["destination"]["instructionsId"] == "pi" { "ip" } else { "pi" }),
    ] {
        let mut changed = json.clone();
        *changed.pointer_mut(field).expect("a request has it") = json!(other);
        let changed = PayoutRequest::parse(&changed).expect("as good as the one before");
        assert_ne!(changed.digest(), request.digest(), "{field}");
    }
    let traits = Traits::of(&request, "Polygon");
    assert_eq!(traits.0.len(), 9);
    let _ = (request.summary(), request.carries_a_name());
}

fn says_what_the_json_says(request: &PayoutRequest, json: &Value) {
    let Destination::Bank(bank) = &request.destination;
    for (field, value) in [
        ("/externalId", request.external_id.as_str()),
        ("/walletId", request.wallet_id.as_str()),
        ("/amount", &request.amount.to_string()),
        ("/destination/provider", &bank.provider),
        ("/destination/accountId", &bank.account_id),
        ("/destination/instructionsId", &bank.instructions_id),
        ("/destination/currency", &bank.currency),
        ("/destination/country", &bank.country),
        ("/destination/purpose", bank.purpose.as_str()),
    ] {
        assert_eq!(text_at(json, field), Some(value), "{field}");
    }
    let address = text_at(json, "/asset/contract").or(text_at(json, "/asset/mint")).unwrap_or_default();
    assert!(request.asset.address().eq_ignore_ascii_case(address));
    let known = [
        "externalId",
        "walletId",
        "asset",
        "amount",
        "destination",
        "program",
        "guards",
        "attempt",
        "source",
        "signed",
    ];
    let fields = json.as_object().expect("a request is an object");
    assert!(fields.keys().all(|field| known.contains(&field.as_str())), "a field nobody knows was taken: {json}");
}
