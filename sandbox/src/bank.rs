//! The provider's bank side: what a currency is worth, what a payout costs, what a quote offers.

use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::value::RawValue;

/// The provider keeps 1.45 %, as in the documented example (1000 USDC gives 985.50 USD).
const FEE_BASIS_POINTS: i64 = 145;

/// What a recipient would get, in fiat, and what the provider would keep.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) net: Decimal,
    pub(crate) fees: Decimal,
}

/// An offer for this many USD in a currency; `None` for a currency the sandbox has no rate for.
pub(crate) fn offer(usd: Decimal, currency: &str) -> Option<Offer> {
    let gross = cents(usd.checked_mul(rate(currency)?)?);
    let fees = cents(gross.checked_mul(Decimal::new(FEE_BASIS_POINTS, 4))?);
    Some(Offer { net: gross - fees, fees })
}

/// A decimal as a JSON number, without passing through a binary float.
pub(crate) fn json_number(value: Decimal) -> Option<Box<RawValue>> {
    RawValue::from_string(value.normalize().to_string()).ok()
}

fn cents(value: Decimal) -> Decimal {
    value.round_dp_with_strategy(2, RoundingStrategy::MidpointNearestEven)
}

/// Units of a currency for one USD. Fixed and round: nobody should take them for a market.
fn rate(currency: &str) -> Option<Decimal> {
    let (units, scale) = match currency {
        "USD" => (1, 0),
        "EUR" => (92, 2),
        "GBP" => (79, 2),
        "BRL" => (54, 1),
        "MXN" => (185, 1),
        "COP" => (4100, 0),
        "ARS" => (980, 0),
        "CLP" => (950, 0),
        "PEN" => (375, 2),
        "NGN" => (1550, 0),
        "KES" => (129, 0),
        "ZAR" => (18, 0),
        "GHS" => (15, 0),
        "INR" => (83, 0),
        "PHP" => (58, 0),
        "IDR" => (16000, 0),
        "VND" => (25000, 0),
        "TRY" => (34, 0),
        "AED" => (3673, 3),
        "SGD" => (134, 2),
        "CAD" => (137, 2),
        "AUD" => (152, 2),
        "JPY" => (150, 0),
        "CHF" => (88, 2),
        "PLN" => (4, 0),
        _ => return None,
    };
    Some(Decimal::new(units, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_dollars_leave_what_the_documented_example_says() {
        let offer = offer(Decimal::from(1000), "USD").unwrap();
        assert_eq!(json_number(offer.net).unwrap().get(), "985.5");
        assert_eq!(json_number(offer.fees).unwrap().get(), "14.5");
    }
}
