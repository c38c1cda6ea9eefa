//! Where all payouts are, seen from outside: from the records and the provider's ledger.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use remit::dev::Organisation;
use reqwest::Method;
use serde_json::Value;
use sqlx::{
    ConnectOptions, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use tokio::sync::{Mutex, watch};

use crate::{
    attackers::NAME,
    script::{Plan, slow_confirm_ms},
    starter::now_ms,
};

/// How often everybody is told.
const EVERY: Duration = Duration::from_millis(800);

/// Where a payout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Claimed and decided, nothing sent yet.
    NotCreated,
    /// The create is on record and may have been sent; its answer is not there.
    CreateUnderWay,
    /// Waits for the provider's deposit address.
    AwaitingInstructions,
    /// Waits for our people.
    AwaitingOurApproval,
    /// The gate is taken, and the provider does not have the Confirm, or nobody knows.
    ConfirmUnderWay,
    /// Held by a policy of the provider.
    PolicyHold,
    /// Confirmed, on its way.
    Settling,
    /// Over at the provider, and not on record yet.
    OverThere,
    /// Over.
    Over,
}

impl State {
    pub(crate) const ALL: [Self; 9] = [
        Self::NotCreated,
        Self::CreateUnderWay,
        Self::AwaitingInstructions,
        Self::AwaitingOurApproval,
        Self::ConfirmUnderWay,
        Self::PolicyHold,
        Self::Settling,
        Self::OverThere,
        Self::Over,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotCreated => "not created",
            Self::CreateUnderWay => "create under way",
            Self::AwaitingInstructions => "awaiting instructions",
            Self::AwaitingOurApproval => "awaiting our approval",
            Self::ConfirmUnderWay => "confirm under way",
            Self::PolicyHold => "policy hold",
            Self::Settling => "settling",
            Self::OverThere => "over at the provider",
            Self::Over => "over",
        }
    }
}

/// One payout, or a later attempt at it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) state: State,
    /// The provider's id.
    pub(crate) payout: Option<String>,
    /// The approval at the provider that its transfer waits for.
    pub(crate) approval: Option<String>,
}

/// All of them, by key.
pub(crate) type Seens = BTreeMap<String, Seen>;

/// Looks, now and then or when asked.
pub(crate) struct Watcher {
    organisation: Organisation,
    file: PathBuf,
    connection: Mutex<Option<SqliteConnection>>,
    news: watch::Sender<Seens>,
    /// How long the provider takes to answer a Confirm, where that was made long.
    slow: BTreeMap<String, u64>,
}

/// How long the answer to a Confirm is under way, at least.
const ANSWER_MS: u64 = 500;

impl Watcher {
    pub(crate) fn new(organisation: Organisation, file: PathBuf, plan: &Plan) -> Self {
        let slow = plan.payouts.iter().filter_map(|it| Some((it.key.clone(), slow_confirm_ms(it)?))).collect();
        Self { organisation, file, connection: Mutex::new(None), news: watch::channel(Seens::new()).0, slow }
    }

    pub(crate) fn follow(&self) -> watch::Receiver<Seens> {
        self.news.subscribe()
    }

    /// Tells all followers, for ever.
    pub(crate) async fn keep_looking(&self) {
        loop {
            // The database may be locked, the sandbox busy: the next look is soon.
            let _ = self.look().await;
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Looks now.
    pub(crate) async fn look(&self) -> Result<Seens> {
        let rows = self.rows().await?;
        let ledger = self.organisation.control(Method::GET, "/ledger", None).await?;
        let seens = seen(&rows, &ledger, &self.slow);
        self.news.send_replace(seens.clone());
        Ok(seens)
    }

    async fn rows(&self) -> Result<Vec<OnRecord>> {
        let mut held = self.connection.lock().await;
        if held.is_none() {
            *held = Some(reader(&self.file).await?);
        }
        let connection = held.as_mut().context("no connection")?;
        let rows = sqlx::query(
            "SELECT p.payout_key AS key, p.gate AS gate, p.payout AS payout, p.create_body IS NOT NULL AS asked,
                    p.confirm_sent_at AS confirm_sent_at,
                    p.outcome IS NOT NULL AS ended,
                    (SELECT verdict FROM decisions d WHERE d.payout_key = p.payout_key ORDER BY seq DESC LIMIT 1)
                        AS verdict,
                    EXISTS (SELECT 1 FROM approvals a WHERE a.payout_key = p.payout_key) AS answered
             FROM payouts p",
        )
        .fetch_all(connection)
        .await;
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                *held = None;
                return Err(error.into());
            }
        };
        rows.iter()
            .map(|row| {
                Ok(OnRecord {
                    key: row.try_get("key")?,
                    gate: row.try_get("gate")?,
                    payout: row.try_get("payout")?,
                    asked: row.try_get("asked")?,
                    confirm_sent_ms: row.try_get::<Option<i64>, _>("confirm_sent_at")?.map(|micros| micros / 1000),
                    ended: row.try_get("ended")?,
                    wants_approval: row.try_get::<Option<String>, _>("verdict")?.as_deref() == Some("needsApproval"),
                    answered: row.try_get("answered")?,
                })
            })
            .collect()
    }
}

/// A connection that only reads.
pub(crate) async fn reader(file: &std::path::Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(20));
    Ok(options.connect().await?)
}

struct OnRecord {
    key: String,
    gate: String,
    payout: Option<String>,
    asked: bool,
    confirm_sent_ms: Option<i64>,
    ended: bool,
    wants_approval: bool,
    answered: bool,
}

fn seen(rows: &[OnRecord], ledger: &Value, slow: &BTreeMap<String, u64>) -> Seens {
    let now = now_ms();
    let list = |field: &str| ledger[field].as_array().into_iter().flatten();
    let payouts: BTreeMap<&str, &Value> = list("payouts").map(|it| (text(it, "externalId"), it)).collect();
    let holds: BTreeMap<&str, &str> = list("transfers")
        .filter(|it| text(it, "status") == "Pending")
        .map(|it| (text(it, "payoutId"), text(it, "approvalId")))
        .collect();
    rows.iter()
        // What was only claimed by somebody who may not start anything never goes on.
        .filter(|row| !row.key.starts_with(NAME))
        .map(|row| {
            let there = payouts.get(row.key.as_str());
            let at = there.map(|it| text(it, "executionStatus")).unwrap_or_default();
            let over = there.is_some_and(|it| {
                ["Completed", "Failed", "Expired", "Canceled", "Rejected"].contains(&text(it, "status"))
            });
            let confirmed = there.is_some_and(|it| it["confirmsAccepted"] != 0);
            let sent = row.confirm_sent_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or_default();
            let takes = slow.get(&row.key).copied().unwrap_or_default().max(ANSWER_MS);
            let unanswered = !confirmed || now.saturating_sub(sent) < takes;
            let state = match (row.ended, row.gate.as_str()) {
                (true, _) => State::Over,
                (false, _) if over => State::OverThere,
                (false, "confirming") if unanswered => State::ConfirmUnderWay,
                (false, "confirming") if at == "PendingPolicyApproval" => State::PolicyHold,
                (false, "confirming") => State::Settling,
                (false, _) if row.wants_approval && !row.answered => State::AwaitingOurApproval,
                (false, _) if row.payout.is_some() => State::AwaitingInstructions,
                (false, _) if row.asked => State::CreateUnderWay,
                (false, _) => State::NotCreated,
            };
            let payout = there.map(|it| text(it, "id").to_owned());
            let approval = payout.as_deref().and_then(|id| holds.get(id)).map(|id| (*id).to_owned());
            (row.key.clone(), Seen { state, payout, approval })
        })
        .collect()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
