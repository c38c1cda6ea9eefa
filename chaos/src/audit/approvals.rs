//! Approvals of people: what needed one had a valid one before it was confirmed.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::Value;

use super::{Attempt, Rule, Wrong, text};
use crate::books::Books;

/// The programs that the policy asks an approval for.
const NEED: [&str; 2] = ["large", "unanswered"];

/// Checks what was confirmed of it, and that what was denied was not even created.
pub(super) fn check(books: &Books, it: &Attempt<'_>, wrong: &mut Wrong) {
    if !NEED.contains(&it.payout.program.as_str()) {
        return;
    }
    let created = it.line.is_some_and(|line| line["createsAccepted"] != 0);
    let valid: Vec<&Value> = approvals(books, it).filter(|row| is_valid(books, it, row)).collect();
    let by = |moment: &Value| {
        let at = moment.as_i64();
        valid.iter().any(|row| row["at"].as_i64() <= at && at.is_some())
    };
    wrong.unless(!created || !valid.is_empty(), Rule::Approved, &it.key, || {
        "was created, and nobody whom the policy names has approved it".to_owned()
    });
    let confirmed = text(it.row, "gate") == "confirming";
    wrong.unless(!confirmed || by(&it.row["gateMovedAt"]), Rule::Approved, &it.key, || {
        "was confirmed without a valid approval on record".to_owned()
    });
}

fn approvals<'a>(books: &'a Books, it: &Attempt<'_>) -> impl Iterator<Item = &'a Value> {
    let key = it.key.clone();
    books.records.approvals.iter().filter(move |row| text(row, "key") == key && text(row, "value") == "approve")
}

/// Signed by that person's own key, over exactly this payout, in force when it was given.
fn is_valid(books: &Books, it: &Attempt<'_>, row: &Value) -> bool {
    let statement = text(row, "statement");
    let says = |name: &str| {
        let mut lines = statement.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(it, _)| *it == name).map(|(_, value)| value).unwrap_or_default()
    };
    let revision = says("policy");
    statement.starts_with("remit.approval.v1\n")
        && says("namespace") == books.namespace
        && says("payout") == it.key
        && says("digest") == text(it.row, "digest")
        && says("group") == "treasury"
        && says("value") == "approve"
        && says("by") == text(row, "person")
        && books.records.revisions.iter().any(|it| text(it, "hash") == revision)
        && signed(books, row, statement)
}

fn signed(books: &Books, row: &Value, statement: &str) -> bool {
    let key = books.people.get(text(row, "person")).map(|hex| bytes(hex)).unwrap_or_default();
    let Ok(signature) = STANDARD.decode(text(row, "signature")) else { return false };
    UnparsedPublicKey::new(&ED25519, key).verify(statement.as_bytes(), &signature).is_ok()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.bytes().filter_map(|it| (it as char).to_digit(16)).filter_map(|it| u8::try_from(it).ok()).collect();
    digits.chunks(2).map(|pair| pair.iter().fold(0, |sum, digit| sum * 16 + digit)).collect()
}
