//! Takes the sandbox's webhooks for all sides, notes when each was there, and passes it on: to the relay, or as a signal
//! to a bare payout, as a program of somebody's own would. For ours this is one hop more than there is in earnest.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use remit_dfns::{EventKind, SIGNATURE_HEADER};
use serde::Deserialize;
use temporalio_client::{Client, WorkflowSignalOptions};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::bare_worker::{ActionRequired, BarePayout};

/// Ends when dropped.
pub struct Receiver {
    /// Where it listens.
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    http: reqwest::Client,
    to: Mutex<To>,
    came: Mutex<HashMap<String, SystemTime>>,
}

/// Where webhooks go from here.
#[derive(Clone)]
pub enum To {
    /// Nowhere.
    Nobody,
    /// To the relay at this address.
    Relay(String),
    /// To bare payouts.
    Signal(Client),
}

/// What is looked at of a webhook.
#[derive(Deserialize)]
struct Event {
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    payout: Option<Payout>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payout {
    id: String,
    external_id: Option<String>,
}

impl Receiver {
    /// Listens on a free port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/webhooks/dfns", listener.local_addr()?);
        let http = reqwest::Client::builder().no_proxy().build()?;
        let shared = Arc::new(Shared { http, to: Mutex::new(To::Nobody), came: Mutex::default() });
        let app = Router::new().route("/webhooks/dfns", post(receive)).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // Fails only when it cannot accept connections any more, and then nothing arrives: the run says so.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, shared, task })
    }

    /// Where webhooks go from now on.
    pub fn pass_on(&self, to: To) {
        *self.shared.to.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    /// When the word first came that the payout of this external id waits for its Confirm.
    pub fn came(&self, external_id: &str) -> Option<SystemTime> {
        self.shared.came.lock().unwrap_or_else(PoisonError::into_inner).get(external_id).copied()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let now = SystemTime::now();
    let waits = serde_json::from_slice::<Event>(&body).ok().and_then(|event| {
        let about = event.kind == EventKind::PayoutActionRequired.as_str();
        let Payout { id, external_id } = event.data.payout.filter(|_| about)?;
        Some((id, external_id?))
    });
    if let Some((_, key)) = &waits {
        let mut came = shared.came.lock().unwrap_or_else(PoisonError::into_inner);
        came.entry(key.clone()).or_insert(now);
    }
    let to = shared.to.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match (to, waits) {
        (To::Nobody, _) | (To::Signal(_), None) => StatusCode::OK,
        (To::Relay(url), _) => {
            let mut call = shared.http.post(url).body(body);
            if let Some(signature) = headers.get(SIGNATURE_HEADER) {
                call = call.header(SIGNATURE_HEADER, signature);
            }
            call.send().await.map_or(StatusCode::BAD_GATEWAY, |answer| answer.status())
        }
        (To::Signal(client), Some((payout_id, key))) => {
            let payout = client.get_workflow_handle::<BarePayout>(format!("bare-{key}"));
            let event = ActionRequired { payout_id };
            let sent = payout.signal(BarePayout::action_required, event, WorkflowSignalOptions::default()).await;
            if sent.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
        }
    }
}
