//! What holds of the database as a whole: kept rows, cut calls, the clock, the schema.

use std::time::Duration;

use futures::future::join_all;
use remit_records::{Claim, GateAnswer, NewApproval, NewRevision, ObjectKind, PayoutRow, Records};
use serde_json::json;
use sqlx::{Executor, Row};

use crate::policy::allow;
use crate::support::{self, Store, assert_about, assert_broken, chain, claim, close, event};

/// Drops calls at many different points, as a worker does that is told to stop.
pub async fn a_call_given_up_half_way_leaves_nothing_half(store: &Store) {
    let records = store.open().await;
    records.ready().await.unwrap();
    let mut cut = 0;
    for n in 0..200_u64 {
        let key = format!("inv-{n}");
        let limit = Duration::from_micros(n * 25);
        let work = async {
            records.claim(&claim(&key, "d1", &key)).await?;
            records.keep_create_body(&key, "d1", b"{}").await?;
            records.take_gate(&key, "d1", "0xabc").await
        };
        if tokio::time::timeout(limit, work).await.is_err() {
            cut += 1;
        }
        // Done or not done, and never a lock left behind.
        let known = records.claim(&claim(&key, "d1", &key)).await.unwrap();
        assert!(matches!(known, Claim::New | Claim::Known(_)), "{known:?}");
        assert_eq!(records.keep_create_body(&key, "d1", b"{}").await.unwrap(), b"{}");
        match records.take_gate(&key, "d1", "0xabc").await.unwrap() {
            GateAnswer::Taken => {}
            GateAnswer::Held { address, .. } => assert_eq!(address, "0xabc"),
            odd @ (GateAnswer::Closed | GateAnswer::NotClaimed | GateAnswer::Conflict) => panic!("{odd:?}"),
        }
    }
    assert!(cut > 0, "no call was cut short: the limits are too long for this machine");
    records.close().await;
}

pub async fn rows_cannot_be_deleted_or_rewritten_even_by_hand(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    records.keep_create_body("inv-1", "d1", b"{}").await.unwrap();
    records.note_payout("inv-1", "po-1").await.unwrap();
    records.close_gate("inv-1", "canceled").await.unwrap();
    records.finish("inv-1", &json!({"ending": "canceled"})).await.unwrap();
    records.claim(&claim("inv-2", "d2", "inv-2")).await.unwrap();
    let objects = [(ObjectKind::Payout, "po-1"), (ObjectKind::Transfer, "tx-1")];
    records.store_event(&event("w-1", &objects)).await.unwrap();
    records.route_event("w-1").await.unwrap();
    allow(&records, "inv-3", 5).await;
    records.spend("inv-3").await.unwrap();
    let approval = NewApproval {
        key: "inv-3",
        person: "ana",
        group: "treasury",
        value: "approve",
        statement: "text",
        signature: "c2ln",
        revision: "hash-1",
    };
    records.add_approval(&approval).await.unwrap();
    records.void_approvals("inv-3", "it is over").await.unwrap();
    let revision = NewRevision { number: 1, previous: None, hash: "h1", content: "c", author: "ana", note: "" };
    records.add_revision(&revision).await.unwrap();
    records.sign_revision(1, "ana", "s1").await.unwrap();
    let kept = records.event("w-1").await.unwrap().expect("kept");
    let before = without_ages(records.payout("inv-1").await.unwrap());

    let mut by_hand = store.plain_connection().await;
    for attempt in [
        "DELETE FROM payouts",
        "UPDATE payouts SET digest = 'd2'",
        "UPDATE payouts SET external_id = 'inv-2'",
        "UPDATE payouts SET claimed_at = 0",
        "UPDATE payouts SET create_body = NULL",
        "UPDATE payouts SET payout = 'po-2'",
        "UPDATE payouts SET gate = 'open', gate_moved_at = NULL",
        "UPDATE payouts SET gate = 'confirming', gate_address = '0xabc'",
        "UPDATE payouts SET gate_why = 'other'",
        "UPDATE payouts SET outcome = NULL, finished_at = NULL",
        "UPDATE payouts SET request = '{}'",
        "UPDATE payouts SET wallet = 'wa-2'",
        "UPDATE payouts SET asset = NULL",
        "UPDATE payouts SET amount = '1'",
        "UPDATE payouts SET program = 'payroll'",
        "UPDATE payouts SET ending = 'paid'",
        "DELETE FROM provider_objects",
        "UPDATE provider_objects SET payout_key = 'inv-2'",
        "DELETE FROM provider_events",
        "UPDATE provider_events SET body = NULL",
        "UPDATE provider_events SET payout_key = 'inv-2'",
        "UPDATE provider_events SET payout_key = NULL",
        "UPDATE provider_events SET times = times - 1",
        "UPDATE provider_events SET state = 'Other'",
        "UPDATE provider_event_objects SET object = 'po-2'",
        "DELETE FROM decisions",
        "UPDATE decisions SET verdict = 'blocked'",
        "DELETE FROM reservations",
        "UPDATE reservations SET state = 'open', counts_at = 9223372036854775807, settled_at = NULL, why = NULL",
        "UPDATE reservations SET counts_at = 0",
        "UPDATE reservations SET usd = 0",
        "UPDATE reservations SET counterparty = 'other'",
        "UPDATE reservations SET payout_key = 'inv-1'",
        "DELETE FROM limits_lock",
        "DELETE FROM approvals_void",
        "UPDATE approvals_void SET why = 'other'",
        "DELETE FROM approvals",
        "UPDATE approvals SET value = 'deny'",
        "DELETE FROM policy_signatures",
        "UPDATE policy_signatures SET publisher = 'bo'",
        "DELETE FROM policy_revisions",
        "UPDATE policy_revisions SET content = 'other'",
        "DELETE FROM audit",
        "UPDATE audit SET body = '{}'",
        "DELETE FROM audit_head",
        "UPDATE audit_head SET seq = seq - 1",
    ] {
        let refused = by_hand.execute(attempt).await.expect_err(attempt).to_string();
        assert!(
            refused.contains(" is kept until") || refused.contains("kept for ever") || refused.contains("written once"),
            "{attempt}: {refused}"
        );
    }
    drop(by_hand);
    assert_eq!(records.event("w-1").await.unwrap(), Some(kept));
    assert_eq!(without_ages(records.payout("inv-1").await.unwrap()), before);
    records.close().await;
}

/// Ages go on between two reads; all else must not.
fn without_ages(row: Option<PayoutRow>) -> PayoutRow {
    let mut row = row.expect("claimed");
    (row.gate.since_moved, row.gate.since_sent) = (None, None);
    row
}

pub async fn the_clock_moves_for_every_process(store: &Store) {
    let here = store.open().await;
    let there = store.open().await;
    here.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    here.take_gate("inv-1", "d1", "0xabc").await.unwrap();
    let day = Duration::from_secs(24 * 3600);
    there.shift_clock(day).await.unwrap();
    there.shift_clock(Duration::from_micros(1)).await.unwrap();

    here.claim(&claim("inv-2", "d2", "inv-2")).await.unwrap();
    let since = here.gate("inv-1").await.unwrap().expect("claimed").since_moved.expect("taken");
    assert_about(since, day);
    let claimed = |row: Option<PayoutRow>| row.expect("claimed").claimed_at;
    let first = claimed(here.payout("inv-1").await.unwrap());
    let second = claimed(there.payout("inv-2").await.unwrap());
    let between = Duration::try_from(second.duration_since(first)).expect("forward");
    assert_about(between, day);
    close(vec![here, there]).await;
}

pub async fn many_processes_may_open_a_new_database_at_once(store: &Store) {
    let opened = join_all((0..12).map(|_| {
        let url = store.url.clone();
        tokio::spawn(async move { Records::open(&url).await })
    }));
    for records in opened.await {
        let records = records.expect("no panic").expect("opens");
        records.ready().await.unwrap();
        records.close().await;
    }
}

pub async fn a_database_of_a_newer_build_is_refused_unless_it_only_adds(store: &Store) {
    store.open().await.close().await;
    let mut by_hand = store.plain_connection().await;
    let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                  SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    by_hand.execute(insert).await.expect("a migration of the future");
    assert_broken(Records::open(&store.url).await, "migration 9999");

    // Unless it only adds what this build need not know of. All that are newer have to.
    by_hand
        .execute("UPDATE _sqlx_migrations SET description = 'batches_adds' WHERE version = 9999")
        .await
        .expect("adds");
    let records = Records::open(&store.url).await.expect("opens");
    records.ready().await.expect("works");
    records.close().await;
    let another = insert.replace("9999, 'later'", "10000, 'adds_and_changes'");
    by_hand.execute(sqlx::AssertSqlSafe(another)).await.expect("another one");
    drop(by_hand);
    assert_broken(Records::open(&store.url).await, "migration 9999");
}

pub async fn a_database_of_another_program_is_refused(store: &Store) {
    let mut by_hand = store.plain_connection_to_new().await;
    by_hand.execute("CREATE TABLE payouts (what TEXT)").await.expect("somebody else's table");
    drop(by_hand);
    let refused = Records::open(&store.url).await.expect_err("refused");
    assert!(!refused.retry_helps(), "{}", chain(&refused));
    assert!(chain(&refused).contains("already exists"), "{}", chain(&refused));

    let mut by_hand = store.plain_connection().await;
    let tables = by_hand.fetch_all("SELECT * FROM payouts").await.expect("still theirs");
    assert!(tables.is_empty());
    let left = by_hand.fetch_one("SELECT count(*) AS n FROM _sqlx_migrations").await;
    let left = left.map(|row| row.get::<i64, _>("n"));
    assert!(left.is_err() || left.is_ok_and(|n| n == 0), "no migration is noted as done");
}

pub async fn a_store_that_was_closed_says_so(store: &Store) {
    let records = store.open().await;
    records.close().await;
    let gone = records.claim(&claim("inv-1", "d1", "inv-1")).await.expect_err("closed");
    assert!(gone.retry_helps());
    assert!(gone.to_string().starts_with("cannot claim payout \"inv-1\": "), "{gone}");
    records.ready().await.expect_err("closed");
}

#[tokio::test]
async fn a_postgres_database_that_does_not_exist_is_named() {
    let url = support::with_database(&support::server_url(), "remit_nowhere");
    let error = Records::open(&url).await.expect_err("no such database");
    assert!(!error.retry_helps());
    assert!(error.to_string().contains("remit_nowhere"), "{error}");
    assert!(error.to_string().contains("no such database"), "{error}");
}
