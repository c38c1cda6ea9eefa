//! `remit screening`: the lists that payouts are screened against.

use std::path::PathBuf;

use anyhow::Context;
use remit_screening::Subject;

use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
};

/// What to do about the lists.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Import the SDN list of the US Treasury
    Import(ImportArgs),
    /// Say what the lists in force say of an address, an account or a name; exit 3 on a hit
    Check(CheckArgs),
}

/// Flags of `remit screening import`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit screening import sdn.xml /var/lib/remit/sdn.jsonl

sdn.xml is the Treasury's own file (OFAC, \"SDN list\", XML). It is read as a stream; a list that is cut off, or whose
count does not agree with what was read, is refused and the one in force stays. Workers see the new file by themselves.
Set REMIT_SCREENING_SDN to the second path.
Exit codes: 0 done · 2 the list is refused.")]
pub struct ImportArgs {
    /// The Treasury's file
    xml: PathBuf,
    /// Where the imported list goes
    into: PathBuf,
}

/// Flags of `remit screening check`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit screening check --address 0x7f367cc41522ce07553e823bf3be79a889debe1b
  remit screening check --name 'Jane Doe' --json

Exit codes: 0 clear · 3 found · 2 no lists are set · 1 a list gives no answer.")]
pub struct CheckArgs {
    /// An address on a chain
    #[arg(long, value_name = "ADDRESS")]
    address: Vec<String>,
    /// An account or payment instructions at a provider
    #[arg(long, value_name = "ID")]
    account: Vec<String>,
    /// A name
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Does it.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    match command {
        Command::Import(args) => {
            let ImportArgs { xml, into } = args;
            let importing = tokio::task::spawn_blocking(move || remit_screening::import_sdn(&xml, &into));
            let list = importing.await.context("the import stopped")?.map_err(Failure::usage)?;
            out::line(format_args!("{} {}: {} entries are in force", list.name, list.version, list.entries))?;
            Ok(Exit::Done)
        }
        Command::Check(args) => check(args, settings).await,
    }
}

async fn check(args: CheckArgs, settings: &Settings) -> Outcome {
    let screener = settings.screener().map_err(Failure::usage)?;
    if screener.names().is_empty() {
        let why = "no lists are set: REMIT_SCREENING_DENYLIST, REMIT_SCREENING_SDN, REMIT_SCREENING_WATCHMAN";
        return Err(Failure::usage(anyhow::Error::msg(why)));
    }
    let subject = Subject { addresses: args.address, account_ids: args.account, names: args.name };
    let answer = screener.screen(&subject).await?;
    if args.json {
        out::json(&answer)?;
    } else {
        for list in &answer.lists {
            out::line(format_args!("asked: {} {}, {} entries", list.name, list.version, list.entries))?;
        }
        for hit in &answer.hits {
            let (list, entry, listed, score) = (&hit.list, &hit.entry, &hit.listed, hit.score);
            out::line(format_args!("found: {list}, entry {entry}: {listed} ({score} of 100 alike)"))?;
        }
    }
    Ok(if answer.hits.is_empty() { Exit::Done } else { Exit::Refused })
}
