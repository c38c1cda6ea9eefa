//! What whole-system tests share, and those who drive a whole system for another purpose.

mod harness;
pub mod recorded;

pub use harness::{Process, World, anyone, instructions_after, payer, policy, quick, until};
