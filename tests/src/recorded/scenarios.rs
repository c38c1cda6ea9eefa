//! The scenarios: each end, and each branch on the way to one.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result, ensure};
use remit::dev::{APPROVER, Begin, Options};
use remit_client::{How, Status};
use remit_dfns::{Action, ApprovalStatus, DecisionValue, ListApprovals, PayoutAction};
use remit_domain::{Ending, Progress, Stage};
use remit_workflows::names;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};
use temporalio_client::{
    UntypedSignal, UntypedWorkflow, WorkflowSignalOptions, WorkflowStartOptions, WorkflowTerminateOptions,
};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{common::v1::Payload, enums::v1::EventType},
};

use super::Scenario;
use crate::{World, anyone, instructions_after, payer, policy, quick, until};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// An amount with which all goes well. Where another stands below, its last two digits decide, see the sandbox's README.
const USUAL: &str = "1000000000";

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "completed-by-nudge",
        why: "the main path: the webhook finds the deposit address",
        system: truly_with_late_instructions,
        drive: |world, id| Box::pin(completed_by_nudge(world, id)),
    },
    Scenario {
        name: "completed-by-poll",
        why: "no webhook arrives: the poll finds the deposit address",
        system: || Options { relay: Begin::Later, organisation: instructions_after(1_200), ..quickly() },
        drive: |world, id| Box::pin(ends(world, id, USUAL, Ending::Completed)),
    },
    Scenario {
        name: "completed-without-an-offer",
        why: "the quote holds no offer, and the payout is made all the same",
        system: quickly,
        drive: |world, id| Box::pin(ends(world, id, "1000000096", Ending::Completed)),
    },
    Scenario {
        name: "completed-through-an-unknown-word",
        why: "a status nobody documents on the way to the bank",
        system: quickly,
        drive: |world, id| Box::pin(ends(world, id, "1000000098", Ending::Completed)),
    },
    Scenario {
        name: "completed-after-five-days",
        why: "the bank takes five days: limits pass, attention is raised, the wait goes on",
        system: Options::default,
        drive: |world, id| Box::pin(completed_after_five_days(world, id)),
    },
    Scenario {
        name: "completed-despite-garbage",
        why: "signals that are unreadable, for another payout or unknown",
        system: || Options { organisation: instructions_after(1_500), ..quickly() },
        drive: |world, id| Box::pin(completed_despite_garbage(world, id)),
    },
    Scenario {
        name: "completed-create-answer-lost",
        why: "the answer to the create is lost after it acted",
        system: quickly,
        drive: |world, id| {
            let lost = json!({"kind": "cutConnection", "on": "POST /payouts", "when": "afterEffect"});
            Box::pin(ends_despite(world, id, lost, Ending::Completed))
        },
    },
    Scenario {
        name: "completed-confirm-answer-lost",
        why: "the answer to Confirm is lost after it acted",
        system: quickly,
        drive: |world, id| {
            let lost = json!({"kind": "cutConnection", "on": "POST /payouts/*/action", "when": "afterEffect"});
            Box::pin(ends_despite(world, id, lost, Ending::Completed))
        },
    },
    Scenario {
        name: "completed-with-records-away",
        why: "the records are locked at the claim, which goes through the task queue instead",
        system: quickly,
        drive: |world, id| Box::pin(completed_with_records_away(world, id)),
    },
    Scenario {
        name: "completed-taken-up-before-confirm",
        why: "the run was terminated while it waited for the deposit address: the second takes the payout up",
        system: quickly,
        drive: |world, id| Box::pin(taken_up_before_confirm(world, id)),
    },
    Scenario {
        name: "completed-taken-up-after-confirm",
        why: "the run was terminated after Confirm: the second follows, and confirms nothing",
        system: Options::default,
        drive: |world, id| Box::pin(taken_up_after_confirm(world, id)),
    },
    Scenario {
        name: "completed-before-it-began",
        why: "a run for a payout that is over already: it gives the outcome on record",
        system: quickly,
        drive: |world, id| Box::pin(completed_before_it_began(world, id)),
    },
    Scenario {
        name: "completed-after-approval",
        why: "a policy of the provider holds the transfer, a person approves",
        system: quickly,
        drive: |world, id| Box::pin(held(world, id, DecisionValue::Approved, Ending::Completed)),
    },
    Scenario {
        name: "rejected-by-denial",
        why: "a policy of the provider holds the transfer, a person denies",
        system: quickly,
        drive: |world, id| Box::pin(held(world, id, DecisionValue::Denied, Ending::Rejected)),
    },
    Scenario {
        name: "rejected-by-policy",
        why: "a policy of the provider blocks the transfer",
        system: quickly,
        drive: |world, id| Box::pin(rejected_by_policy(world, id)),
    },
    Scenario {
        name: "needs-person-held-too-long",
        why: "nobody decides over the held transfer within four hours",
        system: Options::default,
        drive: |world, id| Box::pin(held_too_long(world, id)),
    },
    Scenario {
        name: "needs-person-address-changed",
        why: "the deposit address changes between our check and Confirm",
        system: quickly,
        drive: |world, id| {
            let changes = json!({"kind": "addressChangesAtConfirm", "times": 100});
            Box::pin(ends_despite(world, id, changes, Ending::NeedsPerson))
        },
    },
    Scenario {
        name: "needs-person-confirm-refused",
        why: "the provider refuses Confirm and goes on waiting for it",
        system: quickly,
        drive: |world, id| {
            let refuses = json!({"kind": "status", "status": 400, "on": "POST /payouts/*/action", "times": 100});
            Box::pin(ends_despite(world, id, refuses, Ending::NeedsPerson))
        },
    },
    Scenario {
        name: "failed-quote-refused",
        why: "the provider does not quote the payout: nothing is created",
        system: quickly,
        drive: |world, id| {
            let refuses = json!({"kind": "status", "status": 400, "on": "POST /payouts/quote", "times": 100});
            Box::pin(ends_despite(world, id, refuses, Ending::Failed))
        },
    },
    Scenario {
        name: "failed-create-refused",
        why: "the provider refuses to create the payout",
        system: quickly,
        drive: |world, id| {
            let refuses = json!({"kind": "status", "status": 400, "on": "POST /payouts", "times": 100});
            Box::pin(ends_despite(world, id, refuses, Ending::Failed))
        },
    },
    Scenario {
        name: "failed-at-the-bank",
        why: "the bank refuses after the deposit: the money is with the provider",
        system: quickly,
        drive: |world, id| Box::pin(ends(world, id, "1000000090", Ending::Failed)),
    },
    Scenario {
        name: "failed-before-instructions",
        why: "the provider fails before it gives a deposit address: nothing moved",
        system: quickly,
        drive: |world, id| Box::pin(ends(world, id, "1000000091", Ending::Failed)),
    },
    Scenario {
        name: "failed-on-chain",
        why: "the transfer fails on chain",
        system: quickly,
        drive: |world, id| Box::pin(ends(world, id, "1000000093", Ending::Failed)),
    },
    Scenario {
        name: "failed-after-deposit",
        why: "the deposit is confirmed on chain, then the payout fails",
        system: quickly,
        drive: |world, id| Box::pin(ends(world, id, "1000000095", Ending::Failed)),
    },
    Scenario {
        name: "expired-without-instructions",
        why: "no deposit address within 24 h: the gate closes, the provider's expiry is watched",
        system: Options::default,
        drive: |world, id| Box::pin(expired_without_instructions(world, id)),
    },
    Scenario {
        name: "canceled-at-the-provider",
        why: "somebody cancels the payout at the provider before it is confirmed",
        system: || Options { relay: Begin::Later, ..Options::default() },
        drive: |world, id| Box::pin(canceled_at_the_provider(world, id)),
    },
    Scenario {
        name: "refused-input",
        why: "a run whose input is no payout fails, and says why",
        system: quickly,
        drive: |world, id| Box::pin(refused_input(world, id)),
    },
    Scenario {
        name: "refused-conflict",
        why: "a run whose id belongs to another request fails",
        system: quickly,
        drive: |world, id| Box::pin(refused_conflict(world, id)),
    },
];

/// A system that polls quickly.
fn quickly() -> Options {
    Options { cadence: quick(), ..Options::default() }
}

/// The true cadence; the deposit address comes after the first poll, so that the webhook finds it.
fn truly_with_late_instructions() -> Options {
    Options { organisation: instructions_after(1_500), ..Options::default() }
}

async fn ended(world: &World, id: &str, ending: Ending) -> Result<()> {
    let outcome = world.outcome(id).await?;
    ensure!(outcome.ending == ending, "expected {ending:?}: {outcome:#?}");
    if ending == Ending::Completed {
        world.paid_exactly_once(id).await?;
    }
    Ok(())
}

async fn ends(world: &World, id: &str, units: &str, ending: Ending) -> Result<()> {
    world.start(id, units).await?;
    ended(world, id, ending).await
}

/// The fault is not aimed at the payout by its id, which a quote does not carry: it is alone in its organisation.
async fn ends_despite(world: &World, id: &str, fault: Value, ending: Ending) -> Result<()> {
    world.fault(fault).await?;
    ends(world, id, USUAL, ending).await
}

async fn completed_by_nudge(world: &World, id: &str) -> Result<()> {
    world.start(id, USUAL).await?;
    world.total_is(id, "confirmsAccepted", 1).await?;
    world.advance(id, Duration::from_secs(120)).await?;
    ended(world, id, Ending::Completed).await
}

async fn completed_after_five_days(world: &World, id: &str) -> Result<()> {
    world.start(id, "1000000094").await?;
    world.total_is(id, "confirmsAccepted", 1).await?;
    world.advance(id, 6 * DAY).await?;
    ended(world, id, Ending::Completed).await
}

async fn completed_despite_garbage(world: &World, id: &str) -> Result<()> {
    let request = world.start(id, USUAL).await?;
    let handle = world.handle(&request.key().workflow_id());
    let other = json!({"about": "instructions", "object": "pyt-1", "state": "x", "key": "somebody-else"});
    let binary = Payload { data: vec![255; 100], ..Payload::default() };
    for payloads in [vec![], vec![binary], vec![payload(&json!({"about": "weather"}))], vec![payload(&other)]] {
        for name in [names::PROVIDER_EVENT, "no_such_signal"] {
            let signal = UntypedSignal::<UntypedWorkflow>::new(name);
            handle.signal(signal, RawValue::new(payloads.clone()), WorkflowSignalOptions::default()).await?;
        }
    }
    ended(world, id, Ending::Completed).await
}

async fn completed_with_records_away(world: &World, id: &str) -> Result<()> {
    let mut other = SqliteConnection::connect(world.system.records_url()).await?;
    // Nobody else can write now; that is all the worker sees of a database that is away.
    other.execute("BEGIN IMMEDIATE").await?;
    world.start(id, USUAL).await?;
    until("the claim to go through the task queue", async || {
        let history = world.history(id).await?;
        Ok(history.iter().any(|event| event.event_type() == EventType::ActivityTaskScheduled).then_some(()))
    })
    .await?;
    other.execute("ROLLBACK").await?;
    other.close().await?;
    ended(world, id, Ending::Completed).await
}

async fn taken_up_before_confirm(world: &World, id: &str) -> Result<()> {
    // Instructions come after an hour, or when pushed.
    let request = world.start(id, "1000000099").await?;
    let waits = |status: &Status| status.waits_for.is_some();
    world.status_when(id, "the wait", waits).await?;
    world.handle(&request.key().workflow_id()).terminate(WorkflowTerminateOptions::default()).await?;
    ensure!(world.system.client().start(&request).await?.how == How::New);
    world.status_when(id, "the wait", waits).await?;
    world.instruct(id).await?;
    ended(world, id, Ending::Completed).await
}

async fn taken_up_after_confirm(world: &World, id: &str) -> Result<()> {
    let request = world.start(id, "1000000094").await?;
    world.total_is(id, "confirmsAccepted", 1).await?;
    let settles = |status: &Status| status.stage == Stage::Settling && status.waits_for.is_some();
    world.status_when(id, "the bank", settles).await?;
    world.handle(&request.key().workflow_id()).terminate(WorkflowTerminateOptions::default()).await?;
    ensure!(world.system.client().start(&request).await?.how == How::New);
    world.status_when(id, "the bank", settles).await?;
    world.advance(id, 6 * DAY).await?;
    ended(world, id, Ending::Completed).await
}

async fn completed_before_it_began(world: &World, id: &str) -> Result<()> {
    let request = world.start(id, USUAL).await?;
    ended(world, id, Ending::Completed).await?;
    // A client of ours does not start what is over; another SDK, or a reset, may.
    let outcome = run_raw(world, &request.key().workflow_id(), vec![payload(&serde_json::to_value(&request)?)]).await?;
    ensure!(outcome.is_ok(), "{outcome:?}");
    ended(world, id, Ending::Completed).await
}

async fn held(world: &World, id: &str, value: DecisionValue, ending: Ending) -> Result<()> {
    policy(world, Action::request_approval(vec![anyone()], Some(60))).await?;
    world.start(id, USUAL).await?;
    let is_held = |status: &Status| status.read.as_ref().is_some_and(|read| read.progress == Progress::Held);
    world.status_when(id, "the hold", |status| status.waits_for.is_some() && is_held(status)).await?;
    let approver = world.system.dfns(APPROVER)?;
    let pending = ListApprovals { status: Some(ApprovalStatus::Pending), ..ListApprovals::default() };
    let approval = approver.approvals(&pending).await?.items.into_iter().next().context("no approval")?;
    approver.decide_approval(&approval.id, value, Some("recorded")).await?;
    ended(world, id, ending).await
}

async fn held_too_long(world: &World, id: &str) -> Result<()> {
    policy(world, Action::request_approval(vec![anyone()], None)).await?;
    world.start(id, USUAL).await?;
    let is_held = |status: &Status| status.read.as_ref().is_some_and(|read| read.progress == Progress::Held);
    world.status_when(id, "the hold", |status| status.waits_for.is_some() && is_held(status)).await?;
    world.advance(id, 5 * HOUR).await?;
    ended(world, id, Ending::NeedsPerson).await
}

async fn rejected_by_policy(world: &World, id: &str) -> Result<()> {
    policy(world, Action::block()).await?;
    ends(world, id, USUAL, Ending::Rejected).await
}

async fn expired_without_instructions(world: &World, id: &str) -> Result<()> {
    world.start(id, "1000000092").await?;
    world.total_is(id, "createsAccepted", 1).await?;
    world.advance(id, 25 * HOUR).await?;
    ended(world, id, Ending::Expired).await
}

async fn canceled_at_the_provider(world: &World, id: &str) -> Result<()> {
    world.start(id, "1000000099").await?;
    let read = world.status_when(id, "the wait", |status| status.waits_for.is_some()).await?.read;
    let payout = read.context("nothing was read")?.payout;
    // With the true cadence the next poll is half a minute away: it does not see the payout ready before it is canceled.
    until("the first poll", async || {
        let described = world.system.client().describe(id).await?;
        Ok(described.pending.iter().any(|call| call.attempt > 1).then_some(()))
    })
    .await?;
    world.instruct(id).await?;
    payer(world)?.payout_action(&payout, &PayoutAction::Cancel).await?;
    world.advance(id, Duration::from_secs(120)).await?;
    ended(world, id, Ending::Canceled).await
}

async fn refused_input(world: &World, id: &str) -> Result<()> {
    let mut input = serde_json::to_value(world.request(id, USUAL)?)?;
    input["amount"] = json!("12.50");
    let outcome = run_raw(world, &format!("payout-{id}"), vec![payload(&input)]).await?;
    ensure!(outcome.as_ref().is_err_and(|why| why.contains("amount")), "{outcome:?}");
    Ok(())
}

async fn refused_conflict(world: &World, id: &str) -> Result<()> {
    let request = world.start(id, "1000000099").await?;
    world.status_when(id, "the wait", |status| status.waits_for.is_some()).await?;
    let workflow_id = request.key().workflow_id();
    world.handle(&workflow_id).terminate(WorkflowTerminateOptions::default()).await?;
    let other = serde_json::to_value(world.request(id, "2000000099")?)?;
    let outcome = run_raw(world, &workflow_id, vec![payload(&other)]).await?;
    ensure!(outcome.is_err(), "{outcome:?}");
    Ok(())
}

/// Starts a run as any SDK can, and waits for its end; `Err` inside is how it failed.
async fn run_raw(world: &World, workflow_id: &str, payloads: Vec<Payload>) -> Result<Result<(), String>> {
    let options = WorkflowStartOptions::new(names::QUEUE, workflow_id.to_owned()).build();
    let workflow = UntypedWorkflow::new(names::PAYOUT);
    let handle = world.system.client().temporal().start_workflow(workflow, RawValue::new(payloads), options).await?;
    let end = tokio::time::timeout(Duration::from_secs(60), handle.get_result(Default::default())).await?;
    Ok(end.map(|_| ()).map_err(|error| format!("{:#}", anyhow::Error::new(error))))
}

fn payload(json: &Value) -> Payload {
    Payload {
        metadata: HashMap::from([("encoding".to_owned(), b"json/plain".to_vec())]),
        data: json.to_string().into_bytes(),
        ..Payload::default()
    }
}
