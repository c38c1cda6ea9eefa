//! Creates the payout at the provider, or finds the one that was created before.

use std::time::Duration;

use bytes::Bytes;
use remit_dfns::{Error, Refusal, Stage};
use remit_records::Noted;
use remit_workflows::contract::{CreatePayout, Creation};

use crate::{Activities, NoAnswer, read_payout::read_named, translate};

/// Sends the create request. The exact bytes are put on record before the first send, and those bytes are what is
/// sent ever after, even if a newer build would write them differently.
///
/// Twice with the same key and bytes: Dfns answers with the payout it made first, so nothing is created twice. A 409
/// names the payout that has the key; it is read and left to the workflow to compare.
/// Source: Dfns guide "Process payouts via API"; Dfns docs, "API Idempotency".
pub(crate) async fn create_payout(all: &Activities, input: CreatePayout) -> Result<Creation, NoAnswer> {
    let key = input.key.as_str();
    let row = all.records.payout(key).await?;
    let Some(row) = row.filter(|row| row.digest == input.digest) else {
        return Err(NoAnswer::NotAllowed { why: format!("payout {key} is not claimed for this request") });
    };
    let asked_before = row.create_body.is_some();
    let body = translate::create_body(&input.request, &input.key).to_bytes();
    let body = all.records.keep_create_body(key, &input.digest, &body).await?;

    let view = match all.dfns.create_payout(Bytes::from(body)).await {
        Ok(payout) if !asked_before => translate::view(payout, &all.user_id, None),
        // It may be hours old: read it, for its age by the provider's clock.
        Ok(payout) => read_named(all, &payout.id, Duration::ZERO).await?,
        Err(Error::Refused { stage: Stage::Call, refusal }) => match of_refusal(&refusal, asked_before) {
            Refused::Duplicate(id) => read_named(all, &id, Duration::ZERO).await?,
            Refused::Answer(creation) => {
                all.metrics.creation("refused");
                return Ok(creation);
            }
            Refused::NoAnswer => return Err(Error::Refused { stage: Stage::Call, refusal }.into()),
        },
        Err(error) => return Err(error.into()),
    };
    all.metrics.creation("exists");
    match all.records.note_payout(key, &view.payout).await? {
        Noted::Now | Noted::Already => {
            tracing::info!(payout.id = %view.payout, "Created payout {key} at Dfns as {}", view.payout);
            // Events that came before this answer, and did not know whose they were: what they tell of is read now.
            let waiting = all.records.waiting_for_key(key).await?;
            if waiting.is_empty() {
                return Ok(Creation::Exists { view });
            }
            let view = read_named(all, &view.payout, Duration::ZERO).await?;
            for event in &waiting {
                all.records.mark_delivered(&event.what, key).await?;
            }
            Ok(Creation::Exists { view })
        }
        Noted::Other { payout } => Ok(Creation::Doubtful {
            reason: format!("Dfns answers with payout {}, but {payout} is on record for {key}", view.payout),
        }),
    }
}

/// What an error status to a create means.
enum Refused {
    /// A payout has this key already.
    Duplicate(String),
    Answer(Creation),
    NoAnswer,
}

fn of_refusal(refusal: &Refusal, asked_before: bool) -> Refused {
    match refusal.status {
        409 => match refusal.duplicate() {
            Some(duplicate) => Refused::Duplicate(duplicate.id),
            None => Refused::Answer(Creation::Doubtful {
                reason: format!("Dfns knows this key, but does not say whose it is: {refusal}"),
            }),
        },
        // An earlier request whose answer was lost may have created it, whatever this one is told.
        400 | 404 | 410 | 412 | 422 if asked_before => Refused::Answer(Creation::Doubtful {
            reason: format!("Dfns refuses a request that it may have carried out before: {refusal}"),
        }),
        400 | 404 | 410 | 412 | 422 => Refused::Answer(Creation::Refused { reason: refusal.to_string() }),
        _ => Refused::NoAnswer,
    }
}
