//! Closes the gate of a payout, so that nothing can be confirmed any more.

use remit_records::{CloseAnswer, Records};
use remit_workflows::contract::{CloseGate, Closing, GateClosing};

use crate::NoAnswer;

/// `open → closed`, by compare-and-set. Twice: it stays closed, by whom it was first. When Confirm has taken the gate
/// that is the answer.
pub(crate) async fn close_gate(records: &Records, input: CloseGate) -> Result<GateClosing, NoAnswer> {
    let key = input.key.as_str();
    let why = serde_json::to_string(&input.closing)
        .map_err(|error| NoAnswer::Misunderstood { why: format!("the reason cannot be written: {error}") })?;
    match records.close_gate(key, &why).await? {
        CloseAnswer::Closed => {
            tracing::info!("Closed the gate of payout {key}: {}", input.closing);
            Ok(GateClosing::Closed { closing: input.closing })
        }
        CloseAnswer::AlreadyClosed { why } => Ok(GateClosing::Closed { closing: closing(Some(why)) }),
        CloseAnswer::Confirming => Ok(GateClosing::Confirming),
        CloseAnswer::NotClaimed => Err(NoAnswer::NotAllowed { why: format!("payout {key} is not claimed") }),
    }
}

/// Who or what closed a gate, as it is on record.
pub(crate) fn closing(why: Option<String>) -> Closing {
    let text = why.unwrap_or_default();
    serde_json::from_str(&text).unwrap_or(Closing::Other { text })
}

#[cfg(test)]
mod tests {
    use remit_domain::Decided;

    use super::*;

    #[test]
    fn what_is_on_record_of_a_closed_gate_is_read_back_and_unknown_words_are_kept() {
        let order = Decided { by: "ana".into(), why: "wrong".into() };
        for there in [Closing::Canceled { order: order.clone() }, Closing::TimeUp, Closing::GivenUp { order }] {
            assert_eq!(closing(serde_json::to_string(&there).ok()), there);
        }
        assert_eq!(closing(Some("finished".into())), Closing::Other { text: "finished".into() });
        assert_eq!(closing(None), Closing::Other { text: String::new() });
    }
}
