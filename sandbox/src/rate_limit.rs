//! The request budget of an organisation: a window of 60 seconds of its clock.

use crate::answer::{Headers, Refusal};

const WINDOW_MS: i64 = 60_000;

/// How much of the current window is used. Starts with the first request after the last window.
#[derive(Debug, Default)]
pub(crate) struct RateLimit {
    started_ms: i64,
    used: u32,
}

impl RateLimit {
    /// Counts one request. Once over, everything is refused until the window ends.
    pub(crate) fn count(&mut self, limit: u32, now_ms: i64) -> Result<(), Refusal> {
        if now_ms >= self.started_ms + WINDOW_MS {
            self.started_ms = now_ms;
            self.used = 0;
        }
        self.used = self.used.saturating_add(1);
        if self.used <= limit {
            return Ok(());
        }
        let seconds = self.seconds_left(now_ms);
        Err(Refusal {
            retry_after_seconds: Some(seconds),
            ..Refusal::new(429, format!("Rate limit of {limit} requests a minute exceeded, retry after {seconds} s"))
        })
    }

    /// The three headers every answer carries. The reset is in wall time, for clients' clocks.
    pub(crate) fn headers(&self, limit: u32, now_ms: i64, wall_ms: i64) -> Headers {
        let reset = wall_ms / 1000 + i64::try_from(self.seconds_left(now_ms)).unwrap_or(0);
        vec![
            ("x-ratelimit-limit", limit.to_string()),
            ("x-ratelimit-remaining", limit.saturating_sub(self.used).to_string()),
            ("x-ratelimit-reset", reset.to_string()),
        ]
    }

    fn seconds_left(&self, now_ms: i64) -> u64 {
        let left = (self.started_ms + WINDOW_MS - now_ms).clamp(0, WINDOW_MS);
        u64::try_from((left + 999) / 1000).unwrap_or(0).max(1)
    }
}
