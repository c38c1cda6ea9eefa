//! The policy in force: kept in the records, believed only when publishers that this worker knows have signed it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use remit_domain::policy::{Policy, Publishers, Revision, RevisionId, active, not_rolled_back};
use remit_keys::verified;
use remit_records::{Records, RevisionRow};

use crate::{NoAnswer, failure::chain};

/// Whose word a worker takes for a policy, and in which namespace its signed statements count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySettings {
    /// Temporal's namespace: signed statements name it, so that none counts in another.
    pub namespace: String,
    /// Who may publish a policy, and how many of them it takes.
    pub publishers: Publishers,
}

/// A policy that is in force.
pub(crate) struct InForce {
    pub(crate) id: RevisionId,
    pub(crate) policy: Policy,
    /// The hashes of all revisions so far: an approval names the one that asked for it.
    pub(crate) hashes: BTreeSet<String>,
}

/// Reads the policy in force, and never goes back to an older one.
pub(crate) struct Policies {
    pub(crate) settings: PolicySettings,
    last: Mutex<Option<(Fingerprint, Arc<InForce>)>>,
}

/// Every revision by number, hash and how many have signed it: while that stays, so does the policy.
type Fingerprint = Vec<(u32, String, usize)>;

impl Policies {
    pub(crate) fn new(settings: PolicySettings) -> Self {
        Self { settings, last: Mutex::default() }
    }

    /// The policy in force now.
    pub(crate) async fn in_force(&self, records: &Records) -> Result<Arc<InForce>, NoAnswer> {
        let unusable = |why: String| NoAnswer::Policy { why };
        let revisions: Vec<Revision> = records.revisions().await?.iter().map(RevisionRow::revision).collect();
        let fingerprint: Fingerprint =
            revisions.iter().map(|it| (it.number, it.hash.clone(), it.signatures.len())).collect();
        let before = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((seen, in_force)) = &before
            && *seen == fingerprint
        {
            return Ok(Arc::clone(in_force));
        }
        let newest = active(&revisions, &self.settings.publishers, &verified)
            .map_err(|problem| unusable(format!("the policy on record cannot be trusted: {problem}")))?
            .ok_or_else(|| unusable("no policy is in force: publish one with `remit policy publish`".to_owned()))?;
        if let Some((_, before)) = &before {
            not_rolled_back(&revisions, Some(newest), &before.id).map_err(|problem| unusable(problem.to_string()))?;
        }
        let policy = Policy::read(&newest.content).map_err(|errors| {
            let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
            unusable(format!("policy revision {} cannot be read: {}", newest.number, all.join("; ")))
        })?;
        let in_force = Arc::new(InForce {
            id: RevisionId { number: newest.number, hash: newest.hash.clone() },
            policy,
            hashes: revisions.iter().map(|it| it.hash.clone()).collect(),
        });
        tracing::info!(policy.revision = newest.number, "Policy revision {} is in force", newest.number);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((fingerprint, Arc::clone(&in_force)));
        Ok(in_force)
    }
}

impl From<remit_keys::KeyError> for NoAnswer {
    fn from(error: remit_keys::KeyError) -> Self {
        Self::Policy { why: chain(&error) }
    }
}
