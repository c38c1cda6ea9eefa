//! One run: a whole system, many payouts under a fault plan, and the audit.

use std::{
    cell::Cell,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use remit::dev::{Begin, Options, Organisation, System};
use remit_activities::PollCadence;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    audit::{Books, audit},
    books,
    drive::{self, Left},
    load::{self, Payout},
    report::{Events, Report, Took},
    workers,
};

/// How often the worker polls: sooner than in production, where nobody waits for the end of a run.
const CADENCE: PollCadence = PollCadence { first: Duration::from_secs(1), most: Duration::from_secs(5) };
/// Nothing but the faults is to slow the run down.
const CALLS_PER_SECOND: u32 = 2_000;
const REQUESTS_A_MINUTE: u32 = 10_000_000;

/// Longer than a plan may delay an answer.
const AT_REST_WITHIN: Duration = Duration::from_secs(700);
/// Longer than a transfer takes that a late call sets going.
const TRANSFERS_TAKE: Duration = Duration::from_secs(60);

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many payouts.
    pub count: usize,
    /// Decides amounts, faults and kills.
    pub seed: u64,
    /// How many are open at a time, at most.
    pub in_flight: usize,
    /// The fault plan, as the sandbox takes it.
    pub faults: Value,
    /// How long the payouts may take all together.
    pub limit: Duration,
    /// Whether workers run as processes and are killed on the way.
    pub kill_workers: bool,
    /// Is told how far it is.
    pub progress: fn(&str),
}

/// What goes wrong unless something else is asked for, in percent.
pub fn usual_faults() -> Value {
    json!({"serverErrors": 10, "answersLost": 5, "timeouts": 5,
           "webhooksDoubled": 20, "webhooksShuffled": 20, "webhooksLost": 5})
}

/// Runs it: starts a system on loopback, brings the payouts to their ends, compares all books, and stops the system.
///
/// # Errors
/// When the system does not start, a part of it ends by itself, or a book cannot be read. A violation is no error.
pub async fn run(plan: Plan) -> Result<Report> {
    let begun = Instant::now();
    let mut system = System::start(options(&plan)).await.context("the system does not start")?;
    let report = within(&mut system, &plan, begun).await;
    let stopped = system.stop().await.context("the system did not stop well");
    let report = report?;
    stopped?;
    Ok(report)
}

/// A system in which nothing but the faults slows anything down.
pub(crate) fn options(plan: &Plan) -> Options {
    Options {
        seed: plan.seed,
        organisation: json!({"name": "chaos", "rateLimitPerMinute": REQUESTS_A_MINUTE}),
        cadence: CADENCE,
        provider_calls_per_second: CALLS_PER_SECOND,
        worker: if plan.kill_workers { Begin::Later } else { Begin::Now },
        progress: plan.progress,
        ..Options::default()
    }
}

async fn within(system: &mut System, plan: &Plan, begun: Instant) -> Result<Report> {
    let payouts = load::payouts(system.organisation(), plan.count, plan.seed)?;
    let up = begun.elapsed();
    let Endured { left, killed, faults } = endure(system, plan, &payouts).await?;
    let ended = begun.elapsed();
    let books = books::collect(system, &payouts, &left).await?;
    let findings = audit(&books);
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok(Report {
        seed: plan.seed,
        count: plan.count,
        in_flight: plan.in_flight,
        took: Took { start_ms: ms(up), payouts_ms: ms(ended - up), audit_ms: ms(begun.elapsed() - ended) },
        faults,
        workers_killed: killed,
        provider: provider(&books),
        events: Events::of(books.runs.values().map(|run| run.events).collect()),
        failed_tasks: books.runs.values().flat_map(|run| run.failed_tasks.clone()).collect(),
        findings,
    })
}

/// What is left once all payouts have been followed to where they are, and the provider is at rest.
pub(crate) struct Endured {
    pub(crate) left: BTreeMap<String, Left>,
    pub(crate) killed: u64,
    pub(crate) faults: Value,
}

/// Starts the payouts under the plan's faults and kills, and follows each to where it ends.
pub(crate) async fn endure(system: &mut System, plan: &Plan, payouts: &[Payout]) -> Result<Endured> {
    let mut faults = plan.faults.clone();
    if let Value::Object(faults) = &mut faults {
        faults.entry("seed").or_insert(plan.seed.into());
    }
    system.organisation().control(Method::PUT, "/plan", Some(&faults)).await.context("the fault plan is refused")?;

    let killed = Cell::new(0);
    let client = system.client().clone();
    let environment = system.environment().to_vec();
    let deadline = Instant::now() + plan.limit;
    let torment = async {
        match plan.kill_workers {
            true => workers::kill_again_and_again(&environment, plan.seed, &killed).await,
            false => std::future::pending().await,
        }
    };
    let left = tokio::select! {
        left = drive::all(&client, payouts, plan.in_flight.max(1), deadline, plan.progress) => left,
        Err(error) = torment => return Err(error),
        error = system.broken() => bail!("a part of the system ended by itself: {error:#}"),
    };
    (plan.progress)("all have been followed to where they are; comparing the books");
    let faults = system.organisation().control(Method::GET, "/plan", None).await?;
    rest(system.organisation()).await?;
    Ok(Endured { left, killed: killed.get(), faults })
}

/// Books are compared at rest: a call that nobody waited for may still act, late, and what it sets going takes its time.
async fn rest(organisation: &Organisation) -> Result<()> {
    organisation.control(Method::DELETE, "/plan", None).await?;
    let begun = Instant::now();
    while organisation.control(Method::GET, "/requests", None).await?["underWay"] != 0 {
        if begun.elapsed() > AT_REST_WITHIN {
            bail!("calls to the provider are still under way {AT_REST_WITHIN:?} after the last payout ended");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    organisation.advance(TRANSFERS_TAKE).await
}

fn provider(books: &Books) -> BTreeMap<String, u64> {
    let totals = books.ledger["totals"].as_object().into_iter().flatten();
    totals.filter_map(|(what, times)| Some((what.clone(), times.as_u64()?))).collect()
}
