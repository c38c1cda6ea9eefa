//! Attempts of a payout: the next one is opened in the transaction that closes the one before.

use serde_json::json;

use crate::audit::{append, sha256};
use crate::row::{PayoutRow, read_newest, usable};
use crate::{Error, Records};

/// What opening an attempt found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenedAttempt {
    /// Opened by this call; the gate of the attempt before is not open any more.
    Opened {
        /// The key of the new attempt.
        key: String,
        /// 2, 3, … 100.
        attempt: u32,
    },
    /// The attempt that was looked at is not the newest one; nothing changed.
    NotNewest {
        /// The key of the newest attempt.
        key: String,
        /// Its number.
        attempt: u32,
    },
    /// Nothing may follow the newest attempt; nothing changed.
    Refused {
        /// Why, as the caller's rule said.
        why: String,
    },
    /// There are as many attempts as there can be; nothing changed.
    TooMany,
}

/// How many attempts a payout can have.
const MOST: u32 = 100;

impl Records {
    /// The newest attempt of a payout, if its key is claimed.
    ///
    /// # Errors
    /// As any call.
    pub async fn newest_attempt(&self, base_key: &str) -> Result<Option<PayoutRow>, Error> {
        self.bounded(format!("find the newest attempt of payout {base_key:?}"), async {
            let mut connection = self.pool.acquire().await?;
            read_newest(&mut connection, base_key).await
        })
        .await
    }

    /// Opens the attempt after `newest_key`: closes that one's gate if it is open, saying why, and makes the row of
    /// the next one, for the same request. `may_follow` decides while nothing can change: a Confirm that comes at
    /// the same time finds the gate closed, or is seen by it.
    ///
    /// After a lost answer, asking again finds the attempt as `NotNewest`.
    ///
    /// # Errors
    /// `Broken`: the payout is not claimed, or the reason is not usable. `Unavailable`: no answer.
    pub async fn open_attempt(
        &self,
        base_key: &str,
        newest_key: &str,
        why: &str,
        may_follow: impl FnOnce(&PayoutRow) -> Result<(), String>,
    ) -> Result<OpenedAttempt, Error> {
        self.bounded(format!("open the attempt after {newest_key:?} of payout {base_key:?}"), async {
            usable("why", why, 1000)?;
            let mut tx = self.begin().await?;
            // Changes nothing, but locks the row on both databases, so that what is read next stays true.
            let locked = sqlx::query("UPDATE payouts SET gate = gate WHERE payout_key = $1 AND base_key = $2")
                .bind(newest_key)
                .bind(base_key)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            let newest = read_newest(&mut tx, base_key)
                .await?
                .ok_or_else(|| Error::broken(format!("base_key: {base_key:?} is not claimed; expected one that is")))?;
            if newest.key != newest_key {
                return Ok(OpenedAttempt::NotNewest { key: newest.key, attempt: newest.attempt });
            }
            if locked == 0 {
                return Err(Error::unavailable("it appeared a moment ago, so it was not locked; ask again"));
            }
            if newest.attempt >= MOST {
                return Ok(OpenedAttempt::TooMany);
            }
            if let Err(why) = may_follow(&newest) {
                return Ok(OpenedAttempt::Refused { why });
            }

            sqlx::query(
                "UPDATE payouts SET gate = 'closed', gate_why = $2, \
                 gate_moved_at = (SELECT now_us FROM clock) WHERE payout_key = $1 AND gate = 'open'",
            )
            .bind(newest_key)
            .bind(why)
            .execute(&mut *tx)
            .await?;
            let key = format!("{base_key}-retry-{}", newest.attempt);
            usable("key", &key, 64)?;
            sqlx::query(
                "INSERT INTO payouts (payout_key, base_key, attempt, external_id, digest, claimed_at, request, wallet, \
                 asset, amount, program) \
                 SELECT $2, base_key, attempt + 1, external_id, digest, (SELECT now_us FROM clock), request, wallet, \
                 asset, amount, program FROM payouts WHERE payout_key = $1",
            )
            .bind(newest_key)
            .bind(&key)
            .execute(&mut *tx)
            .await?;
            let attempt = newest.attempt + 1;
            let body = json!({"attempt": attempt, "after": newest_key, "whySha256": sha256(why.as_bytes())});
            append(&mut tx, "attempt.opened", Some(&key), &body).await?;
            tx.commit().await?;
            Ok(OpenedAttempt::Opened { key, attempt })
        })
        .await
    }
}
