//! What is signalled to a run and ordered of it, as anybody's bytes: read for what it says, or rejected.

use remit_workflows::{
    contract::Signed,
    orders::{self, Action, Order, Whereabouts},
    signals::{About, Nudges, ProviderEvent},
};
use serde_json::{Map, Value};
use temporalio_common::{data_converters::RawValue, protos::temporal::api::common::v1::Payload};

/// The payload of a signal or an update.
pub fn orders(data: &[u8]) {
    let raw = RawValue::new(vec![Payload { data: data.to_vec(), ..Default::default() }]);
    let json: Option<Value> = serde_json::from_slice(data).ok();
    let object = json.as_ref().and_then(Value::as_object);
    nudge(&raw, object);

    let order = orders::order(&raw).ok();
    assert_eq!(order, object.and_then(|json| order_of(json, &["by", "why"])), "{json:?}");

    let release = orders::release(&raw).ok();
    let expected = object.and_then(|json| Some((order_of(json, &["by", "why", "signed"])?, signed_of(json)?)));
    assert_eq!(release.map(|it| (it.order, it.signed)), expected, "{json:?}");

    let resolve = orders::resolve(&raw).ok();
    let expected = object.and_then(|json| {
        let order = order_of(json, &["by", "why", "action", "money", "signed"])?;
        Some((order, action_of(json)?, signed_of(json)?))
    });
    assert_eq!(resolve.as_ref().map(|it| (it.order.clone(), it.action, it.signed.clone())), expected, "{json:?}");
    if let Some(resolve) = resolve {
        let data = serde_json::to_vec(&resolve).expect("an order is JSON");
        let again = RawValue::new(vec![Payload { data, ..Default::default() }]);
        assert_eq!(orders::resolve(&again), Ok(resolve), "read as it was written");
    }
    if let Ok(approval) = orders::approval(&raw) {
        assert_eq!(signed(json.as_ref()), Some(approval), "{json:?}");
    }
    for raw in [RawValue::new(vec![]), RawValue::new([raw.payloads.clone(), raw.payloads.clone()].concat())] {
        assert!(orders::order(&raw).is_err() && orders::release(&raw).is_err());
        assert!(orders::resolve(&raw).is_err() && orders::approval(&raw).is_err());
        assert!(!Nudges::default().take(&raw, "po-1"));
    }
}

/// A nudge wakes the payout it names or, where it names none, the one it was sent to; once.
fn nudge(raw: &RawValue, json: Option<&Map<String, Value>>) {
    let mut nudges = Nudges::default();
    let taken = nudges.take(raw, "po-1");
    let abouts = [About::Instructions, About::Transfer];
    assert_eq!(taken, abouts.iter().any(|about| nudges.has(*about)));
    assert!(!nudges.take(raw, "po-1"), "taken twice");
    if taken && let Some(json) = json {
        assert!(json.get("key").is_none_or(|key| key.is_null() || key == "po-1"), "it names another payout: {json:?}");
        let event: ProviderEvent = serde_json::from_value(Value::Object(json.clone())).expect("taken, so it is one");
        assert!(nudges.has(event.about));
    }
}

fn text(json: &Map<String, Value>, field: &str) -> Option<String> {
    let text = json.get(field)?.as_str()?.trim();
    let fits = (1..=200).contains(&text.chars().count()) && !text.contains(char::is_control);
    fits.then(|| text.to_owned())
}

fn order_of(json: &Map<String, Value>, known: &[&str]) -> Option<Order> {
    let all_known = json.keys().all(|name| known.contains(&name.as_str()));
    all_known.then_some(())?;
    Some(Order { by: text(json, "by")?, why: text(json, "why")? })
}

fn action_of(json: &Map<String, Value>) -> Option<Action> {
    let money = json.get("money");
    match (json.get("action")?.as_str()?, money) {
        ("readAgain", None) => Some(Action::ReadAgain),
        ("goOn", None) => Some(Action::GoOn),
        ("giveUp", Some(money)) => {
            // Also in serde's long form of such a word, `{"paid": null}`.
            let word = money.as_str().or_else(|| {
                let (word, nothing) = money.as_object().filter(|all| all.len() == 1)?.iter().next()?;
                nothing.is_null().then_some(word.as_str())
            });
            Some(Action::GiveUp(match word? {
                "notSent" => Whereabouts::NotSent,
                "returned" => Whereabouts::Returned,
                "paid" => Whereabouts::Paid,
                "writtenOff" => Whereabouts::WrittenOff,
                _ => return None,
            }))
        }
        _ => None,
    }
}

/// `None` when it is there and no signature.
fn signed_of(json: &Map<String, Value>) -> Option<Option<Signed>> {
    match json.get("signed") {
        None | Some(Value::Null) => Some(None),
        some => signed(some).map(Some),
    }
}

fn signed(json: Option<&Value>) -> Option<Signed> {
    let json = json?;
    // An object, or its two texts in their order, as serde takes it too.
    let of = |name: &str, at: usize| match json {
        Value::Object(all) => all.get(name)?.as_str().map(str::to_owned),
        Value::Array(all) if all.len() == 2 => all.get(at)?.as_str().map(str::to_owned),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    };
    Some(Signed { statement: of("statement", 0)?, signature: of("signature", 1)? })
}
