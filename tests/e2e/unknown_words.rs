//! Words that nobody documents, in every place where the provider can say one: waited on, shown to a person, or of no
//! consequence, and never the end of a task, a worker or a relay.

use std::time::Duration;

use anyhow::{Result, ensure};
use remit::dev::{APPROVER, Options};
use remit_client::{Status, Verdict};
use remit_dfns::{Action, ApprovalStatus, DecisionValue, ListApprovals, TransferStatus};
use remit_domain::{Ending, Money, Progress, Stage, TransferProgress};
use remit_records::Gate;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{World, anyone, go_on, order, policy, quick, quick_then_true, until};

const WORD: &str = "Nebulous";
/// All that is said of payouts: the answers to the create, to Confirm and to readings.
const OF_PAYOUTS: &str = "* /payouts/**";

/// From now on the provider says an unknown word in the fields of this name, wherever it speaks of this payout there.
async fn says(world: &World, id: &str, field: &str, on: &str) -> Result<String> {
    let word = json!({"kind": "unknownWord", "field": field, "on": on, "externalId": id, "times": 10_000});
    world.fault(word).await
}

/// Waits until a reading has found the word, and the next one is to come: it is waited on.
async fn waits_on_the_word(world: &World, id: &str) -> Result<()> {
    until(&format!("{id} to wait on the word"), async || {
        let described = world.system.client().describe(id).await?;
        let met = |why: &String| why.contains(WORD);
        Ok(described.pending.iter().any(|call| call.last_failure.as_ref().is_some_and(met)).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_unknown_before_confirm_is_waited_on_and_nothing_is_confirmed_meanwhile() -> Result<()> {
    let world = World::new().await?;
    for (id, field) in [("before-coarse", "status"), ("before-fine", "executionStatus")] {
        let odd = says(&world, id, field, OF_PAYOUTS).await?;
        world.start(id, "1000000099").await?;
        world.status_when(id, "the wait", |status| status.waits_for.is_some()).await?;
        world.instruct(id).await?;
        waits_on_the_word(&world, id).await?;
        let status = world.system.client().status(id).await?;
        assert_eq!(status.stage, Stage::AwaitingInstructions, "{id}");
        let read = status.read.map(|view| view.progress);
        assert_eq!(read, Some(Progress::Unrecognised { word: WORD.into() }), "{id}");
        assert_eq!(world.total(id, "confirmCalls").await?, 0, "{id}");
        world.no_fault(&odd).await?;
        assert_eq!(world.outcome(id).await?.ending, Ending::Completed, "{id}");
        world.paid_exactly_once(id).await?;
        world.no_task_failed(id).await?;
    }
    // One that stays so can be called off.
    let id = "before-called-off";
    says(&world, id, "status", OF_PAYOUTS).await?;
    world.start(id, "1000000000").await?;
    waits_on_the_word(&world, id).await?;
    assert_eq!(world.system.client().cancel(id, &order("what is it")).await?.answer, Verdict::Accepted);
    let outcome = world.outcome(id).await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Canceled, Money::Untouched), "{}", outcome.reason);
    assert_eq!(world.total(id, "confirmCalls").await?, 0);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_stays_unknown_ends_with_the_time_to_confirm_and_the_gate_is_closed() -> Result<()> {
    let world = World::with(Options { cadence: quick_then_true(), ..Options::default() }).await?;
    let id = "stays-unknown";
    says(&world, id, "status", OF_PAYOUTS).await?;
    world.start(id, "1000000000").await?;
    waits_on_the_word(&world, id).await?;
    world.advance(id, Duration::from_secs(26 * 3600)).await?;
    let outcome = world.outcome(id).await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Expired, Money::Untouched), "{}", outcome.reason);
    assert_eq!(world.system.records().gate(id).await?.map(|state| state.gate), Some(Gate::Closed));
    assert_eq!(world.total(id, "confirmCalls").await?, 0);
    world.no_task_failed(id).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_unknown_after_confirm_is_waited_on_until_the_end_is_known() -> Result<()> {
    let world = World::new().await?;
    for (id, field) in [("after-coarse", "status"), ("after-fine", "executionStatus")] {
        // The bank takes five days, or until it is pushed.
        world.start(id, "1000000094").await?;
        world.total_is(id, "confirmsAccepted", 1).await?;
        let odd = says(&world, id, field, "GET /payouts/*").await?;
        waits_on_the_word(&world, id).await?;
        let status = world.status_when(id, "the settling", |status| status.stage == Stage::Settling).await?;
        ensure!(status.outcome.is_none(), "{status:#?}");
        world.disburse(id).await?;
        world.no_fault(&odd).await?;
        assert_eq!(world.outcome(id).await?.ending, Ending::Completed, "{id}");
        world.paid_exactly_once(id).await?;
        world.no_task_failed(id).await?;
    }
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_and_comes_back_in_an_unknown_word_is_shown_to_a_person_and_not_confirmed() -> Result<()> {
    let world = World::new().await?;
    for (field, named) in [("provider", "provider"), ("kind", "asset"), ("paymentPurpose", "purpose")] {
        let id = format!("asked-{named}");
        let odd = says(&world, &id, field, OF_PAYOUTS).await?;
        world.start(&id, "1000000000").await?;
        let status = world.in_doubt(&id).await?;
        ensure!(status.says.contains(&format!("{named}: asked")), "{id}: {}", status.says);
        world.instruct(&id).await?;
        assert_eq!(world.total(&id, "confirmCalls").await?, 0, "{id}");
        world.no_fault(&odd).await?;
        assert_eq!(world.system.client().resolve(&id, &go_on()).await?.answer, Verdict::Accepted);
        assert_eq!(world.outcome(&id).await?.ending, Ending::Completed, "{id}");
        world.paid_exactly_once(&id).await?;
        world.no_task_failed(&id).await?;
    }
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_of_an_unknown_name_changes_nothing_since_the_wallet_decides_it() -> Result<()> {
    let world = World::new().await?;
    for (id, units, ending) in
        [("network-paid", "1000000000", Ending::Completed), ("network-failed", "1000000093", Ending::Failed)]
    {
        // In the payout, and in the transfer that is read when a payout fails.
        says(&world, id, "network", "* /**").await?;
        world.start(id, units).await?;
        assert_eq!(world.outcome(id).await?.ending, ending, "{id}");
        world.no_task_failed(id).await?;
    }
    world.paid_exactly_once("network-paid").await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_is_not_called_unpaid_while_the_status_of_its_transfer_is_unknown() -> Result<()> {
    let world = World::new().await?;
    let id = "transfer-1";
    let odd = says(&world, id, "status", "GET /wallets/*/transfers/*").await?;
    // The transfer fails on chain, and the payout with it.
    world.start(id, "1000000093").await?;
    let unsure = |status: &Status| status.waits_for.as_deref() == Some("the end of a transfer whose payout is over");
    let status = world.status_when(id, "the wait for the transfer", unsure).await?;
    let read = status.read.and_then(|view| view.transfer_progress);
    assert_eq!(read, Some(TransferProgress::Unrecognised { word: WORD.into() }));
    world.has_struck(&odd).await?;
    ensure!(status.outcome.is_none(), "ended without knowing");
    world.no_fault(&odd).await?;
    let outcome = world.outcome(id).await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Failed, Money::Untouched), "{}", outcome.reason);
    world.no_task_failed(id).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_words_in_webhooks_and_approvals_wake_payouts_like_any_others() -> Result<()> {
    let world = World::with(Options { cadence: quick(), ..Options::default() }).await?;
    policy(&world, Action::request_approval(vec![anyone()], Some(60))).await?;
    let approver = world.system.dfns(APPROVER)?;
    for field in ["status", "executionStatus", "provider", "kind", "network"] {
        let id = format!("told-{}", field.to_lowercase());
        let told = json!({"kind": "unknownWordInWebhook", "field": field, "externalId": id, "times": 10_000});
        let told = world.fault(told).await?;
        world.fault(json!({"kind": "unknownEventKind", "externalId": id})).await?;
        world.start(&id, "1000000000").await?;
        let held = |status: &Status| status.waits_for.as_deref() == Some("an approval at the provider");
        world.status_when(&id, "the hold", held).await?;
        // People see the word as it is, and can decide all the same.
        let shown = json!({"kind": "unknownWord", "field": "status", "on": "GET /v2/policy-approvals"});
        world.fault(shown).await?;
        let odd = approver.approvals(&ListApprovals::default()).await?.items.remove(0);
        assert_eq!(odd.status, ApprovalStatus::Unknown(WORD.into()));
        let transfer = odd.activity.transfer_request.map(|transfer| transfer.status);
        assert_eq!(transfer, Some(TransferStatus::Unknown(WORD.into())));
        approver.decide_approval(&odd.id, DecisionValue::Approved, Some("tested")).await?;
        assert_eq!(world.outcome(&id).await?.ending, Ending::Completed, "{id}");
        world.has_struck(&told).await?;
        world.paid_exactly_once(&id).await?;
        world.no_task_failed(&id).await?;
    }
    // The relay took offence at none of them, those of an unknown kind as well.
    let events = until("the last deliveries", async || {
        let events = world.system.organisation().control(Method::GET, "/events", None).await?;
        let events = events["items"].as_array().cloned().unwrap_or_default();
        Ok(events.iter().all(|event| event["status"] != "Pending").then_some(events))
    })
    .await?;
    let refused = |event: &&Value| ["400", "401"].map(Value::from).contains(&event["status"]);
    let refused: Vec<&Value> = events.iter().filter(refused).collect();
    ensure!(refused.is_empty(), "{refused:#?}");
    ensure!(events.iter().any(|event| event["kind"] == "payout.weather.changed"), "{events:#?}");
    ensure!(events.iter().any(|event| event.to_string().contains(WORD)), "{events:#?}");
    world.end().await
}
