//! Reading what callers send: strict bodies, queries, and the small formats Dfns documents.

use serde::de::DeserializeOwned;

use crate::answer::Refusal;

/// Reads a JSON body strictly: an unknown field is a 400 that names it.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let mut source = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut source).map_err(|error| {
        let path = error.path().to_string();
        if path == "." {
            Refusal::bad(format!("body: {}", error.inner()))
        } else {
            Refusal::bad(format!("body, at {path}: {}", error.inner()))
        }
    })?;
    source.end().map_err(|error| Refusal::bad(format!("body: {error}")))?;
    Ok(value)
}

/// Body-less writes come with no body at all or with `{}`.
pub(crate) fn read_nothing(body: &[u8]) -> Result<(), Refusal> {
    if body.is_empty() || body == b"{}" { Ok(()) } else { Err(Refusal::bad("body: expected none, or {}")) }
}

/// The query of a request, decoded, in order.
#[derive(Debug, Default, Clone)]
pub(crate) struct Query(pub(crate) Vec<(String, String)>);

impl Query {
    /// The first value of this parameter; an empty one counts as absent.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter that may be repeated or written with commas.
    pub(crate) fn many(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(key, _)| key == name)
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .collect()
    }
}

/// An amount in the smallest unit: decimal digits, more than zero.
pub(crate) fn amount(field: &str, text: &str) -> Result<u128, Refusal> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = if digits { text.parse::<i128>().ok() } else { None };
    match value.and_then(|value| u128::try_from(value).ok()) {
        Some(value) if value > 0 => Ok(value),
        Some(_) | None => {
            Err(Refusal::field(field, text, "a positive whole number of the smallest unit, as decimal digits"))
        }
    }
}

/// `^[A-Z]{n}$`, the form of currency and country codes.
pub(crate) fn capitals(field: &str, text: &str, length: usize) -> Result<(), Refusal> {
    if text.len() == length && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err(Refusal::field(field, text, &format!("{length} capital letters")))
    }
}

/// `externalId`: 1 to 50 characters (documented for transfers; for payouts our choice).
pub(crate) fn external_id(text: Option<&String>) -> Result<(), Refusal> {
    match text {
        Some(text) if !(1..=50).contains(&text.chars().count()) => {
            Err(Refusal::field("externalId", text, "1 to 50 characters long"))
        }
        Some(_) | None => Ok(()),
    }
}

/// `^wa-[a-z0-9]{5}-[a-z0-9]{5}-[a-z0-9]{14,16}$`.
pub(crate) fn wallet_id(text: &str) -> Result<(), Refusal> {
    let lower = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        ["wa", a, b, c] if lower(a, 5..=5) && lower(b, 5..=5) && lower(c, 14..=16) => Ok(()),
        _ => Err(Refusal::field("walletId", text, "a wallet id such as wa-5pfuu-9euek-h0odgb6snva8ph3k")),
    }
}

/// `0x` and 40 hexadecimal digits.
pub(crate) fn evm_address(field: &str, text: &str) -> Result<(), Refusal> {
    match text.strip_prefix("0x") {
        Some(digits) if digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(()),
        Some(_) | None => Err(Refusal::field(field, text, "0x and 40 hexadecimal digits")),
    }
}

/// 32 bytes in base58.
pub(crate) fn solana_address(field: &str, text: &str) -> Result<(), Refusal> {
    match bs58::decode(text).into_vec() {
        Ok(bytes) if bytes.len() == 32 => Ok(()),
        Ok(_) | Err(_) => Err(Refusal::field(field, text, "32 bytes in base58")),
    }
}
