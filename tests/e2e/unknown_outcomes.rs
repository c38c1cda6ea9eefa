//! Answers that are lost, late, or lies: paid at most once, and never to another address.

use std::time::Duration;

use anyhow::{Context, Result};
use remit_client::{Status, Verdict, Whereabouts};
use remit_dfns::PayoutAction;
use remit_domain::{Ending, Money};
use serde_json::{Value, json};

use crate::harness::{World, give_up, go_on, payer, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_is_paid_once_even_if_an_answer_is_lost() -> Result<()> {
    let world = World::new().await?;
    let create = "POST /payouts";
    let confirm = "POST /payouts/*/action";
    let cases = [
        ("lost-create-after", json!({"kind": "cutConnection", "on": create, "when": "afterEffect"})),
        ("lost-create-before", json!({"kind": "cutConnection", "on": create, "when": "beforeEffect"})),
        ("lost-create-500", json!({"kind": "status", "status": 500, "on": create, "when": "afterEffect"})),
        ("lost-create-503", json!({"kind": "status", "status": 503, "on": create, "when": "beforeEffect"})),
        ("lost-confirm-after", json!({"kind": "cutConnection", "on": confirm, "when": "afterEffect"})),
        ("lost-confirm-500", json!({"kind": "status", "status": 500, "on": confirm, "when": "afterEffect"})),
        ("lost-confirm-empty", json!({"kind": "emptyBody", "on": confirm})),
        ("lost-webhook-address", json!({"kind": "wrongAddressInWebhook"})),
        ("lost-throttled", json!({"kind": "rateLimited", "on": create, "times": 2, "retryAfterSeconds": 1})),
        ("lost-unknown-word", json!({"kind": "unknownStatus", "on": "GET /payouts/*", "times": 2})),
    ];
    for (id, fault) in &cases {
        let mut fault = fault.clone();
        fault["externalId"] = Value::from(*id);
        world.fault(fault).await?;
        world.start(id, "1000000000").await?;
    }
    for (id, _) in &cases {
        let outcome = world.outcome(id).await?;
        assert_eq!(outcome.ending, Ending::Completed, "{id}: {}", outcome.reason);
        world.paid_exactly_once(id).await?;
    }
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_confirm_waits_until_reads_have_caught_up() -> Result<()> {
    let world = World::new().await?;
    let id = "lag-1";
    // The first Confirm acts and its answer is lost; reads show the old state for a while; a second would be accepted.
    for fault in [
        json!({"kind": "cutConnection", "on": "POST /payouts/*/action", "when": "afterEffect", "externalId": id}),
        json!({"kind": "twoConfirmsAccepted", "externalId": id, "times": 100}),
    ] {
        world.fault(fault).await?;
    }
    world.start(id, "1000000000").await?;
    world.total_is(id, "confirmsAccepted", 1).await?;
    world.fault(json!({"kind": "readsLag", "on": "GET /payouts/*", "ms": 8_000, "times": 1_000})).await?;
    until("the confirm to be tried again", async || {
        let described = world.system.client().describe(id).await?;
        let again = described.pending.iter().any(|call| call.activity.contains("confirm") && call.attempt > 1);
        let settling = world.system.client().status(id).await.is_ok_and(|s| s.stage == remit_domain::Stage::Settling);
        Ok((again || settling).then_some(()))
    })
    .await?;
    world.advance(id, Duration::from_secs(120)).await?;
    assert_eq!(world.outcome(id).await?.ending, Ending::Completed);
    world.paid_exactly_once(id).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_was_created_and_is_not_found_yet_asks_no_person() -> Result<()> {
    let world = World::new().await?;
    let id = "lag-2";
    // The answer to the create is lost; the next one names the payout, and reads do not know it yet.
    world
        .fault(json!({"kind": "cutConnection", "on": "POST /payouts", "when": "afterEffect", "externalId": id}))
        .await?;
    let lag = json!({"kind": "readsLag", "on": "GET /payouts/*", "ms": 3_600_000, "times": 1, "externalId": id});
    let lag = world.fault(lag).await?;
    world.start(id, "1000000000").await?;
    world.has_struck(&lag).await?;
    assert_eq!(world.outcome(id).await?.ending, Ending::Completed);
    let status = world.system.client().status(id).await?;
    let in_doubt = status.timeline.iter().any(|moment| moment.what.contains("not known"));
    assert!(!in_doubt, "{:#?}", status.timeline);
    world.paid_exactly_once(id).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_changes_before_confirm_is_not_paid_to() -> Result<()> {
    let world = World::new().await?;
    let id = "changed-1";
    world.fault(json!({"kind": "addressChangesAtConfirm", "externalId": id, "times": 100})).await?;
    world.start(id, "1000000000").await?;
    let status = world.in_doubt(id).await?;
    assert!(status.says.contains("depositAddress"), "{}", status.says);
    let resolve = give_up(Whereabouts::NotSent);
    assert_eq!(world.system.client().resolve(id, &resolve).await?.answer, Verdict::Accepted);
    let outcome = world.outcome(id).await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Canceled, Money::Untouched), "{}", outcome.reason);
    assert_eq!(outcome.decided, Some(resolve.order));
    assert_eq!(world.total(id, "confirmCalls").await?, 0);
    let gate = world.system.records().gate(id).await?.map(|state| state.gate);
    assert_eq!(gate, Some(remit_records::Gate::Closed));
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_changes_while_nobody_knows_of_the_confirm_is_not_paid_to_and_dfns_ends_it() -> Result<()> {
    let world = World::new().await?;
    let client = world.system.client();
    let id = "changed-2";
    let confirm = "POST /payouts/*/action";
    let unheard = json!({"kind": "status", "status": 503, "on": confirm, "when": "beforeEffect", "externalId": id});
    let unheard = world.fault(unheard).await?;
    world.start(id, "1000000000").await?;
    world.has_struck(&unheard).await?;
    world.fault(json!({"kind": "addressChangesAtConfirm", "externalId": id})).await?;

    let status = world.in_doubt(id).await?;
    assert!(status.says.contains("may have been sent") && status.says.contains("depositAddress"), "{}", status.says);
    let refused = client.resolve(id, &give_up(Whereabouts::NotSent)).await?;
    assert_eq!(refused.answer, Verdict::Refused, "{refused:?}");
    assert!(refused.says.contains("cancel it at Dfns"), "{}", refused.says);
    // Checking it again pays nobody else either.
    assert_eq!(client.resolve(id, &go_on()).await?.answer, Verdict::Accepted);
    let doubts = |status: &Status| status.timeline.iter().filter(|moment| moment.what.starts_with("in doubt")).count();
    world.status_when(id, "the second doubt", |status| doubts(status) == 2).await?;

    let payout = status.read.map(|view| view.payout).context("it has been read")?;
    payer(&world)?.payout_action(&payout, &PayoutAction::Cancel).await?;
    let outcome = world.outcome(id).await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Canceled, Money::Untouched), "{}", outcome.reason);
    assert_eq!(world.total(id, "confirmsAccepted").await?, 0);
    world.no_task_failed(id).await?;
    world.end().await
}
