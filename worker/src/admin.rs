//! For whoever runs the worker: is it alive, is it of use, what has it counted.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::Registry;
use remit_records::Records;
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    phase::{Phase, Phases},
    queues::Place,
    sdk_metrics::{SdkMetrics, join, polls},
};

const LOOK_WITHIN: Duration = Duration::from_secs(3);

struct Admin {
    phases: Phases,
    records: Records,
    registry: Registry,
    sdk: Arc<SdkMetrics>,
    places: Vec<Place>,
}

/// Serves until what is returned is dropped.
pub(crate) fn serve(
    listener: TcpListener,
    phases: Phases,
    records: Records,
    registry: Registry,
    sdk: Arc<SdkMetrics>,
    places: Vec<Place>,
) -> JoinSet<()> {
    let router = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(Admin { phases, records, registry, sdk, places }));
    let mut server = JoinSet::new();
    server.spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!("The admin server ended: {error}");
        }
    });
    server
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    let ready = tokio::time::timeout(LOOK_WITHIN, admin.ready()).await;
    match ready.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {LOOK_WITHIN:?}"))) {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why:#}\n")).into_response(),
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    // Ours are worth having without the SDK's.
    let theirs = admin.sdk.text().await.unwrap_or_else(|error| {
        tracing::warn!("The SDK's metrics cannot be read: {error:#}");
        String::new()
    });
    match join(&admin.registry, &theirs) {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

impl Admin {
    /// Whether payouts make progress through this process.
    async fn ready(&self) -> anyhow::Result<()> {
        match self.phases.now() {
            Phase::Starting(why) => bail!("starting: {why}"),
            Phase::Draining => bail!("draining"),
            Phase::Working => {}
        }
        self.records.ready().await.context("the records")?;
        let pollers = self.sdk.text().await.context("the SDK's metrics")?;
        // One shard that stands still is payouts that stand still: those it has cached.
        for place in &self.places {
            if !polls(&pollers, *place) {
                bail!("task queue {} is not polled by its worker {}", place.queue.name(), place.shard);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use prometheus::IntCounter;
    use temporalio_common::telemetry::metrics::{CoreMeter, MetricParameters, NewAttributes};

    use super::*;
    use crate::Tuning;

    struct Running {
        at: SocketAddr,
        http: reqwest::Client,
        phases: Phases,
        records: Records,
        meter: Arc<dyn CoreMeter>,
        _server: JoinSet<()>,
        _folder: tempfile::TempDir,
    }

    async fn running() -> Running {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("records.db").display());
        let records = Records::open(&url).await.expect("opens");
        let registry = Registry::new();
        let counter = IntCounter::new("remit_test_total", "A test.").expect("a counter");
        registry.register(Box::new(counter)).expect("registered");
        let (sdk, meter) = SdkMetrics::start().expect("starts");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let phases = Phases::new();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let places = Place::all(&Tuning { shards: 1, ..Tuning::default() });
        let server = serve(listener, phases.clone(), records.clone(), registry, Arc::new(sdk), places);
        Running { at, http, phases, records, meter, _server: server, _folder: folder }
    }

    impl Running {
        async fn ask(&self, path: &str) -> (u16, String) {
            let answer = self.http.get(format!("http://{}{path}", self.at)).send().await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("text"))
        }
    }

    #[tokio::test]
    async fn a_worker_is_ready_only_while_it_works_and_says_why_not() {
        let worker = running().await;
        assert_eq!(worker.ask("/livez").await.0, 200);
        worker.phases.enter(Phase::Starting("Temporal is away".into()));
        assert_eq!(worker.ask("/readyz").await, (503, "starting: Temporal is away\n".into()));
        worker.phases.enter(Phase::Working);
        assert_eq!(worker.ask("/readyz").await, (503, "task queue remit is not polled by its worker 0\n".into()));
        worker.phases.enter(Phase::Draining);
        assert_eq!(worker.ask("/readyz").await, (503, "draining\n".into()));
        worker.phases.enter(Phase::Working);
        worker.records.close().await;
        let (status, why) = worker.ask("/readyz").await;
        assert!(status == 503 && why.starts_with("the records: "), "{why}");
        assert_eq!(worker.ask("/livez").await.0, 200, "alive all the same");
    }

    #[tokio::test]
    async fn one_scrape_has_our_metrics_and_those_of_the_sdk() {
        let worker = running().await;
        let labels = worker.meter.new_attributes(NewAttributes::default());
        worker.meter.counter(MetricParameters::builder().name("temporal_test").build()).add(3, &labels);
        let (status, text) = worker.ask("/metrics").await;
        assert_eq!(status, 200);
        assert!(text.contains("remit_test_total 0"), "{text}");
        assert!(text.contains("temporal_test_total 3"), "{text}");
    }
}
