//! Where nudges go: the seam between receiving webhooks and Temporal.

use remit_client::{Nudged, PayoutClient, ProviderEvent, Unavailable};

/// Takes nudges for payouts.
pub trait Nudge: Clone + Send + Sync + 'static {
    /// Nudges the payout with this key; repeated with the same request id, at most once per run.
    ///
    /// # Errors
    /// When it was not taken; safe to repeat.
    fn nudge(
        &self,
        key: &str,
        event: &ProviderEvent,
        request_id: &str,
    ) -> impl Future<Output = Result<Nudged, Unavailable>> + Send;

    /// Whether nudges would be taken now.
    ///
    /// # Errors
    /// What stands in the way.
    fn reachable(&self) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

impl Nudge for PayoutClient {
    async fn nudge(&self, key: &str, event: &ProviderEvent, request_id: &str) -> Result<Nudged, Unavailable> {
        Self::nudge(self, key, event, request_id).await
    }

    async fn reachable(&self) -> Result<(), Unavailable> {
        Self::reachable(self).await
    }
}
