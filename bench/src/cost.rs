//! What a worker costs: its processor time for a thousand payouts, ours beside bare ones, in one run.

use std::time::Duration;

use anyhow::Result;
use remit_activities::PollCadence;
use serde_json::json;

use crate::{
    figures::{Aim, Figures, milliseconds, percentile},
    machine::Machine,
    sides::{self, Side, rotated},
    stage::{Leg, Pace, Stage, Turn},
};

/// Flags of `bench cost`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  bench cost
  bench cost --payouts 50 --rounds 1 --sides remit,bare
  bench cost --sides remit,remit-plain,bare,bare-tuned,go,typescript,python --json >cost.json

Build with `cargo build --release --workspace --locked`, and prepare the others with `bench/peers/LANGUAGE/prepare`;
those that are not prepared are left out. In each round each side runs once, in another order each time: some payouts to
warm up, then so many at a steady rate, then the same number with many in flight. Counted is the worker's time on
processors, user and system. Everything is on loopback and ends with the command; so does Ctrl-C.

Exit codes: 0 measured · 1 a side failed.")]
pub struct Args {
    /// Whose workers: remit, remit-plain, bare, bare-tuned, go, typescript, python
    #[arg(long, default_value = "remit,bare,go,typescript,python", value_parser = sides::parse)]
    sides: std::vec::Vec<Side>,
    /// Payouts of each side in each of a round's two parts
    #[arg(long, default_value_t = 500, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    payouts: usize,
    /// Payouts started in a second in the first part
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Payouts open at a time in the second part
    #[arg(long, default_value_t = 200, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=2_000))]
    in_flight: usize,
    #[command(flatten)]
    common: Common,
}

/// What all comparisons take.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// How often each side runs
    #[arg(long, default_value_t = 5, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100))]
    pub rounds: usize,
    /// Payouts before those that count
    #[arg(long, default_value_t = 20, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=1_000))]
    pub warm_up: usize,
    /// When a payout that waits is first read without a webhook, in milliseconds; the same for all sides
    #[arg(long, default_value_t = 2_000)]
    pub poll_first_ms: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Common {
    /// How often all sides look.
    pub fn cadence(&self) -> PollCadence {
        PollCadence { first: Duration::from_millis(self.poll_first_ms), ..PollCadence::default() }
    }
}

/// Measures and prints.
pub async fn run(args: Args) -> Result<()> {
    let Args { sides, payouts, rate, in_flight, common } = args;
    let settings = json!({"payouts": payouts, "rate": rate, "inFlight": in_flight, "rounds": common.rounds,
                          "warmUp": common.warm_up, "pollFirstMs": common.poll_first_ms});
    let mut figures = Figures::new("cost", Machine::with_server().await?, settings);
    let stage = Stage::start(common.cadence()).await?;
    let (sides, absent) = stage.present(&sides).await?;
    absent.into_iter().for_each(|why| figures.note(why));
    for round in 0..common.rounds {
        for side in rotated(&sides, round) {
            let turn = stage.begin(side).await?;
            let prefix = format!("c{round}-{}-", side.name());
            stage.leg(&turn, &format!("{prefix}w"), common.warm_up, Pace::InFlight(20)).await?;
            let steady = stage.leg(&turn, &format!("{prefix}s"), payouts, Pace::PerSecond(rate)).await?;
            note(&mut figures, &turn, &steady, payouts, &steadily(rate));
            let burst = stage.leg(&turn, &format!("{prefix}b"), payouts, Pace::InFlight(in_flight)).await?;
            note(&mut figures, &turn, &burst, payouts, &burstly(in_flight));
            turn.end().await?;
        }
    }
    for part in [steadily(rate), burstly(in_flight)] {
        let what = cpu(&part);
        for other in sides.iter().filter(|side| side.policy().is_none()) {
            let aim = match other {
                Side::Go => Some(Aim::AtMost(1.0)),
                Side::Typescript | Side::Python => Some(Aim::AtMost(0.5)),
                Side::Remit | Side::RemitPlain | Side::Bare | Side::BareTuned => None,
            };
            figures.ratio(Side::Remit.name(), other.name(), &what, aim);
        }
    }
    stage.stop().await?;
    figures.print(common.json)
}

fn note(figures: &mut Figures, turn: &Turn, leg: &Leg, payouts: usize, part: &str) {
    let side = turn.side().name();
    let per_thousand = |time: Duration| time.as_secs_f64() * 1000.0 / payouts as f64;
    figures.add(side, &cpu(part), "s", per_thousand(leg.cpu));
    if let Some(relay) = leg.relay_cpu {
        figures.add(side, &format!("relay CPU for 1,000 payouts, {part}"), "s", per_thousand(relay));
    }
    figures.add(side, &format!("all ended after, {part}"), "s", leg.took.as_secs_f64());
    figures.add(side, &format!("worker memory after, {part}"), "MiB", leg.usage.resident_mib());
    let mut latencies = leg.latencies.clone();
    if let Some(median) = percentile(&mut latencies, 50) {
        figures.add(side, &format!("webhook to Confirm p50, {part}"), "ms", milliseconds(median));
    }
}

fn cpu(part: &str) -> String {
    format!("worker CPU for 1,000 payouts, {part}")
}

fn steadily(rate: f64) -> String {
    format!("{rate} a second")
}

fn burstly(in_flight: usize) -> String {
    format!("{in_flight} in flight")
}
