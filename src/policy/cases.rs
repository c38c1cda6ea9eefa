//! The table of cases beside a policy file: what the policy must say of payouts that somebody thought of.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use remit_domain::{
    Offer, PayoutRequest,
    policy::{
        Decision, Dimension, Facts, Initiator, MicroUsd, Past, Policy, Price, RevisionId, Screened, Sum, Traits,
        Verdict, When, decide,
    },
};
use serde::Deserialize;
use serde_json::json;

use crate::settings::Period;

/// What came of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tried {
    /// The case's name.
    pub(super) name: String,
    /// What is otherwise than expected; empty when nothing is.
    pub(super) differs: Vec<String>,
}

/// The file of cases that belongs to a policy file: `policy.tests.toml` beside `policy.toml`.
pub(super) fn beside(policy: &Path) -> PathBuf {
    policy.with_extension("tests.toml")
}

/// Decides every case by the policy.
///
/// # Errors
/// What is wrong with the table.
pub(super) fn run(policy: &Policy, table: &str) -> Result<Vec<Tried>, String> {
    let mut file: File = toml::from_str(table).map_err(|error| {
        let line = error.span().map(|span| table[..span.start.min(table.len())].matches('\n').count() + 1);
        let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{line}{}", error.message())
    })?;
    let defaults = std::mem::take(&mut file.defaults);
    file.case.into_iter().enumerate().map(|(n, fields)| case(policy, n, &defaults, fields)).collect()
}

fn case(policy: &Policy, n: usize, defaults: &toml::Table, fields: toml::Table) -> Result<Tried, String> {
    let name = fields.get("name").and_then(toml::Value::as_str).map(str::to_owned);
    let name = name.ok_or_else(|| format!("case {}: expected a name", n + 1))?;
    let mut all = defaults.clone();
    all.extend(fields);
    let case: Case = all.try_into().map_err(|error: toml::de::Error| format!("case {name:?}: {}", error.message()))?;
    let differs = case.payout(policy).and_then(|(request, facts)| {
        let decision = decide(policy, &RevisionId { number: 0, hash: String::new() }, &request, &facts);
        case.differs(policy, &decision)
    });
    match differs {
        Ok(differs) => Ok(Tried { name, differs }),
        Err(why) => Err(format!("case {name:?}: {why}")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    defaults: toml::Table,
    #[serde(default)]
    case: Vec<toml::Table>,
}

/// A payout, what was paid before, and what is expected.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(rename = "name")]
    _name: String,
    chain: Option<String>,
    asset: Option<String>,
    program: Option<String>,
    counterparty: Option<String>,
    wallet: Option<String>,
    country: Option<String>,
    currency: Option<String>,
    purpose: Option<String>,
    source: Option<String>,
    usd: String,
    started_by: Option<String>,
    at: Option<String>,
    spent: Option<String>,
    count: Option<u64>,
    known_for: Option<Period>,
    #[serde(default)]
    hits: Vec<String>,
    receives: Option<String>,
    fees: Option<String>,
    expect: String,
    groups: Option<BTreeSet<String>>,
    rules: Option<BTreeSet<String>>,
}

/// A Monday at noon: inside of most business hours.
const USUAL_TIME: &str = "2026-01-05T12:00:00Z";

impl Case {
    fn payout(&self, policy: &Policy) -> Result<(PayoutRequest, Facts), String> {
        let now = self.at.as_deref().unwrap_or(USUAL_TIME);
        let now: Timestamp = now.parse().map_err(|_| format!("at: expected a time such as {USUAL_TIME:?}"))?;
        let traits = self.traits();
        let usd = match self.usd.as_str() {
            "unknown" => None,
            text => Some(usd("usd", text)?),
        };
        // The amount in millionths of a token that is worth a dollar: the worth is what it says.
        let amount = usd.unwrap_or(MicroUsd(1));
        let price = usd.map(|_| Price { usd: MicroUsd(1_000_000), decimals: 6, source: "the case".into(), at: now });
        let initiator = match &self.started_by {
            None => Initiator::Unsigned,
            Some(name) => Initiator::Starter { name: name.clone() },
        };
        let spent = self.spent.as_deref().map(|text| usd_of("spent", text)).transpose()?.unwrap_or_default();
        let count = self.count.unwrap_or(u64::from(spent.0 > 0));
        let sum = Sum { usd: spent.0.into(), count, unpriced: 0 };
        let sums = policy.questions(&traits).iter().map(|_| sum).collect();
        let facts = Facts {
            now,
            when: if self.fees.is_some() { When::BeforeConfirm } else { When::Start },
            traits,
            price,
            initiator,
            screened: Screened { lists: vec![], hits: self.hits.clone() },
            offer: self.offer()?,
            sums,
            past: self.past(now)?,
        };
        Ok((request(amount)?, facts))
    }

    fn traits(&self) -> Traits {
        let said = [
            (Dimension::Chain, &self.chain, "Ethereum"),
            (Dimension::Asset, &self.asset, "Erc20:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"),
            (Dimension::Program, &self.program, ""),
            (Dimension::Counterparty, &self.counterparty, "Borderless/acc-1/pi-1"),
            (Dimension::Wallet, &self.wallet, WALLET),
            (Dimension::Country, &self.country, "BR"),
            (Dimension::Currency, &self.currency, "BRL"),
            (Dimension::Purpose, &self.purpose, "other"),
            (Dimension::Source, &self.source, "api"),
        ];
        let value = |value: &Option<String>, usual: &str| value.clone().unwrap_or_else(|| usual.to_owned());
        Traits(said.map(|(dimension, said, usual)| (dimension, value(said, usual))).into())
    }

    fn offer(&self) -> Result<Option<Offer>, String> {
        let Some(fees) = &self.fees else { return Ok(None) };
        let receives = self.receives.as_ref().ok_or("fees: expected `receives` beside it")?;
        let currency = self.currency.as_deref().unwrap_or("BRL");
        let offer = json!({"receives": {"amount": receives, "currency": currency}, "fees": fees});
        serde_json::from_value(offer).map(Some).map_err(|_| "fees, receives: expected amounts such as \"12.50\"".into())
    }

    fn past(&self, now: Timestamp) -> Result<Past, String> {
        let Some(known) = self.known_for.map(Period::duration) else { return Ok(Past::default()) };
        let first = now.checked_sub(known).map_err(|_| "known_for: longer than there are times")?;
        Ok(Past { first_paid: Some(first), corridor_used: true, ..Past::default() })
    }

    fn differs(&self, policy: &Policy, decision: &Decision) -> Result<Vec<String>, String> {
        let verdicts = [Verdict::Allowed, Verdict::NeedsApproval, Verdict::Blocked];
        let expected = verdicts
            .into_iter()
            .find(|verdict| verdict.as_str() == self.expect)
            .ok_or("expect: expected \"allowed\", \"needsApproval\" or \"blocked\"")?;
        for rule in self.rules.iter().flatten().filter(|name| !name.starts_with('(')) {
            if !policy.rules.iter().any(|known| known.name == *rule) {
                return Err(format!("rules: the policy has no rule {rule:?}"));
            }
        }
        let mut all = Vec::new();
        if decision.verdict != expected {
            all.push(format!("expected {}, it is {}: {}", self.expect, decision.verdict.as_str(), why(decision)));
        }
        let list = |all: &BTreeSet<String>| match all.len() {
            0 => "none".to_owned(),
            _ => all.iter().cloned().collect::<Vec<_>>().join(", "),
        };
        let groups: BTreeSet<String> = decision.wanted.iter().map(|wanted| wanted.group.clone()).collect();
        if let Some(expected) = self.groups.as_ref().filter(|expected| **expected != groups) {
            all.push(format!("expected the approval of {}, it is {}", list(expected), list(&groups)));
        }
        let rules = decision.spoke.iter().filter(|it| it.triggered).map(|it| it.rule.clone()).collect();
        if let Some(expected) = self.rules.as_ref().filter(|expected| **expected != rules) {
            all.push(format!("expected that {} triggered, it is {}", list(expected), list(&rules)));
        }
        Ok(all)
    }
}

/// What the rules that triggered said, in one line.
pub(super) fn why(decision: &Decision) -> String {
    let triggered = decision.spoke.iter().filter(|it| it.triggered);
    let said: Vec<String> = triggered.map(|it| format!("{}: {}", it.rule, it.says)).collect();
    if said.is_empty() { "no rule triggered".into() } else { said.join("; ") }
}

const WALLET: &str = "wa-5pfuu-9euek-h0odgb6snva8ph3k";

/// Any request of this amount: rules look at its traits, which the case says.
fn request(amount: MicroUsd) -> Result<PayoutRequest, String> {
    let json = json!({
        "externalId": "case", "walletId": WALLET, "amount": amount.0.to_string(),
        "asset": {"kind": "Erc20", "contract": "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"},
        "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                        "currency": "BRL", "country": "BR", "purpose": "other"},
    });
    PayoutRequest::parse(&json).map_err(|refusal| refusal.to_string())
}

fn usd(field: &str, text: &str) -> Result<MicroUsd, String> {
    match usd_of(field, text)? {
        MicroUsd(0) => Err(format!("{field}: expected more than nothing")),
        usd => Ok(usd),
    }
}

/// `12000 USD`, `0.50 USD`.
fn usd_of(field: &str, text: &str) -> Result<MicroUsd, String> {
    let expected = || format!("{field}: {text:?}; expected an amount such as \"12000 USD\" or \"0.50 USD\"");
    let number = text.strip_suffix(" USD").ok_or_else(expected)?;
    let (whole, rest) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(rest) || rest.len() > 6 {
        return Err(expected());
    }
    format!("{whole}{rest:0<6}").parse().map(MicroUsd).map_err(|_| expected())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"name = "p"
[people.ana]
key = "ed25519:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
[groups.treasury]
people = ["ana"]
[starters.erp]
key = "ed25519:AgIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
programs = ["payroll"]
[[rule]]
name = "a-day"
kind = "TransactionAmountVelocity"
limit = "3000 USD"
window = "24h"
action = "Block"
[[rule]]
name = "large"
kind = "TransactionAmountLimit"
limit = "1500 USD"
action = "RequestApproval"
approvals = [{ group = "treasury", quorum = 1 }]
timeout = "4h"
[[rule]]
name = "dear"
kind = "FeeLimit"
fees_at_most = "10.00"
action = "Block"
[[rule]]
name = "new"
kind = "NewBeneficiary"
cooling_off = "2d"
action = "Flag"
"#;
    const DEFAULTS: &str = "[defaults]\nprogram = \"payroll\"\nstarted_by = \"erp\"\n";

    fn tried(case: &str) -> Result<Vec<String>, String> {
        let policy = Policy::read(POLICY).expect("a policy");
        let mut all = run(&policy, &format!("{DEFAULTS}[[case]]\nname = \"it\"\n{case}"))?;
        Ok(all.remove(0).differs)
    }

    #[test]
    fn a_case_passes_when_the_policy_says_what_it_expects() {
        for case in [
            "usd = \"500 USD\"\nexpect = \"allowed\"",
            "usd = \"1500.000001 USD\"\nexpect = \"needsApproval\"\ngroups = [\"treasury\"]\nrules = [\"large\", \"new\"]",
            "usd = \"500 USD\"\nspent = \"2500 USD\"\nexpect = \"allowed\"",
            "usd = \"500 USD\"\nspent = \"2500.01 USD\"\nexpect = \"blocked\"",
            "usd = \"unknown\"\nexpect = \"blocked\"",
            "usd = \"5 USD\"\nstarted_by = \"nobody-known\"\nexpect = \"blocked\"\nrules = [\"new\", \"(signature)\"]",
            "usd = \"5 USD\"\nprogram = \"refunds\"\nexpect = \"blocked\"",
            "usd = \"5 USD\"\nhits = [\"ofac entry 1\"]\nexpect = \"blocked\"",
            "usd = \"5 USD\"\nreceives = \"20.00\"\nfees = \"10.01\"\nexpect = \"blocked\"",
            "usd = \"5 USD\"\nreceives = \"20.00\"\nfees = \"10.00\"\nexpect = \"allowed\"",
            "usd = \"5 USD\"\nknown_for = \"2d\"\nexpect = \"allowed\"\nrules = []",
        ] {
            assert_eq!(tried(case), Ok(vec![]), "{case}");
        }
    }

    #[test]
    fn what_is_otherwise_than_expected_is_said_with_the_figures() {
        let differs =
            tried("usd = \"2000 USD\"\nexpect = \"allowed\"\ngroups = []\nrules = [\"a-day\"]").expect("tried");
        assert_eq!(differs.len(), 3, "{differs:?}");
        assert!(differs[0].contains("needsApproval: large: 2,000.00 USD is above"), "{differs:?}");
        assert!(differs[1].contains("expected the approval of none, it is treasury"), "{differs:?}");
    }

    #[test]
    fn a_table_that_is_not_understood_says_which_case_and_what_was_expected() {
        for (case, says) in [
            ("usd = \"5\"\nexpect = \"allowed\"", "case \"it\": usd"),
            ("usd = \"0 USD\"\nexpect = \"allowed\"", "more than nothing"),
            ("usd = \"5 USD\"\nexpect = \"paid\"", "needsApproval"),
            ("usd = \"5 USD\"\nexpect = \"allowed\"\ncolour = 1", "colour"),
            ("usd = \"5 USD\"\nexpect = \"allowed\"\nrules = [\"larg\"]", "no rule \"larg\""),
            ("usd = \"5 USD\"\nexpect = \"allowed\"\nfees = \"1\"", "receives"),
            ("usd = \"5 USD\"\nexpect = \"allowed\"\nat = \"noon\"", "2026-01-05"),
            ("expect = \"allowed\"", "usd"),
        ] {
            let error = tried(case).expect_err(case);
            assert!(error.contains(says), "{says} is not in {error}");
        }
        let policy = Policy::read(POLICY).expect("a policy");
        assert!(run(&policy, "[[case]]\nusd = \"5 USD\"").expect_err("no name").contains("case 1: expected a name"));
        assert!(run(&policy, "\ncase = 1").expect_err("no table").starts_with("line 2: "));
    }

    #[test]
    fn amounts_are_read_to_the_millionth() {
        assert_eq!(usd_of("usd", "12000 USD"), Ok(MicroUsd(12_000_000_000)));
        assert_eq!(usd_of("usd", "0.000001 USD"), Ok(MicroUsd(1)));
        for bad in ["1", "1USD", "-1 USD", "1. USD", ".5 USD", "0.0000001 USD", "1,000 USD", "99999999999999999 USD"] {
            assert!(usd_of("usd", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cases_stand_beside_their_policy() {
        assert_eq!(beside(Path::new("a/policy.toml")), Path::new("a/policy.tests.toml"));
    }
}
