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
    match outcome.money {
        // They left, wherever they are now.
        Money::Paid | Money::WithProvider | Money::Returned | Money::WrittenOff => Settlement::Spent,
        // No Confirm of ours was or will be sent.
        Money::Untouched | Money::Unknown if !gate_taken => Settlement::Released,
        // Confirmed, and yet no transfer was ever made, or it was rejected, or failed without a transaction.
        Money::Untouched if outcome.transaction_hash.is_none() => Settlement::Released,
        // A transaction was made and is said to have failed: whether the tokens moved is for a person to see.
        Money::Untouched | Money::Unknown => Settlement::Held,
    }
}
