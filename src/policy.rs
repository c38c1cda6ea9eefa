//! `remit policy`: the rules, and what of them the custody of the wallets enforces as well.

pub(crate) mod dfns;

use crate::{exit::Outcome, settings::Settings};

/// What to do about the policy.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// What would change at Dfns, so that its own policies say what ours says
    Plan(dfns::PlanArgs),
    /// Write it there
    Apply(dfns::ApplyArgs),
}

/// Runs the command.
///
/// # Errors
/// As the command says.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    match command {
        Command::Plan(args) => dfns::plan(args, settings).await,
        Command::Apply(args) => dfns::apply(args, settings).await,
    }
}
