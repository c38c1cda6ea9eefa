//! For whoever runs the relay: is it alive, is it of use, what has it counted.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{Registry, TextEncoder};
use remit_records::{ObjectKind, Records};
use tokio::sync::Mutex;

use crate::Nudge;

/// How long an answer stands, so that probes cost Temporal and the database little.
const FRESH: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

struct Admin<N> {
    payouts: N,
    records: Records,
    registry: Registry,
    last: Mutex<Option<(Instant, Readiness)>>,
}

#[derive(Clone)]
struct Readiness {
    temporal: Result<(), String>,
    records: Result<(), String>,
}

pub(crate) fn router<N: Nudge>(payouts: N, records: Records, registry: Registry) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz::<N>))
        .route("/metrics", get(metrics::<N>))
        .with_state(Arc::new(Admin { payouts, records, registry, last: Mutex::new(None) }))
}

/// With either of the two there an event can be taken, so the relay is of use; without both it is not.
async fn readyz<N: Nudge>(State(admin): State<Arc<Admin<N>>>) -> Response {
    let mut last = admin.last.lock().await;
    let now = match &*last {
        Some((at, answer)) if at.elapsed() < FRESH => answer.clone(),
        Some(_) | None => {
            let now = admin.look().await;
            *last = Some((Instant::now(), now.clone()));
            now
        }
    };
    match (now.temporal, now.records) {
        (Ok(()), Ok(())) => "ready\n".into_response(),
        (Err(why), Ok(())) => format!("ready to keep events, not to deliver them: {why}\n").into_response(),
        (Ok(()), Err(why)) => format!("ready to deliver events, not to keep them: {why}\n").into_response(),
        (Err(temporal), Err(records)) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{temporal}\n{records}\n")).into_response()
        }
    }
}

impl<N: Nudge> Admin<N> {
    async fn look(&self) -> Readiness {
        let temporal = tokio::time::timeout(ANSWER_WITHIN, self.payouts.reachable());
        // Nothing has this id: the cheapest question there is.
        let records = tokio::time::timeout(ANSWER_WITHIN, self.records.key_of_object(ObjectKind::Payout, "-"));
        let (temporal, records) = tokio::join!(temporal, records);
        let late = |who: &str| Err(format!("{who} does not answer within {ANSWER_WITHIN:?}"));
        Readiness {
            temporal: temporal.map_or_else(|_| late("Temporal"), |answer| answer.map_err(|why| why.to_string())),
            records: records.map_or_else(
                |_| late("the database"),
                |answer| answer.map(drop).map_err(|why| format!("{:#}", anyhow::Error::new(why))),
            ),
        }
    }
}

async fn metrics<N: Nudge>(State(admin): State<Arc<Admin<N>>>) -> Response {
    match TextEncoder::new().encode_to_string(&admin.registry.gather()) {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
