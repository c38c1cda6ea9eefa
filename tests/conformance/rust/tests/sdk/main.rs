//! Dfns's official Rust SDK against a running sandbox, whose address is in `SANDBOX_URL`.

mod organisation;
mod payouts;
mod policies;
mod refusals;
mod signing;
mod transfers;
mod webhooks;
