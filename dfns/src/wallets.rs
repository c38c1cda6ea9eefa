//! Wallets, what they hold and what moved through them. `/wallets…`
//!
//! Sources: Dfns docs and OpenAPI 2.0.155; `@dfns/sdk` 0.8.21.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;

use crate::client::{Dfns, Page, PageQuery, Query, segment};
use crate::error::Error;
use crate::open::open_enum;
use crate::transfers::AssetKind;
use crate::wire;

impl Dfns {
    /// One wallet. `GET /wallets/{id}`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn wallet(&self, id: &str) -> Result<Wallet, Error> {
        self.get(&path(id, "")?, Query::new()).await?.value()
    }

    /// Wallets, one page at a time. `GET /wallets`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn wallets(&self, page: &PageQuery) -> Result<Page<Wallet>, Error> {
        self.get("/wallets", page.pairs()).await?.value()
    }

    /// What a wallet holds, with its worth. `GET /wallets/{id}/assets?netWorth=true`
    ///
    /// From Dfns's indexer, seconds to minutes behind, and without regard to what is under way.
    /// An asset that is missing counts as zero.
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn wallet_assets(&self, id: &str) -> Result<WalletAssets, Error> {
        self.get(&path(id, "/assets")?, vec![("netWorth", "true".to_owned())]).await?.value()
    }

    /// Confirmed movements of a wallet, one page at a time. `GET /wallets/{id}/history`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn wallet_history(&self, id: &str, query: &ListHistory) -> Result<Page<HistoryItem>, Error> {
        self.get(&path(id, "/history")?, query.pairs()).await?.value()
    }
}

fn path(wallet: &str, rest: &str) -> Result<String, Error> {
    Ok(format!("/wallets/{}{rest}", segment("wallet id", wallet)?))
}

/// A wallet as Dfns shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wallet {
    /// `wa-…`
    pub id: String,
    /// Network, an open word such as `Polygon`.
    pub network: String,
    /// Address on it; absent until the wallet is activated on some networks.
    #[serde(default)]
    pub address: Option<String>,
    /// Whether it may be used.
    pub status: WalletStatus,
    /// The key that signs for it.
    #[serde(default)]
    pub signing_key: Option<SigningKey>,
    /// When it was made.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_created: Option<Timestamp>,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether the organisation owns it (a delegated wallet is an end user's and bypasses policies).
    #[serde(default)]
    pub custodial: Option<bool>,
    /// The key of its create.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Tags; policies may select by them.
    #[serde(default, deserialize_with = "wire::read_list")]
    pub tags: Vec<String>,
}

/// The key behind a wallet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    /// `key-…`
    pub id: String,
    /// Such as `ECDSA`, an open word.
    #[serde(default)]
    pub scheme: Option<String>,
    /// Such as `secp256k1`, an open word.
    #[serde(default)]
    pub curve: Option<String>,
    /// Public key, as Dfns prints it.
    #[serde(default)]
    pub public_key: Option<String>,
}

/// What a wallet holds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WalletAssets {
    /// Which wallet.
    pub wallet_id: String,
    /// Network, an open word.
    pub network: String,
    /// One entry per token.
    #[serde(default, deserialize_with = "wire::read_list")]
    pub assets: Vec<WalletAsset>,
    /// What it is worth in all.
    #[serde(default)]
    pub net_worth: Option<NetWorth>,
}

/// One token in a wallet.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct WalletAsset {
    /// Which kind of token.
    pub kind: AssetKind,
    /// Digits, in the smallest unit.
    pub balance: String,
    /// Contract address, for EVM tokens and their like.
    #[serde(default)]
    pub contract: Option<String>,
    /// Mint address, for Solana tokens.
    #[serde(default)]
    pub mint: Option<String>,
    /// Such as `USDC`. Never identifies a token: match by contract or mint.
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

/// What a wallet is worth.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct NetWorth {
    /// Worth by currency code.
    #[serde(deserialize_with = "wire::read_decimals")]
    pub by_currency: BTreeMap<String, Decimal>,
}

/// Which movements to list.
#[derive(Debug, Clone, Default)]
pub struct ListHistory {
    /// Which page.
    pub page: PageQuery,
    /// Only in or only out.
    pub direction: Option<Direction>,
    /// Only of this kind, an open word such as `Erc20Transfer`.
    pub kind: Option<String>,
    /// Only of this contract.
    pub contract: Option<String>,
}

impl ListHistory {
    fn pairs(&self) -> Query {
        let mut pairs = self.page.pairs();
        pairs.extend(self.direction.iter().map(|d| ("direction", d.to_string())));
        pairs.extend(self.kind.clone().map(|k| ("kind", k)));
        pairs.extend(self.contract.clone().map(|c| ("contract", c)));
        pairs
    }
}

/// A movement that is on chain. Carries neither transfer id nor external id: join by `tx_hash`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryItem {
    /// Which wallet.
    pub wallet_id: String,
    /// In or out.
    pub direction: Direction,
    /// Network, an open word.
    pub network: String,
    /// An open word such as `Erc20Transfer`.
    pub kind: String,
    /// Hash of the transaction.
    pub tx_hash: String,
    /// Place within the transaction.
    #[serde(default, deserialize_with = "wire::read_text")]
    pub index: Option<String>,
    /// Block it is in.
    #[serde(default, deserialize_with = "wire::read_text")]
    pub block_number: Option<String>,
    /// When the block was made.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub timestamp: Option<Timestamp>,
    /// Contract address, for EVM tokens.
    #[serde(default)]
    pub contract: Option<String>,
    /// Mint address, for Solana tokens.
    #[serde(default)]
    pub mint: Option<String>,
    /// Sender.
    #[serde(default)]
    pub from: Option<String>,
    /// Recipient.
    #[serde(default)]
    pub to: Option<String>,
    /// Digits, in the smallest unit.
    #[serde(default, deserialize_with = "wire::read_text")]
    pub value: Option<String>,
    /// Digits, in the smallest unit of the network's coin.
    #[serde(default, deserialize_with = "wire::read_text")]
    pub fee: Option<String>,
    /// What Dfns knew about asset and fee.
    #[serde(default)]
    pub metadata: Option<Value>,
}

open_enum! {
    /// Whether a wallet may be used.
    WalletStatus {
        Active = "Active",
        Inactive = "Inactive",
        Archived = "Archived",
    }
}

open_enum! {
    /// Which way tokens moved, seen from the wallet.
    Direction {
        In = "In",
        Out = "Out",
    }
}
