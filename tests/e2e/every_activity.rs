//! Every activity of the contract, failed in every way: one effect at the other side, one end, books that agree.
//!
//! The list is generated from the contract's names, so that an activity that is added is failed here too, or the test
//! says that nobody has said how.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use anyhow::{Context, Result, bail};
use futures::FutureExt;
use remit::dev::{Begin, Options};
use remit_client::{Retried, Standing, Status, Verdict};
use remit_domain::{Ending, Stage};
use remit_records::Gate;
use remit_worker::Interceptor;
use remit_workflows::names;
use serde_json::json;
use temporalio_sdk::{
    ApplicationFailure,
    activities::ActivityError,
    interceptors::{ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next},
};

use crate::harness::{People, STANDARD, World, instructions_after, order, quick, unsigned};

/// How an activity is failed, the first times that it runs for a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failing {
    /// Before it acts.
    Before,
    /// It acts, and its answer is lost: it runs twice.
    After,
    /// The same three times over: it runs four times.
    AfterThrice,
}

impl Failing {
    const ALL: [Self; 3] = [Self::Before, Self::After, Self::AfterThrice];

    fn times(self) -> u32 {
        match self {
            Self::Before | Self::After => 1,
            Self::AfterThrice => 3,
        }
    }
}

/// Fails activities by plan, and remembers which it has failed.
#[derive(Default)]
struct Saboteur {
    /// By workflow and activity: how, and how often still.
    plan: Mutex<BTreeMap<(String, String), (Failing, u32)>>,
    struck: Mutex<BTreeSet<(String, String)>>,
}

impl Saboteur {
    fn aim(&self, workflow_id: &str, activity: &str, failing: Failing) {
        let mut plan = self.plan.lock().expect("no panic holds it");
        plan.insert((workflow_id.to_owned(), activity.to_owned()), (failing, failing.times()));
    }

    fn next(&self, workflow_id: &str, activity: &str) -> Option<Failing> {
        let at = (workflow_id.to_owned(), activity.to_owned());
        let mut plan = self.plan.lock().expect("no panic holds it");
        let (failing, left) = plan.get_mut(&at)?;
        *left = left.checked_sub(1)?;
        self.struck.lock().expect("no panic holds it").insert(at);
        Some(*failing)
    }

    fn has_struck(&self, workflow_id: &str, activity: &str) -> bool {
        let at = (workflow_id.to_owned(), activity.to_owned());
        self.struck.lock().expect("no panic holds it").contains(&at)
    }
}

impl ActivityInboundInterceptor for Saboteur {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        let info = input.activity_info();
        let failing = self.next(info.workflow_id.as_deref().unwrap_or_default(), &info.activity_type);
        let lost = || {
            let failure = ApplicationFailure::builder(anyhow::anyhow!("sabotaged")).type_name("test.sabotage".into());
            ActivityError::application(failure.build())
        };
        match failing {
            None => next.run(input),
            Some(Failing::Before) => async move { Err(lost()) }.boxed(),
            Some(Failing::After | Failing::AfterThrice) => async move {
                // What it says is lost, a "not yet" as well: that was no effect either.
                let _ = next.run(input).await;
                Err(lost())
            }
            .boxed(),
        }
    }
}

/// The activities of the contract, from its names.
fn contract() -> Vec<String> {
    let lines: Vec<&str> = include_str!("../../workflows/src/names.rs").lines().collect();
    let named = |pair: &[&str]| {
        let name = pair[1].split('"').nth(1);
        name.filter(|_| pair[0].starts_with("/// Activity: ")).map(str::to_owned)
    };
    lines.windows(2).filter_map(named).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_activity_may_fail_before_it_acts_or_lose_its_answer_and_the_effect_is_one() -> Result<()> {
    let saboteur = Arc::new(Saboteur::default());
    let policy = People::new(&["ana", "ben"])?.policy(STANDARD);
    let policy = policy.replace("unsigned = \"refuse\"", "unsigned = \"allow\"").replace("3000 USD", "1000000 USD");
    let world = World::with(Options {
        cadence: quick(),
        interceptor: Some(Interceptor(saboteur.clone())),
        policy,
        ..Options::default()
    })
    .await?;
    let contract = contract();
    assert!(contract.len() >= 9, "{contract:?}");
    for activity in &contract {
        for failing in Failing::ALL {
            let id = format!("{}-{failing:?}", activity.replace('_', "-"));
            course(&world, &saboteur, activity, failing, &id).await?;
        }
    }
    world.end().await
}

/// Takes a payout through the activity while it is failed, to its end, and compares the books.
async fn course(world: &World, saboteur: &Saboteur, activity: &str, failing: Failing, id: &str) -> Result<()> {
    let client = world.system.client();
    let workflow_id = format!("payout-{id}");
    let at = match activity {
        names::OPEN_ATTEMPT => format!("retry-{id}"),
        names::CHECK_PAYOUT => format!("check-{id}"),
        _ => workflow_id.clone(),
    };
    saboteur.aim(&at, activity, failing);
    let waits = |status: &Status| status.stage == Stage::AwaitingInstructions && status.waits_for.is_some();
    match activity {
        names::CLAIM_PAYOUT
        | names::DECIDE_PAYOUT
        | names::QUOTE_PAYOUT
        | names::CREATE_PAYOUT
        | names::READ_PAYOUT
        | names::CONFIRM_PAYOUT
        | names::RECORD_OUTCOME => {
            world.start(id, "1000000000").await?;
            assert_eq!(world.outcome(id).await?.ending, Ending::Completed, "{id}");
            world.paid_exactly_once(id).await?;
        }
        names::CLOSE_GATE | names::CANCEL_PAYOUT => {
            world.start(id, "1000000099").await?;
            world.status_when(id, "the wait", waits).await?;
            client.hold(id, &order("until it is ready")).await?;
            world.instruct(id).await?;
            world.status_when(id, "the hold", |status| status.stage == Stage::OnHold).await?;
            assert_eq!(client.cancel(id, &order("wrong")).await?.answer, Verdict::Accepted, "{id}");
            assert_eq!(world.outcome(id).await?.ending, Ending::Canceled, "{id}");
            assert_eq!(world.ledger(id).await?["payouts"][0]["status"], "Canceled", "{id}");
            assert_eq!(world.total(id, "confirmCalls").await?, 0, "{id}");
        }
        names::RECORD_APPROVAL => {
            world.start(id, "1600000000").await?;
            world.awaiting_approval(id).await?;
            let people = People::new(&["ana", "ben"])?;
            let answer = world.decide(&people, "ana", id, "treasury", true).await?;
            assert_eq!(answer.answer, Verdict::Accepted, "{id}: {}", answer.says);
            assert_eq!(world.outcome(id).await?.ending, Ending::Completed, "{id}");
            assert_eq!(world.system.records().approvals(id).await?.len(), 1, "{id}");
            world.paid_exactly_once(id).await?;
        }
        names::CHECK_ORDER => {
            world.start(id, "1000000099").await?;
            world.status_when(id, "the wait", waits).await?;
            client.hold(id, &order("until it is ready")).await?;
            assert_eq!(client.release(id, &unsigned("ready")).await?.answer, Verdict::Accepted, "{id}");
            world.instruct(id).await?;
            assert_eq!(world.outcome(id).await?.ending, Ending::Completed, "{id}");
            world.paid_exactly_once(id).await?;
        }
        names::OPEN_ATTEMPT => {
            world.start(id, "1000000099").await?;
            world.status_when(id, "the wait", waits).await?;
            client.cancel(id, &order("wrong")).await?;
            assert_eq!(world.outcome(id).await?.ending, Ending::Canceled, "{id}");
            let retried = client.retry(id, &order("right"), None).await?;
            assert!(matches!(retried, Retried::Started(_) | Retried::UnderWay(_)), "{id}: {retried:?}");
            let newest = world.system.records().newest_attempt(id).await?.map(|row| row.attempt);
            assert_eq!(newest, Some(2), "{id}: another attempt than one was opened");
            let again = |status: &Status| status.request.attempt.number() == 2 && waits(status);
            world.status_when(id, "the second wait", again).await?;
            world.instruct(&format!("{id}-retry-1")).await?;
            assert_eq!(world.outcome(id).await?.ending, Ending::Completed, "{id}");
            world.paid_exactly_once(&format!("{id}-retry-1")).await?;
        }
        names::CHECK_PAYOUT => {
            world.start(id, "1000000000").await?;
            assert_eq!(world.outcome(id).await?.ending, Ending::Completed, "{id}");
            let before = world.system.records().audit_of(id).await?;
            let check = client.check_started(id).await?;
            assert!(matches!(check.standing, Standing::Over { .. }), "{id}: {check:?}");
            assert_eq!(world.system.records().audit_of(id).await?, before, "{id}: a check is on record");
        }
        other => bail!("nobody has said how {other} is to be failed"),
    }
    assert!(saboteur.has_struck(&at, activity), "{id}: {activity} was never failed");
    world.no_task_failed(id).await?;
    books_agree(world, id).await
}

/// What is on record of the payout's newest attempt is what its run says, and what the other side's books say.
async fn books_agree(world: &World, id: &str) -> Result<()> {
    let outcome = world.outcome(id).await?;
    let row = world.system.records().payout(outcome.key.as_str()).await?;
    let Some(row) = row else { bail!("{id} is not on record") };
    assert_eq!(row.outcome, Some(serde_json::to_value(&outcome)?), "{id}");
    let ledger = world.ledger(outcome.key.as_str()).await?;
    assert_eq!(row.payout.as_deref(), ledger["payouts"][0]["id"].as_str(), "{id}");
    let paid = ledger["totals"]["transfersConfirmed"] == json!(1);
    assert_eq!(paid, outcome.ending == Ending::Completed, "{id}: {ledger:#}");
    Ok(())
}

/// Calls to the provider in the middle of which a worker is killed: the effect comes or not, the answer never.
const CALLS: [(&str, &str, &str); 9] = [
    (names::DECIDE_PAYOUT, "GET /wallets/*/assets", "afterEffect"),
    (names::QUOTE_PAYOUT, "POST /payouts/quote", "afterEffect"),
    (names::CREATE_PAYOUT, "POST /payouts", "beforeEffect"),
    (names::CREATE_PAYOUT, "POST /payouts", "afterEffect"),
    (names::READ_PAYOUT, "GET /payouts/*", "afterEffect"),
    (names::CONFIRM_PAYOUT, "POST /payouts/*/action", "beforeEffect"),
    (names::CONFIRM_PAYOUT, "POST /payouts/*/action", "afterEffect"),
    (names::CANCEL_PAYOUT, "POST /payouts/*/action", "afterEffect"),
    (names::OPEN_ATTEMPT, "GET /payouts/*", "beforeEffect"),
];
/// Writes to the records, in the middle of which a worker is killed too.
const WRITES: [&str; 3] = [names::CLOSE_GATE, names::RECORD_OUTCOME, names::CLAIM_PAYOUT];
/// What a person asks for and asks again when there is no answer: a check, the verification of an approval or an order.
const ASKED_AGAIN: [&str; 3] = [names::CHECK_PAYOUT, names::RECORD_APPROVAL, names::CHECK_ORDER];

#[test]
fn a_worker_is_killed_in_the_middle_of_every_activity() {
    let killed: BTreeSet<&str> =
        CALLS.into_iter().map(|(activity, ..)| activity).chain(WRITES).chain(ASKED_AGAIN).collect();
    let contract = contract();
    assert_eq!(killed, contract.iter().map(String::as_str).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_of_any_call_leaves_one_effect() -> Result<()> {
    let world = World::with(Options { cadence: quick(), worker: Begin::Later, ..Options::default() }).await?;
    let client = world.system.client();
    let mut retry = None;
    let mut ids = Vec::new();
    for (n, (activity, on, when)) in CALLS.into_iter().enumerate() {
        let id = format!("killed-in-{n}");
        // Neither a quote nor what a wallet holds names a payout: they are aimed at by being the first.
        let mut slow = json!({"kind": "slow", "on": on, "when": when, "ms": 8_000});
        if ![names::QUOTE_PAYOUT, names::DECIDE_PAYOUT].contains(&activity) {
            slow["externalId"] = json!(id);
        }
        let worker = world.worker_process()?;
        let slow = match activity {
            names::CANCEL_PAYOUT => {
                world.start(&id, "1000000099").await?;
                world.status_when(&id, "the wait", |status| status.waits_for.is_some()).await?;
                client.hold(&id, &order("until it is ready")).await?;
                world.instruct(&id).await?;
                world.status_when(&id, "the hold", |status| status.stage == Stage::OnHold).await?;
                let slow = world.fault(slow).await?;
                assert_eq!(client.cancel(&id, &order("wrong")).await?.answer, Verdict::Accepted, "{id}");
                slow
            }
            names::OPEN_ATTEMPT => {
                // It fails, as the second attempt will.
                world.start(&id, "1000000091").await?;
                assert_eq!(world.outcome(&id).await?.ending, Ending::Failed, "{id}");
                let slow = world.fault(slow).await?;
                let (client, id) = (client.clone(), id.clone());
                retry = Some(tokio::spawn(async move { client.retry(&id, &order("right"), None).await }));
                slow
            }
            _ => {
                let slow = world.fault(slow).await?;
                world.start(&id, "1000000000").await?;
                slow
            }
        };
        world.has_struck(&slow).await?;
        worker.kill()?;
        ids.push((activity, id));
    }
    let worker = world.worker_process()?;
    let retry = retry.context("nobody asked for another attempt")?.await??;
    assert!(matches!(retry, Retried::Started(_) | Retried::UnderWay(_)), "{retry:?}");
    for (activity, id) in &ids {
        let outcome = world.outcome(id).await?;
        let (ending, of) = match *activity {
            names::CANCEL_PAYOUT => (Ending::Canceled, "cancelsAccepted"),
            names::OPEN_ATTEMPT => (Ending::Failed, "createsAccepted"),
            _ => (Ending::Completed, "confirmsAccepted"),
        };
        assert_eq!(outcome.ending, ending, "{id}: {}", outcome.reason);
        assert_eq!(world.total(outcome.key.as_str(), of).await?, 1, "{id}");
        if ending == Ending::Completed {
            world.paid_exactly_once(id).await?;
        }
        let attempts = if *activity == names::OPEN_ATTEMPT { 2 } else { 1 };
        let newest = world.system.records().newest_attempt(id).await?.map(|row| row.attempt);
        assert_eq!(newest, Some(attempts), "{id}");
        books_agree(&world, id).await?;
    }
    worker.kill()?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_of_any_write_to_the_records_leaves_one_effect() -> Result<()> {
    // Without a relay, which writes as well. Instructions come when they are pushed.
    let organisation = instructions_after(86_400_000);
    let world = World::with(Options {
        cadence: quick(),
        organisation,
        relay: Begin::Later,
        worker: Begin::Later,
        ..Options::default()
    })
    .await?;
    let records = world.system.records();
    let client = world.system.client();
    let worker = world.worker_process()?;
    // One is called off, of the second the provider fails to give instructions, the third is just beginning.
    let (closing, concluding, claiming) = ("killed-closing", "killed-concluding", "killed-claiming");
    for (id, units) in [(closing, "1000000000"), (concluding, "1000000091")] {
        world.start(id, units).await?;
        world.status_when(id, "the wait", |status| status.waits_for.is_some()).await?;
    }
    let lock = world.lock_records().await?;
    let wrong = order("wrong");
    // Nobody answers the order: its worker is killed.
    let (unanswered, killed) = tokio::join!(client.cancel(closing, &wrong), async {
        world.start(claiming, "1000000000").await?;
        world.instruct(concluding).await?;
        for (id, activity) in [closing, concluding, claiming].into_iter().zip(WRITES) {
            world.is_in(id, activity).await?;
        }
        worker.kill()
    });
    killed?;
    assert!(unanswered.is_err(), "{unanswered:?}");
    assert_eq!(records.gate(closing).await?.map(|state| state.gate), Some(Gate::Open));
    assert_eq!(records.payout(concluding).await?.and_then(|row| row.outcome), None);
    assert!(records.payout(claiming).await?.is_none());
    lock.release().await?;

    let worker = world.worker_process()?;
    world.instruct(claiming).await?;
    for (id, ending) in [(closing, Ending::Canceled), (concluding, Ending::Failed), (claiming, Ending::Completed)] {
        assert_eq!(world.outcome(id).await?.ending, ending, "{id}");
        world.no_task_failed(id).await?;
        books_agree(&world, id).await?;
    }
    assert_eq!(world.outcome(closing).await?.decided, Some(wrong));
    assert_eq!(world.total(closing, "confirmCalls").await?, 0);
    world.paid_exactly_once(claiming).await?;
    worker.kill()?;
    world.end().await
}
