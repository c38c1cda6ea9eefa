//! Shows encrypted payloads to Temporal's Web UI and CLI: `POST /decode` and `/encode`, as Temporal's codec servers do.
//! Whoever reaches it with the token reads what is encrypted: keep it where operators are.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use temporalio_common::{
    data_converters::{PayloadCodec as _, SerializationContextData, WorkflowSerializationContext},
    protos::temporal::api::common::v1::Payload,
};

use crate::Codec;

/// Who may ask, and from which page.
#[derive(Clone, Debug)]
pub struct Access {
    /// The Web UI's address, such as `http://127.0.0.1:8233`: the only page whose scripts may ask.
    pub origin: HeaderValue,
    /// What whoever asks has to bring as `Authorization: Bearer …`. None: anyone who reaches the port.
    pub token: Option<SecretString>,
}

struct Shared {
    codec: Codec,
    access: Access,
}

/// The routes.
pub fn router(codec: Codec, access: Access) -> Router {
    let shared = Arc::new(Shared { codec, access });
    Router::new()
        .route("/decode", post(decode).options(preflight))
        .route("/encode", post(encode).options(preflight))
        .with_state(shared)
}

/// As Temporal writes payloads in JSON: every value in base64.
#[derive(Serialize, Deserialize)]
struct Wire {
    payloads: Vec<WirePayload>,
}

#[derive(Serialize, Deserialize)]
struct WirePayload {
    #[serde(default)]
    metadata: HashMap<String, String>,
    #[serde(default)]
    data: String,
}

async fn preflight(State(shared): State<Arc<Shared>>) -> Response {
    answer(&shared, StatusCode::NO_CONTENT)
}

async fn decode(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
    match read(&shared, &headers, &body) {
        Ok(payloads) => {
            write(&shared, shared.codec.decode(&context, payloads).await.map_err(|error| error.to_string()))
        }
        Err(refused) => *refused,
    }
}

async fn encode(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
    match read(&shared, &headers, &body) {
        Ok(payloads) => {
            write(&shared, shared.codec.encode(&context, payloads).await.map_err(|error| error.to_string()))
        }
        Err(refused) => *refused,
    }
}

fn read(shared: &Shared, headers: &HeaderMap, body: &str) -> Result<Vec<Payload>, Box<Response>> {
    if let Some(token) = &shared.access.token {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let given = given.strip_prefix("Bearer ").unwrap_or_default();
        // Compared by their digests, so that how long it takes says nothing of the token.
        let digest = |text: &str| ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        if digest(given).as_ref() != digest(token.expose_secret()).as_ref() {
            return Err(Box::new(answer(shared, (StatusCode::UNAUTHORIZED, "expected the codec server's token"))));
        }
    }
    let payload = |wire: WirePayload| -> Option<Payload> {
        let bytes = |text: &String| STANDARD.decode(text).ok();
        let metadata = wire.metadata.iter().map(|(name, value)| Some((name.clone(), bytes(value)?)));
        Some(Payload { metadata: metadata.collect::<Option<_>>()?, data: bytes(&wire.data)?, ..Payload::default() })
    };
    let wire: Option<Wire> = serde_json::from_str(body).ok();
    wire.and_then(|wire| wire.payloads.into_iter().map(payload).collect()).ok_or_else(|| {
        Box::new(answer(
            shared,
            (StatusCode::BAD_REQUEST, "expected {\"payloads\": [{\"metadata\": {…}, \"data\": \"…\"}]}"),
        ))
    })
}

fn write(shared: &Shared, payloads: Result<Vec<Payload>, String>) -> Response {
    let payloads = match payloads {
        Ok(payloads) => payloads,
        Err(why) => return answer(shared, (StatusCode::BAD_REQUEST, why)),
    };
    let wire = |payload: Payload| WirePayload {
        metadata: payload.metadata.iter().map(|(name, value)| (name.clone(), STANDARD.encode(value))).collect(),
        data: STANDARD.encode(&payload.data),
    };
    answer(shared, Json(Wire { payloads: payloads.into_iter().map(wire).collect() }))
}

/// With what a browser has to be told before it lets the Web UI's page read the answer.
fn answer(shared: &Shared, content: impl IntoResponse) -> Response {
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, shared.access.origin.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST,OPTIONS"));
    let names = HeaderValue::from_static("content-type,x-namespace,authorization,authorization-extras");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    response
}
