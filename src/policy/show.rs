//! `remit policy show`.

use serde_json::{Value, json};

use super::{Chain, records};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
};

/// Flags of `remit policy show`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit policy show
  remit policy show 3 > policy.toml
  remit policy show --json | jq -r .hash

Prints the file as it was published; who wrote and signed it goes to stderr.
Exit codes: 0 shown · 4 there is no such revision, or none is in force · 2 settings · 1 anything else.")]
pub struct Args {
    /// Which revision [default: the one in force]
    number: Option<u32>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Shows it.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let records = records(settings).await?;
    let chain = Chain::read(&records, settings).await?;
    records.close().await;
    let number = match args.number {
        Some(number) => number,
        None => chain.trusted()?.map(|revision| revision.number).ok_or_else(|| {
            Failure::new(Exit::NotFound, "no policy is in force: publish one with `remit policy publish`")
        })?,
    };
    if args.json {
        let mut json = json_of(&chain, number)?;
        json["content"] = json!(chain.get(number)?.content);
        out::json(&json)?;
        return Ok(Exit::Done);
    }
    let (revision, row) = (chain.get(number)?, chain.row(number)?);
    out::note(format_args!("revision {number}, {}: {}", chain.standing(number).as_str(), revision.note));
    out::note(format_args!(
        "by {}, {}, signed by {}",
        revision.author,
        row.published_at.strftime("%FT%TZ"),
        match chain.signed_by(revision).as_slice() {
            [] => "nobody".to_owned(),
            names => names.join(", "),
        }
    ));
    out::line(revision.content.strip_suffix('\n').unwrap_or(&revision.content))?;
    Ok(Exit::Done)
}

/// A revision without its content.
pub(super) fn json_of(chain: &Chain, number: u32) -> Result<Value, Failure> {
    let (revision, row) = (chain.get(number)?, chain.row(number)?);
    Ok(json!({
        "number": number, "standing": chain.standing(number).as_str(), "hash": revision.hash,
        "previous": revision.previous, "author": revision.author, "note": revision.note,
        "publishedAt": row.published_at.to_string(), "signedBy": chain.signed_by(revision),
        "lacks": chain.lacks(revision),
    }))
}
