//! Confirms a payout, once: after this, money moves.

use std::time::Duration;

use remit_dfns::{Error, Refusal, Stage};
use remit_domain::{Difference, Offer, PayoutRequest, PayoutView, Progress, echo_check, policy::Verdict};
use remit_records::{Gate, GateAnswer};
use remit_workflows::contract::{Approvals, ConfirmPayout, Confirmation, QuotePayout, Quoted};

use crate::{
    Activities, NoAnswer, checks, close_gate,
    decide_payout::{At, on_record, rule},
    quote_payout::quote_payout,
    read_payout::read,
    translate,
};

/// A second Confirm goes out no sooner than this after the first: reads may lag what was done.
const BETWEEN_CONFIRMS: Duration = Duration::from_secs(10);

/// Checks the records, reads the payout, compares, asks the policy again, takes the gate, and sends Confirm.
///
/// Trusts nothing that came through Temporal: what allows this payout (claim, decision, reservation, every signed
/// approval) stands in the records, and what is confirmed is what is read now. Confirm has no idempotency key at Dfns, so twice means: read first, and send again only when the
/// provider still waits ten seconds after the last Confirm went out.
/// Source: Dfns OpenAPI 1.807, `POST /payouts/{payoutId}/action`; guide "Process payouts via API".
pub(crate) async fn confirm_payout(all: &Activities, input: ConfirmPayout) -> Result<Confirmation, NoAnswer> {
    let answer = decide(all, &input).await?;
    let (name, key) = (name(&answer), input.key.as_str());
    all.metrics.confirm(name);
    tracing::info!(payout.id = %input.payout, "Confirm of payout {key}: {name}");
    Ok(answer)
}

async fn decide(all: &Activities, input: &ConfirmPayout) -> Result<Confirmation, NoAnswer> {
    let key = input.key.as_str();
    let not_allowed = |why: String| Err(NoAnswer::NotAllowed { why });
    let Some(row) = all.records.payout(key).await? else {
        return not_allowed(format!("payout {key} is not claimed"));
    };
    if row.digest != input.digest || input.request.digest() != input.digest || input.request.key() != input.key {
        return not_allowed(format!("payout {key} is claimed for another request"));
    }
    if row.payout.as_deref() != Some(input.payout.as_str()) {
        return not_allowed(format!("{} is not the payout on record for {key}", input.payout));
    }
    if row.gate.gate == Gate::Closed {
        return Ok(Confirmation::GateClosed { closing: close_gate::closing(row.gate.why) });
    }

    let view = read(all, &input.payout).await?;
    let differences = differences(input, &view);
    if !differences.is_empty() {
        return changed(all, key, differences).await;
    }
    if view.progress != Progress::AwaitingConfirmation {
        return Ok(Confirmation::NotWaiting { view });
    }

    if row.gate.gate == Gate::Open
        && let Some(no) = not_permitted(all, input, on_record(&row)?.as_ref().unwrap_or(&input.request)).await?
    {
        return Ok(no);
    }

    let sent_before = match all.records.take_gate(key, &input.digest, &input.address).await? {
        GateAnswer::Taken => false,
        GateAnswer::Held { address, .. } if address == input.address => {
            let since = all.records.gate(key).await?.and_then(|state| state.since_sent);
            if let Some(wait) = since.and_then(|since| BETWEEN_CONFIRMS.checked_sub(since)) {
                let why = "Confirm was sent a moment ago and its answer is not known; reading again first".to_owned();
                return Err(NoAnswer::NotYet { why, after: wait });
            }
            since.is_some()
        }
        GateAnswer::Held { address, .. } => {
            return changed(all, key, vec![difference("depositAddress", &address, &input.address)]).await;
        }
        GateAnswer::Closed => {
            let why = all.records.gate(key).await?.and_then(|state| state.why);
            return Ok(Confirmation::GateClosed { closing: close_gate::closing(why) });
        }
        GateAnswer::NotClaimed => return not_allowed(format!("payout {key} is not claimed")),
        GateAnswer::Conflict => return not_allowed(format!("payout {key} is claimed for another request")),
    };
    all.records.note_confirm_sent(key).await?;
    let action = translate::confirm(&input.request, &input.address);
    match all.dfns.payout_action(&input.payout, &action).await {
        Ok(()) => Ok(Confirmation::Sent),
        Err(Error::Refused { stage: Stage::Call, refusal }) if speaks_of_the_payout(&refusal) => {
            after_refusal(all, input, &refusal, sent_before).await
        }
        // An unreadable success is a success: what it brought about is read next.
        Err(Error::Misread { stage: Stage::Call, .. }) => Ok(Confirmation::Sent),
        Err(error) => Err(error.into()),
    }
}

/// Decides anew by the policy that is in force now, with the address the tokens would go to; then looks whether the
/// transfer could work. None: it may be sent. Only for a gate that is open: once it is taken, what was decided stands.
async fn not_permitted(
    all: &Activities,
    input: &ConfirmPayout,
    request: &PayoutRequest,
) -> Result<Option<Confirmation>, NoAnswer> {
    let assets = all.dfns.wallet_assets(request.wallet_id.as_str()).await?;
    let offers = if all.policies.in_force(&all.records).await?.policy.looks_at_quotes() {
        offers(all, request).await?
    } else {
        vec![]
    };
    let at = At::Confirm { address: &input.address, offers };
    let (decision, ruling) = rule(all, &input.key, &input.digest, request, &assets, at).await?;
    match (decision.verdict, &ruling.approvals) {
        (Verdict::Blocked, _) => return Ok(Some(Confirmation::Blocked { ruling })),
        (Verdict::NeedsApproval, Approvals::Denied { .. } | Approvals::Missing { .. }) => {
            return Ok(Some(Confirmation::NeedsApproval { ruling }));
        }
        (Verdict::NeedsApproval, Approvals::Met) | (Verdict::Allowed, _) => {}
    }
    let (wallet, asset) = (request.wallet_id.as_str(), request.asset.label());
    let in_flight = all.records.in_flight(wallet, &asset, input.key.as_str()).await?;
    let checks = checks::failed(&all.dfns, request, &assets, &input.address, in_flight).await;
    Ok((!checks.is_empty()).then_some(Confirmation::NotReady { checks }))
}

async fn offers(all: &Activities, request: &PayoutRequest) -> Result<Vec<Offer>, NoAnswer> {
    Ok(match quote_payout(all, QuotePayout { request: request.clone() }).await? {
        Quoted::Offers { offers } => offers,
        Quoted::Refused { .. } => vec![],
    })
}

/// Dfns refused: the payout itself says what is so.
async fn after_refusal(
    all: &Activities,
    input: &ConfirmPayout,
    refusal: &Refusal,
    sent_before: bool,
) -> Result<Confirmation, NoAnswer> {
    let view = read(all, &input.payout).await?;
    let differences = differences(input, &view);
    if !differences.is_empty() {
        return changed(all, input.key.as_str(), differences).await;
    }
    Ok(match view.progress {
        // It is said to wait, yet it took no Confirm: an earlier one has been taken, and this reading lags.
        Progress::AwaitingConfirmation if sent_before => Confirmation::Sent,
        Progress::AwaitingConfirmation => Confirmation::Refused { reason: refusal.to_string() },
        Progress::Preparing
        | Progress::Submitting
        | Progress::Held
        | Progress::Depositing
        | Progress::Disbursing
        | Progress::Completed
        | Progress::Failed
        | Progress::Rejected
        | Progress::Expired
        | Progress::Canceled
        | Progress::Unrecognised { .. } => Confirmation::NotWaiting { view },
    })
}

/// The gate is looked at after the reading: meanwhile another attempt may have taken it.
async fn changed(all: &Activities, key: &str, differences: Vec<Difference>) -> Result<Confirmation, NoAnswer> {
    let gate = all.records.gate(key).await?.map(|state| state.gate);
    let gate_taken = !matches!(gate, Some(Gate::Open | Gate::Closed));
    Ok(Confirmation::Changed { differences, gate_taken })
}

/// 401, 402, 403 and 429 speak of us and our budget; any other 4xx of the payout.
fn speaks_of_the_payout(refusal: &Refusal) -> bool {
    matches!(refusal.status, 400 | 404..=428 | 430..=499)
}

/// Every field that was sent, and the address that was checked.
fn differences(input: &ConfirmPayout, view: &PayoutView) -> Vec<Difference> {
    let mut all = echo_check(&input.request, &input.key, &view.asked);
    let address = view.deposit_address.as_deref().unwrap_or_default();
    if address != input.address {
        all.push(difference("depositAddress", &input.address, address));
    }
    all
}

fn difference(field: &str, asked: &str, read: &str) -> Difference {
    Difference { field: field.to_owned(), asked: asked.to_owned(), read: read.to_owned() }
}

fn name(answer: &Confirmation) -> &'static str {
    match answer {
        Confirmation::Sent => "sent",
        Confirmation::NotWaiting { .. } => "not_waiting",
        Confirmation::Changed { .. } => "changed",
        Confirmation::GateClosed { .. } => "gate_closed",
        Confirmation::Refused { .. } => "refused",
        Confirmation::Blocked { .. } => "blocked",
        Confirmation::NeedsApproval { .. } => "needs_approval",
        Confirmation::NotReady { .. } => "not_ready",
    }
}
