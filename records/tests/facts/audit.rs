//! The audit record: what is on it, and that nobody changes it unseen.

use remit_domain::policy::Verdict;
use remit_records::{
    AuditHead, AuditRow, Chain, Checkpoint, Checkpointed, NewApproval, NewRevision, Records, Settle, Verified,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};

use crate::policy::{deciding, ruling};
use crate::support::{Store, claim, close, race, several};

/// What stands for a signature here: it is good when it repeats what was signed.
fn sign(key: &str, head: &AuditHead) -> Checkpoint {
    Checkpoint { head: head.clone(), key: key.to_owned(), signature: signature(key, &head.text()) }
}

fn signature(key: &str, text: &str) -> String {
    format!("{key} signs {text}")
}

fn good(key: &str, text: &str, signed: &str) -> bool {
    key == "ed25519:auditor" && signed == signature(key, text)
}

async fn verify(records: &Records, kept: &[Checkpoint]) -> Verified {
    records.verify_audit(kept, good).await.unwrap()
}

#[track_caller]
fn broken_at(found: &Verified) -> u64 {
    match found {
        Verified::Broken { seq, .. } => *seq,
        Verified::Whole { .. } => panic!("it was not found: {found:?}"),
    }
}

/// Everything that is done with a payout, each call twice, as after a lost answer.
async fn pay(records: &Records, key: &str) {
    let approval = NewApproval {
        key,
        person: "ana",
        group: "treasury",
        value: "approve",
        statement: "text",
        signature: "c2ln",
        revision: "hash-1",
    };
    let never = |_: &_| Err("nothing may follow".to_owned());
    for _ in 0..2 {
        records.claim(&claim(key, "d1", key)).await.unwrap();
        records.decide_payout(&deciding(key, &[]), |_| ruling(Verdict::NeedsApproval, 5)).await.unwrap();
        records.add_approval(&approval).await.unwrap();
        records.keep_create_body(key, "d1", b"{}").await.unwrap();
        records.note_payout(key, "po-1").await.unwrap();
        records.take_gate(key, "d1", "0xabc").await.unwrap();
        records.close_gate(key, "too late").await.unwrap();
        records.spend(key).await.unwrap();
        records.finish_and_settle(key, &json!({"ending": "completed"}), Settle::Spent).await.unwrap();
        records.open_attempt(key, key, "again", never).await.unwrap();
        records.void_approvals(key, "it is over").await.unwrap();
    }
    records.note_confirm_sent(key).await.unwrap();
}

pub async fn what_happens_is_on_the_record_once(store: &Store) {
    let records = store.open().await;
    assert_eq!(records.audit_head().await.unwrap().seq, 0);
    let none = Verified::Whole { rows: 0, head: "0".repeat(64), checkpoints: 0 };
    assert_eq!(verify(&records, &[]).await, none);
    pay(&records, "inv-1").await;
    records.close_gate("inv-2", "nobody").await.unwrap();
    records.claim(&claim("inv-3", "d1", "inv-3")).await.unwrap();
    records.open_attempt("inv-3", "inv-3", "ana: the bank was closed", |_| Ok(())).await.unwrap();
    records.close_gate("inv-3-retry-1", "ana: not wanted").await.unwrap();
    let revision = NewRevision { number: 1, previous: None, hash: "h1", content: "c", author: "ana", note: "" };
    for _ in 0..2 {
        records.add_revision(&revision).await.unwrap();
        records.sign_revision(1, "ana", "s1").await.unwrap();
    }
    records.audit_append("order", Some("inv-1"), &json!({"order": "release", "by": "ana"})).await.unwrap();
    records.shift_clock(std::time::Duration::from_secs(1)).await.unwrap();

    let rows = records.audit(0, 1000).await.unwrap();
    let kinds: Vec<_> = rows.iter().map(|row| (row.key.as_deref().unwrap_or(""), row.kind.as_str())).collect();
    assert_eq!(
        kinds,
        [
            ("inv-1", "payout.claimed"),
            ("inv-1", "payout.decided"),
            ("inv-1", "approval.added"),
            ("inv-1", "create.intended"),
            ("inv-1", "create.done"),
            ("inv-1", "gate.taken"),
            ("inv-1", "reservation.settled"),
            ("inv-1", "payout.finished"),
            ("inv-1", "approval.void"),
            // Made void, the same word counts as a new one.
            ("inv-1", "approval.added"),
            ("inv-1", "approval.void"),
            ("inv-1", "confirm.intended"),
            ("inv-3", "payout.claimed"),
            ("inv-3-retry-1", "attempt.opened"),
            ("inv-3-retry-1", "gate.closed"),
            ("", "policy.revision"),
            ("", "policy.signature"),
            ("inv-1", "order"),
            ("", "clock.shifted"),
        ]
    );
    let body = |n: usize| serde_json::from_str::<Value>(&rows[n].body).expect("JSON");
    assert_eq!((&body(1)["verdict"], &body(1)["usd"]), (&json!("needsApproval"), &json!(5)));
    assert_eq!(body(1)["reservation"], "taken");
    assert_eq!(body(3)["bodySha256"], "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    assert_eq!(rows[17].body, r#"{"by":"ana","order":"release"}"#);
    assert!(rows.iter().all(|row| row.hash == row.expected_hash()));
    let of_one: Vec<_> = rows.iter().filter(|row| row.key.as_deref() == Some("inv-1")).cloned().collect();
    assert_eq!(records.audit_of("inv-1").await.unwrap(), of_one);
    assert_eq!(records.audit(17, 1).await.unwrap(), rows[17..18]);
    let head = records.audit_head().await.unwrap();
    assert_eq!((head.seq, &head.hash), (19, &rows[18].hash));
    assert_eq!(verify(&records, &[]).await, Verified::Whole { rows: 19, head: head.hash, checkpoints: 0 });
    records.close().await;
}

pub async fn what_is_not_written_leaves_no_record(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    records.audit_append("", None, &json!({})).await.expect_err("no kind");
    records.note_confirm_sent("inv-1").await.expect_err("the gate is open");
    records.claim(&claim("inv-1", "d2", "inv-1")).await.unwrap();
    records.take_gate("inv-1", "d2", "0xabc").await.unwrap();
    assert_eq!(records.audit_head().await.unwrap().seq, 1);
    records.close().await;
}

pub async fn records_of_many_at_once_are_one_chain(store: &Store) {
    let stores = several(store).await;
    race(&stores, |records, n| async move {
        let key = format!("inv-{n}");
        records.claim(&claim(&key, "d1", &key)).await.unwrap();
        records.decide_payout(&deciding(&key, &[]), |_| ruling(Verdict::Allowed, 5)).await.unwrap();
        records.take_gate(&key, "d1", "0xabc").await.unwrap();
        records.finish_and_settle(&key, &json!({"ending": "completed"}), Settle::Spent).await.unwrap();
        // While others append.
        if n.is_multiple_of(10) {
            let found = verify(&records, &[]).await;
            assert!(matches!(found, Verified::Whole { .. }), "{found:?}");
        }
    })
    .await;
    let found = verify(&stores[0], &[]).await;
    assert!(matches!(found, Verified::Whole { rows: 400, .. }), "{found:?}");
    close(stores).await;
}

pub async fn a_checkpoint_is_of_a_head_that_was(store: &Store) {
    let records = store.open().await;
    let nothing = sign("ed25519:auditor", &records.audit_head().await.unwrap());
    assert_eq!(records.checkpoint(&nothing).await.unwrap(), Checkpointed::NotOurs);
    append(&records, 3).await;
    let head = records.audit_head().await.unwrap();
    let checkpoint = sign("ed25519:auditor", &head);
    let other = sign("ed25519:auditor", &AuditHead { hash: "f".repeat(64), ..head.clone() });
    let later = sign("ed25519:auditor", &AuditHead { seq: 4, ..head.clone() });
    assert_eq!(records.checkpoint(&checkpoint).await.unwrap(), Checkpointed::Now);
    assert_eq!(records.checkpoint(&checkpoint).await.unwrap(), Checkpointed::Already);
    for odd in [&other, &later] {
        assert_eq!(records.checkpoint(odd).await.unwrap(), Checkpointed::NotOurs);
    }
    assert_eq!(records.checkpoints().await.unwrap(), std::slice::from_ref(&checkpoint));
    append(&records, 2).await;
    let whole = |found: Verified| matches!(found, Verified::Whole { rows: 5, .. });
    assert!(whole(verify(&records, &[]).await));
    assert!(whole(verify(&records, &[nothing, checkpoint.clone()]).await));
    assert_eq!(broken_at(&verify(&records, &[other]).await), 3);
    let forged = Checkpoint { signature: "forged".to_owned(), ..checkpoint.clone() };
    assert_eq!(broken_at(&verify(&records, &[forged]).await), 3);
    let stranger = sign("ed25519:stranger", &head);
    assert_eq!(broken_at(&verify(&records, &[stranger]).await), 3);
    records.close().await;
}

async fn append(records: &Records, many: u64) {
    for n in 0..many {
        records.audit_append("order", Some("inv-1"), &json!({"n": n})).await.unwrap();
    }
}

/// Each way to change one record that leaves its hash.
fn flips(row: &AuditRow) -> Vec<AuditRow> {
    let flipped = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        String::from_utf8(bytes).expect("ASCII")
    };
    vec![
        AuditRow { seq: row.seq + 1, ..row.clone() },
        AuditRow { at: row.at + std::time::Duration::from_micros(1), ..row.clone() },
        AuditRow { kind: flipped(&row.kind), ..row.clone() },
        AuditRow { key: None, ..row.clone() },
        AuditRow { key: row.key.as_deref().map(flipped), ..row.clone() },
        AuditRow { body: flipped(&row.body), ..row.clone() },
        AuditRow { previous: flipped(&row.previous), ..row.clone() },
        AuditRow { hash: flipped(&row.hash), ..row.clone() },
    ]
}

/// Goes on from a chain that has taken the records before these.
fn go_on<'a>(chain: &Chain, rows: impl IntoIterator<Item = &'a AuditRow>, head: Option<&AuditHead>) -> Verified {
    let mut chain = chain.clone();
    match rows.into_iter().try_for_each(|row| chain.take(row)) {
        Ok(()) => chain.end(head),
        Err(broken) => broken,
    }
}

pub async fn every_record_flipped_dropped_swapped_or_cut_is_found(store: &Store) {
    let records = store.open().await;
    append(&records, 1000).await;
    let rows = records.audit(0, 1000).await.unwrap();
    let head = records.audit_head().await.unwrap();
    let checkpoint = [sign("ed25519:auditor", &head)];
    records.close().await;

    let mut chain = Chain::new(&checkpoint, good).expect("signed");
    let mut found = 0;
    for (n, row) in rows.iter().enumerate() {
        let (rest, seq) = (&rows[n + 1..], row.seq);
        for flipped in flips(row) {
            assert_eq!(broken_at(&go_on(&chain, std::iter::once(&flipped).chain(rest), Some(&head))), seq);
            // Whoever computes its hash anew is found by the next one, or by the head.
            let mut hashed = flipped.clone();
            hashed.hash = hashed.expected_hash();
            if hashed != *row {
                let at = broken_at(&go_on(&chain, std::iter::once(&hashed).chain(rest), Some(&head)));
                assert!((seq..=seq + 1).contains(&at), "{at} for {seq}");
            }
            found += 1;
        }
        assert_eq!(broken_at(&go_on(&chain, rest, Some(&head))), seq, "dropped");
        if let Some((next, rest)) = rest.split_first() {
            assert_eq!(broken_at(&go_on(&chain, [next, row].into_iter().chain(rest), Some(&head))), seq, "swapped");
        }
        assert_eq!(broken_at(&go_on(&chain, [], Some(&head))), seq, "cut");
        // Whoever moves the head along is found by the checkpoint.
        assert_eq!(broken_at(&go_on(&chain, [], None)), seq, "cut, and the head moved");
        found += 4;
        chain.take(row).expect("as it was written");
    }
    assert_eq!(found, 12 * 1000);
    let whole = Verified::Whole { rows: 1000, head: head.hash.clone(), checkpoints: 1 };
    assert_eq!(chain.end(Some(&head)), whole);

    // Whoever writes all of it anew, from some record on.
    let mut forged = rows.clone();
    forged[499].body = r#"{"n":0}"#.to_owned();
    for n in 499..1000 {
        forged[n].previous = forged[n - 1].hash.clone();
        forged[n].hash = forged[n].expected_hash();
    }
    let unsigned = Chain::new(&[], good).expect("no checkpoint");
    assert!(matches!(go_on(&unsigned, &forged, None), Verified::Whole { .. }), "without a checkpoint nobody can tell");
    let signed = Chain::new(&checkpoint, good).expect("signed");
    assert_eq!(broken_at(&go_on(&signed, &forged, None)), 1000);
}

pub async fn tampering_in_the_database_is_found(store: &Store) {
    let records = store.open().await;
    append(&records, 9).await;
    let kept = [sign("ed25519:auditor", &records.audit_head().await.unwrap())];
    let refused = [
        "DELETE FROM audit",
        "UPDATE audit SET body = '{}'",
        "INSERT INTO audit SELECT 10, at, kind, payout_key, body, previous, 'x' FROM audit WHERE seq = 9",
        "INSERT INTO audit SELECT 11, at, kind, payout_key, body, hash, 'x' FROM audit WHERE seq = 9",
        "UPDATE audit_head SET seq = 8",
        "UPDATE audit_head SET hash = 'x'",
        "UPDATE audit_checkpoints SET hash = 'x'",
    ];
    let mut by_hand = store.plain_connection().await;
    records.checkpoint(&kept[0]).await.unwrap();
    for attempt in refused {
        by_hand.execute(attempt).await.expect_err(attempt);
    }
    let whole = verify(&records, &kept).await;
    assert!(matches!(whole, Verified::Whole { rows: 9, checkpoints: 1, .. }), "{whole:?}");

    let triggers = match store.is_postgres() {
        true => [
            "ALTER TABLE audit DISABLE TRIGGER USER",
            "ALTER TABLE audit_head DISABLE TRIGGER USER",
            "ALTER TABLE audit_checkpoints DISABLE TRIGGER USER",
        ]
        .join(";"),
        false => [
            "audit_rows_are_written_once",
            "audit_rows_are_kept",
            "audit_goes_on",
            "audit_head_goes_on",
            "audit_checkpoints_rows_are_kept",
        ]
        .map(|name| format!("DROP TRIGGER {name}"))
        .join(";"),
    };
    by_hand.execute(AssertSqlSafe(triggers)).await.expect("whoever owns the tables can");
    by_hand.execute("DELETE FROM audit_checkpoints").await.expect("so that only those kept elsewhere remain");
    for (tampering, found_at) in [
        ("UPDATE audit SET body = '{}' WHERE seq = 1", 1),
        ("UPDATE audit SET payout_key = 'inv-2' WHERE seq = 5", 5),
        ("UPDATE audit SET at = at + 1 WHERE seq = 9", 9),
        ("DELETE FROM audit WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 5", 5),
        ("DELETE FROM audit WHERE seq = 9", 9),
        (
            "DELETE FROM audit WHERE seq > 6; \
          UPDATE audit_head SET seq = 6, hash = (SELECT hash FROM audit WHERE seq = 6)",
            7,
        ),
        (
            "UPDATE audit SET seq = 99 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 5; \
          UPDATE audit SET seq = 5 WHERE seq = 99",
            4,
        ),
        ("INSERT INTO audit SELECT 10, at, kind, payout_key, body, hash, 'x' FROM audit WHERE seq = 9", 10),
        ("UPDATE audit_head SET seq = 8, hash = (SELECT hash FROM audit WHERE seq = 8)", 9),
        ("UPDATE audit_head SET hash = 'x'", 9),
    ] {
        // Each by itself, undone afterwards.
        let copy = "DROP TABLE IF EXISTS kept_rows; CREATE TABLE kept_rows AS SELECT * FROM audit; \
                    DROP TABLE IF EXISTS kept_head; CREATE TABLE kept_head AS SELECT * FROM audit_head";
        by_hand.execute(copy).await.expect("a copy");
        by_hand.execute(tampering).await.expect(tampering);
        assert_eq!(broken_at(&verify(&records, &kept).await), found_at, "{tampering}");
        let back = "DELETE FROM audit; INSERT INTO audit SELECT * FROM kept_rows; \
                    UPDATE audit_head SET seq = (SELECT seq FROM kept_head), hash = (SELECT hash FROM kept_head)";
        by_hand.execute(back).await.expect("back");
        let whole = verify(&records, &kept).await;
        assert!(matches!(whole, Verified::Whole { rows: 9, .. }), "after {tampering}: {whole:?}");
    }
    drop(by_hand);
    records.close().await;
}
