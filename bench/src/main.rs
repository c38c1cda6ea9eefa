//! What it costs, measured. Each sub-command starts what it needs on this machine, on loopback, prints figures, and
//! stops all of it. Compare figures of one run only: the machine is never the same twice.

mod bare_worker;
mod cost;
mod decide;
mod figures;
mod latency;
mod machine;
mod memory;
mod open;
mod process;
mod receiver;
mod relay;
mod replay;
mod sides;
mod soak;
mod stage;
mod webhook;
mod wire;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures what `remit` costs
#[derive(Debug, Parser)]
#[command(arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Worker CPU for a thousand payouts, ours beside bare workers in four languages
    Cost(cost::Args),
    /// From a webhook to the Confirm, and to its answer
    Latency(latency::Args),
    /// What the relay stands: forged webhooks by the million, and genuine ones
    Relay(relay::Args),
    /// Many payouts that wait at the same time, and all of them brought to their ends
    Memory(memory::Args),
    /// How fast recorded payouts are decided again, how soon a worker polls, what each way to an end costs
    Replay(replay::Args),
    /// How many payouts one core decides by a policy
    Decide(decide::Args),
    /// An hour at a steady rate under faults: what grows, and whether the books still agree
    Soak(soak::Args),
    /// A comparison worker, started by the others
    #[command(hide = true)]
    BareWorker(bare_worker::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Cli { command }: Cli) -> anyhow::Result<()> {
    // A worker of ours to be compared ends what it has begun; everything else can be left.
    let drains = matches!(command, Command::BareWorker(_));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let work = async {
            match command {
                Command::Cost(args) => cost::run(args).await,
                Command::Latency(args) => latency::run(args).await,
                Command::Relay(args) => relay::run(args).await,
                Command::Memory(args) => memory::run(args).await,
                Command::Replay(args) => replay::run(args).await,
                Command::Decide(args) => decide::run(args),
                Command::Soak(args) => soak::run(args).await,
                Command::BareWorker(args) => bare_worker::run(args).await,
            }
        };
        if drains {
            return work.await;
        }
        let stop = remit::exit::stop_on_signal()?;
        tokio::select! {
            done = work => done,
            // What was started ends with what holds it.
            () = stop.cancelled() => anyhow::bail!("stopped before it was done"),
        }
    })
}
