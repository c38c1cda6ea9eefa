//! Error answers, odd answers, and what errors and settings print.

use std::time::Duration;

use remit_dfns::{Dfns, Error, Stage};

use crate::harness::{Server, json, settings, vectors, with_headers};

async fn payout_error(answer: impl Fn() -> axum::response::Response + Clone + Send + Sync + 'static) -> Error {
    let server = Server::start(move |_| answer()).await;
    let refused = server.client().payout("pyt-1").await.expect_err("no answer");
    assert_eq!(server.lines(), ["GET /payouts/pyt-1"], "one call is one request");
    refused
}

#[tokio::test]
async fn a_conflict_names_the_object_that_has_the_external_id() {
    let error = payout_error(|| {
        json(
            409,
            r#"{"error":{"id":"5f3c","status":409,"message":"Conflicting transfer with same externalId",
            "details":{"duplicate":{"id":"xfr-1","externalId":"po-000123"}}}}"#,
        )
    })
    .await;
    let refusal = error.refusal().expect("a refusal");
    assert_eq!((refusal.status, refusal.id.as_deref()), (409, Some("5f3c")));
    let duplicate = refusal.duplicate().expect("a duplicate");
    assert_eq!((duplicate.id.as_str(), duplicate.external_id.as_deref()), ("xfr-1", Some("po-000123")));
    assert_eq!(
        error.to_string(),
        "dfns refused the call: status 409, \"Conflicting transfer with same externalId\" (error 5f3c)"
    );
}

#[tokio::test]
async fn a_rate_limit_tells_how_long_to_wait_and_what_is_left() {
    let headers = [
        ("retry-after", "12"),
        ("x-ratelimit-limit", "100"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1788256860"),
    ];
    let server = Server::start(move |_| with_headers(429, &headers, r#"{"message":"slow down"}"#)).await;
    let client = server.client();
    assert_eq!(client.rate_limit().limit, None);
    let error = client.payout("pyt-1").await.expect_err("refused");
    let refusal = error.refusal().expect("a refusal");
    assert_eq!((refusal.status, refusal.message.as_str()), (429, "slow down"));
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(12)));
    assert_eq!((refusal.rate.limit, refusal.rate.remaining), (Some(100), Some(0)));
    assert_eq!(client.clone().rate_limit(), refusal.rate, "clones share what was learnt");
}

#[tokio::test]
async fn retry_after_may_be_a_date_on_the_providers_clock() {
    let error = payout_error(|| {
        let headers = [("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:49:52 GMT")];
        with_headers(503, &headers, "<html>")
    })
    .await;
    let refusal = error.refusal().expect("a refusal");
    assert_eq!((refusal.retry_after, refusal.message.as_str()), (Some(Duration::from_secs(15)), "<html>"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Server::start(|_| json(200, "{}")).await;
    let target = format!("{}/payouts/pyt-1", other.url);
    let error = payout_error(move || with_headers(307, &[("location", &target)], "")).await;
    assert_eq!(error.refusal().expect("a refusal").status, 307);
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn an_answer_longer_than_four_mebibytes_is_not_read() {
    let long = "x".repeat(4 * 1024 * 1024 + 1);
    let body = format!("\"{long}\"");
    let error = payout_error(move || json(200, &body)).await;
    assert!(
        matches!(&error, Error::Misread { stage: Stage::Call, status: 200, what } if what.contains("4194304")),
        "{error}"
    );
    let error = payout_error(move || json(501, &long)).await;
    assert_eq!(error.refusal().expect("the status still counts").status, 501);
}

#[tokio::test]
async fn a_success_that_cannot_be_read_names_the_field() {
    for (body, expected) in [
        ("", "EOF"),
        ("[]", "invalid"),
        (r#"{"id":"pyt-1"}"#, "walletId"),
        (
            r#"{"id":"pyt-1","walletId":"wa","fiatCurrency":"EUR","provider":"Borderless","status":"Processing","asset":{"kind":"Erc20","amount":7}}"#,
            "asset.amount",
        ),
    ] {
        let error = payout_error(move || json(200, body)).await;
        let Error::Misread { stage: Stage::Call, status: 200, what } = &error else { panic!("{error:?}") };
        assert!(what.contains(expected), "{body}: {what}");
    }
}

#[tokio::test]
async fn a_misread_quotes_only_the_beginning_of_a_value() {
    let body = format!(r#"{{"id":"pyt-1","data":"{}"}}"#, "x".repeat(5000));
    let error = payout_error(move || json(200, &body)).await;
    let Error::Misread { what, .. } = &error else { panic!("{error:?}") };
    assert!(what.contains("`data`") && what.contains("xxx") && what.len() < 300, "{what}");
}

#[tokio::test]
async fn an_id_from_outside_can_never_change_the_path() {
    let server = Server::start(|_| json(200, "{}")).await;
    let client = server.client();
    for id in ["..", "", "a/action", "a?x=1", "a%2F..", "é", "a\r\nhost: b"] {
        let refused = [
            client.payout(id).await.err(),
            client.payout_action(id, &remit_dfns::PayoutAction::Cancel).await.err(),
            client.wallet(id).await.err(),
            client.transfer("wa-1", id).await.err(),
            client.approval(id).await.err(),
            client.webhook_event("wh-1", id).await.err(),
        ];
        for error in refused {
            assert!(matches!(error, Some(Error::Unsigned { .. })), "{id:?}: {error:?}");
        }
    }
    assert!(server.seen().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn nothing_prints_a_secret() {
    let pem = vectors()["vectors"][0]["private_key_pkcs8_pem"].as_str().expect("a text").to_owned();
    let key_text = pem.lines().nth(1).expect("the base64 line").to_owned();
    let mut settings = settings("http://127.0.0.1:1");
    settings.token = "very-secret-token".into();
    let mut printed = format!("{settings:?}");
    let client = Dfns::new(settings.clone()).expect("good settings");
    printed += &format!("{client:?}");
    let error = client.payout("pyt-1").await.expect_err("nobody listens");
    printed += &format!("{error} {error:?}");
    settings.base_url = "ftp://x".into();
    let error = Dfns::new(settings).expect_err("refused");
    printed += &format!("{error} {error:?}");
    assert!(!printed.contains("very-secret-token") && !printed.contains(&key_text), "{printed}");
    assert!(printed.contains("Ed25519"), "the kind of key is no secret: {printed}");
}
