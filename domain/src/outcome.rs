//! How a payout ends, and where its money is then.

use serde::{Deserialize, Serialize};

use crate::{Offer, PayoutKey, PayoutView, Progress, Stage};

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
    /// Our own policy forbids it.
    Blocked,
    /// A person whose approval our policy asks for said no, or nobody answered in time.
    Denied,
}

impl Ending {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Completed, Self::Failed, Self::Rejected, Self::Expired, Self::Canceled, Self::Blocked, Self::Denied];

    /// The stage that says so.
    pub fn stage(self) -> Stage {
        match self {
            Self::Completed => Stage::Completed,
            Self::Failed => Stage::Failed,
            Self::Rejected => Stage::Rejected,
            Self::Expired => Stage::Expired,
            Self::Canceled => Stage::Canceled,
            Self::Blocked => Stage::Blocked,
            Self::Denied => Stage::Denied,
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
    /// Back in our wallet, as a person has found.
    Returned,
    /// Gone, as a person has decided.
    WrittenOff,
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
    /// Who ended it and why, where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decided>,
}

/// Who decided something about a payout, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Who.
    pub by: String,
    /// Why, in that person's words.
    pub why: String,
}

impl std::fmt::Display for Decided {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.by, self.why)
    }
}

/// How a payout ended that the provider says is over: ending, where the tokens are, and why. None while it is not, and
/// while it is over but its transfer still may move the tokens: then that transfer has to come to its own end first.
pub fn ending_of(view: &PayoutView) -> Option<(Ending, Money, String)> {
    let said = |text: String| match &view.reason {
        Some(reason) => format!("{text}: {reason}"),
        None => text,
    };
    let (ending, word) = match &view.progress {
        Progress::Completed => return Some((Ending::Completed, Money::Paid, said("the bank has been paid".into()))),
        Progress::Rejected => (Ending::Rejected, "a rule or a person at the provider said no"),
        Progress::Canceled => (Ending::Canceled, "cancelled at the provider"),
        Progress::Expired => (Ending::Expired, "expired at the provider"),
        Progress::Failed => (Ending::Failed, "failed at the provider"),
        Progress::Preparing
        | Progress::AwaitingConfirmation
        | Progress::Submitting
        | Progress::Held
        | Progress::Depositing
        | Progress::Disbursing
        | Progress::Unrecognised { .. } => return None,
    };
    if view.deposited {
        let text = format!("{word} after it had the tokens; ask for them back");
        return Some((ending, Money::WithProvider, said(text)));
    }
    let Some(transfer) = &view.transfer else {
        return Some((ending, Money::Untouched, said(format!("{word} before any transfer"))));
    };
    let progress = view.transfer_progress.as_ref()?;
    Some(if progress.moved()? {
        let text = format!("{word}, yet transfer {transfer} has arrived there; ask for the tokens back");
        (ending, Money::WithProvider, said(text))
    } else {
        (ending, Money::Untouched, said(format!("{word}; transfer {transfer} was {}", progress.describe())))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Asked, Requester, TransferProgress, Until};

    pub(crate) fn view(progress: Progress) -> PayoutView {
        PayoutView {
            payout: "pyt-1".into(),
            progress,
            reason: None,
            deposit_address: None,
            transfer: None,
            transfer_progress: None,
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

    pub(crate) fn all() -> Vec<Progress> {
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
        for until in [Until::Ready, Until::HeldOrFinal, Until::NotHeld, Until::Certain] {
            for progress in all() {
                if progress.is_final() {
                    assert!(until.is_met_by(&view(progress.clone())), "{until:?} {progress:?}");
                }
                if matches!(progress, Progress::Unrecognised { .. }) {
                    assert!(!until.is_met_by(&view(progress)), "{until:?}");
                }
            }
        }
    }

    #[test]
    fn where_the_money_is_follows_from_deposit_and_transfer_alone() {
        let transfers = [
            (None, Some(Money::Untouched)),
            (Some(TransferProgress::Pending), None),
            (Some(TransferProgress::Broadcast), None),
            (Some(TransferProgress::Unrecognised { word: "Lost".into() }), None),
            (Some(TransferProgress::Confirmed), Some(Money::WithProvider)),
            (Some(TransferProgress::Failed), Some(Money::Untouched)),
            (Some(TransferProgress::Rejected), Some(Money::Untouched)),
        ];
        for progress in all().into_iter().filter(|progress| progress.is_final() && *progress != Progress::Completed) {
            for (transfer, expected) in &transfers {
                let mut v = view(progress.clone());
                v.transfer = transfer.as_ref().map(|_| "xfr-1".to_owned());
                v.transfer_progress = transfer.clone();
                let money = ending_of(&v).map(|(_, money, _)| money);
                assert_eq!(money, *expected, "{progress:?} {transfer:?}");
                v.deposited = true;
                assert_eq!(ending_of(&v).map(|(_, money, _)| money), Some(Money::WithProvider));
                // A transfer that was not read says nothing.
                v.deposited = false;
                v.transfer_progress = None;
                assert_eq!(ending_of(&v).is_none(), v.transfer.is_some());
            }
        }
        assert_eq!(ending_of(&view(Progress::Completed)).map(|(_, money, _)| money), Some(Money::Paid));
    }
}
