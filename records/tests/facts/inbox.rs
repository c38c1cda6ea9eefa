//! The inbox of the provider's events.

use std::collections::BTreeSet;
use std::time::Duration;

use remit_records::{Cursor, EventFilter, NewEvent, ObjectKind, Records, Stored};
use sqlx::Executor;

use crate::support::{Store, assert_broken, claim, close, event, race, several};

const DAY: Duration = Duration::from_secs(24 * 3600);

pub async fn an_event_is_kept_once_and_counted(store: &Store) {
    let records = store.open().await;
    let objects = [(ObjectKind::Payout, "po-1")];
    let stored = |first, times| Stored { first, times, key: None, delivered: false };
    assert_eq!(records.store_event(&event("w-1", &objects)).await.unwrap(), stored(true, 1));
    let again = NewEvent { event_id: "ev-2", source: "gap", body: b"other", ..event("w-1", &objects) };
    assert_eq!(records.store_event(&again).await.unwrap(), stored(false, 2));
    assert_eq!(records.store_event(&event("w-2", &objects)).await.unwrap(), stored(true, 1));

    let kept = records.event("w-1").await.unwrap().expect("kept");
    assert_eq!((kept.times, kept.event_id.as_str(), kept.source.as_str()), (2, "ev-2", "webhook"));
    assert_eq!(kept.body.as_deref(), Some(&b"{}"[..]), "the first body stays");
    assert!(kept.seen_at >= kept.received_at);
    assert_eq!(kept.objects.len(), 1);
    records.close().await;
}

pub async fn a_hundred_storing_one_event_keep_it_once(store: &Store) {
    let stores = several(store).await;
    let answers = race(&stores, |records, _| async move {
        records
            .store_event(&event("w-1", &[(ObjectKind::Payout, "po-1"), (ObjectKind::Transfer, "tx-1")]))
            .await
            .unwrap()
    })
    .await;
    assert_eq!(answers.iter().filter(|a| a.first).count(), 1);
    let counted: BTreeSet<u32> = answers.iter().map(|a| a.times).collect();
    assert_eq!(counted, (1..=100).collect());
    assert_eq!(stores[0].event("w-1").await.unwrap().expect("kept").objects.len(), 2);
    close(stores).await;
}

pub async fn an_event_comes_back_as_it_was_stored(store: &Store) {
    let records = store.open().await;
    let text = "'; DROP TABLE payouts; -- \" \\ % ? $1 é 漢 \u{1F4B8}";
    let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let objects = [
        (ObjectKind::Approval, "ap-1"),
        (ObjectKind::Transfer, text),
        (ObjectKind::Payout, "po-1"),
        (ObjectKind::Payout, "po-0"),
    ];
    let new = NewEvent {
        what: text,
        kind: text,
        about: text,
        state: "",
        objects: &objects,
        named_key: Some(text),
        body: &bytes,
        event_id: text,
        source: "gap",
    };
    records.store_event(&new).await.unwrap();
    let kept = records.event(text).await.unwrap().expect("kept");
    assert_eq!(
        [&kept.what, &kept.kind, &kept.about, &kept.event_id, kept.named_key.as_ref().unwrap()].map(String::as_str),
        [text; 5]
    );
    assert_eq!((kept.state.as_str(), kept.source.as_str(), kept.times), ("", "gap", 1));
    assert_eq!(kept.objects, objects.map(|(kind, id)| (kind, id.to_owned())));
    assert_eq!((&kept.key, &kept.mismatch, kept.delivered_at), (&None, &None, None));
    assert!(!format!("{new:?} {kept:?}").contains("body"), "a body may name people: {kept:?}");
    assert_eq!(kept.body, Some(bytes));
    assert_eq!(records.event("w-9").await.unwrap(), None);
    records.close().await;
}

pub async fn a_delivery_is_marked_for_the_right_payout_alone(store: &Store) {
    let records = store.open().await;
    for key in ["inv-1", "inv-2"] {
        records.claim(&claim(key, "d1", key)).await.unwrap();
    }
    let objects = [(ObjectKind::Payout, "po-1")];
    assert_broken(records.mark_delivered("w-1", "inv-1").await, "no such event");
    records.store_event(&event("w-1", &objects)).await.unwrap();
    assert_broken(records.mark_delivered("w-1", "inv-1").await, "route it first");
    records.note_payout("inv-1", "po-1").await.unwrap();
    assert_eq!(records.waiting_for_key("inv-1").await.unwrap().len(), 1);
    assert_broken(records.mark_delivered("w-1", "inv-2").await, "belongs to payout \"inv-1\"");
    records.mark_delivered("w-1", "inv-1").await.unwrap();
    let first = records.event("w-1").await.unwrap().expect("kept").delivered_at;
    assert!(first.is_some());

    records.shift_clock(DAY).await.unwrap();
    records.mark_delivered("w-1", "inv-1").await.unwrap();
    assert_eq!(records.event("w-1").await.unwrap().expect("kept").delivered_at, first, "the first time stays");
    assert!(records.waiting_for_key("inv-1").await.unwrap().is_empty());
    assert!(records.waiting_events(ObjectKind::Payout, "po-1").await.unwrap().is_empty());
    let again = Stored { first: false, times: 2, key: Some("inv-1".to_owned()), delivered: true };
    assert_eq!(records.store_event(&event("w-1", &objects)).await.unwrap(), again);
    records.close().await;
}

pub async fn old_events_are_forgotten_but_never_one_a_payout_waits_for(store: &Store) {
    let records = store.open().await;
    for key in ["inv-1", "inv-2"] {
        records.claim(&claim(key, "d1", key)).await.unwrap();
    }
    records.note_payout("inv-1", "po-1").await.unwrap();
    let ours = [(ObjectKind::Payout, "po-1")];
    let strange = [(ObjectKind::Payout, "po-strange")];
    for what in ["delivered", "undelivered", "unrouted"] {
        records.store_event(&event(what, &ours)).await.unwrap();
    }
    for what in ["delivered", "undelivered"] {
        records.route_event(what).await.unwrap();
    }
    records.mark_delivered("delivered", "inv-1").await.unwrap();
    records.store_event(&event("unmatched", &strange)).await.unwrap();
    records.store_event(&NewEvent { named_key: Some("inv-2"), ..event("mismatch", &ours) }).await.unwrap();
    records.route_event("mismatch").await.unwrap();
    assert_eq!(records.forget_events(DAY, DAY).await.unwrap(), 0);

    records.shift_clock(2 * DAY).await.unwrap();
    records.store_event(&event("new", &strange)).await.unwrap();
    assert_eq!(records.forget_events(3 * DAY, Duration::MAX).await.unwrap(), 0);
    assert_eq!(records.forget_events(DAY, 3 * DAY).await.unwrap(), 1, "the delivered one");
    assert_eq!(records.forget_events(DAY, DAY).await.unwrap(), 2, "the unmatched one and the mismatch");
    assert_eq!(records.forget_events(Duration::ZERO, DAY).await.unwrap(), 0);
    for (what, kept) in [
        ("delivered", false),
        ("unmatched", false),
        ("mismatch", false),
        ("undelivered", true),
        ("unrouted", true),
        ("new", true),
    ] {
        assert_eq!(records.event(what).await.unwrap().is_some(), kept, "{what}");
    }
    assert_eq!(records.waiting_for_key("inv-1").await.unwrap().len(), 2);
    records.close().await;
}

pub async fn one_call_forgets_a_bounded_number(store: &Store) {
    let records = store.open().await;
    let mut by_hand = store.plain_connection().await;
    by_hand
        .execute(
            sqlx::query(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) \
             INSERT INTO provider_events (what, kind, about, state, body, source, event_id, times, \
             received_at, seen_at) \
             SELECT 'w-' || i, 'k', '', '', $1, 'gap', 'e', 1, i, i FROM n",
            )
            .bind(&b"{}"[..]),
        )
        .await
        .expect("many old events");
    by_hand
        .execute("INSERT INTO provider_event_objects SELECT what, 1, 'payout', what FROM provider_events")
        .await
        .expect("their objects");
    drop(by_hand);
    assert_eq!(records.forget_events(DAY, DAY).await.unwrap(), 1000);
    assert!(records.event("w-1000").await.unwrap().is_none() && records.event("w-1001").await.unwrap().is_some());
    assert_eq!(records.forget_events(DAY, DAY).await.unwrap(), 500);
    let mut by_hand = store.plain_connection().await;
    assert!(by_hand.fetch_all("SELECT what FROM provider_event_objects").await.unwrap().is_empty());
    records.close().await;
}

async fn whats(records: &Records, filter: EventFilter<'_>) -> (Vec<String>, Option<Cursor>) {
    let page = records.events(&filter).await.unwrap();
    assert!(page.items.iter().all(|event| event.body.is_none() && !event.objects.is_empty()));
    (page.items.into_iter().map(|event| event.what).collect(), page.next)
}

pub async fn events_are_listed_newest_first_without_skipping_or_repeating(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    records.note_payout("inv-1", "po-1").await.unwrap();
    let two = [(ObjectKind::Payout, "po-1"), (ObjectKind::Transfer, "tx-1")];
    let strange = [(ObjectKind::Payout, "po-strange")];
    for n in 0..7 {
        records.store_event(&event(&format!("ours-{n}"), &two)).await.unwrap();
        let named = NewEvent { kind: "other", named_key: Some("inv-9"), ..event("x", &strange) };
        records.store_event(&NewEvent { what: &format!("strange-{n}"), ..named }).await.unwrap();
    }
    for waiting in records.waiting_for_key("inv-1").await.unwrap().iter().take(3) {
        records.mark_delivered(&waiting.what, "inv-1").await.unwrap();
    }
    let all = |filter| async { whats(&records, filter).await.0 };
    assert_eq!(all(EventFilter { delivered: Some(true), ..EventFilter::default() }).await.len(), 3);
    assert_eq!(all(EventFilter { delivered: Some(false), ..EventFilter::default() }).await.len(), 11);
    assert_eq!(all(EventFilter { key: Some("inv-1"), ..EventFilter::default() }).await.len(), 7);
    let named = all(EventFilter { key: Some("inv-9"), ..EventFilter::default() }).await;
    assert_eq!(named, all(EventFilter { kind: Some("other"), ..EventFilter::default() }).await);
    assert_eq!(named.len(), 7);
    let both = EventFilter { kind: Some("other"), key: Some("inv-1"), ..EventFilter::default() };
    assert_eq!(whats(&records, both).await, (vec![], None));

    let (whole, next) = whats(&records, EventFilter::default()).await;
    assert_eq!((whole.len(), next), (14, None));
    let (mut paged, mut before) = (vec![], None::<Cursor>);
    loop {
        let (page, next) =
            whats(&records, EventFilter { before: before.as_ref(), limit: 3, ..EventFilter::default() }).await;
        paged.extend(page);
        records.store_event(&event(&format!("new-{}", paged.len()), &two)).await.unwrap();
        match next {
            Some(next) => before = Some(next.to_string().parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(paged, whole);
    records.close().await;
}

pub async fn an_event_the_databases_cannot_hold_is_refused_by_name(store: &Store) {
    let records = store.open().await;
    let one = [(ObjectKind::Payout, "po-1")];
    let odd = [(ObjectKind::Payout, "")];
    let five = [(ObjectKind::Payout, "po-1"); 5];
    let long = vec![0; (1 << 20) + 1];
    for (wrong, part) in [
        (event("", &one), "what: 0 bytes"),
        (event("w", &odd), "payout: 0 bytes"),
        (event("w", &[]), "objects: 0; expected 1 to 4"),
        (event("w", &five), "objects: 5; expected 1 to 4"),
        (NewEvent { kind: "", ..event("w", &one) }, "kind: 0 bytes"),
        (NewEvent { event_id: "", ..event("w", &one) }, "event_id: 0 bytes"),
        (NewEvent { source: "", ..event("w", &one) }, "source: 0 bytes"),
        (NewEvent { state: "a\0", ..event("w", &one) }, "state: 2 bytes"),
        (NewEvent { named_key: Some("\0"), ..event("w", &one) }, "named_key: 1 bytes"),
        (NewEvent { body: &long, ..event("w", &one) }, "body: 1048577 bytes"),
    ] {
        assert_broken(records.store_event(&wrong).await, part);
    }
    assert_broken(records.route_event("w").await, "no such event");
    records.close().await;
}
