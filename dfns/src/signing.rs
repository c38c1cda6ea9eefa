//! User action signing: answers a challenge of Dfns with the service account's private key.
//!
//! Sources: Dfns docs, "User Action Signing" (2026), for the layout of the client data;
//! `@dfns/sdk-keysigner` 0.8.3 for the encodings. Ed25519 signatures are the 64 raw bytes, although
//! one docs page speaks of DER.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};

use crate::error::SettingsError;
use crate::settings::Credentials;

/// A private key and the id under which Dfns knows it.
pub(crate) struct Signer {
    credential_id: String,
    key: Key,
    random: SystemRandom,
}

enum Key {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Signer {
    /// Reads the key; its kind is told from the PEM.
    pub(crate) fn new(credentials: &Credentials) -> Result<Self, SettingsError> {
        let wrong = |field, problem: &str| SettingsError::Field { field, problem: problem.to_owned() };
        if credentials.credential_id.is_empty() {
            return Err(wrong("credential_id", "expected the id Dfns issued for the key, got none"));
        }
        let pem = credentials.private_key_pem.expose_secret().trim();
        let key = read_key(pem).map_err(|problem| wrong("private_key_pem", &problem))?;
        Ok(Self { credential_id: credentials.credential_id.clone(), key, random: SystemRandom::new() })
    }

    /// The body that completes the user action, or why we do not sign.
    pub(crate) fn answer(&self, challenge: &Challenge) -> Result<Completion, String> {
        if let Some(allowed) = &challenge.allow_credentials.key
            && !allowed.iter().any(|key| key.id == self.credential_id)
        {
            return Err(format!(
                "credential_id {:?} is not among the credentials dfns lets sign for this token",
                self.credential_id
            ));
        }
        let client_data = client_data(&challenge.challenge);
        let signature = self.sign(client_data.as_bytes())?;
        Ok(Completion {
            challenge_identifier: challenge.challenge_identifier.clone(),
            first_factor: FirstFactor {
                kind: "Key",
                credential_assertion: Assertion {
                    cred_id: self.credential_id.clone(),
                    client_data: URL_SAFE_NO_PAD.encode(client_data),
                    signature: URL_SAFE_NO_PAD.encode(signature),
                },
            },
        })
    }

    /// `"Ed25519"`, `"P-256"` or `"RSA"`.
    pub(crate) fn kind(&self) -> &'static str {
        match self.key {
            Key::Ed25519(_) => "Ed25519",
            Key::P256(_) => "P-256",
            Key::Rsa(_) => "RSA",
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let failed = |_| format!("the {} key could not sign", self.kind());
        match &self.key {
            Key::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            Key::P256(key) => key.sign(&self.random, message).map(|s| s.as_ref().to_vec()).map_err(failed),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

fn read_key(pem: &str) -> Result<Key, String> {
    let (label, der) = pem_rfc7468::decode_vec(pem.as_bytes())
        .map_err(|e| format!("expected a PKCS#8 PEM (-----BEGIN PRIVATE KEY-----): {e}"))?;
    let der = Zeroizing::new(der);
    if label != "PRIVATE KEY" {
        return Err(format!(
            "expected a PKCS#8 PEM labelled \"PRIVATE KEY\", got {label:?} (convert with `openssl pkcs8 -topk8 -nocrypt`)"
        ));
    }
    // `ring` checks the algorithm inside the PKCS#8 wrapper, so at most one of these succeeds.
    // "Maybe unchecked": OpenSSL writes Ed25519 keys as PKCS#8 v1, which carries no public key.
    let ed25519 = match Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
        Ok(key) => return Ok(Key::Ed25519(key)),
        Err(why) => why,
    };
    let p256 = match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der, &SystemRandom::new()) {
        Ok(key) => return Ok(Key::P256(key)),
        Err(why) => why,
    };
    match RsaKeyPair::from_pkcs8(&der) {
        Ok(key) => Ok(Key::Rsa(Box::new(key))),
        Err(rsa) => Err(format!(
            "expected an Ed25519, P-256 or RSA (2048 bits or more) key: not Ed25519 ({ed25519}), not P-256 ({p256}), not RSA ({rsa})"
        )),
    }
}

/// The text that is signed and sent: keys in alphabetical order, no spaces, as the docs ask. The
/// challenge is already base64url text and is copied as it came.
fn client_data(challenge: &str) -> String {
    serde_json::json!({ "challenge": challenge, "type": "key.get" }).to_string()
}

/// Body of `POST /auth/action/init`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Init<'a> {
    /// The exact text of the body that the real call will send; `""` for none.
    pub(crate) user_action_payload: &'a str,
    pub(crate) user_action_http_method: &'a str,
    /// The path without its query.
    pub(crate) user_action_http_path: &'a str,
    pub(crate) user_action_server_kind: &'static str,
}

/// Answer of `POST /auth/action/init`, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Challenge {
    challenge: String,
    challenge_identifier: String,
    #[serde(default)]
    allow_credentials: AllowCredentials,
}

#[derive(Deserialize, Default)]
struct AllowCredentials {
    #[serde(default)]
    key: Option<Vec<AllowedKey>>,
}

#[derive(Deserialize)]
struct AllowedKey {
    id: String,
}

/// Body of `POST /auth/action`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Completion {
    challenge_identifier: String,
    first_factor: FirstFactor,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FirstFactor {
    kind: &'static str,
    credential_assertion: Assertion,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Assertion {
    cred_id: String,
    client_data: String,
    signature: String,
}

/// Answer of `POST /auth/action`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserAction {
    pub(crate) user_action: String,
}

#[cfg(test)]
mod tests;
