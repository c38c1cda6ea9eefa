//! What the relay counts.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

use crate::{answer::Answer, inbox::Handed};

/// The kind of a delivery that proved nothing, so that its word for it counts for nothing.
pub(crate) const UNVERIFIED: &str = "unverified";

#[derive(Clone)]
pub(crate) struct Metrics {
    webhooks: IntCounterVec,
    seconds: Histogram,
    handed_on: IntCounterVec,
    gaps: IntCounterVec,
    forgotten: IntCounter,
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
        let handed_on = IntCounterVec::new(
            Opts::new("remit_relay_handed_on_total", "Events handed on from the inbox, by what became of them."),
            &["result"],
        )?;
        let gaps = IntCounterVec::new(
            Opts::new(
                "remit_relay_gaps_total",
                "Failed deliveries that the provider lists: found, new among them, and lists that could not be read.",
            ),
            &["result"],
        )?;
        let forgotten = IntCounter::new("remit_relay_forgotten_total", "Old events that the inbox has forgotten.")?;
        registry.register(Box::new(webhooks.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(handed_on.clone()))?;
        registry.register(Box::new(gaps.clone()))?;
        registry.register(Box::new(forgotten.clone()))?;
        Ok(Self { webhooks, seconds, handed_on, gaps, forgotten })
    }

    pub(crate) fn handed_on(&self, handed: &Handed) {
        self.handed_on.with_label_values(&[handed.as_str()]).inc();
    }

    /// `found`, `new` or `failed`.
    pub(crate) fn gap(&self, result: &'static str) {
        self.gaps.with_label_values(&[result]).inc();
    }

    pub(crate) fn forgotten(&self, events: u64) {
        self.forgotten.inc_by(events);
    }

    pub(crate) fn answered(&self, kind: &str, answer: Answer, took: Duration) {
        self.webhooks.with_label_values(&[kind, answer.as_str()]).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}
