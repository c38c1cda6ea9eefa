//! Claims, the bytes of the request, the provider's id, the outcome.

use std::collections::BTreeSet;
use std::time::Duration;

use remit_records::{Claim, Gate, Known, NewClaim, Noted, ObjectKind};
use serde_json::json;

use crate::support::{Store, assert_broken, chain, claim, close, race, several};

pub async fn the_same_body_finds_its_own_claim_for_ever(store: &Store) {
    let records = store.open().await;
    assert_eq!(records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap(), Claim::New);
    let untouched = Claim::Known(Known { gate: Gate::Open, gate_why: None, payout: None, outcome: None });
    assert_eq!(records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap(), untouched);

    records.note_payout("inv-1", "po-1").await.unwrap();
    records.take_gate("inv-1", "d1", "0xabc").await.unwrap();
    records.finish("inv-1", &json!({"paid": "12.50"})).await.unwrap();
    records.close().await;

    let reopened = store.open().await;
    let far_along = Claim::Known(Known {
        gate: Gate::Confirming,
        gate_why: None,
        payout: Some("po-1".to_owned()),
        outcome: Some(json!({"paid": "12.50"})),
    });
    assert_eq!(reopened.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap(), far_along);
    reopened.close().await;
}

pub async fn another_body_is_a_conflict_for_ever(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    let conflict = Claim::Conflict { digest_on_record: "d1".to_owned() };
    assert_eq!(records.claim(&claim("inv-1", "d2", "inv-1")).await.unwrap(), conflict);
    records.finish("inv-1", &json!("done")).await.unwrap();
    records.close().await;

    let reopened = store.open().await;
    assert_eq!(reopened.claim(&claim("inv-1", "d2", "inv-1")).await.unwrap(), conflict);
    assert_broken(reopened.claim(&claim("inv-1", "d1", "inv-2")).await, "external_id");
    reopened.close().await;
}

pub async fn a_hundred_claims_at_once_make_one_payout(store: &Store) {
    let stores = several(store).await;
    // Several rounds: the moment in which two claims meet in the database is short.
    for round in 0..10 {
        let key = format!("inv-{round}");
        let answers = race(&stores, |records, _| {
            let key = key.clone();
            async move { records.claim(&claim(&key, "d1", "inv-1")).await.unwrap() }
        })
        .await;
        let untouched = Claim::Known(Known { gate: Gate::Open, gate_why: None, payout: None, outcome: None });
        assert_eq!(answers.iter().filter(|a| **a == Claim::New).count(), 1);
        assert_eq!(answers.iter().filter(|a| **a == untouched).count(), 99);
    }
    close(stores).await;
}

pub async fn a_hundred_bodies_at_once_share_one_winner(store: &Store) {
    let stores = several(store).await;
    let answers = race(&stores, |records, n| async move {
        let answer = records.claim(&claim("inv-1", &format!("d{n}"), "inv-1")).await.unwrap();
        (n, answer)
    })
    .await;
    let winners: Vec<usize> = answers.iter().filter(|(_, a)| *a == Claim::New).map(|(n, _)| *n).collect();
    let [winner] = winners[..] else { panic!("one winner, not {winners:?}") };
    let lost = Claim::Conflict { digest_on_record: format!("d{winner}") };
    assert_eq!(answers.iter().filter(|(_, a)| *a == lost).count(), 99);
    close(stores).await;
}

pub async fn the_first_stored_bytes_win(store: &Store) {
    let stores = several(store).await;
    assert_broken(stores[0].keep_create_body("inv-1", "d1", b"{}").await, "not claimed");
    stores[0].claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    assert_broken(stores[0].keep_create_body("inv-1", "d2", b"{}").await, "digest");

    let answers = race(&stores, |records, n| async move {
        records.keep_create_body("inv-1", "d1", format!("{{\"n\":{n}}}").as_bytes()).await.unwrap()
    })
    .await;
    let different: BTreeSet<&Vec<u8>> = answers.iter().collect();
    assert_eq!(different.len(), 1, "everyone sends the same bytes");
    let on_record = stores[1].payout("inv-1").await.unwrap().expect("claimed").create_body;
    assert_eq!(on_record.as_ref(), answers.first());
    close(stores).await;
}

pub async fn the_outcome_is_written_once(store: &Store) {
    let stores = several(store).await;
    assert_broken(stores[0].finish("inv-1", &json!(null)).await, "not claimed");
    stores[0].claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    let answers = race(&stores, |records, n| async move {
        records
            .finish("inv-1", &json!({"ending": n, "amount": "340282366920938463463374607431768211455"}))
            .await
            .unwrap()
    })
    .await;
    let different: BTreeSet<String> = answers.iter().map(ToString::to_string).collect();
    assert_eq!(different.len(), 1, "one ending, not {different:?}");

    let row = stores[0].payout("inv-1").await.unwrap().expect("claimed");
    assert_eq!(row.outcome.as_ref(), answers.first());
    let finished = row.finished_at.expect("finished");
    stores[0].shift_clock(Duration::from_secs(60)).await.unwrap();
    assert_eq!(stores[1].finish("inv-1", &json!("late")).await.unwrap(), answers[0]);
    assert_eq!(stores[1].payout("inv-1").await.unwrap().expect("claimed").finished_at, Some(finished));
    close(stores).await;
}

pub async fn two_payouts_for_one_key_are_told_apart(store: &Store) {
    let stores = several(store).await;
    let records = &stores[0];
    assert_broken(records.note_payout("inv-1", "po-1").await, "not claimed");
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    assert_eq!(records.note_payout("inv-1", "po-1").await.unwrap(), Noted::Now);
    assert_eq!(records.note_payout("inv-1", "po-1").await.unwrap(), Noted::Already);
    let other = Noted::Other { payout: "po-1".to_owned() };
    assert_eq!(records.note_payout("inv-1", "po-2").await.unwrap(), other);
    assert_eq!(records.key_of_object(ObjectKind::Payout, "po-1").await.unwrap().as_deref(), Some("inv-1"));
    assert_eq!(records.key_of_object(ObjectKind::Payout, "po-2").await.unwrap(), None);

    records.claim(&claim("inv-2", "d2", "inv-2")).await.unwrap();
    let answers =
        race(
            &stores,
            |records, n| async move { records.note_payout("inv-2", &format!("po-{}", 100 + n)).await.unwrap() },
        )
        .await;
    assert_eq!(answers.iter().filter(|a| **a == Noted::Now).count(), 1);
    let winner = records.payout("inv-2").await.unwrap().expect("claimed").payout.expect("noted");
    let other = Noted::Other { payout: winner };
    assert_eq!(answers.iter().filter(|a| **a == other).count(), 99);
    close(stores).await;
}

pub async fn one_payout_cannot_belong_to_two_keys(store: &Store) {
    let records = store.open().await;
    for key in ["inv-1", "inv-2"] {
        records.claim(&claim(key, "d1", key)).await.unwrap();
    }
    records.note_payout("inv-1", "po-1").await.unwrap();
    assert_broken(records.note_payout("inv-2", "po-1").await, "belongs to payout \"inv-1\"");
    assert_eq!(records.payout("inv-2").await.unwrap().expect("claimed").payout, None);
    assert_eq!(records.key_of_object(ObjectKind::Payout, "po-1").await.unwrap().as_deref(), Some("inv-1"));
    records.close().await;
}

pub async fn a_later_attempt_exists_only_when_a_retry_made_it(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    assert_eq!(records.claim(&claim("inv-1-retry-1", "d1", "inv-1")).await.unwrap(), Claim::NotOpened);
    assert_eq!(records.claim(&claim("inv-2-retry-1", "d1", "inv-2")).await.unwrap(), Claim::NotOpened);
    assert!(records.payout("inv-1-retry-1").await.unwrap().is_none());
    let first = records.payout("inv-1").await.unwrap().expect("claimed");
    assert_eq!((first.base_key.as_str(), first.attempt), ("inv-1", 1));

    records.open_attempt("inv-1", "inv-1", "canceled", |_| Ok(())).await.unwrap();
    let known = Claim::Known(Known { gate: Gate::Open, gate_why: None, payout: None, outcome: None });
    assert_eq!(records.claim(&claim("inv-1-retry-1", "d1", "inv-1")).await.unwrap(), known);
    records.close().await;
}

pub async fn the_request_is_kept_with_the_first_claim(store: &Store) {
    let records = store.open().await;
    let request = json!({"externalId": "inv-1", "note": "zero \u{0}, big 340282366920938463463374607431768211455"});
    let first = NewClaim { request: &request, program: Some("payroll"), ..claim("inv-1", "d1", "inv-1") };
    assert_eq!(records.claim(&first).await.unwrap(), Claim::New);
    let again = NewClaim { wallet: "wa-2", amount: "1", ..claim("inv-1", "d1", "inv-1") };
    assert!(matches!(records.claim(&again).await.unwrap(), Claim::Known(_)));

    let row = records.payout("inv-1").await.unwrap().expect("claimed");
    assert_eq!(row.request.as_ref(), Some(&request));
    assert_eq!(
        [row.wallet.as_deref(), row.asset.as_deref(), row.amount.as_deref(), row.program.as_deref()],
        [Some("wa-1"), Some("USDC"), Some("12500000"), Some("payroll")]
    );
    assert!(!format!("{first:?} {row:?}").contains("340282366920938463463374607431768211455"), "{row:?}");
    records.close().await;
}

pub async fn a_claim_says_why_its_gate_was_closed(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    records.close_gate("inv-1", "canceled by ops").await.unwrap();
    let known = Known { gate: Gate::Closed, gate_why: Some("canceled by ops".to_owned()), payout: None, outcome: None };
    assert_eq!(records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap(), Claim::Known(known));
    records.close().await;
}

pub async fn input_the_databases_cannot_hold_is_refused_by_name(store: &Store) {
    let records = store.open().await;
    assert_broken(records.claim(&claim("", "d1", "inv")).await, "key: 0 bytes; expected 1 to 64");
    assert_broken(records.claim(&claim(&"k".repeat(65), "d1", "inv")).await, "key: 65 bytes; expected 1 to 64");
    assert_broken(records.claim(&claim("inv", "", "inv")).await, "digest: 0 bytes");
    assert_broken(records.claim(&claim("inv", "d1", "a\0b")).await, "external_id: 3 bytes");
    let no_wallet = NewClaim { wallet: "", ..claim("inv", "d1", "inv") };
    assert_broken(records.claim(&no_wallet).await, "wallet: 0 bytes");
    let odd_program = NewClaim { program: Some("a\0"), ..claim("inv", "d1", "inv") };
    assert_broken(records.claim(&odd_program).await, "program: 2 bytes");
    assert_broken(records.take_gate("inv", "d1", "").await, "address: 0 bytes");
    assert_broken(records.close_gate("inv", "").await, "why: 0 bytes");
    assert_broken(records.note_payout("inv", "").await, "payout: 0 bytes");
    assert_broken(records.shift_clock(Duration::MAX).await, "forward");

    let refused = records.claim(&claim("inv", "d1", "jane@example.com\0")).await.expect_err("refused");
    assert!(!chain(&refused).contains("jane"), "an external id may name a person: {refused}");
    records.close().await;
}

pub async fn any_text_and_any_bytes_come_back_as_they_went_in(store: &Store) {
    let records = store.open().await;
    let text = "'; DROP TABLE payouts; -- \" \\ % _ $1 ? é 漢 \u{1F4B8} \u{202E}\n";
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    records.claim(&claim("h-1", text, text)).await.unwrap();
    assert_eq!(records.keep_create_body("h-1", text, &bytes).await.unwrap(), bytes);
    assert_eq!(records.note_payout("h-1", text).await.unwrap(), Noted::Now);
    records.take_gate("h-1", text, text).await.unwrap();
    let outcome = json!({"zero \u{0}": text, "big": u64::MAX, "list": [null, true, {}]});
    assert_eq!(records.finish("h-1", &outcome).await.unwrap(), outcome);

    let row = records.payout("h-1").await.unwrap().expect("claimed");
    assert_eq!((row.external_id.as_str(), row.digest.as_str()), (text, text));
    assert_eq!(row.create_body, Some(bytes));
    assert_eq!(row.gate.address.as_deref(), Some(text));
    assert_eq!(row.outcome, Some(outcome));
    assert_eq!(records.key_of_object(ObjectKind::Payout, text).await.unwrap().as_deref(), Some("h-1"));
    assert!(!format!("{row:?}").contains("漢 \u{1F4B8} \u{202E}\n"), "the row does not print what it holds of people");

    records.claim(&claim("h-2", "d", "empty")).await.unwrap();
    assert_eq!(records.keep_create_body("h-2", "d", b"").await.unwrap(), b"", "no bytes are bytes too");
    assert_eq!(records.keep_create_body("h-2", "d", b"later").await.unwrap(), b"");
    records.close().await;
}
