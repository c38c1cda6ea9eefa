//! Writes down how a payout ended, once.

use remit_domain::{
    Outcome, TransferProgress,
    policy::{Settlement, settlement},
};
use remit_records::{Gate, Settle};
use remit_workflows::contract::RecordOutcome;

use crate::{Activities, NoAnswer, read_payout::read};

/// Twice, or with another outcome: the first one stands and is the answer. Terminal is final.
pub(crate) async fn record_outcome(all: &Activities, input: RecordOutcome) -> Result<Outcome, NoAnswer> {
    let key = input.outcome.key.as_str();
    let unreadable = |error: serde_json::Error| NoAnswer::Records { why: format!("the outcome of {key}: {error}") };
    let value = serde_json::to_value(&input.outcome).map_err(unreadable)?;
    let Some(row) = all.records.payout(key).await? else {
        return Err(NoAnswer::NotAllowed { why: format!("payout {key} is not claimed") });
    };
    let taken = !matches!(row.gate.gate, Gate::Open | Gate::Closed);
    let settle = match settlement(&input.outcome, taken) {
        Settlement::Spent => Settle::Spent,
        Settlement::Released if taken => by_the_provider(all, row.payout.as_deref()).await?,
        Settlement::Released => Settle::Released,
        // A transaction is spoken of that nobody has read before the end.
        Settlement::Held if taken && input.outcome.transaction_hash.is_some() => {
            match by_the_provider(all, row.payout.as_deref()).await? {
                Settle::Spent => Settle::Spent,
                Settle::Released | Settle::Held => Settle::Held,
            }
        }
        Settlement::Held => Settle::Held,
    };
    if settle == Settle::Held {
        tracing::warn!("Payout {key} ended, but where its money is is not certain: it counts in every limit");
    }
    let on_record = all.records.finish_and_settle(key, &value, settle).await?;
    let outcome: Outcome = serde_json::from_value(on_record).map_err(unreadable)?;
    all.metrics.outcome(outcome.ending.stage().as_str());
    tracing::info!("Payout {key} ended: {:?}, {}", outcome.ending, outcome.reason);
    Ok(outcome)
}

/// What the provider itself says of tokens that a Confirm was sent for; what comes through Temporal is not enough to free
/// them. Sent to the network they are spent, whatever became of the transaction, also when nobody has read so before:
/// the one who would have may have been killed.
async fn by_the_provider(all: &Activities, payout: Option<&str>) -> Result<Settle, NoAnswer> {
    let Some(payout) = payout else { return Ok(Settle::Held) };
    let view = read(all, payout).await?;
    if view.transaction_hash.is_some() || view.deposited {
        return Ok(Settle::Spent);
    }
    let stopped = view.transfer_progress.as_ref().and_then(TransferProgress::moved) == Some(false);
    Ok(if stopped { Settle::Released } else { Settle::Held })
}
