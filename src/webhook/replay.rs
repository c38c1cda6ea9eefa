//! `remit webhook replay`.

use std::time::Duration;

use remit_records::{Records, StoredEvent};
use remit_relay::{EVENT_WITHIN, Handed, Inbox};
use serde_json::{Value, json};

use super::{object, records, standing};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
    table::Look,
    temporal::Connected,
};

/// Flags of `remit webhook replay`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit webhook replay --undelivered
  remit webhook replay 2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90
  remit webhook replay --undelivered --dry-run

Hands events of the inbox to their payouts, as the relay does by itself within seconds: for when no relay runs, or
somebody wants to be sure. WHAT is the name of an event in `remit webhook list`. It changes nothing twice: an event
only makes a payout read for itself, and a payout ignores one that it has had.
Exit codes: 0 all that have a payout are handed on · 4 no such event · 1 Temporal or the records did not answer.")]
pub struct Args {
    /// Which events, by their names in the list
    #[arg(required_unless_present = "undelivered", conflicts_with = "undelivered")]
    what: Vec<String>,
    /// All that belong to a payout and were not delivered
    #[arg(long)]
    undelivered: bool,
    /// Say what would be handed on
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Hands events on.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let records = records(settings).await?;
    if args.undelivered && !args.dry_run {
        records.route_waiting().await?;
    }
    let events = if args.undelivered { due(&records).await? } else { named(&records, &args.what).await? };
    if args.dry_run {
        show(&args, &events.iter().map(|event| (event, standing(event))).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    let client = Connected::for_a_person(settings).await?.client;
    let inbox = Inbox::new(records.clone(), client, EVENT_WITHIN);
    let mut results = vec![];
    let mut exit = Exit::Done;
    for event in &events {
        let handed = inbox.hand_on(event).await?;
        if let Handed::TemporalAway { why } = &handed {
            out::note(format_args!("{}: {why}", event.what));
            exit = Exit::Failed;
        }
        results.push((event, handed.as_str()));
    }
    records.close().await;
    show(&args, &results)?;
    Ok(exit)
}

async fn named(records: &Records, what: &[String]) -> Result<Vec<StoredEvent>, Failure> {
    let mut events = vec![];
    for what in what {
        let event = records.event(what).await?;
        let why = || Failure::new(Exit::NotFound, format!("the inbox has no event {what:?}: `remit webhook list`"));
        events.push(event.ok_or_else(why)?);
    }
    Ok(events)
}

async fn due(records: &Records) -> Result<Vec<StoredEvent>, Failure> {
    let mut events = vec![];
    let mut place = None;
    loop {
        let page = records.due_events(Duration::ZERO, place.as_ref(), 500).await?;
        events.extend(page.items);
        match page.next {
            Some(next) => place = Some(next),
            None => return Ok(events),
        }
    }
}

/// Each event with a word about it.
fn show(args: &Args, results: &[(&StoredEvent, &str)]) -> Result<(), Failure> {
    if args.json {
        let rows = results.iter().map(
            |(event, result)| json!({"what": event.what, "kind": event.kind, "payout": event.key, "result": result}),
        );
        out::json(&rows.collect::<Vec<Value>>())?;
        return Ok(());
    }
    if results.is_empty() {
        out::note("nothing waits to be delivered");
        return Ok(());
    }
    let row = |(event, result): &(&StoredEvent, &str)| {
        let payout = event.key.clone().unwrap_or_default();
        vec![event.kind.clone(), object(event), payout, (*result).to_owned(), event.what.clone()]
    };
    let rows: Vec<Vec<String>> = results.iter().map(row).collect();
    let says = if args.dry_run { "standing" } else { "result" };
    out::line(Look::of_stdout().table(&["kind", "about", "payout", says, "what"], &rows))?;
    Ok(())
}
