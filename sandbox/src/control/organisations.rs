//! Making organisations, furnished with the users and wallets most tests want.

use serde::Deserialize;
use serde_json::{Value, json};

use super::users::{add_user, user_view, with_private_key};
use super::wallets::wallet_view;
use crate::answer::{Answer, Outcome, Refusal};
use crate::clock::Clock;
use crate::keys::{self, KeyKind};
use crate::networks::{Asset, Network};
use crate::organisation::State;
use crate::permissions;
use crate::sandbox::Sandbox;
use crate::settings::Settings;
use crate::users::UserKind;
use crate::wallets;
use crate::wire;

/// What the default wallets hold of USDC, in its smallest unit.
const OPENING_TOKENS: u128 = 1_000_000_000_000_000;

/// A year: no clock is wrong by more.
const FARTHEST_OFFSET_MS: i64 = 366 * 24 * 3_600_000;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewOrganisation {
    name: Option<String>,
    seed: Option<u64>,
    rate_limit_per_minute: Option<u32>,
    delays: Option<Value>,
    payout_conflict: Option<String>,
    /// Any settings, as `POST …/settings` takes them.
    settings: Option<Value>,
    /// The kind of the default users' keys.
    key_kind: Option<KeyKind>,
    /// How far its clock is ahead of the wall's from the beginning on; behind when below zero.
    clock_offset_ms: Option<i64>,
}

pub(super) fn create(sandbox: &Sandbox, body: &[u8]) -> Outcome {
    let asked: NewOrganisation = if body.is_empty() { NewOrganisation::default() } else { wire::read(body)? };
    let mut changes = asked.settings.unwrap_or_else(|| json!({}));
    let shortcuts = [
        ("rateLimitPerMinute", asked.rate_limit_per_minute.map(Value::from)),
        ("delays", asked.delays),
        ("payoutConflict", asked.payout_conflict.map(Value::from)),
    ];
    for (name, value) in shortcuts {
        if let Some(value) = value {
            changes[name] = value;
        }
    }
    let settings = Settings::default().changed_by(&changes)?;
    let offset_ms = asked.clock_offset_ms.unwrap_or_default();
    if !(-FARTHEST_OFFSET_MS..=FARTHEST_OFFSET_MS).contains(&offset_ms) {
        return Err(Refusal::field("clockOffsetMs", offset_ms, "within a year of milliseconds either way"));
    }
    let organisation = sandbox.start(asked.name, asked.seed, settings, Clock::new(offset_ms));
    let made = organisation.with(|state| furnish(state, asked.key_kind.unwrap_or_default()));
    if made.is_err() {
        sandbox.delete(&organisation.id)?;
    }
    Answer::ok(&made?)
}

/// The users and wallets every organisation starts with.
fn furnish(state: &mut State, kind: KeyKind) -> Result<Value, Refusal> {
    let mut users = Vec::new();
    for (name, user_kind, permissions) in [
        ("payer", UserKind::ServiceAccount, permissions::payer()),
        ("alice", UserKind::CustomerEmployee, permissions::all()),
        ("bob", UserKind::CustomerEmployee, permissions::all()),
        ("reader", UserKind::ServiceAccount, permissions::reader()),
    ] {
        let key = keys::make(kind, &mut state.ids).map_err(|error| Refusal::new(500, error))?;
        let user = add_user(state, name, user_kind, &permissions, &key.public_pem)?;
        users.push(with_private_key(user, Some(key.private_pem)));
    }
    let mut made = Vec::new();
    for name in ["Polygon", "Solana"] {
        let network = Network::named(name)?;
        let token = Asset::usdc(&network);
        let id = wallets::make(state, network, Some(format!("{name} payouts")), vec![token.clone()]);
        let address = wallets::find(state, &id)?.address.clone();
        let native = network.native_asset();
        // A thousand whole units: fees for a long time.
        let native_balance = 1000 * 10_u128.saturating_pow(native.decimals);
        state.chain.set(&network, &native, &address, native_balance);
        state.chain.set(&network, &token, &address, OPENING_TOKENS);
        made.push(wallet_view(state, &id)?);
    }
    let mut answer = summary(state);
    answer["wallets"] = Value::from(made);
    answer["users"] = Value::from(users);
    Ok(answer)
}

pub(super) fn summary(state: &State) -> Value {
    let users: Vec<Value> = state.users.iter().map(user_view).collect();
    let wallets: Vec<Value> = state.wallets.iter().filter_map(|wallet| wallet_view(state, &wallet.id).ok()).collect();
    json!({
        "id": state.id,
        "name": state.name,
        "now": state.clock.now(),
        "settings": state.settings,
        "users": users,
        "wallets": wallets,
        "payouts": state.payouts.len(),
        "transfers": state.transfers.len(),
    })
}
