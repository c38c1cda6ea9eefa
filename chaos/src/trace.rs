//! One payout across all books of a kept run, in the order of time.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::books::Books;

/// The lines of one payout and its later attempts.
///
/// # Errors
/// When the folder holds no run, or the run no such payout.
pub fn trace(folder: &Path, id: &str) -> Result<Vec<String>> {
    let books = Books::read(folder)?;
    let base = id.split("-retry-").next().unwrap_or(id);
    let Some(payout) = books.plan.payouts.iter().find(|it| it.key == base) else {
        bail!(
            "no payout {id:?} in {}; they are named {} and so on",
            folder.display(),
            books.plan.payouts.first().map_or("", |it| &it.key)
        );
    };
    let retry = format!("{base}-retry-1");
    let mine = |key: &Value| key.as_str().is_some_and(|key| key == base || key == retry);
    let mut all: Vec<(i64, &str, String)> = vec![];
    let first = books.starters.iter().find(|line| line.key == base).map_or(0, |line| i64_of(line.at_ms));
    all.push((
        first,
        "plan",
        format!(
            "{:?}, may end as {:?}; aimed at it: {}",
            payout.script,
            payout.may_end,
            Value::from(payout.faults.clone())
        ),
    ));
    for line in books.starters.iter().filter(|line| line.key == base) {
        let said = match (&line.asked, &line.answer) {
            (Some(asked), _) => format!("asks {:?}: {asked}", line.step),
            (None, answer) => format!("{:?} was answered: {}", line.step, answer.as_deref().unwrap_or_default()),
        };
        all.push((i64_of(line.at_ms), "starter", format!("{} {said}", line.starter)));
    }
    let mut tell = |book: &'static str, rows: &[Value], at: &str, words: &dyn Fn(&Value) -> String| {
        for row in rows.iter().filter(|row| mine(&row["key"])) {
            let micros = row[at].as_i64().unwrap_or_default();
            all.push((micros / 1000, book, words(row)));
        }
    };
    tell("audit", &books.records.audit, "at", &|row| format!("{} {}", text(row, "kind"), text(row, "body")));
    tell("decision", &books.records.decisions, "at", &|row| {
        format!("{} by revision {}", row["verdict"], row["revision"])
    });
    tell("approval", &books.records.approvals, "at", &|row| format!("{} by {}", row["value"], row["person"]));
    tell("inbox", &books.records.events, "at", &|row| {
        format!("{} {} of {}, {} times", text(row, "kind"), text(row, "state"), text(row, "about"), row["times"])
    });
    tell("reservation", &books.records.reservations, "takenAt", &|row| format!("taken: {} units", text(row, "amount")));
    tell("reservation", &books.records.reservations, "settledAt", &|row| {
        format!("{}: {}", text(row, "state"), text(row, "why"))
    });
    tell("records", &books.records.payouts, "claimedAt", &|row| format!("claimed: {}", text(row, "digest")));
    tell("records", &books.records.payouts, "gateMovedAt", &|row| {
        format!("gate {} {}", text(row, "gate"), text(row, "gateWhy"))
    });
    tell("records", &books.records.payouts, "finishedAt", &|row| format!("outcome {}", row["outcome"]));
    for key in [base, &retry] {
        for (number, kind, at) in books.runs.get(&format!("payout-{key}")).iter().flat_map(|run| &run.events) {
            all.push((*at, "history", format!("{key} {number} {kind}")));
        }
    }
    // The provider's clock is off, and by how much the plan says.
    let at = |date: &Value| {
        let there: Option<jiff::Timestamp> = date.as_str().and_then(|date| date.parse().ok());
        there.map_or(0, |there| there.as_millisecond() - books.plan.clock_offset_ms)
    };
    let ids: Vec<&str> = books.payouts.iter().filter(|it| mine(&it["externalId"])).map(|it| text(it, "id")).collect();
    for request in &books.requests {
        let path = text(request, "path");
        if ids.iter().any(|id| path.contains(id)) {
            all.push((
                at(&request["date"]),
                "provider",
                format!("{} {path}: {}", text(request, "method"), request["status"]),
            ));
        }
    }
    for event in &books.events {
        let body = event["data"].to_string();
        if ids.iter().any(|id| body.contains(id)) {
            all.push((
                at(&event["date"]),
                "webhook",
                format!("{} {}, attempt {}", text(event, "kind"), text(event, "status"), event["deliveryAttempt"]),
            ));
        }
    }
    let ended = all.iter().map(|(at, ..)| *at).max().unwrap_or_default();
    for blow in &books.blows {
        let when = i64_of(blow.at_ms);
        if (first..=ended).contains(&when) {
            all.push((when, "house", format!("{} {}", blow.what, blow.whom)));
        }
    }
    for payout in books.payouts.iter().filter(|it| mine(&it["externalId"])) {
        all.push((ended, "provider", format!("at last: {payout}")));
    }
    all.sort_by_key(|(at, ..)| *at);
    Ok(all.into_iter().map(|(at, book, what)| format!("{:>9} ms  {book:12} {what}", at - first)).collect())
}

fn i64_of(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
