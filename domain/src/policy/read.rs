//! Reads a policy file. Everything that is wrong with it is said at once, each with its line and what was expected: what is
//! misunderstood here would forbid less than its authors think.

pub(super) mod fields;
mod rule;
pub(super) mod values;

use std::collections::{BTreeMap, BTreeSet};

pub use fields::PolicyError;
use fields::{Errors, Fields, Given};

use super::{Group, Orders, Person, Policy, Starter};

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn read(toml: &str) -> Result<Self, Vec<PolicyError>> {
        let mut errors = Errors::new(toml);
        let policy = match errors.parse() {
            Some(table) => policy(Fields::of_file(&table), &mut errors),
            None => None,
        };
        match (policy, errors.into_all()) {
            (Some(policy), errors) if errors.is_empty() => Ok(policy),
            (_, errors) => Err(errors),
        }
    }
}

fn policy(mut file: Fields<'_, '_>, errors: &mut Errors<'_>) -> Option<Policy> {
    const CALLED: &str = "what the policy is called";
    let called = |text: &str| {
        let fits = !text.trim().is_empty() && text.len() <= 128 && !text.contains(char::is_control);
        fits.then(|| text.to_owned())
    };
    let name = file.need("name", CALLED, errors).and_then(|given| given.text(CALLED, errors, called));
    let unsigned_starts = allowed(file.take("unsigned_starts"), "block", errors);
    let people = people(file.take("people"), errors);
    let starters = starters(file.take("starters"), errors);
    let groups = groups(file.take("groups"), &people, errors);
    let orders = orders(file.take("orders"), &groups, errors);
    let mut names = BTreeSet::new();
    let mut rules = Vec::new();
    let entries = file.take("rule").and_then(|given| given.entries("rules, each under [[rule]]", errors));
    for entry in entries.unwrap_or_default() {
        if let Some(fields) = entry.table(errors) {
            rules.extend(rule::rule(fields, &groups, &mut names, errors));
        }
    }
    file.close("in a policy", errors);
    Some(Policy { name: name?, unsigned_starts, people, groups, starters, orders, rules })
}

/// Whether what usually is refused with this word is allowed.
fn allowed(given: Option<Given<'_, '_>>, refused: &str, errors: &mut Errors<'_>) -> bool {
    given.and_then(|given| given.word(&[(refused, false), ("allow", true)], errors)).unwrap_or(false)
}

/// The tables under this one, by name.
fn named<'a, 't>(given: Option<Given<'a, 't>>, errors: &mut Errors<'_>) -> Vec<(String, Fields<'a, 't>)> {
    let Some(fields) = given.and_then(|given| given.table(errors)) else { return vec![] };
    let mut all = Vec::new();
    for (name, fields) in fields.each(errors) {
        if !values::is_name(name) {
            errors.add(
                fields.at(),
                format!("{name:?}"),
                format!("the name is not accepted; expected {}", values::NAME),
            );
        }
        all.push((name.to_owned(), fields));
    }
    all
}

/// A key that nobody above has.
fn key(
    name: &str,
    fields: &mut Fields<'_, '_>,
    keys: &mut BTreeMap<String, String>,
    errors: &mut Errors<'_>,
) -> Option<String> {
    let given = fields.need("key", values::KEY, errors)?;
    let key = given.text(values::KEY, errors, values::key)?;
    if let Some(other) = keys.insert(key.clone(), name.to_owned()) {
        errors.add(
            given.at(),
            &given.path,
            format!("it is the key of {other} too; expected one of their own for each"),
        );
    }
    Some(key)
}

fn people(given: Option<Given<'_, '_>>, errors: &mut Errors<'_>) -> BTreeMap<String, Person> {
    const USER: &str = "a user's id at Dfns, such as \"us-5pfuu-9euek-h0odgb6snva8ph3k\"";
    let (mut people, mut keys) = (BTreeMap::new(), BTreeMap::new());
    for (name, mut fields) in named(given, errors) {
        let key = key(&name, &mut fields, &mut keys, errors).unwrap_or_default();
        let user = |text: &str| text.starts_with("us-").then(|| text.to_owned());
        let dfns_user = fields.take("dfns_user").and_then(|given| given.text(USER, errors, user));
        fields.close("of a person", errors);
        people.insert(name, Person { key, dfns_user });
    }
    people
}

/// Starters have keys of their own among themselves; a person who also starts payouts may have one key for both.
fn starters(given: Option<Given<'_, '_>>, errors: &mut Errors<'_>) -> BTreeMap<String, Starter> {
    const PROGRAMS: &str =
        "programs such as \"payroll\"; \"*\" alone is all of them, \"\" that of payouts that name none";
    let (mut starters, mut keys) = (BTreeMap::new(), BTreeMap::new());
    for (name, mut fields) in named(given, errors) {
        let key = key(&name, &mut fields, &mut keys, errors).unwrap_or_default();
        let program = |text: &str| if text == "*" { Some(text.to_owned()) } else { values::program(text) };
        let programs = fields.need("programs", PROGRAMS, errors).and_then(|given| {
            let set = given.set(PROGRAMS, errors, program)?;
            if !values::programs(&set) {
                given.refuse(PROGRAMS, errors);
            }
            Some(set)
        });
        fields.close("of a starter", errors);
        starters.insert(name, Starter { key, programs: programs.unwrap_or_default() });
    }
    starters
}

fn groups(
    given: Option<Given<'_, '_>>,
    people: &BTreeMap<String, Person>,
    errors: &mut Errors<'_>,
) -> BTreeMap<String, Group> {
    const PEOPLE: &str = "people who are under [people]";
    let mut groups = BTreeMap::new();
    for (name, mut fields) in named(given, errors) {
        let known = |text: &str| people.contains_key(text).then(|| text.to_owned());
        let members = fields.need("people", PEOPLE, errors).and_then(|given| given.set(PEOPLE, errors, known));
        fields.close("of a group", errors);
        groups.insert(name, Group { people: members.unwrap_or_default() });
    }
    groups
}

fn orders(given: Option<Given<'_, '_>>, groups: &BTreeMap<String, Group>, errors: &mut Errors<'_>) -> Orders {
    const GROUPS: &str = "groups that are under [groups]";
    let Some(mut fields) = given.and_then(|given| given.table(errors)) else { return Orders::default() };
    let known = |text: &str| groups.contains_key(text).then(|| text.to_owned());
    let who = fields.take("groups").and_then(|given| given.set(GROUPS, errors, known)).unwrap_or_default();
    let unsigned = allowed(fields.take("unsigned"), "refuse", errors);
    fields.close("under [orders]", errors);
    Orders { groups: who, unsigned }
}
