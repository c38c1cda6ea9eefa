//! What a caller demands of the quote. Providers hold no price, so it is checked at the start and again, with a fresh
//! quote, just before Confirm.

use std::{fmt, time::Duration};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::Offer;

/// The limits a quote must keep, and what to do when it does not. At least one limit is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Guards {
    /// Most fees, in the currency that is paid out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fees_at_most: Option<Decimal>,
    /// Most fees, in basis points of what would be paid out without fees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fees_at_most_bps: Option<u32>,
    /// Least that the beneficiary gets, in the currency that is paid out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receives_at_least: Option<Decimal>,
    /// How old the quote may be when Confirm is sent, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_at_most_seconds: Option<u32>,
    /// What to do when a limit is not kept.
    #[serde(default, skip_serializing_if = "OnBreach::is_usual")]
    pub on_breach: OnBreach,
}

/// What to do when a quote does not keep the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnBreach {
    /// Call the payout off. The usual one.
    #[default]
    Cancel,
    /// Ask a person, who may go on once the quote is better, or give up.
    Ask,
}

impl OnBreach {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "cancel" => Ok(Self::Cancel),
            "ask" => Ok(Self::Ask),
            _ => Err("\"cancel\" or \"ask\""),
        }
    }

    fn is_usual(&self) -> bool {
        *self == Self::Cancel
    }
}

/// A limit that a quote does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The field of the request that sets it.
    pub guard: &'static str,
    /// What it allows.
    pub allowed: String,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is allowed, the quote says {}", self.guard, self.allowed, self.found)
    }
}

impl Guards {
    /// # Errors
    /// What was expected, when the text is not a decimal amount of at least zero.
    pub(crate) fn amount(text: &str) -> Result<Decimal, &'static str> {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let amount = Decimal::from_str_exact(text).ok().filter(|_| plain);
        // Normalised, so that "25.0" and "25.00" are the same request.
        amount.map(|amount| amount.normalize()).ok_or("an amount of the currency paid out, e.g. \"25.00\"")
    }

    pub(crate) fn are_none(&self) -> bool {
        self.fees_at_most.is_none()
            && self.fees_at_most_bps.is_none()
            && self.receives_at_least.is_none()
            && self.quote_at_most_seconds.is_none()
    }

    /// Every limit that these offers do not keep. All offers must keep them: none says which of them will be taken.
    /// No offer keeps none.
    pub fn check(&self, offers: &[Offer]) -> Vec<Breach> {
        if offers.is_empty() {
            return vec![Breach { guard: "guards", allowed: "what an offer keeps".into(), found: "no offer".into() }];
        }
        let mut breaches = Vec::new();
        for offer in offers {
            let mut breach = |guard, allowed: String, found: String| breaches.push(Breach { guard, allowed, found });
            if let Some(most) = self.fees_at_most.filter(|most| offer.fees > *most) {
                breach("feesAtMost", most.to_string(), offer.fees.to_string());
            }
            if let Some(most) = self.fees_at_most_bps.filter(|most| !within(offer, *most)) {
                let found = format!("{} of {}", offer.fees, offer.receives.amount.saturating_add(offer.fees));
                breach("feesAtMostBps", format!("{most} bps"), found);
            }
            if let Some(least) = self.receives_at_least.filter(|least| offer.receives.amount < *least) {
                breach("receivesAtLeast", format!("{least} or more"), offer.receives.amount.to_string());
            }
        }
        breaches
    }

    /// Whether a quote that was asked for this long ago is too old to confirm by.
    pub fn too_old(&self, age: Duration) -> bool {
        self.quote_at_most_seconds.is_some_and(|most| age > Duration::from_secs(most.into()))
    }
}

/// fees / (receives + fees) ≤ bps / 10 000, without dividing. What does not fit into a decimal is not within.
fn within(offer: &Offer, bps: u32) -> bool {
    let fees = offer.fees.checked_mul(Decimal::from(10_000));
    let limit = offer.receives.amount.checked_add(offer.fees).and_then(|whole| whole.checked_mul(Decimal::from(bps)));
    fees.zip(limit).is_some_and(|(fees, limit)| fees <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fiat;

    fn offer(receives: &str, fees: &str) -> Offer {
        let receives = Fiat { amount: receives.parse().unwrap(), currency: "BRL".into() };
        Offer { receives, fees: fees.parse().unwrap() }
    }

    fn none() -> Guards {
        Guards {
            fees_at_most: None,
            fees_at_most_bps: None,
            receives_at_least: None,
            quote_at_most_seconds: None,
            on_breach: OnBreach::Cancel,
        }
    }

    fn broken(guards: &Guards, offers: &[Offer]) -> Vec<&'static str> {
        guards.check(offers).iter().map(|breach| breach.guard).collect()
    }

    #[test]
    fn a_limit_is_kept_up_to_and_including_itself() {
        let exactly = offer("985.50", "14.50");
        let guards = Guards {
            fees_at_most: Some("14.50".parse().unwrap()),
            fees_at_most_bps: Some(145),
            receives_at_least: Some("985.5".parse().unwrap()),
            ..none()
        };
        assert!(broken(&guards, std::slice::from_ref(&exactly)).is_empty());
        let worse = offer("985.49", "14.51");
        assert_eq!(broken(&guards, &[exactly, worse]), ["feesAtMost", "feesAtMostBps", "receivesAtLeast"]);
    }

    #[test]
    fn without_an_offer_nothing_is_kept() {
        assert_eq!(broken(&Guards { fees_at_most_bps: Some(10_000), ..none() }, &[]), ["guards"]);
    }

    #[test]
    fn amounts_beyond_what_a_decimal_holds_are_a_breach_and_no_panic() {
        let huge = offer("79228162514264337593543950335", "79228162514264337593543950335");
        assert_eq!(broken(&Guards { fees_at_most_bps: Some(1), ..none() }, &[huge]), ["feesAtMostBps"]);
    }

    #[test]
    fn a_quote_is_too_old_only_past_its_limit() {
        let guards = Guards { quote_at_most_seconds: Some(60), ..none() };
        assert!(!guards.too_old(Duration::from_secs(60)) && guards.too_old(Duration::from_millis(60_001)));
        assert!(!none().too_old(Duration::MAX));
    }

    #[test]
    fn what_to_do_about_a_breach_is_read_and_the_usual_is_left_out_when_written() {
        assert_eq!(OnBreach::parse("cancel"), Ok(OnBreach::Cancel));
        assert_eq!(OnBreach::parse("ask"), Ok(OnBreach::Ask));
        assert!(OnBreach::parse("pay").is_err());
        let written = |on_breach| serde_json::to_value(Guards { on_breach, ..none() }).unwrap();
        assert_eq!(written(OnBreach::Cancel).get("onBreach"), None);
        assert_eq!(written(OnBreach::Ask)["onBreach"], "ask");
    }

    #[test]
    fn a_breach_says_what_was_allowed_and_what_was_found() {
        let guards = Guards { fees_at_most: Some("1".parse().unwrap()), ..none() };
        let breaches: Vec<String> = guards.check(&[offer("100", "2")]).iter().map(ToString::to_string).collect();
        assert_eq!(breaches, ["feesAtMost: 1 is allowed, the quote says 2"]);
    }
}
