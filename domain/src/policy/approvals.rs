//! Whose approval counts, and whether enough are there. Signatures are checked by whoever calls.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

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

/// An approval or a denial that counts, once its signature is verified with this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// Who.
    pub person: String,
    /// That one's public key, as the policy has it now: a key that was taken away since proves nothing.
    pub key: String,
    /// For which group.
    pub group: String,
    /// Yes or no.
    pub value: ApprovalValue,
    /// Why.
    pub why: String,
}

/// Whether an approval may count, by the policy that is in force now. Whoever started the payout may not approve it, but
/// may deny it; and a denial does not expire: a no stays a no.
///
/// # Errors
/// Why not, for people.
pub fn may_approve(policy: &Policy, of: &ApprovalOf<'_>, statement: &Statement) -> Result<Approved, String> {
    let Statement::Approval { namespace, key, attempt, digest, revision, group, value, by, why, expires } = statement
    else {
        return Err("the statement is no approval".into());
    };
    if namespace != of.namespace {
        return Err(format!("it is for namespace {namespace:?}, not {:?}", of.namespace));
    }
    if (key.as_str(), *attempt) != (of.key, of.attempt) {
        return Err(format!("it is about attempt {attempt} of payout {key:?}, not {} of {:?}", of.attempt, of.key));
    }
    if digest != of.digest {
        return Err("it is about other content of this payout".into());
    }
    if !of.revisions.contains(revision) {
        return Err("it names a revision of the policy that there is not".into());
    }
    let person = policy.people.get(by).ok_or_else(|| format!("the policy knows nobody called {by:?}"))?;
    if !policy.is_in(by, group) {
        return Err(format!("{by} is not in group {group:?}"));
    }
    if *value == ApprovalValue::Approve {
        if *expires <= of.now {
            return Err(format!("it counted until {expires}"));
        }
        if started(policy, of.initiator, by, &person.key) {
            return Err(format!("{by} has started it, and may not approve it"));
        }
    }
    Ok(Approved { person: by.clone(), key: person.key.clone(), group: group.clone(), value: *value, why: why.clone() })
}

/// Whether this person is the one who started it: by name, or by key.
fn started(policy: &Policy, initiator: &Initiator, person: &str, key: &str) -> bool {
    match initiator {
        Initiator::Starter { name } => name == person || policy.starter(name).is_some_and(|starter| starter.key == key),
        Initiator::Unsigned | Initiator::Unproven { .. } => false,
    }
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

/// An order is given at once, and whoever reads it could give it again: so none counts for longer.
const ORDERS_COUNT_AT_MOST: SignedDuration = SignedDuration::from_hours(1);

/// Whether a signed order may be carried out. Gives the public key that its signature must be verified with.
///
/// # Errors
/// Why not, for people.
pub fn may_order(policy: &Policy, of: &OrderOf<'_>, statement: &Statement) -> Result<String, String> {
    let Statement::Order { namespace, key, order, what, by, why, expires } = statement else {
        return Err("the statement is no order".into());
    };
    let signed = (namespace.as_str(), key.as_str(), order.as_str(), what.as_str(), by.as_str(), why.as_str());
    if signed != (of.namespace, of.key, of.order, of.what, of.by, of.why) {
        return Err("the statement is about another order than the one that is given".into());
    }
    if *expires <= of.now {
        return Err(format!("the signed order counted until {expires}"));
    }
    if expires.duration_since(of.now) > ORDERS_COUNT_AT_MOST {
        return Err("a signed order counts for an hour at most: sign one that expires sooner".into());
    }
    let person = policy.people.get(by).ok_or_else(|| format!("the policy knows nobody called {by:?}"))?;
    if !policy.orders.groups.iter().any(|group| policy.is_in(by, group)) {
        let groups: Vec<&str> = policy.orders.groups.iter().map(String::as_str).collect();
        return Err(format!("{by} is in none of the groups that may order it: {}", groups.join(", ")));
    }
    Ok(person.key.clone())
}

/// Whether enough approvals are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tally {
    /// All that are wanted are there.
    Met,
    /// Somebody whose approval is wanted said no.
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
    /// Who counts for it already.
    pub have: Vec<String>,
}

/// Counts the approvals. One denial denies. Nobody counts twice: who is in several groups, and approves for all of them,
/// counts for one, whichever helps most. Where several rules want the same group, the largest quorum meets them all.
pub fn tally(wanted: &[Wanted], approved: &[Approved]) -> Tally {
    let asked = |it: &&Approved| wanted.iter().any(|wanted| wanted.group == it.group);
    if let Some(no) = approved.iter().filter(asked).find(|it| it.value == ApprovalValue::Deny) {
        return Tally::Denied { by: no.person.clone(), why: no.why.clone() };
    }
    let mut quorums: Vec<(&str, u32)> = Vec::new();
    for Wanted { group, quorum, .. } in wanted {
        // A quorum of none would be met by nobody: no policy has one.
        let quorum = (*quorum).max(1);
        match quorums.iter_mut().find(|(known, _)| known == group) {
            Some((_, largest)) => *largest = quorum.max(*largest),
            None => quorums.push((group, quorum)),
        }
    }
    let mut people: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for it in approved {
        people.entry(&it.person).or_default().insert(&it.group);
    }
    let seated = seated(&quorums, &people);
    let missing = quorums.iter().zip(seated).filter(|((_, quorum), have)| !reaches(have.len(), *quorum));
    let missing: Vec<Missing> = missing
        .map(|((group, quorum), have)| Missing {
            group: (*group).to_owned(),
            quorum: *quorum,
            have: have.into_iter().map(str::to_owned).collect(),
        })
        .collect();
    if missing.is_empty() { Tally::Met } else { Tally::Missing(missing) }
}

/// Whether these groups could be met at all, if everybody in them approved.
pub(super) fn can_be_met(quorums: &[(&str, u32)], groups: &BTreeMap<String, super::Group>) -> bool {
    let mut people: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, group) in groups {
        for person in &group.people {
            people.entry(person).or_default().insert(name);
        }
    }
    quorums.iter().zip(seated(quorums, &people)).all(|((_, quorum), have)| reaches(have.len(), *quorum))
}

fn reaches(have: usize, quorum: u32) -> bool {
    u32::try_from(have).is_ok_and(|have| have >= quorum)
}

/// Each group has as many seats as its quorum, each person sits down once, in a group that they approved for: who sits
/// where, so that as many seats as possible are taken (a maximum matching, by augmenting paths).
fn seated<'a>(quorums: &[(&str, u32)], people: &BTreeMap<&'a str, BTreeSet<&str>>) -> Vec<BTreeSet<&'a str>> {
    // No more seats than people who could take them.
    let seats: Vec<usize> = quorums
        .iter()
        .enumerate()
        .flat_map(|(group, (name, quorum))| {
            let could = people.values().filter(|groups| groups.contains(name)).count();
            std::iter::repeat_n(group, could.min(usize::try_from(*quorum).unwrap_or(usize::MAX)))
        })
        .collect();
    let mut sits: BTreeMap<&'a str, usize> = BTreeMap::new();
    for seat in 0..seats.len() {
        let mut asked = BTreeSet::new();
        take(seat, &seats, quorums, people, &mut sits, &mut asked);
    }
    let mut all = vec![BTreeSet::new(); quorums.len()];
    for (person, seat) in sits {
        if let Some(group) = seats.get(seat).and_then(|group| all.get_mut(*group)) {
            group.insert(person);
        }
    }
    all
}

/// Finds somebody for this seat, who may have to leave another one that is filled anew.
fn take<'a>(
    seat: usize,
    seats: &[usize],
    quorums: &[(&str, u32)],
    people: &BTreeMap<&'a str, BTreeSet<&str>>,
    sits: &mut BTreeMap<&'a str, usize>,
    asked: &mut BTreeSet<&'a str>,
) -> bool {
    let Some((group, _)) = seats.get(seat).and_then(|group| quorums.get(*group)) else { return false };
    for (person, groups) in people {
        if !groups.contains(group) || !asked.insert(person) {
            continue;
        }
        let free = match sits.get(person) {
            None => true,
            Some(other) => take(*other, seats, quorums, people, sits, asked),
        };
        if free {
            sits.insert(person, seat);
            return true;
        }
    }
    false
}
