//! Reads a payout at the provider until it is what is waited for.

use std::time::Duration;

use remit_dfns::{Error, Stage};
use remit_domain::{PayoutView, Progress};
use remit_workflows::contract::{Because, ReadPayout};

use crate::{Activities, NoAnswer, translate};

/// How soon a payout is read again that the provider does not find: reads may lag writes.
const NOT_FOUND: Duration = Duration::from_secs(10);

/// Changes nothing. While the reading is not what is waited for it fails as "not yet", and the server asks again
/// after the cadence's wait: however long that goes on, it is three events in the history.
pub(crate) async fn read_payout(all: &Activities, input: ReadPayout, attempt: u32) -> Result<PayoutView, NoAnswer> {
    let answer = match all.dfns.payout(&input.payout).await {
        Ok(answer) => answer,
        Err(Error::Refused { stage: Stage::Call, refusal }) if refusal.status == 404 => {
            let after = all.cadence.after(attempt).max(NOT_FOUND);
            return Err(NoAnswer::NotYet { why: format!("Dfns does not find payout {}", input.payout), after });
        }
        Err(error) => return Err(error.into()),
    };
    let view = translate::view(answer.value, &all.user_id, answer.date);
    if !input.until.is_met_by(&view.progress) {
        let after = all.cadence.after(attempt);
        return Err(NoAnswer::NotYet { why: view.progress.describe(), after });
    }
    if view.progress == Progress::AwaitingConfirmation {
        all.metrics.found(match input.because {
            Because::Nudge => "nudge",
            Because::Poll => "poll",
            Because::Check => "check",
        });
    }
    Ok(view)
}
