//! `remit webhook gaps`.

use remit_relay::{Gap, gaps};
use serde_json::{Value, json};

use super::{dfns, make::url, records};
use crate::{
    exit::{Exit, Outcome},
    out,
    settings::Settings,
    table::Look,
};

/// Flags of `remit webhook gaps`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit webhook gaps
  remit webhook gaps --json | jq '[.[] | select(.have == \"missing\")] | length'

What Dfns could not deliver in the last 31 days, and whether we have it all the same: delivered (its payout has it),
waiting (in the inbox), missing, or not_ours (names nothing that can be a payout's). Each failed attempt is listed.
Reads only: a relay with access to Dfns fills gaps when it starts and every hour.
Needs the permission Webhooks:Read. Exit codes: 0 listed, even when there is none · 2 settings · 1 anything else.")]
pub struct Args {
    /// Only of webhooks with this address [default: REMIT_RELAY_PUBLIC_URL, else of all]
    #[arg(long, value_parser = url)]
    url: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Lists what did not arrive.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let dfns = dfns(settings)?;
    let records = records(settings).await?;
    let url = args.url.as_deref().or(settings.relay.public_url.as_deref());
    let found = gaps(&dfns, &records, url).await?;
    records.close().await;
    if args.json {
        out::json(&found.iter().map(json_of).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        out::note("Dfns has delivered everything");
        return Ok(Exit::Done);
    }
    let header = ["happened", "kind", "about", "have", "answer", "error", "event", "webhook"];
    out::line(Look::of_stdout().table(&header, &found.iter().map(row).collect::<Vec<_>>()))?;
    Ok(Exit::Done)
}

fn row(gap: &Gap) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    vec![
        gap.date.map(|date| date.strftime("%FT%TZ").to_string()).unwrap_or_default(),
        gap.kind.to_string(),
        text(&gap.object),
        gap.have.as_str().to_owned(),
        text(&gap.status),
        text(&gap.error),
        gap.event_id.clone(),
        gap.subscription.clone(),
    ]
}

fn json_of(gap: &Gap) -> Value {
    json!({
        "webhook": gap.subscription, "eventId": gap.event_id, "kind": gap.kind.as_str(), "object": gap.object,
        "what": gap.what, "have": gap.have.as_str(), "status": gap.status, "error": gap.error,
        "date": gap.date.map(|date| date.to_string()),
    })
}
