//! The fields of a TOML table, taken one by one, each with its line; what is left over at the end is unknown.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// One thing that is wrong with a policy file, or with a table of cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Where, counted from 1.
    pub line: usize,
    /// Which field, as a path: `rule "large".limit`. Empty where the file is no TOML.
    pub field: String,
    /// What is wrong, and what was expected.
    pub problem: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.field.is_empty() { "" } else { ": " };
        write!(f, "line {}: {}{separator}{}", self.line, self.field, self.problem)
    }
}

impl std::error::Error for PolicyError {}

/// Everything that is wrong, as it is found.
pub(in crate::policy) struct Errors<'t> {
    text: &'t str,
    all: Vec<PolicyError>,
}

impl<'t> Errors<'t> {
    /// For this file.
    pub(in crate::policy) fn new(text: &'t str) -> Self {
        Self { text, all: Vec::new() }
    }

    /// Adds what is wrong at this byte of the file.
    pub(in crate::policy) fn add(&mut self, at: usize, field: impl Into<String>, problem: impl Into<String>) {
        let line = self.line(at);
        self.all.push(PolicyError { line, field: field.into(), problem: problem.into() });
    }

    /// The line of this byte, counted from 1.
    pub(in crate::policy) fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }

    pub(in crate::policy) fn count(&self) -> usize {
        self.all.len()
    }

    /// In the order of the file.
    pub(in crate::policy) fn into_all(mut self) -> Vec<PolicyError> {
        self.all.sort_by_key(|error| error.line);
        self.all
    }

    /// The whole file. None when it is no TOML.
    pub(in crate::policy) fn parse(&mut self) -> Option<Spanned<DeTable<'t>>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            self.add(
                error.span().map_or(0, |span| span.start),
                "",
                format!("this is no TOML: {}", error.message().trim()),
            );
        }
        errors.is_empty().then_some(table)
    }
}

type Value<'t> = Spanned<DeValue<'t>>;

/// The fields of one table.
pub(in crate::policy) struct Fields<'a, 't> {
    path: String,
    at: usize,
    left: BTreeMap<&'a str, (usize, &'a Value<'t>)>,
}

/// One field: its path and its value.
pub(in crate::policy) struct Given<'a, 't> {
    pub(in crate::policy) path: String,
    pub(in crate::policy) value: &'a Value<'t>,
}

impl<'a, 't> Fields<'a, 't> {
    /// Those of the whole file.
    pub(in crate::policy) fn of_file(table: &'a Spanned<DeTable<'t>>) -> Self {
        Self::open(String::new(), 0, table.get_ref())
    }

    fn open(path: String, at: usize, table: &'a DeTable<'t>) -> Self {
        let left = table.iter().map(|(name, value)| (name.get_ref().as_ref(), (name.span().start, value))).collect();
        Self { path, at, left }
    }

    /// Where the table begins, for errors about all of it.
    pub(in crate::policy) fn at(&self) -> usize {
        self.at
    }

    /// Calls the table by a better name from here on.
    pub(in crate::policy) fn rename(&mut self, path: String) {
        self.path = path;
    }

    /// The path of a field.
    pub(in crate::policy) fn name(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    /// A field that may be there, left where it is.
    pub(in crate::policy) fn peek(&self, field: &str) -> Option<Given<'a, 't>> {
        self.left.get(field).map(|(_, value)| Given { path: self.name(field), value })
    }

    /// A field that may be there.
    pub(in crate::policy) fn take(&mut self, field: &str) -> Option<Given<'a, 't>> {
        let path = self.name(field);
        self.left.remove(field).map(|(_, value)| Given { path, value })
    }

    /// A field that has to be there.
    pub(in crate::policy) fn need(
        &mut self,
        field: &str,
        expected: &str,
        errors: &mut Errors<'_>,
    ) -> Option<Given<'a, 't>> {
        let given = self.take(field);
        if given.is_none() {
            errors.add(self.at, self.name(field), format!("it is missing; expected {expected}"));
        }
        given
    }

    /// The tables in this one, by the names they have there.
    pub(in crate::policy) fn each(self, errors: &mut Errors<'_>) -> Vec<(&'a str, Fields<'a, 't>)> {
        let Self { path, left, .. } = self;
        let mut all = Vec::new();
        for (name, (at, value)) in left {
            let path = format!("{path}.{name}");
            match value.get_ref().as_table() {
                Some(table) => all.push((name, Self::open(path, at, table))),
                None => errors.add(at, path, "expected a table"),
            }
        }
        all
    }

    /// The fields of this one by their names, as they are.
    pub(in crate::policy) fn values(self) -> Vec<(&'a str, Given<'a, 't>)> {
        let path = self.path;
        let given = |(name, (_, value))| (name, Given { path: format!("{path}.{name}"), value });
        self.left.into_iter().map(given).collect()
    }

    /// Complains about every field that is none of these.
    pub(in crate::policy) fn only(&self, known: &[&str], errors: &mut Errors<'_>) {
        for (name, (at, _)) in self.left.iter().filter(|(name, _)| !known.contains(*name)) {
            errors.add(*at, self.name(name), "there is no such field here; is the name spelt right?");
        }
    }

    /// Complains about every field that nobody took.
    pub(in crate::policy) fn close(self, known: &str, errors: &mut Errors<'_>) {
        for (name, (at, _)) in &self.left {
            errors.add(*at, self.name(name), format!("there is no such field {known}; is the name spelt right?"));
        }
    }
}

impl<'a, 't> Given<'a, 't> {
    /// Where the value begins.
    pub(in crate::policy) fn at(&self) -> usize {
        self.value.span().start
    }

    /// Says that this is not what was expected.
    pub(in crate::policy) fn refuse(&self, expected: &str, errors: &mut Errors<'_>) {
        let text = errors.text.get(self.value.span()).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        let found = match first.char_indices().nth(60) {
            Some((end, _)) => format!("{}…", first.get(..end).unwrap_or_default()),
            None => first.to_owned(),
        };
        errors.add(self.at(), &self.path, format!("{found} is not accepted; expected {expected}"));
    }

    /// Its text, read by `read`.
    pub(in crate::policy) fn text<T>(
        &self,
        expected: &str,
        errors: &mut Errors<'_>,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let read = self.value.get_ref().as_str().and_then(read);
        if read.is_none() {
            self.refuse(expected, errors);
        }
        read
    }

    /// One of these words.
    pub(in crate::policy) fn word<T: Copy>(&self, words: &[(&str, T)], errors: &mut Errors<'_>) -> Option<T> {
        let known: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let find = |text: &str| words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        self.text(&known.join(" or "), errors, find)
    }

    /// A whole number of at least zero and at most this.
    pub(in crate::policy) fn number(&self, most: u64, expected: &str, errors: &mut Errors<'_>) -> Option<u64> {
        let number = self.value.get_ref().as_integer().filter(|it| it.radix() == 10);
        let number = number.and_then(|it| it.as_str().parse().ok()).filter(|number| *number <= most);
        if number.is_none() {
            self.refuse(expected, errors);
        }
        number
    }

    /// `true` or `false`.
    pub(in crate::policy) fn yes_or_no(&self, errors: &mut Errors<'_>) -> Option<bool> {
        let yes = self.value.get_ref().as_bool();
        if yes.is_none() {
            self.refuse("true or false", errors);
        }
        yes
    }

    /// The entries of a list, each on its own.
    pub(in crate::policy) fn entries(&self, expected: &str, errors: &mut Errors<'_>) -> Option<Vec<Given<'a, 't>>> {
        let value: &'a Value<'t> = self.value;
        let Some(list) = value.get_ref().as_array() else {
            self.refuse(&format!("a list of {expected}"), errors);
            return None;
        };
        let entry = |value| Given { path: self.path.clone(), value };
        Some(list.iter().map(entry).collect())
    }

    /// A list of texts that says something: not empty, and nothing twice. None when anything is wrong with it.
    pub(in crate::policy) fn set<T: Ord>(
        &self,
        expected: &str,
        errors: &mut Errors<'_>,
        mut read: impl FnMut(&str) -> Option<T>,
    ) -> Option<BTreeSet<T>> {
        let before = errors.count();
        let entries = self.entries(expected, errors)?;
        let mut set = BTreeSet::new();
        for entry in &entries {
            if let Some(value) = entry.text(expected, errors, &mut read)
                && !set.insert(value)
            {
                errors.add(entry.at(), &self.path, "an entry stands there twice; expected each once");
            }
        }
        if entries.is_empty() {
            errors.add(self.at(), &self.path, format!("the list is empty; expected at least one of {expected}"));
        }
        (errors.count() == before).then_some(set)
    }

    /// Its fields.
    pub(in crate::policy) fn table(self, errors: &mut Errors<'_>) -> Option<Fields<'a, 't>> {
        let (at, value) = (self.at(), self.value);
        match value.get_ref().as_table() {
            Some(table) => Some(Fields::open(self.path, at, table)),
            None => {
                self.refuse("a table", errors);
                None
            }
        }
    }
}
