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
use tokio::sync::Mutex;

use crate::Nudge;

/// How long an answer of Temporal stands, so that probes cost it little.
const FRESH: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

struct Admin<N> {
    payouts: N,
    registry: Registry,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

pub(crate) fn router<N: Nudge>(payouts: N, registry: Registry) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz::<N>))
        .route("/metrics", get(metrics::<N>))
        .with_state(Arc::new(Admin { payouts, registry, last: Mutex::new(None) }))
}

async fn readyz<N: Nudge>(State(admin): State<Arc<Admin<N>>>) -> Response {
    let mut last = admin.last.lock().await;
    let reachable = match &*last {
        Some((at, answer)) if at.elapsed() < FRESH => answer.clone(),
        Some(_) | None => {
            let answer = match tokio::time::timeout(ANSWER_WITHIN, admin.payouts.reachable()).await {
                Ok(answer) => answer.map_err(|why| why.to_string()),
                Err(_) => Err(format!("Temporal does not answer within {ANSWER_WITHIN:?}")),
            };
            *last = Some((Instant::now(), answer.clone()));
            answer
        }
    };
    match reachable {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics<N: Nudge>(State(admin): State<Arc<Admin<N>>>) -> Response {
    match TextEncoder::new().encode_to_string(&admin.registry.gather()) {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
