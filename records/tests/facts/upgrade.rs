//! A database of the build before, opened by this one.

use remit_records::{Claim, Gate, ObjectKind, OpenedAttempt, PayoutFilter};
use serde_json::json;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, Executor, SqlSafeStr};

use crate::support::{Store, assert_broken, claim};

pub async fn what_the_first_build_wrote_survives(store: &Store) {
    let first = match store.is_postgres() {
        true => include_str!("../../migrations/postgres/0001_payouts.sql"),
        false => include_str!("../../migrations/sqlite/0001_payouts.sql"),
    };
    let first = Migration::new(1, "payouts".into(), MigrationType::Simple, first.into_sql_str(), false);
    let mut by_hand = store.plain_connection_to_new().await;
    Migrator::with_migrations(vec![first]).run_direct(None, &mut by_hand, false).await.expect("the first schema");
    by_hand
        .execute(sqlx::query(
            r#"INSERT INTO payouts (payout_key, base_key, attempt, external_id, digest, claimed_at, create_body, payout,
               gate, gate_address, gate_why, gate_moved_at, outcome, finished_at) VALUES
               ('paid', 'paid', 1, 'Paid', 'd1', 1000001, $1, 'po-1', 'confirming', '0xabc', NULL, 2,
                '{"ending":"completed","n":1}', 3),
               ('open', 'open', 1, 'Open', 'd1', 1000002, $1, NULL, 'open', NULL, NULL, NULL, NULL, NULL),
               ('text', 'text', 1, 'Text', 'd1', 1000003, NULL, 'po-2', 'closed', NULL, 'late', 2, '"done"', 3),
               ('list', 'list', 1, 'List', 'd1', 1000004, NULL, NULL, 'closed', NULL, 'late', 2,
                '{"ending":["completed"]}', 3),
               ('zero', 'zero', 1, 'Zero', 'd1', 1000005, NULL, NULL, 'closed', NULL, 'late', 2,
                '{"reason":"\u0000"}', 3)"#,
        ).bind(&b"bytes"[..]))
        .await
        .expect("rows of the first build");
    by_hand.close().await.expect("closes");

    let records = store.open().await;
    let paid = records.payout("paid").await.unwrap().expect("still there");
    assert_eq!((paid.external_id.as_str(), paid.digest.as_str(), paid.attempt), ("Paid", "d1", 1));
    assert_eq!((paid.claimed_at.as_microsecond(), paid.create_body.as_deref()), (1_000_001, Some(&b"bytes"[..])));
    assert_eq!((paid.gate.gate.clone(), paid.gate.address.as_deref()), (Gate::Confirming, Some("0xabc")));
    assert_eq!(paid.outcome, Some(json!({"ending": "completed", "n": 1})));
    assert_eq!(
        (paid.ending.as_deref(), paid.request, paid.wallet, paid.program),
        (Some("completed"), None, None, None)
    );
    assert_eq!(records.key_of_object(ObjectKind::Payout, "po-1").await.unwrap().as_deref(), Some("paid"));
    assert_eq!(records.key_of_object(ObjectKind::Payout, "po-2").await.unwrap().as_deref(), Some("text"));
    assert_broken(records.map_object(ObjectKind::Payout, "po-1", "nobody").await, "not claimed");
    for key in ["text", "list", "zero"] {
        let row = records.payout(key).await.unwrap().expect("still there");
        assert_eq!((row.ending, row.outcome.is_some()), (None, true), "{key}");
    }

    let completed = PayoutFilter { ending: Some("completed"), ..PayoutFilter::default() };
    assert_eq!(records.payouts(&completed).await.unwrap().items.len(), 1);
    let all: Vec<String> =
        records.payouts(&PayoutFilter::default()).await.unwrap().items.into_iter().map(|item| item.key).collect();
    assert_eq!(all, ["zero", "list", "text", "open", "paid"]);

    assert!(matches!(records.claim(&claim("open", "d1", "Open")).await.unwrap(), Claim::Known(_)));
    assert_eq!(records.payout("open").await.unwrap().expect("claimed").request, None, "a later claim adds nothing");
    let opened = OpenedAttempt::Opened { key: "open-retry-1".to_owned(), attempt: 2 };
    assert_eq!(records.open_attempt("open", "open", "retry", |_| Ok(())).await.unwrap(), opened);
    let mut by_hand = store.plain_connection().await;
    by_hand.execute("UPDATE payouts SET ending = 'x' WHERE payout_key = 'text'").await.expect_err("still guarded");
    records.close().await;
}
