//! People and starters with keys, and policies that know them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use remit_client::Signer;
use remit_keys::PrivateKey;

/// Everybody who signs in one test, with keys of that test alone.
pub struct People(BTreeMap<String, Signer>);

impl People {
    /// These, with a new key each.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(names: &[&str]) -> Result<Self> {
        let signer = |name: &&str| -> Result<_> {
            Ok(((*name).to_owned(), Signer { name: (*name).to_owned(), key: PrivateKey::generate()? }))
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

    /// A policy file in which `NAME` stands for that one's public key: `key = "ana"` becomes `key = "ed25519:…"`.
    pub fn policy(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, signer)| {
            text.replace(&format!("key = \"{name}\""), &format!("key = \"{}\"", signer.key.public()))
        })
    }
}
