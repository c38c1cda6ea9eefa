//! `remit worker`: runs payouts.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZero,
    os::unix::process::CommandExt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use remit_activities::{Activities, Names, PolicySettings, PollCadence, TimeLimits};
use remit_client::Target;
use remit_domain::policy::Publishers;
use remit_records::Records;
use remit_screening::Screener;
use remit_worker::{Build, Ended, Interceptor, Promotion, Tuning};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    exit::{Exit, Failure, Outcome, stop_on_signal},
    sandbox::listen,
    settings::{BuildId, DfnsAccess, Settings, WorkerSettings},
    temporal::{identity, options},
};

/// Flags of `remit worker`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit worker
  remit worker --admin 0.0.0.0:9464
  REMIT_WORKER_SHARDS=4 remit worker
  REMIT_DEPLOYMENT=remit REMIT_BUILD_ID=3f2c9d1 remit worker --make-current

Needs Dfns (DFNS_TOKEN_FILE, DFNS_CREDENTIAL_ID, DFNS_PRIVATE_KEY_FILE, DFNS_USER_ID), Temporal (TEMPORAL_ADDRESS, …)
and the records (REMIT_RECORDS_URL). `remit doctor` checks all of them.
Run as many as you like: they share the work. Stops on Ctrl-C and SIGTERM, after what is under way.
With REMIT_DEPLOYMENT a payout is finished by the build that began it: `remit deployment show` says which old builds are
still needed. Without it any build takes any payout: try a new build with `remit replay` first.
Exit codes: 0 stopped · 2 settings · 1 anything else.")]
pub struct Args {
    /// Where health and metrics are: /livez, /readyz, /metrics [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<SocketAddr>,
    /// Once it is ready, let new payouts go to this build; not if it was current before and another one is now
    #[arg(long)]
    make_current: bool,
}

/// For the Web UI and the histories: what the build was given, such as a commit, else the version.
const BUILD_ID: &str = match option_env!("REMIT_BUILD_ID") {
    Some(id) => id,
    None => env!("CARGO_PKG_VERSION"),
};
/// See `REMIT_WORKER_MEMORY`.
const MEMORY_MIB: usize = 1024;
const RECORDS_WITHIN: Duration = Duration::from_secs(60);
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// The build that this program is, unless settings say otherwise.
pub(crate) fn this_build() -> Build {
    Build::unversioned(BUILD_ID)
}

fn build(settings: &WorkerSettings) -> Build {
    let id = settings.build_id.as_ref().map_or(BUILD_ID, BuildId::as_str);
    Build { id: id.to_owned(), deployment: settings.deployment.as_ref().map(|name| name.as_str().to_owned()) }
}

fn tuning(settings: &WorkerSettings) -> Tuning {
    let usual = Tuning::default();
    Tuning {
        provider_calls_per_second: settings.provider_calls_per_second.unwrap_or(usual.provider_calls_per_second),
        shards: settings.shards.unwrap_or(usual.shards),
        max_cached_workflows: settings.cached_payouts.unwrap_or(usual.max_cached_workflows),
        memory_mib: NonZero::new(settings.memory.unwrap_or(MEMORY_MIB)),
        ..usual
    }
}

/// What a worker is made of.
pub(crate) struct Plan {
    pub(crate) access: DfnsAccess,
    pub(crate) cadence: PollCadence,
    pub(crate) time: TimeLimits,
    pub(crate) publishers: Publishers,
    pub(crate) screener: Screener,
    pub(crate) names: Names,
    pub(crate) records_url: String,
    pub(crate) temporal: Target,
    pub(crate) tuning: Tuning,
    pub(crate) build: Build,
    pub(crate) promotion: Promotion,
    pub(crate) interceptor: Option<Interceptor>,
    pub(crate) admin: TcpListener,
}

/// Works until it is asked to stop.
///
/// # Errors
/// Missing settings; a port that is taken; records or Temporal that cannot be reached.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let stop = stop_on_signal()?;
    let build = build(&settings.worker);
    let promotion = if args.make_current { Promotion::WhenReady } else { Promotion::ByHand };
    if args.make_current && build.deployment.is_none() {
        let says = "--make-current needs a deployment: set REMIT_DEPLOYMENT (`worker.deployment` in remit.toml)";
        return Err(Failure::new(Exit::Usage, says));
    }
    let access = settings.dfns.access().map_err(Failure::usage)?;
    let publishers = settings.publishers().map_err(Failure::usage)?;
    let screener = settings.screener().map_err(Failure::usage)?;
    let records_url = settings.records_url().map_err(Failure::usage)?;
    let mut temporal = options(settings)?.resolve().map_err(Failure::usage)?;
    temporal.connection.identity = identity("worker");
    let admin = args.admin.or(settings.worker.admin).unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)));
    let plan = Plan {
        access,
        cadence: settings.cadence(),
        time: settings.time_limits(),
        publishers,
        screener,
        names: settings.names(),
        records_url,
        temporal,
        tuning: tuning(&settings.worker),
        build,
        promotion,
        interceptor: None,
        admin: listen(admin, "the worker's health and metrics").await?,
    };
    match serve(plan, stop).await? {
        Ended::Stopped => Ok(Exit::Done),
        Ended::OverMemory => Err(again().context("the worker cannot begin anew").into()),
    }
}

/// Puts the same program with the same arguments in the place of this one. Only an error comes back.
fn again() -> anyhow::Error {
    let mut arguments = std::env::args_os();
    let by_name = arguments.next().unwrap_or_default();
    // What a deploy has put in the place of the program since is not this build.
    let program = PathBuf::from("/proc/self/exe");
    std::process::Command::new(program).arg0(by_name).args(arguments).exec().into()
}

/// Runs a worker.
pub(crate) async fn serve(plan: Plan, stop: CancellationToken) -> Result<Ended> {
    let Plan {
        access,
        cadence,
        time,
        publishers,
        screener,
        names,
        records_url,
        temporal,
        tuning,
        build,
        promotion,
        interceptor,
        admin,
    } = plan;
    let records = tokio::select! {
        records = open(&records_url) => records?,
        () = stop.cancelled() => return Ok(Ended::Stopped),
    };
    let registry = prometheus::Registry::new();
    let settings = remit_activities::Settings {
        dfns: access.settings,
        user_id: access.user_id,
        cadence,
        time,
        policy: PolicySettings { namespace: temporal.namespace.clone(), publishers },
        screener: Arc::new(screener),
        names,
    };
    let activities = Activities::new(settings, records.clone(), &registry)?;
    tokio::spawn(access.renewal.watch(activities.dfns().clone(), stop.clone()));
    let config = remit_worker::Config {
        connection: temporal.connection,
        namespace: temporal.namespace,
        converter: temporal.converter,
        admin,
        build,
        promotion,
        tuning,
        interceptor,
    };
    let worked = remit_worker::run(config, activities, registry, stop).await;
    records.close().await;
    worked
}

/// Opens the records; a database that starts at the same time as we do is waited for.
pub(crate) async fn open(url: &str) -> Result<Records> {
    let deadline = Instant::now() + RECORDS_WITHIN;
    loop {
        match Records::open(url).await {
            Ok(records) => return Ok(records),
            Err(error) if error.retry_helps() && Instant::now() < deadline => {
                tracing::warn!("The records cannot be opened yet: {:#}", anyhow::Error::new(error));
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
            Err(error) => return Err(error).context("the records cannot be opened"),
        }
    }
}
