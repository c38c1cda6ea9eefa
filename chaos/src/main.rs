//! The `chaos` program: what a whole system survives.

use std::{fmt::Display, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use remit::{logging, out};
use remit_chaos::{
    limits,
    payouts::{self, Plan},
};
use serde::Serialize;

/// Puts a whole system under faults, and audits what is left.
#[derive(Debug, Parser)]
#[command(name = "chaos", version)]
enum Cli {
    /// Many payouts while calls fail, answers are lost and webhooks come in any order
    #[command(after_long_help = "Examples:
  chaos payouts                                   1000 payouts, the usual faults
  chaos payouts --count 40 --seed 3 --json        a small run, for programs
  chaos payouts --faults plan.json --kill-workers

Starts everything on loopback: Temporal's dev server, the sandbox, the relay, the worker. Afterwards the sandbox's
ledger, the results of the runs and the records are compared, payout by payout and to the unit. The usual faults, in
percent: 10 server errors, 5 answers lost after the effect, 5 timeouts; of webhooks 20 doubled, 20 shuffled, 5 lost.
`RUST_LOG=warn` shows what the system says of it.
Exit codes: 0 all books agree · 1 they do not, each violation is named, or the run broke · 2 usage.")]
    Payouts(Args),
    /// Many payouts that race for one window of a policy under the same faults: the limit holds, and is filled
    #[command(after_long_help = "Examples:
  chaos limits --count 1000 --seed 1 --kill-workers

The window holds two fifths of what is asked for. Afterwards no more was paid than it holds, no payout was blocked that
would still have fitted, and nothing is left reserved.
Exit codes: 0 that is so · 1 it is not, or the run broke · 2 usage.")]
    Limits(Args),
}

#[derive(Debug, clap::Args)]
struct Args {
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
    let cli = Cli::parse();
    // What every lost answer says on the way would bury the report.
    if std::env::var_os("RUST_LOG").is_some() {
        logging::init(None, logging::Voice::Person);
    }
    match run(cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            out::note(format_args!("chaos: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<bool> {
    let (Cli::Payouts(args) | Cli::Limits(args)) = &cli;
    let faults = match &args.faults {
        None => payouts::usual_faults(),
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
            serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?
        }
    };
    let plan = Plan {
        count: args.count,
        seed: args.seed,
        in_flight: args.in_flight,
        faults,
        limit: Duration::from_secs(args.limit.saturating_mul(60)),
        kill_workers: args.kill_workers,
        progress: |line| out::note(format_args!("chaos: {line}")),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let holds = runtime.block_on(async {
        let stop = remit::exit::stop_on_signal()?;
        let report = async {
            match &cli {
                Cli::Payouts(args) => payouts::run(plan).await.and_then(|report| told(args, &report, report.holds())),
                Cli::Limits(args) => {
                    limits::run(plan).await.and_then(|report| told(args, &report, report.violations.is_empty()))
                }
            }
        };
        tokio::select! {
            report = report => report,
            () = stop.cancelled() => anyhow::bail!("stopped before the end"),
        }
    })?;
    // What still blocks is not waited for.
    runtime.shutdown_background();
    Ok(holds)
}

fn told(args: &Args, report: &(impl Serialize + Display), holds: bool) -> Result<bool> {
    if args.json {
        out::json(report)?
    } else {
        out::line(report)?
    }
    Ok(holds)
}
