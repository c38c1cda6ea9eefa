//! The on-chain transfer of a payout, as far as a payout has to know it.

use serde::{Deserialize, Serialize};

/// How far a transfer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum TransferProgress {
    /// Being made, or waiting for people: it may still go out.
    Pending,
    /// Sent to the network; not yet certain.
    Broadcast,
    /// The tokens have arrived.
    Confirmed,
    /// It did not work: the tokens have not left.
    Failed,
    /// A rule or a person said no: the tokens have not left.
    Rejected,
    /// A word we do not know: waited on.
    Unrecognised {
        /// The word.
        word: String,
    },
}

impl TransferProgress {
    /// Whether the tokens have moved, once that is certain.
    pub fn moved(&self) -> Option<bool> {
        match self {
            Self::Confirmed => Some(true),
            Self::Failed | Self::Rejected => Some(false),
            Self::Pending | Self::Broadcast | Self::Unrecognised { .. } => None,
        }
    }

    /// In words for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Pending => "being made, or waiting for approval".into(),
            Self::Broadcast => "sent to the network".into(),
            Self::Confirmed => "arrived".into(),
            Self::Failed => "failed".into(),
            Self::Rejected => "rejected".into(),
            Self::Unrecognised { word } => format!("in a state we do not know: {word:?}"),
        }
    }
}
