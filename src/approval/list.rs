//! `remit approval list`.

use remit_client::{Listed, ReadError, Status};
use remit_domain::Program;
use remit_workflows::search;
use serde_json::{Value, json};

use super::{asks, missing, waiting, worth};
use crate::{
    exit::{Exit, Outcome},
    out,
    settings::Settings,
    table::Look,
    temporal::Connected,
};

/// Flags of `remit approval list`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit approval list
  remit approval list --group treasury --program payroll
  remit approval list --json | jq -r '.[] | select(.at == \"remit\") | .payout'

Those that our policy asks about are answered with `remit approval approve` and `deny`. Those that wait at Dfns, because
a policy there holds the transfer, are answered at Dfns: here they are only named, so that nobody waits for the other.
A list may be a moment behind.
Exit codes: 0 listed, even when there is none · 1 anything else.")]
pub struct Args {
    /// Only those that wait for this group (then none that wait at Dfns)
    #[arg(long)]
    group: Option<String>,
    /// Only of this program
    #[arg(long, value_parser = Program::parse)]
    program: Option<Program>,
    /// At most so many of each kind
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

type Waiting = (Listed, Result<Status, ReadError>);

/// Lists them.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let connected = Connected::for_a_person(settings).await?;
    let program = args.program.as_ref();
    let mut ours = waiting(&connected.client, search::AN_APPROVAL, program, args.limit).await?;
    let mut at_dfns = Vec::new();
    if args.group.is_none() {
        at_dfns = waiting(&connected.client, search::PROVIDER_APPROVAL, program, args.limit).await?;
    }
    // The list is a moment behind. Of those that no worker answers for it is not known.
    ours.retain(|(_, status)| match (status, &args.group) {
        (Ok(status), Some(group)) => asks(status, group),
        (Ok(status), None) => !missing(status).is_empty(),
        (Err(_), _) => true,
    });
    if args.json {
        let ours = ours.iter().map(|waiting| json_of("remit", waiting));
        out::json(&ours.chain(at_dfns.iter().map(|waiting| json_of("dfns", waiting))).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    if ours.is_empty() && at_dfns.is_empty() {
        out::note("no payout waits for an approval");
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = ours.iter().map(row).chain(at_dfns.iter().map(row_at_dfns)).collect();
    let header = ["payout", "worth", "program", "wants", "why", "until"];
    out::line(Look::of_stdout().table(&header, &rows))?;
    Ok(Exit::Done)
}

fn row((listed, status): &Waiting) -> Vec<String> {
    let program = listed.program.clone().unwrap_or_default();
    let cells = match status {
        Err(error) => [String::new(), program, "not known".into(), error.to_string(), String::new()],
        Ok(status) => {
            let wants: Vec<String> = missing(status).iter().map(ToString::to_string).collect();
            let why = status.ruling.as_ref().map(remit_client::Ruling::why).unwrap_or_default();
            [worth(status), program, wants.join(" and "), why, status.until.clone().unwrap_or_default()]
        }
    };
    std::iter::once(listed.key.clone()).chain(cells).collect()
}

fn row_at_dfns((listed, status): &Waiting) -> Vec<String> {
    let transfer = |status: &Status| status.read.as_ref()?.transfer.clone();
    let why = status.as_ref().ok().and_then(transfer);
    vec![
        listed.key.clone(),
        status.as_ref().map(worth).unwrap_or_default(),
        listed.program.clone().unwrap_or_default(),
        "people at Dfns".to_owned(),
        why.map_or_else(|| "a policy at Dfns holds it".into(), |id| format!("a policy at Dfns holds transfer {id}")),
        status.as_ref().ok().and_then(|status| status.until.clone()).unwrap_or_default(),
    ]
}

fn json_of(at: &str, (listed, status): &Waiting) -> Value {
    let mut json = json!({"payout": listed.key, "workflowId": listed.workflow_id, "at": at, "program": listed.program});
    match status {
        Err(error) => json["error"] = json!(error.to_string()),
        Ok(status) => {
            let ruling = status.ruling.as_ref();
            json["externalId"] = json!(status.request.external_id);
            json["amount"] = json!(status.request.amount);
            json["asset"] = json!(status.request.asset);
            json["usd"] = json!(ruling.and_then(|ruling| ruling.usd));
            json["revision"] = json!(ruling.map(|ruling| ruling.revision));
            json["reasons"] = json!(ruling.map(|ruling| &ruling.reasons));
            json["missing"] = json!(missing(status));
            json["until"] = json!(status.until);
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use remit_client::RunStatus;

    use super::{super::tests::awaiting, *};

    fn listed(status: Result<Status, ReadError>) -> Waiting {
        let listed = Listed {
            workflow_id: "payout-a".into(),
            key: "a".into(),
            run_id: "r".into(),
            stage: Some("AwaitingApproval".into()),
            program: Some("payroll".into()),
            wallet: None,
            asset: None,
            status: RunStatus::Running,
            started: None,
            closed: None,
        };
        (listed, status)
    }

    #[test]
    fn one_that_waits_says_what_it_is_worth_who_is_missing_why_and_until_when() {
        let row = row(&listed(Ok(awaiting("a", Some(1_000_000_000), &["treasury", "board"]))));
        assert_eq!(row[1..3], ["1,000.00 USD", "payroll"]);
        assert_eq!(row[3], "2 of treasury (so far ana) and 2 of board (so far ana)");
        assert!(row[4].starts_with("large: ") && row[5] == "2026-01-02T00:00:00Z", "{row:?}");
    }

    #[test]
    fn one_that_waits_at_dfns_says_so() {
        let row = row_at_dfns(&listed(Ok(awaiting("a", None, &[]))));
        assert_eq!(row[3..5], ["people at Dfns", "a policy at Dfns holds it"]);
        assert_eq!(json_of("dfns", &listed(Ok(awaiting("a", None, &[]))))["at"], "dfns");
    }

    #[test]
    fn one_that_no_worker_answers_for_is_listed_all_the_same() {
        let away = listed(Err(ReadError::NoWorker { workflow_id: "payout-a".into() }));
        assert!(row(&away)[4].contains("no worker answers"));
        assert!(json_of("remit", &away)["error"].is_string());
    }
}
