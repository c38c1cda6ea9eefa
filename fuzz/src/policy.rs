//! Policy files: what is read decides, always the same, and never more generously when more was paid before.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use remit_domain::{
    Fiat, Offer, PayoutRequest,
    policy::{
        Decision, Facts, Initiator, MicroUsd, Past, Policy, Price, Revision, Screened, Statement, Stats, Sum, Traits,
        Verdict, When, decide, run_cases,
    },
};
use rust_decimal::Decimal;
use serde_json::json;

use crate::now;

/// The text of a policy file.
pub fn policy(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let read = Policy::read(text);
    assert_eq!(read, Policy::read(text), "read twice, two policies");
    let policy = match read {
        Ok(policy) => policy,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            let lines = text.lines().count() + 1;
            assert!(errors.iter().all(|it| (1..=lines).contains(&it.line) && !it.problem.is_empty()), "{errors:?}");
            return;
        }
    };
    assert!(toml::from_str::<toml::Table>(text).is_ok(), "a policy that is no TOML");
    assert_eq!(Policy::read(&format!("{text}\n# the end")).as_ref(), Ok(&policy), "a note changes it");
    // Another table of the same content, as another program would write it.
    let table: toml::Table = toml::from_str(text).expect("TOML");
    let rewritten = toml::to_string(&table).expect("a table is TOML");
    assert_eq!(Policy::read(&rewritten).as_ref(), Ok(&policy), "the same in other words:\n{rewritten}");
    assert!(policy.warnings().iter().all(|warning| !warning.to_string().is_empty()));
    let cases = include_str!("../../domain/src/policy/tests/golden.tests.toml");
    for case in run_cases(&policy, cases).unwrap_or_default() {
        holds_together(&policy, &case.decision);
    }

    let revision = Revision::make(1, None, text, "ana", "fuzz");
    let statement = revision.statement();
    assert_eq!(Statement::parse(&statement.text()), Ok(statement));
    for when in [When::Start, When::BeforeConfirm] {
        decides(&policy, &revision, when);
    }
}

fn decides(policy: &Policy, revision: &Revision, when: When) {
    let request = request(policy);
    let traits = Traits::of(&request, "Polygon");
    let questions = policy.questions(&traits);
    let starter = policy.starters.keys().next();
    let facts = |used: Sum| Facts {
        now: now(),
        when,
        traits: traits.clone(),
        price: Some(Price { usd: MicroUsd(1_000_000), decimals: 6, source: "fuzz".to_owned(), at: now() }),
        initiator: starter.map_or(Initiator::Unsigned, |name| Initiator::Starter { name: name.clone() }),
        screened: Screened::default(),
        offers: vec![offer()],
        sums: questions.iter().map(|_| used).collect(),
        past: past(),
    };
    let decide = |facts: &Facts| {
        let decision = decide(policy, &revision.id(), &request, facts);
        holds_together(policy, &decision);
        assert_eq!(decide(policy, &revision.id(), &request, facts), decision, "decided twice, two decisions");
        decision
    };
    let nothing_before = decide(&facts(Sum::default()));
    let little_before = decide(&facts(Sum { usd: 900_000_000, count: 2, unpriced: 0 }));
    let much_before = decide(&facts(Sum { usd: u128::MAX, count: u64::MAX, unpriced: u64::MAX }));
    assert!(strictness(&nothing_before) <= strictness(&little_before), "more was paid, more is allowed");
    assert!(strictness(&little_before) <= strictness(&much_before), "more was paid, more is allowed");

    let listed = Screened { lists: vec!["list".to_owned()], hits: vec!["a hit".to_owned()] };
    let listed = decide(&Facts { screened: listed, ..facts(Sum::default()) });
    assert!(strictness(&nothing_before) <= strictness(&listed), "on a list, and more is allowed");

    let nobody_says = decide(&Facts { price: None, ..facts(Sum::default()) });
    assert!(strictness(&nothing_before) <= strictness(&nobody_says), "no price, and more is allowed");
    assert!(nobody_says.usd.is_none());

    let unsigned = decide(&Facts { initiator: Initiator::Unsigned, ..facts(Sum::default()) });
    assert!(policy.unsigned_starts || unsigned.verdict == Verdict::Blocked, "nobody signed it");
    let unproven = Initiator::Unproven { why: "fuzz".to_owned() };
    let unproven = decide(&Facts { initiator: unproven, ..facts(Sum::default()) });
    assert_eq!(unproven.verdict, Verdict::Blocked, "its signature proves nothing");
}

/// A request that the first rule looks at, as far as that can be had.
fn request(policy: &Policy) -> PayoutRequest {
    let filter: BTreeMap<_, _> = policy.rules.first().map(|rule| rule.filter.0.clone()).unwrap_or_default();
    let named = |dimension: &str| filter.iter().find(|(it, _)| it.as_str() == dimension)?.1.first();
    let of = |country: &str, currency: &str, program: &str| {
        PayoutRequest::parse(&json!({
            "externalId": "po-000123",
            "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k",
            "asset": {"kind": "Erc20", "contract": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"},
            "amount": "1000000000",
            "program": program,
            "destination": {
                "kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                "currency": currency, "country": country, "purpose": "salary payment"
            }
        }))
    };
    let [country, currency, program] =
        [("country", "BR"), ("currency", "BRL"), ("program", "payroll")].map(|(name, usual)| {
            named(name).map(String::as_str).filter(|text| !text.is_empty()).unwrap_or(usual).to_owned()
        });
    of(&country, &currency, &program).or_else(|_| of("BR", "BRL", "payroll")).expect("a good request")
}

fn offer() -> Offer {
    Offer { receives: Fiat { amount: Decimal::from(985), currency: "BRL".to_owned() }, fees: Decimal::from(15) }
}

fn past() -> Past {
    let some = Stats { count: 30, usd: 30_000_000_000, largest: MicroUsd(1_000_000_000) };
    let long_ago: Timestamp = now() - SignedDuration::from_hours(24 * 90);
    Past {
        first_paid: Some(long_ago),
        to_counterparty: some,
        by_program: some,
        by_program_at_this_hour: 3,
        by_program_just_now: 1,
        corridor_used: true,
        same_within_a_day: vec![],
        lately_to_counterparty: vec![MicroUsd(1_000_000_000)],
    }
}

fn strictness(decision: &Decision) -> u8 {
    match decision.verdict {
        Verdict::Allowed => 0,
        Verdict::NeedsApproval => 1,
        Verdict::Blocked => 2,
    }
}

/// What is true of every decision.
fn holds_together(policy: &Policy, decision: &Decision) {
    let asks = |action: &str| decision.spoke.iter().any(|it| it.triggered && it.action == action);
    assert!(!decision.spoke.is_empty(), "nothing was looked at");
    let verdict = match (asks("block"), asks("requestApproval")) {
        (true, _) => Verdict::Blocked,
        (false, true) => Verdict::NeedsApproval,
        (false, false) => Verdict::Allowed,
    };
    assert_eq!(decision.verdict, verdict, "{decision:?}");
    assert_eq!(decision.wanted.is_empty(), verdict != Verdict::NeedsApproval, "{decision:?}");
    assert!(!policy.rules.is_empty() || verdict == Verdict::Blocked, "no rule, and not blocked");
    for wanted in &decision.wanted {
        let quorum = usize::try_from(wanted.quorum).expect("a small number");
        assert!(quorum >= 1 && quorum <= wanted.people.len(), "nobody could meet it: {wanted:?}");
    }
    let again: Decision = serde_json::from_value(json!(decision)).expect("a decision is read as it was written");
    assert_eq!(again, *decision);
}
