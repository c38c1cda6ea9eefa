//! What may be signalled to a payout. Signals are nudges: they make it read, they never say what is so.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use temporalio_common::data_converters::RawValue;

/// Something happened at the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderEvent {
    /// What it is about.
    pub about: About,
    /// The provider's id of the thing it happened to.
    pub object: String,
    /// The state it is said to be in. Only used to tell one event from another.
    pub state: String,
    /// The payout's key, where the event carries it. An event that names another payout is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum About {
    /// The deposit address is known: the payout can be confirmed.
    Instructions,
    /// The transfer, or an approval it waits for, has moved.
    Transfer,
}

/// How many different events are remembered. More than a payout can honestly have; a flood of invented ones costs a
/// little memory and some reads, nothing else.
const REMEMBERED: usize = 64;

/// The nudges a payout has had and not yet acted on.
#[derive(Clone, Debug, Default)]
pub struct Nudges {
    seen: BTreeSet<(About, String, String)>,
    unread: BTreeSet<About>,
}

impl Nudges {
    /// Takes in a signal's payloads. False when it changes nothing: not readable, for another payout, or had before.
    pub fn take(&mut self, raw: &RawValue, key: &str) -> bool {
        let [payload] = raw.payloads.as_slice() else { return false };
        let Ok(event) = serde_json::from_slice::<ProviderEvent>(&payload.data) else { return false };
        if event.key.is_some_and(|named| named != key) || self.seen.len() >= REMEMBERED {
            return false;
        }
        let new = self.seen.insert((event.about, event.object, event.state));
        if new {
            self.unread.insert(event.about);
        }
        new
    }

    /// True when an event of this sort has come since it was last marked as read.
    pub fn has(&self, about: About) -> bool {
        self.unread.contains(&about)
    }

    /// Marks events of this sort as read, just before reading.
    pub fn clear(&mut self, about: About) {
        self.unread.remove(&about);
    }
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::common::v1::Payload;

    use super::*;

    fn raw(data: &[u8]) -> RawValue {
        RawValue::new(vec![Payload { data: data.to_vec(), ..Default::default() }])
    }
    fn event(state: &str, key: Option<&str>) -> RawValue {
        let event = ProviderEvent {
            about: About::Instructions,
            object: "pyt-1".into(),
            state: state.into(),
            key: key.map(str::to_owned),
        };
        raw(&serde_json::to_vec(&event).unwrap())
    }

    #[test]
    fn the_same_event_twice_nudges_once() {
        let mut nudges = Nudges::default();
        assert!(nudges.take(&event("ready", Some("k")), "k"));
        assert!(nudges.has(About::Instructions) && !nudges.has(About::Transfer));
        nudges.clear(About::Instructions);
        assert!(!nudges.take(&event("ready", Some("k")), "k"));
        assert!(!nudges.has(About::Instructions));
    }

    #[test]
    fn garbage_changes_nothing() {
        let mut nudges = Nudges::default();
        for data in [&b""[..], b"null", b"{", b"\xff\xfe", b"[1]", b"{\"about\":\"weather\"}", b"\"instructions\""] {
            assert!(!nudges.take(&raw(data), "k"));
        }
        assert!(!nudges.take(&RawValue::new(vec![]), "k"));
        assert!(!nudges.take(&event("ready", Some("other")), "k"));
        assert!(!nudges.has(About::Instructions));
    }

    #[test]
    fn a_flood_of_invented_events_is_bounded() {
        let mut nudges = Nudges::default();
        let taken = (0..1000).filter(|n| nudges.take(&event(&n.to_string(), None), "k")).count();
        assert_eq!(taken, REMEMBERED);
    }

    #[test]
    fn the_form_of_an_event_is_durable() {
        let event = ProviderEvent {
            about: About::Instructions,
            object: "pyt-1".into(),
            state: "ready".into(),
            key: Some("invoice-1".into()),
        };
        insta::assert_json_snapshot!(event);
    }
}
