//! One row per attempt of a payout: claim, request bytes, the provider's id, outcome.

use std::fmt;

use serde_json::{Value, json};

use crate::audit::{append, sha256};
use crate::gate::Gate;
use crate::objects::{self, Mapped, ObjectKind};
use crate::reservations::{ReservationState, Settle, settle_within};
use crate::row::{PayoutRow, claimed, private, read, usable};
use crate::{Error, Records};

/// A key, and the request it is claimed for.
#[derive(Clone, Copy)]
pub struct NewClaim<'a> {
    /// The key to claim.
    pub key: &'a str,
    /// The digest of the request: another one is a conflict.
    pub digest: &'a str,
    /// The caller's id, as it came.
    pub external_id: &'a str,
    /// The caller's request, kept for lists and for later attempts.
    pub request: &'a Value,
    /// The wallet it pays from.
    pub wallet: &'a str,
    /// The asset it pays with.
    pub asset: &'a str,
    /// How much of the asset.
    pub amount: &'a str,
    /// The program it belongs to.
    pub program: Option<&'a str>,
}

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
    /// The key is that of a later attempt, and no retry has opened it.
    NotOpened,
}

/// How far a payout that was claimed before has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its confirm gate.
    pub gate: Gate,
    /// Why the gate was closed, if it was.
    pub gate_why: Option<String>,
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

impl Records {
    /// Claims a key for a request, for ever. The same claim again finds the first, and changes nothing.
    ///
    /// A key that ends in `-retry-<digits>` is an attempt that exists only when [`Records::open_attempt`] made it;
    /// claiming it never makes one.
    ///
    /// # Errors
    /// `Broken`: an input is not usable, or the key and digest are on record for another external id.
    /// `Unavailable`: no answer.
    pub async fn claim(&self, claim: &NewClaim<'_>) -> Result<Claim, Error> {
        let NewClaim { key, digest, external_id, request, wallet, asset, amount, program } = *claim;
        self.bounded(format!("claim payout {key:?}"), async {
            usable("key", key, 64)?;
            usable("digest", digest, 255)?;
            private("external_id", external_id, 255)?;
            for (field, value) in [("wallet", wallet), ("asset", asset), ("amount", amount)] {
                usable(field, value, 255)?;
            }
            program.map_or(Ok(()), |program| usable("program", program, 255))?;
            let mut tx = self.begin().await?;
            // `ON CONFLICT` names no index: Postgres raises a conflict in any other than the one that is named, and
            // two claims at once may meet in either.
            let made = match is_later_attempt(key) {
                true => 0,
                false => sqlx::query(
                    "INSERT INTO payouts (payout_key, base_key, attempt, external_id, digest, claimed_at, request, \
                     wallet, asset, amount, program) \
                     VALUES ($1, $1, 1, $2, $3, (SELECT now_us FROM clock), $4, $5, $6, $7, $8) \
                     ON CONFLICT DO NOTHING",
                )
                .bind(key)
                .bind(external_id)
                .bind(digest)
                .bind(request.to_string())
                .bind(wallet)
                .bind(asset)
                .bind(amount)
                .bind(program)
                .execute(&mut *tx)
                .await?
                .rows_affected(),
            };
            let row = read(&mut tx, key).await?;
            if made == 1 {
                let body = json!({
                    "digest": digest, "wallet": wallet, "asset": asset, "amount": amount, "program": program,
                });
                append(&mut tx, "payout.claimed", Some(key), &body).await?;
            }
            tx.commit().await?;

            let Some(row) = row else { return Ok(Claim::NotOpened) };
            if made == 1 {
                Ok(Claim::New)
            } else if row.digest != digest {
                Ok(Claim::Conflict { digest_on_record: row.digest })
            } else if row.external_id != external_id {
                Err(Error::broken("external_id: not the one on record for this key and digest"))
            } else {
                Ok(Claim::Known(Known {
                    gate: row.gate.gate,
                    gate_why: row.gate.why,
                    payout: row.payout,
                    outcome: row.outcome,
                }))
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
            let kept = sqlx::query(
                "UPDATE payouts SET create_body = $3 \
                 WHERE payout_key = $1 AND digest = $2 AND create_body IS NULL",
            )
            .bind(key)
            .bind(digest)
            .bind(body)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            let row = claimed(&mut tx, key).await?;
            if kept == 1 {
                let body = json!({"digest": digest, "bodySha256": sha256(body), "bytes": body.len()});
                append(&mut tx, "create.intended", Some(key), &body).await?;
            }
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

    /// Notes which payout of the provider belongs to the key, and maps it. The first one noted stays.
    ///
    /// Afterwards, whatever this finds, look for events that came before: [`Records::waiting_for_key`].
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
                let owner = self.key_of_object(ObjectKind::Payout, payout).await?.unwrap_or_default();
                return Err(belongs(payout, &owner));
            }
            let noted = noted?.rows_affected();
            let row = claimed(&mut tx, key).await?;
            if row.payout.as_deref() == Some(payout)
                && let Mapped::Other { key: owner } = objects::map(&mut tx, ObjectKind::Payout, payout, key).await?
            {
                return Err(belongs(payout, &owner));
            }
            if noted == 1 {
                append(&mut tx, "create.done", Some(key), &json!({"payout": payout})).await?;
            }
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

    /// Writes the outcome, once, with the word of its field `ending`, and closes a gate that is still open. Answers
    /// what is on record: this outcome, or the one that was there before it. The reservation of the payout stays as it
    /// is: use [`Records::finish_and_settle`] where it is known what becomes of it.
    ///
    /// # Errors
    /// `Broken`: the key is not claimed. `Unavailable`: no answer.
    pub async fn finish(&self, key: &str, outcome: &Value) -> Result<Value, Error> {
        self.finish_and_settle(key, outcome, Settle::Held).await
    }

    /// As [`Records::finish`], and settles the payout's reservation in the same breath. When another outcome is on
    /// record, its reservation stays as it is too.
    ///
    /// # Errors
    /// As [`Records::finish`].
    pub async fn finish_and_settle(&self, key: &str, outcome: &Value, settle: Settle) -> Result<Value, Error> {
        self.bounded(format!("write the outcome of payout {key:?}"), async {
            // A zero character is JSON, but not text that Postgres can hold; no ending has one.
            let ending = outcome.get("ending").and_then(Value::as_str).filter(|word| !word.contains('\0'));
            let text = outcome.to_string();
            let mut tx = self.begin().await?;
            let finished = sqlx::query(
                "UPDATE payouts SET outcome = $2, ending = $3, finished_at = (SELECT now_us FROM clock), \
                 gate = CASE gate WHEN 'open' THEN 'closed' ELSE gate END, \
                 gate_why = CASE gate WHEN 'open' THEN 'finished' ELSE gate_why END, \
                 gate_moved_at = CASE gate WHEN 'open' THEN (SELECT now_us FROM clock) ELSE gate_moved_at END \
                 WHERE payout_key = $1 AND outcome IS NULL",
            )
            .bind(key)
            .bind(&text)
            .bind(ending)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            let row = claimed(&mut tx, key).await?;
            let on_record = row.outcome.ok_or_else(|| Error::broken("the outcome just written is not on record"))?;
            let why = format!("the payout has ended: {}", ending.unwrap_or("no word for it"));
            let settled = match on_record == *outcome {
                true => settle_within(&mut tx, key, settle, &why).await?,
                false => None,
            };
            if finished == 1 || settled.is_some() {
                let body = json!({
                    "ending": ending,
                    "outcomeSha256": sha256(text.as_bytes()),
                    "reservation": settled.map(ReservationState::as_str),
                });
                append(&mut tx, "payout.finished", Some(key), &body).await?;
            }
            tx.commit().await?;
            Ok(on_record)
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

fn belongs(payout: &str, owner: &str) -> Error {
    Error::broken(format!("payout: {payout:?} belongs to payout {owner:?}"))
}

fn is_later_attempt(key: &str) -> bool {
    let number = key.rsplit_once("-retry-").map(|(_, number)| number);
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|answer| answer.is_unique_violation())
}

/// Leaves out what may say something about a person.
impl fmt::Debug for NewClaim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewClaim").field("key", &self.key).field("digest", &self.digest).finish_non_exhaustive()
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
