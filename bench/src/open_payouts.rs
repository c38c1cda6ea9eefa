//! Many payouts that wait for their instructions at the same time, and all of them signalled at once: what the worker's
//! memory is meanwhile, and how long it takes until all are confirmed.
//!
//! What is lifted, because it is not what is measured: the organisation's request limit, the limit of calls to the
//! provider, webhooks (the signals come from here), and polls (the first one comes after an hour: see `--poll-first`).
//! What is real: the Temporal dev server, the sandbox with its signatures, the records in SQLite, the worker's process.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use clap::builder::RangedU64ValueParser;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use remit::dev::{Begin, Options, PAYER, System};
use remit_activities::PollCadence;
use remit_client::{About, Nudged, ProviderEvent};
use remit_dfns::{ListPayouts, PageQuery};
use remit_domain::PayoutRequest;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    figures::{per_second, percentile, row, seconds},
    process::{Usage, Worker, temporal_server},
};

/// Flags of `bench open-payouts`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  bench open-payouts --count 200
  bench open-payouts --count 10000 --cache 1000 --shards 1
  bench open-payouts --count 10000 --cache 10000 --shards 2

Build with `cargo build --release --workspace`. The row that is printed last belongs to the table in
docs/performance.md. Everything is on loopback and ends with the command; so does Ctrl-C.")]
pub struct Args {
    /// Payouts that wait at the same time
    #[arg(long, default_value_t = 10_000, value_parser = RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    count: usize,
    /// Payouts that the worker keeps in memory
    #[arg(long, default_value_t = 1_000, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    cache: usize,
    /// Workers on the decisions queue in the worker's process
    #[arg(long, default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..=64))]
    shards: usize,
    /// When a payout that waits is first read, in seconds; the worker's own default is 30
    #[arg(long, default_value_t = 3_600, value_parser = RangedU64ValueParser::<u64>::new().range(1..=7_200))]
    poll_first: u64,
    /// Starts and signals under way at a time
    #[arg(long, default_value_t = 100, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    at_once: usize,
    /// How long each of the two phases may take, in minutes
    #[arg(long, default_value_t = 60, value_parser = RangedU64ValueParser::<u64>::new().range(1..=600))]
    patience: u64,
}

/// The organisation's clock is moved ahead by this much to make the provider send all instructions. Less than the 24 h
/// that a payout may wait.
const INSTRUCTIONS_AFTER: Duration = Duration::from_secs(12 * 3600);
/// No limit, as far as this goes.
const UNLIMITED: u32 = 1_000_000;
const LOOK_EVERY: Duration = Duration::from_millis(500);
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Measures once and prints it.
pub async fn run(args: Args) -> Result<()> {
    let bench = Bench::start(&args).await?;
    let measured = bench.measure(&args).await;
    let Bench { system, worker, .. } = bench;
    // Killed: nothing that it still had to do is wanted, and a drain would wait for it.
    drop(worker);
    let stopped = system.stop().await;
    println!("{}", measured?);
    stopped
}

struct Bench {
    system: System,
    worker: Worker,
    server: u32,
    patience: Duration,
}

impl Bench {
    async fn start(args: &Args) -> Result<Self> {
        let cadence = PollCadence { first: Duration::from_secs(args.poll_first), ..PollCadence::default() };
        let system = System::start(Options {
            organisation: json!({
                "settings": {"rateLimitPerMinute": UNLIMITED},
                "delays": {"instructions": u32::try_from(INSTRUCTIONS_AFTER.as_millis())?},
            }),
            cadence,
            provider_calls_per_second: UNLIMITED,
            worker: Begin::Later,
            relay: Begin::Later,
            ..Options::default()
        });
        let system = system.await?;
        unsubscribe(&system).await?;
        let mut environment = system.environment().to_vec();
        let ours = [
            ("REMIT_WORKER_SHARDS", args.shards.to_string()),
            ("REMIT_WORKER_CACHED_PAYOUTS", args.cache.to_string()),
            ("RUST_LOG", "warn".to_owned()),
        ];
        environment.extend(ours.map(|(name, value)| (name.to_owned(), value)));
        let log = system.env_file().with_file_name("worker.log");
        let worker = Worker::start(environment, &log).await?;
        let server = temporal_server()?;
        Ok(Self { system, worker, server, patience: Duration::from_secs(args.patience * 60) })
    }

    async fn measure(&self, args: &Args) -> Result<String> {
        let idle = self.worker.usage()?;
        let begun = Instant::now();
        tell(format_args!("starting {} payouts; the worker has {} MiB", args.count, idle.resident_mib));
        let opened = tokio::time::timeout(self.patience, self.open(args)).await;
        opened.with_context(|| format!("not all were open within {:?}", self.patience))??;
        let opening = begun.elapsed();
        let (open, server_before) = (self.worker.usage()?, Usage::of(self.server)?);
        tell(format_args!("all wait after {}; the worker has {} MiB", seconds(opening), open.resident_mib));

        let organisation = self.system.organisation();
        organisation.advance(INSTRUCTIONS_AFTER).await?;
        // Behind by half a request, which is far less than what is measured.
        let ahead = self.organisations_clock().await?.duration_since(Timestamp::now());
        let begun = Instant::now();
        let confirming = async {
            let (sent, ()) = tokio::try_join!(self.signal(args), self.until_confirmed(args.count, begun))?;
            Ok::<_, anyhow::Error>(sent)
        };
        let confirmed = tokio::time::timeout(self.patience, confirming).await;
        let sent = confirmed.with_context(|| format!("not all were confirmed within {:?}", self.patience))??;
        let took = begun.elapsed();
        let (after, server_after) = (self.worker.usage()?, Usage::of(self.server)?);

        self.check_the_books(args.count).await?;
        let mut latencies = self.latencies(&sent.at, ahead).await?;
        let latency = |percent, of: &mut Vec<Duration>| percentile(of, percent).map(seconds).unwrap_or_default();
        let cells = [
            args.count.to_string(),
            args.cache.to_string(),
            args.shards.to_string(),
            format!("{} MiB", idle.resident_mib),
            format!("{}/s", per_second(args.count, opening)),
            format!("{} MiB", open.resident_mib),
            seconds(sent.within),
            seconds(took),
            format!("{}/s", per_second(args.count, took)),
            latency(50, &mut latencies),
            latency(99, &mut latencies),
            format!("{} MiB", after.resident_mib),
            format!("{} MiB", after.peak_mib),
            seconds(after.cpu.saturating_sub(open.cpu)),
            seconds(server_after.cpu.saturating_sub(server_before.cpu)),
        ];
        Ok([row(&HEADER.map(str::to_owned)), row(&HEADER.map(|_| "---".to_owned())), row(&cells)].join("\n"))
    }

    /// Starts all payouts and waits until each waits for its instructions.
    async fn open(&self, args: &Args) -> Result<()> {
        let starts = stream::iter(0..args.count).map(|n| async move {
            self.system.client().start(&self.request(n)?).await.with_context(|| format!("payout {n} did not start"))?;
            Ok::<_, anyhow::Error>(())
        });
        let starting = starts.buffer_unordered(args.at_once).try_for_each(async |()| Ok(()));
        let waiting = async {
            let mut told = Told::default();
            loop {
                let open = self.waiting().await?;
                if open >= args.count {
                    return Ok(());
                }
                told.tell(|| format!("{open} of {} wait for their instructions", args.count));
                tokio::time::sleep(LOOK_EVERY * 2).await;
            }
        };
        tokio::try_join!(starting, waiting)?;
        Ok(())
    }

    /// How many have been read for the first time, which is what a payout does as it begins to wait. With polls in
    /// between, no more than were created.
    async fn waiting(&self) -> Result<usize> {
        let requests = self.system.organisation().control(Method::GET, "/requests", None).await?;
        let count = |route: &str| requests["counts"][route].as_u64().unwrap_or(0);
        Ok(usize::try_from(count("GET /payouts/{}").min(count("POST /payouts")))?)
    }

    /// Signals all payouts, as fast as the server takes it.
    async fn signal(&self, args: &Args) -> Result<Sent> {
        let begun = Instant::now();
        let signals = stream::iter(0..args.count).map(|n| async move {
            let event = ProviderEvent {
                about: About::Instructions,
                object: "bench".to_owned(),
                state: "ready".to_owned(),
                key: Some(id(n)),
            };
            let at = SystemTime::now();
            match self.system.client().nudge(&id(n), &event, &format!("bench-{n}")).await? {
                Nudged::Delivered => Ok(at),
                other @ (Nudged::NoSuchPayout | Nudged::Over) => {
                    bail!("the signal to payout {n} went astray: {other:?}")
                }
            }
        });
        let at = signals.buffered(args.at_once).try_collect().await?;
        let within = begun.elapsed();
        tell(format_args!("all signals taken after {}", seconds(within)));
        Ok(Sent { at, within })
    }

    /// Waits until the provider has been asked to confirm that often.
    async fn until_confirmed(&self, count: usize, begun: Instant) -> Result<()> {
        let mut told = Told::default();
        loop {
            let requests = self.system.organisation().control(Method::GET, "/requests", None).await?;
            let asked = requests["counts"]["POST /payouts/{}/action"].as_u64().unwrap_or(0);
            if asked >= count as u64 {
                return Ok(());
            }
            told.tell(|| format!("{asked} of {count} confirmed after {}", seconds(begun.elapsed())));
            tokio::time::sleep(LOOK_EVERY / 2).await;
        }
    }

    /// Nothing may be measured that is wrong.
    async fn check_the_books(&self, count: usize) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let ledger = self.system.organisation().control(Method::GET, "/ledger", None).await?;
            let total = |name: &str| ledger["totals"][name].as_u64().unwrap_or(0);
            let totals = ["createsAccepted", "confirmCalls", "confirmsAccepted"].map(total);
            if totals == [count as u64; 3] {
                return Ok(());
            }
            // The last Confirm may have been counted and not yet answered.
            ensure!(Instant::now() < deadline, "creates, confirm calls, confirms: {totals:?}, expected {count} each");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// From each signal to the provider's own time of the Confirm.
    async fn latencies(&self, sent: &[SystemTime], ahead: SignedDuration) -> Result<Vec<Duration>> {
        let dfns = self.system.dfns(PAYER)?;
        let mut latencies = Vec::with_capacity(sent.len());
        let mut page = None;
        loop {
            let query = ListPayouts { limit: Some(50), pagination_token: page, ..ListPayouts::default() };
            let found = dfns.list_payouts(&query).await?;
            for payout in found.items {
                let n: usize = payout.external_id.as_deref().and_then(number).context("a payout that is not ours")?;
                let confirmed = payout.data.date_confirmed.context("a payout without a Confirm")?;
                let sent = Timestamp::try_from(*sent.get(n).context("a payout that was not signalled")?)?;
                let latency = confirmed.duration_since(sent) - ahead;
                latencies.push(Duration::try_from(latency).unwrap_or_default());
            }
            page = found.next_page_token;
            if page.is_none() {
                return Ok(latencies);
            }
        }
    }

    async fn organisations_clock(&self) -> Result<Timestamp> {
        let clock = self.system.organisation().control(Method::GET, "/clock", None).await?;
        Ok(clock["now"].as_str().context("the sandbox tells no time")?.parse()?)
    }

    fn request(&self, n: usize) -> Result<PayoutRequest> {
        let organisation = self.system.organisation();
        let request: Value = json!({
            "externalId": id(n), "walletId": organisation.wallet("Polygon")?.id, "amount": "1000000", "program": "bench",
            "asset": {"kind": "Erc20", "contract": organisation.token("Polygon")?.contract},
            "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                            "currency": "BRL", "country": "BR", "purpose": "salary payment"},
        });
        Ok(PayoutRequest::parse(&request)?)
    }
}

/// The columns of the table, in their order.
const HEADER: [&str; 15] = [
    "payouts",
    "cache",
    "shards",
    "worker, idle",
    "opened",
    "worker, all open",
    "signals taken",
    "all confirmed",
    "rate",
    "signal to Confirm, median",
    "99 %",
    "worker after",
    "worker, peak",
    "worker, CPU",
    "server, CPU",
];

/// When each signal was sent, in the order of the payouts, and when the last had been taken.
struct Sent {
    at: Vec<SystemTime>,
    within: Duration,
}

/// Lets a line out now and then.
struct Told(Instant);

impl Default for Told {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Told {
    fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.0.elapsed() >= TELL_EVERY {
            tell(format_args!("{}", line()));
            self.0 = Instant::now();
        }
    }
}

fn tell(line: std::fmt::Arguments<'_>) {
    eprintln!("bench: {line}");
}

fn id(n: usize) -> String {
    format!("bench-{n}")
}

fn number(id: &str) -> Option<usize> {
    id.strip_prefix("bench-")?.parse().ok()
}

/// Webhooks that nobody takes would only be tried again and again.
async fn unsubscribe(system: &System) -> Result<()> {
    let dfns = system.dfns(PAYER)?;
    for subscription in dfns.webhooks(&PageQuery::default()).await?.items {
        dfns.delete_webhook(&subscription.id).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back() {
        assert_eq!(number(&id(9_999)), Some(9_999));
        assert_eq!(number("somebody-1"), None);
    }
}
