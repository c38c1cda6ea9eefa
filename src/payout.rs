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

use remit_domain::{ExternalId, PayoutKey};

use crate::{
    exit::{Exit, Failure, Outcome},
    settings::Settings,
};

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

/// The keys that an id may mean: that of the caller's id, and the key itself.
///
/// # Errors
/// When it cannot be an id.
pub(crate) fn keys(id: &str) -> Result<Vec<String>, Failure> {
    let external = ExternalId::parse(id).map_err(|why| Failure::new(Exit::Usage, format!("{id:?}: {why}")))?;
    let mut keys = vec![PayoutKey::of(&external).as_str().to_owned()];
    if keys[0] != id {
        keys.push(id.to_owned());
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_means_its_key_and_a_key_itself() {
        assert_eq!(keys("invoice-1").expect("an id"), ["invoice-1"]);
        let hashed = keys("an id with spaces").expect("an id");
        assert!(hashed.len() == 2 && hashed[0].starts_with("h-"), "{hashed:?}");
        assert_eq!(keys("invoice-1-retry-2").expect("a key")[1], "invoice-1-retry-2");
        assert_eq!(keys("").expect_err("no id").exit, Exit::Usage);
    }
}
