//! `remit payout`: start payouts, see how they go, and order what operators order.

mod check;
mod list;
mod order;
mod resolve;
mod retry;
mod show;
mod start;
mod watch;

pub(crate) use list::rfc3339;
pub(crate) use order::user;
pub(crate) use watch::Story;

use crate::{exit::Outcome, settings::Settings};

/// What to do about payouts.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Start a payout; safe to repeat: the same id with the same content is the same payout
    Start(start::Args),
    /// How a payout would go as things are: policy, quote, wallet, token; nothing is changed
    Check(check::Args),
    /// Where a payout is, what it waits for, and what happened
    Show(show::Args),
    /// Payouts, newest first
    List(list::Args),
    /// Follow a payout until it ends; the exit code says how: 0 paid, 3 not
    Watch(watch::Args),
    /// Call a payout off, while nothing has been confirmed
    Cancel(order::Args),
    /// Hold a payout back before it is confirmed
    Hold(order::Args),
    /// Let a payout that was held back go on
    Release(order::ReleaseArgs),
    /// Decide about a payout in doubt (stage NeedsPerson)
    Resolve(resolve::Args),
    /// Make another attempt at a payout that ended unpaid, once it is proven that it cannot pay any more
    Retry(retry::Args),
}

/// Runs the command.
///
/// # Errors
/// As the command says.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    match command {
        Command::Start(args) => start::run(args, settings).await,
        Command::Check(args) => check::run(args, settings).await,
        Command::Show(args) => show::run(args, settings).await,
        Command::List(args) => list::run(args, settings).await,
        Command::Watch(args) => watch::run(args, settings).await,
        Command::Cancel(args) => order::run(order::Kind::Cancel, args, settings).await,
        Command::Hold(args) => order::run(order::Kind::Hold, args, settings).await,
        Command::Release(args) => order::release(args, settings).await,
        Command::Resolve(args) => resolve::run(args, settings).await,
        Command::Retry(args) => retry::run(args, settings).await,
    }
}
