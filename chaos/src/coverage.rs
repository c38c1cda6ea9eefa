//! Which states of payouts met which faults: the pairs that a run has really tried, and those that it has not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

use crate::watch::{Seens, State};

/// What a payout may meet in any state before its end.
const BLOWS: [&str; 9] = [
    "kill worker",
    "kill relay",
    "kill server",
    "kill starter",
    "stall worker",
    "stall relay",
    "stall server",
    "lock records",
    "fill disk",
];

/// Counts pairs of a state and a fault, by payouts that were in that state when it struck.
#[derive(Default)]
pub(crate) struct Coverage(Mutex<BTreeMap<(State, String), u64>>);

impl Coverage {
    /// Something was done to the house while payouts were where they were.
    pub(crate) fn blow(&self, what: &str, seens: &Seens) {
        for seen in seens.values().filter(|seen| seen.state != State::Over) {
            self.add(seen.state, what);
        }
    }

    fn add(&self, state: State, what: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((state, what.to_owned())).or_default() += 1;
    }

    /// Calls of the provider that went wrong, from its list of requests: which call tells where the payout was.
    pub(crate) fn requests<'a>(&self, requests: impl Iterator<Item = &'a Value>, seens: &Seens) {
        let states: BTreeMap<&str, State> =
            seens.values().filter_map(|seen| Some((seen.payout.as_deref()?, seen.state))).collect();
        for request in requests {
            let fault = match request["status"].as_u64() {
                Some(0) => "answer lost",
                Some(500..) => "server error",
                _fine => continue,
            };
            let (method, path) = (request["method"].as_str(), request["path"].as_str().unwrap_or_default());
            let mut parts = path.trim_start_matches('/').split('/');
            let state = match (method, parts.next(), parts.next(), parts.next()) {
                (Some("POST"), Some("payouts"), None, _) => State::CreateUnderWay,
                (Some("POST"), Some("payouts"), Some("quote"), _) => State::NotCreated,
                (Some("POST"), Some("payouts"), Some(_), Some("action")) => State::ConfirmUnderWay,
                (Some("GET"), Some("payouts"), Some(id), None) => match states.get(id) {
                    Some(State::Over) | None => continue,
                    Some(state) => *state,
                },
                _other => continue,
            };
            self.add(state, fault);
        }
    }

    /// Aimed faults that have struck, from the sandbox's list of them.
    pub(crate) fn aimed(&self, faults: &Value) {
        for fault in faults["items"].as_array().into_iter().flatten() {
            if fault["struck"].as_u64().unwrap_or_default() == 0 {
                continue;
            }
            let (kind, on) = (text(fault, "kind"), text(fault, "on"));
            let when = if text(fault, "when") == "afterEffect" { ", after the effect" } else { "" };
            let state = match on {
                "POST /payouts" => State::CreateUnderWay,
                "POST /payouts/*/action" => State::ConfirmUnderWay,
                _any if kind.ends_with("Webhook") => State::AwaitingInstructions,
                _any if kind == "emptyBody" => State::ConfirmUnderWay,
                _any if kind == "addressChangesAtConfirm" => State::ConfirmUnderWay,
                _any => State::Settling,
            };
            self.add(state, &format!("{kind}{when}"));
        }
    }

    /// The table, and the pairs that were not hit of those that can be.
    pub(crate) fn table(&self) -> Table {
        let pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut faults: BTreeSet<String> = pairs.keys().map(|(_, what)| what.clone()).collect();
        faults.extend(BLOWS.map(str::to_owned));
        let open = State::ALL.into_iter().filter(|state| *state != State::Over);
        let mut holes = vec![];
        for state in open {
            for what in BLOWS {
                if !pairs.contains_key(&(state, what.to_owned())) {
                    holes.push(format!("{} × {what}", state.as_str()));
                }
            }
        }
        let pairs = pairs.into_iter().map(|((state, what), times)| (what, state.as_str(), times)).collect();
        Table { faults: faults.into_iter().collect(), pairs, holes }
    }
}

/// What was met.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Table {
    /// All kinds of faults.
    pub faults: Vec<String>,
    /// Fault, state, how many payouts.
    pub pairs: Vec<(String, &'static str, u64)>,
    /// Pairs that could have been met and were not.
    pub holes: Vec<String>,
}

impl Table {
    /// How often this pair was met.
    pub fn hits(&self, fault: &str, state: &str) -> u64 {
        self.pairs.iter().find(|(what, at, _)| what == fault && *at == state).map_or(0, |(.., times)| *times)
    }

    /// In lines, one for each kind of fault.
    pub fn lines(&self) -> Vec<String> {
        let states: Vec<&str> = State::ALL.iter().filter(|it| **it != State::Over).map(|it| it.as_str()).collect();
        let mut lines = vec![format!("{:34} {}", "", states.join(" | "))];
        for fault in &self.faults {
            let cells: Vec<String> = states
                .iter()
                .map(|state| {
                    let hits = self.hits(fault, state);
                    format!(
                        "{:>width$}",
                        if hits == 0 { "·".to_owned() } else { hits.to_string() },
                        width = state.len()
                    )
                })
                .collect();
            lines.push(format!("{fault:34} {}", cells.join(" | ")));
        }
        lines
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
