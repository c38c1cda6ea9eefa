//! Ed25519 keys: what people, starters, publishers and the audit chain sign with.
//!
//! ```
//! use remit_keys::{PrivateKey, PublicKey};
//!
//! let key = PrivateKey::generate()?;
//! let signature = key.sign(b"publish policy 7");
//!
//! let known: PublicKey = key.public().to_string().parse()?; // ed25519:…
//! assert!(known.verify(b"publish policy 7", &signature));
//! assert!(!known.verify(b"publish policy 8", &signature));
//! # Ok::<(), remit_keys::KeyError>(())
//! ```
//!
//! The crate knows keys and bytes, not what is signed: who signs builds the message, and puts into it what the
//! signature is for, so that no signature can serve another purpose.
//!
//! Ed25519 is RFC 8032, its PEM forms are RFC 8410; the arithmetic is `ring`'s.

mod error;
mod private;
mod public;
mod signature;

pub use error::KeyError;
pub use private::PrivateKey;
pub use public::{PublicKey, verified};
pub use signature::Signature;
