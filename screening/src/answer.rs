//! What the lists said, kept as evidence; and that one said nothing.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Kind;

/// What the lists said of a subject, in the form that is kept as evidence. Holds nothing of the subject itself but what
/// is on a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The lists that were asked and answered, as they were at that moment.
    pub lists: Vec<ListVersion>,
    /// What was found; the most alike first.
    pub hits: Vec<Hit>,
    /// Lists that were asked and gave no answer. Only ever beside a hit: without one there is no [`Answer`] then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent: Vec<Silent>,
}

impl Answer {
    /// Whether every list that was asked answered, and none has the subject.
    pub fn is_clear(&self) -> bool {
        self.hits.is_empty() && self.silent.is_empty()
    }

    /// Of several hits of one kind on one entry, the most alike is kept.
    pub(crate) fn with_hits(lists: Vec<ListVersion>, hits: impl IntoIterator<Item = Hit>) -> Self {
        let mut best: BTreeMap<_, Hit> = BTreeMap::new();
        for hit in hits {
            let key = (hit.list.clone(), hit.entry.clone(), hit.matched);
            if best.get(&key).is_none_or(|known| known.score < hit.score) {
                best.insert(key, hit);
            }
        }
        let mut hits: Vec<Hit> = best.into_values().collect();
        hits.sort_by_key(|hit| std::cmp::Reverse(hit.score));
        Self { lists, hits, silent: vec![] }
    }
}

/// Which version of a list is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListVersion {
    /// Which list: `denylist`, `ofac-sdn`, `watchman:us_ofac`, …
    pub name: String,
    /// What the list itself calls this version: a denylist's `version`, the day on which the SDN list was published, the
    /// version of the Watchman server.
    pub version: String,
    /// SHA-256 of the content, in hex: of the denylist's file, of the XML that was imported, what Watchman tells of the
    /// file that it fetched. `None` where a server does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// How many entries it has.
    pub entries: u64,
    /// Since when it is here: when it was imported, when a denylist's file was written, when Watchman refreshed it.
    pub imported_at: Timestamp,
    /// What of a subject was looked for in it.
    pub kinds: Vec<Kind>,
}

/// Something of the subject is on a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hit {
    /// Which list: [`ListVersion::name`].
    pub list: String,
    /// The entry's id on that list.
    pub entry: String,
    /// What of the subject matched.
    pub matched: Kind,
    /// The text on the list, public or the operator's own. Never the subject's.
    pub listed: String,
    /// How alike they are, 0 to 100; 100 is equal, but for case, marks, punctuation and the order of words.
    pub score: u8,
}

/// A list that gave no answer, and why. Names nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{list}: {why}")]
pub struct Silent {
    /// Which list.
    pub list: String,
    /// Why it gave no answer.
    pub why: String,
}

impl Silent {
    pub(crate) fn new(list: &str, why: impl fmt::Display) -> Self {
        Self { list: list.to_owned(), why: why.to_string() }
    }
}

/// The subject could not be screened: nothing was found, but not every list answered. Not "clear".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NoAnswer {
    /// The lists that gave no answer; at least one.
    pub silent: Vec<Silent>,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not screened: ")?;
        for (at, silent) in self.silent.iter().enumerate() {
            write!(f, "{}{silent}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for NoAnswer {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_camel_case_and_survives_json() {
        let answer = Answer {
            lists: vec![ListVersion {
                name: "ofac-sdn".into(),
                version: "2026-11-25".into(),
                sha256: Some("ab".into()),
                entries: 1,
                imported_at: "2026-11-26T08:00:00Z".parse().expect("a time"),
                kinds: vec![Kind::Address, Kind::Name],
            }],
            hits: vec![Hit {
                list: "ofac-sdn".into(),
                entry: "36".into(),
                matched: Kind::Name,
                listed: "AEROCARIBBEAN AIRLINES".into(),
                score: 97,
            }],
            silent: vec![],
        };
        let json = serde_json::json!({
            "lists": [{"name": "ofac-sdn", "version": "2026-11-25", "sha256": "ab", "entries": 1,
                "importedAt": "2026-11-26T08:00:00Z", "kinds": ["address", "name"]}],
            "hits": [{"list": "ofac-sdn", "entry": "36", "matched": "name", "listed": "AEROCARIBBEAN AIRLINES",
                "score": 97}],
        });
        assert_eq!(serde_json::to_value(&answer).expect("JSON"), json);
        assert_eq!(serde_json::from_value::<Answer>(json).expect("an answer"), answer);
    }

    #[test]
    fn an_entry_is_named_once_for_each_kind() {
        let hit = |entry: &str, matched, score| Hit {
            list: "l".into(),
            entry: entry.into(),
            matched,
            listed: String::new(),
            score,
        };
        let hits = [
            hit("1", Kind::Name, 91),
            hit("2", Kind::Name, 95),
            hit("1", Kind::Name, 99),
            hit("1", Kind::Address, 100),
        ];
        let answer = Answer::with_hits(vec![], hits);
        let found: Vec<_> = answer.hits.iter().map(|hit| (hit.entry.as_str(), hit.matched, hit.score)).collect();
        assert_eq!(found, [("1", Kind::Address, 100), ("1", Kind::Name, 99), ("2", Kind::Name, 95)]);
    }

    #[test]
    fn no_answer_says_which_list_and_why() {
        let silent = vec![Silent::new("a", "gone"), Silent::new("b", "late")];
        assert_eq!(NoAnswer { silent }.to_string(), "not screened: a: gone; b: late");
    }
}
