//! How many payouts are open, and how many runs are stuck: counted on the server, for whoever watches.
//!
//! Every worker process counts the same, so take the maximum over them, not the sum.

use std::time::{Duration, SystemTime};

use anyhow::Context;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};
use remit_workflows::{names, search};
use temporalio_client::{Client, ConnectionOptions, WorkflowCountOptions};

use crate::connect;

const EVERY: Duration = Duration::from_secs(60);
/// For one round.
const WITHIN: Duration = Duration::from_secs(30);

/// The gauges.
#[derive(Clone)]
pub(crate) struct Gauges {
    open: IntGaugeVec,
    with_problems: IntGauge,
    counted_at: IntGauge,
}

impl Gauges {
    pub(crate) fn register(registry: &Registry) -> anyhow::Result<Self> {
        let open = Opts::new("remit_payouts_open", "Payouts that go on, by the stage that is searched for.");
        let gauges = Self {
            open: IntGaugeVec::new(open, &["stage"])?,
            with_problems: IntGauge::new(
                "remit_runs_with_problems",
                "Open runs whose workflow tasks keep failing: a bad deploy, a bad payload.",
            )?,
            counted_at: IntGauge::new(
                "remit_payouts_counted_timestamp_seconds",
                "When the open payouts were last counted. Old numbers are no numbers.",
            )?,
        };
        registry.register(Box::new(gauges.open.clone()))?;
        registry.register(Box::new(gauges.with_problems.clone()))?;
        registry.register(Box::new(gauges.counted_at.clone()))?;
        Ok(gauges)
    }

    /// Counts once a minute, for as long as it is not dropped. What stands in the way is logged, and that is all.
    pub(crate) async fn keep(self, connection: ConnectionOptions, namespace: String) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut client = None;
        loop {
            ticks.tick().await;
            let round = self.round(&mut client, &connection, &namespace);
            let counted = tokio::time::timeout(WITHIN, round).await;
            if let Err(error) = counted.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {WITHIN:?}"))) {
                tracing::warn!("The open payouts were not counted: {error:#}");
            }
        }
    }

    async fn round(
        &self,
        client: &mut Option<Client>,
        connection: &ConnectionOptions,
        namespace: &str,
    ) -> anyhow::Result<()> {
        let connected = match client.take() {
            Some(client) => client,
            None => connect(connection.clone(), namespace.to_owned()).await?,
        };
        let client = client.insert(connected);
        // One question for each stage: not every server can group by a search attribute.
        for stage in search::open_stages() {
            let open = count(client, of_stage(stage.as_str())).await?;
            self.open.with_label_values(&[stage.as_str()]).set(open);
        }
        self.with_problems.set(count(client, with_problems()).await?);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.counted_at.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        Ok(())
    }
}

async fn count(client: &Client, query: String) -> anyhow::Result<i64> {
    let counted = client.count_workflows(query.clone(), WorkflowCountOptions::default()).await;
    let counted = counted.with_context(|| format!("the server does not count {query}"))?;
    Ok(i64::try_from(counted.count()).unwrap_or(i64::MAX))
}

fn of_stage(stage: &str) -> String {
    format!(
        "WorkflowType = '{}' AND ExecutionStatus = 'Running' AND {} = '{stage}'",
        names::PAYOUT,
        names::SEARCH_STAGE
    )
}

/// Whatever runs on our task queue.
fn with_problems() -> String {
    format!("TaskQueue = '{}' AND ExecutionStatus = 'Running' AND TemporalReportedProblems IS NOT NULL", names::QUEUE)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_stage_that_a_payout_can_wait_in_is_counted_and_none_that_is_the_end() {
        let counted: BTreeSet<&str> = search::open_stages().iter().map(|stage| stage.as_str()).collect();
        for stage in ["Requested", "Creating", "AwaitingInstructions", "Confirming", "Settling", "NeedsPerson"] {
            assert!(counted.contains(stage), "{stage}");
        }
        for ended in ["Completed", "Failed", "Rejected", "Expired", "Canceled"] {
            assert!(!counted.contains(ended), "{ended}");
        }
    }

    #[test]
    fn gauges_can_be_registered_beside_others() {
        let registry = Registry::new();
        Gauges::register(&registry).expect("registered").open.with_label_values(&["Settling"]).set(3);
        let names: Vec<String> = registry.gather().iter().map(|family| family.name().to_owned()).collect();
        assert_eq!(
            names,
            ["remit_payouts_counted_timestamp_seconds", "remit_payouts_open", "remit_runs_with_problems"]
        );
    }
}
