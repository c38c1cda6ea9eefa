//! User action signing: challenges, signatures, single-use tokens; and new service accounts.
//!
//! A signed write takes three calls: `init` binds method, path and body to a challenge, `complete`
//! proves possession of the key, and the write itself spends the token that proof gave.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{Answer, Outcome, Refusal};
use crate::keys::PublicKey;
use crate::organisation::State;
use crate::server::Visit;
use crate::users::{User, UserKind};
use crate::wire;

/// Documented: 15 minutes, once.
const CHALLENGE_MS: i64 = 15 * 60_000;
/// Our choice: Dfns does not say how long a token lives.
const TOKEN_MS: i64 = 5 * 60_000;
/// How long a spent token is remembered, so that its re-use gets the documented answer.
const SPENT_REMEMBERED_MS: i64 = 3_600_000;
/// Documented: two years, at most.
pub(crate) const ACCESS_TOKEN_DAYS: i64 = 730;
pub(crate) const DAY_MS: i64 = 24 * 3_600_000;

const REFUSED: &str = "user action signature is missing or invalid";

/// What a challenge and its token are bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    user_id: String,
    method: String,
    path: String,
    payload_sha256: Vec<u8>,
}

#[derive(Debug)]
struct Challenge {
    bound: Bound,
    text: String,
    expires_ms: i64,
}

#[derive(Debug)]
struct Token {
    bound: Bound,
    expires_ms: i64,
    spent: Spent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spent {
    Yes,
    No,
}

/// The open challenges and tokens of an organisation.
#[derive(Debug, Default)]
pub(crate) struct UserActions {
    challenges: HashMap<String, Challenge>,
    tokens: HashMap<String, Token>,
    swept_ms: i64,
}

impl UserActions {
    /// Drops what can no longer matter; at most once a minute, so that it costs nothing.
    fn sweep(&mut self, now_ms: i64) {
        if now_ms - self.swept_ms >= 60_000 {
            self.swept_ms = now_ms;
            self.challenges.retain(|_, challenge| challenge.expires_ms > now_ms);
            self.tokens.retain(|_, token| token.expires_ms + SPENT_REMEMBERED_MS > now_ms);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Init {
    user_action_payload: String,
    user_action_http_method: String,
    user_action_http_path: String,
    user_action_server_kind: Option<String>,
}

/// `POST /auth/action/init`
pub(crate) fn init(state: &mut State, visit: &Visit) -> Outcome {
    let asked: Init = wire::read(&visit.body)?;
    let method = asked.user_action_http_method;
    if !matches!(method.as_str(), "POST" | "PUT" | "DELETE" | "GET") {
        return Err(Refusal::field("userActionHttpMethod", method, "POST, PUT, DELETE or GET"));
    }
    if let Some(kind) = asked.user_action_server_kind.filter(|kind| kind != "Api" && kind != "Staff") {
        return Err(Refusal::field("userActionServerKind", kind, "Api"));
    }
    let path = asked.user_action_http_path;
    if !path.starts_with('/') {
        return Err(Refusal::field("userActionHttpPath", path, "a path, beginning with /"));
    }
    let path = path.split('?').next().unwrap_or_default().to_owned();
    let bound = Bound {
        user_id: visit.user_id.clone(),
        method,
        path,
        payload_sha256: sha256(asked.user_action_payload.as_bytes()),
    };

    let now = state.clock.now_ms();
    state.user_actions.sweep(now);
    let text = state.ids.secret();
    let identifier = format!("{}.{}", state.ids.secret(), state.ids.secret());
    let challenge = Challenge { bound, text: text.clone(), expires_ms: now + CHALLENGE_MS };
    state.user_actions.challenges.insert(identifier.clone(), challenge);
    let credential_id = state.users.get(&visit.user_id).map(|user| user.credential_id.clone());
    Answer::ok(&json!({
        "challenge": text,
        "challengeIdentifier": identifier,
        "allowCredentials": {
            "key": [{"type": "public-key", "id": credential_id}],
            "webauthn": [],
        },
        "supportedCredentialKinds": [{"kind": "Key", "factor": "first", "requiresSecondFactor": false}],
        "userVerification": "required",
        "attestation": "none",
        "externalAuthenticationUrl": "",
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Complete {
    challenge_identifier: String,
    first_factor: FirstFactor,
    /// Only where a second factor is required, which is never here.
    #[serde(rename = "secondFactor")]
    _second_factor: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FirstFactor {
    kind: String,
    credential_assertion: Assertion,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Assertion {
    cred_id: String,
    client_data: String,
    signature: String,
    /// The registered key decides; documented as optional and sent by nobody.
    #[serde(rename = "algorithm")]
    _algorithm: Option<String>,
}

/// `origin`, `crossOrigin` and the order of keys do not matter: official signers differ in them.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
}

/// `POST /auth/action`
pub(crate) fn complete(state: &mut State, visit: &Visit) -> Outcome {
    let asked: Complete = wire::read(&visit.body)?;
    if asked.first_factor.kind != "Key" {
        return Err(Refusal::field("firstFactor.kind", asked.first_factor.kind, "Key, the only kind simulated"));
    }
    let now = state.clock.now_ms();
    let challenge = state
        .user_actions
        .challenges
        .remove(&asked.challenge_identifier)
        .filter(|challenge| challenge.expires_ms > now && challenge.bound.user_id == visit.user_id)
        .ok_or_else(|| Refusal::bad("Challenge token is not valid"))?;
    let user = state.users.get(&visit.user_id).ok_or_else(|| Refusal::new(401, "Unknown user"))?;
    verify(user, &challenge.text, &asked.first_factor.credential_assertion)?;

    let token = format!("{}.{}", state.ids.secret(), state.ids.secret());
    let kept = Token { bound: challenge.bound, expires_ms: now + TOKEN_MS, spent: Spent::No };
    state.user_actions.tokens.insert(token.clone(), kept);
    Answer::ok(&json!({"userAction": token}))
}

/// Checks a signature over the client data exactly as received.
fn verify(user: &User, challenge: &str, assertion: &Assertion) -> Result<(), Refusal> {
    let decode = |field: &str, text: &str| {
        URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|error| Refusal::bad(format!("{field}: expected base64url without padding, {error}")))
    };
    if assertion.cred_id != user.credential_id {
        return Err(Refusal::field("credId", &assertion.cred_id, "one of the challenge's allowCredentials"));
    }
    let client_data = decode("clientData", &assertion.client_data)?;
    let signature = decode("signature", &assertion.signature)?;
    if !user.public_key.verifies(&client_data, &signature) {
        return Err(Refusal::bad("Unable to verify signature"));
    }
    let signed: ClientData = serde_json::from_slice(&client_data)
        .map_err(|error| Refusal::bad(format!("clientData: expected JSON with type and challenge, {error}")))?;
    if signed.kind != "key.get" {
        return Err(Refusal::field("clientData.type", signed.kind, "key.get"));
    }
    if signed.challenge != challenge {
        return Err(Refusal::bad("clientData.challenge: not the challenge that was issued"));
    }
    Ok(())
}

/// Spends the token of a signed write.
///
/// # Errors
/// 403 when it is missing, unknown, too old or bound to another call; 400 when it was used before.
pub(crate) fn spend(state: &mut State, visit: &Visit, token: Option<&str>) -> Result<(), Refusal> {
    let refused = || Refusal::forbidden(REFUSED);
    let now = state.clock.now_ms();
    let token = state.user_actions.tokens.get_mut(token.ok_or_else(refused)?).ok_or_else(refused)?;
    if token.bound.user_id != visit.user_id {
        return Err(refused());
    }
    if token.spent == Spent::Yes {
        return Err(Refusal::bad("user action has already been used"));
    }
    let asked = Bound {
        user_id: visit.user_id.clone(),
        method: visit.method.clone(),
        path: visit.path.clone(),
        payload_sha256: sha256(&visit.body),
    };
    if token.expires_ms <= now || token.bound != asked {
        return Err(refused());
    }
    token.spent = Spent::Yes;
    Ok(())
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewServiceAccount {
    name: String,
    public_key: String,
    external_id: Option<String>,
    days_valid: Option<i64>,
    seconds_valid: Option<i64>,
    permission_id: Option<String>,
}

/// `POST /auth/service-accounts`: by a person only; the new account may do nothing yet.
pub(crate) fn create_service_account(state: &mut State, visit: &Visit) -> Outcome {
    let asked: NewServiceAccount = wire::read(&visit.body)?;
    let creator = state.users.get(&visit.user_id).map(|user| user.kind);
    if creator != Some(UserKind::CustomerEmployee) {
        return Err(Refusal::forbidden("Only a person may create a service account"));
    }
    if let Some(id) = asked.permission_id {
        return Err(Refusal::missing("permission", &id));
    }
    let public_key = PublicKey::from_pem(&asked.public_key)
        .map_err(|error| Refusal::field("publicKey", &asked.public_key, &format!("acceptable: {error}")))?;
    let most = ACCESS_TOKEN_DAYS * DAY_MS;
    let valid_ms = asked
        .seconds_valid
        .map(|seconds| seconds.saturating_mul(1000))
        .or_else(|| asked.days_valid.map(|days| days.saturating_mul(DAY_MS)))
        .unwrap_or(most);
    if !(1..=most).contains(&valid_ms) {
        return Err(Refusal::field("daysValid", valid_ms / DAY_MS, "between 1 and 730"));
    }
    let expires_ms = state.clock.now_ms() + valid_ms;
    let user = User::new(&asked.name, UserKind::ServiceAccount, public_key, expires_ms, &mut state.ids);
    let token = user.make_token(&state.id, &mut state.ids);
    let mut answer = json!({
        "userInfo": {
            "username": user.name,
            "name": user.name,
            "userId": user.id,
            "kind": "CustomerEmployee",
            "credentialUuid": user.credential_id,
            "orgId": state.id,
            "isActive": true,
            "isServiceAccount": true,
            "isRegistered": true,
            "isSSORequired": false,
            "permissionAssignments": [],
        },
        "accessTokens": [{
            "accessToken": token,
            "dateCreated": state.clock.now(),
            "credId": user.credential_id,
            "isActive": true,
            "kind": "ServiceAccount",
            "linkedUserId": user.id,
            "linkedAppId": "",
            "name": user.name,
            "orgId": state.id,
            "permissionAssignments": [],
            "publicKey": asked.public_key,
            "tokenId": user.token_id,
        }],
    });
    if let Some(external_id) = asked.external_id {
        answer["userInfo"]["externalId"] = Value::from(external_id);
    }
    state.admit(user, token);
    Answer::ok(&answer)
}
