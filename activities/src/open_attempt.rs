//! Proves that an attempt at a payout cannot pay any more, and opens the next one.

use remit_domain::{Attempt, Before, Outcome, PayoutKey, PayoutRequest, may_follow};
use remit_records::{Gate, OpenedAttempt, PayoutRow};
use remit_workflows::contract::{AttemptOpening, OpenAttempt};

use crate::{Activities, NoAnswer, check_order::may, read_payout::read};

/// Reads the newest attempt in the records and at Dfns; then, in one transaction that locks that attempt, decides and
/// makes the row of the next one. Twice: the second time the attempt is there and not over, which is the answer.
pub(crate) async fn open_attempt(all: &Activities, input: OpenAttempt) -> Result<AttemptOpening, NoAnswer> {
    let base = input.key.as_str();
    let Some(newest) = all.records.newest_attempt(base).await? else {
        return Ok(refused(format!("there is no payout {base}: start it first")));
    };
    // It was opened by an order that counted, and may not have been started since: whoever asks again starts it, and
    // their order is about the attempt before, the newest that has a run.
    if newest.outcome.is_none() && newest.attempt > 1 {
        return Ok(AttemptOpening::UnderWay { request: request_of(&newest)? });
    }
    let may = may(all, &newest.key, "retry", "", &input.order, input.signed.as_ref()).await?;
    if let Err(why) = may {
        return Ok(refused(why));
    }
    let request = request_of(&newest)?;
    let read = match &newest.payout {
        Some(id) => Some(read(all, id).await?),
        None => None,
    };
    let why = format!("another attempt was opened by {}", input.order);
    let opened = all.records.open_attempt(base, &newest.key, &why, |row| {
        let outcome: Option<Outcome> = row.outcome.clone().and_then(|outcome| serde_json::from_value(outcome).ok());
        let never_confirmed = matches!(row.gate.gate, Gate::Open | Gate::Closed);
        may_follow(&Before { outcome: outcome.as_ref(), never_confirmed, read: read.as_ref() })
    });
    Ok(match opened.await? {
        OpenedAttempt::Opened { key, attempt } => {
            tracing::info!(payout.key = %key, "Opened attempt {attempt} at payout {base} for {}", input.order);
            let attempt = number(attempt)?;
            AttemptOpening::Opened { request: PayoutRequest { attempt, ..request } }
        }
        OpenedAttempt::NotNewest { attempt, .. } => {
            let attempt = number(attempt)?;
            AttemptOpening::UnderWay { request: PayoutRequest { attempt, ..request } }
        }
        OpenedAttempt::Refused { why } => refused(why),
        OpenedAttempt::TooMany => refused(format!("there have been {} attempts", Attempt::MOST)),
    })
}

/// What the attempt was started with.
fn request_of(row: &PayoutRow) -> Result<PayoutRequest, NoAnswer> {
    let unreadable =
        |why: String| NoAnswer::Misunderstood { why: format!("the request on record of {}: {why}", row.key) };
    let json =
        row.request.as_ref().ok_or_else(|| unreadable("there is none: it was claimed by an older build".into()))?;
    let request = PayoutRequest::parse(json).map_err(|refusal| unreadable(refusal.to_string()))?;
    let request = PayoutRequest { attempt: number(row.attempt)?, ..request };
    let expected: &PayoutKey = &request.key();
    if expected.as_str() == row.key { Ok(request) } else { Err(unreadable(format!("its key is {expected}"))) }
}

fn number(attempt: u32) -> Result<Attempt, NoAnswer> {
    Attempt::try_from(attempt)
        .map_err(|expected| NoAnswer::Misunderstood { why: format!("attempt {attempt}: expected {expected}") })
}

fn refused(why: String) -> AttemptOpening {
    AttemptOpening::Refused { why }
}
