//! The rules of policies on outgoing transfers, and when they trigger.

use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::answer::Refusal;
use crate::networks::{Asset, Network};
use crate::organisation::State;
use crate::transfers::{Transfer, TransferStatus};

const MINUTE_MS: i64 = 60_000;
/// 30 days.
const MOST_MINUTES: u32 = 43_200;

/// A rule for `Wallets:Sign`. Screening rules need a vendor and are not simulated.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", content = "configuration")]
pub(crate) enum Rule {
    AlwaysTrigger(Option<Nothing>),
    TransactionAmountLimit(AmountLimit),
    TransactionAmountLimitNominal(NominalLimits),
    TransactionAmountVelocity(AmountVelocity),
    TransactionCountVelocity(CountVelocity),
    TransactionRecipientWhitelist(Whitelist),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AmountLimit {
    limit: serde_json::Number,
    currency: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NominalLimits {
    assets: Vec<NominalLimit>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NominalLimit {
    network: String,
    tid: String,
    limit: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AmountVelocity {
    limit: serde_json::Number,
    currency: String,
    timeframe: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountVelocity {
    limit: u64,
    timeframe: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whitelist {
    addresses: Vec<String>,
}

/// The transfer a rule looks at.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) wallet_id: &'a str,
    pub(crate) network: Network,
    pub(crate) asset: &'a Asset,
    pub(crate) amount: u128,
    pub(crate) to: &'a str,
}

impl Rule {
    /// # Errors
    /// 400 for a limit, currency or time frame that Dfns would not take.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let currency = |text: &str| match text {
            "USD" => Ok(()),
            other => Err(Refusal::field("rule.configuration.currency", other, "USD")),
        };
        let minutes = |minutes: u32| {
            if (1..=MOST_MINUTES).contains(&minutes) {
                Ok(())
            } else {
                Err(Refusal::field("rule.configuration.timeframe", minutes, "from 1 to 43200 minutes"))
            }
        };
        match self {
            Self::AlwaysTrigger(_) | Self::TransactionRecipientWhitelist(_) => Ok(()),
            Self::TransactionAmountLimit(rule) => {
                decimal(&rule.limit)?;
                currency(&rule.currency)
            }
            Self::TransactionAmountLimitNominal(rule) => {
                if !(1..=100).contains(&rule.assets.len()) {
                    return Err(Refusal::field("rule.configuration.assets", rule.assets.len(), "1 to 100 entries"));
                }
                rule.assets.iter().try_for_each(|asset| {
                    asset.limit.parse::<u128>().map(|_| ()).map_err(|_| {
                        Refusal::field("rule.configuration.assets.limit", &asset.limit, "a whole number as text")
                    })
                })
            }
            Self::TransactionAmountVelocity(rule) => {
                decimal(&rule.limit)?;
                currency(&rule.currency)?;
                minutes(rule.timeframe)
            }
            Self::TransactionCountVelocity(rule) => minutes(rule.timeframe),
        }
    }

    /// Why the rule triggers, or `None`. What cannot be priced triggers: rules fail closed.
    pub(crate) fn triggers(&self, state: &State, transfer: &Candidate<'_>) -> Option<String> {
        match self {
            Self::AlwaysTrigger(_) => Some("Policy always triggers. ".to_owned()),
            Self::TransactionAmountLimit(rule) => {
                let limit = decimal(&rule.limit).ok()?;
                match transfer.asset.usd_value(transfer.amount) {
                    Some(value) if value <= limit => None,
                    Some(value) => {
                        let value = value.normalize();
                        Some(format!("Transfer amount (USD {value}) is above limit (USD {}). ", limit.normalize()))
                    }
                    None => Some("Transfer amount could not be valued. ".to_owned()),
                }
            }
            Self::TransactionAmountLimitNominal(rule) => {
                let limit = rule
                    .assets
                    .iter()
                    .find(|asset| asset.network == transfer.network.name && asset.tid == transfer.asset.key())?;
                (transfer.amount > limit.limit.parse().ok()?)
                    .then(|| format!("Transfer amount ({}) is above limit ({}). ", transfer.amount, limit.limit))
            }
            Self::TransactionAmountVelocity(rule) => {
                let limit = decimal(&rule.limit).ok()?;
                let earlier = recent(state, transfer.wallet_id, rule.timeframe)
                    .try_fold(Decimal::ZERO, |sum, earlier| sum.checked_add(earlier.usd_value()?));
                let total = earlier.zip(transfer.asset.usd_value(transfer.amount)).and_then(|(a, b)| a.checked_add(b));
                match total {
                    Some(total) if total <= limit => None,
                    Some(total) => Some(format!(
                        "Transferred amount (USD {}) within {} minutes is above limit (USD {}). ",
                        total.normalize(),
                        rule.timeframe,
                        limit.normalize()
                    )),
                    None => Some("Transferred amount could not be valued. ".to_owned()),
                }
            }
            Self::TransactionCountVelocity(rule) => {
                let count = recent(state, transfer.wallet_id, rule.timeframe).count() as u64 + 1;
                (count > rule.limit).then(|| {
                    format!(
                        "Transfer count ({count}) within {} minutes is above limit ({}). ",
                        rule.timeframe, rule.limit
                    )
                })
            }
            Self::TransactionRecipientWhitelist(rule) => {
                let known = rule.addresses.iter().any(|address| transfer.network.same_address(address, transfer.to));
                (!known).then(|| format!("Recipient {} is not whitelisted. ", transfer.to))
            }
        }
    }
}

/// The wallet's transfers inside the sliding window that were not stopped.
fn recent<'a>(state: &'a State, wallet_id: &'a str, minutes: u32) -> impl Iterator<Item = &'a Transfer> {
    let since = state.clock.now_ms() - i64::from(minutes) * MINUTE_MS;
    state.transfers.newest_first().take_while(move |transfer| transfer.requested_ms > since).filter(move |transfer| {
        transfer.wire.wallet_id == wallet_id
            && !matches!(transfer.wire.status, TransferStatus::Rejected | TransferStatus::Failed)
    })
}

fn decimal(number: &serde_json::Number) -> Result<Decimal, Refusal> {
    let text = number.to_string();
    Decimal::from_str(&text)
        .or_else(|_| Decimal::from_scientific(&text))
        .map_err(|_| Refusal::field("rule.configuration.limit", text, "a number that is not too large"))
}
