//! Which deliveries are accepted, and what an accepted one gives.

use bytes::Bytes;
use jiff::Timestamp;
use remit_dfns::{EventKind, ExecutionStatus, TransferStatus, Verified, VerifyError, Webhook};
use ring::hmac;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::harness::vectors;

const SECRET: &str = "whs-000000-test-only-secret-for-vectors";
/// `timestampSent` of most fixtures.
const SENT: i64 = 1_788_256_800;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a moment")
}

/// Signs as Dfns does.
fn signature(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

fn verify(body: &str, header: Option<&str>, now: Timestamp) -> Result<Webhook<Verified>, VerifyError> {
    Webhook::new(Bytes::copy_from_slice(body.as_bytes()), header).verify(&[SECRET.into()], now)
}

/// A well-signed delivery of this body.
fn delivered(body: &str) -> Result<Webhook<Verified>, VerifyError> {
    verify(body, Some(&signature(SECRET, body.as_bytes())), at(SENT))
}

fn with_data(kind: &str, data: &str) -> Webhook<Verified> {
    delivered(&format!(r#"{{"id":"whe-1","kind":"{kind}","data":{data},"timestampSent":{SENT}}}"#)).expect("a delivery")
}

#[test]
fn every_webhook_vector_comes_out_as_it_says() {
    let vectors = vectors();
    let cases = vectors["webhook"]["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 6);
    assert_eq!(vectors["webhook"]["secret"], SECRET);
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap_or_else(|| panic!("no {key} in {case}"));
        let sent: Value = serde_json::from_str(text("body_utf8")).expect("JSON");
        let sent = sent["timestampSent"].as_i64().expect("a time");
        let now = at(case["verify_at_unix"].as_i64().unwrap_or(sent));
        let outcome = verify(text("body_utf8"), Some(text("signature_header")), now).map(|_| ());
        let expected = match text("name") {
            "ascii_body" | "non_ascii_body" | "fresh_timestamp_edge" => Ok(()),
            "wrong_secret" | "tampered_body" => Err(VerifyError::WrongSignature),
            "stale_timestamp" => Err(VerifyError::Stale { age_seconds: 300 }),
            other => panic!("a case we do not know: {other}"),
        };
        assert_eq!(outcome, expected, "{}", text("name"));
        if let Some(escaped) = case["ascii_escaped_body_utf8"].as_str() {
            let outcome = verify(escaped, Some(text("signature_header")), now).map(|_| ());
            assert_eq!(outcome, Err(VerifyError::WrongSignature), "only the raw bytes count");
            assert!(verify(escaped, Some(text("signature_of_ascii_escaped_body")), now).is_ok());
        }
    }
}

#[test]
fn a_webhook_older_than_five_minutes_is_refused_and_so_is_one_from_the_future() {
    let body = format!(r#"{{"id":"whe-1","kind":"k","data":{{}},"timestampSent":{SENT}}}"#);
    let header = signature(SECRET, body.as_bytes());
    for (age, fresh) in [(0, true), (299, true), (-299, true), (300, false), (-300, false), (86_400, false)] {
        let outcome = verify(&body, Some(&header), at(SENT + age)).map(|_| ());
        let expected = if fresh { Ok(()) } else { Err(VerifyError::Stale { age_seconds: age }) };
        assert_eq!(outcome, expected, "{age} s");
    }
}

#[test]
fn a_missing_or_malformed_header_is_told_apart_from_a_wrong_signature() {
    let body = format!(r#"{{"id":"whe-1","kind":"k","data":{{}},"timestampSent":{SENT}}}"#);
    let good = signature(SECRET, body.as_bytes());
    let outcome = |header: Option<&str>| verify(&body, header, at(SENT)).map(|_| ());
    assert_eq!(outcome(Some(&good)), Ok(()));
    assert_eq!(outcome(None), Err(VerifyError::MissingSignature));
    let hex = good.trim_start_matches("sha256=");
    let malformed = [
        "",
        hex,
        "sha256=",
        &good[..good.len() - 1],
        &format!("{good}0"),
        &format!("sha1={hex}"),
        &good.to_uppercase(),
        &format!("sha256={}", "+f".repeat(32)),
        &format!("sha256={}", "é".repeat(32)),
    ];
    for header in malformed {
        assert_eq!(outcome(Some(header)), Err(VerifyError::MalformedSignature), "{header}");
    }
    assert_eq!(outcome(Some(&format!("sha256={}", "0".repeat(64)))), Err(VerifyError::WrongSignature));
}

#[test]
fn any_of_several_secrets_will_do_and_an_empty_one_never_does() {
    let body = format!(r#"{{"id":"whe-1","kind":"k","data":{{}},"timestampSent":{SENT}}}"#);
    let check = |header: &str, secrets: &[&str]| {
        let secrets: Vec<SecretString> = secrets.iter().map(|s| SecretString::from(*s)).collect();
        Webhook::new(Bytes::from(body.clone()), Some(header)).verify(&secrets, at(SENT)).map(|_| ())
    };
    let good = signature(SECRET, body.as_bytes());
    assert_eq!(check(&good, &["old", SECRET]), Ok(()));
    assert_eq!(check(&good, &["old"]), Err(VerifyError::WrongSignature));
    assert_eq!(check(&good, &[]), Err(VerifyError::WrongSignature));
    let forged = signature("", body.as_bytes());
    assert_eq!(check(&forged, &[""]), Err(VerifyError::WrongSignature));
}

#[test]
fn a_signed_body_of_another_shape_is_refused_and_named() {
    for (body, expected) in [
        ("not json".to_owned(), "expected an object"),
        ("[]".to_owned(), "expected an object"),
        ("{".to_owned(), "EOF"),
        (format!(r#"{{"kind":"k","data":{{}},"timestampSent":{SENT}}}"#), "`id`"),
        (r#"{"id":"w","kind":"k","data":{}}"#.to_owned(), "`timestampSent`"),
        (r#"{"id":"w","kind":"k","data":{},"timestampSent":"now"}"#.to_owned(), "string"),
        (r#"{"id":"w","kind":"k","data":{},"timestampSent":9223372036854775807}"#.to_owned(), "timestampSent"),
        (format!(r#"{{"id":"w","kind":"k","data":[],"timestampSent":{SENT}}}"#), "data: expected an object"),
        (format!(r#"{{"id":"w","kind":"k","data":{{}},"timestampSent":{SENT}}} {{}}"#), "trailing"),
        (format!(r#"{{"id":"w","id":"v","kind":"k","data":{{}},"timestampSent":{SENT}}}"#), "duplicate field `id`"),
        (format!(r#"{{"id":"w","x":1,"x":2,"kind":"k","data":{{}},"timestampSent":{SENT}}}"#), "duplicate field `x`"),
        (
            format!(r#"{{"id":"w","kind":"k","data":{{"a":[{{"b":1,"\u0062":2}}]}},"timestampSent":{SENT}}}"#),
            "duplicate field `b`",
        ),
    ] {
        let Err(VerifyError::WrongShape(what)) = delivered(&body).map(|_| ()) else { panic!("accepted {body}") };
        assert!(what.contains(expected), "{body}: {what}");
    }
}

#[test]
fn the_sample_of_a_payout_that_needs_action_is_read() {
    let webhook = delivered(include_str!("../../fixtures/deliveries/payout.action.required.json")).expect("a delivery");
    assert_eq!((webhook.id(), webhook.kind()), ("whe-6mkjc-t3m1r-nt68nqnrstohvsmo", &EventKind::PayoutActionRequired));
    assert_eq!(webhook.date(), Some("2026-09-01T10:00:00Z".parse().expect("a date")));
    assert_eq!((webhook.sent(), webhook.delivery_attempt(), webhook.retry_of()), (Some(at(SENT)), Some(1), None));
    assert_eq!(webhook.payout_id(), Some("pyt-4ihii-9lonb-tmhjo9bor4odmb5h"));
    assert_eq!(webhook.wallet_id(), Some("wa-5pfuu-9euek-h0odgb6snva8ph3k"));
    assert_eq!(webhook.object_status(), Some("AwaitingPayoutConfirmation"));
    assert_eq!((webhook.transfer_id(), webhook.approval_id()), (None, None));
    assert!(webhook.transfer().is_none());
    let payout = webhook.payout().expect("a payout");
    assert_eq!(payout.data.execution_status, Some(ExecutionStatus::AwaitingPayoutConfirmation));
    assert_eq!(payout.data.deposit_address.as_deref(), Some("0x1234567890abcdef1234567890abcdef12345678"));
    assert_eq!(payout.requester.and_then(|r| r.user_id).as_deref(), Some("us-3v1ag-v6b36-f2acnr30000008sp"));
    assert_eq!(webhook.data()["payout"]["externalId"], "po-000123");
}

#[test]
fn the_sample_of_a_rejected_transfer_is_read() {
    let body = include_str!("../../fixtures/deliveries/wallet.transfer.rejected.json");
    let webhook = verify(body, Some(&signature(SECRET, body.as_bytes())), at(1_788_257_100)).expect("a delivery");
    assert_eq!((webhook.kind(), webhook.delivery_attempt()), (&EventKind::TransferRejected, Some(2)));
    assert_eq!(webhook.retry_of(), Some("whe-0zzzz-yyyyy-xxxxxxxxxxxxxxxx"));
    assert_eq!(webhook.transfer_id(), Some("xfr-20g4k-nsdmo-3dg6arv1a0000001"));
    let transfer = webhook.transfer().expect("a transfer");
    assert_eq!(transfer.status, TransferStatus::Rejected);
    assert_eq!(transfer.reason.as_deref(), Some("Blocked by policy: Hourly cap"));
    assert_eq!(transfer.request_body.external_id.as_deref(), Some("po-000124"));
    assert_eq!(transfer.metadata.asset.quotes["USD"], 1.into());
}

#[test]
fn the_sample_of_a_pending_approval_is_read() {
    let body = include_str!("../../fixtures/deliveries/policy.approval.pending.json");
    let webhook = verify(body, Some(&signature(SECRET, body.as_bytes())), at(1_788_257_160)).expect("a delivery");
    assert_eq!(webhook.kind(), &EventKind::PolicyApprovalPending);
    assert_eq!(webhook.approval_id(), Some("ap-1q2w3-e4r5t-6y7u8i9o0p1a2s3d"));
    assert_eq!(webhook.transfer_id(), Some("xfr-20g4k-nsdmo-3dg6arv1a0000002"));
    assert_eq!(webhook.object_status(), Some("Pending"));
}

#[test]
fn a_resolved_approval_is_found_in_each_of_its_three_shapes() {
    let kind = "policy.approval.resolved";
    let bare = with_data(kind, r#"{"activityId":"act-1"}"#);
    assert_eq!((bare.activity_id(), bare.approval_id()), (Some("act-1"), None));
    let wrapped = with_data(kind, r#"{"approval":{"activityId":"act-2","id":"ap-2"}}"#);
    assert_eq!((wrapped.activity_id(), wrapped.approval_id()), (Some("act-2"), Some("ap-2")));
    let flat = with_data(kind, r#"{"approvalId":"ap-3"}"#);
    assert_eq!((flat.activity_id(), flat.approval_id()), (None, Some("ap-3")));
}

#[test]
fn a_kind_we_do_not_know_is_accepted_and_kept() {
    let webhook = with_data("swap.completed", r#"{"a":1.5,"b":[true,null,"x",-1]}"#);
    assert_eq!(webhook.kind(), &EventKind::Unknown("swap.completed".into()));
    assert_eq!(webhook.data_json(), r#"{"a":1.5,"b":[true,null,"x",-1]}"#);
    assert!(webhook.payout().is_none() && webhook.transfer().is_none());
}

#[test]
fn an_event_written_as_one_text_says_all_but_how_it_was_delivered() {
    let webhook = delivered(include_str!("../../fixtures/deliveries/payout.action.required.json")).expect("a delivery");
    let written: Value = serde_json::from_slice(&webhook.to_json()).expect("JSON");
    let expected = json!({
        "id": webhook.id(), "kind": "payout.action.required", "date": "2026-09-01T10:00:00Z", "data": webhook.data(),
    });
    assert_eq!(written, expected);
    let undated = with_data("k", r#"{"amount": 12345678901234567890.10}"#).to_json();
    let expected = r#"{"id":"whe-1","kind":"k","data":{"amount": 12345678901234567890.10}}"#;
    assert_eq!(String::from_utf8_lossy(&undated), expected, "figures stay as they came");
}

#[test]
fn printing_a_webhook_shows_nothing_of_its_data() {
    let body = include_str!("../../fixtures/deliveries/payout.action.required.json");
    let raw = Webhook::new(Bytes::from_static(body.as_bytes()), Some("sha256=secretish"));
    let printed = format!("{raw:?} {:?}", delivered(body).expect("a delivery"));
    assert!(printed.contains("whe-6mkjc-t3m1r-nt68nqnrstohvsmo"), "{printed}");
    assert!(printed.contains(&format!("bytes: {}", body.len())), "{printed}");
    assert!(!printed.contains("0x1234") && !printed.contains("secretish"), "{printed}");
}
