//! Reads one rule.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{
    civil::Weekday,
    tz::{TimeZone, TimeZoneDatabase},
};

use super::{
    super::{Action, Dimension, Filter, Group, Kind, MicroUsd, Rule, Sign, approvals::can_be_met},
    fields::{Errors, Fields},
    values,
};

const KIND: &str = "AlwaysTrigger, TransactionAmountLimit, TransactionAmountVelocity, TransactionCountVelocity, \
    TransactionRecipientWhitelist, NewBeneficiary, FeeLimit, SlippageLimit, BusinessHours, Screening or Anomaly";

/// None when anything is wrong with it.
pub(super) fn rule(
    mut fields: Fields<'_, '_>,
    groups: &BTreeMap<String, Group>,
    names: &mut BTreeSet<String>,
    errors: &mut Errors<'_>,
) -> Option<Rule> {
    let before = errors.count();
    let name = name(&mut fields, names, errors);
    if let Some(name) = &name {
        fields.rename(format!("rule {name:?}"));
    }
    let filter = filter(&mut fields, errors);
    let read = match fields.need("kind", KIND, errors) {
        None => None,
        Some(given) => given.text(KIND, errors, |text| Some(text.to_owned())).and_then(|word| {
            let before = errors.count();
            let kind = kind(&word, &mut fields, filter.as_ref(), errors);
            if kind.is_none() && errors.count() == before {
                given.refuse(KIND, errors);
            }
            kind
        }),
    };
    let advice = matches!(read, Some(Kind::Anomaly { .. }));
    let action = action(&mut fields, groups, advice, errors);
    // Which fields belong to a rule is known only where its kind and its action are.
    if read.is_some() && action.is_some() {
        fields.close("in a rule of this kind and action", errors);
    }
    let rule = Rule { name: name?, filter: filter?, kind: read?, action: action? };
    (errors.count() == before).then_some(rule)
}

fn name(fields: &mut Fields<'_, '_>, names: &mut BTreeSet<String>, errors: &mut Errors<'_>) -> Option<String> {
    const EXPECTED: &str = "what the rule is called: 1 to 64 letters, digits, dots, dashes, underscores or spaces";
    let given = fields.need("name", EXPECTED, errors)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._- ".contains(&b);
    let name = given.text(EXPECTED, errors, |text| {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(plain) && text.trim() == text;
        fits.then(|| text.to_owned())
    })?;
    if !names.insert(name.clone()) {
        errors.add(given.at(), &given.path, format!("{name:?} is the name of a rule above; expected one of its own"));
    }
    Some(name)
}

fn filter(fields: &mut Fields<'_, '_>, errors: &mut Errors<'_>) -> Option<Filter> {
    let Some(given) = fields.take("filter") else { return Some(Filter::default()) };
    let before = errors.count();
    let mut filter = BTreeMap::new();
    for (word, given) in given.table(errors)?.values() {
        let Some(dimension) = values::dimension(word) else {
            errors.add(
                given.at(),
                &given.path,
                format!("nothing is filtered by {word:?}; expected {}", values::dimensions()),
            );
            continue;
        };
        let read = |text: &str| values::in_dimension(dimension, text);
        if let Some(set) = given.set(values::expected_in(dimension), errors, read) {
            filter.insert(dimension, set);
        }
    }
    (errors.count() == before).then_some(Filter(filter))
}

/// None when it is none of the kinds, or something is wrong with its fields.
fn kind(word: &str, fields: &mut Fields<'_, '_>, filter: Option<&Filter>, errors: &mut Errors<'_>) -> Option<Kind> {
    Some(match word {
        "AlwaysTrigger" => Kind::AlwaysTrigger,
        "TransactionAmountLimit" => Kind::TransactionAmountLimit { limit: usd(fields, errors)? },
        "TransactionAmountVelocity" => {
            let (limit, window, per) = (usd(fields, errors), window(fields, errors), per(fields, errors));
            Kind::TransactionAmountVelocity { limit: limit?, window_seconds: window?, per: per? }
        }
        "TransactionCountVelocity" => {
            const EXPECTED: &str = "a whole number of payouts, such as 1000";
            let limit = fields.need("limit", EXPECTED, errors);
            let limit = limit.and_then(|given| given.number(u64::from(u32::MAX), EXPECTED, errors));
            let (window, per) = (window(fields, errors), per(fields, errors));
            Kind::TransactionCountVelocity { limit: limit?, window_seconds: window?, per: per? }
        }
        "TransactionRecipientWhitelist" => {
            let expected = values::expected_in(Dimension::Counterparty);
            let given = fields.need("recipients", expected, errors)?;
            let read = |text: &str| values::in_dimension(Dimension::Counterparty, text);
            Kind::TransactionRecipientWhitelist { recipients: given.set(expected, errors, read)? }
        }
        "NewBeneficiary" => {
            let given = fields.need("cooling_off", values::WINDOW, errors)?;
            let read = |text: &str| values::seconds(text, values::YEAR);
            Kind::NewBeneficiary { cooling_off_seconds: given.text(values::WINDOW, errors, read)? }
        }
        "FeeLimit" => fee(fields, filter, errors)?,
        "SlippageLimit" => {
            const ONE_USD: &str = "what a US dollar is worth in the currency paid out, such as \"5.40 BRL\"";
            let bps = bps("slippage_at_most_bps", fields, errors);
            if bps.is_none() {
                fields.need("slippage_at_most_bps", BPS, errors);
            }
            let given = fields.need("one_usd", ONE_USD, errors)?;
            let one_usd = given.text(ONE_USD, errors, values::rate)?;
            only_currency(&one_usd.currency, given.at(), &given.path, filter, errors);
            Kind::SlippageLimit { bps: bps??, one_usd }
        }
        "BusinessHours" => hours(fields, errors)?,
        "Screening" => Kind::Screening,
        "Anomaly" => {
            let expected = Sign::ALL.map(Sign::as_str).join(", ");
            let read = |text: &str| Sign::ALL.into_iter().find(|sign| sign.as_str() == text);
            let signs = match fields.take("signs") {
                None => BTreeSet::from(Sign::ALL),
                Some(given) => given.set(&expected, errors, read)?,
            };
            Kind::Anomaly { signs }
        }
        _ => return None,
    })
}

fn usd(fields: &mut Fields<'_, '_>, errors: &mut Errors<'_>) -> Option<MicroUsd> {
    fields.need("limit", values::USD, errors)?.text(values::USD, errors, values::micro_usd)
}

fn window(fields: &mut Fields<'_, '_>, errors: &mut Errors<'_>) -> Option<u32> {
    let given = fields.need("window", values::WINDOW, errors)?;
    given.text(values::WINDOW, errors, |text| values::seconds(text, values::YEAR))
}

fn per(fields: &mut Fields<'_, '_>, errors: &mut Errors<'_>) -> Option<BTreeSet<Dimension>> {
    match fields.take("per") {
        None => Some(BTreeSet::new()),
        Some(given) => given.set(&values::dimensions(), errors, values::dimension),
    }
}

const BPS: &str = "basis points, a whole number from 0 to 10000";

/// None when it is not there, Some(None) when it is wrong.
fn bps(field: &str, fields: &mut Fields<'_, '_>, errors: &mut Errors<'_>) -> Option<Option<u32>> {
    let given = fields.take(field)?;
    Some(given.number(10_000, BPS, errors).and_then(|bps| u32::try_from(bps).ok()))
}

fn fee(fields: &mut Fields<'_, '_>, filter: Option<&Filter>, errors: &mut Errors<'_>) -> Option<Kind> {
    let bps = bps("fees_at_most_bps", fields, errors);
    let amount = fields.take("fees_at_most").map(|given| {
        let amount = given.text(values::FIAT, errors, values::fiat);
        if let Some(amount) = &amount {
            only_currency(&amount.currency, given.at(), &given.path, filter, errors);
        }
        amount
    });
    if bps.is_none() && amount.is_none() {
        let field = fields.name("fees_at_most_bps");
        errors.add(fields.at(), field, format!("it is missing; expected {BPS}, or fees_at_most, {}", values::FIAT));
        return None;
    }
    // What is there must be right.
    let (bps, amount) = (bps.map_or(Some(None), |it| it.map(Some))?, amount.map_or(Some(None), |it| it.map(Some))?);
    Some(Kind::FeeLimit { bps, amount })
}

/// An amount of a currency says nothing about payouts in another.
fn only_currency(currency: &str, at: usize, path: &str, filter: Option<&Filter>, errors: &mut Errors<'_>) {
    let Some(Filter(filter)) = filter else { return };
    let only = BTreeSet::from([currency.to_owned()]);
    if filter.get(&Dimension::Currency) != Some(&only) {
        let expected = format!("an amount in {currency} needs filter.currency = [{currency:?}] in the same rule");
        errors.add(at, path, expected);
    }
}

fn hours(fields: &mut Fields<'_, '_>, errors: &mut Errors<'_>) -> Option<Kind> {
    const ZONE: &str = "a time zone such as \"America/Sao_Paulo\"";
    const CLOCK: &str = "a time of day such as \"09:00\"";
    // The zones that came with the program: the same on every machine.
    let find = |name: &str| -> Option<TimeZone> { TimeZoneDatabase::bundled().get(name).ok() };
    let zone = fields.need("zone", ZONE, errors).and_then(|given| given.text(ZONE, errors, find));
    let place = |text: &str| values::DAYS.iter().position(|(word, _)| *word == text);
    let days = match fields.take("days") {
        None => Some((0..5).collect()),
        Some(given) => given.set(&values::DAYS.map(|(word, _)| word).join(", "), errors, place),
    };
    let from = fields.need("from", CLOCK, errors).and_then(|given| given.text(CLOCK, errors, values::minute));
    let to = fields.need("to", CLOCK, errors);
    let end = to.as_ref().and_then(|given| given.text(CLOCK, errors, values::minute));
    if let (Some(from), Some(end), Some(to)) = (from, end, &to)
        && from >= end
    {
        to.refuse(
            "a time of day after \"from\" (\"24:00\" is the day's end; hours over midnight take two rules)",
            errors,
        );
        return None;
    }
    let days: Vec<Weekday> = days?.into_iter().filter_map(|day| values::DAYS.get(day)).map(|(_, day)| *day).collect();
    Some(Kind::BusinessHours { zone: zone?, days, from: from?, to: end? })
}

fn action(
    fields: &mut Fields<'_, '_>,
    groups: &BTreeMap<String, Group>,
    advice: bool,
    errors: &mut Errors<'_>,
) -> Option<Action> {
    #[derive(Clone, Copy)]
    enum Word {
        Block,
        RequestApproval,
        Flag,
    }
    let words = [("Block", Word::Block), ("RequestApproval", Word::RequestApproval), ("Flag", Word::Flag)];
    let given = match fields.take("action") {
        None if advice => return Some(Action::Flag),
        Some(given) => given,
        None => fields.need("action", "\"Block\", \"RequestApproval\" or \"Flag\"", errors)?,
    };
    match given.word(&words, errors)? {
        Word::Block => Some(Action::Block),
        Word::Flag => Some(Action::Flag),
        Word::RequestApproval => {
            let approvals = approvals(fields, groups, errors);
            let timeout = fields.need("timeout", values::TIMEOUT, errors);
            let read = |text: &str| values::seconds(text, values::MONTH);
            let timeout = timeout.and_then(|given| given.text(values::TIMEOUT, errors, read));
            Some(Action::RequestApproval { approvals: approvals?, timeout_seconds: timeout? })
        }
    }
}

fn approvals(
    fields: &mut Fields<'_, '_>,
    groups: &BTreeMap<String, Group>,
    errors: &mut Errors<'_>,
) -> Option<Vec<(String, u32)>> {
    const EXPECTED: &str = "groups with how many of each, such as [{ group = \"treasury\", quorum = 1 }]";
    let before = errors.count();
    let given = fields.need("approvals", EXPECTED, errors)?;
    let (at, path) = (given.at(), given.path.clone());
    let entries = given.entries(EXPECTED, errors)?;
    if entries.is_empty() {
        given.refuse(EXPECTED, errors);
    }
    let mut all: Vec<(String, u32)> = Vec::new();
    for entry in entries {
        let at = entry.at();
        let Some(mut fields) = entry.table(errors) else { continue };
        let group = fields.need("group", "a group", errors);
        let group = group.and_then(|given| given.text("a group", errors, |text| Some(text.to_owned())));
        const QUORUM: &str = "how many of the group, 1 or more";
        let quorum = fields.need("quorum", QUORUM, errors);
        let quorum = quorum.and_then(|given| given.number(u64::from(u32::MAX), QUORUM, errors));
        fields.close("in an approval", errors);
        let (Some(group), Some(quorum)) = (group, quorum.and_then(|quorum| u32::try_from(quorum).ok())) else {
            continue;
        };
        let size = groups.get(&group).map(|group| group.people.len());
        let problem = match size {
            None => Some(format!("there is no group {group:?}; expected one under [groups]")),
            Some(_) if quorum == 0 => Some(format!("a quorum of 0 of {group:?} asks nobody; expected 1 or more")),
            // Complained about where it is defined.
            Some(0) => None,
            Some(size) if usize::try_from(quorum).map_or(true, |quorum| quorum > size) => {
                Some(format!("a quorum of {quorum} is larger than group {group:?}; expected at most {size}"))
            }
            Some(_) if all.iter().any(|(known, _)| *known == group) => {
                Some(format!("group {group:?} stands there twice; expected each once"))
            }
            Some(_) => None,
        };
        match problem {
            Some(problem) => errors.add(at, &path, problem),
            None => all.push((group, quorum)),
        }
    }
    let quorums: Vec<(&str, u32)> = all.iter().map(|(group, quorum)| (group.as_str(), *quorum)).collect();
    if errors.count() == before && !can_be_met(&quorums, groups) {
        let problem = "nobody counts for two groups, and these have too few people for all of them";
        errors.add(at, &path, problem);
    }
    (errors.count() == before).then_some(all)
}
