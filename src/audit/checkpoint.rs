//! `remit audit checkpoint`.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use remit_records::{Checkpoint, Checkpointed};

use super::{Kept, records};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
    signing::private_key,
};

/// Flags of `remit audit checkpoint`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit audit checkpoint --key audit.pem --out /mnt/worm/remit-checkpoints
  0 * * * *  remit audit checkpoint --key /etc/remit/audit.pem --out /mnt/worm/remit-checkpoints

Signs number and hash of the newest record, keeps that beside the record and, with --out, appends it to a file as a line
of JSON. Keep that file where whoever can write to the database cannot: it is what `remit audit verify --checkpoint`
tells by that nobody has cut the record off. Do it often, with a key of its own (`remit key new audit.pem`).
Exit codes: 0 signed, or there is nothing on record yet · 2 the key cannot be used · 1 anything else.")]
pub struct Args {
    /// The audit key
    #[arg(long, value_name = "FILE", env = "REMIT_AUDIT_KEY_FILE")]
    key: PathBuf,
    /// Append the checkpoint to this file too
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Signs the head.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let key = private_key(&args.key)?;
    let records = records(settings).await?;
    let head = records.audit_head().await?;
    if head.seq == 0 {
        out::note("nothing is on record yet: nothing to sign");
        return Ok(Exit::Done);
    }
    let signature = key.sign(head.text().as_bytes()).to_string();
    let checkpoint = Checkpoint { head, key: key.public().to_string(), signature };
    let stored = records.checkpoint(&checkpoint).await?;
    records.close().await;
    match stored {
        Checkpointed::Now | Checkpointed::Already => {}
        Checkpointed::NotOurs => {
            let why = "the record has changed its past while it was signed: `remit audit verify`";
            return Err(Failure::new(Exit::Failed, why));
        }
    }
    let kept = Kept::from(&checkpoint);
    if let Some(file) = &args.out {
        append(file, &serde_json::to_string(&kept)?)?;
    }
    if args.json {
        out::json(&kept)?;
    } else {
        out::line(format_args!("signed: {} records, the newest {}", kept.seq, kept.hash))?;
    }
    Ok(Exit::Done)
}

fn append(file: &Path, line: &str) -> anyhow::Result<()> {
    let write = || {
        let mut open = OpenOptions::new().append(true).create(true).open(file)?;
        open.write_all(format!("{line}\n").as_bytes())?;
        open.sync_all()
    };
    write().with_context(|| format!("the checkpoint is in the records, but cannot be written to {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_added_to_those_that_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("checkpoints");
        append(&file, "one").expect("written");
        append(&file, "two").expect("written");
        assert_eq!(std::fs::read_to_string(&file).expect("a file"), "one\ntwo\n");
        assert!(append(folder.path(), "three").expect_err("a folder").to_string().contains("in the records"));
    }
}
