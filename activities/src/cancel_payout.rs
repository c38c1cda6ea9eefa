//! Cancels a payout at the provider whose gate is closed.

use remit_dfns::{Error, PayoutAction, Stage};
use remit_domain::Progress;
use remit_records::Gate;
use remit_workflows::contract::{CancelPayout, Cancellation};

use crate::{Activities, NoAnswer, read_payout::read};

/// Checks in the records that nothing can be confirmed any more, reads the payout, and sends Cancel where Dfns allows
/// it: while it waits for Confirm. Cancel has no idempotency key, so twice means: read first.
/// Source: Dfns OpenAPI 1.807, `POST /payouts/{payoutId}/action`; guide "Process payouts via API".
pub(crate) async fn cancel_payout(all: &Activities, input: CancelPayout) -> Result<Cancellation, NoAnswer> {
    let key = input.key.as_str();
    let row = all.records.payout(key).await?;
    let on_record = row.filter(|row| row.payout.as_deref() == Some(input.payout.as_str()));
    let Some(row) = on_record else {
        return Err(NoAnswer::NotAllowed { why: format!("{} is not the payout on record for {key}", input.payout) });
    };
    if row.gate.gate != Gate::Closed {
        return Err(NoAnswer::NotAllowed { why: format!("the gate of payout {key} is not closed") });
    }
    let view = read(all, &input.payout).await?;
    if view.progress != Progress::AwaitingConfirmation {
        let refused = (!view.progress.is_final()).then(|| view.progress.describe());
        return Ok(Cancellation { view, refused });
    }
    let refused = match all.dfns.payout_action(&input.payout, &PayoutAction::Cancel).await {
        Ok(()) | Err(Error::Misread { stage: Stage::Call, .. }) => None,
        Err(Error::Refused { stage: Stage::Call, refusal }) if matches!(refusal.status, 400 | 404..=428 | 430..=499) => {
            Some(refusal.to_string())
        }
        Err(error) => return Err(error.into()),
    };
    let view = read(all, &input.payout).await?;
    tracing::info!(payout.id = %input.payout, "Cancel of payout {key}: {}", view.progress.describe());
    Ok(Cancellation { view, refused })
}
