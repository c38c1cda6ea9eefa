//! `remit audit show`.

use remit_domain::Attempt;
use remit_records::{AuditRow, Records};
use serde_json::{Value, json};

use super::records;
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    payout::keys,
    settings::Settings,
    table::Look,
};

/// Flags of `remit audit show`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit audit show invoice-2026-0001
  remit audit show invoice-2026-0001 --json | jq -r '.[] | select(.kind == \"order\") | .body.by'

Everything on record of the payout and of all attempts at it, in the order it happened: claim, decisions, approvals,
orders, what was about to be sent and what came of it. Names people and amounts, never bank details; long texts stand
there by their SHA-256. Whether the record is whole: `remit audit verify`.
Exit codes: 0 shown · 4 nothing is on record of it · 1 anything else.")]
pub struct Args {
    /// Your id of the payout, or its key
    id: String,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Shows it.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let bases = keys(&args.id)?;
    let records = records(settings).await?;
    let mut rows = Vec::new();
    for base in &bases {
        rows.extend(of(&records, base).await?);
    }
    records.close().await;
    rows.sort_by_key(|row| row.seq);
    if rows.is_empty() {
        return Err(Failure::new(Exit::NotFound, format!("nothing is on record of {:?}", args.id)));
    }
    if args.json {
        out::json(&rows.iter().map(json_of).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    let header = ["record", "when", "payout", "kind", "who", "what"];
    out::line(Look::of_stdout().table(&header, &rows.iter().map(row).collect::<Vec<_>>()))?;
    Ok(Exit::Done)
}

/// Those of a payout and of the attempts that followed.
async fn of(records: &Records, base: &str) -> Result<Vec<AuditRow>, Failure> {
    let mut rows = records.audit_of(base).await?;
    for attempt in 1..Attempt::MOST {
        let more = records.audit_of(&format!("{base}-retry-{attempt}")).await?;
        if more.is_empty() {
            break;
        }
        rows.extend(more);
    }
    Ok(rows)
}

/// Fields of a record that name somebody.
const WHO: [&str; 4] = ["by", "person", "publisher", "author"];

fn row(row: &AuditRow) -> Vec<String> {
    let body = body(row);
    let who = WHO.iter().find_map(|name| body[name].as_str()).unwrap_or_default();
    let fields = body.as_object().into_iter().flatten().filter(|(name, value)| {
        !WHO.contains(&name.as_str()) && !value.is_null() && *value != &json!([]) && *value != &json!("")
    });
    let what: Vec<String> = fields.map(|(name, value)| format!("{name} {}", short(value))).collect();
    vec![
        row.seq.to_string(),
        row.at.strftime("%FT%TZ").to_string(),
        row.key.clone().unwrap_or_default(),
        row.kind.clone(),
        who.to_owned(),
        what.join(", "),
    ]
}

/// A text without its quotes; of hashes and signatures, enough to tell them apart.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() >= 64 && !text.contains(' ') => {
            format!("{}…", text.chars().take(12).collect::<String>())
        }
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(short).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name} {}", short(value))).collect();
            format!("({})", fields.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn body(row: &AuditRow) -> Value {
    serde_json::from_str(&row.body).unwrap_or_else(|_| json!({"body": row.body}))
}

fn json_of(row: &AuditRow) -> Value {
    json!({
        "record": row.seq, "at": row.at.to_string(), "kind": row.kind, "payout": row.key, "body": body(row),
        "previous": row.previous, "hash": row.hash,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_who_and_what_and_shortens_what_nobody_reads() {
        let hash = "ab".repeat(32);
        let audit = AuditRow {
            seq: 7,
            at: jiff::Timestamp::UNIX_EPOCH,
            kind: "order".into(),
            key: Some("a".into()),
            body:
                json!({"by": "ana", "order": "release", "what": "", "refused": null, "signed": true, "textSha256": hash,
                         "triggered": ["large", "new"], "wanted": [{"group": "treasury", "quorum": 2}]})
                .to_string(),
            previous: String::new(),
            hash: String::new(),
        };
        assert_eq!(
            row(&audit)[3..],
            [
                "order",
                "ana",
                "order release, signed true, textSha256 abababababab…, triggered large new, \
                 wanted (group treasury, quorum 2)"
            ]
        );
    }

    #[test]
    fn an_id_means_its_key_and_a_key_itself() {
        assert_eq!(keys("invoice-1").expect("an id"), ["invoice-1"]);
        assert_eq!(keys("an id with spaces").expect("an id").len(), 2);
        assert_eq!(keys("").expect_err("no id").exit, Exit::Usage);
    }
}
