//! An organisation: one world with its own lock, clock and driver.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::approvals::{self, Approval};
use crate::auth::UserActions;
use crate::chain::Chain;
use crate::clock::{Clock, Due, wall_ms};
use crate::delivery::{self, Post};
use crate::faults::Faults;
use crate::ids::Ids;
use crate::payouts::{self, Payout};
use crate::policies::Policy;
use crate::rate_limit::RateLimit;
use crate::settings::Settings;
use crate::table::Table;
use crate::transfers::{self, Transfer};
use crate::users::User;
use crate::wallets::Wallet;
use crate::webhooks::Webhook;

/// How many requests the log remembers.
const REQUESTS_KEPT: usize = 2000;

/// Everything an organisation is, behind its lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) settings: Settings,
    pub(crate) faults: Faults,
    pub(crate) rate_limit: RateLimit,
    pub(crate) users: Table<User>,
    users_by_token: HashMap<String, String>,
    pub(crate) user_actions: UserActions,
    pub(crate) wallets: Table<Wallet>,
    pub(crate) chain: Chain,
    pub(crate) payouts: Table<Payout>,
    pub(crate) payouts_by_external_id: HashMap<String, String>,
    pub(crate) transfers: Table<Transfer>,
    pub(crate) transfers_by_external_id: HashMap<String, String>,
    pub(crate) policies: Table<Policy>,
    pub(crate) approvals: Table<Approval>,
    pub(crate) webhooks: Table<Webhook>,
    pub(crate) post: Post,
    pub(crate) past: Past,
    pub(crate) requests: VecDeque<LoggedRequest>,
    pub(crate) request_counts: BTreeMap<&'static str, u64>,
    /// Calls that came and have not been answered yet.
    pub(crate) under_way: u64,
}

/// One request, for whoever wants to know what was asked.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoggedRequest {
    pub(crate) date: String,
    pub(crate) method: String,
    pub(crate) path: String,
    /// 0 when the connection was cut instead of an answer.
    pub(crate) status: u16,
    pub(crate) user: String,
}

/// Earlier versions of objects, kept only while a fault makes reads lag.
#[derive(Debug, Default)]
pub(crate) struct Past {
    versions: Option<HashMap<String, Vec<(i64, serde_json::Value)>>>,
}

impl Past {
    pub(crate) fn is_kept(&self) -> bool {
        self.versions.is_some()
    }

    pub(crate) fn start(&mut self) {
        self.versions.get_or_insert_default();
    }

    pub(crate) fn keep(&mut self, id: &str, at_ms: i64, version: &impl Serialize) {
        if let Some(versions) = &mut self.versions
            && let Ok(version) = serde_json::to_value(version)
        {
            versions.entry(id.to_owned()).or_default().push((at_ms, version));
        }
    }

    /// The object as it was then; `None` when it did not exist yet.
    pub(crate) fn at(&self, id: &str, at_ms: i64) -> Option<serde_json::Value> {
        let versions = self.versions.as_ref()?.get(id)?;
        versions.iter().rev().find(|(since, _)| *since <= at_ms).map(|(_, version)| version.clone())
    }
}

impl State {
    pub(crate) fn new(id: String, name: String, seed: u64, ids: Ids, settings: Settings, clock: Clock) -> Self {
        Self {
            id,
            name,
            clock,
            ids,
            settings,
            faults: Faults::new(seed),
            rate_limit: RateLimit::default(),
            users: Table::default(),
            users_by_token: HashMap::new(),
            user_actions: UserActions::default(),
            wallets: Table::default(),
            chain: Chain::default(),
            payouts: Table::default(),
            payouts_by_external_id: HashMap::new(),
            transfers: Table::default(),
            transfers_by_external_id: HashMap::new(),
            policies: Table::default(),
            approvals: Table::default(),
            webhooks: Table::default(),
            post: Post::default(),
            past: Past::default(),
            requests: VecDeque::new(),
            request_counts: BTreeMap::new(),
            under_way: 0,
        }
    }

    /// Lets a user act with this access token.
    pub(crate) fn admit(&mut self, user: User, token: String) {
        self.users_by_token.insert(token, user.id.clone());
        self.users.insert(user);
    }

    /// Gives a user another access token; the one before is refused from now on.
    pub(crate) fn renew_token(&mut self, id: &str) -> Option<String> {
        let user = self.users.get_mut(id)?;
        user.token_id = self.ids.id("to");
        let token = user.make_token(&self.id, &mut self.ids);
        self.users_by_token.retain(|_, owner| owner != id);
        self.users_by_token.insert(token.clone(), id.to_owned());
        Some(token)
    }

    /// Whose access token this is, if it is still valid.
    pub(crate) fn user_with_token(&self, token: &str) -> Option<&User> {
        let user = self.users.get(self.users_by_token.get(token)?)?;
        (user.token_expires_ms > self.clock.now_ms()).then_some(user)
    }

    /// Does everything that is due by now, in order.
    fn catch_up(&mut self) {
        let now = self.clock.target_ms();
        while let Some(due) = self.clock.next_due(now) {
            self.fire(due);
        }
        self.clock.reach(now);
    }

    pub(crate) fn fire(&mut self, due: Due) {
        match due {
            Due::Payout { id, step } => payouts::step(self, &id, step),
            Due::Transfer { id, step } => transfers::step(self, &id, step),
            Due::ApprovalExpires { id } => approvals::expire(self, &id),
            Due::Delivery(due) => delivery::due(self, due),
        }
    }

    pub(crate) fn log(&mut self, request: LoggedRequest) {
        if self.requests.len() == REQUESTS_KEPT {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }
}

/// An organisation as tasks share it.
#[derive(Debug)]
pub(crate) struct Organisation {
    pub(crate) id: String,
    state: Mutex<State>,
    /// Wakes the driver: a timer was made or something waits to be sent.
    changed: Notify,
    /// A webhook delivery came to its end.
    delivered: Notify,
    /// One advance at a time.
    advancing: tokio::sync::Mutex<()>,
    http: reqwest::Client,
    pub(crate) stop: CancellationToken,
}

impl Organisation {
    /// Starts the organisation's driver, which ends with `stop`.
    pub(crate) fn start(state: State, http: reqwest::Client, stop: CancellationToken) -> Arc<Self> {
        let organisation = Arc::new(Self {
            id: state.id.clone(),
            state: Mutex::new(state),
            changed: Notify::new(),
            delivered: Notify::new(),
            advancing: tokio::sync::Mutex::new(()),
            http,
            stop,
        });
        tokio::spawn(Arc::clone(&organisation).drive());
        organisation
    }

    /// Works on the state as it is now. The only way in: what was due has happened before `work`
    /// sees anything, and what `work` set going is taken up by the driver.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let result = {
            let mut state = self.lock();
            state.catch_up();
            work(&mut state)
        };
        self.changed.notify_one();
        result
    }

    /// Moves the clock ahead, doing everything due on the way in order, and delivers the webhooks
    /// of each moment before time moves on, so that their retries fall where they belong.
    pub(crate) async fn advance(self: &Arc<Self>, ms: i64) -> i64 {
        let _alone = self.advancing.lock().await;
        let target = self.with(|state| state.clock.now_ms()).saturating_add(ms);
        loop {
            self.settle().await;
            let arrived = self.with(|state| {
                loop {
                    let next = state.clock.first_due_ms().filter(|due| *due <= target);
                    state.clock.jump_to(next.unwrap_or(target));
                    state.catch_up();
                    if next.is_none() || state.post.is_busy() {
                        return next.is_none();
                    }
                }
            });
            if arrived {
                self.settle().await;
                return self.with(|state| state.clock.now_ms());
            }
        }
    }

    /// Sends what waits to be sent, and waits for the answers.
    pub(crate) async fn settle(self: &Arc<Self>) {
        let patience = tokio::time::sleep(delivery::TIMEOUT + Duration::from_secs(1));
        tokio::pin!(patience);
        loop {
            let delivered = self.delivered.notified();
            tokio::pin!(delivered);
            delivered.as_mut().enable();
            self.send();
            if !self.with(|state| state.post.is_busy()) {
                return;
            }
            tokio::select! {
                () = delivered => {}
                () = self.stop.cancelled() => return,
                // Only a steady stream of new events keeps it busy this long: not ours to wait for.
                () = &mut patience => return,
            }
        }
    }

    /// The client that delivers webhooks.
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here leaves the state half done in a way worse than losing the organisation.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands everything in the outbox to tasks of their own.
    fn send(self: &Arc<Self>) {
        for job in self.with(delivery::take) {
            let organisation = Arc::clone(self);
            tokio::spawn(async move {
                let result = tokio::select! {
                    result = job.send(&organisation.http) => result,
                    () = organisation.stop.cancelled() => return,
                };
                organisation.with(|state| delivery::done(state, &job, &result));
                organisation.delivered.notify_waiters();
            });
        }
    }

    async fn drive(self: Arc<Self>) {
        loop {
            let (waiting, pause) = {
                let mut state = self.lock();
                state.catch_up();
                let pause = state
                    .clock
                    .first_due_ms()
                    .map_or(60_000, |due| due.saturating_sub(state.clock.target_ms()).clamp(1, 60_000));
                (state.post.has_outgoing(), pause)
            };
            if waiting {
                self.send();
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = tokio::time::sleep(Duration::from_millis(u64::try_from(pause).unwrap_or(1))) => {}
            }
        }
    }
}

/// Seconds since 1970 by the machine's clock, as webhooks are stamped.
pub(crate) fn wall_seconds() -> i64 {
    wall_ms() / 1000
}
