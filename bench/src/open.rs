//! Payouts that wait for their instructions: a system whose provider takes half a day to give them, and so many payouts
//! on its worker.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use remit::dev::{Begin, Options, PAYER, System};
use remit_activities::PollCadence;
use remit_dfns::{ListPayouts, PageQuery};
use remit_domain::PayoutRequest;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::{
    figures::{Told, tell},
    process::{Role, Usage, free_address},
    stage::{UNLIMITED, folder, request},
};

/// The organisation's clock is moved ahead by this much to make the provider give all instructions. Less than the 24 h
/// that a payout may wait.
const INSTRUCTIONS_AFTER: Duration = Duration::from_secs(12 * 3600);
/// Polls would only disturb: the first comes after the run.
const NO_POLLS: PollCadence = PollCadence { first: Duration::from_secs(7_200), most: Duration::from_secs(7_200) };
/// Payouts that are started and do not wait yet. More would only push each other out of the worker's memory between two
/// of their tasks, which is no way to come to many open payouts.
const ON_THEIR_WAY: usize = 200;
/// For each phase.
pub const PATIENCE: Duration = Duration::from_secs(3_600);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The system, its worker and its relay, each of these a process of its own.
pub struct Open {
    /// The system.
    pub system: System,
    /// The worker, until it is stopped.
    worker: Option<Role>,
    /// The relay.
    pub relay: Role,
    /// Where the relay takes webhooks, `host:port`.
    pub webhooks: String,
}

/// A payout as the provider lists it.
pub struct Listed {
    /// The provider's id.
    pub id: String,
    /// Ours.
    pub key: String,
}

impl Open {
    /// Starts all of it; these settings are added to the worker's environment.
    pub async fn start(worker: &[(&str, String)]) -> Result<Self> {
        let system = System::start(Options {
            organisation: json!({
                "settings": {"rateLimitPerMinute": UNLIMITED},
                "delays": {"instructions": u32::try_from(INSTRUCTIONS_AFTER.as_millis())?},
            }),
            cadence: NO_POLLS,
            provider_calls_per_second: UNLIMITED,
            worker: Begin::Later,
            relay: Begin::Later,
            ..Options::default()
        });
        let system = system.await?;
        // The webhooks come from here; the sandbox's own, all at one moment, would only be tried again and again.
        let dfns = system.dfns(PAYER)?;
        for subscription in dfns.webhooks(&PageQuery::default()).await?.items {
            dfns.delete_webhook(&subscription.id).await?;
        }
        let environment = system.environment().to_vec();
        let more = worker.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let log = |name: &str| folder(&system).join(name);
        let worker =
            Role::start("worker", &[], environment.iter().cloned().chain(more), &log("bench-worker.log")).await?;
        let webhooks = free_address()?;
        let relay = Role::start("relay", &["--listen", &webhooks], environment, &log("bench-relay.log")).await?;
        Ok(Self { system, worker: Some(worker), relay, webhooks })
    }

    /// Stops all of it. The worker and the relay are killed: nothing that they still had to do is wanted.
    pub async fn stop(self) -> Result<()> {
        let Self { system, worker, relay, .. } = self;
        drop((worker, relay));
        system.stop().await
    }

    /// The worker now.
    pub fn worker(&self) -> Result<Usage> {
        self.worker_role()?.process.usage()
    }

    /// How often the worker began anew, because it held too much.
    pub fn worker_began_anew(&self) -> Result<usize> {
        self.worker_role()?.began_anew()
    }

    fn worker_role(&self) -> Result<&Role> {
        self.worker.as_ref().context("the worker was stopped")
    }

    /// Stops the worker; the payouts stay open.
    pub async fn stop_worker(&mut self) -> Result<()> {
        match self.worker.take() {
            Some(worker) => worker.process.stop().await,
            None => Ok(()),
        }
    }

    /// Starts so many payouts and waits until each waits for its instructions.
    pub async fn open(&self, count: usize) -> Result<()> {
        let room = &Semaphore::new(ON_THEIR_WAY);
        let starts = stream::iter(0..count).map(|n| async move {
            room.acquire().await?.forget();
            let request = PayoutRequest::parse(&request(&self.system, &format!("open-{n}"))?)?;
            self.system.client().start(&request).await.with_context(|| format!("payout {n} did not start"))?;
            Ok::<_, anyhow::Error>(())
        });
        let starting = starts.buffer_unordered(ON_THEIR_WAY).try_for_each(async |()| Ok(()));
        let mut before = 0;
        // A payout is read once as it begins to wait.
        let waiting = self.until_called("GET /payouts/{}", count, "wait for their instructions", |called| {
            room.add_permits(called - before);
            before = called;
        });
        tokio::try_join!(starting, waiting)?;
        Ok(())
    }

    /// Waits until the provider has been called so often in this way; `seen` is told how often so far.
    pub async fn until_called(&self, route: &str, count: usize, what: &str, mut seen: impl FnMut(usize)) -> Result<()> {
        let (begun, mut told) = (Instant::now(), Told::default());
        loop {
            let requests = self.system.organisation().control(Method::GET, "/requests", None).await?;
            let called = usize::try_from(requests["counts"][route].as_u64().unwrap_or(0))?;
            seen(called);
            if called >= count {
                return Ok(());
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "only {called} of {count} {what} after {PATIENCE:?}");
            told.tell(|| format!("{called} of {count} {what}"));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The provider gives all instructions.
    pub async fn instruct(&self) -> Result<()> {
        tell(format_args!("the provider gives its instructions"));
        self.system.organisation().advance(INSTRUCTIONS_AFTER).await
    }

    /// All payouts at the provider.
    pub async fn listed(&self) -> Result<Vec<Listed>> {
        let (dfns, mut all, mut page) = (self.system.dfns(PAYER)?, vec![], None);
        loop {
            let query = ListPayouts { limit: Some(50), pagination_token: page, ..ListPayouts::default() };
            let found = dfns.list_payouts(&query).await?;
            for payout in found.items {
                all.push(Listed { key: payout.external_id.context("a payout that is not ours")?, id: payout.id });
            }
            page = found.next_page_token;
            if page.is_none() {
                return Ok(all);
            }
        }
    }

    /// What webhooks are signed with.
    pub fn secret(&self) -> &str {
        self.system.webhook_secret().expose_secret()
    }
}
