//! The values that a policy file is made of: amounts, times, keys, names.

use std::collections::BTreeSet;

use jiff::civil::Weekday;
use rust_decimal::Decimal;

use super::super::{Dimension, MicroUsd};
use crate::{Asset, Fiat, Guards, Program, Purpose, Source, WalletId, request};

pub(in crate::policy) const USD: &str = "an amount with its currency, such as \"10000 USD\" or \"2_000_000 USD\" (USD is the only one, with at most six decimals and at most nine trillion)";
pub(in crate::policy) const FIAT: &str = "an amount with its currency, such as \"25.00 BRL\"";
pub(in crate::policy) const WINDOW: &str =
    "a time such as \"30min\", \"24h\" or \"7d\": more than zero and at most 366d";
pub(in crate::policy) const TIMEOUT: &str =
    "a time such as \"30min\", \"4h\" or \"2d\": more than zero and at most 30d";
pub(in crate::policy) const KEY: &str =
    "a public key: \"ed25519:\" and the base64 of its 32 bytes, as `remit key show` prints it";
pub(in crate::policy) const NAME: &str = "a name of 1 to 64 letters, digits, dots, dashes or underscores";

/// Seconds of a longest window, and of a longest wait for approvals.
pub(in crate::policy) const YEAR: u32 = 366 * 24 * 3600;
pub(in crate::policy) const MONTH: u32 = 30 * 24 * 3600;

/// `10000 USD`, `0.5 USD`: a limit fits 64 bits with a sign, as databases count.
pub(in crate::policy) fn micro_usd(text: &str) -> Option<MicroUsd> {
    let digits = text.strip_suffix(" USD")?;
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, fraction)) if !(1..=6).contains(&fraction.len()) => return None,
        Some((whole, fraction)) => (whole, fraction),
        None => (digits, ""),
    };
    let whole = grouped(whole)?;
    if whole.is_empty() || !all_digits(&whole) || !all_digits(fraction) {
        return None;
    }
    let micros: u64 = format!("{fraction:0<6}").parse().ok()?;
    let total = whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)?;
    i64::try_from(total).ok().map(|_| MicroUsd(total))
}

/// The digits of `2_000_000`: underscores may stand between thousands and nowhere else.
fn grouped(text: &str) -> Option<String> {
    let mut groups = text.split('_');
    let first = groups.next()?;
    let is_grouped = text.contains('_');
    if is_grouped && !((1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3)) {
        return None;
    }
    Some(text.replace('_', ""))
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// `25.00 BRL`.
pub(in crate::policy) fn fiat(text: &str) -> Option<Fiat> {
    let (amount, currency) = text.split_once(' ')?;
    Some(Fiat { amount: Guards::amount(amount).ok()?, currency: request::currency(currency).ok()? })
}

/// `5.40 BRL` for one US dollar: more than zero, and short enough to be multiplied exactly.
pub(in crate::policy) fn rate(text: &str) -> Option<Fiat> {
    let most = Decimal::from(1_000_000_000);
    fiat(text).filter(|rate| !rate.amount.is_zero() && rate.amount <= most && rate.amount.scale() <= 8)
}

/// Seconds of `45s`, `30min`, `24h`, `7d`: more than zero and at most `most`.
pub(in crate::policy) fn seconds(text: &str, most: u32) -> Option<u32> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = match unit {
        "s" => 1,
        "min" | "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(unit).filter(|seconds| (1..=most).contains(seconds))
}

/// Minutes of the day of `09:30`; `24:00` is its end.
pub(in crate::policy) fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    if hour.len() != 2 || minute.len() != 2 || !all_digits(hour) || !all_digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    Some(hour * 60 + minute).filter(|all| minute < 60 && *all <= 24 * 60)
}

/// Days of the week, Monday first.
pub(in crate::policy) const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// An Ed25519 public key in its one form. 43 characters hold two bits more than 32 bytes: a last character that sets one
/// would be another text for the same key. All zeroes is a place that was never filled in.
pub(in crate::policy) fn key(text: &str) -> Option<String> {
    let base64 = text.strip_prefix("ed25519:")?.strip_suffix('=')?;
    let fits = base64.len() == 43
        && base64.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
        && base64.bytes().last().is_some_and(|last| b"AEIMQUYcgkosw048".contains(&last))
        && base64.bytes().any(|b| b != b'A');
    fits.then(|| text.to_owned())
}

/// The name of a person, a group or a starter, as it stands in statements.
pub(in crate::policy) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// A program, or the empty one of requests that name none.
pub(in crate::policy) fn program(text: &str) -> Option<String> {
    (text.is_empty() || Program::parse(text).is_ok()).then(|| text.to_owned())
}

/// What stands in a filter, for this dimension: only what a payout can have there. A filter that is misspelt would look at
/// nothing, and its rule forbid nothing.
pub(in crate::policy) fn in_dimension(dimension: Dimension, text: &str) -> Option<String> {
    let owned = || text.to_owned();
    match dimension {
        Dimension::Chain => {
            let plain = text.bytes().all(|b| b.is_ascii_alphanumeric());
            (plain && text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_uppercase())).then(owned)
        }
        Dimension::Asset => asset(text).map(|asset| asset.label()),
        Dimension::Program => program(text),
        Dimension::Counterparty => {
            let parts: Vec<&str> = text.split('/').collect();
            let visible = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
            (parts.len() == 3 && parts.iter().all(visible)).then(owned)
        }
        Dimension::Wallet => WalletId::parse(text).ok().map(|_| owned()),
        Dimension::Country => request::country(text).ok(),
        Dimension::Currency => request::currency(text).ok(),
        Dimension::Purpose => Purpose::parse(text).map(|_| owned()),
        Dimension::Source => Source::parse(text).ok().map(|_| owned()),
    }
}

/// `Erc20:0x3c49…`, `Spl:EPjF…`, `Spl2022:2b1k…`; the case of a contract address makes no difference.
pub(in crate::policy) fn asset(label: &str) -> Option<Asset> {
    match label.split_once(':')? {
        ("Erc20", contract) => Asset::evm_address(contract).ok().map(|contract| Asset::Erc20 { contract }),
        ("Spl", mint) => Asset::solana_address(mint).ok().map(|mint| Asset::Spl { mint }),
        ("Spl2022", mint) => Asset::solana_address(mint).ok().map(|mint| Asset::Spl2022 { mint }),
        _ => None,
    }
}

/// What may stand in this dimension, for people.
pub(in crate::policy) fn expected_in(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Chain => "networks as the provider calls them, such as \"Polygon\"",
        Dimension::Asset => "tokens such as \"Erc20:0x3c499c542cef5e3811e1192ce70d8cc03d5c3359\"",
        Dimension::Program => "programs such as \"payroll\" (\"\" is that of payouts that name none)",
        Dimension::Counterparty => {
            "counterparties such as \"Borderless/acc-1/pi-1\": provider, account and instructions"
        }
        Dimension::Wallet => "wallets such as \"wa-5pfuu-9euek-h0odgb6snva8ph3k\"",
        Dimension::Country => "ISO 3166-1 country codes of two capitals, such as \"BR\"",
        Dimension::Currency => "ISO 4217 currency codes in capitals, such as \"BRL\"",
        Dimension::Purpose => "payment purposes such as \"salary payment\"",
        Dimension::Source => "\"api\", \"file\", \"schedule\"",
    }
}

/// The dimension of this name.
pub(in crate::policy) fn dimension(text: &str) -> Option<Dimension> {
    Dimension::ALL.into_iter().find(|it| it.as_str() == text)
}

/// `chain, asset, …`.
pub(in crate::policy) fn dimensions() -> String {
    Dimension::ALL.map(Dimension::as_str).join(", ")
}

/// All programs, or these.
pub(in crate::policy) fn programs(set: &BTreeSet<String>) -> bool {
    !set.contains("*") || set.len() == 1
}
