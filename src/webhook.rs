//! `remit webhook`: the subscription at Dfns and its secret; what arrived, what did not.

mod gaps;
mod list;
mod make;
mod replay;
mod rotate;
mod secrets_file;
mod subscribe;

use remit_dfns::Dfns;
use remit_records::{Records, StoredEvent};

use crate::{
    exit::{Failure, Outcome},
    settings::Settings,
};

/// What to do about webhooks.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Have Dfns deliver to a relay, and keep the secret
    Subscribe(subscribe::Args),
    /// Replace the secret, in two steps with an overlap
    Rotate(rotate::Args),
    /// Events that arrived, newest first
    List(list::Args),
    /// Events that Dfns could not deliver, and whether we have them
    Gaps(gaps::Args),
    /// Hand kept events to their payouts again
    Replay(replay::Args),
}

/// Runs the command.
///
/// # Errors
/// As the command says.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    match command {
        Command::Subscribe(args) => subscribe::run(args, settings).await,
        Command::Rotate(args) => rotate::run(args, settings).await,
        Command::List(args) => list::run(args, settings).await,
        Command::Gaps(args) => gaps::run(args, settings).await,
        Command::Replay(args) => replay::run(args, settings).await,
    }
}

fn dfns(settings: &Settings) -> Result<Dfns, Failure> {
    let access = settings.dfns.access().map_err(Failure::usage)?;
    Dfns::new(access.settings).map_err(Failure::usage)
}

async fn records(settings: &Settings) -> Result<Records, Failure> {
    let url = settings.records_url().map_err(Failure::usage)?;
    Ok(Records::open(&url).await?)
}

/// Where an event stands, in one word.
fn standing(event: &StoredEvent) -> &'static str {
    if event.mismatch.is_some() {
        "mismatch"
    } else if event.delivered_at.is_some() {
        "delivered"
    } else if event.key.is_some() {
        "waiting"
    } else {
        "parked"
    }
}

/// The object an event is about.
fn object(event: &StoredEvent) -> String {
    event.objects.first().map(|(_, id)| id.clone()).unwrap_or_default()
}
