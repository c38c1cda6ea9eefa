//! How a payout would go as things are, asked of a worker; nothing is started, reserved or changed.

use remit_domain::{ExternalId, PayoutKey, PayoutRequest};
use remit_workflows::{
    NAME_IN_CLEAR, PayoutCheckRun,
    check::CheckOrder,
    contract::{Checking, PayoutCheck},
    names,
};
use temporalio_client::{NamespacedClient, WorkflowIdConflictPolicy, WorkflowIdReusePolicy, WorkflowStartOptions};
use temporalio_common::data_converters::RawValue;

use crate::{
    PayoutClient, Unavailable,
    errors::{NoResult, RunFailure, no_result},
};

/// Its workflow gives up after a minute by itself.
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(80);

/// Why it is not known how a payout would go. Asking again is safe.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The id cannot be one.
    #[error("{id:?} is no id of a payout; expected {expected}")]
    BadId {
        /// What was given.
        id: String,
        /// What was expected.
        expected: &'static str,
    },
    /// It says who is paid, and Temporal would keep that in clear; nothing was sent.
    #[error("the request is refused: destination.beneficiaryName: {NAME_IN_CLEAR}")]
    NameInClear,
    /// No such payout has been started.
    #[error("no payout {id:?} has been started")]
    NotStarted {
        /// What was given.
        id: String,
    },
    /// There was no answer.
    #[error("how the payout would go is not known: {why}")]
    NotKnown {
        /// What stood in the way.
        why: String,
    },
    /// Temporal gave no answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl PayoutClient {
    /// How this payout would go if it were started now.
    ///
    /// # Errors
    /// When there is no answer; asking again is safe.
    pub async fn check(&self, request: &PayoutRequest) -> Result<PayoutCheck, CheckError> {
        if self.leaves_a_name(request).await {
            return Err(CheckError::NameInClear);
        }
        // Two requests under one id are two questions.
        let id = format!("check-{}-{}", request.base_key(), &request.digest()[..16]);
        let order = CheckOrder { external_id: None, request: Some(request.clone()) };
        self.ask(request.external_id.as_str(), id, &order).await
    }

    /// How a payout that has been started would go on from here: its newest attempt.
    ///
    /// # Errors
    /// That there is no such payout, or no answer; asking again is safe.
    pub async fn check_started(&self, id: &str) -> Result<PayoutCheck, CheckError> {
        let external = ExternalId::parse(id).map_err(|expected| CheckError::BadId { id: id.to_owned(), expected })?;
        let order = CheckOrder { external_id: Some(id.to_owned()), request: None };
        self.ask(id, format!("check-{}", PayoutKey::of(&external)), &order).await
    }

    async fn ask(&self, id: &str, workflow_id: String, order: &CheckOrder) -> Result<PayoutCheck, CheckError> {
        let attempt = format!("check payout {id}");
        // Who asks the same at the same time gets the same answer.
        let options = WorkflowStartOptions::new(names::QUEUE, workflow_id)
            .id_reuse_policy(WorkflowIdReusePolicy::AllowDuplicate)
            .id_conflict_policy(WorkflowIdConflictPolicy::UseExisting)
            .static_summary(format!("how payout {id} would go"))
            .build();
        let input = RawValue::from_value(order, self.temporal.data_converter().payload_converter());
        let run = self
            .temporal
            .start_workflow(PayoutCheckRun::run, input, options)
            .await
            .map_err(|error| Unavailable::new(attempt.clone(), error.to_string()))?;
        let Ok(result) = tokio::time::timeout(ANSWER_WITHIN, run.get_result(Default::default())).await else {
            return Err(CheckError::NotKnown { why: "no worker has answered; start one with `remit worker`".into() });
        };
        match result.map_err(no_result) {
            Ok(Checking::Checked { check }) => Ok(*check),
            Ok(Checking::NotStarted) => Err(CheckError::NotStarted { id: id.to_owned() }),
            Err(NoResult::Ended(RunFailure::Refused(why) | RunFailure::Conflict(why))) => {
                Err(CheckError::NotKnown { why })
            }
            Err(NoResult::Ended(RunFailure::Terminated(how))) => {
                Err(CheckError::NotKnown { why: format!("the check was {how}") })
            }
            Err(NoResult::NotFound) => Err(Unavailable::new(attempt, "its run is gone").into()),
            Err(NoResult::Unreadable(why)) => Err(Unavailable::new(attempt, why).into()),
            Err(NoResult::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }
}
