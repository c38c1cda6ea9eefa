//! Watches the beginning of a run until its id is claimed: by the history as it grows, without asking again and again.

use std::time::Duration;

use futures::StreamExt;
use remit_workflows::{Payout, names};
use temporalio_client::{WorkflowExecutionInfo, WorkflowFetchHistoryOptions, WorkflowHandle};
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

use crate::{
    Claimed, PayoutClient,
    errors::{NoResult, RunFailure, no_result},
};

/// Longer than a worker at hand needs, short enough for a caller to wait.
const WATCH: Duration = Duration::from_secs(3);

impl PayoutClient {
    /// Whether the run has claimed its id; how it failed when it did instead.
    pub(crate) async fn watch_claim(&self, workflow_id: &str, run_id: &str) -> Result<Claimed, RunFailure> {
        let info = WorkflowExecutionInfo::builder()
            .namespace(self.namespace())
            .workflow_id(workflow_id)
            .run_id(run_id)
            .build();
        let run: WorkflowHandle<_, Payout> = WorkflowHandle::new(self.temporal.clone(), info);
        let mut events = run.fetch_history(WorkflowFetchHistoryOptions::builder().wait_new_event(true).build());
        let decided = async {
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => match event.attributes.as_ref().and_then(told_by) {
                        Some(Told::Claimed) => return Claimed::Yes,
                        Some(Told::Failed) => break,
                        None => {}
                    },
                    Err(error) => {
                        tracing::debug!("cannot watch {workflow_id}: {error}");
                        return Claimed::NotYet;
                    }
                }
            }
            Claimed::NotYet
        };
        // Started it is, whatever can be seen of it.
        match tokio::time::timeout(WATCH, decided).await {
            Ok(Claimed::Yes) => return Ok(Claimed::Yes),
            Err(_) => return Ok(Claimed::NotYet),
            Ok(Claimed::NotYet) => {}
        }
        match tokio::time::timeout(WATCH, run.get_result(Default::default())).await {
            Ok(Ok(_)) => Ok(Claimed::Yes),
            Ok(Err(error)) => match no_result(error) {
                NoResult::Ended(failure) => Err(failure),
                NoResult::NotFound | NoResult::Unreadable(_) | NoResult::Unavailable(_) => Ok(Claimed::NotYet),
            },
            Err(_) => Ok(Claimed::NotYet),
        }
    }
}

enum Told {
    Claimed,
    Failed,
}

/// Claiming is the first thing a run does: whatever it asks for after that, or a result, says that it succeeded.
fn told_by(event: &Attributes) -> Option<Told> {
    if let Attributes::ActivityTaskScheduledEventAttributes(scheduled) = event {
        let activity = scheduled.activity_type.as_ref().map(|activity| activity.name.as_str());
        return (activity != Some(names::CLAIM_PAYOUT)).then_some(Told::Claimed);
    }
    if let Attributes::WorkflowExecutionCompletedEventAttributes(_) = event {
        return Some(Told::Claimed);
    }
    let ended = matches!(
        event,
        Attributes::WorkflowExecutionFailedEventAttributes(_)
            | Attributes::WorkflowExecutionTimedOutEventAttributes(_)
            | Attributes::WorkflowExecutionTerminatedEventAttributes(_)
            | Attributes::WorkflowExecutionCanceledEventAttributes(_)
    );
    ended.then_some(Told::Failed)
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::{
        common::v1::ActivityType,
        history::v1::{
            ActivityTaskScheduledEventAttributes, WorkflowExecutionFailedEventAttributes,
            WorkflowTaskStartedEventAttributes,
        },
    };

    use super::*;

    fn asks_for(activity: &str) -> Attributes {
        Attributes::ActivityTaskScheduledEventAttributes(ActivityTaskScheduledEventAttributes {
            activity_type: Some(ActivityType { name: activity.into() }),
            ..Default::default()
        })
    }

    #[test]
    fn only_what_comes_after_the_claim_says_that_it_succeeded() {
        assert!(told_by(&asks_for(names::CLAIM_PAYOUT)).is_none());
        for after in [names::QUOTE_PAYOUT, names::READ_PAYOUT, names::RECORD_OUTCOME] {
            assert!(matches!(told_by(&asks_for(after)), Some(Told::Claimed)), "{after}");
        }
        let task = WorkflowTaskStartedEventAttributes::default();
        assert!(told_by(&Attributes::WorkflowTaskStartedEventAttributes(task)).is_none());
        let failed = WorkflowExecutionFailedEventAttributes::default();
        let failed = Attributes::WorkflowExecutionFailedEventAttributes(failed);
        assert!(matches!(told_by(&failed), Some(Told::Failed)));
    }
}
