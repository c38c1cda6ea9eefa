//! What the provider tells of, in our terms: the one place that says what an event means to us.

use remit_client::{About, ProviderEvent};
use remit_dfns::{EventKind, Verified, Webhook};
use remit_records::{ObjectKind, StoredEvent};
use sha2::{Digest, Sha256};

/// The kinds worth subscribing to.
pub const KINDS: [EventKind; 9] = [
    EventKind::PayoutActionRequired,
    EventKind::TransferRequested,
    EventKind::TransferBroadcasted,
    EventKind::TransferConfirmed,
    EventKind::TransferFailed,
    EventKind::TransferRejected,
    EventKind::PolicyTriggered,
    EventKind::PolicyApprovalPending,
    EventKind::PolicyApprovalResolved,
];

/// What an event is to a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// The deposit address is known: the payout can be confirmed.
    Instructions,
    /// The transfer, or an approval it waits for, took a turn that the payout has to know of.
    Transfer,
    /// The transfer moves on as it should. Kept and mapped, and nobody is woken: nothing that a payout decides hangs
    /// on it, and each signal with the reading after it would cost the payout about twelve events of its history.
    Progress,
    /// Something we have no use for, about an object we know. Kept for people.
    Other,
}

impl Concern {
    /// The word on record; never changed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Transfer => "transfer",
            Self::Progress => "progress",
            Self::Other => "other",
        }
    }

    /// Of a word on record; one that a newer build wrote wakes nobody here.
    fn parse(word: &str) -> Self {
        let all = [Self::Instructions, Self::Transfer, Self::Progress];
        all.into_iter().find(|concern| concern.as_str() == word).unwrap_or(Self::Other)
    }

    /// What the payout is told it is about; `None` wakes nobody.
    pub fn about(self) -> Option<About> {
        match self {
            Self::Instructions => Some(About::Instructions),
            Self::Transfer => Some(About::Transfer),
            Self::Progress | Self::Other => None,
        }
    }

    fn of(kind: &EventKind) -> Self {
        match kind {
            EventKind::PayoutActionRequired => Self::Instructions,
            EventKind::TransferFailed
            | EventKind::TransferRejected
            | EventKind::PolicyTriggered
            | EventKind::PolicyApprovalPending
            | EventKind::PolicyApprovalResolved => Self::Transfer,
            EventKind::TransferRequested | EventKind::TransferBroadcasted | EventKind::TransferConfirmed => {
                Self::Progress
            }
            EventKind::All
            | EventKind::TransactionRequested
            | EventKind::TransactionBroadcasted
            | EventKind::TransactionConfirmed
            | EventKind::TransactionFailed
            | EventKind::TransactionRejected
            | EventKind::SignatureRequested
            | EventKind::SignatureSigned
            | EventKind::SignatureFailed
            | EventKind::SignatureRejected
            | EventKind::WalletCreated
            | EventKind::WalletActivated
            | EventKind::WalletDelegated
            | EventKind::WalletExported
            | EventKind::WalletTagsModified
            | EventKind::BlockchainEventDetected
            | EventKind::Unknown(_) => Self::Other,
        }
    }
}

/// A verified event in our terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// What happened, the same for each time it is told: the id of the event in the records, and of the request that
    /// nudges.
    pub(crate) what: String,
    /// The provider's word for the kind of event.
    pub(crate) kind: String,
    pub(crate) concern: Concern,
    /// The provider's objects it names, the one it is about first; at least one.
    pub(crate) objects: Vec<(ObjectKind, String)>,
    /// The state it tells of. Only tells one event from another.
    pub(crate) state: String,
    /// The key it names, not proven, and perhaps none that we would make.
    pub(crate) named_key: Option<String>,
}

impl Event {
    /// `None` when it names no object that can be a payout's.
    pub(crate) fn read(event: &Webhook<Verified>) -> Option<Self> {
        let payout = || (ObjectKind::Payout, event.payout_id());
        let transfer = || (ObjectKind::Transfer, event.transfer_id());
        let approval = || (ObjectKind::Approval, event.approval_id());
        let concern = Concern::of(event.kind());
        let mut named = match concern {
            Concern::Instructions => vec![payout()],
            Concern::Transfer | Concern::Progress => vec![transfer(), approval()],
            Concern::Other => vec![payout(), transfer(), approval()],
        };
        if matches!(event.kind(), EventKind::PolicyApprovalPending | EventKind::PolicyApprovalResolved) {
            named.reverse();
        }
        let usable = |(kind, id): (ObjectKind, Option<&str>)| Some((kind, id.filter(|id| is_id(id))?.to_owned()));
        let objects: Vec<_> = named.into_iter().filter_map(usable).collect();
        let (_, object) = objects.first()?;
        let state = plain(event.object_status().unwrap_or_default(), 64);
        Some(Self {
            what: what(event.kind().as_str(), object, &state),
            kind: plain(event.kind().as_str(), 128),
            concern,
            state,
            // Only a payout carries our key; the transfers that Dfns makes for payouts carry none.
            named_key: event
                .data()
                .pointer("/payout/externalId")
                .and_then(|key| key.as_str())
                .map(|key| plain(key, 255)),
            objects,
        })
    }

    /// Of an event on record.
    pub(crate) fn stored(event: &StoredEvent) -> Self {
        Self {
            what: event.what.clone(),
            kind: event.kind.clone(),
            concern: Concern::parse(&event.about),
            objects: event.objects.clone(),
            state: event.state.clone(),
            named_key: event.named_key.clone(),
        }
    }

    /// What is signalled to the payout; `None` when it need not be woken.
    pub(crate) fn nudge(&self) -> Option<ProviderEvent> {
        let (_, object) = self.objects.first()?;
        Some(ProviderEvent {
            about: self.concern.about()?,
            object: object.clone(),
            state: self.state.clone(),
            key: self.named_key.clone(),
        })
    }

    /// The key it names, where that could be one of ours.
    pub(crate) fn plausible_key(&self) -> Option<&str> {
        self.named_key.as_deref().filter(|key| may_be_a_key(key))
    }
}

/// The same for every delivery of the same event: a retry has another event id, so that is not part of it.
fn what(kind: &str, object: &str, state: &str) -> String {
    let mut hash = Sha256::new();
    for part in [kind, object, state] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The form of the provider's ids, with room to spare.
fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The form of payout keys, attempts after the first included.
fn may_be_a_key(text: &str) -> bool {
    (1..=50).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// At most so many bytes, with nothing in it that a database or a terminal would take amiss. What is changed here is
/// no key, state or kind that we would look for.
fn plain(text: &str, most: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= most).map(|(_, c)| c).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_told_from_what_else_happened() {
        let ready = what("payout.action.required", "pyt-1", "Ready");
        assert_eq!(ready.len(), 64);
        assert_eq!(ready, what("payout.action.required", "pyt-1", "Ready"));
        assert_ne!(ready, what("payout.action.required", "pyt-2", "Ready"));
        assert_ne!(ready, what("payout.action.required", "pyt-1", "Later"));
        assert_ne!(ready, what("policy.triggered", "pyt-1", "Ready"));
        assert_ne!(ready, what("payout.action.required", "pyt-1R", "eady"), "parts cannot run into each other");
    }

    #[test]
    fn only_what_could_be_a_key_is_looked_for() {
        for key in ["a", "invoice-2026.1_x", "h-0123456789abcdef0123456789abcdef-retry-99", &"x".repeat(50)] {
            assert!(may_be_a_key(key), "{key}");
        }
        for other in ["", "a b", "a/b", "é", "a\n", &"x".repeat(51)] {
            assert!(!may_be_a_key(other), "{other}");
        }
    }

    #[test]
    fn what_is_changed_to_be_kept_is_no_key_afterwards() {
        assert_eq!(plain("invoice-1", 255), "invoice-1");
        assert_eq!(plain("é", 1), "");
        for odd in ["invoice-1\0", "in\nvoice", &"x".repeat(300)] {
            let kept = plain(odd, 255);
            assert!(kept.len() <= 255 && !may_be_a_key(&kept) && !kept.contains('\0'), "{kept}");
        }
    }

    #[test]
    fn a_concern_on_record_is_read_back_and_an_unknown_one_wakes_nobody() {
        for concern in [Concern::Instructions, Concern::Transfer, Concern::Progress, Concern::Other] {
            assert_eq!(Concern::parse(concern.as_str()), concern);
        }
        assert_eq!(Concern::parse("weather").about(), None);
    }

    #[test]
    fn every_kind_that_concerns_a_payout_is_subscribed_to_and_no_other() {
        let concerns: Vec<&str> = EventKind::KNOWN
            .iter()
            .copied()
            .filter(|kind| Concern::of(&EventKind::from(*kind)) != Concern::Other)
            .collect();
        let mut subscribed: Vec<&str> = KINDS.iter().map(EventKind::as_str).collect();
        subscribed.sort_by_key(|kind| concerns.iter().position(|known| known == kind));
        assert_eq!(subscribed, concerns);
    }
}
