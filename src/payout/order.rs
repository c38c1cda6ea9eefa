//! `remit payout cancel`, `hold` and `release`.

use std::path::PathBuf;

use remit_client::{Answer, Order, OrderError, Release, Verdict};

use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
    signing::sign_order,
    temporal::{Connected, read_failure},
};

/// Flags of `remit payout cancel` and `hold`, which only stop money.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit payout cancel invoice-2026-0001 --why 'wrong invoice'
  remit payout hold invoice-2026-0001 --why 'beneficiary called' --by ana@example.com

Who and why stay in the payout's history for ever.
cancel works until Confirm is sent: nothing is confirmed any more, the payout ends as Canceled.
hold works until Confirm is sent: nothing is confirmed before the release; the limit of 24 hours stands.

Exit codes: 0 accepted · 3 refused, with what happens instead · 4 there is no such payout · 2 the order is not accepted \
as one · 1 anything else.")]
pub struct Args {
    /// Your id of the payout, or its key
    id: String,
    #[command(flatten)]
    order: OrderArgs,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Flags of `remit payout release`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit payout release invoice-2026-0001 --why 'cleared with the beneficiary' --by ana --key ana.pem

Who and why stay in the payout's history for ever. A release lets money go on: where the policy takes such orders only
signed ([orders]), --by is somebody's name in the policy and --key that one's private key.

Exit codes: 0 accepted · 3 refused, with what happens instead · 4 there is no such payout · 2 the order is not accepted \
as one · 1 anything else.")]
pub struct ReleaseArgs {
    /// Your id of the payout, or its key
    id: String,
    #[command(flatten)]
    order: OrderArgs,
    #[command(flatten)]
    key: KeyArg,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// The key that an order is signed with.
#[derive(Debug, clap::Args)]
pub(super) struct KeyArg {
    /// Sign the order with this private key, as the person that --by names
    #[arg(long, value_name = "FILE", env = "REMIT_SIGNING_KEY_FILE")]
    pub(super) key: Option<PathBuf>,
}

/// Who orders, and why.
#[derive(Debug, clap::Args)]
pub(super) struct OrderArgs {
    /// The reason, for whoever reads the history
    #[arg(long)]
    why: String,
    /// Who orders it
    #[arg(long, env = "REMIT_OPERATOR", default_value_t = user())]
    by: String,
}

impl OrderArgs {
    pub(super) fn order(&self) -> Order {
        Order { by: self.by.clone(), why: self.why.clone() }
    }
}

/// Whoever is logged in; the machine's word for it.
pub(crate) fn user() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "somebody at a terminal".to_owned())
}

/// Which order.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Call it off.
    Cancel,
    /// Hold it back.
    Hold,
}

/// Gives the order.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(kind: Kind, args: Args, settings: &Settings) -> Outcome {
    let connected = Connected::for_a_person(settings).await?;
    let order = args.order.order();
    let answer = match kind {
        Kind::Cancel => connected.client.cancel(&args.id, &order).await,
        Kind::Hold => connected.client.hold(&args.id, &order).await,
    };
    tell(&answer.map_err(failure)?, args.json)
}

/// Lets it go on.
///
/// # Errors
/// Exit codes as the help says.
pub async fn release(args: ReleaseArgs, settings: &Settings) -> Outcome {
    let connected = Connected::for_a_person(settings).await?;
    let order = args.order.order();
    let signed = sign_order(&connected.client, &args.id, ("release", ""), &order, args.key.key.as_deref()).await?;
    let answer = connected.client.release(&args.id, &Release { order, signed }).await;
    tell(&answer.map_err(failure)?, args.json)
}

/// Prints what an order was told.
pub(super) fn tell(answer: &Answer, json: bool) -> Outcome {
    let (word, exit) = match answer.answer {
        Verdict::Accepted => ("accepted", Exit::Done),
        Verdict::Refused => ("refused", Exit::Refused),
    };
    if json {
        out::json(answer)?;
    } else {
        out::line(format_args!("{word}: {} (stage {})", answer.says, answer.stage.as_str()))?;
    }
    Ok(exit)
}

pub(super) fn failure(error: OrderError) -> Failure {
    match error {
        OrderError::Read(error) => read_failure(error),
        OrderError::Malformed { why } => {
            Failure::usage(anyhow::Error::msg(format!("the order is not accepted: {why}")))
        }
    }
}
