//! `remit payout list`.

use std::time::SystemTime;

use jiff::Timestamp;
use remit_client::{Filter, Listed, RunStatus, Runs};
use remit_domain::{Program, Stage, WalletId};
use serde_json::{Value, json};

use crate::{
    exit::{Exit, Outcome},
    out,
    settings::{Period, Settings},
    table::Look,
    temporal::Connected,
};

/// Flags of `remit payout list`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit payout list --open --older-than 1d
  remit payout list --needs-attention
  remit payout list --stage NeedsPerson --json | jq -r '.[].key'
  remit payout list --program payroll --wallet wa-5pfuu-9euek-h0odgb6snva8ph3k --limit 10

A list may be a moment behind. A payout that was refused or terminated and started again has several runs.
Exit codes: 0 listed, even when there is none · 1 anything else.")]
pub struct Args {
    /// Only in this stage: Requested (until something is searchable), AwaitingApproval, OnHold, Settling, NeedsPerson,
    /// Completed, Failed, Rejected, Expired, Canceled, Blocked or Denied
    #[arg(long, value_parser = stage)]
    stage: Option<Stage>,
    /// Only of this program
    #[arg(long, value_parser = Program::parse)]
    program: Option<Program>,
    /// Only from this wallet
    #[arg(long, value_parser = WalletId::parse)]
    wallet: Option<WalletId>,
    /// Only those started at least this long ago, such as 36h or 5d
    #[arg(long, value_name = "TIME")]
    older_than: Option<Period>,
    /// Only those that wait for somebody: a person's decision, a release, an approval here or at Dfns
    #[arg(long)]
    needs_attention: bool,
    /// Only those that go on
    #[arg(long, conflicts_with = "closed")]
    open: bool,
    /// Only those that are over
    #[arg(long)]
    closed: bool,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

fn stage(text: &str) -> Result<Stage, &'static str> {
    serde_json::from_value(Value::from(text)).map_err(|_| "expected one of the stages in the help, as written there")
}

/// Lists payouts.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let runs = match (args.open, args.closed) {
        (true, _) => Runs::Open,
        (false, true) => Runs::Closed,
        (false, false) => Runs::All,
    };
    let filter = Filter {
        stage: args.stage,
        program: args.program,
        wallet: args.wallet,
        started_before: args.older_than.and_then(|period| SystemTime::now().checked_sub(period.duration())),
        needs_attention: args.needs_attention,
        waits_for: None,
        runs,
        limit: args.limit,
    };
    let connected = Connected::for_a_person(settings).await?;
    let listed = connected.client.list(&filter).await?;
    if args.json {
        out::json(&listed.iter().map(json_of).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    if listed.is_empty() {
        out::note(format_args!("no such payouts in namespace {:?}", connected.client.namespace()));
        return Ok(Exit::Done);
    }
    let header = ["payout", "stage", "program", "wallet", "started", "over"];
    out::line(Look::of_stdout().table(&header, &listed.iter().map(row).collect::<Vec<_>>()))?;
    Ok(Exit::Done)
}

fn row(listed: &Listed) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let stage = match (&listed.status, &listed.stage) {
        (RunStatus::Running | RunStatus::Completed, Some(stage)) => stage.clone(),
        (RunStatus::Failed, _) => "(refused)".to_owned(),
        (status, _) => format!("({status})"),
    };
    vec![
        listed.key.clone(),
        stage,
        text(&listed.program),
        text(&listed.wallet),
        rfc3339(listed.started),
        rfc3339(listed.closed),
    ]
}

fn json_of(listed: &Listed) -> Value {
    let time = |time: Option<SystemTime>| time.map(|time| rfc3339(Some(time)));
    json!({
        "key": listed.key, "workflowId": listed.workflow_id, "runId": listed.run_id, "stage": listed.stage,
        "program": listed.program, "wallet": listed.wallet, "asset": listed.asset, "run": listed.status.to_string(),
        "started": time(listed.started), "closed": time(listed.closed),
    })
}

/// RFC 3339 in UTC, whole seconds; nothing for no time.
pub(crate) fn rfc3339(time: Option<SystemTime>) -> String {
    let time = time.and_then(|time| Timestamp::try_from(time).ok());
    time.map(|time| time.strftime("%FT%TZ").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(status: RunStatus, stage: Option<&str>) -> Listed {
        Listed {
            workflow_id: "payout-a".into(),
            key: "a".into(),
            run_id: "r".into(),
            stage: stage.map(str::to_owned),
            program: None,
            wallet: None,
            asset: None,
            status,
            started: Some(SystemTime::UNIX_EPOCH),
            closed: None,
        }
    }

    #[test]
    fn a_run_without_an_outcome_does_not_show_the_stage_it_was_left_in() {
        assert_eq!(row(&listed(RunStatus::Running, Some("Settling")))[1], "Settling");
        assert_eq!(row(&listed(RunStatus::Failed, Some("Requested")))[1], "(refused)");
        assert_eq!(row(&listed(RunStatus::Terminated, Some("Settling")))[1], "(Terminated)");
        assert_eq!(row(&listed(RunStatus::Running, None))[1], "(Running)");
        assert_eq!(row(&listed(RunStatus::Running, None))[4..], ["1970-01-01T00:00:00Z", ""]);
    }

    #[test]
    fn a_stage_is_named_as_it_is_shown() {
        assert_eq!(stage("NeedsPerson"), Ok(Stage::NeedsPerson));
        assert!(stage("needs-person").is_err());
    }
}
