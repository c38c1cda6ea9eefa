//! Runs workflows and activities: settings, health, metrics, drain. No business rules.
//!
//! [`run`] is the whole of it: it waits until the records and Temporal are there and agree with this build, runs the
//! workers of each task queue, and on `stop` lets what is under way come to its end.

mod admin;
pub mod deployment;
mod gauges;
pub mod history;
mod memory;
mod phase;
mod queries;
mod queues;
pub mod replay;
mod sdk_metrics;
mod search_attributes;
mod shard_meter;
mod stand;
mod threads;
mod tuning;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use prometheus::Registry;
use remit_activities::Activities;
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions};
use temporalio_common::{
    data_converters::DataConverter,
    telemetry::{TelemetryOptions, metrics::CoreMeter, telemetry_init},
};
use temporalio_sdk::interceptors::{ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next};
use temporalio_sdk_core::{CoreRuntime, RuntimeOptions};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    gauges::Gauges,
    phase::{Phase, Phases},
    queues::Place,
    sdk_metrics::SdkMetrics,
    shard_meter::ShardMeter,
    threads::Threads,
};

pub use deployment::Build;
pub use search_attributes::{SearchAttributesError, ensure_search_attributes};
pub use tuning::Tuning;

/// What a worker needs beside its activities.
pub struct Config {
    /// How to reach Temporal. Each worker makes a connection of its own.
    pub connection: ConnectionOptions,
    /// The namespace to work in.
    pub namespace: String,
    /// How payloads are written and read: with keys, what Temporal keeps is encrypted.
    pub converter: DataConverter,
    /// Serves `/livez`, `/readyz` and `/metrics`.
    pub admin: TcpListener,
    /// Which build this is, for the Web UI and the histories, and whether payouts are pinned to it.
    pub build: Build,
    /// Whether a versioned build takes over by itself.
    pub promotion: Promotion,
    /// How much at a time.
    pub tuning: Tuning,
    /// Stands around every activity, for tests that fail them and for tracing.
    pub interceptor: Option<Interceptor>,
}

/// Stands around every activity of a worker.
#[derive(Clone)]
pub struct Interceptor(pub Arc<dyn ActivityInboundInterceptor>);

impl std::fmt::Debug for Interceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interceptor")
    }
}

impl ActivityInboundInterceptor for Interceptor {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        self.0.execute_activity(input, next)
    }
}

/// Why a worker has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// It held more memory than [`Tuning::memory_mib`]: it should be run again, in another process.
    OverMemory,
}

/// How a version of a deployment becomes the one that new payouts go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// Somebody says so, once it runs.
    ByHand,
    /// By itself as soon as it is ready, unless it was current before and another one is now.
    WhenReady,
}

/// How long the records and Temporal may take to be there, before a supervisor had better know.
const START_WITHIN: Duration = Duration::from_secs(90);
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// For one look at the records and at Temporal.
const ONE_TRY: Duration = Duration::from_secs(30);

/// Works until `stop` or until it holds too much memory, then drains and returns.
///
/// # Errors
/// When the settings cannot be used, the records or Temporal do not come up in time or do not agree with this build,
/// a worker ends by itself, or activities do not end when asked to.
pub async fn run(
    config: Config,
    activities: Activities,
    registry: Registry,
    stop: CancellationToken,
) -> anyhow::Result<Ended> {
    let Config { mut connection, namespace, converter, admin, build, promotion, tuning, interceptor } = config;
    tuning.check()?;
    let gauges = Gauges::register(&registry)?;
    let places = Place::all(&tuning);
    let (sdk_metrics, meter) = SdkMetrics::start()?;
    let sdk_metrics = Arc::new(sdk_metrics);
    let phases = Phases::new();
    // Ends with this function: while it drains, the worker is still alive and says what it does.
    let _admin = admin::serve(
        admin,
        phases.clone(),
        activities.records().clone(),
        registry,
        Arc::clone(&sdk_metrics),
        places.clone(),
    );

    // Requests to Temporal are counted for all workers together.
    let telemetry = TelemetryOptions::builder().metrics(Arc::clone(&meter)).build();
    connection.metrics_meter = telemetry_init(telemetry)?.get_temporal_metric_meter();

    let ready = tokio::select! {
        () = stop.cancelled() => return Ok(Ended::Stopped),
        ready = come_up(&connection, &namespace, &activities, &phases) => ready,
    };
    ready?;

    let drain = stop.child_token();
    let mut threads = Threads::new(drain.child_token());
    for place in &places {
        let mut options = place.queue.options(&tuning, &build, activities.clone())?;
        if let Some(interceptor) = &interceptor {
            options.activity_inbound_interceptor(interceptor.clone());
        }
        let runtime = runtime(ShardMeter::new(Arc::clone(&meter), place.shard))?;
        let client = ClientOptions::new(namespace.clone()).data_converter(converter.clone()).build();
        threads.start(*place, runtime, connection.clone(), client, options)?;
    }
    let all: Vec<String> = places.iter().map(ToString::to_string).collect();
    let deployment = build.deployment.as_deref().unwrap_or("none");
    tracing::info!(namespace, build_id = build.id, deployment, "The worker polls {}", all.join(", "));
    phases.enter(Phase::Working);
    let mut beside = JoinSet::new();
    beside.spawn(gauges.keep(connection.clone(), namespace.clone()));
    beside.spawn(stand::settle(build, promotion, connection, namespace, drain.clone()));
    beside.spawn(memory::keep_below(tuning.memory_mib, memory::LOOK_EVERY, drain.clone()));
    threads.supervise(&phases, tuning.graceful_shutdown).await?;
    Ok(if stop.is_cancelled() { Ended::Stopped } else { Ended::OverMemory })
}

/// The SDK's part of one worker, on the threads there are.
fn runtime(meter: ShardMeter) -> anyhow::Result<CoreRuntime> {
    let meter: Arc<dyn CoreMeter> = Arc::new(meter);
    let telemetry = TelemetryOptions::builder().metrics(meter).build();
    let options = RuntimeOptions::builder().telemetry_options(telemetry).build().map_err(anyhow::Error::msg)?;
    CoreRuntime::new_assume_tokio(options)
}

/// Waits until the records answer and Temporal knows what it must know.
async fn come_up(
    connection: &ConnectionOptions,
    namespace: &str,
    activities: &Activities,
    phases: &Phases,
) -> anyhow::Result<()> {
    let begun = tokio::time::Instant::now();
    loop {
        let why = match tokio::time::timeout(ONE_TRY, look(connection, namespace, activities)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(Unready::ForEver(error))) => return Err(error),
            Ok(Err(Unready::ForNow(error))) => brief(&error),
            Err(_) => format!("the records or Temporal took longer than {ONE_TRY:?} to answer"),
        };
        if begun.elapsed() + BETWEEN_TRIES >= START_WITHIN {
            bail!("the worker could not start within {START_WITHIN:?}: {why}");
        }
        tracing::warn!("The worker cannot start yet: {why}");
        phases.enter(Phase::Starting(why));
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

/// What was attempted and what stood in the way at the bottom of it; between the two, libraries repeat each other.
fn brief(error: &anyhow::Error) -> String {
    let (top, root) = (error.to_string(), error.root_cause().to_string());
    if top == root { top } else { format!("{top}: {root}") }
}

/// Whether waiting can help.
enum Unready {
    ForNow(anyhow::Error),
    ForEver(anyhow::Error),
}

async fn look(connection: &ConnectionOptions, namespace: &str, activities: &Activities) -> Result<(), Unready> {
    activities.records().ready().await.map_err(|error| match error.retry_helps() {
        true => Unready::ForNow(error.into()),
        false => Unready::ForEver(error.into()),
    })?;
    let client = connect(connection.clone(), namespace.to_owned()).await.map_err(Unready::ForNow)?;
    ensure_search_attributes(&client).await.map_err(|error| match &error {
        SearchAttributesError::Away { .. } => Unready::ForNow(error.into()),
        SearchAttributesError::OtherType { .. }
        | SearchAttributesError::Missing { .. }
        | SearchAttributesError::NoNamespace { .. } => Unready::ForEver(error.into()),
    })
}

async fn connect(options: ConnectionOptions, namespace: String) -> anyhow::Result<Client> {
    connect_as(options, ClientOptions::new(namespace).build()).await
}

async fn connect_as(options: ConnectionOptions, client: ClientOptions) -> anyhow::Result<Client> {
    let address = options.target.clone();
    let connection =
        Connection::connect(options).await.with_context(|| format!("Temporal at {address} cannot be reached"))?;
    Ok(Client::new(connection, client)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_a_worker_can_be_spawned() {
        fn can_be_spawned<T: Send + 'static>(_: fn(Config, Activities, Registry, CancellationToken) -> T) {}
        can_be_spawned(run);
    }
}
