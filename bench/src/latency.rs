//! How soon a payout is confirmed after the provider's webhook, ours beside bare ones, and how soon a webhook is answered.

use anyhow::Result;
use serde_json::json;

use crate::{
    cost::Common,
    figures::{Aim, Figures, milliseconds, percentile, tell},
    machine::Machine,
    open::Open,
    sides::{self, Side, rotated},
    stage::{Leg, Pace, Stage},
    webhook, wire,
};

/// Flags of `bench latency`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  bench latency
  bench latency --payouts 50 --burst 100 --in-flight 50 --rounds 1 --sides remit,remit-plain,bare
  bench latency --rates 20 --burst 0 --json >latency.json

Build with `cargo build --release --workspace --locked`, and prepare the others with `bench/peers/LANGUAGE/prepare`;
those that are not prepared are left out. The sandbox sends its webhooks to the bench, which notes the time and passes
them on: to the relay, or as a signal. The other end is the time of the Confirm as the provider has it, by the clock of
the same machine. Payouts are started at a steady rate whether earlier ones have ended or not, then many at once.
Everything is on loopback and ends with the command; so does Ctrl-C.

Exit codes: 0 measured · 1 a side failed.")]
pub struct Args {
    /// Whose workers: remit, remit-plain, bare, bare-tuned, go, typescript, python
    #[arg(long, default_value = "remit,remit-plain,bare,go,typescript,python", value_parser = sides::parse)]
    sides: std::vec::Vec<Side>,
    /// Payouts started in a second
    #[arg(long, value_delimiter = ',', default_value = "5,20")]
    rates: Vec<f64>,
    /// Payouts of each side at each rate, in each round
    #[arg(long, default_value_t = 300, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    payouts: usize,
    /// Payouts in the burst; 0 leaves it out
    #[arg(long, default_value_t = 1_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=10_000))]
    burst: usize,
    /// Payouts open at a time in the burst
    #[arg(long, default_value_t = 200, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=2_000))]
    in_flight: usize,
    /// Webhooks in a second whose answers are timed; 0 leaves them out
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    webhooks: u32,
    /// For how many seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=240))]
    webhook_seconds: u32,
    #[command(flatten)]
    common: Common,
}

/// The rate that the aims are about.
const AIMED_AT: f64 = 20.0;
/// Open payouts that the timed webhooks are about.
const ABOUT: usize = 100;

/// Measures and prints.
pub async fn run(args: Args) -> Result<()> {
    let settings = json!({"rates": args.rates, "payouts": args.payouts, "burst": args.burst,
                          "inFlight": args.in_flight, "webhooks": args.webhooks, "rounds": args.common.rounds,
                          "warmUp": args.common.warm_up, "pollFirstMs": args.common.poll_first_ms});
    let mut figures = Figures::new("latency", Machine::with_server().await?, settings);
    let stage = Stage::start(args.common.cadence()).await?;
    let (sides, absent) = stage.present(&args.sides).await?;
    absent.into_iter().for_each(|why| figures.note(why));
    for round in 0..args.common.rounds {
        for side in rotated(&sides, round) {
            let turn = stage.begin(side).await?;
            let prefix = format!("l{round}-{}-", side.name());
            stage.leg(&turn, &format!("{prefix}w"), args.common.warm_up, Pace::InFlight(20)).await?;
            for (at, rate) in args.rates.iter().enumerate() {
                let leg = stage.leg(&turn, &format!("{prefix}r{at}-"), args.payouts, Pace::PerSecond(*rate)).await?;
                note(&mut figures, side, leg, args.payouts, &steadily(*rate));
            }
            if args.burst > 0 {
                let pace = Pace::InFlight(args.in_flight);
                let leg = stage.leg(&turn, &format!("{prefix}b"), args.burst, pace).await?;
                note(&mut figures, side, leg, args.burst, &format!("{} in flight", args.in_flight));
            }
            turn.end().await?;
        }
    }
    stage.stop().await?;
    for (side, p50, p99) in [(Side::Remit, 30.0, 100.0), (Side::RemitPlain, 15.0, 60.0)] {
        for (percent, most) in [(50, p50), (99, p99)] {
            figures.aim(side.name(), &confirm(percent, &steadily(AIMED_AT)), Aim::AtMost(most));
        }
    }
    if args.webhooks > 0 {
        acknowledged(&mut figures, &args).await?;
    }
    figures.print(args.common.json)
}

fn note(figures: &mut Figures, side: Side, leg: Leg, payouts: usize, part: &str) {
    let (side, mut latencies) = (side.name(), leg.latencies);
    let polled = payouts - latencies.len();
    for percent in [50, 99] {
        if let Some(time) = percentile(&mut latencies, percent) {
            figures.add(side, &confirm(percent, part), "ms", milliseconds(time));
        }
    }
    if polled > 0 {
        figures.note(format!("{side}, {part}: {polled} of {payouts} were confirmed before their webhook came"));
    }
}

fn confirm(percent: usize, part: &str) -> String {
    format!("webhook to Confirm p{percent}, {part}")
}

fn steadily(rate: f64) -> String {
    format!("{rate} a second")
}

/// How soon the relay answers genuine webhooks about payouts that are open, each a news: it is kept, looked up, and
/// signalled. The worker is stopped: what it would do with the signals is measured above.
async fn acknowledged(figures: &mut Figures, args: &Args) -> Result<()> {
    tell(format_args!("opening {ABOUT} payouts for the webhooks"));
    let mut open = Open::start(&[]).await?;
    open.open(ABOUT).await?;
    let payouts = open.listed().await?;
    open.stop_worker().await?;
    let count = usize::try_from(args.webhooks * args.webhook_seconds)?;
    let of = format!("relay, {} webhooks a second", args.webhooks);
    for round in 0..args.common.rounds {
        let now = webhook::now();
        let requests = (0..count).map(|n| {
            let (n, payout) = (round * count + n, &payouts[n % payouts.len()]);
            // Each tells of another state, so that none is a repetition.
            let body = webhook::body(n, &payout.id, &payout.key, &format!("Processing-{n}"), now);
            webhook::request(&open.webhooks, &body, &webhook::signature(open.secret(), &body))
        });
        let requests = requests.collect();
        let mut times = wire::steadily(&open.webhooks, f64::from(args.webhooks), requests).await?;
        for percent in [50, 99] {
            if let Some(time) = percentile(&mut times, percent) {
                figures.add(&of, &format!("answer p{percent}"), "ms", milliseconds(time));
            }
        }
    }
    let delivered = open.relay.counted("delivered").await?;
    anyhow::ensure!(
        delivered == count * args.common.rounds,
        "{delivered} webhooks were signalled, {} were sent",
        count * args.common.rounds
    );
    figures.aim(&of, "answer p99", Aim::AtMost(50.0));
    open.stop().await
}
