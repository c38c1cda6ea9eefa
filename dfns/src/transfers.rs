//! Transfers: tokens from a wallet to an address. `/wallets/{id}/transfers…`
//!
//! Sources: Dfns docs and OpenAPI 2.0.155; `@dfns/sdk` 0.8.21.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Method;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Dfns, Page, PageQuery, Query, segment};
use crate::error::Error;
use crate::open::open_enum;
use crate::payouts::Requester;
use crate::wire;

impl Dfns {
    /// Creates a transfer from exactly these bytes, made by [`CreateTransfer::to_bytes`].
    /// `POST /wallets/{id}/transfers`
    ///
    /// Same wallet, body and `externalId`: the existing transfer comes back, also when it is dead.
    /// Same `externalId`, other body or wallet: 409 with [`crate::Refusal::duplicate`]. A policy that
    /// wants approval is no error: the transfer comes back `Pending`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_transfer(&self, wallet: &str, body: Bytes) -> Result<Transfer, Error> {
        self.write(Method::POST, &path(wallet)?, Some(body)).await?.value()
    }

    /// One transfer as it stands. `GET /wallets/{id}/transfers/{id}`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn transfer(&self, wallet: &str, id: &str) -> Result<Transfer, Error> {
        let path = format!("{}/{}", path(wallet)?, segment("transfer id", id)?);
        self.get(&path, Query::new()).await?.value()
    }

    /// Transfers of a wallet, one page (1–500, default 50) at a time; there are no filters.
    /// `GET /wallets/{id}/transfers`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn transfers(&self, wallet: &str, page: &PageQuery) -> Result<Page<Transfer>, Error> {
        self.get(&path(wallet)?, page.pairs()).await?.value()
    }
}

fn path(wallet: &str) -> Result<String, Error> {
    Ok(format!("/wallets/{}/transfers", segment("wallet id", wallet)?))
}

/// The body of a create, for the kinds that pay. The wallet decides the network; Dfns manages nonce
/// and gas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum CreateTransfer {
    /// The network's own coin.
    Native {
        /// Recipient.
        to: String,
        /// Digits, in the smallest unit.
        amount: String,
        /// How much to pay for speed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        priority: Option<Priority>,
        /// Key that makes a repeat harmless, 1–50 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        external_id: Option<String>,
    },
    /// A token on an EVM network.
    Erc20 {
        /// Contract address.
        contract: String,
        /// Recipient, `0x` and 40 hex digits.
        to: String,
        /// Digits, in the smallest unit.
        amount: String,
        /// How much to pay for speed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        priority: Option<Priority>,
        /// Who pays the gas (`fs-…`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fee_sponsor_id: Option<String>,
        /// Key that makes a repeat harmless, 1–50 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        external_id: Option<String>,
    },
    /// A token on Solana.
    Spl {
        /// Mint address.
        mint: String,
        /// Recipient.
        to: String,
        /// Digits, in the smallest unit.
        amount: String,
        /// Make the recipient's token account where it is missing; without it such a transfer fails.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        create_destination_account: Option<bool>,
        /// Key that makes a repeat harmless, 1–50 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        external_id: Option<String>,
    },
    /// A token on Solana under the 2022 program.
    Spl2022 {
        /// Mint address.
        mint: String,
        /// Recipient.
        to: String,
        /// Digits, in the smallest unit.
        amount: String,
        /// Make the recipient's token account where it is missing; without it such a transfer fails.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        create_destination_account: Option<bool>,
        /// Key that makes a repeat harmless, 1–50 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        external_id: Option<String>,
    },
}

impl CreateTransfer {
    /// The bytes to store, then to send; built once and never again from other data.
    pub fn to_bytes(&self) -> Bytes {
        wire::to_bytes(self)
    }
}

/// A transfer as Dfns shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transfer {
    /// `xfr-…`
    pub id: String,
    /// Wallet that pays.
    pub wallet_id: String,
    /// Network, an open word such as `Polygon`.
    pub network: String,
    /// Where it stands.
    pub status: TransferStatus,
    /// Who asked for it.
    #[serde(default)]
    pub requester: Option<Requester>,
    /// The request as accepted.
    pub request_body: TransferBody,
    /// The asset and its price when asked.
    #[serde(default)]
    pub metadata: TransferMetadata,
    /// Why it was rejected or failed.
    #[serde(default)]
    pub reason: Option<String>,
    /// Hash on chain. A `Failed` transfer with one failed on chain, without one before.
    #[serde(default)]
    pub tx_hash: Option<String>,
    /// Fee paid, digits, in the smallest unit of the network's coin.
    #[serde(default, deserialize_with = "wire::read_text")]
    pub fee: Option<String>,
    /// When it was asked for.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_requested: Option<Timestamp>,
    /// When the policies were done with it.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_policy_resolved: Option<Timestamp>,
    /// When it was broadcast.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_broadcasted: Option<Timestamp>,
    /// When it was confirmed on chain.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_confirmed: Option<Timestamp>,
    /// `ap-…`, when a policy asked for approval. May appear after the create has answered.
    #[serde(default)]
    pub approval_id: Option<String>,
    /// The key of the create.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Who pays the gas.
    #[serde(default)]
    pub fee_sponsor_id: Option<String>,
    /// The transaction that cancels or speeds this one up.
    #[serde(default)]
    pub replacement_id: Option<String>,
    /// Chain-specific facts, such as the nonce.
    #[serde(default)]
    pub details: Option<Value>,
}

/// The request inside a transfer; fields that its kind does not have are `None`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransferBody {
    /// Which kind of token.
    pub kind: AssetKind,
    /// Recipient.
    #[serde(default)]
    pub to: Option<String>,
    /// Digits, in the smallest unit.
    #[serde(default)]
    pub amount: Option<String>,
    /// Contract address, for EVM tokens.
    #[serde(default)]
    pub contract: Option<String>,
    /// Mint address, for Solana tokens.
    #[serde(default)]
    pub mint: Option<String>,
    /// The key of the create.
    #[serde(default)]
    pub external_id: Option<String>,
}

/// What Dfns knew about the asset when the transfer was asked for.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct TransferMetadata {
    /// The asset.
    #[serde(default)]
    pub asset: TransferAsset,
}

/// The asset of a transfer and its price.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct TransferAsset {
    /// Such as `USDC`. Never identifies a token.
    #[serde(default)]
    pub symbol: Option<String>,
    /// Decimal places of the smallest unit.
    #[serde(default)]
    pub decimals: Option<u32>,
    /// Whether Dfns regards the token as genuine.
    #[serde(default)]
    pub verified: Option<bool>,
    /// Price of one whole token by currency code.
    #[serde(default, deserialize_with = "wire::read_decimals")]
    pub quotes: BTreeMap<String, Decimal>,
}

open_enum! {
    /// Where a transfer stands.
    TransferStatus {
        /// Waiting for an approval that a policy asks for.
        Pending = "Pending",
        /// Being built, signed and sent.
        Executing = "Executing",
        /// In the mempool. On some networks the last status there is.
        Broadcasted = "Broadcasted",
        Confirmed = "Confirmed",
        Failed = "Failed",
        /// Blocked by a policy, or its approval denied or expired.
        Rejected = "Rejected",
    }
}

open_enum! {
    /// Which kind of token, in transfers, payouts and balances.
    AssetKind {
        Native = "Native",
        Erc20 = "Erc20",
        Erc721 = "Erc721",
        Erc7984 = "Erc7984",
        Spl = "Spl",
        Spl2022 = "Spl2022",
        Trc10 = "Trc10",
        Trc20 = "Trc20",
        Trc721 = "Trc721",
    }
}

open_enum! {
    /// How much to pay for speed; EVM and Bitcoin only.
    Priority {
        Slow = "Slow",
        Standard = "Standard",
        Fast = "Fast",
    }
}
