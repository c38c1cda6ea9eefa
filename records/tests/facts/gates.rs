//! The gate before money moves.

use std::time::Duration;

use remit_records::{CloseAnswer, Gate, GateAnswer};
use serde_json::json;

use crate::support::{Store, assert_about, assert_broken, claim, close, race, several};

pub async fn a_hundred_racing_for_the_gate_have_one_winner_and_every_loser_learns_it(store: &Store) {
    let stores = several(store).await;
    // Several rounds, so that takers and closers both get to win.
    for round in 0..5 {
        let key = format!("inv-{round}");
        stores[0].claim(&claim(&key, "d1", &key)).await.unwrap();
        let key = &key;
        let answers = race(&stores, |records, n| {
            let key = key.clone();
            async move {
                if (n + round) % 2 == 0 {
                    match records.take_gate(&key, "d1", &format!("0x{n}")).await.unwrap() {
                        GateAnswer::Taken => format!("won confirming 0x{n}"),
                        GateAnswer::Held { address, .. } => format!("lost to confirming {address}"),
                        GateAnswer::Closed => "lost to closed".to_owned(),
                        odd @ (GateAnswer::NotClaimed | GateAnswer::Conflict) => panic!("{odd:?}"),
                    }
                } else {
                    match records.close_gate(&key, &format!("reason {n}")).await.unwrap() {
                        CloseAnswer::Closed => format!("won closed reason {n}"),
                        CloseAnswer::AlreadyClosed { why } => format!("lost to closed {why}"),
                        CloseAnswer::Confirming => "lost to confirming".to_owned(),
                        odd @ CloseAnswer::NotClaimed => panic!("{odd:?}"),
                    }
                }
            }
        })
        .await;

        let winners: Vec<&String> = answers.iter().filter(|a| a.starts_with("won ")).collect();
        let [winner] = winners[..] else { panic!("one winner, not {winners:?}") };
        let winner = winner.trim_start_matches("won ");
        let state = winner.split(' ').next().expect("a word");
        let truths = [format!("lost to {winner}"), format!("lost to {state}")];
        let losers = answers.iter().filter(|a| truths.contains(a)).count();
        assert_eq!(losers, 99, "winner {winner}, answers {answers:?}");
    }
    close(stores).await;
}

pub async fn a_taken_gate_tells_for_what_and_since_when(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    assert_eq!(records.take_gate("inv-1", "d1", "0xabc").await.unwrap(), GateAnswer::Taken);
    records.note_confirm_sent("inv-1").await.unwrap();
    records.shift_clock(Duration::from_secs(20)).await.unwrap();
    records.note_confirm_sent("inv-1").await.unwrap();
    records.shift_clock(Duration::from_secs(10)).await.unwrap();

    let GateAnswer::Held { since, address } = records.take_gate("inv-1", "d1", "0xother").await.unwrap() else {
        panic!("the gate is held")
    };
    assert_eq!(address, "0xabc");
    assert_about(since, Duration::from_secs(30));

    let gate = records.gate("inv-1").await.unwrap().expect("claimed");
    assert_eq!((gate.gate, gate.address.as_deref()), (Gate::Confirming, Some("0xabc")));
    assert_about(gate.since_moved.expect("taken"), Duration::from_secs(30));
    assert_about(gate.since_sent.expect("sent"), Duration::from_secs(10));
    assert_eq!(records.close_gate("inv-1", "late").await.unwrap(), CloseAnswer::Confirming);
    records.close().await;
}

pub async fn a_gate_opens_only_for_the_body_that_claimed_it(store: &Store) {
    let records = store.open().await;
    assert_eq!(records.take_gate("inv-1", "d1", "0xabc").await.unwrap(), GateAnswer::NotClaimed);
    assert_eq!(records.close_gate("inv-1", "cancel").await.unwrap(), CloseAnswer::NotClaimed);
    assert_eq!(records.gate("inv-1").await.unwrap(), None);

    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    assert_eq!(records.take_gate("inv-1", "d2", "0xabc").await.unwrap(), GateAnswer::Conflict);
    assert_eq!(records.gate("inv-1").await.unwrap().expect("claimed").gate, Gate::Open);
    records.close().await;
}

pub async fn a_closed_gate_stays_closed_and_says_why(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    assert_eq!(records.close_gate("inv-1", "canceled").await.unwrap(), CloseAnswer::Closed);
    let again = CloseAnswer::AlreadyClosed { why: "canceled".to_owned() };
    assert_eq!(records.close_gate("inv-1", "too late").await.unwrap(), again);
    assert_eq!(records.take_gate("inv-1", "d1", "0xabc").await.unwrap(), GateAnswer::Closed);
    records.close().await;
}

pub async fn a_confirm_is_noted_only_behind_a_taken_gate(store: &Store) {
    let records = store.open().await;
    assert_broken(records.note_confirm_sent("inv-1").await, "gate is not taken");
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    assert_broken(records.note_confirm_sent("inv-1").await, "gate is not taken");
    records.close_gate("inv-1", "canceled").await.unwrap();
    assert_broken(records.note_confirm_sent("inv-1").await, "gate is not taken");
    records.close().await;
}

pub async fn an_outcome_closes_a_gate_that_was_open(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("blocked", "d1", "blocked")).await.unwrap();
    records.finish("blocked", &json!("blocked")).await.unwrap();
    assert_eq!(records.take_gate("blocked", "d1", "0xabc").await.unwrap(), GateAnswer::Closed);
    let gate = records.gate("blocked").await.unwrap().expect("claimed");
    assert_eq!(gate.why.as_deref(), Some("finished"));

    records.claim(&claim("paid", "d2", "paid")).await.unwrap();
    records.take_gate("paid", "d2", "0xabc").await.unwrap();
    records.finish("paid", &json!("paid")).await.unwrap();
    let gate = records.gate("paid").await.unwrap().expect("claimed");
    assert_eq!((gate.gate, gate.address.as_deref()), (Gate::Confirming, Some("0xabc")));
    records.close().await;
}
