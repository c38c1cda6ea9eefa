//! Typed client for starters and operators: start, read, list, wait for and nudge payouts.
//!
//! Start with [`connect`], then [`PayoutClient::new`]. Starting is safe to repeat: the same id with the same body is
//! the same payout, with another body a conflict, and either is said before anything is paid.

mod check;
mod claim;
mod connect;
mod errors;
mod ids;
mod list;
mod nudge;
mod orders;
mod read;
mod signing;
mod start;
mod ui;

pub use check::CheckError;
pub use connect::{ConnectError, Patience, Target, TemporalOptions, connect};
pub use errors::{ReadError, StartError, Unavailable};
pub use list::{Filter, Listed, RunStatus, Runs};
pub use nudge::Nudged;
pub use orders::{OrderError, Retried, RetryError};
pub use read::{Described, PendingCall};
pub use remit_workflows::{
    contract::{Approvals, Check, Found, MissingApproval, PayoutCheck, Ruling, Signed, Standing},
    orders::{Action, Answer, Order, Release, Resolve, Verdict, Whereabouts},
    signals::{About, ProviderEvent},
    status::{Moment, Status},
};
pub use signing::Signer;
pub use start::{Claimed, How, Started};
pub use ui::ui_link;

use temporalio_client::Client;

/// Starts, reads and nudges payouts. Clones share one connection.
#[derive(Clone)]
pub struct PayoutClient {
    temporal: Client,
}

impl PayoutClient {
    /// A client of payouts in the namespace that `temporal` is bound to.
    pub fn new(temporal: Client) -> Self {
        Self { temporal }
    }

    /// The Temporal client underneath, for what this one does not offer.
    pub fn temporal(&self) -> &Client {
        &self.temporal
    }

    /// The namespace the payouts run in.
    pub fn namespace(&self) -> &str {
        &self.temporal.options().namespace
    }
}
