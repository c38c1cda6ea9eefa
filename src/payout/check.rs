//! `remit payout check`, and what `remit payout start --dry-run` shows.

use std::{io::Read, path::Path};

use anyhow::Context;
use remit_client::{Approvals, CheckError, Found, PayoutCheck, Standing};
use remit_domain::{Ending, PayoutRequest, Refusal};
use serde_json::Value;

use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
    table::Look,
    temporal::Connected,
};

/// Flags of `remit payout check`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit payout check invoice-2026-0001      how a payout that was started goes on from here
  remit payout check ./payout.json          how one would go that was not, as `start --file` takes it
  remit payout check - < payout.json
  remit payout check invoice-2026-0001 --json | jq '.checks[] | select(.found != \"good\")'

A worker asks the policy, the lists, the records and Dfns. Nothing is started, reserved, written down or signed, and
the answer binds nobody: other payouts may come first.

Exit codes: 0 it would be paid, once those have approved who are asked · 3 it would not · 4 no such payout was
started · 2 the request is not accepted · 5 the id belongs to another request · 1 not known.")]
pub struct Args {
    /// Your id of a payout, or a file with a request: a path with a `/` in it or with `.json` at its end, or `-`
    #[arg(value_name = "ID|FILE")]
    what: String,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Asks, and tells.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let check = if is_file(&args.what) {
        let request = read(&args.what).map_err(|error| Failure { exit: Exit::Usage, error })?;
        Connected::for_a_person(settings).await?.client.check(&request).await
    } else {
        Connected::for_a_person(settings).await?.client.check_started(&args.what).await
    };
    tell(&check.map_err(failure)?, args.json)
}

fn is_file(what: &str) -> bool {
    what == "-" || what.contains('/') || what.ends_with(".json")
}

fn read(what: &str) -> anyhow::Result<PayoutRequest> {
    let text = if what == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        text
    } else {
        std::fs::read_to_string(Path::new(what)).with_context(|| format!("cannot read {what}"))?
    };
    let json: Value = serde_json::from_str(&text).with_context(|| format!("{what} is not JSON"))?;
    PayoutRequest::parse(&json).map_err(|Refusal(errors)| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the request is not accepted:\n  {}", lines.join("\n  "))
    })
}

/// What the exit code says when there is no answer.
pub(super) fn failure(error: CheckError) -> Failure {
    let exit = match &error {
        CheckError::BadId { .. } | CheckError::NameInClear => Exit::Usage,
        CheckError::NotStarted { .. } => Exit::NotFound,
        CheckError::NotKnown { .. } | CheckError::Unavailable(_) => Exit::Failed,
    };
    Failure { exit, error: error.into() }
}

/// Prints what was found.
pub(super) fn tell(check: &PayoutCheck, json: bool) -> Outcome {
    if json {
        out::json(check)?;
        return Ok(exit(check));
    }
    out::line(format_args!("payout {}: {}", check.key, check.request.summary()))?;
    out::line(conclusion(check))?;
    let rows: Vec<Vec<String>> =
        check.checks.iter().map(|it| vec![word(it.found).to_owned(), it.what.clone(), it.says.clone()]).collect();
    if !rows.is_empty() {
        out::line(Look::of_stdout().table(&["", "check", "found"], &rows))?;
    }
    Ok(exit(check))
}

fn word(found: Found) -> &'static str {
    match found {
        Found::Good => "ok",
        Found::Bad => "NO",
        Found::NotKnown => "?",
    }
}

fn conclusion(check: &PayoutCheck) -> String {
    let approvals = check.ruling.as_ref().map(|ruling| &ruling.approvals);
    match (&check.standing, check.found(), approvals) {
        (Standing::Over { outcome }, ..) => format!("is over: {}, {}", outcome.ending.stage().as_str(), outcome.reason),
        (_, Found::Bad, _) => "would not be paid as things are".to_owned(),
        (_, Found::NotKnown, _) => "whether it would be paid is not known: something gave no answer".to_owned(),
        (_, Found::Good, Some(missing @ Approvals::Missing { .. })) => {
            format!("would wait for the approval of {missing}")
        }
        (_, Found::Good, _) => "would be paid as things are".to_owned(),
    }
}

fn exit(check: &PayoutCheck) -> Exit {
    match (&check.standing, check.found()) {
        (Standing::Conflict, _) => Exit::Conflict,
        (Standing::Over { outcome }, _) if outcome.ending != Ending::Completed => Exit::Refused,
        (_, Found::Good) => Exit::Done,
        (_, Found::Bad) => Exit::Refused,
        (_, Found::NotKnown) => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use remit_client::Check;
    use serde_json::json;

    use super::*;

    fn check(standing: Value, found: &[Found]) -> PayoutCheck {
        let request = json!({
            "externalId": "inv-1", "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k", "amount": "1",
            "asset": {"kind": "Erc20", "contract": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"},
            "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                            "currency": "BRL", "country": "BR", "purpose": "salary payment"},
        });
        let checks: Vec<Check> = found.iter().map(|found| Check::new("wallet", *found, "x")).collect();
        serde_json::from_value(json!({"key": "inv-1", "request": request, "standing": standing, "checks": checks}))
            .expect("a check")
    }

    #[test]
    fn one_bad_check_is_enough_and_no_answer_is_no_yes() {
        let new = || json!({"is": "new"});
        assert_eq!(exit(&check(new(), &[Found::Good])), Exit::Done);
        assert_eq!(exit(&check(new(), &[Found::Good, Found::NotKnown])), Exit::Failed);
        assert_eq!(exit(&check(new(), &[Found::NotKnown, Found::Bad])), Exit::Refused);
        assert_eq!(exit(&check(json!({"is": "conflict"}), &[Found::Bad])), Exit::Conflict);
    }

    #[test]
    fn an_id_is_told_from_a_file_by_how_it_is_written() {
        assert!(is_file("-") && is_file("./a") && is_file("payout.json"));
        assert!(!is_file("invoice-1"));
    }
}
