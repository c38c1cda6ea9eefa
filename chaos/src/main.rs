//! The `chaos` program: what a whole system survives.

use std::{
    ffi::OsString,
    fmt::Display,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use remit::{logging, out};
use remit_chaos::{
    disk, limits,
    run::{self, Settings, usual_faults},
    starter,
    system::AS_REMIT,
    trace,
};
use serde::Serialize;
use serde_json::Value;

/// Puts a whole system under fire, and compares its books afterwards
#[derive(Debug, Parser)]
#[command(name = "chaos", version, args_conflicts_with_subcommands = true, after_long_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    args: RunArgs,
}

const EXAMPLES: &str = "Examples:
  chaos                                            1000 payouts, 300 kills
  chaos --payouts 200 --kills 40 --seed 7          a small run
  chaos --payouts 200 --kills 40 --seed 7 --keep ./run7
  chaos trace ./run7 c7-0042                       one payout of it across all books
  chaos --faults plan.json --json                  another fault plan; for programs
  chaos --program target/release/remit             workers and relay from another build
  chaos limits --count 1000                        payouts that race for one window of a policy

Starts everything on loopback, each part a process of its own: Temporal's dev server with a database file, the sandbox,
a relay, two workers, two starters. While payouts are open it kills workers, relay and server (SIGKILL, 3 : 2 : 1),
lets them stand still for seconds, locks the records, fills their disk, and lets the provider fail by plan and by aim;
people approve, call off, hold, release, resolve and retry; one attacker forges webhooks, another lies to Temporal. Then
an auditor that shares no code with the system compares what the starters were told, the records, what the runs returned
and the provider's ledger, payout by payout and to the unit. The last line says all figures.

Everything comes from --seed but the moments at which processes race; the same seed runs the same payouts, faults and
kills again.
Exit codes: 0 all books agree · 1 they do not, each violation is named, or the run broke · 2 usage.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Many payouts that race for one window of a policy under the same faults: the limit holds, and is filled
    #[command(after_long_help = "Examples:
  chaos limits --count 1000 --seed 1 --kill-workers

The window holds two fifths of what is asked for. Afterwards no more was paid than it holds, no payout was blocked that
would still have fitted, and nothing is left reserved.
Exit codes: 0 that is so · 1 it is not, or the run broke · 2 usage.")]
    Limits(LimitsArgs),
    /// One payout of a run that was kept, across all books in the order of time
    #[command(after_long_help = "Examples:
  chaos trace ./run7 c7-0042

Times are milliseconds from the first call for it.
Exit codes: 0 shown · 1 there is no such run or payout · 2 usage.")]
    Trace {
        /// The folder of --keep
        folder: PathBuf,
        /// The payout's id
        id: String,
    },
    /// Starts payouts, as a part of a run
    #[command(hide = true)]
    Starter { name: String, work: PathBuf, log: PathBuf },
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// How many payouts
    #[arg(long, default_value_t = 1000, value_name = "N")]
    payouts: usize,
    /// How many processes are killed: workers, relays and servers as 3 : 2 : 1
    #[arg(long, default_value_t = 300, value_name = "N")]
    kills: usize,
    /// Decides payouts, faults and kills
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// A file with another fault plan, as the sandbox's README describes it
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Another `remit` program for workers and relay than this one has within
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Keep all books and logs in this new folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// How long it may take all together
    #[arg(long, default_value_t = 60, value_name = "MINUTES")]
    limit: u64,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct LimitsArgs {
    /// How many payouts
    #[arg(long, default_value_t = 1000, value_name = "N")]
    count: usize,
    /// Decides amounts, faults and kills
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// A file with another fault plan, as the sandbox's README describes it
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// How many payouts are open at a time, at most
    #[arg(long, default_value_t = 200, value_name = "N")]
    in_flight: usize,
    /// How long the payouts may take all together
    #[arg(long, default_value_t = 60, value_name = "MINUTES")]
    limit: u64,
    /// Run workers as processes, and kill them at moments that the seed decides
    #[arg(long)]
    kill_workers: bool,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let mut line: Vec<OsString> = std::env::args_os().collect();
    // A part of the system that is tormented: this program is all that a run needs.
    if line.get(1).is_some_and(|word| word == AS_REMIT) {
        line.remove(1);
        return remit::cli::main(line);
    }
    let cli = Cli::parse_from(line);
    if cli.command.is_none() {
        disk::enter();
    }
    // What every lost answer says on the way would bury the report.
    if std::env::var_os("RUST_LOG").is_some() {
        logging::init(None, logging::Voice::Person);
    }
    match begin(cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            out::note(format_args!("chaos: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn begin(cli: Cli) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let holds = runtime.block_on(async {
        let stop = remit::exit::stop_on_signal()?;
        let work = async {
            match cli.command {
                None => shelled(cli.args).await,
                Some(Command::Limits(args)) => raced(args).await,
                Some(Command::Trace { folder, id }) => {
                    out::line(trace::trace(&folder, &id)?.join("\n"))?;
                    Ok(true)
                }
                Some(Command::Starter { name, work, log }) => starter::run(&name, &work, &log).await.map(|()| true),
            }
        };
        tokio::select! {
            holds = work => holds,
            () = stop.cancelled() => anyhow::bail!("stopped before the end"),
        }
    })?;
    // What still blocks is not waited for.
    runtime.shutdown_background();
    Ok(holds)
}

fn progress(line: &str) {
    out::note(format_args!("chaos: {line}"));
}

async fn shelled(args: RunArgs) -> Result<bool> {
    let settings = Settings {
        payouts: args.payouts,
        kills: args.kills,
        seed: args.seed,
        faults: faults(args.faults.as_deref(), usual_faults())?,
        program: args.program,
        keep: args.keep,
        limit: Duration::from_secs(args.limit.saturating_mul(60)),
        progress,
    };
    let report = run::run(settings).await?;
    told(args.json, &report)?;
    Ok(report.holds())
}

async fn raced(args: LimitsArgs) -> Result<bool> {
    let plan = limits::Plan {
        count: args.count,
        seed: args.seed,
        in_flight: args.in_flight,
        faults: faults(args.faults.as_deref(), limits::usual_faults())?,
        limit: Duration::from_secs(args.limit.saturating_mul(60)),
        kill_workers: args.kill_workers,
        progress,
    };
    let report = limits::run(plan).await?;
    told(args.json, &report)?;
    Ok(report.violations.is_empty())
}

fn faults(file: Option<&Path>, usual: Value) -> Result<Value> {
    let Some(file) = file else { return Ok(usual) };
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

fn told(json: bool, report: &(impl Serialize + Display)) -> Result<()> {
    if json {
        out::json(report)?
    } else {
        out::line(report)?
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
