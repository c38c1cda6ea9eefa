//! What the facts about decisions share: payouts in every dimension, and rulings of a policy as short as can be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use remit_domain::policy::{Decision, Dimension, MicroUsd, Question, Sum, Traits, Verdict, Wanted};
use remit_records::{Counted, DecideAnswer, Decided, Deciding, Records, Ruling};
use serde_json::json;

use crate::support::claim;

pub const DAY: u32 = 24 * 3600;

/// A payout of program `payroll` to one counterparty, in every dimension.
pub static TRAITS: LazyLock<Traits> = LazyLock::new(|| traits(&[]));

/// As [`TRAITS`], but for these.
pub fn traits(other: &[(Dimension, &str)]) -> Traits {
    let usual = [
        (Dimension::Chain, "Polygon"),
        (Dimension::Asset, "Erc20:0x3c49"),
        (Dimension::Program, "payroll"),
        (Dimension::Counterparty, "Borderless/acc-1/pi-1"),
        (Dimension::Wallet, "wa-1"),
        (Dimension::Country, "NG"),
        (Dimension::Currency, "NGN"),
        (Dimension::Purpose, "Salary"),
        (Dimension::Source, "api"),
    ];
    let usual = usual.iter().chain(other);
    Traits(usual.map(|(dimension, value)| (*dimension, (*value).to_owned())).collect())
}

/// All payouts, of the last so many seconds.
pub fn all(window_seconds: u32) -> Question {
    Question { of: BTreeMap::new(), window_seconds }
}

/// Those of these values, of the last so many seconds.
pub fn only(of: &[(Dimension, &[&str])], window_seconds: u32) -> Question {
    let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<BTreeSet<_>>();
    Question { of: of.iter().map(|(dimension, among)| (*dimension, values(among))).collect(), window_seconds }
}

/// A payout that is decided, where it does not matter which.
pub fn deciding<'a>(key: &'a str, questions: &'a [Question]) -> Deciding<'a> {
    Deciding { key, digest: "d1", traits: &TRAITS, asset: "Erc20:0x3c49", amount: "12500000", questions }
}

/// A decision, where only the verdict and the worth matter.
pub fn decision(verdict: Verdict, usd: impl Into<Option<u64>>) -> Decision {
    let wanted = Wanted {
        rule: "large".to_owned(),
        group: "treasury".to_owned(),
        quorum: 2,
        people: vec!["ana".to_owned(), "bo".to_owned()],
        timeout_seconds: 3600,
    };
    Decision {
        revision: 1,
        revision_hash: "hash-1".to_owned(),
        verdict,
        spoke: vec![],
        wanted: if verdict == Verdict::NeedsApproval { vec![wanted] } else { vec![] },
        usd: usd.into().map(MicroUsd),
        price: None,
    }
}

pub fn ruling(verdict: Verdict, usd: impl Into<Option<u64>>) -> Ruling {
    Ruling { decision: decision(verdict, usd), facts: json!({"seen": true}) }
}

/// The policy of the facts: the first question is about a limit, and what does not fit is blocked.
pub fn within(limit: u64, usd: u64) -> impl FnOnce(&Counted) -> Ruling {
    move |counted| {
        let fits = counted.sums[0].usd + u128::from(usd) <= u128::from(limit);
        ruling(if fits { Verdict::Allowed } else { Verdict::Blocked }, usd)
    }
}

#[track_caller]
pub fn decided(answer: DecideAnswer) -> Decided {
    match answer {
        DecideAnswer::Decided(decided) => decided,
        odd @ (DecideAnswer::Finished | DecideAnswer::NotClaimed | DecideAnswer::Conflict) => panic!("{odd:?}"),
    }
}

/// A payout that is claimed and allowed.
pub async fn allow(records: &Records, key: &str, usd: impl Into<Option<u64>>) {
    allow_as(records, key, &TRAITS, usd).await;
}

/// As [`allow`], in these dimensions.
pub async fn allow_as(records: &Records, key: &str, traits: &Traits, usd: impl Into<Option<u64>>) {
    records.claim(&claim(key, "d1", key)).await.unwrap();
    let deciding = Deciding { traits, asset: traits.get(Dimension::Asset), ..deciding(key, &[]) };
    let usd = usd.into();
    decided(records.decide_payout(&deciding, |_| ruling(Verdict::Allowed, usd)).await.unwrap());
}

/// Sends a Confirm, as far as the records know.
pub async fn confirm(records: &Records, key: &str) {
    records.take_gate(key, "d1", "0xabc").await.unwrap();
    records.note_confirm_sent(key).await.unwrap();
}

/// What a payout that is not there would be told.
pub async fn counted(records: &Records, traits: &Traits, questions: &[Question]) -> Counted {
    records.claim(&claim("looks", "d1", "looks")).await.unwrap();
    let deciding = Deciding { traits, asset: traits.get(Dimension::Asset), ..deciding("looks", questions) };
    let mut seen = None;
    let look = |counted: &Counted| {
        seen = Some(counted.clone());
        ruling(Verdict::Blocked, None)
    };
    decided(records.decide_payout(&deciding, look).await.unwrap());
    seen.expect("the rule was asked")
}

pub async fn sum(records: &Records, question: Question) -> Sum {
    counted(records, &TRAITS, &[question]).await.sums[0]
}
