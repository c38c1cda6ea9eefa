//! The SDK's own metrics: gathered in a registry we cannot reach, so read over loopback and joined with ours.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use prometheus::{Registry, TextEncoder};
use temporalio_common::telemetry::{PrometheusExporterOptions, metrics::CoreMeter, start_prometheus_metric_exporter};
use tokio::task::AbortHandle;

use crate::queues::Queue;

/// Where the SDK's metrics can be read, for as long as this lives.
pub(crate) struct SdkMetrics {
    url: String,
    http: reqwest::Client,
    exporter: AbortHandle,
}

impl SdkMetrics {
    /// Starts the SDK's exporter on a free loopback port. Give the meter to what is to be counted.
    pub(crate) fn start() -> anyhow::Result<(Self, Arc<dyn CoreMeter>)> {
        let options = PrometheusExporterOptions::builder()
            .socket_addr(SocketAddr::from(([127, 0, 0, 1], 0)))
            .counters_total_suffix(true)
            .unit_suffix(true)
            .use_seconds_for_durations(true)
            .build();
        let exporter = start_prometheus_metric_exporter(options).context("the SDK's metrics have no port")?;
        // A provider may be there already: just as good. No request of this client uses it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
        let url = format!("http://{}/metrics", exporter.bound_addr);
        Ok((Self { url, http, exporter: exporter.abort_handle }, exporter.meter))
    }

    /// The SDK's metrics in Prometheus' text format.
    pub(crate) async fn text(&self) -> anyhow::Result<String> {
        let answer = self.http.get(&self.url).send().await?.error_for_status()?;
        Ok(answer.text().await?)
    }
}

impl Drop for SdkMetrics {
    fn drop(&mut self) {
        self.exporter.abort();
    }
}

/// Ours and the SDK's in one text. A family may be told of once only: of two, ours.
pub(crate) fn join(ours: &Registry, theirs: &str) -> anyhow::Result<String> {
    let families = ours.gather();
    let names: BTreeSet<&str> = families.iter().map(|family| family.name()).collect();
    let mut text = TextEncoder::new().encode_to_string(&families)?;
    let mut skips = false;
    for line in theirs.lines() {
        if let Some(family) = line.strip_prefix("# ").and_then(|comment| comment.split(' ').nth(1)) {
            skips = names.contains(family);
        }
        if !skips {
            text.push_str(line);
            text.push('\n');
        }
    }
    Ok(text)
}

/// Whether the SDK polls a queue, in its own words:
/// `temporal_num_pollers{…,poller_type="workflow_task",…,task_queue="remit"} 5`.
pub(crate) fn polls(text: &str, queue: Queue) -> bool {
    let poller = format!("poller_type=\"{}\"", queue.poller());
    let queue = format!("task_queue=\"{}\"", queue.name());
    text.lines().filter_map(|line| line.strip_prefix("temporal_num_pollers{")?.rsplit_once("} ")).any(
        |(labels, pollers)| {
            let has = |label: &str| labels.split(',').any(|found| found == label);
            has(&poller) && has(&queue) && pollers != "0"
        },
    )
}

#[cfg(test)]
mod tests {
    use prometheus::IntCounter;

    use super::*;

    const THEIRS: &str = "\
# HELP temporal_num_pollers Current number of active pollers
# TYPE temporal_num_pollers gauge
temporal_num_pollers{namespace=\"default\",poller_type=\"workflow_task\",service_name=\"s\",task_queue=\"remit\"} 2
temporal_num_pollers{namespace=\"default\",poller_type=\"activity_task\",service_name=\"s\",task_queue=\"remit\"} 5
temporal_num_pollers{namespace=\"default\",poller_type=\"activity_task\",service_name=\"s\",task_queue=\"remit-provider\"} 0
# HELP shared_total Theirs
# TYPE shared_total counter
shared_total 7
# TYPE temporal_request counter
temporal_request 1
";

    #[test]
    fn a_family_that_both_have_is_told_of_once() {
        let registry = Registry::new();
        let counter = IntCounter::new("shared_total", "Ours").expect("a counter");
        registry.register(Box::new(counter)).expect("registered");
        let text = join(&registry, THEIRS).expect("joined");
        assert_eq!(text.matches("# TYPE shared_total").count(), 1, "{text}");
        assert!(text.contains("# HELP shared_total Ours") && !text.contains("shared_total 7"), "{text}");
        assert!(text.contains("temporal_request 1") && text.contains("temporal_num_pollers{"), "{text}");
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn a_queue_is_polled_when_its_own_poller_runs() {
        assert!(polls(THEIRS, Queue::Decisions));
        assert!(!polls(THEIRS, Queue::Provider), "none runs");
        let only_activities = THEIRS.replace("poller_type=\"workflow_task\"", "poller_type=\"nexus_task\"");
        assert!(!polls(&only_activities, Queue::Decisions));
        assert!(!polls("", Queue::Decisions));
    }
}
