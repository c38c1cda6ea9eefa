//! Bad input: a clear refusal, never a task that fails for ever.

use std::collections::HashMap;

use anyhow::Result;
use remit_client::StartError;
use remit_domain::Ending;
use remit_workflows::names;
use serde_json::{Value, json};
use temporalio_client::{
    UntypedSignal, UntypedWorkflow, WorkflowSignalOptions, WorkflowStartOptions, errors::WorkflowGetResultError,
};
use temporalio_common::{data_converters::RawValue, error::IncomingError, protos::temporal::api::common::v1::Payload};

use crate::harness::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_start_from_any_language_is_a_failed_run_that_says_what_is_wrong() -> Result<()> {
    let world = World::new().await?;
    let good = serde_json::to_value(world.request("bad-1", "1000000000")?)?;
    let with = |change: fn(&mut Value)| {
        let mut json = good.clone();
        change(&mut json);
        vec![payload(&json)]
    };
    let binary = Payload {
        metadata: HashMap::from([("encoding".to_owned(), b"binary/plain".to_vec())]),
        data: vec![0, 159, 146, 150],
        ..Payload::default()
    };
    let cases: Vec<(&str, Vec<Payload>, &str)> = vec![
        ("payout-bad-1", vec![], "the input is missing"),
        ("payout-bad-1", vec![payload(&good), payload(&good)], "2 inputs came"),
        ("payout-bad-1", vec![binary], "binary/plain"),
        ("payout-bad-1", vec![payload(&json!("pay"))], "a JSON object"),
        ("payout-bad-1", with(|j| j["amount"] = json!("12.50")), "amount: \"12.50\""),
        ("payout-bad-1", with(|j| j["amount"] = json!(1250)), "amount: 1250"),
        ("payout-bad-1", with(|j| j["asset"] = json!({"kind": "Native"})), "asset.kind: \"Native\""),
        ("payout-bad-1", with(|j| j["destination"]["country"] = json!("usa")), "destination.country: \"usa\""),
        ("payout-bad-1", with(|j| j["destination"]["purpose"] = json!("fun")), "destination.purpose: \"fun\""),
        ("payout-bad-1", with(|j| j["walletId"] = json!("wallet")), "walletId: \"wallet\""),
        ("payout-bad-1", with(|j| j["externalId"] = json!("")), "externalId: \"\""),
        ("payout-bad-1", with(|j| j["externalId"] = json!("x".repeat(300))), "externalId"),
        ("payout-other", vec![payload(&good)], "must be started as \"payout-bad-1\""),
    ];
    for (workflow_id, payloads, expected) in cases {
        let (kind, message) = run_raw(&world, workflow_id, payloads).await?;
        assert_eq!(kind, names::ERROR_REFUSED, "{message}");
        assert!(message.contains(expected), "expected {expected:?} in {message:?}");
    }
    world.no_task_failed("bad-1").await?;
    // Refused input may be corrected and started again under its id.
    world.start("bad-1", "1000000000").await?;
    assert_eq!(world.outcome("bad-1").await?.ending, Ending::Completed);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_refuses_a_bad_request_before_anything_starts() -> Result<()> {
    let world = World::new().await?;
    let mut json = serde_json::to_value(world.request("bad-2", "1000000000")?)?;
    json["amount"] = json!("1.5");
    assert!(matches!(world.system.client().start_json(&json).await, Err(StartError::Invalid(_))));
    assert!(world.system.client().describe("bad-2").await.is_err());
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_of_garbage_changes_nothing() -> Result<()> {
    let world = World::with(remit::dev::Options { cadence: crate::harness::quick(), ..Default::default() }).await?;
    // Instructions come when they are pushed.
    world.start("garbage-1", "1000000099").await?;
    let handle = world.handle("payout-garbage-1");
    let binary = Payload { data: vec![255; 100], ..Payload::default() };
    let other = json!({"about": "instructions", "object": "pyt-1", "state": "x", "key": "somebody-else"});
    for payloads in [
        vec![],
        vec![binary],
        vec![payload(&json!(null))],
        vec![payload(&json!({"about": "weather"}))],
        vec![payload(&json!([1, 2, 3])), payload(&json!({}))],
        vec![payload(&other)],
    ] {
        for name in [names::PROVIDER_EVENT, "no_such_signal"] {
            let signal = UntypedSignal::<UntypedWorkflow>::new(name);
            handle.signal(signal, RawValue::new(payloads.clone()), WorkflowSignalOptions::default()).await?;
        }
    }
    world.instruct("garbage-1").await?;
    assert_eq!(world.outcome("garbage-1").await?.ending, Ending::Completed);
    world.no_task_failed("garbage-1").await?;
    world.paid_exactly_once("garbage-1").await?;
    world.end().await
}

fn payload(json: &Value) -> Payload {
    Payload {
        metadata: HashMap::from([("encoding".to_owned(), b"json/plain".to_vec())]),
        data: json.to_string().into_bytes(),
        ..Payload::default()
    }
}

/// Starts a run as any SDK can, and gives the type and message of its failure.
async fn run_raw(world: &World, workflow_id: &str, payloads: Vec<Payload>) -> Result<(String, String)> {
    let options = WorkflowStartOptions::new(names::QUEUE, workflow_id.to_owned()).build();
    let workflow = UntypedWorkflow::new(names::PAYOUT);
    let handle = world.system.client().temporal().start_workflow(workflow, RawValue::new(payloads), options).await?;
    let end = tokio::time::timeout(std::time::Duration::from_secs(30), handle.get_result(Default::default())).await?;
    match end {
        Err(WorkflowGetResultError::Failed(error)) => {
            let IncomingError::Application(failure) = &*error else { anyhow::bail!("failed in another way: {error}") };
            Ok((failure.type_name().unwrap_or_default().to_owned(), failure.to_string()))
        }
        Err(other) => anyhow::bail!("did not fail but: {other}"),
        Ok(_) => anyhow::bail!("did not fail"),
    }
}
