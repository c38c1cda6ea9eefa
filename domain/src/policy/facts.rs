//! What a decision looks at beside the request: the payout's traits, its worth, what was paid before.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Destination, Offer, PayoutRequest};

/// What rules filter and count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Dimension {
    /// The network of the paying wallet.
    Chain,
    /// The token, by its label: `Erc20:0x3c49…`.
    Asset,
    /// The caller's program; empty when it names none.
    Program,
    /// Who gets the money: `Borderless/acc-1/pi-1`.
    Counterparty,
    /// The paying wallet.
    Wallet,
    /// Where the bank is.
    Country,
    /// What the bank pays out.
    Currency,
    /// Why the money is sent.
    Purpose,
    /// How it was asked for: `api`, `file`, `schedule`.
    Source,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Chain,
        Self::Asset,
        Self::Program,
        Self::Counterparty,
        Self::Wallet,
        Self::Country,
        Self::Currency,
        Self::Purpose,
        Self::Source,
    ];

    /// The name of its column and of its field in a policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Asset => "asset",
            Self::Program => "program",
            Self::Counterparty => "counterparty",
            Self::Wallet => "wallet",
            Self::Country => "country",
            Self::Currency => "currency",
            Self::Purpose => "purpose",
            Self::Source => "source",
        }
    }
}

/// A payout in every dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traits(pub BTreeMap<Dimension, String>);

impl Traits {
    /// Those of a request whose wallet is on this network.
    pub fn of(request: &PayoutRequest, chain: &str) -> Self {
        let Destination::Bank(bank) = &request.destination;
        let parts = [&bank.provider, &bank.account_id, &bank.instructions_id];
        // An id with a slash in it must not read like two others.
        let counterparty = parts.map(|part| part.replace('%', "%25").replace('/', "%2F")).join("/");
        let program = request.program.as_ref().map(|program| program.as_str()).unwrap_or_default();
        Self(BTreeMap::from([
            (Dimension::Chain, chain.to_owned()),
            (Dimension::Asset, request.asset.label()),
            (Dimension::Program, program.to_owned()),
            (Dimension::Counterparty, counterparty),
            (Dimension::Wallet, request.wallet_id.as_str().to_owned()),
            (Dimension::Country, bank.country.clone()),
            (Dimension::Currency, bank.currency.clone()),
            (Dimension::Purpose, bank.purpose.as_str().to_owned()),
            (Dimension::Source, request.source.as_str().to_owned()),
        ]))
    }

    /// In this dimension.
    pub fn get(&self, dimension: Dimension) -> &str {
        self.0.get(&dimension).map(String::as_str).unwrap_or_default()
    }
}

/// US dollars in millionths, always rounded up: what limits count in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUsd(pub u64);

/// In words: `12,000.50 USD`, cents rounded up.
impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.0.div_ceil(10_000);
        let (whole, cents) = ((cents / 100).to_string(), cents % 100);
        let mut grouped = String::new();
        for (n, digit) in whole.chars().enumerate() {
            if n > 0 && (whole.len() - n).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        write!(f, "{grouped}.{cents:02} USD")
    }
}

/// What one whole token is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// Worth of one whole token, rounded up.
    pub usd: MicroUsd,
    /// How many digits of the amount stand after the token's decimal point.
    pub decimals: u8,
    /// Who says so, such as `dfns wallet assets`.
    pub source: String,
    /// When it was read, by the clock of the records.
    pub at: Timestamp,
}

/// Who asked for the payout, as far as it is proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Initiator {
    /// A starter registered in the policy has signed it.
    Starter {
        /// Its name in the policy.
        name: String,
    },
    /// Nobody signed it.
    Unsigned,
    /// It carries a signature that proves nothing.
    Unproven {
        /// What is wrong with it.
        why: String,
    },
}

impl Initiator {
    /// The starter's name, or that nobody has proven to be one.
    pub fn name(&self) -> &str {
        match self {
            Self::Starter { name } => name,
            Self::Unsigned | Self::Unproven { .. } => "unsigned",
        }
    }
}

/// What screening found. That no list answered is no finding: then nothing is decided yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Screened {
    /// The lists that were asked, with their versions: evidence.
    pub lists: Vec<String>,
    /// What matched, in words. Empty: clear.
    pub hits: Vec<String>,
}

/// Something that a rule needs to know of what was paid before: the payouts that match in these dimensions and count in
/// this window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// In each of these dimensions one of these values. None: all payouts.
    pub of: BTreeMap<Dimension, BTreeSet<String>>,
    /// How far back what was spent counts, in seconds. An open reservation counts however old it is.
    pub window_seconds: u32,
}

/// The answer to a [`Question`], without the payout that is being decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sum {
    /// What they are worth together, in millionths of a US dollar.
    pub usd: u128,
    /// How many they are.
    pub count: u64,
    /// How many of them have no known worth: while there is one, no limit of an amount can be said to hold.
    pub unpriced: u64,
}

/// What was paid before to the same counterparty and in the same program: what anomalies and new beneficiaries are told
/// by. Counts only payouts that hold or have spent money, never the one being decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// When money first went to this counterparty (its first Confirm).
    pub first_paid: Option<Timestamp>,
    /// What went to this counterparty so far.
    pub to_counterparty: Stats,
    /// What this program paid in the last 90 days.
    pub by_program: Stats,
    /// How many of those were asked for within an hour of this time of day (UTC), either side.
    pub by_program_at_this_hour: u64,
    /// How many payouts this program asked for in the last ten minutes.
    pub by_program_just_now: u64,
    /// Whether money ever went to this country in this currency.
    pub corridor_used: bool,
    /// Keys of payouts of the last day to the same counterparty with the same asset and amount; at most ten.
    pub same_within_a_day: Vec<String>,
    /// What the payouts of the last seven days to this counterparty are worth; at most a hundred, newest first.
    pub lately_to_counterparty: Vec<MicroUsd>,
}

/// How many payouts, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// How many.
    pub count: u64,
    /// What they are worth together, in millionths of a US dollar.
    pub usd: u128,
    /// What the largest is worth.
    pub largest: MicroUsd,
}

/// When a decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// Before anything is created.
    Start,
    /// Just before Confirm.
    BeforeConfirm,
}

/// Everything a decision looks at beside the policy and the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Now, by the clock of the records.
    pub now: Timestamp,
    /// Which of the two decisions it is.
    pub when: When,
    /// The payout in every dimension.
    pub traits: Traits,
    /// What the token is worth; none when nobody says.
    pub price: Option<Price>,
    /// Who asked.
    pub initiator: Initiator,
    /// What screening found.
    pub screened: Screened,
    /// The offers of a quote; empty before one was asked for, or where nothing is offered. All have to keep a limit:
    /// none says which of them will be taken.
    pub offers: Vec<Offer>,
    /// The answers to the policy's questions, in their order.
    pub sums: Vec<Sum>,
    /// What was paid before.
    pub past: Past,
}
