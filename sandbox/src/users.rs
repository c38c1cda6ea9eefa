//! Who acts in an organisation: people and service accounts, their keys and permissions.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::answer::Refusal;
use crate::ids::Ids;
use crate::keys::PublicKey;
use crate::permissions;
use crate::table::Row;

/// What kind of user, in Dfns's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum UserKind {
    ServiceAccount,
    /// A person of the organisation.
    CustomerEmployee,
}

/// A user with one credential and one access token.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: UserKind,
    pub(crate) token_id: String,
    pub(crate) token_expires_ms: i64,
    pub(crate) credential_id: String,
    pub(crate) public_key: PublicKey,
    permissions: BTreeSet<String>,
}

impl Row for User {
    fn id(&self) -> &str {
        &self.id
    }
}

impl User {
    /// A user with this public key and these permissions, current or legacy names.
    pub(crate) fn new(name: &str, kind: UserKind, public_key: PublicKey, token_expires_ms: i64, ids: &mut Ids) -> Self {
        Self {
            id: ids.id("us"),
            name: name.to_owned(),
            kind,
            token_id: ids.id("to"),
            token_expires_ms,
            credential_id: URL_SAFE_NO_PAD.encode(ids.id("ci")),
            public_key,
            permissions: BTreeSet::new(),
        }
    }

    /// Puts another key in the place of the one it has, under an id of its own.
    pub(crate) fn renew_key(&mut self, public_key: PublicKey, ids: &mut Ids) {
        self.credential_id = URL_SAFE_NO_PAD.encode(ids.id("ci"));
        self.public_key = public_key;
    }

    /// Replaces the permissions.
    ///
    /// # Errors
    /// 400 for a name the sandbox does not know.
    pub(crate) fn permit(&mut self, names: &[String]) -> Result<(), Refusal> {
        let mut permitted = BTreeSet::new();
        for name in names {
            let current = permissions::current(name);
            if !permissions::ALL.contains(&current) {
                let known = permissions::ALL.join(", ");
                return Err(Refusal::field("permissions", name, &format!("one of those known: {known}")));
            }
            permitted.insert(current.to_owned());
        }
        self.permissions = permitted;
        Ok(())
    }

    /// # Errors
    /// 403 in Dfns's words when one of these is missing.
    pub(crate) fn require(&self, names: &[&str]) -> Result<(), Refusal> {
        match names.iter().find(|name| !self.permissions.contains(**name)) {
            None => Ok(()),
            Some(missing) => Err(Refusal::forbidden(format!(
                "{} {} is not authorized to perform operation ({missing})",
                match self.kind {
                    UserKind::ServiceAccount => "ServiceAccount",
                    UserKind::CustomerEmployee => "CustomerEmployee",
                },
                self.id
            ))),
        }
    }

    pub(crate) fn permissions(&self) -> &BTreeSet<String> {
        &self.permissions
    }

    /// A token in the form of Dfns's: a JWT whose claims name organisation and user. Opaque to callers.
    pub(crate) fn make_token(&self, organisation: &str, ids: &mut Ids) -> String {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({
            "https://custom/app_metadata": {"orgId": organisation, "userId": self.id, "tokenId": self.token_id},
            "exp": self.token_expires_ms / 1000,
        });
        format!("{}.{}.{}", part(json!({"alg": "EdDSA", "typ": "JWT"})), part(claims), ids.secret())
    }
}
