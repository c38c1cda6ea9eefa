//! Decisions that stay as they are: the same policy, request and facts give the same decision for ever.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    super::{
        Decision, Facts, Initiator, MicroUsd, Policy, Price, RevisionId, Sum, Traits, Verdict, When, codes, decide,
        run_cases,
    },
    policy, with_rules,
};
use crate::PayoutRequest;

fn golden() -> Vec<(String, Decision)> {
    let policy = policy(include_str!("golden.toml"));
    let results = run_cases(&policy, include_str!("golden.tests.toml")).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let failed: Vec<String> = results.iter().filter(|it| !it.passed()).map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    results.into_iter().map(|it| (it.name, it.decision)).collect()
}

#[test]
fn every_golden_case_is_decided_as_ever() {
    let golden = golden();
    let shown: Vec<String> = golden.iter().map(|(name, decision)| shown(name, decision)).collect();
    insta::assert_snapshot!(shown.join("\n"));
    // And in full, as it is kept.
    insta::assert_json_snapshot!(golden[1].1);
}

fn shown(name: &str, decision: &Decision) -> String {
    let usd = decision.usd.map_or("worth unknown".to_owned(), |usd| usd.to_string());
    let mut text = format!("{name}: {} ({usd})\n", decision.verdict.as_str());
    for it in &decision.spoke {
        let mark = if it.triggered { '!' } else { '.' };
        text += &format!("  {mark} {} {} {}: {}\n", it.rule, it.action, it.code, it.says);
    }
    for it in &decision.wanted {
        text += &format!(
            "  ? {} {} of {} ({}) within {} s\n",
            it.rule,
            it.quorum,
            it.group,
            it.people.join(", "),
            it.timeout_seconds
        );
    }
    text
}

#[test]
fn the_codes_are_these_and_each_of_them_is_reached() {
    insta::assert_snapshot!(codes::ALL.join("\n"));
    let mut reached: BTreeSet<String> = BTreeSet::new();
    for (_, decision) in golden() {
        reached.extend(decision.spoke.into_iter().map(|it| it.code));
    }
    // These two take facts that no table can have.
    let text = with_rules(include_str!("golden.toml"));
    reached.extend(decided(&text, |facts| facts.initiator = Initiator::Unsigned).spoke.into_iter().map(|it| it.code));
    let mute = text.replace("filter.program = [\"count\"]\n", "");
    reached.extend(decided(&mute, |facts| facts.sums.clear()).spoke.into_iter().map(|it| it.code));
    let all: BTreeSet<String> = codes::ALL.iter().map(|code| (*code).to_owned()).collect();
    assert_eq!(all.len(), codes::ALL.len(), "a code stands there twice");
    assert_eq!(reached, all);
}

fn request(program: &str) -> PayoutRequest {
    let mut json = serde_json::json!({
        "externalId": "inv-1", "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k", "amount": "1000000", "program": program,
        "asset": {"kind": "Erc20", "contract": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"},
        "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                        "currency": "BRL", "country": "BR", "purpose": "other"},
    });
    if program.is_empty() {
        json.as_object_mut().unwrap().remove("program");
    }
    PayoutRequest::parse(&json).unwrap()
}

/// A dollar of the program `velocity`, decided by this policy.
fn decided(policy: &str, change: impl FnOnce(&mut Facts)) -> Decision {
    let policy = Policy::read(policy).unwrap();
    let request = request("velocity");
    let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
    let traits = Traits::of(&request, "Polygon");
    let sums = vec![Sum::default(); policy.questions(&traits).len()];
    let price = Price { usd: MicroUsd(1_000_000), decimals: 6, source: "test".into(), at: now };
    let mut facts = Facts {
        now,
        when: When::Start,
        traits,
        price: Some(price),
        initiator: super::payroll(),
        screened: Default::default(),
        offers: vec![],
        sums,
        past: Default::default(),
    };
    change(&mut facts);
    decide(&policy, &RevisionId { number: 7, hash: "h7".into() }, &request, &facts)
}

#[test]
fn a_decision_names_its_revision_and_what_the_payout_is_worth() {
    let decision = decided(&with_rules(include_str!("golden.toml")), |_| ());
    assert_eq!((decision.revision, decision.revision_hash.as_str()), (7, "h7"));
    assert_eq!((decision.usd, decision.verdict), (Some(MicroUsd(1_000_000)), Verdict::Allowed));
    let json = serde_json::to_value(&decision).unwrap();
    assert_eq!(serde_json::from_value::<Decision>(json).unwrap(), decision);
}

#[test]
fn answers_that_are_not_those_to_the_questions_trigger() {
    let text = with_rules(include_str!("golden.toml"));
    for sums in [vec![], vec![Sum::default()], vec![Sum::default(); 3]] {
        let decision = decided(&text, |facts| facts.sums = sums);
        assert_eq!(decision.verdict, Verdict::Blocked);
        assert!(decision.spoke.iter().all(|it| it.triggered && it.code == codes::VELOCITY_UNKNOWN));
    }
}

#[test]
fn what_is_said_of_a_request_beside_its_chain_changes_nothing() {
    let text = with_rules(include_str!("golden.toml"));
    let as_it_is = decided(&text, |_| ());
    let lied = decided(&text, |facts| {
        let other = request("limit");
        facts.traits = Traits::of(&other, "Polygon");
    });
    assert_eq!(as_it_is, lied);
}

#[test]
fn an_empty_policy_blocks_everything() {
    let decision = decided(&with_rules(""), |facts| facts.sums.clear());
    let spoke: Vec<(&str, &str)> = decision.spoke.iter().map(|it| (it.rule.as_str(), it.code.as_str())).collect();
    assert_eq!((decision.verdict, spoke), (Verdict::Blocked, vec![("(no rule)", codes::NO_RULE)]));
}

#[test]
fn an_unsigned_start_is_allowed_only_where_the_policy_says_so() {
    let text = with_rules(include_str!("golden.toml"));
    let unsigned = |text: &str| decided(text, |facts| facts.initiator = Initiator::Unsigned).verdict;
    assert_eq!(unsigned(&text), Verdict::Blocked);
    let lax = format!("unsigned_starts = \"allow\"\n{text}");
    assert_eq!(unsigned(&lax), Verdict::Allowed);
    let unproven = Initiator::Unproven { why: "no key".into() };
    assert_eq!(decided(&lax, |facts| facts.initiator = unproven).verdict, Verdict::Blocked);
}
