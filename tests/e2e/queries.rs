//! Questions about a payout, asked at a bad moment.

use anyhow::Result;
use remit::dev::{Begin, Options};
use remit_client::{About, ProviderEvent, Verdict};
use remit_domain::{Ending, Stage};
use remit_workflows::Payout;
use serde_json::json;

use crate::harness::{World, order, rarely};

/// Core works through what came after the last workflow task when a question reaches a worker that does not know the
/// run. Were the run kept so, what it decides next would differ from every replay of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_asked_while_something_happens_does_not_make_a_payout_stand_still() -> Result<()> {
    let slow = json!({"delays": {"instructions": 86_400_000}});
    let options = Options { cadence: rarely(), organisation: slow, worker: Begin::Later, ..Options::default() };
    let world = World::with(options).await?;
    let client = world.system.client();
    let one_cache = [("REMIT_WORKER_SHARDS", "1")];
    let first = world.worker_with(&one_cache)?;
    world.start("asked-1", "1000000000").await?;
    world.status_when("asked-1", "the wait", |status| status.stage == Stage::AwaitingInstructions).await?;
    world.has_been_polled("asked-1").await?;

    // The question waits until Temporal takes the worker that knew the run for dead. The client would give up before.
    first.kill()?;
    let second = world.worker_with(&one_cache)?;
    let payout = client.temporal().get_workflow_handle::<Payout>("payout-asked-1");
    let question = tokio::spawn(async move { payout.query(Payout::status, (), Default::default()).await });
    // It must have reached Temporal before the event; if it ever has not, it is answered with the event's task, and
    // nothing is shown.
    for _ in 0..20 {
        client.describe("asked-1").await?;
    }
    let event = ProviderEvent {
        about: About::Instructions,
        object: "pyt-1".to_owned(),
        state: "one".to_owned(),
        key: Some("asked-1".to_owned()),
    };
    client.nudge("asked-1", &event, "n-1").await?;
    assert_eq!(question.await??.stage, Stage::AwaitingInstructions);
    assert_eq!(client.hold("asked-1", &order("look")).await?.answer, Verdict::Accepted);

    // Taken over once more: all of it is replayed.
    second.kill()?;
    let third = world.worker_with(&one_cache)?;
    assert_eq!(client.cancel("asked-1", &order("not needed")).await?.answer, Verdict::Accepted);
    assert_eq!(world.outcome("asked-1").await?.ending, Ending::Canceled);
    world.no_task_failed("asked-1").await?;
    third.kill()?;
    world.end().await
}
