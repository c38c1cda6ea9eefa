//! `remit payout show`.

mod on_record;

use remit_client::{Described, ReadError, Ruling};
use remit_workflows::status::Status;

use self::on_record::OnRecord;
use super::list::rfc3339;
use crate::{
    exit::{Exit, Outcome},
    out,
    settings::Settings,
    temporal::{Connected, read_failure},
};

/// Flags of `remit payout show`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit payout show invoice-2026-0001
  remit payout show invoice-2026-0001 --json | jq -r .stage

Where the records can be reached (REMIT_RECORDS_URL), every decision of the policy with what each rule said, the approvals
and what is reserved are shown as well.
Exit codes: 0 shown · 4 there is no such payout · 1 anything else.")]
pub struct Args {
    /// Your id of the payout, or its key
    id: String,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Shows the payout.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let connected = Connected::for_a_person(settings).await?;
    let status = connected.client.status(&args.id).await;
    if args.json {
        let status = status.map_err(read_failure)?;
        let mut json = serde_json::to_value(&status)?;
        if let Some(on_record) = OnRecord::read(settings, status.key.as_str()).await {
            json["onRecord"] = on_record.json();
        }
        out::json(&json)?;
        return Ok(Exit::Done);
    }
    let described = match &status {
        Ok(_) | Err(ReadError::NoWorker { .. }) => {
            Some(connected.client.describe(&args.id).await.map_err(read_failure)?)
        }
        Err(_) => None,
    };
    if let Ok(status) = &status {
        let mut lines = lines(status);
        if let Some(on_record) = OnRecord::read(settings, status.key.as_str()).await {
            lines.extend(on_record.lines());
        }
        out::line(lines.join("\n"))?;
    }
    if let Some(described) = &described {
        out::line(at_temporal(described).join("\n"))?;
        if let Some(link) = connected.ui_link(&described.run.workflow_id, &described.run.run_id) {
            out::line(link)?;
        }
    }
    status.map_err(read_failure)?;
    Ok(Exit::Done)
}

/// What Temporal says without a worker: the run, and the calls that are under way or will be made again.
fn at_temporal(described: &Described) -> Vec<String> {
    let run = &described.run;
    let mut lines = vec![format!(
        "workflow    {} ({}{}, {} events)",
        run.workflow_id,
        run.status,
        run.stage.as_ref().map(|stage| format!(", {stage}")).unwrap_or_default(),
        described.events
    )];
    lines.push(format!("run         {}", run.run_id));
    lines.extend(described.pending.iter().map(|call| {
        let next = call.next_attempt.map(|at| format!(", next at {}", rfc3339(Some(at)))).unwrap_or_default();
        let why = call.last_failure.as_ref().map(|why| format!(", last: {why}")).unwrap_or_default();
        format!("call        {}, attempt {}{next}{why}", call.activity, call.attempt)
    }));
    lines
}

/// What a person wants to know, first things first.
pub(crate) fn lines(status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: &str| lines.push(format!("{name:11} {value}"));
    line("payout", status.request.external_id.as_str());
    if status.key.as_str() != status.request.external_id.as_str() {
        line("key", status.key.as_str());
    }
    match &status.outcome {
        Some(outcome) => line("ended", &format!("{}: {}", outcome.ending.stage().as_str(), outcome.reason)),
        None => line("stage", &format!("{}: {}", status.stage.as_str(), status.says)),
    }
    if let Some(attention) = &status.attention {
        line("attention", attention);
    }
    if let Some(waits_for) = &status.waits_for {
        let until = status.until.as_ref().map(|until| format!(", until {until}")).unwrap_or_default();
        line("waits for", &format!("{waits_for}{until}"));
    }
    line("asked", &status.request.summary());
    line("asked by", status.request.signed.as_ref().map_or("unsigned", |signed| signed.by.as_str()));
    line("wallet", status.request.wallet_id.as_str());
    if let Some(program) = &status.request.program {
        line("program", program.as_str());
    }
    if let Some(ruling) = &status.ruling {
        line("policy", &policy(ruling));
        ruling.reasons.iter().for_each(|reason| line("", reason));
        if !ruling.wanted.is_empty() {
            line("approvals", &ruling.approvals.to_string());
        }
    }
    if let Some(offer) = &status.quoted {
        line("quoted", &format!("{} after {} fees (no price is held)", offer.receives, offer.fees));
    }
    if let Some(read) = &status.read {
        line("provider", &format!("{}: {}", read.payout, read.progress.describe()));
        let ids =
            [("deposit", &read.deposit_address), ("transfer", &read.transfer), ("transaction", &read.transaction_hash)];
        for (name, id) in ids {
            if let Some(id) = id {
                line(name, id);
            }
        }
    }
    lines.push("timeline".to_owned());
    lines.extend(status.timeline.iter().map(|moment| format!("  {}  {}", moment.at, moment.what)));
    lines
}

/// `revision 3: needsApproval, worth 12,000.00 USD`.
fn policy(ruling: &Ruling) -> String {
    let worth = ruling.usd.map(|usd| format!(", worth {usd}")).unwrap_or_default();
    format!("revision {}: {}{worth}", ruling.revision, ruling.verdict.as_str())
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A payout that waits for its deposit address.
    pub(crate) fn waiting() -> Status {
        serde_json::from_value(json!({
            "key": "invoice-1",
            "request": {
                "externalId": "invoice-1", "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k", "amount": "1000000000",
                "asset": {"kind": "Erc20", "contract": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"},
                "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1",
                                "instructionsId": "pi-1", "currency": "BRL", "country": "BR", "purpose": "other"},
            },
            "digest": "d", "stage": "AwaitingInstructions", "says": "created; waiting for the deposit address",
            "waitsFor": "the provider's deposit address", "until": "2026-01-02T00:00:00Z",
            "quoted": {"receives": {"amount": "5321.70", "currency": "BRL"}, "fees": "78.30"},
            "timeline": [{"at": "2026-01-01T00:00:00Z", "what": "created at the provider as pyt-1"}],
        }))
        .expect("a status")
    }

    #[test]
    fn a_status_says_where_it_is_what_it_waits_for_and_until_when() {
        let text = lines(&waiting()).join("\n");
        for part in [
            "stage       AwaitingInstructions: created; waiting for the deposit address",
            "waits for   the provider's deposit address, until 2026-01-02T00:00:00Z",
            "quoted      5321.70 BRL after 78.30 fees",
            "  2026-01-01T00:00:00Z  created at the provider as pyt-1",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert!(!text.contains("key "), "the key is the id: said once\n{text}");
    }

    #[test]
    fn what_the_policy_decided_is_said_with_its_reasons_and_who_has_approved() {
        let mut status = waiting();
        status.ruling = serde_json::from_value(json!({
            "verdict": "needsApproval", "revision": 3, "revisionHash": "h", "usd": 12_000_000_000_u64,
            "reasons": ["large: 12,000.00 USD is above the limit of 10,000.00 USD", "new: never paid before"],
            "wanted": [{"rule": "large", "group": "treasury", "quorum": 2, "people": ["ana"], "timeoutSeconds": 60}],
            "approvals": {"are": "missing", "missing": [{"group": "treasury", "quorum": 2, "have": ["ana"]}]},
        }))
        .expect("a ruling");
        let text = lines(&status).join("\n");
        for part in [
            "policy      revision 3: needsApproval, worth 12,000.00 USD",
            "            large: 12,000.00 USD is above the limit of 10,000.00 USD\n            new: never paid before",
            "approvals   2 of treasury (so far ana)",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }

    #[test]
    fn a_payout_that_is_over_says_how_it_ended_first() {
        let mut status = waiting();
        status.outcome = serde_json::from_value(json!({"key": "invoice-1", "ending": "Rejected",
            "reason": "a rule said no", "money": "untouched"}))
        .expect("an outcome");
        assert!(lines(&status).contains(&"ended       Rejected: a rule said no".to_owned()), "{:?}", lines(&status));
    }
}
