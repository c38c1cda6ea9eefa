//! Another attempt: only when it is proven that the one before cannot pay any more, and only one at a time.

use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;
use remit::dev::Options;
use remit_client::{Order, Retried, Status};
use remit_domain::{Ending, Stage};
use remit_workflows::{
    names,
    retry::{PayoutRetry, RetryOrder},
};
use serde_json::json;
use temporalio_client::{NamespacedClient, WorkflowStartOptions};
use temporalio_common::data_converters::RawValue;

use crate::harness::{People, STANDARD, World, order, quick};

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_failed_is_paid_by_its_second_attempt_and_by_that_alone() -> Result<()> {
    let world = World::new().await?;
    let client = world.system.client();
    world.start("retry-1", "1000000091").await?;
    assert_eq!(world.outcome("retry-1").await?.ending, Ending::Failed);

    // Eight people at once: one attempt.
    let asked =
        join_all((0..8).map(|_| async { client.retry("retry-1", &order("provider is back"), None).await })).await;
    let mut keys = Vec::new();
    for answer in asked {
        match answer? {
            Retried::Started(started) | Retried::UnderWay(started) => keys.push(started.key.to_string()),
            Retried::Refused { why } => panic!("{why}"),
        }
    }
    keys.dedup();
    assert_eq!(keys, ["retry-1-retry-1"]);
    // Asking for the id means its newest attempt.
    let newest = world.status_when("retry-1", "the attempt", |s: &Status| s.request.attempt.number() == 2).await?;
    assert_eq!(newest.key.as_str(), "retry-1-retry-1");
    // The magic digits make it fail again: a third attempt may follow.
    assert_eq!(world.outcome("retry-1").await?.ending, Ending::Failed);
    assert_eq!(world.total("retry-1-retry-1", "createsAccepted").await?, 1);
    assert!(
        matches!(client.retry("retry-1", &order("once more"), None).await?, Retried::Started(s) if s.key.as_str() == "retry-1-retry-2")
    );
    world.outcome("retry-1").await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_was_opened_and_never_started_is_started_by_asking_again() -> Result<()> {
    let people = People::new(&["ana", "ben"])?;
    let world =
        World::with(Options { cadence: quick(), policy: people.policy(STANDARD), ..Options::default() }).await?;
    let client = world.system.client();
    world.start("opened-1", "1000000091").await?;
    assert_eq!(world.outcome("opened-1").await?.ending, Ending::Failed);

    // Whoever asked is gone before they start what was opened for them.
    let order = Order { by: "ana".into(), why: "the bank is back".into() };
    let expires = world.system.records().now().await? + Duration::from_secs(600);
    let signed = people.signer("ana")?.order(client.namespace(), "opened-1", "retry", "", &order, expires);
    let asked = RetryOrder {
        external_id: "opened-1".into(),
        by: order.by.clone(),
        why: order.why.clone(),
        signed: Some(signed.clone()),
    };
    let input = RawValue::from_value(&asked, client.temporal().data_converter().payload_converter());
    let options = WorkflowStartOptions::new(names::QUEUE, "retry-opened-1").build();
    client.temporal().start_workflow(PayoutRetry::run, input, options).await?.get_result(Default::default()).await?;
    assert_eq!(world.system.records().newest_attempt("opened-1").await?.map(|row| row.attempt), Some(2));

    // Signed for the only attempt that has a run, which is what `remit payout retry` sees.
    let again = client.retry("opened-1", &order, Some(signed.clone())).await?;
    assert!(matches!(&again, Retried::UnderWay(it) if it.key.as_str() == "opened-1-retry-1"), "{again:?}");
    world
        .status_when("opened-1", "its end", |s: &Status| s.request.attempt.number() == 2 && s.outcome.is_some())
        .await?;
    assert_eq!(world.total("opened-1-retry-1", "createsAccepted").await?, 1);

    // That order opens nothing more.
    let once_more = client.retry("opened-1", &order, Some(signed)).await?;
    assert!(matches!(&once_more, Retried::Refused { why } if why.contains("another order")), "{once_more:?}");
    assert_eq!(world.system.records().newest_attempt("opened-1").await?.map(|row| row.attempt), Some(2));
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_attempt_follows_one_that_was_paid_goes_on_or_may_still_pay() -> Result<()> {
    let world = World::new().await?;
    let client = world.system.client();
    let refused = async |id: &str| -> Result<String> {
        match client.retry(id, &order("impatient"), None).await? {
            Retried::Refused { why } => Ok(why),
            other @ (Retried::Started(_) | Retried::UnderWay(_)) => anyhow::bail!("{id}: {other:?}"),
        }
    };
    world.start("paid-1", "1000000000").await?;
    assert_eq!(world.outcome("paid-1").await?.ending, Ending::Completed);
    assert!(refused("paid-1").await?.contains("has been paid"));

    world.start("open-1", "1000000099").await?;
    world.status_when("open-1", "the wait", |status| status.stage == Stage::AwaitingInstructions).await?;
    assert!(refused("open-1").await?.contains("not over"));
    assert!(refused("never-started").await?.contains("there is no payout"));

    // Called off, so that its gate is closed and was never taken: another may follow at once.
    client.cancel("open-1", &order("start over")).await?;
    assert_eq!(world.outcome("open-1").await?.ending, Ending::Canceled);
    assert!(matches!(client.retry("open-1", &order("now"), None).await?, Retried::Started(_)));
    world
        .status_when("open-1", "the second wait", |s| s.request.attempt.number() == 2 && s.waits_for.is_some())
        .await?;
    world.instruct("open-1-retry-1").await?;
    assert_eq!(world.outcome("open-1").await?.ending, Ending::Completed);
    world.paid_exactly_once("open-1-retry-1").await?;
    assert_eq!(world.total("open-1", "confirmCalls").await?, 0);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_nobody_has_opened_is_refused() -> Result<()> {
    let world = World::new().await?;
    let mut json = serde_json::to_value(world.request("unopened-1", "1000000000")?)?;
    json["attempt"] = json!(2);
    let refused = world.system.client().start_json(&json).await;
    assert!(matches!(&refused, Err(remit_client::StartError::Refused { why }) if why.contains("retry")), "{refused:?}");
    assert_eq!(world.ledger("unopened-1-retry-1").await?["payouts"], json!([]));
    world.end().await
}
