//! Attempts after the first.

use remit_records::{Claim, CloseAnswer, Gate, GateAnswer, NewClaim, OpenedAttempt, PayoutRow, Records};
use serde_json::json;

use crate::support::{Store, assert_broken, claim, close, race_of, several};

fn opened(key: &str, attempt: u32) -> OpenedAttempt {
    OpenedAttempt::Opened { key: key.to_owned(), attempt }
}

async fn row(records: &Records, key: &str) -> PayoutRow {
    records.payout(key).await.unwrap().expect("claimed")
}

pub async fn the_next_attempt_is_for_the_same_request_and_closes_the_gate_before_it(store: &Store) {
    let records = store.open().await;
    let request = json!({"externalId": "Invoice 1"});
    let first = NewClaim { request: &request, program: Some("payroll"), ..claim("inv-1", "d1", "Invoice 1") };
    records.claim(&first).await.unwrap();
    records.keep_create_body("inv-1", "d1", b"{}").await.unwrap();
    records.note_payout("inv-1", "po-1").await.unwrap();

    let mut seen = None;
    let answer = records
        .open_attempt("inv-1", "inv-1", "retried by ops: bank was closed", |row| {
            seen = Some((row.key.clone(), row.gate.gate.clone(), row.payout.clone()));
            Ok(())
        })
        .await;
    assert_eq!(answer.unwrap(), opened("inv-1-retry-1", 2));
    assert_eq!(seen, Some(("inv-1".to_owned(), Gate::Open, Some("po-1".to_owned()))));
    let why = "retried by ops: bank was closed".to_owned();
    assert_eq!(records.close_gate("inv-1", "late").await.unwrap(), CloseAnswer::AlreadyClosed { why });
    assert_eq!(records.take_gate("inv-1", "d1", "0xabc").await.unwrap(), GateAnswer::Closed);

    let next = row(&records, "inv-1-retry-1").await;
    let before = row(&records, "inv-1").await;
    assert_eq!((next.base_key.as_str(), next.attempt), ("inv-1", 2));
    assert_eq!(
        (&next.external_id, &next.digest, &next.request),
        (&before.external_id, &before.digest, &before.request)
    );
    assert_eq!(
        (&next.wallet, &next.asset, &next.amount, &next.program),
        (&before.wallet, &before.asset, &before.amount, &before.program)
    );
    assert_eq!((next.gate.gate.clone(), next.payout.as_ref(), next.create_body.as_ref()), (Gate::Open, None, None));
    assert_eq!(records.newest_attempt("inv-1").await.unwrap().map(|row| row.key), Some(next.key));

    let later = NewClaim { key: "inv-1-retry-1", ..first };
    assert!(matches!(records.claim(&later).await.unwrap(), Claim::Known(_)), "the run of this attempt finds its row");
    assert_eq!(records.take_gate("inv-1-retry-1", "d1", "0xabc").await.unwrap(), GateAnswer::Taken);
    records.close().await;
}

pub async fn exactly_one_of_eight_opens_the_next_attempt(store: &Store) {
    let stores = several(store).await;
    for round in 0..5 {
        let key = format!("inv-{round}");
        stores[0].claim(&claim(&key, "d1", &key)).await.unwrap();
        let answers = race_of(8, &stores, |records, n| {
            let key = key.clone();
            async move { records.open_attempt(&key, &key, &format!("reason {n}"), |_| Ok(())).await.unwrap() }
        })
        .await;
        let next = format!("{key}-retry-1");
        let lost = OpenedAttempt::NotNewest { key: next.clone(), attempt: 2 };
        assert_eq!(answers.iter().filter(|a| **a == opened(&next, 2)).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|a| **a == lost).count(), 7, "{answers:?}");
    }
    close(stores).await;
}

pub async fn an_attempt_that_may_not_follow_changes_nothing(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    let before = row(&records, "inv-1").await;
    let answer = records.open_attempt("inv-1", "inv-1", "why", |_| Err("it may still pay".to_owned())).await.unwrap();
    assert_eq!(answer, OpenedAttempt::Refused { why: "it may still pay".to_owned() });
    assert_eq!(row(&records, "inv-1").await, before);
    assert_eq!(records.newest_attempt("inv-1").await.unwrap(), Some(before));

    assert_broken(records.open_attempt("inv-1", "inv-1", "", |_| Ok(())).await, "why: 0 bytes");
    assert_broken(records.open_attempt("inv-2", "inv-2", "why", |_| Ok(())).await, "\"inv-2\" is not claimed");
    assert_eq!(records.newest_attempt("inv-2").await.unwrap(), None);
    records.close().await;
}

/// The rule: nothing follows an attempt whose gate was taken.
fn unless_confirming(row: &PayoutRow) -> Result<(), String> {
    match row.gate.gate {
        Gate::Open | Gate::Closed => Ok(()),
        Gate::Confirming | Gate::Unknown(_) => Err("a Confirm may have been sent".to_owned()),
    }
}

pub async fn a_confirm_and_a_retry_at_once_never_both_win(store: &Store) {
    let stores = several(store).await;
    let mut confirmed = 0;
    for round in 0..40 {
        let key = format!("inv-{round}");
        stores[0].claim(&claim(&key, "d1", &key)).await.unwrap();
        let won = race_of(2, &stores, |records, n| {
            let key = key.clone();
            async move {
                match (n + round) % 2 {
                    0 => records.take_gate(&key, "d1", "0xabc").await.unwrap() == GateAnswer::Taken,
                    _ => {
                        let answer = records.open_attempt(&key, &key, "retry", unless_confirming).await.unwrap();
                        matches!(answer, OpenedAttempt::Opened { .. })
                    }
                }
            }
        })
        .await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "round {round}");
        let taken = row(&stores[0], &key).await.gate.gate == Gate::Confirming;
        let next = stores[0].payout(&format!("{key}-retry-1")).await.unwrap();
        assert_ne!(taken, next.is_some(), "round {round}");
        confirmed += u32::from(taken);
    }
    assert!((1..40).contains(&confirmed), "each got to win: {confirmed} of 40");
    close(stores).await;
}

pub async fn only_the_newest_attempt_can_be_followed(store: &Store) {
    let records = store.open().await;
    for key in ["inv-1", "inv-2"] {
        records.claim(&claim(key, "d1", key)).await.unwrap();
    }
    let newest = |key: &str, attempt| OpenedAttempt::NotNewest { key: key.to_owned(), attempt };
    let open = |newest_key: &'static str| {
        let records = records.clone();
        async move { records.open_attempt("inv-1", newest_key, "why", |_| Ok(())).await.unwrap() }
    };
    for never in ["inv-2", "inv-1-retry-1", "nothing"] {
        assert_eq!(open(never).await, newest("inv-1", 1));
    }
    assert_eq!(open("inv-1").await, opened("inv-1-retry-1", 2));
    assert_eq!(open("inv-1").await, newest("inv-1-retry-1", 2));
    assert_eq!(open("inv-1-retry-1").await, opened("inv-1-retry-2", 3));
    assert_eq!(row(&records, "inv-2").await.gate.gate, Gate::Open, "another payout is left alone");
    records.close().await;
}

pub async fn a_payout_has_at_most_a_hundred_attempts(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    let mut newest = "inv-1".to_owned();
    for attempt in 2..=100 {
        let next = format!("inv-1-retry-{}", attempt - 1);
        let answer = records.open_attempt("inv-1", &newest, "again", |_| Ok(())).await.unwrap();
        assert_eq!(answer, opened(&next, attempt));
        newest = next;
    }
    let last = records.open_attempt("inv-1", &newest, "again", |_| Ok(())).await.unwrap();
    assert_eq!(last, OpenedAttempt::TooMany);
    assert_eq!(row(&records, &newest).await.gate.gate, Gate::Open);
    records.close().await;
}
