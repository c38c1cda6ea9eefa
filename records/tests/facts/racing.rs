//! Many processes race for one limit. `REMIT_TEST_RACING=10000` for as many payouts as the full run has; a fifth of them
//! on SQLite.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::future::join_all;
use remit_domain::policy::{Sum, Verdict};
use remit_records::{Options, Records, Settle, Verified};
use serde_json::json;
use sqlx::{Executor, Row};

use crate::policy::{DAY, all, confirm, decided, deciding, sum, within};
use crate::support::{self, Store, claim};

const CHILD: &str = "REMIT_TEST_RACING_CHILD";
const PROCESSES: usize = 8;
/// Of each process at once.
const TASKS: usize = 4;
const EACH: u64 = 7_000_003;

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_eight_processes_never_go_above_a_limit() {
    match std::env::var(CHILD) {
        Ok(told) => race(&told).await,
        Err(_) => {
            let test = "racing::on_sqlite_eight_processes_never_go_above_a_limit";
            start(Store::sqlite().await, test, many() / 5).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_eight_processes_never_go_above_a_limit() {
    match std::env::var(CHILD) {
        Ok(told) => race(&told).await,
        Err(_) => {
            let test = "racing::on_postgres_eight_processes_never_go_above_a_limit";
            start(Store::postgres().await, test, many()).await;
        }
    }
}

fn many() -> usize {
    std::env::var("REMIT_TEST_RACING").map_or(1000, |many| many.parse().expect("a number"))
}

/// Two in five fit, and almost one more.
fn fitting(many: usize) -> u64 {
    many as u64 * 2 / 5
}

fn limit(many: usize) -> u64 {
    fitting(many) * EACH + EACH - 1
}

/// One of the processes: decides its own payouts and those of another one, each twice, and pays its own.
async fn race(told: &str) {
    let [process, many, url] = told.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{told:?}") };
    let (process, many): (usize, usize) = (process.parse().expect("which"), many.parse().expect("how many"));
    let options = Options { max_connections: TASKS as u32, patience: Duration::from_secs(120), ..Options::new(url) };
    let records = Records::open_with(options).await.expect("opens");
    println!("ready");
    std::io::stdin().read_exact(&mut [0]).expect("the word to go");
    join_all((0..TASKS).map(|task| {
        let records = records.clone();
        tokio::spawn(async move {
            for n in (task..many).step_by(TASKS) {
                let own = n / TASKS % PROCESSES == process;
                if own || (n / TASKS + 3) % PROCESSES == process {
                    one(&records, n, many, own).await;
                }
            }
        })
    }))
    .await
    .into_iter()
    .for_each(|done| done.expect("no task panics"));
    records.close().await;
}

async fn one(records: &Records, n: usize, many: usize, own: bool) {
    let key = format!("inv-{n}");
    let questions = [all(DAY)];
    records.claim(&claim(&key, "d1", &key)).await.unwrap();
    let mut verdict = Verdict::Blocked;
    for _ in 0..2 {
        let answer = records.decide_payout(&deciding(&key, &questions), within(limit(many), EACH)).await.unwrap();
        verdict = decided(answer).decision.verdict;
    }
    if !own {
        return;
    }
    let (outcome, settle) = match verdict {
        Verdict::Allowed => {
            confirm(records, &key).await;
            if n.is_multiple_of(2) {
                records.spend(&key).await.unwrap();
            }
            (json!({"ending": "completed"}), Settle::Spent)
        }
        Verdict::Blocked | Verdict::NeedsApproval => (json!({"ending": "blocked"}), Settle::Released),
    };
    records.finish_and_settle(&key, &outcome, settle).await.unwrap();
}

async fn start(store: Store, test: &str, many: usize) {
    let options = Options { patience: Duration::from_secs(120), ..Options::new(&store.url) };
    let records = Records::open_with(options).await.expect("opens");
    let mut children: Vec<_> = (0..PROCESSES)
        .map(|process| {
            support::again(test)
                .env(CHILD, format!("{process} {many} {}", store.url))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("another process starts")
        })
        .collect();
    for child in &mut children {
        let mut said = String::new();
        let mut output = std::io::BufReader::new(child.stdout.as_mut().expect("piped"));
        while !said.contains("ready") {
            assert_ne!(std::io::BufRead::read_line(&mut output, &mut said).expect("reads"), 0, "{said}");
        }
    }
    let began = Instant::now();
    for child in &mut children {
        std::io::Write::write_all(child.stdin.as_mut().expect("piped"), b"!").expect("told to go");
    }
    for child in children {
        let done = child.wait_with_output().expect("gone");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    }
    let took = began.elapsed();

    let count = fitting(many);
    let expected = Sum { usd: u128::from(count * EACH), count, unpriced: 0 };
    assert_eq!(sum(&records, all(DAY)).await, expected, "as many as fit, and not one more");
    assert!(records.open_reservations(None, 1).await.unwrap().items.is_empty(), "nothing is left over");
    let mut by_hand = store.plain_connection().await;
    let row = by_hand
        .fetch_one(
            "SELECT CAST(COUNT(*) AS BIGINT) AS decisions, COUNT(DISTINCT payout_key) AS payouts, \
             COUNT(CASE verdict WHEN 'allowed' THEN 1 END) AS allowed FROM decisions WHERE payout_key <> 'looks'",
        )
        .await
        .unwrap();
    let [decisions, payouts, allowed] = ["decisions", "payouts", "allowed"].map(|name| row.get::<i64, _>(name));
    assert_eq!((payouts as usize, decisions as usize), (many, many), "each is decided once, however often it is asked");
    assert_eq!(allowed as u64, count);
    let Verified::Whole { rows, .. } = records.verify_audit(&[], |_, _, _| true).await.unwrap() else {
        panic!("the audit record is whole")
    };
    let place = if store.is_postgres() { "Postgres" } else { "SQLite" };
    println!(
        "{place}: {many} payouts, {} decisions asked for by {PROCESSES} processes in {took:?}: {count} fit, {} of a limit \
         of {}, 0 reservations left, {rows} audit records",
        4 * many,
        expected.usd,
        limit(many),
    );
    records.close().await;
    store.remove().await;
}
