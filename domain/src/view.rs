//! What the provider says of a payout, in our words.

use serde::{Deserialize, Serialize};

use crate::{Asset, Fiat, TransferProgress, ending_of};

/// A reading of a payout at the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PayoutView {
    /// The provider's id of the payout.
    pub payout: String,
    /// How far it is.
    pub progress: Progress,
    /// Why, in the provider's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where the tokens have to be sent, once the provider has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deposit_address: Option<String>,
    /// The on-chain transfer that carries the tokens, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<String>,
    /// How far that transfer is. Read only when the payout is over and this alone says where the money is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_progress: Option<TransferProgress>,
    /// The hash of that transfer's transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_hash: Option<String>,
    /// True once the provider has the tokens.
    #[serde(default)]
    pub deposited: bool,
    /// What the provider believes it was asked for.
    pub asked: Asked,
    /// How old the payout is by the provider's own clock, in milliseconds (the answer's date less its creation
    /// date). Our clock and the provider's are never compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
}

/// What the provider believes it was asked for, field by field. Text, because the provider may say anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The external id it carries.
    pub external_id: Option<String>,
    /// The paying wallet.
    pub wallet_id: String,
    /// The token; none when it is of a kind we do not know.
    pub asset: Option<Asset>,
    /// How much, in smallest units, as text.
    pub amount: String,
    /// The payout provider.
    pub provider: String,
    /// The account holder.
    pub account_id: String,
    /// The bank account.
    pub instructions_id: String,
    /// What the bank pays out.
    pub currency: String,
    /// Where the bank is.
    pub country: String,
    /// Why the money is sent.
    pub purpose: String,
    /// Who asked.
    pub requester: Requester,
}

/// Who created a payout at the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "who", rename_all = "camelCase")]
pub enum Requester {
    /// The account this worker signs with.
    Us,
    /// Another account, by its id.
    Other {
        /// The other's id.
        id: String,
    },
    /// The provider did not say.
    NotSaid,
}

/// How far a payout is at the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum Progress {
    /// Accepted; the provider has not said yet where to send the tokens.
    Preparing,
    /// The deposit address is known; nothing moves until we confirm.
    AwaitingConfirmation,
    /// Confirmed; the transfer is being made.
    Submitting,
    /// The transfer waits for people at the provider.
    Held,
    /// The transfer is on its way.
    Depositing,
    /// The provider has the tokens; the bank payment is under way.
    Disbursing,
    /// The bank has been paid.
    Completed,
    /// It will not be paid; where the tokens are depends on how far it had come.
    Failed,
    /// A rule or a person at the provider said no.
    Rejected,
    /// It took too long.
    Expired,
    /// It was called off.
    Canceled,
    /// A word we do not know. Kept, shown, waited on; never guessed at.
    Unrecognised {
        /// The word.
        word: String,
    },
}

impl Progress {
    /// True when nothing can happen to the payout any more.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Rejected | Self::Expired | Self::Canceled => true,
            Self::Preparing
            | Self::AwaitingConfirmation
            | Self::Submitting
            | Self::Held
            | Self::Depositing
            | Self::Disbursing
            | Self::Unrecognised { .. } => false,
        }
    }

    /// In words for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Preparing => "waiting for the provider's deposit address".into(),
            Self::AwaitingConfirmation => "ready to be confirmed".into(),
            Self::Submitting => "confirmed; the transfer is being made".into(),
            Self::Held => "the transfer waits for an approval at the provider".into(),
            Self::Depositing => "the tokens are on their way to the provider".into(),
            Self::Disbursing => "the provider has the tokens; the bank payment is under way".into(),
            Self::Completed => "paid".into(),
            Self::Failed => "failed".into(),
            Self::Rejected => "rejected by a rule or a person at the provider".into(),
            Self::Expired => "expired at the provider".into(),
            Self::Canceled => "cancelled at the provider".into(),
            Self::Unrecognised { word } => format!("in a state we do not know: {word:?}"),
        }
    }
}

/// What a reading waits for. A reading that does not meet it is asked again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Until {
    /// Any answer will do.
    Now,
    /// The provider has said where to send the tokens, or it is over.
    Ready,
    /// People at the provider are asked, or it is over.
    HeldOrFinal,
    /// People at the provider have answered, or it is over.
    NotHeld,
    /// It is over, and it is certain where the money is.
    Certain,
}

impl Until {
    /// True when this reading is what was waited for.
    ///
    /// A word we do not know never is: it is waited on until the deadline that stands behind every wait.
    pub fn is_met_by(self, view: &PayoutView) -> bool {
        let progress = &view.progress;
        let unknown = matches!(progress, Progress::Unrecognised { .. });
        match self {
            Self::Now => true,
            Self::Ready => !unknown && *progress != Progress::Preparing,
            Self::HeldOrFinal => *progress == Progress::Held || progress.is_final(),
            Self::NotHeld => !unknown && *progress != Progress::Held,
            Self::Certain => ending_of(view).is_some(),
        }
    }
}

/// One offer of a quote. Informational: no provider holds a price for us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// What the beneficiary gets, after fees.
    pub receives: Fiat,
    /// What is taken on the way, in the same currency.
    #[serde(with = "rust_decimal::serde::str")]
    pub fees: rust_decimal::Decimal,
}
