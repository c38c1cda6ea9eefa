//! Confirm against cancel, against the clock, and against a worker that was stopped in the middle of it.

use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use remit::dev::{APPROVER, Begin, Options};
use remit_client::{OrderError, ReadError, Retried, Status, Verdict};
use remit_dfns::{Action, ApprovalStatus, DecisionValue, ListApprovals};
use remit_domain::{Ending, Money, Progress, Stage};
use remit_records::Gate;
use serde_json::{Value, json};

use crate::harness::{Process, World, anyone, order, policy, quick, quick_then_true, unsigned, until};

const DAY: Duration = Duration::from_secs(24 * 3600);
const ACTION: &str = "POST /payouts/*/action";
const MARGIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn of_cancel_and_confirm_exactly_one_wins_and_both_sides_know_which() -> Result<()> {
    let world = World::new().await?;
    let race = async |n: u64| -> Result<bool> {
        let id = format!("race-{n}");
        match n {
            // Early for certain: instructions take an hour.
            ..4 => {
                world.start(&id, "1000000099").await?;
                world.status_when(&id, "the wait", |status| status.waits_for.is_some()).await?;
            }
            // Somewhere on the way, whoever wins.
            4..16 => {
                world.start(&id, "1000000000").await?;
                tokio::time::sleep(Duration::from_millis(n * 45)).await;
            }
            // Late for certain: in the middle of Confirm, or after it.
            16.. => {
                let when = if n.is_multiple_of(2) { "beforeEffect" } else { "afterEffect" };
                let slow = json!({"kind": "slow", "on": ACTION, "when": when, "ms": 1_500, "externalId": id});
                world.fault(slow).await?;
                world.start(&id, "1000000000").await?;
                world.gate_is_taken(&id).await?;
            }
        }
        let canceled = match world.system.client().cancel(&id, &order("race")).await {
            Ok(answer) => answer.answer == Verdict::Accepted,
            Err(OrderError::Read(ReadError::Over { .. })) => false,
            Err(error) => return Err(error.into()),
        };
        let outcome = world.outcome(&id).await?;
        let confirms = world.total(&id, "confirmsAccepted").await?;
        let expected =
            if canceled { (Ending::Canceled, Money::Untouched, 0) } else { (Ending::Completed, Money::Paid, 1) };
        assert_eq!((outcome.ending, outcome.money, confirms), expected, "{id}: {}", outcome.reason);
        world.no_task_failed(&id).await?;
        match n {
            ..4 => assert!(canceled, "{id} was called off before there was anything to confirm"),
            4..16 => {}
            16.. => assert!(!canceled, "{id} was called off while Confirm was on its way"),
        }
        Ok(canceled)
    };
    let won = try_join_all((0..24).map(race)).await?;
    let early = won.iter().skip(4).take(12).filter(|canceled| **canceled).count();
    println!("of twelve cancels on the way to Confirm {early} came before it");
    world.end().await
}

/// A system whose workers are processes of their own, without webhooks.
async fn world_of_processes() -> Result<World> {
    let options = Options { cadence: quick(), relay: Begin::Later, worker: Begin::Later, ..Options::default() };
    World::with(options).await
}

/// A worker that stands still in the middle of Confirm of this payout: the gate is taken, nothing was sent.
async fn stopped_behind_the_gate(world: &World, id: &str) -> Result<Process> {
    let frozen = held_back(world, id).await?;
    // Confirm is signed before it is sent; nothing else is signed meanwhile.
    let slow = world.fault(json!({"kind": "slow", "on": "POST /auth/action", "ms": 5_000})).await?;
    world.system.client().release(id, &unsigned("go")).await?;
    world.has_struck(&slow).await?;
    frozen.stop()?;
    world.gate_is_taken(id).await?;
    Ok(frozen)
}

/// A worker that stands still in the middle of Confirm of this payout: it has read that the provider waits for Confirm,
/// and stands before the gate.
async fn stopped_at_the_gate(world: &World, id: &str) -> Result<Process> {
    let frozen = held_back(world, id).await?;
    let reads = async || {
        let requests = world.system.organisation().control(reqwest::Method::GET, "/requests", None).await?;
        Ok::<_, anyhow::Error>(requests["counts"]["GET /payouts/{}"].as_u64().unwrap_or_default())
    };
    // The order itself is written down, so the records are free until it is taken: the reading after it takes long.
    let slow = world.fault(json!({"kind": "slow", "on": "GET /payouts/*", "ms": 5_000, "times": 1})).await?;
    world.system.client().release(id, &unsigned("go")).await?;
    world.has_struck(&slow).await?;
    // The gate cannot be taken while somebody else writes.
    let lock = world.lock_records().await?;
    let before = reads().await?;
    until("Confirm's own reading", async || Ok((reads().await? > before).then_some(()))).await?;
    frozen.stop()?;
    lock.release().await?;
    assert_eq!(world.system.records().gate(id).await?.map(|state| state.gate), Some(Gate::Open));
    Ok(frozen)
}

/// The only worker, and a payout that could be confirmed but for somebody who holds it back.
async fn held_back(world: &World, id: &str) -> Result<Process> {
    let worker = world.worker_process()?;
    world.start(id, "1000000099").await?;
    world.status_when(id, "the wait", |status| status.waits_for.is_some()).await?;
    world.system.client().hold(id, &order("not yet")).await?;
    world.instruct(id).await?;
    world.status_when(id, "the hold", |status| status.stage == Stage::OnHold).await?;
    Ok(worker)
}

/// Two days pass at the provider.
async fn expires(world: &World) -> Result<()> {
    world.system.organisation().advance(2 * DAY).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stopped_inside_confirm_and_woken_later_changes_nothing() -> Result<()> {
    let world = world_of_processes().await?;
    let client = world.system.client();
    let id = "frozen-1";
    let frozen = stopped_behind_the_gate(&world, id).await?;
    let other = world.worker_process()?;
    // Another worker answers for the payout: too late to cancel, too early for another attempt, since Confirm may have
    // been sent.
    let refused =
        until("an answer to the cancel", async || match client.cancel(id, &order("while it is frozen")).await {
            Ok(answer) => Ok(Some(answer)),
            Err(OrderError::Read(ReadError::NoWorker { .. })) => Ok(None),
            Err(error) => Err(error.into()),
        })
        .await?;
    assert_eq!(refused.answer, Verdict::Refused, "{refused:?}");
    // The other one confirms once the time of the first one's call is over, which may come before this answer.
    let refused = client.retry(id, &order("while it is frozen"), None).await?;
    let too_early = |why: &str| why.contains("not over") || why.contains("has been paid");
    assert!(matches!(&refused, Retried::Refused { why } if too_early(why)), "{refused:?}");
    let outcome = world.outcome(id).await?;
    assert_eq!(outcome.ending, Ending::Completed, "{}", outcome.reason);
    frozen.wake()?;
    frozen.finish().await?;
    world.paid_exactly_once(id).await?;
    let refused = client.retry(id, &order("it is over now"), None).await?;
    assert!(matches!(&refused, Retried::Refused { why } if why.contains("has been paid")), "{refused:?}");
    other.kill()?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stopped_inside_confirm_and_woken_while_another_attempt_is_asked_for_pays_once() -> Result<()> {
    let world = world_of_processes().await?;
    let client = world.system.client();
    let id = "frozen-retry";
    let frozen = stopped_behind_the_gate(&world, id).await?;
    let other = world.worker_process()?;
    let asked = order("impatient");
    let (refused, woken) = tokio::join!(client.retry(id, &asked, None), async { frozen.wake() });
    woken?;
    let refused = refused?;
    assert!(matches!(&refused, Retried::Refused { .. }), "{refused:?}");
    let outcome = world.outcome(id).await?;
    assert_eq!(outcome.ending, Ending::Completed, "{}", outcome.reason);
    frozen.finish().await?;
    world.paid_exactly_once(id).await?;
    other.kill()?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stopped_inside_confirm_and_woken_after_the_deadline_confirms_nothing() -> Result<()> {
    let world = world_of_processes().await?;
    for id in ["frozen-at-the-gate", "frozen-behind-the-gate"] {
        let frozen = match id {
            "frozen-at-the-gate" => stopped_at_the_gate(&world, id).await?,
            _ => stopped_behind_the_gate(&world, id).await?,
        };
        expires(&world).await?;
        frozen.wake()?;
        // It does all that it still wants to do.
        frozen.finish().await?;
        let other = world.worker_process()?;
        let outcome = world.outcome(id).await?;
        assert_eq!((outcome.ending, outcome.money), (Ending::Expired, Money::Untouched), "{id}: {}", outcome.reason);
        for total in ["confirmsAccepted", "transfers"] {
            assert_eq!(world.total(id, total).await?, 0, "{total} of {id}");
        }
        other.kill()?;
    }
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stopped_at_the_gate_and_woken_after_another_attempt_was_opened_sends_nothing() -> Result<()> {
    let world = world_of_processes().await?;
    let client = world.system.client();
    let id = "frozen-replaced";
    let frozen = stopped_at_the_gate(&world, id).await?;
    expires(&world).await?;
    // Its run is ended from outside, and taken up again by another worker, which finds it expired.
    let request = world.request(id, "1000000099")?;
    world.handle(&request.key().workflow_id()).terminate(Default::default()).await?;
    let other = world.worker_process()?;
    client.start(&request).await?;
    let outcome = world.outcome(id).await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Expired, Money::Untouched), "{}", outcome.reason);
    let opened = client.retry(id, &order("it has expired"), None).await?;
    assert!(matches!(opened, Retried::Started(_)), "{opened:?}");
    frozen.wake()?;
    frozen.finish().await?;
    assert_eq!(world.total(id, "confirmCalls").await?, 0);

    let second = format!("{id}-retry-1");
    world.total_is(&second, "createsAccepted", 1).await?;
    world.instruct(&second).await?;
    assert_eq!(world.outcome(id).await?.ending, Ending::Completed);
    world.paid_exactly_once(&second).await?;
    assert_eq!(world.total(id, "confirmCalls").await?, 0);
    other.kill()?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirm_that_comes_after_the_providers_expiry_pays_nothing() -> Result<()> {
    let world = World::new().await?;
    let id = "late-confirm";
    // The gate is taken in time; the provider's day passes while the request is on its way.
    let slow = json!({"kind": "slow", "on": ACTION, "when": "beforeEffect", "ms": 2_000, "externalId": id});
    world.fault(slow).await?;
    world.start(id, "1000000000").await?;
    world.gate_is_taken(id).await?;
    let clock = json!({"advanceMs": u64::try_from((DAY * 2).as_millis())?});
    world.system.organisation().control(reqwest::Method::POST, "/clock", Some(&clock)).await?;
    let outcome = world.outcome(id).await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Expired, Money::Untouched), "{}", outcome.reason);
    assert_eq!(world.total(id, "confirmsAccepted").await?, 0);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn instructions_around_the_confirm_deadline_are_confirmed_before_it_or_never_whatever_the_skew() -> Result<()> {
    for skew in [-300_000_i64, 0, 300_000] {
        let world = World::with(Options {
            cadence: quick_then_true(),
            organisation: json!({"clockOffsetMs": skew}),
            ..Options::default()
        })
        .await?;
        let deadline = DAY - MARGIN;
        // A minute before, a second before, at, a second after our deadline, and around the provider's own.
        let moments = [
            ("minute-before", deadline - Duration::from_secs(60)),
            ("second-before", deadline - Duration::from_secs(1)),
            ("at", deadline),
            ("second-after", deadline + Duration::from_secs(1)),
            ("provider-second-before", DAY - Duration::from_secs(1)),
            ("provider-at", DAY),
            ("provider-second-after", DAY + Duration::from_secs(1)),
        ];
        let mut workflows = Vec::new();
        for (id, moment) in moments {
            let delay = json!({"delays": {"instructions": u64::try_from(moment.as_millis())?}});
            world.system.organisation().control(reqwest::Method::POST, "/settings", Some(&delay)).await?;
            world.start(id, "1000000000").await?;
            world.total_is(id, "createsAccepted", 1).await?;
            workflows.push(format!("payout-{id}"));
        }
        let ids: Vec<&str> = workflows.iter().map(String::as_str).collect();
        world.system.advance(&ids, deadline - Duration::from_secs(300)).await?;
        for _ in 0..10 {
            world.system.advance(&ids, Duration::from_secs(60)).await?;
        }
        world.system.advance(&ids, 2 * DAY).await?;
        for (id, moment) in moments {
            let outcome = world.outcome(id).await?;
            let confirms = world.total(id, "confirmsAccepted").await?;
            let paid = outcome.ending == Ending::Completed;
            assert_eq!(paid, confirms == 1, "{id}, skew {skew}: {}", outcome.reason);
            if !paid {
                assert_eq!((outcome.ending, outcome.money), (Ending::Expired, Money::Untouched), "{id}, skew {skew}");
            }
            assert!(!paid || moment < DAY, "{id}, skew {skew}: confirmed after the expiry");
        }
        world.end().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn approvals_around_the_submit_limit_pay_or_do_not_and_the_outcome_says_which_whatever_the_skew() -> Result<()> {
    let submit = Duration::from_secs(4 * 3600);
    for skew in [-300_000_i64, 0, 300_000] {
        let world = World::with(Options {
            cadence: quick_then_true(),
            organisation: json!({"clockOffsetMs": skew}),
            ..Options::default()
        })
        .await?;
        policy(&world, Action::request_approval(vec![anyone()], None)).await?;
        let ids = ["second-before", "at", "second-after"];
        for id in ids {
            world.start(id, "1000000000").await?;
            let held = |status: &Status| status.read.as_ref().is_some_and(|read| read.progress == Progress::Held);
            world.status_when(id, "the hold", held).await?;
        }
        let workflows: Vec<String> = ids.iter().map(|id| format!("payout-{id}")).collect();
        let workflows: Vec<&str> = workflows.iter().map(String::as_str).collect();
        let approver = world.system.dfns(APPROVER)?;
        for (n, id) in ids.iter().enumerate() {
            let by = if n == 0 { submit - Duration::from_secs(1) } else { Duration::from_secs(1) };
            world.system.advance(&workflows, by).await?;
            let transfer = transfer_of(&world, id).await?;
            let pending = ListApprovals { status: Some(ApprovalStatus::Pending), ..ListApprovals::default() };
            for approval in approver.approvals(&pending).await?.items {
                if format!("{approval:?}").contains(&transfer) {
                    approver.decide_approval(&approval.id, DecisionValue::Approved, Some("at the limit")).await?;
                }
            }
        }
        world.system.advance(&workflows, DAY).await?;
        for id in ids {
            let outcome = world.outcome(id).await?;
            let moved = world.total(id, "transfersConfirmed").await? == 1;
            let expected = match outcome.ending {
                Ending::Completed => (true, Money::Paid),
                // Approved after the payout had expired: the tokens arrived, the bank was not paid.
                Ending::Failed
                | Ending::Rejected
                | Ending::Expired
                | Ending::Canceled
                | Ending::Blocked
                | Ending::Denied => (moved, if moved { Money::WithProvider } else { Money::Untouched }),
            };
            assert_eq!((moved, outcome.money), expected, "{id}, skew {skew}: {}", outcome.reason);
            assert_eq!(world.total(id, "confirmsAccepted").await?, 1, "{id}, skew {skew}");
        }
        world.end().await?;
    }
    Ok(())
}

async fn transfer_of(world: &World, id: &str) -> Result<String> {
    until("the transfer", async || {
        let ledger = world.ledger(id).await?;
        let transfer: &Value = &ledger["payouts"][0]["transferId"];
        let other: &Value = &ledger["transfers"][0]["id"];
        Ok(transfer.as_str().or(other.as_str()).map(str::to_owned))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_is_started_anew_while_it_is_called_off_is_not_paid() -> Result<()> {
    let world = World::new().await?;
    let id = "cancel-then-kill";
    let request = world.start(id, "1000000099").await?;
    world.status_when(id, "the wait", |status| status.stage == Stage::AwaitingInstructions).await?;
    assert_eq!(world.system.client().cancel(id, &order("wrong")).await?.answer, Verdict::Accepted);
    // Whether the run has ended by then or not: the closed gate outlives it.
    let _ = world.handle(&request.key().workflow_id()).terminate(Default::default()).await;
    world.system.client().start(&request).await?;
    let outcome = world.outcome(id).await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Canceled, Money::Untouched), "{}", outcome.reason);
    assert_eq!(outcome.decided, Some(order("wrong")));
    assert_eq!(world.total(id, "confirmCalls").await?, 0);
    world.end().await
}
