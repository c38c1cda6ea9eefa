//! What the activities count.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// Counters of the activities. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    found: IntCounterVec,
    confirms: IntCounterVec,
    creations: IntCounterVec,
    outcomes: IntCounterVec,
    decisions: IntCounterVec,
    released_yet_paid: IntCounter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, label: &str| {
            let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let released_yet_paid = IntCounter::new(
            "remit_released_yet_paid_total",
            "Payouts that were paid although what was reserved for them had been freed. Never more than 0.",
        )?;
        registry.register(Box::new(released_yet_paid.clone()))?;
        Ok(Self {
            released_yet_paid,
            found: counter(
                "remit_action_required_found_total",
                "Payouts found ready to be confirmed, by what made us look: nudge (a webhook), poll (no webhook came), check (taken up again).",
                "by",
            )?,
            confirms: counter("remit_confirms_total", "Answers of the confirm step.", "answer")?,
            creations: counter("remit_creations_total", "Answers of the create step.", "answer")?,
            decisions: counter("remit_decisions_total", "Decisions of the policy, by verdict.", "verdict")?,
            outcomes: counter("remit_outcomes_total", "Payouts that ended, by ending.", "ending")?,
        })
    }

    pub(crate) fn released_yet_paid(&self) {
        self.released_yet_paid.inc();
    }

    pub(crate) fn found(&self, by: &str) {
        self.found.with_label_values(&[by]).inc();
    }

    pub(crate) fn confirm(&self, answer: &str) {
        self.confirms.with_label_values(&[answer]).inc();
    }

    pub(crate) fn creation(&self, answer: &str) {
        self.creations.with_label_values(&[answer]).inc();
    }

    pub(crate) fn decision(&self, verdict: &str) {
        self.decisions.with_label_values(&[verdict]).inc();
    }

    pub(crate) fn outcome(&self, ending: &str) {
        self.outcomes.with_label_values(&[ending]).inc();
    }
}
