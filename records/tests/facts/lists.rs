//! Lists of payouts.

use std::time::Duration;

use remit_records::{Cursor, Gate, NewClaim, PayoutFilter, Records};
use serde_json::json;

use crate::support::{Store, assert_about, claim};

async fn keys(records: &Records, filter: PayoutFilter<'_>) -> Vec<String> {
    let page = records.payouts(&filter).await.unwrap();
    assert_eq!(page.next, None);
    page.items.into_iter().map(|item| item.key).collect()
}

pub async fn pages_skip_nothing_and_repeat_nothing_while_rows_are_added(store: &Store) {
    let records = store.open().await;
    let mut claimed = vec![];
    for n in 0..23 {
        let key = format!("inv-{}", (n * 7) % 23);
        records.claim(&claim(&key, "d1", &key)).await.unwrap();
        // Some share a time to the microsecond: SQLite's clock counts milliseconds only.
        if n % 5 == 0 {
            records.shift_clock(Duration::from_secs(1)).await.unwrap();
        }
        claimed.push(key);
    }
    let whole = keys(&records, PayoutFilter::default()).await;
    assert_eq!(whole.len(), 23);
    assert_eq!(whole.last(), Some(&claimed[0]), "the oldest is last");

    let (mut paged, mut after) = (vec![], None::<Cursor>);
    loop {
        let page = PayoutFilter { after: after.as_ref(), limit: 4, ..PayoutFilter::default() };
        let page = records.payouts(&page).await.unwrap();
        assert!(page.items.len() == 4 || page.next.is_none());
        paged.extend(page.items.into_iter().map(|item| item.key));
        let key = format!("new-{}", paged.len());
        records.claim(&claim(&key, "d1", &key)).await.unwrap();
        match page.next {
            Some(next) => after = Some(next.to_string().parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(paged, whole);

    let open = |after| PayoutFilter { open: Some(true), limit: 2, after, ..PayoutFilter::default() };
    let first = records.payouts(&open(None)).await.unwrap();
    let last = &first.items[1];
    records.finish(&last.key, &json!({"ending": "completed"})).await.unwrap();
    let second = records.payouts(&open(first.next.as_ref())).await.unwrap();
    assert!(!second.items.contains(last) && second.items.len() == 2, "a row that left the list keeps its place");
    records.close().await;
}

pub async fn each_filter_does_what_it_says(store: &Store) {
    let records = store.open().await;
    let hour = Duration::from_secs(3600);
    for (key, wallet, program) in
        [("a", "wa-1", Some("payroll")), ("b", "wa-2", Some("payroll")), ("c", "wa-1", None), ("d", "wa-2", None)]
    {
        records.claim(&NewClaim { wallet, program, ..claim(key, "d1", key) }).await.unwrap();
        records.shift_clock(hour).await.unwrap();
    }
    records.finish("a", &json!({"ending": "completed", "money": "paid"})).await.unwrap();
    records.finish("b", &json!({"ending": "expired"})).await.unwrap();
    records.note_payout("c", "po-1").await.unwrap();
    records.finish("d", &json!("an outcome of another shape")).await.unwrap();

    let none = PayoutFilter::default;
    assert_eq!(keys(&records, none()).await, ["d", "c", "b", "a"]);
    assert_eq!(keys(&records, PayoutFilter { open: Some(true), ..none() }).await, ["c"]);
    assert_eq!(keys(&records, PayoutFilter { open: Some(false), ..none() }).await, ["d", "b", "a"]);
    assert_eq!(keys(&records, PayoutFilter { ending: Some("completed"), ..none() }).await, ["a"]);
    assert_eq!(keys(&records, PayoutFilter { program: Some("payroll"), ..none() }).await, ["b", "a"]);
    assert_eq!(keys(&records, PayoutFilter { wallet: Some("wa-1"), ..none() }).await, ["c", "a"]);
    assert_eq!(keys(&records, PayoutFilter { wallet: Some("' OR 1=1"), ..none() }).await, [""; 0]);
    assert_eq!(keys(&records, PayoutFilter { older_than: Some(hour * 3), ..none() }).await, ["b", "a"]);
    assert_eq!(keys(&records, PayoutFilter { older_than: Some(Duration::MAX), ..none() }).await, [""; 0]);
    let together = PayoutFilter {
        open: Some(false),
        ending: Some("expired"),
        program: Some("payroll"),
        wallet: Some("wa-2"),
        older_than: Some(hour),
        ..none()
    };
    assert_eq!(keys(&records, together).await, ["b"]);
    let nothing = PayoutFilter { ending: Some("expired"), wallet: Some("wa-1"), ..none() };
    assert_eq!(keys(&records, nothing).await, [""; 0]);

    records.open_attempt("b", "b", "retry", |_| Ok(())).await.unwrap();
    let page =
        records.payouts(&PayoutFilter { wallet: Some("wa-2"), program: Some("payroll"), ..none() }).await.unwrap();
    let [second, first] = &page.items[..] else { panic!("two attempts, not {page:?}") };
    assert_eq!((second.key.as_str(), second.base_key.as_str(), second.attempt), ("b-retry-1", "b", 2));
    assert_eq!((&second.gate, &second.ending, second.finished_at), (&Gate::Open, &None, None));
    assert_eq!((first.attempt, &first.gate, first.gate_why.as_deref()), (1, &Gate::Closed, Some("finished")));
    assert_eq!((first.ending.as_deref(), first.finished_at.is_some()), (Some("expired"), true));
    assert_eq!((first.asset.as_deref(), first.amount.as_deref()), (Some("USDC"), Some("12500000")));
    assert_about(first.age, hour * 3);
    let with_id = records.payouts(&PayoutFilter { open: Some(true), wallet: Some("wa-1"), ..none() }).await.unwrap();
    assert_eq!(with_id.items[0].payout.as_deref(), Some("po-1"));
    records.close().await;
}
