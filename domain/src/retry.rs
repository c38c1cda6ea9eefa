//! When another attempt at a payout may be made: only when it is proven that the one before cannot pay any more.

use crate::{Ending, Money, Outcome, PayoutView, Progress, ending_of};

/// What was found out about the attempt before.
pub struct Before<'a> {
    /// How it ended, where it has.
    pub outcome: Option<&'a Outcome>,
    /// True when its gate is closed and was never taken: no Confirm of ours was or will ever be sent.
    pub never_confirmed: bool,
    /// What the provider says of it now; none when nothing was created there, as far as is on record.
    pub read: Option<&'a PayoutView>,
}

/// Whether another attempt may follow.
///
/// # Errors
/// Why not, for people.
pub fn may_follow(before: &Before<'_>) -> Result<(), String> {
    let Some(outcome) = before.outcome else {
        return Err("it is not over: cancel it first, or start it again if its run was terminated".into());
    };
    if outcome.ending == Ending::Completed || outcome.money == Money::Paid {
        return Err("it has been paid".into());
    }
    let read = before.read.map(|view| (view, ending_of(view)));
    match read {
        Some((_, Some((Ending::Completed, ..)))) => Err("the provider says that it has been paid".into()),
        // Over at the provider as well, and certain where the money is.
        Some((_, Some(_))) => Ok(()),
        // Only our Confirm can set it going, and there is none.
        Some((view, None)) if before.never_confirmed && !moves(&view.progress) => Ok(()),
        Some((view, None)) => Err(format!("the provider may still pay it: {}", view.progress.describe())),
        None if before.never_confirmed => Ok(()),
        None => Err("Confirm may have been sent, and nothing at the provider proves that it did not pay".into()),
    }
}

/// Whether the provider acts as if it had been confirmed, or in a way we do not understand.
fn moves(progress: &Progress) -> bool {
    match progress {
        Progress::Preparing | Progress::AwaitingConfirmation => false,
        Progress::Submitting
        | Progress::Held
        | Progress::Depositing
        | Progress::Disbursing
        | Progress::Completed
        | Progress::Failed
        | Progress::Rejected
        | Progress::Expired
        | Progress::Canceled
        | Progress::Unrecognised { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::{all, view};
    use crate::{ExternalId, PayoutKey, TransferProgress};

    fn outcome(ending: Ending, money: Money) -> Outcome {
        Outcome {
            key: PayoutKey::of(&ExternalId::parse("a").unwrap()),
            ending,
            reason: "r".into(),
            money,
            payout: None,
            transfer: None,
            transaction_hash: None,
            quoted: None,
            decided: None,
        }
    }

    #[test]
    fn nothing_follows_a_payout_that_goes_on_or_was_paid() {
        assert!(may_follow(&Before { outcome: None, never_confirmed: true, read: None }).is_err());
        let paid = outcome(Ending::Completed, Money::Paid);
        assert!(may_follow(&Before { outcome: Some(&paid), never_confirmed: true, read: None }).is_err());
    }

    #[test]
    fn what_the_provider_says_outweighs_what_we_wrote_down() {
        let failed = outcome(Ending::Failed, Money::Untouched);
        for progress in all() {
            let mut read = view(progress.clone());
            for (transfer, certain) in [
                (None, progress.is_final()),
                (Some(TransferProgress::Pending), false),
                (Some(TransferProgress::Broadcast), false),
                (Some(TransferProgress::Failed), progress.is_final()),
            ] {
                read.transfer = transfer.as_ref().map(|_| "xfr-1".into());
                read.transfer_progress = transfer;
                for never_confirmed in [false, true] {
                    let asked = may_follow(&Before { outcome: Some(&failed), never_confirmed, read: Some(&read) });
                    let waits = matches!(progress, Progress::Preparing | Progress::AwaitingConfirmation);
                    let allowed = progress != Progress::Completed && (certain || (never_confirmed && waits));
                    assert_eq!(asked.is_ok(), allowed, "{progress:?} {never_confirmed} {asked:?}");
                }
            }
        }
    }

    #[test]
    fn without_a_reading_only_a_gate_that_was_never_taken_is_proof() {
        let failed = outcome(Ending::Failed, Money::Unknown);
        assert!(may_follow(&Before { outcome: Some(&failed), never_confirmed: false, read: None }).is_err());
        assert!(may_follow(&Before { outcome: Some(&failed), never_confirmed: true, read: None }).is_ok());
    }
}
