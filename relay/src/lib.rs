//! Webhook in, verified, signal out.
//!
//! A delivery is believed to come from the provider when its signature says so, and even then only to say *whom* to
//! nudge: the payout reads for itself what is so. It is answered with 200 only when Temporal has the nudge or never
//! will want it; anything else makes the provider deliver again (Dfns docs, "Webhooks": five attempts in 24 hours).
//! Polling stands behind all of it, so the relay holds no state.

mod admin;
mod connections;
mod metrics;
mod sink;
mod webhook;

use std::time::Duration;

use anyhow::{Context, ensure};
use prometheus::Registry;
use remit_client::PayoutClient;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use sink::Nudge;

/// What the relay needs. `N` is where nudges go: Temporal, through [`PayoutClient`].
pub struct Config<N = PayoutClient> {
    /// Secrets of the subscriptions (`whs-…`), each as the text it is. Several while one is rotated.
    pub secrets: Vec<SecretString>,
    /// Where nudges go.
    pub payouts: N,
    /// Where metrics are registered; served at `/metrics` of the admin port.
    pub registry: Registry,
    /// What a client may take of us.
    pub limits: Limits,
}

/// What a client may take of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest body, in bytes. Default 1 MiB; a payout is about 1 KiB.
    pub body_bytes: usize,
    /// Connections at a time; more of them wait. Default 256.
    pub connections: usize,
    /// For the head of a request to arrive, idle time between requests included. Default 10 s.
    pub head: Duration,
    /// For a whole request, from its head to our answer. Default 8 s: the provider gives up after "a few seconds".
    pub request: Duration,
    /// For Temporal to take a nudge. Default 2 s, after which the provider is asked to deliver again.
    pub temporal: Duration,
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
            temporal: Duration::from_secs(2),
            drain: Duration::from_secs(10),
        }
    }
}

/// Serves webhooks at `POST /webhooks/dfns` of `listener`, and `/livez`, `/readyz` and `/metrics` of `admin`, until
/// `stop`; then finishes what is under way.
///
/// # Errors
/// When there is no secret to verify with, or the metrics cannot be registered.
pub async fn serve<N: Nudge>(
    config: Config<N>,
    listener: TcpListener,
    admin: TcpListener,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Config { secrets, payouts, registry, limits } = config;
    ensure!(
        !secrets.is_empty() && secrets.iter().all(|secret| !secret.expose_secret().is_empty()),
        "no webhook secret: without one every delivery would be refused; set DFNS_WEBHOOK_SECRET to what \
         `remit webhook subscribe` printed"
    );
    let metrics = metrics::Metrics::new(&registry).context("the relay's metrics cannot be registered")?;
    let webhooks = webhook::Webhooks { secrets, payouts: payouts.clone(), metrics, limits };
    tracing::info!(address = ?listener.local_addr().ok(), "The relay takes webhooks");

    let operators = connections::Server { listener: admin, router: admin::router(payouts, registry), limits };
    let providers = connections::Server { listener, router: webhook::router(webhooks), limits };
    tokio::join!(providers.serve(&stop), operators.serve(&stop));
    Ok(())
}
