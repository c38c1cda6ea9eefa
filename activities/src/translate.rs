//! Dfns's words and ours. The only place where one is turned into the other; every match is total.

use jiff::Timestamp;
use remit_dfns::{
    AssetKind, ConfirmTransfer, CreatePayout, ExecutionStatus, PaymentPurpose, Payout, PayoutAction, PayoutAsset,
    PayoutStatus, Provider, Quote, QuoteRequest, Transfer, TransferStatus, WalletAsset, WalletAssets,
};
use remit_domain::{
    Asked, Asset, Destination, Fiat, Offer, PayoutKey, PayoutRequest, PayoutView, Progress, Requester,
    TransferProgress,
    policy::{MicroUsd, Price},
};
use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};

/// What is asked for a quote.
pub(crate) fn quote_request(request: &PayoutRequest) -> QuoteRequest {
    let Destination::Bank(bank) = &request.destination;
    QuoteRequest {
        wallet_id: request.wallet_id.as_str().to_owned(),
        asset: payout_asset(request),
        fiat_currency: bank.currency.clone(),
        provider: Provider::from(bank.provider.as_str()),
        country: bank.country.clone(),
    }
}

/// The offers of a quote, most money for the beneficiary first.
pub(crate) fn offers(quote: Quote) -> Vec<Offer> {
    let mut offers: Vec<Offer> = quote
        .quotes
        .into_iter()
        .map(|quoted| Offer {
            receives: Fiat { amount: quoted.offer.amount, currency: quoted.offer.fiat_currency },
            fees: quoted.offer.fees,
        })
        .collect();
    offers.sort_by_key(|offer| std::cmp::Reverse(offer.receives.amount));
    offers
}

/// The body of a create. The key is the external id: Dfns answers a repeat with the payout it made first.
/// Source: Dfns guide "Process payouts via API".
pub(crate) fn create_body(request: &PayoutRequest, key: &PayoutKey) -> CreatePayout {
    let Destination::Bank(bank) = &request.destination;
    CreatePayout {
        wallet_id: request.wallet_id.as_str().to_owned(),
        asset: payout_asset(request),
        fiat_currency: bank.currency.clone(),
        provider: Provider::from(bank.provider.as_str()),
        country: bank.country.clone(),
        borderless_account_id: bank.account_id.clone(),
        payment_instructions_id: bank.instructions_id.clone(),
        payment_purpose: PaymentPurpose::from(bank.purpose.as_str()),
        external_id: Some(key.as_str().to_owned()),
    }
}

/// What a wallet holds of this token; none when it is not listed, which means nothing. By address, never by symbol:
/// anybody can take a name.
pub(crate) fn holding<'a>(assets: &'a WalletAssets, asset: &Asset) -> Option<&'a WalletAsset> {
    assets.assets.iter().find(|held| match asset {
        Asset::Erc20 { contract } => {
            held.kind == AssetKind::Erc20
                && held.contract.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(contract))
        }
        Asset::Spl { mint } => held.kind == AssetKind::Spl && held.mint.as_ref() == Some(mint),
        Asset::Spl2022 { mint } => held.kind == AssetKind::Spl2022 && held.mint.as_ref() == Some(mint),
    })
}

/// What one whole token is worth, rounded up, as the wallet's assets quote it.
/// Source: Dfns docs, `GET /wallets/{walletId}/assets?netWorth=true`, `quotes.USD`.
pub(crate) fn price(assets: &WalletAssets, asset: &Asset, now: Timestamp) -> Option<Price> {
    let held = holding(assets, asset)?;
    let usd = held.quotes.get("USD")?.checked_mul(Decimal::from(1_000_000))?;
    let usd = usd.round_dp_with_strategy(0, RoundingStrategy::AwayFromZero).to_u64()?;
    let decimals = held.decimals.and_then(|decimals| u8::try_from(decimals).ok())?;
    Some(Price { usd: MicroUsd(usd), decimals, source: "dfns wallet assets".to_owned(), at: now })
}

/// The Confirm of a request, to this deposit address.
pub(crate) fn confirm(request: &PayoutRequest, address: &str) -> PayoutAction {
    let amount = request.amount.to_string();
    let to = address.to_owned();
    let transfer = match &request.asset {
        Asset::Erc20 { contract } => ConfirmTransfer::Erc20 { amount, contract: contract.clone(), to },
        Asset::Spl { mint } => ConfirmTransfer::Spl { amount, mint: mint.clone(), to },
        Asset::Spl2022 { mint } => ConfirmTransfer::Spl2022 { amount, mint: mint.clone(), to },
    };
    PayoutAction::Confirm { wallet_id: request.wallet_id.as_str().to_owned(), transfer }
}

fn payout_asset(request: &PayoutRequest) -> PayoutAsset {
    let amount = request.amount.to_string();
    match &request.asset {
        Asset::Erc20 { contract } => PayoutAsset::Erc20 { amount, contract: contract.clone() },
        Asset::Spl { mint } => PayoutAsset::Spl { amount, mint: mint.clone() },
        Asset::Spl2022 { mint } => PayoutAsset::Spl2022 { amount, mint: mint.clone() },
    }
}

/// A payout as Dfns shows it, in our words. `us` is our user id; `date` the answer's own date.
pub(crate) fn view(payout: Payout, us: &str, date: Option<Timestamp>) -> PayoutView {
    let progress = progress(&payout.status, payout.data.execution_status.as_ref());
    let requester = match payout.requester.and_then(|requester| requester.user_id) {
        Some(id) if id == us => Requester::Us,
        Some(id) => Requester::Other { id },
        None => Requester::NotSaid,
    };
    // Both dates are the provider's: its clock is compared with itself alone.
    let age_ms = date
        .zip(payout.date_created)
        .map(|(now, created)| u64::try_from(now.as_millisecond() - created.as_millisecond()).unwrap_or(0));
    let asset = match (&payout.asset.kind, payout.asset.contract, payout.asset.mint) {
        (AssetKind::Erc20, Some(contract), _) => Some(Asset::Erc20 { contract }),
        (AssetKind::Spl, _, Some(mint)) => Some(Asset::Spl { mint }),
        (AssetKind::Spl2022, _, Some(mint)) => Some(Asset::Spl2022 { mint }),
        _ => None,
    };
    let text = |word: Option<String>| word.unwrap_or_default();
    PayoutView {
        payout: payout.id,
        deposited: payout.data.date_deposit_confirmed.is_some() || progress == Progress::Disbursing,
        progress,
        reason: payout.data.status_reason,
        deposit_address: payout.data.deposit_address,
        transfer: payout.data.transfer_id,
        transfer_progress: None,
        transaction_hash: payout.data.transaction_hash,
        asked: Asked {
            external_id: payout.external_id,
            wallet_id: payout.wallet_id,
            asset,
            amount: payout.asset.amount,
            provider: payout.provider.as_str().to_owned(),
            account_id: text(payout.data.borderless_account_id),
            instructions_id: text(payout.data.payment_instructions_id),
            currency: payout.fiat_currency,
            country: text(payout.data.country),
            purpose: payout.data.payment_purpose.map(|purpose| purpose.as_str().to_owned()).unwrap_or_default(),
            requester,
        },
        age_ms,
    }
}

/// The coarse status says whether it is over, the fine one how far it is. A final word that only the fine one says is
/// not believed: it is treated like a word we do not know, which is waited on.
fn progress(status: &PayoutStatus, fine: Option<&ExecutionStatus>) -> Progress {
    let unrecognised = |word: &str| Progress::Unrecognised { word: word.to_owned() };
    match status {
        PayoutStatus::Completed => Progress::Completed,
        PayoutStatus::Failed => Progress::Failed,
        PayoutStatus::Rejected => Progress::Rejected,
        PayoutStatus::Expired => Progress::Expired,
        PayoutStatus::Canceled => Progress::Canceled,
        PayoutStatus::Unknown(word) => unrecognised(word),
        PayoutStatus::Processing => match fine {
            None | Some(ExecutionStatus::Initializing | ExecutionStatus::AwaitingPayoutInstructions) => {
                Progress::Preparing
            }
            Some(ExecutionStatus::AwaitingPayoutConfirmation) => Progress::AwaitingConfirmation,
            Some(ExecutionStatus::SubmittingPayoutTransfer) => Progress::Submitting,
            Some(ExecutionStatus::PendingPolicyApproval) => Progress::Held,
            Some(ExecutionStatus::DepositProcessing) => Progress::Depositing,
            Some(ExecutionStatus::DisbursementPending) => Progress::Disbursing,
            Some(
                word @ (ExecutionStatus::Completed
                | ExecutionStatus::Rejected
                | ExecutionStatus::Failed
                | ExecutionStatus::Expired
                | ExecutionStatus::Canceled),
            ) => unrecognised(&format!("Processing/{word}")),
            Some(ExecutionStatus::Unknown(word)) => unrecognised(word),
        },
    }
}

/// How far a transfer is. One that was replaced by another transaction says nothing about where the tokens are.
pub(crate) fn transfer(transfer: &Transfer) -> TransferProgress {
    match &transfer.status {
        TransferStatus::Pending | TransferStatus::Executing => TransferProgress::Pending,
        TransferStatus::Broadcasted => TransferProgress::Broadcast,
        TransferStatus::Confirmed => TransferProgress::Confirmed,
        TransferStatus::Failed => match &transfer.replacement_id {
            None => TransferProgress::Failed,
            Some(by) => TransferProgress::Unrecognised { word: format!("Failed, replaced by {by}") },
        },
        TransferStatus::Rejected => TransferProgress::Rejected,
        TransferStatus::Unknown(word) => TransferProgress::Unrecognised { word: word.clone() },
    }
}

#[cfg(test)]
mod tests {
    use remit_domain::Purpose;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_purpose_of_ours_is_a_word_of_theirs_and_none_of_theirs_is_missing() {
        for purpose in Purpose::ALL {
            assert!(!matches!(PaymentPurpose::from(purpose.as_str()), PaymentPurpose::Unknown(_)), "{purpose:?}");
        }
        assert_eq!(Purpose::ALL.len(), PaymentPurpose::KNOWN.len());
    }

    #[test]
    fn every_pair_of_words_is_understood_and_only_the_coarse_word_ends_a_payout() {
        let coarse = ["Processing", "Completed", "Failed", "Rejected", "Expired", "Canceled", "Paused"];
        let fine = ExecutionStatus::KNOWN.iter().copied().chain(["Dreaming"]);
        for fine in fine {
            for coarse in coarse {
                let progress = progress(&PayoutStatus::from(coarse), Some(&ExecutionStatus::from(fine)));
                let over = !matches!(coarse, "Processing" | "Paused");
                assert_eq!(progress.is_final(), over, "{coarse}/{fine}");
            }
        }
        assert_eq!(
            progress(&PayoutStatus::Processing, Some(&ExecutionStatus::Unknown("Dreaming".into()))),
            Progress::Unrecognised { word: "Dreaming".into() }
        );
    }

    #[test]
    fn the_age_is_by_the_providers_own_clock_and_never_negative() {
        let payout = |created: &str| -> Payout {
            serde_json::from_value(json!({
                "id": "pyt-1", "walletId": "wa-1", "fiatCurrency": "BRL", "provider": "Borderless", "status": "Processing",
                "asset": {"kind": "Erc20", "amount": "1", "contract": "0x1"},
                "requester": {"userId": "us-1"}, "dateCreated": created,
                "data": {"executionStatus": "Initializing"}
            }))
            .unwrap()
        };
        let date: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let age = |created| view(payout(created), "us-1", Some(date)).age_ms;
        assert_eq!(age("2026-01-01T11:59:58.500Z"), Some(1_500));
        assert_eq!(age("2026-01-01T12:00:01.000Z"), Some(0));
        assert_eq!(view(payout("2026-01-01T12:00:00Z"), "us-1", None).age_ms, None);
        assert_eq!(
            view(payout("2026-01-01T12:00:00Z"), "us-2", None).asked.requester,
            Requester::Other { id: "us-1".into() }
        );
    }
}
