//! `remit webhook subscribe`.

use remit_dfns::EventKind;
use remit_relay::{KINDS, subscriptions};

use super::{
    dfns,
    make::{SecretPlace, make, url},
};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
};

/// Flags of `remit webhook subscribe`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit webhook subscribe --url https://payouts.example.com/webhooks/dfns --secrets-file ./webhook-secrets
  remit webhook subscribe --url https://payouts.example.com/webhooks/dfns --dry-run

Makes a webhook at Dfns for all kinds of events that the relay understands. Dfns shows its secret once: it is added to
the file (readable by its owner alone, made when it is not there), and printed only with --print-secret.
Give the same file to the relays as DFNS_WEBHOOK_SECRET_FILE, and the address as REMIT_RELAY_PUBLIC_URL.
An address is subscribed once: to replace its secret use `remit webhook rotate`. Dfns allows an organisation five
webhooks, and a rotation needs one of them for a while. Needs the permissions Webhooks:Create and Webhooks:Read.

Exit codes: 0 done · 2 no place for the secret · 3 Dfns refuses · 5 there is one with this address · 1 anything else.")]
pub struct Args {
    /// Where Dfns shall deliver to: the relay's address as seen from outside, with its path
    #[arg(long, value_parser = url)]
    url: String,
    #[command(flatten)]
    place: SecretPlace,
    /// Say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Subscribes.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let Args { url, place, dry_run } = args;
    place.check(settings)?;
    let dfns = dfns(settings)?;
    if let Some(webhook) = subscriptions(&dfns, Some(&url)).await?.first() {
        let why = format!(
            "{} delivers to {url} already: to replace its secret, `remit webhook rotate --url {url}`",
            webhook.id
        );
        return Err(Failure::new(Exit::Conflict, why));
    }
    if dry_run {
        let kinds: Vec<&str> = KINDS.iter().map(EventKind::as_str).collect();
        out::line(format_args!("would be subscribed: {url}, {}; for {}", place.says(settings), kinds.join(", ")))?;
        return Ok(Exit::Done);
    }
    let webhook = make(&dfns, settings, &url, &[], &place).await?;
    out::note(format_args!("{} delivers to {url}; {}", webhook.id, place.says(settings)));
    Ok(Exit::Done)
}
