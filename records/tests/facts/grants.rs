//! What a role may do that has the rights of grants.sql and no more.

use std::sync::atomic::{AtomicU32, Ordering};

use remit_domain::policy::Verdict;
use remit_records::{AddedRevision, NewApproval, NewRevision, ObjectKind, Records, Settle, SignedRevision, Verified};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::policy::{allow, deciding, ruling};
use crate::support::{self, Store, assert_broken, claim, event};

/// Roles belong to the whole server: each run has its own, and takes them away again.
struct Roles {
    worker: String,
    publisher: String,
}

impl Roles {
    async fn make(store: &Store) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let suffix = format!("{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let roles = Self { worker: format!("remit_worker_{suffix}"), publisher: format!("remit_publisher_{suffix}") };
        store.open().await.close().await;
        let grants = include_str!("../../grants.sql")
            .replace("remit_worker", &roles.worker)
            .replace("remit_publisher", &roles.publisher);
        let mut owner = store.plain_connection().await;
        for role in [&roles.worker, &roles.publisher] {
            owner.execute(AssertSqlSafe(format!("CREATE ROLE {role}"))).await.expect("a role");
        }
        owner.execute(AssertSqlSafe(grants)).await.expect("the grants are good SQL");
        owner.close().await.expect("closes");
        roles
    }

    async fn remove(self, store: Store) {
        let mut owner = support::connect(&support::server_url()).await;
        store.remove().await;
        for role in [self.worker, self.publisher] {
            owner.execute(AssertSqlSafe(format!("DROP ROLE {role}"))).await.expect("it goes");
        }
        owner.close().await.expect("closes");
    }
}

/// The same database, with the rights of this role.
fn as_role(store: &Store, role: &str) -> String {
    let and = if store.url.contains('?') { '&' } else { '?' };
    format!("{}{and}options[role]={role}", store.url)
}

async fn everything_a_worker_does(records: &Records) {
    allow(records, "inv-1", 5).await;
    let approval = NewApproval {
        key: "inv-1",
        person: "ana",
        group: "treasury",
        value: "approve",
        statement: "text",
        signature: "c2ln",
        revision: "hash-1",
    };
    records.add_approval(&approval).await.unwrap();
    records.void_approvals("inv-1", "the policy has changed").await.unwrap();
    records.decide_payout(&deciding("inv-1", &[]), |_| ruling(Verdict::Allowed, 6)).await.unwrap();
    records.keep_create_body("inv-1", "d1", b"{}").await.unwrap();
    records.note_payout("inv-1", "po-1").await.unwrap();
    records.take_gate("inv-1", "d1", "0xabc").await.unwrap();
    records.note_confirm_sent("inv-1").await.unwrap();
    records.map_object(ObjectKind::Transfer, "tx-1", "inv-1").await.unwrap();
    records.store_event(&event("w-1", &[(ObjectKind::Transfer, "tx-1")])).await.unwrap();
    records.store_event(&event("w-1", &[(ObjectKind::Transfer, "tx-1")])).await.unwrap();
    records.route_event("w-1").await.unwrap();
    records.mark_delivered("w-1", "inv-1").await.unwrap();
    records.forget_events(std::time::Duration::ZERO, std::time::Duration::ZERO).await.unwrap();
    records.spend("inv-1").await.unwrap();
    records.finish_and_settle("inv-1", &json!({"ending": "completed"}), Settle::Spent).await.unwrap();
    records.claim(&claim("inv-2", "d1", "inv-2")).await.unwrap();
    records.open_attempt("inv-2", "inv-2", "again", |_| Ok(())).await.unwrap();
    records.close_gate("inv-2-retry-1", "canceled").await.unwrap();
    records.audit_append("order", Some("inv-1"), &json!({})).await.unwrap();
    assert!(records.revisions().await.unwrap().is_empty());
    records.in_flight("wa-1", "USDC", "inv-1").await.unwrap();
    records.open_reservations(None, 10).await.unwrap();
    let found = records.verify_audit(&[], |_, _, _| true).await.unwrap();
    assert!(matches!(found, Verified::Whole { rows: 15, .. }), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_can_do_its_work_and_cannot_touch_what_is_kept() {
    let store = Store::postgres().await;
    let roles = Roles::make(&store).await;
    let url = as_role(&store, &roles.worker);
    let records = Records::open(&url).await.expect("opens without making anything");
    everything_a_worker_does(&records).await;
    assert_broken(records.shift_clock(std::time::Duration::from_secs(1)).await, "our right to use it");
    let revision = NewRevision { number: 1, previous: None, hash: "h1", content: "c", author: "ana", note: "" };
    assert_broken(records.add_revision(&revision).await, "our right to use it");

    let mut by_hand = support::connect(&url).await;
    for table in [
        "audit",
        "audit_checkpoints",
        "decisions",
        "approvals",
        "approvals_void",
        "policy_revisions",
        "policy_signatures",
    ] {
        let column = if table.starts_with("policy") {
            "number"
        } else if table.starts_with("app") {
            "nr"
        } else {
            "seq"
        };
        for attempt in [
            format!("UPDATE {table} SET {column} = {column}"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table} CASCADE"),
        ] {
            denied(&mut by_hand, attempt).await;
        }
    }
    for attempt in [
        "UPDATE audit_head SET seq = seq",
        "UPDATE audit_head SET hash = hash",
        "UPDATE reservations SET taken_at = 0",
        "DELETE FROM reservations",
        "UPDATE payouts SET digest = 'd2'",
        "DELETE FROM payouts",
        "DROP TABLE audit",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "CREATE TABLE mine (n BIGINT)",
        "INSERT INTO policy_revisions (number, hash, content, author, note, published_at) \
         VALUES (1, 'h1', 'c', 'ana', '', 0)",
    ] {
        denied(&mut by_hand, attempt.to_owned()).await;
    }
    by_hand.close().await.expect("closes");
    records.close().await;

    let records = Records::open(&as_role(&store, &roles.publisher)).await.expect("opens");
    assert_eq!(records.add_revision(&revision).await.unwrap(), AddedRevision::Added);
    assert_eq!(records.sign_revision(1, "ana", "s1").await.unwrap(), SignedRevision::Now);
    assert_broken(records.claim(&claim("inv-3", "d1", "inv-3")).await, "our right to use it");
    records.close().await;
    roles.remove(store).await;
}

/// Refused for want of a right, before any trigger is asked.
async fn denied(connection: &mut sqlx::AnyConnection, attempt: String) {
    let refused = connection.execute(AssertSqlSafe(attempt.clone())).await.expect_err(&attempt);
    let code = refused.as_database_error().and_then(|answer| answer.code().map(|code| code.into_owned()));
    assert_eq!(code.as_deref(), Some("42501"), "{attempt}: {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_migrate_says_what_is_missing() {
    let store = Store::postgres().await;
    let roles = Roles::make(&store).await;
    let mut owner = store.plain_connection().await;
    owner.execute("DELETE FROM _sqlx_migrations WHERE version = 3").await.expect("as in the build before");
    let url = as_role(&store, &roles.worker);
    assert_broken(Records::open(&url).await, "migration 3 is not applied");
    let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                  SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    owner.execute(insert).await.expect("a migration of the future");
    assert_broken(Records::open(&url).await, "migration 9999");
    let back = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                SELECT 3, 'controls', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    owner.execute(back).await.expect("noted");
    owner.execute("UPDATE _sqlx_migrations SET description = 'later_adds' WHERE version = 9999").await.expect("adds");
    assert_broken(Records::open(&url).await, "migration 3 in the database is not the one");
    owner.close().await.expect("closes");
    roles.remove(store).await;
}
