//! What becomes of a reservation when its payout is over. The accounting follows the tokens, not the payout's word.

use crate::{Money, Outcome};

/// What becomes of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The tokens have left: it counts from its Confirm on, until it is older than a window.
    Spent,
    /// The tokens have certainly not left: it counts nowhere any more.
    Released,
    /// Nobody can say: it goes on counting in every window, and a person looks.
    Held,
}

/// What becomes of the reservation of a payout that ended like this. `gate_taken`: Confirm may have been sent.
pub fn settlement(outcome: &Outcome, gate_taken: bool) -> Settlement {
    let transfer = outcome.transfer.is_some();
    let broadcast = outcome.transaction_hash.is_some();
    let somebody_said_so = outcome.decided.is_some();
    match outcome.money {
        // The transfer has arrived, whoever confirmed it and however the payout ended.
        Money::Paid | Money::WithProvider => Settlement::Spent,
        // They had left, and a person has found where they are now: coming back does not undo it.
        Money::Returned | Money::WrittenOff => Settlement::Spent,
        // Sent to the network, and nobody has seen it fail.
        Money::Unknown if broadcast => Settlement::Spent,
        // No Confirm of ours was or will be sent, and no other has brought about a transfer.
        Money::Untouched | Money::Unknown if !gate_taken && !transfer && !broadcast => Settlement::Released,
        // The transfer was read: rejected, or failed before there was a transaction.
        Money::Untouched if transfer && !broadcast && !somebody_said_so => Settlement::Released,
        // A transaction is said to have failed, which another may have replaced; a person's word, where the transfer may
        // still go out; or Confirm may have been sent and no transfer is known.
        Money::Untouched | Money::Unknown => Settlement::Held,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decided, Ending, ExternalId, PayoutKey};

    const MONEY: [Money; 6] =
        [Money::Paid, Money::Untouched, Money::WithProvider, Money::Returned, Money::WrittenOff, Money::Unknown];

    fn outcome(ending: Ending, money: Money, transfer: bool, hash: bool, decided: bool) -> Outcome {
        Outcome {
            key: PayoutKey::of(&ExternalId::parse("inv-1").unwrap()),
            ending,
            reason: String::new(),
            money,
            payout: Some("pyt-1".into()),
            transfer: transfer.then(|| "xfr-1".into()),
            transaction_hash: hash.then(|| "0xabc".into()),
            quoted: None,
            decided: decided.then(|| Decided { by: "ana".into(), why: "looked".into() }),
        }
    }

    /// Every outcome that there can be, beside texts.
    fn all() -> impl Iterator<Item = (Outcome, bool)> {
        Ending::ALL.into_iter().flat_map(|ending| {
            MONEY.into_iter().flat_map(move |money| {
                (0u8..16).map(move |bits| {
                    let bit = |n: u8| bits & n != 0;
                    (outcome(ending, money, bit(1), bit(2), bit(4)), bit(8))
                })
            })
        })
    }

    #[test]
    fn the_table_is_complete_and_the_payouts_own_word_changes_nothing() {
        let mut lines = String::new();
        for (it, gate) in all() {
            let settled = settlement(&it, gate);
            let first = Outcome { ending: Ending::ALL[0], ..it.clone() };
            assert_eq!(settled, settlement(&first, gate), "{it:?}");
            if it.ending == Ending::ALL[0] {
                let said = |yes: bool, word: &'static str| if yes { word } else { "-" };
                lines += &format!(
                    "{:12} {:10} {:8} {:4} {:7} {settled:?}\n",
                    format!("{:?}", it.money),
                    said(gate, "confirming"),
                    said(it.transfer.is_some(), "transfer"),
                    said(it.transaction_hash.is_some(), "hash"),
                    said(it.decided.is_some(), "decided"),
                );
            }
        }
        insta::assert_snapshot!(lines);
    }

    #[test]
    fn nothing_that_may_have_left_is_released() {
        for (it, gate) in all().filter(|(it, gate)| settlement(it, *gate) == Settlement::Released) {
            assert!(matches!(it.money, Money::Untouched | Money::Unknown), "{it:?}");
            assert!(it.transaction_hash.is_none(), "a transaction may have been replaced: {it:?}");
            let never_asked = !gate && it.transfer.is_none();
            let read = it.transfer.is_some() && it.money == Money::Untouched && it.decided.is_none();
            assert!(never_asked || read, "{it:?}");
        }
    }
}
