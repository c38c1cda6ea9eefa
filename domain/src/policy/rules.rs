//! A policy: who there is, and the rules.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{
    civil::{Time, Weekday},
    tz::TimeZone,
};
use rust_decimal::Decimal;

use super::{Dimension, MicroUsd, Question, Traits, anomalies::Sign};

/// A policy, read and checked: the only way in is [`Policy::read`].
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What it is called.
    pub name: String,
    /// Whether a start that nobody signed may be paid.
    pub unsigned_starts: bool,
    /// People with their keys.
    pub people: BTreeMap<String, Person>,
    /// Groups of people.
    pub groups: BTreeMap<String, Group>,
    /// Programs that start payouts, with their keys.
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
    /// The programs it may start payouts of; `*` means all.
    pub programs: BTreeSet<String>,
}

impl Starter {
    /// Whether it may start payouts of this program; the empty one is that of requests that name none.
    pub fn may_start(&self, program: &str) -> bool {
        self.programs.contains("*") || self.programs.contains(program)
    }
}

/// Who may release, resolve and retry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Groups whose people may.
    pub groups: Vec<String>,
    /// Whether unsigned orders are taken too.
    pub unsigned: bool,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
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

/// Which payouts a rule looks at: in each dimension that is named, one of these values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(pub BTreeMap<Dimension, BTreeSet<String>>);

impl Filter {
    /// Whether it looks at this one.
    pub fn matches(&self, traits: &Traits) -> bool {
        self.0.iter().all(|(dimension, values)| values.contains(traits.get(*dimension)))
    }
}

/// What a rule looks for. Words of Dfns where it has them.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Always triggers.
    AlwaysTrigger,
    /// Triggers above this worth.
    TransactionAmountLimit {
        /// Equal passes.
        limit: MicroUsd,
    },
    /// Triggers when this payout and those that count in the window are worth more together.
    TransactionAmountVelocity {
        /// Equal passes.
        limit: MicroUsd,
        /// How far back, in seconds.
        window_seconds: u32,
        /// Counted apart for each value in these dimensions.
        per: BTreeSet<Dimension>,
    },
    /// Triggers when this payout and those that count in the window are more.
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
    /// Triggers until money has gone to the counterparty for this long.
    NewBeneficiary {
        /// Cooling-off period, in seconds.
        cooling_off_seconds: u32,
    },
    /// Triggers when the quote, just before Confirm, takes more.
    FeeLimit {
        /// Most fees in basis points of what would be paid out without them.
        bps: Option<u32>,
        /// Most fees, in the currency that is paid out.
        amount: Option<Decimal>,
    },
    /// Triggers outside of these hours.
    BusinessHours {
        /// Whose clock.
        zone: TimeZone,
        /// On which days.
        days: Vec<Weekday>,
        /// From, inclusive.
        from: Time,
        /// To, exclusive.
        to: Time,
    },
    /// Triggers when a list that payouts are screened against knows the counterparty.
    Screening,
    /// Triggers on any of these signs.
    Anomaly {
        /// Which.
        signs: BTreeSet<Sign>,
    },
}

/// What a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It may not be paid.
    Block,
    /// It may be paid once these have approved.
    RequestApproval {
        /// Groups, and how many of each: all must be met.
        approvals: Vec<(String, u32)>,
        /// How long is waited for them, in seconds.
        timeout_seconds: u32,
    },
    /// It is noted, and nothing else.
    Flag,
}

impl Action {
    /// The word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::RequestApproval { .. } => "requestApproval",
            Self::Flag => "flag",
        }
    }
}

impl Kind {
    /// What has to be counted for it, beside the filter.
    fn counts(&self) -> Option<(u32, &BTreeSet<Dimension>)> {
        match self {
            Self::TransactionAmountVelocity { window_seconds, per, .. }
            | Self::TransactionCountVelocity { window_seconds, per, .. } => Some((*window_seconds, per)),
            Self::AlwaysTrigger
            | Self::TransactionAmountLimit { .. }
            | Self::TransactionRecipientWhitelist { .. }
            | Self::NewBeneficiary { .. }
            | Self::FeeLimit { .. }
            | Self::BusinessHours { .. }
            | Self::Screening
            | Self::Anomaly { .. } => None,
        }
    }
}

impl Rule {
    /// What this rule has to know of what was paid before.
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
    /// What the rules that look at this payout have to know of what was paid before: each once, in a fixed order.
    pub fn questions(&self, traits: &Traits) -> Vec<Question> {
        let all: BTreeSet<Question> = self
            .rules
            .iter()
            .filter(|rule| rule.filter.matches(traits))
            .filter_map(|rule| rule.question(traits))
            .collect();
        all.into_iter().collect()
    }

    /// Somebody who starts payouts.
    pub fn starter(&self, name: &str) -> Option<&Starter> {
        self.starters.get(name)
    }

    /// Whether orders that let money go on are taken unsigned.
    pub fn allows_unsigned_orders(&self) -> bool {
        self.orders.unsigned
    }

    /// Whether a rule looks at the quote.
    pub fn looks_at_quotes(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.kind, Kind::FeeLimit { .. }))
    }
}
