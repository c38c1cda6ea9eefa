//! Which deliveries are accepted, what they become, and what the relay says of itself.

use std::time::Duration;

use remit_client::{About, Nudged, ProviderEvent};
use remit_records::Records;
use remit_relay::{Config, Limits, Secrets, Upkeep, serve};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::support::{KEY, OLD_SECRET, PAYOUT, Relay, SECRET, Sink, Temporal, action_required, database, sign};

#[tokio::test]
async fn a_good_delivery_is_kept_and_nudges_the_payout_it_names() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    let delivery = action_required(0);
    assert_eq!(relay.deliver_signed(&delivery).await, 200);
    let had = relay.had();
    let [(key, event, request_id)] = had.as_slice() else { panic!("{had:?}") };
    assert_eq!(key, KEY);
    assert_eq!(
        *event,
        ProviderEvent {
            about: About::Instructions,
            object: PAYOUT.into(),
            state: "AwaitingPayoutConfirmation".into(),
            key: Some(KEY.into()),
        }
    );
    assert_eq!(request_id.len(), 64);
    assert!(relay.counted("payout.action.required", "delivered").await);
    let kept = relay.records.event(request_id).await.unwrap().expect("the request is named after the event");
    assert_eq!(kept.body.as_deref(), Some(delivery.to_string().as_bytes()));
    assert_eq!(
        (kept.key.as_deref(), kept.source.as_str(), kept.about.as_str()),
        (Some(KEY), "webhook", "instructions")
    );
    assert!(kept.delivered_at.is_some());
    relay.end().await;
}

#[tokio::test]
async fn a_delivery_that_is_repeated_is_counted_and_nudges_nobody() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    let mut again = action_required(1);
    again["id"] = json!("whe-another");
    again["retryOf"] = json!("whe-6mkjc-t3m1r-nt68nqnrstohvsmo");
    again["deliveryAttempt"] = json!(2);
    assert_eq!(relay.deliver_signed(&action_required(0)).await, 200);
    assert_eq!(relay.deliver_signed(&again).await, 200);
    assert_eq!(relay.had().len(), 1);
    assert!(relay.counted("payout.action.required", "repeated").await);
    let inbox = relay.inbox().await;
    assert_eq!(inbox.len(), 1);
    assert_eq!((inbox[0].times, inbox[0].event_id.as_str()), (2, "whe-another"));
    relay.end().await;
}

#[tokio::test]
async fn an_unsigned_or_wrongly_signed_webhook_never_reaches_a_workflow() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    let body = action_required(0).to_string();
    let of_another_body = sign(SECRET, b"{}");
    for signature in [None, Some("sha256=".to_owned()), Some(of_another_body), Some(sign("whs-guess", body.as_bytes()))]
    {
        assert_eq!(relay.deliver(body.clone(), signature).await, 401);
    }
    assert!(relay.had().is_empty());
    assert!(relay.ask("/metrics").await.1.contains("{kind=\"unverified\",result=\"bad_signature\"} 4"));
    relay.end().await;
}

#[tokio::test]
async fn both_secrets_are_accepted_while_one_is_replaced_and_the_old_one_is_refused_after() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets");
    let replace = |text: &str| {
        let new = folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &file).unwrap();
    };
    replace(&format!("{OLD_SECRET}\n"));
    let secrets = Secrets::File(file.clone());
    let relay =
        Relay::with(Temporal::Takes(Nudged::Delivered), secrets, Upkeep::default(), async |_: &Records| {}).await;
    let answers = async || {
        let event = action_required(0);
        (relay.deliver_signed_with(OLD_SECRET, &event).await, relay.deliver_signed_with(SECRET, &event).await)
    };
    assert_eq!(answers().await, (200, 401));
    replace(&format!("{OLD_SECRET}\n# wh-2 https://relay\n{SECRET}\n"));
    assert_eq!(answers().await, (200, 200));
    replace(&format!("# wh-2 https://relay\n{SECRET}\n"));
    assert_eq!(answers().await, (401, 200));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(answers().await, (401, 200), "a file that is gone for a moment changes nothing");
    relay.end().await;
}

#[tokio::test]
async fn a_webhook_older_than_five_minutes_is_refused() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    assert_eq!(relay.deliver_signed(&action_required(301)).await, 401);
    assert!(relay.counted("unverified", "stale").await);
    assert!(relay.had().is_empty());
    relay.end().await;
}

#[tokio::test]
async fn a_body_larger_than_any_event_is_refused() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    let body = vec![b'x'; 1024 * 1024 + 1];
    let signature = sign(SECRET, &body);
    assert_eq!(relay.deliver(body, Some(signature)).await, 413);
    assert!(relay.counted("unverified", "too_large").await);
    relay.end().await;
}

#[tokio::test]
async fn only_posts_are_taken() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    let at = format!("http://{}/webhooks/dfns", relay.webhooks);
    assert_eq!(relay.http.get(&at).send().await.unwrap().status(), 405);
    assert_eq!(relay.http.put(&at).body("{}").send().await.unwrap().status(), 405);
    assert_eq!(relay.http.post(format!("http://{}/metrics", relay.webhooks)).send().await.unwrap().status(), 404);
    relay.end().await;
}

#[tokio::test]
async fn signed_text_that_is_no_event_is_a_bad_request() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    for body in ["not JSON", "{}", "[]", "\u{0}"] {
        assert_eq!(relay.deliver(body, Some(sign(SECRET, body.as_bytes()))).await, 400, "{body:?}");
    }
    relay.end().await;
}

#[tokio::test]
async fn kinds_nobody_waits_for_or_knows_are_answered_with_200() {
    let relay = Relay::start(Temporal::Refuses).await;
    for (kind, label) in [("wallet.created", "wallet.created"), ("moon.landed", "other")] {
        let mut event = action_required(0);
        event["kind"] = json!(kind);
        event["data"] = json!({"moon": {"id": "mo-1"}});
        assert_eq!(relay.deliver_signed(&event).await, 200, "{kind}");
        assert!(relay.counted(label, "not_awaited").await, "{kind}");
    }
    assert!(relay.inbox().await.is_empty());
    relay.end().await;
}

#[tokio::test]
async fn an_unknown_kind_about_one_of_our_payouts_is_kept_for_people_and_wakes_nobody() {
    let relay = Relay::start(Temporal::Refuses).await;
    let mut event = action_required(0);
    event["kind"] = json!("payout.weather.changed");
    assert_eq!(relay.deliver_signed(&event).await, 200);
    assert!(relay.counted("other", "stored").await);
    let kept = relay.delivered("payout.weather.changed").await;
    assert_eq!((kept.about.as_str(), kept.key.as_deref()), ("other", Some(KEY)));
    relay.end().await;
}

#[tokio::test]
async fn a_payout_that_cannot_be_ours_is_kept_or_left_and_nobody_is_nudged() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 6] = [
        (|payout| payout["id"] = Value::Null, "not_ours"),
        (|payout| payout["id"] = json!("x".repeat(129)), "not_ours"),
        (|payout| payout["externalId"] = Value::Null, "parked"),
        (|payout| payout["externalId"] = json!("with spaces"), "parked"),
        (|payout| payout["externalId"] = json!("x".repeat(2000)), "parked"),
        (|payout| payout["externalId"] = json!("po-000123\0"), "parked"),
    ];
    for (n, (change, label)) in changes.into_iter().enumerate() {
        let mut event = action_required(0);
        event["data"]["payout"]["id"] = json!(format!("pyt-{n}"));
        change(&mut event["data"]["payout"]);
        assert_eq!(relay.deliver_signed(&event).await, 200, "change {n}");
        let metrics = relay.ask("/metrics").await.1;
        assert!(metrics.contains(&format!("{{kind=\"payout.action.required\",result=\"{label}\"}}")), "{n}: {metrics}");
    }
    let inbox = relay.inbox().await;
    assert_eq!(inbox.len(), 4);
    assert!(inbox.iter().all(|event| event.key.is_none()), "{inbox:#?}");
    assert!(relay.had().is_empty());
    relay.end().await;
}

#[tokio::test]
async fn a_payout_without_a_run_or_over_is_answered_with_200_and_the_event_is_done_with() {
    for (nudged, label) in [(Nudged::NoSuchPayout, "unknown_payout"), (Nudged::Over, "over")] {
        let relay = Relay::start(Temporal::Takes(nudged)).await;
        assert_eq!(relay.deliver_signed(&action_required(0)).await, 200);
        assert!(relay.counted("payout.action.required", label).await, "{label}");
        relay.delivered("payout.action.required").await;
        relay.end().await;
    }
}

#[tokio::test]
async fn a_relay_is_ready_while_it_can_take_events_and_alive_in_any_case() {
    for (temporal, records, ready, says) in [
        (Temporal::Takes(Nudged::Delivered), true, 200, "ready"),
        (Temporal::Refuses, true, 200, "not to deliver"),
        (Temporal::Takes(Nudged::Delivered), false, 200, "not to keep"),
        (Temporal::Hangs, false, 503, "does not answer"),
    ] {
        let relay = Relay::start(temporal).await;
        if !records {
            relay.records.close().await;
        }
        assert_eq!(relay.ask("/livez").await.0, 200);
        let (status, said) = relay.ask("/readyz").await;
        assert_eq!(status, ready, "{said}");
        assert!(said.contains(says), "{said}");
        relay.end().await;
    }
}

#[tokio::test]
async fn a_client_that_dawdles_is_cut_off() {
    let relay = Relay::hurried().await;
    let head = "POST /webhooks/dfns HTTP/1.1\r\nhost: relay\r\n";
    let with_body = format!("{head}content-length: 100\r\n\r\nonly this");
    for (sent, answer) in [(head, ""), (with_body.as_str(), "HTTP/1.1 408")] {
        let mut stream = TcpStream::connect(relay.webhooks).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut got = String::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut got)).await;
        ended.expect("the relay hangs up").unwrap();
        assert!(got.starts_with(answer), "{got}");
    }
    assert!(relay.counted("unverified", "too_slow").await);
    relay.end().await;
}

#[tokio::test]
async fn a_relay_without_a_secret_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::open(&database(folder.path())).await.unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "# nothing yet\n").unwrap();
    for secrets in [Secrets::Given(vec![]), Secrets::Given(vec![SECRET.into(), "".into()]), Secrets::File(empty)] {
        let config = Config {
            secrets,
            payouts: Sink::new(Temporal::Refuses),
            records: records.clone(),
            dfns: None,
            public_url: None,
            registry: prometheus::Registry::new(),
            limits: Limits::default(),
            upkeep: Upkeep::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = serve(config, listener, admin, CancellationToken::new()).await.expect_err("no secret");
        assert!(error.to_string().contains("DFNS_WEBHOOK_SECRET"), "{error}");
    }
}
