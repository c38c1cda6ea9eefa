//! What the relay does with events whose payout is not known yet, or that Temporal or the records do not take.

use std::time::{Duration, Instant};

use remit_client::{About, Nudged};
use remit_records::{EventFilter, Mapped, NewEvent, ObjectKind, Records};
use remit_relay::{Secrets, Upkeep};
use serde_json::json;
use sqlx::{AnyConnection, ConnectOptions, Executor, any::AnyConnectOptions};

use crate::support::{
    KEY, PAYOUT, Relay, SECRET, Temporal, action_required, approval_pending, claim, database, transfer,
};

const APPROVAL: &str = "ap-1q2w3-e4r5t-6y7u8i9o0p1a2s3d";
const TRANSFER: &str = "xfr-20g4k-nsdmo-3dg6arv1a0000002";

#[tokio::test]
async fn an_event_that_temporal_does_not_take_is_kept_and_delivered_once_it_does() {
    for away in [Temporal::Refuses, Temporal::Hangs] {
        let relay = Relay::start(away).await;
        assert_eq!(relay.deliver_signed(&action_required(0)).await, 200);
        assert!(relay.counted("payout.action.required", "temporal_away").await);
        assert!(relay.inbox().await[0].delivered_at.is_none());
        relay.temporal(Temporal::Takes(Nudged::Delivered));
        relay.delivered("payout.action.required").await;
        let had = relay.had();
        assert_eq!(had.len(), 1, "{had:?}");
        assert!(relay.shows("remit_relay_handed_on_total{result=\"delivered\"} 1").await);
        relay.end().await;
    }
}

#[tokio::test]
async fn an_event_stored_before_its_payout_is_known_is_delivered_once_it_is() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    assert_eq!(relay.deliver_signed(&approval_pending()).await, 200);
    assert!(relay.counted("policy.approval.pending", "parked").await);
    assert!(relay.had().is_empty());

    relay.records.map_object(ObjectKind::Transfer, TRANSFER, KEY).await.unwrap();
    relay.delivered("policy.approval.pending").await;
    let had = relay.had();
    let [(key, event, _)] = had.as_slice() else { panic!("{had:?}") };
    assert_eq!((key.as_str(), event.about, event.object.as_str()), (KEY, About::Transfer, APPROVAL));
    assert_eq!((event.state.as_str(), event.key.as_deref()), ("Pending", None), "such an event carries no key of ours");
    let joined = relay.records.key_of_object(ObjectKind::Approval, APPROVAL).await.unwrap();
    assert_eq!(joined.as_deref(), Some(KEY), "the approval belongs where its transfer does");
    relay.end().await;
}

#[tokio::test]
async fn an_event_that_joins_an_approval_to_a_payout_frees_those_that_waited_for_it() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    let mut resolved = approval_pending();
    resolved["kind"] = json!("policy.approval.resolved");
    resolved["data"] = json!({"approvalId": APPROVAL});
    assert_eq!(relay.deliver_signed(&resolved).await, 200);
    relay.records.map_object(ObjectKind::Transfer, TRANSFER, KEY).await.unwrap();
    assert!(relay.had().is_empty(), "nothing says yet whose approval it is");

    assert_eq!(relay.deliver_signed(&approval_pending()).await, 200);
    relay.delivered("policy.approval.pending").await;
    relay.delivered("policy.approval.resolved").await;
    assert_eq!(relay.had().len(), 2);
    relay.end().await;
}

#[tokio::test]
async fn a_resolved_approval_that_only_names_its_activity_finds_the_transfer() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    relay.records.map_object(ObjectKind::Transfer, TRANSFER, KEY).await.unwrap();
    for data in [json!({"activityId": TRANSFER}), json!({"approval": {"activityId": TRANSFER, "status": "Denied"}})] {
        let mut resolved = approval_pending();
        resolved["kind"] = json!("policy.approval.resolved");
        resolved["data"] = data;
        assert_eq!(relay.deliver_signed(&resolved).await, 200);
    }
    let objects: Vec<String> = relay.had().into_iter().map(|(_, event, _)| event.object).collect();
    assert_eq!(objects, [TRANSFER, TRANSFER]);
    relay.end().await;
}

#[tokio::test]
async fn the_steps_of_a_transfer_that_goes_well_are_kept_and_wake_nobody_and_a_bad_turn_does() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    relay.records.map_object(ObjectKind::Transfer, TRANSFER, KEY).await.unwrap();
    for (kind, status) in [
        ("wallet.transfer.requested", "Executing"),
        ("wallet.transfer.broadcasted", "Broadcasted"),
        ("wallet.transfer.confirmed", "Confirmed"),
    ] {
        assert_eq!(relay.deliver_signed(&transfer(kind, TRANSFER, status)).await, 200);
        assert!(relay.counted(kind, "stored").await, "{kind}");
        let kept = relay.delivered(kind).await;
        assert_eq!((kept.about.as_str(), kept.key.as_deref()), ("progress", Some(KEY)));
    }
    assert!(relay.had().is_empty());
    assert_eq!(relay.deliver_signed(&transfer("wallet.transfer.failed", TRANSFER, "Failed")).await, 200);
    assert_eq!(relay.had().len(), 1);
    relay.end().await;
}

#[tokio::test]
async fn a_transfer_that_is_no_payouts_is_parked_and_answered_with_200() {
    let relay = Relay::start(Temporal::Refuses).await;
    assert_eq!(relay.deliver_signed(&transfer("wallet.transfer.rejected", "xfr-other", "Rejected")).await, 200);
    assert!(relay.counted("wallet.transfer.rejected", "parked").await);
    relay.end().await;
}

#[tokio::test]
async fn an_event_that_names_another_payout_than_its_object_belongs_to_is_kept_and_never_delivered() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    claim(&relay.records, "po-other").await;
    assert_eq!(relay.records.map_object(ObjectKind::Payout, PAYOUT, "po-other").await.unwrap(), Mapped::Now);
    assert_eq!(relay.deliver_signed(&action_required(0)).await, 200);
    assert!(relay.counted("payout.action.required", "mismatch").await);
    assert_eq!(relay.deliver_signed(&action_required(0)).await, 200, "and again");
    let kept = relay.inbox().await;
    assert_eq!((kept[0].mismatch.as_deref(), kept[0].times), (Some("po-other"), 2));
    assert!(relay.had().is_empty());
    relay.end().await;
}

#[tokio::test]
async fn without_records_an_event_that_names_its_payout_still_nudges_it() {
    let relay = Relay::start(Temporal::Takes(Nudged::Delivered)).await;
    relay.records.close().await;
    assert_eq!(relay.deliver_signed(&action_required(0)).await, 200);
    assert!(relay.counted("payout.action.required", "unrecorded").await);
    assert_eq!(relay.had().len(), 1);
    // One that does not say whom to wake can only be delivered again.
    assert_eq!(relay.deliver_signed(&approval_pending()).await, 503);
    assert!(relay.counted("policy.approval.pending", "not_taken").await);
    relay.end().await;
}

#[tokio::test]
async fn without_records_only_a_run_that_has_it_or_is_over_is_an_answer() {
    for (temporal, answer) in [
        (Temporal::Takes(Nudged::Over), 200),
        (Temporal::Takes(Nudged::NoSuchPayout), 503),
        (Temporal::Refuses, 503),
        (Temporal::Hangs, 503),
    ] {
        let relay = Relay::start(temporal).await;
        relay.records.close().await;
        assert_eq!(relay.deliver_signed(&action_required(0)).await, answer);
        relay.end().await;
    }
}

#[tokio::test]
async fn a_database_that_hangs_leaves_time_to_tell_temporal() {
    let relay = Relay::hurried().await;
    let mut lock = writer(&relay).await;
    lock.execute("BEGIN IMMEDIATE").await.unwrap();
    let begun = Instant::now();
    assert_eq!(relay.deliver_signed(&action_required(0)).await, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(relay.had().len(), 1);
    assert!(relay.counted("payout.action.required", "unrecorded").await);

    lock.execute("ROLLBACK").await.unwrap();
    // Delivered again, as a provider may: now it is kept, and the payout ignores the same request.
    assert_eq!(relay.deliver_signed(&action_required(0)).await, 200);
    let had = relay.had();
    assert_eq!(had[0].2, had[1].2);
    relay.delivered("payout.action.required").await;
    relay.end().await;
}

#[tokio::test]
async fn an_event_whose_mapping_nobody_looked_after_is_found_when_the_relay_starts() {
    let secrets = Secrets::Given(vec![SECRET.into()]);
    let store = async |records: &Records| {
        // As by somebody who was killed between storing and looking.
        records.map_object(ObjectKind::Transfer, TRANSFER, KEY).await.unwrap();
        records.store_event(&rejected("w-1")).await.unwrap();
    };
    let relay = Relay::with(Temporal::Takes(Nudged::Delivered), secrets, Upkeep::default(), store).await;
    relay.delivered("wallet.transfer.rejected").await;
    assert_eq!(relay.had().len(), 1);
    relay.end().await;
}

#[tokio::test]
async fn old_events_are_forgotten_and_those_that_wait_for_temporal_never() {
    let secrets = Secrets::Given(vec![SECRET.into()]);
    let short = Duration::from_nanos(1);
    let upkeep = Upkeep { keep_delivered: short, keep_unmatched: short, ..Upkeep::default() };
    let store = async |records: &Records| {
        for what in ["unmatched", "waiting", "delivered"] {
            let transfer = format!("{TRANSFER}-{what}");
            let event = NewEvent { objects: &[(ObjectKind::Transfer, &transfer)], ..rejected(what) };
            records.store_event(&event).await.unwrap();
            if what != "unmatched" {
                records.map_object(ObjectKind::Transfer, &transfer, KEY).await.unwrap();
            }
        }
        records.mark_delivered("delivered", KEY).await.unwrap();
    };
    let relay = Relay::with(Temporal::Refuses, secrets, upkeep, store).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while !relay.shows("remit_relay_forgotten_total 2").await {
        assert!(Instant::now() < deadline, "{}", relay.ask("/metrics").await.1);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let left = relay.records.events(&EventFilter::default()).await.unwrap().items;
    assert_eq!(left.iter().map(|event| event.what.as_str()).collect::<Vec<_>>(), ["waiting"]);
    relay.end().await;
}

fn rejected(what: &str) -> NewEvent<'_> {
    NewEvent {
        what,
        kind: "wallet.transfer.rejected",
        about: "transfer",
        state: "Rejected",
        objects: &[(ObjectKind::Transfer, TRANSFER)],
        named_key: None,
        body: b"{}",
        event_id: "whe-1",
        source: "webhook",
    }
}

/// Another program at the same database.
async fn writer(relay: &Relay) -> AnyConnection {
    let options: AnyConnectOptions = database(relay.folder.path()).parse().unwrap();
    options.connect().await.unwrap()
}
