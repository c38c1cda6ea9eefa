//! What is still to be delivered: for whoever takes over when the one who stored an event could not deliver it.

use std::time::Duration;

use sqlx::Row;

use crate::event::{StoredEvent, columns, decode};
use crate::page::{Cursor, Page, page};
use crate::store::microseconds;
use crate::{Error, Records, Route};

/// How many to a page at most, as in every list.
const MOST: u32 = 500;
/// How many events one call of [`Records::route_waiting`] looks at.
const ROUTES: i64 = 1000;

impl Records {
    /// Events that belong to a payout, were not delivered, and last came at least so long ago: the younger ones are
    /// still in the hands of whoever stored them. The oldest first, from `after` on.
    ///
    /// # Errors
    /// As any call.
    pub async fn due_events(
        &self,
        older_than: Duration,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<StoredEvent>, Error> {
        self.bounded("find events that are due", async {
            let limit = limit.clamp(1, MOST);
            let (at, id) = after.map_or((i64::MIN, ""), |cursor| (cursor.at, cursor.id.as_str()));
            let rows = sqlx::query(concat!(
                "SELECT ",
                columns!(),
                ", o.kind AS object_kind, o.object FROM (SELECT * FROM provider_events \
                 WHERE payout_key IS NOT NULL AND delivered_at IS NULL \
                 AND seen_at <= (SELECT now_us FROM clock) - $1 AND (received_at, what) > ($2, $3) \
                 ORDER BY received_at, what LIMIT $4) e \
                 JOIN provider_event_objects o ON o.what = e.what ORDER BY e.received_at, e.what, o.position"
            ))
            .bind(microseconds(older_than))
            .bind(at)
            .bind(id)
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.pool)
            .await?;
            Ok(page(decode(&rows)?, limit, Cursor::after))
        })
        .await
    }

    /// Routes the events that could belong to a payout by now and do not: somebody mapped an object, or stored an
    /// event, and ended before the look that follows. Answers how many found their payout; at most 1000 for each
    /// call. It looks at every event that waits, so call it seldom.
    ///
    /// # Errors
    /// As any call.
    pub async fn route_waiting(&self) -> Result<u64, Error> {
        self.bounded("route events that wait for their payout", async {
            let found = sqlx::query(
                "SELECT e.what FROM provider_events e \
                 WHERE e.delivered_at IS NULL AND e.payout_key IS NULL AND e.mismatch IS NULL \
                 AND (EXISTS (SELECT 1 FROM provider_event_objects eo JOIN provider_objects o \
                 ON o.kind = eo.kind AND o.object = eo.object WHERE eo.what = e.what) \
                 OR EXISTS (SELECT 1 FROM payouts p WHERE p.payout_key = e.named_key)) \
                 ORDER BY e.received_at, e.what LIMIT $1",
            )
            .bind(ROUTES)
            .fetch_all(&self.pool)
            .await?;
            let mut routed = 0;
            for row in found {
                if let Some(Route::To { .. }) = self.route(row.try_get("what")?).await? {
                    routed += 1;
                }
            }
            Ok(routed)
        })
        .await
    }
}
