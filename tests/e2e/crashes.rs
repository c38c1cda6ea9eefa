//! Processes that are killed, and gone for a while.

use anyhow::Result;
use remit::dev::{Begin, Options};
use remit_domain::Ending;
use serde_json::json;

use crate::harness::{Process, World, quick, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_between_create_and_confirm_and_between_confirm_and_settle_loses_nothing() -> Result<()> {
    // A day of the organisation's time: what the provider does next it does when it is pushed.
    let slow = json!({"delays": {"instructions": 86_400_000, "disbursement": 86_400_000}});
    let world =
        World::with(Options { cadence: quick(), organisation: slow, worker: Begin::Later, ..Options::default() })
            .await?;
    let worker = world.worker_process()?;
    world.start("killed-1", "1000000000").await?;

    world.total_is("killed-1", "createsAccepted", 1).await?;
    worker.kill()?;
    world.instruct("killed-1").await?;
    assert_eq!(world.total("killed-1", "confirmCalls").await?, 0);

    let worker = world.worker_process()?;
    world.total_is("killed-1", "confirmsAccepted", 1).await?;
    worker.kill()?;
    world.disburse("killed-1").await?;

    let worker = world.worker_process()?;
    assert_eq!(world.outcome("killed-1").await?.ending, Ending::Completed);
    world.paid_exactly_once("killed-1").await?;
    worker.kill()?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_holds_too_much_memory_begins_anew_and_payouts_go_on() -> Result<()> {
    let slow = json!({"delays": {"instructions": 86_400_000}});
    let world =
        World::with(Options { cadence: quick(), organisation: slow, worker: Begin::Later, ..Options::default() })
            .await?;
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("worker.log");
    let mut environment = world.system.environment().to_vec();
    // Less than it holds at once: it begins anew whenever it looks.
    environment.push(("REMIT_WORKER_MEMORY".to_owned(), "1".to_owned()));
    let worker = Process::logged(&["worker", "--admin", "127.0.0.1:0", "--log", "json"], &environment, &log)?;
    let begins = async |times: usize| {
        until("the worker to begin anew", async || {
            let text = std::fs::read_to_string(&log)?;
            Ok((text.matches("The worker polls").count() > times).then_some(()))
        })
        .await
    };
    world.start("anew-1", "1000000000").await?;
    world.total_is("anew-1", "createsAccepted", 1).await?;
    begins(1).await?;
    world.instruct("anew-1").await?;
    assert_eq!(world.outcome("anew-1").await?.ending, Ending::Completed);
    world.paid_exactly_once("anew-1").await?;
    world.no_task_failed("anew-1").await?;
    assert!(std::fs::read_to_string(&log)?.contains("drains, and begins anew"));
    // It is the same process still, and stops as one.
    begins(2).await?;
    worker.finish().await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_started_while_no_worker_runs_is_paid_once_one_does() -> Result<()> {
    let mut world = World::with(Options { cadence: quick(), worker: Begin::Later, ..Options::default() }).await?;
    world.start("later-1", "1000000000").await?;
    assert_eq!(world.ledger("later-1").await?["payouts"], json!([]));
    world.system.start_worker().await?;
    assert_eq!(world.outcome("later-1").await?.ending, Ending::Completed);
    world.paid_exactly_once("later-1").await?;
    world.end().await
}
