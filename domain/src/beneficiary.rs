//! The name of who is paid: personal data, so it is printed nowhere by itself.

use std::fmt;

use serde::Serialize;

/// The name of a person or company that is paid, for screening: 1 to 140 characters, as ISO 20022 has them.
///
/// Debug output does not show it. Its JSON form does, so whatever keeps a request keeps the name: Temporal only
/// encrypted, unless a setting allows it in clear.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct BeneficiaryName(String);

impl BeneficiaryName {
    /// # Errors
    /// What was expected, when the text is empty, too long, has control characters in it or spaces around it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let fits =
            (1..=140).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err("a name: 1 to 140 characters, without spaces around it") }
    }

    /// The name, for those who screen it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BeneficiaryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BeneficiaryName(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_of_a_sane_length_and_never_printed() {
        let long = "x".repeat(141);
        for bad in ["", " ", " Jo", "Jo ", "a\nb", "a\0b", long.as_str()] {
            assert!(BeneficiaryName::parse(bad).is_err(), "{bad:?}");
        }
        let name = BeneficiaryName::parse("Zoë Ŝmidt-Ó Briain").unwrap();
        assert_eq!(name.as_str(), "Zoë Ŝmidt-Ó Briain");
        assert!(!format!("{name:?}").contains("Zo"));
        assert!(BeneficiaryName::parse(&"é".repeat(140)).is_ok());
    }
}
