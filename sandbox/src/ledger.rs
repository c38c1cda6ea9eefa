//! The books: what was asked, what was accepted, what moved. What tests and auditors compare with.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::organisation::State;
use crate::payouts::Payout;
use crate::transfers::{Transfer, TransferStatus};

/// The ledger of an organisation, or of one external id. Balances are always of everything.
pub(crate) fn view(state: &State, external_id: Option<&str>) -> Value {
    let wanted = |id: &Option<String>| external_id.is_none_or(|wanted| id.as_deref() == Some(wanted));
    let payouts: Vec<&Payout> = state.payouts.iter().filter(|payout| wanted(&payout.wire.external_id)).collect();
    let transfers: Vec<&Transfer> = state
        .transfers
        .iter()
        .filter(|transfer| {
            wanted(&transfer.wire.external_id)
                || transfer
                    .payout_id
                    .as_ref()
                    .and_then(|id| state.payouts.get(id))
                    .is_some_and(|payout| wanted(&payout.wire.external_id))
        })
        .collect();
    let sum = |count: fn(&Payout) -> u64| payouts.iter().map(|payout| count(payout)).sum::<u64>();
    let with = |status| transfers.iter().filter(|transfer| transfer.wire.status == status).count();
    json!({
        "payouts": payouts.iter().map(|payout| payout_view(payout)).collect::<Vec<_>>(),
        "transfers": transfers.iter().map(|transfer| transfer_view(transfer)).collect::<Vec<_>>(),
        "totals": {
            "createCalls": sum(|payout| payout.counts.create_calls),
            "createsAccepted": payouts.len(),
            "confirmCalls": sum(|payout| payout.counts.confirm_calls),
            "confirmsAccepted": sum(|payout| payout.counts.confirms_accepted),
            "cancelsAccepted": sum(|payout| payout.counts.cancels_accepted),
            "transfers": transfers.len(),
            "transfersConfirmed": with(TransferStatus::Confirmed),
            "transfersFailed": with(TransferStatus::Failed),
            "transfersRejected": with(TransferStatus::Rejected),
            "transfersOpen": with(TransferStatus::Pending)
                + with(TransferStatus::Executing)
                + with(TransferStatus::Broadcasted),
        },
        "byExternalId": by_external_id(&payouts, &transfers),
        "balances": balances(state),
        "sums": sums(state),
    })
}

/// What one external id came to, for whoever compares it with books of his own.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    external_id: Option<&'a str>,
    create_calls: u64,
    creates_accepted: u64,
    confirm_calls: u64,
    confirms_accepted: u64,
    cancels_accepted: u64,
    transfers: u64,
    transfers_open: u64,
    transfers_confirmed: u64,
    /// What its confirmed transfers moved, as text: a number that size does not survive other readers.
    #[serde(serialize_with = "as_text")]
    moved: u128,
}

fn as_text<S: Serializer>(amount: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

/// One line for each external id, in the order of the ids; what has none shares the first line.
fn by_external_id<'a>(payouts: &[&'a Payout], transfers: &[&'a Transfer]) -> Vec<Line<'a>> {
    let mut lines: BTreeMap<Option<&str>, Line<'_>> = BTreeMap::new();
    let mut id_of = BTreeMap::new();
    for payout in payouts {
        let external_id = payout.wire.external_id.as_deref();
        id_of.insert(payout.wire.id.as_str(), external_id);
        let line = lines.entry(external_id).or_default();
        line.create_calls += payout.counts.create_calls;
        line.creates_accepted += 1;
        line.confirm_calls += payout.counts.confirm_calls;
        line.confirms_accepted += payout.counts.confirms_accepted;
        line.cancels_accepted += payout.counts.cancels_accepted;
    }
    for transfer in transfers {
        let of_payout = transfer.payout_id.as_deref().and_then(|id| id_of.get(id).copied());
        let line = lines.entry(of_payout.unwrap_or(transfer.wire.external_id.as_deref())).or_default();
        line.transfers += 1;
        match transfer.wire.status {
            TransferStatus::Pending | TransferStatus::Executing | TransferStatus::Broadcasted => {
                line.transfers_open += 1;
            }
            TransferStatus::Confirmed => {
                line.transfers_confirmed += 1;
                line.moved = line.moved.saturating_add(transfer.amount);
            }
            TransferStatus::Failed | TransferStatus::Rejected => {}
        }
    }
    lines.into_iter().map(|(external_id, line)| Line { external_id, ..line }).collect()
}

fn payout_view(payout: &Payout) -> Value {
    json!({
        "id": payout.wire.id,
        "externalId": payout.wire.external_id,
        "status": payout.wire.status,
        "executionStatus": payout.wire.data.execution_status,
        "amount": payout.amount.to_string(),
        "transferIds": payout.transfers,
        "createCalls": payout.counts.create_calls,
        "confirmCalls": payout.counts.confirm_calls,
        "confirmsAccepted": payout.counts.confirms_accepted,
        "cancelCalls": payout.counts.cancel_calls,
        "cancelsAccepted": payout.counts.cancels_accepted,
    })
}

fn transfer_view(transfer: &Transfer) -> Value {
    json!({
        "id": transfer.wire.id,
        "walletId": transfer.wire.wallet_id,
        "externalId": transfer.wire.external_id,
        "payoutId": transfer.payout_id,
        "status": transfer.wire.status,
        "amount": transfer.amount.to_string(),
        "asset": transfer.asset.key(),
        "from": transfer.from,
        "approvalId": transfer.wire.approval_id,
        "txHash": transfer.wire.tx_hash,
        "reason": transfer.wire.reason,
    })
}

fn balances(state: &State) -> Vec<Value> {
    let owners: BTreeMap<String, &str> =
        state.wallets.iter().map(|wallet| (wallet.network.canonical(&wallet.address), wallet.id.as_str())).collect();
    state
        .chain
        .accounts()
        .map(|(holding, address, account)| {
            let current = i128::try_from(account.current).unwrap_or(i128::MAX);
            json!({
                "network": holding.network,
                "asset": holding.asset,
                "address": address,
                "walletId": owners.get(address),
                "opening": account.granted.to_string(),
                "current": current.to_string(),
                "moved": current.saturating_sub(account.granted).to_string(),
            })
        })
        .collect()
}

/// Per asset, what was granted and what is held. They are equal, or a unit was made or lost.
fn sums(state: &State) -> Vec<Value> {
    let mut sums: BTreeMap<(&str, &str), (i128, i128)> = BTreeMap::new();
    for (holding, _, account) in state.chain.accounts() {
        let sum = sums.entry((&holding.network, &holding.asset)).or_default();
        sum.0 = sum.0.saturating_add(account.granted);
        sum.1 = sum.1.saturating_add(i128::try_from(account.current).unwrap_or(i128::MAX));
    }
    sums.into_iter()
        .map(|((network, asset), (opening, current))| {
            json!({"network": network, "asset": asset, "opening": opening.to_string(), "current": current.to_string()})
        })
        .collect()
}
