//! Confirm against cancel, against the clock, and against a worker that was stopped in the middle of it.

use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use remit::dev::{APPROVER, Begin, Options};
use remit_client::{OrderError, ReadError, Status, Verdict};
use remit_dfns::{Action, ApprovalStatus, DecisionValue, ListApprovals};
use remit_domain::{Ending, Money, Progress, Stage};
use serde_json::{Value, json};

use crate::harness::{World, anyone, order, policy, quick, quick_then_true, until};

const DAY: Duration = Duration::from_secs(24 * 3600);
const MARGIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn of_cancel_and_confirm_exactly_one_wins_and_both_sides_know_which() -> Result<()> {
    let world = World::new().await?;
    let race = async |n: u64| -> Result<bool> {
        let id = format!("race-{n}");
        world.start(&id, "1000000000").await?;
        if n < 16 {
            // Somewhere on the way to Confirm.
            tokio::time::sleep(Duration::from_millis(n * 45)).await;
        } else {
            // In the middle of it, or just after.
            let confirms = |status: &Status| matches!(status.stage, Stage::Confirming | Stage::Settling);
            world.status_when(&id, "the confirm", |status| confirms(status) || status.outcome.is_some()).await?;
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
        Ok(canceled)
    };
    let won = try_join_all((0..24).map(race)).await?;
    assert!(won.contains(&true), "no cancel was early enough: nothing was shown");
    assert!(won.contains(&false), "no cancel was late enough: nothing was shown");
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stopped_inside_confirm_and_woken_later_changes_nothing() -> Result<()> {
    let world = World::with(Options { cadence: quick(), worker: Begin::Later, ..Options::default() }).await?;
    let id = "frozen-1";
    // The gate is taken, the request is on its way.
    let slow =
        json!({"kind": "slow", "on": "POST /payouts/*/action", "when": "beforeEffect", "ms": 1_500, "externalId": id});
    world.fault(slow).await?;
    let frozen = world.worker_process()?;
    world.start(id, "1000000000").await?;
    until("the gate to be taken", async || {
        let gate = world.system.records().gate(id).await?.map(|state| state.gate);
        Ok((gate == Some(remit_records::Gate::Confirming)).then_some(()))
    })
    .await?;
    frozen.stop()?;
    let other = world.worker_process()?;
    // Another worker answers for the payout: too late to cancel, since Confirm may have been sent.
    let refused = until("an answer to the cancel", async || {
        Ok(world.system.client().cancel(id, &order("while it is frozen")).await.ok())
    })
    .await?;
    assert_eq!(refused.answer, Verdict::Refused, "{refused:?}");
    let outcome = world.outcome(id).await?;
    assert_eq!(outcome.ending, Ending::Completed, "{}", outcome.reason);
    frozen.wake()?;
    // It has had its chance when it polls again: a second payout is shared between both.
    world.start("frozen-2", "1000000000").await?;
    world.outcome("frozen-2").await?;
    world.paid_exactly_once(id).await?;
    frozen.kill()?;
    other.kill()?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirm_that_comes_after_the_providers_expiry_pays_nothing() -> Result<()> {
    let world = World::new().await?;
    let id = "late-confirm";
    // The gate is taken in time; the provider's day passes while the request is being signed.
    let slow =
        json!({"kind": "slow", "on": "POST /payouts/*/action", "when": "beforeEffect", "ms": 2_000, "externalId": id});
    world.fault(slow).await?;
    world.start(id, "1000000000").await?;
    until("the gate to be taken", async || {
        let gate = world.system.records().gate(id).await?.map(|state| state.gate);
        Ok((gate == Some(remit_records::Gate::Confirming)).then_some(()))
    })
    .await?;
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
                Ending::Failed | Ending::Rejected | Ending::Expired | Ending::Canceled => {
                    (moved, if moved { Money::WithProvider } else { Money::Untouched })
                }
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
