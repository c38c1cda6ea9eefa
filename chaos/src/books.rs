//! The four books of a run, as plain values: what the starters asked and were told, the records, the provider's ledger
//! and chain, and the results of the runs. Read with plain SQL and plain calls, and kept as JSON.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt};
use remit::dev::{Organisation, PAYER};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use temporalio_client::{Client, UntypedWorkflow};
use temporalio_common::protos::temporal::api::history::v1::{HistoryEvent, history_event::Attributes};

use crate::{
    script::Plan,
    starter::{self, Line},
    torment::Blow,
    watch::reader,
};

/// Histories that are read at a time.
const AT_A_TIME: usize = 8;

/// All books of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Books {
    /// What was to be.
    pub plan: Plan,
    /// Temporal's namespace, which signatures name.
    pub namespace: String,
    /// The people's public keys, as 32 bytes in hex.
    pub people: BTreeMap<String, String>,
    /// What the starters wrote down.
    pub starters: Vec<Line>,
    /// The records.
    pub records: Tables,
    /// What the workflows say, by workflow id.
    pub runs: BTreeMap<String, Run>,
    /// The provider's ledger, as the sandbox writes it.
    pub ledger: Value,
    /// The provider's payouts, as it shows them to anybody who may read them.
    pub payouts: Vec<Value>,
    /// The provider's webhook events.
    pub events: Vec<Value>,
    /// The calls of the provider, those that were noticed.
    pub requests: Vec<Value>,
    /// What was done to the house.
    pub blows: Vec<Blow>,
    /// Forged webhooks that the relay accepted.
    pub forged_accepted: u64,
    /// Payouts that asked for a person although their script does not foresee it.
    pub doubts: Vec<(String, String)>,
    /// Payouts whose run went on although they were over on record, until somebody ordered something.
    #[serde(default)]
    pub woken: BTreeSet<String>,
    /// Payouts whose reservation a person has settled.
    #[serde(default)]
    pub settled: Vec<String>,
}

/// The tables of the records, a value for each row.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tables {
    /// `payouts`
    pub payouts: Vec<Value>,
    /// `decisions`
    pub decisions: Vec<Value>,
    /// `reservations`
    pub reservations: Vec<Value>,
    /// `approvals`
    pub approvals: Vec<Value>,
    /// `approvals_void`
    pub voids: Vec<Value>,
    /// `audit`
    pub audit: Vec<Value>,
    /// `audit_head`
    pub head: Vec<Value>,
    /// `policy_revisions`
    pub revisions: Vec<Value>,
    /// `provider_events`
    pub events: Vec<Value>,
}

/// What Temporal says of the last run of a workflow.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// What it returned, once it has completed.
    pub result: Option<Value>,
    /// Its last event, where it has not.
    pub last: String,
    /// Its events: number, kind, milliseconds since 1970.
    pub events: Vec<(i64, String, i64)>,
    /// Workflow tasks that failed, each with its cause.
    pub failed_tasks: Vec<String>,
}

const TABLES: [(&str, &str); 9] = [
    (
        "payouts",
        "SELECT json_object('key', payout_key, 'base', base_key, 'attempt', attempt, 'digest', digest,
                'claimedAt', claimed_at, 'createBody', CAST(create_body AS TEXT), 'payout', payout, 'gate', gate,
                'gateAddress', gate_address, 'gateWhy', gate_why, 'gateMovedAt', gate_moved_at,
                'confirmSentAt', confirm_sent_at, 'outcome', json(outcome), 'finishedAt', finished_at,
                'request', json(request)) AS row FROM payouts ORDER BY claimed_at",
    ),
    (
        "decisions",
        "SELECT json_object('key', payout_key, 'seq', seq, 'at', at, 'revision', revision, 'verdict', verdict) AS row
         FROM decisions ORDER BY payout_key, seq",
    ),
    (
        "reservations",
        "SELECT json_object('key', payout_key, 'program', program, 'amount', amount, 'usd', usd, 'state', state,
                'takenAt', taken_at, 'settledAt', settled_at, 'why', why) AS row FROM reservations",
    ),
    (
        "approvals",
        "SELECT json_object('key', payout_key, 'person', person, 'group', grp, 'nr', nr, 'value', value,
                'statement', statement, 'signature', signature, 'revision', revision, 'at', received_at) AS row
         FROM approvals",
    ),
    (
        "voids",
        "SELECT json_object('key', payout_key, 'person', person, 'group', grp, 'nr', nr, 'at', at, 'why', why) AS row
         FROM approvals_void",
    ),
    (
        "audit",
        "SELECT json_object('seq', seq, 'at', at, 'kind', kind, 'key', payout_key, 'body', body, 'previous', previous,
                'hash', hash) AS row FROM audit ORDER BY seq",
    ),
    ("head", "SELECT json_object('seq', seq, 'hash', hash) AS row FROM audit_head"),
    (
        "revisions",
        "SELECT json_object('number', number, 'hash', hash, 'content', content, 'at', published_at) AS row
         FROM policy_revisions ORDER BY number",
    ),
    (
        "events",
        "SELECT json_object('what', what, 'kind', kind, 'about', about, 'state', state, 'source', source,
                'eventId', event_id, 'times', times, 'at', received_at, 'key', payout_key, 'body', CAST(body AS TEXT),
                'deliveredAt', delivered_at) AS row FROM provider_events ORDER BY received_at",
    ),
];

/// The records, table by table.
///
/// # Errors
/// When one cannot be read.
pub(crate) async fn records(file: &Path) -> Result<Tables> {
    let mut connection = reader(file).await?;
    let mut all = serde_json::Map::new();
    for (name, query) in TABLES {
        all.insert(name.to_owned(), rows(&mut connection, query).await.with_context(|| format!("table {name}"))?);
    }
    Ok(serde_json::from_value(Value::Object(all))?)
}

async fn rows(connection: &mut SqliteConnection, query: &'static str) -> Result<Value> {
    let rows = sqlx::query(query).fetch_all(connection).await?;
    let read = |row: &SqliteRow| -> Result<Value> { Ok(serde_json::from_str(row.try_get::<&str, _>("row")?)?) };
    Ok(Value::Array(rows.iter().map(read).collect::<Result<_>>()?))
}

/// The provider's payouts, page by page, as anybody sees them who may read.
///
/// # Errors
/// When they cannot be read.
pub(crate) async fn payouts(sandbox: &str, organisation: &Organisation) -> Result<Vec<Value>> {
    let http = reqwest::Client::builder().no_proxy().user_agent("chaos").build()?;
    let token = organisation.user(PAYER)?.token.secret();
    let mut all = vec![];
    let mut next: Option<String> = None;
    loop {
        let page = next.map(|token| format!("&paginationToken={token}")).unwrap_or_default();
        let url = format!("{sandbox}/payouts?limit=50{page}");
        let answer = http.get(url).bearer_auth(token.expose_secret()).send().await?;
        if !answer.status().is_success() {
            bail!("the provider's payouts cannot be read: {}", answer.text().await?);
        }
        let mut page: Value = serde_json::from_str(&answer.text().await?)?;
        next = page["nextPageToken"].as_str().map(str::to_owned);
        let Value::Array(items) = page["items"].take() else {
            bail!("the provider's payouts cannot be read: {page}");
        };
        all.extend(items);
        if next.is_none() {
            return Ok(all);
        }
    }
}

/// The ledger and the events.
///
/// # Errors
/// When they cannot be read.
pub(crate) async fn other_side(organisation: &Organisation) -> Result<(Value, Vec<Value>)> {
    let ledger = organisation.control(Method::GET, "/ledger", None).await?;
    let mut events = organisation.control(Method::GET, "/events", None).await?;
    let Value::Array(events) = events["items"].take() else { bail!("the provider's events cannot be read") };
    Ok((ledger, events))
}

/// What Temporal says of these workflows.
///
/// # Errors
/// When Temporal does not answer.
pub(crate) async fn runs(temporal: &Client, keys: BTreeSet<String>) -> Result<BTreeMap<String, Run>> {
    futures::stream::iter(keys)
        .map(async |key| {
            let id = format!("payout-{key}");
            let handle = temporal.get_workflow_handle::<UntypedWorkflow>(id.clone());
            let run = match handle.fetch_history(Default::default()).into_events().await {
                Ok(events) => run(&events),
                Err(error) => Run { last: format!("no history: {error}"), ..Run::default() },
            };
            anyhow::Ok((id, run))
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await
}

fn run(events: &[HistoryEvent]) -> Run {
    let result = events.iter().rev().find_map(|event| {
        let Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) = &event.attributes else {
            return None;
        };
        let payload = completed.result.as_ref()?.payloads.first()?;
        serde_json::from_slice::<Value>(&payload.data).ok()
    });
    let failed = events.iter().filter_map(|event| {
        let Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) = &event.attributes else { return None };
        let why = failed.failure.as_ref().map(|failure| failure.message.as_str()).unwrap_or_default();
        Some(format!("event {}: {}: {why}", event.event_id, failed.cause().as_str_name()))
    });
    let name = |event: &HistoryEvent| event.event_type().as_str_name().trim_start_matches("EVENT_TYPE_").to_owned();
    Run {
        result,
        last: events.last().map(name).unwrap_or_default(),
        failed_tasks: failed.collect(),
        events: events
            .iter()
            .map(|event| {
                let at = event.event_time.map_or(0, |time| time.seconds * 1000 + i64::from(time.nanos) / 1_000_000);
                (event.event_id, name(event), at)
            })
            .collect(),
    }
}

/// What all starters of a run wrote, in the order of time.
///
/// # Errors
/// When a log cannot be read.
pub(crate) fn starters(logs: &[impl AsRef<Path>]) -> Result<Vec<Line>> {
    let mut all = vec![];
    for log in logs {
        all.extend(starter::read(log.as_ref())?);
    }
    all.sort_by_key(|line| line.at_ms);
    Ok(all)
}

/// Where [`Books::keep`] puts them.
const FILE: &str = "books.json";

impl Books {
    /// Writes them into a folder.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn keep(&self, folder: &Path) -> Result<()> {
        let file = folder.join(FILE);
        std::fs::write(&file, serde_json::to_vec(self)?).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Reads them back.
    ///
    /// # Errors
    /// When there are none in the folder.
    pub fn read(folder: &Path) -> Result<Self> {
        load(&folder.join(FILE))
    }
}

fn load<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text =
        std::fs::read(file).with_context(|| format!("cannot read {}; was it kept with --keep?", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} cannot be read", file.display()))
}
