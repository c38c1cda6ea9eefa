//! Everything on record of one attempt of a payout, and how it is read.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::Error;
use crate::gate::{Gate, GateState};

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
    /// The caller's request, as JSON. None in rows that were claimed before requests were kept.
    pub request: Option<Value>,
    /// The wallet it pays from, out of the request.
    pub wallet: Option<String>,
    /// The asset it pays with, out of the request.
    pub asset: Option<String>,
    /// How much of the asset, out of the request.
    pub amount: Option<String>,
    /// The program it belongs to, if the request names one.
    pub program: Option<String>,
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
    /// The word in the outcome's field `ending`, if it has one.
    pub ending: Option<String>,
    /// When that was written, by the database's clock.
    pub finished_at: Option<Timestamp>,
}

/// All columns of the rows that are asked for, together with the clock.
macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT payout_key, base_key, attempt, external_id, digest, request, wallet, asset, amount, program, \
             claimed_at, create_body, payout, gate, gate_address, gate_why, gate_moved_at, confirm_sent_at, outcome, \
             ending, finished_at, (SELECT now_us FROM clock) AS now_us FROM payouts ",
            $which
        )
    };
}

/// Reads a row together with the clock, so that ages are the database's own.
pub(crate) async fn read(connection: &mut AnyConnection, key: &str) -> Result<Option<PayoutRow>, Error> {
    let row = sqlx::query(select!("WHERE payout_key = $1")).bind(key).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

/// As [`read`], the newest attempt of a payout.
pub(crate) async fn read_newest(connection: &mut AnyConnection, base_key: &str) -> Result<Option<PayoutRow>, Error> {
    let row = sqlx::query(select!("WHERE base_key = $1 ORDER BY attempt DESC LIMIT 1"))
        .bind(base_key)
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
pub(crate) fn private(field: &str, value: &str, limit: usize) -> Result<(), Error> {
    if value.is_empty() || value.len() > limit || value.contains('\0') {
        return Err(Error::broken(format!("{field}: {} bytes; expected 1 to {limit}, none of them zero", value.len())));
    }
    Ok(())
}

fn decode(row: &AnyRow) -> Result<PayoutRow, Error> {
    let now: i64 = row.try_get("now_us")?;
    let age = |column: &str| -> Result<Option<Duration>, Error> {
        let at: Option<i64> = row.try_get(column)?;
        Ok(at.map(|at| Duration::from_micros(u64::try_from(now.saturating_sub(at)).unwrap_or_default())))
    };
    let json = |column: &str| -> Result<Option<Value>, Error> {
        let text: Option<String> = row.try_get(column)?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|cause| Error::broken_by(format!("{column}: not JSON on record"), cause))
    };
    let finished_at: Option<i64> = row.try_get("finished_at")?;
    let gate: String = row.try_get("gate")?;
    Ok(PayoutRow {
        key: row.try_get("payout_key")?,
        base_key: row.try_get("base_key")?,
        attempt: count(row, "attempt")?,
        external_id: row.try_get("external_id")?,
        digest: row.try_get("digest")?,
        request: json("request")?,
        wallet: row.try_get("wallet")?,
        asset: row.try_get("asset")?,
        amount: row.try_get("amount")?,
        program: row.try_get("program")?,
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
        outcome: json("outcome")?,
        ending: row.try_get("ending")?,
        finished_at: finished_at.map(timestamp).transpose()?,
    })
}

/// A number that is never negative.
pub(crate) fn count(row: &AnyRow, column: &str) -> Result<u32, Error> {
    let number: i64 = row.try_get(column)?;
    u32::try_from(number).map_err(|cause| Error::broken_by(format!("{column}: {number} on record"), cause))
}

pub(crate) fn timestamp(microseconds: i64) -> Result<Timestamp, Error> {
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
