//! Asking for a payout: `POST /payouts/quote` and `POST /payouts`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ending::Ending;
use super::steps;
use super::{Counts, ExecutionStatus, Payout, PayoutStatus, WireAsset, WireData, WirePayout};
use crate::answer::{Answer, Outcome, Refusal};
use crate::bank;
use crate::faults::{FaultKind, Place};
use crate::networks::{Asset, AssetKind, Network};
use crate::organisation::State;
use crate::server::Visit;
use crate::settings::Conflict;
use crate::wallets;
use crate::wire;

/// Exact texts, lower case, with spaces.
const PURPOSES: [&str; 26] = [
    "salary payment",
    "personal remittance",
    "rent payment",
    "property purchase",
    "owned account abroad",
    "advertising expenses",
    "advisory fees",
    "business insurance",
    "construction",
    "delivery fees",
    "education",
    "exports",
    "donation",
    "hotel",
    "loan payment",
    "maintenance expenses",
    "medical expense",
    "office expenses",
    "royalty fees",
    "service charge",
    "shares investment",
    "tax payment",
    "transportation fees",
    "travel",
    "utility bills",
    "other",
];

/// The asset of a request: no network, the wallet's decides.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAsset {
    kind: PayoutAssetKind,
    amount: String,
    contract: Option<String>,
    mint: Option<String>,
}

/// There is no native payout asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum PayoutAssetKind {
    Erc20,
    Spl,
    Spl2022,
}

impl NewAsset {
    fn find<'a>(&self, wallet: &'a wallets::Wallet) -> Result<(&'a Asset, u128), Refusal> {
        let kind = match self.kind {
            PayoutAssetKind::Erc20 => AssetKind::Erc20,
            PayoutAssetKind::Spl => AssetKind::Spl,
            PayoutAssetKind::Spl2022 => AssetKind::Spl2022,
        };
        let amount = wire::amount("asset.amount", &self.amount)?;
        Ok((wallet.asset(kind, self.contract.as_deref(), self.mint.as_deref())?, amount))
    }
}

/// Providers simulated. CircleMint's bodies are not documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Provider {
    Borderless,
}

/// The body of `POST /payouts`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewPayout {
    wallet_id: String,
    asset: NewAsset,
    fiat_currency: String,
    provider: Provider,
    country: String,
    borderless_account_id: String,
    payment_instructions_id: String,
    payment_purpose: String,
    external_id: Option<String>,
}

impl NewPayout {
    fn check(&self) -> Result<(), Refusal> {
        wire::wallet_id(&self.wallet_id)?;
        wire::capitals("fiatCurrency", &self.fiat_currency, 3)?;
        wire::capitals("country", &self.country, 2)?;
        wire::external_id(self.external_id.as_ref())?;
        let ids = [
            ("borderlessAccountId", &self.borderless_account_id),
            ("paymentInstructionsId", &self.payment_instructions_id),
        ];
        if let Some((field, id)) = ids.into_iter().find(|(_, id)| id.is_empty()) {
            return Err(Refusal::field(field, id, "an id"));
        }
        if !PURPOSES.contains(&self.payment_purpose.as_str()) {
            return Err(Refusal::field("paymentPurpose", &self.payment_purpose, "one of the 26 documented purposes"));
        }
        Ok(())
    }
}

/// `POST /payouts`
pub(crate) fn create(state: &mut State, visit: &Visit) -> Outcome {
    let request: NewPayout = wire::read(&visit.body)?;
    request.check()?;
    if let Some(outcome) = repeat(state, &request) {
        return outcome;
    }
    let wallet = wallets::active(state, &request.wallet_id)?;
    let (asset, amount) = request.asset.find(wallet)?;
    let (network, asset) = (wallet.network, asset.clone());
    let place = Place {
        method: &visit.method,
        path: &visit.path,
        external_id: request.external_id.as_deref(),
        event_kind: None,
    };
    let ending = match state.faults.strike(FaultKind::NeverInstructions, place) {
        Some(_) => Ending::NeverInstructions,
        None => Ending::of(amount),
    };
    let payout = make(state, visit, request, network, asset, amount, ending);
    let id = payout.wire.id.clone();
    let answer = Answer::ok(&payout.wire);
    if let Some(external_id) = payout.wire.external_id.clone() {
        state.payouts_by_external_id.insert(external_id, id.clone());
    }
    state.past.keep(&id, state.clock.now_ms(), &payout.wire);
    state.payouts.insert(payout);
    steps::begin(state, &id);
    answer
}

/// The answer to a create whose `externalId` is already bound.
fn repeat(state: &mut State, request: &NewPayout) -> Option<Outcome> {
    let external_id = request.external_id.as_ref()?;
    let id = state.payouts_by_external_id.get(external_id)?.clone();
    let payout = state.payouts.get_mut(&id)?;
    payout.counts.create_calls += 1;
    let same = payout.request == *request;
    Some(match (same, state.settings.payout_conflict) {
        (true, _) | (false, Conflict::OldObject) => Answer::ok(&payout.wire),
        (false, Conflict::Refuse) => Err(Refusal::duplicate("payout", &id, external_id)),
    })
}

fn make(
    state: &mut State,
    visit: &Visit,
    request: NewPayout,
    network: Network,
    asset: Asset,
    amount: u128,
    ending: Ending,
) -> Payout {
    Payout {
        wire: WirePayout {
            id: state.ids.id("pyt"),
            wallet_id: request.wallet_id.clone(),
            fiat_currency: request.fiat_currency.clone(),
            asset: WireAsset::new(&network, &asset, amount),
            external_id: request.external_id.clone(),
            status: PayoutStatus::Processing,
            requester: visit.requester(),
            date_created: state.clock.now(),
            date_finalized: None,
            provider: "Borderless".to_owned(),
            data: WireData {
                borderless_account_id: request.borderless_account_id.clone(),
                payment_instructions_id: request.payment_instructions_id.clone(),
                payment_purpose: request.payment_purpose.clone(),
                country: request.country.clone(),
                execution_status: ExecutionStatus::Initializing,
                status_reason: None,
                borderless_payout_id: None,
                deposit_address: None,
                transfer_id: None,
                transaction_hash: None,
                date_confirmed: None,
                date_canceled: None,
                date_deposit_confirmed: None,
                date_payout_confirmed: None,
            },
        },
        request,
        network,
        asset,
        amount,
        ending,
        transfers: Vec::new(),
        counts: Counts { create_calls: 1, ..Counts::default() },
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewQuote {
    wallet_id: String,
    asset: NewAsset,
    fiat_currency: String,
    provider: Provider,
    country: String,
}

#[derive(Serialize)]
struct Quotes {
    provider: Provider,
    asset: WireAsset,
    timestamp: String,
    quotes: Vec<Quote>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Quote {
    quote_id: String,
    offer: Offer,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Offer {
    fiat_currency: String,
    amount: Box<RawValue>,
    fees: Box<RawValue>,
}

/// `POST /payouts/quote`: informational, not signed.
pub(crate) fn quote(state: &mut State, visit: &Visit) -> Outcome {
    let request: NewQuote = wire::read(&visit.body)?;
    wire::wallet_id(&request.wallet_id)?;
    wire::capitals("fiatCurrency", &request.fiat_currency, 3)?;
    wire::capitals("country", &request.country, 2)?;
    let wallet = wallets::active(state, &request.wallet_id)?;
    let (asset, amount) = request.asset.find(wallet)?;
    let (shown, usd) = (WireAsset::new(&wallet.network, asset, amount), asset.usd_value(amount));
    let place = Place { method: &visit.method, path: &visit.path, ..Place::default() };
    let offer = if Ending::of(amount) == Ending::NoOffers
        || state.faults.strike(FaultKind::QuoteWithoutOffers, place).is_some()
    {
        None
    } else {
        usd.and_then(|usd| bank::offer(usd, &request.fiat_currency))
            .and_then(|offer| Some((bank::json_number(offer.net)?, bank::json_number(offer.fees)?)))
    };
    let quotes = offer
        .map(|(amount, fees)| Quote {
            quote_id: state.ids.id("quote"),
            offer: Offer { fiat_currency: request.fiat_currency, amount, fees },
        })
        .into_iter()
        .collect();
    Answer::ok(&Quotes { provider: request.provider, asset: shown, timestamp: state.clock.now(), quotes })
}
