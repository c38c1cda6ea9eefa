//! Which of the provider's objects belong to which payout.

use remit_records::{Mapped, Noted, ObjectKind};

use crate::support::{Store, assert_broken, claim, close, race, several};

pub async fn the_first_mapping_stays_for_ever(store: &Store) {
    let records = store.open().await;
    assert_broken(records.map_object(ObjectKind::Transfer, "tx-1", "inv-1").await, "not claimed");
    for key in ["inv-1", "inv-2"] {
        records.claim(&claim(key, "d1", key)).await.unwrap();
    }
    assert_broken(records.map_object(ObjectKind::Transfer, "", "inv-1").await, "id: 0 bytes");
    assert_eq!(records.map_object(ObjectKind::Transfer, "tx-1", "inv-1").await.unwrap(), Mapped::Now);
    assert_eq!(records.map_object(ObjectKind::Transfer, "tx-1", "inv-1").await.unwrap(), Mapped::Already);
    let other = Mapped::Other { key: "inv-1".to_owned() };
    assert_eq!(records.map_object(ObjectKind::Transfer, "tx-1", "inv-2").await.unwrap(), other);
    assert_eq!(records.key_of_object(ObjectKind::Transfer, "tx-1").await.unwrap().as_deref(), Some("inv-1"));

    assert_eq!(records.key_of_object(ObjectKind::Approval, "tx-1").await.unwrap(), None, "kinds have ids of their own");
    assert_eq!(records.map_object(ObjectKind::Approval, "tx-1", "inv-2").await.unwrap(), Mapped::Now);
    assert_eq!(records.map_object(ObjectKind::Transfer, "tx-2", "inv-1").await.unwrap(), Mapped::Now, "many to a key");
    records.close().await;
}

pub async fn a_noted_payout_is_mapped_in_the_same_breath(store: &Store) {
    let records = store.open().await;
    for key in ["inv-1", "inv-2"] {
        records.claim(&claim(key, "d1", key)).await.unwrap();
    }
    assert_eq!(records.note_payout("inv-1", "po-1").await.unwrap(), Noted::Now);
    assert_eq!(records.key_of_object(ObjectKind::Payout, "po-1").await.unwrap().as_deref(), Some("inv-1"));
    assert_eq!(records.map_object(ObjectKind::Payout, "po-1", "inv-1").await.unwrap(), Mapped::Already);

    records.map_object(ObjectKind::Payout, "po-2", "inv-1").await.unwrap();
    assert_broken(records.note_payout("inv-2", "po-2").await, "belongs to payout \"inv-1\"");
    assert_eq!(records.payout("inv-2").await.unwrap().expect("claimed").payout, None, "neither of the two is written");
    assert_eq!(records.note_payout("inv-1", "po-2").await.unwrap(), Noted::Other { payout: "po-1".to_owned() });
    records.close().await;
}

pub async fn a_hundred_mapping_one_object_agree(store: &Store) {
    let stores = several(store).await;
    for key in ["inv-0", "inv-1"] {
        stores[0].claim(&claim(key, "d1", key)).await.unwrap();
    }
    let answers = race(&stores, |records, n| async move {
        records.map_object(ObjectKind::Transfer, "tx-1", &format!("inv-{}", n % 2)).await.unwrap()
    })
    .await;
    let winner = stores[0].key_of_object(ObjectKind::Transfer, "tx-1").await.unwrap().expect("mapped");
    let other = Mapped::Other { key: winner };
    assert_eq!(answers.iter().filter(|a| **a == Mapped::Now).count(), 1);
    assert_eq!(answers.iter().filter(|a| **a == Mapped::Already).count(), 49);
    assert_eq!(answers.iter().filter(|a| **a == other).count(), 50);
    close(stores).await;
}
