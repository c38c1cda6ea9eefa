//! Revisions of the policy and the signatures of those who publish them. The store keeps both; which revision is in
//! force is verified by whoever reads them.

use jiff::Timestamp;
use remit_domain::policy::{Revision, RevisionSignature};
use serde_json::json;
use sqlx::{AnyConnection, Row};

use crate::audit::{append, sha256};
use crate::row::{count, private, timestamp, usable};
use crate::{Error, Records};

/// A revision as it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRevision<'a> {
    /// 1, 2, … without a gap.
    pub number: u32,
    /// The hash of the revision before; none in the first.
    pub previous: Option<&'a str>,
    /// The hash of this revision, as its publishers sign it.
    pub hash: &'a str,
    /// The policy, at most 1 MiB.
    pub content: &'a str,
    /// Who wrote it.
    pub author: &'a str,
    /// What it changes; may be empty.
    pub note: &'a str,
}

/// What adding a revision found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddedRevision {
    /// Added by this call.
    Added,
    /// This very revision was added before.
    Already,
    /// Another revision has this number; nothing changed.
    Taken {
        /// Its hash.
        hash: String,
    },
    /// It does not follow the newest one; nothing changed.
    NotNext {
        /// The number of the next one.
        number: u32,
        /// The hash it has to name as the one before.
        previous: Option<String>,
    },
}

/// What signing a revision found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedRevision {
    /// Signed by this call.
    Now,
    /// This very signature was there before.
    Already,
    /// There is no such revision.
    NoRevision,
}

/// A revision on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionRow {
    /// 1, 2, …
    pub number: u32,
    /// The hash of the revision before.
    pub previous: Option<String>,
    /// Its hash.
    pub hash: String,
    /// The policy.
    pub content: String,
    /// Who wrote it.
    pub author: String,
    /// What it changes.
    pub note: String,
    /// When it was added, by the database's clock.
    pub published_at: Timestamp,
    /// Who signed it, and the signature; as they came. Not verified.
    pub signatures: Vec<(String, String)>,
}

impl Records {
    /// Adds a revision of the policy after the newest one. It is never changed.
    ///
    /// # Errors
    /// `Broken`: an input is not usable. `Unavailable`: no answer.
    pub async fn add_revision(&self, new: &NewRevision<'_>) -> Result<AddedRevision, Error> {
        let NewRevision { number, previous, hash, content, author, note } = *new;
        self.bounded(format!("add revision {number} of the policy"), async {
            usable("hash", hash, 255)?;
            usable("author", author, 255)?;
            private("content", content, 1 << 20)?;
            if !note.is_empty() {
                private("note", note, 10_000)?;
            }
            let mut tx = self.begin().await?;
            if let Some(answer) = stands_in_the_way(&mut tx, new).await? {
                return Ok(answer);
            }
            let added = sqlx::query(
                "INSERT INTO policy_revisions (number, hash, previous, content, author, note, published_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, (SELECT now_us FROM clock)) ON CONFLICT DO NOTHING",
            )
            .bind(i64::from(number))
            .bind(hash)
            .bind(previous)
            .bind(content)
            .bind(author)
            .bind(note)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if added == 0 {
                // Somebody else came between the two statements.
                let answer = stands_in_the_way(&mut tx, new).await?;
                return answer.ok_or_else(|| Error::broken(format!("hash: {hash:?} is that of another revision")));
            }
            let body = json!({
                "number": number, "hash": hash, "previous": previous, "author": author,
                "contentSha256": sha256(content.as_bytes()),
            });
            append(&mut tx, "policy.revision", None, &body).await?;
            tx.commit().await?;
            Ok(AddedRevision::Added)
        })
        .await
    }

    /// Keeps a publisher's signature of a revision. Verify it first: it is never removed.
    ///
    /// # Errors
    /// `Broken`: an input is not usable. `Unavailable`: no answer.
    pub async fn sign_revision(&self, number: u32, publisher: &str, signature: &str) -> Result<SignedRevision, Error> {
        self.bounded(format!("sign revision {number} of the policy"), async {
            usable("publisher", publisher, 255)?;
            usable("signature", signature, 1000)?;
            let mut tx = self.begin().await?;
            let revision = sqlx::query("SELECT hash FROM policy_revisions WHERE number = $1")
                .bind(i64::from(number))
                .fetch_optional(&mut *tx)
                .await?;
            let Some(revision) = revision else { return Ok(SignedRevision::NoRevision) };
            let signed = sqlx::query(
                "INSERT INTO policy_signatures (number, publisher, signature, signed_at) \
                 VALUES ($1, $2, $3, (SELECT now_us FROM clock)) ON CONFLICT DO NOTHING",
            )
            .bind(i64::from(number))
            .bind(publisher)
            .bind(signature)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if signed == 0 {
                return Ok(SignedRevision::Already);
            }
            let hash: String = revision.try_get("hash")?;
            let body = json!({"number": number, "hash": hash, "publisher": publisher, "signature": signature});
            append(&mut tx, "policy.signature", None, &body).await?;
            tx.commit().await?;
            Ok(SignedRevision::Now)
        })
        .await
    }

    /// All revisions of the policy, the first one first.
    ///
    /// # Errors
    /// As any call.
    pub async fn revisions(&self) -> Result<Vec<RevisionRow>, Error> {
        self.bounded("read the revisions of the policy", async {
            let rows = sqlx::query(
                "SELECT r.number, r.previous, r.hash, r.content, r.author, r.note, r.published_at, s.publisher, \
                 s.signature FROM policy_revisions r LEFT JOIN policy_signatures s ON s.number = r.number \
                 ORDER BY r.number, s.signed_at, s.publisher, s.signature",
            )
            .fetch_all(&self.pool)
            .await?;
            let mut revisions: Vec<RevisionRow> = vec![];
            for row in rows {
                let number = count(&row, "number")?;
                if revisions.last().is_none_or(|last| last.number != number) {
                    revisions.push(RevisionRow {
                        number,
                        previous: row.try_get("previous")?,
                        hash: row.try_get("hash")?,
                        content: row.try_get("content")?,
                        author: row.try_get("author")?,
                        note: row.try_get("note")?,
                        published_at: timestamp(row.try_get("published_at")?)?,
                        signatures: vec![],
                    });
                }
                let publisher: Option<String> = row.try_get("publisher")?;
                let signature: Option<String> = row.try_get("signature")?;
                if let (Some(last), Some(signed)) = (revisions.last_mut(), publisher.zip(signature)) {
                    last.signatures.push(signed);
                }
            }
            Ok(revisions)
        })
        .await
    }
}

/// Why a revision cannot be added as the next one, if it cannot.
async fn stands_in_the_way(
    connection: &mut AnyConnection,
    new: &NewRevision<'_>,
) -> Result<Option<AddedRevision>, Error> {
    // The newest first: one that comes between the two statements is then found by its number, here or by the insert.
    let newest = sqlx::query("SELECT number, hash FROM policy_revisions ORDER BY number DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await?;
    let (number, previous) = match newest {
        Some(row) => (count(&row, "number")? + 1, Some(row.try_get::<String, _>("hash")?)),
        None => (1, None),
    };
    let same = sqlx::query("SELECT hash FROM policy_revisions WHERE number = $1")
        .bind(i64::from(new.number))
        .fetch_optional(connection)
        .await?;
    if let Some(row) = same {
        let hash: String = row.try_get("hash")?;
        return Ok(Some(if hash == new.hash { AddedRevision::Already } else { AddedRevision::Taken { hash } }));
    }
    let follows = new.number == number && new.previous == previous.as_deref();
    Ok((!follows).then_some(AddedRevision::NotNext { number, previous }))
}

impl RevisionRow {
    /// As the rules of revisions know it.
    pub fn revision(&self) -> Revision {
        let signature = |(publisher, signature): &(String, String)| RevisionSignature {
            publisher: publisher.clone(),
            signature: signature.clone(),
        };
        Revision {
            number: self.number,
            previous: self.previous.clone(),
            hash: self.hash.clone(),
            content: self.content.clone(),
            author: self.author.clone(),
            note: self.note.clone(),
            signatures: self.signatures.iter().map(signature).collect(),
        }
    }
}
