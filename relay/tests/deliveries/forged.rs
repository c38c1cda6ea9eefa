//! From genuine deliveries everything is made that is nearly one. None of it is accepted, kept or handed on, and after
//! all of it a genuine one is.

use remit_records::EventFilter;
use remit_relay::Limits;
use serde_json::{Value, json};

use crate::{
    strangers::{Wire, post},
    support::{KEY, OLD_SECRET, Relay, SECRET, action_required, approval_pending, sign, transfer},
};

/// Nothing came of what was sent, and a genuine delivery is still taken.
pub async fn nothing_came_of_it(relay: Relay) {
    assert!(relay.had().is_empty(), "somebody was nudged: {:#?}", relay.had());
    assert!(relay.inbox().await.is_empty(), "something was kept: {:#?}", relay.inbox().await);
    assert_eq!(relay.deliver_signed(&action_required(0)).await, 200, "a genuine one");
    assert_eq!(relay.had().iter().map(|(key, ..)| key.as_str()).collect::<Vec<_>>(), [KEY]);
    assert_eq!(relay.inbox().await.len(), 1);
    relay.end().await;
}

async fn is_refused(wire: &mut Wire, body: &[u8], signature: &[u8], what: &str) {
    let status = wire.ask(&post(&[(b"x-dfns-webhook-signature", signature)], body)).await;
    assert!((400..500).contains(&status), "{what}: {status}");
}

#[tokio::test]
async fn no_bit_of_a_delivery_or_of_its_signature_can_be_changed() {
    let relay = Relay::patient(Limits::default()).await;
    let mut wire = Wire::to(&relay);
    let body = transfer("wallet.transfer.failed", "xfr-1", "Failed").to_string().into_bytes();
    let signature = sign(SECRET, &body).into_bytes();
    for bit in 0..8 * body.len() {
        let mut other = body.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        is_refused(&mut wire, &other, &signature, &format!("bit {bit} of the body")).await;
    }
    for bit in 0..8 * signature.len() {
        let mut other = signature.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        is_refused(&mut wire, &body, &other, &format!("bit {bit} of the signature")).await;
    }
    nothing_came_of_it(relay).await;
}

#[tokio::test]
async fn the_signature_of_another_body_secret_or_form_counts_for_nothing() {
    let relay = Relay::patient(Limits::default()).await;
    let mut wire = Wire::to(&relay);
    let [one, other] = [action_required(0), approval_pending()].map(|event| event.to_string().into_bytes());
    let (of_one, of_other) = (sign(SECRET, &one), sign(SECRET, &other));
    is_refused(&mut wire, &one, of_other.as_bytes(), "swapped").await;
    is_refused(&mut wire, &other, of_one.as_bytes(), "swapped back").await;

    let secrets = [
        "",
        " ",
        OLD_SECRET,
        "whs-test-secre",
        "whs-test-secret ",
        " whs-test-secret",
        "whs-test-secret\n",
        "WHS-TEST-SECRET",
        "test-secret",
        "whs-test-secretwhs-test-secret",
        "whs-te\u{0301}st-secret",
    ];
    for secret in secrets {
        is_refused(&mut wire, &one, sign(secret, &one).as_bytes(), &format!("{secret:?}")).await;
    }
    let hex = of_one.strip_prefix("sha256=").expect("its form");
    let forms = [
        hex.to_owned(),
        of_one.to_ascii_uppercase(),
        format!("sha256={}", hex.to_ascii_uppercase()),
        format!("SHA256={hex}"),
        format!("sha1={hex}"),
        format!("sha512={hex}"),
        format!("sha256={hex}{hex}"),
        format!("sha256={hex}, sha256={hex}"),
        format!("sha256= {hex}"),
        format!("sha256=\"{hex}\""),
        format!("sha256=0x{hex}"),
        format!("sha256={}", &hex[..63]),
        format!("sha256={}", &hex[..62]),
        format!("sha256={hex}0"),
        "sha256=".to_owned(),
        String::new(),
        format!("sha256={}", "0".repeat(64)),
        format!("sha256={}", "é".repeat(32)),
    ];
    for form in &forms {
        is_refused(&mut wire, &one, form.as_bytes(), form).await;
    }
    nothing_came_of_it(relay).await;
}

#[tokio::test]
async fn the_same_event_in_other_bytes_is_another_body() {
    let relay = Relay::patient(Limits::default()).await;
    let mut wire = Wire::to(&relay);
    let mut event = action_required(0);
    event["data"]["payout"]["data"]["statusReason"] = json!("caf\u{e9} \u{1f4b8}");
    let body = event.to_string();
    let signature = sign(SECRET, body.as_bytes());
    let others = [
        serde_json::to_string_pretty(&event).expect("JSON"),
        body.replace("\":", "\": "),
        body.replace('\u{e9}', "e\u{301}"),
        body.replace('\u{e9}', "\\u00e9"),
        body.replace('\u{e9}', "\\u00E9"),
        body.replace('\u{1f4b8}', "\\ud83d\\udcb8"),
        body.replace("payout", "p\\u0061yout"),
        body.replace('/', "\\/"),
        body.replacen("\"id\"", "\"id\":\"whe-1\",\"id\"", 1),
        body.replace("\"deliveryAttempt\":1", "\"deliveryAttempt\":1.0"),
        body.replace("\"1000000000\"", "1000000000"),
        format!("\u{feff}{body}"),
        format!("{body}\n"),
        format!("{body}\0"),
        format!(" {body}"),
        format!("{body}{body}"),
        format!("[{body}]"),
    ];
    for other in others.iter().filter(|other| **other != body) {
        is_refused(&mut wire, other.as_bytes(), signature.as_bytes(), other).await;
    }
    let latin1: Vec<u8> = body.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect();
    is_refused(&mut wire, &latin1, signature.as_bytes(), "Latin-1").await;
    nothing_came_of_it(relay).await;
}

#[tokio::test]
async fn well_signed_at_another_time_it_is_stale() {
    let relay = Relay::patient(Limits::default()).await;
    let now = jiff::Timestamp::now().as_second();
    // Some seconds more than the limit towards the future: the test takes its time too.
    let times = [now - 300, now + 400, 0, -1, now - 86_400, now + 86_400, now * 1000, i64::MIN, i64::MAX];
    for time in times {
        let mut event = action_required(0);
        event["timestampSent"] = json!(time);
        let status = relay.deliver_signed(&event).await;
        assert!(matches!(status, 400 | 401), "{time}: {status}");
    }
    let no_times =
        [Value::Null, json!(now.to_string()), json!("2026-11-28T00:00:00Z"), json!([now]), json!({}), json!(true)];
    for time in no_times {
        let mut event = action_required(0);
        event["timestampSent"] = time.clone();
        assert_eq!(relay.deliver_signed(&event).await, 400, "{time}");
    }
    nothing_came_of_it(relay).await;
}

#[tokio::test]
async fn well_signed_text_that_two_readers_read_differently_is_no_event() {
    let relay = Relay::patient(Limits::default()).await;
    let body = action_required(0).to_string();
    let doubled =
        |key: &str, value: &str| body.replacen(&format!("\"{key}\":"), &format!("\"{key}\":{value},\"{key}\":"), 1);
    let texts = [
        doubled("id", "\"whe-1\""),
        doubled("kind", "\"wallet.created\""),
        doubled("data", "{}"),
        doubled("timestampSent", "0"),
        doubled("payout", "{}"),
        doubled("walletId", "\"wa-1\""),
        doubled("externalId", "\"po-2\""),
        // The same key in another spelling.
        body.replacen("\"externalId\":", "\"external\\u0049d\":\"po-2\",\"externalId\":", 1),
        format!("\u{feff}{body}"),
        format!("{body}{body}"),
        format!("{body}x"),
        format!("{body}\0"),
        body.replace("po-000123", "po-\\ud800"),
        body.replace("po-000123", "po-\0"),
        // Infinite for one reader, an error for another.
        body.replacen("{\"payout\"", "{\"n\":1e999,\"payout\"", 1),
        // An object for those who count its fields.
        format!("[\"whe-1\",\"payout.action.required\",null,{{}},{}]", jiff::Timestamp::now().as_second()),
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
        body.replacen("\"data\":", &format!("\"deep\":{}1{},\"data\":", "[".repeat(1000), "]".repeat(1000)), 1),
    ];
    for text in texts {
        assert_ne!(text, body);
        let signature = sign(SECRET, text.as_bytes());
        assert_eq!(relay.deliver(text.clone(), Some(signature)).await, 400, "{text:.300}");
    }
    let utf16: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut not_utf8 = body.into_bytes();
    let at = not_utf8.windows(2).position(|two| two == b"po").expect("an id");
    not_utf8[at] = 0xff;
    for bytes in [utf16, not_utf8] {
        let signature = sign(SECRET, &bytes);
        assert_eq!(relay.deliver(bytes, Some(signature)).await, 400);
    }
    nothing_came_of_it(relay).await;
}

#[tokio::test]
async fn many_at_once_are_told_apart() {
    const EACH: usize = 60;
    let relay = Relay::patient(Limits::default()).await;
    let good = |n: usize| {
        let mut event = transfer("wallet.transfer.failed", &format!("xfr-{n}"), "Failed");
        event["id"] = json!(format!("whe-{n}"));
        event.to_string()
    };
    let all = (0..4 * EACH).map(|n| {
        let body = good(n / 4);
        let signature = match n % 4 {
            0 => Some(sign(SECRET, body.as_bytes())),
            1 => Some(sign(OLD_SECRET, body.as_bytes())),
            2 => Some(sign(SECRET, good(n / 4 + 1).as_bytes())),
            _ => None,
        };
        let relay = &relay;
        async move { (n % 4 == 0, relay.deliver(body, signature).await) }
    });
    let answers = futures::future::join_all(all).await;
    assert_eq!(answers.iter().filter(|(genuine, status)| *genuine && *status == 200).count(), EACH);
    assert_eq!(answers.iter().filter(|(genuine, status)| !genuine && *status == 401).count(), 3 * EACH);
    let all = EventFilter { limit: 500, ..EventFilter::default() };
    assert_eq!(relay.records.events(&all).await.expect("the inbox").items.len(), EACH);
    relay.end().await;
}
