//! Subscriptions, deliveries and their retries.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::*;

const RETRIES: [i64; 4] = [MINUTE, 12 * MINUTE, 2 * HOUR, 24 * HOUR];

fn wall_seconds() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

#[tokio::test]
async fn a_failed_delivery_is_tried_five_times_as_new_events() {
    let org = org().await;
    let payer = org.user("payer");
    let receiver = Receiver::start().await;
    let webhook = receiver.subscribe(&payer, &["payout.action.required"]).await;
    receiver.answer(204);
    org.new_payout(&payer, "po-1", "1000").await;
    org.advance(500).await;
    assert_eq!(receiver.received().len(), 1, "204 is not 200");

    let mut waited = 0;
    for (attempt, at) in RETRIES.into_iter().enumerate() {
        org.advance(at - waited - 10_000).await;
        assert_eq!(receiver.received().len(), attempt + 1, "before retry {attempt}");
        org.advance(10_000).await;
        assert_eq!(receiver.received().len(), attempt + 2, "after retry {attempt}");
        waited = at;
    }
    org.advance(48 * HOUR).await;
    let received = receiver.received();
    assert_eq!(received.len(), 5, "and no more");
    for (index, pair) in received.windows(2).enumerate() {
        let (earlier, later) = (&pair[0].event, &pair[1].event);
        assert_eq!(later["retryOf"], earlier["id"]);
        assert_ne!(later["id"], earlier["id"]);
        assert_eq!(later["deliveryAttempt"], index + 2);
        assert_eq!(
            (&later["date"], &later["data"], &later["kind"]),
            (&earlier["date"], &earlier["data"], &earlier["kind"])
        );
        let age = wall_seconds() - later["timestampSent"].as_i64().unwrap();
        assert!((-1..60).contains(&age), "stamped with wall time, not the organisation's: {age} s old");
        assert!(pair[1].is_signed_with(webhook["secret"].as_str().unwrap()));
    }

    let path = format!("/webhooks/{}/events", text(&webhook["id"]));
    let (_, failed) = payer.get(&format!("{path}?deliveryFailed=true")).await;
    assert_eq!(failed["items"].as_array().unwrap().len(), 5);
    assert_eq!(failed["items"][0]["status"], "204");
    assert_eq!(payer.get(&format!("{path}?deliveryFailed=false")).await.1["items"], json!([]));
    let one = text(&failed["items"][0]["id"]);
    assert_eq!(payer.get(&format!("{path}/{one}")).await.1["deliveryAttempt"], 5);
    org.advance(32 * 24 * HOUR).await;
    assert_eq!(payer.get(&path).await.1["items"], json!([]), "events are kept 31 days");
}

#[tokio::test]
async fn one_long_advance_delivers_every_retry_in_its_place() {
    let org = org().await;
    let payer = org.user("payer");
    let receiver = Receiver::start().await;
    receiver.subscribe(&payer, &["payout.action.required"]).await;
    receiver.answer(500);
    org.new_payout(&payer, "po-1", "1000").await;
    org.advance(48 * HOUR).await;
    assert_eq!(receiver.received().len(), 5);
}

#[tokio::test]
async fn a_retry_that_is_answered_with_200_is_the_last() {
    let org = org().await;
    let payer = org.user("payer");
    let receiver = Receiver::start().await;
    receiver.subscribe(&payer, &["*"]).await;
    receiver.answer(503);
    org.new_payout(&payer, "po-1", "1000").await;
    org.advance(500).await;
    receiver.answer(200);
    org.advance(30 * HOUR).await;
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn disabling_stops_retries_and_enabling_in_time_lets_them_go_on() {
    let org = org().await;
    let payer = org.user("payer");
    let receiver = Receiver::start().await;
    let webhook = receiver.subscribe(&payer, &["*"]).await;
    let path = format!("/webhooks/{}", text(&webhook["id"]));
    receiver.answer(500);
    org.new_payout(&payer, "po-1", "1000").await;
    org.advance(500).await;
    payer.write("PUT", &path, &json!({"status": "Disabled"})).await;
    org.advance(30_000).await;
    payer.write("PUT", &path, &json!({"status": "Enabled"})).await;
    org.advance(MINUTE).await;
    assert_eq!(receiver.received().len(), 2, "re-enabled before the retry was due");
    payer.write("PUT", &path, &json!({"status": "Disabled"})).await;
    org.advance(30 * HOUR).await;
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn the_secret_is_shown_once_and_there_are_at_most_five_webhooks() {
    let org = org().await;
    let payer = org.user("payer");
    let receiver = Receiver::start().await;
    for _ in 0..5 {
        let webhook = receiver.subscribe(&payer, &["*"]).await;
        assert!(text(&webhook["secret"]).starts_with("whs-"));
        let (_, read) = payer.get(&format!("/webhooks/{}", text(&webhook["id"]))).await;
        assert_eq!(read["secret"], Value::Null);
    }
    let body = json!({"url": receiver.url, "events": ["*"]});
    assert_eq!(payer.write("POST", "/webhooks", &body).await.0, 400);
    let (_, all) = payer.get("/webhooks").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_bad_subscription_is_refused() {
    let org = org().await;
    let payer = org.user("payer");
    for body in [
        json!({"url": "ftp://example.com", "events": ["*"]}),
        json!({"url": "http://127.0.0.1:1/", "events": []}),
        json!({"url": "http://127.0.0.1:1/", "events": ["payout.completed"]}),
        json!({"url": "http://127.0.0.1:1/", "events": ["*"], "description": "x".repeat(257)}),
        json!({"url": "http://127.0.0.1:1/", "events": ["*"], "secret": "mine"}),
    ] {
        assert_eq!(payer.write("POST", "/webhooks", &body).await.0, 400, "{body}");
    }
}

#[tokio::test]
async fn a_ping_tells_what_the_receiver_answered() {
    let org = org().await;
    let payer = org.user("payer");
    let receiver = Receiver::start().await;
    let webhook = receiver.subscribe(&payer, &["*"]).await;
    let path = format!("/webhooks/{}/ping", text(&webhook["id"]));
    assert_eq!(payer.write("POST", &path, &Value::Null).await, (200, json!({"status": "200"})));
    receiver.answer(500);
    let (_, failed) = payer.write("POST", &path, &Value::Null).await;
    assert_eq!(failed["status"], "500");
    assert!(failed["error"].is_string());
    assert!(receiver.received()[0].is_signed_with(webhook["secret"].as_str().unwrap()));
    let (_, events) = payer.get(&format!("/webhooks/{}/events", text(&webhook["id"]))).await;
    assert_eq!(events["items"], json!([]), "a ping is not stored");
}

#[tokio::test]
async fn an_event_reaches_only_those_who_asked_for_its_kind() {
    let org = org().await;
    let payer = org.user("payer");
    let (transfers, payouts) = (Receiver::start().await, Receiver::start().await);
    transfers.subscribe(&payer, &["wallet.transfer.confirmed"]).await;
    payouts.subscribe(&payer, &["payout.action.required"]).await;
    org.confirmed_payout(&payer, "po-1", "1000").await;
    org.advance(5_000).await;
    assert_eq!(transfers.kinds(), ["wallet.transfer.confirmed"]);
    assert_eq!(payouts.kinds(), ["payout.action.required"]);
}

#[tokio::test]
async fn a_slow_organisation_does_not_hold_up_another() {
    let org = org().await;
    let other = org.sandbox.organisation(json!({})).await;
    org.fault(json!({"kind": "slow", "ms": 3_000, "on": "GET /payouts"})).await;
    let slow = tokio::spawn({
        let payer = org.user("payer");
        async move { payer.get("/payouts").await.0 }
    });
    let started = std::time::Instant::now();
    assert_eq!(other.user("payer").get("/payouts").await.0, 200);
    assert!(started.elapsed().as_millis() < 2_500);
    assert_eq!(slow.await.unwrap(), 200);
}
