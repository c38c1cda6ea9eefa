//! The policies in the documents.

use super::super::{Policy, run_cases};

const READY: [(&str, &str, &str); 3] = [
    (
        "standard",
        include_str!("../../../../docs/policies/standard.toml"),
        include_str!("../../../../docs/policies/standard.tests.toml"),
    ),
    (
        "high-volume",
        include_str!("../../../../docs/policies/high-volume.toml"),
        include_str!("../../../../docs/policies/high-volume.tests.toml"),
    ),
    (
        "development",
        include_str!("../../../../docs/policies/development.toml"),
        include_str!("../../../../docs/policies/development.tests.toml"),
    ),
];

#[test]
fn every_ready_policy_reads_without_a_warning_and_decides_its_cases_as_it_says() {
    for (name, policy, cases) in READY {
        let policy = Policy::read(policy).unwrap_or_else(|errors| panic!("{name}: {errors:#?}"));
        assert_eq!(policy.name, name);
        assert_eq!(policy.warnings(), []);
        let results = run_cases(&policy, cases).unwrap_or_else(|errors| panic!("{name}: {errors:#?}"));
        assert!(results.len() >= 8, "{name} has lost its cases");
        let failed: Vec<String> = results.iter().filter(|it| !it.passed()).map(ToString::to_string).collect();
        assert!(failed.is_empty(), "{name}:\n{}", failed.join("\n"));
    }
}

#[test]
fn every_rule_of_a_ready_policy_triggers_in_one_of_its_cases_and_rests_in_another() {
    for (name, policy, cases) in READY {
        let policy = Policy::read(policy).unwrap();
        let results = run_cases(&policy, cases).unwrap();
        for rule in &policy.rules {
            for triggered in [true, false] {
                let spoke = |it: &super::super::Spoke| it.rule == rule.name && it.triggered == triggered;
                assert!(results.iter().any(|it| it.decision.spoke.iter().any(spoke)), "{name}: {}", rule.name);
            }
        }
    }
}

#[test]
fn a_case_that_is_decided_otherwise_is_told_with_its_line() {
    let (_, standard, _) = READY[0];
    let policy = Policy::read(standard).unwrap();
    let table = "# One.\n[[case]]\nname = \"mine\"\nworth = \"11_000 USD\"\nverdict = \"allowed\"\ntriggers = []\n";
    let results = run_cases(&policy, table).unwrap();
    assert!(!results[0].passed());
    assert_eq!(
        results[0].to_string(),
        "line 2: mine: expected allowed, triggered by nothing; it is blocked, triggered by (signature), large"
    );
}

#[test]
fn a_table_of_cases_is_refused_with_everything_that_is_wrong_with_it() {
    let (_, standard, _) = READY[0];
    let policy = Policy::read(standard).unwrap();
    let table = r#"[usual]
wrth = "1 USD"
[[case]]
name = "a"
verdict = "maybe"
triggers = ["larg"]
country = "br"
[[case]]
verdict = "allowed"
triggers = []
before = { large = { usd = "1 USD" } }
colour = "red"
"#;
    let errors = run_cases(&policy, table).unwrap_err();
    let told: Vec<(usize, &str)> = errors.iter().map(|error| (error.line, error.field.as_str())).collect();
    assert_eq!(
        told,
        [
            (2, "usual.wrth"),
            (5, "case \"a\".verdict"),
            (6, "case \"a\".triggers"),
            (7, "case \"a\".country"),
            (8, "case.name"),
            (11, "case \"\".before.large"),
            (12, "case \"\".colour"),
        ]
    );
    assert_eq!(run_cases(&policy, "").unwrap_err().len(), 1);
}
