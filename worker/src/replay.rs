//! Replays recorded histories against the workflows of this build: would it decide again as it was decided then?
//!
//! A payout that is open while a new build is deployed is replayed by it. Where the new code decides otherwise, the
//! payout's next workflow task fails until the old build is back; so this is asked before a deploy.

use std::time::Duration;

use temporalio_client::WorkflowHistory;
use temporalio_common::{
    data_converters::DataConverter,
    protos::{
        constants::LOCAL_ACTIVITY_MARKER_NAME,
        temporal::api::{
            enums::v1::EventType,
            history::v1::{History, HistoryEvent, history_event::Attributes},
        },
    },
};
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};
use tokio::{runtime::Handle, sync::oneshot};

use crate::queues::register_workflows;

/// What is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cuts {
    /// The history as it is.
    Whole,
    /// Also as it was after each of its workflow tasks, and as a worker is given it that takes the run over at one.
    EveryTask,
}

/// A history that this build decides again as it was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Events in it.
    pub events: usize,
    /// Workflow tasks that were completed in it.
    pub tasks: usize,
    /// How many of its beginnings were replayed beside the whole.
    pub prefixes: usize,
}

impl Replayed {
    fn of(history: &History) -> Self {
        Self { events: history.events.len(), tasks: tasks(history).len(), prefixes: 0 }
    }
}

/// A history that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It would never end.
    #[error("it cannot be replayed: {0}")]
    Unusable(String),
    /// This build decides otherwise, or its code fails.
    #[error("{why}; {}", place(*.after, *.until))]
    Differs {
        /// What the SDK says.
        why: String,
        /// The last event up to which the history still replays; 0 when there is none.
        after: i64,
        /// The last event of the shortest beginning that does not.
        until: i64,
    },
    /// The code of the workflow does not come to an end, or the replayer waits for something that never comes.
    #[error(
        "its replay did not end within {0:?}, cut after event {1}: does the workflow's code wait for something \
             other than its context?"
    )]
    Endless(Duration, i64),
    /// The replayer itself failed.
    #[error("the replayer failed: {0}")]
    Replayer(String),
}

fn place(after: i64, until: i64) -> String {
    match after {
        0 => format!("in the events up to {until}"),
        after => format!("events 1 to {after} replay, events 1 to {until} do not"),
    }
}

/// Replays a history, whose payloads this converter reads. Needs a Tokio runtime.
///
/// # Errors
/// When this build does not decide as the history says, or `limit` passes in one replay.
pub async fn replay(
    history: &History,
    converter: &DataConverter,
    cuts: Cuts,
    limit: Duration,
) -> Result<Replayed, Failure> {
    usable(history)?;
    let mut replayed = Replayed::of(history);
    let (tasks, whole) = (tasks(history), whole(history));
    if cuts == Cuts::Whole {
        match together(vec![beginning(history, whole)], converter, limit).await {
            // The shortest beginning that fails says where.
            Err(Failure::Differs { .. }) => {}
            Err(other @ (Failure::Unusable(_) | Failure::Endless(..) | Failure::Replayer(_))) => return Err(other),
            Ok(()) => return Ok(replayed),
        }
    }
    let ends = tasks.iter().map(|task| task.end).filter(|end| *end < whole);
    let mut cuts: Vec<History> = ends.chain([whole]).map(|end| beginning(history, end)).collect();
    let starts = tasks.iter().filter(|task| !task.has_local_activity).map(|task| beginning(history, task.start));
    cuts.extend(starts);
    replayed.prefixes = cuts.len() - 1;
    if together(cuts.clone(), converter, limit).await.is_ok() {
        return Ok(replayed);
    }
    let mut good = 0;
    for cut in cuts {
        let until = last(&cut);
        match together(vec![cut], converter, limit).await {
            Ok(()) => good = good.max(until),
            Err(Failure::Differs { why, until, .. }) => return Err(Failure::Differs { why, after: good, until }),
            Err(other @ (Failure::Unusable(_) | Failure::Endless(..) | Failure::Replayer(_))) => return Err(other),
        }
    }
    Ok(replayed)
}

/// Replays histories as they are with one replayer: a worker that has a run to take up makes nothing anew for it either.
/// Gives the number of their events. Needs a Tokio runtime.
///
/// # Errors
/// As [`replay`], without saying which history it was; `limit` is for all of them.
pub async fn replay_all(histories: &[History], converter: &DataConverter, limit: Duration) -> Result<usize, Failure> {
    histories.iter().try_for_each(usable)?;
    let all = histories.iter().map(|history| beginning(history, whole(history))).collect();
    together(all, converter, limit).await?;
    Ok(histories.iter().map(|history| history.events.len()).sum())
}

/// The replayer waits for ever for what these would never give it.
fn usable(history: &History) -> Result<(), Failure> {
    let unusable = |why: &str| Err(Failure::Unusable(why.to_owned()));
    let [first, _, ..] = &history.events[..] else {
        return Err(Failure::Unusable(format!("it has {} events, too few to decide anything", history.events.len())));
    };
    let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = &first.attributes else {
        return unusable(
            "it does not begin with WorkflowExecutionStarted; was it downloaded newest first, or in part?",
        );
    };
    if started.original_execution_run_id.is_empty() || started.workflow_type.is_none() {
        return unusable("its first event names no run or no type of workflow");
    }
    let gap = history.events.iter().zip(1..).find(|(event, id)| event.event_id != *id);
    if let Some((event, id)) = gap {
        return Err(Failure::Unusable(format!("event {id} is missing, event {} stands there", event.event_id)));
    }
    Ok(())
}

/// How many events can be replayed: nothing was decided yet in a task that is only started, and it may be one at which
/// the replayer cannot stop.
fn whole(history: &History) -> usize {
    let is_in_a_task = history.events.last().is_some_and(|event| event.event_type() == EventType::WorkflowTaskStarted);
    history.events.len() - usize::from(is_in_a_task)
}

/// A workflow task that was completed.
struct Task {
    /// How many events a worker is given that takes the run over here.
    start: usize,
    /// How many there are with what was decided.
    end: usize,
    /// Something was done inside the task. The replayer does nothing, so it cannot stop at the start of such a task: it
    /// panics in debug builds when something else was decided beside (SDK 1.1, "outgoing commands … eviction").
    has_local_activity: bool,
}

fn tasks(history: &History) -> Vec<Task> {
    let events = &history.events;
    let completed = (1..).zip(events).filter(|(_, event)| event.event_type() == EventType::WorkflowTaskCompleted);
    let task = |(count, _): (usize, _)| {
        let decided = events[count..].iter().take_while(|event| event.is_command_event());
        let decided: Vec<&HistoryEvent> = decided.collect();
        let has_local_activity = decided.iter().any(|event| is_local_activity(event));
        // The event before is the one that the task was started with.
        Task { start: count - 1, end: count + decided.len(), has_local_activity }
    };
    completed.map(task).collect()
}

fn is_local_activity(event: &HistoryEvent) -> bool {
    let Some(Attributes::MarkerRecordedEventAttributes(marker)) = &event.attributes else { return false };
    marker.marker_name == LOCAL_ACTIVITY_MARKER_NAME
}

fn beginning(history: &History, count: usize) -> History {
    History { events: history.events[..count].to_vec() }
}

fn last(history: &History) -> i64 {
    history.events.last().map_or(0, |event| event.event_id)
}

/// Some replays, one after the other, on a thread of their own, since workflow code is not `Send` and may get stuck. One
/// that does keeps its thread until the process ends.
async fn together(histories: Vec<History>, converter: &DataConverter, limit: Duration) -> Result<(), Failure> {
    if histories.is_empty() {
        return Ok(());
    }
    let converter = converter.clone();
    let until = histories.iter().map(last).max().unwrap_or_default();
    let (done, ended) = oneshot::channel();
    let tokio = Handle::current();
    std::thread::Builder::new()
        .name("replay".to_owned())
        .spawn(move || {
            // Nobody listens any more when it took too long.
            let _ = done.send(tokio.block_on(with_the_sdk(histories, converter)));
        })
        .map_err(|error| Failure::Replayer(format!("no thread: {error}")))?;
    match tokio::time::timeout(limit, ended).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Failure::Replayer("it panicked; the panic is on stderr".to_owned())),
        Err(_) => Err(Failure::Endless(limit, until)),
    }
}

/// The first difference, when there is one; of several histories the SDK does not say for sure whose it is.
async fn with_the_sdk(histories: Vec<History>, converter: DataConverter) -> Result<(), Failure> {
    let until = histories.iter().map(last).max().unwrap_or_default();
    let replayer = replayer(converter).map_err(|error| Failure::Replayer(format!("{error:#}")))?;
    let count = histories.len();
    let results = replayer
        .replay_workflows(histories.into_iter().map(WorkflowHistory::from))
        .await
        .map_err(|error| Failure::Replayer(error.to_string()))?;
    if results.len() != count {
        return Err(Failure::Replayer(format!("it gave {} results for {count} histories", results.len())));
    }
    match results.into_iter().find_map(|result| result.replay_failure) {
        None => Ok(()),
        Some(failure) => Err(Failure::Differs { why: plain(&failure.to_string()), after: 0, until }),
    }
}

/// The SDK gives its message inside the debug form of a failure: `kind: … message: "…", source: …`.
fn plain(why: &str) -> String {
    let message = why.split_once("message: \"").and_then(|(_, rest)| rest.split_once("\", source: "));
    match (why.split_once(": "), message) {
        (Some((kind, _)), Some((message, _))) => format!("{kind}: {}", message.replace("\\\"", "\"")),
        _ => why.to_owned(),
    }
}

fn replayer(converter: DataConverter) -> anyhow::Result<WorkflowReplayer> {
    let options = register_workflows!(WorkflowReplayerOptions::new()).data_converter(converter).build();
    Ok(WorkflowReplayer::new(options)?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::history;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A run that is refused for want of input: the shortest that ends.
    fn refused() -> Vec<Value> {
        vec![
            json!({"eventId": "1", "eventTime": "2026-01-01T00:00:00Z", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
                "workflowExecutionStartedEventAttributes": {
                    "workflowType": {"name": "payout"}, "taskQueue": {"name": "remit"}, "attempt": 1,
                    "workflowTaskTimeout": "10s", "workflowId": "payout-a",
                    "originalExecutionRunId": "run-1", "firstExecutionRunId": "run-1",
            }}),
            json!({"eventId": "2", "eventType": "EVENT_TYPE_WORKFLOW_TASK_SCHEDULED",
                "workflowTaskScheduledEventAttributes": {"attempt": 1}}),
            json!({"eventId": "3", "eventTime": "2026-01-01T00:00:01Z", "eventType": "EVENT_TYPE_WORKFLOW_TASK_STARTED",
                "workflowTaskStartedEventAttributes": {"scheduledEventId": "2"}}),
            json!({"eventId": "4", "eventType": "EVENT_TYPE_WORKFLOW_TASK_COMPLETED",
                "workflowTaskCompletedEventAttributes": {"scheduledEventId": "2", "startedEventId": "3"}}),
            json!({"eventId": "5", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_FAILED",
                "workflowExecutionFailedEventAttributes": {"workflowTaskCompletedEventId": "4"}}),
        ]
    }

    async fn replayed(events: Vec<Value>, cuts: Cuts) -> Result<Replayed, Failure> {
        let history = history::read(Value::from(events).to_string().as_bytes()).expect("a history");
        replay(&history, &DataConverter::default(), cuts, PATIENCE).await
    }

    #[tokio::test]
    async fn what_was_decided_is_decided_again() {
        let whole = replayed(refused(), Cuts::Whole).await.expect("it replays");
        assert_eq!(whole, Replayed { events: 5, tasks: 1, prefixes: 0 });
        let cut = replayed(refused(), Cuts::EveryTask).await.expect("it replays");
        assert_eq!(cut, Replayed { events: 5, tasks: 1, prefixes: 1 });
    }

    #[tokio::test]
    async fn a_run_that_nobody_has_taken_up_yet_replays() {
        for length in [2, 3, 4] {
            let events = refused().into_iter().take(length).collect();
            assert_eq!(replayed(events, Cuts::EveryTask).await.expect("it replays").events, length);
        }
    }

    #[tokio::test]
    async fn another_decision_is_a_difference_and_its_place_is_named() {
        let mut events = refused();
        events[4] = json!({"eventId": "5", "eventType": "EVENT_TYPE_TIMER_STARTED",
            "timerStartedEventAttributes": {"timerId": "1", "startToFireTimeout": "60s", "workflowTaskCompletedEventId": "4"}});
        for cuts in [Cuts::Whole, Cuts::EveryTask] {
            let failure = replayed(events.clone(), cuts).await.expect_err("it does not replay");
            assert_eq!(
                failure.to_string(),
                "workflow replay was nondeterministic: [TMPRL1100] Nondeterminism error: Fail workflow machine does \
                 not handle this event: HistoryEvent(id: 5, TimerStarted); in the events up to 5"
            );
        }
    }

    #[tokio::test]
    async fn of_several_histories_with_one_replayer_one_that_differs_is_found_wherever_it_stands() {
        let history = |run: &str, differs: bool| {
            let mut events = refused();
            events[0]["workflowExecutionStartedEventAttributes"]["originalExecutionRunId"] = json!(run);
            if differs {
                events[4] = json!({"eventId": "5", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED",
                    "workflowExecutionCompletedEventAttributes": {"workflowTaskCompletedEventId": "4"}});
            }
            history::read(Value::from(events).to_string().as_bytes()).expect("a history")
        };
        let good = [history("run-1", false), history("run-2", false), history("run-3", false)];
        let converter = DataConverter::default();
        assert_eq!(replay_all(&good, &converter, PATIENCE).await.expect("they replay"), 15);
        for place in 0..good.len() {
            let mut all = good.clone();
            all[place] = history("run-4", true);
            let failure = replay_all(&all, &converter, PATIENCE).await.expect_err("one does not replay");
            assert!(matches!(failure, Failure::Differs { .. }), "{failure:?}");
        }
    }

    #[tokio::test]
    async fn a_workflow_that_this_build_does_not_have_is_a_difference() {
        let mut events = refused();
        events[0]["workflowExecutionStartedEventAttributes"]["workflowType"]["name"] = json!("something_else");
        let failure = replayed(events, Cuts::Whole).await.expect_err("it does not replay");
        assert!(matches!(failure, Failure::Differs { after: 0, .. }), "{failure:?}");
    }

    #[tokio::test]
    async fn what_would_hang_the_replayer_is_refused() {
        let without = |removed: usize| {
            let mut events = refused();
            events.remove(removed);
            events
        };
        let mut nameless = refused();
        nameless[0]["workflowExecutionStartedEventAttributes"]["originalExecutionRunId"] = json!("");
        let mut reversed = refused();
        reversed.reverse();
        let cases = [
            (vec![], "0 events"),
            (refused().into_iter().take(1).collect(), "1 events"),
            (without(0), "does not begin with"),
            (reversed, "newest first"),
            (without(2), "event 3 is missing"),
            (nameless, "names no run"),
        ];
        for (events, expected) in cases {
            let failure = replayed(events, Cuts::EveryTask).await.expect_err(expected);
            assert!(matches!(&failure, Failure::Unusable(why) if why.contains(expected)), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_replay_that_does_not_end_is_given_up() {
        let history = history::read(Value::from(refused()).to_string().as_bytes()).expect("a history");
        let failure =
            replay(&history, &DataConverter::default(), Cuts::Whole, Duration::ZERO).await.expect_err("no time");
        assert!(matches!(failure, Failure::Endless(..)), "{failure}");
    }
}
