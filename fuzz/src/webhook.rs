//! Deliveries: nothing is accepted that was not signed, and what is accepted says what its bytes say.

use bytes::Bytes;
use remit_dfns::{Unverified, Verified, VerifyError, Webhook};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{choice, hex, now, text_at};

/// The secret of every target.
pub const SECRET: &str = "whs-fuzz";

/// The signature header of a body, by the definition of HMAC (RFC 2104) and not by the library that verifies it.
pub fn sign(body: &[u8]) -> String {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(SECRET.bytes()).for_each(|(byte, secret)| *byte ^= secret);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(body).finalize();
    format!("sha256={}", hex(&Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize()))
}

fn verify(body: &[u8], header: Option<&str>) -> Result<Webhook<Verified>, VerifyError> {
    let secrets = [SecretString::from(""), SecretString::from("whs-another"), SecretString::from(SECRET)];
    Webhook::<Unverified>::new(Bytes::copy_from_slice(body), header).verify(&secrets, now())
}

/// The first line is a signature header, the rest a body.
pub fn webhook(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (header, body) = end.map_or((&data[..0], data), |end| (&data[..end], &data[end + 1..]));
    let good = sign(body);

    if let Ok(header) = str::from_utf8(header) {
        let accepted = verify(body, Some(header)).is_ok();
        assert!(!accepted || header == good, "accepted with the signature {header:?}");
    }
    assert!(matches!(verify(body, None), Err(VerifyError::MissingSignature)));
    refuses_what_is_nearly_signed(body, &good);

    let read = verify(body, Some(&good));
    if let Err(why) = &read {
        assert!(matches!(why, VerifyError::WrongShape(_) | VerifyError::Stale { .. }), "signed, and yet {why}");
    }
    let json: Option<Value> = serde_json::from_slice(body).ok();
    if let Ok(event) = &read {
        // Doubled keys are refused over the whole body, so whatever is accepted is JSON for everybody.
        says_what_the_bytes_say(event, json.as_ref().expect("accepted, and not JSON"));
    }
    // Without doubled keys nothing is left to say against it but what this says.
    if let Some(json) = json {
        let once = json.to_string();
        let accepted = verify(once.as_bytes(), Some(&sign(once.as_bytes())));
        assert_eq!(accepted.is_ok(), is_event(&json), "{once}: {:?}", accepted.err());
    }
}

fn refuses_what_is_nearly_signed(body: &[u8], good: &str) {
    if !body.is_empty() {
        let mut other = body.to_vec();
        other[choice(body, "byte", body.len())] ^= 1 << choice(body, "bit", 8);
        assert!(matches!(verify(&other, Some(good)), Err(VerifyError::WrongSignature)), "another body was accepted");
    }
    let mut header = good.as_bytes().to_vec();
    header[choice(body, "digit", good.len())] ^= 1 << choice(body, "bit of the digit", 7);
    let header = String::from_utf8(header).expect("seven bits");
    let near = verify(body, Some(&header));
    assert!(
        matches!(near, Err(VerifyError::WrongSignature | VerifyError::MalformedSignature)),
        "accepted with the signature {header:?}"
    );
}

/// What an event must be, said once more over a plain reading of the same JSON.
fn is_event(json: &Value) -> bool {
    let text = |field: &str| json.get(field).is_some_and(Value::is_string);
    let none_or = |field: &str, is: fn(&Value) -> bool| json.get(field).is_none_or(|it| it.is_null() || is(it));
    let now = now().as_second();
    let sent = json.get("timestampSent").and_then(Value::as_i64);
    json.is_object()
        && text("id")
        && text("kind")
        && json.get("data").is_some_and(Value::is_object)
        && none_or("date", Value::is_string)
        && none_or("deliveryAttempt", |it| it.as_u64().is_some_and(|n| u32::try_from(n).is_ok()))
        && none_or("retryOf", Value::is_string)
        && none_or("error", Value::is_string)
        && sent.is_some_and(|sent| sent.checked_sub(now).is_some_and(|age| age.abs() < 300))
}

fn says_what_the_bytes_say(event: &Webhook<Verified>, json: &Value) {
    assert!(is_event(json), "accepted, and no event: {json}");
    let data = &json["data"];
    assert_eq!(Some(event.id()), text_at(json, "/id"));
    assert_eq!(Some(event.kind().as_str()), text_at(json, "/kind"));
    assert_eq!(event.data(), data);
    assert_eq!(serde_json::from_str::<Value>(event.data_json()).as_ref().ok(), Some(data));
    assert_eq!(event.payout_id(), text_at(data, "/payout/id"));
    for id in [event.transfer_id(), event.approval_id(), event.activity_id(), event.wallet_id(), event.object_status()]
    {
        assert!(id.is_none_or(|id| data.to_string().contains(&json!(id).to_string())), "{id:?} is not in {data}");
    }
    if let Some(payout) = event.payout() {
        assert_eq!(Some(payout.id.as_str()), event.payout_id());
    }
    if let Some(transfer) = event.transfer() {
        assert_eq!(Some(transfer.id.as_str()), text_at(data, "/transferRequest/id"));
    }
    assert!(event.sent().is_some());
    let _ = (event.date(), event.delivery_attempt(), event.retry_of(), format!("{event:?}"));

    // As kept without its delivery, and delivered again.
    let mut kept: Value = serde_json::from_slice(&event.to_json()).expect("an event is JSON");
    kept["timestampSent"] = json!(now().as_second());
    let kept = kept.to_string();
    let again = verify(kept.as_bytes(), Some(&sign(kept.as_bytes()))).expect("kept and delivered again");
    assert_eq!((again.id(), again.kind(), again.data()), (event.id(), event.kind(), event.data()));
}
