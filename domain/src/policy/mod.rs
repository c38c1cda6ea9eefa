//! What may be paid: versioned rules, what they look at, and what they decide. Pure: the same policy, request and facts
//! give the same decision for ever.

mod decision;
mod facts;

pub use decision::{Decision, Spoke, Verdict, Wanted};
pub use facts::{Dimension, Facts, Initiator, MicroUsd, Past, Price, Question, Screened, Stats, Sum, Traits};
