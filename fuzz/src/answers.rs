//! Every other answer of Dfns that money hangs on: never a panic, and figures that are exactly those in the bytes.

use remit_dfns::{Approval, NetworkFees, Policy, Quote, Transfer, Wallet, WalletAssets};
use remit_domain::{Asset, TransferProgress, policy::worth};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::{now, text_at, translate};

/// The first byte chooses what the rest is an answer to.
pub fn answers(data: &[u8]) {
    let Some((which, body)) = data.split_first() else { return };
    match which {
        b'q' => quote(body),
        b'a' => assets(body),
        b't' => transfer(body),
        b'f' => drop(serde_json::from_slice::<NetworkFees>(body)),
        b'p' => drop(serde_json::from_slice::<Policy>(body)),
        b'v' => drop(serde_json::from_slice::<Approval>(body)),
        b'w' => drop(serde_json::from_slice::<Wallet>(body)),
        _ => {}
    }
}

/// The best offer first, and none lost, made up or rounded.
fn quote(body: &[u8]) {
    let Ok(quote) = serde_json::from_slice::<Quote>(body) else { return };
    let mut amounts: Vec<Decimal> = quote.quotes.iter().map(|quoted| quoted.offer.amount).collect();
    let offers = translate::offers(quote);
    amounts.sort_by(|a, b| b.cmp(a));
    assert_eq!(offers.iter().map(|offer| offer.receives.amount).collect::<Vec<_>>(), amounts);

    // Serde also takes the fields as an array; Dfns writes none.
    let Some(json) = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object) else { return };
    assert_eq!(json["quotes"].as_array().map_or(0, Vec::len), offers.len());
    for said in json["quotes"].as_array().into_iter().flatten().filter_map(|quoted| text_at(quoted, "/offer/amount")) {
        // A figure in quotes has not passed through anybody's float.
        let exact: Option<Decimal> = said.parse().ok();
        assert!(exact.is_none_or(|exact| amounts.contains(&exact)), "{said} became one of {amounts:?}");
    }
}

/// Worth is rounded up, never down, and an asset is told by its address.
fn assets(body: &[u8]) {
    let Ok(assets) = serde_json::from_slice::<WalletAssets>(body) else { return };
    let contract = "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359".to_owned();
    let asset = Asset::Erc20 { contract };
    let held = translate::holding(&assets, &asset);
    assert!(held.is_none_or(|held| {
        held.contract.as_deref().is_some_and(|it| it.to_ascii_lowercase() == asset.label()["Erc20:".len()..])
    }));
    let Some(price) = translate::price(&assets, &asset, now()) else { return };
    let quoted = held.and_then(|held| held.quotes.get("USD")).expect("a price is quoted");
    let micro = Decimal::from(price.usd.0);
    let exact = quoted.checked_mul(Decimal::from(1_000_000)).expect("it was multiplied before");
    assert!(micro >= exact && micro - exact < Decimal::ONE, "{quoted} USD became {micro}");

    let amount = remit_domain::Amount::parse("1000000").expect("an amount");
    if let Ok(worth) = worth(amount, &price, now()) {
        let one = 10_u128.checked_pow(price.decimals.into());
        let floor = one.map(|one| u128::from(price.usd.0) * 1_000_000 / one);
        assert!(floor.is_none_or(|floor| u128::from(worth.0) >= floor), "{worth:?} of {price:?}");
    }
}

/// Only a transfer that is over is over.
fn transfer(body: &[u8]) {
    let Ok(transfer) = serde_json::from_slice::<Transfer>(body) else { return };
    let progress = translate::transfer(&transfer);
    let status = transfer.status.as_str();
    assert_eq!(matches!(progress, TransferProgress::Confirmed), status == "Confirmed", "{status} is {progress:?}");
}
