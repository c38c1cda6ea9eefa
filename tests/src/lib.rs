//! What whole-system tests share, and those who drive a whole system for another purpose.

mod cost;
mod harness;
mod people;
pub mod recorded;

pub use cost::Cost;
pub use harness::{
    Lock, Process, World, anyone, give_up, go_on, instructions_after, order, payer, policy, quick, quick_then_true,
    rarely, unsigned, until,
};
pub use people::{People, STANDARD};
