//! Why an answer is sad, or why there is none; and how a run that did not complete tells which.

use remit_domain::{PayoutKey, Refusal};
use remit_workflows::{NAME_IN_CLEAR, names};
use temporalio_client::{
    errors::WorkflowGetResultError,
    tonic::{Code, Status},
};
use temporalio_common::error::IncomingError;

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The request is not one; nothing was sent.
    #[error("the request is refused: {0}")]
    Invalid(#[from] Refusal),
    /// It says who is paid, and Temporal would keep that in clear; nothing was sent.
    #[error("the request is refused: destination.beneficiaryName: {NAME_IN_CLEAR}")]
    NameInClear,
    /// The payout's workflow refused its input.
    #[error("the request is refused: {why}")]
    Refused {
        /// Why.
        why: String,
    },
    /// The id belongs to another request. Nothing was started, and nothing will be paid for this one.
    #[error("the id of payout {key} was used before for another request{}; nothing was started", differing(.differs))]
    Conflict {
        /// The key both have.
        key: PayoutKey,
        /// The top-level fields that differ. Empty when only the records know of the other request.
        differs: Vec<String>,
    },
    /// A run with this id exists and cannot be compared with the request.
    #[error(
        "workflow {workflow_id} exists already and its input cannot be read: {why}; look at it before anything is started under this id"
    )]
    Unreadable {
        /// The workflow that exists.
        workflow_id: String,
        /// What stands in the way.
        why: String,
    },
    /// No answer. The same call may be made again.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a payout cannot be read, or how its run ended without an outcome.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The id cannot be one.
    #[error("{id:?} is no id of a payout; expected 1 to 255 bytes of text")]
    BadId {
        /// What was given.
        id: String,
    },
    /// Temporal has no such payout: never started, or older than its retention.
    #[error(
        "no payout {id:?} in Temporal's namespace {namespace:?}: never started, or over for longer than it is kept there"
    )]
    NotFound {
        /// What was given.
        id: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// The run refused its input. It may be corrected and started again under the same id.
    #[error("{workflow_id} refused its input: {why}")]
    Refused {
        /// The workflow.
        workflow_id: String,
        /// Why.
        why: String,
    },
    /// The run found that its id belongs to another request.
    #[error("{workflow_id} stopped: {why}")]
    Conflict {
        /// The workflow.
        workflow_id: String,
        /// Why.
        why: String,
    },
    /// The run was ended from outside. Starting the same request again takes it up where it was left.
    #[error("{workflow_id} was {how} in Temporal; start the same request again to take it up where it was left")]
    Terminated {
        /// The workflow.
        workflow_id: String,
        /// By what.
        how: String,
    },
    /// It is over: nothing can be ordered any more.
    #[error("{workflow_id} is over: {how}")]
    Over {
        /// The workflow.
        workflow_id: String,
        /// How it ended.
        how: String,
    },
    /// Temporal has it, but no worker answers for it.
    #[error("no worker answers for {workflow_id}; start one with `remit worker`")]
    NoWorker {
        /// The workflow.
        workflow_id: String,
    },
    /// It answers in a way this build does not understand.
    #[error("what {workflow_id} answers cannot be read: {why}")]
    Unreadable {
        /// The workflow.
        workflow_id: String,
        /// What stands in the way.
        why: String,
    },
    /// No answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Temporal gave no usable answer. Asking again is safe.
#[derive(Debug, thiserror::Error)]
#[error("cannot {attempt}: {why}")]
pub struct Unavailable {
    attempt: String,
    why: String,
}

impl Unavailable {
    /// `attempt` completes "cannot …", `why` says what stood in the way.
    pub fn new(attempt: impl Into<String>, why: impl Into<String>) -> Self {
        Self { attempt: attempt.into(), why: why.into() }
    }

    /// What was attempted, what the server said, and what to do where that is known.
    pub(crate) fn because(attempt: impl Into<String>, status: &Status) -> Self {
        let said = status.message();
        // Codes that nothing can be added to stand for themselves.
        let advice = if [Code::Unauthenticated, Code::PermissionDenied].contains(&status.code()) {
            "Temporal does not accept our credentials"
        } else if names_the_namespace(status) {
            "create the namespace, or name another in TEMPORAL_NAMESPACE"
        } else if status.code() == Code::InvalidArgument && said.contains("has no mapping defined") {
            "a search attribute is not registered; a worker that starts registers it, or see the documentation for Temporal Cloud"
        } else if [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled].contains(&status.code()) {
            "Temporal does not answer"
        } else {
            return Self::new(attempt, format!("Temporal says {:?}: {said}", status.code()));
        };
        Self::new(attempt, format!("{advice} ({said})"))
    }
}

/// The server uses one code for a workflow and for a namespace that is not there.
pub(crate) fn names_the_namespace(status: &Status) -> bool {
    status.code() == Code::NotFound && status.message().starts_with("Namespace ")
}

/// How a run ended that did not complete.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RunFailure {
    Refused(String),
    Conflict(String),
    Terminated(String),
}

impl RunFailure {
    pub(crate) fn into_read_error(self, workflow_id: String) -> ReadError {
        match self {
            Self::Refused(why) => ReadError::Refused { workflow_id, why },
            Self::Conflict(why) => ReadError::Conflict { workflow_id, why },
            Self::Terminated(how) => ReadError::Terminated { workflow_id, how },
        }
    }
}

/// Why a run gave no result.
pub(crate) enum NoResult {
    Ended(RunFailure),
    NotFound,
    Unreadable(String),
    Unavailable(Unavailable),
}

pub(crate) fn no_result(error: WorkflowGetResultError) -> NoResult {
    const ATTEMPT: &str = "read how the payout ended";
    match error {
        WorkflowGetResultError::Failed(failure) => NoResult::Ended(of_failure(&failure)),
        WorkflowGetResultError::Cancelled { .. } => NoResult::Ended(RunFailure::Terminated("cancelled".into())),
        WorkflowGetResultError::Terminated { .. } => NoResult::Ended(RunFailure::Terminated("terminated".into())),
        WorkflowGetResultError::TimedOut => NoResult::Ended(RunFailure::Terminated("timed out".into())),
        WorkflowGetResultError::NotFound(status) if names_the_namespace(&status) => {
            NoResult::Unavailable(Unavailable::because(ATTEMPT, &status))
        }
        WorkflowGetResultError::NotFound(_) => NoResult::NotFound,
        WorkflowGetResultError::PayloadConversion(error) => NoResult::Unreadable(error.to_string()),
        WorkflowGetResultError::Rpc(status) => NoResult::Unavailable(Unavailable::because(ATTEMPT, &status)),
        WorkflowGetResultError::ContinuedAsNew | WorkflowGetResultError::Other(_) => {
            NoResult::Unreadable(error.to_string())
        }
        // What a newer SDK may add.
        _ => NoResult::Unreadable(error.to_string()),
    }
}

/// A run fails for refused input only; the type of the failure says which refusal.
fn of_failure(failure: &IncomingError) -> RunFailure {
    let IncomingError::Application(application) = failure else { return RunFailure::Refused(failure.to_string()) };
    match application.type_name() {
        Some(names::ERROR_CONFLICT) => RunFailure::Conflict(application.to_string()),
        _ => RunFailure::Refused(application.to_string()),
    }
}

fn differing(fields: &[String]) -> String {
    if fields.is_empty() { String::new() } else { format!(" (these differ: {})", fields.join(", ")) }
}

#[cfg(test)]
mod tests {
    use remit_domain::ExternalId;
    use temporalio_common::error::ApplicationFailure;

    use super::*;

    #[test]
    fn a_conflict_names_what_differs_where_that_is_known() {
        let key = PayoutKey::of(&ExternalId::parse("invoice-1").expect("an id"));
        let known = StartError::Conflict { key: key.clone(), differs: vec!["amount".into(), "destination".into()] };
        assert_eq!(
            known.to_string(),
            "the id of payout invoice-1 was used before for another request (these differ: amount, destination); \
             nothing was started"
        );
        let unknown = StartError::Conflict { key, differs: vec![] }.to_string();
        assert!(unknown.ends_with("for another request; nothing was started"), "{unknown}");
    }

    #[test]
    fn a_failed_run_says_whether_it_refused_or_conflicts() {
        let failure = |kind: &str| {
            let failure = ApplicationFailure::builder("because").type_name(kind.to_owned()).build();
            of_failure(&IncomingError::Application(failure))
        };
        assert_eq!(failure(names::ERROR_CONFLICT), RunFailure::Conflict("because".into()));
        assert_eq!(failure(names::ERROR_REFUSED), RunFailure::Refused("because".into()));
        assert_eq!(failure("somebody.elses"), RunFailure::Refused("because".into()));
    }

    #[test]
    fn what_the_server_says_comes_with_what_to_do() {
        let said = |status: Status| Unavailable::because("start payout a", &status).to_string();
        let away = said(Status::unavailable("tcp connect error"));
        assert_eq!(away, "cannot start payout a: Temporal does not answer (tcp connect error)");
        let namespace = said(Status::not_found("Namespace payouts is not found."));
        assert!(namespace.contains("TEMPORAL_NAMESPACE"), "{namespace}");
        let attribute = said(Status::invalid_argument("Namespace x has no mapping defined for search attribute Y"));
        assert!(attribute.contains("not registered"), "{attribute}");
        let other = said(Status::internal("oops"));
        assert_eq!(other, "cannot start payout a: Temporal says Internal: oops");
    }

    #[test]
    fn a_missing_namespace_is_not_a_missing_payout() {
        assert!(names_the_namespace(&Status::not_found("Namespace workflow is not found.")));
        assert!(!names_the_namespace(&Status::not_found("workflow not found for ID: payout-Namespace ")));
    }
}
