//! What a payout is worth: whole numbers, rounded up, or the reason why nobody can say.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::{MicroUsd, Price};
use crate::Amount;

/// A price counts for less than this.
const FRESH: SignedDuration = SignedDuration::from_hours(1);

/// Why a price says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceProblem {
    /// It is zero.
    Zero,
    /// It was read an hour ago, or longer.
    Old,
    /// It was read later than now: one of the two times is wrong.
    Early,
    /// What it would be worth is beyond what is counted here.
    TooLarge,
}

impl fmt::Display for PriceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zero => "the price is zero",
            Self::Old => "the price is an hour old or older",
            Self::Early => "the price is from a later time than now",
            Self::TooLarge => "it is worth more than can be counted",
        })
    }
}

/// What this amount is worth, rounded up to a millionth of a US dollar: less than 2^63 of them, as far as databases count.
///
/// # Errors
/// Why the price says nothing: every limit of an amount triggers then.
pub fn worth(amount: Amount, price: &Price, now: Timestamp) -> Result<MicroUsd, PriceProblem> {
    if price.usd.0 == 0 {
        return Err(PriceProblem::Zero);
    }
    let age = now.duration_since(price.at);
    if age >= FRESH {
        return Err(PriceProblem::Old);
    }
    if age.is_negative() {
        return Err(PriceProblem::Early);
    }
    let whole = 10u128.checked_pow(price.decimals.into()).ok_or(PriceProblem::TooLarge)?;
    let (units, usd) = (amount.units(), u128::from(price.usd.0));
    // units × usd may be beyond 128 bits where the worth is not: taken apart at the token's decimal point.
    let of_wholes = (units / whole).checked_mul(usd).ok_or(PriceProblem::TooLarge)?;
    let of_rest = (units % whole).checked_mul(usd).ok_or(PriceProblem::TooLarge)?.div_ceil(whole);
    let total = of_wholes.checked_add(of_rest).ok_or(PriceProblem::TooLarge)?;
    u64::try_from(total).ok().filter(|usd| i64::try_from(*usd).is_ok()).map(MicroUsd).ok_or(PriceProblem::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(usd: u64, decimals: u8) -> Price {
        Price { usd: MicroUsd(usd), decimals, source: "test".into(), at: Timestamp::UNIX_EPOCH }
    }

    fn of(units: u128, price: &Price, minutes: i64) -> Result<MicroUsd, PriceProblem> {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
        worth(Amount::parse(&units.to_string()).unwrap(), price, now)
    }

    #[test]
    fn a_worth_is_rounded_up_and_a_price_that_says_nothing_is_told() {
        assert_eq!(of(1_000_000, &price(999_900, 6), 0), Ok(MicroUsd(999_900)));
        assert_eq!(of(1, &price(999_900, 6), 59), Ok(MicroUsd(1)));
        assert_eq!(of(1_500_001, &price(1_000_001, 6), 0), Ok(MicroUsd(1_500_003)));
        assert_eq!(of(1, &price(0, 6), 0), Err(PriceProblem::Zero));
        assert_eq!(of(1, &price(1, 6), 60), Err(PriceProblem::Old));
        assert_eq!(of(1, &price(1, 6), -1), Err(PriceProblem::Early));
        assert_eq!(of(u128::MAX, &price(1_000_000, 6), 0), Err(PriceProblem::TooLarge));
        assert_eq!(of(u128::MAX, &price(1, 38), 0), Ok(MicroUsd(4)));
        assert_eq!(of(1, &price(1, 255), 0), Err(PriceProblem::TooLarge));
    }
}
