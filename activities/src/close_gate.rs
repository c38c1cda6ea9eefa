//! Closes the gate of a payout, so that nothing can be confirmed any more.

use remit_records::{CloseAnswer, Records};
use remit_workflows::contract::{CloseGate, GateClosing};

use crate::NoAnswer;

/// `open → closed`, by compare-and-set. Twice: it stays closed. When Confirm has taken the gate that is the answer.
pub(crate) async fn close_gate(records: &Records, input: CloseGate) -> Result<GateClosing, NoAnswer> {
    let key = input.key.as_str();
    match records.close_gate(key, &input.why).await? {
        CloseAnswer::Closed | CloseAnswer::AlreadyClosed { .. } => Ok(GateClosing::Closed),
        CloseAnswer::Confirming => Ok(GateClosing::Confirming),
        CloseAnswer::NotClaimed => Err(NoAnswer::NotAllowed { why: format!("payout {key} is not claimed") }),
    }
}
