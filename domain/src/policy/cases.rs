//! Tries a policy out on a table of cases, before it is published: what it should say of which payout.
//!
//! ```toml
//! # What every case is, unless it says otherwise.
//! [usual]
//! starter = "payroll"
//! program = "payroll"
//!
//! [[case]]
//! name = "a large salary"
//! worth = "12_000 USD"
//! verdict = "needsApproval"   # allowed, needsApproval, blocked
//! triggers = ["large"]        # exactly these rules trigger; (signature), (screening), (no rule) are those of no file
//! ```
//!
//! | Field | Means | Left out |
//! | --- | --- | --- |
//! | `chain`, `asset`, `program`, `counterparty`, `wallet`, `country`, `currency`, `purpose`, `source` | as in a filter, one value | USDC on Polygon, no program, `Borderless/acc-1/pi-1` in BR in BRL, other, api |
//! | `worth` | what the payout is worth | 100 USD |
//! | `price` | `fresh`, `none`, `zero`, `old` | `fresh` |
//! | `starter` | who signed it | nobody did |
//! | `unproven` | it carries a signature that proves nothing | false |
//! | `hits` | what screening found | nothing |
//! | `at` | the time | Monday, 2026-11-30T12:00:00Z |
//! | `stage` | `start`, `confirm` | `start` |
//! | `offer` | `{ receives = "985 BRL", fees = "15 BRL" }` | none |
//! | `before` | what counts in a rule's window: `{ a-day = { usd = "500 USD", count = 3, unpriced = 0 } }` | nothing |
//! | `first_paid` | how long ago money first went to the counterparty: `3d`, `never` | 90 days |
//! | `new_corridor` | no money ever went to this country in this currency | false |
//! | `to_counterparty` | so far: `{ count = 9, largest = "800 USD" }` | nothing |
//! | `by_program` | in 90 days: `{ count = 900, largest = "800 USD", at_this_hour = 30, just_now = 2 }` | nothing |
//! | `lately` | payouts of seven days to the counterparty: `["9_900 USD"]` | none |
//! | `same_within_a_day` | keys of payouts of the same amount to the counterparty | none |

use std::{collections::BTreeSet, fmt};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    Decision, Dimension, Facts, Initiator, MicroUsd, Past, Policy, PolicyError, Price, RevisionId, Screened, Stats,
    Sum, Traits, Verdict, When, decide,
    read::{
        fields::{Errors, Fields, Given},
        values,
    },
};
use crate::{Offer, PayoutRequest};

/// What came of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseResult {
    /// What it is called.
    pub name: String,
    /// Where it stands in the table, counted from 1.
    pub line: usize,
    /// What should have been decided.
    pub verdict: Verdict,
    /// The rules that should have triggered.
    pub triggers: BTreeSet<String>,
    /// What was decided.
    pub decision: Decision,
}

impl CaseResult {
    /// Whether it was decided as it should be, by the rules that should.
    pub fn passed(&self) -> bool {
        self.verdict == self.decision.verdict && self.triggers == self.triggered()
    }

    fn triggered(&self) -> BTreeSet<String> {
        self.decision.spoke.iter().filter(|it| it.triggered).map(|it| it.rule.clone()).collect()
    }
}

impl fmt::Display for CaseResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |rules: &BTreeSet<String>| match rules.is_empty() {
            true => "nothing".to_owned(),
            false => rules.iter().cloned().collect::<Vec<String>>().join(", "),
        };
        let (name, is, by) = (&self.name, self.decision.verdict.as_str(), list(&self.triggered()));
        if self.passed() {
            return write!(f, "{name}: {is}, triggered by {by}");
        }
        let (should, should_by) = (self.verdict.as_str(), list(&self.triggers));
        write!(f, "line {}: {name}: expected {should}, triggered by {should_by}; ", self.line)?;
        write!(f, "it is {is}, triggered by {by}")
    }
}

/// Decides every case of a table by this policy. The form of the table: see the policies in the documents.
///
/// # Errors
/// Everything that is wrong with the table.
pub fn run_cases(policy: &Policy, cases_toml: &str) -> Result<Vec<CaseResult>, Vec<PolicyError>> {
    let mut errors = Errors::new(cases_toml);
    let mut results = Vec::new();
    if let Some(table) = errors.parse() {
        let mut file = Fields::of_file(&table);
        let usual = file.take("usual").and_then(|given| given.table(&mut errors));
        if let Some(usual) = &usual {
            usual.only(&FIELDS, &mut errors);
        }
        let cases = file.need("case", "cases, each under [[case]]", &mut errors);
        let cases = cases.and_then(|given| given.entries("cases, each under [[case]]", &mut errors));
        for given in cases.unwrap_or_default() {
            let line = errors.line(given.at());
            if let Some(own) = given.table(&mut errors) {
                let case = Case { own, usual: usual.as_ref() };
                results.extend(case.run(policy, line, &mut errors));
            }
        }
        file.close("in a table of cases", &mut errors);
    }
    let errors = errors.into_all();
    if errors.is_empty() { Ok(results) } else { Err(errors) }
}

const FIELDS: [&str; 24] = [
    "chain",
    "asset",
    "program",
    "counterparty",
    "wallet",
    "country",
    "currency",
    "purpose",
    "source",
    "worth",
    "price",
    "starter",
    "unproven",
    "hits",
    "at",
    "stage",
    "offer",
    "before",
    "first_paid",
    "new_corridor",
    "to_counterparty",
    "by_program",
    "lately",
    "same_within_a_day",
];

/// A case, and what it is where it does not say otherwise.
struct Case<'c, 'a, 't> {
    own: Fields<'a, 't>,
    usual: Option<&'c Fields<'a, 't>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pricing {
    Fresh,
    None,
    Zero,
    Old,
}

impl<'a, 't> Case<'_, 'a, 't> {
    fn take(&mut self, field: &str) -> Option<Given<'a, 't>> {
        self.own.take(field).or_else(|| self.usual.and_then(|usual| usual.peek(field)))
    }

    /// The field as a text that `read` reads; `otherwise` where it is not there, or is wrong, which is told.
    fn text<T>(
        &mut self,
        field: &str,
        expected: &str,
        otherwise: T,
        errors: &mut Errors<'_>,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        self.take(field).and_then(|given| given.text(expected, errors, read)).unwrap_or(otherwise)
    }

    fn list<T>(
        &mut self,
        field: &str,
        expected: &str,
        errors: &mut Errors<'_>,
        read: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let entries = self.take(field).and_then(|given| given.entries(expected, errors)).unwrap_or_default();
        entries.iter().filter_map(|entry| entry.text(expected, errors, &read)).collect()
    }

    fn run(mut self, policy: &Policy, line: usize, errors: &mut Errors<'_>) -> Option<CaseResult> {
        let name = self.own.need("name", "what the case is called", errors);
        let name = name.and_then(|given| given.text("what the case is called", errors, owned)).unwrap_or_default();
        self.own.rename(format!("case {name:?}"));
        let (verdict, triggers) = self.expected(policy, errors);
        let (at, path) = (self.own.at(), self.own.name("counterparty"));
        let worth = self.text("worth", values::USD, MicroUsd(100_000_000), errors, values::micro_usd);
        let (request, chain) = self.request(worth, errors);
        let facts = self.facts(&chain, errors);
        let before_this = self.take("before");
        let request = PayoutRequest::parse(&request).map_err(|refusal| errors.add(at, path, refusal.to_string())).ok();
        let facts = request.as_ref().map(|request| {
            let traits = Traits::of(request, &chain);
            let sums = sums(policy, &traits, before_this, errors);
            Facts { traits, sums, ..facts }
        });
        self.own.close("in a case", errors);
        let revision = RevisionId { number: 0, hash: String::new() };
        let decision = decide(policy, &revision, &request?, &facts?);
        Some(CaseResult { name, line, verdict: verdict?, triggers: triggers?, decision })
    }

    fn expected(&mut self, policy: &Policy, errors: &mut Errors<'_>) -> (Option<Verdict>, Option<BTreeSet<String>>) {
        const RULES: &str = "names of the policy's rules, \"(signature)\", \"(screening)\" or \"(no rule)\"";
        const VERDICTS: [Verdict; 3] = [Verdict::Allowed, Verdict::NeedsApproval, Verdict::Blocked];
        let words = VERDICTS.map(|verdict| (verdict.as_str(), verdict));
        let verdict = self.own.need("verdict", "allowed, needsApproval or blocked", errors);
        let verdict = verdict.and_then(|given| given.word(&words, errors));
        let unwritten = ["(signature)", "(screening)", "(no rule)"];
        let known = |text: &str| {
            let there = policy.rules.iter().any(|rule| rule.name == text) || unwritten.contains(&text);
            there.then(|| text.to_owned())
        };
        let triggers = self.own.need("triggers", RULES, errors);
        let triggers = triggers.and_then(|given| given.entries(RULES, errors));
        let triggers = triggers.map(|all| all.iter().filter_map(|entry| entry.text(RULES, errors, known)).collect());
        (verdict, triggers)
    }

    /// The request as JSON, and its chain. A token is worth one dollar and has six decimals.
    fn request(&mut self, worth: MicroUsd, errors: &mut Errors<'_>) -> (serde_json::Value, String) {
        let mut of = |dimension: Dimension, otherwise: &str| {
            let read = |text: &str| values::in_dimension(dimension, text);
            self.text(dimension.as_str(), values::expected_in(dimension), otherwise.to_owned(), errors, read)
        };
        let chain = of(Dimension::Chain, "Polygon");
        let asset = of(Dimension::Asset, "Erc20:0x3c499c542cef5e3811e1192ce70d8cc03d5c3359");
        let program = of(Dimension::Program, "");
        let counterparty = of(Dimension::Counterparty, "Borderless/acc-1/pi-1");
        let mut parts = counterparty.split('/');
        let mut part = || parts.next().unwrap_or_default();
        let request = json!({
            "externalId": "case",
            "walletId": of(Dimension::Wallet, "wa-5pfuu-9euek-h0odgb6snva8ph3k"),
            "asset": values::asset(&asset),
            "amount": worth.0.to_string(),
            "destination": {
                "kind": "Bank", "provider": part(), "accountId": part(), "instructionsId": part(),
                "currency": of(Dimension::Currency, "BRL"),
                "country": of(Dimension::Country, "BR"),
                "purpose": of(Dimension::Purpose, "other"),
            },
            "program": if program.is_empty() { None } else { Some(program) },
            "source": of(Dimension::Source, "api"),
        });
        (request, chain)
    }

    /// All but the traits and the sums.
    fn facts(&mut self, chain: &str, errors: &mut Errors<'_>) -> Facts {
        const AT: &str = "a time such as \"2026-11-30T12:00:00Z\"";
        let monday = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_796_040_000);
        let now = self.text("at", AT, monday, errors, |text| text.parse().ok());
        let pricing = self.take("price").and_then(|given| {
            let words =
                [("fresh", Pricing::Fresh), ("none", Pricing::None), ("zero", Pricing::Zero), ("old", Pricing::Old)];
            given.word(&words, errors)
        });
        let pricing = pricing.unwrap_or(Pricing::Fresh);
        let old = if pricing == Pricing::Old { SignedDuration::from_hours(1) } else { SignedDuration::ZERO };
        let price = (pricing != Pricing::None).then(|| Price {
            usd: MicroUsd(if pricing == Pricing::Zero { 0 } else { 1_000_000 }),
            decimals: 6,
            source: "case".into(),
            at: now.checked_sub(old).unwrap_or(now),
        });
        let starter = self
            .text("starter", values::NAME, None, errors, |text| values::is_name(text).then(|| Some(text.to_owned())));
        let unproven = self.take("unproven").and_then(|given| given.yes_or_no(errors)).unwrap_or(false);
        let initiator = match starter {
            _ if unproven => Initiator::Unproven { why: "the signature proves nothing".into() },
            Some(name) => Initiator::Starter { name },
            None => Initiator::Unsigned,
        };
        let hits = self.list("hits", "what screening found, in words", errors, owned);
        let words = [("start", When::Start), ("confirm", When::BeforeConfirm)];
        let when = self.take("stage").and_then(|given| given.word(&words, errors)).unwrap_or(When::Start);
        let offers = self.take("offer").and_then(|given| offer(given, errors)).into_iter().collect();
        let past = self.past(now, errors);
        let screened = Screened { lists: vec![], hits };
        let traits = Traits([(Dimension::Chain, chain.to_owned())].into());
        Facts { now, when, traits, price, initiator, screened, offers, sums: vec![], past }
    }

    fn past(&mut self, now: Timestamp, errors: &mut Errors<'_>) -> Past {
        const AGO: &str = "how long ago, such as \"3d\", or \"never\"";
        let day = 24 * 3600;
        let ago = self.text("first_paid", AGO, Some(90 * day), errors, |text| match text {
            "never" => Some(None),
            text => values::seconds(text, values::YEAR).map(Some),
        });
        let first_paid = ago.and_then(|ago| now.checked_sub(SignedDuration::from_secs(ago.into())).ok());
        let new_corridor = self.take("new_corridor").and_then(|given| given.yes_or_no(errors)).unwrap_or(false);
        let to_counterparty = self.take("to_counterparty").and_then(|given| given.table(errors));
        let to_counterparty = to_counterparty.map(|mut fields| {
            let stats = stats(&mut fields, errors);
            fields.close("of a counterparty", errors);
            stats
        });
        let mut past = Past {
            first_paid,
            to_counterparty: to_counterparty.unwrap_or_default(),
            corridor_used: !new_corridor,
            same_within_a_day: self.list("same_within_a_day", "keys of payouts", errors, owned),
            lately_to_counterparty: self.list("lately", values::USD, errors, values::micro_usd),
            ..Past::default()
        };
        if let Some(mut fields) = self.take("by_program").and_then(|given| given.table(errors)) {
            past.by_program = stats(&mut fields, errors);
            past.by_program_at_this_hour = count("at_this_hour", &mut fields, errors);
            past.by_program_just_now = count("just_now", &mut fields, errors);
            fields.close("of a program", errors);
        }
        past
    }
}

fn owned(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn count(field: &str, fields: &mut Fields<'_, '_>, errors: &mut Errors<'_>) -> u64 {
    let given = fields.take(field);
    given.and_then(|given| given.number(u64::from(u32::MAX), "a whole number", errors)).unwrap_or(0)
}

fn amount(field: &str, fields: &mut Fields<'_, '_>, errors: &mut Errors<'_>) -> MicroUsd {
    fields.take(field).and_then(|given| given.text(values::USD, errors, values::micro_usd)).unwrap_or_default()
}

fn stats(fields: &mut Fields<'_, '_>, errors: &mut Errors<'_>) -> Stats {
    let largest = amount("largest", fields, errors);
    let count = count("count", fields, errors);
    // What they are worth together is no rule's business.
    Stats { count, largest, ..Stats::default() }
}

fn offer(given: Given<'_, '_>, errors: &mut Errors<'_>) -> Option<Offer> {
    let mut fields = given.table(errors)?;
    let receives = fields.need("receives", values::FIAT, errors);
    let receives = receives.and_then(|given| given.text(values::FIAT, errors, values::fiat));
    let fees = fields.need("fees", values::FIAT, errors);
    let fees = fees.and_then(|given| {
        let same =
            |text: &str| values::fiat(text).filter(|it| receives.as_ref().is_none_or(|r| r.currency == it.currency));
        given.text("an amount in the currency that is paid out", errors, same)
    });
    fields.close("of an offer", errors);
    Some(Offer { receives: receives?, fees: fees?.amount })
}

/// The answers to the policy's questions about this payout.
fn sums(policy: &Policy, traits: &Traits, before: Option<Given<'_, '_>>, errors: &mut Errors<'_>) -> Vec<Sum> {
    let questions = policy.questions(traits);
    let mut sums: Vec<Option<Sum>> = vec![None; questions.len()];
    let fields = before.and_then(|given| given.table(errors));
    for (name, given) in fields.map(Fields::values).unwrap_or_default() {
        let rule = policy.matching(traits).find(|rule| rule.name == name);
        let question = rule.and_then(|rule| rule.question(traits));
        let place = questions.iter().position(|it| Some(it) == question.as_ref());
        let (at, path) = (given.at(), given.path.clone());
        let Some(mut fields) = given.table(errors) else { continue };
        let usd = amount("usd", &mut fields, errors);
        let sum = Sum {
            usd: usd.0.into(),
            count: count("count", &mut fields, errors),
            unpriced: count("unpriced", &mut fields, errors),
        };
        fields.close("of what counts in a window", errors);
        match place.and_then(|place| sums.get_mut(place)) {
            None => {
                errors.add(at, path, "expected the name of a rule that looks at this payout and counts in a window")
            }
            Some(Some(other)) if *other != sum => {
                errors.add(at, path, "another rule counts the same and was given something else; expected it once");
            }
            Some(place) => *place = Some(sum),
        }
    }
    sums.into_iter().map(Option::unwrap_or_default).collect()
}
