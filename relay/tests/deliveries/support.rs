//! A relay with a database of its own and a sink in the place of Temporal, and deliveries to send it.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use remit_client::{Nudged, ProviderEvent, Unavailable};
use remit_records::{NewClaim, Records, StoredEvent};
use remit_relay::{Config, Limits, Nudge, Secrets, Upkeep, serve};
use ring::hmac;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub const SECRET: &str = "whs-test-secret";
pub const OLD_SECRET: &str = "whs-the-secret-before";
/// Of the payout in the provider's example.
pub const KEY: &str = "po-000123";
pub const PAYOUT: &str = "pyt-4ihii-9lonb-tmhjo9bor4odmb5h";
/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
pub enum Temporal {
    Takes(Nudged),
    Refuses,
    Hangs,
}

#[derive(Clone)]
pub struct Sink {
    temporal: Arc<Mutex<Temporal>>,
    had: Arc<Mutex<Vec<(String, ProviderEvent, String)>>>,
}

impl Sink {
    pub fn new(temporal: Temporal) -> Self {
        Self { temporal: Arc::new(Mutex::new(temporal)), had: Arc::default() }
    }

    fn now(&self) -> Temporal {
        *self.temporal.lock().unwrap()
    }
}

impl Nudge for Sink {
    async fn nudge(&self, key: &str, event: &ProviderEvent, request_id: &str) -> Result<Nudged, Unavailable> {
        match self.now() {
            Temporal::Takes(nudged) => {
                self.had.lock().unwrap().push((key.into(), event.clone(), request_id.into()));
                Ok(nudged)
            }
            Temporal::Refuses => Err(Unavailable::new("nudge", "Temporal is away")),
            Temporal::Hangs => std::future::pending().await,
        }
    }

    async fn reachable(&self) -> Result<(), Unavailable> {
        match self.now() {
            Temporal::Takes(_) => Ok(()),
            Temporal::Refuses => Err(Unavailable::new("reach Temporal", "it is away")),
            Temporal::Hangs => std::future::pending().await,
        }
    }
}

pub struct Relay {
    pub sink: Sink,
    pub webhooks: SocketAddr,
    pub http: reqwest::Client,
    /// Shared with the relay: closed, they are away for it.
    pub records: Records,
    pub folder: tempfile::TempDir,
    admin: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<anyhow::Result<()>>,
}

impl Relay {
    /// A relay that accepts both secrets, and knows the payout of the example.
    pub async fn start(temporal: Temporal) -> Self {
        let secrets = Secrets::Given(vec![SECRET.into(), OLD_SECRET.into()]);
        Self::with(temporal, secrets, Upkeep::default(), async |_| {}).await
    }

    pub async fn with(
        temporal: Temporal,
        secrets: Secrets,
        upkeep: Upkeep,
        before: impl AsyncFnOnce(&Records),
    ) -> Self {
        // What was not delivered is tried again only after this, so it stays as it ships.
        let event = Limits::default().event;
        let limits = Limits { event, head: PATIENCE, request: PATIENCE, ..Limits::default() };
        Self::limited(temporal, secrets, upkeep, limits, before).await
    }

    /// A relay with these limits that has time for the rest.
    pub async fn patient(limits: Limits) -> Self {
        Self::given(Limits { event: PATIENCE, head: PATIENCE, request: PATIENCE, ..limits }).await
    }

    /// A relay that waits for nobody: for tests that wait until it gives up.
    pub async fn hurried() -> Self {
        let event = Duration::from_millis(400);
        let (head, request) = (Duration::from_millis(300), Duration::from_secs(2));
        Self::given(Limits { event, head, request, ..Limits::default() }).await
    }

    async fn given(limits: Limits) -> Self {
        let secrets = Secrets::Given(vec![SECRET.into()]);
        Self::limited(Temporal::Takes(Nudged::Delivered), secrets, Upkeep::default(), limits, async |_| {}).await
    }

    async fn limited(
        temporal: Temporal,
        secrets: Secrets,
        upkeep: Upkeep,
        limits: Limits,
        before: impl AsyncFnOnce(&Records),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(&database(folder.path())).await.unwrap();
        claim(&records, KEY).await;
        before(&records).await;
        let sink = Sink::new(temporal);
        let config = Config {
            secrets,
            payouts: sink.clone(),
            records: records.clone(),
            dfns: None,
            public_url: None,
            registry: prometheus::Registry::new(),
            limits,
            upkeep: Upkeep { again: Duration::from_millis(50), ..upkeep },
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (webhooks, admin_at) = (listener.local_addr().unwrap(), admin.local_addr().unwrap());
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve(config, listener, admin, stop.clone()));
        // Another test may have put it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { sink, webhooks, admin: admin_at, http, records, folder, stop, served }
    }

    pub fn temporal(&self, now: Temporal) {
        *self.sink.temporal.lock().unwrap() = now;
    }

    pub async fn deliver(&self, body: impl Into<Vec<u8>>, signature: Option<String>) -> u16 {
        let mut request = self.http.post(format!("http://{}/webhooks/dfns", self.webhooks)).body(body.into());
        if let Some(signature) = signature {
            request = request.header("X-DFNS-WEBHOOK-SIGNATURE", signature);
        }
        request.send().await.unwrap().status().as_u16()
    }

    pub async fn deliver_signed(&self, event: &Value) -> u16 {
        self.deliver_signed_with(SECRET, event).await
    }

    pub async fn deliver_signed_with(&self, secret: &str, event: &Value) -> u16 {
        let body = event.to_string();
        let signature = sign(secret, body.as_bytes());
        self.deliver(body, Some(signature)).await
    }

    pub async fn ask(&self, path: &str) -> (u16, String) {
        let answer = self.http.get(format!("http://{}{path}", self.admin)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub async fn counted(&self, kind: &str, result: &str) -> bool {
        self.shows(&format!("remit_relay_webhooks_total{{kind=\"{kind}\",result=\"{result}\"}} 1")).await
    }

    pub async fn shows(&self, line: &str) -> bool {
        self.ask("/metrics").await.1.lines().any(|found| found == line)
    }

    pub fn had(&self) -> Vec<(String, ProviderEvent, String)> {
        self.sink.had.lock().unwrap().clone()
    }

    /// What the inbox holds, newest first.
    pub async fn inbox(&self) -> Vec<StoredEvent> {
        self.records.events(&remit_records::EventFilter::default()).await.unwrap().items
    }

    /// The event of this kind in the inbox, once it is so.
    pub async fn when(&self, kind: &str, what: &str, is_so: impl Fn(&StoredEvent) -> bool) -> StoredEvent {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(event) = self.inbox().await.into_iter().find(|event| event.kind == kind && is_so(event)) {
                return event;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain for {kind} to be {what}: {:#?}", self.inbox().await);
    }

    pub async fn delivered(&self, kind: &str) -> StoredEvent {
        self.when(kind, "delivered", |event| event.delivered_at.is_some()).await
    }

    pub async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.served).await.expect("stops").unwrap().unwrap();
    }
}

pub fn database(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("records.db").display())
}

pub async fn claim(records: &Records, key: &str) {
    let request = json!({"externalId": key});
    let claim = NewClaim {
        key,
        digest: "d",
        external_id: key,
        request: &request,
        wallet: "wa-1",
        asset: "USDC",
        amount: "1",
        program: None,
    };
    records.claim(&claim).await.unwrap();
}

pub fn sign(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

/// A delivery of the provider's documentation, sent `age` seconds ago.
pub fn action_required(age: i64) -> Value {
    sent(include_str!("../../../dfns/fixtures/deliveries/payout.action.required.json"), age)
}

/// Names an approval and its transfer.
pub fn approval_pending() -> Value {
    sent(include_str!("../../../dfns/fixtures/deliveries/policy.approval.pending.json"), 0)
}

/// Of this kind, about this transfer in this state.
pub fn transfer(kind: &str, id: &str, status: &str) -> Value {
    let mut event = sent(include_str!("../../../dfns/fixtures/deliveries/wallet.transfer.rejected.json"), 0);
    event["kind"] = json!(kind);
    event["data"]["transferRequest"]["id"] = json!(id);
    event["data"]["transferRequest"]["status"] = json!(status);
    event
}

fn sent(text: &str, age: i64) -> Value {
    let mut event: Value = serde_json::from_str(text).unwrap();
    event["timestampSent"] = json!(jiff::Timestamp::now().as_second() - age);
    event
}
