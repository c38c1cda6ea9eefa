//! What a table of cases takes as usual, and when a case has passed.

use super::{
    super::{CaseResult, Policy, run_cases},
    policy,
};

const GOLDEN: &str = include_str!("golden.toml");

fn one(policy: &Policy, case: &str) -> CaseResult {
    let results = run_cases(policy, &format!("[[case]]\nname = \"one\"\nstarter = \"payroll\"\n{case}"));
    results.unwrap_or_else(|errors| panic!("{errors:#?}")).remove(0)
}

#[test]
fn a_case_passes_only_if_both_the_verdict_and_the_rules_are_the_expected_ones() {
    let golden = policy(GOLDEN);
    let passed = |expected: &str| one(&golden, &format!("program = \"odd\"\n{expected}")).passed();
    assert!(passed("verdict = \"allowed\"\ntriggers = []"));
    assert!(!passed("verdict = \"blocked\"\ntriggers = []"));
    assert!(!passed("verdict = \"allowed\"\ntriggers = [\"odd\"]"));
}

#[test]
fn a_counterparty_was_first_paid_ninety_days_ago_unless_a_case_says_otherwise() {
    for (cooling_off, expected) in [("90d", "verdict = \"allowed\"\ntriggers = []"), ("91d", NEW)] {
        let policy = policy(&GOLDEN.replace("cooling_off = \"3d\"", &format!("cooling_off = \"{cooling_off}\"")));
        let result = one(&policy, &format!("program = \"new\"\n{expected}"));
        assert!(result.passed(), "{cooling_off}: {result}");
    }
}

const NEW: &str = "verdict = \"needsApproval\"\ntriggers = [\"new\"]";

#[test]
fn two_rules_that_count_the_same_are_given_the_same() {
    let twice = "[[rule]]\nname = \"another\"\nfilter.program = [\"velocity\"]\nkind = \"TransactionCountVelocity\"\n\
                 limit = 100\nwindow = \"24h\"\naction = \"Flag\"\n";
    let policy = policy(&format!("{GOLDEN}\n{twice}"));
    let case = |count: u32| {
        format!(
            "program = \"velocity\"\nverdict = \"allowed\"\ntriggers = []\n\
             before = {{ a-day = {{ usd = \"1 USD\", count = 1 }}, another = {{ usd = \"1 USD\", count = {count} }} }}"
        )
    };
    assert!(one(&policy, &case(1)).passed());
    let errors =
        run_cases(&policy, &format!("[[case]]\nname = \"one\"\n{}", case(2))).expect_err("one of them is wrong");
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!(errors[0].field, "case \"one\".before.another");
}
