//! One delivery: verified, read for what it means, and handed to the inbox.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::Timestamp;
use remit_dfns::{EventKind, SIGNATURE_HEADER, Unverified, VerifyError, Webhook};

use crate::{
    Limits, Nudge,
    answer::Answer,
    connections::Guest,
    event::{Event, KINDS},
    inbox::{Arrival, Inbox, Source},
    metrics::{Metrics, UNVERIFIED},
    secrets::Keyring,
};

/// Where the provider delivers to.
const PATH: &str = "/webhooks/dfns";

pub(crate) struct Webhooks<N> {
    pub(crate) secrets: Keyring,
    pub(crate) inbox: Inbox<N>,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
    pub(crate) refusals: Refusals,
}

/// What the log has of refused webhooks: a line a second, so that nobody out there can fill a disk. The metrics count all.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<Untold>);

#[derive(Default)]
struct Untold {
    told: Option<Instant>,
    since: u64,
}

const A_LINE: Duration = Duration::from_secs(1);

impl Refusals {
    /// How many were not told of before this one; none when this one is not to be told of either.
    fn to_tell(&self, now: Instant) -> Option<u64> {
        let mut untold = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if untold.told.is_some_and(|told| now.duration_since(told) < A_LINE) {
            untold.since += 1;
            return None;
        }
        untold.told = Some(now);
        Some(std::mem::take(&mut untold.since))
    }
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
    Extension(guest): Extension<Guest>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> StatusCode {
    let begun = Instant::now();
    let (kind, answer) = webhooks.answer(&guest, &headers, body).await;
    webhooks.metrics.answered(kind.as_ref().map_or(UNVERIFIED, known), answer, begun.elapsed());
    answer.status()
}

/// A label of bounded choice.
fn known(kind: &EventKind) -> &str {
    if let EventKind::Unknown(_) = kind { "other" } else { kind.as_str() }
}

impl<N: Nudge> Webhooks<N> {
    async fn answer(
        &self,
        guest: &Guest,
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> (Option<EventKind>, Answer) {
        let raw = match body {
            Ok(raw) => raw,
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => return (None, Answer::TooLarge),
            Err(_) => return (None, Answer::Broken),
        };
        let delivery = Webhook::<Unverified>::new(raw.clone(), signature(headers));
        let event = match delivery.verify(&self.secrets.current(), Timestamp::now()) {
            Ok(event) => event,
            Err(why) => {
                if let Some(untold) = self.refusals.to_tell(Instant::now()) {
                    tracing::warn!(untold, "Refused a webhook: {why}");
                }
                return (None, refused(&why));
            }
        };
        let _stays = guest.stays();
        let kind = event.kind().clone();
        let Some(ours) = Event::read(&event) else {
            tracing::debug!(event.kind = kind.as_str(), "A webhook that names nothing of a payout");
            let answer = if KINDS.contains(&kind) { Answer::NotOurs } else { Answer::NotAwaited };
            return (Some(kind), answer);
        };
        let arrival = Arrival { body: &raw, event_id: event.id(), source: Source::Webhook };
        let answer = self.inbox.take(&ours, &arrival).await;
        (Some(kind), answer)
    }
}

/// Of two signatures neither counts: who looks at the first and who looks at the last would take different ones for it.
fn signature(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(SIGNATURE_HEADER).iter();
    match (all.next(), all.next()) {
        (Some(only), None) => only.to_str().ok(),
        (None, _) => None,
        (Some(_), Some(_)) => Some("more than one"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_a_line_a_second_and_none_goes_uncounted() {
        let (refusals, begun) = (Refusals::default(), Instant::now());
        let at = |ms| begun + Duration::from_millis(ms);
        assert_eq!(refusals.to_tell(at(0)), Some(0));
        for ms in 1..1_000 {
            assert_eq!(refusals.to_tell(at(ms)), None, "after {ms} ms");
        }
        assert_eq!(refusals.to_tell(at(1_000)), Some(999));
        assert_eq!(refusals.to_tell(at(2_000)), Some(0));
    }
}
