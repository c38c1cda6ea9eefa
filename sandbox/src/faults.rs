//! Faults on request: what goes wrong, where, how often.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::Refusal;
use crate::ids::Ids;
use crate::plan::{Plan, Share};

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
    UnknownWord,
    QuoteWithoutOffers,
    NeverInstructions,
    AddressChangesAtConfirm,
    TwoConfirmsAccepted,
    WrongAddressInWebhook,
    UnknownEventKind,
    UnknownWordInWebhook,
    LoseWebhook,
    DoubleWebhook,
    DelayWebhook,
    ReorderWebhook,
}

impl FaultKind {
    /// Where a fault of this kind strikes when the entry does not say.
    fn usual_place(self) -> &'static str {
        match self {
            Self::Status | Self::CutConnection | Self::Slow | Self::RateLimited | Self::UnknownWord => "* /**",
            Self::EmptyBody | Self::TwoConfirmsAccepted => "POST /payouts/*/action",
            Self::ReadsLag | Self::UnknownNetwork => "GET /**",
            Self::UnknownStatus => "GET /payouts/**",
            Self::AddressChangesAtConfirm => "GET /payouts/*",
            Self::QuoteWithoutOffers => "POST /payouts/quote",
            Self::NeverInstructions => "POST /payouts",
            Self::WrongAddressInWebhook
            | Self::UnknownEventKind
            | Self::UnknownWordInWebhook
            | Self::LoseWebhook
            | Self::DoubleWebhook
            | Self::DelayWebhook
            | Self::ReorderWebhook => "* /**",
        }
    }

    fn needs_ms(self) -> bool {
        matches!(self, Self::Slow | Self::ReadsLag | Self::DelayWebhook)
    }

    fn needs_field(self) -> bool {
        matches!(self, Self::UnknownWord | Self::UnknownWordInWebhook)
    }
}

/// A word that nobody documents, where a fault names none.
const WORD: &str = "Nebulous";

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
    /// A random time up to this, instead of `ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) up_to_ms: Option<u32>,
    /// The unknown word to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) word: Option<String>,
    /// For `unknownWord` and `unknownWordInWebhook`: the name of the fields that show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
}

fn before_effect() -> When {
    When::BeforeEffect
}

fn once() -> u64 {
    1
}

impl Fault {
    /// A fault of this kind that strikes once, at its usual place.
    pub(crate) fn of(kind: FaultKind) -> Self {
        Self {
            kind,
            on: None,
            when: before_effect(),
            times: once(),
            after: 0,
            probability: None,
            external_id: None,
            event_kind: None,
            status: None,
            retry_after_seconds: None,
            ms: None,
            up_to_ms: None,
            word: None,
            field: None,
        }
    }

    pub(crate) fn ms(&self) -> u32 {
        self.ms.unwrap_or_default()
    }

    /// The fields of this name that show this word, for the kinds that have both.
    pub(crate) fn field_and_word(&self) -> Option<(String, String)> {
        Some((self.field.clone()?, self.word_or(WORD).to_owned()))
    }

    pub(crate) fn word_or<'a>(&'a self, usual: &'a str) -> &'a str {
        self.word.as_deref().unwrap_or(usual)
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.kind == FaultKind::Status && !self.status.is_some_and(|status| (200..=599).contains(&status)) {
            return Err(Refusal::field("status", self.status, "an HTTP status from 200 to 599"));
        }
        if self.kind.needs_ms() && self.ms.is_none() && self.up_to_ms.is_none() {
            return Err(Refusal::field("ms", self.ms, "a number of milliseconds, or upToMs: this kind needs one"));
        }
        if self.kind.needs_field() && self.field.is_none() {
            return Err(Refusal::field("field", &self.field, "the name of a field: this kind needs one"));
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
    /// Which share of the plan it belongs to.
    #[serde(rename = "plan", skip_serializing_if = "Option::is_none")]
    share: Option<Share>,
}

/// Where something is happening that a fault may strike.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) external_id: Option<&'a str>,
    pub(crate) event_kind: Option<&'a str>,
}

/// The faults of an organisation: one list, the first entry that fits strikes. A plan's entries are at its end.
#[derive(Debug)]
pub(crate) struct Faults {
    entries: Vec<Entry>,
    made: u64,
    dice: Ids,
    plan: Option<Planned>,
}

/// The plan that is in force, and how much has passed under it.
#[derive(Debug)]
struct Planned {
    plan: Plan,
    calls: u64,
    webhooks: u64,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { entries: Vec::new(), made: 0, dice: Ids::new(seed), plan: None }
    }

    pub(crate) fn add(&mut self, fault: Fault) -> Result<&Entry, Refusal> {
        fault.check()?;
        let place = self.entries.iter().position(|entry| entry.share.is_some()).unwrap_or(self.entries.len());
        let entry = self.entry(fault, None);
        self.entries.insert(place, entry);
        self.entries.get(place).ok_or_else(|| Refusal::new(500, "the fault was not kept"))
    }

    fn entry(&mut self, fault: Fault, share: Option<Share>) -> Entry {
        self.made += 1;
        Entry { id: format!("fault-{}", self.made), fault, passed: 0, struck: 0, share }
    }

    /// Puts a plan in the place of the one before, with all counts at nought.
    ///
    /// # Errors
    /// 400 when a share is none, or three are more than the whole.
    pub(crate) fn set_plan(&mut self, plan: Plan) -> Result<(), Refusal> {
        plan.check()?;
        self.remove_plan();
        if let Some(seed) = plan.seed {
            self.dice = Ids::new(seed);
        }
        for (share, fault) in plan.faults() {
            fault.check()?;
            let entry = self.entry(fault, Some(share));
            self.entries.push(entry);
        }
        self.plan = Some(Planned { plan, calls: 0, webhooks: 0 });
        Ok(())
    }

    pub(crate) fn remove_plan(&mut self) {
        self.entries.retain(|entry| entry.share.is_none());
        self.plan = None;
    }

    /// The plan with what passed under it and how often each share struck.
    pub(crate) fn plan_view(&self) -> Value {
        let struck = |share: Share| -> u64 {
            self.entries.iter().filter(|entry| entry.share == Some(share)).map(|entry| entry.struck).sum()
        };
        let planned = self.plan.as_ref();
        let all = Share::ALL.map(|share| (share.name().to_owned(), Value::from(struck(share))));
        json!({
            "plan": planned.map(|planned| &planned.plan),
            "calls": planned.map_or(0, |planned| planned.calls),
            "webhooks": planned.map_or(0, |planned| planned.webhooks),
            "struck": serde_json::Map::from_iter(all),
        })
    }

    /// A call came, whatever will become of it.
    pub(crate) fn count_call(&mut self) {
        if let Some(planned) = &mut self.plan {
            planned.calls += 1;
        }
    }

    /// A webhook was to be sent, whatever will become of it.
    pub(crate) fn count_webhook(&mut self) {
        if let Some(planned) = &mut self.plan {
            planned.webhooks += 1;
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.plan = None;
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
            let ms = entry.fault.up_to_ms.map(|most| dice.up_to(most)).or(entry.fault.ms);
            return Some(Fault { ms, ..entry.fault.clone() });
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

/// Replaces every field of this name, at any depth.
pub(crate) fn replace(value: &mut Value, field: &str, word: &str) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == field && value.is_string() {
                    *value = Value::from(word);
                } else {
                    replace(value, field, word);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, field, word)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
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
