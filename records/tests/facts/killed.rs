//! A process is killed (SIGKILL) while its transaction holds the row; the next one finds nothing half.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use remit_records::{Gate, GateAnswer};
use sqlx::Executor;

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
