//! Where a worker is in its life.

use tokio::sync::watch;

/// Where a worker is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits for what it needs; why.
    Starting(String),
    /// Works.
    Working,
    /// Takes nothing new and finishes what it has.
    Draining,
}

/// The phase, told by one and read by many.
#[derive(Clone)]
pub(crate) struct Phases(watch::Sender<Phase>);

impl Phases {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Phase::Starting("not looked yet".into())))
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.0.send_replace(phase);
    }

    pub(crate) fn now(&self) -> Phase {
        self.0.borrow().clone()
    }
}
