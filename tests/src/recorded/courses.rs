//! What the scenarios do to a payout on its way.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result, ensure};
use remit::dev::{APPROVER, Begin, Options};
use remit_client::{
    About, Action as Decide, Answer, How, ProviderEvent, Resolve, Retried, Status, Verdict, Whereabouts,
};
use remit_dfns::{Action, ApprovalStatus, DecisionValue, ListApprovals, PayoutAction};
use remit_domain::{Ending, Progress, Stage};
use remit_workflows::names;
use serde_json::{Value, json};
use temporalio_client::{
    UntypedSignal, UntypedWorkflow, WorkflowCancelOptions, WorkflowSignalOptions, WorkflowStartOptions,
    WorkflowTerminateOptions,
};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{common::v1::Payload, enums::v1::EventType},
};

use crate::{
    People, STANDARD, World, anyone, give_up, go_on, instructions_after, order, payer, policy, quick, unsigned, until,
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// An amount with which all goes well. Where another stands below, its last two digits decide, see the sandbox's README.
pub(super) const USUAL: &str = "1000000000";

/// A system that polls quickly.
pub(super) fn quickly() -> Options {
    Options { cadence: quick(), ..Options::default() }
}

/// The true cadence; the deposit address comes after the first poll, so that the webhook finds it.
pub(super) fn truly_with_late_instructions() -> Options {
    Options { organisation: instructions_after(1_500), ..Options::default() }
}

/// Without webhooks; instructions come when they are pushed.
pub(super) fn pushed() -> Options {
    Options { relay: Begin::Later, organisation: instructions_after(86_400_000), ..quickly() }
}

async fn ended(world: &World, id: &str, ending: Ending) -> Result<()> {
    let outcome = world.outcome(id).await?;
    ensure!(outcome.ending == ending, "expected {ending:?}: {outcome:#?}");
    if ending == Ending::Completed {
        world.paid_exactly_once(id).await?;
    }
    Ok(())
}

pub(super) async fn ends(world: &World, id: &str, units: &str, ending: Ending) -> Result<()> {
    world.start(id, units).await?;
    ended(world, id, ending).await
}

/// The fault is not aimed at the payout by its id, which a quote does not carry: it is alone in its organisation.
pub(super) async fn ends_despite(world: &World, id: &str, fault: Value, ending: Ending) -> Result<()> {
    world.fault(fault).await?;
    ends(world, id, USUAL, ending).await
}

pub(super) async fn completed_by_nudge(world: &World, id: &str) -> Result<()> {
    world.start(id, USUAL).await?;
    world.total_is(id, "confirmsAccepted", 1).await?;
    world.advance(id, Duration::from_secs(120)).await?;
    ended(world, id, Ending::Completed).await
}

pub(super) async fn completed_after_five_days(world: &World, id: &str) -> Result<()> {
    world.start(id, "1000000094").await?;
    world.total_is(id, "confirmsAccepted", 1).await?;
    world.advance(id, 6 * DAY).await?;
    ended(world, id, Ending::Completed).await
}

pub(super) async fn completed_despite_garbage(world: &World, id: &str) -> Result<()> {
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

pub(super) async fn completed_with_events(world: &World, id: &str, times: usize) -> Result<()> {
    let tell = async |about: About, state: &str| -> Result<()> {
        let event = ProviderEvent { about, object: format!("of-{id}"), state: state.into(), key: Some(id.into()) };
        for time in 0..times {
            // Another request id each time: only the payout itself can tell that it is the same.
            world.system.client().nudge(id, &event, &format!("{id}-{state}-{time}")).await?;
        }
        Ok(())
    };
    // The bank takes five days, or until it is pushed.
    world.start(id, "1000000094").await?;
    world.status_when(id, "the wait", |status| status.waits_for.is_some()).await?;
    tell(About::Instructions, "ready").await?;
    world.instruct(id).await?;
    tell(About::Transfer, "Broadcasted").await?;
    world.total_is(id, "confirmsAccepted", 1).await?;
    tell(About::Transfer, "Confirmed").await?;
    world.disburse(id).await?;
    ended(world, id, Ending::Completed).await
}

pub(super) async fn completed_with_records_away(world: &World, id: &str) -> Result<()> {
    let lock = world.lock_records().await?;
    world.start(id, USUAL).await?;
    until("the claim to go through the task queue", async || {
        let history = world.history(id).await?;
        Ok(history.iter().any(|event| event.event_type() == EventType::ActivityTaskScheduled).then_some(()))
    })
    .await?;
    lock.release().await?;
    ended(world, id, Ending::Completed).await
}

pub(super) async fn taken_up_before_confirm(world: &World, id: &str) -> Result<()> {
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

pub(super) async fn taken_up_after_confirm(world: &World, id: &str) -> Result<()> {
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

pub(super) async fn completed_before_it_began(world: &World, id: &str) -> Result<()> {
    let request = world.start(id, USUAL).await?;
    ended(world, id, Ending::Completed).await?;
    // A client of ours does not start what is over; another SDK, or a reset, may.
    let outcome = run_raw(world, &request.key().workflow_id(), vec![payload(&serde_json::to_value(&request)?)]).await?;
    ensure!(outcome.is_ok(), "{outcome:?}");
    ended(world, id, Ending::Completed).await
}

pub(super) async fn held(world: &World, id: &str, value: DecisionValue, ending: Ending) -> Result<()> {
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

/// Four hours pass while nobody decides; then somebody does, and the transfer comes to its end.
pub(super) async fn held_too_long(world: &World, id: &str, value: DecisionValue) -> Result<()> {
    policy(world, Action::request_approval(vec![anyone()], None)).await?;
    world.start(id, USUAL).await?;
    let is_held = |status: &Status| status.read.as_ref().is_some_and(|read| read.progress == Progress::Held);
    world.status_when(id, "the hold", |status| status.waits_for.is_some() && is_held(status)).await?;
    world.advance(id, 5 * HOUR).await?;
    let expired = |status: &Status| status.read.as_ref().is_some_and(|read| read.progress == Progress::Expired);
    world.status_when(id, "the expiry", |status| status.waits_for.is_some() && expired(status)).await?;
    let approver = world.system.dfns(APPROVER)?;
    let pending = ListApprovals { status: Some(ApprovalStatus::Pending), ..ListApprovals::default() };
    let approval = approver.approvals(&pending).await?.items.into_iter().next().context("no approval")?;
    approver.decide_approval(&approval.id, value, Some("late")).await?;
    world.advance(id, 3 * HOUR).await?;
    ended(world, id, Ending::Expired).await
}

/// Waits for its deposit address, for an hour or until it is pushed.
async fn waiting(world: &World, id: &str) -> Result<()> {
    world.start(id, "1000000099").await?;
    let waits = |status: &Status| status.stage == Stage::AwaitingInstructions && status.waits_for.is_some();
    world.status_when(id, "the wait", waits).await?;
    Ok(())
}

fn taken(answer: &Answer) -> Result<()> {
    ensure!(answer.answer == Verdict::Accepted, "{answer:?}");
    Ok(())
}

pub(super) async fn called_off(world: &World, id: &str) -> Result<()> {
    waiting(world, id).await?;
    taken(&world.system.client().cancel(id, &order("recorded")).await?)?;
    ended(world, id, Ending::Canceled).await
}

pub(super) async fn called_off_in_temporal(world: &World, id: &str) -> Result<()> {
    waiting(world, id).await?;
    let options = WorkflowCancelOptions::builder().reason("recorded").build();
    world.handle(&format!("payout-{id}")).cancel(options).await?;
    ended(world, id, Ending::Canceled).await
}

/// Held back until it is ready, then `and_then`.
pub(super) async fn held_back(world: &World, id: &str, released: bool) -> Result<()> {
    waiting(world, id).await?;
    let client = world.system.client();
    taken(&client.hold(id, &order("recorded")).await?)?;
    world.instruct(id).await?;
    world.status_when(id, "the hold", |status| status.stage == Stage::OnHold).await?;
    if released {
        taken(&client.release(id, &unsigned("recorded")).await?)?;
        return ended(world, id, Ending::Completed).await;
    }
    taken(&client.cancel(id, &order("recorded")).await?)?;
    ended(world, id, Ending::Canceled).await
}

pub(super) async fn held_back_too_long(world: &World, id: &str) -> Result<()> {
    waiting(world, id).await?;
    taken(&world.system.client().hold(id, &order("recorded")).await?)?;
    world.instruct(id).await?;
    world.status_when(id, "the hold", |status| status.stage == Stage::OnHold).await?;
    world.advance(id, 26 * HOUR).await?;
    ended(world, id, Ending::Expired).await
}

/// In doubt because of this fault; read again, then decided so.
pub(super) async fn resolved(world: &World, id: &str, fault: Value, resolve: Resolve, ending: Ending) -> Result<()> {
    world.fault(fault).await?;
    world.start(id, USUAL).await?;
    world.in_doubt(id).await?;
    let client = world.system.client();
    let again = Resolve { order: order("recorded"), action: Decide::ReadAgain, signed: None };
    taken(&client.resolve(id, &again).await?)?;
    world.no_faults().await?;
    taken(&client.resolve(id, &resolve).await?)?;
    ended(world, id, ending).await
}

/// The gate is taken for an address that changes before anybody knows whether Confirm went out.
pub(super) async fn canceled_behind_a_taken_gate(world: &World, id: &str) -> Result<()> {
    let unheard = json!({"kind": "status", "status": 503, "on": "POST /payouts/*/action"});
    let unheard = world.fault(unheard).await?;
    world.start(id, USUAL).await?;
    world.has_struck(&unheard).await?;
    world.fault(json!({"kind": "addressChangesAtConfirm"})).await?;
    let status = world.in_doubt(id).await?;
    let payout = status.read.map(|view| view.payout).context("it has not been read")?;
    payer(world)?.payout_action(&payout, &PayoutAction::Cancel).await?;
    ended(world, id, Ending::Canceled).await
}

pub(super) async fn in_doubt_too_long(world: &World, id: &str) -> Result<()> {
    world.fault(json!({"kind": "addressChangesAtConfirm", "times": 1_000})).await?;
    world.start(id, USUAL).await?;
    world.in_doubt(id).await?;
    world.advance(id, 26 * HOUR).await?;
    ended(world, id, Ending::Expired).await
}

pub(super) async fn written_off(world: &World, id: &str) -> Result<()> {
    world.start(id, "1000000097").await?;
    world.total_is(id, "confirmsAccepted", 1).await?;
    world.status_when(id, "the settling", |status| status.stage == Stage::Settling).await?;
    world.advance(id, 31 * DAY).await?;
    world.in_doubt(id).await?;
    taken(&world.system.client().resolve(id, &give_up(Whereabouts::WrittenOff)).await?)?;
    ended(world, id, Ending::Failed).await
}

/// With limits on the quote.
pub(super) async fn guarded(world: &World, id: &str, guards: Value, ending: Ending) -> Result<()> {
    let mut json = serde_json::to_value(world.request(id, USUAL)?)?;
    json["guards"] = guards;
    world.system.client().start_json(&json).await?;
    ended(world, id, ending).await
}

/// The first quote keeps the limits, the fresh one does not.
pub(super) async fn guarded_at_confirm(world: &World, id: &str) -> Result<()> {
    let mut json = serde_json::to_value(world.request(id, "1000000099")?)?;
    json["guards"] = json!({"receivesAtLeast": "1"});
    world.system.client().start_json(&json).await?;
    world.status_when(id, "the wait", |status| status.waits_for.is_some()).await?;
    world.fault(json!({"kind": "quoteWithoutOffers", "times": 1})).await?;
    world.instruct(id).await?;
    ended(world, id, Ending::Canceled).await
}

/// The first attempt is called off; the history is that of the second.
pub(super) async fn second_attempt(world: &World, id: &str) -> Result<()> {
    called_off(world, id).await?;
    let retried = world.system.client().retry(id, &order("recorded"), None).await?;
    ensure!(matches!(retried, Retried::Started(_)), "{retried:?}");
    world.status_when(id, "the wait", |s| s.request.attempt.number() == 2 && s.waits_for.is_some()).await?;
    world.instruct(&format!("{id}-retry-1")).await?;
    let outcome = world.outcome(id).await?;
    ensure!(outcome.ending == Ending::Completed, "{outcome:#?}");
    Ok(())
}

pub(super) async fn rejected_by_policy(world: &World, id: &str) -> Result<()> {
    policy(world, Action::block()).await?;
    ends(world, id, USUAL, Ending::Rejected).await
}

pub(super) async fn expired_without_instructions(world: &World, id: &str) -> Result<()> {
    world.start(id, "1000000092").await?;
    world.total_is(id, "createsAccepted", 1).await?;
    world.advance(id, 25 * HOUR).await?;
    ended(world, id, Ending::Expired).await
}

pub(super) async fn canceled_at_the_provider(world: &World, id: &str) -> Result<()> {
    world.start(id, "1000000099").await?;
    let read = world.status_when(id, "the wait", |status| status.waits_for.is_some()).await?.read;
    let payout = read.context("nothing was read")?.payout;
    // With the true cadence the next poll is half a minute away: it does not see the payout ready before it is canceled.
    world.has_been_polled(id).await?;
    world.instruct(id).await?;
    payer(world)?.payout_action(&payout, &PayoutAction::Cancel).await?;
    world.advance(id, Duration::from_secs(120)).await?;
    ended(world, id, Ending::Canceled).await
}

pub(super) async fn refused_input(world: &World, id: &str) -> Result<()> {
    let mut input = serde_json::to_value(world.request(id, USUAL)?)?;
    input["amount"] = json!("12.50");
    let outcome = run_raw(world, &format!("payout-{id}"), vec![payload(&input)]).await?;
    ensure!(outcome.as_ref().is_err_and(|why| why.contains("amount")), "{outcome:?}");
    Ok(())
}

pub(super) async fn refused_conflict(world: &World, id: &str) -> Result<()> {
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

/// A policy that asks and blocks at amounts that tests reach.
pub(super) fn standard() -> Options {
    let people = People::new(&["ana", "ben"]).expect("short names");
    Options { policy: people.policy(STANDARD), ..quickly() }
}

pub(super) fn standard_with_late_instructions() -> Options {
    Options { organisation: instructions_after(86_000_000), ..standard() }
}

/// Asked for an approval before anything is created; then somebody says yes or no, or nobody does.
pub(super) async fn asked_first(world: &World, id: &str, answer: Option<bool>, ending: Ending) -> Result<()> {
    world.start(id, "1600000000").await?;
    world.awaiting_approval(id).await?;
    match answer {
        Some(yes) => taken(&world.decide(&People::new(&["ana", "ben"])?, "ana", id, "treasury", yes).await?)?,
        None => world.advance(id, 5 * HOUR).await?,
    }
    ended(world, id, ending).await
}

pub(super) async fn called_off_while_asked(world: &World, id: &str) -> Result<()> {
    world.start(id, "1600000000").await?;
    world.awaiting_approval(id).await?;
    taken(&world.system.client().cancel(id, &order("recorded")).await?)?;
    ended(world, id, Ending::Canceled).await
}

/// Allowed at the start; then a limit is lowered, and it becomes ready.
pub(super) async fn stricter_at_confirm(
    world: &World,
    id: &str,
    (from, to): (&str, &str),
    answer: Option<bool>,
    ending: Ending,
) -> Result<()> {
    let people = People::new(&["ana", "ben"])?;
    world.start(id, USUAL).await?;
    world.total_is(id, "createsAccepted", 1).await?;
    world.system.publish(&people.policy(STANDARD).replace(from, to), "recorded").await?;
    world.instruct(id).await?;
    if let Some(yes) = answer {
        world.awaiting_approval(id).await?;
        taken(&world.decide(&people, "ana", id, "treasury", yes).await?)?;
    }
    ended(world, id, ending).await
}

pub(super) async fn released_signed(world: &World, id: &str) -> Result<()> {
    let people = People::new(&["ana", "ben"])?;
    waiting(world, id).await?;
    let client = world.system.client();
    taken(&client.hold(id, &order("recorded")).await?)?;
    world.instruct(id).await?;
    world.status_when(id, "the hold", |status| status.stage == Stage::OnHold).await?;
    taken(&client.release(id, &world.release(&people, "ana", id).await?).await?)?;
    ended(world, id, Ending::Completed).await
}

/// The wallet is emptied, and refilled once that was noticed.
pub(super) async fn refilled(world: &World, id: &str) -> Result<()> {
    world.start(id, USUAL).await?;
    world.total_is(id, "createsAccepted", 1).await?;
    world.balance("1").await?;
    world.instruct(id).await?;
    let status = world.in_doubt(id).await?;
    ensure!(status.says.contains("refill"), "{}", status.says);
    world.balance("1000000000000").await?;
    taken(&world.system.client().resolve(id, &go_on()).await?)?;
    ended(world, id, Ending::Completed).await
}
