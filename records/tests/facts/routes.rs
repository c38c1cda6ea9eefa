//! Which payout an event belongs to, whatever comes first.

use std::collections::BTreeSet;

use remit_records::{NewEvent, ObjectKind, Records, Route, StoredEvent};

use crate::support::{Store, assert_broken, claim, close, event, race_of, several};

const ALL: [(ObjectKind, &str); 3] =
    [(ObjectKind::Approval, "ap-1"), (ObjectKind::Transfer, "tx-1"), (ObjectKind::Payout, "po-1")];

fn to(key: &str) -> Route {
    Route::To { key: key.to_owned() }
}

fn whats(events: Vec<StoredEvent>) -> Vec<String> {
    events.into_iter().map(|event| event.what).collect()
}

async fn with_claims(store: &Store) -> Records {
    let records = store.open().await;
    for key in ["inv-1", "inv-2"] {
        records.claim(&claim(key, "d1", key)).await.unwrap();
    }
    records
}

pub async fn an_event_waits_until_its_object_is_mapped(store: &Store) {
    let records = with_claims(store).await;
    records.store_event(&event("w-1", &ALL)).await.unwrap();
    records.store_event(&event("w-2", &ALL[..1])).await.unwrap();
    records.store_event(&event("w-3", &[(ObjectKind::Transfer, "tx-other")])).await.unwrap();
    for what in ["w-1", "w-2", "w-3"] {
        assert_eq!(records.route_event(what).await.unwrap(), Route::Unknown);
    }
    assert_eq!(whats(records.waiting_events(ObjectKind::Approval, "ap-1").await.unwrap()), ["w-1", "w-2"]);
    assert!(records.waiting_for_key("inv-1").await.unwrap().is_empty());

    records.map_object(ObjectKind::Transfer, "tx-1", "inv-1").await.unwrap();
    assert_eq!(whats(records.waiting_events(ObjectKind::Transfer, "tx-1").await.unwrap()), ["w-1"]);
    assert_eq!(whats(records.waiting_for_key("inv-1").await.unwrap()), ["w-1", "w-2"], "by the approval it has joined");
    for (kind, id) in ALL {
        assert_eq!(records.key_of_object(kind, id).await.unwrap().as_deref(), Some("inv-1"));
    }
    for what in ["w-1", "w-2"] {
        assert_eq!(records.route_event(what).await.unwrap(), to("inv-1"));
        records.mark_delivered(what, "inv-1").await.unwrap();
    }
    assert!(records.waiting_for_key("inv-1").await.unwrap().is_empty());
    assert_eq!(records.route_event("w-3").await.unwrap(), Route::Unknown);
    records.close().await;
}

pub async fn an_event_of_a_mapped_object_is_routed_at_once_and_joins_the_others(store: &Store) {
    let records = with_claims(store).await;
    records.note_payout("inv-1", "po-1").await.unwrap();
    records.store_event(&event("w-1", &ALL)).await.unwrap();
    assert_eq!(records.key_of_object(ObjectKind::Approval, "ap-1").await.unwrap(), None);
    assert_eq!(records.route_event("w-1").await.unwrap(), to("inv-1"));
    assert_eq!(records.key_of_object(ObjectKind::Approval, "ap-1").await.unwrap().as_deref(), Some("inv-1"));
    records.store_event(&event("w-2", &ALL[..1])).await.unwrap();
    assert_eq!(records.route_event("w-2").await.unwrap(), to("inv-1"));
    records.close().await;
}

pub async fn an_event_that_names_a_claimed_key_is_routed_by_it(store: &Store) {
    let records = with_claims(store).await;
    let named = NewEvent { named_key: Some("inv-1"), ..event("w-1", &ALL) };
    records.store_event(&named).await.unwrap();
    assert_eq!(records.route_event("w-1").await.unwrap(), to("inv-1"));
    for (kind, id) in ALL {
        assert_eq!(records.key_of_object(kind, id).await.unwrap().as_deref(), Some("inv-1"));
    }
    assert_eq!(records.payout("inv-1").await.unwrap().expect("claimed").payout, None, "an event writes no payout id");
    records.close().await;
}

pub async fn an_event_that_names_a_key_waits_until_it_is_claimed(store: &Store) {
    let records = with_claims(store).await;
    let long = "n".repeat(900);
    for (what, named, id) in [("w-1", "inv-3", "po-3"), ("w-2", "inv-1-retry-1", "po-4"), ("w-3", &long, "po-5")] {
        let objects = [(ObjectKind::Payout, id)];
        records.store_event(&NewEvent { named_key: Some(named), ..event(what, &objects) }).await.unwrap();
        assert_eq!(records.route_event(what).await.unwrap(), Route::Unknown);
        assert!(records.waiting_for_key(named).await.unwrap().is_empty());
    }
    records.claim(&claim("inv-3", "d3", "inv-3")).await.unwrap();
    assert_eq!(whats(records.waiting_for_key("inv-3").await.unwrap()), ["w-1"]);
    records.open_attempt("inv-1", "inv-1", "retry", |_| Ok(())).await.unwrap();
    assert_eq!(whats(records.waiting_for_key("inv-1-retry-1").await.unwrap()), ["w-2"], "the attempt is the key");
    assert_eq!(records.key_of_object(ObjectKind::Payout, "po-4").await.unwrap().as_deref(), Some("inv-1-retry-1"));
    assert!(records.waiting_for_key("inv-1").await.unwrap().is_empty());
    records.close().await;
}

pub async fn an_event_that_names_another_payout_is_kept_and_never_delivered(store: &Store) {
    let records = with_claims(store).await;
    for (what, named) in [("w-1", "inv-2"), ("w-2", "nobody's")] {
        records.store_event(&NewEvent { named_key: Some(named), ..event(what, &ALL) }).await.unwrap();
    }
    records.note_payout("inv-1", "po-1").await.unwrap();
    assert!(records.waiting_events(ObjectKind::Payout, "po-1").await.unwrap().is_empty());
    assert!(records.waiting_for_key("inv-1").await.unwrap().is_empty());
    assert!(records.waiting_for_key("inv-2").await.unwrap().is_empty());
    for (what, named) in [("w-1", "inv-2"), ("w-2", "nobody's")] {
        let mismatch = Route::Mismatch { named: named.to_owned(), mapped: "inv-1".to_owned() };
        assert_eq!(records.route_event(what).await.unwrap(), mismatch);
        assert_broken(records.mark_delivered(what, "inv-1").await, "no payout is known");
        let kept = records.event(what).await.unwrap().expect("kept");
        assert_eq!((kept.key, kept.mismatch.as_deref()), (None, Some("inv-1")));
    }
    assert_eq!(records.key_of_object(ObjectKind::Approval, "ap-1").await.unwrap(), None, "it joins nothing");
    records.close().await;
}

pub async fn an_event_between_two_payouts_belongs_to_neither(store: &Store) {
    let records = with_claims(store).await;
    records.map_object(ObjectKind::Transfer, "tx-1", "inv-2").await.unwrap();
    records.note_payout("inv-1", "po-1").await.unwrap();
    records.store_event(&event("w-1", &ALL)).await.unwrap();
    let mismatch = Route::Mismatch { named: "inv-2".to_owned(), mapped: "inv-1".to_owned() };
    assert_eq!(records.route_event("w-1").await.unwrap(), mismatch);
    assert_eq!(records.route_event("w-1").await.unwrap(), mismatch);
    assert_eq!(records.key_of_object(ObjectKind::Approval, "ap-1").await.unwrap(), None);
    records.close().await;
}

/// What one side of a race finds: the relay stores and routes, an activity maps and looks.
async fn relay(records: &Records, new: &NewEvent<'_>) -> Vec<String> {
    records.store_event(new).await.unwrap();
    match records.route_event(new.what).await.unwrap() {
        Route::To { key } => whats(records.waiting_for_key(&key).await.unwrap()),
        Route::Unknown => vec![],
        odd @ Route::Mismatch { .. } => panic!("{odd:?}"),
    }
}

pub async fn storing_and_mapping_at_once_lose_no_event(store: &Store) {
    let stores = several(store).await;
    for round in 0..60 {
        let key = format!("inv-{round}");
        stores[0].claim(&claim(&key, "d1", &key)).await.unwrap();
        let found = race_of(2, &stores, |records, n| {
            let key = key.clone();
            async move {
                let (payout, what) = (format!("po-{round}"), format!("w-{round}"));
                if (n + round) % 2 == 0 {
                    return relay(&records, &event(&what, &[(ObjectKind::Payout, &payout)])).await;
                }
                match round % 3 {
                    0 => {
                        records.note_payout(&key, &payout).await.unwrap();
                        whats(records.waiting_for_key(&key).await.unwrap())
                    }
                    1 => {
                        records.note_payout(&key, &payout).await.unwrap();
                        whats(records.waiting_events(ObjectKind::Payout, &payout).await.unwrap())
                    }
                    _ => {
                        records.map_object(ObjectKind::Payout, &payout, &key).await.unwrap();
                        whats(records.waiting_events(ObjectKind::Payout, &payout).await.unwrap())
                    }
                }
            }
        })
        .await;
        assert!(found.concat().contains(&format!("w-{round}")), "round {round}: {found:?}");
    }
    close(stores).await;
}

/// Payout and transfer, transfer and approval, approval alone, and one by name: only the payout is mapped from outside.
pub async fn a_chain_of_events_at_once_is_found_whole(store: &Store) {
    let stores = several(store).await;
    for round in 0..40 {
        let key = format!("inv-{round}");
        let [po, tx, ap, po2] = ["po", "tx", "ap", "named"].map(|kind| format!("{kind}-{round}"));
        if round % 2 == 0 {
            stores[0].claim(&claim(&key, "d1", &key)).await.unwrap();
        }
        let found = race_of(5, &stores, |records, n| {
            let (key, po, tx, ap, po2) = (key.clone(), po.clone(), tx.clone(), ap.clone(), po2.clone());
            async move {
                let what = format!("w-{round}-{n}");
                let (payout, transfer, approval) =
                    ((ObjectKind::Payout, &*po), (ObjectKind::Transfer, &*tx), (ObjectKind::Approval, &*ap));
                match (n + round) % 5 {
                    0 => {
                        records.claim(&claim(&key, "d1", &key)).await.unwrap();
                        let mut found = whats(records.waiting_for_key(&key).await.unwrap());
                        records.note_payout(&key, &po).await.unwrap();
                        found.extend(whats(records.waiting_for_key(&key).await.unwrap()));
                        found
                    }
                    1 => relay(&records, &event(&what, &[payout, transfer])).await,
                    2 => relay(&records, &event(&what, &[approval, transfer])).await,
                    3 => relay(&records, &event(&what, &[approval])).await,
                    _ => {
                        let objects = [(ObjectKind::Payout, &*po2), approval];
                        relay(&records, &NewEvent { named_key: Some(&key), ..event(&what, &objects) }).await
                    }
                }
            }
        })
        .await;
        let found: BTreeSet<String> = found.concat().into_iter().collect();
        let stored: BTreeSet<String> =
            (0..5).filter(|n| (n + round) % 5 != 0).map(|n| format!("w-{round}-{n}")).collect();
        assert_eq!(found, stored, "round {round}");
        for (kind, id) in [
            (ObjectKind::Payout, &po),
            (ObjectKind::Transfer, &tx),
            (ObjectKind::Approval, &ap),
            (ObjectKind::Payout, &po2),
        ] {
            assert_eq!(stores[0].key_of_object(kind, id).await.unwrap().as_ref(), Some(&key), "round {round}: {id}");
        }
    }
    close(stores).await;
}
