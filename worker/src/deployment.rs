//! Versions of the worker: a payout that was begun on one build is finished by that build, and new payouts go to the
//! version that is current. Why on both task queues: docs/decisions/0006-pinned-payouts.md.

use std::{collections::BTreeSet, time::SystemTime};

use remit_workflows::names;
use temporalio_client::{
    Client, NamespacedClient, WorkflowCountOptions,
    errors::ClientError,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::{
    protos::temporal::api::{
        deployment::v1::{WorkerDeploymentInfo, WorkerDeploymentVersion, worker_deployment_info},
        enums::v1::{TaskQueueType, WorkerDeploymentVersionStatus},
        workflowservice::v1::{
            DescribeWorkerDeploymentRequest, DescribeWorkerDeploymentVersionRequest,
            SetWorkerDeploymentCurrentVersionRequest,
        },
    },
    worker::{VersioningBehavior, WorkerDeploymentOptions},
};

/// Which build a worker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Its id: a commit, say. Two builds that differ must have two.
    pub id: String,
    /// Name of the worker deployment whose version it is; without one it is not versioned and takes any payout.
    pub deployment: Option<String>,
}

impl Build {
    /// A build that takes any payout, whichever build began it.
    pub fn unversioned(id: impl Into<String>) -> Self {
        Self { id: id.into(), deployment: None }
    }

    pub(crate) fn deployment_options(&self) -> WorkerDeploymentOptions {
        let Some(deployment) = &self.deployment else {
            return WorkerDeploymentOptions::from_build_id(self.id.clone());
        };
        let version = temporalio_common::worker::WorkerDeploymentVersion::builder()
            .deployment_name(deployment.clone())
            .build_id(self.id.clone())
            .build();
        WorkerDeploymentOptions::new(version)
            .use_worker_versioning(true)
            .default_versioning_behavior(VersioningBehavior::Pinned)
            .build()
    }
}

/// A worker deployment on the server.
#[derive(Clone)]
pub struct Deployment {
    client: Client,
    name: String,
}

/// What the server knows of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its versions, the newest first.
    pub versions: Vec<Version>,
    /// Runs that no version has taken up yet: they wait for one to be current.
    pub unassigned: u64,
}

/// A version of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its build id.
    pub build_id: String,
    /// What the server says of it.
    pub state: VersionState,
    /// When its first worker was seen.
    pub created: Option<SystemTime>,
    /// When it last became current; never, for one that was not.
    pub last_current: Option<SystemTime>,
    /// Open runs that only it can finish: payouts, and what is asked about them.
    pub open: u64,
}

/// What the server says of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionState {
    /// New payouts go to it.
    Current,
    /// A part of the new payouts goes to it.
    Ramping,
    /// Takes nothing new; what was begun on it goes on.
    Draining,
    /// The server has seen that nothing open is left on it.
    Drained,
    /// Has never been current.
    Unused,
    /// A word of a newer server.
    Other,
}

/// Whether the workers of a version may be stopped for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayStop {
    /// Nothing needs them.
    Yes,
    /// New payouts go to them.
    GetsNew,
    /// This many runs can be finished by them alone.
    Needed(u64),
    /// Nothing open is listed, but lists lag and the server has not looked yet.
    NotSure,
}

impl Version {
    /// Whether its workers may be stopped for good. Both the count and the server's own check have to agree.
    pub fn may_stop(&self) -> MayStop {
        match (self.state, self.open) {
            (VersionState::Current | VersionState::Ramping, _) => MayStop::GetsNew,
            (VersionState::Draining | VersionState::Drained | VersionState::Unused | VersionState::Other, 1..) => {
                MayStop::Needed(self.open)
            }
            (VersionState::Drained | VersionState::Unused, 0) => MayStop::Yes,
            (VersionState::Draining | VersionState::Other, 0) => MayStop::NotSure,
        }
    }
}

impl VersionState {
    /// For people and for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Ramping => "ramping",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Unused => "unused",
            Self::Other => "other",
        }
    }

    fn of(status: WorkerDeploymentVersionStatus) -> Self {
        match status {
            WorkerDeploymentVersionStatus::Current => Self::Current,
            WorkerDeploymentVersionStatus::Ramping => Self::Ramping,
            WorkerDeploymentVersionStatus::Draining => Self::Draining,
            WorkerDeploymentVersionStatus::Drained => Self::Drained,
            WorkerDeploymentVersionStatus::Inactive | WorkerDeploymentVersionStatus::Created => Self::Unused,
            WorkerDeploymentVersionStatus::Unspecified => Self::Other,
        }
    }
}

/// Why a deployment cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// The server has never seen a worker of it.
    #[error(
        "there is no worker deployment {name:?} in namespace {namespace:?}; it comes into being when a worker starts with REMIT_DEPLOYMENT={name}"
    )]
    Unknown {
        /// Its name.
        name: String,
        /// Where.
        namespace: String,
    },
    /// The server has never seen a worker of this version.
    #[error(
        "deployment {name:?} has no version {build_id:?}; start a worker of it first (REMIT_BUILD_ID={build_id}), and see `remit deployment show`"
    )]
    UnknownVersion {
        /// The deployment.
        name: String,
        /// The version.
        build_id: String,
    },
    /// The version's workers are not all there yet, or something else changed in between. Asking again helps.
    #[error("version {build_id:?} cannot become current yet: {why}")]
    NotYet {
        /// The version.
        build_id: String,
        /// What is missing.
        why: String,
    },
    /// The server did not answer, or did not want to.
    #[error("cannot {attempt}: {why}")]
    Refused {
        /// What was wanted.
        attempt: &'static str,
        /// What the server said.
        why: String,
    },
}

/// What a version has to poll before payouts may go to it.
const POLLED: [(&str, TaskQueueType, &str); 3] = [
    (names::QUEUE, TaskQueueType::Workflow, "decisions"),
    (names::QUEUE, TaskQueueType::Activity, "activities"),
    (names::PROVIDER_QUEUE, TaskQueueType::Activity, "activities"),
];

impl Deployment {
    /// The deployment of this name in the client's namespace.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// What the server knows of it.
    ///
    /// # Errors
    /// [`DeploymentError::Unknown`] when it has never seen a worker of it; otherwise what stands in the way.
    pub async fn describe(&self) -> Result<Described, DeploymentError> {
        let (info, _) = self.info().await?;
        let mut versions = vec![];
        for summary in &info.version_summaries {
            let open = self.count(&format!("TemporalWorkerDeploymentVersion = {}", self.quoted(summary))).await?;
            versions.push(version(summary, open));
        }
        versions.sort_by_key(|version| std::cmp::Reverse(version.created));
        let unassigned = self.count("TemporalWorkerDeploymentVersion IS NULL").await?;
        Ok(Described { versions, unassigned })
    }

    /// Makes new payouts go to this version. Safe to repeat.
    ///
    /// # Errors
    /// [`DeploymentError::UnknownVersion`] when no worker of it was ever seen, [`DeploymentError::NotYet`] when they do
    /// not poll everything yet; otherwise what stands in the way.
    pub async fn make_current(&self, build_id: &str) -> Result<(), DeploymentError> {
        let (info, token) = self.info().await?;
        if !info.version_summaries.iter().any(|summary| build_id_of(summary) == build_id) {
            return Err(DeploymentError::UnknownVersion { name: self.name.clone(), build_id: build_id.to_owned() });
        }
        self.set_current(build_id, token).await
    }

    /// Makes new payouts go to this version, unless it was current before: then another one has taken its place, and
    /// a worker that merely started again must not take that back. False then.
    pub(crate) async fn take_over(&self, build_id: &str) -> Result<bool, DeploymentError> {
        let (info, token) = match self.info().await {
            Err(DeploymentError::Unknown { .. }) => return Err(not_yet(build_id, "the server has not seen it")),
            other => other?,
        };
        let Some(ours) = info.version_summaries.iter().find(|summary| build_id_of(summary) == build_id) else {
            return Err(not_yet(build_id, "the server has not seen it"));
        };
        match VersionState::of(ours.status()) {
            VersionState::Current => return Ok(true),
            VersionState::Ramping | VersionState::Draining | VersionState::Drained | VersionState::Other => {
                return Ok(false);
            }
            VersionState::Unused if ours.last_current_time.is_some() => return Ok(false),
            VersionState::Unused => {}
        }
        self.set_current(build_id, token).await.map(|()| true)
    }

    /// Whether new payouts go to this version; none while nothing is known of it.
    pub(crate) async fn is_current(&self, build_id: &str) -> Result<bool, DeploymentError> {
        let info = match self.info().await {
            Err(DeploymentError::Unknown { .. }) => return Ok(false),
            other => other?.0,
        };
        let ours = info.version_summaries.iter().find(|summary| build_id_of(summary) == build_id);
        Ok(ours.is_some_and(|summary| VersionState::of(summary.status()) == VersionState::Current))
    }

    async fn set_current(&self, build_id: &str, token: Vec<u8>) -> Result<(), DeploymentError> {
        let missing = self.not_polled(build_id).await?;
        if !missing.is_empty() {
            return Err(not_yet(build_id, format!("its workers do not poll {} yet", missing.join(", "))));
        }
        let request = SetWorkerDeploymentCurrentVersionRequest {
            namespace: self.client.namespace(),
            deployment_name: self.name.clone(),
            build_id: build_id.to_owned(),
            conflict_token: token,
            identity: self.client.identity(),
            ..Default::default()
        };
        let mut service = self.client.connection().workflow_service();
        match service.set_worker_deployment_current_version(request.into_request()).await {
            Ok(_) => Ok(()),
            // Somebody else changed the deployment since we looked, or pollers have not reached the server.
            Err(status) if [Code::FailedPrecondition, Code::Aborted].contains(&status.code()) => {
                Err(not_yet(build_id, status.message()))
            }
            Err(status) => Err(refused("make a version current", &status)),
        }
    }

    /// Which of [`POLLED`] no worker of this version has ever polled.
    async fn not_polled(&self, build_id: &str) -> Result<Vec<String>, DeploymentError> {
        let version = WorkerDeploymentVersion { build_id: build_id.to_owned(), deployment_name: self.name.clone() };
        let request = DescribeWorkerDeploymentVersionRequest {
            namespace: self.client.namespace(),
            deployment_version: Some(version),
            ..Default::default()
        };
        let mut service = self.client.connection().workflow_service();
        let answer = service.describe_worker_deployment_version(request.into_request()).await;
        let answer = answer.map_err(|status| refused("look at a version", &status))?.into_inner();
        let polled: BTreeSet<(&str, i32)> =
            answer.version_task_queues.iter().map(|queue| (queue.name.as_str(), queue.r#type)).collect();
        let missing = POLLED.iter().filter(|(name, kind, _)| !polled.contains(&(*name, *kind as i32)));
        Ok(missing.map(|(name, _, of)| format!("{name} ({of})")).collect())
    }

    async fn info(&self) -> Result<(WorkerDeploymentInfo, Vec<u8>), DeploymentError> {
        let request =
            DescribeWorkerDeploymentRequest { namespace: self.client.namespace(), deployment_name: self.name.clone() };
        let mut service = self.client.connection().workflow_service();
        match service.describe_worker_deployment(request.into_request()).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                Ok((answer.worker_deployment_info.unwrap_or_default(), answer.conflict_token))
            }
            Err(status) if status.code() == Code::NotFound => {
                Err(DeploymentError::Unknown { name: self.name.clone(), namespace: self.client.namespace() })
            }
            Err(status) => Err(refused("look at the deployment", &status)),
        }
    }

    /// Open runs on our task queue of which this holds.
    async fn count(&self, holds: &str) -> Result<u64, DeploymentError> {
        let query = format!("ExecutionStatus = 'Running' AND TaskQueue = '{}' AND {holds}", names::QUEUE);
        let counted = self.client.count_workflows(query, WorkflowCountOptions::default()).await;
        match counted {
            Ok(counted) => Ok(u64::try_from(counted.count()).unwrap_or(0)),
            Err(ClientError::Rpc(status)) => Err(refused("count the open runs of a version", &status)),
            Err(error) => {
                Err(DeploymentError::Refused { attempt: "count the open runs of a version", why: error.to_string() })
            }
        }
    }

    /// A version as searches name it.
    fn quoted(&self, summary: &worker_deployment_info::WorkerDeploymentVersionSummary) -> String {
        let version = format!("{}:{}", self.name, build_id_of(summary));
        format!("'{}'", version.replace('\\', "\\\\").replace('\'', "''"))
    }
}

fn build_id_of(summary: &worker_deployment_info::WorkerDeploymentVersionSummary) -> &str {
    summary.deployment_version.as_ref().map_or("", |version| version.build_id.as_str())
}

fn version(summary: &worker_deployment_info::WorkerDeploymentVersionSummary, open: u64) -> Version {
    Version {
        build_id: build_id_of(summary).to_owned(),
        state: VersionState::of(summary.status()),
        created: summary.create_time.and_then(|time| SystemTime::try_from(time).ok()),
        last_current: summary.last_current_time.and_then(|time| SystemTime::try_from(time).ok()),
        open,
    }
}

fn not_yet(build_id: &str, why: impl Into<String>) -> DeploymentError {
    DeploymentError::NotYet { build_id: build_id.to_owned(), why: why.into() }
}

fn refused(attempt: &'static str, status: &Status) -> DeploymentError {
    DeploymentError::Refused { attempt, why: format!("{} ({:?})", status.message(), status.code()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(state: VersionState, open: u64) -> Version {
        Version { build_id: "b1".into(), state, created: None, last_current: None, open }
    }

    #[test]
    fn a_version_may_stop_only_when_count_and_server_agree_that_nothing_is_left() {
        let may = |state, open| version(state, open).may_stop();
        assert_eq!(may(VersionState::Drained, 0), MayStop::Yes);
        assert_eq!(may(VersionState::Unused, 0), MayStop::Yes);
        assert_eq!(may(VersionState::Draining, 0), MayStop::NotSure);
        assert_eq!(may(VersionState::Other, 0), MayStop::NotSure);
        for state in [VersionState::Draining, VersionState::Drained, VersionState::Unused, VersionState::Other] {
            assert_eq!(may(state, 2), MayStop::Needed(2), "{state:?}");
        }
        for open in [0, 2] {
            assert_eq!(may(VersionState::Current, open), MayStop::GetsNew);
            assert_eq!(may(VersionState::Ramping, open), MayStop::GetsNew);
        }
    }

    #[test]
    fn a_build_is_versioned_when_it_has_a_deployment_and_pins_what_it_begins() {
        let versioned = Build { id: "b1".into(), deployment: Some("remit".into()) }.deployment_options();
        assert!(versioned.use_worker_versioning);
        assert_eq!(versioned.default_versioning_behavior, Some(VersioningBehavior::Pinned));
        assert_eq!((versioned.version.deployment_name.as_str(), versioned.version.build_id.as_str()), ("remit", "b1"));
        let plain = Build::unversioned("b1").deployment_options();
        assert!(!plain.use_worker_versioning && plain.default_versioning_behavior.is_none());
        assert_eq!(plain.version.build_id, "b1");
    }
}
