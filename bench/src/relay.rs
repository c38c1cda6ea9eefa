//! What the relay stands: webhooks that must not be believed, and as many genuine ones as it is sent.

use std::{
    cell::Cell,
    convert::Infallible,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use clap::builder::RangedU64ValueParser;
use remit::dev::{Begin, Options, System};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    figures::{Aim, Figures, per_second, tell},
    machine::Machine,
    process::{Process, Role, free_address},
    stage::folder,
    webhook, wire,
};

/// Flags of `bench relay`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  bench relay
  bench relay --forged 20000 --genuine 2000 --rounds 1
  bench relay --genuine 0 --json >relay.json

Build with `cargo build --release --workspace --locked`. In each round a relay in a process of its own gets forged
webhooks (signed with another secret, changed after they were signed, told long ago) and then genuine ones, each about
another payout that nobody knows yet, so that each is kept. Every answer is looked at, and compared with what the relay
itself has counted. Everything is on loopback and ends with the command; so does Ctrl-C.

Exit codes: 0 measured · 1 a forged one was accepted, a genuine one was not, or something failed.")]
pub struct Args {
    /// Forged webhooks in each round
    #[arg(long, default_value_t = 1_000_000, value_parser = RangedU64ValueParser::<usize>::new().range(0..=10_000_000))]
    forged: usize,
    /// Genuine webhooks in each round
    #[arg(long, default_value_t = 100_000, value_parser = RangedU64ValueParser::<usize>::new().range(0..=1_000_000))]
    genuine: usize,
    /// Connections at a time
    #[arg(long, default_value_t = 32, value_parser = RangedU64ValueParser::<usize>::new().range(1..=200))]
    connections: usize,
    /// How often
    #[arg(long, default_value_t = 5, value_parser = RangedU64ValueParser::<usize>::new().range(1..=100))]
    rounds: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A signature is good for five minutes; each of these parts is signed when its turn comes.
const SIGNED_AT_ONCE: usize = 2_000;
const FORGED: &str = "relay, forged";
const GENUINE: &str = "relay, genuine";

/// Measures and prints.
pub async fn run(args: Args) -> Result<()> {
    let settings = json!({"forged": args.forged, "genuine": args.genuine, "connections": args.connections,
                          "rounds": args.rounds});
    let mut figures = Figures::new("relay", Machine::with_server().await?, settings);
    for round in 0..args.rounds {
        tell(format_args!("round {} of {}", round + 1, args.rounds));
        // A system of its own, so that every round begins with empty records.
        let system = System::start(Options { worker: Begin::Later, relay: Begin::Later, ..Options::default() }).await?;
        one(&mut figures, &args, &system, round).await?;
        system.stop().await?;
    }
    figures.aim(FORGED, "refused in a second of one core", Aim::AtLeast(20_000.0));
    figures.print(args.json)
}

async fn one(figures: &mut Figures, args: &Args, system: &System, round: usize) -> Result<()> {
    let address = free_address()?;
    let log = folder(system).join("bench-relay.log");
    let relay = Role::start("relay", &["--listen", &address], system.environment().to_vec(), &log).await?;
    let secret = system.webhook_secret().expose_secret();
    let begin = relay.process.usage()?;
    if args.forged > 0 {
        let requests = webhook::forged(&address, secret, webhook::now());
        let begun = Instant::now();
        let forging = wire::flood(&address, args.connections, args.forged, 401, |n, bytes| {
            bytes.extend_from_slice(&requests[n % requests.len()]);
        });
        let (refused, most) = watched(&relay.process, forging).await?;
        let (took, after) = (begun.elapsed(), relay.process.usage()?);
        let counted = relay.counted("bad_signature").await? + relay.counted("stale").await?;
        ensure!(counted == args.forged && refused == args.forged, "{counted} of {} were refused", args.forged);
        let cpu = after.cpu.saturating_sub(begin.cpu);
        figures.add(FORGED, "accepted", "", 0.0);
        figures.add(FORGED, "refused in a second of one core", "", per_second(refused, cpu));
        figures.add(FORGED, "refused in a second", "", per_second(refused, took));
        figures.add(FORGED, "memory before", "MiB", begin.resident_mib());
        figures.add(FORGED, "memory, most", "MiB", most);
        figures.add(FORGED, "memory after", "MiB", after.resident_mib());
        figures.add(FORGED, "log", "MiB", std::fs::metadata(&log)?.len() as f64 / (1024.0 * 1024.0));
    }
    if args.genuine > 0 {
        let (before, begun) = (relay.process.usage()?, Instant::now());
        let sending = async {
            let mut sent = 0;
            while sent < args.genuine {
                let part = (args.genuine - sent).min(SIGNED_AT_ONCE);
                let now = webhook::now();
                let accepted = wire::flood(&address, args.connections, part, 200, |n, bytes| {
                    let n = round * args.genuine + sent + n;
                    let body = webhook::body(n, &format!("pyt-{n}"), &format!("nobody-{n}"), "Processing", now);
                    *bytes = webhook::request(&address, &body, &webhook::signature(secret, &body));
                });
                sent += accepted.await?;
            }
            Ok::<_, anyhow::Error>(sent)
        };
        let (accepted, most) = watched(&relay.process, sending).await?;
        let (took, after) = (begun.elapsed(), relay.process.usage()?);
        let counted = relay.counted("parked").await?;
        ensure!(counted == args.genuine && accepted == args.genuine, "{counted} of {} were kept", args.genuine);
        let cpu = after.cpu.saturating_sub(before.cpu);
        figures.add(GENUINE, "accepted", "", accepted as f64);
        figures.add(GENUINE, "kept in a second of one core", "", per_second(accepted, cpu));
        figures.add(GENUINE, "kept in a second", "", per_second(accepted, took));
        figures.add(GENUINE, "memory before", "MiB", before.resident_mib());
        figures.add(GENUINE, "memory, most", "MiB", most);
        figures.add(GENUINE, "memory after", "MiB", after.resident_mib());
    }
    relay.process.stop().await
}

/// What the work comes to, and the most memory that the process had meanwhile, in MiB.
async fn watched<T>(process: &Process, work: impl Future<Output = Result<T>>) -> Result<(T, f64)> {
    let most = Cell::new(0.0_f64);
    tokio::select! {
        done = work => Ok((done?, most.get())),
        failed = watch(process, &most) => match failed? {},
    }
}

async fn watch(process: &Process, most: &Cell<f64>) -> Result<Infallible> {
    loop {
        most.set(most.get().max(process.usage()?.resident_mib()));
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
