//! What a run came to, for people and for programs.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::Value;

use crate::audit::Findings;

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Decides amounts, faults and kills.
    pub seed: u64,
    /// Payouts asked for.
    pub count: usize,
    /// Payouts open at a time, at most.
    pub in_flight: usize,
    /// How long it all took.
    pub took: Took,
    /// The fault plan with what passed under it and what it struck, as the sandbox says.
    pub faults: Value,
    /// Workers killed on the way.
    pub workers_killed: u64,
    /// What the provider was asked, and what of that it accepted.
    pub provider: BTreeMap<String, u64>,
    /// Events in a history.
    pub events: Events,
    /// Workflow tasks that failed, each with its cause.
    pub failed_tasks: Vec<String>,
    /// What the audit found.
    #[serde(flatten)]
    pub findings: Findings,
}

/// Times in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Took {
    /// Until the system was up.
    pub start_ms: u64,
    /// Until the last payout had ended.
    pub payouts_ms: u64,
    /// Until all books were compared.
    pub audit_ms: u64,
}

/// How long histories were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Events {
    /// As many histories are shorter as are longer.
    pub median: usize,
    /// The longest.
    pub most: usize,
}

impl Events {
    pub(crate) fn of(mut lengths: Vec<usize>) -> Self {
        lengths.sort_unstable();
        let median = lengths.get(lengths.len() / 2).copied().unwrap_or_default();
        Self { median, most: lengths.last().copied().unwrap_or_default() }
    }
}

impl Report {
    /// Whether all books agree.
    pub fn holds(&self) -> bool {
        self.findings.violations.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, count, in_flight, took, faults, workers_killed, provider, events, failed_tasks, findings } =
            self;
        let seconds = |ms: u64| format!("{}.{} s", ms / 1000, ms % 1000 / 100);
        writeln!(f, "seed            {seed}")?;
        writeln!(f, "payouts         {count}, at most {in_flight} at a time, in {}", seconds(took.payouts_ms))?;
        writeln!(f, "                started up in {}, audited in {}", seconds(took.start_ms), seconds(took.audit_ms))?;
        writeln!(f, "endings         {}", listed(&findings.endings))?;
        writeln!(f, "money           {}", listed(&findings.money))?;
        writeln!(f, "in doubt        {}", findings.in_doubt)?;
        writeln!(f, "provider        {}", listed(provider))?;
        for what in ["calls", "webhooks"] {
            let of_webhooks = what == "webhooks";
            let struck: BTreeMap<&str, u64> = faults["struck"]
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(share, _)| share.starts_with("webhooks") == of_webhooks)
                .map(|(share, times)| (share.as_str(), times.as_u64().unwrap_or_default()))
                .collect();
            writeln!(f, "{what:<15} {}: {}", faults[what].as_u64().unwrap_or_default(), listed(&struck))?;
        }
        writeln!(f, "workers killed  {workers_killed}")?;
        writeln!(f, "events          {} in the median, {} at most", events.median, events.most)?;
        writeln!(f, "failed tasks    {}", failed_tasks.len())?;
        for failed in failed_tasks {
            writeln!(f, "  {failed}")?;
        }
        for moved in &findings.moved {
            writeln!(
                f,
                "moved           {} units of {} by the balance of {}, {} by the outcomes, {} not said by any outcome",
                moved.by_balance, moved.asset, moved.wallet, moved.by_outcome, moved.not_said
            )?;
        }
        write!(f, "violations      {}", findings.violations.len())?;
        for violation in &findings.violations {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}

fn listed<K: fmt::Display, V: fmt::Display>(counts: &BTreeMap<K, V>) -> String {
    let all: Vec<String> = counts.iter().map(|(what, times)| format!("{what} {times}")).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_end_of_the_lengths_are_shown() {
        assert_eq!(Events::of(vec![50, 40, 90]), Events { median: 50, most: 90 });
        assert_eq!(Events::of(vec![]), Events::default());
    }
}
