//! What goes back to a caller: JSON answers, and refusals in Dfns's nested error shape.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::delivery::Delivery;

/// The result of one call.
pub(crate) type Outcome = Result<Answer, Refusal>;

/// A call that was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// A webhook to ping before the answer is known; only `POST /webhooks/{id}/ping` has one.
    pub(crate) ping: Option<Delivery>,
}

impl Answer {
    /// A 200 with this value as its body.
    pub(crate) fn ok(value: &impl Serialize) -> Outcome {
        Self::with_status(200, value)
    }

    pub(crate) fn with_status(status: u16, value: &impl Serialize) -> Outcome {
        let body = serde_json::to_vec(value)
            .map_err(|error| Refusal::new(500, format!("the answer could not be written: {error}")))?;
        Ok(Self { status, body, ping: None })
    }
}

/// A call that was refused, in the shape of `{"error":{"id","status","message","details"}}`.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) details: Option<Value>,
    pub(crate) retry_after_seconds: Option<u64>,
}

impl Refusal {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), details: None, retry_after_seconds: None }
    }

    /// 400: the body, query or path is not what was expected.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// 400 that names the field, its value and what was expected.
    pub(crate) fn field(field: &str, value: impl std::fmt::Debug, expected: &str) -> Self {
        Self::bad(format!("{field}: {value:?} is not {expected}"))
    }

    /// 404, also for objects of another organisation.
    pub(crate) fn missing(what: &str, id: &str) -> Self {
        Self::new(404, format!("{what} {id} not found"))
    }

    /// 409 that points at the object which already has this `externalId`.
    pub(crate) fn duplicate(what: &str, id: &str, external_id: &str) -> Self {
        Self {
            details: Some(json!({"duplicate": {"id": id, "externalId": external_id}})),
            ..Self::new(409, format!("Conflicting {what} with same externalId"))
        }
    }

    /// 412: the object's state does not allow the operation.
    pub(crate) fn wrong_state(message: impl Into<String>) -> Self {
        Self::new(412, message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, message)
    }

    fn body(&self) -> Vec<u8> {
        let mut error = json!({
            "id": uuid::Uuid::new_v4().to_string(),
            "status": self.status,
            "message": self.message,
        });
        if let Some(details) = &self.details {
            error["details"] = details.clone();
        }
        json!({ "error": error }).to_string().into_bytes()
    }
}

/// Headers that go with every answer an organisation gives.
pub(crate) type Headers = Vec<(&'static str, String)>;

/// Turns an outcome into an HTTP response.
pub(crate) fn respond(outcome: Outcome, headers: Headers) -> Response<Body> {
    let (status, body, retry_after) = match outcome {
        Ok(answer) => (answer.status, answer.body, None),
        Err(refusal) => (refusal.status, refusal.body(), refusal.retry_after_seconds),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let extra = retry_after.map(|seconds| ("retry-after", seconds.to_string()));
    for (name, value) in headers.into_iter().chain(extra) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
