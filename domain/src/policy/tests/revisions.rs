//! Which policy is in force.

use super::{
    super::{Publishers, Revision, RevisionProblem, RevisionSignature, active, not_rolled_back},
    with_rules,
};

/// A signature is the key and the text: nobody can make one without both.
fn verified(key: &str, text: &str, signature: &str) -> bool {
    signature == format!("{key} over {text}")
}

fn publishers(quorum: u32) -> Publishers {
    let keys = ["ana", "ben", "cleo"].map(|name| (name.to_owned(), format!("key of {name}")));
    Publishers { keys: keys.into(), quorum, at_least: 0 }
}

fn content(n: u32) -> String {
    let rule = "[[rule]]\nname = \"all\"\nkind = \"TransactionAmountLimit\"\naction = \"Block\"\n";
    with_rules(&format!("{rule}limit = \"{n} USD\"\n"))
}

fn signed(mut revision: Revision, by: &[&str]) -> Revision {
    for publisher in by {
        let signature = format!("key of {publisher} over {}", revision.statement().text());
        revision.signatures.push(RevisionSignature { publisher: (*publisher).to_owned(), signature });
    }
    revision
}

fn next(after: Option<&Revision>, by: &[&str]) -> Revision {
    let number = after.map_or(1, |it| it.number + 1);
    signed(Revision::make(number, after.map(|it| it.hash.clone()), &content(number), "ana", "a change"), by)
}

/// Three revisions, each signed by ana and ben.
fn chain() -> Vec<Revision> {
    let mut all: Vec<Revision> = Vec::new();
    for _ in 0..3 {
        let revision = next(all.last(), &["ana", "ben"]);
        all.push(revision);
    }
    all
}

fn in_force(chain: &[Revision], quorum: u32) -> Result<Option<u32>, RevisionProblem> {
    active(chain, &publishers(quorum), &verified).map(|it| it.map(|it| it.number))
}

#[test]
fn the_newest_signed_revision_is_in_force() {
    assert_eq!(in_force(&[], 2), Ok(None));
    assert_eq!(in_force(&chain(), 2), Ok(Some(3)));
    assert_eq!(in_force(&chain()[..1], 1), Ok(Some(1)));
    // Zero of them is nobody's word.
    assert_eq!(in_force(&[next(None, &[])], 0), Ok(None));
    assert_eq!(in_force(&[next(None, &["ana"])], 0), Ok(Some(1)));
}

#[test]
fn a_newest_revision_that_lacks_signatures_waits_for_them() {
    let mut all = chain();
    all.push(next(all.last(), &["ana"]));
    assert_eq!(in_force(&all, 2), Ok(Some(3)));
    assert_eq!(in_force(&[next(None, &[])], 2), Ok(None));
    all[3] = signed(all[3].clone(), &["cleo"]);
    assert_eq!(in_force(&all, 2), Ok(Some(4)));
}

#[test]
fn a_quorum_takes_different_publishers_known_here_who_signed_exactly_this() {
    let one = |by: &[&str]| in_force(&[next(None, by)], 2);
    assert_eq!(one(&["ana", "ana"]), Ok(None), "the same twice");
    assert_eq!(one(&["ana", "eve"]), Ok(None), "a stranger");
    let mut forged = next(None, &["ana"]);
    forged.signatures.push(RevisionSignature { publisher: "ben".into(), ..forged.signatures[0].clone() });
    assert_eq!(in_force(&[forged], 2), Ok(None), "ana's signature under ben's name");
    let mut two_names = publishers(2);
    two_names.keys.insert("anna".into(), "key of ana".into());
    let mut revision = next(None, &["ana"]);
    revision.signatures.push(RevisionSignature { publisher: "anna".into(), ..revision.signatures[0].clone() });
    assert_eq!(active(&[revision], &two_names, &verified), Ok(None), "one key under two names");
    // Signatures of the revision before do not count for the next.
    let all = chain();
    let mut moved = next(Some(&all[0]), &[]);
    moved.signatures = all[0].signatures.clone();
    assert_eq!(in_force(&[all[0].clone(), moved], 2), Ok(Some(1)));
}

#[test]
fn what_is_wrong_with_a_chain_makes_all_of_it_untrusted() {
    let all = chain();
    let with = |change: &dyn Fn(&mut Vec<Revision>)| {
        let mut all = all.clone();
        change(&mut all);
        in_force(&all, 2).unwrap_err()
    };
    assert_eq!(with(&|all| drop(all.remove(1))), RevisionProblem::Gap { number: 2 });
    assert_eq!(with(&|all| drop(all.remove(0))), RevisionProblem::Gap { number: 1 });
    assert_eq!(with(&|all| all.swap(1, 2)), RevisionProblem::Gap { number: 2 });
    assert_eq!(with(&|all| all[1] = all[0].clone()), RevisionProblem::Gap { number: 2 });
    assert_eq!(with(&|all| all[1].content = content(9)), RevisionProblem::Altered { number: 2 });
    assert_eq!(with(&|all| all[2].note = "another".into()), RevisionProblem::Altered { number: 3 });
    assert_eq!(with(&|all| all[0].author = "eve".into()), RevisionProblem::Altered { number: 1 });
    assert_eq!(with(&|all| all[2].hash = all[1].hash.clone()), RevisionProblem::Altered { number: 3 });
    // Well made and well signed, but after another first revision.
    let fork =
        next(Some(&signed(Revision::make(1, None, &content(7), "eve", "mine"), &["ana", "ben"])), &["ana", "ben"]);
    assert_eq!(with(&|all| all[1] = fork.clone()), RevisionProblem::Forked { number: 2 });
    let rootless = signed(Revision::make(1, Some("h0".into()), &content(1), "ana", ""), &["ana", "ben"]);
    assert_eq!(with(&|all| all[0] = rootless.clone()), RevisionProblem::Forked { number: 1 });
    let first_again = signed(Revision::make(2, None, &content(2), "ana", ""), &["ana", "ben"]);
    assert_eq!(with(&|all| all[1] = first_again.clone()), RevisionProblem::Forked { number: 2 });
    assert_eq!(with(&|all| all[1].signatures.clear()), RevisionProblem::Unsigned { number: 2 });
    assert_eq!(with(&|all| drop(all[0].signatures.pop())), RevisionProblem::Unsigned { number: 1 });
}

#[test]
fn a_signed_revision_that_is_no_policy_stops_everything_until_a_good_one_follows() {
    let all = chain();
    let broken = signed(Revision::make(4, Some(all[2].hash.clone()), "name = 1", "ana", ""), &["ana", "ben"]);
    let mut all = [all, vec![broken.clone()]].concat();
    let problem = in_force(&all, 2).expect_err("no policy");
    assert!(matches!(problem, RevisionProblem::Unreadable { number: 4, .. }), "{problem:?}");
    assert!(problem.to_string().starts_with("revision 4 is in force and no policy: "), "{problem}");
    all.push(signed(Revision::make(5, Some(broken.hash), &content(5), "ana", ""), &["ana", "ben"]));
    assert_eq!(in_force(&all, 2), Ok(Some(5)));
}

#[test]
fn records_that_went_back_behind_what_was_seen_are_found() {
    let all = chain();
    let at_least = |number: u32, all: &[Revision]| {
        let publishers = Publishers { at_least: number, ..publishers(2) };
        active(all, &publishers, &verified).map(|revision| revision.map(|it| it.number))
    };
    assert_eq!(at_least(3, &all), Ok(Some(3)));
    assert_eq!(at_least(3, &all[..2]), Err(RevisionProblem::RolledBack { number: 3 }));
    assert_eq!(at_least(1, &[]), Err(RevisionProblem::RolledBack { number: 1 }), "nothing at all is left");
    let back = |all: &[Revision], seen: &Revision| {
        not_rolled_back(all, active(all, &publishers(2), &verified).unwrap(), &seen.id()).is_err()
    };
    assert!(!back(&all, &all[0]) && !back(&all, &all[2]));
    assert!(back(&all[..2], &all[2]), "the newest is gone");
    let other = next(Some(&all[1]), &["ana", "cleo"]);
    let other = signed(Revision { signatures: vec![], ..other }, &["ana", "ben"]);
    assert_eq!(other.hash, all[2].hash, "signatures are no part of a revision");
    let another = signed(Revision::make(3, Some(all[1].hash.clone()), &content(8), "ana", ""), &["ana", "ben"]);
    assert!(back(&[all[0].clone(), all[1].clone(), another], &all[2]), "another stands in its place");
    let mut unsigned = all.clone();
    unsigned[2].signatures.clear();
    assert!(back(&unsigned, &all[2]), "its signatures are gone");
}
