//! Payouts that race for one window of a policy while calls fail and workers are killed: does the limit hold, and is it
//! filled?

mod drive;
mod load;
mod workers;

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use remit::dev::{Begin, Options, Organisation, System};
use remit_activities::PollCadence;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use load::Payout;

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

/// Of all that is asked for, so much fits, in percent.
const FITS: u128 = 40;
/// Of a hundred payouts from the seed, so many end in the ordinary way: those alone are asked for, so that nothing that
/// was reserved is freed again and the window can be filled.
const ORDINARY: usize = 80;

/// What came of it. Amounts are in millionths of a US dollar.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Decides amounts, faults and kills.
    pub seed: u64,
    /// Payouts asked for.
    pub count: usize,
    /// The limit of the window.
    pub limit: u128,
    /// What all of them are worth.
    pub asked: u128,
    /// What those are worth that were paid, by the provider's ledger.
    pub paid: u128,
    /// How many were paid.
    pub paid_count: usize,
    /// The smallest that was blocked: it would not have fitted any more.
    pub smallest_blocked: Option<u128>,
    /// Reservations that are left over.
    pub open_reservations: usize,
    /// Workers killed on the way.
    pub workers_killed: u64,
    /// What does not hold.
    pub violations: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usd = |micros: u128| format!("{}.{:06} USD", micros / 1_000_000, micros % 1_000_000);
        writeln!(f, "seed             {}", self.seed)?;
        writeln!(f, "payouts          {}, worth {}", self.count, usd(self.asked))?;
        writeln!(f, "limit            {}", usd(self.limit))?;
        writeln!(f, "paid             {} payouts, worth {}", self.paid_count, usd(self.paid))?;
        writeln!(f, "left of it       {}", usd(self.limit.saturating_sub(self.paid)))?;
        writeln!(f, "smallest blocked {}", self.smallest_blocked.map_or("none".to_owned(), usd))?;
        writeln!(f, "left reserved    {}", self.open_reservations)?;
        writeln!(f, "workers killed   {}", self.workers_killed)?;
        write!(f, "violations       {}", self.violations.len())?;
        for violation in &self.violations {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}

/// What goes wrong unless something else is asked for, in percent.
pub fn usual_faults() -> Value {
    json!({"serverErrors": 10, "answersLost": 5, "timeouts": 5,
           "webhooksDoubled": 20, "webhooksShuffled": 20, "webhooksLost": 5})
}

/// A system in which nothing but the faults slows anything down.
fn options(plan: &Plan) -> Options {
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

/// Starts the payouts under the plan's faults and kills, and follows each to where it ends. Says how many workers were
/// killed.
async fn endure(system: &mut System, plan: &Plan, payouts: &[Payout]) -> Result<u64> {
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
    tokio::select! {
        () = drive::all(&client, payouts, plan.in_flight.max(1), deadline, plan.progress) => {}
        Err(error) = torment => return Err(error),
        error = system.broken() => bail!("a part of the system ended by itself: {error:#}"),
    };
    (plan.progress)("all have been followed to where they are; comparing the books");
    rest(system.organisation()).await?;
    Ok(killed.get())
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

/// Runs it: a system on loopback with a policy whose one window holds two fifths of what is asked for.
///
/// # Errors
/// When the system does not start, a part of it ends by itself, or a book cannot be read. A violation is no error.
pub async fn run(plan: Plan) -> Result<Report> {
    // What is asked for is known once there are wallets; the limit must be known before: amounts come from the seed alone.
    let policy = |limit: u128| {
        format!(
            "name = \"limits\"\nunsigned_starts = \"allow\"\n\n[[rule]]\nname = \"a-day\"\nkind = \"TransactionAmountVelocity\"\n\
             limit = \"{limit} USD\"\nwindow = \"24h\"\naction = \"Block\"\n"
        )
    };
    let begin = Options { policy: policy(1), ..options(&plan) };
    let mut system = System::start(begin).await.context("the system does not start")?;
    let report = within(&mut system, &plan, policy).await;
    let stopped = system.stop().await.context("the system did not stop well");
    let report = report?;
    stopped?;
    Ok(report)
}

async fn within(system: &mut System, plan: &Plan, policy: impl Fn(u128) -> String) -> Result<Report> {
    let mut payouts = load::payouts(system.organisation(), plan.count * 100 / ORDINARY, plan.seed)?;
    payouts.retain(|payout| payout.asked.must_be_paid);
    payouts.truncate(plan.count);
    let asked_units: u128 = payouts.iter().map(|payout| payout.asked.amount).sum();
    let limit_usd = asked_units * FITS / 100 / 1_000_000;
    system.publish(&policy(limit_usd), "the window that all race for").await?;
    let killed = endure(system, plan, &payouts).await?;
    let limit = limit_usd * 1_000_000;

    let moved = moved(system, &payouts).await?;
    let mut report = Report {
        seed: plan.seed,
        count: payouts.len(),
        limit,
        asked: 0,
        paid: 0,
        paid_count: 0,
        smallest_blocked: None,
        open_reservations: 0,
        workers_killed: killed,
        violations: vec![],
    };
    for payout in &payouts {
        let key = &payout.asked.key;
        let ending =
            system.records().payout(key).await?.and_then(|row| row.outcome).map(|outcome| outcome["ending"].clone());
        let worth = system.records().decision(key).await?.and_then(|row| row.decision.usd).map(|usd| u128::from(usd.0));
        let (Some(ending), Some(worth)) = (ending, worth) else {
            report.violations.push(format!("{key}: it did not end, or nobody said what it is worth"));
            continue;
        };
        let moved = moved.get(key).copied().unwrap_or_default();
        report.asked += worth;
        match (ending.as_str().unwrap_or_default(), moved) {
            ("Completed", 1) => {
                report.paid += worth;
                report.paid_count += 1;
            }
            ("Blocked", 0) => {
                report.smallest_blocked = Some(report.smallest_blocked.map_or(worth, |least| least.min(worth)));
            }
            (ending, moved) => {
                report.violations.push(format!("{key}: it ended as {ending}, and {moved} transfers arrived"))
            }
        }
    }
    report.open_reservations = system.records().open_reservations(None, 500).await?.items.len();
    if report.paid > limit {
        report.violations.push(format!("{} were paid, of {limit}", report.paid));
    }
    if let Some(least) = report.smallest_blocked.filter(|least| report.paid + least <= limit) {
        report.violations.push(format!("{least} was blocked, and would have fitted beside {}", report.paid));
    }
    if report.smallest_blocked.is_none() || report.paid_count == 0 {
        report.violations.push("nothing was shown: all of them fit, or none".to_owned());
    }
    if report.open_reservations > 0 {
        report.violations.push(format!("{} reservations are left over", report.open_reservations));
    }
    Ok(report)
}

/// Transfers that arrived, by payout, as the ledger has them.
async fn moved(system: &System, payouts: &[Payout]) -> Result<BTreeMap<String, u64>> {
    let mut all = BTreeMap::new();
    for payout in payouts {
        let key = &payout.asked.key;
        let path = format!("/ledger?externalId={key}");
        let ledger = system.organisation().control(reqwest::Method::GET, &path, None).await?;
        let transfers = ledger["totals"]["transfersConfirmed"].as_u64().context("the ledger has no such total")?;
        all.insert(key.clone(), transfers);
    }
    Ok(all)
}
