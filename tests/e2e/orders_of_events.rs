//! The five key events of a payout in every order, each once to three times: the same end, the same story.

use std::collections::BTreeSet;

use anyhow::Result;
use futures::future::try_join_all;
use remit::dev::{Begin, Options};
use remit_client::{About, ProviderEvent, Status};
use remit_domain::{Ending, Progress, Stage};
use serde_json::json;

use crate::harness::{World, quick};

/// What happens around a payout, in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The answer to the create arrives; until then every answer is lost.
    CreateAnswered,
    /// The webhook that says that it can be confirmed.
    ActionRequired,
    /// The webhook that says that its transfer is broadcast.
    TransferBroadcast,
    /// The webhook that says that its transfer has arrived.
    TransferConfirmed,
    /// The bank has paid, and that can be read. Before the payout is so far: it will be paid as soon as it is.
    CompletionRead,
}

impl Event {
    const ALL: [Self; 5] = [
        Self::CreateAnswered,
        Self::ActionRequired,
        Self::TransferBroadcast,
        Self::TransferConfirmed,
        Self::CompletionRead,
    ];
}

fn orders(left: &[Event]) -> Vec<Vec<Event>> {
    if left.is_empty() {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for first in left {
        let rest: Vec<Event> = left.iter().copied().filter(|event| event != first).collect();
        all.extend(orders(&rest).into_iter().map(|mut tail| {
            tail.insert(0, *first);
            tail
        }));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn in_all_120_orders_and_however_often_each_comes_the_end_and_the_story_are_the_same() -> Result<()> {
    // Without a relay: the only webhooks are those that the test delivers itself.
    let organisation = json!({"rateLimitPerMinute": 1_000_000});
    let options = Options {
        cadence: quick(),
        relay: Begin::Later,
        organisation,
        provider_calls_per_second: 500,
        ..Options::default()
    };
    let world = World::with(options).await?;
    let all = orders(&Event::ALL);
    assert_eq!(all.len(), 120);
    let mut stories = BTreeSet::new();
    // A few at a time: each order stands for itself, and the machine is small.
    for (n, some) in all.chunks(20).enumerate() {
        let plays = some.iter().enumerate().map(|(m, order)| play(&world, n * 20 + m, order));
        stories.extend(try_join_all(plays).await?);
    }
    assert_eq!(stories.len(), 1, "{stories:#?}");
    world.end().await
}

/// Plays one order, and gives the milestones of the payout's story.
async fn play(world: &World, number: usize, order: &[Event]) -> Result<Vec<String>> {
    let id = format!("order-{number}");
    let place = |event: Event| order.iter().position(|other| *other == event).unwrap_or_default();
    let completes_first = place(Event::CompletionRead) < place(Event::CreateAnswered);
    // 94: the bank takes five days, or until it is pushed.
    let units = if completes_first { "1000000000" } else { "1000000094" };
    let lost = json!({"kind": "cutConnection", "on": "POST /payouts", "when": "afterEffect", "externalId": id, "times": 1_000});
    let lost = world.fault(lost).await?;
    world.start(&id, units).await?;
    world.total_is(&id, "createsAccepted", 1).await?;
    for (step, event) in order.iter().enumerate() {
        match event {
            Event::CreateAnswered => {
                world.no_fault(&lost).await?;
                world.status_when(&id, "the create's answer", |status| status.read.is_some()).await?;
            }
            Event::ActionRequired => nudge(world, &id, About::Instructions, "ready", number + step).await?,
            Event::TransferBroadcast => nudge(world, &id, About::Transfer, "Broadcasted", number + step).await?,
            Event::TransferConfirmed => nudge(world, &id, About::Transfer, "Confirmed", number + step).await?,
            Event::CompletionRead if completes_first => {}
            Event::CompletionRead => {
                world.status_when(&id, "the settling", |status| status.stage == Stage::Settling).await?;
                world.disburse(&id).await?;
            }
        }
    }
    let outcome = world.outcome(&id).await?;
    anyhow::ensure!(outcome.ending == Ending::Completed, "{order:?}: {outcome:#?}");
    world.paid_exactly_once(&id).await?;
    world.no_task_failed(&id).await?;
    let status = world.system.client().status(&id).await?;
    Ok(milestones(&status))
}

/// Delivers a webhook's signal one to three times.
async fn nudge(world: &World, id: &str, about: About, state: &str, seed: usize) -> Result<()> {
    let event = ProviderEvent { about, object: format!("of-{id}"), state: state.into(), key: Some(id.into()) };
    for time in 0..=seed % 3 {
        // Another request id each time: only the payout itself can tell that it is the same.
        world.system.client().nudge(id, &event, &format!("{id}-{state}-{time}")).await?;
    }
    Ok(())
}

/// The lines that do not depend on how often it was read on the way, nor on the provider's ids, nor on what the other
/// payouts make unusual.
fn milestones(status: &Status) -> Vec<String> {
    let on_the_way = [Progress::Preparing, Progress::Submitting, Progress::Depositing, Progress::Disbursing];
    let passing: Vec<String> = on_the_way.iter().map(|p| format!("the provider says: {}", p.describe())).collect();
    let kept = status.timeline.iter().filter(|moment| !passing.contains(&moment.what));
    let first = |what: &str, until: &str| what.split(until).next().unwrap_or_default().to_owned();
    kept.map(|moment| first(&first(&moment.what, " pyt-"), " (unusual: ")).collect()
}
