//! Our policy in Dfns's words: the part of it that Dfns's own policies can say, as a second wall in custody.
//!
//! There, a policy looks at wallets alone, counts each wallet by itself, and lets through what none of them looks at.
//! So much of ours cannot be said, and each such rule is named with its reason. Ours are known by their names; others
//! are never touched. Source: Dfns docs and OpenAPI 2.0.155, `/v2/policies`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use remit_dfns::{
    Action as DfnsAction, ActionKind, ActivityKind, ApprovalGroup, Approvers, Policy as DfnsPolicy, PolicyBody,
    Rule as PolicyRule, RuleKind, UserList,
};
use remit_domain::policy::{Action, Dimension, Group, Kind, MicroUsd, Policy, Rule};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json};

/// What the names of our policies at Dfns begin with.
pub const PREFIX: &str = "remit: ";
/// A confirmed payout expires after four hours; an approval that is asked for longer could still let its transfer go.
/// Source: Dfns guide "Process payouts via API".
pub const LONGEST_MINUTES: u32 = 239;
/// 30 days.
const LONGEST_WINDOW_MINUTES: u32 = 43_200;

/// A policy, as far as Dfns can say it.
#[derive(Clone, Debug, Default)]
pub struct Custody {
    /// What there should be at Dfns, in the order of the file.
    pub policies: Vec<PolicyBody>,
    /// Rules that Dfns cannot say, each with the reason.
    pub not_said: Vec<NotSaid>,
}

/// A rule that Dfns cannot say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotSaid {
    /// The rule's name.
    pub rule: String,
    /// Why, and what would help where something would.
    pub why: String,
}

impl Custody {
    /// What of a policy Dfns can say. `wallets` are those that rules without a filter by wallet look at; none: all of the
    /// organisation. `payer` is the account that pays, which must not approve.
    pub fn of(policy: &Policy, wallets: &BTreeSet<String>, payer: Option<&str>) -> Self {
        let mut custody = Self::default();
        for rule in &policy.rules {
            match (Translation { policy, wallets, payer }).body(rule) {
                Ok(body) => custody.policies.push(body),
                Err(why) => custody.not_said.push(NotSaid { rule: rule.name.clone(), why }),
            }
        }
        custody
    }
}

struct Translation<'a> {
    policy: &'a Policy,
    wallets: &'a BTreeSet<String>,
    payer: Option<&'a str>,
}

impl Translation<'_> {
    fn body(&self, rule: &Rule) -> Result<PolicyBody, String> {
        let others: Vec<&str> =
            rule.filter.0.keys().filter(|it| **it != Dimension::Wallet).map(|it| it.as_str()).collect();
        if !others.is_empty() {
            return Err(format!("it looks at {}, and policies at Dfns know wallets alone", others.join(", ")));
        }
        let named = rule.filter.0.get(&Dimension::Wallet);
        let wallets = named.unwrap_or(self.wallets);
        Ok(PolicyBody {
            name: format!("{PREFIX}{}", rule.name),
            activity_kind: ActivityKind::WalletsSign,
            rule: dfns_rule(&rule.kind, named)?,
            action: self.action(&rule.action)?,
            filters: (!wallets.is_empty()).then(|| json!({"walletId": {"in": wallets}})),
        })
    }

    fn action(&self, action: &Action) -> Result<DfnsAction, String> {
        match action {
            Action::Block => Ok(DfnsAction::block()),
            Action::Flag => Err("Dfns either stops a transfer or lets it go".to_owned()),
            Action::RequestApproval { approvals, timeout_seconds } => {
                let groups = approvals.iter().map(|(name, quorum)| self.group(name, *quorum));
                let minutes = timeout_seconds.div_ceil(60).clamp(1, LONGEST_MINUTES);
                Ok(DfnsAction::request_approval(groups.collect::<Result<_, _>>()?, Some(minutes)))
            }
        }
    }

    fn group(&self, name: &str, quorum: u32) -> Result<ApprovalGroup, String> {
        let empty = Group { people: BTreeSet::new() };
        let people = &self.policy.groups.get(name).unwrap_or(&empty).people;
        let user = |person: &String| self.policy.people.get(person).and_then(|it| it.dfns_user.clone());
        let unknown: Vec<&str> = people.iter().filter(|it| user(it).is_none()).map(String::as_str).collect();
        if !unknown.is_empty() {
            return Err(format!("who is {} of group {name} at Dfns? Say so with dfns_user", unknown.join(", ")));
        }
        let users: BTreeSet<String> = people.iter().filter_map(user).collect();
        if users.len() != people.len() {
            return Err(format!("two people of group {name} are one user at Dfns"));
        }
        if let Some(payer) = self.payer.filter(|payer| users.contains(*payer)) {
            return Err(format!("group {name} names {payer}, the account that pays: it must not approve as well"));
        }
        Ok(ApprovalGroup {
            name: Some(name.to_owned()),
            quorum,
            approvers: Approvers { user_id: Some(UserList { any_of: users.into_iter().collect() }) },
            initiator_can_approve: Some(false),
            service_accounts_can_approve: Some(false),
        })
    }
}

/// `named`: the wallets that the rule itself names.
fn dfns_rule(kind: &Kind, named: Option<&BTreeSet<String>>) -> Result<PolicyRule, String> {
    // Dfns counts each wallet by itself.
    let each_by_itself = |per: &BTreeSet<Dimension>| {
        let one = named.is_some_and(|wallets| wallets.len() == 1);
        let others: Vec<&str> = per.iter().filter(|it| **it != Dimension::Wallet).map(|it| it.as_str()).collect();
        match (others.is_empty(), per.is_empty()) {
            (false, _) => Err(format!("it counts by {}, and Dfns counts by wallet alone", others.join(", "))),
            (true, true) if !one => Err("it counts several wallets together, and Dfns each by itself: a rule with \
                                         per = [\"wallet\"] can be said there"
                .to_owned()),
            (true, _) => Ok(()),
        }
    };
    match kind {
        Kind::AlwaysTrigger => Ok(PolicyRule::always()),
        Kind::TransactionAmountLimit { limit } => Ok(PolicyRule::amount_limit(usd(*limit))),
        Kind::TransactionAmountVelocity { limit, window_seconds, per } => {
            each_by_itself(per)?;
            Ok(PolicyRule::amount_velocity(usd(*limit), minutes(*window_seconds)?))
        }
        Kind::TransactionCountVelocity { limit, window_seconds, per } => {
            each_by_itself(per)?;
            let limit = u32::try_from(*limit).map_err(|_| format!("a limit of {limit} is beyond what Dfns counts"))?;
            Ok(PolicyRule::count_velocity(limit, minutes(*window_seconds)?))
        }
        Kind::TransactionRecipientWhitelist { .. } => {
            Err("ours are bank accounts; at Dfns the recipient is a deposit address, new for each payout".to_owned())
        }
        Kind::NewBeneficiary { .. }
        | Kind::FeeLimit { .. }
        | Kind::SlippageLimit { .. }
        | Kind::BusinessHours { .. }
        | Kind::Screening
        | Kind::Anomaly { .. } => Err("Dfns has no such rule".to_owned()),
    }
}

fn usd(limit: MicroUsd) -> Decimal {
    Decimal::from_i128_with_scale(limit.0.into(), 6).normalize()
}

fn minutes(seconds: u32) -> Result<u32, String> {
    let minutes = seconds / 60;
    if !seconds.is_multiple_of(60) || !(1..=LONGEST_WINDOW_MINUTES).contains(&minutes) {
        return Err("Dfns counts in whole minutes, 30 days at most".to_owned());
    }
    Ok(minutes)
}

/// What has to be done at Dfns for one policy.
#[derive(Clone, Debug)]
pub enum Change {
    /// It is not there.
    Create {
        /// As it should be.
        body: PolicyBody,
    },
    /// It is there, and says something else.
    Replace {
        /// As it is.
        before: Box<DfnsPolicy>,
        /// As it should be.
        body: PolicyBody,
    },
    /// It is as it should be.
    Keep {
        /// As it is.
        policy: Box<DfnsPolicy>,
    },
    /// Nothing asks for it any more.
    Archive {
        /// As it is.
        before: Box<DfnsPolicy>,
    },
}

/// What has to be done, walls that go up before those that come down. `there`: the policies that are active at Dfns.
pub fn changes(custody: &Custody, there: &[DfnsPolicy]) -> Vec<Change> {
    let mut ours: BTreeMap<&str, Vec<&DfnsPolicy>> = BTreeMap::new();
    for policy in there.iter().filter(|policy| policy.name.starts_with(PREFIX)) {
        ours.entry(&policy.name).or_default().push(policy);
    }
    let mut changes: Vec<Change> = Vec::new();
    for body in &custody.policies {
        // Several of one name: an answer to a create was lost once. One stays.
        let same = ours.get_mut(body.name.as_str()).filter(|same| !same.is_empty()).map(|same| {
            let good = same.iter().position(|policy| says(policy, body)).unwrap_or_default();
            same.remove(good).clone()
        });
        changes.push(match same {
            None => Change::Create { body: body.clone() },
            Some(policy) if says(&policy, body) => Change::Keep { policy: Box::new(policy) },
            Some(before) => Change::Replace { before: Box::new(before), body: body.clone() },
        });
    }
    let left = ours.into_values().flatten();
    changes.extend(left.map(|policy| Change::Archive { before: Box::new(policy.clone()) }));
    changes
}

/// Whether a policy at Dfns says exactly this.
pub fn says(policy: &DfnsPolicy, body: &PolicyBody) -> bool {
    let there = json!([policy.activity_kind, policy.rule, policy.action, policy.filters]);
    let wanted = json!([body.activity_kind, body.rule, body.action, body.filters]);
    policy.name == body.name && canonical(there) == canonical(wanted)
}

/// The same for all ways to write the same: lists without order, numbers by their worth, what is left out like what is
/// said to be none.
fn canonical(value: Value) -> Value {
    match value {
        Value::Number(number) => {
            let text = number.to_string();
            let number = text.parse::<Decimal>().or_else(|_| Decimal::from_scientific(&text));
            Value::String(number.map_or(text, |number| number.normalize().to_string()))
        }
        Value::Array(values) => {
            let mut values: Vec<Value> = values.into_iter().map(canonical).collect();
            values.sort_by_key(Value::to_string);
            Value::Array(values)
        }
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, canonical(value)));
            Value::Object(fields.filter(|(_, value)| !is_none(value)).collect())
        }
        other @ (Value::Null | Value::Bool(_) | Value::String(_)) => other,
    }
}

fn is_none(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    }
}

/// What a policy does, for people: `above 10000 USD: approval of 2 of treasury within 239 min; all wallets`.
pub struct Says<'a> {
    rule: &'a PolicyRule,
    action: &'a DfnsAction,
    filters: Option<&'a Value>,
}

impl<'a> From<&'a PolicyBody> for Says<'a> {
    fn from(body: &'a PolicyBody) -> Self {
        Self { rule: &body.rule, action: &body.action, filters: body.filters.as_ref() }
    }
}

impl<'a> From<&'a DfnsPolicy> for Says<'a> {
    fn from(policy: &'a DfnsPolicy) -> Self {
        Self { rule: &policy.rule, action: &policy.action, filters: policy.filters.as_ref() }
    }
}

impl fmt::Display for Says<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures: Value =
            self.rule.configuration.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let figure = |name: &str| match &figures[name] {
            Value::String(text) => text.clone(),
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                other.to_string()
            }
        };
        match self.rule.kind {
            RuleKind::AlwaysTrigger => f.write_str("always")?,
            RuleKind::TransactionAmountLimit => write!(f, "above {} {}", figure("limit"), figure("currency"))?,
            RuleKind::TransactionAmountVelocity => {
                let (limit, currency, minutes) = (figure("limit"), figure("currency"), figure("timeframe"));
                write!(f, "above {limit} {currency} in {minutes} min, each wallet by itself")?;
            }
            RuleKind::TransactionCountVelocity => {
                let (limit, minutes) = (figure("limit"), figure("timeframe"));
                write!(f, "more than {limit} in {minutes} min, each wallet by itself")?;
            }
            RuleKind::TransactionAmountLimitNominal
            | RuleKind::TransactionRecipientWhitelist
            | RuleKind::ChainalysisTransactionPrescreening
            | RuleKind::ChainalysisTransactionScreening
            | RuleKind::ChainalysisQuarantineScreening
            | RuleKind::GlobalLedgerTransactionPrescreening
            | RuleKind::TravelRuleTransactionPrescreening
            | RuleKind::Unknown(_) => write!(f, "{} {figures}", self.rule.kind)?,
        }
        match self.action.kind {
            ActionKind::Block => f.write_str(": blocked")?,
            ActionKind::RequestApproval => {
                let groups: Vec<String> = self.action.approval_groups.iter().map(group).collect();
                write!(f, ": approval of {}", groups.join(" and "))?;
                match self.action.auto_reject_timeout {
                    Some(minutes) => write!(f, " within {minutes} min")?,
                    None => f.write_str(" without a limit of time")?,
                }
            }
            ActionKind::NoAction | ActionKind::Unknown(_) => write!(f, ": {}", self.action.kind)?,
        }
        match self.filters.map(|filters| canonical(filters.clone())).filter(|filters| !is_none(filters)) {
            None => f.write_str("; all wallets"),
            Some(filters) => match filters["walletId"]["in"].as_array() {
                Some(wallets) if filters.as_object().is_some_and(|it| it.len() == 1) => {
                    let wallets: Vec<&str> = wallets.iter().filter_map(Value::as_str).collect();
                    write!(f, "; {}", wallets.join(", "))
                }
                Some(_) | None => write!(f, "; {filters}"),
            },
        }
    }
}

fn group(group: &ApprovalGroup) -> String {
    let name = group.name.as_deref().unwrap_or("a group");
    let users = group.approvers.user_id.as_ref().map_or("anybody".to_owned(), |users| users.any_of.join(", "));
    format!("{} of {name} ({users})", group.quorum)
}

/// Something at Dfns that takes away what a policy should give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// The account that pays may approve its own transfers.
    PayerApproves {
        /// Which policy lets it.
        policy: String,
    },
    /// An approval may come after the payout behind it has expired: the tokens would go all the same.
    NoTimeout {
        /// Which policy.
        policy: String,
        /// After how many minutes it gives up, where it does.
        minutes: Option<u32>,
    },
}

/// What is weak about the policies that are active at Dfns, as far as transfers go.
pub fn weaknesses(there: &[DfnsPolicy], payer: &str) -> Vec<Weakness> {
    let mut found = Vec::new();
    for policy in there.iter().filter(|it| it.action.kind == ActionKind::RequestApproval) {
        let names = |group: &ApprovalGroup| {
            group.approvers.user_id.as_ref().is_some_and(|users| users.any_of.iter().any(|user| user == payer))
        };
        if policy.action.approval_groups.iter().any(names) {
            found.push(Weakness::PayerApproves { policy: policy.name.clone() });
        }
        let minutes = policy.action.auto_reject_timeout;
        if policy.activity_kind == ActivityKind::WalletsSign && minutes.is_none_or(|it| it > LONGEST_MINUTES) {
            found.push(Weakness::NoTimeout { policy: policy.name.clone(), minutes });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEOPLE: &str = r#"name = "test"
[people.ana]
key = "ed25519:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
dfns_user = "us-ana"
[people.ben]
key = "ed25519:AgIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
dfns_user = "us-ben"
[people.eve]
key = "ed25519:AwIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
[groups.treasury]
people = ["ana", "ben"]
[groups.board]
people = ["ana", "eve"]
"#;

    fn custody(rule: &str) -> Custody {
        let policy = Policy::read(&format!("{PEOPLE}\n[[rule]]\nname = \"r\"\n{rule}")).expect("a policy");
        Custody::of(&policy, &BTreeSet::new(), Some("us-payer"))
    }

    /// The policy at Dfns, as JSON; or why there is none.
    fn said(rule: &str) -> Result<Value, String> {
        let custody = custody(rule);
        match (custody.policies.as_slice(), custody.not_said.as_slice()) {
            ([body], []) => Ok(serde_json::to_value(body).expect("JSON")),
            ([], [not_said]) => Err(not_said.why.clone()),
            other => panic!("{other:?}"),
        }
    }

    const APPROVE: &str =
        "action = \"RequestApproval\"\napprovals = [{ group = \"treasury\", quorum = 2 }]\ntimeout = \"8h\"";

    fn there(body: &PolicyBody, id: &str) -> DfnsPolicy {
        let mut json = serde_json::to_value(body).expect("JSON");
        json["id"] = json!(id);
        json["status"] = json!("Active");
        serde_json::from_value(json).expect("a policy")
    }

    #[test]
    fn a_limit_with_an_approval_is_said_with_users_and_a_time_below_four_hours() {
        let body =
            said(&format!("kind = \"TransactionAmountLimit\"\nlimit = \"10000.50 USD\"\n{APPROVE}")).expect("said");
        let users = json!({"userId": {"in": ["us-ana", "us-ben"]}});
        let group = json!({"name": "treasury", "quorum": 2, "approvers": users,
            "initiatorCanApprove": false, "serviceAccountsCanApprove": false});
        assert_eq!(
            body,
            json!({"name": "remit: r", "activityKind": "Wallets:Sign",
                "rule": {"kind": "TransactionAmountLimit", "configuration": {"limit": 10000.5, "currency": "USD"}},
                "action": {"kind": "RequestApproval", "approvalGroups": [group], "autoRejectTimeout": 239}})
        );
    }

    #[test]
    fn a_velocity_is_said_where_it_counts_each_wallet_by_itself() {
        let rule = |rest: &str| {
            said(&format!(
                "kind = \"TransactionAmountVelocity\"\nlimit = \"5 USD\"\nwindow = \"24h\"\naction = \"Block\"\n{rest}"
            ))
        };
        let body = rule("per = [\"wallet\"]").expect("said");
        assert_eq!(body["rule"]["configuration"], json!({"limit": 5, "currency": "USD", "timeframe": 1440}));
        assert_eq!(
            rule("filter.wallet = [\"wa-5pfuu-9euek-h0odgb6snva8ph3k\"]").expect("said")["filters"],
            json!({"walletId": {"in": ["wa-5pfuu-9euek-h0odgb6snva8ph3k"]}})
        );
        for (rest, why) in [
            ("", "several wallets together"),
            (
                "filter.wallet = [\"wa-5pfuu-9euek-h0odgb6snva8ph3k\", \"wa-6pfuu-9euek-h0odgb6snva8ph3k\"]",
                "several wallets together",
            ),
            ("per = [\"wallet\", \"program\"]", "by program"),
            ("filter.program = [\"payroll\"]", "program"),
        ] {
            assert!(rule(rest).expect_err(rest).contains(why), "{rest}");
        }
    }

    #[test]
    fn what_dfns_cannot_say_is_named_with_its_reason() {
        for (rule, why) in [
            ("kind = \"Screening\"\naction = \"Block\"", "no such rule"),
            ("kind = \"NewBeneficiary\"\ncooling_off = \"24h\"\naction = \"Block\"", "no such rule"),
            ("kind = \"AlwaysTrigger\"\naction = \"Flag\"", "either stops"),
            (
                "kind = \"TransactionRecipientWhitelist\"\nrecipients = [\"a/b/c\"]\naction = \"Block\"",
                "deposit address",
            ),
            (
                "kind = \"TransactionCountVelocity\"\nlimit = 1\nwindow = \"45s\"\nper = [\"wallet\"]\naction = \"Block\"",
                "minutes",
            ),
            (
                "kind = \"TransactionCountVelocity\"\nlimit = 1\nwindow = \"31d\"\nper = [\"wallet\"]\naction = \"Block\"",
                "30 days",
            ),
            (
                "kind = \"AlwaysTrigger\"\naction = \"RequestApproval\"\napprovals = [{ group = \"board\", quorum = 1 }]\ntimeout = \"1h\"",
                "who is eve of group board",
            ),
        ] {
            let said = said(rule).expect_err(rule);
            assert!(said.contains(why), "{rule}: {said}");
        }
    }

    #[test]
    fn the_account_that_pays_is_never_made_an_approver() {
        let policy = Policy::read(&format!("{PEOPLE}\n[[rule]]\nname = \"r\"\nkind = \"AlwaysTrigger\"\n{APPROVE}"))
            .expect("a policy");
        let custody = Custody::of(&policy, &BTreeSet::new(), Some("us-ben"));
        assert!(custody.policies.is_empty() && custody.not_said[0].why.contains("us-ben"), "{custody:?}");
    }

    #[test]
    fn a_rule_without_a_wallet_looks_at_those_that_pay() {
        let policy =
            Policy::read(&format!("{PEOPLE}\n[[rule]]\nname = \"r\"\nkind = \"AlwaysTrigger\"\naction = \"Block\""));
        let custody = Custody::of(
            &policy.expect("a policy"),
            &BTreeSet::from(["wa-5pfuu-9euek-h0odgb6snva8ph3k".to_owned()]),
            None,
        );
        assert_eq!(custody.policies[0].filters, Some(json!({"walletId": {"in": ["wa-5pfuu-9euek-h0odgb6snva8ph3k"]}})));
    }

    #[test]
    fn one_and_the_same_is_kept_however_dfns_writes_it() {
        let custody = custody(&format!(
            "kind = \"TransactionAmountLimit\"\nlimit = \"10000 USD\"\nfilter.wallet = [\"wa-6pfuu-9euek-h0odgb6snva8ph3k\", \"wa-5pfuu-9euek-h0odgb6snva8ph3k\"]\n{APPROVE}"
        ));
        let body = &custody.policies[0];
        let theirs: DfnsPolicy = serde_json::from_value(json!({
            "id": "plc-1", "name": "remit: r", "status": "Active", "activityKind": "Wallets:Sign",
            "rule": {"kind": "TransactionAmountLimit", "configuration": {"currency": "USD", "limit": 10000.0}},
            "action": {"kind": "RequestApproval", "autoRejectTimeout": 239, "approvalGroups": [
                {"name": "treasury", "quorum": 2, "approvers": {"userId": {"in": ["us-ben", "us-ana"]}}}]},
            "filters": {"walletId": {"in": ["wa-6pfuu-9euek-h0odgb6snva8ph3k", "wa-5pfuu-9euek-h0odgb6snva8ph3k"]}, "walletTags": {}}
        }))
        .expect("a policy");
        assert!(says(&theirs, body));
        let mut other = theirs.clone();
        other.action.approval_groups[0].initiator_can_approve = Some(true);
        assert!(!says(&other, body), "who asked may approve");
        let mut other = theirs;
        other.filters = None;
        assert!(!says(&other, body), "all wallets are not two of them");
    }

    #[test]
    fn ours_are_made_replaced_kept_and_archived_and_others_never_touched() {
        let policy = Policy::read(&format!(
            "{PEOPLE}\n[[rule]]\nname = \"new\"\nkind = \"AlwaysTrigger\"\naction = \"Block\"\n\
             [[rule]]\nname = \"same\"\nkind = \"AlwaysTrigger\"\naction = \"Block\"\n\
             [[rule]]\nname = \"other\"\nkind = \"TransactionAmountLimit\"\nlimit = \"5 USD\"\naction = \"Block\"\n"
        ));
        let wanted = Custody::of(&policy.expect("a policy"), &BTreeSet::new(), None);
        let renamed = |body: &PolicyBody, name: &str| PolicyBody { name: name.to_owned(), ..body.clone() };
        let (always, limit) = (&wanted.policies[1], &wanted.policies[2]);
        let before = [
            there(&renamed(limit, "remit: same"), "plc-1"),
            there(always, "plc-2"),
            there(&renamed(always, "remit: other"), "plc-3"),
            there(&renamed(always, "remit: gone"), "plc-4"),
            there(&renamed(always, "theirs"), "plc-5"),
        ];
        let changes: Vec<String> = changes(&wanted, &before)
            .iter()
            .map(|change| match change {
                Change::Create { body } => format!("create {}", body.name),
                Change::Replace { before, .. } => format!("replace {}", before.id),
                Change::Keep { policy } => format!("keep {}", policy.id),
                Change::Archive { before } => format!("archive {}", before.id),
            })
            .collect();
        assert_eq!(changes, ["create remit: new", "keep plc-2", "replace plc-3", "archive plc-4", "archive plc-1"]);
    }

    #[test]
    fn a_policy_is_told_in_one_line() {
        let rule = format!("kind = \"TransactionAmountLimit\"\nlimit = \"10000 USD\"\n{APPROVE}");
        assert_eq!(
            Says::from(&custody(&rule).policies[0]).to_string(),
            "above 10000 USD: approval of 2 of treasury (us-ana, us-ben) within 239 min; all wallets"
        );
        let rule = "kind = \"TransactionCountVelocity\"\nlimit = 3\nwindow = \"1h\"\nfilter.wallet = [\"wa-5pfuu-9euek-h0odgb6snva8ph3k\"]\naction = \"Block\"";
        let body = &custody(rule).policies[0];
        assert_eq!(
            Says::from(body).to_string(),
            "more than 3 in 60 min, each wallet by itself: blocked; wa-5pfuu-9euek-h0odgb6snva8ph3k"
        );
        assert_eq!(Says::from(&there(body, "plc-1")).to_string(), Says::from(body).to_string());
    }

    #[test]
    fn a_payer_that_approves_and_an_approval_without_end_are_weak() {
        let policy = |kind: &str, users: Value, minutes: Value| -> DfnsPolicy {
            serde_json::from_value(json!({
                "id": "plc-1", "name": "p", "status": "Active", "activityKind": kind, "rule": {"kind": "AlwaysTrigger"},
                "action": {"kind": "RequestApproval", "autoRejectTimeout": minutes,
                    "approvalGroups": [{"quorum": 1, "approvers": users}]},
            }))
            .expect("a policy")
        };
        let listed = json!({"userId": {"in": ["us-payer"]}});
        let weak = |policy: DfnsPolicy| weaknesses(&[policy], "us-payer");
        assert_eq!(weak(policy("Wallets:Sign", listed, json!(60))), [Weakness::PayerApproves { policy: "p".into() }]);
        assert_eq!(weak(policy("Wallets:Sign", json!({}), json!(239))), []);
        for minutes in [json!(null), json!(240)] {
            assert_eq!(weak(policy("Wallets:Sign", json!({}), minutes.clone())).len(), 1, "{minutes}");
            assert_eq!(weak(policy("Policies:Modify", json!({}), minutes)), []);
        }
    }
}
