//! Ids: one type per thing, parsed once at the edge, and the key a payout is recognised by for ever.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The key under which a payout is claimed, created at the provider and run as a workflow.
///
/// There is no constructor from randomness: the only way to have one is to have the caller's id, so a retry,
/// a replay or a reset always speaks of the same payout.
///
/// The form: the caller's id as it is when it is 1–40 of `[A-Za-z0-9._-]`, does not end in `-retry-<digits>` and
/// does not begin with `h-`; else `h-` and the first 32 hex digits of SHA-256 over the bytes as they came. Both
/// exceptions keep derived names apart: attempts after the first are called `<key>-retry-N`, hashes begin with `h-`.
/// At most 40 bytes, so that every attempt's name stays within the 50 characters Dfns documents for external ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PayoutKey(String);

impl PayoutKey {
    /// The key of the caller's id.
    pub fn of(id: &ExternalId) -> Self {
        let text = id.as_str();
        if is_plain(text) && !text.starts_with("h-") && !names_an_attempt(text) {
            return Self(text.to_owned());
        }
        let digest = Sha256::digest(text.as_bytes());
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self(format!("h-{hex}"))
    }

    /// The key of an attempt at the payout whose first attempt has this key: attempt 2 is `<key>-retry-1`.
    pub fn attempt(&self, attempt: Attempt) -> Self {
        match attempt.number() {
            1 => self.clone(),
            n => Self(format!("{self}-retry-{}", n - 1)),
        }
    }

    /// The id of the workflow that runs this payout.
    pub fn workflow_id(&self) -> String {
        format!("payout-{self}")
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PayoutKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which attempt at a payout: 1 is the first, and the only one unless an operator has opened another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Attempt(u32);

impl Attempt {
    /// The first.
    pub const FIRST: Self = Self(1);
    /// There are no more than this.
    pub const MOST: u32 = 100;

    /// The number, from 1.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Whether it is the first, which is what a request without this field asks for.
    pub fn is_first(&self) -> bool {
        self.0 == 1
    }
}

impl TryFrom<u32> for Attempt {
    type Error = &'static str;
    fn try_from(number: u32) -> Result<Self, Self::Error> {
        if (1..=Self::MOST).contains(&number) { Ok(Self(number)) } else { Err("a whole number from 1 to 100") }
    }
}

impl From<Attempt> for u32 {
    fn from(attempt: Attempt) -> Self {
        attempt.0
    }
}

fn is_plain(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn names_an_attempt(text: &str) -> bool {
    text.rsplit_once("-retry-").is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The id under which the business system asks: 1–255 bytes of UTF-8 without NUL (which Postgres cannot keep), kept
/// exactly as it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ExternalId(String);

impl ExternalId {
    /// # Errors
    /// What was expected, when the text is empty, longer than 255 bytes or has a NUL in it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let fits = (1..=255).contains(&text.len()) && !text.contains('\0');
        if fits { Ok(Self(text.to_owned())) } else { Err("1 to 255 bytes of text without NUL") }
    }

    /// The id as the caller wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A wallet at the provider, for example `wa-5pfuu-9euek-h0odgb6snva8ph3k`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct WalletId(String);

impl WalletId {
    /// # Errors
    /// What was expected, when the text has not the form of a wallet id
    /// (`wa-`, five, five and 14 to 16 lower-case letters or digits).
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let groups: Vec<&str> = text.split('-').collect();
        let lower = |group: &str| group.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        match groups.as_slice() {
            ["wa", a, b, c]
                if a.len() == 5 && b.len() == 5 && (14..=16).contains(&c.len()) && lower(a) && lower(b) && lower(c) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err("a wallet id such as \"wa-5pfuu-9euek-h0odgb6snva8ph3k\""),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a payout belongs to in the caller's books (payroll, marketplace, …): 1–64 of `[A-Za-z0-9._-]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Program(String);

impl Program {
    /// # Errors
    /// What was expected, when the text is too long or has other characters.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let fits =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if fits { Ok(Self(text.to_owned())) } else { Err("1 to 64 letters, digits, dots, dashes or underscores") }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        id: String,
        #[serde(default = "once")]
        repeat: usize,
        key: Option<String>,
        why: String,
    }
    fn once() -> usize {
        1
    }

    #[test]
    fn every_published_vector_derives_its_key() {
        let vectors: Vec<Vector> = serde_json::from_str(include_str!("../vectors/keys.json")).unwrap();
        assert!(vectors.len() >= 30, "the vectors file lost its vectors");
        for v in vectors {
            let id = v.id.repeat(v.repeat);
            let key = ExternalId::parse(&id).ok().map(|id| PayoutKey::of(&id).to_string());
            assert_eq!(key, v.key, "{} ({} bytes): {}", v.id, id.len(), v.why);
        }
    }

    #[test]
    fn ids_of_every_length_have_a_key_that_fits_the_provider_or_are_refused() {
        for unit in ["a", "é", "支", "🦀", " "] {
            for n in 0..=300 {
                let text = unit.repeat(n);
                match ExternalId::parse(&text) {
                    Ok(id) => {
                        let key = PayoutKey::of(&id).to_string();
                        assert!((1..=255).contains(&text.len()));
                        assert!(is_plain(&key), "{key}");
                        assert!(PayoutKey::of(&id).attempt(Attempt(Attempt::MOST)).as_str().len() <= 50);
                    }
                    Err(_) => assert!(text.is_empty() || text.len() > 255),
                }
            }
        }
    }

    #[test]
    fn later_attempts_have_names_no_first_attempt_can_have() {
        let base = PayoutKey::of(&ExternalId::parse("inv-1").unwrap());
        assert_eq!(base.attempt(Attempt::FIRST), base);
        let second = base.attempt(Attempt::try_from(2).unwrap());
        assert_eq!(second.as_str(), "inv-1-retry-1");
        assert_ne!(PayoutKey::of(&ExternalId::parse(second.as_str()).unwrap()), second);
        assert!(Attempt::try_from(0).is_err() && Attempt::try_from(101).is_err());
    }

    #[test]
    fn wallet_ids_are_recognised_and_others_refused() {
        assert!(WalletId::parse("wa-5pfuu-9euek-h0odgb6snva8ph3k").is_ok());
        for bad in [
            "",
            "wa",
            "wa-5pfuu-9euek-h0odgb6snva8ph3kXX",
            "wa-5PFUU-9euek-h0odgb6snva8ph",
            "xfr-5pfuu-9euek-h0odgb6snva8ph",
            "wa-5pfuu-9euek",
        ] {
            assert!(WalletId::parse(bad).is_err(), "{bad}");
        }
    }
}
