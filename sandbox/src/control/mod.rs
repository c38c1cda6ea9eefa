//! The control API, `/_sandbox`: for the person or test that drives the sandbox. No authentication.

mod organisations;
mod users;
mod wallets;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{Answer, Outcome, Refusal};
use crate::faults::{Fault, FaultKind};
use crate::ledger;
use crate::organisation::{Organisation, Past, State};
use crate::payouts;
use crate::sandbox::Sandbox;
use crate::server::Arrival;
use crate::wire;

/// 10 years: nothing simulated takes longer.
const FARTHEST_ADVANCE_MS: i64 = 10 * 366 * 24 * 3_600_000;

/// Answers a control call.
pub(crate) async fn handle(sandbox: &Sandbox, call: &Arrival) -> Outcome {
    let path = call.path.trim_start_matches("/_sandbox").trim_matches('/').to_owned();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match (call.method.as_str(), segments.as_slice()) {
        ("GET", []) => Answer::ok(&json!({
            "what": "a fake Dfns, for tests and demonstrations",
            "seed": sandbox.seed,
            "baseUrl": sandbox.base_url,
            "organisations": sandbox.organisations().len(),
        })),
        ("POST", ["organisations"]) => organisations::create(sandbox, &call.body),
        ("GET", ["organisations"]) => {
            let items: Vec<Value> =
                sandbox.organisations().iter().map(|it| it.with(|state| organisations::summary(state))).collect();
            Answer::ok(&json!({"items": items}))
        }
        ("DELETE", ["organisations", id]) => {
            sandbox.delete(id)?;
            Answer::ok(&json!({"deleted": true}))
        }
        (method, ["organisations", id, rest @ ..]) => {
            let organisation = sandbox.organisation(id)?;
            match (method, rest) {
                ("POST", ["clock"]) => advance(&organisation, &call.body).await,
                (method, rest) => organisation.with(|state| within(state, method, rest, call)),
            }
        }
        (method, _) => Err(unknown(method, &call.path)),
    }
}

/// Calls that need one organisation and no waiting.
fn within(state: &mut State, method: &str, rest: &[&str], call: &Arrival) -> Outcome {
    match (method, rest) {
        ("GET", []) => Answer::ok(&organisations::summary(state)),
        ("POST", ["users"]) => users::create(state, &call.body),
        ("POST", ["users", id, "token"]) => users::renew_token(state, id, &call.body),
        ("POST", ["users", id, "key"]) => users::renew_key(state, id, &call.body),
        ("PUT", ["users", id, "permissions"]) => users::set_permissions(state, id, &call.body),
        ("POST", ["wallets"]) => wallets::create(state, &call.body),
        ("PUT", ["wallets", id]) => wallets::change(state, id, &call.body),
        ("PUT", ["balances"]) => wallets::set_balance(state, &call.body),
        ("PUT", ["tokens"]) => wallets::switch_token(state, &call.body),
        ("GET", ["clock"]) => Answer::ok(&json!({"now": state.clock.now()})),
        ("GET", ["settings"]) => Answer::ok(&state.settings),
        ("POST", ["settings"]) => {
            state.settings = state.settings.changed_by(&wire::read(&call.body)?)?;
            Answer::ok(&state.settings)
        }
        ("POST", ["faults"]) => add_fault(state, &call.body),
        ("GET", ["faults"]) => Answer::ok(&json!({"items": state.faults.entries()})),
        ("DELETE", ["faults"]) => {
            state.faults.clear();
            state.past = Past::default();
            Answer::ok(&json!({"deleted": true}))
        }
        ("DELETE", ["faults", id]) => {
            state.faults.remove(id).ok_or_else(|| Refusal::missing("fault", id))?;
            Answer::ok(&json!({"deleted": true}))
        }
        ("PUT", ["plan"]) => {
            state.faults.set_plan(wire::read(&call.body)?)?;
            Answer::ok(&state.faults.plan_view())
        }
        ("GET", ["plan"]) => Answer::ok(&state.faults.plan_view()),
        ("DELETE", ["plan"]) => {
            state.faults.remove_plan();
            Answer::ok(&json!({"deleted": true}))
        }
        ("GET", ["ledger"]) => Answer::ok(&ledger::view(state, call.query.one("externalId"))),
        ("GET", ["requests"]) => Answer::ok(&json!({
            "counts": state.request_counts, "recent": state.requests, "underWay": state.under_way,
        })),
        ("GET", ["events"]) => events(state),
        ("POST", ["payouts", id, "next"]) => {
            payouts::push(state, id)?;
            let payout = state.payouts.get(id).ok_or_else(|| Refusal::missing("payout", id))?;
            Answer::ok(&payout.wire)
        }
        (method, _) => Err(unknown(method, &call.path)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Advance {
    advance_ms: i64,
}

async fn advance(organisation: &Arc<Organisation>, body: &[u8]) -> Outcome {
    let asked: Advance = wire::read(body)?;
    if !(0..=FARTHEST_ADVANCE_MS).contains(&asked.advance_ms) {
        return Err(Refusal::field("advanceMs", asked.advance_ms, "from 0 to ten years of milliseconds"));
    }
    let now = organisation.advance(asked.advance_ms).await;
    Answer::ok(&json!({"now": crate::clock::iso(now)}))
}

fn add_fault(state: &mut State, body: &[u8]) -> Outcome {
    let fault: Fault = wire::read(body)?;
    if fault.kind == FaultKind::ReadsLag && !state.past.is_kept() {
        // What already exists has always been as it is now; what comes later has a past.
        state.past.start();
        for payout in state.payouts.iter() {
            state.past.keep(&payout.wire.id, i64::MIN, &payout.wire);
        }
        for transfer in state.transfers.iter() {
            state.past.keep(&transfer.wire.id, i64::MIN, &transfer.wire);
        }
    }
    Answer::ok(state.faults.add(fault)?)
}

/// Every webhook event of the organisation, oldest first.
fn events(state: &State) -> Outcome {
    let items: Vec<Value> = state
        .post
        .events
        .iter()
        .map(|event| {
            let mut view = json!(event.view());
            view["webhookId"] = Value::from(event.webhook_id.as_str());
            view
        })
        .collect();
    Answer::ok(&json!({"items": items}))
}

fn unknown(method: &str, path: &str) -> Refusal {
    Refusal::new(404, format!("no such control call: {method} {path}, see the README of the sandbox"))
}
