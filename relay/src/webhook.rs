//! One delivery: verified, then read for whom it concerns, then handed on.

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::Timestamp;
use remit_client::{About, Nudged, ProviderEvent};
use remit_dfns::{EventKind, SIGNATURE_HEADER, Unverified, Verified, VerifyError, Webhook};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use crate::{
    Limits, Nudge,
    metrics::{Metrics, UNVERIFIED},
};

/// Where the provider delivers to.
const PATH: &str = "/webhooks/dfns";

pub(crate) struct Webhooks<N> {
    pub(crate) secrets: Vec<SecretString>,
    pub(crate) payouts: N,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
}

pub(crate) fn router<N: Nudge>(webhooks: Webhooks<N>) -> Router {
    let limit = DefaultBodyLimit::max(webhooks.limits.body_bytes);
    let webhooks = Arc::new(webhooks);
    Router::new()
        .route(PATH, post(receive::<N>))
        .layer(limit)
        .layer(middleware::from_fn_with_state(Arc::clone(&webhooks), in_time::<N>))
        .with_state(webhooks)
}

/// What became of a delivery. The provider delivers again unless it is answered with exactly 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The payout has the nudge.
    Delivered,
    /// Nobody here knows this payout.
    UnknownPayout,
    /// The payout is over.
    Over,
    /// It names no payout of ours.
    NotOurs,
    /// Of a kind nobody waits for.
    NotAwaited,
    /// No signature, or one of somebody else.
    BadSignature,
    /// Signed too long ago.
    Stale,
    /// Signed, but no event.
    NoEvent,
    /// The body did not arrive.
    Broken,
    /// The body is larger than any event.
    TooLarge,
    /// It took too long.
    TooSlow,
    /// Temporal did not take the nudge.
    TemporalAway,
}

impl Answer {
    fn status(self) -> StatusCode {
        match self {
            Self::Delivered | Self::UnknownPayout | Self::Over | Self::NotOurs | Self::NotAwaited => StatusCode::OK,
            Self::BadSignature | Self::Stale => StatusCode::UNAUTHORIZED,
            Self::NoEvent | Self::Broken => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TemporalAway => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::UnknownPayout => "unknown_payout",
            Self::Over => "over",
            Self::NotOurs => "not_ours",
            Self::NotAwaited => "not_awaited",
            Self::BadSignature => "bad_signature",
            Self::Stale => "stale",
            Self::NoEvent => "no_event",
            Self::Broken => "broken",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::TemporalAway => "temporal_away",
        }
    }
}

/// Nobody takes longer than the limit, however slowly a body arrives.
async fn in_time<N: Nudge>(State(webhooks): State<Arc<Webhooks<N>>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let answer = tokio::time::timeout(webhooks.limits.request, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        webhooks.metrics.answered(UNVERIFIED, Answer::TooSlow, begun.elapsed());
        Answer::TooSlow.status().into_response()
    })
}

async fn receive<N: Nudge>(
    State(webhooks): State<Arc<Webhooks<N>>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> StatusCode {
    let begun = Instant::now();
    let (kind, answer) = webhooks.answer(&headers, body).await;
    webhooks.metrics.answered(kind.as_ref().map_or(UNVERIFIED, known), answer, begun.elapsed());
    answer.status()
}

/// A label of bounded choice.
fn known(kind: &EventKind) -> &str {
    if let EventKind::Unknown(_) = kind { "other" } else { kind.as_str() }
}

impl<N: Nudge> Webhooks<N> {
    async fn answer(&self, headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> (Option<EventKind>, Answer) {
        let delivery = match body {
            Ok(raw) => Webhook::<Unverified>::new(raw, headers.get(SIGNATURE_HEADER).and_then(|h| h.to_str().ok())),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => return (None, Answer::TooLarge),
            Err(_) => return (None, Answer::Broken),
        };
        let event = match delivery.verify(&self.secrets, Timestamp::now()) {
            Ok(event) => event,
            Err(why) => {
                tracing::warn!("Refused a webhook: {why}");
                return (None, refused(&why));
            }
        };
        let answer = self.hand_on(&event).await;
        (Some(event.kind().clone()), answer)
    }

    async fn hand_on(&self, event: &Webhook<Verified>) -> Answer {
        if *event.kind() != EventKind::PayoutActionRequired {
            tracing::debug!(event.kind = event.kind().as_str(), "A webhook that nobody waits for");
            return Answer::NotAwaited;
        }
        let Some((key, nudge)) = instructions(event) else {
            tracing::info!(event.id = event.id(), "A webhook about a payout that is not ours");
            return Answer::NotOurs;
        };
        let request_id = request_id(event.kind(), &nudge);
        let nudged = tokio::time::timeout(self.limits.temporal, self.payouts.nudge(&key, &nudge, &request_id)).await;
        match nudged {
            Ok(Ok(Nudged::Delivered)) => {
                tracing::info!(payout.key = key, "Nudged payout {key}");
                Answer::Delivered
            }
            Ok(Ok(Nudged::NoSuchPayout)) => {
                tracing::info!(payout.key = key, "A webhook about payout {key}, which was not started here");
                Answer::UnknownPayout
            }
            Ok(Ok(Nudged::Over)) => Answer::Over,
            Ok(Err(why)) => {
                tracing::warn!(payout.key = key, "{why}; the provider will deliver again");
                Answer::TemporalAway
            }
            Err(_) => {
                let limit = self.limits.temporal;
                tracing::warn!(
                    payout.key = key,
                    "Temporal took longer than {limit:?}; the provider will deliver again"
                );
                Answer::TemporalAway
            }
        }
    }
}

fn refused(why: &VerifyError) -> Answer {
    match why {
        VerifyError::MissingSignature | VerifyError::MalformedSignature | VerifyError::WrongSignature => {
            Answer::BadSignature
        }
        VerifyError::Stale { .. } => Answer::Stale,
        VerifyError::WrongShape(_) => Answer::NoEvent,
    }
}

/// Whom a payout's event is for and what to tell them. None when it cannot be one of our payouts.
fn instructions(event: &Webhook<Verified>) -> Option<(String, ProviderEvent)> {
    let key = event.data().pointer("/payout/externalId")?.as_str().filter(|key| may_be_a_key(key))?;
    let object = event.payout_id().filter(|id| (1..=128).contains(&id.len()))?;
    let state = event.object_status().unwrap_or_default().chars().take(64).collect();
    let nudge =
        ProviderEvent { about: About::Instructions, object: object.to_owned(), state, key: Some(key.to_owned()) };
    Some((key.to_owned(), nudge))
}

/// The form of payout keys, attempts after the first included.
fn may_be_a_key(text: &str) -> bool {
    (1..=50).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// The same for every delivery of the same event: a retry has another event id, so that is not part of it.
fn request_id(kind: &EventKind, nudge: &ProviderEvent) -> String {
    let mut hash = Sha256::new();
    for part in [kind.as_str(), &nudge.object, &nudge.state] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nudge(object: &str, state: &str) -> ProviderEvent {
        ProviderEvent { about: About::Instructions, object: object.into(), state: state.into(), key: None }
    }

    #[test]
    fn a_request_id_is_that_of_the_event_and_of_no_other() {
        let kind = EventKind::PayoutActionRequired;
        let id = request_id(&kind, &nudge("pyt-1", "Ready"));
        assert_eq!(id.len(), 64);
        assert_eq!(id, request_id(&kind, &nudge("pyt-1", "Ready")));
        assert_ne!(id, request_id(&kind, &nudge("pyt-2", "Ready")));
        assert_ne!(id, request_id(&kind, &nudge("pyt-1", "Later")));
        assert_ne!(id, request_id(&EventKind::PolicyTriggered, &nudge("pyt-1", "Ready")));
        assert_ne!(id, request_id(&kind, &nudge("pyt-1R", "eady")), "parts cannot run into each other");
    }

    #[test]
    fn only_what_could_be_a_key_is_looked_for() {
        for key in ["a", "invoice-2026.1_x", "h-0123456789abcdef0123456789abcdef-retry-99", &"x".repeat(50)] {
            assert!(may_be_a_key(key), "{key}");
        }
        for other in ["", "a b", "a/b", "é", "a\n", &"x".repeat(51)] {
            assert!(!may_be_a_key(other), "{other}");
        }
    }
}
