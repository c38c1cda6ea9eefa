//! What operators order, in every state a payout can be in: what is done, and what is refused with what is so instead.

use std::time::Duration;

use anyhow::Result;
use remit::dev::{Begin, Options};
use remit_client::{Action, OrderError, ReadError, Resolve, Status, Verdict, Whereabouts};
use remit_domain::{Ending, Money, Stage};
use remit_workflows::names;
use serde_json::{Value, json};
use temporalio_client::{
    UntypedUpdate, UntypedWorkflow, WorkflowCancelOptions, WorkflowExecuteUpdateOptions, errors::WorkflowUpdateError,
};
use temporalio_common::{data_converters::RawValue, protos::temporal::api::common::v1::Payload};

use crate::harness::{World, give_up, go_on, order, unsigned};

const HOUR: Duration = Duration::from_secs(3600);

fn waits(status: &Status) -> bool {
    status.stage == Stage::AwaitingInstructions && status.waits_for.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_waits_is_called_off_and_cancelled_at_dfns_where_dfns_allows_it() -> Result<()> {
    let world = World::new().await?;
    let client = world.system.client();
    world.start("cancel-1", "1000000099").await?;
    world.status_when("cancel-1", "the wait", waits).await?;
    let answer = client.cancel("cancel-1", &order("wrong invoice")).await?;
    assert_eq!((answer.answer, answer.stage), (Verdict::Accepted, Stage::Canceled));
    let outcome = world.outcome("cancel-1").await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Canceled, Money::Untouched), "{}", outcome.reason);
    assert_eq!(outcome.decided, Some(order("wrong invoice")));
    assert_eq!(world.total("cancel-1", "confirmCalls").await?, 0);
    // Again, and after the end: refused with what is so.
    match client.cancel("cancel-1", &order("again")).await {
        Err(OrderError::Read(ReadError::Over { how, .. })) => assert!(how.contains("Canceled"), "{how}"),
        other => panic!("{other:?}"),
    }
    // The same start finds the same end: nothing is paid.
    world.start("cancel-1", "1000000099").await?;
    assert_eq!(world.outcome("cancel-1").await?, outcome);

    // While it is held back it waits for Confirm at Dfns: there Dfns allows Cancel.
    world.start("cancel-2", "1000000099").await?;
    world.status_when("cancel-2", "the wait", waits).await?;
    assert_eq!(client.hold("cancel-2", &order("look first")).await?.answer, Verdict::Accepted);
    world.instruct("cancel-2").await?;
    world.status_when("cancel-2", "the hold", |status| status.stage == Stage::OnHold).await?;
    assert_eq!(client.cancel("cancel-2", &order("wrong invoice")).await?.answer, Verdict::Accepted);
    assert_eq!(world.outcome("cancel-2").await?.ending, Ending::Canceled);
    let at_dfns = world.ledger("cancel-2").await?["payouts"][0]["status"].clone();
    assert_eq!(at_dfns, "Canceled");
    world.no_task_failed("cancel-2").await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_can_be_called_off_or_held_back_once_confirm_was_sent() -> Result<()> {
    let world = World::new().await?;
    let client = world.system.client();
    // The bank takes five days, or until it is pushed.
    world.start("late-1", "1000000094").await?;
    world.status_when("late-1", "the settling", |status| status.stage == Stage::Settling).await?;
    for answer in [
        client.cancel("late-1", &order("too late")).await?,
        client.hold("late-1", &order("too late")).await?,
        client.release("late-1", &unsigned("not held")).await?,
        client.resolve("late-1", &give_up(Whereabouts::Returned)).await?,
    ] {
        assert_eq!(answer.answer, Verdict::Refused, "{answer:?}");
        assert!(!answer.says.is_empty());
    }
    world.disburse("late-1").await?;
    assert_eq!(world.outcome("late-1").await?.ending, Ending::Completed);
    world.paid_exactly_once("late-1").await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_is_held_back_is_confirmed_only_after_the_release() -> Result<()> {
    let world = World::new().await?;
    let client = world.system.client();
    world.start("hold-1", "1000000099").await?;
    world.status_when("hold-1", "the wait", waits).await?;
    assert_eq!(client.hold("hold-1", &order("beneficiary called")).await?.answer, Verdict::Accepted);
    assert_eq!(client.hold("hold-1", &order("me too")).await?.answer, Verdict::Refused);
    // Whoever had no answer asks again.
    assert_eq!(client.hold("hold-1", &order("beneficiary called")).await?.answer, Verdict::Accepted);
    world.instruct("hold-1").await?;
    let held = |status: &Status| status.stage == Stage::OnHold && status.until.is_some();
    let status = world.status_when("hold-1", "the hold", held).await?;
    assert_eq!(status.hold, Some(order("beneficiary called")));
    let described = client.describe("hold-1").await?;
    assert_eq!((described.run.stage.as_deref(), described.waits_for.as_deref()), (Some("OnHold"), Some("a release")));
    assert_eq!(world.total("hold-1", "confirmCalls").await?, 0);
    assert_eq!(client.release("hold-1", &unsigned("cleared")).await?.answer, Verdict::Accepted);
    assert_eq!(world.outcome("hold-1").await?.ending, Ending::Completed);
    world.paid_exactly_once("hold-1").await?;

    // One that nobody releases ends when its time to confirm is over.
    world.start("hold-2", "1000000099").await?;
    world.status_when("hold-2", "the wait", waits).await?;
    client.hold("hold-2", &order("forgotten")).await?;
    world.instruct("hold-2").await?;
    world.status_when("hold-2", "the hold", held).await?;
    world.advance("hold-2", 26 * HOUR).await?;
    let outcome = world.outcome("hold-2").await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Expired, Money::Untouched), "{}", outcome.reason);
    assert_eq!(world.total("hold-2", "confirmCalls").await?, 0);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn temporals_own_cancel_means_cancel_and_never_disturbs_a_confirm() -> Result<()> {
    let world = World::new().await?;
    world.start("temporal-1", "1000000099").await?;
    world.status_when("temporal-1", "the wait", waits).await?;
    let options = || WorkflowCancelOptions::builder().reason("ops").build();
    world.handle("payout-temporal-1").cancel(options()).await?;
    let outcome = world.outcome("temporal-1").await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Canceled, Money::Untouched), "{}", outcome.reason);
    assert!(outcome.reason.contains("ops"), "{}", outcome.reason);

    // While Confirm is on its way: it goes on, and the payout with it.
    let slow = json!({"kind": "slow", "ms": 5_000, "on": "POST /payouts/*/action", "externalId": "temporal-2"});
    world.fault(slow).await?;
    world.start("temporal-2", "1000000000").await?;
    world.gate_is_taken("temporal-2").await?;
    world.handle("payout-temporal-2").cancel(options()).await?;
    assert_eq!(world.outcome("temporal-2").await?.ending, Ending::Completed);
    world.paid_exactly_once("temporal-2").await?;
    world.no_task_failed("temporal-2").await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_in_doubt_waits_is_read_again_checked_again_and_given_up_with_what_proves_it() -> Result<()> {
    let world = World::new().await?;
    let client = world.system.client();
    let id = "doubt-1";
    world.fault(json!({"kind": "addressChangesAtConfirm", "externalId": id, "times": 1_000})).await?;
    world.start(id, "1000000000").await?;
    world.in_doubt(id).await?;
    let described = client.describe(id).await?;
    assert_eq!(described.run.stage.as_deref(), Some("NeedsPerson"));
    assert_eq!(described.waits_for.as_deref(), Some("a person"));

    let again = Resolve { order: order("what is it now"), action: Action::ReadAgain, signed: None };
    let answer = client.resolve(id, &again).await?;
    assert_eq!((answer.answer, answer.stage), (Verdict::Accepted, Stage::NeedsPerson));
    assert!(answer.says.contains("it is what was asked for"), "{}", answer.says);
    // No Confirm was sent, so nobody can say that money came back.
    assert_eq!(client.resolve(id, &give_up(Whereabouts::Returned)).await?.answer, Verdict::Refused);
    // Going on overrides nothing: what does not fit is in doubt again.
    assert_eq!(client.resolve(id, &go_on()).await?.answer, Verdict::Accepted);
    let doubts = |status: &Status| status.timeline.iter().filter(|moment| moment.what.starts_with("in doubt")).count();
    world.status_when(id, "the second doubt", |status| doubts(status) == 2).await?;
    // Once the provider keeps to one address, going on pays it.
    world.no_faults().await?;
    assert_eq!(client.resolve(id, &go_on()).await?.answer, Verdict::Accepted);
    assert_eq!(world.outcome(id).await?.ending, Ending::Completed);
    world.paid_exactly_once(id).await?;
    world.no_task_failed(id).await?;

    // One that nobody decides about ends when its time to confirm is over, with the gate closed.
    let id = "doubt-2";
    world.fault(json!({"kind": "addressChangesAtConfirm", "externalId": id, "times": 1_000})).await?;
    world.start(id, "1000000000").await?;
    world.in_doubt(id).await?;
    world.advance(id, 26 * HOUR).await?;
    let outcome = world.outcome(id).await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Expired, Money::Untouched), "{}", outcome.reason);
    assert_eq!(world.total(id, "confirmCalls").await?, 0);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_confirm_a_person_names_where_the_money_is_and_cannot_say_that_it_was_not_sent() -> Result<()> {
    let world = World::with(Options::default()).await?;
    let client = world.system.client();
    // Broadcast and never confirmed: after thirty days a person looks.
    world.start("gone-1", "1000000097").await?;
    world.total_is("gone-1", "confirmsAccepted", 1).await?;
    world.status_when("gone-1", "the settling", |status| status.stage == Stage::Settling).await?;
    world.advance("gone-1", 6 * 24 * HOUR).await?;
    let late = |status: &Status| status.attention.as_ref().is_some_and(|text| text.contains("5 days"));
    world.status_when("gone-1", "the attention", late).await?;
    world.advance("gone-1", 25 * 24 * HOUR).await?;
    let status = world.in_doubt("gone-1").await?;
    assert!(status.says.contains("30 days"), "{}", status.says);
    let refused = client.resolve("gone-1", &give_up(Whereabouts::NotSent)).await?;
    assert_eq!(refused.answer, Verdict::Refused, "{refused:?}");
    assert_eq!(client.resolve("gone-1", &give_up(Whereabouts::WrittenOff)).await?.answer, Verdict::Accepted);
    let outcome = world.outcome("gone-1").await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Failed, Money::WrittenOff), "{}", outcome.reason);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_garbage_is_rejected_and_leaves_no_trace() -> Result<()> {
    let world = World::with(Options { worker: Begin::Now, ..Options::default() }).await?;
    world.start("garbage-orders", "1000000099").await?;
    world.status_when("garbage-orders", "the wait", waits).await?;
    let before = world.history("garbage-orders").await?.len();
    let payload = |json: &Value| Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: json.to_string().into_bytes(),
        ..Payload::default()
    };
    for name in [names::CANCEL, names::HOLD, names::RELEASE, names::RESOLVE] {
        for payloads in [
            vec![],
            vec![payload(&json!(null))],
            vec![payload(&json!({"by": "ana"}))],
            vec![payload(&json!({"by": "ana", "why": ""}))],
            vec![payload(&json!({"by": "ana", "why": "x", "action": "payAgain"}))],
            vec![payload(&json!({"by": 7, "why": ["x"]})), payload(&json!({}))],
        ] {
            let update = UntypedUpdate::<UntypedWorkflow>::new(name);
            let run = world.handle("payout-garbage-orders");
            let sent =
                run.execute_update(update, RawValue::new(payloads.clone()), WorkflowExecuteUpdateOptions::default());
            let Err(WorkflowUpdateError::Failed(failure)) = sent.await else {
                panic!("{name} {payloads:?} was not rejected")
            };
            assert!(failure.message.contains("expected"), "{name}: {}", failure.message);
        }
    }
    world.no_task_failed("garbage-orders").await?;
    assert_eq!(world.history("garbage-orders").await?.len(), before, "rejected orders left events");
    world.end().await
}
