//! Why a call gave no answer, and how far it came. What to do about it is for the caller to say.

use std::error::Error as StdError;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::rate::RateLimit;

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made: nothing was sent.
    #[error("could not connect to dfns for the {stage}")]
    NotSent {
        /// Which request it was.
        stage: Stage,
        /// What the network said.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Sent, but no complete answer came: Dfns may have acted, if the stage is [`Stage::Call`].
    #[error("no complete answer from dfns to the {stage}")]
    Lost {
        /// Which request it was.
        stage: Stage,
        /// What the network said.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Dfns answered with a status other than 2xx.
    #[error("dfns refused the {stage}: {refusal}")]
    Refused {
        /// Which request it was.
        stage: Stage,
        /// What Dfns said.
        refusal: Refusal,
    },
    /// A success status with a body that cannot be read. If the call acts, Dfns has acted.
    #[error("dfns answered the {stage} with status {status}, but {what}")]
    Misread {
        /// Which request it was.
        stage: Stage,
        /// The HTTP status, 200–299.
        status: u16,
        /// What is wrong with the body; quotes none of it beyond a field's name or value.
        what: String,
    },
    /// We refused to make or sign the request: nothing was sent on its behalf.
    #[error("request not made: {reason}")]
    Unsigned {
        /// The field, its value where it is no secret, and what was expected.
        reason: String,
    },
}

impl Error {
    /// What Dfns said, when it refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            Self::NotSent { .. } | Self::Lost { .. } | Self::Misread { .. } | Self::Unsigned { .. } => None,
        }
    }
}

/// Which of the requests behind one call an [`Error`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Init or complete of the user action: the real call was never sent.
    Signing,
    /// The real call.
    Call,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Signing => "signing",
            Self::Call => "call",
        })
    }
}

/// An error answer of Dfns.
///
/// There is no machine-readable code beyond the status: classify by status, then `details`, and by
/// the message only as a last resort. Source: Dfns docs, "Error codes" (2026).
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// HTTP status, never 2xx.
    pub status: u16,
    /// Id of the error, to quote to Dfns support.
    pub id: Option<String>,
    /// What Dfns says, at most 500 characters. For a body of another shape, its beginning.
    pub message: String,
    /// More about it, such as `duplicate` for a 409.
    pub details: Option<Box<Value>>,
    /// How long to wait before asking again (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// The request budget as of this answer.
    pub rate: RateLimit,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "status {}, {:?}", self.status, self.message)?;
        self.id.as_ref().map_or(Ok(()), |id| write!(f, " (error {id})"))
    }
}

/// The object that already has the external id a 409 is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// Its id at Dfns.
    pub id: String,
    /// The external id both share.
    pub external_id: Option<String>,
}

impl Refusal {
    /// The object that already uses the external id (`details.duplicate`).
    pub fn duplicate(&self) -> Option<Duplicate> {
        let duplicate = self.details.as_ref()?.get("duplicate")?;
        Some(Duplicate {
            id: duplicate.get("id")?.as_str()?.to_owned(),
            external_id: duplicate.get("externalId").and_then(Value::as_str).map(str::to_owned),
        })
    }

    /// Reads both documented shapes, `{"error":{…}}` and `{"message":…}`; anything else is kept as text.
    pub(crate) fn from_body(status: u16, body: &[u8], retry_after: Option<Duration>, rate: RateLimit) -> Self {
        let parsed: Option<Body> = serde_json::from_slice(body).ok();
        let Fields { id, message, details } = match parsed {
            Some(Body { error: Some(Nested::Fields(nested)), .. }) => nested,
            Some(Body { error: Some(Nested::Other(text)), message, flat_id, details }) => {
                Fields { id: flat_id, message: message.or_else(|| text.as_str().map(str::to_owned)), details }
            }
            Some(Body { error: None, message, flat_id, details }) => Fields { id: flat_id, message, details },
            None => Fields { id: None, message: None, details: None },
        };
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        Self { status, id, message: message.chars().take(500).collect(), details, retry_after, rate }
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    error: Option<Nested>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default, rename = "id")]
    flat_id: Option<String>,
    #[serde(default)]
    details: Option<Box<Value>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Nested {
    Fields(Fields),
    Other(Value),
}

#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    details: Option<Box<Value>>,
}

/// Settings that cannot work. The message names the field, what it holds where that is no secret,
/// and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// One field holds something unusable.
    #[error("{field}: {problem}")]
    Field {
        /// The field of [`crate::Settings`].
        field: &'static str,
        /// What it holds (never a secret) and what was expected.
        problem: String,
    },
    /// The HTTP client could not be set up, for example for want of root certificates.
    #[error("the http client could not be set up")]
    Http(#[source] reqwest::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> Refusal {
        Refusal::from_body(409, body.as_bytes(), None, RateLimit::default())
    }

    #[test]
    fn the_nested_error_shape_is_read_with_its_duplicate() {
        let nested = refusal(
            r#"{"error":{"id":"5f3c","status":409,"message":"Conflicting transfer with same externalId",
                "details":{"duplicate":{"id":"xfr-1","externalId":"po-000123"}}}}"#,
        );
        assert_eq!(nested.id.as_deref(), Some("5f3c"));
        assert_eq!(nested.message, "Conflicting transfer with same externalId");
        let duplicate = Duplicate { id: "xfr-1".into(), external_id: Some("po-000123".into()) };
        assert_eq!(nested.duplicate(), Some(duplicate));
    }

    #[test]
    fn the_flat_error_shape_is_read() {
        let flat = refusal(r#"{"message":"no","code":"E1"}"#);
        assert_eq!((flat.message.as_str(), flat.id, flat.details), ("no", None, None));
        assert_eq!(refusal(r#"{"error":"Forbidden"}"#).message, "Forbidden");
        assert_eq!(refusal(r#"{"error":"Forbidden","message":"not you"}"#).message, "not you");
        assert_eq!(refusal(r#"{"error":{"message":"no","details":{}}}"#).duplicate(), None);
    }

    #[test]
    fn a_body_of_another_shape_is_kept_as_text_and_cut() {
        assert_eq!(refusal("<html>bad gateway</html>").message, "<html>bad gateway</html>");
        assert_eq!(refusal("[1]").message, "[1]");
        assert_eq!(refusal("").message, "");
        assert_eq!(refusal(&"é".repeat(2000)).message.chars().count(), 500);
        assert_eq!(Refusal::from_body(500, b"\xff\xfe", None, RateLimit::default()).message, "\u{fffd}\u{fffd}");
    }
}
