//! The keys: the first encrypts, all of them read. A key is replaced by putting a new one on top, in every process, and
//! taken away when nothing that it encrypted is kept any more.

use std::{fmt, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    aead::{AES_256_GCM, LessSafeKey, UnboundKey},
    rand::{SystemRandom, generate},
};
use secrecy::{ExposeSecret as _, SecretString};

/// Keys with their ids, the one that encrypts first.
pub struct CodecKeys(Vec<(String, LessSafeKey)>);

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file.
    #[error("the codec keys in {path} cannot be read: {why}")]
    File {
        /// Which.
        path: String,
        /// What stood in the way.
        why: String,
    },
    /// A line. Never quotes a key.
    #[error(
        "codec keys, line {line}: expected an id of 1 to 64 letters, digits, dots, dashes or underscores, \"=\" and 32 bytes in base64, such as `remit codec key` prints; {why}"
    )]
    Line {
        /// Which, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No line at all.
    #[error("there is no codec key; expected at least one line, the key that encrypts first")]
    Empty,
}

impl CodecKeys {
    /// Reads lines of `id=base64`; empty ones and those that begin with `#` are passed over.
    ///
    /// # Errors
    /// The first line that is no key.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let mut keys: Vec<(String, LessSafeKey)> = Vec::new();
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why| KeysError::Line { line: n + 1, why };
            let (id, base64) = line.split_once('=').ok_or_else(|| wrong("there is no \"=\""))?;
            let (id, base64) = (id.trim(), base64.trim());
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            if !(1..=64).contains(&id.len()) || !id.bytes().all(plain) {
                return Err(wrong("the id is none"));
            }
            if keys.iter().any(|(known, _)| known == id) {
                return Err(wrong("the id stands there twice"));
            }
            let bytes = STANDARD.decode(base64).map_err(|_| wrong("the key is no base64"))?;
            let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| wrong("the key has not 32 bytes"))?;
            keys.push((id.to_owned(), LessSafeKey::new(key)));
        }
        if keys.is_empty() { Err(KeysError::Empty) } else { Ok(Self(keys)) }
    }

    /// Reads them from a file.
    ///
    /// # Errors
    /// As [`CodecKeys::parse`], or that the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, KeysError> {
        let file = |error: std::io::Error| KeysError::File { path: path.display().to_string(), why: error.to_string() };
        let text = SecretString::from(std::fs::read_to_string(path).map_err(file)?);
        Self::parse(text.expose_secret())
    }

    /// A line with a new key.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn new_line(id: &str) -> Result<SecretString, KeysError> {
        let bytes: [u8; 32] = generate(&SystemRandom::new())
            .map_err(|_| KeysError::Line { line: 0, why: "the system has no random bytes" })?
            .expose();
        Ok(SecretString::from(format!("{id}={}", STANDARD.encode(bytes))))
    }

    /// The one that encrypts.
    pub(crate) fn active(&self) -> (&str, &LessSafeKey) {
        let (id, key) = &self.0[0]; // never empty, see `parse`
        (id, key)
    }

    pub(crate) fn of(&self, id: &str) -> Option<&LessSafeKey> {
        self.0.iter().find(|(known, _)| known == id).map(|(_, key)| key)
    }
}

impl fmt::Debug for CodecKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_key_is_named_and_not_quoted() {
        let good = CodecKeys::new_line("k1").unwrap();
        let good = good.expose_secret();
        let secret = good.split_once('=').unwrap().1;
        for (text, line) in [
            (format!("{good}\n# old\n\nk2"), 4),
            (format!("{good}\n{good}"), 2),
            (format!("{good}\nk2={}", &secret[..20]), 2),
            (format!("{good}\nk2=!{secret}"), 2),
            (format!("a b={secret}"), 1),
        ] {
            let why = CodecKeys::parse(&text).unwrap_err().to_string();
            assert!(why.contains(&format!("line {line}:")), "{why}");
            assert!(!why.contains(&secret[..10]), "{why}");
        }
        assert!(matches!(CodecKeys::parse("# nothing"), Err(KeysError::Empty)));
        let keys = CodecKeys::parse(good).unwrap();
        assert_eq!(format!("{keys:?}"), "[\"k1\"]");
    }
}
