//! Lists of payouts.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::gate::Gate;
use crate::page::{self, Conditions};
use crate::row::{count, timestamp};
use crate::store::microseconds;
use crate::{Cursor, Error, Page, Records};

/// Which payouts to list. All conditions hold together; none of them is needed.
#[derive(Debug, Clone)]
pub struct PayoutFilter<'a> {
    /// Only those that have not ended, or only those that have.
    pub open: Option<bool>,
    /// Only those that ended so.
    pub ending: Option<&'a str>,
    /// Only those of this program.
    pub program: Option<&'a str>,
    /// Only those from this wallet.
    pub wallet: Option<&'a str>,
    /// Only those claimed at least this long ago, by the database's clock.
    pub older_than: Option<Duration>,
    /// Where the page begins: `next` of the page before.
    pub after: Option<&'a Cursor>,
    /// How many to a page, 1 to 500; default 50.
    pub limit: u32,
}

impl Default for PayoutFilter<'_> {
    fn default() -> Self {
        Self { open: None, ending: None, program: None, wallet: None, older_than: None, after: None, limit: 50 }
    }
}

/// One line of a list: an attempt of a payout.
#[derive(Debug, Clone, PartialEq)]
pub struct PayoutSummary {
    /// The key of this attempt.
    pub key: String,
    /// The key of the payout: that of its first attempt.
    pub base_key: String,
    /// 1, 2, … 100.
    pub attempt: u32,
    /// The wallet it pays from. None in rows that were claimed before this was kept, as the next three.
    pub wallet: Option<String>,
    /// The asset it pays with.
    pub asset: Option<String>,
    /// How much of the asset.
    pub amount: Option<String>,
    /// The program it belongs to, if any.
    pub program: Option<String>,
    /// The provider's payout id, once known.
    pub payout: Option<String>,
    /// The confirm gate.
    pub gate: Gate,
    /// Why the gate was closed.
    pub gate_why: Option<String>,
    /// The word for how it ended, once it did.
    pub ending: Option<String>,
    /// When the key was claimed, by the database's clock.
    pub claimed_at: Timestamp,
    /// How long ago that was, by the same clock.
    pub age: Duration,
    /// When it ended, by the same clock.
    pub finished_at: Option<Timestamp>,
}

impl Records {
    /// Lists payouts, each attempt by itself, newest first.
    ///
    /// # Errors
    /// As any call.
    pub async fn payouts(&self, filter: &PayoutFilter<'_>) -> Result<Page<PayoutSummary>, Error> {
        self.bounded("list payouts", async {
            let mut which = Conditions::default();
            match filter.open {
                Some(true) => which.plain("outcome IS NULL"),
                Some(false) => which.plain("outcome IS NOT NULL"),
                None => {}
            }
            for (condition, value) in
                [("ending = ?", filter.ending), ("program = ?", filter.program), ("wallet = ?", filter.wallet)]
            {
                if let Some(value) = value {
                    which.text(condition, value);
                }
            }
            if let Some(age) = filter.older_than {
                which.number("claimed_at <= (SELECT now_us FROM clock) - ?", microseconds(age));
            }
            which.after("claimed_at", "payout_key", filter.after);
            let rows = which
                .fetch(
                    &self.pool,
                    "SELECT payout_key, base_key, attempt, wallet, asset, amount, program, payout, gate, gate_why, \
                     ending, claimed_at, finished_at, (SELECT now_us FROM clock) AS now_us FROM payouts",
                    "ORDER BY claimed_at DESC, payout_key DESC LIMIT ?",
                    filter.limit,
                )
                .await?;
            let items = rows.iter().map(decode).collect::<Result<Vec<_>, Error>>()?;
            Ok(page::page(items, filter.limit, |item| Cursor {
                at: item.claimed_at.as_microsecond(),
                id: item.key.clone(),
            }))
        })
        .await
    }
}

fn decode(row: &AnyRow) -> Result<PayoutSummary, Error> {
    let now: i64 = row.try_get("now_us")?;
    let claimed_at: i64 = row.try_get("claimed_at")?;
    let finished_at: Option<i64> = row.try_get("finished_at")?;
    Ok(PayoutSummary {
        key: row.try_get("payout_key")?,
        base_key: row.try_get("base_key")?,
        attempt: count(row, "attempt")?,
        wallet: row.try_get("wallet")?,
        asset: row.try_get("asset")?,
        amount: row.try_get("amount")?,
        program: row.try_get("program")?,
        payout: row.try_get("payout")?,
        gate: Gate::from(row.try_get::<String, _>("gate")?),
        gate_why: row.try_get("gate_why")?,
        ending: row.try_get("ending")?,
        claimed_at: timestamp(claimed_at)?,
        age: Duration::from_micros(u64::try_from(now.saturating_sub(claimed_at)).unwrap_or_default()),
        finished_at: finished_at.map(timestamp).transpose()?,
    })
}
