//! Each ending, and where the money is then.

use std::time::Duration;

use anyhow::Result;
use remit::dev::{APPROVER, Begin, Options};
use remit_dfns::{Action, ApprovalStatus, DecisionValue, ListApprovals, PayoutAction};
use remit_domain::{Ending, Money, Progress};

use crate::harness::{World, anyone, payer, policy, quick_then_true, rarely};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn what_the_other_side_does_decides_the_ending_and_where_the_money_is() -> Result<()> {
    let world = World::new().await?;
    // The last two digits decide, see the sandbox's README.
    let cases = [
        ("end-90", "1000000090", Ending::Failed, Money::WithProvider),
        ("end-91", "1000000091", Ending::Failed, Money::Untouched),
        ("end-93", "1000000093", Ending::Failed, Money::Untouched),
        ("end-95", "1000000095", Ending::Failed, Money::WithProvider),
        ("end-96", "1000000096", Ending::Completed, Money::Paid),
        ("end-98", "1000000098", Ending::Completed, Money::Paid),
    ];
    for (id, units, ..) in cases {
        world.start(id, units).await?;
    }
    for (id, _, ending, money) in cases {
        let outcome = world.outcome(id).await?;
        assert_eq!((outcome.ending, outcome.money), (ending, money), "{id}: {}", outcome.reason);
        world.no_task_failed(id).await?;
    }
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_blocks_rejects_the_payout() -> Result<()> {
    let world = World::new().await?;
    policy(&world, Action::block()).await?;
    world.start("blocked-1", "1000000000").await?;
    let outcome = world.outcome("blocked-1").await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Rejected, Money::Untouched), "{}", outcome.reason);
    assert_eq!(world.total("blocked-1", "transfersConfirmed").await?, 0);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn people_at_dfns_decide_over_a_held_transfer() -> Result<()> {
    let world = World::new().await?;
    policy(&world, Action::request_approval(vec![anyone()], Some(60))).await?;
    for (id, value, ending) in
        [("held-yes", DecisionValue::Approved, Ending::Completed), ("held-no", DecisionValue::Denied, Ending::Rejected)]
    {
        world.start(id, "1000000000").await?;
        let held = |status: &remit_client::Status| status.waits_for.as_deref() == Some("an approval at the provider");
        world.status_when(id, "the hold", held).await?;
        let bob = world.system.dfns(APPROVER)?;
        let pending = ListApprovals { status: Some(ApprovalStatus::Pending), ..ListApprovals::default() };
        let approval = bob.approvals(&pending).await?.items.remove(0);
        bob.decide_approval(&approval.id, value, Some("tested")).await?;
        assert_eq!(world.outcome(id).await?.ending, ending);
        let waits_for = world.system.client().describe(id).await?.waits_for;
        assert_eq!(waits_for.as_deref(), Some("nobody"), "{id} is still found among those that wait");
    }
    world.paid_exactly_once("held-yes").await?;
    assert_eq!(world.total("held-no", "transfersConfirmed").await?, 0);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_four_hours_not_paid_is_said_only_once_the_transfer_is_over_too() -> Result<()> {
    for (id, value, money) in [
        ("held-4h-yes", DecisionValue::Approved, Money::WithProvider),
        ("held-4h-no", DecisionValue::Denied, Money::Untouched),
    ] {
        let world = World::with(Options { cadence: quick_then_true(), ..Options::default() }).await?;
        policy(&world, Action::request_approval(vec![anyone()], None)).await?;
        world.start(id, "1000000000").await?;
        let held = |status: &remit_client::Status| status.read.as_ref().is_some_and(|r| r.progress == Progress::Held);
        world.status_when(id, "the hold", held).await?;
        world.advance(id, 5 * HOUR).await?;
        // Expired at Dfns, yet its transfer can still be approved.
        let waits = |status: &remit_client::Status| {
            let expired = status.read.as_ref().is_some_and(|read| read.progress == Progress::Expired);
            expired && status.waits_for.as_deref() == Some("the end of a transfer whose payout is over")
        };
        let status = world.status_when(id, "the transfer to be followed", waits).await?;
        assert!(status.outcome.is_none(), "{status:#?}");
        let bob = world.system.dfns(APPROVER)?;
        let pending = ListApprovals { status: Some(ApprovalStatus::Pending), ..ListApprovals::default() };
        let approval = bob.approvals(&pending).await?.items.remove(0);
        bob.decide_approval(&approval.id, value, Some("late")).await?;
        world.advance(id, 3 * HOUR).await?;
        let outcome = world.outcome(id).await?;
        assert_eq!((outcome.ending, outcome.money), (Ending::Expired, money), "{}", outcome.reason);
        world.end().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn instructions_that_never_come_end_at_twenty_four_hours_and_the_gate_is_closed() -> Result<()> {
    let world = World::with(Options::default()).await?;
    world.start("never-1", "1000000092").await?;
    world.total_is("never-1", "createsAccepted", 1).await?;
    world.advance("never-1", 23 * HOUR).await?;
    let status = world.system.client().status("never-1").await?;
    assert!(status.outcome.is_none(), "ended too early: {status:#?}");
    world.advance("never-1", 2 * HOUR).await?;
    let outcome = world.outcome("never-1").await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Expired, Money::Untouched), "{}", outcome.reason);
    let gate = world.system.records().gate("never-1").await?.map(|state| state.gate);
    assert_eq!(gate, Some(remit_records::Gate::Closed));
    assert_eq!(world.total("never-1", "confirmCalls").await?, 0);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_cancelled_at_dfns_ends_as_canceled() -> Result<()> {
    // Without a relay, so that the worker does not see it ready before it is cancelled.
    let world = World::with(Options { cadence: rarely(), relay: Begin::Later, ..Options::default() }).await?;
    world.start("canceled-1", "1000000099").await?;
    let waiting = |status: &remit_client::Status| status.waits_for.is_some();
    let read = world.status_when("canceled-1", "the wait", waiting).await?.read;
    let id = read.map(|view| view.payout).unwrap_or_default();
    world.has_been_polled("canceled-1").await?;
    world.instruct("canceled-1").await?;
    payer(&world)?.payout_action(&id, &PayoutAction::Cancel).await?;
    world.advance("canceled-1", 2 * HOUR).await?;
    let outcome = world.outcome("canceled-1").await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Canceled, Money::Untouched), "{}", outcome.reason);
    assert_eq!(world.total("canceled-1", "confirmsAccepted").await?, 0);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_takes_five_days_is_waited_for_in_few_events() -> Result<()> {
    let world = World::with(Options::default()).await?;
    world.start("slow-1", "1000000094").await?;
    world.total_is("slow-1", "confirmsAccepted", 1).await?;
    world.advance("slow-1", 24 * 6 * HOUR).await?;
    let outcome = world.outcome("slow-1").await?;
    assert_eq!(outcome.ending, Ending::Completed);
    world.paid_exactly_once("slow-1").await?;
    let history = world.history("slow-1").await?;
    let events = history
        .iter()
        .filter(|e| {
            let name = format!("{:?}", e.event_type());
            !name.contains("TimeSkipping") && !name.contains("OptionsUpdated")
        })
        .count();
    println!("a payout that waits five days for the bank: {events} events");
    assert!(events < 140, "{events} events");
    world.end().await
}
