//! What operators order: cancel, hold, release, resolve, and another attempt.

use remit_domain::{ExternalId, PayoutKey};
use remit_workflows::{
    Payout, PayoutRetry,
    contract::{AttemptOpening, Signed},
    names,
    orders::{Answer, Order, Release, Resolve},
    retry::RetryOrder,
};
use serde::Serialize;
use temporalio_client::{
    NamespacedClient, WorkflowExecuteUpdateOptions, WorkflowHandle, WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
    WorkflowStartOptions,
    errors::WorkflowUpdateError,
    tonic::{Code, Status},
};
use temporalio_common::{
    HasWorkflowDefinition, UpdateDefinition,
    data_converters::{RawValue, SerializationContextData, WorkflowSerializationContext},
    payload_visitor::decode_payloads,
    protos::temporal::api::failure::v1::Failure,
};

use crate::{PayoutClient, ReadError, StartError, Started, Unavailable, errors::NoResult, errors::no_result};

/// An order is answered as soon as the records are; longer than this means that no worker is there.
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(20);

/// Reading the provider may take some tries; its workflow gives up after five minutes by itself.
const PROVEN_WITHIN: std::time::Duration = std::time::Duration::from_secs(320);

/// Before an order is given again that met something else in the same moment.
const BETWEEN_TRIES: std::time::Duration = std::time::Duration::from_millis(100);

/// The server's words for an update whose workflow task it had to start anew.
fn came_in_between(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && status.message().contains("workflow task failure")
}

/// Why an order was not answered.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// There is no such payout, or it cannot be asked.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The order itself is not accepted as one.
    #[error("the order is not accepted: {why}")]
    Malformed {
        /// What was expected.
        why: String,
    },
}

/// What became of the wish for another attempt.
#[derive(Debug)]
pub enum Retried {
    /// The next attempt is open and started.
    Started(Started),
    /// The newest attempt is not over; it is started, or was.
    UnderWay(Started),
    /// No other attempt may be made.
    Refused {
        /// Why.
        why: String,
    },
}

/// Why there is no answer to the wish for another attempt. Asking again is safe.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// The order itself is not accepted as one.
    #[error("the order is not accepted: {why}")]
    Malformed {
        /// What was expected.
        why: String,
    },
    /// The proof could not be had.
    #[error("whether another attempt may be made is not known: {why}; nothing was started, ask again")]
    NotProven {
        /// What stood in the way.
        why: String,
    },
    /// The attempt is open, but its start has failed.
    #[error("the attempt is open, but it could not be started: {0}; ask again")]
    Start(#[from] StartError),
    /// Temporal gave no answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl PayoutClient {
    /// Calls a payout off, while nothing has been confirmed.
    ///
    /// # Errors
    /// That there is no such payout, that no worker answers, or that the order has no name or reason.
    pub async fn cancel(&self, id: &str, order: &Order) -> Result<Answer, OrderError> {
        self.order(id, || Payout::cancel, order).await
    }

    /// Holds a payout back before Confirm.
    ///
    /// # Errors
    /// As [`PayoutClient::cancel`].
    pub async fn hold(&self, id: &str, order: &Order) -> Result<Answer, OrderError> {
        self.order(id, || Payout::hold, order).await
    }

    /// Lets a payout that was held back go on.
    ///
    /// # Errors
    /// As [`PayoutClient::cancel`].
    pub async fn release(&self, id: &str, release: &Release) -> Result<Answer, OrderError> {
        self.order(id, || Payout::release, release).await
    }

    /// Hands in a person's signed approval or denial, see [`crate::Signer::approval`].
    ///
    /// # Errors
    /// As [`PayoutClient::cancel`].
    pub async fn approve(&self, id: &str, approval: &Signed) -> Result<Answer, OrderError> {
        self.order(id, || Payout::approval, approval).await
    }

    /// Decides about a payout in doubt.
    ///
    /// # Errors
    /// As [`PayoutClient::cancel`].
    pub async fn resolve(&self, id: &str, resolve: &Resolve) -> Result<Answer, OrderError> {
        self.order(id, || Payout::resolve, resolve).await
    }

    async fn order<U>(&self, id: &str, update: impl Fn() -> U, order: &impl Serialize) -> Result<Answer, OrderError>
    where
        U: UpdateDefinition<Workflow = <Payout as HasWorkflowDefinition>::Run, Input = RawValue, Output = Answer>,
    {
        let (workflow_id, _) = self.find(id).await?;
        let payout: WorkflowHandle<_, Payout> = self.temporal.get_workflow_handle(workflow_id.clone());
        let json = serde_json::to_value(order).map_err(|error| OrderError::Malformed { why: error.to_string() })?;
        let tries = async {
            loop {
                let input = RawValue::from_value(&json, self.temporal.data_converter().payload_converter());
                let call = payout.execute_update(update(), input, WorkflowExecuteUpdateOptions::default());
                match call.await {
                    // Something else arrived at the same moment and the server starts that task anew, or the run has
                    // just ended: asking again tells which. An order given twice is one order.
                    Err(WorkflowUpdateError::Rpc(status)) if came_in_between(&status) => {
                        tokio::time::sleep(BETWEEN_TRIES).await;
                    }
                    answer => break answer,
                }
            }
        };
        match tokio::time::timeout(ANSWER_WITHIN, tries).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(WorkflowUpdateError::Failed(failure))) => {
                Err(OrderError::Malformed { why: self.readable(*failure).await })
            }
            Ok(Err(WorkflowUpdateError::NotFound(_))) => Err(self.why_not_open(id, workflow_id).await.into()),
            Ok(Err(WorkflowUpdateError::Rpc(status))) => {
                Err(ReadError::from(Unavailable::because(format!("order something of {workflow_id}"), &status)).into())
            }
            Ok(Err(error)) => Err(ReadError::Unreadable { workflow_id, why: error.to_string() }.into()),
            Err(_) => Err(ReadError::NoWorker { workflow_id }.into()),
        }
    }

    /// What a rejection says, which arrives encrypted where there are keys.
    async fn readable(&self, failure: Failure) -> String {
        let converter = self.temporal.data_converter();
        let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
        let mut decoded = failure.clone();
        if decode_payloads(&mut decoded, converter.codec(), &context).await.is_err() {
            return failure.message;
        }
        let error = converter.failure_converter().to_error(decoded, converter.payload_converter(), &context);
        error.map_or(failure.message, |error| error.to_string())
    }

    /// Temporal takes no orders for a run that is closed.
    async fn why_not_open(&self, id: &str, workflow_id: String) -> ReadError {
        match self.status(id).await {
            Ok(status) => match status.outcome {
                Some(outcome) => ReadError::Over {
                    workflow_id,
                    how: format!("{}, {}", outcome.ending.stage().as_str(), outcome.reason),
                },
                None => ReadError::Unreadable { workflow_id, why: "it has just changed; ask again".into() },
            },
            Err(error) => error,
        }
    }

    /// Opens and starts the next attempt at a payout, once it is proven that the last one cannot pay any more.
    ///
    /// # Errors
    /// When there is no answer; asking again is safe, and finds an attempt that was opened meanwhile.
    pub async fn retry(&self, id: &str, order: &Order, signed: Option<Signed>) -> Result<Retried, RetryError> {
        let external = ExternalId::parse(id)
            .map_err(|expected| RetryError::Malformed { why: format!("id: expected {expected}") })?;
        let key = PayoutKey::of(&external);
        let attempt = format!("open another attempt at payout {key}");
        let order = RetryOrder { external_id: id.to_owned(), by: order.by.clone(), why: order.why.clone(), signed };
        let options = WorkflowStartOptions::new(names::QUEUE, format!("retry-{key}"))
            .id_reuse_policy(WorkflowIdReusePolicy::AllowDuplicate)
            .id_conflict_policy(WorkflowIdConflictPolicy::UseExisting)
            .static_summary(format!("another attempt at payout {key}"))
            .build();
        let input = RawValue::from_value(&order, self.temporal.data_converter().payload_converter());
        let run = self
            .temporal
            .start_workflow(PayoutRetry::run, input, options)
            .await
            .map_err(|error| Unavailable::new(attempt.clone(), error.to_string()))?;
        let Ok(result) = tokio::time::timeout(PROVEN_WITHIN, run.get_result(Default::default())).await else {
            return Err(RetryError::NotProven { why: "no worker has answered; is one running?".into() });
        };
        let opening = match result.map_err(no_result) {
            Ok(opening) => opening,
            Err(NoResult::Ended(failure)) => {
                return Err(match failure {
                    crate::errors::RunFailure::Refused(why) | crate::errors::RunFailure::Conflict(why) => {
                        RetryError::NotProven { why }
                    }
                    crate::errors::RunFailure::Terminated(how) => {
                        RetryError::NotProven { why: format!("the check was {how}") }
                    }
                });
            }
            Err(NoResult::NotFound) => return Err(Unavailable::new(attempt, "its run is gone").into()),
            Err(NoResult::Unreadable(why)) => return Err(Unavailable::new(attempt, why).into()),
            Err(NoResult::Unavailable(unavailable)) => return Err(unavailable.into()),
        };
        Ok(match opening {
            AttemptOpening::Opened { request } => Retried::Started(self.start(&request).await?),
            AttemptOpening::UnderWay { request } => Retried::UnderWay(self.start(&request).await?),
            AttemptOpening::Refused { why } => Retried::Refused { why },
        })
    }
}
