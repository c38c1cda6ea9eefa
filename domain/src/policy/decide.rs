//! The decision. All rules are looked at; any block wins; all approvals that are asked for must be met; a payout that no
//! rule looks at is blocked. As at Dfns, but for the last: there, what no policy looks at is allowed.

use super::{
    Action, Decision, Facts, Initiator, Kind, MicroUsd, Policy, Question, RevisionId, Rule, Spoke, Sum, Verdict,
    Wanted, When, worth,
};
use crate::{Guards, OnBreach, PayoutRequest};

/// What the policy says of a payout.
pub fn decide(policy: &Policy, revision: &RevisionId, request: &PayoutRequest, facts: &Facts) -> Decision {
    let price = facts.price.as_ref();
    let usd = match price {
        None => Err("nobody says what the token is worth".to_owned()),
        Some(price) => worth(request.amount, price, facts.now).map_err(|problem| problem.to_string()),
    };
    let look = Look { policy, questions: policy.questions(&facts.traits), facts, usd };
    let mut spoke: Vec<Spoke> = Vec::new();
    let mut wanted: Vec<Wanted> = Vec::new();
    for rule in policy.rules.iter().filter(|rule| rule.filter.matches(&facts.traits)) {
        let (triggered, code, says) = look.at(rule);
        if let Action::RequestApproval { approvals, timeout_seconds } = &rule.action
            && triggered
        {
            wanted.extend(approvals.iter().map(|(group, quorum)| Wanted {
                rule: rule.name.clone(),
                group: group.clone(),
                quorum: *quorum,
                people: policy.groups.get(group).map(|it| it.people.iter().cloned().collect()).unwrap_or_default(),
                timeout_seconds: *timeout_seconds,
            }));
        }
        let (rule, action) = (rule.name.clone(), rule.action.as_str().to_owned());
        spoke.push(Spoke { rule, triggered, action, code: code.to_owned(), says });
    }
    if spoke.is_empty() {
        spoke.push(unwritten("(no rule)", "no_rule_matches", "no rule looks at this payout"));
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
    Decision {
        revision: revision.number,
        revision_hash: revision.hash.clone(),
        verdict,
        spoke,
        wanted,
        usd: look.usd.ok(),
        price: facts.price.clone(),
    }
}

/// What is decided without a rule that says so: always a block.
fn unwritten(rule: &str, code: &str, says: impl Into<String>) -> Spoke {
    Spoke {
        rule: rule.to_owned(),
        triggered: true,
        action: Action::Block.as_str().to_owned(),
        code: code.to_owned(),
        says: says.into(),
    }
}

struct Look<'a> {
    policy: &'a Policy,
    questions: Vec<Question>,
    facts: &'a Facts,
    usd: Result<MicroUsd, String>,
}

/// Whether a rule triggers, the word for it, and the figures.
type Said = (bool, &'static str, String);

impl Look<'_> {
    fn at(&self, rule: &Rule) -> Said {
        match &rule.kind {
            Kind::AlwaysTrigger => (true, "always", "always".into()),
            Kind::TransactionAmountLimit { limit } => match &self.usd {
                Err(why) => (true, "amount_unknown", why.clone()),
                Ok(usd) if usd > limit => (true, "amount_above_limit", format!("{usd} is above the limit of {limit}")),
                Ok(usd) => (false, "amount_within_limit", format!("{usd}, limit {limit}")),
            },
            Kind::TransactionAmountVelocity { limit, window_seconds, .. } => self.amount(rule, *limit, *window_seconds),
            Kind::TransactionCountVelocity { limit, window_seconds, .. } => match self.sum(rule) {
                None => (true, "count_unknown", "what was paid before is not known".into()),
                Some(sum) => {
                    let (count, window) = (sum.count.saturating_add(1), period(*window_seconds));
                    let says = format!("{count} in {window}, limit {limit}");
                    if count > *limit { (true, "count_above_limit", says) } else { (false, "count_within_limit", says) }
                }
            },
            Kind::TransactionRecipientWhitelist { recipients } => {
                let to = self.facts.traits.get(super::Dimension::Counterparty);
                match recipients.contains(to) {
                    true => (false, "recipient_known", format!("{to} is listed")),
                    false => (true, "recipient_unknown", format!("{to} is not among the known recipients")),
                }
            }
            Kind::NewBeneficiary { cooling_off_seconds } => {
                let period = period(*cooling_off_seconds);
                let known = self.facts.past.first_paid.map(|first| self.facts.now.duration_since(first).as_secs());
                match known {
                    Some(known) if known >= i64::from(*cooling_off_seconds) => {
                        (false, "beneficiary_known", format!("known for longer than {period}"))
                    }
                    Some(_) => (true, "beneficiary_new", format!("first paid less than {period} ago")),
                    None => (true, "beneficiary_new", "never paid before".into()),
                }
            }
            Kind::FeeLimit { bps, amount } => self.fee(*bps, *amount),
            Kind::BusinessHours { zone, days, from, to } => {
                let now = self.facts.now.to_zoned(zone.clone());
                let inside = days.contains(&now.weekday()) && now.time() >= *from && now.time() < *to;
                let says = format!("{} there", now.strftime("%a %H:%M"));
                if inside { (false, "business_hours", says) } else { (true, "outside_business_hours", says) }
            }
            Kind::Screening => match self.facts.screened.hits.as_slice() {
                [] => (false, "screening_clear", format!("{} lists", self.facts.screened.lists.len())),
                hits => (true, "screening_hit", hits.join("; ")),
            },
            Kind::Anomaly { signs } => {
                let usd = self.usd.as_ref().ok().copied();
                let limits: Vec<MicroUsd> = self.matching().filter_map(limit_of).collect();
                let seen: Vec<String> = signs.iter().filter_map(|sign| sign.seen(self.facts, usd, &limits)).collect();
                match seen.is_empty() {
                    true => (false, "nothing_unusual", "nothing unusual".into()),
                    false => (true, "anomaly", seen.join("; ")),
                }
            }
        }
    }

    fn matching(&self) -> impl Iterator<Item = &Rule> {
        self.policy.rules.iter().filter(|rule| rule.filter.matches(&self.facts.traits))
    }

    fn sum(&self, rule: &Rule) -> Option<Sum> {
        let question = rule.question(&self.facts.traits)?;
        let place = self.questions.iter().position(|it| *it == question)?;
        self.facts.sums.get(place).copied()
    }

    fn amount(&self, rule: &Rule, limit: MicroUsd, window_seconds: u32) -> Said {
        let usd = match &self.usd {
            Err(why) => return (true, "amount_unknown", why.clone()),
            Ok(usd) => *usd,
        };
        let Some(sum) = self.sum(rule) else {
            return (true, "amount_unknown", "what was paid before is not known".into());
        };
        if sum.unpriced > 0 {
            let says = format!("{} payouts in the window have no known worth", sum.unpriced);
            return (true, "amount_unknown", says);
        }
        let total = sum.usd.saturating_add(usd.0.into());
        let shown = MicroUsd(u64::try_from(total).unwrap_or(u64::MAX));
        let says = format!("{shown} in {} with this one, limit {limit}", period(window_seconds));
        match total > limit.0.into() {
            true => (true, "velocity_above_limit", says),
            false => (false, "velocity_within_limit", says),
        }
    }

    fn fee(&self, bps: Option<u32>, amount: Option<rust_decimal::Decimal>) -> Said {
        match (&self.facts.offer, self.facts.when) {
            (None, When::Start) => (false, "fee_not_known_yet", "looked at just before Confirm".into()),
            (None, When::BeforeConfirm) => (true, "fee_unknown", "no offer says what the fee is".into()),
            (Some(offer), _) => {
                let guards = Guards {
                    fees_at_most: amount,
                    fees_at_most_bps: bps,
                    receives_at_least: None,
                    quote_at_most_seconds: None,
                    on_breach: OnBreach::Cancel,
                };
                let says = format!("{} of {}", offer.fees, offer.receives);
                match guards.check(std::slice::from_ref(offer)).is_empty() {
                    true => (false, "fee_within_limit", says),
                    false => (true, "fee_above_limit", says),
                }
            }
        }
    }

    /// Who may start what.
    fn signature(&self) -> Option<Spoke> {
        let says = match &self.facts.initiator {
            Initiator::Unsigned if self.policy.unsigned_starts => return None,
            Initiator::Unsigned => return Some(unwritten("(signature)", "unsigned", "nobody has signed the start")),
            Initiator::Unproven { why } => return Some(unwritten("(signature)", "unproven", why.clone())),
            Initiator::Starter { name } => {
                let program = self.facts.traits.get(super::Dimension::Program);
                match self.policy.starters.get(name) {
                    Some(starter) if starter.may_start(program) => return None,
                    Some(_) => format!("{name} may not start payouts of program {program:?}"),
                    None => format!("the policy knows no starter {name:?}"),
                }
            }
        };
        Some(unwritten("(signature)", "starter_may_not", says))
    }

    /// A hit blocks, unless a rule that looks at the payout wants people to decide about it.
    fn screening(&self) -> Option<Spoke> {
        let hits = &self.facts.screened.hits;
        let asked = self
            .matching()
            .any(|rule| rule.kind == Kind::Screening && matches!(rule.action, Action::RequestApproval { .. }));
        (!hits.is_empty() && !asked).then(|| unwritten("(screening)", "screening_hit", hits.join("; ")))
    }
}

fn limit_of(rule: &Rule) -> Option<MicroUsd> {
    match rule.kind {
        Kind::TransactionAmountLimit { limit } => Some(limit),
        Kind::AlwaysTrigger
        | Kind::TransactionAmountVelocity { .. }
        | Kind::TransactionCountVelocity { .. }
        | Kind::TransactionRecipientWhitelist { .. }
        | Kind::NewBeneficiary { .. }
        | Kind::FeeLimit { .. }
        | Kind::BusinessHours { .. }
        | Kind::Screening
        | Kind::Anomaly { .. } => None,
    }
}

/// `24 h`, `30 min`, `45 s`.
fn period(seconds: u32) -> String {
    match seconds {
        s if s.is_multiple_of(3600) => format!("{} h", s / 3600),
        s if s.is_multiple_of(60) => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}
