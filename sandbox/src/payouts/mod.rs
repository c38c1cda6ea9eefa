//! Payouts: what one is, and how it is read. `/payouts`.

mod action;
mod create;
mod ending;
mod steps;

use serde::Serialize;
use serde_json::{Value, json};

pub(crate) use action::act;
pub(crate) use create::{create, quote};
pub(crate) use steps::{Step, push, step, transfer_moved};

use crate::answer::{Answer, Outcome, Refusal};
use crate::faults::{FaultKind, Place};
use crate::networks::{Asset, AssetKind, Network};
use crate::organisation::State;
use crate::server::Visit;
use crate::table::{Page, Row};
use crate::transfers::Requester;
use crate::webhooks::Listed;

use create::NewPayout;
use ending::Ending;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum PayoutStatus {
    Processing,
    Completed,
    Failed,
    Rejected,
    Expired,
    Canceled,
}

impl PayoutStatus {
    const ALL: [Self; 6] =
        [Self::Processing, Self::Completed, Self::Failed, Self::Rejected, Self::Expired, Self::Canceled];

    fn word(self) -> &'static str {
        match self {
            Self::Processing => "Processing",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Rejected => "Rejected",
            Self::Expired => "Expired",
            Self::Canceled => "Canceled",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum ExecutionStatus {
    Initializing,
    AwaitingPayoutInstructions,
    AwaitingPayoutConfirmation,
    SubmittingPayoutTransfer,
    PendingPolicyApproval,
    DepositProcessing,
    /// A word that no document knows, for clients that should survive one (amounts ending in 98).
    DepositUnderReview,
    DisbursementPending,
    Completed,
    Rejected,
    Failed,
    Expired,
    Canceled,
}

impl ExecutionStatus {
    fn status(self) -> PayoutStatus {
        match self {
            Self::Initializing
            | Self::AwaitingPayoutInstructions
            | Self::AwaitingPayoutConfirmation
            | Self::SubmittingPayoutTransfer
            | Self::PendingPolicyApproval
            | Self::DepositProcessing
            | Self::DepositUnderReview
            | Self::DisbursementPending => PayoutStatus::Processing,
            Self::Completed => PayoutStatus::Completed,
            Self::Rejected => PayoutStatus::Rejected,
            Self::Failed => PayoutStatus::Failed,
            Self::Expired => PayoutStatus::Expired,
            Self::Canceled => PayoutStatus::Canceled,
        }
    }

    fn is_before_confirm(self) -> bool {
        matches!(self, Self::Initializing | Self::AwaitingPayoutInstructions | Self::AwaitingPayoutConfirmation)
    }
}

/// A payout as Dfns shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WirePayout {
    pub(crate) id: String,
    wallet_id: String,
    fiat_currency: String,
    asset: WireAsset,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) external_id: Option<String>,
    pub(crate) status: PayoutStatus,
    requester: Requester,
    date_created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_finalized: Option<String>,
    provider: String,
    pub(crate) data: WireData,
}

/// An asset with its amount, in the form of payout answers.
#[derive(Debug, Clone, Serialize)]
struct WireAsset {
    kind: AssetKind,
    amount: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mint: Option<String>,
    network: &'static str,
    metadata: Value,
}

impl WireAsset {
    fn new(network: &Network, asset: &Asset, amount: u128) -> Self {
        let mut metadata = json!({"decimals": asset.decimals, "verified": asset.verified});
        for (field, text) in [("name", &asset.name), ("symbol", &asset.symbol)] {
            if let Some(text) = text {
                metadata[field] = Value::from(text.as_str());
            }
        }
        Self {
            kind: asset.kind,
            amount: amount.to_string(),
            contract: asset.contract.clone(),
            mint: asset.mint.clone(),
            network: network.name,
            metadata,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireData {
    borderless_account_id: String,
    payment_instructions_id: String,
    payment_purpose: String,
    country: String,
    pub(crate) execution_status: ExecutionStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    borderless_payout_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deposit_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_confirmed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_canceled: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_deposit_confirmed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_payout_confirmed: Option<String>,
}

/// A payout and what only the sandbox knows of it.
#[derive(Debug)]
pub(crate) struct Payout {
    pub(crate) wire: WirePayout,
    /// What was asked, to recognise a repeat.
    request: NewPayout,
    network: Network,
    asset: Asset,
    pub(crate) amount: u128,
    ending: Ending,
    /// Every transfer made for it; more than one only when a fault let a second Confirm pass.
    pub(crate) transfers: Vec<String>,
    pub(crate) counts: Counts,
}

/// How often it was asked for, and what of that was accepted.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(crate) create_calls: u64,
    pub(crate) confirm_calls: u64,
    pub(crate) confirms_accepted: u64,
    pub(crate) cancel_calls: u64,
    pub(crate) cancels_accepted: u64,
}

impl Row for Payout {
    fn id(&self) -> &str {
        &self.wire.id
    }
}

/// `GET /payouts/{id}`
pub(crate) fn get(state: &mut State, visit: &Visit) -> Outcome {
    let payout = find(state, visit.id())?;
    let seen = seen(state, visit, payout).ok_or_else(|| Refusal::missing("payout", visit.id()))?;
    change_address_behind_the_reader(state, visit);
    Answer::ok(&seen)
}

/// `GET /payouts`: newest first.
pub(crate) fn list(state: &mut State, visit: &Visit) -> Outcome {
    let page = Page::read(&visit.query, 50, 50)?;
    let statuses = visit.query.many("status");
    let known = |status: &&str| PayoutStatus::ALL.iter().any(|known| known.word() == *status);
    if let Some(unknown) = statuses.iter().find(|status| !known(status)) {
        let expected = PayoutStatus::ALL.map(PayoutStatus::word).join(", ");
        return Err(Refusal::field("status", unknown, &format!("one or more of {expected}")));
    }
    let wallet = visit.query.one("walletId");
    let provider = visit.query.one("provider");
    let (found, next) = state.payouts.page(&page, |payout| {
        wallet.is_none_or(|wallet| payout.wire.wallet_id == wallet)
            && provider.is_none_or(|provider| payout.wire.provider == provider)
            && (statuses.is_empty()
                || seen_status(state, visit, payout).is_some_and(|it| statuses.contains(&it.as_str())))
    });
    let items: Vec<Value> = found.into_iter().filter_map(|payout| seen(state, visit, payout)).collect();
    Answer::ok(&Listed { items, next_page_token: next })
}

fn seen(state: &State, visit: &Visit, payout: &Payout) -> Option<Value> {
    match visit.as_of_ms {
        Some(at_ms) => state.past.at(&payout.wire.id, at_ms),
        None => serde_json::to_value(&payout.wire).ok(),
    }
}

fn seen_status(state: &State, visit: &Visit, payout: &Payout) -> Option<String> {
    match visit.as_of_ms {
        Some(at_ms) => Some(state.past.at(&payout.wire.id, at_ms)?["status"].as_str()?.to_owned()),
        None => Some(payout.wire.status.word().to_owned()),
    }
}

fn find<'a>(state: &'a State, id: &str) -> Result<&'a Payout, Refusal> {
    state.payouts.get(id).ok_or_else(|| Refusal::missing("payout", id))
}

/// Changes a payout, and keeps the version for reads that lag.
fn change(state: &mut State, id: &str, change: impl FnOnce(&mut Payout, String)) {
    let now = state.clock.now();
    let Some(payout) = state.payouts.get_mut(id) else { return };
    change(payout, now);
    state.past.keep(id, state.clock.now_ms(), &payout.wire);
}

/// The fault `addressChangesAtConfirm`: whoever has just read one address confirms against another.
fn change_address_behind_the_reader(state: &mut State, visit: &Visit) {
    let Some(payout) = state.payouts.get(visit.id()) else { return };
    if payout.wire.data.execution_status != ExecutionStatus::AwaitingPayoutConfirmation {
        return;
    }
    let place = Place {
        method: &visit.method,
        path: &visit.path,
        external_id: payout.wire.external_id.as_deref(),
        event_kind: None,
    };
    if state.faults.strike(FaultKind::AddressChangesAtConfirm, place).is_some() {
        let address = payout.network.address(&mut state.ids);
        change(state, visit.id(), |payout, _| payout.wire.data.deposit_address = Some(address));
    }
}
