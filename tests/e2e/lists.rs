//! Lists of more payouts than the server gives at once.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use remit::dev::{Begin, Options};
use remit_client::Filter;
use remit_workflows::names;
use serde_json::Value;
use temporalio_client::{NamespacedClient, UntypedWorkflow, WorkflowStartOptions, tonic::IntoRequest};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{common::v1::Payload, workflowservice::v1::ListWorkflowExecutionsRequest},
};

use crate::harness::{World, until};

/// The server gives a thousand at most.
const MANY: usize = 1_050;
/// So many are added while the lists are made.
const MORE: usize = 200;

/// Starts payouts as a program in any language does, without waiting for them.
async fn start(world: &World, name: &str, how_many: usize) -> Result<BTreeSet<String>> {
    let temporal = world.system.client().temporal();
    let starts = (0..how_many).map(|n| async move {
        let request = world.request(&format!("{name}-{n}"), "1000000000")?;
        let payload = Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: serde_json::to_vec(&request)?,
            ..Payload::default()
        };
        let key = request.key();
        let options = WorkflowStartOptions::new(names::QUEUE, key.workflow_id()).build();
        let input = RawValue::new(vec![payload]);
        temporal.start_workflow(UntypedWorkflow::new(names::PAYOUT), input, options).await?;
        anyhow::Ok(key.as_str().to_owned())
    });
    stream::iter(starts).buffer_unordered(32).try_collect().await
}

/// That these keys have every payout of the first ones, and nobody twice.
fn complete(listed: Vec<String>, first: &BTreeSet<String>) -> Result<()> {
    let once: BTreeSet<String> = listed.iter().cloned().collect();
    ensure!(once.len() == listed.len(), "{} of {} were listed twice", listed.len() - once.len(), listed.len());
    let missing: Vec<&String> = first.difference(&once).collect();
    ensure!(missing.is_empty(), "not listed: {missing:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_more_than_a_page_is_complete_and_without_doubles_while_payouts_are_added() -> Result<()> {
    let world = World::with(Options { worker: Begin::Later, relay: Begin::Later, ..Options::default() }).await?;
    let client = world.system.client();
    let all = Filter { limit: 10 * MANY, ..Filter::default() };
    let first = start(&world, "first", MANY).await?;
    until("all to be searchable", async || Ok((client.list(&all).await?.len() == MANY).then_some(()))).await?;
    let page = ListWorkflowExecutionsRequest { namespace: client.temporal().namespace(), ..Default::default() };
    let page = client.temporal().connection().workflow_service().list_workflow_executions(page.into_request()).await?;
    ensure!(page.into_inner().executions.len() < MANY, "one page holds them all: nothing is shown");

    let keys =
        async || -> Result<Vec<String>> { Ok(client.list(&all).await?.into_iter().map(|listed| listed.key).collect()) };
    let limit = (10 * MANY).to_string();
    let commanded = async || -> Result<Vec<String>> {
        let (exit, output, why) = world.command(&["payout", "list", "--limit", &limit, "--json"]).await?;
        ensure!(exit == Some(0), "{why}");
        let rows: Vec<Value> = serde_json::from_str(&output)?;
        rows.iter().map(|row| Ok(row["key"].as_str().context("a row without a key")?.to_owned())).collect()
    };
    let lists = async {
        for _ in 0..3 {
            complete(keys().await?, &first)?;
            complete(commanded().await?, &first)?;
        }
        anyhow::Ok(())
    };
    let (added, ()) = tokio::try_join!(start(&world, "added", MORE), lists)?;

    until("those that were added", async || Ok((keys().await?.len() == MANY + MORE).then_some(()))).await?;
    complete(keys().await?, &first.union(&added).cloned().collect())?;
    complete(commanded().await?, &first.union(&added).cloned().collect())?;
    // A limit counts over pages.
    let some = Filter { limit: MANY, ..Filter::default() };
    let newest: BTreeSet<String> = client.list(&some).await?.into_iter().map(|listed| listed.key).collect();
    ensure!(newest.len() == MANY && newest.is_superset(&added), "the newest are not the first: {}", newest.len());
    world.end().await
}
