//! The ordinary course, and what it costs.

use std::time::Duration;

use anyhow::Result;
use remit::dev::{Begin, Options};
use remit_domain::{Ending, Money};
use reqwest::Method;
use serde_json::json;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

use crate::harness::{Cost, World, instructions_after, quick, rarely};

/// The row of the cost table with controls: events, Actions, requests to the provider.
const MOST: (usize, usize, u64) = (70, 16, 22);

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_runs_to_the_bank_within_its_cost() -> Result<()> {
    // The true cadence. Instructions come when they are pushed, after the first poll, so that the webhook finds them.
    let world = World::with(Options::default()).await?;
    world.start("cost-1", "1000000099").await?;
    world.has_been_polled("cost-1").await?;
    world.instruct("cost-1").await?;
    world.total_is("cost-1", "confirmsAccepted", 1).await?;
    world.advance("cost-1", Duration::from_secs(120)).await?;
    let outcome = world.outcome("cost-1").await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Completed, Money::Paid));
    assert!(outcome.quoted.is_some() && outcome.transaction_hash.is_some(), "{outcome:#?}");
    world.paid_exactly_once("cost-1").await?;

    let Cost { events, actions } = Cost::of(&world.history("cost-1").await?);
    let requests = world.system.organisation().control(Method::GET, "/requests", None).await?;
    let requests: u64 = requests["counts"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(route, _)| !route.contains("/webhooks"))
        .filter_map(|(_, count)| count.as_u64())
        .sum();
    // Making the webhook subscription was signed too: two requests that are not this payout's.
    let requests = requests - 2;
    println!("a payout on the main path: {events} events, {actions} Actions, {requests} requests to Dfns");
    assert!(events <= MOST.0, "{events} events");
    assert!(actions <= MOST.1, "{actions} Actions");
    assert!((5..=MOST.2).contains(&requests), "{requests} requests");
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_relay_down_the_poll_finds_it() -> Result<()> {
    let world = World::with(Options {
        cadence: quick(),
        organisation: instructions_after(1_200),
        relay: Begin::Later,
        ..Options::default()
    })
    .await?;
    world.start("poll-1", "1000000000").await?;
    assert_eq!(world.outcome("poll-1").await?.ending, Ending::Completed);
    world.paid_exactly_once("poll-1").await?;
    let found = "remit_action_required_found_total{by=\"poll\"}";
    assert_eq!(world.worker_metric(found).await?.as_deref(), Some("1"));
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_relay_up_the_webhook_finds_it_before_the_poll() -> Result<()> {
    let world = World::with(Options { cadence: rarely(), ..Options::default() }).await?;
    world.start("nudge-1", "1000000099").await?;
    world.has_been_polled("nudge-1").await?;
    world.instruct("nudge-1").await?;
    world.total_is("nudge-1", "confirmsAccepted", 1).await?;
    let found = "remit_action_required_found_total{by=\"nudge\"}";
    assert_eq!(world.worker_metric(found).await?.as_deref(), Some("1"));
    world.end().await
}

/// In Temporal smaller numbers go first, and one queue has them all.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_goes_before_what_begins() -> Result<()> {
    let world = World::with(Options { cadence: rarely(), ..Options::default() }).await?;
    let mut request = world.request("order-1", "1000000099")?;
    request.guards = Some(serde_json::from_value(json!({"receivesAtLeast": "1"}))?);
    world.system.client().start(&request).await?;
    world.has_been_polled("order-1").await?;
    world.instruct("order-1").await?;
    world.total_is("order-1", "confirmsAccepted", 1).await?;
    let history = world.history("order-1").await?;
    let calls = history.into_iter().filter_map(|event| match event.attributes {
        Some(Attributes::ActivityTaskScheduledEventAttributes(call)) => {
            Some((call.activity_type?.name, call.priority?.priority_key))
        }
        _ => None,
    });
    let calls: Vec<_> = calls.take(7).collect();
    let expected = [
        ("decide_payout", 3),
        ("quote_payout", 3),
        ("create_payout", 3),
        ("read_payout", 4),
        ("read_payout", 2),
        ("quote_payout", 2),
        ("confirm_payout", 1),
    ];
    assert_eq!(calls, expected.map(|(name, key)| (name.to_owned(), key)));
    world.end().await
}
