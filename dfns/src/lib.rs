//! Dfns as Dfns describes it: typed requests, user action signing, webhook verification.
//!
//! The crate knows the provider's words and nothing of our payout. Three rules hold in all of it:
//!
//! - **One call, one request.** Nothing here retries a call that may have acted; [`Error`] says
//!   exactly how far the call came, and the caller decides.
//! - **Unknown words are kept.** Statuses, kinds and providers are open enums whose `Unknown`
//!   holds the text; answers may gain and lose optional fields.
//! - **Money never passes a binary float.** Amounts are digit strings in the smallest unit, fiat
//!   numbers become [`rust_decimal::Decimal`] from the text of the answer.
//!
//! Endpoints, fields and their sources are in this crate's `README.md`.

mod approvals;
mod client;
mod error;
mod fees;
mod open;
mod payout_words;
mod payouts;
mod policies;
mod rate;
mod settings;
mod signing;
mod transfers;
mod wallets;
mod webhook_verify;
mod webhooks;
mod wire;

pub use approvals::{Activity, Approval, ApprovalStatus, Decision, DecisionValue, ListApprovals, PolicyEvaluation};
pub use client::{Answer, Dfns, Page, PageQuery};
pub use error::{Duplicate, Error, Refusal, SettingsError, Stage};
pub use fees::{CallFunction, FeeKind, FeeLevel, NetworkFees};
pub use payout_words::{ExecutionStatus, PaymentPurpose, PayoutStatus, Provider};
pub use payouts::{
    Asset, AssetMetadata, ConfirmTransfer, CreatePayout, ListPayouts, Offer, OfferedQuote, Payout, PayoutAction,
    PayoutAsset, PayoutData, Quote, QuoteRequest, Requester,
};
pub use policies::{
    Action, ActionKind, ActivityKind, ApprovalGroup, Approvers, ListPolicies, Policy, PolicyBody, PolicyStatus, Rule,
    RuleKind, UserList,
};
pub use rate::RateLimit;
pub use settings::{Credentials, PlainHttp, Settings};
pub use transfers::{
    AssetKind, CreateTransfer, Priority, Transfer, TransferAsset, TransferBody, TransferMetadata, TransferStatus,
};
pub use wallets::{
    Direction, HistoryItem, ListHistory, NetWorth, SigningKey, Wallet, WalletAsset, WalletAssets, WalletStatus,
};
pub use webhook_verify::{SIGNATURE_HEADER, Unverified, Verified, VerifyError, Webhook};
pub use webhooks::{
    CreateWebhook, CreatedWebhook, Delivery, EventKind, ListEvents, Ping, Subscription, SubscriptionStatus,
    UpdateWebhook, WebhookEvent,
};
