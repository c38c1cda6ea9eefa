//! The sandbox over real HTTP, as a stranger with only Dfns's documents would use it.

mod connection;
mod control;
mod faults;
mod harness;
mod money;
mod payouts;
mod plan;
mod policies;
mod signing;
mod tokens;
mod transfers;
mod webhooks;
