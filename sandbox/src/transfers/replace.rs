//! Taking a transfer back or hurrying it: abort, cancel, speed-up.

use serde_json::{Value, json};

use super::steps::{Step, change, fail};
use super::{Fate, Transfer, TransferStatus, find};
use crate::answer::{Answer, Outcome, Refusal};
use crate::clock::Due;
use crate::networks::Family;
use crate::organisation::State;
use crate::server::Visit;
use crate::wire;

/// `PUT …/abort`: only before it is signed.
pub(crate) fn abort(state: &mut State, visit: &Visit) -> Outcome {
    wire::read_nothing(&visit.body)?;
    require(find(state, visit)?, TransferStatus::Executing)?;
    fail(state, visit.second_id(), "Aborted");
    Answer::ok(&find(state, visit)?.wire)
}

/// `POST …/cancel`: a replacement of no value with the same nonce. Here it wins if it comes first.
/// What failed before it was broadcast can be cancelled too, to use up its nonce.
pub(crate) fn cancel(state: &mut State, visit: &Visit) -> Outcome {
    wire::read_nothing(&visit.body)?;
    let transfer = find(state, visit)?;
    let failed_off_chain = transfer.wire.status == TransferStatus::Failed && transfer.wire.tx_hash.is_none();
    if failed_off_chain {
        return Answer::ok(&replacement(state, visit)?);
    }
    require(transfer, TransferStatus::Broadcasted)?;
    let answer = replacement(state, visit)?;
    soon(state, visit, Step::Replaced);
    Answer::ok(&answer)
}

/// `POST …/speed-up`: the same transfer with higher fees.
pub(crate) fn speed_up(state: &mut State, visit: &Visit) -> Outcome {
    wire::read_nothing(&visit.body)?;
    require(find(state, visit)?, TransferStatus::Broadcasted)?;
    let answer = replacement(state, visit)?;
    soon(state, visit, Step::Confirm);
    if let Some(transfer) = state.transfers.get_mut(visit.second_id())
        && transfer.fate == Fate::NeverConfirms
    {
        transfer.fate = Fate::Confirms;
    }
    Answer::ok(&answer)
}

fn require(transfer: &Transfer, status: TransferStatus) -> Result<(), Refusal> {
    if transfer.wire.status == status {
        return Ok(());
    }
    Err(Refusal::wrong_state(format!("transfer is {:?}, this needs {status:?}", transfer.wire.status)))
}

/// Makes the replacing transaction and names it on the transfer.
fn replacement(state: &mut State, visit: &Visit) -> Result<Value, Refusal> {
    let transfer = find(state, visit)?;
    if transfer.network.family != Family::Evm {
        return Err(Refusal::bad("only transfers on EVM networks can be replaced"));
    }
    let (wallet_id, network) = (transfer.wire.wallet_id.clone(), transfer.network);
    let id = state.ids.id("tx");
    change(state, visit.second_id(), |wire, _| wire.replacement_id = Some(id.clone()));
    Ok(json!({
        "id": id,
        "walletId": wallet_id,
        "network": network.name,
        "requester": visit.requester(),
        "requestBody": {"kind": "Evm"},
        "status": "Executing",
        "dateRequested": state.clock.now(),
    }))
}

/// Replacements pay more, so they take half the time.
fn soon(state: &mut State, visit: &Visit, step: Step) {
    let delay = i64::from(state.settings.delays.chain_confirmation / 2);
    state.clock.after(delay, Due::Transfer { id: visit.second_id().to_owned(), step });
}
