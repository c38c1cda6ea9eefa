//! A long run at a steady rate under faults: what grows with time, and whether the books still agree at its end.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::builder::RangedU64ValueParser;
use futures::{StreamExt, TryStreamExt, stream};
use remit::dev::{Begin, Options, PAYER, System};
use remit_activities::PollCadence;
use remit_domain::PayoutRequest;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    figures::{Figures, Told, tell},
    machine::Machine,
    process::{Process, Role, Usage, free_address, temporal_server},
    stage::{AMOUNT, UNLIMITED, folder, request, runs, until_completed, webhooks_to},
};

/// Flags of `bench soak`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  bench soak
  bench soak --minutes 2 --rate 10
  bench soak --memory 150 --json >soak.json

Build with `cargo build --release --workspace --locked`. A worker and a relay in processes of their own, Temporal with a
database file; payouts are started at a steady rate while the provider fails by plan (server errors 4 %, answers lost
after the effect 4 %, timeouts 1 %; of webhooks 15 % doubled, 15 % shuffled, 5 % lost). Every ten seconds it looks at
memory, open files and databases. Then the faults end, and every payout has to be completed and paid once, and what left
the wallet has to be their sum to the unit. A slope is the least-squares line through all samples after the first tenth of
the time. It stops by itself; so it does with Ctrl-C. Everything is on loopback.

Exit codes: 0 measured, and the books agree · 1 they do not, or something failed.")]
pub struct Args {
    /// How long payouts are started
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=24 * 60))]
    minutes: u64,
    /// Payouts started in a second
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rate: u32,
    /// Decides the faults
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// The worker begins anew above so many MiB [default: as it ships]
    #[arg(long, value_name = "MIB", value_parser = RangedU64ValueParser::<usize>::new().range(50..))]
    memory: Option<usize>,
    /// Write every sample into this file, as lines of JSON
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Starts under way at a time.
const AT_ONCE: usize = 200;
/// For what is still open after the last start.
const PATIENCE: Duration = Duration::from_secs(900);
/// Lost webhooks are found by polls soon.
const CADENCE: PollCadence = PollCadence { first: Duration::from_secs(5), most: Duration::from_secs(30) };
const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * KIB;

/// What was seen at one moment.
struct Sample {
    at: Duration,
    worker: Usage,
    relay: Usage,
    server: Usage,
    /// Bytes.
    records: u64,
    /// Bytes.
    temporal: u64,
    open: usize,
}

/// Measures and prints.
pub async fn run(args: Args) -> Result<()> {
    let settings = json!({"minutes": args.minutes, "rate": args.rate, "seed": args.seed, "memory": args.memory});
    let mut figures = Figures::new("soak", Machine::with_server().await?, settings);
    let count = usize::try_from(args.minutes * 60 * u64::from(args.rate))?;
    // Kept in files, so that their growth can be seen; gone with the run.
    let files = tempfile::Builder::new().prefix("remit-soak-").tempdir().context("no temporary folder")?;
    let system = System::start(Options {
        organisation: json!({"settings": {"rateLimitPerMinute": UNLIMITED}}),
        dir: Some(files.path().to_owned()),
        cadence: CADENCE,
        provider_calls_per_second: UNLIMITED,
        worker: Begin::Later,
        relay: Begin::Later,
        ..Options::default()
    });
    let system = system.await?;
    let soaked = soak(&mut figures, &args, &system, files.path(), count).await;
    system.stop().await?;
    soaked?;
    figures.print(args.json)
}

async fn soak(figures: &mut Figures, args: &Args, system: &System, files: &Path, count: usize) -> Result<()> {
    let environment = system.environment().to_vec();
    let bound = args.memory.map(|mib| ("REMIT_WORKER_MEMORY".to_owned(), mib.to_string()));
    let log = |name: &str| folder(system).join(name);
    let worker = Role::start("worker", &[], environment.iter().cloned().chain(bound), &log("bench-worker.log")).await?;
    let listen = free_address()?;
    let relay = Role::start("relay", &["--listen", &listen], environment, &log("bench-relay.log")).await?;
    webhooks_to(&system.dfns(PAYER)?, &format!("http://{listen}/webhooks/dfns")).await?;
    let organisation = system.organisation();
    let plan = json!({"seed": args.seed, "serverErrors": 4, "answersLost": 4, "timeouts": 1, "timeoutMs": 11_000,
                      "webhooksDoubled": 15, "webhooksShuffled": 15, "webhooksLost": 5});
    organisation.control(Method::PUT, "/plan", Some(&plan)).await?;

    tell(format_args!("{count} payouts, {} a second", args.rate));
    let begun = Instant::now();
    let mut samples = vec![];
    let all = async {
        pay(system, count, args.rate, begun).await?;
        let struck = organisation.control(Method::GET, "/plan", None).await?;
        organisation.control(Method::DELETE, "/plan", None).await?;
        until_completed(system, count, PATIENCE).await?;
        Ok::<_, anyhow::Error>(struck)
    };
    let looking = look(system, (&worker.process, &relay.process), files, begun, &mut samples);
    let struck = tokio::select! {
        struck = all => struck?,
        failed = looking => match failed? {},
    };
    let took = begun.elapsed();
    if let Some(file) = &args.samples {
        let lines: Vec<String> = samples.iter().map(|sample| sample.line().to_string()).collect();
        fs::write(file, lines.join("\n") + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    agree(figures, system, count).await?;
    told(figures, &samples, count)?;
    figures.add("worker", "began anew", "times", worker.began_anew()? as f64);
    let faults = struck["struck"].as_object().into_iter().flatten();
    for (what, times) in faults {
        figures.add("provider", &format!("faults: {what}"), "", times.as_f64().unwrap_or_default());
    }
    figures.add("payouts", "all ended after", "min", took.as_secs_f64() / 60.0);
    worker.process.stop().await?;
    relay.process.stop().await
}

/// Starts all of them, each when its time has come, whether earlier ones have ended or not.
async fn pay(system: &System, count: usize, rate: u32, begun: Instant) -> Result<()> {
    let starts = stream::iter(0..count).map(|n| async move {
        let due = Duration::from_secs_f64(n as f64 / f64::from(rate));
        tokio::time::sleep_until((begun + due).into()).await;
        let request = PayoutRequest::parse(&request(system, &format!("soak-{n}"))?)?;
        system.client().start(&request).await.with_context(|| format!("payout {n} did not start"))?;
        Ok::<_, anyhow::Error>(())
    });
    starts.buffer_unordered(AT_ONCE).try_for_each(async |()| Ok(())).await
}

/// Looks, for ever.
async fn look(
    system: &System,
    (worker, relay): (&Process, &Process),
    files: &Path,
    begun: Instant,
    samples: &mut Vec<Sample>,
) -> Result<std::convert::Infallible> {
    let mut told = Told::default();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let sample = Sample {
            at: begun.elapsed(),
            worker: worker.usage()?,
            relay: relay.usage()?,
            server: Usage::of(temporal_server()?)?,
            records: size(files, "records.db")?,
            temporal: size(files, "temporal.db")?,
            open: runs(system, "Running").await?,
        };
        told.tell(|| sample.to_string());
        samples.push(sample);
    }
}

/// Of all files that begin so: a database and what it keeps beside itself.
fn size(folder: &Path, name: &str) -> Result<u64> {
    let mut all = 0;
    for file in fs::read_dir(folder)?.flatten() {
        if file.file_name().to_string_lossy().starts_with(name) {
            // It may have gone a moment ago.
            all += file.metadata().map_or(0, |metadata| metadata.len());
        }
    }
    Ok(all)
}

/// Every payout was made, confirmed and sent once, and what left the wallet is their sum.
async fn agree(figures: &mut Figures, system: &System, count: usize) -> Result<()> {
    let organisation = system.organisation();
    let ledger = organisation.control(Method::GET, "/ledger", None).await?;
    let total = |name: &str| ledger["totals"][name].as_u64().unwrap_or(0);
    let names = ["createsAccepted", "confirmsAccepted", "transfersConfirmed"];
    for name in names {
        figures.add("provider", name, "", total(name) as f64);
    }
    ensure!(names.map(total) == [count as u64; 3], "{names:?}: {:?}, not {count} each", names.map(total));
    let once = ledger["byExternalId"].as_object().into_iter().flatten();
    let twice: Vec<&String> = once.filter(|(_, of)| of["confirmsAccepted"] != 1).map(|(id, _)| id).collect();
    ensure!(twice.is_empty(), "not confirmed exactly once: {twice:?}");
    // Fees are paid in the network's own coin.
    let wallet = organisation.wallet("Polygon")?.id.as_str();
    let rows = ledger["balances"].as_array().into_iter().flatten();
    let native = |row: &Value| row["asset"].as_str().is_some_and(|asset| asset.starts_with("native"));
    let mut rows = rows.filter(|row| row["walletId"] == wallet && !native(row));
    let row = rows.next().context("the wallet's balance")?;
    let moved: i128 = row["moved"].as_str().unwrap_or_default().parse().context("what moved")?;
    let due = i128::try_from(count)? * AMOUNT;
    figures.add("wallet", "difference from what was asked for", "units", (moved + due) as f64);
    ensure!(moved == -due, "{moved} units moved, {due} were asked for");
    Ok(())
}

fn told(figures: &mut Figures, samples: &[Sample], count: usize) -> Result<()> {
    let [.., last] = samples else { anyhow::bail!("no samples: it was too short") };
    let settled: Vec<&Sample> = samples.iter().filter(|sample| sample.at * 10 >= last.at).collect();
    let first = settled.first().context("no samples")?;
    type Of = fn(&Sample) -> &Usage;
    let roles: [(&str, Of); 3] =
        [("worker", |it| &it.worker), ("relay", |it| &it.relay), ("Temporal's server", |it| &it.server)];
    for (role, of) in roles {
        let points: Vec<(f64, f64)> =
            settled.iter().map(|it| (it.at.as_secs_f64() / 3600.0, of(it).resident_mib())).collect();
        let most = settled.iter().map(|it| of(it).resident_mib()).fold(0.0, f64::max);
        figures.add(role, "memory after a tenth of the time", "MiB", of(first).resident_mib());
        figures.add(role, "memory at the end", "MiB", of(last).resident_mib());
        figures.add(role, "memory, most", "MiB", most);
        figures.add(role, "memory, slope", "MiB an hour", slope(&points));
        figures.add(role, "open files after a tenth of the time", "", of(first).files as f64);
        figures.add(role, "open files at the end", "", of(last).files as f64);
        let most = settled.iter().map(|it| of(it).files).max().unwrap_or_default();
        figures.add(role, "open files, most", "", most as f64);
        figures.add(role, "CPU for 1,000 payouts", "s", of(last).cpu.as_secs_f64() * 1000.0 / count as f64);
    }
    for (what, size) in [("records", last.records), ("Temporal's database", last.temporal)] {
        figures.add(what, "size at the end", "MiB", size as f64 / MIB);
        figures.add(what, "for each payout", "KiB", size as f64 / KIB / count as f64);
    }
    let most = samples.iter().map(|it| it.open).max().unwrap_or_default();
    figures.add("payouts", "completed, each paid once", "", count as f64);
    figures.add("payouts", "open at a time, most", "", most as f64);
    Ok(())
}

/// Of the least-squares line through the points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len().max(1) as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (over, under) = points.iter().fold((0.0, 0.0), |(over, under), point| {
        (over + (point.0 - x) * (point.1 - y), under + (point.0 - x) * (point.0 - x))
    });
    if under > 0.0 { over / under } else { 0.0 }
}

impl Sample {
    fn line(&self) -> Value {
        let of = |usage: &Usage| json!({"residentKib": usage.resident_kib, "cpuMs": usage.cpu.as_millis() as u64, "files": usage.files});
        json!({"atMs": self.at.as_millis() as u64, "worker": of(&self.worker), "relay": of(&self.relay),
               "server": of(&self.server), "records": self.records, "temporal": self.temporal, "open": self.open})
    }
}

impl std::fmt::Display for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |usage: &Usage| format!("{:.0} MiB and {} files", usage.resident_mib(), usage.files);
        write!(
            f,
            "{} s: {} open; worker {}, relay {}, server {}; records {:.0} MiB, Temporal's {:.0} MiB",
            self.at.as_secs(),
            self.open,
            of(&self.worker),
            of(&self.relay),
            of(&self.server),
            self.records as f64 / MIB,
            self.temporal as f64 / MIB,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_what_grows_in_an_hour() {
        assert!((slope(&[(0.0, 10.0), (0.5, 11.0), (1.0, 12.0)]) - 2.0).abs() < 1e-9);
        assert!(slope(&[(0.1, 7.0), (0.2, 7.0)]).abs() < 1e-9);
        assert!(slope(&[(0.1, 7.0)]).abs() < 1e-9 && slope(&[]).abs() < 1e-9);
    }
}
