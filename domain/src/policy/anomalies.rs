//! Signs that something is unusual, each simple enough to be explained in a sentence. They are advice, unless a rule makes
//! more of them.

use super::{Facts, MicroUsd};

/// A sign that something is unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// No money ever went to this counterparty.
    FirstPayment,
    /// More than three times the largest of at least three that went to it, or of at least twenty of the program.
    FarAboveHistory,
    /// The program has paid at least fifty in 90 days, fewer than one in a hundred of them around this time of day.
    UnusualHour,
    /// The program asks for at least twenty in ten minutes, more than ten times its average of 90 days.
    Burst,
    /// No money ever went to this country in this currency.
    NewCorridor,
    /// This one and at least two of the last seven days to the counterparty are at most a tenth below the limit of the
    /// same rule.
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

    /// The figures that speak for it; none when it is not there. `usd`: what the payout is worth, if known. `limits`:
    /// those of the amount rules that look at it.
    pub(super) fn seen(self, facts: &Facts, usd: Option<MicroUsd>, limits: &[MicroUsd]) -> Option<String> {
        let past = &facts.past;
        match self {
            Self::FirstPayment => past.first_paid.is_none().then(|| "no money ever went to this counterparty".into()),
            Self::FarAboveHistory => {
                let usd = usd?;
                let histories =
                    [("to this counterparty", past.to_counterparty, 3), ("of this program", past.by_program, 20)];
                histories.into_iter().find_map(|(whose, so_far, at_least)| {
                    let far = u128::from(usd.0) > 3 * u128::from(so_far.largest.0);
                    (far && so_far.count >= at_least).then(|| {
                        format!("{usd} is more than three times the largest {whose} so far, {}", so_far.largest)
                    })
                })
            }
            Self::UnusualHour => {
                let (all, now) = (past.by_program.count, past.by_program_at_this_hour);
                (all >= 50 && u128::from(now) * 100 < u128::from(all))
                    .then(|| format!("{now} of the {all} payouts of this program were around this time of day"))
            }
            Self::Burst => {
                const TEN_MINUTES_IN_90_DAYS: u128 = 90 * 24 * 6;
                let (all, now) = (past.by_program.count, past.by_program_just_now);
                (now >= 20 && u128::from(now) * TEN_MINUTES_IN_90_DAYS > u128::from(all) * 10)
                    .then(|| format!("{now} payouts of this program within ten minutes"))
            }
            Self::NewCorridor => {
                (!past.corridor_used).then(|| "no money ever went to this country in this currency".into())
            }
            Self::JustUnderThreshold => {
                let usd = usd?;
                let under = |usd: MicroUsd, limit: MicroUsd| (limit.0 - limit.0 / 10..=limit.0).contains(&usd.0);
                limits.iter().filter(|limit| under(usd, **limit)).find_map(|limit| {
                    let before = past.lately_to_counterparty.iter().filter(|it| under(**it, *limit)).count();
                    (before >= 2).then(|| {
                        format!(
                            "{} within seven days to this counterparty are just below the limit of {limit}",
                            before + 1
                        )
                    })
                })
            }
            Self::SameAgain => {
                let same = &past.same_within_a_day;
                (!same.is_empty())
                    .then(|| format!("as much as {} to the same counterparty within a day", same.join(", ")))
            }
        }
    }
}
