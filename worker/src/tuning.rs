//! How much a worker does at a time, each number with its reason.

use std::{num::NonZero, thread::available_parallelism, time::Duration};

use anyhow::ensure;

/// How much at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Calls to the provider that start per second, over *all* workers of the namespace: the server holds to it, and
    /// the worker that polled last decides, so give all the same. A call is one to four requests, and Dfns allows
    /// 1000 requests a minute for one token (docs, "Rate limits"): 15 a second stay below that while most are polls.
    /// Default 15.
    pub provider_calls_per_second: u32,
    /// Calls to the provider under way at a time in this process. Most of their time is spent waiting. Default 40.
    pub provider_calls: usize,
    /// Writes to the records under way at a time in this process. Default 50.
    pub records_calls: usize,
    /// Workers on the decisions queue in this process, each with a thread, a connection and a part of the cache: all
    /// workflow code of one runs on one thread, and the SDK looks through its whole cache at each task. The numbers
    /// below are for the process and divided among them. Default: one for each core, at most 4.
    pub shards: usize,
    /// Workflow tasks under way at a time in this process; each shard gets two at least. Default 100.
    pub workflow_tasks: usize,
    /// Payouts kept in memory between tasks by this process, about 100 KiB each: enough for those that have something
    /// to do now, since taking up one that waited for hours from its history costs little. Default 300.
    pub max_cached_workflows: usize,
    /// How long a payout's next task may wait for the process that has it cached, in case that one was killed.
    /// Default 2 s.
    pub sticky_timeout: Duration,
    /// More than so many MiB in memory, and the worker drains and ends, to be run again: the SDK never gives back all of
    /// what an activity took. Without it, it goes on for as long as the system lets it. Default: none.
    pub memory_mib: Option<NonZero<usize>>,
    /// How long calls under way may take to end once the worker is stopped, before they are cancelled; keep it below
    /// what the container is given. Default 20 s.
    pub graceful_shutdown: Duration,
}

/// More than this many shards by themselves: on a machine with many cores, run more processes instead, so that one that
/// dies takes less with it.
const MOST_SHARDS: usize = 4;

/// One polls the queue of what is cached, the other that of what is not.
const LEAST_WORKFLOW_TASKS: usize = 2;

impl Default for Tuning {
    fn default() -> Self {
        Self {
            provider_calls_per_second: 15,
            provider_calls: 40,
            records_calls: 50,
            shards: available_parallelism().map_or(1, NonZero::get).min(MOST_SHARDS),
            workflow_tasks: 100,
            max_cached_workflows: 300,
            sticky_timeout: Duration::from_secs(2),
            memory_mib: None,
            graceful_shutdown: Duration::from_secs(20),
        }
    }
}

impl Tuning {
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let at_least = |field: &str, value: usize, least: usize| {
            ensure!(value >= least, "{field} is {value}; expected {least} or more");
            Ok(())
        };
        at_least("provider_calls_per_second", self.provider_calls_per_second as usize, 1)?;
        at_least("provider_calls", self.provider_calls, 1)?;
        at_least("records_calls", self.records_calls, 1)?;
        at_least("shards", self.shards, 1)?;
        at_least("workflow_tasks", self.workflow_tasks, LEAST_WORKFLOW_TASKS)?;
        at_least("max_cached_workflows", self.max_cached_workflows, 1)?;
        ensure!(
            self.sticky_timeout >= Duration::from_millis(100),
            "sticky_timeout is {:?}; expected 100 ms or more",
            self.sticky_timeout
        );
        Ok(())
    }

    /// What one shard gets of a number that is for the whole process.
    pub(crate) fn share(&self, whole: usize) -> usize {
        whole.div_ceil(self.shards)
    }

    /// Workflow tasks under way at a time in one shard.
    pub(crate) fn workflow_tasks_of_a_shard(&self) -> usize {
        self.share(self.workflow_tasks).max(LEAST_WORKFLOW_TASKS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_used() {
        Tuning::default().check().expect("usable");
    }

    #[test]
    fn a_number_that_stops_the_worker_is_refused_by_name() {
        type Change = fn(&mut Tuning);
        let changes: [(&str, Change); 7] = [
            ("provider_calls_per_second", |t| t.provider_calls_per_second = 0),
            ("provider_calls", |t| t.provider_calls = 0),
            ("records_calls", |t| t.records_calls = 0),
            ("shards", |t| t.shards = 0),
            ("workflow_tasks", |t| t.workflow_tasks = 1),
            ("max_cached_workflows", |t| t.max_cached_workflows = 0),
            ("sticky_timeout", |t| t.sticky_timeout = Duration::ZERO),
        ];
        for (field, change) in changes {
            let mut tuning = Tuning::default();
            change(&mut tuning);
            let error = tuning.check().expect_err(field).to_string();
            assert!(error.starts_with(&format!("{field} is ")) && error.contains("expected"), "{error}");
        }
    }

    #[test]
    fn the_default_follows_the_cores_and_stays_small() {
        let shards = Tuning::default().shards;
        assert!((1..=4).contains(&shards), "{shards}");
    }

    #[test]
    fn shards_share_the_numbers_of_the_process_and_none_goes_without() {
        let tuning = Tuning { shards: 3, max_cached_workflows: 1000, workflow_tasks: 3, ..Tuning::default() };
        assert_eq!(tuning.share(tuning.max_cached_workflows), 334);
        assert_eq!(tuning.workflow_tasks_of_a_shard(), 2);
        let one = Tuning { shards: 1, ..tuning };
        assert_eq!((one.share(one.max_cached_workflows), one.workflow_tasks_of_a_shard()), (1000, 3));
    }
}
