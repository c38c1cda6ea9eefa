//! The whole system on real servers: Temporal, records, relay, worker, and the sandbox as the other side.
//!
//! Every test has a system of its own, on free ports, in a folder of its own. Nothing waits for real time to pass:
//! where a payout waits for hours, its time is moved.

mod attackers;
mod bad_input;
mod checks;
mod commands;
mod crashes;
mod custody;
mod deploys;
mod documents;
mod endings;
mod every_activity;
mod guards;
mod limits;
mod lines;
mod lists;
mod main_path;
mod operators;
mod orders_of_events;
mod policies;
mod privacy;
mod queries;
mod races;
mod retries;
mod starts;
mod unknown_outcomes;
mod unknown_words;
mod webhooks;

use remit_tests as harness;
