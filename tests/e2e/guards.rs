//! Quotes lock nothing: what a request demands of them is checked at the start and again just before Confirm.

use anyhow::Result;
use remit::dev::Options;
use remit_client::{Status, Verdict};
use remit_domain::{Ending, Money, PayoutRequest, Stage};
use serde_json::{Value, json};

use crate::harness::{People, STANDARD, World, go_on, quick};

async fn start(world: &World, id: &str, units: &str, guards: Value) -> Result<PayoutRequest> {
    let mut json = serde_json::to_value(world.request(id, units)?)?;
    json["guards"] = guards;
    world.system.client().start_json(&json).await?;
    Ok(PayoutRequest::parse(&json)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_that_breaks_a_limit_at_the_start_creates_nothing() -> Result<()> {
    let world = World::new().await?;
    // The sandbox takes 1.45 %.
    for (id, units, guards) in [
        ("guard-bps", "1000000000", json!({"feesAtMostBps": 144})),
        ("guard-fee", "1000000000", json!({"feesAtMost": "1.00"})),
        ("guard-least", "1000000000", json!({"receivesAtLeast": "1000000"})),
        // No offer keeps no limit.
        ("guard-none", "1000000096", json!({"feesAtMostBps": 10_000})),
    ] {
        start(&world, id, units, guards).await?;
        let outcome = world.outcome(id).await?;
        assert_eq!((outcome.ending, outcome.money), (Ending::Canceled, Money::Untouched), "{id}: {}", outcome.reason);
        assert!(outcome.reason.contains("limits"), "{}", outcome.reason);
        assert_eq!(world.total(id, "createCalls").await?, 0, "{id}");
    }
    start(&world, "guard-kept", "1000000000", json!({"feesAtMostBps": 145, "quoteAtMostSeconds": 60})).await?;
    assert_eq!(world.outcome("guard-kept").await?.ending, Ending::Completed);
    world.paid_exactly_once("guard-kept").await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_that_is_worse_just_before_confirm_cancels_the_payout_or_asks_a_person() -> Result<()> {
    let world = World::new().await?;
    let client = world.system.client();
    for id in ["worse-cancel", "worse-ask"] {
        let on_breach = if id == "worse-ask" { "ask" } else { "cancel" };
        start(&world, id, "1000000099", json!({"receivesAtLeast": "1", "onBreach": on_breach})).await?;
        world.status_when(id, "the wait", |status: &Status| status.waits_for.is_some()).await?;
        // The first quote had an offer, the fresh one has none.
        world.fault(json!({"kind": "quoteWithoutOffers", "times": 1})).await?;
        world.instruct(id).await?;
        let judged = |status: &Status| status.stage == Stage::NeedsPerson || status.outcome.is_some();
        world.status_when(id, "the fresh quote", judged).await?;
    }
    let outcome = world.outcome("worse-cancel").await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Canceled, Money::Untouched), "{}", outcome.reason);
    assert!(outcome.reason.contains("no offer"), "{}", outcome.reason);
    assert_eq!(world.ledger("worse-cancel").await?["payouts"][0]["status"], "Canceled");

    let status = world.in_doubt("worse-ask").await?;
    assert!(status.says.contains("no offer"), "{}", status.says);
    assert_eq!(world.total("worse-ask", "confirmCalls").await?, 0);
    assert_eq!(status.stage, Stage::NeedsPerson);
    assert_eq!(client.resolve("worse-ask", &go_on()).await?.answer, Verdict::Accepted);
    assert_eq!(world.outcome("worse-ask").await?.ending, Ending::Completed);
    world.paid_exactly_once("worse-ask").await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_for_a_better_quote_is_asked_for_again() -> Result<()> {
    let people = People::new(&["ana", "ben"])?;
    let policy = people.policy(STANDARD).replace("unsigned = \"refuse\"", "unsigned = \"allow\"");
    let world = World::with(Options { cadence: quick(), policy, ..Options::default() }).await?;
    start(&world, "again", "1600000099", json!({"receivesAtLeast": "1", "onBreach": "ask"})).await?;
    world.awaiting_approval("again").await?;
    assert_eq!(world.decide(&people, "ana", "again", "treasury", true).await?.answer, Verdict::Accepted);
    world.status_when("again", "the wait", |status| status.stage == Stage::AwaitingInstructions).await?;
    world.fault(json!({"kind": "quoteWithoutOffers", "times": 1})).await?;
    world.instruct("again").await?;
    world.in_doubt("again").await?;

    assert_eq!(world.system.client().resolve("again", &go_on()).await?.answer, Verdict::Accepted);
    let status = world.awaiting_approval("again").await?;
    let waits_for = status.waits_for.unwrap_or_default();
    assert!(waits_for.contains("treasury"), "{waits_for}");
    assert_eq!(world.total("again", "confirmCalls").await?, 0);
    assert_eq!(world.decide(&people, "ana", "again", "treasury", true).await?.answer, Verdict::Accepted);
    assert_eq!(world.outcome("again").await?.ending, Ending::Completed);
    world.paid_exactly_once("again").await?;
    world.no_task_failed("again").await?;
    world.end().await
}
