//! Moves time for tests and demonstrations: a payout's workflow by the server's time skipping, together with the
//! clocks of its organisation in the sandbox and of the records.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::future::try_join_all;
use prost_wkt_types::FieldMask;
use remit_records::Records;
use temporalio_client::{
    Client, NamespacedClient, UntypedWorkflow, WorkflowDescribeOptions, WorkflowExecutionStatus,
    tonic::{Code, IntoRequest},
};
use temporalio_common::protos::temporal::api::{
    common::v1::{FastForwardConfig, TimeSkippingConfig, WorkflowExecution},
    enums::v1::FastForwardPollingResult,
    workflow::v1::WorkflowExecutionOptions,
    workflowservice::v1::{PollWorkflowExecutionTimeSkippingRequest, UpdateWorkflowExecutionOptionsRequest},
};
use uuid::Uuid;

use crate::dev::Organisation;

/// How long one step may really take.
const STEP_WITHIN: Duration = Duration::from_secs(60);
/// Time moves in about this many steps, none shorter or longer than the two below: the clocks go one after the other,
/// so a step is how far apart they get; and the server skips at most 200 timers in one.
const STEPS: u32 = 24;
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// What became of a workflow whose time was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It is there, and goes on in real time.
    Arrived,
    /// It ended on the way, or had ended before.
    Ended,
}

/// The clocks that go together.
pub struct Clocks<'a> {
    /// The server and namespace of the workflows.
    pub temporal: &'a Client,
    /// Whose clock the provider's side goes by.
    pub organisation: &'a Organisation,
    /// Whose clock limits go by.
    pub records: &'a Records,
}

impl Clocks<'_> {
    /// Moves these workflows, the organisation and the records ahead by `by`, in steps. In each step the provider's
    /// side goes first, so that what it does in that time is there to be read. Other workflows stay in real time,
    /// while the organisation's other payouts move with it.
    ///
    /// # Errors
    /// When the server does not know the workflow or cannot skip time, when a clock cannot be moved, or when a step
    /// takes longer than a minute.
    pub async fn advance(&self, workflow_ids: &[&str], by: Duration) -> Result<Vec<Moved>> {
        let step = (by / STEPS).clamp(SHORTEST, LONGEST);
        let mut moved = vec![Moved::Arrived; workflow_ids.len()];
        let mut left = by;
        while !left.is_zero() {
            let now = step.min(left);
            left -= now;
            self.organisation.advance(now).await?;
            self.records.shift_clock(now).await.context("cannot move the clock of the records")?;
            let forward = workflow_ids.iter().zip(&moved).map(|(id, so_far)| async move {
                match so_far {
                    Moved::Arrived => fast_forward(self.temporal, id, now).await,
                    Moved::Ended => Ok(Moved::Ended),
                }
            });
            moved = try_join_all(forward).await?;
        }
        Ok(moved)
    }
}

/// Moves the clock of one running workflow; everything in it that falls due on the way happens.
///
/// # Errors
/// As [`Clocks::advance`].
pub async fn fast_forward(temporal: &Client, workflow_id: &str, by: Duration) -> Result<Moved> {
    let attempt = || format!("cannot move the time of workflow {workflow_id}");
    let execution = Some(WorkflowExecution { workflow_id: workflow_id.to_owned(), ..Default::default() });
    let step = Uuid::new_v4().to_string();
    let skipping = TimeSkippingConfig {
        enabled: true,
        fast_forward_config: Some(FastForwardConfig { id: step.clone(), duration: Some(by.try_into()?) }),
        ..Default::default()
    };
    let update = UpdateWorkflowExecutionOptionsRequest {
        namespace: temporal.namespace(),
        workflow_execution: execution.clone(),
        workflow_execution_options: Some(WorkflowExecutionOptions {
            time_skipping_config: Some(skipping),
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["time_skipping_config".to_owned()] }),
        ..Default::default()
    };
    let mut service = temporal.connection().workflow_service();
    match service.update_workflow_execution_options(update.into_request()).await {
        Ok(_) => {}
        // Said of an unknown workflow as well; the message tells the two apart.
        Err(status) if status.code() == Code::NotFound && status.message().contains("completed") => {
            return Ok(Moved::Ended);
        }
        Err(status) => return Err(status).with_context(attempt),
    }
    let deadline = Instant::now() + STEP_WITHIN;
    while Instant::now() < deadline {
        let poll = PollWorkflowExecutionTimeSkippingRequest {
            namespace: temporal.namespace(),
            workflow_execution: execution.clone(),
            fast_forward_id: step.clone(),
        };
        let answer = match service.poll_workflow_execution_time_skipping(poll.into_request()).await {
            Ok(answer) => answer.into_inner(),
            Err(status) if status.code() == Code::NotFound => return Ok(Moved::Ended),
            Err(status) if status.code() == Code::DeadlineExceeded => continue,
            Err(status) => return Err(status).with_context(attempt),
        };
        match answer.fast_forward_polling_result() {
            FastForwardPollingResult::FastForwardCompleted => return Ok(Moved::Arrived),
            FastForwardPollingResult::FastForwardFailed => {
                return has_ended(temporal, workflow_id, &answer.failed_reason).await.with_context(attempt);
            }
            FastForwardPollingResult::PollTimeout | FastForwardPollingResult::Unspecified => {}
        }
    }
    bail!(
        "workflow {workflow_id} did not move {by:?} ahead within {} s: is an activity running, or a poll due more \
         than 200 times?",
        STEP_WITHIN.as_secs()
    )
}

/// A workflow that ends does not arrive; anything else that keeps it from arriving is an error.
async fn has_ended(temporal: &Client, workflow_id: &str, why: &str) -> Result<Moved> {
    let handle = temporal.get_workflow_handle::<UntypedWorkflow>(workflow_id);
    let description = handle.describe(WorkflowDescribeOptions::default()).await?;
    if description.status() == WorkflowExecutionStatus::Running {
        bail!("the server says: {why}");
    }
    Ok(Moved::Ended)
}
