//! Two who take part and have no key. One sends the relay webhooks that nobody signed; the other can write to Temporal's
//! namespace: starts, signals, updates, approvals, and our own activities called with invented input. Neither takes tasks
//! from our queues: that stops payouts by design, and pays nobody.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use remit_workflows::names;
use ring::hmac;
use serde_json::{Value, json};
use temporalio_client::{
    Client, NamespacedClient, UntypedSignal, UntypedUpdate, UntypedWorkflow, WorkflowExecuteUpdateOptions,
    WorkflowSignalOptions, WorkflowStartOptions, tonic::IntoRequest,
};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{
        command::v1::{Command, ScheduleActivityTaskCommandAttributes, command},
        common::v1::{ActivityType, Payload, Payloads},
        enums::v1::CommandType,
        taskqueue::v1::TaskQueue,
        workflowservice::v1::{PollWorkflowTaskQueueRequest, RespondWorkflowTaskCompletedRequest},
    },
};
use tokio::{sync::watch, time::timeout};

use crate::{
    script::Plan,
    watch::{Seens, State},
};

/// Everything that is invented here has this in its name, so that it is found wherever it should not be.
pub(crate) const NAME: &str = "mallory";

const BETWEEN_WEBHOOKS: Duration = Duration::from_millis(250);
const BETWEEN_LIES: Duration = Duration::from_millis(1_500);
const ONE_LIE: Duration = Duration::from_secs(20);

/// What the attackers did.
#[derive(Default)]
pub(crate) struct Attacks {
    /// Webhooks that the relay answered.
    pub(crate) webhooks: AtomicU64,
    /// Those of them that it accepted, which has to be none.
    pub(crate) accepted: AtomicU64,
    /// Calls of Temporal that were answered.
    pub(crate) lies: AtomicU64,
}

impl Attacks {
    /// Floods the relay, for ever.
    pub(crate) async fn webhooks(&self, url: &str, secret: &str, seed: u64, news: &watch::Receiver<Seens>) {
        let mut dice = StdRng::seed_from_u64(seed ^ 0xbad);
        let Ok(http) = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build() else { return };
        for number in 0_u64.. {
            tokio::time::sleep(BETWEEN_WEBHOOKS).await;
            let (body, signature) = forged(&mut dice, number, secret, news);
            let sent = http
                .post(url)
                .header("x-dfns-webhook-signature", signature)
                .header("content-type", "application/json")
                .body(body)
                .send();
            // Nobody answers while the relay is dead.
            if let Ok(answer) = sent.await {
                self.webhooks.fetch_add(1, Ordering::Relaxed);
                if answer.status().is_success() {
                    self.accepted.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Lies to Temporal, for ever.
    pub(crate) async fn lies(&self, temporal: &Client, plan: &Plan, news: &watch::Receiver<Seens>) {
        let mut dice = StdRng::seed_from_u64(plan.seed ^ 0x11e5);
        for number in 0_u64.. {
            tokio::time::sleep(BETWEEN_LIES).await;
            let Some(victim) = victim(&mut dice, news) else { continue };
            if let Ok(Ok(())) = timeout(ONE_LIE, lie(temporal, plan, &victim, number)).await {
                self.lies.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// A payout that is open, rather one that waits for somebody.
fn victim(dice: &mut StdRng, news: &watch::Receiver<Seens>) -> Option<(String, Option<String>)> {
    let seens = news.borrow();
    let open: Vec<_> = seens.iter().filter(|(_, seen)| seen.state < State::OverThere).collect();
    let waits: Vec<_> = open.iter().filter(|(_, seen)| seen.state == State::AwaitingOurApproval).collect();
    if !waits.is_empty() && dice.random_range(0..2) == 0 {
        let (key, seen) = waits[dice.random_range(0..waits.len())];
        return Some(((*key).clone(), seen.payout.clone()));
    }
    (!open.is_empty()).then(|| {
        let (key, seen) = open[dice.random_range(0..open.len())];
        (key.clone(), seen.payout.clone())
    })
}

/// A webhook that looks like one, and its signature: of another secret, of other bytes, or too old.
fn forged(dice: &mut StdRng, number: u64, secret: &str, news: &watch::Receiver<Seens>) -> (Vec<u8>, String) {
    let (key, payout) = victim(dice, news).unwrap_or_default();
    let now = jiff::Timestamp::now().as_second();
    let age = if number % 3 == 2 { 301 + i64::try_from(number).unwrap_or_default() } else { 0 };
    let mut body = json!({
        "id": format!("whe-{NAME}-{number}"), "kind": "payout.action.required", "date": "2026-01-01T00:00:00.000Z",
        "timestampSent": now - age, "deliveryAttempt": 1,
        "data": {"payout": {"id": payout.unwrap_or_default(), "externalId": key, "status": NAME}},
    })
    .to_string()
    .into_bytes();
    let sign = |secret: &str, body: &[u8]| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256={hex}")
    };
    let signature = match number % 3 {
        0 => sign("whs-somebody-elses", &body),
        1 => {
            // Signed well, and one bit of the body turned afterwards.
            let signature = sign(secret, &body);
            let at = dice.random_range(0..body.len());
            if let Some(byte) = body.get_mut(at) {
                *byte ^= 1 << dice.random_range(0..7);
            }
            signature
        }
        _stale => sign(secret, &body),
    };
    (body, signature)
}

fn payload(json: &Value) -> Payload {
    let metadata = [("encoding".to_owned(), b"json/plain".to_vec())];
    Payload { metadata: metadata.into(), data: json.to_string().into_bytes(), ..Payload::default() }
}

async fn lie(temporal: &Client, plan: &Plan, victim: &(String, Option<String>), number: u64) -> Result<()> {
    let (key, payout) = victim;
    let handle = temporal.get_workflow_handle::<UntypedWorkflow>(format!("payout-{key}"));
    let start = async |id: String, input: Value| -> Result<()> {
        let options = WorkflowStartOptions::new(names::QUEUE, id).build();
        temporal
            .start_workflow(UntypedWorkflow::new(names::PAYOUT), RawValue::new(vec![payload(&input)]), options)
            .await?;
        Ok(())
    };
    // What a good request of this run looks like, in another's name.
    let request = |external_id: &str| {
        let mut request = plan.payouts.first().map(|it| it.request.clone()).unwrap_or_default();
        request["externalId"] = json!(external_id);
        request
    };
    let activity = async |name: &str, queue: &str, input: Value| activity(temporal, number, name, queue, &input).await;
    match number % 10 {
        0 => start(format!("payout-{NAME}-{number}"), request(&format!("{NAME}-{number}"))).await,
        1 => start(format!("payout-{NAME}-{number}"), json!({"amount": -1, "nonsense": [null]})).await,
        // A good request under another workflow's id.
        2 => start(format!("{NAME}-{number}"), request(key)).await,
        3 => {
            let mut signed = request(&format!("{NAME}-{number}"));
            signed["signed"] = json!({"by": "ledger", "signature": "AAAA"});
            start(format!("payout-{NAME}-{number}"), signed).await
        }
        4 => {
            let event = json!({"about": "instructions", "key": key, "object": NAME, "state": "ready"});
            let input = RawValue::new(vec![payload(&event)]);
            let signal = UntypedSignal::new(names::PROVIDER_EVENT);
            Ok(handle.signal(signal, input, WorkflowSignalOptions::default()).await?)
        }
        5 => {
            let word = json!({"statement": format!("remit.approval.v1\npayout: {key}\nvalue: approve\nby: ana\n"),
                              "signature": "AAAA"});
            let input = RawValue::new(vec![payload(&word)]);
            let update = UntypedUpdate::new(names::APPROVAL);
            let answered = handle.execute_update(update, input, WorkflowExecuteUpdateOptions::default()).await;
            // Refused either by the validator or by a value.
            answered.map(drop).or(Ok(()))
        }
        6 => {
            let input = json!({"key": key, "digest": NAME, "request": request(key), "payout": payout,
                               "address": format!("0x{NAME}")});
            activity(names::CONFIRM_PAYOUT, names::PROVIDER_QUEUE, input).await
        }
        7 => {
            let input = json!({"key": key, "digest": NAME, "request": request(key)});
            activity(names::CREATE_PAYOUT, names::PROVIDER_QUEUE, input).await
        }
        8 => {
            let story = json!({"outcome": {"key": format!("{NAME}-{number}"), "ending": "Completed", "reason": NAME,
                                           "money": "paid", "payout": payout}});
            activity(names::RECORD_OUTCOME, names::QUEUE, story).await
        }
        _other => {
            let claim = json!({"request": request(&format!("{NAME}-{number}"))});
            activity(names::CLAIM_PAYOUT, names::QUEUE, claim).await
        }
    }
}

/// Has one of our activities carried out: a workflow of the attacker's own, on a queue of their own, may schedule what it
/// likes on ours. What it answers is of no interest; the books say what it did.
async fn activity(temporal: &Client, number: u64, name: &str, queue: &str, input: &Value) -> Result<()> {
    let id = format!("{NAME}-calls-{number}");
    let options = WorkflowStartOptions::new(&id, &id).build();
    temporal.start_workflow(UntypedWorkflow::new(NAME), RawValue::new(vec![]), options).await?;
    let schedule = ScheduleActivityTaskCommandAttributes {
        activity_id: "1".to_owned(),
        activity_type: Some(ActivityType { name: name.to_owned() }),
        task_queue: Some(TaskQueue { name: queue.to_owned(), ..TaskQueue::default() }),
        input: Some(Payloads { payloads: vec![payload(input)] }),
        schedule_to_close_timeout: Duration::from_secs(30).try_into().ok(),
        start_to_close_timeout: Duration::from_secs(30).try_into().ok(),
        ..Default::default()
    };
    let mut service = temporal.connection().workflow_service();
    let poll = PollWorkflowTaskQueueRequest {
        namespace: temporal.namespace(),
        task_queue: Some(TaskQueue { name: id, ..TaskQueue::default() }),
        identity: NAME.to_owned(),
        ..Default::default()
    };
    let task = service.poll_workflow_task_queue(poll.into_request()).await?.into_inner();
    let done = RespondWorkflowTaskCompletedRequest {
        namespace: temporal.namespace(),
        task_token: (!task.task_token.is_empty()).then_some(task.task_token).context("no task")?,
        identity: NAME.to_owned(),
        commands: vec![Command {
            command_type: CommandType::ScheduleActivityTask.into(),
            attributes: Some(command::Attributes::ScheduleActivityTaskCommandAttributes(schedule)),
            ..Default::default()
        }],
        ..Default::default()
    };
    service.respond_workflow_task_completed(done.into_request()).await?;
    Ok(())
}
