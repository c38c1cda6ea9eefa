//! What the relay counts.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

use crate::webhook::Answer;

/// The kind of a delivery that proved nothing, so that its word for it counts for nothing.
pub(crate) const UNVERIFIED: &str = "unverified";

#[derive(Clone)]
pub(crate) struct Metrics {
    webhooks: IntCounterVec,
    seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let webhooks = IntCounterVec::new(
            Opts::new("remit_relay_webhooks_total", "Webhooks by kind of event and by what became of them."),
            &["kind", "result"],
        )?;
        let seconds = Histogram::with_opts(
            HistogramOpts::new("remit_relay_webhook_seconds", "Time from a webhook's head to our answer, in seconds.")
                .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
        )?;
        registry.register(Box::new(webhooks.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { webhooks, seconds })
    }

    pub(crate) fn answered(&self, kind: &str, answer: Answer, took: Duration) {
        self.webhooks.with_label_values(&[kind, answer.as_str()]).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}
