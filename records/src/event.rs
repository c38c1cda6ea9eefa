//! An event of the provider: as it comes in, and as it is on record.

use std::fmt;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::row::{count, timestamp, usable};
use crate::{Error, ObjectKind};

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
    /// The bytes as they first came. Only from [`crate::Records::event`].
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

const MOST_BYTES: usize = 1 << 20;

/// Refuses what one of the databases could not hold.
pub(crate) fn check(event: &NewEvent<'_>) -> Result<(), Error> {
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

/// The columns of an event; its body apart, which can be long.
macro_rules! columns {
    () => {
        "e.what, e.kind, e.about, e.state, e.named_key, e.source, e.event_id, e.times, e.payout_key, e.mismatch, \
         e.received_at, e.seen_at, e.delivered_at"
    };
}
pub(crate) use columns;

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
