//! Which policy is in force: revisions in a chain, each signed by publishers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use sha2::{Digest, Sha256};

use super::{Statement, content_hash};

/// Which revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionId {
    /// 1, 2, …
    pub number: u32,
    /// The hash of it.
    pub hash: String,
}

/// One revision of the policy. Never changed once made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// 1, 2, …
    pub number: u32,
    /// The hash of the one before; none for the first.
    pub previous: Option<String>,
    /// SHA-256 over its statement, in hex.
    pub hash: String,
    /// The file.
    pub content: String,
    /// Who wrote it.
    pub author: String,
    /// What changes.
    pub note: String,
    /// Who has signed it.
    pub signatures: Vec<RevisionSignature>,
}

/// A publisher's signature of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionSignature {
    /// Who.
    pub publisher: String,
    /// Over the revision's statement, Ed25519, base64.
    pub signature: String,
}

impl Revision {
    /// A revision that nobody has signed yet.
    pub fn make(number: u32, previous: Option<String>, content: &str, author: &str, note: &str) -> Self {
        let mut revision = Self {
            number,
            previous,
            hash: String::new(),
            content: content.to_owned(),
            author: author.to_owned(),
            note: note.to_owned(),
            signatures: vec![],
        };
        revision.hash = revision.true_hash();
        revision
    }

    /// What publishers sign.
    pub fn statement(&self) -> Statement {
        Statement::Policy {
            number: self.number,
            previous: self.previous.clone().unwrap_or_default(),
            content: content_hash(&self.content),
            author: self.author.clone(),
            note: self.note.clone(),
        }
    }

    fn true_hash(&self) -> String {
        let hash = Sha256::digest(self.statement().text().as_bytes());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Whose word is taken for a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publishers {
    /// Public keys by name.
    pub keys: BTreeMap<String, String>,
    /// How many of them it takes.
    pub quorum: u32,
}

/// Why no revision can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevisionProblem {
    /// The numbers have a gap, or two have one number.
    Gap {
        /// Which is missing.
        number: u32,
    },
    /// It is not what its hash says.
    Altered {
        /// Which.
        number: u32,
    },
    /// It does not follow the one before.
    Forked {
        /// Which.
        number: u32,
    },
    /// It is not signed, and another one follows it.
    Unsigned {
        /// Which.
        number: u32,
    },
}

impl fmt::Display for RevisionProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { number } => write!(f, "revision {number} is missing"),
            Self::Altered { number } => write!(f, "revision {number} is not what its hash says"),
            Self::Forked { number } => write!(f, "revision {number} does not follow the one before"),
            Self::Unsigned { number } => {
                write!(f, "revision {number} lacks the signatures of its publishers, and another one follows it")
            }
        }
    }
}

/// The revision in force: the newest that enough publishers have signed. The very newest may still lack signatures; then
/// the one before is in force. `verified(key, text, signature)` says whether a signature is good.
///
/// # Errors
/// What is wrong with the chain: nothing of it is trusted then.
pub fn active<'a>(
    revisions: &'a [Revision],
    publishers: &Publishers,
    verified: &dyn Fn(&str, &str, &str) -> bool,
) -> Result<Option<&'a Revision>, RevisionProblem> {
    let mut in_force: Option<&Revision> = None;
    let mut before: Option<&Revision> = None;
    for (n, revision) in (1u32..).zip(revisions) {
        let number = revision.number;
        if number != n {
            return Err(RevisionProblem::Gap { number: n });
        }
        if revision.hash != revision.true_hash() {
            return Err(RevisionProblem::Altered { number });
        }
        if revision.previous.as_ref() != before.map(|before| &before.hash) {
            return Err(RevisionProblem::Forked { number });
        }
        if let Some(before) = before
            && in_force != Some(before)
        {
            return Err(RevisionProblem::Unsigned { number: before.number });
        }
        let text = revision.statement().text();
        let signed: BTreeSet<&str> = revision
            .signatures
            .iter()
            .filter(|it| publishers.keys.get(&it.publisher).is_some_and(|key| verified(key, &text, &it.signature)))
            .map(|it| it.publisher.as_str())
            .collect();
        if u32::try_from(signed.len()).unwrap_or(u32::MAX) >= publishers.quorum.max(1) {
            in_force = Some(revision);
        }
        before = Some(revision);
    }
    Ok(in_force)
}
