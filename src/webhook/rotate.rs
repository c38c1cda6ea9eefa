//! `remit webhook rotate`.

use remit_dfns::{Dfns, Subscription};
use remit_relay::subscriptions;

use super::{
    dfns,
    make::{SecretPlace, make, url},
    secrets_file,
};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
};

/// Flags of `remit webhook rotate`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit webhook rotate --url https://payouts.example.com/webhooks/dfns             step 1
  remit webhook rotate --url https://payouts.example.com/webhooks/dfns --finish    step 3

Dfns cannot change a secret, so a second webhook takes the place of the first:
  1. `rotate` makes the second webhook and adds its secret to the file. From now on every event comes twice, signed
     with either secret; the relay keeps it once.
  2. See that every relay has the new secret. With DFNS_WEBHOOK_SECRET_FILE it reads the file again by itself; where
     the file has to be copied, or DFNS_WEBHOOK_SECRET is set, bring it there and start the relay again.
     `remit webhook gaps` shows what the first webhook could not deliver: it goes with that webhook.
  3. `rotate --finish` has Dfns send a made-up event to the second webhook, and goes on only when a relay accepts it.
     Then it deletes the first webhook and drops its secret from the file. It may be repeated.
Until step 3 nothing is lost by giving up: delete the second webhook in Dfns's dashboard.

Exit codes: 0 done · 2 no place for the secret · 3 Dfns or the relay refuses, or a rotation is under way · 4 no webhook
has this address · 1 anything else.")]
pub struct Args {
    /// Where Dfns delivers to, as it was subscribed
    #[arg(long, value_parser = url)]
    url: String,
    #[command(flatten)]
    place: SecretPlace,
    /// Delete the older webhook and drop its secret
    #[arg(long)]
    finish: bool,
    /// With --finish: do not ask the relay first
    #[arg(long, requires = "finish")]
    without_ping: bool,
    /// Say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Takes a step of a rotation.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let dfns = dfns(settings)?;
    let mut all = subscriptions(&dfns, Some(&args.url)).await?;
    // One that does not say when it was made is taken for old.
    all.sort_by_key(|webhook| webhook.date_created);
    let Some(newest) = all.pop() else {
        let why = format!("no webhook delivers to {0}: `remit webhook subscribe --url {0}`", args.url);
        return Err(Failure::new(Exit::NotFound, why));
    };
    if args.finish {
        finish(args, settings, &dfns, &newest, &all).await
    } else {
        begin(args, settings, &dfns, newest, &all).await
    }
}

async fn begin(args: Args, settings: &Settings, dfns: &Dfns, first: Subscription, older: &[Subscription]) -> Outcome {
    let Args { url, place, dry_run, .. } = args;
    place.check(settings)?;
    if !older.is_empty() {
        let why = format!(
            "{} webhooks deliver to {url}, so a rotation is under way: `remit webhook rotate --finish --url {url}`",
            older.len() + 1
        );
        return Err(Failure::new(Exit::Refused, why));
    }
    if dry_run {
        out::line(format_args!("would be made: a second webhook beside {}, {}", first.id, place.says(settings)))?;
        return Ok(Exit::Done);
    }
    let second = make(dfns, settings, &url, std::slice::from_ref(&first), &place).await?;
    out::note(format_args!(
        "{} delivers to {url} beside {}; {}.\nWhen every relay has the secret: `remit webhook rotate --finish --url {url}`",
        second.id,
        first.id,
        place.says(settings)
    ));
    Ok(Exit::Done)
}

async fn finish(
    args: Args,
    settings: &Settings,
    dfns: &Dfns,
    newest: &Subscription,
    older: &[Subscription],
) -> Outcome {
    let Args { url, place, dry_run, without_ping, .. } = args;
    let ids: Vec<String> = older.iter().map(|webhook| webhook.id.clone()).collect();
    if dry_run {
        let which = if ids.is_empty() { "none, it is done before".to_owned() } else { ids.join(", ") };
        out::line(format_args!("would be deleted, with its secret: {which}; {} stays", newest.id))?;
        return Ok(Exit::Done);
    }
    if !ids.is_empty() && !without_ping {
        accepted(dfns, newest).await?;
    }
    for id in &ids {
        dfns.delete_webhook(id).await?;
        out::note(format_args!("{id} is deleted"));
    }
    let Some(file) = place.file(settings) else {
        out::note("take the older secret away where the relays have it from");
        return Ok(Exit::Done);
    };
    let dropped = secrets_file::drop_others(file, &url, &newest.id, &ids)?;
    out::note(format_args!(
        "{} dropped from {}; that of {} stays",
        secrets(dropped.secrets),
        file.display(),
        newest.id
    ));
    if dropped.unknown > 0 {
        out::note(format_args!(
            "{} in it of which no webhook is known: take away by hand what nobody signs with any more",
            secrets(dropped.unknown)
        ));
    }
    Ok(Exit::Done)
}

/// Whether the relay takes what is signed with the new secret.
async fn accepted(dfns: &Dfns, webhook: &Subscription) -> Result<(), Failure> {
    let ping = dfns.ping_webhook(&webhook.id).await?;
    if ping.status.as_deref() == Some("200") {
        return Ok(());
    }
    let said = [ping.status, ping.error].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let why = format!(
        "the relay does not accept what {} signs ({said}): bring it the new secret first, or say --without-ping",
        webhook.id
    );
    Err(Failure::new(Exit::Refused, why))
}

fn secrets(count: usize) -> String {
    if count == 1 { "1 secret".to_owned() } else { format!("{count} secrets") }
}
