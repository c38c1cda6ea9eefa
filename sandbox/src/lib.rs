//! A fake Dfns that anyone could use alone, with control over faults and the clock.
//!
//! Everything under `/` answers as Dfns does; everything under `/_sandbox` is for the person or
//! test that drives it. All state is in memory and belongs to an *organisation*, which has its own
//! users, wallets, clock, faults, rate limit and ledger. The README lists each behaviour and how
//! we know it.

mod answer;
mod approvals;
mod auth;
mod bank;
mod chain;
mod clock;
mod connection;
mod control;
mod delivery;
mod faults;
mod ids;
mod keys;
mod ledger;
mod networks;
mod organisation;
mod payouts;
mod permissions;
mod plan;
mod policies;
mod policy_rules;
mod rate_limit;
mod routes;
mod sandbox;
mod server;
mod settings;
mod table;
mod transfers;
mod users;
mod wallets;
mod webhooks;
mod wire;

use std::io;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How a sandbox is started. `Options::default()` is what `remit sandbox` uses without flags.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides every id, address, key and throw of the dice. The same seed and the same calls in
    /// the same order give the same answers. Keys of kind P-256 are the one exception.
    pub seed: u64,
    /// The address clients use to reach this sandbox, when it differs from the listener's own
    /// (behind a proxy, in a container). It is only reported, by `GET /_sandbox`.
    pub public_url: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, public_url: None }
    }
}

/// Serves the sandbox on `listener` until `stop` is cancelled.
///
/// Open requests get two seconds to finish after that; every task of the sandbox ends with it.
///
/// # Errors
/// When the listener has no local address, the client that delivers webhooks cannot be built, or
/// accepting connections fails for good.
pub async fn serve(listener: TcpListener, options: Options, stop: CancellationToken) -> io::Result<()> {
    server::serve(listener, options, stop).await
}
