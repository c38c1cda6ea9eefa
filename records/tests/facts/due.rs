//! Events that are still to be delivered, and those whose payout nobody looked for.

use std::time::Duration;

use remit_records::{Cursor, NewEvent, ObjectKind, Records};
use sqlx::Executor;

use crate::support::{Store, claim, event};

const MINUTE: Duration = Duration::from_secs(60);

async fn due(
    records: &Records,
    older_than: Duration,
    after: Option<&Cursor>,
    limit: u32,
) -> (Vec<String>, Option<Cursor>) {
    let page = records.due_events(older_than, after, limit).await.unwrap();
    (page.items.into_iter().map(|event| event.what).collect(), page.next)
}

pub async fn due_are_those_with_a_payout_that_were_not_delivered_the_oldest_first(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    for (what, transfer) in [("w-1", "tx-1"), ("w-2", "tx-2"), ("w-3", "tx-3"), ("w-4", "tx-4"), ("w-5", "tx-5")] {
        records.store_event(&event(what, &[(ObjectKind::Transfer, transfer)])).await.unwrap();
    }
    assert!(due(&records, Duration::ZERO, None, 10).await.0.is_empty(), "no payout is known for any");
    for transfer in ["tx-5", "tx-3", "tx-1", "tx-4"] {
        records.map_object(ObjectKind::Transfer, transfer, "inv-1").await.unwrap();
    }
    records.mark_delivered("w-3", "inv-1").await.unwrap();
    let (first, next) = due(&records, Duration::ZERO, None, 2).await;
    assert_eq!(first, ["w-1", "w-4"]);
    let (second, end) = due(&records, Duration::ZERO, next.as_ref(), 2).await;
    assert_eq!((second, end), (vec!["w-5".to_owned()], None));
    records.close().await;
}

pub async fn an_event_is_due_only_when_it_has_not_come_for_a_while(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    records.map_object(ObjectKind::Transfer, "tx-1", "inv-1").await.unwrap();
    let come = async || {
        records.store_event(&event("w-1", &[(ObjectKind::Transfer, "tx-1")])).await.unwrap();
        records.route_event("w-1").await.unwrap();
    };
    come().await;
    assert!(due(&records, MINUTE, None, 10).await.0.is_empty());
    records.shift_clock(2 * MINUTE).await.unwrap();
    assert_eq!(due(&records, MINUTE, None, 10).await.0, ["w-1"]);
    come().await;
    assert!(due(&records, MINUTE, None, 10).await.0.is_empty(), "it is in somebody's hands again");
    records.close().await;
}

pub async fn an_event_that_nobody_looked_after_finds_its_payout_later(store: &Store) {
    let records = store.open().await;
    for key in ["inv-1", "inv-2"] {
        records.claim(&claim(key, "d1", key)).await.unwrap();
    }
    records.map_object(ObjectKind::Transfer, "tx-1", "inv-1").await.unwrap();
    // Stored by somebody who was killed before the look that follows.
    let mapped = [(ObjectKind::Transfer, "tx-1"), (ObjectKind::Approval, "ap-1")];
    records.store_event(&event("w-1", &mapped)).await.unwrap();
    let named = NewEvent { named_key: Some("inv-2"), ..event("w-2", &[(ObjectKind::Payout, "po-2")]) };
    records.store_event(&named).await.unwrap();
    let unclaimed = NewEvent { named_key: Some("inv-9"), ..event("w-3", &[(ObjectKind::Payout, "po-9")]) };
    records.store_event(&unclaimed).await.unwrap();
    let torn = NewEvent { named_key: Some("inv-2"), ..event("w-4", &[(ObjectKind::Transfer, "tx-1")]) };
    records.store_event(&torn).await.unwrap();

    assert_eq!(records.route_waiting().await.unwrap(), 2);
    assert_eq!(due(&records, Duration::ZERO, None, 10).await.0, ["w-1", "w-2"]);
    assert_eq!(records.key_of_object(ObjectKind::Approval, "ap-1").await.unwrap().as_deref(), Some("inv-1"));
    let torn = records.event("w-4").await.unwrap().expect("kept");
    assert_eq!((torn.key, torn.mismatch.as_deref()), (None, Some("inv-1")));
    assert_eq!(records.route_waiting().await.unwrap(), 0, "nothing is looked at twice");
    records.close().await;
}

pub async fn what_is_due_is_found_by_an_index(store: &Store) {
    store.open().await.close().await;
    let mut plain = store.plain_connection().await;
    let find = if store.is_postgres() {
        "SELECT 1 FROM pg_indexes WHERE indexname = 'provider_events_due'"
    } else {
        "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = 'provider_events_due'"
    };
    assert!(plain.fetch_optional(find).await.unwrap().is_some());
}
