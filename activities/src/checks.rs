//! Whether a transfer could work at all: what would fail on the chain is better not tried.
//!
//! Dfns has no dry run; these reads are what there is. Source: `dfns` crate; Dfns docs "Wallets", "Networks".
//! Before Confirm a check that gets no answer is passed over: nothing here protects against paying wrongly, the policy
//! does that.

use std::time::Duration;

use futures::future::OptionFuture;
use remit_dfns::{
    AssetKind, CallFunction, Dfns, Error, FeeKind, NetworkFees, Stage, Wallet, WalletAssets, WalletStatus,
};
use remit_domain::{Asset, PayoutRequest};
use remit_workflows::contract::{Check, Found};
use serde_json::{Value, json};

use crate::{failure::chain, translate};

/// Gas that an ERC-20 transfer takes, with room: most take 45,000 to 65,000.
const GAS: u128 = 100_000;
/// Lamports for a transfer on Solana that makes the receiver's token account.
const LAMPORTS: u128 = 2_100_000;
/// No check may take up the time that Confirm needs.
const WITHIN: Duration = Duration::from_secs(5);

/// What would make the transfer fail, each with what to do. Empty: nothing known.
pub(crate) async fn failed(
    dfns: &Dfns,
    request: &PayoutRequest,
    assets: &WalletAssets,
    address: &str,
    in_flight: u128,
) -> Vec<String> {
    let (mut checks, served) =
        futures::join!(of_transfer(dfns, request, assets, Some(address), in_flight), quote_is_served(dfns, request));
    checks.push(served);
    for check in checks.iter().filter(|check| check.found == Found::NotKnown) {
        tracing::warn!("A check before Confirm gave no answer and was passed over: {}: {}", check.what, check.says);
    }
    checks.into_iter().filter(|check| check.found == Found::Bad).map(|check| check.says).collect()
}

/// Looks at wallet, balance, fee and token. `address` is where the tokens would go, once that is known.
pub(crate) async fn of_transfer(
    dfns: &Dfns,
    request: &PayoutRequest,
    assets: &WalletAssets,
    address: Option<&str>,
    in_flight: u128,
) -> Vec<Check> {
    let wallet = within(dfns.wallet(request.wallet_id.as_str())).await;
    let sender = wallet.as_ref().ok().and_then(|wallet| wallet.address.clone());
    let (fee, paused, sender, recipient) = futures::join!(
        fee_is_there(dfns, request, assets),
        token_says_no(dfns, request, assets, "paused", None),
        OptionFuture::from(sender.as_deref().map(|it| token_says_no(dfns, request, assets, "sender", Some(it)))),
        OptionFuture::from(address.map(|it| token_says_no(dfns, request, assets, "recipient", Some(it)))),
    );
    let known = [wallet_is_active(wallet, assets), balance_is_there(request, assets, in_flight), fee];
    known.into_iter().chain([paused, sender.flatten(), recipient.flatten()].into_iter().flatten()).collect()
}

/// An answer in time, or why there is none.
async fn within<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = || Error::Lost { stage: Stage::Call, source: format!("no answer within {} s", WITHIN.as_secs()).into() };
    match tokio::time::timeout(WITHIN, call).await {
        Ok(answer) => answer,
        Err(_) => Err(late()),
    }
}

fn not_known(what: &str, error: &Error) -> Check {
    Check::new(what, Found::NotKnown, chain(error))
}

fn wallet_is_active(wallet: Result<Wallet, Error>, assets: &WalletAssets) -> Check {
    const WHAT: &str = "wallet";
    let bad = |says: String| Check::new(WHAT, Found::Bad, says);
    match wallet {
        Err(error) => not_known(WHAT, &error),
        Ok(wallet) if wallet.status != WalletStatus::Active => {
            bad(format!("wallet {} is {}: activate it at Dfns", wallet.id, wallet.status))
        }
        Ok(wallet) if wallet.network != assets.network => {
            let (one, other) = (&wallet.network, &assets.network);
            bad(format!("wallet {} is said to be on {one} and on {other}: ask Dfns", wallet.id))
        }
        Ok(wallet) => Check::new(WHAT, Found::Good, format!("{} is active, on {}", wallet.id, wallet.network)),
    }
}

fn balance_is_there(request: &PayoutRequest, assets: &WalletAssets, in_flight: u128) -> Check {
    const WHAT: &str = "balance";
    let (wallet, label, amount) = (request.wallet_id.as_str(), request.asset.label(), request.amount);
    let balance = translate::holding(assets, &request.asset).map_or("0", |asset| asset.balance.as_str());
    let Ok(held) = balance.parse::<u128>() else {
        return Check::new(WHAT, Found::NotKnown, format!("a balance of {balance:?} is no number"));
    };
    let wanted = amount.units().saturating_add(in_flight);
    let under_way = if in_flight > 0 { format!(" and {in_flight} under way") } else { String::new() };
    if held < wanted {
        let says = format!(
            "wallet {wallet} holds {held} units of {label}, and {amount} for this payout{under_way} are needed: refill it"
        );
        return Check::new(WHAT, Found::Bad, says);
    }
    Check::new(WHAT, Found::Good, format!("{held} units of {label}, for {amount}{under_way}"))
}

/// What an asset list does not name is not there.
async fn fee_is_there(dfns: &Dfns, request: &PayoutRequest, assets: &WalletAssets) -> Check {
    match within(dfns.network_fees(&assets.network)).await {
        Ok(fees) => fee(request, assets, fees),
        // Dfns tells fees of some networks alone.
        Err(Error::Refused { stage: Stage::Call, refusal }) if matches!(refusal.status, 400 | 404) => {
            Check::new("fee", Found::NotKnown, format!("Dfns tells no fees of {}: {refusal}", assets.network))
        }
        Err(error) => not_known("fee", &error),
    }
}

fn fee(request: &PayoutRequest, assets: &WalletAssets, fees: NetworkFees) -> Check {
    const WHAT: &str = "fee";
    let native = assets.assets.iter().find(|asset| asset.kind == AssetKind::Native);
    let held = native.map_or("0", |asset| asset.balance.as_str());
    let digits = |text: Option<String>| text.and_then(|text| text.parse::<u128>().ok());
    let wanted = match fees.kind {
        FeeKind::Eip1559 => digits(fees.standard.max_fee_per_gas).map(|fee| fee.saturating_mul(GAS)),
        FeeKind::Solana => Some(LAMPORTS),
        FeeKind::Bitcoin | FeeKind::Unknown(_) => None,
    };
    let (Ok(has), Some(wanted)) = (held.parse::<u128>(), wanted) else {
        return Check::new(WHAT, Found::NotKnown, format!("what a transfer on {} costs is not known", assets.network));
    };
    let says = format!("{held} units of {}'s own coin, and the fee may take {wanted}", assets.network);
    if has < wanted {
        return Check::new(WHAT, Found::Bad, format!("wallet {} holds {says}: refill it", request.wallet_id.as_str()));
    }
    Check::new(WHAT, Found::Good, says)
}

/// Stablecoins can be paused, and can refuse an address. A token without such a function says neither.
async fn token_says_no(
    dfns: &Dfns,
    request: &PayoutRequest,
    assets: &WalletAssets,
    what: &str,
    address: Option<&str>,
) -> Option<Check> {
    let Asset::Erc20 { contract } = &request.asset else { return None };
    let function = if address.is_some() { "isBlacklisted" } else { "paused" };
    let inputs = if address.is_some() { json!([{"name": "account", "type": "address"}]) } else { json!([]) };
    let abi = json!({
        "type": "function", "name": function, "stateMutability": "view", "inputs": inputs,
        "outputs": [{"name": "", "type": "bool"}],
    });
    let call = CallFunction { contract: contract.clone(), abi, calldata: address.map(|address| json!([address])) };
    Some(match (within(dfns.call_function(&assets.network, &call)).await, address) {
        (Ok(answer), None) if is_true(&answer) => {
            let says = format!("the token {contract} is paused by its issuer: wait until it is not");
            Check::new(what, Found::Bad, says)
        }
        (Ok(answer), Some(address)) if is_true(&answer) => Check::new(
            what,
            Found::Bad,
            format!("the token {contract} refuses {address}: its issuer has put it on a list"),
        ),
        (Ok(_), None) => Check::new(what, Found::Good, format!("the token {contract} is not paused")),
        (Ok(_), Some(address)) => Check::new(what, Found::Good, format!("the token does not refuse {address}")),
        (Err(Error::Refused { stage: Stage::Call, refusal }), _) if (400..500).contains(&refusal.status) => {
            Check::new(what, Found::Good, format!("the token has no {function}"))
        }
        (Err(error), _) => not_known(what, &error),
    })
}

/// The form of the answer is not documented: bare, as text (`0x…01` is how a chain says it), or in a list.
fn is_true(answer: &Value) -> bool {
    match answer {
        Value::Bool(value) => *value,
        Value::String(text) => match text.strip_prefix("0x") {
            Some(hex) => hex.trim_start_matches('0') == "1",
            None => text == "true" || text == "1",
        },
        Value::Array(values) => values.first().is_some_and(is_true),
        Value::Object(values) => values.values().next().is_some_and(is_true),
        Value::Number(number) => number.as_u64() == Some(1),
        Value::Null => false,
    }
}

async fn quote_is_served(dfns: &Dfns, request: &PayoutRequest) -> Check {
    const WHAT: &str = "quote";
    match within(dfns.quote(&translate::quote_request(request))).await {
        Ok(_) => Check::new(WHAT, Found::Good, "served"),
        Err(Error::Refused { stage: Stage::Call, refusal })
            if matches!(refusal.status, 400 | 404 | 409 | 412 | 422) =>
        {
            Check::new(WHAT, Found::Bad, format!("the provider no longer quotes this payout: {refusal}"))
        }
        Err(error) => not_known(WHAT, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USDC: &str = "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359";

    fn request(amount: &str) -> PayoutRequest {
        PayoutRequest::parse(&json!({
            "externalId": "inv-1", "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k", "amount": amount,
            "asset": {"kind": "Erc20", "contract": USDC},
            "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                            "currency": "BRL", "country": "BR", "purpose": "salary payment"},
        }))
        .expect("a request")
    }

    fn assets(assets: Value) -> WalletAssets {
        serde_json::from_value(json!({"walletId": "wa-1", "network": "Polygon", "assets": assets})).expect("assets")
    }

    fn gas(per_gas: &str) -> NetworkFees {
        serde_json::from_value(json!({"kind": "Eip1559", "standard": {"maxFeePerGas": per_gas}})).expect("fees")
    }

    #[test]
    fn the_balance_must_hold_what_is_under_way_as_well() {
        let held =
            assets(json!([{"kind": "Erc20", "contract": USDC.to_uppercase().replace("0X", "0x"), "balance": "10"}]));
        let found = |amount, in_flight| balance_is_there(&request(amount), &held, in_flight).found;
        assert_eq!(
            (found("10", 0), found("11", 0), found("7", 3), found("7", 4)),
            (Found::Good, Found::Bad, Found::Good, Found::Bad)
        );
    }

    #[test]
    fn what_is_not_listed_is_not_there_neither_token_nor_coin() {
        let nothing = assets(json!([]));
        assert_eq!(balance_is_there(&request("1"), &nothing, 0).found, Found::Bad);
        assert_eq!(fee(&request("1"), &nothing, gas("30000000000")).found, Found::Bad);
    }

    #[test]
    fn a_fee_that_cannot_be_reckoned_is_not_known() {
        let coin = assets(json!([{"kind": "Native", "balance": "3000000000000000"}]));
        let found = |fees| fee(&request("1"), &coin, fees).found;
        assert_eq!((found(gas("30000000000")), found(gas("30000000001"))), (Found::Good, Found::Bad));
        let other = serde_json::from_value(json!({"kind": "Auction"})).expect("fees");
        assert_eq!((found(gas("many")), found(other)), (Found::NotKnown, Found::NotKnown));
    }

    #[test]
    fn a_token_says_yes_in_any_form() {
        let word = |digit: &str| format!("0x{}{digit}", "0".repeat(63));
        for yes in
            [json!(true), json!("true"), json!("1"), json!(1), json!([true]), json!({"": true}), json!(word("1"))]
        {
            assert!(is_true(&yes), "{yes}");
        }
        for no in
            [json!(false), json!("false"), json!("0"), json!(0), json!([]), json!({}), json!(null), json!(word("0"))]
        {
            assert!(!is_true(&no), "{no}");
        }
    }
}
