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

use remit_domain::PayoutRequest;
use temporalio_client::{Client, NamespacedClient as _};
use temporalio_common::{
    data_converters::{SerializationContextData, WorkflowSerializationContext},
    protos::temporal::api::common::v1::Payload,
};

/// Starts, reads and nudges payouts. Clones share one connection.
#[derive(Clone)]
pub struct PayoutClient {
    temporal: Client,
    names_in_clear: bool,
}

impl PayoutClient {
    /// A client of payouts in the namespace that `temporal` is bound to.
    pub fn new(temporal: Client) -> Self {
        Self { temporal, names_in_clear: false }
    }

    /// Lets a payout say who is paid, although Temporal keeps that in clear: for where somebody has decided that this is
    /// how it shall be. The workers have to allow it too.
    pub fn allow_names_in_clear(mut self) -> Self {
        self.names_in_clear = true;
        self
    }

    /// Whether this request would leave a name in clear where it must not be.
    async fn leaves_a_name(&self, request: &PayoutRequest) -> bool {
        if self.names_in_clear || !request.carries_a_name() {
            return false;
        }
        // Whoever encrypts does not answer with what was given.
        let probe = Payload { data: b"probe".to_vec(), ..Default::default() };
        let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
        let encoded = self.temporal.data_converter().codec().encode(&context, vec![probe.clone()]).await;
        encoded.is_ok_and(|payloads| payloads == [probe])
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
