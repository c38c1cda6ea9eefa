//! `remit policy history`.

use serde_json::Value;

use super::{Chain, records, show::json_of};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
    table::Look,
};

/// Flags of `remit policy history`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit policy history
  remit policy history --json | jq '.[] | select(.standing == \"in force\") | .number'

Revisions are never changed and never taken back; each holds the hash of the one before, and counts when a quorum of the
publishers in REMIT_POLICY_PUBLISHERS has signed it. Those of other settings may see it otherwise.
Exit codes: 0 listed, even when there is none · 2 settings · 1 the chain cannot be trusted, and anything else.")]
pub struct Args {
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Lists them, the newest first.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let records = records(settings).await?;
    let chain = Chain::read(&records, settings).await?;
    records.close().await;
    let newest_first = || chain.rows.iter().rev().map(|row| row.number);
    if args.json {
        let all: Result<Vec<Value>, Failure> = newest_first().map(|number| json_of(&chain, number)).collect();
        out::json(&all?)?;
    } else if chain.rows.is_empty() {
        out::note("there is no policy yet: publish one with `remit policy publish`");
    } else {
        let rows: Result<Vec<Vec<String>>, Failure> = newest_first().map(|number| row(&chain, number)).collect();
        let header = ["revision", "standing", "published", "by", "signed by", "note"];
        out::line(Look::of_stdout().table(&header, &rows?))?;
    }
    chain.trusted()?;
    Ok(Exit::Done)
}

fn row(chain: &Chain, number: u32) -> Result<Vec<String>, Failure> {
    let (revision, row) = (chain.get(number)?, chain.row(number)?);
    let lacks = chain.lacks(revision).map(|lacks| format!(" ({lacks})")).unwrap_or_default();
    Ok(vec![
        number.to_string(),
        chain.standing(number).as_str().to_owned(),
        row.published_at.strftime("%FT%TZ").to_string(),
        revision.author.clone(),
        format!("{}{lacks}", chain.signed_by(revision).join(", ")),
        revision.note.clone(),
    ])
}
