//! Whose approval counts, and whether enough are there. Signatures are checked by whoever has the keys crate.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{ApprovalValue, Initiator, Policy, Statement, Wanted};

/// The payout that an approval must be about.
#[derive(Clone, Copy, Debug)]
pub struct ApprovalOf<'a> {
    /// Temporal's namespace.
    pub namespace: &'a str,
    /// The payout's key.
    pub key: &'a str,
    /// Which attempt.
    pub attempt: u32,
    /// The digest of the request.
    pub digest: &'a str,
    /// Who started it: that one may not approve it.
    pub initiator: &'a Initiator,
    /// The hashes of all revisions of the policy so far.
    pub revisions: &'a BTreeSet<String>,
    /// Now, by the clock of the records.
    pub now: Timestamp,
}

/// An approval that counts, once its signature is verified with this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// Who.
    pub person: String,
    /// That one's public key, as the policy has it now.
    pub key: String,
    /// For which group.
    pub group: String,
    /// Yes or no.
    pub value: ApprovalValue,
    /// Why.
    pub why: String,
}

/// Whether an approval may count.
///
/// # Errors
/// Why not, for people.
pub fn may_approve(policy: &Policy, of: &ApprovalOf<'_>, statement: &Statement) -> Result<Approved, String> {
    let Statement::Approval { namespace, key, attempt, digest, revision, group, value, by, why, expires } = statement
    else {
        return Err("it is no approval".into());
    };
    if namespace != of.namespace {
        return Err(format!("it is for namespace {namespace:?}, not {:?}", of.namespace));
    }
    if key != of.key || *attempt != of.attempt || digest != of.digest {
        return Err("it is for another payout, or for other content of this one".into());
    }
    if !of.revisions.contains(revision) {
        return Err("it names a revision of the policy that there is not".into());
    }
    if *expires <= of.now {
        return Err("it has expired".into());
    }
    let person = policy.people.get(by).ok_or_else(|| format!("the policy knows nobody called {by:?}"))?;
    if !policy.groups.get(group).is_some_and(|group| group.people.contains(by)) {
        return Err(format!("{by} is not in group {group:?}"));
    }
    if let Initiator::Starter { name } = of.initiator {
        let starter = policy.starters.get(name);
        if name == by || starter.is_some_and(|starter| starter.key == person.key) {
            return Err(format!("{by} has started it, and may not approve it"));
        }
    }
    Ok(Approved { person: by.clone(), key: person.key.clone(), group: group.clone(), value: *value, why: why.clone() })
}

/// The order that a signed one must be.
#[derive(Clone, Copy, Debug)]
pub struct OrderOf<'a> {
    /// Temporal's namespace.
    pub namespace: &'a str,
    /// The payout's key.
    pub key: &'a str,
    /// `release`, `resolve` or `retry`.
    pub order: &'a str,
    /// What exactly; may be empty.
    pub what: &'a str,
    /// Who orders it.
    pub by: &'a str,
    /// Why.
    pub why: &'a str,
    /// Now, by the clock of the records.
    pub now: Timestamp,
}

/// Whether a signed order may be carried out. Gives the public key that its signature must be verified with.
///
/// # Errors
/// Why not, for people.
pub fn may_order(policy: &Policy, of: &OrderOf<'_>, statement: &Statement) -> Result<String, String> {
    let Statement::Order { namespace, key, order, what, by, why, expires } = statement else {
        return Err("the statement is no order".into());
    };
    let given = (namespace.as_str(), key.as_str(), order.as_str(), what.as_str(), by.as_str(), why.as_str());
    if given != (of.namespace, of.key, of.order, of.what, of.by, of.why) {
        return Err("the statement is about another order than the one that is given".into());
    }
    if *expires <= of.now {
        return Err("the signed order has expired".into());
    }
    let person = policy.people.get(by).ok_or_else(|| format!("the policy knows nobody called {by:?}"))?;
    let may = |name: &String| policy.groups.get(name).is_some_and(|group| group.people.contains(by));
    if !policy.orders.groups.iter().any(may) {
        return Err(format!("{by} is in none of the groups that may order: {}", policy.orders.groups.join(", ")));
    }
    Ok(person.key.clone())
}

/// Whether enough approvals are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tally {
    /// All that are wanted are there.
    Met,
    /// Somebody of a wanted group said no.
    Denied {
        /// Who.
        by: String,
        /// Why.
        why: String,
    },
    /// Some are missing.
    Missing(Vec<Missing>),
}

/// An approval that is still wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Whose.
    pub group: String,
    /// How many of the group it takes.
    pub quorum: u32,
    /// Who has approved.
    pub have: Vec<String>,
}

/// Counts: nobody twice in a group, and one denial denies.
pub fn tally(wanted: &[Wanted], approved: &[Approved]) -> Tally {
    let asked = |it: &&Approved| wanted.iter().any(|wanted| wanted.group == it.group);
    if let Some(no) = approved.iter().filter(asked).find(|it| it.value == ApprovalValue::Deny) {
        return Tally::Denied { by: no.person.clone(), why: no.why.clone() };
    }
    let mut missing: Vec<Missing> = Vec::new();
    for wanted in wanted {
        let have: BTreeSet<&str> =
            approved.iter().filter(|it| it.group == wanted.group).map(|it| it.person.as_str()).collect();
        if u32::try_from(have.len()).unwrap_or(u32::MAX) >= wanted.quorum {
            continue;
        }
        let have = have.into_iter().map(str::to_owned).collect();
        match missing.iter_mut().find(|it| it.group == wanted.group) {
            Some(known) => known.quorum = known.quorum.max(wanted.quorum),
            None => missing.push(Missing { group: wanted.group.clone(), quorum: wanted.quorum, have }),
        }
    }
    if missing.is_empty() { Tally::Met } else { Tally::Missing(missing) }
}
