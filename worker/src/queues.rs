//! The two task queues, and what is registered on each.

use std::fmt;

use remit_activities::Activities;
use remit_workflows::names;
use temporalio_sdk::{
    WorkerOptions,
    runtime::worker_tuner::{FixedSizeSlotSupplier as Slots, TunerHolder},
};

use crate::{Build, Tuning};

/// Registers the workflows of this build: those that a worker runs are those that a replay checks.
macro_rules! register_workflows {
    ($options:expr) => {
        $options
            .register_workflow::<remit_workflows::Payout>()?
            .register_workflow::<remit_workflows::PayoutRetry>()?
            .register_workflow::<remit_workflows::PayoutCheckRun>()?
    };
}
pub(crate) use register_workflows;

/// A task queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Decisions, and writes to the records.
    Decisions,
    /// Calls to the provider.
    Provider,
}

/// Where one worker works: its queue, and which of several on that queue it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) queue: Queue,
    pub(crate) shard: usize,
}

impl Place {
    /// One worker each. Calls to the provider need no second one: they are spread over all threads as they are.
    pub(crate) fn all(tuning: &Tuning) -> Vec<Self> {
        let decisions = (0..tuning.shards).map(|shard| Self { queue: Queue::Decisions, shard });
        decisions.chain([Self { queue: Queue::Provider, shard: 0 }]).collect()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.queue.name(), self.shard)
    }
}

impl Queue {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 2] = [Self::Decisions, Self::Provider];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Decisions => names::QUEUE,
            Self::Provider => names::PROVIDER_QUEUE,
        }
    }

    /// How the SDK's gauge calls the polls without which this queue stands still.
    pub(crate) fn poller(self) -> &'static str {
        match self {
            Self::Decisions => "workflow_task",
            Self::Provider => "activity_task",
        }
    }

    /// Every activity is registered on both: which queue one goes to is for the workflow to say.
    pub(crate) fn options(
        self,
        tuning: &Tuning,
        build: &Build,
        activities: Activities,
    ) -> anyhow::Result<WorkerOptions> {
        let records_calls = tuning.share(tuning.records_calls);
        let calls = match self {
            Self::Decisions => records_calls,
            Self::Provider => tuning.provider_calls,
        };
        let tuner = TunerHolder::builder()
            .workflow_task_slot_supplier(Slots::new(tuning.workflow_tasks_of_a_shard()))
            .activity_task_slot_supplier(Slots::new(calls))
            .local_activity_task_slot_supplier(Slots::new(records_calls))
            .nexus_task_slot_supplier(Slots::new(1))
            .build();
        let options = WorkerOptions::new(self.name())
            .deployment_options(build.deployment_options())
            .tuner(tuner)
            .graceful_shutdown_period(tuning.graceful_shutdown)
            .register_activities(activities);
        Ok(match self {
            Self::Decisions => register_workflows!(options)
                .max_cached_workflows(tuning.share(tuning.max_cached_workflows))
                .sticky_queue_schedule_to_start_timeout(tuning.sticky_timeout)
                .build(),
            Self::Provider => {
                options.max_task_queue_activities_per_second(f64::from(tuning.provider_calls_per_second)).build()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use remit_activities::{Names, PolicySettings, PollCadence, Settings, TimeLimits};
    use remit_domain::policy::Publishers;
    use remit_records::Records;
    use remit_screening::Screener;

    use super::*;

    async fn activities(folder: &std::path::Path) -> Activities {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../dfns/fixtures/dfns-signing-vectors.json")).expect("JSON");
        let key = vectors["vectors"][0]["private_key_pkcs8_pem"].as_str().expect("a key");
        let dfns = remit_dfns::Settings::new("http://127.0.0.1:1", "token".into(), "cr-1", key.into());
        let settings = Settings {
            dfns,
            user_id: "us-1".into(),
            cadence: PollCadence::default(),
            time: TimeLimits::default(),
            policy: PolicySettings {
                namespace: "default".into(),
                publishers: Publishers { keys: [].into(), quorum: 1, at_least: 0 },
            },
            screener: Arc::new(Screener::new(vec![])),
            names: Names::OnlyEncrypted,
        };
        let records = Records::open(&format!("sqlite://{}", folder.join("records.db").display())).await.expect("opens");
        Activities::new(settings, records, &prometheus::Registry::new()).expect("usable")
    }

    /// The lines of the contract's names that are activities.
    fn contract() -> Vec<String> {
        let lines: Vec<&str> = include_str!("../../workflows/src/names.rs").lines().collect();
        let named = |pair: &[&str]| {
            let name = pair[1].split('"').nth(1);
            name.filter(|_| pair[0].starts_with("/// Activity: ")).map(str::to_owned)
        };
        lines.windows(2).filter_map(named).collect()
    }

    #[tokio::test]
    async fn every_activity_of_the_contract_is_registered_on_both_queues() {
        let folder = tempfile::tempdir().expect("a folder");
        let activities = activities(folder.path()).await;
        let contract = contract();
        assert!(contract.len() >= 7, "{contract:?}");
        for queue in Queue::ALL {
            let options =
                queue.options(&Tuning::default(), &Build::unversioned("test"), activities.clone()).expect("usable");
            let registered = format!("{:?}", options.activities());
            for name in &contract {
                assert!(registered.contains(&format!("{name:?}")), "{name} is not in {registered}");
            }
        }
    }

    #[test]
    fn decisions_have_a_place_for_each_shard_and_the_provider_has_one() {
        let names = |shards| -> Vec<String> {
            Place::all(&Tuning { shards, ..Tuning::default() }).iter().map(ToString::to_string).collect()
        };
        assert_eq!(names(1), ["remit/0", "remit-provider/0"]);
        assert_eq!(names(3), ["remit/0", "remit/1", "remit/2", "remit-provider/0"]);
    }

    #[tokio::test]
    async fn a_shard_has_its_part_of_the_cache() {
        let folder = tempfile::tempdir().expect("a folder");
        let activities = activities(folder.path()).await;
        let tuning = Tuning { shards: 4, max_cached_workflows: 1000, ..Tuning::default() };
        let options = Queue::Decisions.options(&tuning, &Build::unversioned("test"), activities).expect("usable");
        assert_eq!(options.max_cached_workflows, 250);
    }

    #[tokio::test]
    async fn only_the_provider_queue_has_a_rate_and_only_the_other_runs_workflows() {
        let folder = tempfile::tempdir().expect("a folder");
        let activities = activities(folder.path()).await;
        let tuning = Tuning { provider_calls_per_second: 7, ..Tuning::default() };
        let decisions =
            Queue::Decisions.options(&tuning, &Build::unversioned("test"), activities.clone()).expect("usable");
        let provider = Queue::Provider.options(&tuning, &Build::unversioned("test"), activities).expect("usable");
        assert_eq!(decisions.max_task_queue_activities_per_second, None);
        assert_eq!(provider.max_task_queue_activities_per_second, Some(7.0));
        assert!(format!("{:?}", decisions.workflows()).contains(names::PAYOUT));
        assert!(!format!("{:?}", provider.workflows()).contains(names::PAYOUT));
    }
}
