//! Two builds at the same time, and what a deploy does to payouts that are open.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context, Result, bail};
use remit::dev::{APPROVER, Begin, Options};
use remit_client::{Status, Verdict};
use remit_dfns::{Action, ActivityKind, ApprovalStatus, DecisionValue, ListApprovals, PolicyBody, Rule};
use remit_domain::{Ending, Progress, Stage};
use serde_json::{Value, json};
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

use crate::harness::{People, Process, STANDARD, World, anyone, go_on, instructions_after, order, quick, until};

const DEPLOYMENT: &str = "tests";
/// A day of the organisation's time: instructions come when they are pushed.
const NOT_BY_THEMSELVES: u32 = 24 * 3_600_000;

/// A system whose workers are processes of their own.
async fn world() -> Result<World> {
    let organisation = instructions_after(NOT_BY_THEMSELVES);
    World::with(Options { cadence: quick(), organisation, worker: Begin::Later, ..Options::default() }).await
}

fn build(world: &World, build: &str) -> Result<Process> {
    world.worker_of_build(DEPLOYMENT, build, &["--make-current"])
}

/// What `remit deployment show` says of a build.
async fn shown(world: &World, build: &str) -> Result<Option<Value>> {
    let (exit, output, why) = world.command(&["deployment", "show", "--deployment", DEPLOYMENT, "--json"]).await?;
    match exit {
        Some(0) => {}
        // Not registered yet, or just being registered.
        Some(4) => return Ok(None),
        Some(1) => {
            eprintln!("asked again: {why}");
            return Ok(None);
        }
        other => bail!("`remit deployment show` ended with {other:?}: {why}"),
    }
    let shown: Value = serde_json::from_str(&output)?;
    Ok(shown["versions"].as_array().and_then(|all| all.iter().find(|version| version["buildId"] == build)).cloned())
}

async fn shown_when(world: &World, build: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    until(&format!("{build} to be {what}"), async || Ok(shown(world, build).await?.filter(|version| is_so(version))))
        .await
}

async fn current(world: &World, build: &str) -> Result<Value> {
    shown_when(world, build, "current", |version| version["state"] == "current").await
}

async fn waiting(world: &World, id: &str) -> Result<()> {
    world.start(id, "1000000000").await?;
    world.status_when(id, "its instructions", |status| status.stage == Stage::AwaitingInstructions).await?;
    Ok(())
}

/// The processes that did the payout's work, both queues', from the event with this number on.
async fn worked_on(world: &World, id: &str, from: usize) -> Result<BTreeSet<String>> {
    let history = world.history(id).await?;
    let done = history.into_iter().skip(from).filter_map(|event| {
        let attributes = event.attributes?;
        if let Attributes::WorkflowTaskCompletedEventAttributes(task) = &attributes {
            return Some(task.identity.clone());
        }
        let Attributes::ActivityTaskCompletedEventAttributes(call) = attributes else { return None };
        Some(call.identity)
    });
    Ok(done.collect())
}

fn only(worker: &Process) -> impl Fn(&BTreeSet<String>) -> bool {
    let name = format!("remit-worker-{}@", worker.id());
    move |who| !who.is_empty() && who.iter().all(|identity| identity.starts_with(&name))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_is_finished_by_the_build_that_began_it_and_new_ones_go_to_the_next() -> Result<()> {
    let world = world().await?;
    let first = build(&world, "b1")?;
    current(&world, "b1").await?;
    waiting(&world, "old-1").await?;

    let second = build(&world, "b2")?;
    current(&world, "b2").await?;
    let old = shown_when(&world, "b1", "draining", |version| version["state"] == "draining").await?;
    assert_eq!((&old["open"], &old["mayStop"]), (&json!(1), &json!(false)), "{old}");

    waiting(&world, "new-1").await?;
    world.instruct("new-1").await?;
    world.instruct("old-1").await?;
    for (id, worker) in [("new-1", &second), ("old-1", &first)] {
        assert_eq!(world.outcome(id).await?.ending, Ending::Completed);
        let who = worked_on(&world, id, 0).await?;
        assert!(only(worker)(&who), "{id} was worked on by {who:?}");
        world.paid_exactly_once(id).await?;
    }

    let done = shown_when(&world, "b1", "without payouts", |version| version["mayStop"] == json!(true)).await?;
    assert_eq!((&done["state"], &done["open"]), (&json!("drained"), &json!(0)), "{done}");
    let current = current(&world, "b2").await?;
    assert_eq!(current["mayStop"], json!(false), "{current}");
    first.kill()?;
    second.kill()?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_builds_worker_that_is_killed_and_started_again_goes_on_and_takes_nothing_over() -> Result<()> {
    let world = world().await?;
    let first = build(&world, "b1")?;
    current(&world, "b1").await?;
    waiting(&world, "old-1").await?;
    let second = build(&world, "b2")?;
    current(&world, "b2").await?;

    first.kill()?;
    let before = world.history("old-1").await?.len();
    // As a supervisor would, with the same flags.
    let again = build(&world, "b1")?;
    world.instruct("old-1").await?;
    assert_eq!(world.outcome("old-1").await?.ending, Ending::Completed);
    world.paid_exactly_once("old-1").await?;
    let who = worked_on(&world, "old-1", before).await?;
    assert!(only(&again)(&who), "worked on by {who:?}");

    let newer = shown(&world, "b2").await?.context("b2 is gone")?;
    assert_eq!(newer["state"], "current", "{newer}");
    again.kill()?;
    second.kill()?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_gets_no_payout_before_somebody_promotes_it() -> Result<()> {
    let world = world().await?;
    let promote = async |build: &'static str, flags: &'static [&'static str]| {
        world.command(&[&["deployment", "promote", build, "--deployment", DEPLOYMENT], flags].concat()).await
    };
    assert_eq!(promote("b1", &[]).await?.0, Some(4), "there is no such deployment yet");
    let worker = world.worker_of_build(DEPLOYMENT, "b1", &[])?;
    shown_when(&world, "b1", "unused", |version| version["state"] == "unused").await?;
    world.start("early-1", "1000000000").await?;
    assert_eq!(promote("b9", &[]).await?.0, Some(4), "there is no such build");
    let (exit, says, _) = promote("b1", &["--dry-run"]).await?;
    assert!(exit == Some(0) && says.contains("would change"), "{says}");
    assert_eq!(world.ledger("early-1").await?["payouts"], json!([]), "nobody promoted it");

    // Its workers may not all have been seen yet.
    until("the promotion", async || Ok((promote("b1", &[]).await?.0 == Some(0)).then_some(()))).await?;
    world.total_is("early-1", "createsAccepted", 1).await?;
    world.instruct("early-1").await?;
    assert_eq!(world.outcome("early-1").await?.ending, Ending::Completed);
    assert_eq!(promote("b1", &[]).await?.0, Some(0), "again is no error");
    worker.kill()?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_counts_the_open_payouts_by_stage() -> Result<()> {
    let organisation = instructions_after(NOT_BY_THEMSELVES);
    let mut world = World::with(Options { cadence: quick(), organisation, ..Options::default() }).await?;
    waiting(&world, "open-1").await?;
    waiting(&world, "open-2").await?;
    // It counts when it starts, and then once a minute.
    world.system.stop_worker().await?;
    world.system.start_worker().await?;
    until("a count", async || {
        let at = world.worker_metric("remit_payouts_counted_timestamp_seconds ").await?;
        Ok(at.filter(|at| at != "0"))
    })
    .await?;
    // The stage that is searched for changes at few points, to spare Actions: not before Confirm.
    assert_eq!(world.worker_metric("remit_payouts_open{stage=\"Requested\"}").await?.as_deref(), Some("2"));
    assert_eq!(world.worker_metric("remit_payouts_open{stage=\"Settling\"}").await?.as_deref(), Some("0"));
    assert_eq!(world.worker_metric("remit_runs_with_problems ").await?.as_deref(), Some("0"));
    world.end().await
}

/// Names the program of the build before, which `tools/upgrade` makes. Without it this build is its own predecessor
/// under another id, which shows what versions do and nothing about what was changed.
const BEFORE: &str = "REMIT_PROGRAM_BEFORE";

fn before() -> Result<PathBuf> {
    std::env::var_os(BEFORE).map_or_else(Process::program, |program| Ok(program.into()))
}

/// Payouts that wait at every place where one can when a deploy comes, by what they wait for.
const EVERYWHERE: [&str; 6] = ["instructions", "approval", "release", "person", "bank", "custody"];

/// Opens them, with whatever worker is there.
async fn open_everywhere(world: &World) -> Result<()> {
    let stage =
        async |id: &str, stage: Stage| world.status_when(id, stage.as_str(), |status| status.stage == stage).await;
    waiting(world, "instructions").await?;
    world.start("approval", "1600000000").await?;
    world.awaiting_approval("approval").await?;

    waiting(world, "release").await?;
    world.system.client().hold("release", &order("not before the deploy")).await?;
    world.instruct("release").await?;
    stage("release", Stage::OnHold).await?;

    world.fault(json!({"kind": "addressChangesAtConfirm", "externalId": "person", "times": 1_000})).await?;
    waiting(world, "person").await?;
    world.instruct("person").await?;
    world.in_doubt("person").await?;

    world.start("bank", "1000000094").await?;
    world.instruct("bank").await?;
    // Its transfer is over before the custodian holds any.
    world.total_is("bank", "transfersConfirmed", 1).await?;
    stage("bank", Stage::Settling).await?;

    let hold = PolicyBody {
        name: "held by the custodian".to_owned(),
        activity_kind: ActivityKind::WalletsSign,
        rule: Rule::always(),
        action: Action::request_approval(vec![anyone()], None),
        filters: None,
    };
    let approver = world.system.dfns(APPROVER)?;
    let hold = approver.create_policy(&hold).await?;
    waiting(world, "custody").await?;
    world.instruct("custody").await?;
    let held = |status: &Status| status.read.as_ref().is_some_and(|read| read.progress == Progress::Held);
    world.status_when("custody", "the hold", held).await?;
    Ok(approver.delete_policy(&hold.id).await?)
}

/// Brings them to their ends; none is paid twice, and no workflow task fails.
async fn finish_everywhere(world: &World, people: &People) -> Result<()> {
    world.no_faults().await?;
    world.instruct("instructions").await?;
    world.decide(people, "ana", "approval", "treasury", true).await?;
    world.instruct("approval").await?;
    let client = world.system.client();
    let released = client.release("release", &world.release(people, "ana", "release").await?).await?;
    assert_eq!(released.answer, Verdict::Accepted, "{}", released.says);
    let resolved = client.resolve("person", &go_on()).await?;
    assert_eq!(resolved.answer, Verdict::Accepted, "{}", resolved.says);
    let approver = world.system.dfns(APPROVER)?;
    let pending = ListApprovals { status: Some(ApprovalStatus::Pending), ..ListApprovals::default() };
    let pending = approver.approvals(&pending).await?.items;
    let [approval] = pending.as_slice() else { bail!("expected one approval: {pending:#?}") };
    approver.decide_approval(&approval.id, DecisionValue::Approved, None).await?;
    world.disburse("bank").await?;
    for id in EVERYWHERE {
        let outcome = world.outcome(id).await?;
        assert_eq!(outcome.ending, Ending::Completed, "{id}: {}", outcome.reason);
        world.paid_exactly_once(id).await?;
        world.no_task_failed(id).await?;
    }
    Ok(())
}

async fn everywhere() -> Result<(World, People)> {
    let people = People::new(&["ana", "ben"])?;
    let policy = STANDARD.replace("3000 USD", "30000 USD").replace("unsigned = \"refuse\"", "unsigned = \"allow\"");
    let organisation = instructions_after(NOT_BY_THEMSELVES);
    let policy = people.policy(&policy);
    let options = Options { cadence: quick(), organisation, policy, worker: Begin::Later, ..Options::default() };
    Ok((World::with(options).await?, people))
}

/// How long the histories are now: what comes after is the work of those who are there after the deploy.
async fn lengths(world: &World) -> Result<Vec<(&'static str, usize)>> {
    let mut all = vec![];
    for id in EVERYWHERE {
        all.push((id, world.history(id).await?.len()));
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn payouts_that_wait_everywhere_are_finished_by_the_version_that_began_them() -> Result<()> {
    let (world, people) = everywhere().await?;
    let first = world.worker_of(&before()?, Some((DEPLOYMENT, "n-1")), &["--make-current"])?;
    current(&world, "n-1").await?;
    open_everywhere(&world).await?;
    let deployed = lengths(&world).await?;
    let second = build(&world, "n")?;
    current(&world, "n").await?;
    waiting(&world, "new").await?;
    finish_everywhere(&world, &people).await?;
    world.instruct("new").await?;
    assert_eq!(world.outcome("new").await?.ending, Ending::Completed);
    for (id, from, worker) in deployed.iter().map(|(id, from)| (*id, *from, &first)).chain([("new", 0, &second)]) {
        let who = worked_on(&world, id, from).await?;
        assert!(only(worker)(&who), "{id} was worked on by {who:?}");
    }
    let done = shown_when(&world, "n-1", "without payouts", |version| version["mayStop"] == json!(true)).await?;
    assert_eq!(done["open"], json!(0), "{done}");
    first.kill()?;
    second.kill()?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn payouts_that_wait_everywhere_go_on_with_the_next_program_where_there_are_no_versions() -> Result<()> {
    let (world, people) = everywhere().await?;
    let first = world.worker_of(&before()?, None, &[])?;
    open_everywhere(&world).await?;
    first.finish().await?;
    let deployed = lengths(&world).await?;
    let second = world.worker_process()?;
    finish_everywhere(&world, &people).await?;
    for (id, from) in deployed {
        let who = worked_on(&world, id, from).await?;
        assert!(only(&second)(&who), "{id} was worked on by {who:?}");
    }
    second.kill()?;
    world.end().await
}
