//! Webhook subscriptions and their events: `/webhooks`.

use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::answer::{Answer, Outcome, Refusal};
use crate::delivery;
use crate::organisation::State;
use crate::server::Visit;
use crate::table::{Page, Row};
use crate::wire;

/// The documented limit.
const MOST_WEBHOOKS: usize = 5;

/// Every kind that can be subscribed to (OpenAPI 2.0.155). The sandbox sends only some of them.
const KINDS: &[&str] = &[
    "*",
    "policy.triggered",
    "policy.approval.pending",
    "policy.approval.resolved",
    "wallet.transfer.requested",
    "wallet.transfer.broadcasted",
    "wallet.transfer.confirmed",
    "wallet.transfer.failed",
    "wallet.transfer.rejected",
    "wallet.transaction.requested",
    "wallet.transaction.broadcasted",
    "wallet.transaction.confirmed",
    "wallet.transaction.failed",
    "wallet.transaction.rejected",
    "wallet.signature.requested",
    "wallet.signature.signed",
    "wallet.signature.failed",
    "wallet.signature.rejected",
    "payout.action.required",
    "wallet.created",
    "wallet.activated",
    "wallet.delegated",
    "wallet.exported",
    "wallet.tags.modified",
    "wallet.blockchainevent.detected",
    "wallet.blockchain_event.transfer.included",
    "wallet.blockchain_event.misc.confirmed",
    "address_watch.blockchain_event.transfer.confirmed",
    "address_watch.blockchain_event.misc.confirmed",
    "wallet.offer.received",
    "wallet.offer.accepted",
    "wallet.offer.rejected",
    "wallet.offer.withdrawn",
    "key.created",
    "key.deleted",
    "key.delegated",
    "key.exported",
    "vault.created",
    "vault.updated",
    "vault.tags.modified",
    "vault.event.created",
];

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WebhookStatus {
    #[default]
    Enabled,
    Disabled,
}

/// A subscription.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) url: String,
    events: Vec<String>,
    pub(crate) status: WebhookStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    date_created: String,
    date_updated: String,
    /// Shown once, in the answer to its creation.
    #[serde(skip)]
    pub(crate) secret: String,
}

impl Row for Webhook {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Webhook {
    pub(crate) fn wants(&self, kind: &str) -> bool {
        self.events.iter().any(|wanted| wanted == "*" || wanted == kind)
    }
}

#[derive(Serialize)]
struct WithSecret<'a> {
    #[serde(flatten)]
    webhook: &'a Webhook,
    secret: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    url: String,
    #[serde(default)]
    status: WebhookStatus,
    description: Option<String>,
    events: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    url: Option<String>,
    status: Option<WebhookStatus>,
    description: Option<String>,
    events: Option<Vec<String>>,
}

pub(crate) fn create(state: &mut State, visit: &Visit) -> Outcome {
    let asked: NewWebhook = wire::read(&visit.body)?;
    check(Some(&asked.url), Some(&asked.events), asked.description.as_ref())?;
    if state.webhooks.len() >= MOST_WEBHOOKS {
        return Err(Refusal::bad(format!("an organisation has at most {MOST_WEBHOOKS} webhooks")));
    }
    let webhook = Webhook {
        id: state.ids.id("wh"),
        url: asked.url,
        events: asked.events,
        status: asked.status,
        description: asked.description,
        date_created: state.clock.now(),
        date_updated: state.clock.now(),
        secret: format!("whs-{}", state.ids.secret()),
    };
    let answer = Answer::ok(&WithSecret { webhook: &webhook, secret: &webhook.secret });
    state.webhooks.insert(webhook);
    answer
}

pub(crate) fn list(state: &mut State, visit: &Visit) -> Outcome {
    let page = Page::read(&visit.query, 50, 500)?;
    let (items, next) = state.webhooks.page(&page, |_| true);
    Answer::ok(&Listed { items, next_page_token: next })
}

pub(crate) fn get(state: &mut State, visit: &Visit) -> Outcome {
    Answer::ok(find(state, visit)?)
}

pub(crate) fn update(state: &mut State, visit: &Visit) -> Outcome {
    let changes: Changes = wire::read(&visit.body)?;
    check(changes.url.as_ref(), changes.events.as_ref(), changes.description.as_ref())?;
    let now = state.clock.now();
    let webhook = state.webhooks.get_mut(visit.id()).ok_or_else(|| Refusal::missing("webhook", visit.id()))?;
    if let Some(url) = changes.url {
        webhook.url = url;
    }
    if let Some(status) = changes.status {
        webhook.status = status;
    }
    if let Some(events) = changes.events {
        webhook.events = events;
    }
    if changes.description.is_some() {
        webhook.description = changes.description;
    }
    webhook.date_updated = now;
    Answer::ok(webhook)
}

pub(crate) fn delete(state: &mut State, visit: &Visit) -> Outcome {
    wire::read_nothing(&visit.body)?;
    state.webhooks.remove(visit.id()).ok_or_else(|| Refusal::missing("webhook", visit.id()))?;
    Answer::ok(&json!({"deleted": true}))
}

/// The answer is known once the receiver has answered: the server takes over from here.
pub(crate) fn ping(state: &mut State, visit: &Visit) -> Outcome {
    wire::read_nothing(&visit.body)?;
    let delivery = delivery::ping(state, visit.id()).ok_or_else(|| Refusal::missing("webhook", visit.id()))?;
    Ok(Answer { status: 200, body: Vec::new(), ping: Some(delivery) })
}

pub(crate) fn events(state: &mut State, visit: &Visit) -> Outcome {
    delivery::forget_old(state);
    let webhook = find(state, visit)?;
    let page = Page::read(&visit.query, 50, 500)?;
    let kind = visit.query.one("kind");
    let failed = match visit.query.one("deliveryFailed") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(other) => return Err(Refusal::field("deliveryFailed", other, "\"true\" or \"false\"")),
    };
    let (found, next) = state.post.events.page(&page, |event| {
        event.webhook_id == webhook.id
            && kind.is_none_or(|kind| event.kind == kind)
            && failed.is_none_or(|failed| event.failed() == failed)
    });
    let items: Vec<_> = found.into_iter().map(|event| event.view()).collect();
    Answer::ok(&Listed { items, next_page_token: next })
}

pub(crate) fn event(state: &mut State, visit: &Visit) -> Outcome {
    delivery::forget_old(state);
    let webhook = find(state, visit)?;
    let id = visit.second_id();
    let event = state.post.events.get(id).filter(|event| event.webhook_id == webhook.id);
    Answer::ok(&event.ok_or_else(|| Refusal::missing("webhook event", id))?.view())
}

/// A page of a list, in Dfns's form.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listed<T> {
    pub(crate) items: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_page_token: Option<String>,
}

fn find<'a>(state: &'a State, visit: &Visit) -> Result<&'a Webhook, Refusal> {
    state.webhooks.get(visit.id()).ok_or_else(|| Refusal::missing("webhook", visit.id()))
}

fn check(url: Option<&String>, events: Option<&Vec<String>>, description: Option<&String>) -> Result<(), Refusal> {
    if let Some(url) = url
        && !Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
    {
        return Err(Refusal::field("url", url, "an http or https address"));
    }
    if let Some(events) = events {
        if events.is_empty() {
            return Err(Refusal::bad("events: expected at least one kind, or \"*\""));
        }
        if let Some(unknown) = events.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
            return Err(Refusal::field("events", unknown, "a kind of event that can be subscribed to"));
        }
    }
    match description {
        Some(text) if text.chars().count() > 256 => Err(Refusal::field("description", text, "at most 256 characters")),
        Some(_) | None => Ok(()),
    }
}
