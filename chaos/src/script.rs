//! What a run is to be, made from its seed alone: the payouts, what each meets on its way, and how each may end.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::people::{self, PEOPLE, STARTER};

/// What happens to a payout beside the faults: how the other side ends it, and what people do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Script {
    /// Nothing stands in its way.
    Pays,
    /// The provider says a word for a while that nobody documents.
    UnderReview,
    /// The quote has no offers; it is paid all the same.
    NoOffers,
    /// The bank refuses after the deposit.
    BankRefuses,
    /// The provider fails before it gives instructions.
    FailsEarly,
    /// The transfer fails on chain.
    FailsOnChain,
    /// Called off while it waits for instructions.
    CalledOff,
    /// Called off at the moment at which it is confirmed.
    CalledOffAtConfirm,
    /// Held back, then released by a signed order.
    HeldReleased,
    /// Held back, then called off.
    HeldCalledOff,
    /// Our policy asks for an approval, which is given.
    Approved,
    /// Our policy asks for an approval, which is denied.
    Denied,
    /// Our policy asks for an approval, and nobody answers.
    Unanswered,
    /// Our policy forbids it.
    Forbidden,
    /// Our policy forbids it from the middle of the run on.
    ForbiddenLater,
    /// Races with others for a window of our policy that does not hold them all.
    Capped,
    /// A policy at the provider holds the transfer, and a person there lets it go.
    ProviderApproves,
    /// The same, and the person denies it.
    ProviderDenies,
    /// A policy at the provider blocks the transfer.
    ProviderBlocks,
    /// The deposit address changes at the last moment; a person lets it be checked again. Where the gate had been taken for
    /// the old one, it can only be called off at the provider.
    AddressChangesGoOn,
    /// The same; a person gives it up.
    AddressChangesGivenUp,
    /// Called off, then tried again and paid.
    SecondAttempt,
    /// Failed at the provider, tried again, and failed again.
    SecondAttemptFails,
    /// A create whose answer is lost, and the next one is told that the key is taken.
    KeyTaken,
}

/// One kind: how many of a thousand, the last two digits of its amount (see the sandbox's README; none: any that go
/// well), how each attempt may end, and the program that it belongs to.
struct Kind {
    script: Script,
    weight: u32,
    digits: Option<u64>,
    may_end: &'static [&'static [&'static str]],
    program: &'static str,
}

const PAID: &str = "Completed/paid";
const CANCELED: &str = "Canceled/untouched";
const FAILED: &str = "Failed/untouched";

const fn kind(
    script: Script,
    weight: u32,
    digits: Option<u64>,
    may_end: &'static [&'static [&'static str]],
    program: &'static str,
) -> Kind {
    Kind { script, weight, digits, may_end, program }
}

/// Rare pairs have to meet in two hundred payouts too, so that no kind is rare.
const KINDS: [Kind; 24] = [
    kind(Script::Pays, 280, None, &[&[PAID]], "usual"),
    kind(Script::UnderReview, 20, Some(98), &[&[PAID]], "usual"),
    kind(Script::NoOffers, 15, Some(96), &[&[PAID]], "usual"),
    kind(Script::BankRefuses, 40, Some(90), &[&["Failed/withProvider"]], "usual"),
    kind(Script::FailsEarly, 30, Some(91), &[&[FAILED]], "usual"),
    kind(Script::FailsOnChain, 30, Some(93), &[&[FAILED]], "usual"),
    kind(Script::CalledOff, 40, Some(99), &[&[CANCELED]], "usual"),
    kind(Script::CalledOffAtConfirm, 70, None, &[&[PAID, CANCELED]], "usual"),
    kind(Script::HeldReleased, 30, Some(99), &[&[PAID]], "usual"),
    kind(Script::HeldCalledOff, 20, Some(99), &[&[CANCELED]], "usual"),
    kind(Script::Approved, 60, None, &[&[PAID]], "large"),
    kind(Script::Denied, 30, None, &[&["Denied/untouched"]], "large"),
    kind(Script::Unanswered, 10, None, &[&["Denied/untouched"]], "unanswered"),
    kind(Script::Forbidden, 20, None, &[&["Blocked/untouched"]], "forbidden"),
    kind(Script::ForbiddenLater, 30, None, &[&[PAID, "Blocked/untouched"]], "forbidden-later"),
    kind(Script::Capped, 80, None, &[&[PAID, "Blocked/untouched"]], "capped"),
    kind(Script::ProviderApproves, 80, None, &[&[PAID]], "usual"),
    kind(Script::ProviderDenies, 30, None, &[&["Rejected/untouched"]], "usual"),
    kind(Script::ProviderBlocks, 15, None, &[&["Rejected/untouched"]], "usual"),
    kind(Script::AddressChangesGoOn, 20, None, &[&[PAID, CANCELED]], "usual"),
    kind(Script::AddressChangesGivenUp, 15, None, &[&[CANCELED, PAID]], "usual"),
    kind(Script::SecondAttempt, 30, Some(99), &[&[CANCELED], &[PAID]], "usual"),
    kind(Script::SecondAttemptFails, 15, Some(91), &[&[FAILED], &[FAILED]], "usual"),
    kind(Script::KeyTaken, 15, None, &[&[PAID]], "usual"),
];

/// Of what races for the capped window, so much fits, in percent.
const FITS: u128 = 40;
/// One payout in so many goes out on the second network.
const SECOND_NETWORK: u32 = 6;
/// One in so many is started by both starters at the same time, and one in so many again with another body.
const RACED: u32 = 3;
const CONFLICTING: u32 = 5;
/// How much of the time of the kills payouts are started in, in percent: the last kills meet payouts too.
const FED_FOR: u64 = 92;

/// A payout that is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payout {
    /// The business id, which is the key too.
    pub key: String,
    /// What happens to it.
    pub script: Script,
    /// How each attempt may end: `Ending/money`.
    pub may_end: Vec<Vec<String>>,
    /// Which window of the policy it counts in, if in one that binds.
    pub program: String,
    /// The request as a starter sends it, unsigned.
    pub request: Value,
    /// When it is started, in milliseconds from the beginning.
    pub at_ms: u64,
    /// Both starters start it at the same time.
    pub raced: bool,
    /// It is started again with another body, which has to be refused.
    pub conflicting: bool,
    /// Faults that are aimed at it.
    pub faults: Vec<Value>,
}

/// A run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// What it was made from.
    pub seed: u64,
    /// How many processes are killed.
    pub kills: usize,
    /// How long the kills take, in milliseconds.
    pub lasts_ms: u64,
    /// How far the provider's clock is off, in milliseconds.
    pub clock_offset_ms: i64,
    /// What the capped window holds, in whole US dollars.
    pub capped_usd: u128,
    /// The payouts, in the order of their start.
    pub payouts: Vec<Payout>,
}

/// The wallets that payouts go out from.
#[derive(Clone, Debug)]
pub struct Wallets {
    /// By name: `polygon`, `solana`, `held` and `shut`, each with its id and the token as a request names it.
    pub by_name: BTreeMap<&'static str, (String, Value)>,
}

impl Plan {
    /// The same for the same seed and wallets.
    ///
    /// # Errors
    /// When a wallet is missing.
    pub fn new(seed: u64, count: usize, kills: usize, wallets: &Wallets) -> Result<Self> {
        let mut dice = StdRng::seed_from_u64(seed);
        // Busy machines start some two processes a second; payouts arrive no faster than they can be looked at.
        let lasts_ms = (kills as u64 * 2_500).max(count as u64 * 500).max(10_000);
        let mut scripts = scripts(count);
        scripts.shuffle(&mut dice);
        let mut payouts = vec![];
        for (number, kind) in scripts.into_iter().enumerate() {
            let at_ms = lasts_ms * FED_FOR / 100 * number as u64 / count.max(1) as u64;
            payouts.push(payout(&mut dice, seed, number, kind, at_ms, wallets)?);
        }
        let capped: u128 = payouts.iter().filter(|it| it.script == Script::Capped).map(amount).sum();
        let clock_offset_ms = Self::clock_offset_ms(seed);
        Ok(Self {
            seed,
            kills,
            lasts_ms,
            clock_offset_ms,
            capped_usd: (capped * FITS / 100 / 1_000_000).max(1),
            payouts,
        })
    }

    /// How far the provider's clock is off by this seed: up to five minutes, either way.
    pub fn clock_offset_ms(seed: u64) -> i64 {
        StdRng::seed_from_u64(seed ^ 0x000c_10c4).random_range(-300_000..=300_000)
    }

    /// The policy: `revision` 1 begins, 2 says the same, from 3 on one more program is forbidden.
    ///
    /// # Errors
    /// When a key cannot be made.
    pub fn policy(&self, revision: u32) -> Result<String> {
        let [ana, ben] = PEOPLE;
        let (starter, first, second) = (people::public(STARTER)?, people::public(ana)?, people::public(ben)?);
        let later = if revision >= 3 { "\"forbidden\", \"forbidden-later\"" } else { "\"forbidden\"" };
        Ok(format!(
            r#"name = "chaos-{revision}"

[starters.{STARTER}]
key = "{starter}"
programs = ["*"]

[people.{ana}]
key = "{first}"
[people.{ben}]
key = "{second}"
[groups.treasury]
people = ["{ana}", "{ben}"]
[orders]
groups = ["treasury"]

[[rule]]
name = "everything"
kind = "TransactionAmountLimit"
limit = "1000000 USD"
action = "Block"

[[rule]]
name = "capped"
filter.program = ["capped"]
kind = "TransactionAmountVelocity"
limit = "{} USD"
window = "24h"
action = "Block"

[[rule]]
name = "large"
filter.program = ["large"]
kind = "AlwaysTrigger"
action = "RequestApproval"
approvals = [{{ group = "treasury", quorum = 1 }}]
timeout = "4h"

[[rule]]
name = "unanswered"
filter.program = ["unanswered"]
kind = "AlwaysTrigger"
action = "RequestApproval"
approvals = [{{ group = "treasury", quorum = 1 }}]
timeout = "1m"

[[rule]]
name = "forbidden"
filter.program = [{later}]
kind = "AlwaysTrigger"
action = "Block"
"#,
            self.capped_usd
        ))
    }
}

/// Every kind at least once, the rest by weight.
fn scripts(count: usize) -> Vec<&'static Kind> {
    let total: u32 = KINDS.iter().map(|kind| kind.weight).sum();
    let mut all: Vec<&Kind> = KINDS.iter().take(count).collect();
    for kind in &KINDS {
        let share = count as u64 * u64::from(kind.weight) / u64::from(total);
        all.extend(std::iter::repeat_n(kind, (share as usize).saturating_sub(1)));
    }
    all.extend(std::iter::repeat_n(&KINDS[0], count.saturating_sub(all.len())));
    all.truncate(count);
    all
}

fn payout(dice: &mut StdRng, seed: u64, number: usize, kind: &Kind, at_ms: u64, wallets: &Wallets) -> Result<Payout> {
    let second = dice.random_range(0..SECOND_NETWORK) == 0;
    let wallet = if [Script::ProviderApproves, Script::ProviderDenies].contains(&kind.script) {
        "held"
    } else if kind.script == Script::ProviderBlocks {
        "shut"
    } else if second && kind.script != Script::Capped {
        "solana"
    } else {
        "polygon"
    };
    let (wallet, asset) = wallets.by_name.get(wallet).with_context(|| format!("there is no wallet {wallet}"))?;
    let digits = kind.digits.unwrap_or_else(|| dice.random_range(0..90));
    let amount = dice.random_range(1..=20_000_000_u64) * 100 + digits;
    let key = format!("c{seed}-{number:04}");
    let request = json!({
        "externalId": key, "walletId": wallet, "asset": asset, "amount": amount.to_string(), "program": kind.program,
        "destination": {"kind": "Bank", "provider": "Borderless", "accountId": format!("acc-{}", number % 7),
                        "instructionsId": format!("pi-{}", number % 7), "currency": "BRL", "country": "BR",
                        "purpose": "salary payment"},
    });
    let faults = faults(dice, kind.script, &key);
    let may_end = kind.may_end.iter().map(|ends| ends.iter().map(|end| (*end).to_owned()).collect()).collect();
    Ok(Payout {
        key,
        script: kind.script,
        may_end,
        program: kind.program.to_owned(),
        request,
        at_ms,
        raced: dice.random_range(0..RACED) == 0,
        conflicting: dice.random_range(0..CONFLICTING) == 0,
        faults,
    })
}

const CONFIRM: &str = "POST /payouts/*/action";
const CREATE: &str = "POST /payouts";

/// What is aimed at one payout. Slow answers keep it for seconds in a state that otherwise lasts milliseconds, so that
/// kills meet it there.
fn faults(dice: &mut StdRng, script: Script, key: &str) -> Vec<Value> {
    let mut all = vec![];
    if [Script::AddressChangesGoOn, Script::AddressChangesGivenUp].contains(&script) {
        all.push(json!({"kind": "addressChangesAtConfirm", "externalId": key}));
    }
    if script == Script::KeyTaken {
        all.push(json!({"kind": "cutConnection", "when": "afterEffect", "on": CREATE, "externalId": key}));
        all.push(json!({"kind": "status", "status": 409, "on": CREATE, "externalId": key, "after": 1}));
    }
    let slow = dice.random_range(2_500..=7_000);
    all.extend(match dice.random_range(0..100) {
        0..14 => Some(json!({"kind": "slow", "when": "afterEffect", "ms": slow, "on": CONFIRM, "externalId": key})),
        14..20 => Some(json!({"kind": "slow", "when": "beforeEffect", "ms": slow, "on": CONFIRM, "externalId": key})),
        20..32 => Some(json!({"kind": "slow", "when": "afterEffect", "ms": slow, "on": CREATE, "externalId": key})),
        32..38 => Some(json!({"kind": "slow", "when": "beforeEffect", "ms": slow, "on": CREATE, "externalId": key})),
        38..44 => Some(json!({"kind": "cutConnection", "when": "afterEffect", "on": CONFIRM, "externalId": key})),
        44..50 => Some(json!({"kind": "cutConnection", "when": "afterEffect", "on": CREATE, "externalId": key})),
        50..53 => Some(json!({"kind": "emptyBody", "on": CONFIRM, "externalId": key})),
        53..56 => Some(json!({"kind": "wrongAddressInWebhook", "externalId": key})),
        56..60 => Some(json!({"kind": "readsLag", "ms": 3_000, "times": 4, "externalId": key})),
        60..64 => Some(json!({"kind": "loseWebhook", "externalId": key, "times": 9})),
        _otherwise => None,
    });
    all
}

/// How long the provider takes to answer the Confirm of a payout that a slow answer is aimed at, in milliseconds.
pub(crate) fn slow_confirm_ms(payout: &Payout) -> Option<u64> {
    let aimed = payout.faults.iter().find(|fault| fault["kind"] == "slow" && fault["on"] == CONFIRM);
    aimed.and_then(|fault| fault["ms"].as_u64())
}

/// How much it is of its token.
pub(crate) fn amount(payout: &Payout) -> u128 {
    payout.request["amount"].as_str().and_then(|amount| amount.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn wallets() -> Wallets {
        let token = json!({"kind": "Erc20", "contract": "0x1"});
        let names = ["polygon", "solana", "held", "shut"];
        Wallets { by_name: names.map(|name| (name, (format!("wa-{name}"), token.clone()))).into() }
    }

    #[test]
    fn a_seed_decides_everything() {
        let plan = |seed| serde_json::to_value(Plan::new(seed, 100, 20, &wallets()).expect("a plan")).expect("JSON");
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn small_runs_have_every_kind_too() {
        let plan = Plan::new(1, 60, 10, &wallets()).expect("a plan");
        let kinds: BTreeSet<Script> = plan.payouts.iter().map(|payout| payout.script).collect();
        assert_eq!((plan.payouts.len(), kinds.len()), (60, KINDS.len()));
    }

    #[test]
    fn the_capped_window_binds() {
        let plan = Plan::new(3, 200, 40, &wallets()).expect("a plan");
        let capped: Vec<u128> = plan.payouts.iter().filter(|it| it.script == Script::Capped).map(amount).collect();
        let sum: u128 = capped.iter().sum();
        assert!(capped.len() > 5 && plan.capped_usd * 1_000_000 < sum, "{capped:?} {}", plan.capped_usd);
    }
}
