//! A run that was asked something is forgotten afterwards, and replayed when something happens to it.
//!
//! A query that comes alone may reach a worker that does not know the run, with a history that goes on after its last
//! workflow task. SDK core 0.10 works through those events as if a workflow task had come, and keeps the run. When the
//! task does come, its own new events are worked through in an activation of their own, while a replay takes both
//! together. What the run decided then differs from every replay of it (`[TMPRL1100]`), and it stands still for ever.
//! Without memory of what the query showed it, the run takes the way of a replay from the start.
//! What else there was: docs/decisions/0012-forgotten-after-a-query.md.

use std::sync::Arc;

use temporalio_common::protos::coresdk::workflow_activation::{WorkflowActivation, workflow_activation_job::Variant};
use temporalio_sdk::{interceptors::WorkerInterceptor, runtime::CoreWorker};

/// How core names a query that came without a workflow task (`LEGACY_QUERY_ID`, not public).
const ALONE: &str = "legacy_query";

/// Has core forget a run once its query is answered.
pub(crate) struct ForgetAsked {
    core: Arc<CoreWorker>,
}

impl ForgetAsked {
    pub(crate) fn new(core: Arc<CoreWorker>) -> Self {
        Self { core }
    }
}

#[async_trait::async_trait(?Send)]
impl WorkerInterceptor for ForgetAsked {
    async fn on_workflow_activation(&self, activation: &WorkflowActivation) -> Result<(), anyhow::Error> {
        if is_a_query_alone(activation) {
            // Core answers first, evicts then, and keeps what comes in between until it has.
            self.core.request_workflow_eviction(&activation.run_id);
        }
        Ok(())
    }
}

fn is_a_query_alone(activation: &WorkflowActivation) -> bool {
    activation.jobs.iter().any(|job| match &job.variant {
        Some(Variant::QueryWorkflow(query)) => query.query_id == ALONE,
        Some(_) | None => false,
    })
}
