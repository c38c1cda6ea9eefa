//! The inbox: each verified event of the provider is kept once, by what happened.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::page::{self, Conditions};
use crate::row::{count, timestamp, usable};
use crate::store::microseconds;
use crate::{Cursor, Error, ObjectKind, Page, Records};

/// The columns of an event; its body apart, which can be long.
macro_rules! columns {
    () => {
        "e.what, e.kind, e.about, e.state, e.named_key, e.source, e.event_id, e.times, e.payout_key, e.mismatch, \
         e.received_at, e.seen_at, e.delivered_at"
    };
}
pub(crate) use columns;

/// A verified event of the provider. Verified is the caller's word: a good signature, or an authenticated read.
#[derive(Clone, Copy)]
pub struct NewEvent<'a> {
    /// What happened, as a hash over kind, object and state: the same thing is kept once.
    pub what: &'a str,
    /// The provider's word for the kind of event.
    pub kind: &'a str,
    /// What it is about, for people; may be empty.
    pub about: &'a str,
    /// The state it tells of; may be empty.
    pub state: &'a str,
    /// The provider's objects it names, 1 to 4; the first is the one it is about.
    pub objects: &'a [(ObjectKind, &'a str)],
    /// The payout key it names, not proven; any text of the provider's.
    pub named_key: Option<&'a str>,
    /// The bytes as they came, at most 1 MiB.
    pub body: &'a [u8],
    /// The provider's id of the event.
    pub event_id: &'a str,
    /// How it came: `webhook`, or `gap` when it was read after a delivery had failed.
    pub source: &'a str,
}

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

/// An event on record.
#[derive(Clone, PartialEq)]
pub struct StoredEvent {
    /// What happened: its id here.
    pub what: String,
    /// The provider's word for the kind of event.
    pub kind: String,
    /// What it is about, for people.
    pub about: String,
    /// The state it tells of.
    pub state: String,
    /// The provider's objects it names, the one it is about first.
    pub objects: Vec<(ObjectKind, String)>,
    /// The payout key it names, not proven.
    pub named_key: Option<String>,
    /// The bytes as they first came. Only from [`Records::event`].
    pub body: Option<Vec<u8>>,
    /// How it came first.
    pub source: String,
    /// The provider's id of the event, when it last came.
    pub event_id: String,
    /// How often it came.
    pub times: u32,
    /// The payout it belongs to, once found.
    pub key: Option<String>,
    /// The payout its objects belong to, where that is not the one it names: never delivered.
    pub mismatch: Option<String>,
    /// When it first came, by the database's clock.
    pub received_at: Timestamp,
    /// When it last came.
    pub seen_at: Timestamp,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
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

const MOST_BYTES: usize = 1 << 20;
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
                    concat!("SELECT ", columns!(), ", o.kind AS object_kind, o.object FROM (SELECT * FROM provider_events"),
                    "ORDER BY received_at DESC, what DESC LIMIT ?) e \
                     JOIN provider_event_objects o ON o.what = e.what ORDER BY e.received_at DESC, e.what DESC, o.position",
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

fn check(event: &NewEvent<'_>) -> Result<(), Error> {
    usable("what", event.what, 255)?;
    usable("kind", event.kind, 255)?;
    usable("event_id", event.event_id, 255)?;
    usable("source", event.source, 255)?;
    for (field, value) in [("about", Some(event.about)), ("state", Some(event.state)), ("named_key", event.named_key)] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            usable(field, value, 1000)?;
        }
    }
    if !(1..=4).contains(&event.objects.len()) {
        return Err(Error::broken(format!("objects: {}; expected 1 to 4", event.objects.len())));
    }
    event.objects.iter().try_for_each(|(kind, object)| usable(kind.as_str(), object, 255))?;
    if event.body.len() > MOST_BYTES {
        return Err(Error::broken(format!("body: {} bytes; expected at most {MOST_BYTES}", event.body.len())));
    }
    Ok(())
}

/// Rows come one for each object, those of one event together.
pub(crate) fn decode(rows: &[AnyRow]) -> Result<Vec<StoredEvent>, Error> {
    let mut events: Vec<StoredEvent> = vec![];
    for row in rows {
        let what: String = row.try_get("what")?;
        let object_kind: String = row.try_get("object_kind")?;
        let object = (ObjectKind::parse(&object_kind)?, row.try_get("object")?);
        match events.last_mut().filter(|event| event.what == what) {
            Some(event) => event.objects.push(object),
            None => events.push(decode_one(row, what, object)?),
        }
    }
    Ok(events)
}

fn decode_one(row: &AnyRow, what: String, object: (ObjectKind, String)) -> Result<StoredEvent, Error> {
    let delivered_at: Option<i64> = row.try_get("delivered_at")?;
    Ok(StoredEvent {
        what,
        kind: row.try_get("kind")?,
        about: row.try_get("about")?,
        state: row.try_get("state")?,
        objects: vec![object],
        named_key: row.try_get("named_key")?,
        body: None,
        source: row.try_get("source")?,
        event_id: row.try_get("event_id")?,
        times: count(row, "times")?,
        key: row.try_get("payout_key")?,
        mismatch: row.try_get("mismatch")?,
        received_at: timestamp(row.try_get("received_at")?)?,
        seen_at: timestamp(row.try_get("seen_at")?)?,
        delivered_at: delivered_at.map(timestamp).transpose()?,
    })
}

/// Leaves out the body, which may say something about a person.
impl fmt::Debug for NewEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewEvent")
            .field("what", &self.what)
            .field("kind", &self.kind)
            .field("state", &self.state)
            .field("objects", &self.objects)
            .finish_non_exhaustive()
    }
}

/// As that of [`NewEvent`].
impl fmt::Debug for StoredEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredEvent")
            .field("what", &self.what)
            .field("kind", &self.kind)
            .field("state", &self.state)
            .field("objects", &self.objects)
            .field("times", &self.times)
            .field("key", &self.key)
            .field("mismatch", &self.mismatch)
            .field("delivered_at", &self.delivered_at)
            .finish_non_exhaustive()
    }
}
