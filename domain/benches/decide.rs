//! How many payouts one core decides in a second, by the ready policies: `cargo bench -p remit-domain --bench decide`.
//!
//! The pure function alone, with the facts at hand; what a worker adds is a transaction of the records and one reading at
//! the provider. Compare figures of one session only.

#![expect(clippy::disallowed_methods, reason = "a bench is what reads the clock")]

use std::{hint::black_box, time::Instant};

use jiff::Timestamp;
use remit_domain::{
    PayoutRequest,
    policy::{Facts, Initiator, MicroUsd, Policy, Price, RevisionId, Sum, Traits, When, decide},
};

const DECISIONS: u32 = 200_000;
const RUNS: usize = 5;

fn main() {
    let policies = [
        ("standard", include_str!("../../docs/policies/standard.toml")),
        ("high-volume", include_str!("../../docs/policies/high-volume.toml")),
    ];
    let request = PayoutRequest::parse(&serde_json::json!({
        "externalId": "inv-1", "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k", "amount": "1000000000", "program": "payroll",
        "asset": {"kind": "Erc20", "contract": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"},
        "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                        "currency": "BRL", "country": "BR", "purpose": "other"},
    }))
    .expect("a request");
    let revision = RevisionId { number: 1, hash: "0".repeat(64) };
    let now: Timestamp = "2026-11-27T12:00:00Z".parse().expect("a time");
    println!("{:<12} {:>6} {:>15} {:>15} {:>15}", "policy", "rules", "fewest/s", "median/s", "most/s");
    for (name, text) in policies {
        let policy = Policy::read(text).expect("a policy");
        let traits = Traits::of(&request, "Polygon");
        let sums = vec![Sum::default(); policy.questions(&traits).len()];
        let facts = Facts {
            now,
            when: When::Start,
            traits,
            price: Some(Price { usd: MicroUsd(1_000_000), decimals: 6, source: "bench".into(), at: now }),
            initiator: Initiator::Unsigned,
            screened: Default::default(),
            offers: vec![],
            sums,
            past: Default::default(),
        };
        let mut rates: Vec<u128> = (0..RUNS)
            .map(|_| {
                let begun = Instant::now();
                for _ in 0..DECISIONS {
                    black_box(decide(&policy, &revision, black_box(&request), black_box(&facts)));
                }
                u128::from(DECISIONS) * 1_000_000 / begun.elapsed().as_micros()
            })
            .collect();
        rates.sort_unstable();
        let rules = decide(&policy, &revision, &request, &facts).spoke.len();
        println!("{name:<12} {rules:>6} {:>15} {:>15} {:>15}", rates[0], rates[RUNS / 2], rates[RUNS - 1]);
    }
}
