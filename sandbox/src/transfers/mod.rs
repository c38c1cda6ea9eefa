//! Transfers: what one is, how it is asked for and read. `/wallets/{id}/transfers`.

mod replace;
mod steps;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use replace::{abort, cancel, speed_up};
pub(crate) use steps::{NewTransfer, Step, approved, rejected, start, step};

use crate::answer::{Answer, Outcome, Refusal};
use crate::networks::{Asset, AssetKind, Network};
use crate::organisation::State;
use crate::server::Visit;
use crate::settings::PendingAnswer;
use crate::table::{Page, Row};
use crate::wallets;
use crate::wire;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum TransferStatus {
    /// Waiting for a policy approval.
    Pending,
    Executing,
    Broadcasted,
    Confirmed,
    Failed,
    Rejected,
}

/// A transfer request, echoed as `requestBody`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TransferBody {
    pub(crate) kind: AssetKind,
    pub(crate) to: String,
    pub(crate) amount: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) contract: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<Priority>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memo: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    create_destination_account: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    use_durable_nonce: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    travel_rule: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Priority {
    Slow,
    Standard,
    Fast,
}

impl TransferBody {
    /// The transfer behind a payout.
    pub(crate) fn of_payout(asset: &Asset, amount: u128, to: &str) -> Self {
        Self {
            kind: asset.kind,
            to: to.to_owned(),
            amount: amount.to_string(),
            contract: asset.contract.clone(),
            mint: asset.mint.clone(),
            priority: None,
            memo: None,
            create_destination_account: None,
            use_durable_nonce: None,
            travel_rule: None,
            external_id: None,
        }
    }
}

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Requester {
    pub(crate) user_id: String,
    pub(crate) token_id: String,
}

/// A transfer as Dfns shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireTransfer {
    pub(crate) id: String,
    pub(crate) wallet_id: String,
    network: String,
    requester: Requester,
    request_body: TransferBody,
    metadata: Value,
    pub(crate) status: TransferStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tx_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<String>,
    date_requested: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_policy_resolved: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_broadcasted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_confirmed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) approval_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement_id: Option<String>,
}

/// What the chain will do with it, decided in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Confirms,
    FailsOnChain,
    NeverConfirms,
}

/// A transfer and what only the sandbox knows of it.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) wire: WireTransfer,
    pub(crate) network: Network,
    pub(crate) asset: Asset,
    pub(crate) from: String,
    pub(crate) amount: u128,
    pub(crate) requested_ms: i64,
    pub(crate) payout_id: Option<String>,
    fate: Fate,
}

impl Row for Transfer {
    fn id(&self) -> &str {
        &self.wire.id
    }
}

impl Transfer {
    /// `None` when there is no price.
    pub(crate) fn usd_value(&self) -> Option<Decimal> {
        self.asset.usd_value(self.amount)
    }
}

/// `POST /wallets/{id}/transfers`
pub(crate) fn create(state: &mut State, visit: &Visit) -> Outcome {
    let body: TransferBody = wire::read(&visit.body)?;
    wire::external_id(body.external_id.as_ref())?;
    let wallet = wallets::active(state, visit.id())?;
    let amount = wire::amount("amount", &body.amount)?;
    wallet.network.check_address("to", &body.to)?;
    wallet.asset(body.kind, body.contract.as_deref(), body.mint.as_deref())?;

    if let Some(external_id) = &body.external_id
        && let Some(id) = state.transfers_by_external_id.get(external_id)
        && let Some(existing) = state.transfers.get(id)
    {
        if existing.wire.wallet_id == visit.id() && existing.wire.request_body == body {
            return Answer::ok(&existing.wire);
        }
        return Err(Refusal::duplicate("transfer", id, external_id));
    }

    let fate = match amount % 100 {
        93 => Fate::FailsOnChain,
        97 => Fate::NeverConfirms,
        _ => Fate::Confirms,
    };
    let external_id = body.external_id.clone();
    let new =
        NewTransfer { wallet_id: visit.id().to_owned(), body, requester: visit.requester(), payout_id: None, fate };
    let id = start(state, new)?;
    if let Some(external_id) = external_id {
        state.transfers_by_external_id.insert(external_id, id.clone());
    }
    let transfer = state.transfers.get(&id).ok_or_else(|| Refusal::missing("transfer", &id))?;
    let status = match (transfer.wire.status, state.settings.pending_approval_answer) {
        (TransferStatus::Pending, PendingAnswer::Accepted) => 202,
        _ => 200,
    };
    Answer::with_status(status, &transfer.wire)
}

pub(crate) fn list(state: &mut State, visit: &Visit) -> Outcome {
    wallets::find(state, visit.id())?;
    let page = Page::read(&visit.query, 50, 500)?;
    let (found, next) = state.transfers.page(&page, |transfer| transfer.wire.wallet_id == visit.id());
    let items: Vec<Value> = found.into_iter().filter_map(|transfer| seen(state, visit, transfer)).collect();
    let mut answer = json!({"walletId": visit.id(), "items": items});
    if let Some(next) = next {
        answer["nextPageToken"] = Value::from(next);
    }
    Answer::ok(&answer)
}

pub(crate) fn get(state: &mut State, visit: &Visit) -> Outcome {
    let transfer = find(state, visit)?;
    Answer::ok(&seen(state, visit, transfer).ok_or_else(|| Refusal::missing("transfer", visit.second_id()))?)
}

/// The external id faults may aim at: its own, or that of the payout behind it.
pub(crate) fn aim(state: &State, id: &str) -> Option<String> {
    let transfer = state.transfers.get(id)?;
    let payout = transfer.payout_id.as_ref().and_then(|id| state.payouts.get(id));
    transfer.wire.external_id.clone().or_else(|| payout.and_then(|payout| payout.wire.external_id.clone()))
}

fn find<'a>(state: &'a State, visit: &Visit) -> Result<&'a Transfer, Refusal> {
    state
        .transfers
        .get(visit.second_id())
        .filter(|transfer| transfer.wire.wallet_id == visit.id())
        .ok_or_else(|| Refusal::missing("transfer", visit.second_id()))
}

fn seen(state: &State, visit: &Visit, transfer: &Transfer) -> Option<Value> {
    match visit.as_of_ms {
        Some(at_ms) => state.past.at(&transfer.wire.id, at_ms),
        None => serde_json::to_value(&transfer.wire).ok(),
    }
}
