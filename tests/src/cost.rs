//! What a run has cost, counted from its history.

use std::collections::BTreeSet;

use temporalio_common::protos::temporal::api::{
    enums::v1::EventType,
    history::v1::{HistoryEvent, history_event::Attributes},
};

/// Events and billable Actions of one run. Retries of a poll are Actions that leave no event and are not counted;
/// events of time skipping, which no production run has, are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    /// Events.
    pub events: usize,
    /// Actions, as Temporal's price list counts them.
    pub actions: usize,
}

impl Cost {
    /// Counts.
    pub fn of(history: &[HistoryEvent]) -> Self {
        let skipping =
            [EventType::WorkflowExecutionTimeSkippingTransitioned, EventType::WorkflowExecutionOptionsUpdated];
        let events: Vec<_> = history.iter().filter(|event| !skipping.contains(&event.event_type())).collect();
        let billed = [
            EventType::WorkflowExecutionStarted,
            EventType::ActivityTaskScheduled,
            EventType::TimerStarted,
            EventType::WorkflowExecutionSignaled,
            EventType::WorkflowExecutionUpdateAccepted,
            EventType::UpsertWorkflowSearchAttributes,
        ];
        // Local activities are billed once for each workflow task that has any.
        let local: BTreeSet<i64> = events
            .iter()
            .filter_map(|event| {
                let Some(Attributes::MarkerRecordedEventAttributes(marker)) = &event.attributes else { return None };
                Some(marker.workflow_task_completed_event_id)
            })
            .collect();
        let actions = events.iter().filter(|event| billed.contains(&event.event_type())).count() + local.len();
        Self { events: events.len(), actions }
    }
}
