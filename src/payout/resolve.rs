//! `remit payout resolve`.

use remit_client::{Action, Resolve, Whereabouts};

use super::order::{KeyArg, OrderArgs, failure, tell};
use crate::{exit::Outcome, settings::Settings, signing::sign_order, temporal::Connected};

/// Flags of `remit payout resolve`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit payout resolve invoice-2026-0001 read-again --why 'bank says it is fine'
  remit payout resolve invoice-2026-0001 go-on --why 'provider has corrected the account'
  remit payout resolve invoice-2026-0001 give-up --money returned --why 'provider sent it back on 3 May'
  remit payout resolve invoice-2026-0001 go-on --why 'the address is right' --by ana --key ana.pem

For payouts in stage NeedsPerson (`remit payout list --stage NeedsPerson`). Nothing here overrides a check: go-on makes
all of them again, and what still does not fit ends in doubt again. Nothing here pays again: for that there is
`remit payout retry`, after the payout has ended. Where the policy takes such orders only signed ([orders]), --by is
somebody's name in the policy and --key that one's private key.

Where the money is, with give-up:
  not-sent      never confirmed; taken only where the closed gate proves it
  returned      it came back to the wallet
  paid          the beneficiary has it
  written-off   it is lost

Exit codes: 0 accepted · 3 refused, with why · 4 there is no such payout · 2 the order is not accepted as one · \
1 anything else.")]
pub struct Args {
    /// Your id of the payout, or its key
    id: String,
    /// What to do
    #[arg(value_enum)]
    action: Choice,
    /// With give-up: where the money is
    #[arg(long, value_enum, required_if_eq("action", "give-up"))]
    money: Option<Money>,
    #[command(flatten)]
    order: OrderArgs,
    #[command(flatten)]
    key: KeyArg,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Choice {
    /// Read it at the provider and say what is found; changes nothing
    ReadAgain,
    /// Check everything again, and go on if it holds
    GoOn,
    /// End it, naming where the money is
    GiveUp,
}

/// Where the money is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Money {
    NotSent,
    Returned,
    Paid,
    WrittenOff,
}

/// Takes the decision.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let money = args.money.map(|money| match money {
        Money::NotSent => Whereabouts::NotSent,
        Money::Returned => Whereabouts::Returned,
        Money::Paid => Whereabouts::Paid,
        Money::WrittenOff => Whereabouts::WrittenOff,
    });
    let action = match (args.action, money) {
        (Choice::ReadAgain, None) => Action::ReadAgain,
        (Choice::GoOn, None) => Action::GoOn,
        (Choice::GiveUp, Some(money)) => Action::GiveUp(money),
        (Choice::ReadAgain | Choice::GoOn, Some(_)) | (Choice::GiveUp, None) => {
            return Err(crate::exit::Failure::usage(anyhow::Error::msg("--money goes with give-up, and only with it")));
        }
    };
    let connected = Connected::for_a_person(settings).await?;
    let order = args.order.order();
    let what = ("resolve", action.words());
    let signed = sign_order(&connected.client, &args.id, what, &order, args.key.key.as_deref()).await?;
    let resolve = Resolve { order, action, signed };
    tell(&connected.client.resolve(&args.id, &resolve).await.map_err(failure)?, args.json)
}
