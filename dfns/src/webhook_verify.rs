//! Tells a delivery of Dfns from anything else: signature, age and shape, in that order.
//!
//! A [`Webhook<Unverified>`] gives away nothing of its content; only [`Webhook<Verified>`] does, and
//! it comes from a good signature or from an authenticated read of Dfns's own events. Even then it is
//! a nudge: what it says is to be read again from Dfns before money depends on it.
//!
//! Sources: Dfns docs, "Webhooks" (2026): HMAC-SHA256, keyed with the secret's text. The docs sign a
//! re-serialised body; the raw bytes are used here, which are the same for what Dfns sends and do not
//! break on text that is not ASCII.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::payouts::Payout;
use crate::transfers::Transfer;
use crate::webhooks::{EventKind, EventWire, WebhookEvent};
use crate::wire;

/// The header that carries the signature: `sha256=` and 64 lower-case hex digits.
pub const SIGNATURE_HEADER: &str = "x-dfns-webhook-signature";

/// A delivery this old (or this far in the future) is refused. Five minutes, as the docs say.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(300);

/// Something that was delivered to us, or that Dfns kept for us; `State` says whether it is proven.
#[derive(Clone)]
pub struct Webhook<State> {
    state: State,
}

/// Not proven to come from Dfns.
#[derive(Clone)]
pub struct Unverified {
    raw: Bytes,
    signature: Option<String>,
}

/// Proven to come from Dfns.
#[derive(Clone)]
pub struct Verified {
    event: EventWire,
    data: Value,
}

/// Why a delivery is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// No signature header.
    #[error("the delivery has no {SIGNATURE_HEADER} header")]
    MissingSignature,
    /// A header that is not `sha256=` and 64 lower-case hex digits.
    #[error("the {SIGNATURE_HEADER} header is not \"sha256=\" and 64 lower-case hex digits")]
    MalformedSignature,
    /// The signature matches none of the secrets.
    #[error("the signature matches none of the known secrets")]
    WrongSignature,
    /// Signed well, but not JSON, with a doubled key, or without a field an event must have.
    #[error("the delivery is signed but not an event: {0}")]
    WrongShape(String),
    /// Signed well, but sent too long ago or too far in the future: may be a replay.
    #[error("the delivery was sent {age_seconds} s ago, expected less than 300 s either way")]
    Stale {
        /// Now less `timestampSent`, in whole seconds; negative when sent in the future.
        age_seconds: i64,
    },
}

impl Webhook<Unverified> {
    /// Takes a delivery as it came: the body's raw bytes and the signature header.
    pub fn new(raw: Bytes, signature_header: Option<&str>) -> Self {
        Self { state: Unverified { raw, signature: signature_header.map(str::to_owned) } }
    }

    /// Accepts a delivery that one of the secrets signed (several, while a secret is rotated) and
    /// that was sent within five minutes of `now`. An empty secret matches nothing.
    ///
    /// # Errors
    /// [`VerifyError`] says which check failed; the body is parsed only after its signature is good.
    pub fn verify(self, secrets: &[SecretString], now: Timestamp) -> Result<Webhook<Verified>, VerifyError> {
        let Unverified { raw, signature } = self.state;
        let tag = signature_bytes(&signature.ok_or(VerifyError::MissingSignature)?)?;
        let signed =
            secrets.iter().map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty()).any(|secret| {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                hmac::verify(&key, &raw, &tag).is_ok()
            });
        if !signed {
            return Err(VerifyError::WrongSignature);
        }

        let wrong = |what: String| VerifyError::WrongShape(what);
        // Serde also takes the fields of a struct as an array, in their order; that is nobody's event.
        if !raw.trim_ascii_start().starts_with(b"{") {
            return Err(wrong("expected an object".to_owned()));
        }
        let event: EventWire = serde_json::from_slice(&raw).map_err(|e| wrong(e.to_string()))?;
        let sent = event.timestamp_sent.ok_or_else(|| wrong("missing field `timestampSent`".to_owned()))?;
        let sent = Timestamp::from_second(sent)
            .map_err(|_| wrong(format!("timestampSent: expected Unix seconds, got {sent}")))?;
        let age = now.duration_since(sent);
        if age.abs() >= TOLERANCE {
            return Err(VerifyError::Stale { age_seconds: age.as_secs() });
        }
        refuse_doubled_keys(&raw).map_err(wrong)?;
        Webhook::verified(event)
    }
}

impl Webhook<Verified> {
    /// For an event whose origin is proven and whose keys are not doubled.
    fn verified(event: EventWire) -> Result<Self, VerifyError> {
        let data: Value =
            serde_json::from_str(event.data.get()).map_err(|e| VerifyError::WrongShape(format!("data: {e}")))?;
        if !data.is_object() {
            return Err(VerifyError::WrongShape("data: expected an object".to_owned()));
        }
        Ok(Self { state: Verified { event, data } })
    }

    /// `whe-…`. A retry of the same event has another id.
    pub fn id(&self) -> &str {
        &self.state.event.id
    }

    /// What happened.
    pub fn kind(&self) -> &EventKind {
        &self.state.event.kind
    }

    /// When it happened, on the provider's clock.
    pub fn date(&self) -> Option<Timestamp> {
        self.state.event.date
    }

    /// When this delivery was sent, on the provider's clock.
    pub fn sent(&self) -> Option<Timestamp> {
        self.state.event.timestamp_sent.and_then(|s| Timestamp::from_second(s).ok())
    }

    /// 1 for the first delivery. Absent on events that Dfns kept.
    pub fn delivery_attempt(&self) -> Option<u32> {
        self.state.event.delivery_attempt
    }

    /// The failed delivery this one repeats.
    pub fn retry_of(&self) -> Option<&str> {
        self.state.event.retry_of.as_deref()
    }

    /// What the event carries; its shape depends on the kind. Decimal numbers in it have passed
    /// through a float: take figures from the typed accessors.
    pub fn data(&self) -> &Value {
        &self.state.data
    }

    /// What the event carries, as the JSON text that came.
    pub fn data_json(&self) -> &str {
        self.state.event.data.get()
    }

    /// The event as one JSON text, for one that came without bytes of its own. Holds no field about its delivery.
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(serde::Serialize)]
        struct Event<'a> {
            id: &'a str,
            kind: &'a EventKind,
            #[serde(skip_serializing_if = "Option::is_none")]
            date: Option<Timestamp>,
            data: &'a serde_json::value::RawValue,
        }
        let Verified { event, .. } = &self.state;
        let event = Event { id: &event.id, kind: &event.kind, date: event.date, data: &event.data };
        wire::to_bytes(&event).to_vec()
    }

    /// The payout of `payout.action.required`; `None` when there is none or it cannot be read.
    pub fn payout(&self) -> Option<Payout> {
        #[derive(serde::Deserialize)]
        struct Data {
            payout: Payout,
        }
        serde_json::from_str(self.data_json()).ok().map(|Data { payout }| payout)
    }

    /// The transfer of `wallet.transfer.…`; `None` when there is none or it cannot be read.
    pub fn transfer(&self) -> Option<Transfer> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Data {
            transfer_request: Transfer,
        }
        serde_json::from_str(self.data_json()).ok().map(|Data { transfer_request }| transfer_request)
    }

    /// Id of the payout this is about.
    pub fn payout_id(&self) -> Option<&str> {
        self.text(&["/payout/id"])
    }

    /// Id of the transfer this is about, also from inside an approval or a policy evaluation, or where an activity
    /// is only named and its id is that of a transfer.
    pub fn transfer_id(&self) -> Option<&str> {
        let inside = self.text(&[
            "/transferRequest/id",
            "/approval/activity/transferRequest/id",
            "/policyEvaluation/activity/transferRequest/id",
        ]);
        inside.or_else(|| self.activity_id().filter(|id| id.starts_with("xfr-")))
    }

    /// Id of the approval this is about. `policy.approval.resolved` has three official shapes; any
    /// id of an approval found in them is taken.
    pub fn approval_id(&self) -> Option<&str> {
        self.text(&[
            "/approval/id",
            "/approvalId",
            "/approval/approvalId",
            "/transferRequest/approvalId",
            "/policyEvaluation/activity/transferRequest/approvalId",
        ])
    }

    /// Id of the activity a resolved approval is about, where that is all the event carries. What
    /// kind of object it names is not documented.
    pub fn activity_id(&self) -> Option<&str> {
        self.text(&["/activityId", "/approval/activityId"])
    }

    /// Id of the wallet this is about.
    pub fn wallet_id(&self) -> Option<&str> {
        self.text(&[
            "/payout/walletId",
            "/transferRequest/walletId",
            "/transactionRequest/walletId",
            "/signatureRequest/walletId",
            "/blockchainEvent/walletId",
            "/approval/activity/transferRequest/walletId",
            "/policyEvaluation/activity/transferRequest/walletId",
        ])
    }

    /// Status of the object this is about, in Dfns's words: with kind and object it tells repeats.
    pub fn object_status(&self) -> Option<&str> {
        self.text(&[
            "/payout/data/executionStatus",
            "/payout/status",
            "/transferRequest/status",
            "/transactionRequest/status",
            "/signatureRequest/status",
            "/approval/status",
        ])
    }

    fn text(&self, pointers: &[&str]) -> Option<&str> {
        pointers.iter().find_map(|p| self.state.data.pointer(p)?.as_str())
    }
}

/// An event read from Dfns with our own credentials stands for a verified delivery.
impl TryFrom<WebhookEvent> for Webhook<Verified> {
    type Error = VerifyError;

    fn try_from(event: WebhookEvent) -> Result<Self, VerifyError> {
        refuse_doubled_keys(event.0.data.get().as_bytes()).map_err(VerifyError::WrongShape)?;
        Self::verified(event.0)
    }
}

impl std::fmt::Debug for Webhook<Unverified> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook<Unverified>").field("bytes", &self.state.raw.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Webhook<Verified> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The data may be about people.
        f.debug_struct("Webhook<Verified>").field("id", &self.id()).field("kind", self.kind()).finish_non_exhaustive()
    }
}

fn signature_bytes(header: &str) -> Result<[u8; 32], VerifyError> {
    let hex = header.strip_prefix("sha256=").ok_or(VerifyError::MalformedSignature)?.as_bytes();
    let digit = |b: u8| match b {
        b'0'..=b'9' => Ok(b - b'0'),
        b'a'..=b'f' => Ok(b - b'a' + 10),
        _ => Err(VerifyError::MalformedSignature),
    };
    let mut tag = [0; 32];
    if hex.len() != 2 * tag.len() {
        return Err(VerifyError::MalformedSignature);
    }
    for (byte, pair) in tag.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = digit(pair[0])? * 16 + digit(pair[1])?;
    }
    Ok(tag)
}

/// Two readers may take different values for a doubled key, so such a body is nobody's event.
fn refuse_doubled_keys(json: &[u8]) -> Result<(), String> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    NoDoubledKeys.deserialize(&mut reader).and_then(|()| reader.end()).map_err(|e| e.to_string())
}

struct NoDoubledKeys;

impl<'de> DeserializeSeed<'de> for NoDoubledKeys {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NoDoubledKeys {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(serde::de::Error::custom(format_args!("duplicate field `{key:.60}`")));
            }
            seen.insert(key);
            map.next_value_seed(Self)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
