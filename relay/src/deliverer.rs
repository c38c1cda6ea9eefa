//! What is left over: events that Temporal did not take are handed on until it does, those whose payout has become
//! known are handed on, and old ones are forgotten.

use std::time::Duration;

use remit_records::{Cursor, Error};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    Nudge, Upkeep,
    inbox::{Handed, Inbox},
    metrics::Metrics,
};

/// How many events are read at a time.
const BATCH: u32 = 100;
/// So many in a row that Temporal did not take, and it is left alone until the next round.
const ENOUGH: u32 = 3;
/// How often everything that waits is looked through.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);
/// How often a call that forgets is made at most, each time.
const FORGETS: u32 = 20;
/// What one such call forgets, see [`remit_records::Records::forget_events`].
const FORGOTTEN_AT_ONCE: u64 = 1000;

pub(crate) struct Deliverer<N> {
    pub(crate) inbox: Inbox<N>,
    pub(crate) metrics: Metrics,
    pub(crate) upkeep: Upkeep,
    /// Events that are younger are in the hands of whoever took them.
    pub(crate) min_age: Duration,
}

impl<N: Nudge> Deliverer<N> {
    /// Delivers until `stop`.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        tokio::select! {
            () = self.deliver_for_ever() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn deliver_for_ever(&self) {
        let mut rounds = interval(self.upkeep.again);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut kept_house: Option<Instant> = None;
        let mut place = None;
        loop {
            rounds.tick().await;
            if kept_house.is_none_or(|at| at.elapsed() >= HOUSEKEEPING) {
                match self.keep_house().await {
                    Ok(()) => kept_house = Some(Instant::now()),
                    Err(why) => {
                        tracing::warn!("{:#}", anyhow::Error::new(why));
                        continue;
                    }
                }
            }
            match self.round(place).await {
                Ok(next) => place = next,
                Err(why) => {
                    place = None;
                    tracing::warn!("{:#}", anyhow::Error::new(why));
                }
            }
        }
    }

    /// Hands on what is due, from this place on; answers where the next round begins. So one event that nobody takes
    /// does not stand in the way of the others.
    async fn round(&self, mut place: Option<Cursor>) -> Result<Option<Cursor>, Error> {
        let mut refused = 0;
        loop {
            let page = self.inbox.records().due_events(self.min_age, place.as_ref(), BATCH).await?;
            for event in &page.items {
                let handed = self.inbox.hand_on(event).await?;
                self.metrics.handed_on(&handed);
                match handed {
                    Handed::TemporalAway { .. } => refused += 1,
                    Handed::Delivered
                    | Handed::Over
                    | Handed::NoSuchRun
                    | Handed::WakesNobody
                    | Handed::Parked
                    | Handed::Mismatch => refused = 0,
                }
                if refused >= ENOUGH {
                    return Ok(Some(Cursor::after(event)));
                }
            }
            place = page.next;
            if place.is_none() {
                return Ok(None);
            }
        }
    }

    async fn keep_house(&self) -> Result<(), Error> {
        let records = self.inbox.records();
        let routed = records.route_waiting().await?;
        if routed > 0 {
            tracing::warn!("{routed} events had their payout and nobody had looked");
        }
        for _ in 0..FORGETS {
            let gone = records.forget_events(self.upkeep.keep_delivered, self.upkeep.keep_unmatched).await?;
            self.metrics.forgotten(gone);
            if gone < FORGOTTEN_AT_ONCE {
                break;
            }
        }
        Ok(())
    }
}
