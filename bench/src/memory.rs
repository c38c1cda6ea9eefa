//! Many payouts that wait at the same time, and all of them brought to their ends at once: what the worker and the relay
//! hold meanwhile, and what the worker spends on it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::builder::RangedU64ValueParser;
use futures::{StreamExt, TryStreamExt, stream};
use remit_client::{About, Nudged, ProviderEvent};
use serde_json::json;

use crate::{
    figures::{Aim, Figures, per_second, tell},
    machine::Machine,
    open::{Open, PATIENCE},
    process::{Usage, temporal_server},
    stage::until_completed,
    webhook, wire,
};

/// Flags of `bench memory`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  bench memory
  bench memory --counts 200 --rounds 1
  bench memory --counts 10000 --caches shipped,10000 --rounds 5

Build with `cargo build --release --workspace --locked`. In each round and for each count and cache, a worker and a
relay in processes of their own: so many payouts are started and wait for their deposit address; then the relay gets a
genuine webhook for each, all are confirmed, and all end. The limits of calls to the provider are lifted, and polls come
later. 10,000 payouts take from ten minutes to three quarters of an hour on two cores, so the default is one round.
Everything is on loopback and ends with the command; so does Ctrl-C.

Exit codes: 0 measured · 1 something failed.")]
pub struct Args {
    /// Payouts that wait at the same time
    #[arg(long, value_delimiter = ',', default_value = "1000,10000",
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    counts: Vec<usize>,
    /// Payouts that the worker keeps in memory: `shipped`, `all`, or a number
    #[arg(long, visible_alias = "cache", value_delimiter = ',', default_value = "shipped,all", value_parser = cache)]
    caches: Vec<Cache>,
    /// How often
    #[arg(long, default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..=100))]
    rounds: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cache {
    Shipped,
    All,
    Of(usize),
}

fn cache(text: &str) -> Result<Cache, String> {
    match text {
        "shipped" => Ok(Cache::Shipped),
        "all" => Ok(Cache::All),
        number => match number.parse() {
            Ok(number) if number > 0 => Ok(Cache::Of(number)),
            Ok(_) | Err(_) => Err(format!("expected shipped, all or a number of payouts, got {number:?}")),
        },
    }
}

impl Cache {
    /// How many payouts that is, when it is said.
    fn size(self, count: usize) -> Option<usize> {
        match self {
            Self::Shipped => None,
            Self::All => Some(count),
            Self::Of(size) => Some(size),
        }
    }

    fn name(self, count: usize) -> String {
        self.size(count).map_or("cache as shipped".to_owned(), |size| format!("cache {size}"))
    }
}

/// Webhooks and signals under way at a time.
const AT_ONCE: usize = 100;
/// Long enough for the provider to be done with every payout that was confirmed.
const PROVIDER_IS_DONE: Duration = Duration::from_secs(600);

/// Measures and prints.
pub async fn run(args: Args) -> Result<()> {
    let Args { counts, caches, rounds, json } = args;
    let names: Vec<String> = caches.iter().map(|cache| format!("{cache:?}")).collect();
    let settings = json!({"counts": counts, "caches": names, "rounds": rounds});
    let mut figures = Figures::new("memory", Machine::with_server().await?, settings);
    for _ in 0..rounds {
        for count in &counts {
            for cache in &caches {
                one(&mut figures, *count, *cache).await?;
            }
        }
    }
    let most = format!("10000 open, {}", Cache::Shipped.name(0));
    figures.aim(&most, "worker, all open", Aim::AtMost(100.0));
    figures.print(json)
}

async fn one(figures: &mut Figures, count: usize, cache: Cache) -> Result<()> {
    let of = format!("{count} open, {}", cache.name(count));
    let more: Vec<(&str, String)> =
        cache.size(count).map(|size| ("REMIT_WORKER_CACHED_PAYOUTS", size.to_string())).into_iter().collect();
    let open = Open::start(&more).await?;
    let measured = measure(figures, &open, &of, count, cache).await;
    open.stop().await?;
    measured
}

async fn measure(figures: &mut Figures, open: &Open, of: &str, count: usize, cache: Cache) -> Result<()> {
    let mib = |figures: &mut Figures, what: &str, usage: Usage| figures.add(of, what, "MiB", usage.resident_mib());
    tell(format_args!("{of}: starting"));
    let (idle, relay_idle) = (open.worker()?, open.relay.process.usage()?);
    mib(figures, "worker, idle", idle);
    let begun = Instant::now();
    open.open(count).await?;
    let opened = begun.elapsed();
    let (held, relay_held, server) = (open.worker()?, open.relay.process.usage()?, Usage::of(temporal_server()?)?);
    figures.add(of, "opened in a second", "", per_second(count, opened));
    mib(figures, "worker, all open", held);
    if cache.size(count).is_some_and(|size| size >= count) {
        let kib = held.resident_kib.saturating_sub(idle.resident_kib) as f64 / count as f64;
        figures.add(of, "worker, for each cached payout", "KiB", kib);
    }
    figures.add(of, "worker, open files", "", held.files as f64);
    mib(figures, "relay, idle", relay_idle);
    mib(figures, "relay, all open", relay_held);
    figures.add(of, "relay, open files", "", relay_held.files as f64);

    open.instruct().await?;
    let payouts = open.listed().await?;
    ensure!(payouts.len() == count, "{} payouts at the provider, {count} were started", payouts.len());
    let now = webhook::now();
    let begun = Instant::now();
    let webhooks = wire::flood(&open.webhooks, AT_ONCE, count, 200, |n, bytes| {
        let body = webhook::body(n, &payouts[n].id, &payouts[n].key, "Processing", now);
        *bytes = webhook::request(&open.webhooks, &body, &webhook::signature(open.secret(), &body));
    });
    let confirmed = open.until_called("POST /payouts/{}/action", count, "are confirmed", |_| ());
    tokio::try_join!(webhooks, confirmed)?;
    figures.add(of, "confirmed in a second", "", per_second(count, begun.elapsed()));
    figures.add(of, "worker CPU until all are confirmed", "s", since(open.worker()?, held));

    // No webhook says that a payout is over, and no poll comes: each is told to look, once it is over.
    open.system.organisation().advance(PROVIDER_IS_DONE).await?;
    let looks = stream::iter(&payouts).map(|payout| async move {
        let (object, state) = ("bench".to_owned(), "over".to_owned());
        let event = ProviderEvent { about: About::Transfer, object, state, key: Some(payout.key.clone()) };
        let nudged = open.system.client().nudge(&payout.key, &event, &format!("over-{}", payout.key)).await?;
        ensure!(nudged != Nudged::NoSuchPayout, "payout {} is not there", payout.key);
        Ok(())
    });
    let looking = looks.buffer_unordered(AT_ONCE).try_for_each(async |()| Ok(()));
    tokio::try_join!(looking, until_ended(open, count))?;
    let (after, server_after) = (open.worker()?, Usage::of(temporal_server()?)?);
    figures.add(of, "worker CPU until all have ended", "s", since(after, held));
    figures.add(of, "server CPU until all have ended", "s", since(server_after, server));
    mib(figures, "worker, after", after);
    figures.add(of, "worker, most", "MiB", after.peak_mib());
    figures.add(of, "worker, began anew", "times", open.worker_began_anew()? as f64);
    mib(figures, "relay, after", open.relay.process.usage()?);
    Ok(())
}

fn since(after: Usage, before: Usage) -> f64 {
    after.cpu.saturating_sub(before.cpu).as_secs_f64()
}

/// Waits until all runs are completed, and sees that none ended otherwise.
async fn until_ended(open: &Open, count: usize) -> Result<()> {
    until_completed(&open.system, count, PATIENCE).await?;
    let ledger = open.system.organisation().control(reqwest::Method::GET, "/ledger", None).await?;
    let total = |name: &str| ledger["totals"][name].as_u64().unwrap_or(0);
    let totals = ["createsAccepted", "confirmCalls", "confirmsAccepted", "transfersConfirmed"].map(total);
    ensure!(totals == [count as u64; 4], "creates, confirm calls, confirms, transfers: {totals:?}, not {count} each");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_named_or_counted() {
        assert_eq!(cache("shipped").map(|it| it.size(7)), Ok(None));
        assert_eq!(cache("all").map(|it| it.size(7)), Ok(Some(7)));
        assert_eq!(cache("5").map(|it| it.size(7)), Ok(Some(5)));
        assert!(cache("0").is_err() && cache("some").is_err());
    }
}
