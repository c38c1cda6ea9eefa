//! `remit dev`: the whole system on this machine.

mod organisation;
mod part;
mod running;
mod system;

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use remit_activities::PollCadence;

pub use organisation::{APPROVER, Organisation, PAYER, User, Wallet, WalletAsset, write_env};
pub use running::Running;
pub use system::{Begin, Options, System};

pub(crate) use organisation::{shell_quoted, write_private};

use crate::{
    exit::{Exit, Failure, Outcome, stop_on_signal},
    out,
    settings::{Period, Settings},
    temporal_server::WebUi,
};

/// Flags of `remit dev`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit dev                          on free ports, in a fresh folder that is removed at the end
  remit dev --dir ./state            keeps Temporal's state and the records (the sandbox forgets)
  remit dev --port 7233 --ui-port 8233 --no-ui

In another terminal, while it runs:
  remit payout list                  finds the system by itself
  . ./dev.env && remit doctor        the environment of its worker and relay; the path is printed

Exit codes: 0 stopped by Ctrl-C or SIGTERM · 1 a part failed.")]
pub struct Args {
    /// Port of Temporal [default: a free one]
    #[arg(long)]
    port: Option<u16>,
    /// Port of Temporal's Web UI [default: a free one]
    #[arg(long)]
    ui_port: Option<u16>,
    /// Port of the sandbox, the fake Dfns [default: a free one]
    #[arg(long)]
    sandbox_port: Option<u16>,
    /// Port of the relay, where webhooks arrive [default: a free one]
    #[arg(long)]
    relay_port: Option<u16>,
    /// Without Temporal's Web UI
    #[arg(long, conflicts_with_all = ["ui_port", "ui"])]
    no_ui: bool,
    /// With Temporal's Web UI, the default
    #[arg(long)]
    ui: bool,
    /// Keep Temporal's state and the records in this folder
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Seed of the sandbox: decides its ids
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The Temporal CLI to use [default: `temporal` on PATH, else one that is built once with Go]
    #[arg(long, value_name = "FILE")]
    temporal_cli: Option<PathBuf>,
}

/// A person at the terminal need not wait for half a minute, unless settings say so.
const FIRST_POLL: Duration = Duration::from_secs(1);

/// Runs the system until Ctrl-C.
///
/// # Errors
/// When a part does not start, or ends by itself.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let stop = stop_on_signal()?;
    let ui = match (args.no_ui, args.ui_port) {
        (true, _) => WebUi::Off,
        (false, None) => WebUi::AnyPort,
        (false, Some(port)) => WebUi::Port(port),
    };
    let options = Options {
        temporal_cli: args.temporal_cli,
        port: args.port,
        ui,
        dir: args.dir,
        sandbox_port: args.sandbox_port.unwrap_or(0),
        relay_port: args.relay_port.unwrap_or(0),
        seed: args.seed,
        cadence: PollCadence { first: settings.poll.first.map_or(FIRST_POLL, Period::duration), ..settings.cadence() },
        ..Options::default()
    };
    let starting = System::start(options);
    let mut system = tokio::select! {
        system = starting => system?,
        () = stop.cancelled() => return Ok(Exit::Done),
    };
    out::line(whereabouts(&system)?.join("\n"))?;
    let running = announce(&system, "dev")?;
    let failed = tokio::select! {
        why = system.broken() => Some(why),
        () = stop.cancelled() => None,
    };
    running.retract();
    out::note("stopping");
    let stopped = system.stop().await;
    match failed {
        Some(error) => Err(Failure { exit: Exit::Failed, error }),
        None => stopped.map(|()| Exit::Done).map_err(Failure::from),
    }
}

/// Writes down where the system is, for commands in other terminals.
pub(crate) fn announce(system: &System, command: &str) -> Result<Running> {
    let running = Running {
        pid: std::process::id(),
        command: command.to_owned(),
        temporal_address: system.temporal_address().to_owned(),
        namespace: system.client().namespace().to_owned(),
        ui_url: system.ui_url().map(str::to_owned),
        sandbox_url: system.sandbox_url().to_owned(),
        env_file: system.env_file().to_owned(),
    };
    running.announce()?;
    Ok(running)
}

/// Where everything is, and what to do first.
fn whereabouts(system: &System) -> Result<Vec<String>> {
    let wallet = system.organisation().wallet("Polygon")?;
    let token = system.organisation().token("Polygon")?.contract.unwrap_or_default();
    let place = |name: &str, at: &str| format!("  {name:15} {at}");
    Ok(vec![
        "The system is up:".to_owned(),
        place("Temporal", system.temporal_address()),
        place("Web UI", system.ui_url().unwrap_or("off")),
        place("sandbox", &format!("{} (control: {0}/_sandbox)", system.sandbox_url())),
        place("relay", &format!("{}/webhooks/dfns", system.relay_url())),
        place("relay metrics", &format!("{}/metrics", system.relay_admin_url())),
        place("worker metrics", &format!("{}/metrics", system.worker_admin_url())),
        place("records", system.records_url()),
        place("environment", &format!(". {}", shell_quoted(&system.env_file().to_string_lossy()))),
        String::new(),
        "Start a payout, in another terminal:".to_owned(),
        format!("  remit payout start --wait --id invoice-1 --wallet {} \\", wallet.id),
        format!("    --token {token} --amount 1000000000 \\"),
        "    --account acc-1 --instructions pi-1 --currency BRL --country BR --purpose \"salary payment\"".to_owned(),
        "The last two digits of the amount decide how it ends: sandbox/README.md lists them.".to_owned(),
        "Ctrl-C stops everything.".to_owned(),
    ])
}
