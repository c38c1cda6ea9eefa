//! Verifies the audit record: every hash anew, against its head and against every checkpoint.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::audit::{AuditHead, AuditRow, NOTHING, number};
use crate::row::{timestamp, usable};
use crate::{Error, Records};

/// A head of the record that somebody signed. Kept elsewhere, it tells a record that was cut from one that was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The head that was signed.
    pub head: AuditHead,
    /// The public key of who signed.
    pub key: String,
    /// Their signature of [`AuditHead::text`].
    pub signature: String,
}

/// What storing a checkpoint found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpointed {
    /// Stored by this call.
    Now,
    /// Stored before.
    Already,
    /// The record has no such head: it was signed of another one.
    NotOurs,
}

/// What verifying the record found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// Every record is as it was written, none is missing.
    Whole {
        /// How many records there are; the newest has this number.
        rows: u64,
        /// The hash of the newest.
        head: String,
        /// How many checkpoints it was held against.
        checkpoints: u64,
    },
    /// It is not what was written.
    Broken {
        /// The first record that is wrong.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// A record that is being verified, one row after the other: for one that is kept or copied elsewhere.
#[derive(Debug, Clone)]
pub struct Chain {
    seq: u64,
    hash: String,
    expected: BTreeMap<u64, Vec<String>>,
    checkpoints: u64,
}

impl Chain {
    /// Begins before the first record. The signatures of the checkpoints are verified by `signed(key, text, signature)`,
    /// which also says whether the key is one to be trusted.
    ///
    /// # Errors
    /// `Broken`, when a signature is not good.
    pub fn new(checkpoints: &[Checkpoint], signed: impl Fn(&str, &str, &str) -> bool) -> Result<Self, Verified> {
        let mut expected: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for Checkpoint { head, key, signature } in checkpoints {
            if !signed(key, &head.text(), signature) {
                return Err(broken(head.seq, "the signature of a checkpoint is not good".to_owned()));
            }
            if head.seq > 0 {
                expected.entry(head.seq).or_default().push(head.hash.clone());
            }
        }
        Ok(Self { seq: 0, hash: NOTHING.to_owned(), expected, checkpoints: checkpoints.len() as u64 })
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// `Broken`, when it is not the one that was written.
    pub fn take(&mut self, row: &AuditRow) -> Result<(), Verified> {
        let seq = self.seq + 1;
        if row.seq != seq {
            return Err(broken(seq, format!("it is missing: record {} comes next", row.seq)));
        }
        if row.previous != self.hash {
            return Err(broken(seq, "it does not name the hash of the one before".to_owned()));
        }
        if row.hash != row.expected_hash() {
            return Err(broken(seq, "its hash is not that of what it says".to_owned()));
        }
        if self.expected.remove(&seq).is_some_and(|hashes| hashes.iter().any(|hash| *hash != row.hash)) {
            return Err(broken(seq, "a checkpoint says that it had another hash".to_owned()));
        }
        (self.seq, self.hash) = (seq, row.hash.clone());
        Ok(())
    }

    /// Ends after the last record: no checkpoint may know of a later one, nor may the head, if one is given.
    pub fn end(&self, head: Option<&AuditHead>) -> Verified {
        if let Some((later, _)) = self.expected.last_key_value() {
            return broken(self.seq + 1, format!("it is missing: a checkpoint knows {later} records"));
        }
        match head {
            Some(head) if head.seq > self.seq => {
                broken(self.seq + 1, format!("it is missing: the head knows {} records", head.seq))
            }
            Some(head) if head.seq < self.seq => broken(head.seq + 1, "the head does not know it".to_owned()),
            Some(head) if head.hash != self.hash => broken(self.seq, "the head names another hash".to_owned()),
            Some(_) | None => {
                Verified::Whole { rows: self.seq, head: self.hash.clone(), checkpoints: self.checkpoints }
            }
        }
    }
}

fn broken(seq: u64, why: String) -> Verified {
    Verified::Broken { seq, why }
}

/// How many records are read at once.
const PAGE: u32 = 1000;

impl Records {
    /// Verifies the whole record: every record against its hash and the one before, the newest against the head, all of
    /// it against the checkpoints in the records and against `kept`, those that are kept elsewhere. `signed(key, text,
    /// signature)` says whether a checkpoint's signature is good and its key one to be trusted.
    ///
    /// Each step takes no longer than the patience of this store; the whole takes as long as the record is. Records that
    /// are appended meanwhile are verified too.
    ///
    /// # Errors
    /// As any call.
    pub async fn verify_audit(
        &self,
        kept: &[Checkpoint],
        signed: impl Fn(&str, &str, &str) -> bool,
    ) -> Result<Verified, Error> {
        let mut checkpoints = self.checkpoints().await?;
        checkpoints.extend(kept.iter().filter(|it| !checkpoints.contains(it)).cloned().collect::<Vec<_>>());
        let mut chain = match Chain::new(&checkpoints, signed) {
            Ok(chain) => chain,
            Err(broken) => return Ok(broken),
        };
        loop {
            // Before the rows: what it knows must be among those that are read afterwards.
            let head = self.audit_head().await?;
            loop {
                let page = self.audit(chain.seq, PAGE).await?;
                if page.is_empty() {
                    break;
                }
                for row in &page {
                    if let Err(broken) = chain.take(row) {
                        return Ok(broken);
                    }
                }
            }
            if head.seq >= chain.seq {
                return Ok(chain.end(Some(&head)));
            }
            // More came: they are right if the head of now knows them.
            let now = self.audit_head().await?;
            if now.seq < chain.seq || now.seq == head.seq {
                return Ok(chain.end(Some(&now)));
            }
        }
    }

    /// Stores a signed head beside the record. Keep it elsewhere too: whoever can cut the record can cut this.
    ///
    /// # Errors
    /// `Broken`: an input is not usable. `Unavailable`: no answer.
    pub async fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<Checkpointed, Error> {
        let Checkpoint { head, key, signature } = checkpoint;
        self.bounded(format!("store a checkpoint of {} audit records", head.seq), async {
            usable("key", key, 255)?;
            usable("signature", signature, 1000)?;
            let Ok(seq) = i64::try_from(head.seq) else { return Ok(Checkpointed::NotOurs) };
            let mut tx = self.begin().await?;
            let ours = sqlx::query("SELECT seq FROM audit WHERE seq = $1 AND hash = $2")
                .bind(seq)
                .bind(&head.hash)
                .fetch_optional(&mut *tx)
                .await?;
            if ours.is_none() {
                return Ok(Checkpointed::NotOurs);
            }
            let stored = sqlx::query(
                "INSERT INTO audit_checkpoints (seq, hash, at, key, signature) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(seq)
            .bind(&head.hash)
            .bind(head.at.as_microsecond())
            .bind(key)
            .bind(signature)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            tx.commit().await?;
            Ok(if stored == 1 { Checkpointed::Now } else { Checkpointed::Already })
        })
        .await
    }

    /// All checkpoints in the records, the oldest first.
    ///
    /// # Errors
    /// As any call.
    pub async fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        self.bounded("read the checkpoints of the audit record", async {
            let rows = sqlx::query(
                "SELECT seq, hash, at, key, signature FROM audit_checkpoints ORDER BY seq, at, key, signature",
            )
            .fetch_all(&self.pool)
            .await?;
            rows.iter().map(decode).collect()
        })
        .await
    }
}

fn decode(row: &AnyRow) -> Result<Checkpoint, Error> {
    let at: Timestamp = timestamp(row.try_get("at")?)?;
    Ok(Checkpoint {
        head: AuditHead { seq: number(row, "seq")?, hash: row.try_get("hash")?, at },
        key: row.try_get("key")?,
        signature: row.try_get("signature")?,
    })
}
