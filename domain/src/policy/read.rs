//! Reads a policy file: everything that is wrong with it is said at once, with its line.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::{
    civil::{Time, Weekday},
    tz::TimeZone,
};
use rust_decimal::Decimal;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

use super::{Action, Dimension, Filter, Group, Kind, MicroUsd, Orders, Person, Policy, Rule, Sign, Starter};

/// One thing that is wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Where, counted from 1.
    pub line: usize,
    /// What is wrong, and what was expected.
    pub problem: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

/// SHA-256 of the bytes of a policy file, in hex.
pub fn content_hash(toml: &str) -> String {
    Sha256::digest(toml.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    #[serde(default = "block")]
    unsigned_starts: Spanned<String>,
    #[serde(default)]
    people: BTreeMap<Spanned<String>, PersonFields>,
    #[serde(default)]
    groups: BTreeMap<Spanned<String>, GroupFields>,
    #[serde(default)]
    starters: BTreeMap<Spanned<String>, StarterFields>,
    orders: Option<OrdersFields>,
    #[serde(default)]
    rule: Vec<Spanned<RuleFields>>,
}

fn block() -> Spanned<String> {
    Spanned::new(0..0, "block".to_owned())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonFields {
    key: Spanned<String>,
    dfns_user: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupFields {
    people: Spanned<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StarterFields {
    key: Spanned<String>,
    programs: Spanned<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrdersFields {
    #[serde(default)]
    groups: Vec<Spanned<String>>,
    #[serde(default = "refuse")]
    unsigned: Spanned<String>,
}

fn refuse() -> Spanned<String> {
    Spanned::new(0..0, "refuse".to_owned())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFields {
    name: Spanned<String>,
    #[serde(default)]
    filter: BTreeMap<Spanned<String>, Spanned<Vec<String>>>,
    kind: Spanned<String>,
    limit: Option<Spanned<toml::Value>>,
    window: Option<Spanned<String>>,
    per: Option<Spanned<Vec<String>>>,
    recipients: Option<Spanned<Vec<String>>>,
    cooling_off: Option<Spanned<String>>,
    fees_at_most: Option<Spanned<String>>,
    fees_at_most_bps: Option<Spanned<u32>>,
    zone: Option<Spanned<String>>,
    days: Option<Spanned<Vec<String>>>,
    from: Option<Spanned<String>>,
    to: Option<Spanned<String>>,
    signs: Option<Spanned<Vec<String>>>,
    action: Spanned<String>,
    approvals: Option<Spanned<Vec<ApprovalFields>>>,
    timeout: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalFields {
    group: String,
    quorum: u32,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(toml: &str) -> Result<Self, Vec<PolicyError>> {
        let mut errors = Errors { text: toml, all: Vec::new() };
        let file: File = match toml::from_str(toml) {
            Ok(file) => file,
            Err(error) => {
                errors.add(error.span().map_or(0, |span| span.start), error.message().trim().to_owned());
                return Err(errors.all);
            }
        };
        let policy = read(file, &mut errors);
        errors.all.sort_by_key(|error| error.line);
        if errors.all.is_empty() { Ok(policy) } else { Err(errors.all) }
    }
}

struct Errors<'a> {
    text: &'a str,
    all: Vec<PolicyError>,
}

impl Errors<'_> {
    fn add(&mut self, at: usize, problem: impl Into<String>) {
        let line = self.text.as_bytes()[..at.min(self.text.len())].iter().filter(|b| **b == b'\n').count() + 1;
        self.all.push(PolicyError { line, problem: problem.into() });
    }

    fn at<T>(&mut self, place: &Spanned<T>, problem: impl Into<String>) {
        self.add(place.span().start, problem);
    }
}

fn read(file: File, errors: &mut Errors<'_>) -> Policy {
    if file.name.get_ref().trim().is_empty() {
        errors.at(&file.name, "name: expected what the policy is called");
    }
    let unsigned_starts = word(&file.unsigned_starts, "unsigned_starts", &["block", "allow"], errors) == Some(1);
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    let mut key = |name: &str, key: &Spanned<String>, errors: &mut Errors<'_>| -> String {
        let text = key.get_ref().clone();
        let base64 = text.strip_prefix("ed25519:").unwrap_or_default();
        let fits = base64.len() == 44
            && base64.ends_with('=')
            && base64.bytes().take(43).all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b));
        if !fits {
            errors.at(
                key,
                format!("key of {name}: expected \"ed25519:\" and 44 characters of base64, as `remit key show` prints"),
            );
        } else if let Some(other) = keys.insert(text.clone(), name.to_owned()) {
            errors.at(key, format!("key of {name}: it is the key of {other} too; expected one of their own for each"));
        }
        text
    };
    let mut people = BTreeMap::new();
    for (name, fields) in file.people {
        plain_name(&name, "people", errors);
        let key = key(name.get_ref(), &fields.key, errors);
        people.insert(name.into_inner(), Person { key, dfns_user: fields.dfns_user });
    }
    let mut starters = BTreeMap::new();
    for (name, fields) in file.starters {
        plain_name(&name, "starters", errors);
        let key = key(name.get_ref(), &fields.key, errors);
        let programs = distinct(&fields.programs, "programs", errors);
        starters.insert(name.into_inner(), Starter { key, programs });
    }
    let mut groups = BTreeMap::new();
    for (name, fields) in file.groups {
        plain_name(&name, "groups", errors);
        let members = distinct(&fields.people, "people", errors);
        for person in members.iter().filter(|person| !people.contains_key(*person)) {
            errors.at(&fields.people, format!("group {}: nobody is called {person:?} under [people]", name.get_ref()));
        }
        groups.insert(name.into_inner(), Group { people: members });
    }
    let orders = match file.orders {
        None => Orders::default(),
        Some(fields) => {
            for group in fields.groups.iter().filter(|group| !groups.contains_key(group.get_ref())) {
                errors.at(group, format!("orders: there is no group {:?}", group.get_ref()));
            }
            let unsigned = word(&fields.unsigned, "orders.unsigned", &["refuse", "allow"], errors) == Some(1);
            Orders { groups: fields.groups.into_iter().map(Spanned::into_inner).collect(), unsigned }
        }
    };
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut rules = Vec::new();
    for fields in file.rule {
        let before = errors.all.len();
        let place = fields.span().start;
        let fields = fields.into_inner();
        if !names.insert(fields.name.get_ref().clone()) {
            errors.at(&fields.name, format!("rule {:?}: the name stands there twice", fields.name.get_ref()));
        }
        let name = fields.name.get_ref().clone();
        if name.trim().is_empty() || name.starts_with('(') {
            errors.at(&fields.name, "rule: expected a name that does not begin with \"(\"");
        }
        let rule = rule(place, fields, &groups, errors);
        if let Some(rule) = rule.filter(|_| errors.all.len() == before) {
            rules.push(rule);
        }
    }
    Policy { name: file.name.into_inner(), unsigned_starts, people, groups, starters, orders, rules }
}

fn rule(
    place: usize,
    mut fields: RuleFields,
    groups: &BTreeMap<String, Group>,
    errors: &mut Errors<'_>,
) -> Option<Rule> {
    let name = fields.name.get_ref().clone();
    let mut filter = BTreeMap::new();
    for (dimension, values) in std::mem::take(&mut fields.filter) {
        match Dimension::ALL.iter().find(|it| it.as_str() == dimension.get_ref()) {
            None => {
                let known: Vec<&str> = Dimension::ALL.iter().map(|it| it.as_str()).collect();
                let said = dimension.get_ref();
                errors.at(&dimension, format!("rule {name:?}: filter {said:?} is none; expected {}", known.join(", ")));
            }
            Some(dimension) => {
                let values = distinct(&values, &format!("rule {name:?}: filter {}", dimension.as_str()), errors);
                filter.insert(*dimension, values);
            }
        }
    }
    let mut given = Given { place, rule: &name, fields, errors };
    let kind = given.kind();
    let action = given.action(groups);
    given.nothing_left();
    Some(Rule { name: name.clone(), filter: Filter(filter), kind: kind?, action: action? })
}

/// The fields of a rule, taken one by one; what is left over belongs to another kind of rule.
struct Given<'a, 'e> {
    place: usize,
    rule: &'a str,
    fields: RuleFields,
    errors: &'a mut Errors<'e>,
}

impl Given<'_, '_> {
    fn missing(&mut self, field: &str, expected: &str) {
        self.errors.add(self.place, format!("rule {:?}: {field} is missing; expected {expected}", self.rule));
    }

    fn wrong<T>(&mut self, field: &str, place: &Spanned<T>, expected: &str) {
        self.errors.at(place, format!("rule {:?}: {field} is not understood; expected {expected}", self.rule));
    }

    fn kind(&mut self) -> Option<Kind> {
        let kind = self.fields.kind.get_ref().clone();
        Some(match kind.as_str() {
            "AlwaysTrigger" => Kind::AlwaysTrigger,
            "TransactionAmountLimit" => Kind::TransactionAmountLimit { limit: self.usd()? },
            "TransactionAmountVelocity" => {
                let (limit, window, per) = (self.usd(), self.window(), self.per());
                Kind::TransactionAmountVelocity { limit: limit?, window_seconds: window?, per }
            }
            "TransactionCountVelocity" => {
                let (limit, window, per) = (self.count(), self.window(), self.per());
                Kind::TransactionCountVelocity { limit: limit?, window_seconds: window?, per }
            }
            "TransactionRecipientWhitelist" => {
                const EXPECTED: &str = "a list such as [\"Borderless/acc-1/pi-1\"]: provider, account and instructions";
                let Some(recipients) = self.fields.recipients.take() else {
                    self.missing("recipients", EXPECTED);
                    return None;
                };
                if recipients.get_ref().iter().any(|it| it.split('/').count() != 3) {
                    self.wrong("recipients", &recipients, EXPECTED);
                }
                let recipients = distinct(&recipients, &format!("rule {:?}: recipients", self.rule), self.errors);
                Kind::TransactionRecipientWhitelist { recipients }
            }
            "NewBeneficiary" => {
                let time = self.fields.cooling_off.take();
                Kind::NewBeneficiary { cooling_off_seconds: self.period("cooling_off", time)? }
            }
            "FeeLimit" => {
                let bps = self.fields.fees_at_most_bps.take();
                let amount = self.fields.fees_at_most.take();
                if bps.is_none() && amount.is_none() {
                    self.missing("fees_at_most_bps or fees_at_most", "at least one of them");
                    return None;
                }
                if let Some(bps) = bps.as_ref().filter(|bps| *bps.get_ref() > 10_000) {
                    self.wrong("fees_at_most_bps", bps, "basis points, 0 to 10000");
                }
                let decimal = |text: &Spanned<String>| Decimal::from_str_exact(text.get_ref()).ok();
                if let Some(amount) = amount.as_ref().filter(|it| decimal(it).is_none_or(|it| it.is_sign_negative())) {
                    self.wrong("fees_at_most", amount, "an amount such as \"25.00\"");
                }
                Kind::FeeLimit { bps: bps.map(Spanned::into_inner), amount: amount.as_ref().and_then(decimal) }
            }
            "BusinessHours" => self.hours()?,
            "Screening" => Kind::Screening,
            "Anomaly" => {
                let known: Vec<&str> = Sign::ALL.iter().map(|sign| sign.as_str()).collect();
                let expected = format!("a list of {}", known.join(", "));
                let Some(signs) = self.fields.signs.take() else {
                    self.missing("signs", &expected);
                    return None;
                };
                let texts = distinct(&signs, &format!("rule {:?}: signs", self.rule), self.errors);
                let read: BTreeSet<Sign> = Sign::ALL.into_iter().filter(|sign| texts.contains(sign.as_str())).collect();
                if read.len() != texts.len() {
                    self.wrong("signs", &signs, &expected);
                }
                Kind::Anomaly { signs: read }
            }
            _ => {
                let place = self.fields.kind.clone();
                self.wrong(
                    "kind",
                    &place,
                    "AlwaysTrigger, TransactionAmountLimit, TransactionAmountVelocity, TransactionCountVelocity, \
                     TransactionRecipientWhitelist, NewBeneficiary, FeeLimit, BusinessHours, Screening or Anomaly",
                );
                return None;
            }
        })
    }

    fn usd(&mut self) -> Option<MicroUsd> {
        const EXPECTED: &str = "an amount with its currency, such as \"10000 USD\" (USD is the only one)";
        let Some(limit) = self.fields.limit.take() else {
            self.missing("limit", EXPECTED);
            return None;
        };
        let read = limit.get_ref().as_str().and_then(|text| text.strip_suffix(" USD")).and_then(|digits| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let micros =
                Decimal::from_str_exact(digits).ok().filter(|_| plain)?.checked_mul(Decimal::from(1_000_000))?;
            micros.fract().is_zero().then(|| micros.trunc().try_into().ok()).flatten()
        });
        match read.filter(|micros: &u64| i64::try_from(*micros).is_ok()) {
            Some(micros) => Some(MicroUsd(micros)),
            None => {
                self.wrong("limit", &limit, EXPECTED);
                None
            }
        }
    }

    fn count(&mut self) -> Option<u64> {
        const EXPECTED: &str = "a whole number of payouts, such as 1000";
        let Some(limit) = self.fields.limit.take() else {
            self.missing("limit", EXPECTED);
            return None;
        };
        let count = limit.get_ref().as_integer().and_then(|count| u64::try_from(count).ok());
        if count.is_none() {
            self.wrong("limit", &limit, EXPECTED);
        }
        count
    }

    fn window(&mut self) -> Option<u32> {
        let window = self.fields.window.take();
        self.period("window", window)
    }

    fn per(&mut self) -> BTreeSet<Dimension> {
        let Some(per) = self.fields.per.take() else { return BTreeSet::new() };
        let texts = distinct(&per, &format!("rule {:?}: per", self.rule), self.errors);
        let read: BTreeSet<Dimension> = Dimension::ALL.into_iter().filter(|it| texts.contains(it.as_str())).collect();
        if read.len() != texts.len() {
            let known: Vec<&str> = Dimension::ALL.iter().map(|it| it.as_str()).collect();
            self.wrong("per", &per, &format!("a list of {}", known.join(", ")));
        }
        read
    }

    fn period(&mut self, field: &str, text: Option<Spanned<String>>) -> Option<u32> {
        const EXPECTED: &str = "a time such as \"24h\", \"30min\" or \"7d\", more than zero and at most a year";
        let Some(text) = text else {
            self.missing(field, EXPECTED);
            return None;
        };
        let seconds = seconds(text.get_ref());
        if seconds.is_none() {
            self.wrong(field, &text, EXPECTED);
        }
        seconds
    }

    fn hours(&mut self) -> Option<Kind> {
        let Some(zone) = self.fields.zone.take() else {
            self.missing("zone", "a time zone such as \"America/Sao_Paulo\"");
            return None;
        };
        let tz = TimeZone::get(zone.get_ref());
        if tz.is_err() {
            self.wrong("zone", &zone, "a time zone such as \"America/Sao_Paulo\"");
        }
        const DAYS: [(&str, Weekday); 7] = [
            ("mon", Weekday::Monday),
            ("tue", Weekday::Tuesday),
            ("wed", Weekday::Wednesday),
            ("thu", Weekday::Thursday),
            ("fri", Weekday::Friday),
            ("sat", Weekday::Saturday),
            ("sun", Weekday::Sunday),
        ];
        let days = match self.fields.days.take() {
            None => DAYS.iter().take(5).map(|(_, day)| *day).collect(),
            Some(days) => {
                let texts = distinct(&days, &format!("rule {:?}: days", self.rule), self.errors);
                let read: Vec<Weekday> =
                    DAYS.iter().filter(|(text, _)| texts.contains(*text)).map(|(_, day)| *day).collect();
                if read.len() != texts.len() {
                    self.wrong("days", &days, "a list of mon, tue, wed, thu, fri, sat, sun");
                }
                read
            }
        };
        let (from, to) = (self.fields.from.take(), self.fields.to.take());
        let (from, to) = (self.clock("from", from)?, self.clock("to", to)?);
        if from >= to {
            self.missing("from", "a time of day before \"to\"");
            return None;
        }
        Some(Kind::BusinessHours { zone: tz.ok()?, days, from, to })
    }

    fn clock(&mut self, field: &str, text: Option<Spanned<String>>) -> Option<Time> {
        const EXPECTED: &str = "a time of day such as \"09:00\"";
        let Some(text) = text else {
            self.missing(field, EXPECTED);
            return None;
        };
        let time = Time::strptime("%H:%M", text.get_ref()).ok();
        if time.is_none() {
            self.wrong(field, &text, EXPECTED);
        }
        time
    }

    fn action(&mut self, groups: &BTreeMap<String, Group>) -> Option<Action> {
        let action = self.fields.action.clone();
        Some(match action.get_ref().as_str() {
            "Block" => Action::Block,
            "Flag" => Action::Flag,
            "RequestApproval" => {
                const EXPECTED: &str = "groups with how many of each, such as [{ group = \"treasury\", quorum = 1 }]";
                let Some(approvals) = self.fields.approvals.take() else {
                    self.missing("approvals", EXPECTED);
                    return None;
                };
                let timeout = self.fields.timeout.take();
                let timeout_seconds = self.period("timeout", timeout)?;
                if approvals.get_ref().is_empty() {
                    self.wrong("approvals", &approvals, EXPECTED);
                }
                let mut seen = BTreeSet::new();
                for ApprovalFields { group, quorum } in approvals.get_ref() {
                    let size = groups.get(group).map(|group| group.people.len());
                    let problem = match size {
                        None => Some(format!("there is no group {group:?}")),
                        Some(_) if *quorum == 0 => Some(format!("a quorum of 0 of {group:?} asks nobody")),
                        Some(size) if usize::try_from(*quorum).is_ok_and(|quorum| quorum > size) => {
                            Some(format!("a quorum of {quorum} is larger than group {group:?}, which has {size}"))
                        }
                        Some(_) if !seen.insert(group) => Some(format!("group {group:?} stands there twice")),
                        Some(_) => None,
                    };
                    if let Some(problem) = problem {
                        self.errors.at(&approvals, format!("rule {:?}: approvals: {problem}", self.rule));
                    }
                }
                let approvals = approvals.into_inner().into_iter().map(|it| (it.group, it.quorum)).collect();
                Action::RequestApproval { approvals, timeout_seconds }
            }
            _ => {
                self.wrong("action", &action, "Block, RequestApproval or Flag");
                return None;
            }
        })
    }

    fn nothing_left(&mut self) {
        let f = &self.fields;
        let left: Vec<(&str, Option<usize>)> = vec![
            ("limit", f.limit.as_ref().map(|it| it.span().start)),
            ("window", f.window.as_ref().map(|it| it.span().start)),
            ("per", f.per.as_ref().map(|it| it.span().start)),
            ("recipients", f.recipients.as_ref().map(|it| it.span().start)),
            ("cooling_off", f.cooling_off.as_ref().map(|it| it.span().start)),
            ("fees_at_most", f.fees_at_most.as_ref().map(|it| it.span().start)),
            ("fees_at_most_bps", f.fees_at_most_bps.as_ref().map(|it| it.span().start)),
            ("zone", f.zone.as_ref().map(|it| it.span().start)),
            ("days", f.days.as_ref().map(|it| it.span().start)),
            ("from", f.from.as_ref().map(|it| it.span().start)),
            ("to", f.to.as_ref().map(|it| it.span().start)),
            ("signs", f.signs.as_ref().map(|it| it.span().start)),
            ("approvals", f.approvals.as_ref().map(|it| it.span().start)),
            ("timeout", f.timeout.as_ref().map(|it| it.span().start)),
        ];
        // What was read wrongly has been taken out, or has been complained about already.
        if self.errors.all.iter().any(|error| error.problem.contains(&format!("rule {:?}", self.rule))) {
            return;
        }
        for (field, place) in left {
            if let Some(place) = place {
                let problem = format!("rule {:?}: {field} has no meaning for this kind and action", self.rule);
                self.errors.add(place, problem);
            }
        }
    }
}

/// Whole seconds of `24h`, `30min`, `45s` or `7d`.
fn seconds(text: &str) -> Option<u32> {
    const YEAR: u32 = 366 * 24 * 3600;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "s" => 1,
        "min" | "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(unit).filter(|seconds| (1..=YEAR).contains(seconds))
}

/// Which of these words.
fn word(text: &Spanned<String>, field: &str, words: &[&str], errors: &mut Errors<'_>) -> Option<usize> {
    let found = words.iter().position(|word| word == text.get_ref());
    if found.is_none() {
        errors.at(text, format!("{field}: expected \"{}\"", words.join("\" or \"")));
    }
    found
}

fn plain_name(name: &Spanned<String>, table: &str, errors: &mut Errors<'_>) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._@-".contains(&b);
    if !(1..=64).contains(&name.get_ref().len()) || !name.get_ref().bytes().all(plain) {
        errors.at(name, format!("{table}: {:?}: expected a name of letters, digits and \"._@-\"", name.get_ref()));
    }
}

/// A list that means something: not empty, and nothing twice.
fn distinct(list: &Spanned<Vec<String>>, what: &str, errors: &mut Errors<'_>) -> BTreeSet<String> {
    let set: BTreeSet<String> = list.get_ref().iter().cloned().collect();
    if list.get_ref().is_empty() {
        errors.at(list, format!("{what}: the list is empty; expected at least one entry"));
    } else if set.len() != list.get_ref().len() {
        errors.at(list, format!("{what}: an entry stands there twice"));
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"name = "good"
[people.ana]
key = "ed25519:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
[people.ben]
key = "ed25519:AgIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
[groups.treasury]
people = ["ana", "ben"]
[[rule]]
name = "large"
filter.program = ["payroll"]
kind = "TransactionAmountLimit"
limit = "10000 USD"
action = "RequestApproval"
approvals = [{ group = "treasury", quorum = 2 }]
timeout = "4h"
[[rule]]
name = "hours"
kind = "BusinessHours"
zone = "America/Sao_Paulo"
from = "09:00"
to = "18:00"
action = "Flag"
"#;

    #[test]
    fn a_good_file_is_read() {
        let policy = Policy::read(GOOD).unwrap();
        assert_eq!(policy.rules.len(), 2);
        assert!(!policy.unsigned_starts && !policy.orders.unsigned);
        assert_eq!(policy.rules[0].kind, Kind::TransactionAmountLimit { limit: MicroUsd(10_000_000_000) });
    }

    #[test]
    fn everything_that_is_wrong_is_refused_with_its_line() {
        for (from, to, line, says) in [
            ("name = \"good\"", "name = \"good\"\ncolour = 1", 2, "colour"),
            ("quorum = 2", "quorum = 3", 14, "larger than group"),
            ("quorum = 2", "quorum = 0", 14, "asks nobody"),
            ("group = \"treasury\"", "group = \"board\"", 14, "no group \"board\""),
            ("\"10000 USD\"", "\"10000\"", 12, "currency"),
            ("\"10000 USD\"", "10000", 12, "currency"),
            ("\"10000 USD\"", "\"99999999999999 USD\"", 12, "limit"),
            ("\"10000 USD\"", "\"-1 USD\"", 12, "limit"),
            ("\"4h\"", "\"0h\"", 15, "timeout"),
            ("\"4h\"", "\"soon\"", 15, "timeout"),
            ("[\"payroll\"]", "[]", 10, "empty"),
            ("[\"payroll\"]", "[\"payroll\", \"payroll\"]", 10, "twice"),
            ("filter.program", "filter.weather", 10, "weather"),
            ("[\"ana\", \"ben\"]", "[]", 7, "empty"),
            ("[\"ana\", \"ben\"]", "[\"ana\", \"eve\"]", 7, "eve"),
            ("ed25519:Ag", "ed25519:AQ", 5, "too; expected one of their own"),
            ("key = \"ed25519:AgIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\"", "key = \"secret\"", 5, "key of ben"),
            ("name = \"hours\"", "name = \"large\"", 17, "twice"),
            ("action = \"Flag\"", "action = \"Pay\"", 22, "Block, RequestApproval or Flag"),
            ("action = \"Flag\"", "action = \"Flag\"\nlimit = 5", 23, "no meaning"),
            ("America/Sao_Paulo", "Moon/Base", 19, "time zone"),
            ("to = \"18:00\"", "to = \"08:00\"", 16, "before"),
            ("TransactionAmountLimit", "Wish", 11, "kind"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let errors = Policy::read(&GOOD.replacen(from, to, 1)).expect_err(to);
            assert!(errors.iter().any(|e| e.line == line && e.problem.contains(says)), "{to}: {errors:?}");
        }
        let two = GOOD.replace("quorum = 2", "quorum = 3").replace("Moon", "Mars").replace("\"Flag\"", "\"Pay\"");
        assert_eq!(Policy::read(&two).unwrap_err().len(), 2);
    }
}
