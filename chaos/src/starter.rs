//! A business system in a process of its own: starts payouts, repeats its calls, starts some with another body, and
//! keeps a log of what it asked and what it was told. It may be killed at any moment and goes on from its log.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::Mutex,
    time::Duration,
};

use anyhow::{Context, Result};
use futures::StreamExt;
use remit_client::{How, Patience, PayoutClient, Signer, StartError, TemporalOptions, connect};
use remit_domain::PayoutRequest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    people::{self, STARTER},
    script::Plan,
};

/// Calls of one starter at a time.
const AT_A_TIME: usize = 24;
const TRY_AGAIN: Duration = Duration::from_millis(400);
/// Longer than a start takes that is answered.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// One thing a starter does, in this order for one payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Starts it.
    Start,
    /// Starts it once more.
    Again,
    /// Starts another payout under its id.
    Conflict,
}

/// A line of a starter's log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Which starter.
    pub starter: String,
    /// The payout.
    pub key: String,
    /// What it does.
    pub step: Step,
    /// What was sent, on the line before the call; none on the line with its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Value>,
    /// What was answered: `new`, `existing`, `conflict`, `none` when nobody said, or else why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// What a starter is to do, as it stands in its file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Work {
    /// When the run began, in milliseconds since 1970.
    pub(crate) began_ms: u64,
    pub(crate) items: Vec<Item>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    at_ms: u64,
    key: String,
    request: Value,
    steps: Vec<Step>,
}

/// Divides a plan between two starters; what is raced, both start.
pub(crate) fn divide(plan: &Plan, began_ms: u64) -> [Work; 2] {
    let work = |first: bool| {
        let mine = plan.payouts.iter().enumerate().filter(|(n, it)| it.raced || n.is_multiple_of(2) == first);
        let items = mine.map(|(_, payout)| {
            let mut steps = vec![Step::Start, Step::Again];
            steps.extend(payout.conflicting.then_some(Step::Conflict));
            let (key, request) = (payout.key.clone(), payout.request.clone());
            Item { at_ms: payout.at_ms, key, request, steps }
        });
        Work { began_ms, items: items.collect() }
    };
    [work(true), work(false)]
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}

/// Does what stands in the file, from where the log ends.
///
/// # Errors
/// When a file cannot be read, or Temporal is not reached at the start.
pub async fn run(name: &str, work: &Path, log: &Path) -> Result<()> {
    let work: Work = serde_json::from_slice(&std::fs::read(work)?).context("the plan cannot be read")?;
    let done = done(log)?;
    let file = OpenOptions::new().create(true).append(true).open(log).context("the log cannot be opened")?;
    let temporal = TemporalOptions::default();
    let client = connect(&temporal, &format!("starter-{name}"), None, Patience::Startup).await?;
    let starter = Starter {
        name: name.to_owned(),
        client: PayoutClient::new(client),
        signer: people::signer(STARTER)?,
        log: Mutex::new(file),
    };
    let all = futures::stream::iter(&work.items).map(|item| starter.item(item, work.began_ms, &done));
    // In the order of their times, so that one that waits for its time keeps nobody back for long.
    let results: Vec<Result<()>> = all.buffered(AT_A_TIME).collect().await;
    results.into_iter().collect()
}

/// What the log says is answered. A line that a kill cut short counts for nothing.
fn done(log: &Path) -> Result<BTreeSet<(String, Step)>> {
    Ok(read(log)?
        .into_iter()
        .filter(|line| line.answer.as_deref().is_some_and(|answer| answer != "none"))
        .map(|line| (line.key, line.step))
        .collect())
}

/// The lines of a log; none when there is no log yet.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(log: &Path) -> Result<Vec<Line>> {
    if !log.exists() {
        return Ok(vec![]);
    }
    let text = std::fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

struct Starter {
    name: String,
    client: PayoutClient,
    signer: Signer,
    log: Mutex<File>,
}

impl Starter {
    async fn item(&self, item: &Item, began_ms: u64, done: &BTreeSet<(String, Step)>) -> Result<()> {
        sleep(Duration::from_millis((began_ms + item.at_ms).saturating_sub(now_ms()))).await;
        for step in &item.steps {
            if !done.contains(&(item.key.clone(), *step)) {
                self.step(item, *step).await?;
            }
        }
        Ok(())
    }

    /// Calls until there is an answer.
    async fn step(&self, item: &Item, step: Step) -> Result<()> {
        let mut request = item.request.clone();
        if step == Step::Conflict {
            request["amount"] = json!("4200");
        }
        let request = self.signer.start(self.client.namespace(), &PayoutRequest::parse(&request)?);
        loop {
            self.note(item, step, Some(serde_json::to_value(&request)?), None)?;
            let answer = match timeout(ANSWER_WITHIN, self.client.start(&request)).await {
                Ok(Ok(started)) => match started.how {
                    How::New => "new".to_owned(),
                    How::Existing => "existing".to_owned(),
                },
                Ok(Err(StartError::Conflict { .. })) => "conflict".to_owned(),
                Ok(Err(StartError::Unavailable(_))) | Err(_) => "none".to_owned(),
                Ok(Err(error)) => error.to_string(),
            };
            self.note(item, step, None, Some(answer.clone()))?;
            if answer != "none" {
                return Ok(());
            }
            sleep(TRY_AGAIN).await;
        }
    }

    /// One write, so that lines stay whole.
    fn note(&self, item: &Item, step: Step, asked: Option<Value>, answer: Option<String>) -> Result<()> {
        let line = Line { at_ms: now_ms(), starter: self.name.clone(), key: item.key.clone(), step, asked, answer };
        let text = format!("{}\n", serde_json::to_string(&line)?);
        let mut log = self.log.lock().map_err(|_| anyhow::anyhow!("the log is broken"))?;
        Ok(log.write_all(text.as_bytes())?)
    }
}
