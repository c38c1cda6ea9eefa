//! The audit record: what was intended, decided, done and ordered. Only ever appended to; each record holds the hash of
//! the one before it, so that none can be changed, dropped or moved without notice.

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::row::{timestamp, usable};
use crate::{Error, Records};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// 1, 2, … without a gap.
    pub seq: u64,
    /// When, by the database's clock.
    pub at: Timestamp,
    /// A word for what it speaks of: `payout.claimed`.
    pub kind: String,
    /// The payout it speaks of, if one.
    pub key: Option<String>,
    /// What it says, as JSON text with sorted fields. The hash is over this text.
    pub body: String,
    /// The hash of the record before; 64 zeros in the first.
    pub previous: String,
    /// The hash of this record.
    pub hash: String,
}

impl AuditRow {
    /// What its hash must be: SHA-256, in hexadecimal, over `remit.audit.v1` and a new line, then its parts in order.
    /// Numbers are eight bytes, big end first, times being microseconds since the Unix epoch; texts are such a number of
    /// bytes and the bytes; the key is one byte, 0 for none or 1 and the text.
    pub fn expected_hash(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"remit.audit.v1\n");
        let text = |hash: &mut Sha256, text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        };
        text(&mut hash, &self.previous);
        hash.update(self.seq.to_be_bytes());
        hash.update(self.at.as_microsecond().to_be_bytes());
        text(&mut hash, &self.kind);
        match &self.key {
            None => hash.update([0]),
            Some(key) => {
                hash.update([1]);
                text(&mut hash, key);
            }
        }
        text(&mut hash, &self.body);
        hex(&hash.finalize())
    }
}

/// How far the record has come: what is signed and kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// The number of the newest record; 0 while there is none.
    pub seq: u64,
    /// Its hash; 64 zeros while there is none.
    pub hash: String,
    /// When this was read, by the database's clock.
    pub at: Timestamp,
}

impl AuditHead {
    /// The text that an audit key signs.
    pub fn text(&self) -> String {
        format!("remit.checkpoint.v1\nseq: {}\nhash: {}\nat: {}\n", self.seq, self.hash, self.at)
    }
}

/// What precedes the first record.
pub(crate) const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// How many records are read at once.
const MOST: u32 = 1000;

impl Records {
    /// Appends a record of something that only the caller knows of, such as an order. Never personal data, never a
    /// secret: amounts, keys, ids, hashes and the names of those who decide.
    ///
    /// # Errors
    /// `Broken`: the kind is not usable. `Unavailable`: no answer; asking again may append it twice.
    pub async fn audit_append(&self, kind: &str, key: Option<&str>, body: &Value) -> Result<(), Error> {
        self.bounded(format!("append {kind:?} to the audit record"), async {
            usable("kind", kind, 100)?;
            key.map_or(Ok(()), |key| usable("key", key, 255))?;
            let mut tx = self.begin().await?;
            append(&mut tx, kind, key, body).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// The records after this one, in their order; at most `limit` of them, and at most 1000.
    ///
    /// # Errors
    /// As any call.
    pub async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditRow>, Error> {
        self.bounded(format!("read the audit record after {after}"), async {
            let rows = sqlx::query(
                "SELECT seq, at, kind, payout_key, body, previous, hash FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2",
            )
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(i64::from(limit.min(MOST)))
            .fetch_all(&self.pool)
            .await?;
            rows.iter().map(decode).collect()
        })
        .await
    }

    /// All records of one payout, in their order.
    ///
    /// # Errors
    /// As any call.
    pub async fn audit_of(&self, key: &str) -> Result<Vec<AuditRow>, Error> {
        self.bounded(format!("read the audit record of payout {key:?}"), async {
            let rows = sqlx::query(
                "SELECT seq, at, kind, payout_key, body, previous, hash FROM audit WHERE payout_key = $1 ORDER BY seq",
            )
            .bind(key)
            .fetch_all(&self.pool)
            .await?;
            rows.iter().map(decode).collect()
        })
        .await
    }

    /// How far the record has come.
    ///
    /// # Errors
    /// As any call.
    pub async fn audit_head(&self) -> Result<AuditHead, Error> {
        self.bounded("read the head of the audit record", async {
            let row = sqlx::query("SELECT seq, hash, (SELECT now_us FROM clock) AS now_us FROM audit_head")
                .fetch_one(&self.pool)
                .await?;
            Ok(AuditHead {
                seq: number(&row, "seq")?,
                hash: row.try_get("hash")?,
                at: timestamp(row.try_get("now_us")?)?,
            })
        })
        .await
    }
}

/// Appends within a transaction, as the last thing before it commits: from here on every other append waits.
pub(crate) async fn append(
    connection: &mut AnyConnection,
    kind: &str,
    key: Option<&str>,
    body: &Value,
) -> Result<(), Error> {
    // Changes nothing, but locks the head on both databases, so that no other record comes between.
    let head = sqlx::query(
        "UPDATE audit_head SET id = id WHERE id = 1 RETURNING seq, hash, (SELECT now_us FROM clock) AS now_us",
    )
    .fetch_one(&mut *connection)
    .await?;
    let mut row = AuditRow {
        seq: number(&head, "seq")? + 1,
        at: timestamp(head.try_get("now_us")?)?,
        kind: kind.to_owned(),
        key: key.map(str::to_owned),
        body: canonical(body),
        previous: head.try_get("hash")?,
        hash: String::new(),
    };
    row.hash = row.expected_hash();
    sqlx::query(
        "INSERT INTO audit (seq, at, kind, payout_key, body, previous, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(head.try_get::<i64, _>("seq")? + 1)
    .bind(row.at.as_microsecond())
    .bind(row.kind)
    .bind(row.key)
    .bind(row.body)
    .bind(row.previous)
    .bind(row.hash)
    .execute(connection)
    .await?;
    Ok(())
}

/// JSON without spaces, its fields sorted: one text for each value.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            let fields: Vec<String> = sorted
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// SHA-256 in hexadecimal: how a record speaks of what it does not repeat.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(row: &AnyRow) -> Result<AuditRow, Error> {
    Ok(AuditRow {
        seq: number(row, "seq")?,
        at: timestamp(row.try_get("at")?)?,
        kind: row.try_get("kind")?,
        key: row.try_get("payout_key")?,
        body: row.try_get("body")?,
        previous: row.try_get("previous")?,
        hash: row.try_get("hash")?,
    })
}

/// A number that is never negative.
pub(crate) fn number(row: &AnyRow, column: &str) -> Result<u64, Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|cause| Error::broken_by(format!("{column}: {number} on record"), cause))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_has_one_text() {
        let value = json!({"b": [1, {"d": null, "c": "x\"\n"}], "a": true, "ä": {}});
        assert_eq!(canonical(&value), r#"{"a":true,"b":[1,{"c":"x\"\n","d":null}],"ä":{}}"#);
    }

    #[test]
    fn what_is_hashed_can_be_computed_by_anybody() {
        let row = AuditRow {
            seq: 1,
            at: Timestamp::from_microsecond(2).expect("a time"),
            kind: "k".to_owned(),
            key: None,
            body: "{}".to_owned(),
            previous: NOTHING.to_owned(),
            hash: String::new(),
        };
        let mut bytes = b"remit.audit.v1\n\0\0\0\0\0\0\0\x40".to_vec();
        bytes.extend(NOTHING.bytes());
        bytes.extend(b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01k\0\0\0\0\0\0\0\0\x02{}");
        assert_eq!(row.expected_hash(), sha256(&bytes));
    }
}
