//! What it costs, measured. Each sub-command starts what it needs on this machine, on loopback, prints figures, and
//! stops all of it. Compare figures of one run only: the machine is never the same twice.

mod bare_worker;
mod cost;
mod figures;
mod machine;
mod process;
mod receiver;
mod sides;
mod stage;

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
