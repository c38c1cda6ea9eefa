//! Lists that payouts are screened against, as files: read whole or refused whole.

use std::time::Duration;

use remit_screening::{FileList, List, Subject, Threshold};
use serde_json::Value;

use crate::{choice, file, wait};

/// The operator's own list.
pub fn denylist(data: &[u8]) {
    let list = FileList::denylist(file("denylist.toml", data), threshold()).look_every(Duration::ZERO);
    let Ok(versions) = wait(list.in_force()) else {
        clears_nobody(&list);
        return;
    };
    let table: toml::Table = str::from_utf8(data).expect("a list is text").parse().expect("a list is TOML");
    let entries = table.get("entry").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    assert_eq!(versions[0].entries, entries.len() as u64);
    for entry in &entries {
        let text = |field: &str| entry[field].as_str().expect("text").to_owned();
        let mut subject = Subject::default();
        match text("kind").as_str() {
            "address" => subject.addresses.push(text("value")),
            "account" => subject.account_ids.push(text("value")),
            "name" => subject.names.push(text("value")),
            other => panic!("a kind {other:?} was taken"),
        }
        let answer = wait(list.screen(&subject)).expect("it was in force just now");
        assert!(answer.hits.iter().any(|hit| hit.entry == text("id")), "{entry} is not found");
    }
}

/// The SDN list as an import wrote it: a changed byte, a lost line or end is noticed.
pub fn sdn_list(data: &[u8]) {
    let list = FileList::sdn(file("imported.list", data), threshold()).look_every(Duration::ZERO);
    let Ok(versions) = wait(list.in_force()) else {
        clears_nobody(&list);
        return;
    };
    let text = str::from_utf8(data).expect("a list is text");
    assert_eq!(text.lines().count() as u64, versions[0].entries + 2);
    for line in text.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
    let trailer = text.trim_end().rfind('\n').expect("a list has lines");
    let mut changed = data.to_vec();
    changed[choice(data, "byte", trailer)] ^= 1 << choice(data, "bit", 8);
    clears_nobody(&FileList::sdn(file("changed.list", &changed), threshold()));
    clears_nobody(&FileList::sdn(file("cut.list", &data[..choice(data, "cut", data.len())]), threshold()));
}

fn clears_nobody(list: &impl List) {
    let subject = Subject { names: vec!["Jane Example".to_owned()], ..Subject::default() };
    assert!(wait(list.screen(&subject)).is_err(), "a list that is refused says that somebody is clear");
}

fn threshold() -> Threshold {
    Threshold::new(100).expect("a threshold")
}
