//! Collects what the auditor compares: the other side's ledger, the histories of the runs, and the records.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use remit::dev::System;
use remit_records::Gate;
use reqwest::Method;
use serde_json::Value;
use temporalio_client::UntypedWorkflow;
use temporalio_common::protos::temporal::api::history::v1::{HistoryEvent, history_event::Attributes};

use crate::{
    audit::{Books, OnRecord, Run},
    drive::Left,
    load::Payout,
};

/// Reads at a time.
const AT_A_TIME: usize = 16;
/// Events that are shown of a run that did not end.
const TAIL: usize = 12;

/// All books.
///
/// # Errors
/// When one of them cannot be read.
pub(crate) async fn collect(system: &System, payouts: &[Payout], left: &BTreeMap<String, Left>) -> Result<Books> {
    let ledger = system.organisation().control(Method::GET, "/ledger", None).await?;
    let runs = futures::stream::iter(payouts)
        .map(async |payout| {
            let key = payout.asked.key.clone();
            let left = left.get(&key).cloned().unwrap_or(Left::Open("nobody looked at it".to_owned()));
            let run = run(system, &key, left).await.with_context(|| format!("the history of {key} cannot be read"))?;
            anyhow::Ok((key, run))
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await?;
    let mut records = BTreeMap::new();
    for payout in payouts {
        let key = &payout.asked.key;
        if let Some(row) = system.records().payout(key).await? {
            let gate = match row.gate.gate {
                Gate::Open => "open".to_owned(),
                Gate::Confirming => "confirming".to_owned(),
                Gate::Closed => "closed".to_owned(),
                Gate::Unknown(word) => word,
            };
            records.insert(key.clone(), OnRecord { gate, payout: row.payout, outcome: row.outcome });
        }
    }
    let asked = payouts.iter().map(|payout| payout.asked.clone()).collect();
    Ok(Books { asked, runs, records, ledger })
}

/// What the history of the last run says: its length, and what it returned.
async fn run(system: &System, key: &str, left: Left) -> Result<Run> {
    let handle = system.client().temporal().get_workflow_handle::<UntypedWorkflow>(format!("payout-{key}"));
    let events = match handle.fetch_history(Default::default()).into_events().await {
        Ok(events) => events,
        Err(error) => {
            let left = Err(format!("{left:?}; no history: {error}"));
            return Ok(Run { events: 0, failed_tasks: vec![], left, in_doubt: false });
        }
    };
    let failed_tasks = events
        .iter()
        .filter_map(|event| {
            let Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) = &event.attributes else { return None };
            let why = failed.failure.as_ref().map(|failure| failure.message.as_str()).unwrap_or_default();
            Some(format!("{key}, event {}: {}: {why}", event.event_id, failed.cause().as_str_name()))
        })
        .collect();
    let result = events.iter().rev().find_map(|event| {
        let Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) = &event.attributes else {
            return None;
        };
        let payload = completed.result.as_ref()?.payloads.first()?;
        serde_json::from_slice::<Value>(&payload.data).ok()
    });
    let in_doubt = matches!(left, Left::InDoubt(_));
    let left = match (result, left) {
        (Some(result), _) => Ok(result),
        (None, Left::Ended) => Err("it ended without a result that can be read".to_owned()),
        (None, Left::InDoubt(why)) => Err(format!("it waits for a person: {why}")),
        (None, Left::Failed(why)) => Err(format!("it failed: {why}")),
        (None, Left::Open(why)) => {
            Err(format!("it did not end in time; last: {why}; its history ends {}", tail(&events)))
        }
    };
    Ok(Run { events: events.len(), failed_tasks, left, in_doubt })
}

/// The newest events by name, the oldest of them first: where a run stands that nobody answers for.
fn tail(events: &[HistoryEvent]) -> String {
    let newest = events.iter().skip(events.len().saturating_sub(TAIL));
    let names: Vec<String> =
        newest.map(|event| format!("{} {}", event.event_id, event.event_type().as_str_name())).collect();
    names.join(", ")
}
