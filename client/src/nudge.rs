//! Tells a running payout that something happened at the provider.

use remit_workflows::{Payout, signals::ProviderEvent};
use temporalio_client::{
    NamespacedClient, WorkflowSignalOptions,
    errors::WorkflowInteractionError,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::{
    data_converters::RawValue, protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest,
};

use crate::{PayoutClient, Unavailable, errors::names_the_namespace};

/// Where a nudge went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nudged {
    /// The payout's run has it, now or from an earlier nudge with the same request id.
    Delivered,
    /// There is no run of this payout.
    NoSuchPayout,
    /// The payout is over.
    Over,
}

impl PayoutClient {
    /// Nudges the payout with this key (as the provider knows it, its `externalId`). Repeated with the same
    /// `request_id`, it is delivered to a run once.
    ///
    /// # Errors
    /// When Temporal did not take it; safe to repeat.
    pub async fn nudge(&self, key: &str, event: &ProviderEvent, request_id: &str) -> Result<Nudged, Unavailable> {
        let payout = self.temporal.get_workflow_handle::<Payout>(format!("payout-{key}"));
        let input = RawValue::from_value(event, self.temporal.data_converter().payload_converter());
        let options = WorkflowSignalOptions::builder().request_id(request_id.to_owned()).build();
        match payout.signal(Payout::provider_event, input, options).await {
            Ok(()) => Ok(Nudged::Delivered),
            Err(WorkflowInteractionError::NotFound(status)) => {
                not_found(&status).ok_or_else(|| Unavailable::because(attempt(key), &status))
            }
            Err(WorkflowInteractionError::Rpc(status)) => Err(Unavailable::because(attempt(key), &status)),
            Err(error) => Err(Unavailable::new(attempt(key), error.to_string())),
        }
    }

    /// Whether Temporal answers and has our namespace: one cheap request, for health checks.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn reachable(&self) -> Result<(), Unavailable> {
        let request = DescribeNamespaceRequest { namespace: self.temporal.namespace(), ..Default::default() };
        let answer = self.temporal.connection().workflow_service().describe_namespace(request.into_request()).await;
        answer.map(drop).map_err(|status| Unavailable::because("reach Temporal", &status))
    }
}

fn attempt(key: &str) -> String {
    format!("nudge payout {key}")
}

/// The server says all of these with one code, and tells them apart in words.
fn not_found(status: &Status) -> Option<Nudged> {
    let said = status.message();
    if status.code() != Code::NotFound || names_the_namespace(status) {
        None
    } else if said.contains("already completed") {
        Some(Nudged::Over)
    } else if said.contains("not found") {
        Some(Nudged::NoSuchPayout)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_and_a_finished_payout_are_told_apart_from_a_missing_namespace() {
        let read = |text: &str| not_found(&Status::not_found(text));
        assert_eq!(read("workflow not found for ID: payout-a"), Some(Nudged::NoSuchPayout));
        assert_eq!(read("workflow execution already completed"), Some(Nudged::Over));
        assert_eq!(read("Namespace payouts is not found."), None);
        assert_eq!(read("something new"), None);
        assert_eq!(not_found(&Status::unavailable("workflow not found for ID: a")), None);
    }
}
