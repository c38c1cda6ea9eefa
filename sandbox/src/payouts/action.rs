//! Confirm and Cancel: `POST /payouts/{id}/action`.

use serde::Deserialize;
use serde_json::json;

use super::{ExecutionStatus, Payout, find, steps};
use crate::answer::{Answer, Outcome, Refusal};
use crate::faults::{FaultKind, Place};
use crate::networks::AssetKind;
use crate::organisation::State;
use crate::server::Visit;
use crate::wire;

#[derive(Deserialize)]
#[serde(tag = "action", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Action {
    Confirm { wallet_id: String, transfer: Echo },
    Cancel {},
}

/// What the confirming user believes the transfer to be. All of it must match.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Echo {
    kind: AssetKind,
    amount: String,
    contract: Option<String>,
    mint: Option<String>,
    to: String,
}

/// `POST /payouts/{id}/action`. The answer says nothing about the payout.
pub(crate) fn act(state: &mut State, visit: &Visit) -> Outcome {
    let action: Action = wire::read(&visit.body)?;
    let id = visit.id();
    find(state, id)?;
    if let Some(payout) = state.payouts.get_mut(id) {
        match &action {
            Action::Confirm { .. } => payout.counts.confirm_calls += 1,
            Action::Cancel {} => payout.counts.cancel_calls += 1,
        }
    }
    if find(state, id)?.wire.requester.user_id != visit.user_id {
        return Err(Refusal::forbidden(format!("only the user who created payout {id} may act on it")));
    }
    match action {
        Action::Confirm { wallet_id, transfer } => confirm(state, visit, &wallet_id, &transfer)?,
        Action::Cancel {} => {
            check_awaiting(find(state, id)?)?;
            steps::cancel(state, id);
        }
    }
    Answer::ok(&json!({}))
}

fn confirm(state: &mut State, visit: &Visit, wallet_id: &str, echo: &Echo) -> Result<(), Refusal> {
    let id = visit.id();
    let payout = find(state, id)?;
    let awaiting = check_awaiting(payout);
    if let Err(refusal) = awaiting {
        let external_id = payout.wire.external_id.clone();
        let place =
            Place { method: &visit.method, path: &visit.path, external_id: external_id.as_deref(), event_kind: None };
        let confirmed_before = payout.counts.confirms_accepted > 0;
        if !confirmed_before || state.faults.strike(FaultKind::TwoConfirmsAccepted, place).is_none() {
            return Err(refusal);
        }
        check_echo(find(state, id)?, wallet_id, echo)?;
        steps::confirm_again(state, id);
        return Ok(());
    }
    check_echo(payout, wallet_id, echo)?;
    steps::confirm(state, id);
    Ok(())
}

fn check_awaiting(payout: &Payout) -> Result<(), Refusal> {
    let status = payout.wire.data.execution_status;
    if status == ExecutionStatus::AwaitingPayoutConfirmation {
        return Ok(());
    }
    Err(Refusal::wrong_state(format!(
        "payout {} is {status:?}, only AwaitingPayoutConfirmation can be confirmed or cancelled",
        payout.wire.id
    )))
}

fn check_echo(payout: &Payout, wallet_id: &str, echo: &Echo) -> Result<(), Refusal> {
    let asset = &payout.asset;
    let same = |left: Option<&str>, right: Option<&str>| match (left, right) {
        (Some(left), Some(right)) => payout.network.same_address(left, right),
        (left, right) => left == right,
    };
    let mismatch = if payout.wire.wallet_id != wallet_id {
        Some("walletId")
    } else if asset.kind != echo.kind {
        Some("transfer.kind")
    } else if payout.amount.to_string() != echo.amount {
        Some("transfer.amount")
    } else if !same(asset.contract.as_deref(), echo.contract.as_deref()) {
        Some("transfer.contract")
    } else if !same(asset.mint.as_deref(), echo.mint.as_deref()) {
        Some("transfer.mint")
    } else if !same(payout.wire.data.deposit_address.as_deref(), Some(&echo.to)) {
        Some("transfer.to")
    } else {
        None
    };
    match mismatch {
        None => Ok(()),
        Some(field) => Err(Refusal::bad(format!("{field}: does not match payout {}", payout.wire.id))),
    }
}
