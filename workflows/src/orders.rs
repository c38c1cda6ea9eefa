//! What people may order about a payout, and what they are told.
//!
//! Orders are Temporal updates, in plain JSON that any SDK can write. What cannot be read is rejected by the validator
//! and leaves no trace; everything else is answered with a value: accepted, or refused with what is so instead.

use remit_domain::{Decided, Money, Stage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use temporalio_common::data_converters::RawValue;

use crate::contract::{Approvals, Closing, Signed};

/// Input of the updates `cancel` and `hold`, which only stop money: who, and why. 1 to 200 characters each.
pub type Order = Decided;

/// Input of the update `release`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Who, and why.
    #[serde(flatten)]
    pub order: Order,
    /// The signed statement of the order; whether it is needed is for the policy to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// Input of the update `resolve`: a decision about a payout in doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolve {
    /// Who, and why.
    #[serde(flatten)]
    pub order: Order,
    /// What to do.
    #[serde(flatten)]
    pub action: Action,
    /// The signed statement of the order; whether it is needed is for the policy to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// What a person decides about a payout in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", content = "money", rename_all = "camelCase")]
pub enum Action {
    /// Read it at the provider and show that. Changes nothing.
    ReadAgain,
    /// Check it all again and go on if it holds. Overrides no check.
    GoOn,
    /// End it. Names where the money is.
    GiveUp(Whereabouts),
}

impl Action {
    /// As a signed statement names it: `readAgain`, `goOn`, `giveUp returned`.
    pub fn words(self) -> &'static str {
        match self {
            Self::ReadAgain => "readAgain",
            Self::GoOn => "goOn",
            Self::GiveUp(Whereabouts::NotSent) => "giveUp notSent",
            Self::GiveUp(Whereabouts::Returned) => "giveUp returned",
            Self::GiveUp(Whereabouts::Paid) => "giveUp paid",
            Self::GiveUp(Whereabouts::WrittenOff) => "giveUp writtenOff",
        }
    }
}

/// Where a person says the money is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Whereabouts {
    /// Never sent. Taken only where the gate proves it.
    NotSent,
    /// It came back.
    Returned,
    /// The beneficiary has it.
    Paid,
    /// It is lost.
    WrittenOff,
}

impl Whereabouts {
    /// As the outcome has it.
    pub fn money(self) -> Money {
        match self {
            Self::NotSent => Money::Untouched,
            Self::Returned => Money::Returned,
            Self::Paid => Money::Paid,
            Self::WrittenOff => Money::WrittenOff,
        }
    }
}

/// What an order is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it is carried out.
    pub answer: Verdict,
    /// Where the payout is now.
    pub stage: Stage,
    /// What happens now, for people.
    pub says: String,
}

/// Whether an order is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It is.
    Accepted,
    /// It is not.
    Refused,
}

/// What has been ordered of a run and where its gate is, as far as the run knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// The claim has been answered: from here on there is a gate.
    pub(crate) claimed: bool,
    /// A policy decides about this run.
    pub(crate) controls: bool,
    /// How far the wanted approvals are, while the run waits for them.
    pub(crate) approvals: Option<Approvals>,
    /// Confirm was asked for by this run, or may have been sent by one before.
    pub(crate) confirming: bool,
    /// Who or what closed the gate.
    pub(crate) closed: Option<Closing>,
    /// Who holds the payout back.
    pub(crate) hold: Option<Order>,
    /// True while it is in doubt.
    pub(crate) parked: bool,
    /// What a person has decided about the doubt, until it is carried out.
    pub(crate) decision: Option<Decision>,
}

/// A decision about a payout in doubt that the run has to carry out.
#[derive(Clone, Debug)]
pub(crate) enum Decision {
    GoOn(Order),
    GiveUp(Order, Whereabouts),
}

/// Most characters of a name or a reason.
const TEXT: usize = 200;

/// Reads who orders and why.
///
/// # Errors
/// What was expected.
pub fn order(raw: &RawValue) -> Result<Order, String> {
    let json = object(raw)?;
    known_fields(&json, &["by", "why"])?;
    Ok(Order { by: text(&json, "by")?, why: text(&json, "why")? })
}

/// Reads a release.
///
/// # Errors
/// What was expected.
pub fn release(raw: &RawValue) -> Result<Release, String> {
    let json = object(raw)?;
    known_fields(&json, &["by", "why", "signed"])?;
    Ok(Release { order: Order { by: text(&json, "by")?, why: text(&json, "why")? }, signed: signed(&json)? })
}

/// Reads a person's approval.
///
/// # Errors
/// What was expected.
pub fn approval(raw: &RawValue) -> Result<Signed, String> {
    const EXPECTED: &str =
        "expected one JSON object {\"statement\": \"…\", \"signature\": \"…\"}, as `remit approval approve` makes it";
    let [payload] = raw.payloads.as_slice() else { return Err(EXPECTED.into()) };
    serde_json::from_slice(&payload.data).map_err(|_| EXPECTED.into())
}

/// Reads a decision about a payout in doubt.
///
/// # Errors
/// What was expected.
pub fn resolve(raw: &RawValue) -> Result<Resolve, String> {
    const ACTIONS: &str = "action: expected \"readAgain\", \"goOn\" or \"giveUp\"";
    const MONEY: &str = "money: expected where it is: \"notSent\", \"returned\", \"paid\" or \"writtenOff\"";
    let json = object(raw)?;
    known_fields(&json, &["by", "why", "action", "money", "signed"])?;
    let order = Order { by: text(&json, "by")?, why: text(&json, "why")? };
    let action = match json.get("action").and_then(Value::as_str) {
        Some("readAgain") => Action::ReadAgain,
        Some("goOn") => Action::GoOn,
        Some("giveUp") => {
            let money = json.get("money").cloned().unwrap_or_default();
            Action::GiveUp(serde_json::from_value(money).map_err(|_| MONEY)?)
        }
        Some(_) | None => return Err(ACTIONS.into()),
    };
    match action {
        Action::ReadAgain | Action::GoOn if json.contains_key("money") => {
            Err("money: expected only with the action \"giveUp\"".into())
        }
        Action::ReadAgain | Action::GoOn | Action::GiveUp(_) => Ok(Resolve { order, action, signed: signed(&json)? }),
    }
}

fn signed(json: &serde_json::Map<String, Value>) -> Result<Option<Signed>, String> {
    match json.get("signed") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value.clone())
            .map(Some)
            .map_err(|_| "signed: expected {\"statement\": \"…\", \"signature\": \"…\"}".into()),
    }
}

fn object(raw: &RawValue) -> Result<serde_json::Map<String, Value>, String> {
    const EXPECTED: &str = "expected one JSON object such as {\"by\": \"ana@example.com\", \"why\": \"wrong invoice\"}";
    let [payload] = raw.payloads.as_slice() else { return Err(EXPECTED.into()) };
    match serde_json::from_slice(&payload.data) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(EXPECTED.into()),
    }
}

fn text(json: &serde_json::Map<String, Value>, field: &str) -> Result<String, String> {
    let text = json.get(field).and_then(Value::as_str).map(str::trim).unwrap_or_default();
    let fits = !text.is_empty() && text.chars().count() <= TEXT && !text.chars().any(char::is_control);
    let expected = match field {
        "by" => "who orders it",
        _ => "the reason",
    };
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("{field}: expected {expected}, 1 to {TEXT} characters of one line"))
    }
}

fn known_fields(json: &serde_json::Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match json.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("{name}: no such field (is the name spelt right?); expected {}", known.join(", "))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use temporalio_common::protos::temporal::api::common::v1::Payload;

    use super::*;

    fn raw(json: &Value) -> RawValue {
        RawValue::new(vec![Payload { data: json.to_string().into_bytes(), ..Default::default() }])
    }

    #[test]
    fn an_order_without_a_name_or_a_reason_is_rejected_with_what_is_missing() {
        for (json, expected) in [
            (json!({"by": "ana"}), "why: expected the reason"),
            (json!({"why": "wrong"}), "by: expected who"),
            (json!({"by": "ana", "why": "  "}), "why: expected"),
            (json!({"by": "ana", "why": 7}), "why: expected"),
            (json!({"by": "ana", "why": "x".repeat(201)}), "why: expected"),
            (json!({"by": "ana\nroot", "why": "x"}), "by: expected"),
            (json!({"by": "ana", "why": "x", "force": true}), "force: no such field"),
            (json!("stop"), "expected one JSON object"),
            (json!(null), "expected one JSON object"),
        ] {
            let why = order(&raw(&json)).unwrap_err();
            assert!(why.contains(expected), "{json}: {why}");
        }
        assert!(order(&RawValue::new(vec![])).is_err());
        assert_eq!(order(&raw(&json!({"by": " ana ", "why": "wrong"}))).unwrap().by, "ana");
    }

    #[test]
    fn a_resolution_names_what_to_do_and_only_giving_up_names_the_money() {
        let with = |more: Value| {
            let mut json = json!({"by": "ana", "why": "looked"});
            json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            resolve(&raw(&json))
        };
        assert_eq!(with(json!({"action": "goOn"})).unwrap().action, Action::GoOn);
        let given_up = with(json!({"action": "giveUp", "money": "writtenOff"})).unwrap();
        assert_eq!(given_up.action, Action::GiveUp(Whereabouts::WrittenOff));
        for bad in [
            json!({}),
            json!({"action": "payAgain"}),
            json!({"action": "giveUp"}),
            json!({"action": "giveUp", "money": "lost"}),
            json!({"action": "goOn", "money": "paid"}),
        ] {
            assert!(with(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_forms_of_orders_and_answers_are_durable() {
        let order = Order { by: "ana".into(), why: "wrong invoice".into() };
        let action = Action::GiveUp(Whereabouts::Returned);
        let resolve = Resolve { order: order.clone(), action, signed: None };
        let answer = Answer { answer: Verdict::Refused, stage: Stage::Settling, says: "Confirm was sent".into() };
        insta::assert_json_snapshot!((order, resolve, answer));
    }
}
