//! `remit approval`: payouts that wait for people, and what people say to them.

mod answer;
mod list;

use futures::{StreamExt, stream};
use remit_client::{Approvals, Filter, Listed, MissingApproval, PayoutClient, ReadError, Runs, Status};
use remit_domain::{Program, Stage, policy::ApprovalValue};
use remit_workflows::search;

use crate::{
    exit::{Failure, Outcome},
    settings::Settings,
};

/// What to do about approvals.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Payouts that wait for an approval, here or at Dfns
    List(list::Args),
    /// Approve payouts, signed with your key
    Approve(answer::Args),
    /// Deny payouts, signed with your key: one denial ends a payout
    Deny(answer::Args),
}

/// Runs the command.
///
/// # Errors
/// As the command says.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    match command {
        Command::List(args) => list::run(args, settings).await,
        Command::Approve(args) => answer::run(ApprovalValue::Approve, args, settings).await,
        Command::Deny(args) => answer::run(ApprovalValue::Deny, args, settings).await,
    }
}

/// How many payouts are asked at once.
const AT_ONCE: usize = 8;

/// Open payouts that wait for this one, with where they are; newest first.
async fn waiting(
    client: &PayoutClient,
    who: &'static str,
    program: Option<&Program>,
    limit: usize,
) -> Result<Vec<(Listed, Result<Status, ReadError>)>, Failure> {
    let filter = Filter {
        stage: (who == search::AN_APPROVAL).then_some(Stage::AwaitingApproval),
        program: program.cloned(),
        waits_for: Some(who),
        runs: Runs::Open,
        limit,
        ..Filter::default()
    };
    let listed = client.list(&filter).await?;
    let with_status = stream::iter(listed).map(|listed| async move {
        let status = client.status(&listed.key).await;
        (listed, status)
    });
    Ok(with_status.buffered(AT_ONCE).collect().await)
}

/// The approvals that a payout still waits for; none when it waits for none.
fn missing(status: &Status) -> &[MissingApproval] {
    let waits = status.stage == Stage::AwaitingApproval;
    match status.ruling.as_ref().filter(|_| waits).map(|ruling| &ruling.approvals) {
        Some(Approvals::Missing { missing }) => missing,
        Some(Approvals::Met | Approvals::Denied { .. }) | None => &[],
    }
}

fn asks(status: &Status, group: &str) -> bool {
    missing(status).iter().any(|missing| missing.group == group)
}

/// What it is worth, where somebody says.
fn worth(status: &Status) -> String {
    let usd = status.ruling.as_ref().and_then(|ruling| ruling.usd);
    usd.map_or_else(|| "not known".to_owned(), |usd| usd.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A payout that waits for the approval of these groups.
    pub(super) fn awaiting(id: &str, usd: Option<u64>, groups: &[&str]) -> Status {
        let missing: Vec<Value> =
            groups.iter().map(|group| json!({"group": group, "quorum": 2, "have": ["ana"]})).collect();
        serde_json::from_value(json!({
            "key": id,
            "request": {
                "externalId": id, "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k", "amount": "1000000000",
                "asset": {"kind": "Erc20", "contract": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"},
                "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1",
                                "instructionsId": "pi-1", "currency": "BRL", "country": "BR", "purpose": "other"},
                "program": "payroll",
            },
            "digest": "d", "stage": "AwaitingApproval", "says": "waits for approval",
            "waitsFor": "approval by 2 of treasury", "until": "2026-01-02T00:00:00Z",
            "ruling": {
                "verdict": "needsApproval", "revision": 3, "revisionHash": "h", "usd": usd,
                "reasons": ["large: 1,000.00 USD is above the limit of 500.00 USD"], "wanted": [],
                "approvals": {"are": "missing", "missing": missing}, "waitSeconds": 60,
            },
            "timeline": [],
        }))
        .expect("a status")
    }

    #[test]
    fn a_payout_asks_only_while_it_waits() {
        let mut status = awaiting("a", Some(1), &["treasury"]);
        assert!(asks(&status, "treasury") && !asks(&status, "board"));
        status.stage = Stage::Creating;
        assert!(!asks(&status, "treasury"));
        assert_eq!(worth(&awaiting("a", None, &[])), "not known");
    }
}
