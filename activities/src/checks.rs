//! Whether Confirm could work at all, just before it is sent: a payout that would fail on the chain is better not tried.
//!
//! Dfns has no dry run; these reads are what there is. Source: `dfns` crate; Dfns docs "Wallets", "Networks".
//! A check that gets no answer is passed over: nothing here protects against paying wrongly, the policy does that.

use remit_dfns::{AssetKind, CallFunction, Dfns, Error, FeeKind, Stage, WalletAssets, WalletStatus};
use remit_domain::{Asset, PayoutRequest};
use serde_json::{Value, json};

use crate::translate;

/// Gas that an ERC-20 transfer takes, with room: most take 45,000 to 65,000.
const GAS: u128 = 100_000;
/// Lamports for a transfer on Solana that makes the receiver's token account.
const LAMPORTS: u128 = 2_100_000;

/// What would make the transfer fail, each with what to do. Empty: nothing known.
pub(crate) async fn failed(
    dfns: &Dfns,
    request: &PayoutRequest,
    assets: &WalletAssets,
    address: &str,
    in_flight: u128,
) -> Vec<String> {
    let wallet = request.wallet_id.as_str();
    let (active, fee, paused, blacklisted, served) = futures::join!(
        wallet_is_active(dfns, request, assets),
        fee_is_there(dfns, wallet, assets),
        token_says_no(dfns, request, assets, "paused", None),
        token_says_no(dfns, request, assets, "isBlacklisted", Some(address)),
        quote_is_served(dfns, request),
    );
    let checks = [active, Ok(balance_is_there(request, assets, in_flight)), fee, paused, blacklisted, served];
    checks
        .into_iter()
        .filter_map(|check| {
            check.unwrap_or_else(|error| {
                tracing::warn!("A check before Confirm gave no answer and was passed over: {error}");
                None
            })
        })
        .collect()
}

type Check = Result<Option<String>, Error>;

async fn wallet_is_active(dfns: &Dfns, request: &PayoutRequest, assets: &WalletAssets) -> Check {
    let wallet = dfns.wallet(request.wallet_id.as_str()).await?;
    if wallet.status != WalletStatus::Active {
        return Ok(Some(format!("wallet {} is {}: activate it at Dfns", wallet.id, wallet.status)));
    }
    if wallet.network != assets.network {
        let (one, other) = (&wallet.network, &assets.network);
        return Ok(Some(format!("wallet {} is said to be on {one} and on {other}: ask Dfns", wallet.id)));
    }
    Ok(None)
}

fn balance_is_there(request: &PayoutRequest, assets: &WalletAssets, in_flight: u128) -> Option<String> {
    let held = translate::holding(assets, &request.asset).map_or(Some(0), |asset| asset.balance.parse().ok())?;
    let wanted = request.amount.units().saturating_add(in_flight);
    (held < wanted).then(|| {
        format!(
            "wallet {} holds {held} units of {}, and {} for this payout and {in_flight} under way are needed: refill it",
            request.wallet_id.as_str(),
            request.asset.label(),
            request.amount
        )
    })
}

async fn fee_is_there(dfns: &Dfns, wallet: &str, assets: &WalletAssets) -> Check {
    let native = assets.assets.iter().find(|asset| asset.kind == AssetKind::Native);
    let Some(held) = native.and_then(|asset| asset.balance.parse::<u128>().ok()) else { return Ok(None) };
    let fees = dfns.network_fees(&assets.network).await?;
    let digits = |text: Option<String>| text.and_then(|text| text.parse::<u128>().ok());
    let wanted = match fees.kind {
        FeeKind::Eip1559 => digits(fees.standard.max_fee_per_gas).map(|fee| fee.saturating_mul(GAS)),
        FeeKind::Solana => Some(LAMPORTS),
        FeeKind::Bitcoin | FeeKind::Unknown(_) => None,
    };
    Ok(wanted.filter(|wanted| held < *wanted).map(|wanted| {
        format!(
            "wallet {wallet} holds {held} units of {}'s own coin, and the fee may take {wanted}: refill it",
            assets.network
        )
    }))
}

/// Stablecoins can be paused, and can refuse an address. A token without such a function says neither.
async fn token_says_no(
    dfns: &Dfns,
    request: &PayoutRequest,
    assets: &WalletAssets,
    function: &str,
    address: Option<&str>,
) -> Check {
    let Asset::Erc20 { contract } = &request.asset else { return Ok(None) };
    let inputs = if address.is_some() { json!([{"name": "account", "type": "address"}]) } else { json!([]) };
    let abi = json!({
        "type": "function", "name": function, "stateMutability": "view", "inputs": inputs,
        "outputs": [{"name": "", "type": "bool"}],
    });
    let call = CallFunction { contract: contract.clone(), abi, calldata: address.map(|address| json!([address])) };
    match dfns.call_function(&assets.network, &call).await {
        Ok(answer) if is_true(&answer) => Ok(Some(match address {
            None => format!("the token {contract} is paused by its issuer: wait until it is not"),
            Some(address) => format!("the token {contract} refuses {address}: its issuer has put it on a list"),
        })),
        Ok(_) => Ok(None),
        Err(Error::Refused { stage: Stage::Call, refusal }) if (400..500).contains(&refusal.status) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The form of the answer is not documented: bare, as text, or in a list.
fn is_true(answer: &Value) -> bool {
    match answer {
        Value::Bool(value) => *value,
        Value::String(text) => text == "true" || text == "1",
        Value::Array(values) => values.first().is_some_and(is_true),
        Value::Object(values) => values.values().next().is_some_and(is_true),
        Value::Number(number) => number.as_u64() == Some(1),
        Value::Null => false,
    }
}

async fn quote_is_served(dfns: &Dfns, request: &PayoutRequest) -> Check {
    match dfns.quote(&translate::quote_request(request)).await {
        Ok(_) => Ok(None),
        Err(Error::Refused { stage: Stage::Call, refusal })
            if matches!(refusal.status, 400 | 404 | 409 | 412 | 422) =>
        {
            Ok(Some(format!("the provider no longer quotes this payout: {refusal}")))
        }
        Err(error) => Err(error),
    }
}
