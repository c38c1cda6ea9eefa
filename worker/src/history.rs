//! Recorded histories as bytes: protobuf, as they are kept, and JSON, as the Web UI and the CLI download them.

use prost::Message;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor};
use serde_json::{Value, json};
use temporalio_common::protos::temporal::api::{
    enums::v1::EventType,
    history::v1::{History, HistoryEvent},
};

/// The descriptors that the build script has picked out.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/history.binpb"));
const HISTORY: &str = "temporal.api.history.v1.History";

/// Bytes that are no history.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Neither JSON nor protobuf.
    #[error(
        "it is no history, neither as JSON nor as protobuf ({0}): download it with \
         `temporal workflow show --workflow-id ID --output json`, or from the Web UI"
    )]
    Neither(String),
    /// JSON that holds something else.
    #[error("it is JSON, and no history that this build can read: {0}")]
    Other(String),
    /// The download was decoded for reading.
    #[error(
        "the payloads of event {event} have been decoded for reading, so it cannot be replayed: download it without \
         decoding, or with `temporal workflow show --workflow-id ID --output json`"
    )]
    Decoded {
        /// Its id.
        event: String,
    },
}

/// Reads protobuf bytes or the JSON of a download.
///
/// # Errors
/// When it is neither, with what to do about it.
pub fn read(bytes: &[u8]) -> Result<History, Unreadable> {
    match serde_json::from_slice(bytes) {
        Ok(json) => from_json(json),
        Err(not_json) => History::decode(bytes).map_err(|not_protobuf| {
            let looks_like_json = bytes.trim_ascii_start().first().is_some_and(|first| b"{[".contains(first));
            Unreadable::Neither(if looks_like_json { not_json.to_string() } else { not_protobuf.to_string() })
        }),
    }
}

/// The bytes that are kept.
pub fn write(history: &History) -> Vec<u8> {
    history.encode_to_vec()
}

/// `{"events": […]}` as the CLI and the Web UI write it, `{"history": …}` as the HTTP API does, or the events alone.
fn from_json(mut json: Value) -> Result<History, Unreadable> {
    if json.is_array() {
        json = json!({"events": json});
    } else if json["history"].is_object() {
        json = json["history"].take();
    }
    let Some(events) = json["events"].as_array() else {
        return Err(Unreadable::Other("it has no list of events".to_owned()));
    };
    if let Some(event) = events.iter().find(|event| has_decoded_payloads(event)) {
        let id = &event["eventId"];
        return Err(Unreadable::Decoded { event: id.as_str().map_or_else(|| id.to_string(), str::to_owned) });
    }
    // Fields that this build does not know are left out, as they are from protobuf.
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let message = descriptor()
        .and_then(|history| {
            DynamicMessage::deserialize_with_options(history, &json, &options).map_err(|error| error.to_string())
        })
        .map_err(Unreadable::Other)?;
    let history: History = message.transcode_to().map_err(|error| Unreadable::Other(error.to_string()))?;
    // A name that this build does not know is left out like a field, which would be another history.
    let unknown = |event: &HistoryEvent| event.event_type() == EventType::Unspecified && !event.worker_may_ignore;
    let unknown = history.events.iter().position(unknown);
    match unknown.map(|index| &json["events"][index]) {
        Some(event) => Err(Unreadable::Other(format!("event {} is of type {}", event["eventId"], event["eventType"]))),
        None => Ok(history),
    }
}

/// Whether anything below stands where a payload should and is none. It would be read as an empty one.
fn has_decoded_payloads(json: &Value) -> bool {
    let is_payload = |value: &Value| value["metadata"]["encoding"].is_string();
    match json {
        Value::Object(fields) => fields.iter().any(|(name, value)| match (name.as_str(), value) {
            ("payloads", Value::Array(payloads)) => !payloads.iter().all(is_payload),
            // A list or a value where `{"payloads": […]}` should be.
            ("input" | "result", other) if !other.is_object() => true,
            (_, other) => has_decoded_payloads(other),
        }),
        Value::Array(values) => values.iter().any(has_decoded_payloads),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn descriptor() -> Result<MessageDescriptor, String> {
    let pool = DescriptorPool::decode(DESCRIPTORS).map_err(|error| error.to_string())?;
    pool.get_message_by_name(HISTORY).ok_or_else(|| format!("this build does not know {HISTORY}"))
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

    use super::*;

    /// As the CLI writes it: names of enums, whole numbers as text, times, durations, bytes as base64.
    fn downloaded() -> Value {
        json!({"events": [
            {
                "eventId": "1", "eventTime": "2026-11-21T05:55:03.986290357Z", "taskId": "1048587",
                "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
                "workflowExecutionStartedEventAttributes": {
                    "workflowType": {"name": "payout"}, "workflowTaskTimeout": "10s", "attempt": 1,
                    "input": {"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "InBheSI="}]},
                    "header": {}, "fieldOfANewerServer": {"deep": [1]},
                },
            },
            {"eventId": "2", "eventType": "EVENT_TYPE_WORKFLOW_TASK_SCHEDULED", "workerMayIgnore": true},
        ]})
    }

    #[test]
    fn a_download_is_the_history_that_its_protobuf_is() {
        let history = read(downloaded().to_string().as_bytes()).expect("a history");
        let [started, scheduled] = &history.events[..] else { panic!("{history:?}") };
        assert_eq!((started.event_id, started.task_id), (1, 1_048_587));
        assert_eq!(started.event_time.map(|time| (time.seconds, time.nanos)), Some((1_795_240_503, 986_290_357)));
        let Some(Attributes::WorkflowExecutionStartedEventAttributes(attributes)) = &started.attributes else {
            panic!("{started:?}")
        };
        assert_eq!(attributes.workflow_task_timeout.map(|timeout| timeout.seconds), Some(10));
        let payload = &attributes.input.as_ref().expect("an input").payloads[0];
        assert_eq!((&payload.data[..], &payload.metadata["encoding"][..]), (&b"\"pay\""[..], &b"json/plain"[..]));
        assert_eq!(scheduled.event_type(), EventType::WorkflowTaskScheduled);
        assert!(scheduled.worker_may_ignore);
        assert_eq!(read(&write(&history)).expect("a history"), history);
    }

    #[test]
    fn a_history_may_come_in_the_envelope_of_the_http_api_or_as_a_list() {
        let plain = read(downloaded().to_string().as_bytes()).expect("a history");
        for json in [json!({"history": downloaded(), "nextPageToken": ""}), downloaded()["events"].clone()] {
            assert_eq!(read(json.to_string().as_bytes()).expect("a history"), plain);
        }
    }

    #[test]
    fn what_is_no_history_is_refused_with_what_to_do() {
        let with = |pointer: &str, value: Value| {
            let mut json = downloaded();
            *json.pointer_mut(pointer).expect("it is there") = value;
            json.to_string()
        };
        let input = "/events/0/workflowExecutionStartedEventAttributes/input";
        let cases = [
            ("Progress:\n  ID  Time  Type".to_owned(), "temporal workflow show"),
            ("{\"events\": [".to_owned(), "EOF"),
            ("{\"a\": 1}".to_owned(), "no list of events"),
            ("12".to_owned(), "no list of events"),
            (with("/events/0/eventType", json!("EVENT_TYPE_OF_A_NEWER_SERVER")), "EVENT_TYPE_OF_A_NEWER_SERVER"),
            (with("/events/1/eventId", json!("two")), "invalid digit"),
            (with(input, json!({"payloads": [{"externalId": "a"}]})), "payloads of event 1 have been decoded"),
            (with(input, json!([{"externalId": "a"}])), "payloads of event 1 have been decoded"),
        ];
        for (text, expected) in cases {
            let said = read(text.as_bytes()).expect_err(&text).to_string();
            assert!(said.contains(expected), "expected {expected:?} in {said:?}");
        }
    }
}
