//! Rows in the order they were made, found by id and listed in pages, newest first.

use std::collections::{BTreeMap, HashMap};

use crate::answer::Refusal;
use crate::wire::Query;

/// Something with a Dfns id.
pub(crate) trait Row {
    fn id(&self) -> &str;
}

#[derive(Debug)]
pub(crate) struct Table<T> {
    rows: BTreeMap<u64, T>,
    places: HashMap<String, u64>,
    next: u64,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), places: HashMap::new(), next: 1 }
    }
}

impl<T: Row> Table<T> {
    pub(crate) fn insert(&mut self, row: T) {
        self.places.insert(row.id().to_owned(), self.next);
        self.rows.insert(self.next, row);
        self.next += 1;
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(self.places.get(id)?)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(self.places.get(id)?)
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<T> {
        self.rows.remove(&self.places.remove(id)?)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let gone: Vec<String> = self.rows.values().filter(|row| !keep(row)).map(|row| row.id().to_owned()).collect();
        for id in gone {
            self.remove(&id);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.values()
    }

    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &T> {
        self.rows.values().rev()
    }

    /// One page, newest first, and the token of the next one if there is more.
    pub(crate) fn page(&self, page: &Page, keep: impl Fn(&T) -> bool) -> (Vec<&T>, Option<String>) {
        let mut found = Vec::new();
        let mut last = 0;
        for (place, row) in self.rows.range(..page.before).rev().filter(|(_, row)| keep(row)) {
            if found.len() == page.limit {
                return (found, Some(last.to_string()));
            }
            last = *place;
            found.push(row);
        }
        (found, None)
    }
}

/// Which rows a list call asks for.
#[derive(Debug)]
pub(crate) struct Page {
    limit: usize,
    before: u64,
}

impl Page {
    /// Reads `limit` (1 to `most`, `usual` when absent) and `paginationToken`.
    pub(crate) fn read(query: &Query, usual: usize, most: usize) -> Result<Self, Refusal> {
        let limit = match query.one("limit") {
            None => usual,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=most).contains(limit))
                .ok_or_else(|| Refusal::field("limit", text, &format!("a number from 1 to {most}")))?,
        };
        let before = match query.one("paginationToken") {
            None => u64::MAX,
            Some(text) => text
                .parse()
                .map_err(|_| Refusal::field("paginationToken", text, "a token from the last page's nextPageToken"))?,
        };
        Ok(Self { limit, before })
    }
}
