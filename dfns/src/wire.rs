//! How single JSON values are read: exact decimals, tolerant dates, numbers kept as text.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// The bytes of a request body. Called on our own request types only.
pub(crate) fn to_bytes<T: Serialize>(body: &T) -> Bytes {
    Bytes::from(serde_json::to_vec(body).expect("request types have string keys and no failing parts"))
}

/// Reads a JSON number (or a string holding one) as a decimal, from its text and without rounding.
///
/// # Errors
/// What is not a number, or does not fit 28 significant digits.
pub(crate) fn decimal(text: &str) -> Result<Decimal, String> {
    let unquoted = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    let mantissa = unquoted.split(['e', 'E']).next().unwrap_or(unquoted);
    // Refuses what would be rounded; `from_scientific` alone would round a long mantissa.
    let exact = Decimal::from_str_exact(mantissa)
        .and_then(|exact| if mantissa == unquoted { Ok(exact) } else { Decimal::from_scientific(unquoted) });
    exact.map_err(|e| format!("{text:.60} is not a decimal of at most 28 digits: {e}"))
}

/// `deserialize_with` for a decimal field.
pub(crate) fn read_decimal<'de, D: Deserializer<'de>>(d: D) -> Result<Decimal, D::Error> {
    let raw = Box::<RawValue>::deserialize(d)?;
    decimal(raw.get()).map_err(D::Error::custom)
}

/// `deserialize_with` for a map of currency code to decimal (`{"USD": 1.0002}`).
pub(crate) fn read_decimals<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, Decimal>, D::Error> {
    let raw = Option::<BTreeMap<String, Box<RawValue>>>::deserialize(d)?.unwrap_or_default();
    raw.into_iter()
        .filter(|(_, value)| value.get() != "null")
        .map(|(currency, value)| Ok((currency, decimal(value.get()).map_err(D::Error::custom)?)))
        .collect()
}

/// `deserialize_with` for a date. A date we cannot read becomes `None`: a payout must stay
/// readable when one of its dates is odd.
pub(crate) fn read_date<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.and_then(|text| text.parse().ok()))
}

/// `deserialize_with` for values that sources show as a string or as a number: the text is kept.
pub(crate) fn read_text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    let Some(raw) = Option::<Box<RawValue>>::deserialize(d)? else { return Ok(None) };
    let text = raw.get();
    if text.starts_with('"') {
        return serde_json::from_str(text).map(Some).map_err(D::Error::custom);
    }
    Ok((text != "null").then(|| text.to_owned()))
}

/// `deserialize_with` for a list that may be absent or `null`.
pub(crate) fn read_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(d)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_in_every_json_notation() {
        for (text, expected) in [
            ("985.5", "985.5"),
            ("985.50", "985.50"),
            ("0.1", "0.1"),
            ("1e2", "100"),
            ("1E+2", "100"),
            ("12.5e-1", "1.25"),
            ("-0", "0"),
            ("14", "14"),
            ("\"3.30\"", "3.30"),
            ("1234567890123456789.123456789", "1234567890123456789.123456789"),
        ] {
            assert_eq!(decimal(text), Ok(expected.parse().expect("a decimal")), "{text}");
        }
    }

    #[test]
    fn a_number_that_would_be_rounded_is_refused() {
        for text in [
            "0.00000000000000000000000000001",
            "1e-29",
            "1e40",
            "1.00000000000000000000000000001e1",
            "true",
            "\"\"",
            "{}",
        ] {
            assert!(decimal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_unreadable_date_is_absent_and_a_number_stays_text() {
        #[derive(Deserialize)]
        struct Row {
            #[serde(default, deserialize_with = "read_date")]
            date: Option<Timestamp>,
            #[serde(default, deserialize_with = "read_text")]
            text: Option<String>,
        }
        let row: Row =
            serde_json::from_str(r#"{"date":"2025-03-01T12:01:00.000Z","text":18446744073709551616}"#).expect("a row");
        assert_eq!(row.date, Some("2025-03-01T12:01:00Z".parse().expect("a date")));
        assert_eq!(row.text.as_deref(), Some("18446744073709551616"));
        let row: Row = serde_json::from_str(r#"{"date":"yesterday","text":"a\"b"}"#).expect("a row");
        assert_eq!((row.date, row.text.as_deref()), (None, Some("a\"b")));
        let row: Row = serde_json::from_str(r#"{"date":null,"text":null}"#).expect("a row");
        assert_eq!((row.date, row.text), (None, None));
    }
}
