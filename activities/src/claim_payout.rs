//! Claims the key of a payout for its request, for ever.

use remit_domain::Destination;
use remit_records::{Claim as OnRecord, Gate, NewClaim};
use remit_workflows::contract::{Claim, ClaimPayout, Claimed, GateIs};

use crate::{Activities, Names, NoAnswer, close_gate};

/// Writes the claim into the records. Twice with the same digest: the second time it is known, with all that is on
/// record of it. With another digest: a conflict, which is an answer. Tells the run what the settings say about time.
pub(crate) async fn claim_payout(all: &Activities, input: ClaimPayout) -> Result<Claimed, NoAnswer> {
    let request = &input.request;
    let Destination::Bank(bank) = &request.destination;
    let limits = all.time.of(&bank.country, &bank.currency);
    Ok(Claimed { claim: claim(all, &input).await?, limits, controls: true })
}

async fn claim(all: &Activities, input: &ClaimPayout) -> Result<Claim, NoAnswer> {
    let request = &input.request;
    let (key, digest) = (request.key(), request.digest());
    if request.carries_a_name() && all.names == Names::OnlyEncrypted {
        return Ok(Claim::NameInClear);
    }
    let json = serde_json::to_value(request)
        .map_err(|error| NoAnswer::Misunderstood { why: format!("the request of {key} cannot be written: {error}") })?;
    let claim = NewClaim {
        key: key.as_str(),
        digest: &digest,
        external_id: request.external_id.as_str(),
        request: &json,
        wallet: request.wallet_id.as_str(),
        asset: &request.asset.label(),
        amount: &request.amount.to_string(),
        program: request.program.as_ref().map(|program| program.as_str()),
    };
    let key = key.as_str();
    Ok(match all.records.claim(&claim).await? {
        OnRecord::New => {
            tracing::info!("Claimed payout {key}");
            Claim::New
        }
        OnRecord::Conflict { .. } => {
            tracing::warn!("Refused payout {key}: its id belongs to another request");
            Claim::Conflict
        }
        OnRecord::NotOpened => Claim::NotOpened,
        OnRecord::Known(known) => {
            tracing::info!("Payout {key} was claimed before");
            let outcome = known.outcome.map(serde_json::from_value).transpose().map_err(|error| NoAnswer::Records {
                why: format!("the outcome on record of {key} cannot be read: {error}"),
            })?;
            let gate = match known.gate {
                Gate::Open => GateIs::Open,
                // A word of a newer build may mean that Confirm was sent.
                Gate::Confirming | Gate::Unknown(_) => GateIs::Confirming,
                Gate::Closed => GateIs::Closed { closing: close_gate::closing(known.gate_why) },
            };
            Claim::Known { payout: known.payout, gate, outcome }
        }
    })
}
