//! One row per attempt of a payout: claim, request bytes, the provider's id, outcome.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::gate::{Gate, GateState};
use crate::{Error, Records};

/// What claiming a key found.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// Nobody had it: it is now claimed, its gate open.
    New,
    /// The same body has claimed it before.
    Known(Known),
    /// Another body has claimed it: never a second payment.
    Conflict {
        /// The digest that holds the claim.
        digest_on_record: String,
    },
}

/// How far a payout that was claimed before has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its confirm gate.
    pub gate: Gate,
    /// The provider's id for it, once known.
    pub payout: Option<String>,
    /// How it ended, once it did.
    pub outcome: Option<Value>,
}

/// What noting a provider's payout id found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// Noted by this call.
    Now,
    /// The same id was noted before.
    Already,
    /// Another id was noted before, and stays: the provider has two payouts for one key.
    Other {
        /// The one on record.
        payout: String,
    },
}

/// Everything on record of one attempt of a payout.
#[derive(Clone, PartialEq)]
pub struct PayoutRow {
    /// The key of this attempt.
    pub key: String,
    /// The key of the payout: that of its first attempt.
    pub base_key: String,
    /// 1, 2, … 100.
    pub attempt: u32,
    /// The caller's id, as it came.
    pub external_id: String,
    /// The digest of the request body that holds the claim.
    pub digest: String,
    /// When the key was claimed, by the database's clock.
    pub claimed_at: Timestamp,
    /// The exact bytes of the create request, once stored.
    pub create_body: Option<Vec<u8>>,
    /// The provider's payout id, once known.
    pub payout: Option<String>,
    /// The confirm gate.
    pub gate: GateState,
    /// How it ended, once it did.
    pub outcome: Option<Value>,
    /// When that was written, by the database's clock.
    pub finished_at: Option<Timestamp>,
}

impl Records {
    /// Claims a key for a body, for ever. The same claim again finds the first.
    ///
    /// A key that ends in `-retry-<digits>` is an attempt that exists only when a retry made it; claiming it
    /// never makes one.
    ///
    /// # Errors
    /// `Broken`: an input is not usable, the key is an attempt nobody made, or the key and digest are on
    /// record for another external id. `Unavailable`: no answer.
    pub async fn claim(&self, key: &str, digest: &str, external_id: &str) -> Result<Claim, Error> {
        self.bounded(format!("claim payout {key:?}"), async {
            usable("key", key, 64)?;
            usable("digest", digest, 255)?;
            private("external_id", external_id, 255)?;
            let mut tx = self.begin().await?;
            let made = match is_later_attempt(key) {
                true => 0,
                false => sqlx::query(
                    "INSERT INTO payouts (payout_key, base_key, attempt, external_id, digest, claimed_at) \
                     VALUES ($1, $1, 1, $2, $3, (SELECT now_us FROM clock)) \
                     ON CONFLICT (payout_key) DO NOTHING",
                )
                .bind(key)
                .bind(external_id)
                .bind(digest)
                .execute(&mut *tx)
                .await?
                .rows_affected(),
            };
            let row = read(&mut tx, key).await?.ok_or_else(|| {
                Error::broken(format!("key: {key:?} is a later attempt; expected one that a retry has made"))
            })?;
            tx.commit().await?;

            if made == 1 {
                Ok(Claim::New)
            } else if row.digest != digest {
                Ok(Claim::Conflict { digest_on_record: row.digest })
            } else if row.external_id != external_id {
                Err(Error::broken("external_id: not the one on record for this key and digest"))
            } else {
                Ok(Claim::Known(Known { gate: row.gate.gate, payout: row.payout, outcome: row.outcome }))
            }
        })
        .await
    }

    /// Stores the exact bytes of the create request, before the first send. The first ones stored win, and are
    /// what must be sent.
    ///
    /// # Errors
    /// `Broken`: the key is not claimed for this digest. `Unavailable`: no answer.
    pub async fn keep_create_body(&self, key: &str, digest: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
        self.bounded(format!("keep the create request of payout {key:?}"), async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "UPDATE payouts SET create_body = $3 \
                 WHERE payout_key = $1 AND digest = $2 AND create_body IS NULL",
            )
            .bind(key)
            .bind(digest)
            .bind(body)
            .execute(&mut *tx)
            .await?;
            let row = claimed(&mut tx, key).await?;
            tx.commit().await?;

            if row.digest != digest {
                return Err(Error::broken(format!(
                    "digest: {digest:?}; expected {:?}, which holds the claim",
                    row.digest
                )));
            }
            row.create_body.ok_or_else(|| Error::broken("the bytes just written are not on record"))
        })
        .await
    }

    /// Notes which payout of the provider belongs to the key. The first one noted stays.
    ///
    /// # Errors
    /// `Broken`: the key is not claimed, or the payout belongs to another key. `Unavailable`: no answer.
    pub async fn note_payout(&self, key: &str, payout: &str) -> Result<Noted, Error> {
        self.bounded(format!("note the provider's payout {payout:?} of {key:?}"), async {
            usable("payout", payout, 255)?;
            let mut tx = self.begin().await?;
            let noted = sqlx::query("UPDATE payouts SET payout = $2 WHERE payout_key = $1 AND payout IS NULL")
                .bind(key)
                .bind(payout)
                .execute(&mut *tx)
                .await;
            if noted.as_ref().is_err_and(is_taken) {
                drop(tx);
                let owner = self.key_of_payout(payout).await?.unwrap_or_default();
                return Err(Error::broken(format!("payout: {payout:?} belongs to payout {owner:?}")));
            }
            let noted = noted?.rows_affected();
            let row = claimed(&mut tx, key).await?;
            tx.commit().await?;

            match row.payout {
                _ if noted == 1 => Ok(Noted::Now),
                Some(on_record) if on_record == payout => Ok(Noted::Already),
                Some(on_record) => Ok(Noted::Other { payout: on_record }),
                None => Err(Error::broken("the payout id just written is not on record")),
            }
        })
        .await
    }

    /// The key that a payout of the provider belongs to, if it was noted.
    ///
    /// # Errors
    /// As any call.
    pub async fn key_of_payout(&self, payout: &str) -> Result<Option<String>, Error> {
        self.bounded(format!("find the key of the provider's payout {payout:?}"), async {
            let found = sqlx::query("SELECT payout_key FROM payouts WHERE payout = $1")
                .bind(payout)
                .fetch_optional(&self.pool)
                .await?;
            Ok(found.map(|row| row.try_get("payout_key")).transpose()?)
        })
        .await
    }

    /// Writes the outcome, once, and closes a gate that is still open. Answers what is on record: this outcome,
    /// or the one that was there before it.
    ///
    /// # Errors
    /// `Broken`: the key is not claimed. `Unavailable`: no answer.
    pub async fn finish(&self, key: &str, outcome: &Value) -> Result<Value, Error> {
        self.bounded(format!("write the outcome of payout {key:?}"), async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "UPDATE payouts SET outcome = $2, finished_at = (SELECT now_us FROM clock), \
                 gate = CASE gate WHEN 'open' THEN 'closed' ELSE gate END, \
                 gate_why = CASE gate WHEN 'open' THEN 'finished' ELSE gate_why END, \
                 gate_moved_at = CASE gate WHEN 'open' THEN (SELECT now_us FROM clock) ELSE gate_moved_at END \
                 WHERE payout_key = $1 AND outcome IS NULL",
            )
            .bind(key)
            .bind(outcome.to_string())
            .execute(&mut *tx)
            .await?;
            let row = claimed(&mut tx, key).await?;
            tx.commit().await?;
            row.outcome.ok_or_else(|| Error::broken("the outcome just written is not on record"))
        })
        .await
    }

    /// Everything on record of one key.
    ///
    /// # Errors
    /// As any call.
    pub async fn payout(&self, key: &str) -> Result<Option<PayoutRow>, Error> {
        self.bounded(format!("read payout {key:?}"), async {
            let mut connection = self.pool.acquire().await?;
            read(&mut connection, key).await
        })
        .await
    }
}

/// Reads a row together with the clock, so that ages are the database's own.
pub(crate) async fn read(connection: &mut AnyConnection, key: &str) -> Result<Option<PayoutRow>, Error> {
    let row = sqlx::query(
        "SELECT payout_key, base_key, attempt, external_id, digest, claimed_at, create_body, payout, gate, \
         gate_address, gate_why, gate_moved_at, confirm_sent_at, outcome, finished_at, \
         (SELECT now_us FROM clock) AS now_us FROM payouts WHERE payout_key = $1",
    )
    .bind(key)
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(decode).transpose()
}

/// As [`read`], for calls that only make sense on a claimed key.
pub(crate) async fn claimed(connection: &mut AnyConnection, key: &str) -> Result<PayoutRow, Error> {
    read(connection, key)
        .await?
        .ok_or_else(|| Error::broken(format!("key: {key:?} is not claimed; expected one that is")))
}

/// Refuses what one of the databases could not hold. `limit` is in bytes.
pub(crate) fn usable(field: &str, value: &str, limit: usize) -> Result<(), Error> {
    private(field, value, limit).map_err(|error| error.during(&format!("take {value:?}")))
}

/// As [`usable`], without repeating a value that may say something about a person.
fn private(field: &str, value: &str, limit: usize) -> Result<(), Error> {
    if value.is_empty() || value.len() > limit || value.contains('\0') {
        return Err(Error::broken(format!("{field}: {} bytes; expected 1 to {limit}, none of them zero", value.len())));
    }
    Ok(())
}

fn is_later_attempt(key: &str) -> bool {
    let number = key.rsplit_once("-retry-").map(|(_, number)| number);
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|answer| answer.is_unique_violation())
}

fn decode(row: &AnyRow) -> Result<PayoutRow, Error> {
    let now: i64 = row.try_get("now_us")?;
    let age = |column: &str| -> Result<Option<Duration>, Error> {
        let at: Option<i64> = row.try_get(column)?;
        Ok(at.map(|at| Duration::from_micros(u64::try_from(now.saturating_sub(at)).unwrap_or_default())))
    };
    let outcome: Option<String> = row.try_get("outcome")?;
    let finished_at: Option<i64> = row.try_get("finished_at")?;
    let attempt: i64 = row.try_get("attempt")?;
    let gate: String = row.try_get("gate")?;
    Ok(PayoutRow {
        key: row.try_get("payout_key")?,
        base_key: row.try_get("base_key")?,
        attempt: u32::try_from(attempt)
            .map_err(|cause| Error::broken_by(format!("attempt: {attempt} on record"), cause))?,
        external_id: row.try_get("external_id")?,
        digest: row.try_get("digest")?,
        claimed_at: timestamp(row.try_get("claimed_at")?)?,
        create_body: row.try_get("create_body")?,
        payout: row.try_get("payout")?,
        gate: GateState {
            gate: Gate::from(gate),
            address: row.try_get("gate_address")?,
            why: row.try_get("gate_why")?,
            since_moved: age("gate_moved_at")?,
            since_sent: age("confirm_sent_at")?,
        },
        outcome: outcome
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|cause| Error::broken_by("outcome: not JSON on record", cause))?,
        finished_at: finished_at.map(timestamp).transpose()?,
    })
}

fn timestamp(microseconds: i64) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(microseconds)
        .map_err(|cause| Error::broken_by(format!("time: {microseconds} µs on record"), cause))
}

/// Leaves out what may say something about a person.
impl fmt::Debug for PayoutRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayoutRow")
            .field("key", &self.key)
            .field("digest", &self.digest)
            .field("payout", &self.payout)
            .field("gate", &self.gate.gate)
            .field("finished_at", &self.finished_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_after_retry_makes_a_later_attempt() {
        assert!(is_later_attempt("inv-7-retry-1"));
        assert!(is_later_attempt("a-retry-x-retry-12"));
        for first in ["inv-7", "inv-7-retry-", "inv-7-retry-1a", "retry-1", "inv-7-retry-1-b"] {
            assert!(!is_later_attempt(first), "{first}");
        }
    }
}
