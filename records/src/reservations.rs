//! Reservations: what each payout holds of every limit, from its decision until its money is known to be spent or free.

use jiff::Timestamp;
use remit_domain::policy::{Dimension, MicroUsd, Traits};
use serde_json::json;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::audit::{append, number, sha256};
use crate::page::page;
use crate::row::{timestamp, usable};
use crate::{Cursor, Error, Page, Records};

/// What a payout holds of every limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Reservation {
    /// The payout's key.
    pub key: String,
    /// The payout in every dimension.
    pub traits: Traits,
    /// How much of the asset, in its smallest unit.
    pub amount: String,
    /// What it is worth. None: nobody says.
    pub usd: Option<MicroUsd>,
    /// Where it stands.
    pub state: ReservationState,
    /// When the payout was claimed, by the database's clock, as the times below.
    pub asked_at: Timestamp,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// From when on it counts as spent: when its Confirm was sent.
    pub spent_at: Option<Timestamp>,
    /// When it was settled.
    pub settled_at: Option<Timestamp>,
    /// Why it was settled so.
    pub why: Option<String>,
}

/// Where a reservation stands: `open → spent | released`, never back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationState {
    /// Counts in every window.
    Open,
    /// The tokens have left: counts in windows that reach back to its Confirm.
    Spent,
    /// No money has left and none will: counts nowhere.
    Released,
}

impl ReservationState {
    /// The word on record; never changed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Spent => "spent",
            Self::Released => "released",
        }
    }

    fn parse(word: &str) -> Result<Self, Error> {
        [Self::Open, Self::Spent, Self::Released].into_iter().find(|state| state.as_str() == word).ok_or_else(|| {
            Error::broken(format!("state: {word:?} on record; expected open, spent or released: run the newer build"))
        })
    }
}

/// What becomes of a reservation when its payout ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// The tokens have left.
    Spent,
    /// No money has left and none will.
    Released,
    /// Where the money is is not certain: it stays open, and counts.
    Held,
}

/// What settling a reservation found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Settled by this call.
    Now,
    /// Settled before, or left open as it was asked for.
    As(ReservationState),
    /// The payout has no reservation.
    NotReserved,
    /// The payout has not ended, and its money is not free before it has.
    NotFinished,
}

/// How many to a page at most, as in every list.
const MOST: u32 = 500;

macro_rules! columns {
    () => {
        "payout_key, chain, asset, program, counterparty, wallet, country, currency, purpose, source, amount, usd, \
         state, asked_at, taken_at, counts_at, settled_at, why"
    };
}

impl Records {
    /// The reservation of a payout, if it has one.
    ///
    /// # Errors
    /// As any call.
    pub async fn reservation(&self, key: &str) -> Result<Option<Reservation>, Error> {
        self.bounded(format!("read the reservation of payout {key:?}"), async {
            let mut connection = self.pool.acquire().await?;
            read(&mut connection, key).await
        })
        .await
    }

    /// Reservations that are open, the oldest first, from `after` on.
    ///
    /// # Errors
    /// As any call.
    pub async fn open_reservations(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<Reservation>, Error> {
        self.bounded("list open reservations", async {
            let limit = limit.clamp(1, MOST);
            let (at, id) = after.map_or((i64::MIN, ""), |cursor| (cursor.at, cursor.id.as_str()));
            let rows = sqlx::query(concat!(
                "SELECT ",
                columns!(),
                " FROM reservations WHERE state = 'open' AND (taken_at, payout_key) > ($1, $2) \
                 ORDER BY taken_at, payout_key LIMIT $3"
            ))
            .bind(at)
            .bind(id)
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.pool)
            .await?;
            let items = rows.iter().map(decode).collect::<Result<Vec<_>, Error>>()?;
            Ok(page(items, limit, |item| Cursor { at: item.taken_at.as_microsecond(), id: item.key.clone() }))
        })
        .await
    }

    /// Notes that the tokens of a payout have left: from now on its reservation counts from its Confirm on, and no
    /// longer for ever.
    ///
    /// # Errors
    /// As any call.
    pub async fn spend(&self, key: &str) -> Result<Settled, Error> {
        self.settle_reservation(key, Settle::Spent, "the tokens have left").await
    }

    /// Settles a reservation that was left open, once it is known where the money is. Free it only when the payout has
    /// ended.
    ///
    /// # Errors
    /// `Broken`: the reason is not usable. `Unavailable`: no answer.
    pub async fn settle_reservation(&self, key: &str, settle: Settle, why: &str) -> Result<Settled, Error> {
        self.bounded(format!("settle the reservation of payout {key:?}"), async {
            usable("why", why, 1000)?;
            let mut tx = self.begin().await?;
            // Changes nothing, but locks the row on both databases: a payout is locked before its reservation.
            let payout = sqlx::query(
                "UPDATE payouts SET gate = gate WHERE payout_key = $1 \
                 RETURNING CAST(CASE WHEN outcome IS NULL THEN 0 ELSE 1 END AS BIGINT) AS finished",
            )
            .bind(key)
            .fetch_optional(&mut *tx)
            .await?;
            let Some(payout) = payout else { return Ok(Settled::NotReserved) };
            if settle == Settle::Released && number(&payout, "finished")? == 0 {
                return Ok(Settled::NotFinished);
            }
            if let Some(state) = settle_within(&mut tx, key, settle, why).await? {
                let body = json!({"reservation": state.as_str(), "whySha256": sha256(why.as_bytes())});
                append(&mut tx, "reservation.settled", Some(key), &body).await?;
                tx.commit().await?;
                return Ok(Settled::Now);
            }
            Ok(read(&mut tx, key).await?.map_or(Settled::NotReserved, |it| Settled::As(it.state)))
        })
        .await
    }

    /// How much of an asset other payouts are about to take from a wallet: those whose gate was taken and whose
    /// reservation is open. In the asset's smallest unit.
    ///
    /// # Errors
    /// As any call.
    pub async fn in_flight(&self, wallet: &str, asset: &str, except_key: &str) -> Result<u128, Error> {
        self.bounded(format!("sum up what is in flight from wallet {wallet:?}"), async {
            // In one row: handing over a row for each of thousands of payouts costs far more than reading them.
            let row = sqlx::query(
                "SELECT string_agg(r.amount, ' ') AS amounts \
                 FROM reservations r JOIN payouts p ON p.payout_key = r.payout_key \
                 WHERE r.state = 'open' AND r.wallet = $1 AND r.asset = $2 AND p.gate = 'confirming' \
                 AND r.payout_key <> $3",
            )
            .bind(wallet)
            .bind(asset)
            .bind(except_key)
            .fetch_one(&self.pool)
            .await?;
            let amounts: Option<String> = row.try_get("amounts")?;
            // At each space and nowhere else, so that an amount that is empty is found out.
            amounts.iter().flat_map(|all| all.split(' ')).try_fold(0_u128, |sum, amount| {
                let amount: u128 =
                    amount.parse().map_err(|cause| Error::broken_by(format!("amount: {amount:?} on record"), cause))?;
                Ok(sum.saturating_add(amount))
            })
        })
        .await
    }
}

/// Settles within a transaction, if the reservation is open. Answers what it became, when it changed.
pub(crate) async fn settle_within(
    connection: &mut AnyConnection,
    key: &str,
    settle: Settle,
    why: &str,
) -> Result<Option<ReservationState>, Error> {
    let (sql, state) = match settle {
        Settle::Held => return Ok(None),
        Settle::Spent => (
            "UPDATE reservations SET state = 'spent', why = $2, settled_at = (SELECT now_us FROM clock), \
             counts_at = (SELECT COALESCE(p.confirm_sent_at, CASE p.gate WHEN 'confirming' THEN p.gate_moved_at END, \
             (SELECT now_us FROM clock)) FROM payouts p WHERE p.payout_key = reservations.payout_key) \
             WHERE payout_key = $1 AND state = 'open'",
            ReservationState::Spent,
        ),
        Settle::Released => (
            "UPDATE reservations SET state = 'released', counts_at = NULL, why = $2, settled_at = (SELECT now_us FROM clock) \
             WHERE payout_key = $1 AND state = 'open'",
            ReservationState::Released,
        ),
    };
    let settled = sqlx::query(sql).bind(key).bind(why).execute(connection).await?.rows_affected();
    Ok((settled == 1).then_some(state))
}

pub(crate) async fn read(connection: &mut AnyConnection, key: &str) -> Result<Option<Reservation>, Error> {
    let row = sqlx::query(concat!("SELECT ", columns!(), " FROM reservations WHERE payout_key = $1"))
        .bind(key)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(decode).transpose()
}

fn decode(row: &AnyRow) -> Result<Reservation, Error> {
    let time = |column: &str| -> Result<Option<Timestamp>, Error> {
        let at: Option<i64> = row.try_get(column)?;
        at.map(timestamp).transpose()
    };
    let usd: Option<i64> = row.try_get("usd")?;
    let state = ReservationState::parse(&row.try_get::<String, _>("state")?)?;
    let mut traits = Traits(Default::default());
    for dimension in Dimension::ALL {
        traits.0.insert(dimension, row.try_get(dimension.as_str())?);
    }
    Ok(Reservation {
        key: row.try_get("payout_key")?,
        traits,
        amount: row.try_get("amount")?,
        usd: usd.map(|_| number(row, "usd").map(MicroUsd)).transpose()?,
        state,
        asked_at: timestamp(row.try_get("asked_at")?)?,
        taken_at: timestamp(row.try_get("taken_at")?)?,
        spent_at: if state == ReservationState::Spent { time("counts_at")? } else { None },
        settled_at: time("settled_at")?,
        why: row.try_get("why")?,
    })
}
