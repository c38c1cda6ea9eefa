//! One business id, one payout: the same start again, at any time, by anyone.

use anyhow::Result;
use remit_client::{How, StartError};
use remit_domain::Ending;
use temporalio_client::{NamespacedClient, WorkflowTerminateOptions, tonic::IntoRequest};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, workflowservice::v1::DeleteWorkflowExecutionRequest,
};

use crate::harness::{World, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_start_is_the_same_payout_and_another_body_is_a_conflict() -> Result<()> {
    let world = World::new().await?;
    let client = world.system.client();
    let (request, other) = (world.request("same-1", "1000000000")?, world.request("same-1", "2000000000")?);
    let first = client.start(&request).await?;
    let again = client.start(&request).await?;
    assert_eq!((first.how, again.how), (How::New, How::Existing));
    assert_eq!(first.run_id, again.run_id);
    assert!(matches!(client.start(&other).await, Err(StartError::Conflict { differs, .. }) if differs == ["amount"]));
    let outcome = world.outcome("same-1").await?;
    // After the end as well.
    assert_eq!(client.start(&request).await?.how, How::Existing);
    assert!(matches!(client.start(&other).await, Err(StartError::Conflict { .. })));
    assert_eq!(world.outcome("same-1").await?, outcome);
    world.paid_exactly_once("same-1").await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_payout_is_taken_up_again_and_a_forgotten_one_is_never_paid_twice() -> Result<()> {
    let world = World::new().await?;
    let client = world.system.client();
    // Instructions come after an hour, or when pushed.
    let (request, other) = (world.request("again-1", "1000000099")?, world.request("again-1", "2000000099")?);
    let started = client.start(&request).await?;
    let waiting = |status: &remit_client::Status| status.waits_for.is_some();
    let payout = world.status_when("again-1", "the wait", waiting).await?.read.map(|view| view.payout);

    world.handle(&started.workflow_id).terminate(WorkflowTerminateOptions::default()).await?;
    assert!(matches!(client.start(&other).await, Err(StartError::Conflict { .. })));
    let again = client.start(&request).await?;
    assert_eq!(again.how, How::New);
    let status = world.status_when("again-1", "the wait", waiting).await?;
    assert_eq!(status.read.map(|view| view.payout), payout, "another payout was made");
    // The webhook's signal is what wakes it.
    world.instruct("again-1").await?;
    let outcome = world.outcome("again-1").await?;
    assert_eq!(outcome.ending, Ending::Completed);
    world.paid_exactly_once("again-1").await?;

    forget(&world, &started.workflow_id).await?;
    assert_eq!(client.start(&request).await?.how, How::New);
    assert_eq!(world.outcome("again-1").await?, outcome);
    forget(&world, &started.workflow_id).await?;
    let refused = client.start(&other).await;
    assert!(matches!(refused, Err(StartError::Conflict { .. })), "{refused:?}");
    // The conflict does not stand in the way of the rightful start.
    assert_eq!(client.start(&request).await?.how, How::New);
    assert_eq!(world.outcome("again-1").await?, outcome);
    assert_eq!(world.total("again-1", "createCalls").await?, 1);
    world.paid_exactly_once("again-1").await?;
    world.end().await
}

/// Deletes every run of a workflow from Temporal, as its retention would, and waits until they are gone.
async fn forget(world: &World, workflow_id: &str) -> Result<()> {
    let temporal = world.system.client().temporal();
    until("Temporal to forget the runs", async || {
        match world.handle(workflow_id).describe(Default::default()).await {
            Err(_) => return Ok(Some(())),
            Ok(run) => {
                let info = run.raw().workflow_execution_info.clone().unwrap_or_default();
                let execution = WorkflowExecution {
                    workflow_id: workflow_id.to_owned(),
                    run_id: info.execution.unwrap_or_default().run_id,
                };
                let request = DeleteWorkflowExecutionRequest {
                    namespace: temporal.namespace(),
                    workflow_execution: Some(execution),
                };
                let _ =
                    temporal.connection().workflow_service().delete_workflow_execution(request.into_request()).await;
            }
        }
        Ok(None)
    })
    .await
}
