//! What every line that an activity logs says of its payout, so that one search answers why: key, run, activity and
//! attempt, and, once the policy has decided, revision, decision and who asked for it.

use std::time::Duration;

use remit_domain::policy::{Decision, Initiator};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tracing::{Instrument, Span, field::Empty, info_span};

use crate::{Activities, NoAnswer};

/// Lines are told without the decision rather than late: reading at the provider goes on while the records are away.
const PATIENCE: Duration = Duration::from_millis(250);

/// Runs an activity so that all its lines, that of its error included, say this.
pub(crate) async fn traced<T>(
    all: &Activities,
    ctx: &ActivityContext,
    key: &str,
    work: impl Future<Output = Result<T, NoAnswer>>,
) -> Result<T, ActivityError> {
    let info = ctx.info();
    let span = info_span!(
        "activity",
        payout.key = key,
        run.id = info.workflow_run_id.as_deref(),
        activity = info.activity_type,
        attempt = info.attempt,
        policy.revision = Empty,
        decision = Empty,
        actor = Empty,
    );
    let known = async {
        // One row by its primary key; nobody reads it where nothing is logged.
        let newest = all.records.decision(key);
        if !Span::current().is_disabled()
            && let Ok(Ok(Some(row))) = tokio::time::timeout(PATIENCE, newest).await
        {
            let initiator = serde_json::from_value(row.facts["initiator"].clone()).unwrap_or(Initiator::Unsigned);
            decided(&row.decision, &initiator);
        }
        work.await.map_err(ActivityError::from)
    };
    known.instrument(span).await
}

/// From here on lines say this decision.
pub(crate) fn decided(decision: &Decision, initiator: &Initiator) {
    let span = Span::current();
    span.record("policy.revision", decision.revision);
    span.record("decision", decision.verdict.as_str());
    span.record("actor", initiator.name());
}
