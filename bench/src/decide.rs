//! How many payouts one core decides in a second, by the ready policies: the pure function alone, with the facts at
//! hand. What a worker adds is a transaction of the records and one reading at the provider.

use std::{hint::black_box, time::Instant};

use anyhow::{Result, anyhow};
use clap::builder::RangedU64ValueParser;
use jiff::Timestamp;
use remit_domain::{
    PayoutRequest,
    policy::{Facts, Initiator, MicroUsd, Policy, Price, RevisionId, Sum, Traits, When, decide},
};
use serde_json::json;

use crate::{
    figures::{Figures, per_second},
    machine::Machine,
};

/// Flags of `bench decide`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  bench decide
  bench decide --decisions 20000 --rounds 1

Needs no server and no other program. The policies take turns.

Exit codes: 0 measured · 1 a policy cannot be used.")]
pub struct Args {
    /// Decisions by each policy in each round
    #[arg(long, default_value_t = 200_000, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    decisions: usize,
    /// How often
    #[arg(long, default_value_t = 5, value_parser = RangedU64ValueParser::<usize>::new().range(1..=100))]
    rounds: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const POLICIES: [(&str, &str); 2] = [
    ("standard", include_str!("../../docs/policies/standard.toml")),
    ("high-volume", include_str!("../../docs/policies/high-volume.toml")),
];

/// Measures and prints.
pub fn run(args: Args) -> Result<()> {
    let Args { decisions, rounds, json } = args;
    let settings = json!({"decisions": decisions, "rounds": rounds});
    let mut figures = Figures::new("decide", Machine::here(), settings);
    let request = PayoutRequest::parse(&json!({
        "externalId": "inv-1", "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k", "amount": "1000000000",
        "program": "payroll", "asset": {"kind": "Erc20", "contract": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"},
        "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                        "currency": "BRL", "country": "BR", "purpose": "other"},
    }))?;
    let revision = RevisionId { number: 1, hash: "0".repeat(64) };
    let now: Timestamp = "2026-11-27T12:00:00Z".parse()?;
    for _ in 0..rounds {
        for (name, text) in POLICIES {
            let policy = Policy::read(text).map_err(|errors| anyhow!("policy {name} cannot be used: {errors:?}"))?;
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
            let begun = Instant::now();
            for _ in 0..decisions {
                black_box(decide(&policy, &revision, black_box(&request), black_box(&facts)));
            }
            let rate = per_second(decisions, begun.elapsed());
            let rules = decide(&policy, &revision, &request, &facts).spoke.len();
            figures.add(&format!("policy {name}, {rules} rules look"), "decisions in a second", "", rate);
        }
    }
    figures.print(json)
}
