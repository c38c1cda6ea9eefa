//! The way of an event to its payout: kept first, then looked up, then signalled, then marked as delivered.
//!
//! In this order no crash loses an event. What could not be signalled is on record, and the deliverer tries again
//! (`deliverer.rs`). A crash may deliver one twice, which a payout does not notice: the request id is the same.

use std::time::Duration;

use remit_client::{Nudged, PayoutClient};
use remit_records::{Error, NewEvent, ObjectKind, Records, Route, StoredEvent};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{Nudge, answer::Answer, event::Event};

/// Where events wait for their payouts, and the way on to them.
#[derive(Clone)]
pub struct Inbox<N = PayoutClient> {
    records: Records,
    payouts: N,
    within: Duration,
}

/// What became of an event that is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handed {
    /// The payout has it.
    Delivered,
    /// The payout is over, so it needs no more events.
    Over,
    /// Temporal knows no run of this payout, so nobody waits for it.
    NoSuchRun,
    /// Nothing that a payout decides hangs on it, so nobody was woken.
    WakesNobody,
    /// No payout is known for it yet. It waits.
    Parked,
    /// It belongs to two payouts, so to none.
    Mismatch,
    /// Temporal did not take it. It waits.
    TemporalAway {
        /// What stood in the way.
        why: String,
    },
}

impl Handed {
    /// One word, for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Over => "over",
            Self::NoSuchRun => "unknown_payout",
            Self::WakesNobody => "stored",
            Self::Parked => "parked",
            Self::Mismatch => "mismatch",
            Self::TemporalAway { .. } => "temporal_away",
        }
    }
}

/// How an event came.
pub(crate) struct Arrival<'a> {
    /// The bytes as they came.
    pub(crate) body: &'a [u8],
    /// The provider's id of this telling of it.
    pub(crate) event_id: &'a str,
    pub(crate) source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Delivered to us.
    Webhook,
    /// Read from the provider after a delivery had failed.
    Gap,
}

/// What keeping an event found.
enum Kept {
    /// Kept and delivered before.
    Repeated,
    /// It is on record, and this is where it belongs.
    Routed(Route),
}

impl<N: Nudge> Inbox<N> {
    /// `within` is how long the records and Temporal together may take over one event.
    pub fn new(records: Records, payouts: N, within: Duration) -> Self {
        Self { records, payouts, within }
    }

    pub(crate) fn records(&self) -> &Records {
        &self.records
    }

    /// Takes an event that has just come.
    pub(crate) async fn take(&self, event: &Event, arrival: &Arrival<'_>) -> Answer {
        let deadline = Instant::now() + self.within;
        // Half of the time, so that a database that hangs leaves enough to tell Temporal.
        let kept = match timeout(self.within / 2, self.keep(event, arrival)).await {
            Ok(kept) => kept.map_err(|why| format!("{:#}", anyhow::Error::new(why))),
            Err(_) => Err(format!("the records took longer than {:?}", self.within / 2)),
        };
        match kept {
            Ok(Kept::Repeated) => Answer::Repeated,
            Ok(Kept::Routed(Route::To { key })) => self.deliver(event, &key, deadline).await.into(),
            Ok(Kept::Routed(Route::Unknown)) => Answer::Parked,
            Ok(Kept::Routed(Route::Mismatch { named, mapped })) => {
                tracing::warn!(event.what, "An event about a thing of payout {mapped} names payout {named}: kept");
                Answer::Mismatch
            }
            Err(why) => {
                tracing::warn!(event.what, "An event could not be kept: {why}");
                self.deliver_without_records(event, deadline).await
            }
        }
    }

    /// Hands on an event that is on record, again if it was delivered before: a payout that has had it ignores it.
    ///
    /// # Errors
    /// When the records do not answer; repeating it is safe.
    pub async fn hand_on(&self, stored: &StoredEvent) -> Result<Handed, Error> {
        if stored.mismatch.is_some() {
            return Ok(Handed::Mismatch);
        }
        let route = match &stored.key {
            Some(key) => Route::To { key: key.clone() },
            None => self.records.route_event(&stored.what).await?,
        };
        match route {
            Route::To { key } => Ok(self.deliver(&Event::stored(stored), &key, Instant::now() + self.within).await),
            Route::Unknown => Ok(Handed::Parked),
            Route::Mismatch { .. } => Ok(Handed::Mismatch),
        }
    }

    async fn keep(&self, event: &Event, arrival: &Arrival<'_>) -> Result<Kept, Error> {
        let objects: Vec<(ObjectKind, &str)> = event.objects.iter().map(|(kind, id)| (*kind, id.as_str())).collect();
        let new = NewEvent {
            what: &event.what,
            kind: &event.kind,
            about: event.concern.as_str(),
            state: &event.state,
            objects: &objects,
            named_key: event.named_key.as_deref(),
            body: arrival.body,
            event_id: arrival.event_id,
            source: arrival.source.as_str(),
        };
        let stored = self.records.store_event(&new).await?;
        if stored.delivered {
            return Ok(Kept::Repeated);
        }
        let route = self.records.route_event(&event.what).await?;
        if let Route::To { key } = &route
            && objects.len() > 1
        {
            // It may have joined an object to the payout that other events wait for. They are due from now on.
            self.records.waiting_for_key(key).await?;
        }
        Ok(Kept::Routed(route))
    }

    async fn deliver(&self, event: &Event, key: &str, deadline: Instant) -> Handed {
        let handed = match event.nudge() {
            None => Handed::WakesNobody,
            Some(nudge) => match timeout_at(deadline, self.payouts.nudge(key, &nudge, &event.what)).await {
                Ok(Ok(Nudged::Delivered)) => Handed::Delivered,
                Ok(Ok(Nudged::NoSuchPayout)) => Handed::NoSuchRun,
                Ok(Ok(Nudged::Over)) => Handed::Over,
                Ok(Err(why)) => Handed::TemporalAway { why: why.to_string() },
                Err(_) => Handed::TemporalAway { why: format!("Temporal took longer than {:?}", self.within) },
            },
        };
        if let Handed::TemporalAway { why } = &handed {
            tracing::warn!(payout.key = key, "Payout {key} was not nudged, and will be: {why}");
            return handed;
        }
        tracing::info!(payout.key = key, result = handed.as_str(), "An event for payout {key}: {}", event.kind);
        // Where this fails, the deliverer hands it on once more, and that is noticed by nobody.
        match timeout_at(deadline, self.records.mark_delivered(&event.what, key)).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::warn!(payout.key = key, "{:#}", anyhow::Error::new(why)),
            Err(_) => tracing::warn!(payout.key = key, "The records took too long to mark an event as delivered"),
        }
        handed
    }

    /// Temporal alone will do, when the event says itself whom to wake. Only a run that has it, or that is over, is
    /// proof enough to answer for it.
    async fn deliver_without_records(&self, event: &Event, deadline: Instant) -> Answer {
        let (Some(key), Some(nudge)) = (event.plausible_key(), event.nudge()) else { return Answer::NotTaken };
        match timeout_at(deadline, self.payouts.nudge(key, &nudge, &event.what)).await {
            Ok(Ok(Nudged::Delivered)) => Answer::Unrecorded,
            Ok(Ok(Nudged::Over)) => Answer::Over,
            Ok(Ok(Nudged::NoSuchPayout)) => Answer::NotTaken,
            Ok(Err(why)) => {
                tracing::warn!(payout.key = key, "{why}; the provider will deliver again");
                Answer::NotTaken
            }
            Err(_) => {
                tracing::warn!(payout.key = key, "Temporal took too long; the provider will deliver again");
                Answer::NotTaken
            }
        }
    }
}

impl Source {
    /// The word on record.
    fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Gap => "gap",
        }
    }
}

impl From<Handed> for Answer {
    fn from(handed: Handed) -> Self {
        match handed {
            Handed::Delivered => Self::Delivered,
            Handed::Over => Self::Over,
            Handed::NoSuchRun => Self::UnknownPayout,
            Handed::WakesNobody => Self::Stored,
            Handed::Parked => Self::Parked,
            Handed::Mismatch => Self::Mismatch,
            Handed::TemporalAway { .. } => Self::TemporalAway,
        }
    }
}
