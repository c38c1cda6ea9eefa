//! Adding users and changing what they may do.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{Answer, Outcome, Refusal};
use crate::auth::{ACCESS_TOKEN_DAYS, DAY_MS};
use crate::keys::{self, KeyKind, PublicKey};
use crate::organisation::State;
use crate::permissions;
use crate::users::{User, UserKind};
use crate::wire;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewUser {
    name: String,
    kind: UserKind,
    /// All of them when absent.
    permissions: Option<Vec<String>>,
    /// Without one a key pair is made and its private key returned.
    public_key_pem: Option<String>,
    #[serde(default)]
    key_kind: KeyKind,
}

pub(super) fn create(state: &mut State, body: &[u8]) -> Outcome {
    let asked: NewUser = wire::read(body)?;
    let (public_pem, private_pem) = match asked.public_key_pem {
        Some(pem) => (pem, None),
        None => {
            let key = keys::make(asked.key_kind, &mut state.ids).map_err(|error| Refusal::new(500, error))?;
            (key.public_pem, Some(key.private_pem))
        }
    };
    let permissions = asked.permissions.unwrap_or_else(permissions::all);
    let user = add_user(state, &asked.name, asked.kind, &permissions, &public_pem)?;
    Answer::ok(&with_private_key(user, private_pem))
}

/// Adds a user and shows it with its token, this once.
pub(super) fn add_user(
    state: &mut State,
    name: &str,
    kind: UserKind,
    permissions: &[String],
    public_pem: &str,
) -> Result<Value, Refusal> {
    let key = PublicKey::from_pem(public_pem)
        .map_err(|error| Refusal::field("publicKeyPem", public_pem, &format!("acceptable: {error}")))?;
    let expires_ms = state.clock.now_ms() + ACCESS_TOKEN_DAYS * DAY_MS;
    let mut user = User::new(name, kind, key, expires_ms, &mut state.ids);
    user.permit(permissions)?;
    let token = user.make_token(&state.id, &mut state.ids);
    let mut view = user_view(&user);
    view["token"] = Value::from(token.as_str());
    view["publicKeyPem"] = Value::from(public_pem);
    state.admit(user, token);
    Ok(view)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Permissions {
    permissions: Vec<String>,
}

pub(super) fn set_permissions(state: &mut State, id: &str, body: &[u8]) -> Outcome {
    let asked: Permissions = wire::read(body)?;
    let user = state.users.get_mut(id).ok_or_else(|| Refusal::missing("user", id))?;
    user.permit(&asked.permissions)?;
    Answer::ok(&user_view(user))
}

/// Another token, shown this once.
pub(super) fn renew_token(state: &mut State, id: &str, body: &[u8]) -> Outcome {
    wire::read_nothing(body)?;
    let token = state.renew_token(id).ok_or_else(|| Refusal::missing("user", id))?;
    Answer::ok(&json!({"userId": id, "token": token}))
}

/// Another key, shown this once.
pub(super) fn renew_key(state: &mut State, id: &str, body: &[u8]) -> Outcome {
    wire::read_nothing(body)?;
    let key = keys::make(KeyKind::default(), &mut state.ids).map_err(|error| Refusal::new(500, error))?;
    let public = PublicKey::from_pem(&key.public_pem).map_err(|error| Refusal::new(500, error))?;
    let user = state.users.get_mut(id).ok_or_else(|| Refusal::missing("user", id))?;
    user.renew_key(public, &mut state.ids);
    Answer::ok(&with_private_key(user_view(user), Some(key.private_pem)))
}

pub(super) fn user_view(user: &User) -> Value {
    json!({
        "userId": user.id,
        "name": user.name,
        "kind": user.kind,
        "credentialId": user.credential_id,
        "permissions": user.permissions(),
    })
}

pub(super) fn with_private_key(mut user: Value, pem: Option<String>) -> Value {
    if let Some(pem) = pem {
        user["privateKeyPem"] = Value::from(pem);
    }
    user
}
