//! Decisions of the policy: what was paid before is counted, the rule is asked and what it allows is reserved in one
//! transaction, while nobody else does so.

use std::time::Duration;

use jiff::Timestamp;
use remit_domain::policy::{Decision, Dimension, MicroUsd, Question, Traits, Verdict};
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::audit::{append, number, sha256};
use crate::counting::{self, Counted};
use crate::row::{count, timestamp, usable};
use crate::{Error, Records};

/// A payout that is to be decided, and what has to be known of others.
#[derive(Debug, Clone, Copy)]
pub struct Deciding<'a> {
    /// The payout's key.
    pub key: &'a str,
    /// The digest of its request, which must hold the claim.
    pub digest: &'a str,
    /// The payout in every dimension.
    pub traits: &'a Traits,
    /// What is paid, by its label.
    pub asset: &'a str,
    /// How much of it, in its smallest unit.
    pub amount: &'a str,
    /// What the policy has to know of what was paid before.
    pub questions: &'a [Question],
}

/// What the policy says, and the facts it looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    /// The decision. What it says the payout is worth is what is reserved.
    pub decision: Decision,
    /// Everything it looked at, kept as evidence.
    pub facts: Value,
}

/// What asking for a decision found.
#[derive(Debug, Clone, PartialEq)]
pub enum DecideAnswer {
    /// It is decided.
    Decided(Decided),
    /// The payout has ended without ever being decided; nothing changed.
    Finished,
    /// Nothing allows this payout: its key is not claimed.
    NotClaimed,
    /// The key is claimed for another body.
    Conflict,
}

/// A decision that is on record.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// What was decided just now; the newest decision when the payout has ended.
    pub decision: Decision,
    /// Where it stands among the decisions about this payout: 1, 2, …
    pub seq: u32,
    /// How long ago it was first decided so: the same verdict by the same revision with the same approvals wanted, and
    /// nothing else since.
    pub age: Duration,
    /// Whether it was decided so before: nothing was written.
    pub again: bool,
}

/// A decision as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionRow {
    /// The payout's key.
    pub key: String,
    /// Where it stands among the decisions about this payout: 1, 2, …
    pub seq: u32,
    /// When it was decided, by the database's clock.
    pub at: Timestamp,
    /// The decision.
    pub decision: Decision,
    /// Everything it looked at.
    pub facts: Value,
}

impl Records {
    /// Decides by `rule`, which is told what was paid before, and reserves what the payout is worth unless it is
    /// blocked. Counting, deciding and reserving are one: of two payouts that fit only one by one, one is reserved.
    ///
    /// A payout has one reservation, however often it is decided. While it is open a later decision changes its worth,
    /// and one that blocks leaves it: the money is freed when the payout ends. A payout that has ended is not decided
    /// again. The own reservation is never counted against a payout.
    ///
    /// # Errors
    /// `Broken`: an input is not usable. `Unavailable`: no answer; asking again decides again.
    pub async fn decide_payout(
        &self,
        deciding: &Deciding<'_>,
        rule: impl FnOnce(&Counted) -> Ruling,
    ) -> Result<DecideAnswer, Error> {
        let key = deciding.key;
        self.bounded(format!("decide about payout {key:?}"), async {
            for dimension in Dimension::ALL {
                match deciding.traits.get(dimension) {
                    "" => {}
                    value => usable(dimension.as_str(), value, 1000)?,
                }
            }
            usable("amount", deciding.amount, 255)?;
            let mut tx = self.begin().await?;
            // Changes nothing, but makes everybody else who counts wait, on both databases.
            sqlx::query("UPDATE limits_lock SET id = id WHERE id = 1").execute(&mut *tx).await?;
            // As above: nobody ends the payout until its reservation is on record.
            let payout = sqlx::query(
                "UPDATE payouts SET gate = gate WHERE payout_key = $1 RETURNING digest, claimed_at, \
                 CAST(CASE WHEN outcome IS NULL THEN 0 ELSE 1 END AS BIGINT) AS finished, \
                 (SELECT now_us FROM clock) AS now_us",
            )
            .bind(key)
            .fetch_optional(&mut *tx)
            .await?;
            let Some(payout) = payout else { return Ok(DecideAnswer::NotClaimed) };
            if payout.try_get::<String, _>("digest")? != deciding.digest {
                return Ok(DecideAnswer::Conflict);
            }
            let now: i64 = payout.try_get("now_us")?;
            let before = before(&mut tx, key).await?;
            let void: Option<i64> = sqlx::query_scalar("SELECT MAX(at) FROM approvals_void WHERE payout_key = $1")
                .bind(key)
                .fetch_one(&mut *tx)
                .await?;
            if number(&payout, "finished")? == 1 {
                let Some(newest) = before.first() else { return Ok(DecideAnswer::Finished) };
                let age = age(&newest.decision, &before, void, now);
                let decided = Decided { decision: newest.decision.clone(), seq: newest.seq, age, again: true };
                return Ok(DecideAnswer::Decided(decided));
            }

            let counted = Counted {
                now: timestamp(now)?,
                sums: counting::sums(&mut tx, key, now, deciding.questions).await?,
                past: counting::past(&mut tx, deciding, now).await?,
            };
            let Ruling { decision, facts } = rule(&counted);
            let age = age(&decision, &before, void, now);
            if let Some(newest) = before.first().filter(|newest| says_the_same(&newest.decision, &decision)) {
                return Ok(DecideAnswer::Decided(Decided { decision, seq: newest.seq, age, again: true }));
            }

            let seq = before.first().map_or(1, |newest| newest.seq + 1);
            let reservation = match decision.verdict {
                Verdict::Blocked => "left",
                Verdict::Allowed | Verdict::NeedsApproval => {
                    let asked_at: i64 = payout.try_get("claimed_at")?;
                    reserve(&mut tx, deciding, decision.usd, asked_at, now).await?
                }
            };
            write(&mut tx, key, seq, now, &Ruling { decision: decision.clone(), facts }, reservation).await?;
            tx.commit().await?;
            Ok(DecideAnswer::Decided(Decided { decision, seq, age, again: false }))
        })
        .await
    }

    /// The newest decision about a payout, if there is one.
    ///
    /// # Errors
    /// As any call.
    pub async fn decision(&self, key: &str) -> Result<Option<DecisionRow>, Error> {
        self.bounded(format!("read the newest decision about payout {key:?}"), async {
            let row = sqlx::query(
                "SELECT payout_key, seq, at, decision, facts FROM decisions WHERE payout_key = $1 \
                 ORDER BY seq DESC LIMIT 1",
            )
            .bind(key)
            .fetch_optional(&self.pool)
            .await?;
            row.as_ref().map(decode).transpose()
        })
        .await
    }

    /// All decisions about a payout, the first one first.
    ///
    /// # Errors
    /// As any call.
    pub async fn decisions(&self, key: &str) -> Result<Vec<DecisionRow>, Error> {
        self.bounded(format!("read the decisions about payout {key:?}"), async {
            let rows = sqlx::query(
                "SELECT payout_key, seq, at, decision, facts FROM decisions WHERE payout_key = $1 ORDER BY seq",
            )
            .bind(key)
            .fetch_all(&self.pool)
            .await?;
            rows.iter().map(decode).collect()
        })
        .await
    }
}

/// A decision, without its facts.
struct Before {
    seq: u32,
    at: i64,
    decision: Decision,
}

/// What was decided before, the newest first.
async fn before(connection: &mut AnyConnection, key: &str) -> Result<Vec<Before>, Error> {
    let rows = sqlx::query("SELECT seq, at, decision FROM decisions WHERE payout_key = $1 ORDER BY seq DESC")
        .bind(key)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| Ok(Before { seq: count(row, "seq")?, at: row.try_get("at")?, decision: parse(row, "decision")? }))
        .collect()
}

/// How long it has been decided so without a break, and without approvals that were made void meanwhile.
fn age(decision: &Decision, before: &[Before], void: Option<i64>, now: i64) -> Duration {
    let as_before = |other: &&Before| {
        let other = &other.decision;
        (other.verdict, &other.revision_hash, &other.wanted)
            == (decision.verdict, &decision.revision_hash, &decision.wanted)
    };
    let first = before.iter().take_while(as_before).last().map_or(now, |first| first.at);
    let since = void.map_or(first, |void| void.max(first));
    Duration::from_micros(u64::try_from(now.saturating_sub(since)).unwrap_or_default())
}

/// Whether a decision adds nothing to the one before: figures that other payouts change are no difference.
fn says_the_same(one: &Decision, other: &Decision) -> bool {
    let triggered = |decision: &Decision| -> Vec<(String, String, String)> {
        let triggered = decision.spoke.iter().filter(|spoke| spoke.triggered);
        triggered.map(|spoke| (spoke.rule.clone(), spoke.action.clone(), spoke.code.clone())).collect()
    };
    one.verdict == other.verdict
        && one.revision_hash == other.revision_hash
        && one.wanted == other.wanted
        && one.usd == other.usd
        && triggered(one) == triggered(other)
}

/// Takes the reservation, or changes the worth of an open one. One that is settled stays as it is.
async fn reserve(
    connection: &mut AnyConnection,
    deciding: &Deciding<'_>,
    usd: Option<MicroUsd>,
    asked_at: i64,
    now: i64,
) -> Result<&'static str, Error> {
    let usd = usd
        .map(|usd| i64::try_from(usd.0))
        .transpose()
        .map_err(|cause| Error::broken_by(format!("usd: {usd:?}; expected less than 2^63 millionths"), cause))?;
    let mut insert = sqlx::query(
        "INSERT INTO reservations (payout_key, usd, amount, asked_at, taken_at, chain, asset, program, counterparty, \
         wallet, country, currency, purpose, source) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (payout_key) DO NOTHING",
    )
    .bind(deciding.key)
    .bind(usd)
    .bind(deciding.amount)
    .bind(asked_at)
    .bind(now);
    for dimension in Dimension::ALL {
        insert = insert.bind(deciding.traits.get(dimension));
    }
    if insert.execute(&mut *connection).await?.rows_affected() == 1 {
        return Ok("taken");
    }
    let kept = sqlx::query("UPDATE reservations SET usd = $2 WHERE payout_key = $1 AND state = 'open'")
        .bind(deciding.key)
        .bind(usd)
        .execute(connection)
        .await?
        .rows_affected();
    Ok(if kept == 1 { "kept" } else { "settled" })
}

async fn write(
    connection: &mut AnyConnection,
    key: &str,
    seq: u32,
    now: i64,
    ruling: &Ruling,
    reservation: &str,
) -> Result<(), Error> {
    let Ruling { decision, facts } = ruling;
    let text = serde_json::to_string(decision).map_err(|cause| Error::broken_by("decision: not JSON", cause))?;
    let facts = facts.to_string();
    sqlx::query(
        "INSERT INTO decisions (payout_key, seq, at, revision, verdict, decision, facts) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(key)
    .bind(i64::from(seq))
    .bind(now)
    .bind(i64::from(decision.revision))
    .bind(decision.verdict.as_str())
    .bind(&text)
    .bind(&facts)
    .execute(&mut *connection)
    .await?;
    let triggered: Vec<&str> =
        decision.spoke.iter().filter(|spoke| spoke.triggered).map(|spoke| spoke.rule.as_str()).collect();
    let wanted: Vec<Value> =
        decision.wanted.iter().map(|it| json!({"rule": it.rule, "group": it.group, "quorum": it.quorum})).collect();
    let body = json!({
        "seq": seq,
        "verdict": decision.verdict.as_str(),
        "revision": decision.revision,
        "revisionHash": decision.revision_hash,
        "usd": decision.usd,
        "triggered": triggered,
        "wanted": wanted,
        "reservation": reservation,
        "decisionSha256": sha256(text.as_bytes()),
        "factsSha256": sha256(facts.as_bytes()),
    });
    append(connection, "payout.decided", Some(key), &body).await
}

fn decode(row: &AnyRow) -> Result<DecisionRow, Error> {
    Ok(DecisionRow {
        key: row.try_get("payout_key")?,
        seq: count(row, "seq")?,
        at: timestamp(row.try_get("at")?)?,
        decision: parse(row, "decision")?,
        facts: parse(row, "facts")?,
    })
}

fn parse<T: for<'a> serde::Deserialize<'a>>(row: &AnyRow, column: &str) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|cause| {
        Error::broken_by(format!("{column}: not what this build understands; run the newer build"), cause)
    })
}
