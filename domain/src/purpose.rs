//! Why money is sent: the closed list that banks and the provider agree on.

macro_rules! purposes {
    ($($name:ident = $text:literal,)+) => {
        /// The purpose of a payment, as banks ask for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum Purpose {
            $(#[doc = concat!("\"", $text, "\"")] #[serde(rename = $text)] $name,)+
        }

        impl Purpose {
            /// All of them, in the order of the provider's documentation.
            pub const ALL: &[Purpose] = &[$(Purpose::$name,)+];

            /// The text that travels.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

// Source: Dfns OpenAPI 1.807, `POST /payouts`, `paymentPurpose`.
purposes! {
    SalaryPayment = "salary payment",
    PersonalRemittance = "personal remittance",
    RentPayment = "rent payment",
    PropertyPurchase = "property purchase",
    OwnedAccountAbroad = "owned account abroad",
    AdvertisingExpenses = "advertising expenses",
    AdvisoryFees = "advisory fees",
    BusinessInsurance = "business insurance",
    Construction = "construction",
    DeliveryFees = "delivery fees",
    Education = "education",
    Exports = "exports",
    Donation = "donation",
    Hotel = "hotel",
    LoanPayment = "loan payment",
    MaintenanceExpenses = "maintenance expenses",
    MedicalExpense = "medical expense",
    OfficeExpenses = "office expenses",
    RoyaltyFees = "royalty fees",
    ServiceCharge = "service charge",
    SharesInvestment = "shares investment",
    TaxPayment = "tax payment",
    TransportationFees = "transportation fees",
    Travel = "travel",
    UtilityBills = "utility bills",
    Other = "other",
}

impl Purpose {
    /// The purpose with this text, if there is one.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|purpose| purpose.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::Purpose;

    #[test]
    fn there_are_twenty_six_purposes_and_each_is_found_by_its_text() {
        assert_eq!(Purpose::ALL.len(), 26);
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::parse(purpose.as_str()), Some(*purpose));
        }
        assert_eq!(Purpose::parse("Salary Payment"), None);
    }
}
