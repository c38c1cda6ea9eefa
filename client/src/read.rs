//! Reads one payout: where it is, how it ended, what Temporal says of its run.

use std::time::{Duration, SystemTime};

use remit_domain::Outcome;
use remit_workflows::{Payout, search, status::Status};
use temporalio_client::{
    WorkflowExecutionDescription, WorkflowExecutionStatus,
    errors::{WorkflowInteractionError, WorkflowQueryError},
    tonic::{self, Code},
};

use crate::{
    Listed, PayoutClient, ReadError, RunStatus, Unavailable,
    errors::{NoResult, names_the_namespace, no_result},
    ids::{attempt_after, workflows_of},
    list::key_of,
};

/// A worker at hand answers in milliseconds, one that replays first in a second or two. Left alone, the server waits
/// half a minute for a worker that is not there.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What Temporal says of a payout's run, without any worker.
#[derive(Clone, Debug)]
pub struct Described {
    /// The run, as in a list.
    pub run: Listed,
    /// Whom the payout waits for, where that is somebody.
    pub waits_for: Option<String>,
    /// How many events its history has.
    pub events: usize,
    /// What it has asked for and not got yet.
    pub pending: Vec<PendingCall>,
}

/// An activity that is under way or waits to be tried again.
#[derive(Clone, Debug)]
pub struct PendingCall {
    /// Its name.
    pub activity: String,
    /// Which try this is, counted from 1.
    pub attempt: u32,
    /// What the last try came to.
    pub last_failure: Option<String>,
    /// When the next one is.
    pub next_attempt: Option<SystemTime>,
}

impl PayoutClient {
    /// Where a payout is, by the caller's id or the payout's key.
    ///
    /// # Errors
    /// How its run failed, that there is none, that no worker answers, or that Temporal does not.
    pub async fn status(&self, id: &str) -> Result<Status, ReadError> {
        let (workflow_id, description) = self.find(id).await?;
        let payout = self.temporal.get_workflow_handle::<Payout>(workflow_id.clone());
        if ended_without_outcome(description.status()) {
            return Err(match payout.get_result(Default::default()).await {
                // It was started again meanwhile.
                Ok(_) => ReadError::Unreadable { workflow_id, why: "it has just changed; ask again".into() },
                Err(error) => self.why_no_result(id, workflow_id, no_result(error)),
            });
        }
        let query = payout.query(Payout::status, (), Default::default());
        match tokio::time::timeout(ANSWER_WITHIN, query).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(error)) => Err(self.why_no_status(id, workflow_id, error)),
            Err(_) => Err(ReadError::NoWorker { workflow_id }),
        }
    }

    /// Waits for a payout to end, for as long as that takes: put a limit around it.
    ///
    /// # Errors
    /// How its run failed, that there is none, or that Temporal does not answer.
    pub async fn wait(&self, id: &str) -> Result<Outcome, ReadError> {
        let (workflow_id, _) = self.find(id).await?;
        let payout = self.temporal.get_workflow_handle::<Payout>(workflow_id.clone());
        let result = payout.get_result(Default::default()).await;
        result.map_err(|error| self.why_no_result(id, workflow_id, no_result(error)))
    }

    /// What Temporal knows of a payout's latest run. Needs no worker.
    ///
    /// # Errors
    /// That there is none, or that Temporal does not answer.
    pub async fn describe(&self, id: &str) -> Result<Described, ReadError> {
        let (_, description) = self.find(id).await?;
        Ok(described(&description))
    }

    /// The first of the workflows the id may mean that exists; of the caller's id, its newest attempt.
    pub(crate) async fn find(&self, id: &str) -> Result<(String, WorkflowExecutionDescription), ReadError> {
        for workflow_id in workflows_of(id)? {
            let Some(first) = self.look(&workflow_id).await? else { continue };
            let mut newest = (workflow_id.clone(), first);
            // An attempt follows only one that is over, so that a payout that goes on costs no further question.
            while newest.1.status() != WorkflowExecutionStatus::Running {
                let Some(next) = attempt_after(&newest.0) else { break };
                let Some(description) = self.look(&next).await? else { break };
                newest = (next, description);
            }
            return Ok(newest);
        }
        Err(self.not_found(id))
    }

    async fn look(&self, workflow_id: &str) -> Result<Option<WorkflowExecutionDescription>, ReadError> {
        let payout = self.temporal.get_workflow_handle::<Payout>(workflow_id.to_owned());
        match payout.describe(Default::default()).await {
            Ok(description) => Ok(Some(description)),
            Err(WorkflowInteractionError::NotFound(status)) if !names_the_namespace(&status) => Ok(None),
            Err(WorkflowInteractionError::NotFound(status) | WorkflowInteractionError::Rpc(status)) => {
                Err(Unavailable::because(format!("read {workflow_id}"), &status).into())
            }
            Err(error) => Err(ReadError::Unreadable { workflow_id: workflow_id.to_owned(), why: error.to_string() }),
        }
    }

    fn not_found(&self, id: &str) -> ReadError {
        ReadError::NotFound { id: id.to_owned(), namespace: self.namespace().to_owned() }
    }

    fn why_no_result(&self, id: &str, workflow_id: String, why: NoResult) -> ReadError {
        match why {
            NoResult::Ended(failure) => failure.into_read_error(workflow_id),
            NoResult::NotFound => self.not_found(id),
            NoResult::Unreadable(why) => ReadError::Unreadable { workflow_id, why },
            NoResult::Unavailable(unavailable) => unavailable.into(),
        }
    }

    fn why_no_status(&self, id: &str, workflow_id: String, error: WorkflowQueryError) -> ReadError {
        match error {
            WorkflowQueryError::NotFound(_) => self.not_found(id),
            WorkflowQueryError::Rpc(status) if says_no_worker(&status) => ReadError::NoWorker { workflow_id },
            // The payout's own refusal to answer, which is that of its input.
            WorkflowQueryError::Rpc(status) if status.code() == Code::InvalidArgument => {
                ReadError::Refused { workflow_id, why: status.message().to_owned() }
            }
            WorkflowQueryError::Rpc(status) => {
                Unavailable::because(format!("ask {workflow_id} for its status"), &status).into()
            }
            WorkflowQueryError::Rejected { .. }
            | WorkflowQueryError::PayloadConversion(_)
            | WorkflowQueryError::Other(_) => ReadError::Unreadable { workflow_id, why: error.to_string() },
            // What a newer SDK may add.
            _ => ReadError::Unreadable { workflow_id, why: error.to_string() },
        }
    }
}

/// "no poller seen for task queue recently", a deadline, or a workflow that no worker has ever looked at.
fn says_no_worker(status: &tonic::Status) -> bool {
    [Code::DeadlineExceeded, Code::Cancelled, Code::FailedPrecondition].contains(&status.code())
        || status.message().contains("no poller seen")
}

fn ended_without_outcome(status: WorkflowExecutionStatus) -> bool {
    use WorkflowExecutionStatus as S;
    [S::Failed, S::Terminated, S::TimedOut, S::Canceled].contains(&status)
}

fn described(description: &WorkflowExecutionDescription) -> Described {
    let attributes = description.search_attributes();
    let pending = description.raw().pending_activities.iter().map(|pending| PendingCall {
        activity: pending.activity_type.as_ref().map(|a| a.name.clone()).unwrap_or_default(),
        attempt: u32::try_from(pending.attempt).unwrap_or_default(),
        last_failure: pending.last_failure.as_ref().map(|failure| failure.message.clone()),
        next_attempt: pending.next_attempt_schedule_time.and_then(|time| SystemTime::try_from(time).ok()),
    });
    Described {
        run: Listed {
            workflow_id: description.id().to_owned(),
            key: key_of(description.id()),
            run_id: description.run_id().to_owned(),
            stage: attributes.get(&search::STAGE),
            program: attributes.get(&search::PROGRAM),
            wallet: attributes.get(&search::WALLET),
            asset: attributes.get(&search::ASSET),
            status: RunStatus::of(description.status()),
            started: description.start_time(),
            closed: description.close_time(),
        },
        waits_for: attributes.get(&search::WAITS_FOR),
        events: description.history_length(),
        pending: pending.collect(),
    }
}

#[cfg(test)]
mod tests {
    use temporalio_client::tonic::Status as Rpc;

    use super::*;

    #[test]
    fn a_missing_worker_is_told_apart_from_a_missing_server() {
        assert!(says_no_worker(&Rpc::failed_precondition(
            "no poller seen for task queue recently, worker may be down"
        )));
        assert!(says_no_worker(&Rpc::deadline_exceeded("context deadline exceeded")));
        assert!(says_no_worker(&Rpc::failed_precondition("workflow must handle at least one workflow task first")));
        assert!(!says_no_worker(&Rpc::unavailable("connection refused")));
        assert!(!says_no_worker(&Rpc::invalid_argument("the input is missing")));
    }

    #[test]
    fn a_run_that_still_goes_on_or_completed_is_asked_and_others_are_not() {
        use WorkflowExecutionStatus as S;
        for asked in [S::Running, S::Completed, S::Paused, S::Unknown] {
            assert!(!ended_without_outcome(asked), "{asked:?}");
        }
        for failed in [S::Failed, S::Terminated, S::TimedOut, S::Canceled] {
            assert!(ended_without_outcome(failed), "{failed:?}");
        }
    }
}
