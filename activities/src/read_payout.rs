//! Reads a payout at the provider until it is what is waited for.

use std::time::Duration;

use remit_dfns::{Error, Stage};
use remit_domain::{PayoutView, Progress};
use remit_records::{Mapped, ObjectKind, ReservationState, Settled};
use remit_workflows::contract::{Because, ReadPayout};

use crate::{Activities, NoAnswer, translate};

/// How soon a payout is read again that the provider does not find: reads may lag writes.
const NOT_FOUND: Duration = Duration::from_secs(10);
/// How often in a row one call reads again because events had been waiting.
const AGAIN: usize = 3;

/// Changes nothing at the provider. While the reading is not what is waited for it fails as "not yet", and the server
/// asks again after the cadence's wait: however long that goes on, it is three events in the history.
pub(crate) async fn read_payout(all: &Activities, input: ReadPayout, attempt: u32) -> Result<PayoutView, NoAnswer> {
    for _ in 0..AGAIN {
        let view = read_named(all, &input.payout, all.cadence.after(attempt)).await?;
        let news = note_transfer(all, &input, &view).await?;
        // The tokens have left: from now on it is spent, and ages out of the windows that it counts in.
        if view.transaction_hash.is_some() || view.deposited {
            let settled = all.records.spend(input.key.as_str()).await?;
            if settled == Settled::As(ReservationState::Released) {
                all.metrics.released_yet_paid();
                tracing::error!(
                    "Payout {} was paid, and what was reserved for it had been freed: limits may have been passed",
                    input.key
                );
            }
        }
        if input.until.is_met_by(&view) {
            if view.progress == Progress::AwaitingConfirmation {
                all.metrics.found(match input.because {
                    Because::Nudge => "nudge",
                    Because::Poll => "poll",
                    Because::Check => "check",
                });
            }
            return Ok(view);
        }
        if !news {
            let after = all.cadence.after(attempt);
            return Err(NoAnswer::NotYet { why: view.progress.describe(), after });
        }
    }
    Err(NoAnswer::NotYet { why: "events keep coming".to_owned(), after: all.cadence.after(attempt) })
}

/// A payout that the provider has named. That it does not find it means that reads lag writes: it is looked at again,
/// after this time or a little later.
pub(crate) async fn read_named(all: &Activities, id: &str, after: Duration) -> Result<PayoutView, NoAnswer> {
    read(all, id).await.map_err(|error| match error {
        Error::Refused { stage: Stage::Call, refusal } if refusal.status == 404 => {
            NoAnswer::NotYet { why: format!("Dfns does not find payout {id}"), after: after.max(NOT_FOUND) }
        }
        Error::NotSent { .. }
        | Error::Lost { .. }
        | Error::Refused { .. }
        | Error::Misread { .. }
        | Error::Unsigned { .. } => error.into(),
    })
}

/// The payout, and its transfer where that alone says where the money is.
pub(crate) async fn read(all: &Activities, id: &str) -> Result<PayoutView, Error> {
    let answer = all.dfns.payout(id).await?;
    let mut view = translate::view(answer.value, &all.user_id, answer.date);
    let decides = view.progress.is_final() && view.progress != Progress::Completed && !view.deposited;
    if let Some(transfer) = view.transfer.as_ref().filter(|_| decides) {
        let transfer = all.dfns.transfer(&view.asked.wallet_id, transfer).await?;
        view.transfer_progress = Some(translate::transfer(&transfer));
    }
    Ok(view)
}

/// Notes which transfer is this payout's, so that events about it find the payout. True when such events have been
/// waiting: they came after this reading, so it has to be read again. They count as delivered by that.
async fn note_transfer(all: &Activities, input: &ReadPayout, view: &PayoutView) -> Result<bool, NoAnswer> {
    let Some(transfer) = &view.transfer else { return Ok(false) };
    let key = input.key.as_str();
    match all.records.map_object(ObjectKind::Transfer, transfer, key).await? {
        Mapped::Already => return Ok(false),
        Mapped::Now => {}
        Mapped::Other { key: other } => {
            tracing::error!("Transfer {transfer} of payout {key} is on record for payout {other}");
            return Ok(false);
        }
    }
    let waiting = all.records.waiting_for_key(key).await?;
    for event in &waiting {
        all.records.mark_delivered(&event.what, key).await?;
    }
    Ok(!waiting.is_empty())
}
