//! The operator's own list: a TOML file, read whole or refused whole.

use std::{collections::HashSet, fs, ops::Range, path::Path};

use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toml::Spanned;

use crate::{
    Kind, ListVersion,
    file_list::{ListError, Loaded},
    index::{Found, Index, hexadecimal},
};

pub(crate) const NAME: &str = "denylist";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Denylist {
    version: Spanned<String>,
    /// How many entries follow, for those who want to be sure that none is missing.
    entries: Option<Spanned<u64>>,
    #[serde(default)]
    entry: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<String>,
    kind: Kind,
    value: Spanned<String>,
    /// For people. It must be there: who is denied may ask why.
    reason: Spanned<String>,
}

/// A place in the text, and what is wrong there.
type Wrong = (Range<usize>, String);

pub(crate) fn read(path: &Path) -> Result<Loaded, ListError> {
    let bytes = fs::read(path).map_err(ListError::file(path))?;
    let written = fs::metadata(path).and_then(|file| file.modified()).map_err(ListError::file(path))?;
    let refused = ListError::refused(path);
    let text = str::from_utf8(&bytes).map_err(|error| refused(format!("expected UTF-8: {error}")))?;
    let (index, version, entries) =
        parse(text).map_err(|(place, why)| refused(format!("{}{why}", line(text, place))))?;
    let version = ListVersion {
        name: NAME.to_owned(),
        version,
        sha256: Some(crate::sdn::hex(&Sha256::digest(&bytes))),
        entries,
        imported_at: Timestamp::try_from(written).map_err(|error| refused(format!("its time is none: {error}")))?,
        kinds: vec![Kind::Address, Kind::Account, Kind::Name],
    };
    Ok(Loaded { index, version })
}

fn parse(text: &str) -> Result<(Index, String, u64), Wrong> {
    let list: Denylist = toml::from_str(text)
        .map_err(|error| (error.span().unwrap_or_default(), error.message().replace('\n', ", ")))?;
    filled(&list.version, "version")?;
    let entries = list.entry.len() as u64;
    if let Some(said) = &list.entries
        && *said.get_ref() != entries
    {
        return Err((said.span(), format!("expected {} entries, got {entries}", said.get_ref())));
    }
    let mut index = Index::default();
    let mut ids = HashSet::new();
    for entry in &list.entry {
        let Entry { id, kind, value, reason } = entry.get_ref();
        for (text, field) in [(id, "id"), (value, "value"), (reason, "reason")] {
            filled(text, field)?;
        }
        if !ids.insert(id.get_ref()) {
            return Err((id.span(), format!("id {:?} is there twice", id.get_ref())));
        }
        // Not quoted: it may be somebody's name, and the message is logged.
        let wrong = |expected: &str| Err((value.span(), format!("value: expected {expected}")));
        if *kind == Kind::Address
            && value.get_ref().to_ascii_lowercase().starts_with("0x")
            && !hexadecimal(value.get_ref())
        {
            return wrong("hexadecimal digits after 0x");
        }
        if index.add(id.get_ref(), *kind, value.get_ref(), Found::ByLikeness).is_err() {
            return wrong("a name with a letter or a digit");
        }
    }
    Ok((index, list.version.into_inner(), entries))
}

fn filled(text: &Spanned<String>, field: &str) -> Result<(), Wrong> {
    let inside = text.get_ref();
    if inside.is_empty() || inside.trim() != inside {
        return Err((text.span(), format!("{field}: expected text without spaces around it")));
    }
    Ok(())
}

fn line(text: &str, place: Range<usize>) -> String {
    format!("line {}: ", text.as_bytes().iter().take(place.start).filter(|byte| **byte == b'\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Subject, Threshold};

    const GOOD: &str = r#"version = "2026-11-01"
entries = 3

[[entry]]
id = "fraud-17"
kind = "address"
value = "0x098B716B8Aaf21512996dC57EB0615e2383E2f96"
reason = "case 17"

[[entry]]
id = "mule-3"
kind = "account"
value = "acct-7"
reason = "case 18"

[[entry]]
id = "person-1"
kind = "name"
value = "Núñez, José"
reason = "court order 5"
"#;

    fn refused(text: &str) -> String {
        let (place, why) = parse(text).err().unwrap_or_else(|| panic!("accepted: {text}"));
        format!("{}{why}", line(text, place))
    }

    #[test]
    fn entries_of_every_kind_are_found() {
        let (index, version, entries) = parse(GOOD).expect("a list");
        assert_eq!((version.as_str(), entries), ("2026-11-01", 3));
        let subject = Subject {
            addresses: vec!["0x098b716b8aaf21512996dc57eb0615e2383e2f96".into()],
            account_ids: vec!["acct-7".into()],
            names: vec!["jose nunez".into()],
        };
        let hits = index.find("l", &subject, Threshold::new(90).expect("a threshold"));
        let found: Vec<_> = hits.iter().map(|hit| (hit.entry.as_str(), hit.listed.as_str(), hit.score)).collect();
        assert_eq!(
            found,
            [
                ("fraud-17", "0x098B716B8Aaf21512996dC57EB0615e2383E2f96", 100),
                ("mule-3", "acct-7", 100),
                ("person-1", "Núñez, José", 100)
            ]
        );
    }

    #[test]
    fn a_list_without_entries_is_a_list() {
        assert_eq!(parse("version = \"1\"").expect("a list").2, 0);
    }

    #[test]
    fn one_bad_line_refuses_the_list_and_is_named() {
        for (from, to, says) in [
            ("kind = \"account\"", "kind = \"acount\"", "line 12: unknown variant `acount`"),
            ("kind = \"account\"", "kind = account", "line 12: "),
            ("reason = \"case 18\"", "reson = \"case 18\"", "line 14: unknown field `reson`"),
            ("reason = \"case 18\"", "reason = \"\"", "line 14: reason: expected text"),
            ("value = \"acct-7\"", "value = \"acct-7 \"", "line 13: value: expected text without spaces around it"),
            ("id = \"mule-3\"", "id = \"fraud-17\"", "line 11: id \"fraud-17\" is there twice"),
            ("value = \"Núñez, José\"", "value = \"-\"", "line 19: value: expected a name with a letter or a digit"),
            ("5e2383E2f96\"", "5e2383E2f9O\"", "line 7: value: expected hexadecimal digits after 0x"),
            ("version = \"2026-11-01\"", "version = \"\"", "line 1: version: expected text"),
            ("version = \"2026-11-01\"\n", "", "missing field `version`"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let refused = refused(&GOOD.replacen(from, to, 1));
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[test]
    fn no_message_quotes_a_listed_name() {
        for (from, to) in [
            ("José\"", "José \""),
            ("José\"", "José"),
            ("value = \"Núñez, José\"", "value = [\"Núñez, José\"]"),
            ("value = \"Núñez, José\"", "valeu = \"Núñez, José\""),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let refused = refused(&GOOD.replacen(from, to, 1));
            assert!(!refused.contains("José"), "{refused}");
        }
    }

    #[test]
    fn a_missing_field_is_refused_where_its_entry_begins() {
        let refused = refused(&GOOD.replacen("value = \"acct-7\"\n", "", 1));
        assert!(refused.starts_with("line 10: missing field `value`"), "{refused}");
    }

    #[test]
    fn a_list_cut_in_half_is_refused() {
        let refused_at = |end: usize| refused(&GOOD[..end]);
        for end in (25..GOOD.len() - 1).filter(|end| GOOD.is_char_boundary(*end)) {
            assert!(refused_at(end).starts_with("line "), "{}", &GOOD[..end]);
        }
    }
}
