//! What is allowed in a policy and yet hardly meant.

use super::{Action, Filter, Kind, Policy, Rule};

impl Policy {
    /// What is allowed and yet hardly meant: rules that can never decide anything, people whom nothing asks, doors that
    /// stand open. In words for people; none of it keeps the policy from being used.
    pub fn warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.about_doors(&mut all);
        self.about_people(&mut all);
        self.about_rules(&mut all);
        all
    }

    fn about_doors(&self, all: &mut Vec<String>) {
        if self.unsigned_starts {
            all.push("unsigned_starts: whoever reaches Temporal can start payouts".into());
        } else if self.starters.is_empty() {
            all.push("nobody can start a payout: there are no [starters], and unsigned starts are blocked".into());
        }
        if self.orders.unsigned {
            all.push("orders.unsigned: whoever reaches Temporal can release, resolve and retry".into());
        } else if self.orders.groups.is_empty() {
            all.push("nobody can release, resolve or retry a payout: [orders] names no groups".into());
        }
    }

    fn about_people(&self, all: &mut Vec<String>) {
        let asked = |group: &String| {
            self.orders.groups.contains(group)
                || self.rules.iter().any(|rule| match &rule.action {
                    Action::RequestApproval { approvals, .. } => approvals.iter().any(|(name, _)| name == group),
                    Action::Block | Action::Flag => false,
                })
        };
        let idle = self.groups.keys().filter(|group| !asked(group));
        all.extend(idle.map(|group| format!("group {group}: no rule asks it, and it may order nothing")));
        let grouped = |person: &String| self.groups.values().any(|group| group.people.contains(person));
        let lone = self.people.keys().filter(|person| !grouped(person));
        all.extend(lone.map(|person| format!("person {person}: is in no group")));
    }

    fn about_rules(&self, all: &mut Vec<String>) {
        if self.rules.is_empty() {
            all.push("there is no rule: every payout is blocked".into());
        } else if self.rules.iter().all(|rule| !rule.filter.0.is_empty()) {
            all.push("every rule has a filter: a payout that none of them looks at is blocked".into());
        }
        for rule in &self.rules {
            if rule.kind == Kind::Screening && rule.action == Action::Flag {
                all.push(format!("rule {:?}: a hit blocks all the same; only RequestApproval changes that", rule.name));
            }
            if let Some(program) = self.unstartable(rule) {
                all.push(format!("rule {:?}: no starter may start payouts of program {program:?}", rule.name));
            }
            if let Some(first) = self.rules.iter().find(|first| first.name != rule.name && decides_before(first, rule))
            {
                all.push(format!("rule {:?}: never decides, because rule {:?} blocks before", rule.name, first.name));
            }
        }
    }

    /// A program that the rule looks at and that nobody can start.
    fn unstartable<'a>(&self, rule: &'a Rule) -> Option<&'a str> {
        if self.unsigned_starts || self.starters.is_empty() {
            return None;
        }
        let programs = rule.filter.0.get(&super::Dimension::Program)?;
        let nobodys = |program: &&String| !self.starters.values().any(|starter| starter.may_start(program));
        programs.iter().find(nobodys).map(String::as_str)
    }
}

/// Whether the first blocks whatever triggers the second.
fn decides_before(first: &Rule, second: &Rule) -> bool {
    if first.action != Action::Block || !looks_at_all_of(&first.filter, &second.filter) {
        return false;
    }
    match (&first.kind, &second.kind) {
        (Kind::AlwaysTrigger, _) => second.kind != Kind::AlwaysTrigger || second.action != Action::Block,
        (Kind::TransactionAmountLimit { limit: first }, Kind::TransactionAmountLimit { limit: second }) => {
            first <= second
        }
        _ => false,
    }
}

fn looks_at_all_of(wide: &Filter, narrow: &Filter) -> bool {
    let within = |(dimension, values): (&super::Dimension, &std::collections::BTreeSet<String>)| {
        narrow.0.get(dimension).is_some_and(|narrow| narrow.is_subset(values))
    };
    wide.0.iter().all(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"name = "p"
[people.ana]
key = "ed25519:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
[groups.treasury]
people = ["ana"]
[starters.erp]
key = "ed25519:AgIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
programs = ["payroll"]
[orders]
groups = ["treasury"]
"#;
    const LARGE: &str = r#"[[rule]]
name = "large"
kind = "TransactionAmountLimit"
limit = "100 USD"
action = "RequestApproval"
approvals = [{ group = "treasury", quorum = 1 }]
timeout = "4h"
"#;

    fn warned(text: &str) -> Vec<String> {
        Policy::read(text).expect(text).warnings()
    }

    #[test]
    fn a_policy_that_means_what_it_says_is_not_warned_about() {
        assert_eq!(warned(&format!("{HEAD}{LARGE}")), Vec::<String>::new());
    }

    #[test]
    fn open_doors_idle_people_and_rules_that_never_decide_are_told() {
        let policy = format!("{HEAD}{LARGE}");
        let rule = |fields: &str| format!("{policy}[[rule]]\nname = \"other\"\n{fields}\n");
        for (text, says) in [
            (policy.replace("\"p\"", "\"p\"\nunsigned_starts = \"allow\""), "whoever reaches Temporal can start"),
            (policy.replace("groups = [\"treasury\"]\n", "unsigned = \"allow\"\n"), "can release, resolve and retry"),
            (policy.replace("groups = [\"treasury\"]\n", ""), "nobody can release"),
            (HEAD.to_owned(), "every payout is blocked"),
            (HEAD.replace("groups = [\"treasury\"]", ""), "group treasury: no rule asks it"),
            (
                policy.replace(
                    "[groups",
                    "[people.eve]\nkey = \"ed25519:AwIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\"\n[groups",
                ),
                "person eve",
            ),
            (policy.replace("kind = \"T", "filter.program = [\"payroll\"]\nkind = \"T"), "every rule has a filter"),
            (policy.replace("kind = \"T", "filter.program = [\"refunds\"]\nkind = \"T"), "program \"refunds\""),
            (rule("kind = \"Screening\"\naction = \"Flag\""), "a hit blocks all the same"),
            (
                rule("kind = \"TransactionAmountLimit\"\nlimit = \"50 USD\"\naction = \"Block\""),
                "\"large\": never decides",
            ),
            (rule("kind = \"AlwaysTrigger\"\naction = \"Block\""), "\"large\": never decides"),
        ] {
            let all = warned(&text);
            assert!(all.iter().any(|it| it.contains(says)), "{says} is not in {all:?}");
        }
    }

    #[test]
    fn a_block_of_other_payouts_or_above_another_limit_decides_nothing_before() {
        let block = "[[rule]]\nname = \"other\"\nkind = \"TransactionAmountLimit\"\naction = \"Block\"\n";
        for more in ["limit = \"1000 USD\"\n", "limit = \"50 USD\"\nfilter.program = [\"payroll\"]\n"] {
            let all = warned(&format!("{HEAD}{LARGE}{block}{more}"));
            assert!(all.iter().all(|it| !it.contains("never decides")), "{more}: {all:?}");
        }
    }
}
