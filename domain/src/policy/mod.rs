//! What may be paid: versioned rules, what they look at, and what they decide. Pure: the same policy, request and facts
//! give the same decision for ever.
//!
//! Reading order: [`Policy`] (the rules, read from a file), [`Facts`] (what they look at), [`decide`] (what follows),
//! [`Statement`] (what keys sign), [`active`] (which revision is in force), [`settlement`] (what counts afterwards).

mod anomalies;
mod approvals;
mod decide;
mod decision;
mod facts;
mod read;
mod revision;
mod rules;
mod settlement;
mod statement;
mod warnings;
mod worth;

pub use anomalies::Sign;
pub use approvals::{ApprovalOf, Approved, Missing, OrderOf, Tally, may_approve, may_order, tally};
pub use decide::decide;
pub use decision::{Decision, Spoke, Verdict, Wanted};
pub use facts::{Dimension, Facts, Initiator, MicroUsd, Past, Price, Question, Screened, Stats, Sum, Traits, When};
pub use read::{PolicyError, content_hash};
pub use revision::{Publishers, Revision, RevisionId, RevisionProblem, RevisionSignature, active};
pub use rules::{Action, Filter, Group, Kind, Orders, Person, Policy, Rule, Starter};
pub use settlement::{Settlement, settlement};
pub use statement::{ApprovalValue, Statement};
pub use worth::{PriceProblem, worth};
