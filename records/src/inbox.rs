//! The inbox: each verified event of the provider is kept once, by what happened.

use std::time::Duration;

use sqlx::Row;

use crate::event::{NewEvent, StoredEvent, check, columns, decode};
use crate::page::{self, Conditions};
use crate::row::count;
use crate::store::microseconds;
use crate::{Cursor, Error, Page, Records};

/// What storing an event found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// True when this was not known before.
    pub first: bool,
    /// How often it came, this time included.
    pub times: u32,
    /// The payout it belongs to, once [`Records::route_event`] has found it.
    pub key: Option<String>,
    /// Whether it was delivered.
    pub delivered: bool,
}

/// Which events to list. All conditions hold together; none of them is needed.
#[derive(Debug, Clone)]
pub struct EventFilter<'a> {
    /// Only those that were delivered, or only those that were not.
    pub delivered: Option<bool>,
    /// Only those of this kind.
    pub kind: Option<&'a str>,
    /// Only those that belong to this payout, or name it.
    pub key: Option<&'a str>,
    /// Where the page begins: `next` of the page before.
    pub before: Option<&'a Cursor>,
    /// How many to a page, 1 to 500; default 50.
    pub limit: u32,
}

impl Default for EventFilter<'_> {
    fn default() -> Self {
        Self { delivered: None, kind: None, key: None, before: None, limit: 50 }
    }
}

/// How many events one call forgets.
const FORGET: i64 = 1000;

impl Records {
    /// Keeps an event. One that was kept before is counted, and its last id noted.
    ///
    /// Afterwards, whatever this finds, look where it belongs: [`Records::route_event`].
    ///
    /// # Errors
    /// `Broken`: an input is not usable. `Unavailable`: no answer; asking again may count it twice.
    pub async fn store_event(&self, event: &NewEvent<'_>) -> Result<Stored, Error> {
        self.bounded(format!("keep event {:?} of the provider", event.what), async {
            check(event)?;
            let mut tx = self.begin().await?;
            let row = sqlx::query(
                "INSERT INTO provider_events (what, kind, about, state, named_key, body, source, event_id, times, \
                 received_at, seen_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, (SELECT now_us FROM clock), (SELECT now_us FROM clock)) \
                 ON CONFLICT (what) DO UPDATE SET times = provider_events.times + 1, event_id = excluded.event_id, \
                 seen_at = excluded.seen_at \
                 RETURNING times, payout_key, delivered_at",
            )
            .bind(event.what)
            .bind(event.kind)
            .bind(event.about)
            .bind(event.state)
            .bind(event.named_key)
            .bind(event.body)
            .bind(event.source)
            .bind(event.event_id)
            .fetch_one(&mut *tx)
            .await?;
            let times = count(&row, "times")?;
            if times == 1 {
                for ((kind, object), position) in event.objects.iter().zip(1_i64..) {
                    sqlx::query(
                        "INSERT INTO provider_event_objects (what, position, kind, object) VALUES ($1, $2, $3, $4)",
                    )
                    .bind(event.what)
                    .bind(position)
                    .bind(kind.as_str())
                    .bind(*object)
                    .execute(&mut *tx)
                    .await?;
                }
            }
            tx.commit().await?;
            let delivered_at: Option<i64> = row.try_get("delivered_at")?;
            Ok(Stored { first: times == 1, times, key: row.try_get("payout_key")?, delivered: delivered_at.is_some() })
        })
        .await
    }

    /// Marks that the payout has the event. The first time stays.
    ///
    /// # Errors
    /// `Broken`: the event is not kept, or was not found to belong to this payout. `Unavailable`: no answer.
    pub async fn mark_delivered(&self, what: &str, key: &str) -> Result<(), Error> {
        self.bounded(format!("mark event {what:?} as delivered to payout {key:?}"), async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "UPDATE provider_events SET delivered_at = (SELECT now_us FROM clock) \
                 WHERE what = $1 AND payout_key = $2 AND delivered_at IS NULL",
            )
            .bind(what)
            .bind(key)
            .execute(&mut *tx)
            .await?;
            let row = sqlx::query("SELECT payout_key FROM provider_events WHERE what = $1")
                .bind(what)
                .fetch_optional(&mut *tx)
                .await?;
            tx.commit().await?;
            let owner: Option<String> =
                row.ok_or_else(|| Error::broken("there is no such event"))?.try_get("payout_key")?;
            match owner {
                Some(owner) if owner == key => Ok(()),
                Some(owner) => Err(Error::broken(format!("it belongs to payout {owner:?}"))),
                None => Err(Error::broken("no payout is known for it yet; route it first")),
            }
        })
        .await
    }

    /// Lists events, newest first, without their bodies.
    ///
    /// # Errors
    /// As any call.
    pub async fn events(&self, filter: &EventFilter<'_>) -> Result<Page<StoredEvent>, Error> {
        self.bounded("list the provider's events", async {
            let mut which = Conditions::default();
            match filter.delivered {
                Some(true) => which.plain("delivered_at IS NOT NULL"),
                Some(false) => which.plain("delivered_at IS NULL"),
                None => {}
            }
            if let Some(kind) = filter.kind {
                which.text("kind = ?", kind);
            }
            if let Some(key) = filter.key {
                which.text("(payout_key = ? OR named_key = ?)", key);
            }
            which.after("received_at", "what", filter.before);
            let rows = which
                .fetch(
                    &self.pool,
                    concat!(
                        "SELECT ",
                        columns!(),
                        ", o.kind AS object_kind, o.object FROM (SELECT * FROM provider_events"
                    ),
                    "ORDER BY received_at DESC, what DESC LIMIT ?) e JOIN provider_event_objects o ON o.what = e.what \
                     ORDER BY e.received_at DESC, e.what DESC, o.position",
                    filter.limit,
                )
                .await?;
            Ok(page::page(decode(&rows)?, filter.limit, |event| Cursor {
                at: event.received_at.as_microsecond(),
                id: event.what.clone(),
            }))
        })
        .await
    }

    /// One event, with its body.
    ///
    /// # Errors
    /// As any call.
    pub async fn event(&self, what: &str) -> Result<Option<StoredEvent>, Error> {
        self.bounded(format!("read event {what:?} of the provider"), async {
            let rows = sqlx::query(concat!(
                "SELECT ",
                columns!(),
                ", e.body, o.kind AS object_kind, o.object FROM provider_events e \
                 JOIN provider_event_objects o ON o.what = e.what WHERE e.what = $1 ORDER BY o.position",
            ))
            .bind(what)
            .fetch_all(&self.pool)
            .await?;
            let body = rows.first().map(|row| row.try_get("body")).transpose()?;
            Ok(decode(&rows)?.pop().map(|event| StoredEvent { body, ..event }))
        })
        .await
    }

    /// Forgets events: those delivered so long ago, and those that so long ago came and belong to no payout, the
    /// ones with a mismatch among them. Never one that belongs to a payout and was not delivered. Answers how many;
    /// at most 1000 for each call, so ask again while there are that many.
    ///
    /// # Errors
    /// As any call.
    pub async fn forget_events(
        &self,
        delivered_older_than: Duration,
        unmatched_older_than: Duration,
    ) -> Result<u64, Error> {
        self.bounded("forget old events of the provider", async {
            let mut tx = self.begin().await?;
            let gone = sqlx::query(
                "DELETE FROM provider_events WHERE what IN (SELECT what FROM (\
                 SELECT what, received_at FROM provider_events \
                 WHERE delivered_at <= (SELECT now_us FROM clock) - $1 \
                 UNION ALL \
                 SELECT e.what, e.received_at FROM provider_events e \
                 WHERE e.delivered_at IS NULL AND e.payout_key IS NULL \
                 AND e.received_at <= (SELECT now_us FROM clock) - $2 \
                 AND (e.mismatch IS NOT NULL OR NOT EXISTS (SELECT 1 FROM provider_event_objects eo \
                 JOIN provider_objects o ON o.kind = eo.kind AND o.object = eo.object WHERE eo.what = e.what))\
                 ) old ORDER BY received_at, what LIMIT $3)",
            )
            .bind(microseconds(delivered_older_than))
            .bind(microseconds(unmatched_older_than))
            .bind(FORGET)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            tx.commit().await?;
            Ok(gone)
        })
        .await
    }
}
