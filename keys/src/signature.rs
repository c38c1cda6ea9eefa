//! That something was signed: 64 bytes.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::KeyError;

/// An Ed25519 signature: 64 bytes, written as their standard base64, also in JSON. One signature has one text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Signature([u8; 64]);

impl Signature {
    /// The 64 bytes.
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

/// Any 64 bytes may be a signature; whether they are is for [`PublicKey::verify`](crate::PublicKey::verify) to say.
impl From<[u8; 64]> for Signature {
    fn from(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Signature {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let wrong = |why| KeyError::Signature { why };
        let bytes = STANDARD.decode(text).map_err(|error| wrong(format!("got something else: {error}")))?;
        let length = bytes.len();
        Ok(Self(bytes.try_into().map_err(|_| wrong(format!("got {length} bytes")))?))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Signature> for String {
    fn from(signature: Signature) -> Self {
        signature.to_string()
    }
}

impl TryFrom<String> for Signature {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_read_from_what_it_is_written_as() {
        let signature = Signature::from(std::array::from_fn(|at| at as u8));
        let text = signature.to_string();
        assert_eq!(text.len(), 88);
        assert_eq!(text.parse::<Signature>().expect("a signature"), signature);
        assert_eq!(format!("{signature:?}"), text);
        let json = serde_json::to_string(&signature).expect("JSON");
        assert_eq!(json, format!("{text:?}"));
        assert_eq!(serde_json::from_str::<Signature>(&json).expect("a signature"), signature);
    }

    #[test]
    fn one_signature_has_one_text() {
        let text = Signature::from([0xfb; 64]).to_string();
        assert!(text.ends_with("+w=="));
        for other in [
            String::new(),
            text[4..].to_owned(),
            text.trim_end_matches('=').to_owned(),
            text.replace("w==", "x=="),
            text.replace('+', "-"),
            format!("{text}\n"),
            format!("{text}AAAA"),
        ] {
            let refused = other.parse::<Signature>().expect_err(&other).to_string();
            assert!(refused.starts_with("not a signature: expected the base64 of 64 bytes, got "), "{refused}");
        }
    }
}
