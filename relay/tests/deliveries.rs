//! The relay over real HTTP, with real signatures; in the place of Temporal a sink that notes what it is given.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use remit_client::{About, Nudged, ProviderEvent, Unavailable};
use remit_relay::{Config, Limits, Nudge, serve};
use ring::hmac;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

const SECRET: &str = "whs-test-secret";
const OLD_SECRET: &str = "whs-the-secret-before";

#[derive(Clone, Copy)]
enum Temporal {
    Takes(Nudged),
    Refuses,
    Hangs,
}

#[derive(Clone)]
struct Sink {
    temporal: Temporal,
    had: Arc<Mutex<Vec<(String, ProviderEvent, String)>>>,
}

impl Nudge for Sink {
    async fn nudge(&self, key: &str, event: &ProviderEvent, request_id: &str) -> Result<Nudged, Unavailable> {
        match self.temporal {
            Temporal::Takes(nudged) => {
                self.had.lock().unwrap().push((key.into(), event.clone(), request_id.into()));
                Ok(nudged)
            }
            Temporal::Refuses => Err(Unavailable::new("nudge", "Temporal is away")),
            Temporal::Hangs => std::future::pending().await,
        }
    }

    async fn reachable(&self) -> Result<(), Unavailable> {
        match self.temporal {
            Temporal::Takes(_) => Ok(()),
            Temporal::Refuses => Err(Unavailable::new("reach Temporal", "it is away")),
            Temporal::Hangs => std::future::pending().await,
        }
    }
}

struct Relay {
    sink: Sink,
    webhooks: SocketAddr,
    admin: SocketAddr,
    http: reqwest::Client,
    stop: CancellationToken,
    served: JoinHandle<anyhow::Result<()>>,
}

impl Relay {
    async fn start(temporal: Temporal) -> Self {
        let limits = Limits {
            temporal: Duration::from_millis(100),
            head: Duration::from_millis(300),
            request: Duration::from_secs(1),
            ..Limits::default()
        };
        let sink = Sink { temporal, had: Arc::default() };
        let config = Config {
            secrets: vec![SECRET.into(), OLD_SECRET.into()],
            payouts: sink.clone(),
            registry: prometheus::Registry::new(),
            limits,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (webhooks, admin_at) = (listener.local_addr().unwrap(), admin.local_addr().unwrap());
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve(config, listener, admin, stop.clone()));
        // Another test may have put it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        Self { sink, webhooks, admin: admin_at, http, stop, served }
    }

    async fn deliver(&self, body: impl Into<Vec<u8>>, signature: Option<String>) -> u16 {
        let mut request = self.http.post(format!("http://{}/webhooks/dfns", self.webhooks)).body(body.into());
        if let Some(signature) = signature {
            request = request.header("X-DFNS-WEBHOOK-SIGNATURE", signature);
        }
        request.send().await.unwrap().status().as_u16()
    }

    async fn deliver_signed(&self, event: &Value) -> u16 {
        let body = event.to_string();
        let signature = sign(SECRET, body.as_bytes());
        self.deliver(body, Some(signature)).await
    }

    async fn ask(&self, path: &str) -> (u16, String) {
        let answer = self.http.get(format!("http://{}{path}", self.admin)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn counted(&self, kind: &str, result: &str) -> bool {
        let line = format!("remit_relay_webhooks_total{{kind=\"{kind}\",result=\"{result}\"}} 1");
        self.ask("/metrics").await.1.lines().any(|found| found == line)
    }

    fn had(&self) -> Vec<(String, ProviderEvent, String)> {
        self.sink.had.lock().unwrap().clone()
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.served).await.expect("stops").unwrap().unwrap();
    }
}

fn sign(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

/// A delivery of the provider's documentation, sent `age` seconds ago.
fn action_required(age: i64) -> Value {
    let text = include_str!("../../dfns/fixtures/deliveries/payout.action.required.json");
    let mut event: Value = serde_json::from_str(text).unwrap();
    event["timestampSent"] = json!(jiff::Timestamp::now().as_second() - age);
    event
}

#[tokio::test]
async fn a_good_delivery_nudges_the_payout_it_names() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    assert_eq!(relay.deliver_signed(&action_required(0)).await, 200);
    let had = relay.had();
    let [(key, event, request_id)] = had.as_slice() else { panic!("{had:?}") };
    assert_eq!(key, "po-000123");
    assert_eq!(
        *event,
        ProviderEvent {
            about: About::Instructions,
            object: "pyt-4ihii-9lonb-tmhjo9bor4odmb5h".into(),
            state: "AwaitingPayoutConfirmation".into(),
            key: Some("po-000123".into()),
        }
    );
    assert_eq!(request_id.len(), 64);
    assert!(relay.counted("payout.action.required", "delivered").await);
    relay.end().await;
}

#[tokio::test]
async fn a_delivery_that_is_repeated_carries_the_same_request_id() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    let mut again = action_required(1);
    again["id"] = json!("whe-another");
    again["retryOf"] = json!("whe-6mkjc-t3m1r-nt68nqnrstohvsmo");
    again["deliveryAttempt"] = json!(2);
    assert_eq!(relay.deliver_signed(&action_required(0)).await, 200);
    assert_eq!(relay.deliver_signed(&again).await, 200);
    let had = relay.had();
    assert_eq!(had.len(), 2);
    assert_eq!(had[0], had[1]);
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
async fn both_secrets_are_accepted_while_one_is_rotated() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    let body = action_required(0).to_string();
    assert_eq!(relay.deliver(body.clone(), Some(sign(OLD_SECRET, body.as_bytes()))).await, 200);
    assert_eq!(relay.deliver(body.clone(), Some(sign(SECRET, body.as_bytes()))).await, 200);
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
        assert_eq!(relay.deliver_signed(&event).await, 200, "{kind}");
        assert!(relay.counted(label, "not_awaited").await, "{kind}");
    }
    relay.end().await;
}

#[tokio::test]
async fn a_payout_that_cannot_be_ours_is_answered_with_200_and_nobody_is_nudged() {
    let relay = Relay::start(Temporal::Refuses).await;
    type Change = fn(&mut Value);
    let changes: [Change; 5] = [
        |payout| payout["externalId"] = Value::Null,
        |payout| payout["externalId"] = json!("with spaces"),
        |payout| payout["externalId"] = json!("x".repeat(51)),
        |payout| payout["externalId"] = json!(7),
        |payout| payout["id"] = Value::Null,
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut event = action_required(0);
        change(&mut event["data"]["payout"]);
        assert_eq!(relay.deliver_signed(&event).await, 200, "change {n}");
    }
    let metrics = relay.ask("/metrics").await.1;
    assert!(metrics.contains("{kind=\"payout.action.required\",result=\"not_ours\"} 5"), "{metrics}");
    relay.end().await;
}

#[tokio::test]
async fn a_payout_that_is_unknown_or_over_is_answered_with_200_and_counted_apart() {
    for (nudged, label) in [(Nudged::NoSuchPayout, "unknown_payout"), (Nudged::Over, "over")] {
        let relay = Relay::start(Temporal::Takes(nudged)).await;
        assert_eq!(relay.deliver_signed(&action_required(0)).await, 200);
        assert!(relay.counted("payout.action.required", label).await, "{label}");
        relay.end().await;
    }
}

#[tokio::test]
async fn the_provider_is_asked_to_deliver_again_while_temporal_is_away() {
    for temporal in [Temporal::Refuses, Temporal::Hangs] {
        let relay = Relay::start(temporal).await;
        assert_eq!(relay.deliver_signed(&action_required(0)).await, 503);
        assert!(relay.counted("payout.action.required", "temporal_away").await);
        relay.end().await;
    }
}

#[tokio::test]
async fn a_relay_is_ready_while_temporal_is_there_and_alive_in_any_case() {
    for (temporal, ready) in [(Temporal::Takes(Nudged::Delivered), 200), (Temporal::Refuses, 503)] {
        let relay = Relay::start(temporal).await;
        assert_eq!(relay.ask("/livez").await.0, 200);
        let (status, says) = relay.ask("/readyz").await;
        assert_eq!(status, ready, "{says}");
        assert!(ready == 200 || says.contains("away"), "{says}");
        relay.end().await;
    }
}

#[tokio::test]
async fn a_client_that_dawdles_is_cut_off() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
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
    let config = |secrets| Config {
        secrets,
        payouts: Sink { temporal: Temporal::Refuses, had: Arc::default() },
        registry: prometheus::Registry::new(),
        limits: Limits::default(),
    };
    for secrets in [vec![], vec![SECRET.into(), "".into()]] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = serve(config(secrets), listener, admin, CancellationToken::new()).await.expect_err("no secret");
        assert!(error.to_string().contains("DFNS_WEBHOOK_SECRET"), "{error}");
    }
}
