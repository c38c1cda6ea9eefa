//! Whose approval counts, and whether enough are there.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{
    super::{
        ApprovalOf, ApprovalValue, Approved, Initiator, OrderOf, Policy, Statement, Tally, Wanted, may_approve,
        may_order, tally,
    },
    key, payroll, policy, with_rules,
};

const RULE: &str = "[[rule]]\nname = \"all\"\nkind = \"AlwaysTrigger\"\naction = \"Block\"\n";

fn noon() -> Timestamp {
    "2026-11-30T12:00:00Z".parse().unwrap()
}

fn approves(by: &str, group: &str, value: ApprovalValue, change: impl FnOnce(&mut Statement)) -> Statement {
    let mut statement = Statement::Approval {
        namespace: "default".into(),
        key: "inv-1".into(),
        attempt: 2,
        digest: "d1".into(),
        revision: "r2".into(),
        group: group.into(),
        value,
        by: by.into(),
        why: "I know them".into(),
        expires: noon() + SignedDuration::from_secs(1),
    };
    change(&mut statement);
    statement
}

fn may(policy: &Policy, initiator: &Initiator, statement: &Statement) -> Result<Approved, String> {
    let revisions = BTreeSet::from(["r1".to_owned(), "r2".to_owned()]);
    let of = ApprovalOf {
        namespace: "default",
        key: "inv-1",
        attempt: 2,
        digest: "d1",
        initiator,
        revisions: &revisions,
        now: noon(),
    };
    may_approve(policy, &of, statement)
}

#[test]
fn an_approval_counts_for_exactly_what_it_is_about() {
    let policy = policy(RULE);
    let good = approves("ana", "treasury", ApprovalValue::Approve, |_| ());
    let approved = may(&policy, &payroll(), &good).unwrap();
    assert_eq!(
        (approved.person.as_str(), approved.key.as_str(), approved.group.as_str()),
        ("ana", &*key(1), "treasury")
    );
    assert_eq!(policy.person_key("ana"), Some(&*key(1)));
    type Change = fn(&mut Statement);
    let changes: [(&str, Change); 6] = [
        ("namespace", |it| {
            if let Statement::Approval { namespace, .. } = it {
                *namespace = "other".into()
            }
        }),
        ("payout", |it| {
            if let Statement::Approval { key, .. } = it {
                *key = "inv-2".into()
            }
        }),
        ("attempt", |it| {
            if let Statement::Approval { attempt, .. } = it {
                *attempt = 1
            }
        }),
        ("content", |it| {
            if let Statement::Approval { digest, .. } = it {
                *digest = "d2".into()
            }
        }),
        ("revision", |it| {
            if let Statement::Approval { revision, .. } = it {
                *revision = "r3".into()
            }
        }),
        ("counted until", |it| {
            if let Statement::Approval { expires, .. } = it {
                *expires = noon()
            }
        }),
    ];
    for (says, change) in changes {
        let why = may(&policy, &payroll(), &approves("ana", "treasury", ApprovalValue::Approve, change)).unwrap_err();
        assert!(why.contains(says), "{says}: {why}");
    }
    let start = Statement::Start {
        namespace: "default".into(),
        external_id: "inv-1".into(),
        digest: "d1".into(),
        starter: "ana".into(),
    };
    assert!(may(&policy, &payroll(), &start).is_err());
}

#[test]
fn only_who_is_in_the_group_now_approves_and_with_the_key_of_now() {
    let then = policy(RULE);
    let of_dora = approves("dora", "treasury", ApprovalValue::Approve, |_| ());
    assert!(may(&then, &payroll(), &of_dora).is_err(), "in another group");
    for (by, group) in [("eve", "treasury"), ("ana", "board"), ("payroll", "treasury"), ("", "")] {
        assert!(may(&then, &payroll(), &approves(by, group, ApprovalValue::Approve, |_| ())).is_err(), "{by} {group}");
    }
    let of_ana = approves("ana", "treasury", ApprovalValue::Approve, |_| ());
    let renewed = Policy::read(&with_rules(RULE).replace(&key(1), &key(99))).unwrap();
    assert_eq!(may(&renewed, &payroll(), &of_ana).unwrap().key, key(99), "what the old key signed does not verify");
    let left = with_rules(RULE).replace("[\"ana\", \"ben\", \"cleo\"]", "[\"ben\", \"cleo\"]");
    assert!(may(&Policy::read(&left).unwrap(), &payroll(), &of_ana).is_err());
}

#[test]
fn who_started_a_payout_may_deny_it_and_not_approve_it() {
    let policy = policy(RULE);
    let cleo = |value| approves("cleo", "treasury", value, |_| ());
    let by_key = Initiator::Starter { name: "cleos".into() };
    let by_name = Initiator::Starter { name: "cleo".into() };
    for initiator in [&by_key, &by_name] {
        assert!(may(&policy, initiator, &cleo(ApprovalValue::Approve)).is_err());
        assert!(may(&policy, initiator, &cleo(ApprovalValue::Deny)).is_ok());
    }
    assert!(may(&policy, &payroll(), &cleo(ApprovalValue::Approve)).is_ok());
    assert!(may(&policy, &Initiator::Unsigned, &cleo(ApprovalValue::Approve)).is_ok());
}

#[test]
fn a_no_stays_a_no_when_it_is_old() {
    let expired = |value| {
        approves("ana", "treasury", value, |it| {
            if let Statement::Approval { expires, .. } = it {
                *expires = Timestamp::UNIX_EPOCH;
            }
        })
    };
    let policy = policy(RULE);
    assert!(may(&policy, &payroll(), &expired(ApprovalValue::Approve)).is_err());
    assert!(may(&policy, &payroll(), &expired(ApprovalValue::Deny)).is_ok());
}

#[test]
fn an_order_is_carried_out_exactly_as_signed_by_somebody_who_may() {
    let policy = policy(RULE);
    let of = OrderOf {
        namespace: "default",
        key: "inv-1",
        order: "resolve",
        what: "goOn",
        by: "dora",
        why: "seen",
        now: noon(),
    };
    let signed = |of: &OrderOf<'_>, expires: Timestamp| Statement::Order {
        namespace: of.namespace.into(),
        key: of.key.into(),
        order: of.order.into(),
        what: of.what.into(),
        by: of.by.into(),
        why: of.why.into(),
        expires,
    };
    let later = noon() + SignedDuration::from_secs(1);
    assert_eq!(may_order(&policy, &of, &signed(&of, later)), Ok(key(4)));
    assert!(may_order(&policy, &of, &signed(&of, noon())).is_err(), "expired");
    let hour = noon() + SignedDuration::from_hours(1);
    assert_eq!(may_order(&policy, &of, &signed(&of, hour)), Ok(key(4)));
    let longer = hour + SignedDuration::from_secs(1);
    assert!(may_order(&policy, &of, &signed(&of, longer)).is_err(), "it could be given again for too long");
    for other in [
        OrderOf { namespace: "other", ..of },
        OrderOf { key: "inv-2", ..of },
        OrderOf { order: "release", ..of },
        OrderOf { what: "giveUp notSent", ..of },
        OrderOf { by: "ben", ..of },
        OrderOf { why: "unseen", ..of },
    ] {
        assert!(may_order(&policy, &of, &signed(&other, later)).is_err(), "{other:?}");
    }
    let ana = OrderOf { by: "ana", ..of };
    assert!(may_order(&policy, &ana, &signed(&ana, later)).is_err(), "in no group that may");
    assert!(may_order(&policy, &of, &approves("dora", "compliance", ApprovalValue::Approve, |_| ())).is_err());
}

fn wants(group: &str, quorum: u32) -> Wanted {
    Wanted { rule: format!("{group}-{quorum}"), group: group.into(), quorum, people: vec![], timeout_seconds: 60 }
}

fn by(person: &str, group: &str) -> Approved {
    let value = ApprovalValue::Approve;
    Approved { person: person.into(), key: String::new(), group: group.into(), value, why: "why".into() }
}

fn missing(wanted: &[Wanted], approved: &[Approved]) -> Vec<(String, u32, usize)> {
    match tally(wanted, approved) {
        Tally::Missing(all) => all.into_iter().map(|it| (it.group, it.quorum, it.have.len())).collect(),
        other @ (Tally::Met | Tally::Denied { .. }) => panic!("{other:?}"),
    }
}

#[test]
fn nobody_counts_twice() {
    let two = [wants("treasury", 2)];
    assert_eq!(missing(&two, &[by("ana", "treasury"), by("ana", "treasury")]), [("treasury".into(), 2, 1)]);
    assert_eq!(tally(&two, &[by("ana", "treasury"), by("ben", "treasury")]), Tally::Met);
    // Ben is in both groups, and sits in one of them.
    let both = [wants("treasury", 1), wants("compliance", 1)];
    assert_eq!(missing(&both, &[by("ben", "treasury"), by("ben", "compliance")]), [("compliance".into(), 1, 0)]);
    // Wherever he helps most.
    let all = [by("ben", "treasury"), by("ben", "compliance"), by("cleo", "treasury")];
    assert_eq!(tally(&both, &all), Tally::Met);
    let all = [by("ana", "treasury"), by("ben", "treasury"), by("ben", "compliance")];
    assert_eq!(tally(&[wants("treasury", 2), wants("compliance", 1)], &all).clone(), {
        Tally::Missing(vec![super::super::Missing { group: "compliance".into(), quorum: 1, have: vec![] }])
    });
}

#[test]
fn one_denial_of_a_group_that_is_asked_denies() {
    let deny = |person: &str, group: &str| Approved { value: ApprovalValue::Deny, ..by(person, group) };
    let wanted = [wants("treasury", 1)];
    let denied = Tally::Denied { by: "cleo".into(), why: "why".into() };
    assert_eq!(tally(&wanted, &[by("ana", "treasury"), deny("cleo", "treasury")]), denied);
    assert_eq!(tally(&wanted, &[by("ana", "treasury"), deny("dora", "compliance")]), Tally::Met, "nobody asked");
    assert_eq!(tally(&wanted, &[by("ana", "treasury"), by("cleo", "treasury"), deny("cleo", "treasury")]), denied);
}

#[test]
fn rules_that_want_the_same_group_are_met_by_the_largest_quorum() {
    let wanted = [wants("treasury", 1), wants("treasury", 2)];
    assert_eq!(missing(&wanted, &[by("ana", "treasury")]), [("treasury".into(), 2, 1)]);
    assert_eq!(tally(&wanted, &[by("ana", "treasury"), by("ben", "treasury")]), Tally::Met);
    assert_eq!(tally(&[], &[]), Tally::Met);
    assert_eq!(missing(&[wants("treasury", 0)], &[]), [("treasury".into(), 1, 0)], "a quorum of none is one");
    assert_eq!(missing(&[wants("treasury", u32::MAX)], &[by("ana", "treasury")]), [("treasury".into(), u32::MAX, 1)]);
}

/// Whether some way of giving each person to one group meets every quorum: all ways are tried.
fn met_somehow(quorums: &[(usize, u32)], people: &[Vec<usize>]) -> bool {
    match people.split_first() {
        None => quorums.iter().all(|(_, quorum)| *quorum == 0),
        Some((groups, rest)) => {
            met_somehow(quorums, rest)
                || groups.iter().any(|group| {
                    let less = |(g, quorum): &(usize, u32)| (*g, quorum.saturating_sub(u32::from(g == group)));
                    met_somehow(&quorums.iter().map(less).collect::<Vec<_>>(), rest)
                })
        }
    }
}

proptest! {
    #[test]
    fn a_tally_is_met_exactly_when_different_people_can_fill_every_quorum(
        quorums in proptest::collection::vec((0usize..3, 1u32..3), 1..4),
        signed in proptest::collection::vec((0usize..5, 0usize..3), 0..9),
        shuffled in any::<proptest::sample::Index>(),
    ) {
        let name = |n: usize| ["treasury", "compliance", "board"][n];
        let wanted: Vec<Wanted> = quorums.iter().map(|(group, quorum)| wants(name(*group), *quorum)).collect();
        let mut approved: Vec<Approved> =
            signed.iter().map(|(person, group)| by(&format!("p{person}"), name(*group))).collect();
        let said = tally(&wanted, &approved);
        let mut largest: BTreeMap<usize, u32> = BTreeMap::new();
        for (group, quorum) in &quorums {
            let known = largest.entry(*group).or_default();
            *known = (*known).max(*quorum);
        }
        let people: Vec<Vec<usize>> =
            (0..5).map(|n| signed.iter().filter(|(p, _)| *p == n).map(|(_, group)| *group).collect()).collect();
        let quorums: Vec<(usize, u32)> = largest.into_iter().collect();
        prop_assert_eq!(said == Tally::Met, met_somehow(&quorums, &people));
        if let Tally::Missing(missing) = &said {
            let all: Vec<&String> = missing.iter().flat_map(|it| &it.have).collect();
            prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "somebody counts twice");
        }
        // In whatever order they came, and however often.
        if !approved.is_empty() {
            let at = shuffled.index(approved.len());
            approved.rotate_left(at);
            approved.push(approved[0].clone());
            prop_assert_eq!(&tally(&wanted, &approved), &said);
            // One more never takes anything away; one denial takes all.
            approved.push(by("p9", name(0)));
            prop_assert!(said != Tally::Met || tally(&wanted, &approved) == Tally::Met);
            approved.push(Approved { value: ApprovalValue::Deny, ..by("p9", &wanted[0].group) });
            let denied = matches!(tally(&wanted, &approved), Tally::Denied { .. });
            prop_assert!(denied);
        }
    }
}
