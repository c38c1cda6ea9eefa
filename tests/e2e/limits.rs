//! Limits hold whoever races for them, and nothing is left over.

use anyhow::Result;
use futures::future::try_join_all;
use remit::dev::{Begin, Options};
use remit_domain::{Ending, Money};
use remit_records::ReservationState;
use reqwest::Method;
use serde_json::json;

use crate::harness::{World, quick};

const POLICY: &str = r#"
name = "limits"
unsigned_starts = "allow"

[[rule]]
name = "an-hour"
kind = "TransactionAmountVelocity"
limit = "5000 USD"
window = "1h"
action = "Block"
"#;
/// In millionths of a US dollar.
const LIMIT: u64 = 5_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn payouts_that_race_for_one_window_fill_it_and_never_exceed_it() -> Result<()> {
    let world = World::with(Options { cadence: quick(), policy: POLICY.to_owned(), ..Options::default() }).await?;
    let amounts: Vec<u64> = (0..36).map(|n| 150_000_000 + n * 7_130_000).collect();
    let pay = async |n: usize| -> Result<(Ending, u64)> {
        let id = format!("race-{n}");
        world.start(&id, &(amounts[n] * 100).div_ceil(100).to_string()).await?;
        let outcome = world.outcome(&id).await?;
        let status = world.system.client().status(&id).await?;
        let usd = status.ruling.and_then(|ruling| ruling.usd).map_or(0, |usd| usd.0);
        assert_ne!(usd, 0, "{id} has no worth");
        Ok((outcome.ending, usd))
    };
    let all = try_join_all((0..amounts.len()).map(pay)).await?;
    let paid: u64 = all.iter().filter(|(ending, _)| *ending == Ending::Completed).map(|(_, usd)| usd).sum();
    let blocked: Vec<u64> = all.iter().filter(|(ending, _)| *ending == Ending::Blocked).map(|(_, usd)| *usd).collect();
    assert_eq!(all.iter().filter(|(ending, _)| *ending == Ending::Completed).count() + blocked.len(), all.len());
    assert!(paid <= LIMIT, "{paid} of {LIMIT} were paid");
    for usd in &blocked {
        assert!(paid + usd > LIMIT, "{usd} would have fitted beside {paid}");
    }
    assert!(!blocked.is_empty(), "nothing was shown: all of them fit");
    for (n, (ending, _)) in all.iter().enumerate() {
        let id = format!("race-{n}");
        let moved = world.total(&id, "transfersConfirmed").await?;
        assert_eq!(moved, u64::from(*ending == Ending::Completed), "{id}");
    }
    let open = world.system.records().open_reservations(None, 100).await?;
    assert!(open.items.is_empty(), "{open:?}");

    // An hour later all of it may be spent again.
    world.system.records().shift_clock(std::time::Duration::from_secs(3601)).await?;
    world.start("later", "4900000000").await?;
    assert_eq!(world.outcome("later").await?.ending, Ending::Completed);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_settle_counts_until_a_person_does() -> Result<()> {
    let world = World::with(Options { cadence: quick(), policy: POLICY.to_owned(), ..Options::default() }).await?;
    // The gate is taken in time; the provider's day passes while Confirm is on its way, and no transfer is ever known.
    let slow = json!({"kind": "slow", "on": "POST /payouts/*/action", "when": "beforeEffect", "ms": 2_000, "externalId": "late"});
    world.fault(slow).await?;
    world.start("late", "3000000000").await?;
    world.gate_is_taken("late").await?;
    let clock = json!({"advanceMs": 2 * 24 * 3600 * 1000});
    world.system.organisation().control(Method::POST, "/clock", Some(&clock)).await?;
    assert_eq!(world.outcome("late").await?.ending, Ending::Expired);
    world.start("beside", "2500000000").await?;
    assert_eq!(world.outcome("beside").await?.ending, Ending::Blocked, "3,000 of 5,000 are held");

    let (code, held, _) = world.command(&["reservation", "list", "--held", "--json"]).await?;
    let held: serde_json::Value = serde_json::from_str(&held)?;
    assert_eq!((code, &held[0]["key"], &held[0]["ending"]), (Some(0), &"late".into(), &"Expired".into()), "{held:#}");
    let settle = async |id: &str, what: &str| {
        let args = ["reservation", "settle", id, what, "--by", "ana", "--why", "Dfns knows of no transfer"];
        anyhow::Ok(world.command(&args).await?.0)
    };
    assert_eq!(settle("nobody", "released").await?, Some(4));
    let by_nobody = ["reservation", "settle", "late", "released", "--by", "", "--why", "x"];
    assert_eq!(world.command(&by_nobody).await?.0, Some(2), "who says so has to be said");
    assert_eq!(settle("late", "released").await?, Some(0));
    assert_eq!(settle("late", "released").await?, Some(0), "said again");
    assert_eq!(settle("late", "spent").await?, Some(3), "what was said stands");
    let (_, held, _) = world.command(&["reservation", "list", "--held", "--json"]).await?;
    assert_eq!(held.trim(), "[]");

    world.start("after", "2500000000").await?;
    assert_eq!(world.outcome("after").await?.ending, Ending::Completed);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_failed_on_chain_counts_as_spent_even_if_only_confirm_itself_has_read_so() -> Result<()> {
    let policy = POLICY.to_owned();
    let world = World::with(Options { relay: Begin::Later, cadence: quick(), policy, ..Options::default() }).await?;
    // The answer to Confirm is lost; when it is asked for again, seconds later, the transfer has failed.
    let lost = json!({"kind": "cutConnection", "when": "afterEffect", "on": "POST /payouts/*/action"});
    world.fault(lost).await?;
    world.start("reverted", "1000000093").await?;
    let outcome = world.outcome("reverted").await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Failed, Money::Untouched), "{}", outcome.reason);
    let open = world.system.records().open_reservations(None, 100).await?;
    assert!(open.items.is_empty(), "{open:?}");
    let state = world.system.records().reservation("reverted").await?.map(|it| it.state);
    assert_eq!(state, Some(ReservationState::Spent));
    world.end().await
}
