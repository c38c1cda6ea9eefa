//! Which policy is in force: revisions in a chain, each signed by publishers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use sha2::{Digest, Sha256};

use super::{Policy, Statement};

/// Which revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionId {
    /// 1, 2, …
    pub number: u32,
    /// Its hash.
    pub hash: String,
}

/// One revision of the policy. Never changed once made; signatures are added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// 1, 2, …
    pub number: u32,
    /// The hash of the one before; none for the first.
    pub previous: Option<String>,
    /// SHA-256 over the text of its statement, in hex.
    pub hash: String,
    /// The policy file.
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
    /// Over the text of the revision's statement: Ed25519, base64.
    pub signature: String,
}

/// SHA-256 of the bytes of a policy file, in hex.
pub fn content_hash(toml: &str) -> String {
    sha256(toml.as_bytes())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
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
        revision.hash = sha256(revision.statement().text().as_bytes());
        revision
    }

    /// What publishers sign: everything but the signatures.
    pub fn statement(&self) -> Statement {
        Statement::Revision {
            number: self.number,
            previous: self.previous.clone().unwrap_or_default(),
            content: content_hash(&self.content),
            author: self.author.clone(),
            note: self.note.clone(),
        }
    }

    /// Number and hash.
    pub fn id(&self) -> RevisionId {
        RevisionId { number: self.number, hash: self.hash.clone() }
    }
}

/// Whose word is taken for a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publishers {
    /// Public keys (`ed25519:…`) by name.
    pub keys: BTreeMap<String, String>,
    /// How many of them it takes; at least one does, also where this is zero.
    pub quorum: u32,
    /// The revision in force is this one or a later one: records that were put back, from a backup or by somebody, are
    /// noticed. 0 for none.
    pub at_least: u32,
}

/// Why no revision on record is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevisionProblem {
    /// Its number is missing, or another stands in its place.
    Gap {
        /// Which.
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
    /// It lacks signatures, and another one follows it.
    Unsigned {
        /// Which.
        number: u32,
    },
    /// It is in force, and cannot be read as a policy.
    Unreadable {
        /// Which.
        number: u32,
        /// The first thing that is wrong with it.
        why: String,
    },
    /// It was in force before, and is no longer there.
    RolledBack {
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
            Self::Unreadable { number, why } => write!(f, "revision {number} is in force and no policy: {why}"),
            Self::RolledBack { number } => {
                write!(f, "revision {number} was in force and is no longer there: revisions are never taken back")
            }
        }
    }
}

impl std::error::Error for RevisionProblem {}

/// The revision in force: the newest that enough publishers have signed; none while there is none. `revisions`: all of
/// them, by number. `verified(key, text, signature)` says whether a signature is good.
///
/// The very newest may still lack signatures; then the one before is in force. Every older one needs those of today's
/// publishers: where publishers change, the new ones first sign the revisions that there are.
///
/// # Errors
/// What is wrong with the chain: then nothing of it is trusted. Only the revision in force has to be readable, so that one
/// that is not can be followed by one that is.
pub fn active<'a>(
    revisions: &'a [Revision],
    publishers: &Publishers,
    verified: &dyn Fn(&str, &str, &str) -> bool,
) -> Result<Option<&'a Revision>, RevisionProblem> {
    let mut in_force: Option<&Revision> = None;
    let mut before: Option<&Revision> = None;
    for (expected, revision) in (1u32..).zip(revisions) {
        let number = revision.number;
        if number != expected {
            return Err(RevisionProblem::Gap { number: expected });
        }
        let text = revision.statement().text();
        if revision.hash != sha256(text.as_bytes()) {
            return Err(RevisionProblem::Altered { number });
        }
        if revision.previous.as_ref() != before.map(|before| &before.hash) {
            return Err(RevisionProblem::Forked { number });
        }
        if let Some(before) = before.filter(|before| in_force.is_none_or(|it| it.number != before.number)) {
            return Err(RevisionProblem::Unsigned { number: before.number });
        }
        if signed_by_enough(revision, &text, publishers, verified) {
            in_force = Some(revision);
        }
        before = Some(revision);
    }
    if in_force.map_or(0, |revision| revision.number) < publishers.at_least {
        return Err(RevisionProblem::RolledBack { number: publishers.at_least });
    }
    if let Some(revision) = in_force
        && let Err(errors) = Policy::read(&revision.content)
    {
        let why = errors.first().map(ToString::to_string).unwrap_or_default();
        return Err(RevisionProblem::Unreadable { number: revision.number, why });
    }
    Ok(in_force)
}

/// Counts keys, not names: one key under two names is one publisher.
fn signed_by_enough(
    revision: &Revision,
    text: &str,
    publishers: &Publishers,
    verified: &dyn Fn(&str, &str, &str) -> bool,
) -> bool {
    let signed = |it: &RevisionSignature| {
        let key = publishers.keys.get(&it.publisher)?;
        verified(key, text, &it.signature).then_some(key.as_str())
    };
    let keys: BTreeSet<&str> = revision.signatures.iter().filter_map(signed).collect();
    u32::try_from(keys.len()).unwrap_or(u32::MAX) >= publishers.quorum.max(1)
}

/// Whether the records still hold what was seen in force before, and have not gone back behind it. To be asked with the
/// last revision that somebody remembers outside the records.
///
/// # Errors
/// [`RevisionProblem::RolledBack`] when not.
pub fn not_rolled_back(
    revisions: &[Revision],
    in_force: Option<&Revision>,
    seen: &RevisionId,
) -> Result<(), RevisionProblem> {
    let there = revisions.iter().any(|revision| revision.number == seen.number && revision.hash == seen.hash);
    let no_older = in_force.is_some_and(|revision| revision.number >= seen.number);
    if there && no_older { Ok(()) } else { Err(RevisionProblem::RolledBack { number: seen.number }) }
}
