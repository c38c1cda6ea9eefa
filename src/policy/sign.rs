//! `remit policy sign`.

use super::{
    Chain,
    diff::unified,
    publish::{Keys, sign, tell, understood},
    records,
};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
};

/// Flags of `remit policy sign`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit policy sign 4 --dry-run             what would be signed, and what it changes
  remit policy sign 4 --key ben.pem

For a quorum above one: the newest revision, once it is published, by those publishers who have not signed it yet. With
the last signature it is in force.
Exit codes: 0 signed, or signed before · 2 a key is no publisher's · 4 there is no such revision · 5 another one follows \
it · 1 the chain cannot be trusted, and anything else.")]
pub struct Args {
    /// The revision
    number: u32,
    #[command(flatten)]
    keys: Keys,
    /// Show the text that would be signed; sign nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Signs it.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let records = records(settings).await?;
    let chain = Chain::read(&records, settings).await?;
    let revision = chain.get(args.number)?;
    // Also says whether the revision is what its hash says, and follows the one before: only then it may be signed.
    let in_force = chain.trusted()?;
    if chain.revisions.last() != Some(revision) {
        let why = format!("another revision follows revision {}: what is past is not signed any more", args.number);
        return Err(Failure::new(Exit::Conflict, why));
    }
    understood(revision)?;
    if !args.json {
        let before = in_force.filter(|before| *before != revision);
        let (text, name) = before.map_or(("", "nothing".to_owned()), |before| {
            (before.content.as_str(), format!("revision {}", before.number))
        });
        let difference = unified(text, &revision.content, &name, &format!("revision {}", revision.number));
        if before.is_some() || in_force.is_none() {
            out::line(difference.trim_end_matches('\n'))?;
        }
    }
    if args.dry_run {
        let text = revision.statement().text();
        if args.json {
            out::json(&serde_json::json!({"statement": text}))?;
        } else {
            out::line(format_args!("\n{}", text.trim_end_matches('\n')))?;
        }
        return Ok(Exit::Done);
    }
    sign(&records, revision, &args.keys.read(&chain)?).await?;
    let chain = Chain::read(&records, settings).await?;
    records.close().await;
    tell(&chain, args.number, "signed", args.json)
}
