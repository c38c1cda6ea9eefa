//! Pages of a list, newest first, and the conditions of a list.

use std::fmt;
use std::str::FromStr;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyPool, AssertSqlSafe};

use crate::{Error, StoredEvent};

/// One page of a list, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins; none when this was the last one.
    pub next: Option<Cursor>,
}

/// A place in a list: after an item of a page before. Stays good while rows are added. Made into text and back it is
/// the same, so that a command can print it and take it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) at: i64,
    pub(crate) id: String,
}

impl Cursor {
    /// The place after this event, in a list of events.
    pub fn after(event: &StoredEvent) -> Self {
        Self { at: event.received_at.as_microsecond(), id: event.what.clone() }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at, self.id)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.split_once('.')
            .and_then(|(at, id)| Some(Self { at: at.parse().ok()?, id: id.to_owned() }))
            .filter(|cursor| !cursor.id.is_empty() && !cursor.id.contains('\0'))
            .ok_or_else(|| Error::broken(format!("cursor: {text:?}; expected one that a page before has given")))
    }
}

/// How many items a page can have.
const MOST: u32 = 500;

/// Conditions that are put together at run time. Their text is always ours, values are always bound.
#[derive(Default)]
pub(crate) struct Conditions {
    text: Vec<String>,
    values: Vec<Value>,
}

/// A value that is bound.
pub(crate) enum Value {
    Text(String),
    Number(i64),
}

impl Value {
    pub fn bind(self, query: Query<'_, Any, AnyArguments>) -> Query<'_, Any, AnyArguments> {
        match self {
            Self::Text(text) => query.bind(text),
            Self::Number(number) => query.bind(number),
        }
    }
}

impl Conditions {
    /// A condition with one value, for which each `?` stands.
    pub fn text(&mut self, condition: &str, value: &str) {
        self.values.push(Value::Text(value.to_owned()));
        self.add(condition);
    }

    /// As [`Conditions::text`].
    pub fn number(&mut self, condition: &str, value: i64) {
        self.values.push(Value::Number(value));
        self.add(condition);
    }

    /// A condition without a value.
    pub fn plain(&mut self, condition: &str) {
        self.text.push(condition.to_owned());
    }

    /// Only what comes after this place, when newest comes first.
    pub fn after(&mut self, at: &str, id: &str, cursor: Option<&Cursor>) {
        if let Some(cursor) = cursor {
            self.values.push(Value::Number(cursor.at));
            self.values.push(Value::Text(cursor.id.clone()));
            let last = self.values.len();
            self.text.push(format!("({at}, {id}) < (${}, ${last})", last - 1));
        }
    }

    fn add(&mut self, condition: &str) {
        self.text.push(condition.replace('?', &format!("${}", self.values.len())));
    }

    /// Runs `<before> WHERE <conditions> <after>`; `?` in `after` is how many rows, one more than a page has.
    pub async fn fetch(self, pool: &AnyPool, before: &str, after: &str, limit: u32) -> Result<Vec<AnyRow>, Error> {
        let Self { text, mut values } = self;
        values.push(Value::Number(i64::from(page_size(limit)) + 1));
        let after = after.replacen('?', &format!("${}", values.len()), 1);
        let conditions = if text.is_empty() { "1 = 1".to_owned() } else { text.join(" AND ") };
        let mut query = sqlx::query(AssertSqlSafe(format!("{before} WHERE {conditions} {after}")));
        for value in values {
            query = value.bind(query);
        }
        Ok(query.fetch_all(pool).await?)
    }
}

/// Of one item more than a page has, makes a page.
pub(crate) fn page<T>(mut items: Vec<T>, limit: u32, place: impl Fn(&T) -> Cursor) -> Page<T> {
    let size = page_size(limit) as usize;
    let more = items.len() > size;
    items.truncate(size);
    let next = items.last().filter(|_| more).map(place);
    Page { items, next }
}

fn page_size(limit: u32) -> u32 {
    limit.clamp(1, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_being_printed() {
        for id in ["inv-1", "a.b.c", "é"] {
            let cursor = Cursor { at: 1_763_703_396_000_001, id: id.to_owned() };
            assert_eq!(cursor.to_string().parse::<Cursor>().expect("a cursor"), cursor);
        }
        for odd in ["", "inv-1", "12", "12.", "x.inv-1", "12.a\0"] {
            let error = odd.parse::<Cursor>().expect_err(odd);
            assert!(!error.retry_helps() && error.to_string().contains("cursor"), "{error}");
        }
    }
}
