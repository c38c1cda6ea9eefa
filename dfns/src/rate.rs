//! What an answer says about the request budget of the organisation.
//!
//! One budget per organisation and 60 s window, shared by every token; the signing calls count too.
//! Source: Dfns docs, "Rate limits" (2026).

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The budget as of one answer. Fields are `None` when the header was absent or unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimit {
    /// Requests allowed per window (`X-RateLimit-Limit`).
    pub limit: Option<u32>,
    /// Requests left in this window (`X-RateLimit-Remaining`).
    pub remaining: Option<u32>,
    /// When the window ends (`X-RateLimit-Reset`, Unix seconds on the provider's clock).
    pub reset: Option<Timestamp>,
}

impl RateLimit {
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        Self {
            limit: number(headers, "x-ratelimit-limit"),
            remaining: number(headers, "x-ratelimit-remaining"),
            reset: number(headers, "x-ratelimit-reset").and_then(|s| Timestamp::from_second(s).ok()),
        }
    }

    /// Whether the answer carried anything about the budget.
    pub(crate) fn is_known(&self) -> bool {
        *self != Self::default()
    }
}

/// The answer's `Date` header: the provider's clock.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(text(headers, DATE.as_str())?)
}

/// `Retry-After` in seconds, or as a date. A date is counted from the answer's own `Date`, so our
/// clock matters only when the answer has none; a moment in the past is zero.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, RETRY_AFTER.as_str())?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = date(headers).unwrap_or_else(Timestamp::now);
    let wait = http_date(value)?.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

fn http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok()
}

fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    text(headers, name)?.parse().ok()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().expect("a name"), v.parse().expect("a value"))).collect()
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date_on_the_providers_clock() {
        assert_eq!(retry_after(&headers(&[("retry-after", "7")])), Some(Duration::from_secs(7)));
        let dated =
            headers(&[("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]);
        assert_eq!(retry_after(&dated), Some(Duration::from_secs(30)));
        let past = headers(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]);
        assert_eq!(retry_after(&past), Some(Duration::ZERO));
        assert_eq!(retry_after(&headers(&[("retry-after", "soon")])), None);
        assert_eq!(retry_after(&headers(&[])), None);
    }

    #[test]
    fn the_rate_headers_are_read_and_odd_ones_are_absent() {
        let rate = RateLimit::from_headers(&headers(&[
            ("x-ratelimit-limit", "1000"),
            ("x-ratelimit-remaining", "998"),
            ("x-ratelimit-reset", "1788256860"),
        ]));
        assert_eq!((rate.limit, rate.remaining), (Some(1000), Some(998)));
        assert_eq!(rate.reset, Timestamp::from_second(1_788_256_860).ok());
        let odd = RateLimit::from_headers(&headers(&[("x-ratelimit-limit", "-1"), ("x-ratelimit-reset", "x")]));
        assert!(!odd.is_known());
    }
}
