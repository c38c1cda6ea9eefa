//! How fast recorded payouts are decided again, how soon a worker polls, and how many events and Actions each way to an
//! end takes.

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::builder::RangedU64ValueParser;
use remit::dev::{Begin, Options, System};
use remit_tests::{Cost, recorded};
use remit_worker::{
    history,
    replay::{Cuts, replay, replay_all},
};
use serde_json::json;
use temporalio_common::{data_converters::DataConverter, protos::temporal::api::history::v1::History};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::{
    figures::{Aim, Figures, milliseconds, per_second, tell},
    machine::Machine,
    process::{Usage, remit},
};

/// Flags of `bench replay`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  bench replay
  bench replay --repeats 2 --rounds 1
  bench replay --json >replay.json

Build with `cargo build --release --workspace --locked`. The histories in workflows/histories are replayed one after the
other, as often as asked for: by the function behind `remit replay`, which makes a replayer for each, and with one
replayer for all; the time counted is this process's time on processors. Then a worker is started against a server of its
own, once to warm up and once in each round: from exec to the line that it polls. The table ends with what each recorded
way to an end costs.

Exit codes: 0 measured · 1 a history does not replay, or the worker did not start.")]
pub struct Args {
    /// How often all histories are replayed in each round
    #[arg(long, default_value_t = 20, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    repeats: usize,
    /// How often it is measured
    #[arg(long, default_value_t = 5, value_parser = RangedU64ValueParser::<usize>::new().range(1..=100))]
    rounds: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// For one replay, which takes milliseconds, and for one start.
const LIMIT: Duration = Duration::from_secs(60);
/// What the worker logs as it begins to poll.
const POLLS: &str = "The worker polls";
const EACH: &str = "a replayer for each";
const TOGETHER: &str = "one replayer";
const PER_CORE: &str = "events in a second of one core";
const START: &str = "worker, start";

/// Measures and prints.
pub async fn run(args: Args) -> Result<()> {
    let Args { repeats, rounds, json } = args;
    let histories = histories()?;
    let machine = Machine::with_server().await?;
    let mut figures = Figures::new("replay", machine, json!({"repeats": repeats, "rounds": rounds}));
    tell(format_args!("{} histories", histories.len()));
    for _ in 0..rounds {
        replayed(&mut figures, &histories, repeats).await?;
    }
    figures.aim(TOGETHER, PER_CORE, Aim::AtLeast(110_000.0));
    started(&mut figures, rounds).await?;
    figures.aim(START, "exec to first poll", Aim::AtMost(100.0));
    for (name, history) in &histories {
        let Cost { events, actions } = Cost::of(&history.events);
        figures.count(name, "events", events);
        figures.count(name, "Actions", actions);
    }
    figures.print(json)
}

fn histories() -> Result<Vec<(String, History)>> {
    let mut files: Vec<PathBuf> = fs::read_dir(recorded::folder())
        .with_context(|| format!("there is no {}: run it in a clone", recorded::folder().display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "binpb"));
    files.sort();
    ensure!(!files.is_empty(), "no history in {}", recorded::folder().display());
    let named = files.iter().map(|file| {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, history::read(&fs::read(file)?)?))
    });
    named.collect()
}

/// As `remit replay` does, a replayer for each; and with one replayer for all, which is nearer to a worker, since it makes
/// nothing anew for a run that it takes up.
async fn replayed(figures: &mut Figures, histories: &[(String, History)], repeats: usize) -> Result<()> {
    let spent = Spent::begin()?;
    let mut events = 0;
    for _ in 0..repeats {
        for (name, history) in histories {
            let replayed = replay(history, &DataConverter::default(), Cuts::Whole, LIMIT).await;
            events += replayed.with_context(|| format!("{name} does not replay"))?.events;
        }
    }
    spent.add(figures, EACH, events, repeats * histories.len())?;

    let histories: Vec<History> = histories.iter().map(|(_, history)| history.clone()).collect();
    let spent = Spent::begin()?;
    let mut events = 0;
    for _ in 0..repeats {
        events += replay_all(&histories, &DataConverter::default(), LIMIT).await?;
    }
    spent.add(figures, TOGETHER, events, repeats * histories.len())
}

/// What this process has spent since.
struct Spent {
    begun: Instant,
    before: Usage,
}

impl Spent {
    fn begin() -> Result<Self> {
        Ok(Self { begun: Instant::now(), before: Usage::of(std::process::id())? })
    }

    fn add(self, figures: &mut Figures, how: &str, events: usize, histories: usize) -> Result<()> {
        let took = self.begun.elapsed();
        let cpu = Usage::of(std::process::id())?.cpu.saturating_sub(self.before.cpu);
        figures.add(how, PER_CORE, "", per_second(events, cpu));
        figures.add(how, "histories in a second of one core", "", per_second(histories, cpu));
        figures.add(how, "events in a second, one history after the other", "", per_second(events, took));
        Ok(())
    }
}

/// Against a system of its own: the worker opens the records, connects to Temporal and agrees on search attributes
/// before it polls.
async fn started(figures: &mut Figures, rounds: usize) -> Result<()> {
    let system = System::start(Options { worker: Begin::Later, relay: Begin::Later, ..Options::default() }).await?;
    for round in 0..=rounds {
        let mut command = Command::new(remit()?);
        command.args(["worker", "--admin", "127.0.0.1:0", "--log", "json"]).envs(system.environment().iter().cloned());
        let begun = Instant::now();
        let mut worker =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let pid = worker.id().context("the worker ended at once")?;
        let mut lines = BufReader::new(worker.stderr.take().context("its log")?).lines();
        let polls = async {
            while let Some(line) = lines.next_line().await? {
                if line.contains(POLLS) {
                    return Ok(());
                }
            }
            anyhow::bail!("the worker ended before it polled")
        };
        timeout(LIMIT, polls).await.with_context(|| format!("the worker did not poll within {LIMIT:?}"))??;
        let took = begun.elapsed();
        let usage = Usage::of(pid)?;
        // The first one reads the program from the disk.
        if round > 0 {
            figures.add(START, "exec to first poll", "ms", milliseconds(took));
            figures.add(START, "memory then", "MiB", usage.resident_mib());
        }
        worker.kill().await?;
    }
    system.stop().await
}
