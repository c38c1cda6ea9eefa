//! The state machine of a payout, moved by timers, by its user and by its transfer.
//!
//! ```text
//! Initializing ─▶ AwaitingPayoutInstructions ─▶ AwaitingPayoutConfirmation ─Confirm─▶ SubmittingPayoutTransfer
//!       └──────────────┴── 24 h ─▶ Expired ◀──────┴─Cancel─▶ Canceled                       │
//!   PendingPolicyApproval ◀── a policy asks ── 4 h: Expired ──┬── a policy blocks ─▶ Rejected
//!                                                            ▼
//!                    DepositProcessing ─▶ DisbursementPending ─▶ Completed        any ─▶ Failed
//! ```

use serde_json::json;

use super::ending::Ending;
use super::{ExecutionStatus, PayoutStatus, change, find};
use crate::answer::Refusal;
use crate::approvals;
use crate::clock::Due;
use crate::delivery;
use crate::faults::{FaultKind, Place};
use crate::organisation::State;
use crate::settings::AtExpiry;
use crate::transfers::{self, Fate, NewTransfer, TransferBody, TransferStatus};

const HOUR_MS: i64 = 3_600_000;
/// Documented, without a starting point; counted from creation, the earlier one.
const CONFIRM_WITHIN_MS: i64 = 24 * HOUR_MS;
/// Documented: four hours without transfer submission.
const SUBMIT_WITHIN_MS: i64 = 4 * HOUR_MS;
const SLOW_BANK_MS: i64 = 5 * 24 * HOUR_MS;
const SLOW_INSTRUCTIONS_MS: i64 = HOUR_MS;

/// Timers of a payout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    AskProvider,
    ReceiveInstructions,
    ExpireUnconfirmed,
    Submit,
    /// A second transfer, after a second Confirm that a fault let pass.
    SubmitAgain,
    ExpireUnsubmitted,
    SeeDeposit,
    EndReview,
    Disburse,
}

/// Sets a new payout going.
pub(super) fn begin(state: &mut State, id: &str) {
    let total = i64::from(state.settings.delays.instructions);
    after(state, id, total / 3, Step::AskProvider);
    after(state, id, CONFIRM_WITHIN_MS, Step::ExpireUnconfirmed);
}

/// The user confirmed.
pub(super) fn confirm(state: &mut State, id: &str) {
    change(state, id, |payout, now| {
        payout.counts.confirms_accepted += 1;
        payout.wire.data.date_confirmed = Some(now);
        payout.wire.data.execution_status = ExecutionStatus::SubmittingPayoutTransfer;
    });
    after(state, id, i64::from(state.settings.delays.submission), Step::Submit);
    after(state, id, SUBMIT_WITHIN_MS, Step::ExpireUnsubmitted);
}

pub(super) fn confirm_again(state: &mut State, id: &str) {
    change(state, id, |payout, _| payout.counts.confirms_accepted += 1);
    after(state, id, i64::from(state.settings.delays.submission), Step::SubmitAgain);
}

/// The user cancelled.
pub(super) fn cancel(state: &mut State, id: &str) {
    change(state, id, |payout, now| {
        payout.counts.cancels_accepted += 1;
        payout.wire.data.date_canceled = Some(now);
    });
    end(state, id, ExecutionStatus::Canceled, None);
}

/// A timer of this payout. One that comes too late finds another status and does nothing.
pub(crate) fn step(state: &mut State, id: &str, step: Step) {
    use ExecutionStatus as At;
    let Some(payout) = state.payouts.get(id) else { return };
    let (at, ending) = (payout.wire.data.execution_status, payout.ending);
    let has_transfer = payout.wire.data.transfer_id.is_some();
    match (step, at) {
        (Step::AskProvider, At::Initializing) => ask_provider(state, id, ending),
        (Step::ReceiveInstructions, At::AwaitingPayoutInstructions) => receive_instructions(state, id, ending),
        (Step::Submit, At::SubmittingPayoutTransfer) if !has_transfer => submit(state, id),
        (Step::SubmitAgain, _) => submit(state, id),
        (Step::ExpireUnconfirmed, at) if at.is_before_confirm() => {
            end(state, id, At::Expired, Some("Not confirmed within 24 hours"));
        }
        (Step::ExpireUnsubmitted, At::PendingPolicyApproval) => expire_unsubmitted(state, id),
        (Step::ExpireUnsubmitted, At::SubmittingPayoutTransfer) if !has_transfer => expire_unsubmitted(state, id),
        (Step::SeeDeposit, At::DepositProcessing) => see_deposit(state, id, ending),
        (Step::EndReview, At::DepositUnderReview) => await_bank(state, id, ending),
        (Step::Disburse, At::DisbursementPending) => disburse(state, id, ending),
        (
            Step::AskProvider
            | Step::ReceiveInstructions
            | Step::ExpireUnconfirmed
            | Step::Submit
            | Step::ExpireUnsubmitted
            | Step::SeeDeposit
            | Step::EndReview
            | Step::Disburse,
            _,
        ) => {}
    }
}

fn ask_provider(state: &mut State, id: &str, ending: Ending) {
    let borderless_id = format!("bp-{}", state.ids.letters(12));
    change(state, id, |payout, _| {
        payout.wire.data.execution_status = ExecutionStatus::AwaitingPayoutInstructions;
        payout.wire.data.borderless_payout_id = Some(borderless_id);
    });
    let total = i64::from(state.settings.delays.instructions);
    match ending {
        Ending::NeverInstructions => {}
        Ending::SlowInstructions => after(state, id, SLOW_INSTRUCTIONS_MS, Step::ReceiveInstructions),
        Ending::Completes
        | Ending::BankRefuses
        | Ending::ProviderFails
        | Ending::TransferFails
        | Ending::SlowBank
        | Ending::FailsAfterDeposit
        | Ending::NoOffers
        | Ending::NeverConfirmed
        | Ending::UnknownWord => after(state, id, total - total / 3, Step::ReceiveInstructions),
    }
}

fn receive_instructions(state: &mut State, id: &str, ending: Ending) {
    if ending == Ending::ProviderFails {
        return end(state, id, ExecutionStatus::Failed, Some("The provider could not give payment instructions"));
    }
    let Some(payout) = state.payouts.get(id) else { return };
    let address = payout.network.address(&mut state.ids);
    change(state, id, |payout, _| {
        payout.wire.data.execution_status = ExecutionStatus::AwaitingPayoutConfirmation;
        payout.wire.data.deposit_address = Some(address);
    });
    tell_action_required(state, id);
}

/// The only event about payouts there is.
fn tell_action_required(state: &mut State, id: &str) {
    const KIND: &str = "payout.action.required";
    let Some(payout) = state.payouts.get(id) else { return };
    let mut shown = payout.wire.clone();
    let external_id = payout.wire.external_id.clone();
    let network = payout.network;
    let place = Place { external_id: external_id.as_deref(), event_kind: Some(KIND), ..Place::default() };
    if state.faults.strike(FaultKind::WrongAddressInWebhook, place).is_some() {
        shown.data.deposit_address = Some(network.address(&mut state.ids));
    }
    delivery::emit(state, KIND, &json!({"payout": shown}), external_id.as_deref());
}

fn submit(state: &mut State, id: &str) {
    let Some(payout) = state.payouts.get(id) else { return };
    let Some(to) = payout.wire.data.deposit_address.clone() else { return };
    let new = NewTransfer {
        wallet_id: payout.wire.wallet_id.clone(),
        body: TransferBody::of_payout(&payout.asset, payout.amount, &to),
        requester: payout.wire.requester.clone(),
        payout_id: Some(id.to_owned()),
        fate: match payout.ending {
            Ending::TransferFails => Fate::FailsOnChain,
            Ending::NeverConfirmed => Fate::NeverConfirms,
            Ending::Completes
            | Ending::BankRefuses
            | Ending::ProviderFails
            | Ending::NeverInstructions
            | Ending::SlowBank
            | Ending::FailsAfterDeposit
            | Ending::NoOffers
            | Ending::UnknownWord
            | Ending::SlowInstructions => Fate::Confirms,
        },
    };
    if let Err(refusal) = transfers::start(state, new) {
        end(state, id, ExecutionStatus::Failed, Some(&refusal.message));
    }
}

/// A transfer of this payout changed. Only the first one is the payout's own, and a payout that
/// has ended stays as it is, whatever its transfer still does.
pub(crate) fn transfer_moved(state: &mut State, id: &str, transfer_id: &str) {
    let Some(transfer) = state.transfers.get(transfer_id) else { return };
    let (status, hash) = (transfer.wire.status, transfer.wire.tx_hash.clone());
    let reason = transfer.wire.reason.clone();
    let Some(payout) = state.payouts.get_mut(id) else { return };
    if !payout.transfers.iter().any(|known| known == transfer_id) {
        payout.transfers.push(transfer_id.to_owned());
    }
    let own = payout.wire.data.transfer_id.get_or_insert_with(|| transfer_id.to_owned()) == transfer_id;
    if !own || payout.wire.status != PayoutStatus::Processing {
        return;
    }
    let move_to = |state: &mut State, status: ExecutionStatus| {
        change(state, id, |payout, _| payout.wire.data.execution_status = status);
    };
    match status {
        TransferStatus::Pending => move_to(state, ExecutionStatus::PendingPolicyApproval),
        TransferStatus::Executing => move_to(state, ExecutionStatus::SubmittingPayoutTransfer),
        TransferStatus::Broadcasted => change(state, id, |payout, _| {
            payout.wire.data.execution_status = ExecutionStatus::DepositProcessing;
            payout.wire.data.transaction_hash = hash;
        }),
        TransferStatus::Confirmed => {
            after(state, id, i64::from(state.settings.delays.deposit), Step::SeeDeposit);
        }
        TransferStatus::Rejected => end(state, id, ExecutionStatus::Rejected, reason.as_deref()),
        TransferStatus::Failed => end(state, id, ExecutionStatus::Failed, reason.as_deref()),
    }
}

fn expire_unsubmitted(state: &mut State, id: &str) {
    end(state, id, ExecutionStatus::Expired, Some("No transfer submitted within 4 hours"));
    match state.settings.pending_transfer_at_expiry {
        AtExpiry::StayOpen => {}
        AtExpiry::Reject => {
            let transfer = state.payouts.get(id).and_then(|payout| payout.wire.data.transfer_id.clone());
            if let Some(transfer) = transfer {
                approvals::expire_for(state, &transfer);
            }
        }
    }
}

fn see_deposit(state: &mut State, id: &str, ending: Ending) {
    change(state, id, |payout, now| payout.wire.data.date_deposit_confirmed = Some(now));
    match ending {
        Ending::FailsAfterDeposit => {
            end(state, id, ExecutionStatus::Failed, Some("The provider failed after it received the deposit"));
        }
        Ending::UnknownWord => {
            change(state, id, |payout, _| {
                payout.wire.data.execution_status = ExecutionStatus::DepositUnderReview;
            });
            after(state, id, 2 * i64::from(state.settings.delays.disbursement), Step::EndReview);
        }
        Ending::Completes
        | Ending::BankRefuses
        | Ending::ProviderFails
        | Ending::NeverInstructions
        | Ending::TransferFails
        | Ending::SlowBank
        | Ending::NoOffers
        | Ending::NeverConfirmed
        | Ending::SlowInstructions => await_bank(state, id, ending),
    }
}

fn await_bank(state: &mut State, id: &str, ending: Ending) {
    change(state, id, |payout, _| payout.wire.data.execution_status = ExecutionStatus::DisbursementPending);
    let delay = match ending {
        Ending::SlowBank => SLOW_BANK_MS,
        Ending::Completes
        | Ending::BankRefuses
        | Ending::ProviderFails
        | Ending::NeverInstructions
        | Ending::TransferFails
        | Ending::FailsAfterDeposit
        | Ending::NoOffers
        | Ending::NeverConfirmed
        | Ending::UnknownWord
        | Ending::SlowInstructions => i64::from(state.settings.delays.disbursement),
    };
    after(state, id, delay, Step::Disburse);
}

fn disburse(state: &mut State, id: &str, ending: Ending) {
    if ending == Ending::BankRefuses {
        return end(state, id, ExecutionStatus::Failed, Some("The bank refused the payment"));
    }
    change(state, id, |payout, now| payout.wire.data.date_payout_confirmed = Some(now));
    end(state, id, ExecutionStatus::Completed, None);
}

/// Ends a payout. Silently: there is no webhook for it.
fn end(state: &mut State, id: &str, status: ExecutionStatus, reason: Option<&str>) {
    change(state, id, |payout, now| {
        payout.wire.data.execution_status = status;
        payout.wire.data.status_reason = reason.map(str::to_owned);
        payout.wire.status = status.status();
        payout.wire.date_finalized = Some(now);
    });
}

fn after(state: &mut State, id: &str, delay_ms: i64, step: Step) {
    state.clock.after(delay_ms, Due::Payout { id: id.to_owned(), step });
}

/// Does at once what would happen next to this payout or its transfer, expiry excepted.
///
/// # Errors
/// 404 for an unknown payout, 412 when nothing but its user or an expiry can move it.
pub(crate) fn push(state: &mut State, id: &str) -> Result<(), Refusal> {
    let transfers = find(state, id)?.transfers.clone();
    let due = state.clock.pull(|due| match due {
        Due::Payout { id: payout, step } => {
            payout == id && !matches!(step, Step::ExpireUnconfirmed | Step::ExpireUnsubmitted)
        }
        Due::Transfer { id: transfer, .. } => transfers.contains(transfer),
        Due::ApprovalExpires { .. } | Due::Delivery(_) => false,
    });
    match due {
        Some(due) => {
            state.fire(due);
            Ok(())
        }
        None => Err(Refusal::wrong_state(format!("payout {id} waits for nothing that can be pushed"))),
    }
}
