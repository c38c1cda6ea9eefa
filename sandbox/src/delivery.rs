//! Webhook deliveries: what is sent, how it is signed, when it is tried again.

use std::time::Duration;

use ring::hmac;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::clock::{self, Due as ClockDue};
use crate::faults::{self, FaultKind, Place};
use crate::ids::hex;
use crate::organisation::{State, wall_seconds};
use crate::table::{Row, Table};
use crate::webhooks::{Webhook, WebhookStatus};

/// How long a receiver may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// When an event is tried again, counted from its first attempt.
const RETRIES_MS: [i64; 4] = [60_000, 12 * 60_000, 2 * 3_600_000, 24 * 3_600_000];

/// How long events are kept.
const KEPT_MS: i64 = 31 * 24 * 3_600_000;

/// A held-back event follows the next one by this much, or leaves alone after the second.
const HELD_AFTER_NEXT_MS: i64 = 100;
const HELD_AT_MOST_MS: i64 = 2_000;

/// Timers of deliveries.
#[derive(Debug)]
pub(crate) enum Due {
    /// Send this event, which a fault delayed.
    Send { event: String },
    /// Make a new event out of this failed one.
    Retry { event: String },
}

/// One delivery attempt. A retry is an event of its own.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) webhook_id: String,
    pub(crate) kind: String,
    pub(crate) date: String,
    data: Box<RawValue>,
    attempt: u32,
    retry_of: Option<String>,
    made_ms: i64,
    first_attempt_ms: i64,
    sent_seconds: i64,
    pub(crate) outcome: Progress,
    next_attempt_ms: Option<i64>,
}

/// How far a delivery attempt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    Waiting,
    Delivered,
    Failed { status: Option<u16>, error: String },
}

impl Row for Event {
    fn id(&self) -> &str {
        &self.id
    }
}

/// All events of an organisation and those on their way.
#[derive(Debug, Default)]
pub(crate) struct Post {
    pub(crate) events: Table<Event>,
    outbox: Vec<String>,
    in_flight: usize,
    held: Vec<String>,
}

impl Post {
    pub(crate) fn is_busy(&self) -> bool {
        self.in_flight > 0 || self.has_outgoing()
    }

    pub(crate) fn has_outgoing(&self) -> bool {
        !self.outbox.is_empty()
    }
}

/// The body of a delivery.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    id: &'a str,
    kind: &'a str,
    date: &'a str,
    data: &'a RawValue,
    timestamp_sent: i64,
    delivery_attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<&'a str>,
}

/// An event as the events API shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventView<'a> {
    id: &'a str,
    date: &'a str,
    kind: &'a str,
    data: &'a RawValue,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    timestamp_sent: i64,
    delivery_failed: bool,
    delivery_attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_date: Option<String>,
}

impl Event {
    pub(crate) fn view(&self) -> EventView<'_> {
        let (status, error) = match &self.outcome {
            // Dfns's types require a status and name none for an attempt without an answer: our words.
            Progress::Waiting => ("Pending".to_owned(), None),
            Progress::Delivered => ("200".to_owned(), None),
            Progress::Failed { status, error } => {
                let status = status.map_or_else(|| "Error".to_owned(), |status| status.to_string());
                (status, Some(error.as_str()))
            }
        };
        EventView {
            id: &self.id,
            date: &self.date,
            kind: &self.kind,
            data: &self.data,
            status,
            error,
            timestamp_sent: self.sent_seconds,
            delivery_failed: self.failed(),
            delivery_attempt: self.attempt,
            retry_of: self.retry_of.as_deref(),
            next_attempt_date: self.next_attempt_ms.map(clock::iso),
        }
    }

    pub(crate) fn failed(&self) -> bool {
        matches!(self.outcome, Progress::Failed { .. })
    }
}

/// A signed body on its way to a receiver.
#[derive(Debug)]
pub(crate) struct Delivery {
    event: Option<String>,
    url: String,
    body: Vec<u8>,
    signature: String,
}

impl Delivery {
    fn new(webhook: &Webhook, event: Option<String>, envelope: &Envelope<'_>) -> Self {
        // The envelope holds text, numbers and checked JSON only: writing it cannot fail.
        let body = serde_json::to_vec(envelope).unwrap_or_default();
        let signature = signature(&webhook.secret, &body);
        Self { event, url: webhook.url.clone(), body, signature }
    }

    /// Sends it. Only a plain 200 counts; redirects are not followed.
    pub(crate) async fn send(&self, http: &reqwest::Client) -> Progress {
        let answer = http
            .post(&self.url)
            .header("content-type", "application/json")
            .header("x-dfns-webhook-signature", &self.signature)
            .timeout(TIMEOUT)
            .body(self.body.clone())
            .send()
            .await;
        match answer {
            Ok(answer) if answer.status().as_u16() == 200 => Progress::Delivered,
            Ok(answer) => Progress::Failed {
                status: Some(answer.status().as_u16()),
                error: format!("the receiver answered {}, only 200 counts", answer.status()),
            },
            Err(error) => Progress::Failed {
                status: None,
                error: if error.is_timeout() {
                    format!("no answer within {} s", TIMEOUT.as_secs())
                } else {
                    error.without_url().to_string()
                },
            },
        }
    }
}

/// `sha256=` and the HMAC of the exact body under the secret's text, in hexadecimal.
fn signature(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", hex(hmac::sign(&key, body).as_ref()))
}

/// Tells every webhook that wants to know. `external_id` is only for faults to aim at.
pub(crate) fn emit(state: &mut State, kind: &str, data: &impl Serialize, external_id: Option<&str>) {
    let Ok(data) = serde_json::value::to_raw_value(data) else { return };
    let place = Place { external_id, event_kind: Some(kind), ..Place::default() };
    let listeners: Vec<String> = state
        .webhooks
        .iter()
        .filter(|webhook| webhook.status == WebhookStatus::Enabled && webhook.wants(kind))
        .map(|webhook| webhook.id.clone())
        .collect();
    for webhook_id in listeners {
        state.faults.count_webhook();
        if let Some(fault) = state.faults.strike(FaultKind::UnknownEventKind, place) {
            let event = make(state, &webhook_id, fault.word_or("payout.weather.changed"), data.clone());
            queue(state, event);
        }
        let odd = state.faults.strike(FaultKind::UnknownWordInWebhook, place).and_then(|fault| fault.field_and_word());
        let data = match odd {
            Some((field, word)) => with_word(&data, &field, &word).unwrap_or_else(|| data.clone()),
            None => data.clone(),
        };
        let event = make(state, &webhook_id, kind, data);
        if state.faults.strike(FaultKind::LoseWebhook, place).is_some() {
            lose(state, &event);
        } else if let Some(fault) = state.faults.strike(FaultKind::DelayWebhook, place) {
            state.clock.after(i64::from(fault.ms()), ClockDue::Delivery(Due::Send { event }));
        } else if state.faults.strike(FaultKind::ReorderWebhook, place).is_some() {
            state.post.held.push(event.clone());
            state.clock.after(HELD_AT_MOST_MS, ClockDue::Delivery(Due::Send { event }));
        } else {
            if state.faults.strike(FaultKind::DoubleWebhook, place).is_some() {
                state.post.outbox.push(event.clone());
            }
            queue(state, event);
        }
    }
}

fn with_word(data: &RawValue, field: &str, word: &str) -> Option<Box<RawValue>> {
    let mut value: Value = serde_json::from_str(data.get()).ok()?;
    faults::replace(&mut value, field, word);
    serde_json::value::to_raw_value(&value).ok()
}

/// A timer of a delivery.
pub(crate) fn due(state: &mut State, due: Due) {
    match due {
        Due::Send { event } => {
            state.post.held.retain(|held| *held != event);
            state.post.outbox.push(event);
        }
        Due::Retry { event } => retry(state, &event),
    }
}

/// Takes everything out of the outbox, stamped and signed now. Whoever takes must report [`done`].
pub(crate) fn take(state: &mut State) -> Vec<Delivery> {
    let mut jobs = Vec::new();
    for id in std::mem::take(&mut state.post.outbox) {
        let Some(event) = state.post.events.get_mut(&id) else { continue };
        let enabled = |webhook: &&Webhook| webhook.status == WebhookStatus::Enabled;
        let Some(webhook) = state.webhooks.get(&event.webhook_id).filter(enabled) else {
            event.outcome = Progress::Failed { status: None, error: "the webhook is gone or disabled".to_owned() };
            continue;
        };
        event.sent_seconds = wall_seconds();
        let envelope = Envelope {
            id: &event.id,
            kind: &event.kind,
            date: &event.date,
            data: &event.data,
            timestamp_sent: event.sent_seconds,
            delivery_attempt: event.attempt,
            retry_of: event.retry_of.as_deref(),
        };
        jobs.push(Delivery::new(webhook, Some(id), &envelope));
        state.post.in_flight += 1;
    }
    jobs
}

/// A delivery came to its end: book it, and plan the next attempt if it failed.
pub(crate) fn done(state: &mut State, job: &Delivery, result: &Progress) {
    state.post.in_flight = state.post.in_flight.saturating_sub(1);
    let now = state.clock.now_ms();
    let Some(event) = job.event.as_deref().and_then(|id| state.post.events.get_mut(id)) else { return };
    event.outcome = result.clone();
    if *result == Progress::Delivered {
        return;
    }
    let attempts_made = usize::try_from(event.attempt).unwrap_or(usize::MAX);
    let Some(delay) = RETRIES_MS.get(attempts_made.saturating_sub(1)) else { return };
    let at = event.first_attempt_ms + delay;
    event.next_attempt_ms = Some(at);
    let event = event.id.clone();
    state.clock.after((at - now).max(0), ClockDue::Delivery(Due::Retry { event }));
}

/// The delivery of a made-up event, which is not stored.
pub(crate) fn ping(state: &mut State, webhook_id: &str) -> Option<Delivery> {
    let id = state.ids.id("whe");
    let date = state.clock.now();
    let webhook = state.webhooks.get(webhook_id)?;
    let data = RawValue::from_string(r#"{"ping":true}"#.to_owned()).ok()?;
    let envelope = Envelope {
        id: &id,
        kind: "ping",
        date: &date,
        data: &data,
        timestamp_sent: wall_seconds(),
        delivery_attempt: 1,
        retry_of: None,
    };
    Some(Delivery::new(webhook, None, &envelope))
}

/// Forgets events after 31 days.
pub(crate) fn forget_old(state: &mut State) {
    let oldest = state.clock.now_ms() - KEPT_MS;
    state.post.events.retain(|event| event.made_ms >= oldest);
}

fn make(state: &mut State, webhook_id: &str, kind: &str, data: Box<RawValue>) -> String {
    let id = state.ids.id("whe");
    state.post.events.insert(Event {
        id: id.clone(),
        webhook_id: webhook_id.to_owned(),
        kind: kind.to_owned(),
        date: state.clock.now(),
        data,
        attempt: 1,
        retry_of: None,
        made_ms: state.clock.now_ms(),
        first_attempt_ms: state.clock.now_ms(),
        sent_seconds: wall_seconds(),
        outcome: Progress::Waiting,
        next_attempt_ms: None,
    });
    id
}

/// Sends an event, and lets whatever was held back follow it.
fn queue(state: &mut State, event: String) {
    state.post.outbox.push(event);
    for held in std::mem::take(&mut state.post.held) {
        let is_its_timer = |due: &ClockDue| matches!(due, ClockDue::Delivery(Due::Send { event }) if *event == held);
        if let Some(due) = state.clock.pull(is_its_timer) {
            state.clock.after(HELD_AFTER_NEXT_MS, due);
        }
    }
}

/// Never sent and never tried again: only the events API tells of it.
fn lose(state: &mut State, event: &str) {
    if let Some(event) = state.post.events.get_mut(event) {
        event.outcome = Progress::Failed { status: None, error: "lost on the way".to_owned() };
    }
}

fn retry(state: &mut State, failed: &str) {
    let Some(event) = state.post.events.get_mut(failed) else { return };
    event.next_attempt_ms = None;
    let enabled = |webhook: &&Webhook| webhook.status == WebhookStatus::Enabled;
    if state.webhooks.get(&event.webhook_id).filter(enabled).is_none() {
        return;
    }
    let again = Event {
        id: state.ids.id("whe"),
        webhook_id: event.webhook_id.clone(),
        kind: event.kind.clone(),
        date: event.date.clone(),
        data: event.data.clone(),
        attempt: event.attempt + 1,
        retry_of: Some(event.id.clone()),
        made_ms: state.clock.now_ms(),
        first_attempt_ms: event.first_attempt_ms,
        sent_seconds: event.sent_seconds,
        outcome: Progress::Waiting,
        next_attempt_ms: None,
    };
    let id = again.id.clone();
    state.post.events.insert(again);
    queue(state, id);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_are_signed_as_the_published_vectors_say() {
        let vectors = crate::keys::vectors();
        let webhook = &vectors["webhook"];
        let secret = webhook["secret"].as_str().unwrap();
        let mut checked = 0;
        for case in webhook["cases"].as_array().unwrap() {
            let (Some(body), Some(expect)) = (case["body_utf8"].as_str(), case["expect"].as_str()) else { continue };
            let signed = signature(secret, body.as_bytes()) == case["signature_header"].as_str().unwrap();
            match case["name"].as_str().unwrap() {
                "wrong_secret" | "tampered_body" => assert!(!signed, "{expect}"),
                _ => assert!(signed, "{case}"),
            }
            checked += 1;
        }
        assert!(checked >= 4, "only {checked} cases in the file");
    }
}
