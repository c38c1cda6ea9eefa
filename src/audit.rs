//! `remit audit`: the record of what was intended, decided, ordered and done. Only ever appended to, each record holding
//! the hash of the one before.

mod checkpoint;
mod show;
mod verify;

use remit_records::{AuditHead, Checkpoint, Records};
use serde::{Deserialize, Serialize};

use crate::{
    exit::{Failure, Outcome},
    settings::Settings,
};

/// What to do about the record.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Verify the whole record: no entry was changed, dropped or moved
    Verify(verify::Args),
    /// What is on record of a payout: when, what, who
    Show(show::Args),
    /// Sign how far the record is, so that nobody can cut it off unseen
    Checkpoint(checkpoint::Args),
}

/// Runs the command.
///
/// # Errors
/// As the command says.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    match command {
        Command::Verify(args) => verify::run(args, settings).await,
        Command::Show(args) => show::run(args, settings).await,
        Command::Checkpoint(args) => checkpoint::run(args, settings).await,
    }
}

async fn records(settings: &Settings) -> Result<Records, Failure> {
    let url = settings.records_url().map_err(Failure::usage)?;
    Ok(Records::open(&url).await?)
}

/// A checkpoint as it is kept outside: one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    seq: u64,
    hash: String,
    at: jiff::Timestamp,
    key: String,
    signature: String,
}

impl From<&Checkpoint> for Kept {
    fn from(Checkpoint { head, key, signature }: &Checkpoint) -> Self {
        Self { seq: head.seq, hash: head.hash.clone(), at: head.at, key: key.clone(), signature: signature.clone() }
    }
}

impl From<Kept> for Checkpoint {
    fn from(Kept { seq, hash, at, key, signature }: Kept) -> Self {
        Self { head: AuditHead { seq, hash, at }, key, signature }
    }
}

/// Reads checkpoints that were kept outside.
///
/// # Errors
/// The line that is none.
fn kept(text: &str) -> Result<Vec<Checkpoint>, String> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(n, line)| {
            let kept: Result<Kept, _> = serde_json::from_str(line);
            kept.map(Checkpoint::from).map_err(|error| format!("line {n} is no checkpoint: {error}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_survives_being_kept_as_a_line() {
        let checkpoint = Checkpoint {
            head: AuditHead { seq: 7, hash: "ab".into(), at: jiff::Timestamp::UNIX_EPOCH },
            key: "ed25519:k".into(),
            signature: "s".into(),
        };
        let line = serde_json::to_string(&Kept::from(&checkpoint)).expect("JSON");
        let text = format!("{line}\n\n{line}\n");
        assert_eq!(kept(&text).expect("two lines"), [checkpoint.clone(), checkpoint]);
        assert!(kept(&format!("{line}\nseq 8")).expect_err("no line").starts_with("line 2 is no checkpoint"));
    }
}
