//! What a policy says that nobody can have meant. It is used as it is; whoever reviews it should look twice.

use std::{collections::BTreeSet, fmt};

use super::{Action, Dimension, Kind, Policy, Rule, Sign};

/// Something in a policy that has no effect, or another one than it seems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyWarning {
    /// What it is about: `rule "large"`, `group "treasury"`.
    pub about: String,
    /// What is so.
    pub says: String,
}

impl fmt::Display for PolicyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.says)
    }
}

impl Policy {
    /// Rules that can never trigger or change nothing, and people and groups that nobody needs.
    pub fn warnings(&self) -> Vec<PolicyWarning> {
        let mut all = Vec::new();
        let mut warn = |about: String, says: &str| all.push(PolicyWarning { about, says: says.to_owned() });
        if self.rules.is_empty() {
            warn("the policy".into(), "there are no rules: every payout is blocked");
        }
        for (n, rule) in self.rules.iter().enumerate() {
            for says in self.about_rule(n, rule) {
                warn(format!("rule {:?}", rule.name), says);
            }
        }
        let wanted = self.rules.iter().flat_map(|rule| match &rule.action {
            Action::RequestApproval { approvals, .. } => approvals.as_slice(),
            Action::Block | Action::Flag => &[],
        });
        let mut used: BTreeSet<&str> = wanted.map(|(group, _)| group.as_str()).collect();
        used.extend(self.orders.groups.iter().map(String::as_str));
        for name in self.groups.keys().filter(|name| !used.contains(name.as_str())) {
            warn(format!("group {name:?}"), "no rule and no order asks for it");
        }
        for (name, person) in &self.people {
            if !self.groups.values().any(|group| group.people.contains(name)) {
                warn(format!("person {name:?}"), "is in no group");
            }
            if self.starters.iter().any(|(starter, it)| starter == name || it.key == person.key) {
                warn(format!("person {name:?}"), "is a starter too, and may not approve what they start");
            }
        }
        if self.orders.groups.is_empty() && !self.orders.unsigned {
            warn("orders".into(), "nobody may release, resolve or retry a payout");
        }
        if self.starters.is_empty() && !self.unsigned_starts {
            warn("starters".into(), "nobody may start a payout");
        }
        all
    }

    fn about_rule(&self, n: usize, rule: &Rule) -> Vec<&'static str> {
        let mut all = Vec::new();
        match (&rule.kind, &rule.action) {
            (Kind::FeeLimit { bps: Some(10_000), amount: None }, _) => {
                all.push("fees are never more than 10000 basis points: it can never trigger");
            }
            (Kind::SlippageLimit { bps: 10_000, .. }, _) => {
                all.push("nothing is short by more than 10000 basis points: it can never trigger");
            }
            (Kind::BusinessHours { days, from: 0, to: 1440, .. }, _) if days.len() == 7 => {
                all.push("it is always within these hours: it can never trigger");
            }
            (Kind::Screening, Action::Flag) => {
                all.push("a hit blocks all the same: only RequestApproval lets people decide about one");
            }
            (Kind::NewBeneficiary { .. }, Action::Block) => {
                all.push("it blocks the first payment to everybody, so nobody ever becomes known");
            }
            (Kind::Anomaly { signs }, _) if signs.contains(&Sign::JustUnderThreshold) && !self.has_amount_limits() => {
                all.push("no rule has an amount to be just under: that sign can never be seen");
            }
            _ => {}
        }
        if let Some((_, per)) = rule.kind.counts()
            && per.iter().any(|it| rule.filter.0.get(it).is_some_and(|values| values.len() == 1))
        {
            all.push("it counts apart what its filter holds to one value");
        }
        if !self.can_be_started(rule) {
            all.push("no starter may start what it looks at, and unsigned starts are blocked: it can never trigger");
        }
        let blocked_anyway = |(m, other): (usize, &Rule)| {
            m != n && always_blocks(other) && other.filter.covers(&rule.filter) && (m < n || !always_blocks(rule))
        };
        if self.rules.iter().enumerate().any(blocked_anyway) {
            all.push("another rule blocks everything it looks at: it changes nothing");
        }
        all
    }

    fn has_amount_limits(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.kind, Kind::TransactionAmountLimit { .. }))
    }

    /// Whether anybody may start a payout that this rule looks at.
    fn can_be_started(&self, rule: &Rule) -> bool {
        let Some(programs) = rule.filter.0.get(&Dimension::Program) else { return true };
        let may = |program: &String| self.starters.values().any(|starter| starter.may_start(program));
        self.unsigned_starts || self.starters.is_empty() || programs.iter().any(may)
    }
}

fn always_blocks(rule: &Rule) -> bool {
    rule.kind == Kind::AlwaysTrigger && rule.action == Action::Block
}
