//! The public API against servers on this machine that record what arrives.

mod calls;
mod errors;
mod harness;
mod renewal;
mod signed_calls;
mod subscriptions;
mod transport;
mod webhooks;
