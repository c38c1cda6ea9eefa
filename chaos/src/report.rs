//! What a run came to, for people and for programs.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::Value;

use crate::{
    audit::{Findings, Rule},
    books::Books,
    coverage::Table,
};

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Decides everything that is not left to the moment.
    pub seed: u64,
    /// Payouts asked for.
    pub payouts: usize,
    /// How far the provider's clock was off, in milliseconds.
    pub clock_offset_ms: i64,
    /// How long it all took.
    pub took: Took,
    /// What was done to the house, by kind.
    pub blows: BTreeMap<String, usize>,
    /// Kills that went to a worker in the middle of a create or a Confirm.
    pub aimed_kills: usize,
    /// Kills at a moment when nothing was open.
    pub kills_for_nothing: usize,
    /// Calls of the starters that nobody answered, and those that were.
    pub starts: (usize, usize),
    /// The fault plan with what passed under it and what it struck, as the sandbox says.
    pub faults: Value,
    /// Forged webhooks that the relay answered, and lies that Temporal took.
    pub attacks: [u64; 2],
    /// Processes that ended by themselves: name, status, end of the log.
    pub ended_by_themselves: Vec<(String, String, String)>,
    /// Payouts whose run went on although they were over on record, until somebody ordered something.
    pub woken: Vec<String>,
    /// Payouts whose reservation a person has settled.
    pub settled: Vec<String>,
    /// What the worker and the relay said of a disk without room; none where the disk could not be filled.
    pub out_of_room: Option<usize>,
    /// What the provider was asked, and what of that it accepted.
    pub provider: BTreeMap<String, u64>,
    /// The longest history.
    pub most_events: usize,
    /// Workflow tasks that failed, each with its cause.
    pub failed_tasks: Vec<String>,
    /// Which states met which faults.
    pub coverage: Table,
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

impl Report {
    pub(crate) fn new(
        books: &Books,
        findings: Findings,
        coverage: Table,
        faults: Value,
        ended_by_themselves: Vec<(String, String, String)>,
        attacks: [u64; 2],
        took: Took,
    ) -> Self {
        let mut blows = BTreeMap::new();
        for blow in &books.blows {
            *blows.entry(blow.what.clone()).or_default() += 1;
        }
        let kills = || books.blows.iter().filter(|blow| blow.what.starts_with("kill"));
        let answers = || books.starters.iter().filter_map(|line| line.answer.as_deref());
        let totals = books.ledger["totals"].as_object().into_iter().flatten();
        let failed =
            books.runs.iter().flat_map(|(id, run)| run.failed_tasks.iter().map(move |it| format!("{id}, {it}")));
        Self {
            seed: books.plan.seed,
            payouts: books.plan.payouts.len(),
            clock_offset_ms: books.plan.clock_offset_ms,
            took,
            blows,
            aimed_kills: kills().filter(|blow| blow.whom.contains(" of ")).count(),
            kills_for_nothing: kills().filter(|blow| blow.open == 0).count(),
            starts: (answers().filter(|it| *it == "none").count(), answers().filter(|it| *it != "none").count()),
            faults,
            attacks,
            ended_by_themselves,
            out_of_room: None,
            settled: books.settled.clone(),
            woken: books.woken.iter().cloned().collect(),
            provider: totals.filter_map(|(what, times)| Some((what.clone(), times.as_u64()?))).collect(),
            most_events: books.runs.values().map(|run| run.events.len()).max().unwrap_or_default(),
            failed_tasks: failed.collect(),
            coverage,
            findings,
        }
    }

    /// Whether all books agree.
    pub fn holds(&self) -> bool {
        self.findings.violations.is_empty()
    }

    /// How many processes were killed of workers, relays and the server, and of starters.
    pub fn kills(&self) -> usize {
        ["worker", "relay", "server"].iter().map(|role| self.blow(&format!("kill {role}"))).sum()
    }

    fn blow(&self, what: &str) -> usize {
        self.blows.get(what).copied().unwrap_or_default()
    }

    /// Everything that counts, in one line.
    pub fn summary(&self) -> String {
        let of = |rule| self.findings.of(rule);
        let struck = self.faults["struck"].as_object().into_iter().flatten();
        let struck: u64 = struck.filter_map(|(_, times)| times.as_u64()).sum();
        let aimed: u64 = self
            .coverage
            .pairs
            .iter()
            .filter(|(what, ..)| AIMED.iter().any(|it| what.starts_with(it)))
            .map(|it| it.2)
            .sum();
        format!(
            "duplicate creates {} · duplicate confirms {} · paid twice {} · lost payouts {} · unexplained states {} · \
             overspent limits {} · ledger difference {} units · other violations {} — {} payouts · {} kills ({} workers, \
             {} relays, {} servers; {} starters beside) · {} stalls · {} locks · {} full disks · {} faults",
            of(Rule::CreatedOnce),
            of(Rule::ConfirmedOnce),
            of(Rule::PaidOnce),
            of(Rule::NothingLost),
            of(Rule::Explained),
            of(Rule::NotOverspent),
            self.findings.difference,
            self.findings.violations.iter().filter(|it| !NAMED.contains(&it.rule)).count(),
            self.payouts,
            self.kills(),
            self.blow("kill worker"),
            self.blow("kill relay"),
            self.blow("kill server"),
            self.blow("kill starter"),
            self.blow("stall worker") + self.blow("stall relay") + self.blow("stall server"),
            self.blow("lock records"),
            self.blow("fill disk"),
            struck + aimed,
        )
    }
}

/// Kinds of faults that are aimed at single payouts.
const AIMED: [&str; 10] = [
    "slow",
    "cutConnection",
    "emptyBody",
    "readsLag",
    "loseWebhook",
    "wrongAddressInWebhook",
    "addressChangesAtConfirm",
    "status",
    "doubleWebhook",
    "reorderWebhook",
];

/// Rules that have a figure of their own in the summary.
const NAMED: [Rule; 6] =
    [Rule::CreatedOnce, Rule::ConfirmedOnce, Rule::PaidOnce, Rule::NothingLost, Rule::Explained, Rule::NotOverspent];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: u64| format!("{}.{} s", ms / 1000, ms % 1000 / 100);
        let Took { start_ms, payouts_ms, audit_ms } = self.took;
        writeln!(f, "seed            {}, the provider's clock {} ms off", self.seed, self.clock_offset_ms)?;
        let (up, ran, audited) = (seconds(start_ms), seconds(payouts_ms), seconds(audit_ms));
        writeln!(f, "payouts         {} in {ran}; started up in {up}, audited in {audited}", self.payouts)?;
        writeln!(f, "endings         {}", listed(&self.findings.endings))?;
        writeln!(f, "starters        {} calls answered, {} without an answer", self.starts.1, self.starts.0)?;
        writeln!(f, "provider        {}", listed(&self.provider))?;
        let struck: BTreeMap<&str, u64> = self.faults["struck"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(share, times)| (share.as_str(), times.as_u64().unwrap_or_default()))
            .collect();
        let passed = |what: &str| self.faults[what].as_u64().unwrap_or_default();
        writeln!(
            f,
            "faults          {} of {} calls and {} webhooks",
            listed(&struck),
            passed("calls"),
            passed("webhooks")
        )?;
        writeln!(f, "to the house    {}", listed(&self.blows))?;
        writeln!(
            f,
            "                {} kills in the middle of a create or a Confirm, {} with nothing open",
            self.aimed_kills, self.kills_for_nothing
        )?;
        writeln!(
            f,
            "attackers       {} forged webhooks answered, {} lies taken by Temporal",
            self.attacks[0], self.attacks[1]
        )?;
        writeln!(f, "histories       {} events at most, {} failed tasks", self.most_events, self.failed_tasks.len())?;
        for failed in &self.failed_tasks {
            writeln!(f, "  {failed}")?;
        }
        writeln!(f, "ended by itself {}", self.ended_by_themselves.len())?;
        for (name, status, tail) in &self.ended_by_themselves {
            writeln!(f, "  {name}: {status}")?;
            for line in tail.lines() {
                writeln!(f, "    {line}")?;
            }
        }
        writeln!(f, "woken           {} (over on record, and their runs waited on)", listed_all(&self.woken))?;
        writeln!(f, "settled         {} (called off at the provider behind a taken gate)", listed_all(&self.settled))?;
        let (limit, spent) = self.findings.capped;
        writeln!(f, "capped window   {spent} of {limit} millionths of a dollar")?;
        writeln!(f, "audit chain     {} records", self.findings.chain)?;
        for moved in &self.findings.wallets {
            writeln!(
                f,
                "moved           {} units by the balance of {}, {} by the outcomes",
                moved.by_balance, moved.wallet, moved.by_outcome
            )?;
        }
        writeln!(f, "states that met faults, in payouts:")?;
        for line in self.coverage.lines() {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "pairs not met   {}", listed_all(&self.coverage.holes))?;
        match self.out_of_room {
            Some(lines) => writeln!(f, "full disk       named in {lines} lines of the worker's and the relay's logs")?,
            None => writeln!(f, "full disk       not tried: this system gives the run no mounts of its own")?,
        }
        writeln!(f, "not tried       an expiry (24 hours)")?;
        writeln!(f, "violations      {}", self.findings.violations.len())?;
        for violation in &self.findings.violations {
            writeln!(f, "  {violation}")?;
        }
        write!(f, "{}", self.summary())
    }
}

fn listed<K: fmt::Display, V: fmt::Display>(counts: &BTreeMap<K, V>) -> String {
    listed_all(&counts.iter().map(|(what, times)| format!("{what} {times}")).collect::<Vec<_>>())
}

fn listed_all(all: &[String]) -> String {
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}
