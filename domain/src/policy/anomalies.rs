//! Signs that something is unusual, each simple enough to be explained in a sentence.

use super::{Facts, MicroUsd};

/// A sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// No money ever went to this counterparty.
    FirstPayment,
    /// More than three times the largest of at least three that went to it, or of at least twenty of the program.
    FarAboveHistory,
    /// The program has paid at least fifty in 90 days, and less than one in a hundred around this time of day.
    UnusualHour,
    /// At least twenty in ten minutes, and ten times what the program does in ten minutes on average.
    Burst,
    /// No money ever went to this country in this currency.
    NewCorridor,
    /// This one and at least two of the last seven days to the counterparty are within a tenth below the limit of a rule.
    JustUnderThreshold,
    /// The same amount went to the same counterparty within a day, under another id.
    SameAgain,
}

impl Sign {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::FirstPayment,
        Self::FarAboveHistory,
        Self::UnusualHour,
        Self::Burst,
        Self::NewCorridor,
        Self::JustUnderThreshold,
        Self::SameAgain,
    ];

    /// As a policy file names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstPayment => "first-payment",
            Self::FarAboveHistory => "far-above-history",
            Self::UnusualHour => "unusual-hour",
            Self::Burst => "burst",
            Self::NewCorridor => "new-corridor",
            Self::JustUnderThreshold => "just-under-threshold",
            Self::SameAgain => "same-again",
        }
    }

    /// What speaks for it; none when it is not there. `limits`: those of the rules that look at the payout.
    pub(super) fn seen(self, facts: &Facts, usd: Option<MicroUsd>, limits: &[MicroUsd]) -> Option<String> {
        let past = &facts.past;
        let usd = usd.map(|usd| usd.0);
        match self {
            Self::FirstPayment => past.first_paid.is_none().then(|| "the first payment to this counterparty".into()),
            Self::FarAboveHistory => {
                let far = |largest: MicroUsd| usd.is_some_and(|usd| u128::from(usd) > 3 * u128::from(largest.0));
                let own = past.to_counterparty.count >= 3 && far(past.to_counterparty.largest);
                let programs = past.by_program.count >= 20 && far(past.by_program.largest);
                let largest = if own { past.to_counterparty.largest } else { past.by_program.largest };
                (own || programs).then(|| format!("more than three times the largest so far, {largest}"))
            }
            Self::UnusualHour => {
                let (all, now) = (past.by_program.count, past.by_program_at_this_hour);
                (all >= 50 && now.saturating_mul(100) < all)
                    .then(|| format!("{now} of {all} payouts of the program were around this time of day"))
            }
            Self::Burst => {
                const TEN_MINUTES_IN_90_DAYS: u64 = 90 * 24 * 6;
                let (all, now) = (past.by_program.count, past.by_program_just_now);
                let unusual = now.saturating_mul(TEN_MINUTES_IN_90_DAYS) > all.saturating_mul(10);
                (now >= 20 && unusual).then(|| format!("{now} payouts of the program within ten minutes"))
            }
            Self::NewCorridor => (!past.corridor_used).then(|| "the first payment in this corridor".into()),
            Self::JustUnderThreshold => {
                let under = |usd: u64, limit: u64| usd <= limit && usd >= limit - limit / 10;
                limits.iter().find_map(|limit| {
                    let lately = past.lately_to_counterparty.iter().filter(|it| under(it.0, limit.0)).count();
                    (usd.is_some_and(|usd| under(usd, limit.0)) && lately >= 2)
                        .then(|| format!("{} within seven days just under the limit of {limit}", lately + 1))
                })
            }
            Self::SameAgain => (!past.same_within_a_day.is_empty())
                .then(|| format!("the same amount to the same counterparty as {}", past.same_within_a_day.join(", "))),
        }
    }
}
