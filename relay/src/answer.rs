//! What became of a delivery, and what the provider is told.

use axum::http::StatusCode;

/// What became of a delivery. The provider delivers again unless it is answered with exactly 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The payout has the nudge.
    Delivered,
    /// The payout has the nudge, though the records did not answer: the inbox knows nothing of it.
    Unrecorded,
    /// Kept, and its payout need not be woken.
    Stored,
    /// Kept, and its payout is not known yet.
    Parked,
    /// Kept, and Temporal did not take the nudge: the relay goes on trying.
    TemporalAway,
    /// Had before, and delivered.
    Repeated,
    /// Kept for people: it belongs to two payouts.
    Mismatch,
    /// Temporal knows no run of this payout.
    UnknownPayout,
    /// The payout is over.
    Over,
    /// Of a kind that concerns payouts, and without the id of anything.
    NotOurs,
    /// Of a kind nobody waits for.
    NotAwaited,
    /// No signature, or one of somebody else.
    BadSignature,
    /// Signed too long ago.
    Stale,
    /// Signed, but no event.
    NoEvent,
    /// The body did not arrive.
    Broken,
    /// The body is larger than any event.
    TooLarge,
    /// It took too long.
    TooSlow,
    /// Neither kept nor signalled.
    NotTaken,
}

impl Answer {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Delivered
            | Self::Unrecorded
            | Self::Stored
            | Self::Parked
            | Self::TemporalAway
            | Self::Repeated
            | Self::Mismatch
            | Self::UnknownPayout
            | Self::Over
            | Self::NotOurs
            | Self::NotAwaited => StatusCode::OK,
            Self::BadSignature | Self::Stale => StatusCode::UNAUTHORIZED,
            Self::NoEvent | Self::Broken => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NotTaken => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Unrecorded => "unrecorded",
            Self::Stored => "stored",
            Self::Parked => "parked",
            Self::TemporalAway => "temporal_away",
            Self::Repeated => "repeated",
            Self::Mismatch => "mismatch",
            Self::UnknownPayout => "unknown_payout",
            Self::Over => "over",
            Self::NotOurs => "not_ours",
            Self::NotAwaited => "not_awaited",
            Self::BadSignature => "bad_signature",
            Self::Stale => "stale",
            Self::NoEvent => "no_event",
            Self::Broken => "broken",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::NotTaken => "not_taken",
        }
    }
}
