//! Webhook in, verified, kept, signal out.
//!
//! A delivery is believed to come from the provider when its signature says so, and even then only to say *whom* to
//! nudge: the payout reads for itself what is so. Each event is kept in the records' inbox first and looked up after,
//! so that no order of events and of what is known about a payout loses one. A delivery is answered with 200 once
//! the event is kept or signalled, and with 503 when neither was possible, so that the provider delivers again (Dfns
//! docs, "Webhooks": five attempts in 24 hours). What the provider could not deliver is read from it (`gaps.rs`).
//! Polling stands behind all of it.

mod admin;
mod answer;
mod connections;
mod deliverer;
mod event;
mod gaps;
mod inbox;
mod metrics;
mod secrets;
mod sink;
mod webhook;

use std::time::Duration;

use anyhow::Context;
use prometheus::Registry;
use remit_client::PayoutClient;
use remit_dfns::Dfns;
use remit_records::Records;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use event::{Concern, KINDS};
pub use gaps::{Gap, Have, gaps, subscriptions};
pub use inbox::{Handed, Inbox};
pub use secrets::Secrets;
pub use sink::Nudge;

/// What the relay needs. `N` is where nudges go: Temporal, through [`PayoutClient`].
pub struct Config<N = PayoutClient> {
    /// Secrets of the subscriptions.
    pub secrets: Secrets,
    /// Where nudges go.
    pub payouts: N,
    /// Where events are kept.
    pub records: Records,
    /// For reading what the provider could not deliver; without it nobody does.
    pub dfns: Option<Dfns>,
    /// The address that the provider delivers to: only subscriptions with this one are ours. Without it all are.
    pub public_url: Option<String>,
    /// Where metrics are registered; served at `/metrics` of the admin port.
    pub registry: Registry,
    /// What a client may take of us.
    pub limits: Limits,
    /// What the relay does by itself.
    pub upkeep: Upkeep,
}

/// What a client may take of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest body, in bytes. Default 1 MiB, which is what the records keep; a payout is about 1 KiB.
    pub body_bytes: usize,
    /// Connections at a time; more of them wait. Default 256.
    pub connections: usize,
    /// For the head of a request to arrive, idle time between requests included. Default 10 s.
    pub head: Duration,
    /// For a whole request, from its head to our answer. Default 8 s: the provider gives up after "a few seconds".
    pub request: Duration,
    /// For the records and Temporal to take an event, from its verification to our answer. Default 2 s.
    pub event: Duration,
    /// For requests under way when the relay stops. Default 10 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            connections: 256,
            head: Duration::from_secs(10),
            request: Duration::from_secs(8),
            event: EVENT_WITHIN,
            drain: Duration::from_secs(10),
        }
    }
}

/// How long the records and Temporal may take over one event.
pub const EVENT_WITHIN: Duration = Duration::from_secs(2);

/// What the relay does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// How often events that were kept and not delivered are looked for. Default 3 s.
    pub again: Duration,
    /// How often failed deliveries are looked for at the provider, beside the start. Default 1 h.
    pub gaps: Duration,
    /// How long delivered events are kept. Default 7 days.
    pub keep_delivered: Duration,
    /// How long events without a payout are kept, those with two payouts too. Default 31 days, as the provider does.
    pub keep_unmatched: Duration,
}

impl Default for Upkeep {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            again: Duration::from_secs(3),
            gaps: Duration::from_secs(3600),
            keep_delivered: 7 * DAY,
            keep_unmatched: 31 * DAY,
        }
    }
}

/// Serves webhooks at `POST /webhooks/dfns` of `listener`, and `/livez`, `/readyz` and `/metrics` of `admin`, until
/// `stop`; then finishes what is under way. Meanwhile hands on what was left over and fills gaps.
///
/// # Errors
/// When there is no secret to verify with, or the metrics cannot be registered.
pub async fn serve<N: Nudge>(
    config: Config<N>,
    listener: TcpListener,
    admin: TcpListener,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Config { secrets, payouts, records, dfns, public_url, registry, limits, upkeep } = config;
    let secrets = secrets::Keyring::new(secrets)?;
    let metrics = metrics::Metrics::new(&registry).context("the relay's metrics cannot be registered")?;
    let inbox = Inbox::new(records.clone(), payouts.clone(), limits.event);
    let deliverer =
        deliverer::Deliverer { inbox: inbox.clone(), metrics: metrics.clone(), upkeep, min_age: limits.event };
    let filler = gaps::Filler { inbox: inbox.clone(), dfns, public_url, metrics: metrics.clone(), every: upkeep.gaps };
    let webhooks = webhook::Webhooks { secrets, inbox, metrics, limits, refusals: webhook::Refusals::default() };
    tracing::info!(address = ?listener.local_addr().ok(), "The relay takes webhooks");

    let operators = connections::Server { listener: admin, router: admin::router(payouts, records, registry), limits };
    let providers = connections::Server { listener, router: webhook::router(webhooks), limits };
    tokio::join!(providers.serve(&stop), operators.serve(&stop), deliverer.run(&stop), filler.run(&stop));
    Ok(())
}
