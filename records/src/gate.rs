//! The gate before money moves: `open → confirming | closed`, by compare-and-set, never back.

use std::time::Duration;

use serde_json::json;
use sqlx::Row;

use crate::audit::{append, sha256};
use crate::row::{read, usable};
use crate::{Error, Records};

/// Where a gate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// Neither a Confirm nor anything that forbids one has come.
    Open,
    /// A Confirm took it: one may have been sent.
    Confirming,
    /// Closed while it was open: no Confirm was sent and none will be.
    Closed,
    /// A word of a newer build.
    Unknown(String),
}

impl From<String> for Gate {
    fn from(word: String) -> Self {
        match word.as_str() {
            "open" => Self::Open,
            "confirming" => Self::Confirming,
            "closed" => Self::Closed,
            _ => Self::Unknown(word),
        }
    }
}

/// All that is known of a gate. Ages are by the database's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateState {
    /// Where it stands.
    pub gate: Gate,
    /// The address that was checked when it was taken.
    pub address: Option<String>,
    /// Why it was closed.
    pub why: Option<String>,
    /// How long ago it was taken or closed.
    pub since_moved: Option<Duration>,
    /// How long ago a Confirm was last about to be sent.
    pub since_sent: Option<Duration>,
}

/// What taking the gate found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateAnswer {
    /// Ours: a Confirm to this address may be sent.
    Taken,
    /// Taken before, by us or another worker: a Confirm may have been sent.
    Held {
        /// How long ago, by the database's clock.
        since: Duration,
        /// The address it was taken for.
        address: String,
    },
    /// Closed: nothing may be sent.
    Closed,
    /// Nothing allows this payout: its key is not claimed.
    NotClaimed,
    /// The key is claimed for another body.
    Conflict,
}

/// What closing the gate found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseAnswer {
    /// Closed by this call, while it was open: the provider will not be told to pay.
    Closed,
    /// Closed before.
    AlreadyClosed {
        /// Why, as the first who closed it said.
        why: String,
    },
    /// Too late: a Confirm has taken it.
    Confirming,
    /// There is no gate: the key is not claimed.
    NotClaimed,
}

impl Records {
    /// Takes the gate, `open → confirming`, just before a Confirm to this address is sent.
    ///
    /// # Errors
    /// `Broken`: the address is not usable, or the gate is in a state this build does not know.
    /// `Unavailable`: no answer; the gate may have been taken, and asking again will tell.
    pub async fn take_gate(&self, key: &str, digest: &str, address: &str) -> Result<GateAnswer, Error> {
        self.bounded(format!("take the gate of payout {key:?}"), async {
            usable("address", address, 255)?;
            let mut tx = self.begin().await?;
            let taken = sqlx::query(
                "UPDATE payouts SET gate = 'confirming', gate_address = $3, \
                 gate_moved_at = (SELECT now_us FROM clock) \
                 WHERE payout_key = $1 AND digest = $2 AND gate = 'open'",
            )
            .bind(key)
            .bind(digest)
            .bind(address)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            let row = read(&mut tx, key).await?;
            if taken == 1 {
                append(&mut tx, "gate.taken", Some(key), &json!({"address": address})).await?;
            }
            tx.commit().await?;

            let Some(row) = row else { return Ok(GateAnswer::NotClaimed) };
            if taken == 1 {
                return Ok(GateAnswer::Taken);
            }
            if row.digest != digest {
                return Ok(GateAnswer::Conflict);
            }
            match (row.gate.gate, row.gate.since_moved, row.gate.address) {
                (Gate::Confirming, Some(since), Some(address)) => Ok(GateAnswer::Held { since, address }),
                (Gate::Confirming, _, _) => Err(Error::broken("the gate was taken, but not when or for what")),
                (Gate::Closed, _, _) => Ok(GateAnswer::Closed),
                // Claimed between the two statements: when we tried to take it, it was not.
                (Gate::Open, _, _) => Ok(GateAnswer::NotClaimed),
                (Gate::Unknown(word), _, _) => Err(unknown(&word)),
            }
        })
        .await
    }

    /// Marks that a Confirm is about to be sent now; a second one is spaced from it.
    ///
    /// # Errors
    /// `Broken`: the gate is not taken, so nothing may be sent. `Unavailable`: no answer.
    pub async fn note_confirm_sent(&self, key: &str) -> Result<(), Error> {
        self.bounded(format!("note the Confirm of payout {key:?}"), async {
            let mut tx = self.begin().await?;
            let noted = sqlx::query(
                "UPDATE payouts SET confirm_sent_at = (SELECT now_us FROM clock) \
                 WHERE payout_key = $1 AND gate = 'confirming' RETURNING payout, gate_address",
            )
            .bind(key)
            .fetch_optional(&mut *tx)
            .await?;
            let noted = noted.ok_or_else(|| Error::broken("its gate is not taken; take it before anything is sent"))?;
            let (payout, address): (Option<String>, Option<String>) =
                (noted.try_get("payout")?, noted.try_get("gate_address")?);
            let body = json!({"payout": payout, "address": address});
            append(&mut tx, "confirm.intended", Some(key), &body).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// The gate of a key, if it is claimed.
    ///
    /// # Errors
    /// As any call.
    pub async fn gate(&self, key: &str) -> Result<Option<GateState>, Error> {
        Ok(self.payout(key).await?.map(|row| row.gate))
    }

    /// Closes the gate, `open → closed`, so that no Confirm will be sent. Whoever loses the race learns so.
    ///
    /// # Errors
    /// `Broken`: the reason is not usable, or the gate is in a state this build does not know.
    /// `Unavailable`: no answer; asking again will tell.
    pub async fn close_gate(&self, key: &str, why: &str) -> Result<CloseAnswer, Error> {
        self.bounded(format!("close the gate of payout {key:?}"), async {
            usable("why", why, 1000)?;
            let mut tx = self.begin().await?;
            let closed = sqlx::query(
                "UPDATE payouts SET gate = 'closed', gate_why = $2, \
                 gate_moved_at = (SELECT now_us FROM clock) WHERE payout_key = $1 AND gate = 'open'",
            )
            .bind(key)
            .bind(why)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            let row = read(&mut tx, key).await?;
            if closed == 1 {
                append(&mut tx, "gate.closed", Some(key), &json!({"whySha256": sha256(why.as_bytes())})).await?;
            }
            tx.commit().await?;

            let Some(row) = row else { return Ok(CloseAnswer::NotClaimed) };
            match row.gate.gate {
                Gate::Closed if closed == 1 => Ok(CloseAnswer::Closed),
                Gate::Closed => Ok(CloseAnswer::AlreadyClosed { why: row.gate.why.unwrap_or_default() }),
                Gate::Confirming => Ok(CloseAnswer::Confirming),
                // Claimed between the two statements: when we tried to close it, it was not.
                Gate::Open => Ok(CloseAnswer::NotClaimed),
                Gate::Unknown(word) => Err(unknown(&word)),
            }
        })
        .await
    }
}

fn unknown(word: &str) -> Error {
    Error::broken(format!("gate: {word:?} on record; expected open, confirming or closed: run the newer build"))
}
