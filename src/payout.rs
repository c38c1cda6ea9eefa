//! `remit payout`: start payouts and see how they go.

mod list;
mod show;
mod start;
mod watch;

pub(crate) use watch::Story;

use crate::{exit::Outcome, settings::Settings};

/// What to do about payouts.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Start a payout; safe to repeat: the same id with the same content is the same payout
    Start(start::Args),
    /// Where a payout is, what it waits for, and what happened
    Show(show::Args),
    /// Payouts, newest first
    List(list::Args),
    /// Follow a payout until it ends; the exit code says how: 0 paid, 3 not
    Watch(watch::Args),
}

/// Runs the command.
///
/// # Errors
/// As the command says.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    match command {
        Command::Start(args) => start::run(args, settings).await,
        Command::Show(args) => show::run(args, settings).await,
        Command::List(args) => list::run(args, settings).await,
        Command::Watch(args) => watch::run(args, settings).await,
    }
}
