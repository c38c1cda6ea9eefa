//! The three requests of a signed call, and when they are made again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use remit_dfns::{ConfirmTransfer, Error, PayoutAction, Stage};
use serde_json::Value;

use crate::harness::{Server, json, settings, sign, vectors};

const PAYOUT: &str = "pyt-4ihii-9lonb-tmhjo9bor4odmb5h";

fn confirm() -> PayoutAction {
    PayoutAction::Confirm {
        wallet_id: "wa-5pfuu-9euek-h0odgb6snva8ph3k".into(),
        transfer: ConfirmTransfer::Erc20 {
            amount: "1000000000".into(),
            contract: "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359".into(),
            to: "0x1234567890abcdef1234567890abcdef12345678".into(),
        },
    }
}

const INIT: &str = "POST /auth/action/init";
const COMPLETE: &str = "POST /auth/action";
const CALL: &str = "POST /payouts/pyt-4ihii-9lonb-tmhjo9bor4odmb5h/action";

/// Byte for byte what the official SDK sends, except for the client data, which has the layout of
/// the docs and so the signature the vectors give for it.
#[tokio::test]
async fn confirming_sends_the_three_requests_of_the_transcript() {
    let server = Server::signing(|_| json(200, "{}")).await;
    server.client().payout_action(PAYOUT, &confirm()).await.expect("confirmed");

    let vectors = vectors();
    let ed25519 = &vectors["vectors"][0];
    let docs = &ed25519["alternative_client_data"]["docs_reference_alphabetical"];
    let text = |value: &Value, key: &str| value[key].as_str().expect("a text").to_owned();
    let expected = vectors["transcript"]["requests"].as_array().expect("requests");
    let seen = server.seen();
    assert_eq!((seen.len(), expected.len()), (3, 3));
    for (seen, expected) in seen.iter().zip(expected) {
        assert_eq!((seen.method.clone(), seen.path.clone()), (text(expected, "method"), text(expected, "path")));
        for (name, value) in expected["headers"].as_object().expect("headers") {
            assert_eq!(seen.header(name), value.as_str(), "{name} of {}", seen.path);
        }
        assert_eq!(seen.header("user-agent"), Some(concat!("remit-dfns/", env!("CARGO_PKG_VERSION"))));
        let body = text(expected, "body")
            .replace(&text(ed25519, "client_data_b64url"), &text(docs, "client_data_b64url"))
            .replace(&text(ed25519, "signature_b64url"), &text(docs, "signature_b64url"));
        assert_eq!(seen.text(), body);
    }
    assert_eq!(seen[0].header("x-dfns-useraction"), None);
}

#[tokio::test]
async fn the_bytes_that_are_signed_are_the_bytes_that_are_sent() {
    let body = Bytes::from_static("{ \"odd\" :\t\"spacing é\",\"b\":1,\"a\":2 }".as_bytes());
    let server = Server::signing(|_| json(200, "not read")).await;
    let answer = server.client().create_payout(body.clone()).await;
    assert!(matches!(answer, Err(Error::Misread { stage: Stage::Call, status: 200, .. })), "{answer:?}");
    let seen = server.seen();
    let init: Value = serde_json::from_slice(&seen[0].body).expect("JSON");
    assert_eq!(init["userActionPayload"].as_str().expect("a text").as_bytes(), body);
    assert_eq!(seen[2].body, body);
}

#[tokio::test]
async fn a_write_without_body_signs_the_empty_text_and_sends_nothing() {
    let server = Server::signing(|_| json(200, r#"{"deleted":true}"#)).await;
    server.client().delete_webhook("wh-1").await.expect("deleted");
    let seen = server.seen();
    let init: Value = serde_json::from_slice(&seen[0].body).expect("JSON");
    assert_eq!(init["userActionPayload"], "");
    assert_eq!(init["userActionHttpMethod"], "DELETE");
    assert_eq!(init["userActionHttpPath"], "/webhooks/wh-1");
    assert_eq!((seen[2].method.as_str(), seen[2].body.len()), ("DELETE", 0));
    assert_eq!(seen[2].header("content-type"), None);
}

#[tokio::test]
async fn a_base_path_goes_before_the_call_but_is_not_signed() {
    let server = Server::start(|seen| {
        let mut below = seen.clone();
        below.path = seen.path.replacen("/org/7", "", 1);
        sign(&below).unwrap_or_else(|| json(200, ""))
    })
    .await;
    let client = remit_dfns::Dfns::new(settings(&format!("{}/org/7/", server.url))).expect("good settings");
    client.payout_action(PAYOUT, &PayoutAction::Cancel).await.expect("an empty 200 is fine");
    let seen = server.seen();
    assert_eq!(seen[2].path, format!("/org/7/payouts/{PAYOUT}/action"));
    let init: Value = serde_json::from_slice(&seen[0].body).expect("JSON");
    assert_eq!(init["userActionHttpPath"], format!("/payouts/{PAYOUT}/action"));
    assert_eq!(seen[2].text(), r#"{"action":"Cancel"}"#);
}

#[tokio::test]
async fn a_challenge_for_other_credentials_is_not_signed() {
    let server = Server::signing(|_| json(200, "{}")).await;
    let mut settings = settings(&server.url);
    settings.credential_id = "someone-else".into();
    let client = remit_dfns::Dfns::new(settings).expect("good settings");
    let refused = client.payout_action(PAYOUT, &confirm()).await.expect_err("not signed");
    assert!(matches!(&refused, Error::Unsigned { reason } if reason.contains("someone-else")), "{refused}");
    assert_eq!(server.lines(), [INIT]);
}

/// Answers the first `times` requests to `path` with this error, everything else well.
async fn failing(path: &'static str, times: usize, status: u16, message: &'static str) -> Server {
    let left = Arc::new(AtomicUsize::new(times));
    Server::start(move |seen| {
        let fails =
            seen.path == path && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        match fails {
            true => json(status, &format!(r#"{{"error":{{"message":"{message}"}}}}"#)),
            false => sign(seen).unwrap_or_else(|| json(200, "{}")),
        }
    })
    .await
}

#[tokio::test]
async fn a_signature_that_is_not_accepted_is_made_again_once() {
    let call = &CALL["POST ".len()..];
    for (path, status, message, before) in [
        ("/auth/action/init", 400, "Challenge token is not valid", &[INIT][..]),
        ("/auth/action", 400, "Challenge token is not valid.", &[INIT, COMPLETE][..]),
        ("/auth/action", 400, "User action has already been used", &[INIT, COMPLETE][..]),
        (call, 400, "Challenge token is not valid", &[INIT, COMPLETE, CALL][..]),
        (call, 403, "The user action signature is missing or invalid", &[INIT, COMPLETE, CALL][..]),
    ] {
        let server = failing(path, 1, status, message).await;
        server.client().payout_action(PAYOUT, &confirm()).await.expect("the second try is accepted");
        assert_eq!(server.lines(), [before, &[INIT, COMPLETE, CALL]].concat(), "{message} at {path}");

        let server = failing(path, 2, status, message).await;
        let refused = server.client().payout_action(PAYOUT, &confirm()).await.expect_err("refused twice");
        assert_eq!(refused.refusal().expect("a refusal").status, status);
        assert_eq!(server.lines(), [before, before].concat(), "no third try after {message} at {path}");
    }
}

/// Each token is sent once. A used one means that a copy of the call got there first, so to call
/// again could pay twice, and to report a refusal could make the payout count as not paid.
#[tokio::test]
async fn a_used_token_at_the_call_is_an_unknown_outcome() {
    let server = failing(&CALL["POST ".len()..], 1, 400, "user action has already been used").await;
    let lost = server.client().payout_action(PAYOUT, &confirm()).await.expect_err("unknown");
    assert!(matches!(lost, Error::Lost { stage: Stage::Call, .. }), "{lost:?}");
    assert_eq!(server.lines(), [INIT, COMPLETE, CALL]);
}

#[tokio::test]
async fn other_refusals_are_not_tried_again() {
    for (path, status, stage) in [
        ("/auth/action/init", 401, Stage::Signing),
        (&CALL["POST ".len()..], 403, Stage::Call),
        (&CALL["POST ".len()..], 412, Stage::Call),
        (&CALL["POST ".len()..], 503, Stage::Call),
    ] {
        let server = failing(path, 1, status, "is not authorized to perform operation").await;
        let refused = server.client().payout_action(PAYOUT, &confirm()).await.expect_err("refused");
        let Error::Refused { stage: seen_stage, refusal } = &refused else { panic!("{refused:?}") };
        assert_eq!((*seen_stage, refusal.status), (stage, status));
        let calls = server.lines().iter().filter(|line| *line == CALL).count();
        assert_eq!(calls, usize::from(stage == Stage::Call));
    }
}

/// What changes nothing is tried again at once while Dfns says that it failed; what may have acted never is.
#[tokio::test]
async fn reads_and_signing_are_tried_three_times_and_the_call_once() {
    let call = &CALL["POST ".len()..];
    for (path, times, works) in
        [("/auth/action/init", 2, true), ("/auth/action", 2, true), ("/auth/action", 3, false), (call, 1, false)]
    {
        let server = failing(path, times, 500, "out of order").await;
        let answer = server.client().payout_action(PAYOUT, &confirm()).await;
        assert_eq!(answer.is_ok(), works, "{path} {times}: {answer:?}");
        let seen = server.lines().iter().filter(|line| line.ends_with(path)).count();
        assert_eq!(seen, if path == call { 1 } else { 3 }, "{path} {times}");
    }
    for (times, works) in [(2, true), (3, false)] {
        let left = Arc::new(AtomicUsize::new(times));
        let server =
            Server::start(move |_| match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)) {
                Ok(_) => json(503, "{}"),
                Err(_) => json(200, r#"{"items":[]}"#),
            })
            .await;
        let answer = server.client().wallets(&Default::default()).await;
        assert_eq!(answer.is_ok(), works, "{times}: {answer:?}");
        assert_eq!(server.lines().len(), 3);
    }
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_a_misread_signing() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/auth/action" => json(200, r#"{"userAction":"a\nb"}"#),
        _ => sign(seen).unwrap_or_else(|| json(200, "{}")),
    })
    .await;
    let misread = server.client().payout_action(PAYOUT, &confirm()).await.expect_err("unusable");
    assert!(matches!(misread, Error::Misread { stage: Stage::Signing, .. }), "{misread:?}");
    assert_eq!(server.lines(), [INIT, COMPLETE]);
}
