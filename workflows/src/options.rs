//! Timeouts, retries and priorities by kind of call, each with its reason.

use std::time::Duration;

use temporalio_common::Priority;
use temporalio_workflow::{
    ActivityCloseTimeouts, ActivityOptions, LocalActivityOptions, RetryPolicy, WorkflowCancellationToken,
};

use crate::names;

/// One attempt of a call to the provider: up to four requests of a few seconds each.
const ATTEMPT: Duration = Duration::from_secs(45);

/// What waits for the provider goes in this order: what is under way before what begins, or more and more is created and
/// little confirmed when payouts are started faster than the provider takes calls
/// (docs/decisions/0013-under-way-before-new.md). The numbers are Temporal's priority keys, 3 its default.
#[derive(Clone, Copy)]
pub(crate) enum Urgency {
    /// Confirm and cancel.
    Confirm = 1,
    /// What else a payout at the provider needs: a read because something happened, a fresh quote before Confirm.
    UnderWay = 2,
    /// Whatever comes before there is a payout at the provider.
    Begin = 3,
    /// A look now and then.
    Poll = 4,
}

/// A call that changes something at the provider, or prepares to: retried until `give_up`, since an unknown outcome
/// is no failure and the same request may be repeated.
pub(crate) fn provider(
    summary: &str,
    urgency: Urgency,
    give_up: Duration,
    scope: &WorkflowCancellationToken,
) -> ActivityOptions {
    ActivityOptions::with_close_timeouts(ActivityCloseTimeouts::ScheduleAndStartToClose {
        start_to_close: ATTEMPT,
        schedule_to_close: give_up,
    })
    .retry_policy(patiently())
    .task_queue(names::PROVIDER_QUEUE.to_owned())
    .priority(Priority::builder().priority_key(urgency as u32).build())
    .summary(summary.to_owned())
    .cancellation_token(scope.clone())
    .build()
}

/// Reading until something is so. No limit of its own: the timer beside it is the deadline.
pub(crate) fn poll(summary: &str, scope: &WorkflowCancellationToken) -> ActivityOptions {
    ActivityOptions::with_close_timeouts(ActivityCloseTimeouts::StartToClose(ATTEMPT))
        .retry_policy(patiently())
        .task_queue(names::PROVIDER_QUEUE.to_owned())
        .priority(Priority::builder().priority_key(Urgency::Poll as u32).build())
        .summary(summary.to_owned())
        .cancellation_token(scope.clone())
        .build()
}

/// A write to the records through the task queue: for when the worker at hand could not do it. Retried for ever: with
/// the records away nothing is created or confirmed, and nothing is given up either.
pub(crate) fn records(summary: &str, scope: &WorkflowCancellationToken) -> ActivityOptions {
    ActivityOptions::with_close_timeouts(ActivityCloseTimeouts::StartToClose(Duration::from_secs(15)))
        .retry_policy(patiently())
        .task_queue(names::QUEUE.to_owned())
        .summary(summary.to_owned())
        .cancellation_token(scope.clone())
        .build()
}

/// A write to the records by the worker at hand, inside the workflow task: one event instead of six. Short, so that a
/// database that is away costs one try here and then waits in the task queue like everything else.
pub(crate) fn records_at_hand(summary: &str, scope: &WorkflowCancellationToken) -> LocalActivityOptions {
    LocalActivityOptions::builder()
        .start_to_close_timeout(Duration::from_secs(4))
        .schedule_to_close_timeout(Duration::from_secs(6))
        .retry_policy(RetryPolicy::builder().maximum_attempts(2).initial_interval(Duration::from_millis(100)).build())
        .summary(summary.to_owned())
        .cancellation_token(scope.clone())
        .build()
}

fn patiently() -> RetryPolicy {
    RetryPolicy::builder()
        .initial_interval(Duration::from_secs(1))
        .backoff_coefficient(2.0)
        .maximum_interval(Duration::from_secs(120))
        .build()
}
