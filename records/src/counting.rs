//! What was paid before: the answers to a policy's questions and the past of a payout, counted from the reservations.

use jiff::Timestamp;
use remit_domain::policy::{MicroUsd, Past, Question, Stats, Sum};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::Error;
use crate::audit::number;
use crate::decisions::Deciding;
use crate::page::Value;
use crate::row::timestamp;

/// What a decision is told of what was paid before. Nothing of it changes until the decision is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Now, by the database's clock: where the windows end.
    pub now: Timestamp,
    /// The answers to the questions, in their order.
    pub sums: Vec<Sum>,
    /// What was paid to the same counterparty and by the same program.
    pub past: Past,
}

/// How many questions are asked in one statement.
const AT_ONCE: usize = 100;
const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;
const DAY_US: i64 = 24 * HOUR_US;

/// Sums of dollars and of the millionths beside them, so that neither goes beyond what a database can count to.
macro_rules! totals {
    () => {
        "COUNT(*) AS many, COUNT(usd) AS priced, CAST(COALESCE(SUM(usd / 1000000), 0) AS BIGINT) AS dollars, \
         CAST(COALESCE(SUM(usd % 1000000), 0) AS BIGINT) AS millionths"
    };
}

/// Answers questions about all payouts but this one.
pub(crate) async fn sums(
    connection: &mut AnyConnection,
    key: &str,
    now: i64,
    questions: &[Question],
) -> Result<Vec<Sum>, Error> {
    let mut sums = vec![Sum::default(); questions.len()];
    for (questions, sums) in questions.chunks(AT_ONCE).zip(sums.chunks_mut(AT_ONCE)) {
        let mut values = vec![Value::Text(key.to_owned())];
        let parts: Vec<String> = questions.iter().enumerate().map(|(n, q)| part(n, q, now, &mut values)).collect();
        let mut query = sqlx::query(AssertSqlSafe(parts.join(" UNION ALL ")));
        for value in values {
            query = value.bind(query);
        }
        for row in query.fetch_all(&mut *connection).await? {
            let n: i64 = row.try_get("question")?;
            let sum = usize::try_from(n).ok().and_then(|n| sums.get_mut(n));
            let sum = sum.ok_or_else(|| Error::broken(format!("question {n} was answered, and not asked")))?;
            let (count, priced) = (number(&row, "many")?, number(&row, "priced")?);
            *sum = Sum { usd: usd(&row, "dollars", "millionths")?, count, unpriced: count - priced };
        }
    }
    Ok(sums)
}

/// One question as SQL. Values are always bound; names are ours.
fn part(n: usize, question: &Question, now: i64, values: &mut Vec<Value>) -> String {
    let mut bind = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    let since = bind(Value::Number(now - i64::from(question.window_seconds) * 1_000_000));
    let mut sql = format!(
        concat!(
            "SELECT CAST({n} AS BIGINT) AS question, ",
            totals!(),
            " FROM reservations WHERE counts_at > {since} AND payout_key <> $1"
        ),
        n = n,
        since = since
    );
    for (dimension, among) in &question.of {
        let among: Vec<String> = among.iter().map(|value| bind(Value::Text(value.clone()))).collect();
        match among.is_empty() {
            true => sql.push_str(" AND 1 = 0"),
            false => sql.push_str(&format!(" AND {} IN ({})", dimension.as_str(), among.join(", "))),
        }
    }
    sql
}

/// What [`Past`] says, of all payouts but this one.
pub(crate) async fn past(connection: &mut AnyConnection, deciding: &Deciding<'_>, now: i64) -> Result<Past, Error> {
    use remit_domain::policy::Dimension::{Counterparty, Country, Currency, Program};
    let counterparty = deciding.traits.get(Counterparty);
    let row = sqlx::query(concat!(
        "SELECT c.many AS to_many, c.dollars AS to_dollars, c.millionths AS to_millionths, c.largest AS to_largest, \
         c.first_paid, p.many AS by_many, p.dollars AS by_dollars, p.millionths AS by_millionths, \
         p.largest AS by_largest, p.at_this_hour, \
         (SELECT COUNT(*) FROM reservations WHERE program = $3 AND asked_at > $4 AND state <> 'released' \
         AND payout_key <> $1) AS just_now, \
         CAST(CASE WHEN EXISTS (SELECT 1 FROM reservations WHERE country = $5 AND currency = $6 AND state = 'spent' \
         AND payout_key <> $1) THEN 1 ELSE 0 END AS BIGINT) AS corridor FROM \
         (SELECT ",
        totals!(),
        ", MAX(usd) AS largest, MIN(counts_at) AS first_paid FROM reservations \
         WHERE counterparty = $2 AND counts_at IS NOT NULL AND payout_key <> $1) c CROSS JOIN \
         (SELECT ",
        totals!(),
        // How far from this time of day, going round the clock: at most an hour before or after.
        ", MAX(usd) AS largest, COUNT(CASE WHEN ((asked_at - $8) % 86400000000 + 90000000000) % 86400000000 \
         <= 7200000000 THEN 1 END) AS at_this_hour FROM reservations \
         WHERE program = $3 AND counts_at > $7 AND payout_key <> $1) p"
    ))
    .bind(deciding.key)
    .bind(counterparty)
    .bind(deciding.traits.get(Program))
    .bind(now - 10 * MINUTE_US)
    .bind(deciding.traits.get(Country))
    .bind(deciding.traits.get(Currency))
    .bind(now - 90 * DAY_US)
    .bind(now)
    .fetch_one(&mut *connection)
    .await?;
    // Open ones count up to the end of time: when all are, nothing was paid yet.
    let first_paid: Option<i64> = row.try_get("first_paid")?;

    let same = sqlx::query(
        "SELECT payout_key FROM reservations WHERE counterparty = $2 AND asked_at > $3 AND asset = $4 AND amount = $5 \
         AND state <> 'released' AND payout_key <> $1 ORDER BY asked_at DESC, payout_key DESC LIMIT 10",
    )
    .bind(deciding.key)
    .bind(counterparty)
    .bind(now - DAY_US)
    .bind(deciding.asset)
    .bind(deciding.amount)
    .fetch_all(&mut *connection)
    .await?;
    let lately = sqlx::query(
        "SELECT usd FROM reservations WHERE counterparty = $2 AND asked_at > $3 AND usd IS NOT NULL \
         AND state <> 'released' AND payout_key <> $1 ORDER BY asked_at DESC, payout_key DESC LIMIT 100",
    )
    .bind(deciding.key)
    .bind(counterparty)
    .bind(now - 7 * DAY_US)
    .fetch_all(&mut *connection)
    .await?;
    Ok(Past {
        first_paid: first_paid.filter(|at| *at < i64::MAX).map(timestamp).transpose()?,
        to_counterparty: stats(&row, "to_many", "to_dollars", "to_millionths", "to_largest")?,
        by_program: stats(&row, "by_many", "by_dollars", "by_millionths", "by_largest")?,
        by_program_at_this_hour: number(&row, "at_this_hour")?,
        by_program_just_now: number(&row, "just_now")?,
        corridor_used: number(&row, "corridor")? == 1,
        same_within_a_day: same.iter().map(|row| Ok(row.try_get("payout_key")?)).collect::<Result<_, Error>>()?,
        lately_to_counterparty: lately.iter().map(|row| number(row, "usd").map(MicroUsd)).collect::<Result<_, _>>()?,
    })
}

fn stats(row: &AnyRow, many: &str, dollars: &str, millionths: &str, largest: &str) -> Result<Stats, Error> {
    let priced: Option<i64> = row.try_get(largest)?;
    Ok(Stats {
        count: number(row, many)?,
        usd: usd(row, dollars, millionths)?,
        largest: MicroUsd(priced.map_or(Ok(0), |_| number(row, largest))?),
    })
}

fn usd(row: &AnyRow, dollars: &str, millionths: &str) -> Result<u128, Error> {
    Ok(u128::from(number(row, dollars)?) * 1_000_000 + u128::from(number(row, millionths)?))
}
