//! `remit reservation`: what payouts hold of the limits, and those that nobody can settle by themselves.
//!
//! A reservation is settled by the worker when its payout ends. Where it is not certain then that the tokens
//! have left or never will (a Confirm was sent, and the payout has ended without a transfer that anybody knows of), it
//! stays open, and counts in every window until a person says what became of them.

use clap::builder::NonEmptyStringValueParser;
use remit_records::{Cursor, Records, Reservation, ReservationState, Settle, Settled};
use serde_json::{Value, json};

use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    payout::keys,
    settings::Settings,
    table::Look,
};

/// What to do about reservations.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Reservations that are open: of payouts under way, and of those that have ended and wait for a person
    List(ListArgs),
    /// Say what became of the tokens of a payout that has ended
    Settle(SettleArgs),
}

/// Flags of `remit reservation list`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit reservation list --held
  remit reservation list --json | jq -r '.[] | select(.held) | .key'

Held are those whose payout has ended while it was not certain where its tokens are. They count in every limit until
somebody settles them.
Exit codes: 0 listed · 1 anything else.")]
pub struct ListArgs {
    /// Only those that wait for a person
    #[arg(long)]
    held: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Flags of `remit reservation settle`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit reservation settle invoice-2026-0001 spent --by ana --why 'transaction 0x9f… has arrived'
  remit reservation settle invoice-2026-0001 released --by ana --why 'Dfns confirms that there is no transfer'

Look at the chain first: what is released may be paid again by others within the same limits. Needs the records alone.
Who says so and why stays with the reservation, and its hash on the audit record.
Exit codes: 0 settled · 3 not while its payout is under way, or settled otherwise before · 4 no such reservation.")]
pub struct SettleArgs {
    /// Your id of the payout, or its key
    id: String,
    /// What became of the tokens: they have left, or never will
    #[arg(value_enum)]
    what: What,
    /// Who says so
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    by: String,
    /// How it is known
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    why: String,
}

/// What became of the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// They have left: counted from Confirm on, until that is older than a window
    Spent,
    /// They have not left and never will: counted no more
    Released,
}

/// Does it.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    let url = settings.records_url().map_err(Failure::usage)?;
    let records = Records::open(&url).await?;
    let outcome = match command {
        Command::List(args) => list(&args, &records).await,
        Command::Settle(args) => settle(&args, &records).await,
    };
    records.close().await;
    outcome
}

async fn list(args: &ListArgs, records: &Records) -> Outcome {
    let mut all: Vec<(Reservation, Option<String>)> = vec![];
    let mut after: Option<Cursor> = None;
    loop {
        let page = records.open_reservations(after.as_ref(), 500).await?;
        for reservation in page.items {
            let ending = ending(records, &reservation.key).await?;
            if ending.is_some() || !args.held {
                all.push((reservation, ending));
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if args.json {
        out::json(
            &all.iter().map(|(reservation, ending)| json_of(reservation, ending.as_deref())).collect::<Vec<_>>(),
        )?;
        return Ok(Exit::Done);
    }
    if all.is_empty() {
        out::note(if args.held { "none waits for a person" } else { "nothing is reserved" });
        return Ok(Exit::Done);
    }
    let header = ["payout", "units", "worth", "taken", "stands"];
    let rows: Vec<_> = all.iter().map(|(reservation, ending)| row(reservation, ending.as_deref())).collect();
    out::line(Look::of_stdout().table(&header, &rows))?;
    Ok(Exit::Done)
}

/// The word of how a payout ended; none while it is under way.
async fn ending(records: &Records, key: &str) -> Result<Option<String>, Failure> {
    let outcome = records.payout(key).await?.and_then(|row| row.outcome);
    Ok(outcome.map(|outcome| outcome["ending"].as_str().unwrap_or("ended").to_owned()))
}

fn row(it: &Reservation, ending: Option<&str>) -> Vec<String> {
    let stands = ending.map_or("under way".to_owned(), |ending| format!("held: its payout ended as {ending}"));
    let worth = it.usd.map_or("not known".to_owned(), |usd| usd.to_string());
    vec![it.key.clone(), it.amount.clone(), worth, it.taken_at.to_string(), stands]
}

fn json_of(it: &Reservation, ending: Option<&str>) -> Value {
    json!({
        "key": it.key, "amount": it.amount, "microUsd": it.usd.map(|usd| usd.0), "takenAt": it.taken_at,
        "held": ending.is_some(), "ending": ending,
    })
}

async fn settle(args: &SettleArgs, records: &Records) -> Outcome {
    let (settle, done) = match args.what {
        What::Spent => (Settle::Spent, ReservationState::Spent),
        What::Released => (Settle::Released, ReservationState::Released),
    };
    let why = format!("{}: {}", args.by, args.why);
    let mut found = Settled::NotReserved;
    for key in keys(&args.id)? {
        found = records.settle_reservation(&key, settle, &why).await?;
        if found != Settled::NotReserved {
            break;
        }
    }
    let refused = |why: String| Err(Failure::new(Exit::Refused, why));
    match found {
        Settled::Now => out::line(format_args!("settled: {}", done.as_str()))?,
        Settled::As(state) if state == done => out::line(format_args!("it was settled before: {}", done.as_str()))?,
        Settled::As(state) => return refused(format!("it was settled before, as {}: that stands", state.as_str())),
        Settled::NotFinished => return refused("its payout is under way, and its tokens may still leave".to_owned()),
        Settled::NotReserved => {
            return Err(Failure::new(Exit::NotFound, format!("nothing is reserved for {:?}", args.id)));
        }
    }
    Ok(Exit::Done)
}
