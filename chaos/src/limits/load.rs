//! What is asked for: payouts made from a seed.

use anyhow::Result;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use remit::dev::Organisation;
use serde_json::{Value, json};

/// Every so many payouts one does not end in the ordinary way.
const EXTRAORDINARY_EVERY: usize = 6;
/// The last two digits that decide how, see the sandbox's README: those that end within seconds.
const EXTRAORDINARY: [u64; 6] = [90, 91, 93, 95, 96, 98];
/// One payout in so many goes out on the second network.
const SECOND_NETWORK: u32 = 5;

/// A payout to be started.
#[derive(Clone, Debug)]
pub(super) struct Payout {
    /// What is compared afterwards.
    pub(super) asked: Asked,
    /// The request as a starter sends it.
    pub(super) request: Value,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The business id, which is the key too.
    pub(super) key: String,
    /// How much, in the token's smallest unit.
    pub(super) amount: u128,
    /// Nothing but the faults stands in its way.
    pub(super) must_be_paid: bool,
}

/// So many payouts, the same for the same seed.
///
/// # Errors
/// When the organisation has no wallet or token on one of the two networks.
pub(super) fn payouts(organisation: &Organisation, count: usize, seed: u64) -> Result<Vec<Payout>> {
    let mut dice = StdRng::seed_from_u64(seed);
    (0..count)
        .map(|number| {
            let network = if dice.random_range(0..SECOND_NETWORK) == 0 { "Solana" } else { "Polygon" };
            let (wallet, token) = (organisation.wallet(network)?, organisation.token(network)?);
            let ordinary = dice.random_range(0..90);
            let ending = match (number + 1) % EXTRAORDINARY_EVERY {
                0 => EXTRAORDINARY[number / EXTRAORDINARY_EVERY % EXTRAORDINARY.len()],
                _ => ordinary,
            };
            let amount = dice.random_range(1..=50_000_000_u64) * 100 + ending;
            let key = format!("chaos-{seed}-{number:04}");
            let asset = match &token.contract {
                Some(contract) => json!({"kind": token.kind, "contract": contract}),
                None => json!({"kind": token.kind, "mint": token.mint}),
            };
            let request = json!({
                "externalId": key, "walletId": wallet.id, "asset": asset, "amount": amount.to_string(),
                "program": "chaos",
                "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1",
                                "instructionsId": "pi-1", "currency": "BRL", "country": "BR",
                                "purpose": "salary payment"},
            });
            let asked = Asked { key, amount: amount.into(), must_be_paid: ending < 90 };
            Ok(Payout { asked, request })
        })
        .collect()
}
