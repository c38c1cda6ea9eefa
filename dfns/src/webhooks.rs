//! Webhook subscriptions, and the events Dfns keeps of them for 31 days. `/webhooks…`
//!
//! Sources: Dfns docs and OpenAPI 2.0.155; `@dfns/sdk` 0.8.21. Deliveries are checked in
//! `webhook_verify.rs`.

use jiff::Timestamp;
use reqwest::Method;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::client::{Dfns, Page, PageQuery, Query, segment};
use crate::error::Error;
use crate::open::open_enum;
use crate::wire;

impl Dfns {
    /// Subscriptions, one page at a time. `GET /webhooks`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn webhooks(&self, page: &PageQuery) -> Result<Page<Subscription>, Error> {
        self.get("/webhooks", page.pairs()).await?.value()
    }

    /// One subscription. `GET /webhooks/{id}`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn webhook(&self, id: &str) -> Result<Subscription, Error> {
        self.get(&path(id)?, Query::new()).await?.value()
    }

    /// Subscribes. The only answer that ever holds the secret; at most five per organisation.
    /// `POST /webhooks`
    ///
    /// # Errors
    /// See [`Error`]. After a lost answer the secret is lost too: delete the new one and try again.
    pub async fn create_webhook(&self, body: &CreateWebhook) -> Result<CreatedWebhook, Error> {
        self.write(Method::POST, "/webhooks", Some(wire::to_bytes(body))).await?.value()
    }

    /// Changes what is given. `PUT /webhooks/{id}`
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn update_webhook(&self, id: &str, body: &UpdateWebhook) -> Result<Subscription, Error> {
        self.write(Method::PUT, &path(id)?, Some(wire::to_bytes(body))).await?.value()
    }

    /// Ends a subscription, and the retries of its deliveries. `DELETE /webhooks/{id}`
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete_webhook(&self, id: &str) -> Result<(), Error> {
        self.write(Method::DELETE, &path(id)?, None).await?;
        Ok(())
    }

    /// Has Dfns send a made-up event, which it does not keep. `POST /webhooks/{id}/ping`
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ping_webhook(&self, id: &str) -> Result<Ping, Error> {
        self.write(Method::POST, &format!("{}/ping", path(id)?), None).await?.value()
    }

    /// Events of a subscription, one page at a time. There is no redelivery: this is how gaps are
    /// filled. `GET /webhooks/{id}/events`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn webhook_events(&self, id: &str, query: &ListEvents) -> Result<Page<WebhookEvent>, Error> {
        let mut pairs = query.page.pairs();
        pairs.extend(query.kind.iter().map(|k| ("kind", k.to_string())));
        pairs.extend(query.delivery.map(|d| ("deliveryFailed", d.as_query().to_owned())));
        let page: Page<EventWire> = self.get(&format!("{}/events", path(id)?), pairs).await?.value()?;
        let items = page.items.into_iter().map(WebhookEvent).collect();
        Ok(Page { items, next_page_token: page.next_page_token })
    }

    /// One event. `GET /webhooks/{id}/events/{id}`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn webhook_event(&self, id: &str, event: &str) -> Result<WebhookEvent, Error> {
        let path = format!("{}/events/{}", path(id)?, segment("webhook event id", event)?);
        self.get(&path, Query::new()).await?.value().map(WebhookEvent)
    }
}

fn path(id: &str) -> Result<String, Error> {
    Ok(format!("/webhooks/{}", segment("webhook id", id)?))
}

/// What to subscribe to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreateWebhook {
    /// Where Dfns sends events.
    pub url: String,
    /// Which events, at least one; [`EventKind::All`] for all.
    pub events: Vec<EventKind>,
    /// Whether it sends; absent means it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<SubscriptionStatus>,
    /// At most 256 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What to change; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UpdateWebhook {
    /// Where Dfns sends events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Which events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<EventKind>>,
    /// Whether it sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<SubscriptionStatus>,
    /// At most 256 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A subscription as Dfns shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// `wh-…`
    pub id: String,
    /// Where Dfns sends events.
    pub url: String,
    /// Which events.
    pub events: Vec<EventKind>,
    /// Whether it sends.
    pub status: SubscriptionStatus,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_created: Option<Timestamp>,
    /// When it last changed.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_updated: Option<Timestamp>,
}

/// A new subscription with its secret, which Dfns never shows again.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "CreatedWire")]
pub struct CreatedWebhook {
    /// The subscription.
    pub subscription: Subscription,
    /// Key of the delivery signatures, to be used as the text it is (`whs-…`).
    pub secret: SecretString,
}

#[derive(Deserialize)]
struct CreatedWire {
    #[serde(flatten)]
    subscription: Subscription,
    secret: String,
}

impl From<CreatedWire> for CreatedWebhook {
    fn from(wire: CreatedWire) -> Self {
        Self { subscription: wire.subscription, secret: wire.secret.into() }
    }
}

/// How the made-up event fared.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ping {
    /// HTTP status our endpoint answered, as text.
    #[serde(default, deserialize_with = "wire::read_text")]
    pub status: Option<String>,
    /// What went wrong.
    #[serde(default)]
    pub error: Option<String>,
}

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct ListEvents {
    /// Which page.
    pub page: PageQuery,
    /// Only of this kind.
    pub kind: Option<EventKind>,
    /// Only those that arrived, or only those that did not.
    pub delivery: Option<Delivery>,
}

/// Whether a delivery was answered with 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It was not.
    Failed,
    /// It was.
    Succeeded,
}

impl Delivery {
    fn as_query(self) -> &'static str {
        match self {
            Self::Failed => "true",
            Self::Succeeded => "false",
        }
    }
}

/// An event that Dfns kept, read with our own credentials. Can only come from
/// [`Dfns::webhook_events`] and [`Dfns::webhook_event`], so it may stand for a verified delivery.
#[derive(Clone)]
pub struct WebhookEvent(pub(crate) EventWire);

impl WebhookEvent {
    /// `whe-…`
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// What happened.
    pub fn kind(&self) -> &EventKind {
        &self.0.kind
    }

    /// HTTP status our endpoint answered, as text.
    pub fn status(&self) -> Option<&str> {
        self.0.status.as_deref()
    }

    /// What went wrong with the delivery.
    pub fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }
}

impl std::fmt::Debug for WebhookEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The data may be about people.
        f.debug_struct("WebhookEvent").field("id", &self.0.id).field("kind", &self.0.kind).finish_non_exhaustive()
    }
}

/// A delivery or a kept event, as it is on the wire. Reads a doubled key as an error.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventWire {
    pub(crate) id: String,
    pub(crate) kind: EventKind,
    #[serde(default, deserialize_with = "wire::read_date")]
    pub(crate) date: Option<Timestamp>,
    pub(crate) data: Box<RawValue>,
    #[serde(default)]
    pub(crate) timestamp_sent: Option<i64>,
    #[serde(default)]
    pub(crate) delivery_attempt: Option<u32>,
    #[serde(default)]
    pub(crate) retry_of: Option<String>,
    #[serde(default, deserialize_with = "wire::read_text")]
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) error: Option<String>,
}

open_enum! {
    /// Whether a subscription sends.
    SubscriptionStatus {
        Enabled = "Enabled",
        Disabled = "Disabled",
    }
}

open_enum! {
    /// What happened. A receiver answers 200 to kinds it does not know.
    EventKind {
        /// In subscriptions only.
        All = "*",
        PolicyTriggered = "policy.triggered",
        PolicyApprovalPending = "policy.approval.pending",
        PolicyApprovalResolved = "policy.approval.resolved",
        TransferRequested = "wallet.transfer.requested",
        TransferBroadcasted = "wallet.transfer.broadcasted",
        /// Sent on some networks only; elsewhere `broadcasted` is the last.
        TransferConfirmed = "wallet.transfer.confirmed",
        TransferFailed = "wallet.transfer.failed",
        TransferRejected = "wallet.transfer.rejected",
        TransactionRequested = "wallet.transaction.requested",
        TransactionBroadcasted = "wallet.transaction.broadcasted",
        TransactionConfirmed = "wallet.transaction.confirmed",
        TransactionFailed = "wallet.transaction.failed",
        TransactionRejected = "wallet.transaction.rejected",
        SignatureRequested = "wallet.signature.requested",
        SignatureSigned = "wallet.signature.signed",
        SignatureFailed = "wallet.signature.failed",
        SignatureRejected = "wallet.signature.rejected",
        /// The only kind about payouts: nothing is sent when one ends.
        PayoutActionRequired = "payout.action.required",
        WalletCreated = "wallet.created",
        WalletActivated = "wallet.activated",
        WalletDelegated = "wallet.delegated",
        WalletExported = "wallet.exported",
        WalletTagsModified = "wallet.tags.modified",
        BlockchainEventDetected = "wallet.blockchainevent.detected",
    }
}
