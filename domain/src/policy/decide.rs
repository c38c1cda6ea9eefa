//! The decision. All rules are looked at; any block wins; all approvals that are asked for must be met; a payout that no
//! rule looks at is blocked. As at Dfns, but for the last: there, what no policy looks at is allowed.
//!
//! What is not known triggers the rule that needs it.

use jiff::SignedDuration;
use rust_decimal::Decimal;

use super::{
    Action, Decision, Dimension, Facts, Initiator, Kind, MicroUsd, Policy, Question, RevisionId, Rule, Sign, Spoke,
    Sum, Traits, Verdict, Wanted, When, codes, rules::falls_short, worth,
};
use crate::{Fiat, Guards, Offer, OnBreach, PayoutRequest};

/// What the policy says of a payout. Made twice: at the start, and anew just before Confirm ([`Facts::when`]).
pub fn decide(policy: &Policy, revision: &RevisionId, request: &PayoutRequest, facts: &Facts) -> Decision {
    // The request's own: facts can add where its wallet is, and nothing else.
    let traits = Traits::of(request, facts.traits.get(Dimension::Chain));
    let usd = match &facts.price {
        None => Err("nobody says what the token is worth".to_owned()),
        Some(price) => worth(request.amount, price, facts.now).map_err(|problem| problem.to_string()),
    };
    let questions = policy.questions(&traits);
    let look = Look { policy, traits: &traits, questions, facts, usd };
    let mut spoke: Vec<Spoke> = Vec::new();
    let mut wanted: Vec<Wanted> = Vec::new();
    for rule in policy.matching(&traits) {
        let (triggered, code, says) = look.at(rule);
        if triggered {
            wanted.extend(approvals_of(policy, rule));
        }
        let (rule, action) = (rule.name.clone(), rule.action.as_str().to_owned());
        spoke.push(Spoke { rule, triggered, action, code: code.to_owned(), says });
    }
    if spoke.is_empty() {
        spoke.push(block("(no rule)", codes::NO_RULE, "no rule looks at this payout"));
    }
    spoke.extend(look.signature());
    spoke.extend(look.screening());
    let blocked = spoke.iter().any(|it| it.triggered && it.action == Action::Block.as_str());
    let verdict = match (blocked, wanted.is_empty()) {
        (true, _) => Verdict::Blocked,
        (false, false) => Verdict::NeedsApproval,
        (false, true) => Verdict::Allowed,
    };
    if verdict != Verdict::NeedsApproval {
        wanted.clear();
    }
    let price = facts.price.clone();
    Decision {
        revision: revision.number,
        revision_hash: revision.hash.clone(),
        verdict,
        spoke,
        wanted,
        usd: look.usd.ok(),
        price,
    }
}

fn approvals_of<'a>(policy: &'a Policy, rule: &'a Rule) -> impl Iterator<Item = Wanted> + 'a {
    let (approvals, timeout_seconds) = match &rule.action {
        Action::RequestApproval { approvals, timeout_seconds } => (approvals.as_slice(), *timeout_seconds),
        Action::Block | Action::Flag => (&[][..], 0),
    };
    approvals.iter().map(move |(group, quorum)| Wanted {
        rule: rule.name.clone(),
        group: group.clone(),
        quorum: *quorum,
        people: policy.groups.get(group).map(|it| it.people.iter().cloned().collect()).unwrap_or_default(),
        timeout_seconds,
    })
}

/// What is decided without a rule that says so.
fn block(rule: &str, code: &str, says: impl Into<String>) -> Spoke {
    let action = Action::Block.as_str().to_owned();
    Spoke { rule: rule.to_owned(), triggered: true, action, code: code.to_owned(), says: says.into() }
}

struct Look<'a> {
    policy: &'a Policy,
    traits: &'a Traits,
    questions: Vec<Question>,
    facts: &'a Facts,
    /// What the payout is worth, or why nobody can say.
    usd: Result<MicroUsd, String>,
}

/// Whether a rule triggers, the word for it, and the figures.
type Said = (bool, &'static str, String);

impl Look<'_> {
    fn at(&self, rule: &Rule) -> Said {
        match &rule.kind {
            Kind::AlwaysTrigger => (true, codes::ALWAYS, "always".into()),
            Kind::TransactionAmountLimit { limit } => self.amount(*limit),
            Kind::TransactionAmountVelocity { limit, window_seconds, .. } => {
                self.velocity(rule, *limit, *window_seconds)
            }
            Kind::TransactionCountVelocity { limit, window_seconds, .. } => self.count(rule, *limit, *window_seconds),
            Kind::TransactionRecipientWhitelist { recipients } => {
                let to = self.traits.get(Dimension::Counterparty);
                match recipients.contains(to) {
                    true => (false, codes::RECIPIENT_KNOWN, format!("{to} is listed")),
                    false => (true, codes::RECIPIENT_UNKNOWN, format!("{to} is not listed")),
                }
            }
            Kind::NewBeneficiary { cooling_off_seconds } => self.beneficiary(*cooling_off_seconds),
            Kind::FeeLimit { bps, amount } => self.fee(*bps, amount.as_ref()),
            Kind::SlippageLimit { bps, one_usd } => self.slippage(*bps, one_usd),
            Kind::BusinessHours { zone, days, from, to } => {
                let there = self.facts.now.to_zoned(zone.clone());
                let minute = i32::from(there.hour()) * 60 + i32::from(there.minute());
                let open = (i32::from(*from)..i32::from(*to)).contains(&minute) && days.contains(&there.weekday());
                let says = format!("it is {} there", there.strftime("%a %H:%M"));
                match open {
                    true => (false, codes::WITHIN_BUSINESS_HOURS, says),
                    false => (true, codes::OUTSIDE_BUSINESS_HOURS, says),
                }
            }
            Kind::Screening => match self.facts.screened.hits.as_slice() {
                [] => (false, codes::SCREENING_CLEAR, format!("{} lists are clear", self.facts.screened.lists.len())),
                hits => (true, codes::SCREENING_HIT, hits.join("; ")),
            },
            Kind::Anomaly { signs } => {
                let usd = self.usd.as_ref().ok().copied();
                let limits: Vec<MicroUsd> = self.policy.matching(self.traits).filter_map(limit_of).collect();
                let said = |sign: &Sign| {
                    sign.seen(self.facts, usd, &limits).map(|figures| format!("{}: {figures}", sign.as_str()))
                };
                let seen: Vec<String> = signs.iter().filter_map(said).collect();
                match seen.is_empty() {
                    true => (false, codes::NOTHING_UNUSUAL, "nothing unusual".into()),
                    false => (true, codes::ANOMALY, seen.join("; ")),
                }
            }
        }
    }

    fn amount(&self, limit: MicroUsd) -> Said {
        match &self.usd {
            Err(why) => (true, codes::AMOUNT_UNKNOWN, why.clone()),
            Ok(usd) if *usd > limit => {
                (true, codes::AMOUNT_ABOVE_LIMIT, format!("{usd} is above the limit of {limit}"))
            }
            Ok(usd) => (false, codes::AMOUNT_WITHIN_LIMIT, format!("{usd} is within the limit of {limit}")),
        }
    }

    fn velocity(&self, rule: &Rule, limit: MicroUsd, window_seconds: u32) -> Said {
        let unknown = |why: String| (true, codes::VELOCITY_UNKNOWN, why);
        let usd = match &self.usd {
            Err(why) => return unknown(why.clone()),
            Ok(usd) => *usd,
        };
        let Some(sum) = self.sum(rule) else { return unknown("what was paid before is not known".into()) };
        if sum.unpriced > 0 {
            return unknown(format!("nobody knows what {} of those in the window are worth", sum.unpriced));
        }
        let total = sum.usd.saturating_add(usd.0.into());
        let shown = MicroUsd(u64::try_from(total).unwrap_or(u64::MAX));
        let says =
            |is: &str| format!("{shown} within {}, this payout included, is {is} {limit}", period(window_seconds));
        match total > limit.0.into() {
            true => (true, codes::VELOCITY_ABOVE_LIMIT, says("above the limit of")),
            false => (false, codes::VELOCITY_WITHIN_LIMIT, says("within the limit of")),
        }
    }

    fn count(&self, rule: &Rule, limit: u64, window_seconds: u32) -> Said {
        let Some(sum) = self.sum(rule) else {
            return (true, codes::COUNT_UNKNOWN, "what was paid before is not known".into());
        };
        let count = sum.count.saturating_add(1);
        let says = |is: &str| format!("payout {count} within {} is {is} {limit}", period(window_seconds));
        match count > limit {
            true => (true, codes::COUNT_ABOVE_LIMIT, says("above the limit of")),
            false => (false, codes::COUNT_WITHIN_LIMIT, says("within the limit of")),
        }
    }

    /// The answer to the question of this rule. None where there are not exactly as many answers as questions: then they
    /// answer others.
    fn sum(&self, rule: &Rule) -> Option<Sum> {
        let question = rule.question(self.traits)?;
        let place = self.questions.iter().position(|it| *it == question)?;
        self.facts.sums.get(place).filter(|_| self.facts.sums.len() == self.questions.len()).copied()
    }

    fn beneficiary(&self, cooling_off_seconds: u32) -> Said {
        let time = period(cooling_off_seconds);
        let long = SignedDuration::from_secs(cooling_off_seconds.into());
        match self.facts.past.first_paid.map(|first| self.facts.now.duration_since(first)) {
            None => (true, codes::BENEFICIARY_NEW, "no money ever went to this counterparty".into()),
            Some(known) if known < long => {
                (true, codes::BENEFICIARY_NEW, format!("money first went to this counterparty less than {time} ago"))
            }
            Some(_) => {
                (false, codes::BENEFICIARY_KNOWN, format!("money first went to this counterparty {time} ago or longer"))
            }
        }
    }

    fn fee(&self, bps: Option<u32>, amount: Option<&Fiat>) -> Said {
        let not_yet = (false, codes::FEE_NOT_YET_KNOWN, "looked at just before Confirm".into());
        self.worst_offer(not_yet, codes::FEE_UNKNOWN, |offer| fee_of(offer, bps, amount))
    }

    fn slippage(&self, bps: u32, one_usd: &Fiat) -> Said {
        let not_yet = (false, codes::SLIPPAGE_NOT_YET_KNOWN, "looked at just before Confirm".into());
        self.worst_offer(not_yet, codes::SLIPPAGE_UNKNOWN, |offer| self.slippage_of(offer, bps, one_usd))
    }

    /// What the first offer says that triggers, or else the first one. At the start there is none yet; none just before
    /// Confirm triggers.
    fn worst_offer(&self, not_yet: Said, unknown: &'static str, look: impl Fn(&Offer) -> Said) -> Said {
        let mut said = self.facts.offers.iter().map(look).collect::<Vec<_>>();
        match (said.iter().position(|(triggered, ..)| *triggered), self.facts.when) {
            (Some(worst), When::Start | When::BeforeConfirm) => said.swap_remove(worst),
            (None, When::Start | When::BeforeConfirm) if !said.is_empty() => said.swap_remove(0),
            (None, When::Start) => not_yet,
            (None, When::BeforeConfirm) => (true, unknown, "no offer says what is paid out".into()),
        }
    }

    fn slippage_of(&self, offer: &Offer, bps: u32, one_usd: &Fiat) -> Said {
        let unknown = |why: String| (true, codes::SLIPPAGE_UNKNOWN, why);
        let usd = match &self.usd {
            Ok(usd) => *usd,
            Err(why) => return unknown(why.clone()),
        };
        let paid_in = &offer.receives.currency;
        if one_usd.currency != *paid_in {
            return unknown(format!("{paid_in} are paid out, the limit is in {}", one_usd.currency));
        }
        let whole: Option<Decimal> = offer.receives.amount.checked_add(offer.fees);
        let Some((whole, short)) = whole.and_then(|whole| Some((whole, falls_short(whole, usd, one_usd.amount, bps)?)))
        else {
            return unknown("the amounts are too large to compare".into());
        };
        let says = |is: &str| {
            format!("{whole} {paid_in} before fees for {usd} at {one_usd} each is {is} the limit of {bps} basis points")
        };
        match short {
            true => (true, codes::SLIPPAGE_ABOVE_LIMIT, says("short by more than")),
            false => (false, codes::SLIPPAGE_WITHIN_LIMIT, says("within")),
        }
    }

    /// Who may start what, where it is not as it should be.
    fn signature(&self) -> Option<Spoke> {
        let (code, says) = match &self.facts.initiator {
            Initiator::Unsigned if self.policy.unsigned_starts => return None,
            Initiator::Unsigned => (codes::START_UNSIGNED, "nobody has signed the start".into()),
            Initiator::Unproven { why } => (codes::START_UNPROVEN, why.clone()),
            Initiator::Starter { name } => {
                let program = self.traits.get(Dimension::Program);
                match self.policy.starter(name) {
                    Some(starter) if starter.may_start(program) => return None,
                    Some(_) => {
                        let says = format!("starter {name:?} may not start payouts of program {program:?}");
                        (codes::STARTER_OUTSIDE_PROGRAMS, says)
                    }
                    None => (codes::STARTER_UNKNOWN, format!("the policy knows no starter {name:?}")),
                }
            }
        };
        Some(block("(signature)", code, says))
    }

    /// A hit blocks, unless a rule that looks at the payout wants people to decide about it.
    fn screening(&self) -> Option<Spoke> {
        let hits = &self.facts.screened.hits;
        let asks = |rule: &Rule| rule.kind == Kind::Screening && matches!(rule.action, Action::RequestApproval { .. });
        let blocks = !hits.is_empty() && !self.policy.matching(self.traits).any(asks);
        blocks.then(|| block("(screening)", codes::SCREENING_HIT, hits.join("; ")))
    }
}

/// What the fees of an offer are against a limit.
fn fee_of(offer: &Offer, bps: Option<u32>, amount: Option<&Fiat>) -> Said {
    let paid_in = &offer.receives.currency;
    if let Some(other) = amount.filter(|amount| amount.currency != *paid_in) {
        let why = format!("the fees are in {paid_in}, the limit is in {}", other.currency);
        return (true, codes::FEE_UNKNOWN, why);
    }
    let guards = Guards {
        fees_at_most: amount.map(|amount| amount.amount),
        fees_at_most_bps: bps,
        receives_at_least: None,
        quote_at_most_seconds: None,
        on_breach: OnBreach::Cancel,
    };
    let bps = bps.map(|bps| format!("{bps} basis points"));
    let limits: Vec<String> = bps.into_iter().chain(amount.map(Fiat::to_string)).collect();
    let says = |is: &str| {
        let fees = format!("{} {paid_in} beside the {} that are paid out", offer.fees, offer.receives);
        format!("fees of {fees} are {is} the limit of {}", limits.join(" and "))
    };
    match guards.check(std::slice::from_ref(offer)).is_empty() {
        true => (false, codes::FEE_WITHIN_LIMIT, says("within")),
        false => (true, codes::FEE_ABOVE_LIMIT, says("above")),
    }
}

fn limit_of(rule: &Rule) -> Option<MicroUsd> {
    if let Kind::TransactionAmountLimit { limit } = rule.kind { Some(limit) } else { None }
}

/// `7 days`, `24 h`, `30 min`, `45 s`.
fn period(seconds: u32) -> String {
    const DAY: u32 = 24 * 3600;
    match seconds {
        s if s > DAY && s.is_multiple_of(DAY) => format!("{} days", s / DAY),
        s if s.is_multiple_of(3600) => format!("{} h", s / 3600),
        s if s.is_multiple_of(60) => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_period_is_said_in_the_largest_unit_that_fits() {
        let all = [604_800, 86_400, 7_200, 5_400, 60, 61].map(super::period);
        assert_eq!(all, ["7 days", "24 h", "2 h", "90 min", "1 min", "61 s"]);
    }
}
