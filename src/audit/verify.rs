//! `remit audit verify`.

use std::{io::IsTerminal, io::Write, path::PathBuf};

use anyhow::Context;
use remit_keys::{PublicKey, verified};
use remit_records::{AuditHead, Chain, Checkpoint, Records, Verified};
use serde_json::json;

use super::{kept, records};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
};

/// Flags of `remit audit verify`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit audit verify
  remit audit verify --checkpoint /mnt/worm/remit-checkpoints --signed-by ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
  remit audit verify --json | jq .records

Reads every record, computes its hash anew and compares it with the next one, with the head, and with every checkpoint:
those beside the record, and those that are kept outside. What is added meanwhile is left for the next time.
Without --signed-by a checkpoint may be signed by any key: then it only proves something if you know the key it names.
Exit codes: 0 whole · 1 broken, with the first record that is wrong, and anything else · 2 a file holds no checkpoints.")]
pub struct Args {
    /// Checkpoints that were kept outside (`remit audit checkpoint --out`); several times for several files
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Public keys whose checkpoints are believed [default: any]
    #[arg(long, value_name = "KEY", env = "REMIT_AUDIT_SIGNED_BY", value_delimiter = ',')]
    signed_by: Vec<PublicKey>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Verifies it.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let mut outside = Vec::new();
    for file in &args.checkpoint {
        let usage = |why: String| Failure::new(Exit::Usage, format!("{}: {why}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|error| usage(error.to_string()))?;
        let read = kept(&text).map_err(usage)?;
        if read.is_empty() {
            return Err(usage("there is no checkpoint in it".into()));
        }
        outside.extend(read);
    }
    let believed: Vec<String> = args.signed_by.iter().map(PublicKey::to_string).collect();
    let signed = |key: &str, text: &str, signature: &str| {
        (believed.is_empty() || believed.iter().any(|known| known == key)) && verified(key, text, signature)
    };
    let records = records(settings).await?;
    let checkpoints = all_checkpoints(&records, outside).await?;
    let found = verify(&records, &checkpoints, signed).await?;
    records.close().await;
    tell(&found, &checkpoints, args.json)
}

async fn all_checkpoints(records: &Records, outside: Vec<Checkpoint>) -> Result<Vec<Checkpoint>, Failure> {
    let mut all = records.checkpoints().await?;
    for checkpoint in outside {
        if !all.contains(&checkpoint) {
            all.push(checkpoint);
        }
    }
    Ok(all)
}

/// How many records are read at once.
const PAGE: u32 = 1000;

/// Up to the head that it begins with.
async fn verify(
    records: &Records,
    checkpoints: &[Checkpoint],
    signed: impl Fn(&str, &str, &str) -> bool,
) -> Result<Verified, Failure> {
    let mut chain = match Chain::new(checkpoints, signed) {
        Ok(chain) => chain,
        Err(broken) => return Ok(broken),
    };
    let head: AuditHead = records.audit_head().await?;
    let mut progress = Progress::new(head.seq);
    let mut done = 0;
    while done < head.seq {
        let page = records.audit(done, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for row in page.iter().filter(|row| row.seq <= head.seq) {
            if let Err(broken) = chain.take(row) {
                return Ok(broken);
            }
            done = row.seq;
        }
        progress.at(done);
    }
    Ok(chain.end(Some(&head)))
}

/// A line that is written over, on a terminal.
struct Progress {
    of: u64,
    shown: bool,
}

impl Progress {
    fn new(of: u64) -> Self {
        Self { of, shown: std::io::stderr().is_terminal() && of > u64::from(PAGE) }
    }

    fn at(&mut self, done: u64) {
        if self.shown {
            let mut stderr = std::io::stderr().lock();
            // Where nobody listens, nothing is lost.
            let _ = write!(stderr, "\r{done} of {} records", self.of).and_then(|()| stderr.flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            out::note("");
        }
    }
}

fn tell(found: &Verified, checkpoints: &[Checkpoint], json: bool) -> Outcome {
    match found {
        Verified::Whole { rows, head, checkpoints: many } => {
            if json {
                out::json(&json!({"whole": true, "records": rows, "head": head, "checkpoints": many}))?;
                return Ok(Exit::Done);
            }
            let against = match checkpoints.iter().max_by_key(|checkpoint| checkpoint.head.seq) {
                None => "; no checkpoint says how many there were (`remit audit checkpoint`)".to_owned(),
                Some(newest) => format!(
                    "; {many} checkpoints agree, the newest of {} at record {}, by {}",
                    newest.head.at.strftime("%FT%TZ"),
                    newest.head.seq,
                    newest.key
                ),
            };
            out::line(format_args!("whole: {rows} records, the newest {head}{against}"))?;
            Ok(Exit::Done)
        }
        Verified::Broken { seq, why } => {
            if json {
                out::json(&json!({"whole": false, "record": seq, "why": why})).context("cannot answer")?;
            } else {
                out::line(format_args!("broken: record {seq}: {why}"))?;
            }
            Ok(Exit::Failed)
        }
    }
}
