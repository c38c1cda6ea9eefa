//! What a decision is told of what was paid before.

use std::time::Duration;

use remit_domain::policy::{Dimension, MicroUsd, Past, Stats, Sum, Verdict};
use remit_records::{Deciding, Settle};
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor};

use crate::policy::{
    DAY, TRAITS, all, allow, allow_as, confirm, counted, decided, deciding, only, ruling, sum, traits,
};
use crate::support::{Store, claim};

const HOUR: u32 = 3600;

fn hours(many: u32) -> Duration {
    Duration::from_secs(u64::from(many * HOUR))
}

pub async fn what_is_spent_ages_from_its_confirm_and_what_is_open_never_does(store: &Store) {
    let records = store.open().await;
    let count = async |window| sum(&records, all(window)).await.count;
    for key in ["open", "spent", "free"] {
        allow(&records, key, 1).await;
    }
    records.shift_clock(hours(2)).await.unwrap();
    confirm(&records, "spent").await;
    records.shift_clock(hours(3)).await.unwrap();
    assert_eq!(count(HOUR).await, 3, "a Confirm that was sent does not say that the tokens have left");
    records.spend("spent").await.unwrap();
    let outcome = json!({"ending": "canceled"});
    records.finish_and_settle("free", &outcome, Settle::Released).await.unwrap();
    let spent_at = records.reservation("spent").await.unwrap().expect("reserved").spent_at.expect("spent");
    let age = records.now().await.unwrap().duration_since(spent_at);
    assert!((hours(3)..hours(4)).contains(&age.unsigned_abs()), "{age}: since its Confirm, not since it was known");

    assert_eq!(count(4 * HOUR).await, 2);
    assert_eq!(count(3 * HOUR).await, 1);
    records.shift_clock(hours(24 * 400)).await.unwrap();
    assert_eq!(count(1).await, 1, "the open one");
    assert_eq!(count(400 * DAY + 4 * HOUR).await, 2);
    records.close().await;
}

pub async fn a_second_confirm_is_the_one_that_counts_and_the_gate_where_none_was_noted(store: &Store) {
    let records = store.open().await;
    allow(&records, "twice", 1).await;
    confirm(&records, "twice").await;
    allow(&records, "gate", 1).await;
    records.take_gate("gate", "d1", "0xabc").await.unwrap();
    allow(&records, "unseen", 1).await;
    records.shift_clock(hours(2)).await.unwrap();
    records.note_confirm_sent("twice").await.unwrap();
    records.shift_clock(hours(2)).await.unwrap();
    for (key, since) in [("twice", 2), ("gate", 4), ("unseen", 0)] {
        records.spend(key).await.unwrap();
        let spent_at = records.reservation(key).await.unwrap().expect("reserved").spent_at.expect("spent");
        let age = records.now().await.unwrap().duration_since(spent_at).unsigned_abs();
        assert!((hours(since)..hours(since + 1)).contains(&age), "{key}: {age:?}");
    }
    records.close().await;
}

pub async fn a_question_counts_what_matches_in_all_its_dimensions(store: &Store) {
    let records = store.open().await;
    allow(&records, "usual", 1).await;
    for (n, dimension) in Dimension::ALL.into_iter().enumerate() {
        allow_as(&records, &format!("other-{n}"), &traits(&[(dimension, "other")]), 10).await;
    }
    allow_as(&records, "none", &traits(&[(Dimension::Program, "")]), 100).await;
    let mut questions = vec![all(DAY)];
    for dimension in Dimension::ALL {
        questions.push(only(&[(dimension, &["other"])], DAY));
        questions.push(only(&[(dimension, &[TRAITS.get(dimension), "other"])], DAY));
    }
    questions.push(only(&[(Dimension::Country, &["other"]), (Dimension::Wallet, &["other"])], DAY));
    questions.push(only(&[(Dimension::Country, &["NG"]), (Dimension::Program, &["", "other"])], DAY));
    questions.push(only(&[(Dimension::Country, &[])], DAY));
    let sums = counted(&records, &TRAITS, &questions).await.sums;
    let of = |usd, count| Sum { usd, count, unpriced: 0 };
    let mut expected = vec![of(191, 11)];
    for dimension in Dimension::ALL {
        expected.push(of(10, 1));
        // The one without a program is neither.
        expected.push(if dimension == Dimension::Program { of(91, 10) } else { of(191, 11) });
    }
    expected.extend([of(0, 0), of(110, 2), of(0, 0)]);
    assert_eq!(sums, expected);

    let many: Vec<_> = (0..250).map(|n| only(&[(Dimension::Country, &["other"])], n + 1)).collect();
    assert_eq!(counted(&records, &TRAITS, &many).await.sums, vec![of(10, 1); 250]);
    assert!(counted(&records, &TRAITS, &[]).await.sums.is_empty());
    records.close().await;
}

pub async fn a_payout_is_not_counted_against_itself(store: &Store) {
    let records = store.open().await;
    allow(&records, "inv-1", 5).await;
    allow(&records, "inv-2", 7).await;
    let questions = [all(DAY)];
    let mut seen = None;
    let look = |counted: &remit_records::Counted| {
        seen = Some(counted.clone());
        ruling(Verdict::Allowed, 5)
    };
    assert!(decided(records.decide_payout(&deciding("inv-1", &questions), look).await.unwrap()).again);
    let seen = seen.expect("asked");
    assert_eq!(seen.sums, [Sum { usd: 7, count: 1, unpriced: 0 }]);
    let one = Stats { count: 1, usd: 7, largest: MicroUsd(7) };
    assert_eq!((seen.past.to_counterparty, seen.past.by_program), (one, one));
    assert_eq!((seen.past.by_program_at_this_hour, seen.past.by_program_just_now), (1, 1));
    assert_eq!(seen.past.same_within_a_day, ["inv-2"]);
    assert_eq!(seen.past.lately_to_counterparty, [MicroUsd(7)]);
    records.close().await;
}

pub async fn what_has_no_known_worth_is_counted_as_such(store: &Store) {
    let records = store.open().await;
    allow(&records, "a", None).await;
    allow(&records, "b", 3).await;
    allow(&records, "c", None).await;
    assert_eq!(sum(&records, all(DAY)).await, Sum { usd: 3, count: 3, unpriced: 2 });
    let past = counted(&records, &TRAITS, &[]).await.past;
    assert_eq!(past.to_counterparty, Stats { count: 3, usd: 3, largest: MicroUsd(3) });
    assert_eq!(past.lately_to_counterparty, [MicroUsd(3)]);
    records.close().await;
}

pub async fn sums_go_beyond_what_a_database_counts_to(store: &Store) {
    let records = store.open().await;
    let most = i64::MAX.unsigned_abs();
    for n in 0..5 {
        allow(&records, &format!("inv-{n}"), most).await;
    }
    let all = sum(&records, all(DAY)).await;
    assert_eq!(all, Sum { usd: 5 * u128::from(most), count: 5, unpriced: 0 });
    let past = counted(&records, &TRAITS, &[]).await.past;
    assert_eq!(past.by_program, Stats { count: 5, usd: 5 * u128::from(most), largest: MicroUsd(most) });
    records.close().await;
}

pub async fn the_past_is_what_was_paid_to_the_counterparty_and_by_the_program(store: &Store) {
    let records = store.open().await;
    assert_eq!(counted(&records, &TRAITS, &[]).await.past, Past::default());

    let to_others = traits(&[(Dimension::Counterparty, "Borderless/acc-2/pi-2")]);
    let by_others = traits(&[(Dimension::Program, "bounty")]);
    let in_dollars = traits(&[(Dimension::Asset, "Erc20:0xusdt")]);
    allow(&records, "first", 30).await;
    confirm(&records, "first").await;
    allow_as(&records, "to-others", &to_others, 500).await;
    allow_as(&records, "by-others", &by_others, 7).await;
    let past = counted(&records, &TRAITS, &[]).await.past;
    assert_eq!((past.first_paid, past.corridor_used), (None, false), "nothing is known to have left");
    assert_eq!(past.to_counterparty, Stats { count: 2, usd: 37, largest: MicroUsd(30) });
    assert_eq!(past.by_program, Stats { count: 2, usd: 530, largest: MicroUsd(500) });
    assert_eq!(past.by_program_just_now, 2);

    records.spend("first").await.unwrap();
    let spent_at = records.reservation("first").await.unwrap().expect("reserved").spent_at;
    let past = counted(&records, &TRAITS, &[]).await.past;
    assert_eq!((past.first_paid, past.corridor_used), (spent_at, true));
    let elsewhere = traits(&[(Dimension::Currency, "USD")]);
    assert!(!counted(&records, &elsewhere, &[]).await.past.corridor_used, "a corridor is a country and a currency");

    records.shift_clock(hours(23)).await.unwrap();
    allow(&records, "second", 40).await;
    allow_as(&records, "in-dollars", &in_dollars, 50).await;
    allow(&records, "free", 60).await;
    records.finish_and_settle("free", &json!({"ending": "canceled"}), Settle::Released).await.unwrap();
    let past = counted(&records, &TRAITS, &[]).await.past;
    assert_eq!(past.first_paid, spent_at);
    assert_eq!(past.to_counterparty, Stats { count: 4, usd: 127, largest: MicroUsd(50) });
    assert_eq!(past.by_program, Stats { count: 4, usd: 620, largest: MicroUsd(500) });
    assert_eq!(past.by_program_just_now, 2);
    assert_eq!(past.by_program_at_this_hour, 4, "23 hours ago is an hour after this time of day");
    let same: Vec<&str> = past.same_within_a_day.iter().map(String::as_str).collect();
    assert_eq!((same.first(), same.len()), (Some(&"second"), 3), "{same:?}: the newest first, one asset alone");
    let mut lately = past.lately_to_counterparty;
    lately[..2].sort();
    assert_eq!(lately[..2], [MicroUsd(40), MicroUsd(50)], "the newest first");
    assert_eq!(lately.len(), 4);

    records.shift_clock(hours(3)).await.unwrap();
    let past = counted(&records, &TRAITS, &[]).await.past;
    assert_eq!((past.by_program_at_this_hour, past.by_program_just_now), (0, 0), "2 hours after and 3 before");
    assert_eq!(past.same_within_a_day, ["second"]);
    assert_eq!(past.lately_to_counterparty.len(), 4);

    records.shift_clock(hours(24 * 91)).await.unwrap();
    let past = counted(&records, &TRAITS, &[]).await.past;
    assert_eq!(past.by_program, Stats { count: 3, usd: 590, largest: MicroUsd(500) }, "open ones, however old");
    assert_eq!(past.to_counterparty.count, 4, "since ever");
    assert!(past.same_within_a_day.is_empty() && past.lately_to_counterparty.is_empty() && past.corridor_used);
    records.close().await;
}

/// `REMIT_TEST_COUNTING_ROWS=100000` for a year with many; `-- --nocapture` shows how long a decision takes.
pub async fn a_decision_among_many_is_right_and_quick(store: &Store) {
    let many: i64 = std::env::var("REMIT_TEST_COUNTING_ROWS").map_or(2000, |many| many.parse().expect("a number"));
    let records = store.open().await;
    let mut by_hand = store.plain_connection().await;
    let series = match store.is_postgres() {
        true => format!("SELECT n FROM generate_series(1, CAST({many} AS BIGINT)) n"),
        false => {
            format!("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {many}) SELECT n FROM s")
        }
    };
    // Of a year, of ten programs to five hundred counterparties, one in a hundred still open.
    let back = i64::from(365 * DAY) * 1_000_000 / many;
    for sql in [
        format!(
            "INSERT INTO payouts (payout_key, base_key, attempt, external_id, digest, claimed_at) \
             SELECT 'p-' || n, 'p-' || n, 1, 'p-' || n, 'd1', (SELECT now_us FROM clock) - n * {back} \
             FROM ({series}) s"
        ),
        format!(
            "INSERT INTO reservations (payout_key, usd, amount, asked_at, taken_at, chain, asset, program, counterparty, \
             wallet, country, currency, purpose, source, state, counts_at, settled_at, why) \
             SELECT 'p-' || n, 5, '5', (SELECT now_us FROM clock) - n * {back}, 1, 'Polygon', 'Erc20:0x3c49', \
             CASE n % 10 WHEN 0 THEN 'payroll' ELSE 'other-' || n % 10 END, \
             CASE n % 500 WHEN 0 THEN 'Borderless/acc-1/pi-1' ELSE 'other-' || n % 500 END, \
             'wa-1', 'NG', 'NGN', 'Salary', 'api', CASE n % 100 WHEN 0 THEN 'open' ELSE 'spent' END, \
             CASE n % 100 WHEN 0 THEN 9223372036854775807 ELSE (SELECT now_us FROM clock) - n * {back} END, \
             CASE n % 100 WHEN 0 THEN NULL ELSE 1 END, CASE n % 100 WHEN 0 THEN NULL ELSE 'left' END \
             FROM ({series}) s"
        ),
    ] {
        by_hand.execute(AssertSqlSafe(sql)).await.expect("rows");
    }
    by_hand.execute("ANALYZE").await.expect("statistics, as any database has after a while");
    drop(by_hand);

    let questions = [
        all(DAY),
        only(&[(Dimension::Counterparty, &["Borderless/acc-1/pi-1"])], 30 * DAY),
        only(&[(Dimension::Program, &["payroll"]), (Dimension::Country, &["NG", "KE"])], 7 * DAY),
        only(&[(Dimension::Wallet, &["wa-1"])], DAY),
        only(&[(Dimension::Country, &["NG"])], 30 * DAY),
    ];
    let sums = counted(&records, &TRAITS, &questions).await.sums;
    let all = u64::try_from(many).expect("a number");
    // All of those days, and one in a hundred of the others.
    let within = |days: u64| all * days / 365 + all * (365 - days) / 365 / 100;
    for (sum, expected) in [(sums[0], within(1)), (sums[3], within(1)), (sums[4], within(30))] {
        assert!(sum.count.abs_diff(expected) <= 3, "{sum:?}; expected {expected}");
    }
    assert!(sums.iter().all(|sum| sum.usd == 5 * u128::from(sum.count)));

    let mut times = vec![];
    for n in 0..50 {
        let key = format!("new-{n}");
        records.claim(&claim(&key, "d1", &key)).await.unwrap();
        let asked = [&questions[..1], &questions[..]][n % 2];
        let before = std::time::Instant::now();
        let deciding = Deciding { questions: asked, ..deciding(&key, &[]) };
        decided(records.decide_payout(&deciding, |_| ruling(Verdict::Allowed, 5)).await.unwrap());
        times.push((asked.len(), before.elapsed()));
    }
    for questions in [1, 5] {
        let mut of: Vec<_> = times.iter().filter(|(many, _)| *many == questions).map(|(_, time)| *time).collect();
        of.sort();
        let place = if store.is_postgres() { "Postgres" } else { "SQLite" };
        println!("{place}, {many} rows, {questions} questions: median {:?}, slowest {:?}", of[12], of[24]);
    }
    records.close().await;
}
