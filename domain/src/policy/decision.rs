//! What was decided about a payout, and why.

use serde::{Deserialize, Serialize};

use super::{MicroUsd, Price};

/// A decision, with everything that led to it. Kept for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The number of the policy's revision that decided.
    pub revision: u32,
    /// The hash of that revision.
    pub revision_hash: String,
    /// The decision.
    pub verdict: Verdict,
    /// Every rule whose filter matched, in the order of the file, then what is decided without a rule.
    pub spoke: Vec<Spoke>,
    /// The approvals that are wanted; empty unless the verdict is `NeedsApproval`.
    pub wanted: Vec<Wanted>,
    /// What the payout is worth; none when nobody says.
    pub usd: Option<MicroUsd>,
    /// By which price.
    pub price: Option<Price>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It may go on.
    Allowed,
    /// It may go on once people have approved.
    NeedsApproval,
    /// It may not.
    Blocked,
}

impl Verdict {
    /// As it is on record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::NeedsApproval => "needsApproval",
            Self::Blocked => "blocked",
        }
    }
}

/// What one rule said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spoke {
    /// The rule's name; `(screening)`, `(signature)` and `(no rule)` are those that no file has to state.
    pub rule: String,
    /// Whether it triggered.
    pub triggered: bool,
    /// What it asks for when it triggers: `block`, `requestApproval`, `flag`.
    pub action: String,
    /// A word that never changes, for programs: `amount_above_limit`.
    pub code: String,
    /// The figures, for people: `12,000.00 USD is above the limit of 10,000.00 USD`.
    pub says: String,
}

/// An approval that a rule asks for. Several of them: each must be met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// The rule that asks.
    pub rule: String,
    /// Whose approval.
    pub group: String,
    /// How many of the group.
    pub quorum: u32,
    /// Who is in the group, by name.
    pub people: Vec<String>,
    /// How long is waited for them, in seconds.
    pub timeout_seconds: u32,
}
