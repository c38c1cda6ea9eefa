//! Money: whole numbers of an asset's smallest unit with the asset attached, and decimal fiat. No binary float.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Which token, by its standard and its address. The symbol is never used to recognise one: anybody can take a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum Asset {
    /// An ERC-20 token.
    Erc20 {
        /// Contract address, lower case.
        contract: String,
    },
    /// A token of Solana's token program.
    Spl {
        /// Mint address.
        mint: String,
    },
    /// A token of Solana's Token-2022 program.
    Spl2022 {
        /// Mint address.
        mint: String,
    },
}

impl Asset {
    /// The address that tells this token from every other on its network.
    pub fn address(&self) -> &str {
        match self {
            Self::Erc20 { contract } => contract,
            Self::Spl { mint } | Self::Spl2022 { mint } => mint,
        }
    }

    /// Standard and address in one word, for search: `Erc20:0x3c49…`.
    pub fn label(&self) -> String {
        let kind = match self {
            Self::Erc20 { .. } => "Erc20",
            Self::Spl { .. } => "Spl",
            Self::Spl2022 { .. } => "Spl2022",
        };
        format!("{kind}:{}", self.address())
    }

    /// # Errors
    /// What was expected, when the text is not `0x` and 40 hex digits.
    pub(crate) fn evm_address(text: &str) -> Result<String, &'static str> {
        let hex = text.strip_prefix("0x").unwrap_or_default();
        if hex.len() == 40 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(text.to_ascii_lowercase())
        } else {
            Err("a contract address: \"0x\" and 40 hex digits")
        }
    }

    /// # Errors
    /// What was expected, when the text is not 32 to 44 characters of base58.
    pub(crate) fn solana_address(text: &str) -> Result<String, &'static str> {
        let base58 = |b: u8| b.is_ascii_alphanumeric() && !b"0OIl".contains(&b);
        if (32..=44).contains(&text.len()) && text.bytes().all(base58) {
            Ok(text.to_owned())
        } else {
            Err("a mint address: 32 to 44 characters of base58")
        }
    }
}

/// A quantity of an asset in its smallest unit: at least 1. In JSON a string of digits, since numbers that size do
/// not survive other readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(u128);

impl Amount {
    /// # Errors
    /// What was expected, when the text is not a positive whole number below 2^128 in plain digits.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "a whole number of the token's smallest unit, in digits only, e.g. \"12500000\" for 12.50 of a token with 6 decimals";
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        if !digits {
            return Err(EXPECTED);
        }
        text.parse().map(Self).map_err(|_| "an amount below 2^128 of the token's smallest unit")
    }

    /// The number of smallest units.
    pub fn units(self) -> u128 {
        self.0
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// An amount of a currency, exact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fiat {
    /// The amount, in JSON a string.
    #[serde(with = "rust_decimal::serde::str")]
    pub amount: Decimal,
    /// ISO 4217 code.
    pub currency: String,
}

impl std::fmt::Display for Fiat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_amount_survives_json_beyond_what_a_float_can_hold(units in 1u128..) {
            let amount = Amount::parse(&units.to_string()).unwrap();
            let json = serde_json::to_value(amount).unwrap();
            prop_assert_eq!(Amount::parse(json.as_str().unwrap()).unwrap().units(), units);
        }
    }

    #[test]
    fn amounts_that_are_not_plain_digits_are_refused() {
        for bad in
            ["", "0", "007", "12.50", "-1", "+1", "1e6", " 1", "1_000", "٣", "340282366920938463463374607431768211456"]
        {
            assert!(Amount::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Amount::parse("340282366920938463463374607431768211455").is_ok());
    }
}
