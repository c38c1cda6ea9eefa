//! Who signed: a public key, and the check of a signature.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoOwned, der::DecodePem};

use crate::{KeyError, Signature};

const PREFIX: &str = "ed25519:";

/// RFC 8410 §3.
const ED25519_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// An Ed25519 public key: 32 bytes that say who signs.
///
/// Written as `ed25519:` and the standard base64 of the bytes, also in JSON and TOML, so that one key has one text.
/// Read from that, or from the PEM that `openssl pkey -pubout` writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key of these 32 bytes (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// [`KeyError::Public`] when all are zero: that is a place that was never filled in, and signatures under it can be
    /// made by anybody. Other bytes that are no point of the curve are not found here; nothing verifies under them.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        if bytes == [0; 32] {
            return Err(wrong("got 32 zero bytes"));
        }
        Ok(Self(bytes))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the owner of this key signed exactly these bytes.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature.as_bytes()).is_ok()
    }
}

/// Whether the owner of this key signed exactly this text. What is no key or no signature proves nothing.
#[must_use]
pub fn verified(key: &str, text: &str, signature: &str) -> bool {
    let (Ok(key), Ok(signature)) = (key.parse::<PublicKey>(), signature.parse::<Signature>()) else { return false };
    key.verify(text.as_bytes(), &signature)
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = match text.strip_prefix(PREFIX) {
            Some(base64) => STANDARD.decode(base64).map_err(|error| wrong(format!("got other base64: {error}")))?,
            None if text.trim_start().starts_with("-----") => from_pem(text.trim())?,
            None => return Err(wrong("got text that begins otherwise")),
        };
        let length = bytes.len();
        Self::from_bytes(bytes.try_into().map_err(|_| wrong(format!("got {length} bytes")))?)
    }
}

fn from_pem(pem: &str) -> Result<Vec<u8>, KeyError> {
    let key = SubjectPublicKeyInfoOwned::from_pem(pem).map_err(|error| wrong(format!("got another PEM: {error}")))?;
    if key.algorithm.oid != ED25519_OID {
        return Err(wrong(format!("got the PEM of a key of another kind (OID {})", key.algorithm.oid)));
    }
    let bytes = key.subject_public_key.as_bytes().ok_or_else(|| wrong("got a PEM of bits that are no bytes"))?;
    Ok(bytes.to_vec())
}

fn wrong(why: impl Into<String>) -> KeyError {
    KeyError::Public { why: why.into() }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;

    /// RFC 8032 §7.1, TEST 1, in both forms; the PEM as `openssl pkey -pubout` writes it.
    const TEXT: &str = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const PEM: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";

    #[test]
    fn a_key_is_read_from_what_it_is_written_as_and_from_openssls_pem() {
        let key: PublicKey = TEXT.parse().expect("a key");
        assert_eq!(key.to_string(), TEXT);
        assert_eq!(format!("{key:?}"), TEXT);
        assert_eq!(PEM.parse::<PublicKey>().expect("a key"), key);
        assert_eq!(PEM.replace('\n', "\r\n").parse::<PublicKey>().expect("a key"), key);
        assert_eq!(key.as_bytes()[..2], [0xd7, 0x5a]);
    }

    #[test]
    fn a_key_is_its_text_in_json() {
        let key: PublicKey = TEXT.parse().expect("a key");
        assert_eq!(serde_json::to_value(key).expect("JSON"), serde_json::json!(TEXT));
        assert_eq!(serde_json::from_value::<PublicKey>(serde_json::json!(TEXT)).expect("a key"), key);
        let refused = serde_json::from_str::<PublicKey>(r#""ed25519:AAAA""#).expect_err("no key");
        assert!(refused.to_string().contains("expected ed25519:<base64 of 32 bytes>"), "{refused}");
    }

    #[test]
    fn one_key_has_one_text() {
        let base64 = &TEXT["ed25519:".len()..];
        for other in [
            base64.to_owned(),
            format!("Ed25519:{base64}"),
            format!("ed25519: {base64}"),
            format!("{TEXT}\n"),
            format!(" {TEXT}"),
            TEXT.trim_end_matches('=').to_owned(),
            TEXT.replace('/', "_"),
            TEXT.replace("o=", "p="),
        ] {
            assert!(matches!(other.parse::<PublicKey>(), Err(KeyError::Public { .. })), "{other:?}");
        }
    }

    #[test]
    fn what_is_no_ed25519_public_key_is_refused_unquoted() {
        let private = PrivateKey::generate().expect("a key").to_pem();
        let private = secrecy::ExposeSecret::expose_secret(&private);
        // X25519, whose keys are 32 bytes too: OID 1.3.101.110.
        let x25519 = PEM.replace("MCowBQYDK2Vw", "MCowBQYDK2Vu");
        for bad in ["", "ed25519:", "ed25519:AAAA", private, &x25519, &PEM[..60]] {
            let refused = bad.parse::<PublicKey>().expect_err(bad).to_string();
            assert!(refused.starts_with("not a public key: expected ed25519:"), "{refused}");
            let secret = private.lines().nth(1).expect("the key's line");
            assert!(!refused.contains(&secret[..20]), "{refused}");
        }
        assert!(x25519.parse::<PublicKey>().expect_err("refused").to_string().contains("1.3.101.110"));
        assert!("ana".parse::<PublicKey>().expect_err("refused").to_string().contains("begins otherwise"));
    }

    #[test]
    fn a_place_that_was_never_filled_in_is_no_key() {
        let zeros = format!("{PREFIX}{}", STANDARD.encode([0; 32]));
        assert!(zeros.parse::<PublicKey>().expect_err("refused").to_string().contains("32 zero bytes"));
    }

    #[test]
    fn a_signature_holds_for_its_key_and_its_bytes_only() {
        let [ours, other] = [(); 2].map(|()| PrivateKey::generate().expect("a key"));
        let signature = ours.sign(b"pay");
        assert!(ours.public().verify(b"pay", &signature));
        assert!(!ours.public().verify(b"pay ", &signature));
        assert!(!ours.public().verify(b"", &signature));
        assert!(!other.public().verify(b"pay", &signature));
        for at in [0, 31, 32, 63] {
            let mut bytes = *signature.as_bytes();
            bytes[at] ^= 1;
            assert!(!ours.public().verify(b"pay", &Signature::from(bytes)), "byte {at}");
        }
    }

    #[test]
    fn only_the_owners_signature_of_exactly_this_text_is_one() {
        let [ana, eve] = [(); 2].map(|()| PrivateKey::generate().expect("a key"));
        let signature = ana.sign(b"text").to_string();
        assert!(verified(&ana.public().to_string(), "text", &signature));
        for (key, text, signature) in [
            (eve.public().to_string(), "text", signature.as_str()),
            (ana.public().to_string(), "text ", &signature),
            (ana.public().to_string(), "text", "signature"),
            ("ana".into(), "text", &signature),
        ] {
            assert!(!verified(&key, text, signature), "{key} {text} {signature}");
        }
    }

    #[test]
    fn nothing_verifies_under_bytes_that_are_no_point() {
        let key = PublicKey::from_bytes([0xff; 32]).expect("bytes");
        assert!(!key.verify(b"pay", &PrivateKey::generate().expect("a key").sign(b"pay")));
    }
}
