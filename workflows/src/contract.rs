//! The contract: which activities exist, what goes in and what comes out. The workflow states what it needs; the
//! `activities` crate supplies it, and the compiler holds the two together.
//!
//! Everything here stands in histories. Fields are only added, with a default. A sad answer is a value; an error
//! means that there was no answer.

use std::{fmt, time::Duration};

use remit_domain::{
    Decided, Difference, Offer, Outcome, PayoutKey, PayoutRequest, PayoutView, Until,
    policy::{MicroUsd, Verdict, Wanted},
};
use serde::{Deserialize, Serialize};
use temporalio_common::ActivityError;
use temporalio_macros::activity_definitions;

use crate::names;

/// The activities of a payout.
pub struct PayoutActivities;

/// The macro keeps its marker types in a private module; implementers need their paths.
pub mod definitions {
    pub use super::payout_activities::*;
}

#[activity_definitions]
impl PayoutActivities {
    /// Claims the key for this request, for ever. Twice: the second time it is known. Queue `remit`.
    #[activity(name = names::CLAIM_PAYOUT)]
    pub fn claim_payout(input: ClaimPayout) -> Result<Claimed, ActivityError> {
        unimplemented!()
    }

    /// Decides by the policy in force, and reserves what the payout is worth. Twice: it decides again, and reserves
    /// once. Queue `remit-provider`, since the provider is asked what the token is worth.
    #[activity(name = names::DECIDE_PAYOUT)]
    pub fn decide_payout(input: DecidePayout) -> Result<Deciding, ActivityError> {
        unimplemented!()
    }

    /// Verifies a signed approval and writes it down. Twice: it counts once. Queue `remit`.
    #[activity(name = names::RECORD_APPROVAL)]
    pub fn record_approval(input: RecordApproval) -> Result<ApprovalAnswer, ActivityError> {
        unimplemented!()
    }

    /// Verifies that whoever gives an order may. Changes nothing. Queue `remit`.
    #[activity(name = names::CHECK_ORDER)]
    pub fn check_order(input: CheckOrder) -> Result<OrderCheck, ActivityError> {
        unimplemented!()
    }

    /// Asks what the beneficiary would get. Changes nothing. Queue `remit-provider`.
    #[activity(name = names::QUOTE_PAYOUT)]
    pub fn quote_payout(input: QuotePayout) -> Result<Quoted, ActivityError> {
        unimplemented!()
    }

    /// Creates the payout with the bytes on record under its key. Twice: the provider answers with the first one.
    /// Queue `remit-provider`.
    #[activity(name = names::CREATE_PAYOUT)]
    pub fn create_payout(input: CreatePayout) -> Result<Creation, ActivityError> {
        unimplemented!()
    }

    /// Reads the payout; while it is not what is waited for, fails as "not yet" and is asked again later. Changes
    /// nothing. Queue `remit-provider`.
    #[activity(name = names::READ_PAYOUT)]
    pub fn read_payout(input: ReadPayout) -> Result<PayoutView, ActivityError> {
        unimplemented!()
    }

    /// Checks the records, reads the payout, takes the gate, confirms. Twice: reads first, and sends a second time
    /// only when the provider still waits and ten seconds have passed. Queue `remit-provider`.
    #[activity(name = names::CONFIRM_PAYOUT)]
    pub fn confirm_payout(input: ConfirmPayout) -> Result<Confirmation, ActivityError> {
        unimplemented!()
    }

    /// Cancels at the provider, where it allows that. Only for a payout whose gate is closed. Twice: reads first.
    /// Queue `remit-provider`.
    #[activity(name = names::CANCEL_PAYOUT)]
    pub fn cancel_payout(input: CancelPayout) -> Result<Cancellation, ActivityError> {
        unimplemented!()
    }

    /// Proves from the records and the provider that the newest attempt cannot pay any more, and opens the next one.
    /// Twice: the second time it is there. Queue `remit-provider`.
    #[activity(name = names::OPEN_ATTEMPT)]
    pub fn open_attempt(input: OpenAttempt) -> Result<AttemptOpening, ActivityError> {
        unimplemented!()
    }

    /// Closes the gate, so that nothing can be confirmed any more. Twice: it stays closed. Queue `remit`.
    #[activity(name = names::CLOSE_GATE)]
    pub fn close_gate(input: CloseGate) -> Result<GateClosing, ActivityError> {
        unimplemented!()
    }

    /// Writes the outcome down. Twice: the first one stands and is returned. Queue `remit`.
    #[activity(name = names::RECORD_OUTCOME)]
    pub fn record_outcome(input: RecordOutcome) -> Result<Outcome, ActivityError> {
        unimplemented!()
    }

    /// Says how a payout would go as things are. Changes nothing, and writes nothing down. Queue `remit-provider`.
    #[activity(name = names::CHECK_PAYOUT)]
    pub fn check_payout(input: CheckPayout) -> Result<Checking, ActivityError> {
        unimplemented!()
    }
}

/// Input of `claim_payout`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimPayout {
    /// What is asked for. Its key is claimed for its digest.
    pub request: PayoutRequest,
}

/// Answer of `claim_payout`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claimed {
    /// What claiming found.
    pub claim: Claim,
    /// What the settings of this system say about time, kept in the history so that a replay finds the same.
    pub limits: Limits,
    /// Whether a policy decides about this run. False only in histories that began before there was one: they replay
    /// as they were, and Confirm asks the policy all the same.
    #[serde(default)]
    pub controls: bool,
}

/// What claiming found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "claim", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Claim {
    /// The key is ours, from now on.
    New,
    /// The same request was claimed before.
    Known {
        /// The provider's id of the payout, where one is known.
        payout: Option<String>,
        /// Where the gate is.
        gate: GateIs,
        /// How it ended, where it has.
        outcome: Option<Outcome>,
    },
    /// The key belongs to another request.
    Conflict,
    /// It is a later attempt that no operator has opened.
    NotOpened,
    /// It says who is paid, and Temporal would keep that in clear. Nothing was claimed.
    NameInClear,
}

/// Where the gate of a payout is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum GateIs {
    /// Nothing was confirmed, and may be.
    Open,
    /// Confirm may have been sent.
    Confirming,
    /// Nothing was confirmed, and nothing will be.
    Closed {
        /// Who or what closed it.
        closing: Closing,
    },
}

/// Limits of time that are settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Nothing is confirmed this close to the provider's limit, in seconds.
    pub confirm_margin_seconds: u32,
    /// How long the bank may take in this corridor before somebody had better know, in seconds.
    pub bank_expected_seconds: u32,
}

impl Limits {
    /// As a length of time.
    pub fn confirm_margin(&self) -> Duration {
        Duration::from_secs(self.confirm_margin_seconds.into())
    }

    /// As a length of time.
    pub fn bank_expected(&self) -> Duration {
        Duration::from_secs(self.bank_expected_seconds.into())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { confirm_margin_seconds: 120, bank_expected_seconds: 5 * 24 * 3600 }
    }
}

/// Who or what closed a gate. Kept in the records as JSON, so that a run that takes the payout up again knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "closed", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Closing {
    /// Somebody called it off.
    Canceled {
        /// Who, and why.
        order: Decided,
    },
    /// The time to confirm was over.
    TimeUp,
    /// Somebody gave it up, and nothing had been sent.
    GivenUp {
        /// Who, and why.
        order: Decided,
    },
    /// The quote broke what the request demands.
    GuardBroken {
        /// What was broken.
        why: String,
    },
    /// The policy forbids it.
    Blocked {
        /// What its rules said.
        why: String,
    },
    /// Somebody whose approval the policy asks for said no.
    Denied {
        /// Who, and why.
        order: Decided,
    },
    /// Nobody approved in time.
    NotApproved {
        /// Whose approval was missing.
        why: String,
    },
    /// It was closed in a way this build does not know.
    Other {
        /// What is on record.
        text: String,
    },
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Canceled { order } => write!(f, "called off by {order}"),
            Self::TimeUp => f.write_str("the time to confirm was over"),
            Self::GivenUp { order } => write!(f, "given up by {order}"),
            Self::GuardBroken { why } => write!(f, "the quote does not keep the request's limits: {why}"),
            Self::Blocked { why } => write!(f, "forbidden by policy: {why}"),
            Self::Denied { order } => write!(f, "denied by {order}"),
            Self::NotApproved { why } => write!(f, "not approved in time: {why}"),
            Self::Other { text } => f.write_str(text),
        }
    }
}

/// Input of `decide_payout`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidePayout {
    /// The payout's key; it must be claimed.
    pub key: PayoutKey,
    /// Digest of the request; the claim on record must carry it.
    pub digest: String,
    /// What is decided about.
    pub request: PayoutRequest,
    /// What makes the approvals so far void, where something does: they were given for a better quote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
}

/// Answer of `decide_payout`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deciding", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Deciding {
    /// The policy has decided.
    Ruled {
        /// The decision.
        ruling: Ruling,
    },
    /// There is nothing to decide: the provider does not know the wallet.
    Unpayable {
        /// Why.
        reason: String,
    },
}

/// A decision of the policy, as far as a run needs it. The whole of it, with all facts, is in the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ruling {
    /// The decision.
    pub verdict: Verdict,
    /// The number of the policy's revision that decided.
    pub revision: u32,
    /// The hash of that revision: approvals name it.
    pub revision_hash: String,
    /// What the payout is worth, where somebody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<MicroUsd>,
    /// What the rules that triggered said, each with the rule's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// The approvals that are wanted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<Wanted>,
    /// How far those approvals are; `Met` where none is wanted.
    pub approvals: Approvals,
    /// How long is still waited for them, in seconds, by the clock of the records.
    #[serde(default)]
    pub wait_seconds: u32,
}

impl Ruling {
    /// What the rules said, in one line.
    pub fn why(&self) -> String {
        self.reasons.join("; ")
    }
}

/// How far the wanted approvals are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "are", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Approvals {
    /// All are there.
    Met,
    /// One denial denies.
    Denied {
        /// Who, and why.
        order: Decided,
    },
    /// Some are missing.
    Missing {
        /// Which.
        missing: Vec<MissingApproval>,
    },
}

/// An approval that is still wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MissingApproval {
    /// Whose.
    pub group: String,
    /// How many of the group it takes.
    pub quorum: u32,
    /// Who has approved already.
    pub have: Vec<String>,
}

impl fmt::Display for MissingApproval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.quorum, self.group)?;
        match self.have.as_slice() {
            [] => Ok(()),
            have => write!(f, " (so far {})", have.join(", ")),
        }
    }
}

impl fmt::Display for Approvals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Met => f.write_str("approved"),
            Self::Denied { order } => write!(f, "denied by {order}"),
            Self::Missing { missing } => {
                let all: Vec<String> = missing.iter().map(ToString::to_string).collect();
                f.write_str(&all.join(" and "))
            }
        }
    }
}

/// A text and its signature: input of the update `approval`, and part of signed orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signed {
    /// The exact text that was signed, a `remit_domain::policy::Statement`.
    pub statement: String,
    /// Ed25519, base64.
    pub signature: String,
}

/// Input of `record_approval`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordApproval {
    /// The payout's key.
    pub key: PayoutKey,
    /// What came.
    pub signed: Signed,
}

/// Answer of `record_approval`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "approval", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ApprovalAnswer {
    /// It counts.
    Counted {
        /// Whose it is, and whether it says yes: `ana approves for treasury`.
        what: String,
        /// How far the wanted approvals are now.
        approvals: Approvals,
    },
    /// It does not count.
    Refused {
        /// Why.
        why: String,
    },
}

/// Input of `check_order`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckOrder {
    /// The payout's key.
    pub key: PayoutKey,
    /// `release`, `resolve` or `retry`.
    pub order: String,
    /// What exactly: `goOn`, `giveUp returned`; empty where the order says it all.
    pub what: String,
    /// Who orders it, and why, as the order says.
    pub decided: Decided,
    /// The signed statement, where the order carries one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// Answer of `check_order`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum OrderCheck {
    /// It may be carried out.
    May,
    /// It may not.
    MayNot {
        /// Why.
        why: String,
    },
}

/// Input of `quote_payout`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotePayout {
    /// What would be paid.
    pub request: PayoutRequest,
}

/// Answer of `quote_payout`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "quoted", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Quoted {
    /// What is offered; may be empty.
    Offers {
        /// The offers, best first.
        offers: Vec<Offer>,
    },
    /// The provider does not quote this.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Input of `create_payout`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatePayout {
    /// The idempotency key at the provider.
    pub key: PayoutKey,
    /// Digest of the request; the claim on record must carry it.
    pub digest: String,
    /// What to create.
    pub request: PayoutRequest,
}

/// Answer of `create_payout`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "creation", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Creation {
    /// It exists. Whether it is what was asked for is for the workflow to see.
    Exists {
        /// What the provider says of it.
        view: PayoutView,
    },
    /// The provider refused; nothing was created.
    Refused {
        /// Why.
        reason: String,
    },
    /// Another payout is on record for this key already: a person looks.
    Doubtful {
        /// What does not fit.
        reason: String,
    },
}

/// Input of `read_payout`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadPayout {
    /// The payout's key, for logs.
    pub key: PayoutKey,
    /// The provider's id of the payout.
    pub payout: String,
    /// What is waited for.
    pub until: Until,
    /// What made us read, for the metric that tells lost webhooks.
    pub because: Because,
}

/// Why a payout is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Because {
    /// A webhook's nudge.
    Nudge,
    /// The polling behind it.
    Poll,
    /// Taking up again what was begun before, or looking at a deadline.
    Check,
}

/// Input of `confirm_payout`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmPayout {
    /// The payout's key; its gate is taken.
    pub key: PayoutKey,
    /// Digest of the request; the claim on record must carry it.
    pub digest: String,
    /// What was asked; what is read must echo it.
    pub request: PayoutRequest,
    /// The provider's id of the payout.
    pub payout: String,
    /// The deposit address that was read and checked. If another is read now, nothing is sent.
    pub address: String,
}

/// Answer of `confirm_payout`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "confirmation", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Confirmation {
    /// Confirmed.
    Sent,
    /// Not sent by this call: the payout is not waiting for it (any more).
    NotWaiting {
        /// What it is instead.
        view: PayoutView,
    },
    /// Not carried out: what is read now is not what was asked or checked.
    Changed {
        /// Every difference.
        differences: Vec<Difference>,
        /// The gate is taken, so that a Confirm may have been sent: before, or by this call, and refused. Builds before
        /// this field never say so.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        gate_taken: bool,
    },
    /// Not sent: the gate is closed.
    GateClosed {
        /// Who or what closed it.
        closing: Closing,
    },
    /// Refused by the provider, which still waits: a person looks.
    Refused {
        /// Why.
        reason: String,
    },
    /// Not sent: the policy forbids it by now.
    Blocked {
        /// The decision.
        ruling: Ruling,
    },
    /// Not sent: the policy asks for approvals that are not there (any more).
    NeedsApproval {
        /// The decision.
        ruling: Ruling,
    },
    /// Not sent: it could not have worked. Nothing is lost; a person sees to it and lets it be checked again.
    NotReady {
        /// Each failed check, with what to do.
        checks: Vec<String>,
    },
}

/// Input of `cancel_payout`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelPayout {
    /// The payout's key; its gate must be closed.
    pub key: PayoutKey,
    /// The provider's id of the payout.
    pub payout: String,
}

/// Answer of `cancel_payout`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancellation {
    /// What the provider says of it now.
    pub view: PayoutView,
    /// What stood in the way, where the provider did not take it. It expires there by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Input of `open_attempt`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenAttempt {
    /// The key of the first attempt.
    pub key: PayoutKey,
    /// Who wants it, and why.
    pub order: Decided,
    /// The signed statement, where the order carries one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// Answer of `open_attempt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "attempt", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum AttemptOpening {
    /// It may be started.
    Opened {
        /// What to start.
        request: PayoutRequest,
    },
    /// The newest attempt is not over; starting it again takes it up.
    UnderWay {
        /// What it was started with.
        request: PayoutRequest,
    },
    /// No other attempt may be made.
    Refused {
        /// Why.
        why: String,
    },
}

/// Input of `close_gate`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloseGate {
    /// The payout's key.
    pub key: PayoutKey,
    /// Who or what closes it.
    pub closing: Closing,
}

/// Answer of `close_gate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "gate", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum GateClosing {
    /// Closed: nothing can be confirmed any more.
    Closed {
        /// Who or what closed it; the first one stands.
        closing: Closing,
    },
    /// Too late: Confirm has been sent, or is being sent.
    Confirming,
}

/// Input of `record_outcome`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordOutcome {
    /// The outcome.
    pub outcome: Outcome,
}

/// Input of `check_payout`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckPayout {
    /// The key of its first attempt; the newest one is looked at.
    pub key: PayoutKey,
    /// What would be paid. None: what is on record under the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<PayoutRequest>,
}

/// Answer of `check_payout`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "checking", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Checking {
    /// It was looked at.
    Checked {
        /// What was found.
        check: Box<PayoutCheck>,
    },
    /// Nothing is on record under this key, and no request was given.
    NotStarted,
}

/// How a payout would go as things are: a forecast, which binds nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PayoutCheck {
    /// The key of the attempt that was looked at.
    pub key: PayoutKey,
    /// What was looked at.
    pub request: PayoutRequest,
    /// Whether it has been started.
    pub standing: Standing,
    /// What the policy would decide, on what is counted now. Nothing is reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruling: Option<Ruling>,
    /// What the beneficiary would get, the best offer first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<Offer>,
    /// Everything that was looked at.
    pub checks: Vec<Check>,
}

/// Whether a payout has been started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Standing {
    /// Its id is free.
    New,
    /// It has been started, and is not over.
    UnderWay {
        /// The provider's id of it, where one is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payout: Option<String>,
    },
    /// It is over.
    Over {
        /// How.
        outcome: Box<Outcome>,
    },
    /// Its id belongs to another request: started, it would be refused.
    Conflict,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What: `id`, `policy`, `quote`, `guards`, `wallet`, `balance`, `fee`, `paused`, `sender`, `recipient`.
    pub what: String,
    /// Whether it is as it should be.
    pub found: Found,
    /// What was found, and what to do about it.
    pub says: String,
}

/// Whether a check found what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Found {
    /// As it should be.
    Good,
    /// Not as it should be: the payout would not be paid.
    Bad,
    /// There was no answer.
    NotKnown,
}

impl Check {
    /// One check.
    pub fn new(what: &str, found: Found, says: impl Into<String>) -> Self {
        Self { what: what.to_owned(), found, says: says.into() }
    }
}

impl PayoutCheck {
    /// The worst of all checks: whether it would be paid, once those have approved who are asked.
    pub fn found(&self) -> Found {
        let any = |found| self.checks.iter().any(|check| check.found == found);
        match (any(Found::Bad), any(Found::NotKnown)) {
            (true, _) => Found::Bad,
            (false, true) => Found::NotKnown,
            (false, false) => Found::Good,
        }
    }
}
