//! What may be paid: versioned rules, what they look at, and what they decide. Pure: the same policy, request and facts
//! give the same decision for ever.
//!
//! Reading order: [`Policy`] (people and rules, read from a file), [`Facts`] (what rules look at), [`decide`] (what
//! follows), [`tally`] (whose approval counts), [`Statement`] (what keys sign), [`active`] (which revision is in force),
//! [`settlement`] (what counts afterwards), [`run_cases`] (how a policy is tried out).

mod anomalies;
mod approvals;
mod cases;
pub mod codes;
mod decide;
mod decision;
mod facts;
mod read;
mod revision;
mod rules;
mod settlement;
mod statement;
#[cfg(test)]
mod tests;
mod warnings;
mod worth;

pub use anomalies::Sign;
pub use approvals::{ApprovalOf, Approved, Missing, OrderOf, Tally, may_approve, may_order, tally};
pub use cases::{CaseResult, run_cases};
pub use decide::decide;
pub use decision::{Decision, Spoke, Verdict, Wanted};
pub use facts::{Dimension, Facts, Initiator, MicroUsd, Past, Price, Question, Screened, Stats, Sum, Traits, When};
pub use read::PolicyError;
pub use revision::{
    Publishers, Revision, RevisionId, RevisionProblem, RevisionSignature, active, content_hash, not_rolled_back,
};
pub use rules::{Action, Filter, Group, Kind, Orders, Person, Policy, Rule, Starter};
pub use settlement::{Settlement, settlement};
pub use statement::{ApprovalValue, Statement};
pub use warnings::PolicyWarning;
pub use worth::{PriceProblem, worth};
