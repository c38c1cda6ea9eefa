//! People and starters with keys, and policies that know them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use remit_client::Signer;
use remit_keys::PrivateKey;

/// Everybody who signs in a test.
pub struct People(BTreeMap<String, Signer>);

impl People {
    /// These. Keys follow from names, so that a policy made here knows people made there; they protect nothing.
    ///
    /// # Errors
    /// When a name is longer than a key.
    pub fn new(names: &[&str]) -> Result<Self> {
        let signer = |name: &&str| -> Result<_> {
            let mut seed = [7; 32];
            seed.get_mut(..name.len()).context("the name is too long")?.copy_from_slice(name.as_bytes());
            Ok(((*name).to_owned(), Signer { name: (*name).to_owned(), key: PrivateKey::from_seed(seed)? }))
        };
        Ok(Self(names.iter().map(signer).collect::<Result<_>>()?))
    }

    /// One of them.
    ///
    /// # Errors
    /// When there is nobody of that name.
    pub fn signer(&self, name: &str) -> Result<&Signer> {
        self.0.get(name).with_context(|| format!("{name} has no key in this test"))
    }

    /// A policy file in which names stand for public keys: `key = "ana"` becomes `key = "ed25519:…"`.
    pub fn policy(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, signer)| {
            text.replace(&format!("key = \"{name}\""), &format!("key = \"{}\"", signer.key.public()))
        })
    }
}

/// What the guide "Automate payments" calls the standard set, with amounts that tests reach, and signed orders.
pub const STANDARD: &str = r#"
name = "standard"
unsigned_starts = "allow"

[people.ana]
key = "ana"
[people.ben]
key = "ben"

[groups.treasury]
people = ["ana", "ben"]

[orders]
groups = ["treasury"]
unsigned = "refuse"

[[rule]]
name = "a-day"
kind = "TransactionAmountVelocity"
limit = "3000 USD"
window = "24h"
action = "Block"

[[rule]]
name = "large"
kind = "TransactionAmountLimit"
limit = "1500 USD"
action = "RequestApproval"
approvals = [{ group = "treasury", quorum = 1 }]
timeout = "4h"

[[rule]]
name = "known"
kind = "TransactionRecipientWhitelist"
recipients = ["Borderless/acc-1/pi-1"]
action = "RequestApproval"
approvals = [{ group = "treasury", quorum = 1 }]
timeout = "4h"
"#;
