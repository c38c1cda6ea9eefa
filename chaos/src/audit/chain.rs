//! The audit record: one chain, each hash computed anew, that says what was to be done before it was done.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Attempt, Rule, Wrong, text};
use crate::books::Books;

/// Checks it. Gives how many records there are.
pub(super) fn check(books: &Books, attempts: &[Attempt<'_>], wrong: &mut Wrong) -> usize {
    let all = &books.records.audit;
    let mut previous = "0".repeat(64);
    for (number, record) in (1_u64..).zip(all) {
        let key = text(record, "key");
        let (seq, at) = (record["seq"].as_u64(), record["at"].as_i64());
        wrong.unless(seq == Some(number), Rule::Chain, key, || format!("record {number} has the number {seq:?}"));
        wrong.unless(text(record, "previous") == previous, Rule::Chain, key, || {
            format!("record {number} does not go on from the one before")
        });
        let hash = hash(record, number, at.unwrap_or_default());
        wrong.unless(text(record, "hash") == hash, Rule::Chain, key, || format!("record {number} was changed"));
        text(record, "hash").clone_into(&mut previous);
    }
    let head = books.records.head.first();
    let whole =
        head.is_some_and(|head| head["seq"].as_u64() == Some(all.len() as u64) && text(head, "hash") == previous);
    wrong.unless(whole, Rule::Chain, "-", || {
        format!("the head of the audit record is {head:?}, there are {}", all.len())
    });

    let mut kinds: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for record in all {
        *kinds.entry((text(record, "key"), text(record, "kind"))).or_default() += 1;
    }
    for it in attempts {
        let says = |kind: &str| kinds.contains_key(&(it.key.as_str(), kind));
        let created = it.line.is_some_and(|line| line["createsAccepted"] != 0);
        let confirmed = it.line.is_some_and(|line| line["confirmsAccepted"] != 0);
        for (done, kind) in [
            (true, if it.row["attempt"] == 1 { "payout.claimed" } else { "attempt.opened" }),
            (created, "payout.decided"),
            (created, "create.intended"),
            (confirmed, "gate.taken"),
            (confirmed, "confirm.intended"),
            (it.outcome().is_some(), "payout.finished"),
        ] {
            wrong.unless(!done || says(kind), Rule::Chain, &it.key, || format!("the audit record has no {kind} of it"));
        }
    }
    all.len()
}

/// As the documentation describes it: numbers as eight bytes, texts with their length before them.
fn hash(record: &Value, seq: u64, at: i64) -> String {
    let mut hash = Sha256::new();
    hash.update(b"remit.audit.v1\n");
    let text_of = |hash: &mut Sha256, text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    text_of(&mut hash, text(record, "previous"));
    hash.update(seq.to_be_bytes());
    hash.update(at.to_be_bytes());
    text_of(&mut hash, text(record, "kind"));
    match record["key"].as_str() {
        None => hash.update([0]),
        Some(key) => {
            hash.update([1]);
            text_of(&mut hash, key);
        }
    }
    text_of(&mut hash, text(record, "body"));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
