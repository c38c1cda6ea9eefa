//! Decisions, and the reservations that are taken with them.

use std::time::Duration;

use remit_domain::policy::{Decision, MicroUsd, Spoke, Sum, Verdict};
use remit_records::{DecideAnswer, Deciding, Records, ReservationState, Ruling, Settle, Settled};
use serde_json::json;

use crate::policy::{DAY, all, allow, confirm, decided, deciding, decision, ruling, sum, within};
use crate::support::{Store, assert_about, assert_broken, claim, close, race, several};

async fn decide(records: &Records, key: &str, verdict: Verdict, usd: impl Into<Option<u64>>) -> (u32, bool) {
    let usd = usd.into();
    let answer = records.decide_payout(&deciding(key, &[]), |_| ruling(verdict, usd)).await.unwrap();
    let decided = decided(answer);
    (decided.seq, decided.again)
}

async fn reserved(records: &Records, key: &str) -> Option<(ReservationState, Option<u64>)> {
    let reservation = records.reservation(key).await.unwrap()?;
    Some((reservation.state, reservation.usd.map(|usd| usd.0)))
}

fn sum_of(usd: u128, count: u64) -> Sum {
    Sum { usd, count, unpriced: 0 }
}

pub async fn a_decision_is_kept_with_its_facts_and_reserves_once(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    assert_eq!(records.decision("inv-1").await.unwrap(), None);
    assert_eq!(reserved(&records, "inv-1").await, None);

    assert_eq!(decide(&records, "inv-1", Verdict::Allowed, 5).await, (1, false));
    assert_eq!(decide(&records, "inv-1", Verdict::Allowed, 5).await, (1, true), "said again, it is not written again");
    let on_record = records.decision("inv-1").await.unwrap().expect("decided");
    assert_eq!((on_record.seq, &on_record.decision), (1, &decision(Verdict::Allowed, 5)));
    assert_eq!(on_record.facts, json!({"seen": true}));
    assert_eq!(records.decisions("inv-1").await.unwrap(), [on_record]);
    let reservation = records.reservation("inv-1").await.unwrap().expect("reserved");
    assert_eq!(reservation.traits, *crate::policy::TRAITS);
    assert_eq!((reservation.amount.as_str(), reservation.usd), ("12500000", Some(MicroUsd(5))));
    assert_eq!(reservation.asked_at, records.payout("inv-1").await.unwrap().expect("claimed").claimed_at);
    assert_eq!((reservation.spent_at, reservation.settled_at, reservation.why), (None, None, None));
    assert_eq!(sum(&records, all(1)).await, sum_of(5, 1));
    records.close().await;
}

pub async fn a_payout_that_is_not_claimed_so_is_not_decided(store: &Store) {
    let records = store.open().await;
    let never = |_: &_| -> Ruling { panic!("the rule is not asked") };
    assert_eq!(records.decide_payout(&deciding("inv-1", &[]), never).await.unwrap(), DecideAnswer::NotClaimed);
    records.claim(&claim("inv-1", "d2", "inv-1")).await.unwrap();
    assert_eq!(records.decide_payout(&deciding("inv-1", &[]), never).await.unwrap(), DecideAnswer::Conflict);
    assert_broken(
        records.decide_payout(&Deciding { amount: "", ..deciding("inv-1", &[]) }, never).await,
        "amount: 0 bytes",
    );
    records.claim(&claim("inv-2", "d1", "inv-2")).await.unwrap();
    let too_much = |_: &_| ruling(Verdict::Allowed, u64::MAX);
    assert_broken(records.decide_payout(&deciding("inv-2", &[]), too_much).await, "usd");
    assert_eq!(records.decision("inv-2").await.unwrap(), None);
    records.close().await;
}

pub async fn a_forecast_counts_as_a_decision_does_and_leaves_nothing_behind(store: &Store) {
    let records = store.open().await;
    allow(&records, "inv-1", 5).await;
    let questions = [all(DAY)];
    let forecast = records.count(&deciding("inv-2", &questions)).await.unwrap();
    assert_eq!(forecast.sums, [sum_of(5, 1)]);
    assert!(records.payout("inv-2").await.unwrap().is_none(), "it need not be claimed");
    let own = records.count(&deciding("inv-1", &questions)).await.unwrap();
    assert_eq!(own.sums, [sum_of(0, 0)], "no payout counts against itself");

    let rows = records.audit(0, 100).await.unwrap().len();
    records.claim(&claim("inv-2", "d1", "inv-2")).await.unwrap();
    let mut told = None;
    let asked = deciding("inv-2", &questions);
    let answer = records.decide_payout(&asked, |counted| {
        told = Some((counted.sums.clone(), counted.past.clone()));
        ruling(Verdict::Allowed, 7)
    });
    answer.await.unwrap();
    assert_eq!(told, Some((forecast.sums, forecast.past)));
    assert_eq!(records.audit(0, 100).await.unwrap().len(), rows + 2, "the claim and the decision");
    records.close().await;
}

pub async fn an_open_reservation_follows_the_newest_decision_but_a_block_leaves_it(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    decide(&records, "inv-1", Verdict::Blocked, 5).await;
    assert_eq!(reserved(&records, "inv-1").await, None, "what is blocked reserves nothing");
    for (usd, seq) in [(Some(7), 2), (Some(6), 3), (None, 4), (Some(8), 5)] {
        assert_eq!(decide(&records, "inv-1", Verdict::NeedsApproval, usd).await, (seq, false));
        assert_eq!(reserved(&records, "inv-1").await, Some((ReservationState::Open, usd)));
    }
    assert_eq!(decide(&records, "inv-1", Verdict::Blocked, 9).await, (6, false));
    assert_eq!(reserved(&records, "inv-1").await, Some((ReservationState::Open, Some(8))));
    assert_eq!(sum(&records, all(DAY)).await, sum_of(8, 1));
    records.close().await;
}

pub async fn what_is_settled_is_never_opened_again(store: &Store) {
    let records = store.open().await;
    allow(&records, "spent", 5).await;
    assert_eq!(records.spend("spent").await.unwrap(), Settled::Now);
    assert_eq!(records.spend("spent").await.unwrap(), Settled::As(ReservationState::Spent));
    decide(&records, "spent", Verdict::Allowed, 6).await;
    assert_eq!(reserved(&records, "spent").await, Some((ReservationState::Spent, Some(5))));

    allow(&records, "free", 5).await;
    let why = "nothing left";
    assert_eq!(
        records.settle_reservation("free", Settle::Released, why).await.unwrap(),
        Settled::NotFinished,
        "money that may still leave is not free"
    );
    let outcome = json!({"ending": "canceled"});
    records.finish_and_settle("free", &outcome, Settle::Released).await.unwrap();
    assert_eq!(records.spend("free").await.unwrap(), Settled::As(ReservationState::Released));
    assert_eq!(records.spend("nobody").await.unwrap(), Settled::NotReserved);
    records.claim(&claim("undecided", "d1", "undecided")).await.unwrap();
    assert_eq!(records.spend("undecided").await.unwrap(), Settled::NotReserved);
    assert_eq!(sum(&records, all(DAY)).await, sum_of(5, 1));
    records.close().await;
}

pub async fn an_ended_payout_is_settled_with_its_outcome_and_not_decided_again(store: &Store) {
    let records = store.open().await;
    let never = |_: &_| -> Ruling { panic!("the rule is not asked") };
    for (key, settle, state) in [
        ("spent", Settle::Spent, ReservationState::Spent),
        ("released", Settle::Released, ReservationState::Released),
        ("held", Settle::Held, ReservationState::Open),
    ] {
        allow(&records, key, 5).await;
        let outcome = json!({"ending": key});
        for _ in 0..2 {
            assert_eq!(records.finish_and_settle(key, &outcome, settle).await.unwrap(), outcome);
            assert_eq!(reserved(&records, key).await, Some((state, Some(5))));
        }
        let other = json!({"ending": "other"});
        assert_eq!(records.finish_and_settle(key, &other, Settle::Released).await.unwrap(), outcome);
        assert_eq!(
            reserved(&records, key).await,
            Some((state, Some(5))),
            "the first outcome stands, so does its money"
        );
        let again = decided(records.decide_payout(&deciding(key, &[]), never).await.unwrap());
        assert_eq!((again.seq, again.again, again.decision), (1, true, decision(Verdict::Allowed, 5)));
    }
    assert_eq!(records.settle_reservation("held", Settle::Released, "it came back").await.unwrap(), Settled::Now);
    assert_eq!(reserved(&records, "held").await, Some((ReservationState::Released, Some(5))));

    records.claim(&claim("early", "d1", "early")).await.unwrap();
    records.finish("early", &json!("unpayable")).await.unwrap();
    assert_eq!(records.decide_payout(&deciding("early", &[]), never).await.unwrap(), DecideAnswer::Finished);
    assert_eq!(reserved(&records, "early").await, None);
    records.close().await;
}

pub async fn a_decision_is_as_old_as_the_first_that_says_the_same(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    let hour = Duration::from_secs(3600);
    let decide = async |decision: Decision| {
        let ruling = Ruling { decision, facts: json!(null) };
        decided(records.decide_payout(&deciding("inv-1", &[]), |_| ruling).await.unwrap())
    };
    let needs = || decision(Verdict::NeedsApproval, 5);
    assert_eq!(decide(needs()).await.age, Duration::ZERO);
    records.shift_clock(hour).await.unwrap();
    let again = decide(needs()).await;
    assert_about(again.age, hour);
    assert_eq!((again.seq, again.again), (1, true));
    let dearer = decide(Decision { usd: Some(MicroUsd(6)), ..needs() }).await;
    assert_about(dearer.age, hour);
    assert_eq!((dearer.seq, dearer.again), (2, false), "what it is worth is on record");
    let spoke = |triggered| Spoke {
        rule: "large".to_owned(),
        triggered,
        action: "requestApproval".to_owned(),
        code: "amount_above_limit".to_owned(),
        says: "figures".to_owned(),
    };
    let quiet = decide(Decision { usd: Some(MicroUsd(6)), spoke: vec![spoke(false)], ..needs() }).await;
    assert_eq!((quiet.seq, quiet.again), (2, true));
    let reasons = decide(Decision { usd: Some(MicroUsd(6)), spoke: vec![spoke(true)], ..needs() }).await;
    assert_about(reasons.age, hour);
    assert_eq!((reasons.seq, reasons.again), (3, false), "so are its reasons");
    let other = decide(Decision { revision_hash: "hash-2".to_owned(), revision: 2, ..needs() }).await;
    assert_eq!((other.age, other.seq), (Duration::ZERO, 4), "another revision asks anew");
    assert_eq!(decide(needs()).await.age, Duration::ZERO, "and so does the old one after it");
    records.close().await;
}

pub async fn a_hundred_deciding_for_what_fits_seven_times_reserve_seven(store: &Store) {
    let stores = several(store).await;
    let questions = [all(DAY)];
    for n in 0..100 {
        let key = format!("inv-{n}");
        stores[0].claim(&claim(&key, "d1", &key)).await.unwrap();
    }
    let verdicts = race(&stores, |records, n| {
        let questions = questions.clone();
        async move {
            let key = format!("inv-{n}");
            // Twice, as after a lost answer.
            for _ in 0..2 {
                let deciding = deciding(&key, &questions);
                decided(records.decide_payout(&deciding, within(79, 11)).await.unwrap());
            }
            records.decision(&key).await.unwrap().expect("decided").decision.verdict
        }
    })
    .await;
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Allowed).count(), 7);
    assert_eq!(sum(&stores[0], all(DAY)).await, sum_of(77, 7));
    let open = stores[0].open_reservations(None, 500).await.unwrap();
    assert_eq!((open.items.len(), open.next), (7, None));
    close(stores).await;
}

pub async fn deciding_and_ending_at_once_leave_nothing_reserved(store: &Store) {
    let stores = several(store).await;
    for round in 0..20 {
        let key = format!("inv-{round}");
        stores[0].claim(&claim(&key, "d1", &key)).await.unwrap();
        crate::support::race_of(2, &stores, |records, n| {
            let key = key.clone();
            async move {
                if (n + round) % 2 == 0 {
                    records.decide_payout(&deciding(&key, &[]), |_| ruling(Verdict::Allowed, 5)).await.unwrap();
                } else {
                    let outcome = json!({"ending": "canceled"});
                    records.finish_and_settle(&key, &outcome, Settle::Released).await.unwrap();
                }
            }
        })
        .await;
        let state = reserved(&stores[0], &key).await;
        assert!(matches!(state, None | Some((ReservationState::Released, _))), "round {round}: {state:?}");
    }
    assert_eq!(sum(&stores[0], all(DAY)).await, sum_of(0, 0));
    close(stores).await;
}

pub async fn what_is_in_flight_is_what_others_confirm_from_the_same_wallet(store: &Store) {
    let records = store.open().await;
    for key in ["a", "b", "c", "d", "e"] {
        allow(&records, key, 5).await;
    }
    for key in ["a", "b", "c", "d"] {
        confirm(&records, key).await;
    }
    records.spend("d").await.unwrap();
    assert_eq!(records.in_flight("wa-1", "Erc20:0x3c49", "a").await.unwrap(), 2 * 12_500_000);
    assert_eq!(records.in_flight("wa-2", "Erc20:0x3c49", "a").await.unwrap(), 0);
    assert_eq!(records.in_flight("wa-1", "Erc20:0xother", "a").await.unwrap(), 0);
    records.close().await;
}

pub async fn open_reservations_come_the_oldest_first_in_pages(store: &Store) {
    let records = store.open().await;
    for key in ["c", "a", "e", "b", "d"] {
        allow(&records, key, 5).await;
    }
    records.spend("e").await.unwrap();
    let keys = async |after: Option<&_>| {
        let page = records.open_reservations(after, 2).await.unwrap();
        (page.items.into_iter().map(|it| it.key).collect::<Vec<_>>(), page.next)
    };
    let (first, next) = keys(None).await;
    let (second, end) = keys(next.as_ref()).await;
    // SQLite's clock counts milliseconds: of one millisecond the keys are in order.
    let mut all = [first, second].concat();
    assert_eq!((all.len(), end), (4, None));
    all.sort();
    assert_eq!(all, ["a", "b", "c", "d"]);
    records.close().await;
}
