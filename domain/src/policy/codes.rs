//! Why a rule triggered or not, in a word for programs. The words never change: they are kept with every decision.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        $($(#[$doc])* pub const $name: &str = $text;)+

        /// All of them.
        pub const ALL: &[&str] = &[$($name,)+];
    };
}

codes! {
    /// `AlwaysTrigger`.
    ALWAYS = "always",
    /// The payout is worth more than the limit.
    AMOUNT_ABOVE_LIMIT = "amount_above_limit",
    /// It is not.
    AMOUNT_WITHIN_LIMIT = "amount_within_limit",
    /// Nobody can say what it is worth: triggers.
    AMOUNT_UNKNOWN = "amount_unknown",
    /// With what counts in the window it is worth more than the limit.
    VELOCITY_ABOVE_LIMIT = "velocity_above_limit",
    /// It is not.
    VELOCITY_WITHIN_LIMIT = "velocity_within_limit",
    /// Nobody can say what they are worth together: triggers.
    VELOCITY_UNKNOWN = "velocity_unknown",
    /// With those that count in the window they are more than the limit.
    COUNT_ABOVE_LIMIT = "count_above_limit",
    /// They are not.
    COUNT_WITHIN_LIMIT = "count_within_limit",
    /// Nobody can say how many they are: triggers.
    COUNT_UNKNOWN = "count_unknown",
    /// The counterparty is listed.
    RECIPIENT_KNOWN = "recipient_known",
    /// It is not.
    RECIPIENT_UNKNOWN = "recipient_unknown",
    /// Money first went to the counterparty long enough ago.
    BENEFICIARY_KNOWN = "beneficiary_known",
    /// It did not.
    BENEFICIARY_NEW = "beneficiary_new",
    /// The quote takes more than the limit.
    FEE_ABOVE_LIMIT = "fee_above_limit",
    /// It does not.
    FEE_WITHIN_LIMIT = "fee_within_limit",
    /// No offer says what it takes, just before Confirm: triggers.
    FEE_UNKNOWN = "fee_unknown",
    /// No offer says what it takes, at the start: looked at just before Confirm.
    FEE_NOT_YET_KNOWN = "fee_not_yet_known",
    /// The quote pays out further below what the tokens are worth than the limit.
    SLIPPAGE_ABOVE_LIMIT = "slippage_above_limit",
    /// It does not.
    SLIPPAGE_WITHIN_LIMIT = "slippage_within_limit",
    /// What is paid out, or what the tokens are worth, is not known just before Confirm: triggers.
    SLIPPAGE_UNKNOWN = "slippage_unknown",
    /// No offer says what is paid out, at the start: looked at just before Confirm.
    SLIPPAGE_NOT_YET_KNOWN = "slippage_not_yet_known",
    /// It is within business hours.
    WITHIN_BUSINESS_HOURS = "within_business_hours",
    /// It is not.
    OUTSIDE_BUSINESS_HOURS = "outside_business_hours",
    /// No list knows the counterparty.
    SCREENING_CLEAR = "screening_clear",
    /// One does.
    SCREENING_HIT = "screening_hit",
    /// None of the signs is there.
    NOTHING_UNUSUAL = "nothing_unusual",
    /// One is.
    ANOMALY = "anomaly",
    /// No rule looks at the payout: blocked.
    NO_RULE = "no_rule",
    /// Nobody has signed the start: blocked, unless the policy allows it.
    START_UNSIGNED = "start_unsigned",
    /// Its signature proves nothing: blocked.
    START_UNPROVEN = "start_unproven",
    /// The starter is not in the policy: blocked.
    STARTER_UNKNOWN = "starter_unknown",
    /// The starter may not start payouts of this program: blocked.
    STARTER_OUTSIDE_PROGRAMS = "starter_outside_programs",
}
