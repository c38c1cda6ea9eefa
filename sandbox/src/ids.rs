//! Seeded ids, addresses and dice, in the forms Dfns and the chains use.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A source of everything random, decided by its seed.
#[derive(Debug)]
pub(crate) struct Ids {
    source: StdRng,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { source: StdRng::seed_from_u64(seed) }
    }

    /// An id as Dfns writes them: `pyt-4ihii-9lonb-tmhjo9bor4odmb5h`.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        format!("{prefix}-{}-{}-{}", self.letters(5), self.letters(5), self.letters(16))
    }

    pub(crate) fn letters(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(ALPHABET[self.source.random_range(0..ALPHABET.len())])).collect()
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.source.fill_bytes(&mut bytes);
        bytes
    }

    /// 32 random bytes as base64url text: challenges, tokens, secrets.
    pub(crate) fn secret(&mut self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }

    pub(crate) fn hex<const N: usize>(&mut self) -> String {
        hex(&self.bytes::<N>())
    }

    pub(crate) fn base58<const N: usize>(&mut self) -> String {
        bs58::encode(self.bytes::<N>()).into_string()
    }

    /// From 0 to this.
    pub(crate) fn up_to(&mut self, most: u32) -> u32 {
        self.source.random_range(0..=most)
    }

    /// True with this probability, between 0 and 1.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.source.random_bool(probability.clamp(0.0, 1.0))
    }
}

/// Lower-case hexadecimal text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
