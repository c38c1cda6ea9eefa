//! Why something is not a key or a signature. No message quotes what was given: it may be a secret in the wrong place.

use std::{io, path::PathBuf};

/// Why something is not a key or a signature.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Neither the text form of a public key nor its PEM.
    #[error("not a public key: expected ed25519:<base64 of 32 bytes>, or a PEM (-----BEGIN PUBLIC KEY-----), {why}")]
    Public {
        /// What was found instead.
        why: String,
    },
    /// Not the text form of a signature.
    #[error("not a signature: expected the base64 of 64 bytes, {why}")]
    Signature {
        /// What was found instead.
        why: String,
    },
    /// Not the PEM of an Ed25519 private key.
    #[error("not a private key: expected the PKCS#8 PEM of an Ed25519 key, without a password, {why}")]
    Private {
        /// What was found instead.
        why: String,
    },
    /// A key file could not be read or made.
    #[error("key file {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key file was read, but what it holds is no key.
    #[error("key file {}: {source}", path.display())]
    InFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with its content.
        source: Box<KeyError>,
    },
    /// The system gave no random bytes to make a key from.
    #[error("the system gave no random bytes to make a key from")]
    NoRandom,
}
