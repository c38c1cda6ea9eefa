//! Opens the next attempt at a payout: a short run that asks the provider and the records for the proof that the
//! attempt before cannot pay any more. The new attempt is then started like any payout, by whoever asked for it.

use remit_domain::{Decided, ExternalId, PayoutKey};
use serde::{Deserialize, Serialize};
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{WorkflowCancellationToken, WorkflowContext, WorkflowContextView, WorkflowResult};

use crate::{
    contract::{AttemptOpening, OpenAttempt, PayoutActivities, Signed},
    names,
    options::{self, Urgency},
    refusal,
};

/// The proof is asked for this long; then the caller may ask again.
const PROVE_WITHIN: std::time::Duration = std::time::Duration::from_secs(300);

/// Input of the workflow `payout_retry`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryOrder {
    /// The caller's id of the payout.
    pub external_id: String,
    /// Who wants another attempt.
    pub by: String,
    /// Why.
    pub why: String,
    /// The signed statement of that order; whether it is needed is for the policy to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// The workflow that opens an attempt.
#[workflow]
pub struct PayoutRetry {
    input: Result<RetryOrder, String>,
}

#[workflow_methods]
impl PayoutRetry {
    #[init]
    fn new(_: &WorkflowContextView, input: RawValue) -> Self {
        Self { input: read(&input) }
    }

    /// Proves, and opens.
    #[run(name = names::PAYOUT_RETRY)]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<AttemptOpening> {
        let order = ctx.state(|wf| wf.input.clone()).map_err(refusal::refused)?;
        let id = ExternalId::parse(&order.external_id).map_err(|expected| {
            refusal::refused(format!("externalId: {:?} is not accepted; expected {expected}", order.external_id))
        })?;
        let RetryOrder { by, why, signed, .. } = order;
        let input = OpenAttempt { key: PayoutKey::of(&id), order: Decided { by, why }, signed };
        // Detached: what is being opened is opened.
        let scope = WorkflowCancellationToken::new();
        let summary = "prove that it cannot pay any more, then open the next attempt";
        let options = options::provider(summary, Urgency::Begin, PROVE_WITHIN, &scope);
        let opening = ctx.execute_activity(PayoutActivities::open_attempt, input, options).await;
        opening.map_err(|error| refusal::no_answer(&error))
    }
}

fn read(raw: &RawValue) -> Result<RetryOrder, String> {
    const EXPECTED: &str = "expected one JSON object with externalId, by and why";
    let [payload] = raw.payloads.as_slice() else { return Err(EXPECTED.into()) };
    let order: RetryOrder = serde_json::from_slice(&payload.data).map_err(|error| format!("{EXPECTED}: {error}"))?;
    if order.by.trim().is_empty() || order.why.trim().is_empty() {
        return Err("by and why: expected who wants it and the reason".into());
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_retry_order_is_durable() {
        let order =
            RetryOrder { external_id: "inv-1".into(), by: "ana".into(), why: "the bank is back".into(), signed: None };
        insta::assert_json_snapshot!(order);
    }
}
