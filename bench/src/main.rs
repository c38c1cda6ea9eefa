//! What it costs, measured. Each sub-command starts what it needs on this machine, on loopback, prints figures, and
//! stops all of it. Compare figures of one session only: the machine is never the same twice.

mod figures;
mod open_payouts;
mod process;

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
    /// Many payouts that wait at the same time, and all of them confirmed at once
    OpenPayouts(open_payouts::Args),
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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let work = async {
            match command {
                Command::OpenPayouts(args) => open_payouts::run(args).await,
            }
        };
        tokio::select! {
            done = work => done,
            // What was started ends with what holds it.
            _ = tokio::signal::ctrl_c() => anyhow::bail!("stopped by Ctrl-C"),
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
