//! Open enums: a closed list of known words with a named place for the ones Dfns may add.

/// Declares an enum over the words of an API, each variant with its exact text, and adds
/// `Unknown(String)`. Reading keeps an unknown word verbatim and writing gives it back unchanged.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$vmeta:meta])* $variant:ident = $word:literal, )+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $(
                #[doc = concat!("`", $word, "`")]
                $(#[$vmeta])*
                $variant,
            )+
            /// A word this version does not know, exactly as it came.
            Unknown(String),
        }

        impl $name {
            /// Every word known to this version, in the order of the documentation.
            pub const KNOWN: &'static [&'static str] = &[$($word),+];

            /// The word as Dfns writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $word, )+
                    Self::Unknown(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $( $word => Self::$variant, )+
                    other => Self::Unknown(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                Ok(Self::from(&*word))
            }
        }
    };
}

pub(crate) use open_enum;

#[cfg(test)]
mod tests {
    use crate::{
        ActionKind, ActivityKind, ApprovalStatus, AssetKind, DecisionValue, Direction, EventKind, ExecutionStatus,
        FeeKind, PaymentPurpose, PayoutStatus, PolicyStatus, Priority, Provider, RuleKind, SubscriptionStatus,
        TransferStatus, WalletStatus,
    };

    /// For one enum: each known word and an unknown one survive reading and writing, and only the
    /// latter is `Unknown`.
    macro_rules! round_trips {
        ($($name:ident),+ $(,)?) => { $(
            for word in $name::KNOWN.iter().copied().chain(["Some New Word/é"]) {
                let json = serde_json::to_string(word).expect("a string is JSON");
                let read: $name = serde_json::from_str(&json).expect("any word is read");
                assert_eq!(serde_json::to_string(&read).expect("a word is written"), json);
                assert_eq!(read.to_string(), word);
                let unknown = matches!(read, $name::Unknown(_));
                assert_eq!(unknown, !$name::KNOWN.contains(&word), "{word} of {}", stringify!($name));
            }
        )+ };
    }

    #[test]
    fn known_and_unknown_words_round_trip_verbatim() {
        round_trips!(
            ActionKind,
            ActivityKind,
            ApprovalStatus,
            AssetKind,
            DecisionValue,
            Direction,
            EventKind,
            ExecutionStatus,
            FeeKind,
            PaymentPurpose,
            PayoutStatus,
            PolicyStatus,
            Priority,
            Provider,
            RuleKind,
            SubscriptionStatus,
            TransferStatus,
            WalletStatus,
        );
    }

    #[test]
    fn the_26_payment_purposes_are_known() {
        assert_eq!(PaymentPurpose::KNOWN.len(), 26);
        assert_eq!(PaymentPurpose::from("salary payment"), PaymentPurpose::SalaryPayment);
        assert!(matches!(PaymentPurpose::from("Salary payment"), PaymentPurpose::Unknown(_)));
    }
}
