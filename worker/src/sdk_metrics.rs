//! The SDK's own metrics: gathered in a registry we cannot reach, so read over loopback and joined with ours.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use prometheus::{Registry, TextEncoder};
use temporalio_common::telemetry::{PrometheusExporterOptions, metrics::CoreMeter, start_prometheus_metric_exporter};
use tokio::task::AbortHandle;

use crate::{queues::Place, shard_meter};

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

/// Whether the SDK polls in this place, in its own words:
/// `temporal_num_pollers{…,poller_type="workflow_task",…,shard="0",task_queue="remit"} 5`.
pub(crate) fn polls(text: &str, place: Place) -> bool {
    let poller = format!("poller_type=\"{}\"", place.queue.poller());
    let queue = format!("task_queue=\"{}\"", place.queue.name());
    let shard = format!("{}=\"{}\"", shard_meter::LABEL, place.shard);
    text.lines().filter_map(|line| line.strip_prefix("temporal_num_pollers{")?.rsplit_once("} ")).any(
        |(labels, pollers)| {
            let has = |label: &str| labels.split(',').any(|found| found == label);
            has(&poller) && has(&queue) && has(&shard) && pollers != "0"
        },
    )
}

#[cfg(test)]
mod tests {
    use prometheus::IntCounter;
    use temporalio_common::telemetry::metrics::{MetricKeyValue, MetricParameters};

    use super::*;
    use crate::queues::Queue;

    const THEIRS: &str = "\
# HELP temporal_num_pollers Current number of active pollers
# TYPE temporal_num_pollers gauge
temporal_num_pollers{namespace=\"default\",poller_type=\"workflow_task\",service_name=\"s\",shard=\"0\",task_queue=\"remit\"} 2
temporal_num_pollers{namespace=\"default\",poller_type=\"activity_task\",service_name=\"s\",shard=\"0\",task_queue=\"remit\"} 5
temporal_num_pollers{namespace=\"default\",poller_type=\"workflow_task\",service_name=\"s\",shard=\"1\",task_queue=\"remit\"} 0
temporal_num_pollers{namespace=\"default\",poller_type=\"activity_task\",service_name=\"s\",shard=\"0\",task_queue=\"remit-provider\"} 0
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
    fn a_place_is_polled_when_its_own_poller_runs() {
        let decisions = |shard| Place { queue: Queue::Decisions, shard };
        assert!(polls(THEIRS, decisions(0)));
        assert!(!polls(THEIRS, decisions(1)), "the other shard's pollers are not its own");
        assert!(!polls(THEIRS, decisions(2)), "not there");
        assert!(!polls(THEIRS, Place { queue: Queue::Provider, shard: 0 }), "none runs");
        let only_activities = THEIRS.replace("poller_type=\"workflow_task\"", "poller_type=\"nexus_task\"");
        assert!(!polls(&only_activities, decisions(0)));
        assert!(!polls("", decisions(0)));
    }

    #[tokio::test]
    async fn two_shards_do_not_write_over_each_others_gauges() {
        let (sdk, meter) = SdkMetrics::start().expect("starts");
        for (shard, pollers) in [(0, 2), (1, 0)] {
            let meter = shard_meter::ShardMeter::new(Arc::clone(&meter), shard);
            let labels = meter.new_attributes([("poller_type", "workflow_task")].map(label).into());
            let labels = meter.extend_attributes(labels, [("task_queue", "remit")].map(label).into());
            meter.gauge(MetricParameters::builder().name("temporal_num_pollers").build()).record(pollers, &labels);
        }
        let text = sdk.text().await.expect("scraped");
        assert!(polls(&text, Place { queue: Queue::Decisions, shard: 0 }), "{text}");
        assert!(!polls(&text, Place { queue: Queue::Decisions, shard: 1 }), "{text}");
    }

    fn label((name, value): (&'static str, &'static str)) -> MetricKeyValue {
        MetricKeyValue::new(name, value)
    }
}
