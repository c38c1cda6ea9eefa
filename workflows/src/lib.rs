//! The decisions about a payout, and the contract: what is asked of activities, what is signalled and queried.
//!
//! Start in [`payout`]. This crate knows Temporal's authoring surface and `domain`; it has no HTTP, no SQL, no
//! environment and no worker in its tree, which is what keeps it deterministic.

// The macros generate markers without documentation.
#[expect(missing_docs)]
pub mod check;
#[expect(missing_docs)]
pub mod contract;
pub mod names;
pub mod orders;
#[expect(missing_docs)]
pub mod payout;
#[expect(missing_docs)]
pub mod retry;
pub mod search;
pub mod signals;
pub mod status;

mod endings;
mod job;
mod operators;
mod options;
mod permission;
mod refusal;

pub use check::PayoutCheckRun;
pub use payout::Payout;
pub use refusal::NAME_IN_CLEAR;
pub use retry::PayoutRetry;
