//! Faults on request: what goes wrong, where, how often.

use serde::{Deserialize, Serialize};

use crate::answer::Refusal;
use crate::ids::Ids;

/// What can be made to go wrong. The README says what each does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum FaultKind {
    Status,
    CutConnection,
    Slow,
    RateLimited,
    EmptyBody,
    ReadsLag,
    UnknownStatus,
    UnknownNetwork,
    QuoteWithoutOffers,
    NeverInstructions,
    AddressChangesAtConfirm,
    TwoConfirmsAccepted,
    WrongAddressInWebhook,
    UnknownEventKind,
    LoseWebhook,
    DoubleWebhook,
    DelayWebhook,
    ReorderWebhook,
}

impl FaultKind {
    /// Where a fault of this kind strikes when the entry does not say.
    fn usual_place(self) -> &'static str {
        match self {
            Self::Status | Self::CutConnection | Self::Slow | Self::RateLimited => "* /**",
            Self::EmptyBody | Self::TwoConfirmsAccepted => "POST /payouts/*/action",
            Self::ReadsLag | Self::UnknownNetwork => "GET /**",
            Self::UnknownStatus => "GET /payouts/**",
            Self::AddressChangesAtConfirm => "GET /payouts/*",
            Self::QuoteWithoutOffers => "POST /payouts/quote",
            Self::NeverInstructions => "POST /payouts",
            Self::WrongAddressInWebhook
            | Self::UnknownEventKind
            | Self::LoseWebhook
            | Self::DoubleWebhook
            | Self::DelayWebhook
            | Self::ReorderWebhook => "* /**",
        }
    }

    fn needs_ms(self) -> bool {
        matches!(self, Self::Slow | Self::ReadsLag | Self::DelayWebhook)
    }
}

/// Before the call has had its effect, or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum When {
    BeforeEffect,
    AfterEffect,
}

/// One entry of a fault plan, as a control call writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// Method and path pattern, `POST /payouts/*/action`; `*` is one segment, a last `**` any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on: Option<String>,
    /// For `status`, `cutConnection` and `slow`; before the effect when absent.
    #[serde(default = "before_effect")]
    pub(crate) when: When,
    /// How often it strikes.
    #[serde(default = "once")]
    pub(crate) times: u64,
    /// How many matches pass unharmed first.
    #[serde(default)]
    pub(crate) after: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) probability: Option<f64>,
    /// Only for the payout or transfer with this external id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) external_id: Option<String>,
    /// Only for webhooks of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event_kind: Option<String>,
    /// For `status`: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_seconds: Option<u64>,
    /// For `slow` real milliseconds; for `readsLag` and `delayWebhook` the organisation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ms: Option<u32>,
    /// The unknown word to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) word: Option<String>,
}

fn before_effect() -> When {
    When::BeforeEffect
}

fn once() -> u64 {
    1
}

impl Fault {
    pub(crate) fn ms(&self) -> u32 {
        self.ms.unwrap_or_default()
    }

    pub(crate) fn word_or<'a>(&'a self, usual: &'a str) -> &'a str {
        self.word.as_deref().unwrap_or(usual)
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.kind == FaultKind::Status && !self.status.is_some_and(|status| (200..=599).contains(&status)) {
            return Err(Refusal::field("status", self.status, "an HTTP status from 200 to 599"));
        }
        if self.kind.needs_ms() && self.ms.is_none() {
            return Err(Refusal::field("ms", self.ms, "a number of milliseconds, which this kind needs"));
        }
        if self.times == 0 {
            return Err(Refusal::field("times", self.times, "1 or more"));
        }
        if self.probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
            return Err(Refusal::field("probability", self.probability, "between 0 and 1"));
        }
        match &self.on {
            Some(on) if !on.split_once(' ').is_some_and(|(_, path)| path.starts_with('/')) => {
                Err(Refusal::field("on", on, "a method and a path pattern, such as \"POST /payouts/*/action\""))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// An entry with its id and its count.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) fault: Fault,
    passed: u64,
    pub(crate) struck: u64,
}

/// Where something is happening that a fault may strike.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) external_id: Option<&'a str>,
    pub(crate) event_kind: Option<&'a str>,
}

/// The fault plan of an organisation.
#[derive(Debug)]
pub(crate) struct Faults {
    entries: Vec<Entry>,
    made: u64,
    dice: Ids,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { entries: Vec::new(), made: 0, dice: Ids::new(seed) }
    }

    pub(crate) fn add(&mut self, fault: Fault) -> Result<&Entry, Refusal> {
        fault.check()?;
        self.made += 1;
        self.entries.push(Entry { id: format!("fault-{}", self.made), fault, passed: 0, struck: 0 });
        self.entries.last().ok_or_else(|| Refusal::new(500, "the fault was not kept"))
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Entry> {
        let place = self.entries.iter().position(|entry| entry.id == id)?;
        Some(self.entries.remove(place))
    }

    /// The first fault of this kind that strikes here, counted as struck.
    pub(crate) fn strike(&mut self, kind: FaultKind, place: Place<'_>) -> Option<Fault> {
        self.strike_when(kind, None, place)
    }

    /// The same, for kinds that strike before or after the effect.
    pub(crate) fn strike_when(&mut self, kind: FaultKind, when: Option<When>, place: Place<'_>) -> Option<Fault> {
        let Self { entries, dice, .. } = self;
        for entry in entries.iter_mut() {
            let fault = &entry.fault;
            let fits = fault.kind == kind
                && when.is_none_or(|when| fault.when == when)
                && entry.struck < fault.times
                && matches(fault.on.as_deref().unwrap_or_else(|| kind.usual_place()), place.method, place.path)
                && wanted(fault.external_id.as_deref(), place.external_id)
                && wanted(fault.event_kind.as_deref(), place.event_kind);
            if !fits {
                continue;
            }
            if entry.passed < fault.after {
                entry.passed += 1;
                continue;
            }
            if fault.probability.is_some_and(|probability| !dice.chance(probability)) {
                continue;
            }
            entry.struck += 1;
            return Some(entry.fault.clone());
        }
        None
    }
}

fn wanted(filter: Option<&str>, value: Option<&str>) -> bool {
    filter.is_none() || filter == value
}

fn matches(pattern: &str, method: &str, path: &str) -> bool {
    let Some((wanted_method, wanted_path)) = pattern.split_once(' ') else { return false };
    // A webhook has no method and no path: `on` does not apply to it.
    if method.is_empty() {
        return true;
    }
    if wanted_method != "*" && !wanted_method.eq_ignore_ascii_case(method) {
        return false;
    }
    let mut segments = path.trim_matches('/').split('/');
    let mut wanted = wanted_path.trim_matches('/').split('/');
    loop {
        match (wanted.next(), segments.next()) {
            (Some("**"), _) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(segment)) if wanted == segment => {}
            (Some(_) | None, Some(_)) | (Some(_), None) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_one_segment_per_star_and_the_rest_per_double_star() {
        assert!(matches("POST /payouts/*/action", "POST", "/payouts/pyt-1/action"));
        assert!(!matches("POST /payouts/*/action", "POST", "/payouts/pyt-1"));
        assert!(!matches("POST /payouts/*/action", "GET", "/payouts/pyt-1/action"));
        assert!(matches("* /payouts/**", "GET", "/payouts"));
        assert!(matches("GET /**", "GET", "/wallets/wa-1/assets"));
        assert!(!matches("POST /payouts", "POST", "/payouts/quote"));
    }

    #[test]
    fn a_fault_skips_strikes_and_stops() {
        let mut faults = Faults::new(1);
        let fault = serde_json::from_str(r#"{"kind":"rateLimited","after":1,"times":2}"#).unwrap();
        faults.add(fault).unwrap();
        let place = Place { method: "GET", path: "/wallets", ..Place::default() };
        let struck: Vec<bool> = (0..5).map(|_| faults.strike(FaultKind::RateLimited, place).is_some()).collect();
        assert_eq!(struck, [false, true, true, false, false]);
    }
}
