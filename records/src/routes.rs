//! Which payout an event belongs to, and which events wait for a payout.
//!
//! Whoever stores an event looks for mappings after; whoever writes a mapping looks for events after. Each commits
//! before it looks, so of two at the same time at least one sees what the other wrote. Joining an event's other
//! objects is writing a mapping too, and is followed by the same look, until there is nothing new.

use sqlx::{AnyConnection, Row};

use crate::event::{StoredEvent, columns, decode};
use crate::objects::{self, Mapped, ObjectKind};
use crate::{Error, Records};

/// Where an event belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To this payout.
    To {
        /// Its key.
        key: String,
    },
    /// Not known yet: it waits until one of its objects is mapped, or the key it names is claimed.
    Unknown,
    /// To two payouts at once, so to none: it is kept for people, and never delivered.
    Mismatch {
        /// The key the event names; or, where it names none, the key of one of its objects.
        named: String,
        /// The key that another one of its objects belongs to.
        mapped: String,
    },
}

/// An event has at most this many objects, and each can be mapped by somebody else while we look.
const ROUNDS: usize = 6;
/// How many events one call answers.
const MOST: i64 = 1000;

impl Records {
    /// Finds where a stored event belongs, and maps its other objects there too. The mapping of any of its objects
    /// decides; without one, the key it names, if that is claimed.
    ///
    /// After `To`, deliver all of [`Records::waiting_for_key`], this event among them: others may belong to the
    /// payout through the objects that this one has joined.
    ///
    /// # Errors
    /// `Broken`: there is no such event. `Unavailable`: no answer; repeating it is safe.
    pub async fn route_event(&self, what: &str) -> Result<Route, Error> {
        self.bounded(format!("route event {what:?} of the provider"), async {
            self.route(what).await?.ok_or_else(|| Error::broken("there is no such event"))
        })
        .await
    }

    /// Events that name this object and were not delivered, oldest first, at most 1000; none with a mismatch.
    ///
    /// # Errors
    /// As any call.
    pub async fn waiting_events(&self, kind: ObjectKind, object_id: &str) -> Result<Vec<StoredEvent>, Error> {
        self.bounded(format!("find events for the provider's {} {object_id:?}", kind.as_str()), async {
            let unrouted = sqlx::query(
                "SELECT DISTINCT e.what FROM provider_event_objects o JOIN provider_events e ON e.what = o.what \
                 WHERE o.kind = $1 AND o.object = $2 AND e.payout_key IS NULL AND e.mismatch IS NULL",
            )
            .bind(kind.as_str())
            .bind(object_id)
            .fetch_all(&self.pool)
            .await?;
            for row in unrouted {
                self.route(row.try_get("what")?).await?;
            }
            let rows = sqlx::query(concat!(
                "SELECT ",
                columns!(),
                ", o.kind AS object_kind, o.object FROM (SELECT * FROM provider_events \
                 WHERE what IN (SELECT what FROM provider_event_objects WHERE kind = $1 AND object = $2) \
                 AND delivered_at IS NULL AND mismatch IS NULL ORDER BY received_at, what LIMIT $3) e \
                 JOIN provider_event_objects o ON o.what = e.what ORDER BY e.received_at, e.what, o.position"
            ))
            .bind(kind.as_str())
            .bind(object_id)
            .bind(MOST)
            .fetch_all(&self.pool)
            .await?;
            decode(&rows)
        })
        .await
    }

    /// Events that belong to this payout and were not delivered, oldest first, at most 1000. An event belongs to it
    /// by any of its objects, or by naming its key. None while the key is not claimed.
    ///
    /// # Errors
    /// As any call.
    pub async fn waiting_for_key(&self, key: &str) -> Result<Vec<StoredEvent>, Error> {
        self.bounded(format!("find events for payout {key:?}"), async {
            self.join_events(key).await?;
            let rows = sqlx::query(concat!(
                "SELECT ",
                columns!(),
                ", o.kind AS object_kind, o.object FROM (SELECT * FROM provider_events \
                 WHERE payout_key = $1 AND delivered_at IS NULL ORDER BY received_at, what LIMIT $2) e \
                 JOIN provider_event_objects o ON o.what = e.what ORDER BY e.received_at, e.what, o.position"
            ))
            .bind(key)
            .bind(MOST)
            .fetch_all(&self.pool)
            .await?;
            decode(&rows)
        })
        .await
    }

    /// Routes every event that can belong to this payout, until there is none left. Each is routed for good, and
    /// only new mappings or new events bring new ones, so this ends.
    pub(crate) async fn join_events(&self, key: &str) -> Result<(), Error> {
        loop {
            let found = sqlx::query(
                "SELECT e.what FROM provider_objects o \
                 JOIN provider_event_objects eo ON eo.kind = o.kind AND eo.object = o.object \
                 JOIN provider_events e ON e.what = eo.what \
                 WHERE o.payout_key = $1 AND e.payout_key IS NULL AND e.mismatch IS NULL \
                 UNION \
                 SELECT e.what FROM provider_events e \
                 WHERE e.named_key = $1 AND e.payout_key IS NULL AND e.mismatch IS NULL \
                 AND EXISTS (SELECT 1 FROM payouts WHERE payout_key = $1)",
            )
            .bind(key)
            .fetch_all(&self.pool)
            .await?;
            if found.is_empty() {
                return Ok(());
            }
            for row in found {
                self.route(row.try_get("what")?).await?;
            }
        }
    }

    /// None: there is no such event.
    pub(crate) async fn route(&self, what: &str) -> Result<Option<Route>, Error> {
        for _ in 0..ROUNDS {
            let mut tx = self.begin().await?;
            let Some(seen) = see(&mut tx, what).await? else { return Ok(None) };
            let route = match seen.routed {
                Some(key) => return Ok(Some(Route::To { key })),
                None => decide(seen.named.as_deref(), &seen.objects),
            };
            let route = match (route, seen.named) {
                (Route::Unknown, Some(named)) if is_claimed(&mut tx, &named).await? => Route::To { key: named },
                (route, _) => route,
            };
            match &route {
                Route::To { key } => {
                    if !join(&mut tx, key, seen.objects).await? {
                        // Somebody mapped one of them at this moment, perhaps to another payout: look again.
                        continue;
                    }
                    sqlx::query("UPDATE provider_events SET payout_key = $2 WHERE what = $1 AND payout_key IS NULL")
                        .bind(what)
                        .bind(key)
                        .execute(&mut *tx)
                        .await?;
                }
                Route::Mismatch { mapped, .. } => {
                    sqlx::query("UPDATE provider_events SET mismatch = $2 WHERE what = $1 AND mismatch IS NULL")
                        .bind(what)
                        .bind(mapped)
                        .execute(&mut *tx)
                        .await?;
                }
                Route::Unknown => {}
            }
            tx.commit().await?;
            return Ok(Some(route));
        }
        Err(Error::unavailable(format!("its objects were mapped by others {ROUNDS} times in a row")))
    }
}

/// An object of an event, and the key it belongs to.
struct Object {
    kind: ObjectKind,
    id: String,
    key: Option<String>,
}

/// What a transaction sees of an event.
struct Seen {
    routed: Option<String>,
    named: Option<String>,
    objects: Vec<Object>,
}

async fn see(connection: &mut AnyConnection, what: &str) -> Result<Option<Seen>, Error> {
    let rows = sqlx::query(
        "SELECT e.payout_key AS routed, e.named_key, eo.kind, eo.object, o.payout_key FROM provider_events e \
         JOIN provider_event_objects eo ON eo.what = e.what \
         LEFT JOIN provider_objects o ON o.kind = eo.kind AND o.object = eo.object \
         WHERE e.what = $1 ORDER BY eo.position",
    )
    .bind(what)
    .fetch_all(connection)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut seen = Seen { routed: first.try_get("routed")?, named: first.try_get("named_key")?, objects: vec![] };
    for row in &rows {
        let kind = ObjectKind::parse(row.try_get("kind")?)?;
        seen.objects.push(Object { kind, id: row.try_get("object")?, key: row.try_get("payout_key")? });
    }
    Ok(Some(seen))
}

fn decide(named: Option<&str>, objects: &[Object]) -> Route {
    let mut mapped = objects.iter().filter_map(|object| object.key.as_deref());
    let Some(first) = mapped.next() else { return Route::Unknown };
    let expected = named.unwrap_or(first);
    match std::iter::once(first).chain(mapped).find(|key| *key != expected) {
        Some(other) => Route::Mismatch { named: expected.to_owned(), mapped: other.to_owned() },
        None => Route::To { key: expected.to_owned() },
    }
}

/// Maps the objects that have no key yet; false when one was mapped meanwhile. In one order for everybody, so that
/// two at once wait for each other and do not lock each other out.
async fn join(connection: &mut AnyConnection, key: &str, mut objects: Vec<Object>) -> Result<bool, Error> {
    objects.retain(|object| object.key.is_none());
    objects.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
    objects.dedup_by(|a, b| (a.kind, &a.id) == (b.kind, &b.id));
    for object in objects {
        match objects::map(connection, object.kind, &object.id, key).await? {
            Mapped::Now => {}
            Mapped::Already | Mapped::Other { .. } => return Ok(false),
        }
    }
    Ok(true)
}

async fn is_claimed(connection: &mut AnyConnection, key: &str) -> Result<bool, Error> {
    let row =
        sqlx::query("SELECT 1 AS one FROM payouts WHERE payout_key = $1").bind(key).fetch_optional(connection).await?;
    Ok(row.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(keys: &[Option<&str>]) -> Vec<Object> {
        let object = |key: &Option<&str>| Object {
            kind: ObjectKind::Transfer,
            id: "tx".to_owned(),
            key: key.map(str::to_owned),
        };
        keys.iter().map(object).collect()
    }

    #[test]
    fn a_mapping_decides_and_must_agree_with_everything_else() {
        let to = |key: &str| Route::To { key: key.to_owned() };
        let mismatch =
            |named: &str, mapped: &str| Route::Mismatch { named: named.to_owned(), mapped: mapped.to_owned() };
        for (named, keys, expected) in [
            (None, &[None, None][..], Route::Unknown),
            (Some("a"), &[None], Route::Unknown),
            (None, &[None, Some("a")], to("a")),
            (Some("a"), &[Some("a"), None, Some("a")], to("a")),
            (Some("b"), &[None, Some("a")], mismatch("b", "a")),
            (Some("a"), &[Some("a"), Some("b")], mismatch("a", "b")),
            (None, &[Some("a"), None, Some("b")], mismatch("a", "b")),
        ] {
            assert_eq!(decide(named, &objects(keys)), expected, "{named:?} {keys:?}");
        }
    }
}
