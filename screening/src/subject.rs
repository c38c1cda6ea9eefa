//! What is screened.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is screened: all that a payout says about who gets the money. Its `Debug` counts the names and shows none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Addresses on a chain, such as the deposit address.
    pub addresses: Vec<String>,
    /// Ids of accounts and payment instructions at the provider.
    pub account_ids: Vec<String>,
    /// Names of people and companies.
    pub names: Vec<String>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("addresses", &self.addresses)
            .field("account_ids", &self.account_ids)
            .field("names", &self.names.len())
            .finish()
    }
}

/// What of a subject is on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An address on a chain.
    Address,
    /// An id at the provider.
    Account,
    /// A name of a person or a company.
    Name,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_counts_names_and_shows_none() {
        let subject = Subject {
            addresses: vec!["0xab".into()],
            account_ids: vec!["acct-1".into()],
            names: vec!["Jane Example".into(), "J. Example".into()],
        };
        assert_eq!(format!("{subject:?}"), r#"Subject { addresses: ["0xab"], account_ids: ["acct-1"], names: 2 }"#);
    }
}
