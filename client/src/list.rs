//! Lists payouts by what they are searched for. What is listed lags a little: look, never decide on money.

use std::{fmt, time::SystemTime};

use futures::TryStreamExt;
use jiff::Timestamp;
use remit_domain::{Program, Stage, WalletId};
use remit_workflows::{names, search};
use temporalio_client::{WorkflowExecutionStatus, WorkflowListOptions, errors::ClientError};

use crate::{PayoutClient, Unavailable};

/// Which payouts.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Only in this stage.
    pub stage: Option<Stage>,
    /// Only of this program.
    pub program: Option<Program>,
    /// Only from this wallet.
    pub wallet: Option<WalletId>,
    /// Only those started before this.
    pub started_before: Option<SystemTime>,
    /// Only those that wait for somebody: a person's decision, a release, an approval here or at the provider.
    pub needs_attention: bool,
    /// Only those that wait for this one, in the words of [`search`], such as [`search::AN_APPROVAL`].
    pub waits_for: Option<&'static str>,
    /// Only with such runs.
    pub runs: Runs,
    /// At most so many; default 50.
    pub limit: usize,
}

/// Which runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// Those that go on.
    Open,
    /// Those that are over.
    Closed,
    /// All.
    All,
}

/// A run of a payout in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its workflow.
    pub workflow_id: String,
    /// The payout's key.
    pub key: String,
    /// The run. A payout has several when one was refused or terminated and it was started again.
    pub run_id: String,
    /// Where it is, in the words of [`Stage`].
    pub stage: Option<String>,
    /// The caller's program.
    pub program: Option<String>,
    /// The paying wallet.
    pub wallet: Option<String>,
    /// The token, by standard and address.
    pub asset: Option<String>,
    /// What Temporal says of the run.
    pub status: RunStatus,
    /// When it was started.
    pub started: Option<SystemTime>,
    /// When it was over.
    pub closed: Option<SystemTime>,
}

/// What Temporal says of a run. How a payout ended is its stage: every ending but refused input is `Completed` here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// It goes on.
    Running,
    /// It has an outcome.
    Completed,
    /// Its input was refused.
    Failed,
    /// It was ended from outside.
    Terminated,
    /// Anything else, in Temporal's word.
    Other(String),
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            stage: None,
            program: None,
            wallet: None,
            started_before: None,
            needs_attention: false,
            waits_for: None,
            runs: Runs::All,
            limit: 50,
        }
    }
}

impl PayoutClient {
    /// Lists payouts, the newest first.
    ///
    /// # Errors
    /// When Temporal does not answer, or does not know our search attributes.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<Listed>, Unavailable> {
        let options = WorkflowListOptions::builder().limit(filter.limit).build();
        let found = self.temporal.list_workflows(query(filter), options).map_ok(|run| {
            let attributes = run.search_attributes();
            Listed {
                workflow_id: run.id().to_owned(),
                key: key_of(run.id()),
                run_id: run.run_id().to_owned(),
                stage: attributes.get(&search::STAGE),
                program: attributes.get(&search::PROGRAM),
                wallet: attributes.get(&search::WALLET),
                asset: attributes.get(&search::ASSET),
                status: RunStatus::of(run.status()),
                started: run.start_time(),
                closed: run.close_time(),
            }
        });
        found.try_collect().await.map_err(|error| match error {
            ClientError::Rpc(status) => Unavailable::because("list payouts", &status),
            ClientError::PayloadConversion(_) => Unavailable::new("list payouts", error.to_string()),
            // What a newer SDK may add.
            _ => Unavailable::new("list payouts", error.to_string()),
        })
    }
}

impl RunStatus {
    pub(crate) fn of(status: WorkflowExecutionStatus) -> Self {
        use WorkflowExecutionStatus as S;
        match status {
            S::Running => Self::Running,
            S::Completed => Self::Completed,
            S::Failed => Self::Failed,
            S::Terminated => Self::Terminated,
            S::Canceled | S::TimedOut | S::ContinuedAsNew | S::Paused | S::Unspecified | S::Unknown => {
                Self::Other(format!("{status:?}"))
            }
            // What a newer SDK may add.
            _ => Self::Other(format!("{status:?}")),
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "Running",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Terminated => "Terminated",
            Self::Other(word) => word,
        })
    }
}

pub(crate) fn key_of(workflow_id: &str) -> String {
    workflow_id.strip_prefix("payout-").unwrap_or(workflow_id).to_owned()
}

fn query(filter: &Filter) -> String {
    let equals = |name: &str, value: &str| format!("{name} = {}", quoted(value));
    let mut all = vec![equals("WorkflowType", names::PAYOUT)];
    all.extend(filter.stage.map(|stage| equals(names::SEARCH_STAGE, stage.as_str())));
    all.extend(filter.program.as_ref().map(|program| equals(names::SEARCH_PROGRAM, program.as_str())));
    all.extend(filter.wallet.as_ref().map(|wallet| equals(names::SEARCH_WALLET, wallet.as_str())));
    if let Some(before) = filter.started_before.and_then(|time| Timestamp::try_from(time).ok()) {
        all.push(format!("StartTime < '{}'", before.strftime("%FT%TZ")));
    }
    if filter.needs_attention {
        let somebody =
            [search::A_PERSON, search::A_RELEASE, search::AN_APPROVAL, search::PROVIDER_APPROVAL].map(quoted);
        all.push(format!("{} IN ({})", names::SEARCH_WAITS_FOR, somebody.join(", ")));
    }
    all.extend(filter.waits_for.map(|who| equals(names::SEARCH_WAITS_FOR, who)));
    match filter.runs {
        Runs::Open => all.push("ExecutionStatus = 'Running'".to_owned()),
        Runs::Closed => all.push("ExecutionStatus != 'Running'".to_owned()),
        Runs::All => {}
    }
    all.join(" AND ")
}

/// A value in Temporal's visibility queries, whose strings know backslashes as well as doubled quotes.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_becomes_one_query() {
        assert_eq!(query(&Filter::default()), "WorkflowType = 'payout'");
        let filter = Filter {
            stage: Some(Stage::NeedsPerson),
            program: Some(Program::parse("payroll").expect("a program")),
            wallet: Some(WalletId::parse("wa-5pfuu-9euek-h0odgb6snva8ph3k").expect("a wallet")),
            started_before: Some(SystemTime::UNIX_EPOCH),
            needs_attention: true,
            waits_for: Some(search::AN_APPROVAL),
            runs: Runs::Open,
            limit: 10,
        };
        assert_eq!(
            query(&filter),
            "WorkflowType = 'payout' AND RemitStage = 'NeedsPerson' AND RemitProgram = 'payroll' AND \
             RemitWallet = 'wa-5pfuu-9euek-h0odgb6snva8ph3k' AND StartTime < '1970-01-01T00:00:00Z' AND \
             RemitWaitsFor IN ('a person', 'a release', 'an approval', 'provider approval') AND \
             RemitWaitsFor = 'an approval' AND ExecutionStatus = 'Running'"
        );
    }

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        assert_eq!(quoted("plain"), "'plain'");
        assert_eq!(quoted("x' OR WorkflowType = 'y"), "'x'' OR WorkflowType = ''y'");
        assert_eq!(quoted(r"x\' OR 1=1"), r"'x\\'' OR 1=1'");
    }
}
