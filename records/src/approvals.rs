//! Signed approvals of people. The store keeps them; whether one counts is verified by whoever reads it.

use jiff::Timestamp;
use serde_json::json;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::audit::{append, sha256};
use crate::row::{count, timestamp, usable};
use crate::{Error, Records};

/// An approval or a denial, as it comes in. Verified is the caller's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewApproval<'a> {
    /// The payout's key.
    pub key: &'a str,
    /// Who decides.
    pub person: &'a str,
    /// For which group of the policy.
    pub group: &'a str,
    /// `approve` or `deny`.
    pub value: &'a str,
    /// The text that was signed.
    pub statement: &'a str,
    /// Its signature.
    pub signature: &'a str,
    /// The hash of the policy's revision that the statement names.
    pub revision: &'a str,
}

/// What adding an approval found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddedApproval {
    /// Added by this call.
    Added,
    /// The person has decided for this group before, and that stands.
    Already {
        /// What they decided.
        value: String,
    },
    /// There is no such payout: the key is not claimed.
    NotClaimed,
}

/// An approval on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRow {
    /// Who decided.
    pub person: String,
    /// For which group.
    pub group: String,
    /// Which of their decisions for this group it is: 1, or one more for each that was made void before.
    pub nr: u32,
    /// `approve` or `deny`.
    pub value: String,
    /// The text that was signed.
    pub statement: String,
    /// Its signature.
    pub signature: String,
    /// The hash of the policy's revision that the statement names.
    pub revision: String,
    /// When it came, by the database's clock.
    pub received_at: Timestamp,
    /// When and why it was made void, if it was: then it counts no more, and the person may decide anew.
    pub void: Option<Void>,
}

/// That an approval counts no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Void {
    /// Since when, by the database's clock.
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

impl Records {
    /// Keeps a signed approval. Of one person for one group the first one that is not void stands.
    ///
    /// # Errors
    /// `Broken`: an input is not usable. `Unavailable`: no answer; asking again finds it as `Already`.
    pub async fn add_approval(&self, new: &NewApproval<'_>) -> Result<AddedApproval, Error> {
        let NewApproval { key, person, group, value, statement, signature, revision } = *new;
        self.bounded(format!("add the approval of {person:?} to payout {key:?}"), async {
            for (field, text) in [("person", person), ("group", group), ("revision", revision)] {
                usable(field, text, 255)?;
            }
            usable("statement", statement, 10_000)?;
            usable("signature", signature, 1000)?;
            if !matches!(value, "approve" | "deny") {
                return Err(Error::broken(format!("value: {value:?}; expected approve or deny")));
            }
            let mut tx = self.begin().await?;
            let added = sqlx::query(
                "INSERT INTO approvals (payout_key, person, grp, nr, value, statement, signature, revision, \
                 received_at) SELECT payout_key, $2, $3, (SELECT COUNT(*) + 1 FROM approvals_void v \
                 WHERE v.payout_key = $1 AND v.person = $2 AND v.grp = $3), $4, $5, $6, $7, \
                 (SELECT now_us FROM clock) FROM payouts WHERE payout_key = $1 ON CONFLICT DO NOTHING",
            )
            .bind(key)
            .bind(person)
            .bind(group)
            .bind(value)
            .bind(statement)
            .bind(signature)
            .bind(revision)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if added == 1 {
                let body = json!({
                    "person": person, "group": group, "value": value, "revisionHash": revision,
                    "statementSha256": sha256(statement.as_bytes()), "signature": signature,
                });
                append(&mut tx, "approval.added", Some(key), &body).await?;
                tx.commit().await?;
                return Ok(AddedApproval::Added);
            }
            let standing = read(&mut tx, key).await?;
            let standing = standing.into_iter().rev().find(|it| it.person == person && it.group == group);
            Ok(standing.map_or(AddedApproval::NotClaimed, |it| AddedApproval::Already { value: it.value }))
        })
        .await
    }

    /// All approvals of a payout, as they came, those that are void too.
    ///
    /// # Errors
    /// As any call.
    pub async fn approvals(&self, key: &str) -> Result<Vec<ApprovalRow>, Error> {
        self.bounded(format!("read the approvals of payout {key:?}"), async {
            let mut connection = self.pool.acquire().await?;
            read(&mut connection, key).await
        })
        .await
    }

    /// Makes all approvals of a payout void that are not, and answers how many they were. Those people may decide anew.
    ///
    /// # Errors
    /// `Broken`: the reason is not usable. `Unavailable`: no answer.
    pub async fn void_approvals(&self, key: &str, why: &str) -> Result<u64, Error> {
        self.void(key, None, why).await
    }

    /// As [`Records::void_approvals`], of this person alone: because what they signed has expired, or their key is
    /// another one now.
    ///
    /// # Errors
    /// As [`Records::void_approvals`].
    pub async fn void_approvals_of(&self, key: &str, person: &str, why: &str) -> Result<u64, Error> {
        self.void(key, Some(person), why).await
    }

    async fn void(&self, key: &str, person: Option<&str>, why: &str) -> Result<u64, Error> {
        self.bounded(format!("make approvals of payout {key:?} void"), async {
            usable("why", why, 1000)?;
            let mut tx = self.begin().await?;
            let void = sqlx::query(
                "INSERT INTO approvals_void (payout_key, person, grp, nr, at, why) \
                 SELECT payout_key, person, grp, nr, (SELECT now_us FROM clock), $3 FROM approvals \
                 WHERE payout_key = $1 AND person = COALESCE($2, person) ON CONFLICT DO NOTHING",
            )
            .bind(key)
            .bind(person)
            .bind(why)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if void > 0 {
                let body = json!({"person": person, "many": void, "whySha256": sha256(why.as_bytes())});
                append(&mut tx, "approval.void", Some(key), &body).await?;
                tx.commit().await?;
            }
            Ok(void)
        })
        .await
    }
}

async fn read(connection: &mut AnyConnection, key: &str) -> Result<Vec<ApprovalRow>, Error> {
    let rows = sqlx::query(
        "SELECT a.person, a.grp, a.nr, a.value, a.statement, a.signature, a.revision, a.received_at, v.at, v.why \
         FROM approvals a LEFT JOIN approvals_void v ON v.payout_key = a.payout_key AND v.person = a.person \
         AND v.grp = a.grp AND v.nr = a.nr \
         WHERE a.payout_key = $1 ORDER BY a.received_at, a.person, a.grp, a.nr",
    )
    .bind(key)
    .fetch_all(connection)
    .await?;
    rows.iter().map(decode).collect()
}

fn decode(row: &AnyRow) -> Result<ApprovalRow, Error> {
    let void_at: Option<i64> = row.try_get("at")?;
    let why: Option<String> = row.try_get("why")?;
    let void = void_at.zip(why).map(|(at, why)| Ok::<_, Error>(Void { at: timestamp(at)?, why })).transpose()?;
    Ok(ApprovalRow {
        person: row.try_get("person")?,
        group: row.try_get("grp")?,
        nr: count(row, "nr")?,
        value: row.try_get("value")?,
        statement: row.try_get("statement")?,
        signature: row.try_get("signature")?,
        revision: row.try_get("revision")?,
        received_at: timestamp(row.try_get("received_at")?)?,
        void,
    })
}
