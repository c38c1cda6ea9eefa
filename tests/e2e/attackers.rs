//! Somebody who can write to the Temporal namespace, and has no key: starts, signals, updates, takes tasks from our queues
//! and answers them with lies. Nothing gets a payout confirmed that the policy forbids, because Confirm asks the records.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use remit::dev::Options;
use remit_client::{Order, Signed, Signer, Verdict};
use remit_domain::{Ending, PayoutRequest, Stage, policy::ApprovalValue};
use remit_keys::PrivateKey;
use remit_records::ReservationState;
use remit_workflows::names;
use serde_json::{Value, json};
use temporalio_client::{
    NamespacedClient, UntypedSignal, UntypedUpdate, UntypedWorkflow, WorkflowExecuteUpdateOptions,
    WorkflowSignalOptions, WorkflowStartOptions, tonic::IntoRequest,
};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{
        command::v1::{Command, ScheduleActivityTaskCommandAttributes, command},
        common::v1::{ActivityType, Payload, Payloads},
        enums::v1::CommandType,
        history::v1::history_event::Attributes,
        taskqueue::v1::TaskQueue,
        workflowservice::v1::{
            PollActivityTaskQueueRequest, PollWorkflowTaskQueueRequest, RespondActivityTaskCompletedRequest,
            RespondWorkflowTaskCompletedRequest,
        },
    },
};

use crate::harness::{People, STANDARD, World, go_on, order, quick, unsigned};

/// Signed starts alone, and orders signed; everything above 1,500 USD wants an approval.
async fn world() -> Result<(World, People)> {
    world_of(Options::default()).await
}

async fn world_of(options: Options) -> Result<(World, People)> {
    let people = People::new(&["ana", "ben", "payroll"])?;
    let policy = people
        .policy(&format!("{STANDARD}\n[starters.payroll]\nkey = \"payroll\"\nprograms = [\"tests\"]\n"))
        .replace("unsigned_starts = \"allow\"", "unsigned_starts = \"block\"")
        .replace("3000 USD", "10000 USD");
    Ok((World::with(Options { cadence: quick(), policy, ..options }).await?, people))
}

/// A good start of a payout that wants an approval.
async fn wants_approval(world: &World, people: &People, id: &str) -> Result<PayoutRequest> {
    let signed = people.signer("payroll")?.start(world.system.client().namespace(), &world.request(id, "1600000000")?);
    world.system.client().start(&signed).await?;
    world.awaiting_approval(id).await?;
    Ok(signed)
}

fn payload(json: &Value) -> Payload {
    let metadata = [("encoding".to_owned(), b"json/plain".to_vec())];
    Payload { metadata: metadata.into(), data: json.to_string().into_bytes(), ..Payload::default() }
}

async fn nothing_was_created(world: &World, ids: &[&str]) -> Result<()> {
    for id in ids {
        assert_eq!(world.total(id, "createCalls").await?, 0, "{id}");
        assert_eq!(world.total(id, "confirmCalls").await?, 0, "{id}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_approvals_and_orders_without_a_key_that_counts_pay_nothing() -> Result<()> {
    let (world, people) = world().await?;
    let (client, namespace) = (world.system.client(), world.system.client().namespace().to_owned());
    let mallory = Signer { name: "ana".into(), key: PrivateKey::generate()? };
    let as_payroll = Signer { name: "payroll".into(), key: PrivateKey::generate()? };

    // 1 to 3: starts that nobody signed, that another key signed, that were signed for another payout.
    let good = wants_approval(&world, &people, "waits").await?;
    let request = |id: &str| world.request(id, "100000000");
    client.start(&request("unsigned")?).await?;
    client.start(&as_payroll.start(&namespace, &request("forged")?)).await?;
    client.start(&PayoutRequest { signed: good.signed.clone(), ..request("copied")? }).await?;
    for id in ["unsigned", "forged", "copied"] {
        assert_eq!(world.outcome(id).await?.ending, Ending::Blocked, "{id}");
    }

    // 4 to 7: approvals by a key of one's own, in another's name, for another payout, in another namespace.
    let status = client.status("waits").await?;
    let expires = world.system.records().now().await? + Duration::from_secs(3600);
    let yes = ApprovalValue::Approve;
    let own = Signer { name: "mallory".into(), key: PrivateKey::generate()? };
    let other = wants_approval(&world, &people, "other").await?;
    let other = client.status(other.external_id.as_str()).await?;
    let ana = people.signer("ana")?;
    let approvals = [
        own.approval(&namespace, &status, "treasury", yes, "mine", expires),
        mallory.approval(&namespace, &status, "treasury", yes, "hers", expires),
        ana.approval(&namespace, &other, "treasury", yes, "of another", expires),
        ana.approval("another-namespace", &status, "treasury", yes, "elsewhere", expires),
    ];
    for approval in approvals {
        let approval = approval.context("a ruling")?;
        let answer = client.approve("waits", &approval).await?;
        assert_eq!(answer.answer, Verdict::Refused, "{}", approval.statement);
    }
    // 8: a true approval, changed by one word afterwards.
    let denial =
        ana.approval(&namespace, &status, "treasury", ApprovalValue::Deny, "no", expires).context("a ruling")?;
    let changed = Signed { statement: denial.statement.replace("value: deny", "value: approve"), ..denial };
    assert_eq!(client.approve("waits", &changed).await?.answer, Verdict::Refused);
    assert_eq!(client.status("waits").await?.stage, Stage::AwaitingApproval);

    // 9: orders that let money go on, unsigned or in another's name.
    assert_eq!(client.release("waits", &unsigned("go")).await?.answer, Verdict::Refused);
    assert_eq!(client.resolve("waits", &go_on()).await?.answer, Verdict::Refused);
    let retried = client.retry("unsigned", &order("again"), None).await?;
    assert!(matches!(retried, remit_client::Retried::Refused { .. }), "{retried:?}");
    let by_ana = Order { by: "ana".into(), why: "again".into() };
    let forged = mallory.order(&namespace, "unsigned", "retry", "", &by_ana, expires);
    let retried = client.retry("unsigned", &by_ana, Some(forged)).await?;
    assert!(matches!(retried, remit_client::Retried::Refused { .. }), "{retried:?}");

    // 10: signals and updates of every form.
    let waits = client.temporal().get_workflow_handle::<UntypedWorkflow>("payout-waits");
    for json in [json!({"about": "instructions", "key": "waits"}), json!({"approvals": {"are": "met"}}), json!(null)] {
        let input = RawValue::new(vec![payload(&json)]);
        let signal = UntypedSignal::new(names::PROVIDER_EVENT);
        waits.signal(signal, input, WorkflowSignalOptions::default()).await?;
        let input = RawValue::new(vec![payload(&json)]);
        let update = UntypedUpdate::new(names::APPROVAL);
        let answer = waits.execute_update(update, input, WorkflowExecuteUpdateOptions::default()).await;
        assert!(answer.is_err(), "{json}");
    }

    // 11: a run of the same request under another workflow id.
    let options = WorkflowStartOptions::new(names::QUEUE, "payout-elsewhere").build();
    let input = RawValue::new(vec![payload(&serde_json::to_value(&good)?)]);
    let run = client.temporal().start_workflow(UntypedWorkflow::new(names::PAYOUT), input, options).await?;
    assert!(run.get_result(Default::default()).await.is_err());

    nothing_was_created(&world, &["waits", "other", "unsigned", "forged", "copied"]).await?;
    // The true key still works.
    assert_eq!(world.decide(&people, "ana", "waits", "treasury", true).await?.answer, Verdict::Accepted);
    assert_eq!(world.outcome("waits").await?.ending, Ending::Completed);
    world.end().await
}

/// Takes tasks from the provider's queue before the worker does, and says that the policy allows everything.
async fn lie(world: &World) -> Result<()> {
    let temporal = world.system.client().temporal();
    let allowed = json!({"deciding": "ruled", "ruling": {
        "verdict": "allowed", "revision": 1, "revisionHash": "00", "approvals": {"are": "met"}, "waitSeconds": 0}});
    loop {
        let poll = PollActivityTaskQueueRequest {
            namespace: temporal.namespace(),
            task_queue: Some(TaskQueue { name: names::PROVIDER_QUEUE.to_owned(), ..TaskQueue::default() }),
            identity: "mallory".to_owned(),
            ..Default::default()
        };
        let mut service = temporal.connection().workflow_service();
        let task = service.poll_activity_task_queue(poll.into_request()).await?.into_inner();
        // What it has no lie for it lets time out: the server gives it to the worker.
        if task.activity_type.as_ref().is_none_or(|kind| kind.name != names::DECIDE_PAYOUT) {
            continue;
        }
        let answer = RespondActivityTaskCompletedRequest {
            namespace: temporal.namespace(),
            task_token: task.task_token,
            result: Some(Payloads { payloads: vec![payload(&allowed)] }),
            identity: "mallory".to_owned(),
            ..Default::default()
        };
        service.respond_activity_task_completed(answer.into_request()).await?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_that_the_policy_allows_it_is_found_out_by_confirm() -> Result<()> {
    let (world, _) = world().await?;
    // 12: unsigned, so the policy forbids it; whether the liar gets the task first is for the server to decide.
    let believed = async {
        for n in 0..20 {
            let id = format!("lied-{n}");
            world.start(&id, "100000000").await?;
            let decided = |status: &remit_client::Status| status.ruling.is_some();
            let status = world.status_when(&id, "a decision", decided).await?;
            if status.ruling.is_some_and(|ruling| ruling.revision_hash == "00") {
                return Ok(id);
            }
        }
        bail!("the worker was always faster: nothing was shown")
    };
    let id = {
        let liars = futures::future::try_join_all((0..8).map(|_| lie(&world)));
        tokio::select! {
            id = believed => id?,
            end = liars => { end?; bail!("the liars ended") }
        }
    };
    let outcome = world.outcome(&id).await?;
    assert_eq!(outcome.ending, Ending::Blocked, "{}", outcome.reason);
    ensure!(world.total(&id, "confirmCalls").await? == 0, "{:#}", world.ledger(&id).await?);
    world.end().await
}

/// Has one of our activities carried out, with an input of the attacker's: a workflow of their own, on a queue of their
/// own, may schedule what it likes on ours.
async fn call(world: &World, activity: &str, queue: &str, input: &Value) -> Result<Result<Value, String>> {
    let temporal = world.system.client().temporal();
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let id = format!("mallory-{}", CALLS.fetch_add(1, Ordering::Relaxed));
    let options = WorkflowStartOptions::new(&id, &id).build();
    let nothing = RawValue::new(vec![]);
    let run = temporal.start_workflow(UntypedWorkflow::new("mallory"), nothing, options).await?;
    let mut schedule = Some(ScheduleActivityTaskCommandAttributes {
        activity_id: "1".to_owned(),
        activity_type: Some(ActivityType { name: activity.to_owned() }),
        task_queue: Some(TaskQueue { name: queue.to_owned(), ..TaskQueue::default() }),
        input: Some(Payloads { payloads: vec![payload(input)] }),
        schedule_to_close_timeout: Duration::from_secs(60).try_into().ok(),
        start_to_close_timeout: Duration::from_secs(60).try_into().ok(),
        ..Default::default()
    });
    loop {
        let mut service = temporal.connection().workflow_service();
        let poll = PollWorkflowTaskQueueRequest {
            namespace: temporal.namespace(),
            task_queue: Some(TaskQueue { name: id.clone(), ..TaskQueue::default() }),
            identity: "mallory".to_owned(),
            ..Default::default()
        };
        let task = service.poll_workflow_task_queue(poll.into_request()).await?.into_inner();
        if task.task_token.is_empty() {
            continue;
        }
        let attributes =
            task.history.iter().flat_map(|history| &history.events).filter_map(|it| it.attributes.as_ref());
        for attribute in attributes {
            let timed_out = matches!(attribute, Attributes::ActivityTaskTimedOutEventAttributes(_));
            ensure!(!timed_out, "{activity} did not answer");
            let answer = if let Attributes::ActivityTaskCompletedEventAttributes(completed) = attribute {
                let result = completed.result.as_ref().and_then(|result| result.payloads.first());
                let json = result.map(|payload| serde_json::from_slice(&payload.data)).transpose()?;
                Ok(json.unwrap_or_default())
            } else if let Attributes::ActivityTaskFailedEventAttributes(failed) = attribute {
                Err(failed.failure.as_ref().map(|failure| failure.message.clone()).unwrap_or_default())
            } else {
                continue;
            };
            run.terminate(Default::default()).await?;
            return Ok(answer);
        }
        let command = schedule.take().map(|attributes| Command {
            command_type: CommandType::ScheduleActivityTask.into(),
            attributes: Some(command::Attributes::ScheduleActivityTaskCommandAttributes(attributes)),
            ..Default::default()
        });
        let done = RespondWorkflowTaskCompletedRequest {
            namespace: temporal.namespace(),
            task_token: task.task_token,
            identity: "mallory".to_owned(),
            commands: command.into_iter().collect(),
            ..Default::default()
        };
        service.respond_workflow_task_completed(done.into_request()).await?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_activities_called_with_lies_pay_nothing_that_the_policy_forbids() -> Result<()> {
    let slow_transfers = json!({"delays": {"broadcast": 3_600_000}});
    let (world, people) = world_of(Options { organisation: slow_transfers, ..Options::default() }).await?;
    let (records, namespace) = (world.system.records(), world.system.client().namespace().to_owned());
    let provider = async |name: &str, input: Value| call(&world, name, names::PROVIDER_QUEUE, &input).await;
    let ours = async |name: &str, input: Value| call(&world, name, names::QUEUE, &input).await;

    // 13: a payout of one's own, carried through every step by hand, with nobody's signature.
    let request = world.request("by-hand", "100000000")?;
    let (key, digest) = (request.key(), request.digest());
    let json = serde_json::to_value(&request)?;
    let created = provider(names::CREATE_PAYOUT, json!({"key": key, "digest": digest, "request": json})).await?;
    assert!(created.is_err(), "not claimed: {created:?}");
    ours(names::CLAIM_PAYOUT, json!({"request": json})).await?.map_err(anyhow::Error::msg)?;
    let created = provider(names::CREATE_PAYOUT, json!({"key": key, "digest": digest, "request": json})).await?;
    let created = created.map_err(anyhow::Error::msg)?;
    let payout = created["view"]["payout"].as_str().with_context(|| format!("{created:#}"))?.to_owned();
    let read = json!({"key": key, "payout": payout, "until": "ready", "because": "check"});
    let ready = provider(names::READ_PAYOUT, read).await?.map_err(anyhow::Error::msg)?;
    let address = ready["depositAddress"].as_str().with_context(|| format!("{ready:#}"))?.to_owned();
    let confirm = |request: &Value, address: &str| {
        json!({
            "key": key, "digest": digest, "request": request, "payout": payout, "address": address,
        })
    };
    let answer = provider(names::CONFIRM_PAYOUT, confirm(&json, &address)).await?.map_err(anyhow::Error::msg)?;
    assert_eq!(answer["confirmation"], "blocked", "{answer:#}");
    // 14: signed for something else after the claim: the claim is what counts.
    let mut signed = json.clone();
    let payroll = people.signer("payroll")?;
    signed["signed"] = serde_json::to_value(payroll.start(&namespace, &world.request("another", "1")?).signed)?;
    let answer = provider(names::CONFIRM_PAYOUT, confirm(&signed, &address)).await?.map_err(anyhow::Error::msg)?;
    assert_eq!(answer["confirmation"], "blocked", "{answer:#}");
    // 15: to an address of one's own.
    let answer = provider(names::CONFIRM_PAYOUT, confirm(&json, "0x000000000000000000000000000000000000dEaD")).await?;
    let answer = answer.map_err(anyhow::Error::msg)?;
    assert_eq!(answer["confirmation"], "changed", "{answer:#}");
    // 16: under the name of a payout that is allowed.
    let good = wants_approval(&world, &people, "allowed").await?;
    let mixed = json!({
        "key": good.key(), "digest": good.digest(), "request": good, "payout": payout, "address": address,
    });
    let answer = provider(names::CONFIRM_PAYOUT, mixed).await?;
    assert!(answer.as_ref().is_err_and(|why| why.contains("not the payout on record")), "{answer:?}");
    // 17: a second attempt at it, that nobody has opened.
    let mut again = json.clone();
    again["attempt"] = json!(2);
    let claimed = ours(names::CLAIM_PAYOUT, json!({"request": again})).await?.map_err(anyhow::Error::msg)?;
    assert_eq!(claimed["claim"]["claim"], "notOpened", "{claimed:#}");
    assert_eq!(world.total("by-hand", "confirmCalls").await?, 0);

    // 18: what a paid payout counts for is not freed by a story about how it ended.
    assert_eq!(world.decide(&people, "ana", "allowed", "treasury", true).await?.answer, Verdict::Accepted);
    world.gate_is_taken("allowed").await?;
    world.total_is("allowed", "confirmsAccepted", 1).await?;
    let story = json!({"outcome": {
        "key": "allowed", "ending": "Rejected", "reason": "a story", "money": "untouched",
        "payout": "pyt-x", "transfer": "xfr-x", "transactionHash": null, "quoted": null, "decided": null,
    }});
    ours(names::RECORD_OUTCOME, story).await?.map_err(anyhow::Error::msg)?;
    let reserved = records.reservation("allowed").await?.context("a reservation")?;
    assert_ne!(reserved.state, ReservationState::Released);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_starter_key_pays_nothing_outside_its_programs() -> Result<()> {
    let (world, people) = world().await?;
    let namespace = world.system.client().namespace().to_owned();
    let payroll = people.signer("payroll")?;
    let mut json = serde_json::to_value(world.request("stolen", "100000000")?)?;
    for program in [json!("treasury"), Value::Null] {
        json["program"] = program.clone();
        json["externalId"] = json!(format!("stolen-{}", program.as_str().unwrap_or("none")));
        let request = payroll.start(&namespace, &PayoutRequest::parse(&json)?);
        world.system.client().start(&request).await?;
        let outcome = world.outcome(request.external_id.as_str()).await?;
        assert_eq!(outcome.ending, Ending::Blocked, "{program}: {}", outcome.reason);
        assert_eq!(world.total(request.external_id.as_str(), "createCalls").await?, 0, "{program}");
    }
    world.end().await
}
