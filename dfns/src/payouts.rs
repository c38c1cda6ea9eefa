//! Payouts: stablecoin from a wallet to fiat on a bank account. `/payouts…`
//!
//! Sources: Dfns guide "Process payouts via API"; OpenAPI 1.807 and 2.0.155; `@dfns/sdk` 0.8.21.

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Method;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::client::{Answer, Dfns, Page, Query, segment};
use crate::error::Error;
use crate::payout_words::{ExecutionStatus, PaymentPurpose, PayoutStatus, Provider};
use crate::transfers::AssetKind;
use crate::wire;

impl Dfns {
    /// What the recipient would get. Informational: locks no rate, moves nothing, needs no
    /// signature. `POST /payouts/quote`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn quote(&self, request: &QuoteRequest) -> Result<Quote, Error> {
        self.ask("/payouts/quote", wire::to_bytes(request)).await?.value()
    }

    /// Creates a payout from exactly these bytes, made by [`CreatePayout::to_bytes`]. No token
    /// moves before it is confirmed. `POST /payouts`
    ///
    /// With an `externalId` a repeat returns the existing payout. For the same `externalId` with
    /// other content the answer is not documented: 409, or 200 with the old payout. So compare what
    /// comes back with what was meant, and after a lost answer send the same bytes again.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_payout(&self, body: Bytes) -> Result<Payout, Error> {
        self.write(Method::POST, "/payouts", Some(body)).await?.value()
    }

    /// One payout as it stands. `GET /payouts/{id}`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn payout(&self, id: &str) -> Result<Answer<Payout>, Error> {
        self.get(&format!("/payouts/{}", segment("payout id", id)?), Query::new()).await?.answer()
    }

    /// Payouts, one page at a time. `GET /payouts`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn list_payouts(&self, query: &ListPayouts) -> Result<Page<Payout>, Error> {
        self.get("/payouts", query.pairs()).await?.value()
    }

    /// Confirms (moves the tokens) or cancels. Only the user that created the payout may.
    /// `POST /payouts/{id}/action`
    ///
    /// There is no idempotency key: after a lost answer read the payout first. The answer holds
    /// nothing of the payout, so what a 200 carries is not looked at.
    ///
    /// # Errors
    /// See [`Error`]. The status for a mismatch, a wrong state or a second Confirm is not documented.
    pub async fn payout_action(&self, id: &str, action: &PayoutAction) -> Result<(), Error> {
        let path = format!("/payouts/{}/action", segment("payout id", id)?);
        self.write(Method::POST, &path, Some(wire::to_bytes(action))).await?;
        Ok(())
    }
}

/// Asks what a payout would bring.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuoteRequest {
    /// Wallet that would pay; its network is the asset's.
    pub wallet_id: String,
    /// What would be paid.
    pub asset: PayoutAsset,
    /// ISO 4217 code, upper case.
    pub fiat_currency: String,
    /// Who would pay out.
    pub provider: Provider,
    /// ISO 3166 alpha-2 code of the bank's country, upper case.
    pub country: String,
}

/// What a payout would bring, now.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Quote {
    /// Who offers.
    pub provider: Provider,
    /// What would be paid.
    pub asset: Asset,
    /// When the offers were made.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub timestamp: Option<Timestamp>,
    /// The offers; may be empty.
    #[serde(default, deserialize_with = "wire::read_list")]
    pub quotes: Vec<OfferedQuote>,
}

/// One offer and its id. No call takes the id.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferedQuote {
    /// Id of the offer, if it has one.
    #[serde(default)]
    pub quote_id: Option<String>,
    /// The offer.
    pub offer: Offer,
}

/// Fiat figures of an offer, exact.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// Currency of both figures.
    pub fiat_currency: String,
    /// What the recipient gets, fees taken off, in units of the currency (985.5 is 985 dollars 50).
    #[serde(deserialize_with = "wire::read_decimal")]
    pub amount: Decimal,
    /// What the provider keeps, in units of the currency.
    #[serde(deserialize_with = "wire::read_decimal")]
    pub fees: Decimal,
}

/// The body of a create. Bank details do not travel here: they are set up at the payout provider
/// and named by their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatePayout {
    /// Wallet that pays; its network is the asset's.
    pub wallet_id: String,
    /// What is paid.
    pub asset: PayoutAsset,
    /// ISO 4217 code, upper case.
    pub fiat_currency: String,
    /// Who pays out.
    pub provider: Provider,
    /// ISO 3166 alpha-2 code of the bank's country, upper case.
    pub country: String,
    /// Account at Borderless, its KYB completed.
    pub borderless_account_id: String,
    /// Destination bank account at Borderless.
    pub payment_instructions_id: String,
    /// Why the money is sent.
    pub payment_purpose: PaymentPurpose,
    /// Key that makes a repeat harmless. 1–50 characters is documented for transfers; for payouts
    /// no limit is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

impl CreatePayout {
    /// The bytes to store, then to send; built once and never again from other data.
    pub fn to_bytes(&self) -> Bytes {
        wire::to_bytes(self)
    }
}

/// The asset of a quote or a create. There is no native asset and no network: the wallet's decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum PayoutAsset {
    /// A token on an EVM network.
    Erc20 {
        /// Digits, in the smallest unit.
        amount: String,
        /// Contract address.
        contract: String,
    },
    /// A token on Solana.
    Spl {
        /// Digits, in the smallest unit.
        amount: String,
        /// Mint address.
        mint: String,
    },
    /// A token on Solana under the 2022 program.
    Spl2022 {
        /// Digits, in the smallest unit.
        amount: String,
        /// Mint address.
        mint: String,
    },
}

/// What to do with a payout that awaits confirmation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action")]
pub enum PayoutAction {
    /// Pay: Dfns makes the transfer, subject to its policies.
    Confirm {
        /// Wallet that pays, as in the payout.
        #[serde(rename = "walletId")]
        wallet_id: String,
        /// The transfer that is agreed to.
        transfer: ConfirmTransfer,
    },
    /// Give up. Possible only while the payout awaits confirmation.
    Cancel,
}

/// The transfer that a Confirm agrees to; must equal the payout's amount, token and deposit address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind")]
pub enum ConfirmTransfer {
    /// A token on an EVM network.
    Erc20 {
        /// Digits, in the smallest unit.
        amount: String,
        /// Contract address.
        contract: String,
        /// The deposit address.
        to: String,
    },
    /// A token on Solana.
    Spl {
        /// Digits, in the smallest unit.
        amount: String,
        /// Mint address.
        mint: String,
        /// The deposit address.
        to: String,
    },
    /// A token on Solana under the 2022 program.
    Spl2022 {
        /// Digits, in the smallest unit.
        amount: String,
        /// Mint address.
        mint: String,
        /// The deposit address.
        to: String,
    },
}

/// A payout as Dfns shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payout {
    /// `pyt-…`
    pub id: String,
    /// Wallet that pays.
    pub wallet_id: String,
    /// What is paid.
    pub asset: Asset,
    /// ISO 4217 code.
    pub fiat_currency: String,
    /// Who pays out.
    pub provider: Provider,
    /// Where it stands, coarsely.
    pub status: PayoutStatus,
    /// The key of the create.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Who created it. Required in the schemas, missing in the guide's example.
    #[serde(default)]
    pub requester: Option<Requester>,
    /// When it was created, on the provider's clock.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_created: Option<Timestamp>,
    /// When it ended.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_finalized: Option<Timestamp>,
    /// What belongs to the provider.
    #[serde(default)]
    pub data: PayoutData,
}

/// The provider's part of a payout. The shape is that of Borderless; for any other provider the
/// fields it does not have are `None`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PayoutData {
    /// As sent.
    #[serde(default)]
    pub borderless_account_id: Option<String>,
    /// As sent.
    #[serde(default)]
    pub payment_instructions_id: Option<String>,
    /// As sent.
    #[serde(default)]
    pub payment_purpose: Option<PaymentPurpose>,
    /// As sent.
    #[serde(default)]
    pub country: Option<String>,
    /// Where it stands, finely.
    #[serde(default)]
    pub execution_status: Option<ExecutionStatus>,
    /// Why it stands there.
    #[serde(default)]
    pub status_reason: Option<String>,
    /// Id at Borderless.
    #[serde(default)]
    pub borderless_payout_id: Option<String>,
    /// Where the tokens go; there once the instructions are ready.
    #[serde(default)]
    pub deposit_address: Option<String>,
    /// `xfr-…`, the on-chain transfer.
    #[serde(default)]
    pub transfer_id: Option<String>,
    /// Hash of the on-chain transaction.
    #[serde(default)]
    pub transaction_hash: Option<String>,
    /// When a user confirmed.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_confirmed: Option<Timestamp>,
    /// When a user cancelled.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_canceled: Option<Timestamp>,
    /// When the deposit was confirmed on chain.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_deposit_confirmed: Option<Timestamp>,
    /// When the fiat was paid out.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_payout_confirmed: Option<Timestamp>,
}

/// An asset as Dfns shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Asset {
    /// Which kind of token.
    pub kind: AssetKind,
    /// Digits, in the smallest unit.
    pub amount: String,
    /// Contract address, for EVM tokens.
    #[serde(default)]
    pub contract: Option<String>,
    /// Mint address, for Solana tokens.
    #[serde(default)]
    pub mint: Option<String>,
    /// Network, an open word such as `Polygon`.
    #[serde(default)]
    pub network: Option<String>,
    /// What the token is called and how many decimals it has.
    #[serde(default)]
    pub metadata: Option<AssetMetadata>,
}

/// What a token is called and how many decimals it has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct AssetMetadata {
    /// Such as `USD Coin`.
    #[serde(default)]
    pub name: Option<String>,
    /// Such as `USDC`. Never identifies a token: anyone may use it.
    #[serde(default)]
    pub symbol: Option<String>,
    /// Decimal places of the smallest unit.
    #[serde(default)]
    pub decimals: Option<u32>,
    /// Whether Dfns regards the token as genuine.
    #[serde(default)]
    pub verified: Option<bool>,
}

/// Who asked for something.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requester {
    /// `us-…`, also for service accounts.
    #[serde(default)]
    pub user_id: Option<String>,
    /// `to-…`, the token used.
    #[serde(default)]
    pub token_id: Option<String>,
}

/// Which payouts to list.
#[derive(Debug, Clone, Default)]
pub struct ListPayouts {
    /// Most items to return, 1–50.
    pub limit: Option<u32>,
    /// [`Page::next_page_token`] of the page before.
    pub pagination_token: Option<String>,
    /// Only of this wallet.
    pub wallet_id: Option<String>,
    /// Only in one of these statuses; none means any.
    pub status: Vec<PayoutStatus>,
    /// Only of this provider.
    pub provider: Option<Provider>,
}

impl ListPayouts {
    /// The status key is repeated, as both SDKs do, although one comment speaks of a comma list.
    fn pairs(&self) -> Query {
        let mut pairs = Query::new();
        pairs.extend(self.limit.map(|n| ("limit", n.to_string())));
        pairs.extend(self.pagination_token.clone().map(|t| ("paginationToken", t)));
        pairs.extend(self.wallet_id.clone().map(|w| ("walletId", w)));
        pairs.extend(self.status.iter().map(|s| ("status", s.to_string())));
        pairs.extend(self.provider.iter().map(|p| ("provider", p.to_string())));
        pairs
    }
}
