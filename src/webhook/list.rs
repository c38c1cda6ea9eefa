//! `remit webhook list`.

use remit_records::{EventFilter, Records, StoredEvent};
use serde_json::{Value, json};

use super::{object, records, standing};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    payout::keys,
    settings::Settings,
    table::Look,
};

/// Flags of `remit webhook list`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit webhook list --undelivered
  remit webhook list --payout invoice-2026-0001
  remit webhook list --json | jq -r '.[] | select(.standing == \"mismatch\") | .what'

What the inbox in the records holds, each thing that happened once. It stands as
  delivered   its payout has it, or needs none of it
  waiting     its payout is known, and Temporal has not taken it yet
  parked      no payout is known for what it is about
  mismatch    it belongs to two payouts, so to none: look at it; it is never delivered
Exit codes: 0 listed, even when there is none · 1 anything else.")]
pub struct Args {
    /// Only those that were not delivered
    #[arg(long)]
    undelivered: bool,
    /// Only of this kind, as Dfns names it
    #[arg(long)]
    kind: Option<String>,
    /// Only of this payout: your id, or its key
    #[arg(long, value_name = "ID")]
    payout: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Lists events.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let keys = args.payout.as_deref().map(keys).transpose()?;
    let records = records(settings).await?;
    let mut found = vec![];
    match keys {
        None => found = events(&records, &args, None).await?,
        Some(keys) => {
            for key in &keys {
                found.extend(events(&records, &args, Some(key)).await?);
            }
            found.sort_by(|a, b| (b.received_at, &b.what).cmp(&(a.received_at, &a.what)));
            found.truncate(args.limit);
        }
    }
    records.close().await;
    if args.json {
        out::json(&found.iter().map(json_of).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        out::note("no such events in the inbox");
        return Ok(Exit::Done);
    }
    let header = ["received", "kind", "about", "state", "payout", "times", "standing", "what"];
    out::line(Look::of_stdout().table(&header, &found.iter().map(row).collect::<Vec<_>>()))?;
    Ok(Exit::Done)
}

async fn events(records: &Records, args: &Args, key: Option<&str>) -> Result<Vec<StoredEvent>, Failure> {
    const MOST_TO_A_PAGE: usize = 500;
    let mut all = vec![];
    let mut place = None;
    while all.len() < args.limit {
        let filter = EventFilter {
            delivered: args.undelivered.then_some(false),
            kind: args.kind.as_deref(),
            key,
            before: place.as_ref(),
            limit: u32::try_from((args.limit - all.len()).min(MOST_TO_A_PAGE))?,
        };
        let page = records.events(&filter).await?;
        all.extend(page.items);
        match page.next {
            Some(next) => place = Some(next),
            None => break,
        }
    }
    Ok(all)
}

fn row(event: &StoredEvent) -> Vec<String> {
    let payout = event.key.clone().or_else(|| event.named_key.as_ref().map(|key| format!("({key})")));
    vec![
        event.received_at.strftime("%FT%TZ").to_string(),
        event.kind.clone(),
        object(event),
        event.state.clone(),
        payout.unwrap_or_default(),
        event.times.to_string(),
        standing(event).to_owned(),
        event.what.clone(),
    ]
}

fn json_of(event: &StoredEvent) -> Value {
    let objects: Vec<Value> = event.objects.iter().map(|(kind, id)| json!({"kind": kind.as_str(), "id": id})).collect();
    json!({
        "what": event.what, "kind": event.kind, "about": event.about, "state": event.state, "objects": objects,
        "payout": event.key, "namedPayout": event.named_key, "otherPayout": event.mismatch,
        "standing": standing(event), "times": event.times, "source": event.source, "eventId": event.event_id,
        "receivedAt": event.received_at.to_string(), "seenAt": event.seen_at.to_string(),
        "deliveredAt": event.delivered_at.map(|at| at.to_string()),
    })
}
