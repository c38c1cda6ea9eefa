//! How a payout ends, and the stages on the way there.

use serde::{Deserialize, Serialize};

use crate::{Offer, PayoutKey, PayoutView, Progress};

/// Where a payout is, as operations people search for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Asked for; being claimed and checked.
    Requested,
    /// Being quoted and created at the provider.
    Creating,
    /// Waiting for the provider's deposit address.
    AwaitingInstructions,
    /// Being checked and confirmed: from here on money may move.
    Confirming,
    /// Confirmed; on its way to the bank.
    Settling,
    /// Over, see [`Ending`].
    Completed,
    /// Over, see [`Ending`].
    Failed,
    /// Over, see [`Ending`].
    Rejected,
    /// Over, see [`Ending`].
    Expired,
    /// Over, see [`Ending`].
    Canceled,
    /// Waits for a person.
    NeedsPerson,
}

impl Stage {
    /// The text that is searched for.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "Requested",
            Self::Creating => "Creating",
            Self::AwaitingInstructions => "AwaitingInstructions",
            Self::Confirming => "Confirming",
            Self::Settling => "Settling",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Rejected => "Rejected",
            Self::Expired => "Expired",
            Self::Canceled => "Canceled",
            Self::NeedsPerson => "NeedsPerson",
        }
    }
}

/// How a payout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// The bank has been paid.
    Completed,
    /// It will not be paid.
    Failed,
    /// A rule or a person said no.
    Rejected,
    /// It took too long.
    Expired,
    /// It was called off.
    Canceled,
    /// We cannot tell, or must not decide: a person looks.
    NeedsPerson,
}

impl Ending {
    /// The stage that says so.
    pub fn stage(self) -> Stage {
        match self {
            Self::Completed => Stage::Completed,
            Self::Failed => Stage::Failed,
            Self::Rejected => Stage::Rejected,
            Self::Expired => Stage::Expired,
            Self::Canceled => Stage::Canceled,
            Self::NeedsPerson => Stage::NeedsPerson,
        }
    }
}

/// Where the tokens are when a payout is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Money {
    /// Turned into bank money and paid out.
    Paid,
    /// Still in our wallet.
    Untouched,
    /// With the payout provider: ask for it back.
    WithProvider,
    /// Not known: look at the transfer before paying anyone again.
    Unknown,
}

/// The value a payout's workflow returns, and what is kept on record of it for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The payout's key.
    pub key: PayoutKey,
    /// How it ended.
    pub ending: Ending,
    /// Why, for people.
    pub reason: String,
    /// Where the tokens are.
    pub money: Money,
    /// The provider's id of the payout, if one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payout: Option<String>,
    /// The on-chain transfer, if one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<String>,
    /// The hash of its transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_hash: Option<String>,
    /// The best offer of the quote: what the bank account gets, as quoted (providers hold no price).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted: Option<Offer>,
}

/// How a payout ended that the provider says is over: ending, where the tokens are, and why. None while it is not.
pub fn ending_of(view: &PayoutView) -> Option<(Ending, Money, String)> {
    let said = |text: &str| match &view.reason {
        Some(reason) => format!("{text}: {reason}"),
        None => text.to_owned(),
    };
    let transfer = view.transfer.as_deref();
    Some(match &view.progress {
        Progress::Completed => (Ending::Completed, Money::Paid, said("the bank has been paid")),
        Progress::Rejected => (Ending::Rejected, Money::Untouched, said("a rule or a person at the provider said no")),
        Progress::Canceled => (Ending::Canceled, Money::Untouched, said("cancelled at the provider")),
        Progress::Expired => match transfer {
            None => (Ending::Expired, Money::Untouched, said("expired at the provider before any transfer")),
            // The payout is over, its transfer may not be: somebody could still approve it.
            Some(id) => (
                Ending::NeedsPerson,
                Money::Unknown,
                said(&format!("expired at the provider with transfer {id} made; look at that transfer first")),
            ),
        },
        Progress::Failed if view.deposited => {
            (Ending::Failed, Money::WithProvider, said("failed after the provider had the tokens; ask for them back"))
        }
        Progress::Failed => match transfer {
            None => (Ending::Failed, Money::Untouched, said("failed before any transfer")),
            Some(id) => (
                Ending::Failed,
                Money::Unknown,
                said(&format!("failed with transfer {id} made; look at that transfer")),
            ),
        },
        Progress::Preparing
        | Progress::AwaitingConfirmation
        | Progress::Submitting
        | Progress::Held
        | Progress::Depositing
        | Progress::Disbursing
        | Progress::Unrecognised { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Asked, Requester, Until};

    fn view(progress: Progress) -> PayoutView {
        PayoutView {
            payout: "pyt-1".into(),
            progress,
            reason: None,
            deposit_address: None,
            transfer: None,
            transaction_hash: None,
            deposited: false,
            asked: Asked {
                external_id: None,
                wallet_id: String::new(),
                asset: None,
                amount: String::new(),
                provider: String::new(),
                account_id: String::new(),
                instructions_id: String::new(),
                currency: String::new(),
                country: String::new(),
                purpose: String::new(),
                requester: Requester::NotSaid,
            },
            age_ms: None,
        }
    }

    fn all() -> Vec<Progress> {
        vec![
            Progress::Preparing,
            Progress::AwaitingConfirmation,
            Progress::Submitting,
            Progress::Held,
            Progress::Depositing,
            Progress::Disbursing,
            Progress::Completed,
            Progress::Failed,
            Progress::Rejected,
            Progress::Expired,
            Progress::Canceled,
            Progress::Unrecognised { word: "Paused".into() },
        ]
    }

    #[test]
    fn exactly_the_final_readings_have_an_ending() {
        for progress in all() {
            assert_eq!(ending_of(&view(progress.clone())).is_some(), progress.is_final(), "{progress:?}");
        }
    }

    #[test]
    fn every_final_reading_ends_every_wait_and_an_unknown_word_ends_none() {
        for until in [Until::Ready, Until::HeldOrFinal, Until::NotHeld, Until::Final] {
            for progress in all() {
                if progress.is_final() {
                    assert!(until.is_met_by(&progress), "{until:?} {progress:?}");
                }
                if matches!(progress, Progress::Unrecognised { .. }) {
                    assert!(!until.is_met_by(&progress), "{until:?}");
                }
            }
        }
    }

    #[test]
    fn only_a_completed_payout_says_paid_and_untouched_is_said_only_without_a_transfer() {
        for progress in all() {
            for transfer in [None, Some("xfr-1".to_owned())] {
                for deposited in [false, true] {
                    let mut v = view(progress.clone());
                    v.transfer = transfer.clone();
                    v.deposited = deposited;
                    let Some((ending, money, _)) = ending_of(&v) else { continue };
                    assert_eq!(money == Money::Paid, ending == Ending::Completed);
                    let denied = matches!(progress, Progress::Rejected | Progress::Canceled);
                    if money == Money::Untouched && !denied {
                        assert!(transfer.is_none());
                    }
                }
            }
        }
    }
}
