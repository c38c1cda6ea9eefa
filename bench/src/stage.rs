//! Where the sides of a comparison take their turns: one Temporal dev server, one sandbox, one receiver of webhooks, and
//! one worker at a time in a process of its own.
//!
//! What is lifted, because it is not what is measured: the organisation's request limit and the limit of calls to the
//! provider. What is real: the server, the sandbox with its signatures and webhooks, the records in SQLite, the relay
//! and the workers as they ship.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use remit::dev::{Begin, Options, PAYER, System};
use remit_activities::PollCadence;
use remit_dfns::{Dfns, ListPayouts, PageQuery, PayoutStatus, UpdateWebhook};
use remit_domain::PayoutRequest;
use serde_json::{Value, json};
use temporalio_client::{WorkflowCountOptions, WorkflowStartOptions};

use crate::{
    bare_worker::BarePayout,
    figures::{Told, tell},
    process::{Process, Role, Usage, free_address},
    receiver::{Receiver, To},
    sides::{Side, started},
};

/// No limit, as far as this goes.
pub const UNLIMITED: u32 = 1_000_000;
/// For all payouts of a leg, after the last one was started.
const PATIENCE: Duration = Duration::from_secs(600);

/// Where the sides take their turns.
pub struct Stage {
    system: System,
    receiver: Receiver,
    dfns: Dfns,
    cadence: PollCadence,
}

/// The side whose turn it is.
pub struct Turn {
    side: Side,
    worker: Process,
    relay: Option<Role>,
    queue: String,
}

/// How payouts are started.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// So many in a second, whether they end or not.
    PerSecond(f64),
    /// So many open at a time; the next one starts when one has ended.
    InFlight(usize),
}

/// What a number of payouts took.
pub struct Leg {
    /// From the first start to the last end.
    pub took: Duration,
    /// Processor time of the worker.
    pub cpu: Duration,
    /// Processor time of the relay, when it is ours.
    pub relay_cpu: Option<Duration>,
    /// The worker afterwards.
    pub usage: Usage,
    /// From each webhook to its Confirm, on the clock of one machine, in whole milliseconds of it as the provider
    /// writes them. Those that a poll found first are not among them.
    pub latencies: Vec<Duration>,
}

impl Stage {
    /// Starts all but the sides.
    pub async fn start(cadence: PollCadence) -> Result<Self> {
        tell(format_args!("starting the Temporal dev server and the sandbox"));
        let system = System::start(Options {
            organisation: json!({"settings": {"rateLimitPerMinute": UNLIMITED}}),
            cadence,
            provider_calls_per_second: UNLIMITED,
            worker: Begin::Later,
            relay: Begin::Later,
            ..Options::default()
        });
        let system = system.await?;
        let dfns = system.dfns(PAYER)?;
        let receiver = Receiver::start().await?;
        webhooks_to(&dfns, &receiver.url).await?;
        Ok(Self { system, receiver, dfns, cadence })
    }

    /// Stops it.
    pub async fn stop(self) -> Result<()> {
        self.system.stop().await
    }

    /// Those of these sides that can take part, and why the others cannot. Each one's worker is started once, since
    /// only that shows whether it is prepared.
    pub async fn present(&self, sides: &[Side]) -> Result<(Vec<Side>, Vec<String>)> {
        let (mut present, mut absent) = (vec![], vec![]);
        for side in sides {
            if let Some(why) = side.missing() {
                absent.push(why);
                continue;
            }
            match (self.begin(*side).await, side.advice()) {
                (Ok(turn), _) => {
                    turn.end().await?;
                    present.push(*side);
                }
                (Err(error), Some(_)) => absent.push(format!("{} is left out: {error:#}", side.name())),
                (Err(error), None) => return Err(error),
            }
        }
        ensure!(!present.is_empty(), "no side can take part: {}", absent.join("; "));
        Ok((present, absent))
    }

    /// Starts a side's processes.
    pub async fn begin(&self, side: Side) -> Result<Turn> {
        started(side, self.try_begin(side).await)
    }

    async fn try_begin(&self, side: Side) -> Result<Turn> {
        let environment = self.system.environment().iter().cloned();
        let log = |name: &str| self.folder().join(format!("{}-{name}.log", side.name()));
        if let Some(policy) = side.policy() {
            self.system.publish(policy, side.name()).await?;
            let listen = free_address()?;
            let relay = Role::start("relay", &["--listen", &listen], environment.clone(), &log("relay")).await?;
            let worker = Role::start("worker", &[], environment, &log("worker")).await?;
            self.receiver.pass_on(To::Relay(format!("http://{listen}/webhooks/dfns")));
            return Ok(Turn { side, worker: worker.process, relay: Some(relay), queue: String::new() });
        }
        let queue = format!("bench-{}", side.name());
        let mut command = side.program()?;
        command.envs(environment).envs([
            ("PEER_TASK_QUEUE", queue.clone()),
            ("PEER_POLL_FIRST_MS", self.cadence.first.as_millis().to_string()),
            ("PEER_POLL_MAX_MS", self.cadence.most.as_millis().to_string()),
        ]);
        let mut worker = Process::start(side.name(), &mut command, &log("worker"))?;
        worker.says("ready").await?;
        self.receiver.pass_on(To::Signal(self.system.client().temporal().clone()));
        Ok(Turn { side, worker, relay: None, queue })
    }

    /// Pays so many, at this pace, and says what it took. Ids begin with `prefix`, which no other leg may have.
    pub async fn leg(&self, turn: &Turn, prefix: &str, count: usize, pace: Pace) -> Result<Leg> {
        let relay = |turn: &Turn| turn.relay.as_ref().map(|relay| relay.process.usage()).transpose();
        let (before, relay_before) = (turn.worker.usage()?, relay(turn)?);
        let begun = Instant::now();
        let (mut ended, mut told) = (0, Told::default());
        let (at_once, every) = match pace {
            Pace::PerSecond(rate) => (count.max(1), Duration::from_secs_f64(1.0 / rate)),
            Pace::InFlight(most) => (most, Duration::ZERO),
        };
        let payouts = stream::iter(0..count).map(|n| async move {
            tokio::time::sleep_until((begun + every * u32::try_from(n)?).into()).await;
            self.pay(turn, &format!("{prefix}{n}")).await
        });
        let mut payouts = payouts.buffer_unordered(at_once);
        let all = async {
            while payouts.try_next().await?.is_some() {
                ended += 1;
                told.tell(|| format!("{}: {ended} of {count} have ended", turn.side.name()));
            }
            Ok::<_, anyhow::Error>(())
        };
        let limit = every * u32::try_from(count)? + PATIENCE;
        tokio::time::timeout(limit, all)
            .await
            .with_context(|| format!("not all payouts of {} had ended after {limit:?}", turn.side.name()))??;
        let took = begun.elapsed();
        let (usage, relay_after) = (turn.worker.usage()?, relay(turn)?);
        let relay_cpu = relay_after.zip(relay_before).map(|(after, before)| after.cpu.saturating_sub(before.cpu));
        let latencies = self.latencies(prefix, count).await?;
        Ok(Leg { took, cpu: usage.cpu.saturating_sub(before.cpu), relay_cpu, usage, latencies })
    }

    /// One payout to its end.
    async fn pay(&self, turn: &Turn, id: &str) -> Result<()> {
        let request = request(&self.system, id)?;
        let failed = || format!("payout {id} of {}", turn.side.name());
        if turn.side.policy().is_some() {
            self.system.client().start(&PayoutRequest::parse(&request)?).await.with_context(failed)?;
            self.system.client().wait(id).await.with_context(failed)?;
        } else {
            let options = WorkflowStartOptions::new(turn.queue.as_str(), format!("bare-{id}")).build();
            let temporal = self.system.client().temporal();
            let started = temporal.start_workflow(BarePayout::run, serde_json::from_value(request)?, options).await;
            started.with_context(failed)?.get_result(Default::default()).await.with_context(failed)?;
        }
        Ok(())
    }

    /// From the webhook to the Confirm of each payout of this leg. Nothing may be measured that is wrong: each has to be
    /// there once and paid.
    async fn latencies(&self, prefix: &str, count: usize) -> Result<Vec<Duration>> {
        let (mut latencies, mut found, mut page) = (vec![], 0, None);
        'pages: loop {
            let query = ListPayouts { limit: Some(50), pagination_token: page, ..ListPayouts::default() };
            let payouts = self.dfns.list_payouts(&query).await?;
            for payout in payouts.items {
                let key = payout.external_id.context("a payout without an external id")?;
                // Newest first, so those of earlier legs follow.
                if !key.starts_with(prefix) {
                    break 'pages;
                }
                found += 1;
                ensure!(payout.status == PayoutStatus::Completed, "payout {key} is {}", payout.status.as_str());
                let confirmed = payout.data.date_confirmed.context("a payout that nobody confirmed")?;
                if let Some(came) = self.receiver.came(&key) {
                    latencies.extend(after(came, confirmed));
                }
            }
            page = payouts.next_page_token;
            if page.is_none() {
                break;
            }
        }
        ensure!(found == count, "{found} payouts were made at the provider, {count} were asked for");
        Ok(latencies)
    }

    fn folder(&self) -> PathBuf {
        folder(&self.system)
    }
}

/// How much later, in whole milliseconds of the clock; nothing when it was earlier.
fn after(came: SystemTime, confirmed: Timestamp) -> Option<Duration> {
    let came = came.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis();
    let later = u128::try_from(confirmed.as_millisecond()).ok()?.checked_sub(came)?;
    Some(Duration::from_millis(u64::try_from(later).ok()?))
}

impl Turn {
    /// Whose it is.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Ends the side's processes, as SIGTERM does.
    pub async fn end(self) -> Result<()> {
        self.worker.stop().await?;
        match self.relay {
            Some(relay) => relay.process.stop().await,
            None => Ok(()),
        }
    }
}

/// Of each payout: one dollar, in the token's smallest unit.
pub const AMOUNT: i128 = 1_000_000;

/// A request of that.
pub fn request(system: &System, id: &str) -> Result<Value> {
    let organisation = system.organisation();
    Ok(json!({
        "externalId": id, "walletId": organisation.wallet("Polygon")?.id, "amount": AMOUNT.to_string(),
        "asset": {"kind": "Erc20", "contract": organisation.token("Polygon")?.contract},
        "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                        "currency": "BRL", "country": "BR", "purpose": "salary payment"},
    }))
}

/// Sends the provider's webhooks to another address: the same subscriptions with their secrets, which the relay knows.
pub async fn webhooks_to(dfns: &Dfns, url: &str) -> Result<()> {
    for subscription in dfns.webhooks(&PageQuery::default()).await?.items {
        let to = UpdateWebhook { url: Some(url.to_owned()), ..UpdateWebhook::default() };
        dfns.update_webhook(&subscription.id, &to).await?;
    }
    Ok(())
}

/// How many runs have this status.
pub async fn runs(system: &System, status: &str) -> Result<usize> {
    let query = format!("ExecutionStatus = '{status}'");
    let counted = system.client().temporal().count_workflows(query, WorkflowCountOptions::default()).await?;
    Ok(counted.count())
}

/// Waits until so many runs are completed.
pub async fn until_completed(system: &System, count: usize, patience: Duration) -> Result<()> {
    let (begun, mut told) = (Instant::now(), Told::default());
    loop {
        let ended = runs(system, "Completed").await?;
        if ended >= count {
            return Ok(());
        }
        ensure!(begun.elapsed() < patience, "only {ended} of {count} have ended after {patience:?}");
        told.tell(|| format!("{ended} of {count} have ended"));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Where the system keeps its files, and logs can go.
pub fn folder(system: &System) -> PathBuf {
    system.env_file().parent().map(Path::to_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_counted_in_the_clocks_milliseconds_and_one_that_was_earlier_is_none() {
        let came = SystemTime::UNIX_EPOCH + Duration::from_micros(1_000_999);
        let at = |ms| Timestamp::from_millisecond(ms).expect("a time");
        assert_eq!(after(came, at(1_012)), Some(Duration::from_millis(12)));
        assert_eq!(after(came, at(1_000)), Some(Duration::ZERO));
        assert_eq!(after(came, at(999)), None);
    }
}
