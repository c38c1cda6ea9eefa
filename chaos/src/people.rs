//! Everybody with a key: the people who approve and order, the program that starts payouts, and the policy's publisher.

use anyhow::{Context, Result};
use remit_client::Signer;
use remit_keys::PrivateKey;

/// Who approves and orders; both are the group `treasury`.
pub(crate) const PEOPLE: [&str; 2] = ["ana", "ben"];
/// Who starts payouts, by the name in the policy.
pub(crate) const STARTER: &str = "ledger";
/// Who publishes the policy.
pub(crate) const PUBLISHER: &str = "publisher";

/// The one of this name. Keys follow from names, so that every process of a run has them; they protect nothing.
///
/// # Errors
/// When the name is longer than a key.
pub(crate) fn signer(name: &str) -> Result<Signer> {
    let mut seed = [7; 32];
    seed.get_mut(..name.len()).context("the name is too long")?.copy_from_slice(name.as_bytes());
    Ok(Signer { name: name.to_owned(), key: PrivateKey::from_seed(seed)? })
}

/// As a policy writes that one's key.
///
/// # Errors
/// As [`signer`].
pub(crate) fn public(name: &str) -> Result<String> {
    Ok(signer(name)?.key.public().to_string())
}
