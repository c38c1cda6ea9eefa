//! A process is killed (SIGKILL) while its transaction holds the row, while it decides, and between any two of its
//! writes; the next one finds nothing half.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use remit_domain::policy::{Sum, Verdict};
use remit_records::{Gate, GateAnswer, Records, ReservationState, Settle, Verified};
use serde_json::json;
use sqlx::Executor;

use crate::policy::{DAY, all, confirm, decided, deciding, ruling, sum, within};
use crate::support::{self, Store, claim};

const CHILD: &str = "REMIT_TEST_KILLED_CHILD_URL";

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_a_process_killed_in_a_transaction_leaves_nothing_half() {
    match std::env::var(CHILD) {
        Ok(url) => be_killed(&url, "BEGIN IMMEDIATE").await,
        Err(_) => {
            let test = "killed::on_sqlite_a_process_killed_in_a_transaction_leaves_nothing_half";
            kill(Store::sqlite().await, test).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_a_process_killed_in_a_transaction_leaves_nothing_half() {
    match std::env::var(CHILD) {
        Ok(url) => be_killed(&url, "BEGIN").await,
        Err(_) => {
            let test = "killed::on_postgres_a_process_killed_in_a_transaction_leaves_nothing_half";
            kill(Store::postgres().await, test).await;
        }
    }
}

async fn be_killed(url: &str, begin: &'static str) {
    let mut connection = support::connect(url).await;
    connection.execute(begin).await.expect("begins");
    connection
        .execute("UPDATE payouts SET gate = 'confirming', gate_address = '0xhalf', gate_moved_at = 1")
        .await
        .expect("updates");
    println!("in the middle");
    // Until the parent kills us, or is gone itself.
    std::io::stdin().read_line(&mut String::new()).expect("reads");
}

async fn kill(store: Store, test: &str) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    let mut child = support::again(test)
        .env(CHILD, &store.url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the other process starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let there = lines.any(|line| line.is_ok_and(|line| line.contains("in the middle")));
    assert!(there, "the other process came to the middle of its transaction");
    assert_eq!(records.gate("inv-1").await.unwrap().expect("claimed").gate, Gate::Open, "not visible yet");
    child.kill().expect("killed");
    child.wait().expect("gone");

    assert_eq!(records.take_gate("inv-1", "d1", "0xwhole").await.unwrap(), GateAnswer::Taken);
    let gate = records.gate("inv-1").await.unwrap().expect("claimed");
    assert_eq!(gate.address.as_deref(), Some("0xwhole"));
    records.close().await;
    store.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_a_process_killed_while_it_decides_reserves_nothing() {
    match std::env::var(CHILD) {
        Ok(url) => be_killed_deciding(&url).await,
        Err(_) => {
            let test = "killed::on_sqlite_a_process_killed_while_it_decides_reserves_nothing";
            kill_deciding(Store::sqlite().await, test).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_a_process_killed_while_it_decides_reserves_nothing() {
    match std::env::var(CHILD) {
        Ok(url) => be_killed_deciding(&url).await,
        Err(_) => {
            let test = "killed::on_postgres_a_process_killed_while_it_decides_reserves_nothing";
            kill_deciding(Store::postgres().await, test).await;
        }
    }
}

async fn be_killed_deciding(url: &str) {
    let records = Records::open(url).await.expect("opens");
    let wait = |_: &_| {
        println!("in the middle");
        std::io::stdin().read_line(&mut String::new()).expect("reads");
        ruling(Verdict::Allowed, 5)
    };
    records.decide_payout(&deciding("inv-1", &[]), wait).await.expect("decides");
}

async fn kill_deciding(store: Store, test: &str) {
    let records = store.open().await;
    for key in ["inv-1", "inv-2"] {
        records.claim(&claim(key, "d1", key)).await.unwrap();
    }
    let mut child = support::again(test)
        .env(CHILD, &store.url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the other process starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let there = lines.any(|line| line.is_ok_and(|line| line.contains("in the middle")));
    assert!(there, "the other process came to the middle of its decision");
    // It holds the lock: this one waits until the other is gone.
    let questions = [all(DAY)];
    let next = deciding("inv-2", &questions);
    let (answer, ()) = tokio::join!(records.decide_payout(&next, within(9, 5)), async {
        child.kill().expect("killed");
        child.wait().expect("gone");
    });
    assert_eq!(decided(answer.unwrap()).decision.verdict, Verdict::Allowed);
    assert_eq!(records.reservation("inv-1").await.unwrap(), None);
    assert_eq!(records.decision("inv-1").await.unwrap(), None);
    assert_eq!(sum(&records, all(DAY)).await, Sum { usd: 5, count: 1, unpriced: 0 });
    records.close().await;
    store.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_a_process_killed_at_any_write_leaves_sums_that_agree() {
    match std::env::var(CHILD) {
        Ok(url) => pay_until_killed(&url).await,
        Err(_) => {
            let test = "killed::on_sqlite_a_process_killed_at_any_write_leaves_sums_that_agree";
            kill_at_writes(Store::sqlite().await, test).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_a_process_killed_at_any_write_leaves_sums_that_agree() {
    match std::env::var(CHILD) {
        Ok(url) => pay_until_killed(&url).await,
        Err(_) => {
            let test = "killed::on_postgres_a_process_killed_at_any_write_leaves_sums_that_agree";
            kill_at_writes(Store::postgres().await, test).await;
        }
    }
}

/// Of the payouts inv-0, inv-1, … six fit.
const MANY: usize = 16;
const LIMIT: u64 = 6 * 11 + 10;

/// Pays them in turn, from the start, whatever was done of it before; says so before each write.
async fn pay_until_killed(url: &str) {
    let records = Records::open(url).await.expect("opens");
    pay(&records, || println!("next write")).await;
}

async fn pay(records: &Records, say: impl Fn()) {
    let questions = [all(DAY)];
    for n in 0..MANY {
        let key = format!("inv-{n}");
        say();
        records.claim(&claim(&key, "d1", &key)).await.unwrap();
        say();
        let answer = records.decide_payout(&deciding(&key, &questions), within(LIMIT, 11)).await.unwrap();
        let (ending, settle) = match decided(answer).decision.verdict {
            Verdict::Allowed => {
                say();
                confirm(records, &key).await;
                say();
                records.spend(&key).await.unwrap();
                ("completed", Settle::Spent)
            }
            Verdict::Blocked | Verdict::NeedsApproval => ("blocked", Settle::Released),
        };
        say();
        records.finish_and_settle(&key, &json!({"ending": ending}), settle).await.unwrap();
    }
}

async fn kill_at_writes(store: Store, test: &str) {
    let records = store.open().await;
    for writes in 1..=24 {
        let mut child = support::again(test)
            .env(CHILD, &store.url)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the other process starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let said =
            lines.filter(|line| line.as_ref().is_ok_and(|line| line.contains("next write"))).take(writes * 3).count();
        child.kill().expect("killed");
        child.wait().expect("gone");
        assert!(said > 0, "the other process came to its writes");
        agree(&records).await;
    }
    pay(&records, || ()).await;
    agree(&records).await;
    assert_eq!(sum(&records, all(DAY)).await, Sum { usd: 66, count: 6, unpriced: 0 });
    assert!(records.open_reservations(None, 10).await.unwrap().items.is_empty());
    records.close().await;
    store.remove().await;
}

/// Whatever is allowed is reserved, once; what is not is not; and the audit record is whole.
async fn agree(records: &Records) {
    let mut expected = Sum::default();
    for n in 0..MANY {
        let key = format!("inv-{n}");
        let verdict = records.decision(&key).await.unwrap().map(|it| it.decision.verdict);
        let reservation = records.reservation(&key).await.unwrap();
        assert_eq!(verdict == Some(Verdict::Allowed), reservation.is_some(), "{key}");
        if let Some(reservation) = reservation {
            let finished = records.payout(&key).await.unwrap().expect("claimed").finished_at.is_some();
            assert!(!finished || reservation.state == ReservationState::Spent, "{key}");
            expected.usd += 11;
            expected.count += 1;
        }
    }
    assert!(expected.usd <= u128::from(LIMIT));
    assert_eq!(sum(records, all(DAY)).await, expected);
    let found = records.verify_audit(&[], |_, _, _| true).await.unwrap();
    assert!(matches!(found, Verified::Whole { .. }), "{found:?}");
}
