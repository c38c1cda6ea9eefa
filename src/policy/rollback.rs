//! `remit policy rollback`.

use super::{
    Chain,
    publish::{By, Plan, understood},
    records,
};
use crate::{exit::Outcome, settings::Settings};

/// Flags of `remit policy rollback`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit policy rollback 3 --dry-run
  remit policy rollback 3 --author ana --key ana.pem
  remit policy rollback 3 --note 'the new limit stopped payroll' --author ana --key ana.pem --key ben.pem

Nothing is taken back: the content of revision 3 becomes the next revision, signed as every other. Cases are not tried.
Exit codes: 0 published, or in force already · 2 a key is no publisher's · 4 there is no such revision · 5 another \
revision came in between, or waits for signatures · 1 anything else.")]
pub struct Args {
    /// The revision whose content is wanted
    number: u32,
    /// Why, for whoever reads the history [default: back to revision N]
    #[arg(long)]
    note: Option<String>,
    #[command(flatten)]
    by: By,
    /// Show what would change; publish nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Publishes the old content.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let records = records(settings).await?;
    let chain = Chain::read(&records, settings).await?;
    chain.trusted()?;
    let old = chain.get(args.number)?;
    understood(old)?;
    let note = args.note.unwrap_or_else(|| format!("back to revision {}", args.number));
    let plan = Plan { content: &old.content, note: &note, by: &args.by, dry_run: args.dry_run, json: args.json };
    plan.carry_out(&records, settings).await
}
