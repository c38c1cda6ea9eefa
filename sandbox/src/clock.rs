//! Time of an organisation: wall time plus an offset, which may be less than nothing, and what falls due when.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::delivery::Due as DeliveryDue;
use crate::payouts::Step as PayoutStep;
use crate::transfers::Step as TransferStep;

/// Milliseconds since 1970 by the machine's clock.
pub(crate) fn wall_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A time as Dfns writes it: `2025-03-01T12:01:00.000Z`.
pub(crate) fn iso(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A time as the HTTP `Date` header writes it.
pub(crate) fn http_date(ms: i64) -> Option<String> {
    let time = Timestamp::from_millisecond(ms).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()
}

/// Something that happens by itself at a certain time.
#[derive(Debug)]
pub(crate) enum Due {
    Payout { id: String, step: PayoutStep },
    Transfer { id: String, step: TransferStep },
    ApprovalExpires { id: String },
    Delivery(DeliveryDue),
}

/// The organisation's clock and its timers.
#[derive(Debug)]
pub(crate) struct Clock {
    now_ms: i64,
    /// Below zero when the organisation's clock was made to run behind.
    ahead_ms: i64,
    timers: BTreeMap<(i64, u64), Due>,
    made: u64,
}

impl Clock {
    /// A clock that is so much ahead of the wall's from the beginning on.
    pub(crate) fn new(ahead_ms: i64) -> Self {
        Self { now_ms: wall_ms() + ahead_ms, ahead_ms, timers: BTreeMap::new(), made: 0 }
    }

    /// The organisation's time. Inside a timer it is the time the timer was due.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    pub(crate) fn now(&self) -> String {
        iso(self.now_ms)
    }

    /// Where the organisation's time would be now if every timer had been handled.
    pub(crate) fn target_ms(&self) -> i64 {
        wall_ms() + self.ahead_ms
    }

    pub(crate) fn after(&mut self, delay_ms: i64, due: Due) {
        self.made += 1;
        self.timers.insert((self.now_ms.saturating_add(delay_ms), self.made), due);
    }

    /// The next timer due by `until_ms`, with the clock set to its time.
    pub(crate) fn next_due(&mut self, until_ms: i64) -> Option<Due> {
        let (&key, _) = self.timers.first_key_value()?;
        if key.0 > until_ms {
            return None;
        }
        self.now_ms = self.now_ms.max(key.0);
        self.timers.remove(&key)
    }

    /// Nothing more is due by then: the clock may show it.
    pub(crate) fn reach(&mut self, until_ms: i64) {
        self.now_ms = self.now_ms.max(until_ms);
    }

    pub(crate) fn first_due_ms(&self) -> Option<i64> {
        self.timers.keys().next().map(|(due, _)| *due)
    }

    /// Moves the clock ahead so that it shows at least `to_ms`. Never back.
    pub(crate) fn jump_to(&mut self, to_ms: i64) {
        let missing = to_ms - self.target_ms();
        if missing > 0 {
            self.ahead_ms += missing;
        }
    }

    /// Takes the earliest timer that fits out of the queue, whatever its time.
    pub(crate) fn pull(&mut self, fits: impl Fn(&Due) -> bool) -> Option<Due> {
        let key = self.timers.iter().find(|(_, due)| fits(due)).map(|(key, _)| *key)?;
        self.timers.remove(&key)
    }
}
