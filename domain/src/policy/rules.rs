//! A policy: who there is, and the rules.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{civil::Weekday, tz::TimeZone};
use rust_decimal::Decimal;

use super::{Dimension, MicroUsd, Question, Sign, Traits};
use crate::Fiat;

/// A policy, read and checked: the only way in is [`Policy::read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What it is called.
    pub name: String,
    /// Whether a start that nobody signed may be paid.
    pub unsigned_starts: bool,
    /// People with their keys, by name.
    pub people: BTreeMap<String, Person>,
    /// Groups of people, by name.
    pub groups: BTreeMap<String, Group>,
    /// Business systems that start payouts, with their keys, by name.
    pub starters: BTreeMap<String, Starter>,
    /// Who may give orders that let money go on.
    pub orders: Orders,
    /// The rules, in the order of the file.
    pub rules: Vec<Rule>,
}

/// Somebody who signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Public key, `ed25519:…`.
    pub key: String,
    /// The same person at Dfns (`us-…`), for policies there.
    pub dfns_user: Option<String>,
}

/// People who decide together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Their names.
    pub people: BTreeSet<String>,
}

/// A business system that starts payouts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starter {
    /// Public key, `ed25519:…`.
    pub key: String,
    /// The programs it may start payouts of. `*`: all; the empty one is that of requests that name none.
    pub programs: BTreeSet<String>,
}

impl Starter {
    /// Whether it may start payouts of this program.
    pub fn may_start(&self, program: &str) -> bool {
        self.programs.contains("*") || self.programs.contains(program)
    }
}

/// Who may release, resolve and retry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Groups whose people may.
    pub groups: BTreeSet<String>,
    /// Whether unsigned orders are taken too.
    pub unsigned: bool,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it is called.
    pub name: String,
    /// Which payouts it looks at.
    pub filter: Filter,
    /// What it looks for.
    pub kind: Kind,
    /// What it asks for then.
    pub action: Action,
}

/// Which payouts a rule looks at: in each dimension that is named, one of these values. None named: all payouts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(pub BTreeMap<Dimension, BTreeSet<String>>);

impl Filter {
    /// Whether it looks at this one.
    pub fn matches(&self, traits: &Traits) -> bool {
        self.0.iter().all(|(dimension, values)| values.contains(traits.get(*dimension)))
    }

    /// Whether it looks at everything the other looks at.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.0.iter().all(|(dimension, values)| other.0.get(dimension).is_some_and(|some| some.is_subset(values)))
    }
}

/// What a rule looks for. Dfns's words where it has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Always triggers.
    AlwaysTrigger,
    /// Triggers when the payout is worth more than the limit, or nobody can say what it is worth.
    TransactionAmountLimit {
        /// Equal passes.
        limit: MicroUsd,
    },
    /// Triggers when this payout and those that count in the window are worth more than the limit together, or nobody
    /// can say.
    TransactionAmountVelocity {
        /// Equal passes.
        limit: MicroUsd,
        /// How far back, in seconds.
        window_seconds: u32,
        /// Counted apart for each value in these dimensions.
        per: BTreeSet<Dimension>,
    },
    /// Triggers when this payout and those that count in the window are more than the limit.
    TransactionCountVelocity {
        /// Equal passes.
        limit: u64,
        /// How far back, in seconds.
        window_seconds: u32,
        /// Counted apart for each value in these dimensions.
        per: BTreeSet<Dimension>,
    },
    /// Triggers for every counterparty that is not listed.
    TransactionRecipientWhitelist {
        /// `Borderless/acc-1/pi-1`.
        recipients: BTreeSet<String>,
    },
    /// Triggers until money first went to the counterparty this long ago.
    NewBeneficiary {
        /// Cooling-off period, in seconds.
        cooling_off_seconds: u32,
    },
    /// Triggers when the quote, just before Confirm, takes more than one of the limits. At least one is set.
    FeeLimit {
        /// Most fees, in basis points of what would be paid out without them.
        bps: Option<u32>,
        /// Most fees, in the currency that is paid out.
        amount: Option<Fiat>,
    },
    /// Triggers when the quote, just before Confirm, pays out (fees left aside) further below what the tokens are worth.
    SlippageLimit {
        /// Most, in basis points of what they are worth.
        bps: u32,
        /// What a US dollar is worth in the currency that is paid out.
        one_usd: Fiat,
    },
    /// Triggers outside of these hours.
    BusinessHours {
        /// Whose clock.
        zone: TimeZone,
        /// On which days of the week.
        days: Vec<Weekday>,
        /// From this minute of the day on.
        from: u16,
        /// Until before this minute of the day, 1440 for the day's end.
        to: u16,
    },
    /// Triggers when a list that payouts are screened against knows the counterparty.
    Screening,
    /// Triggers when any of these signs is there.
    Anomaly {
        /// Which.
        signs: BTreeSet<Sign>,
    },
}

/// What a rule asks for when it triggers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It may not be paid.
    Block,
    /// It may be paid once these have approved.
    RequestApproval {
        /// Groups, and how many of each: all must be met, and nobody counts for two of them.
        approvals: Vec<(String, u32)>,
        /// How long is waited for them, in seconds.
        timeout_seconds: u32,
    },
    /// It is noted, and nothing else.
    Flag,
}

impl Action {
    /// As a decision says it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::RequestApproval { .. } => "requestApproval",
            Self::Flag => "flag",
        }
    }
}

impl Kind {
    /// What has to be counted for it: how far back, and apart for each value in which dimensions.
    pub(super) fn counts(&self) -> Option<(u32, &BTreeSet<Dimension>)> {
        match self {
            Self::TransactionAmountVelocity { window_seconds, per, .. }
            | Self::TransactionCountVelocity { window_seconds, per, .. } => Some((*window_seconds, per)),
            Self::AlwaysTrigger
            | Self::TransactionAmountLimit { .. }
            | Self::TransactionRecipientWhitelist { .. }
            | Self::NewBeneficiary { .. }
            | Self::FeeLimit { .. }
            | Self::SlippageLimit { .. }
            | Self::BusinessHours { .. }
            | Self::Screening
            | Self::Anomaly { .. } => None,
        }
    }
}

impl Rule {
    /// What this rule has to know of what was paid before: the payouts that its filter matches and, in the dimensions
    /// it counts apart, are like this one.
    pub(super) fn question(&self, traits: &Traits) -> Option<Question> {
        let (window_seconds, per) = self.kind.counts()?;
        let mut of = self.filter.0.clone();
        for dimension in per {
            of.insert(*dimension, BTreeSet::from([traits.get(*dimension).to_owned()]));
        }
        Some(Question { of, window_seconds })
    }
}

impl Policy {
    /// The rules whose filter matches this payout, in the order of the file.
    pub(super) fn matching<'a>(&'a self, traits: &'a Traits) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(|rule| rule.filter.matches(traits))
    }

    /// What the rules that look at this payout have to know of what was paid before: each once, in a fixed order.
    pub fn questions(&self, traits: &Traits) -> Vec<Question> {
        let all: BTreeSet<Question> = self.matching(traits).filter_map(|rule| rule.question(traits)).collect();
        all.into_iter().collect()
    }

    /// The public key of a person, `ed25519:…`.
    pub fn person_key(&self, name: &str) -> Option<&str> {
        self.people.get(name).map(|person| person.key.as_str())
    }

    /// A business system that starts payouts.
    pub fn starter(&self, name: &str) -> Option<&Starter> {
        self.starters.get(name)
    }

    /// Whether this person is in this group.
    pub fn is_in(&self, person: &str, group: &str) -> bool {
        self.groups.get(group).is_some_and(|group| group.people.contains(person))
    }

    /// Whether orders that let money go on are taken unsigned.
    pub fn allows_unsigned_orders(&self) -> bool {
        self.orders.unsigned
    }

    /// Whether a rule looks at the quote.
    pub fn looks_at_quotes(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.kind, Kind::FeeLimit { .. } | Kind::SlippageLimit { .. }))
    }
}

/// Whether what is paid out falls short of what the tokens are worth by more than this. None: it cannot be said.
pub(super) fn falls_short(paid_out: Decimal, worth: MicroUsd, one_usd: Decimal, bps: u32) -> Option<bool> {
    let least = Decimal::from(worth.0).checked_mul(one_usd)?.checked_mul(Decimal::from(10_000u32.checked_sub(bps)?))?;
    let paid_out = paid_out.checked_mul(Decimal::from(10_000_000_000u64))?;
    Some(paid_out < least)
}
