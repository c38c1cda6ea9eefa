//! How a transfer goes from request to chain.

use serde_json::json;

use super::{Fate, Requester, Transfer, TransferBody, TransferStatus, WireTransfer, aim};
use crate::answer::Refusal;
use crate::approvals::{self, Wanted};
use crate::chain::{Movement, block_at};
use crate::clock::Due;
use crate::delivery;
use crate::networks::AssetKind;
use crate::organisation::State;
use crate::payouts;
use crate::policies::{self, Verdict};
use crate::policy_rules::Candidate;
use crate::wallets;
use crate::wire;

/// Timers of a transfer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Broadcast,
    Confirm,
    /// The replacement that cancels it is on chain.
    Replaced,
}

/// What a new transfer is made from.
pub(crate) struct NewTransfer {
    pub(crate) wallet_id: String,
    pub(crate) body: TransferBody,
    pub(crate) requester: Requester,
    pub(crate) payout_id: Option<String>,
    pub(crate) fate: Fate,
}

/// Makes a transfer, asks the policies, and sets it going.
pub(crate) fn start(state: &mut State, new: NewTransfer) -> Result<String, Refusal> {
    let wallet = wallets::active(state, &new.wallet_id)?;
    let network = wallet.network;
    let from = wallet.address.clone();
    let asset = wallet.asset(new.body.kind, new.body.contract.as_deref(), new.body.mint.as_deref())?.clone();
    let amount = wire::amount("amount", &new.body.amount)?;
    let candidate = Candidate { wallet_id: &new.wallet_id, network, asset: &asset, amount, to: &new.body.to };
    let (evaluations, verdict) = policies::evaluate(state, &candidate);

    let id = state.ids.id("xfr");
    let initiator_id = new.requester.user_id.clone();
    state.transfers.insert(Transfer {
        wire: WireTransfer {
            id: id.clone(),
            wallet_id: new.wallet_id,
            network: network.name.to_owned(),
            requester: new.requester,
            metadata: wallets::asset_metadata(&asset),
            external_id: new.body.external_id.clone(),
            request_body: new.body,
            status: TransferStatus::Pending,
            reason: None,
            tx_hash: None,
            fee: None,
            date_requested: state.clock.now(),
            date_policy_resolved: None,
            date_broadcasted: None,
            date_confirmed: None,
            approval_id: None,
            replacement_id: None,
        },
        network,
        asset,
        from,
        amount,
        requested_ms: state.clock.now_ms(),
        payout_id: new.payout_id,
        fate: new.fate,
    });
    tell(state, &id, "wallet.transfer.requested");
    for evaluation in &evaluations {
        tell_triggered(state, &id, evaluation);
    }
    match verdict {
        Verdict::Allowed => approved(state, &id),
        Verdict::Blocked { policy } => rejected(state, &id, &format!("Blocked by policy: {policy}")),
        Verdict::NeedsApproval { groups, auto_reject_minutes } => {
            let transfer_id = id.clone();
            let wanted = Wanted { transfer_id, initiator_id, evaluations, groups, auto_reject_minutes };
            let approval_id = approvals::open(state, wanted);
            change(state, &id, |wire, _| wire.approval_id = Some(approval_id.clone()));
            approvals::announce(state, &approval_id);
        }
    }
    Ok(id)
}

/// No policy stands in the way (any more): it executes by itself.
pub(crate) fn approved(state: &mut State, id: &str) {
    change(state, id, |wire, now| {
        if wire.approval_id.is_some() {
            wire.date_policy_resolved = Some(now);
        }
        wire.status = TransferStatus::Executing;
    });
    let delay = i64::from(state.settings.delays.broadcast);
    state.clock.after(delay, Due::Transfer { id: id.to_owned(), step: Step::Broadcast });
}

/// A policy said no, or its approvers did.
pub(crate) fn rejected(state: &mut State, id: &str, reason: &str) {
    change(state, id, |wire, now| {
        wire.status = TransferStatus::Rejected;
        wire.reason = Some(reason.to_owned());
        wire.date_policy_resolved = Some(now);
    });
    tell(state, id, "wallet.transfer.rejected");
}

/// A timer of this transfer. A timer that comes too late finds another status and does nothing.
pub(crate) fn step(state: &mut State, id: &str, step: Step) {
    let status = state.transfers.get(id).map(|transfer| transfer.wire.status);
    match (step, status) {
        (Step::Broadcast, Some(TransferStatus::Executing)) => broadcast(state, id),
        (Step::Confirm, Some(TransferStatus::Broadcasted)) => land(state, id),
        (Step::Replaced, Some(TransferStatus::Broadcasted)) => {
            fail(state, id, "Replaced by a transaction with the same nonce");
        }
        (Step::Broadcast | Step::Confirm | Step::Replaced, _) => {}
    }
}

fn broadcast(state: &mut State, id: &str) {
    let Some(transfer) = state.transfers.get(id) else { return };
    let (network, asset) = (transfer.network, &transfer.asset);
    let fee = network.transfer_fee();
    let has = state.chain.balance(&network, asset, &transfer.from);
    let has_native = state.chain.balance(&network, &network.native_asset(), &transfer.from);
    let needs_native = match asset.kind {
        AssetKind::Native => transfer.amount.saturating_add(fee),
        AssetKind::Erc20 | AssetKind::Spl | AssetKind::Spl2022 => fee,
    };
    if has < transfer.amount {
        let reason = format!("Insufficient balance: {has} is less than {}", transfer.amount);
        return fail(state, id, &reason);
    }
    if has_native < needs_native {
        let reason = format!("Insufficient native balance for fees: {has_native} is less than {needs_native}");
        return fail(state, id, &reason);
    }
    let fate = transfer.fate;
    let hash = network.transaction_hash(&mut state.ids);
    change(state, id, |wire, now| {
        wire.status = TransferStatus::Broadcasted;
        wire.tx_hash = Some(hash);
        wire.date_broadcasted = Some(now);
    });
    tell(state, id, "wallet.transfer.broadcasted");
    if fate != Fate::NeverConfirms {
        let delay = i64::from(state.settings.delays.chain_confirmation);
        state.clock.after(delay, Due::Transfer { id: id.to_owned(), step: Step::Confirm });
    }
}

/// It is in a block: the fee is gone in any case, the tokens only if it did not revert.
fn land(state: &mut State, id: &str) {
    let Some(transfer) = state.transfers.get(id) else { return };
    let (network, amount) = (transfer.network, transfer.amount);
    let fee = network.transfer_fee();
    if let Err(short) = state.chain.pay_fee(&network, &transfer.from, fee) {
        return fail(state, id, &format!("Dropped by the network: native {short}"));
    }
    if transfer.fate == Fate::FailsOnChain {
        return fail(state, id, "Execution reverted");
    }
    let to = transfer.wire.request_body.to.clone();
    if let Some(why) = state.chain.refusal(&network, &transfer.asset, &transfer.from, &to) {
        return fail(state, id, &format!("Execution reverted: {why}"));
    }
    if let Err(short) = state.chain.transfer(&network, &transfer.asset, &transfer.from, &to, amount) {
        return fail(state, id, &format!("Execution reverted: {short}"));
    }
    state.chain.record(Movement {
        network: network.name.to_owned(),
        asset: transfer.asset.clone(),
        from: transfer.from.clone(),
        to,
        amount,
        fee,
        tx_hash: transfer.wire.tx_hash.clone().unwrap_or_default(),
        block: block_at(state.clock.now_ms()),
        at_ms: state.clock.now_ms(),
    });
    change(state, id, |wire, now| {
        wire.status = TransferStatus::Confirmed;
        wire.fee = Some(fee.to_string());
        wire.date_confirmed = Some(now);
    });
    tell(state, id, "wallet.transfer.confirmed");
}

pub(super) fn fail(state: &mut State, id: &str, reason: &str) {
    change(state, id, |wire, _| {
        wire.status = TransferStatus::Failed;
        wire.reason = Some(reason.to_owned());
    });
    tell(state, id, "wallet.transfer.failed");
}

/// Changes a transfer, and lets the past and the payout behind it know.
pub(super) fn change(state: &mut State, id: &str, change: impl FnOnce(&mut WireTransfer, String)) {
    let now = state.clock.now();
    let Some(transfer) = state.transfers.get_mut(id) else { return };
    change(&mut transfer.wire, now);
    state.past.keep(id, state.clock.now_ms(), &transfer.wire);
    if let Some(payout_id) = transfer.payout_id.clone() {
        payouts::transfer_moved(state, &payout_id, id);
    }
}

fn tell(state: &mut State, id: &str, kind: &str) {
    let Some(transfer) = state.transfers.get(id) else { return };
    let data = json!({"transferRequest": transfer.wire});
    let external_id = aim(state, id);
    delivery::emit(state, kind, &data, external_id.as_deref());
}

fn tell_triggered(state: &mut State, id: &str, evaluation: &policies::Evaluation) {
    let evaluation_id = state.ids.id("plce");
    let data = json!({"policyEvaluation": {
        "id": evaluation_id,
        "triggered": true,
        "reason": evaluation.reason,
        "date": state.clock.now(),
        "policy": state.policies.get(&evaluation.policy_id),
        "activity": {
            "kind": "Wallets:Sign",
            "transferRequest": state.transfers.get(id).map(|transfer| &transfer.wire),
        },
    }});
    let external_id = aim(state, id);
    delivery::emit(state, "policy.triggered", &data, external_id.as_deref());
}
