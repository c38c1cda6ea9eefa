//! Claims the key of a payout for its request, for ever.

use remit_records::{Claim as OnRecord, Gate, NewClaim, Records};
use remit_workflows::contract::{Claim, ClaimPayout};

use crate::NoAnswer;

/// Writes the claim into the records. Twice with the same digest: the second time it is known, with all that is on
/// record of it. With another digest: a conflict, which is an answer.
pub(crate) async fn claim_payout(records: &Records, input: ClaimPayout) -> Result<Claim, NoAnswer> {
    let key = input.key.as_str();
    let claim = NewClaim {
        key,
        digest: &input.digest,
        external_id: &input.external_id,
        request: &serde_json::Value::Null,
        wallet: "-",
        asset: "-",
        amount: "-",
        program: None,
    };
    Ok(match records.claim(&claim).await? {
        OnRecord::New => {
            tracing::info!(payout.key = key, "Claimed payout {key}");
            Claim::New
        }
        OnRecord::Conflict { .. } => {
            tracing::warn!(payout.key = key, "Refused payout {key}: its id belongs to another request");
            Claim::Conflict
        }
        OnRecord::NotOpened => {
            return Err(NoAnswer::Records { why: format!("{key} is a later attempt that no retry has opened") });
        }
        OnRecord::Known(known) => {
            tracing::info!(payout.key = key, "Payout {key} was claimed before");
            let outcome = known.outcome.map(serde_json::from_value).transpose().map_err(|error| NoAnswer::Records {
                why: format!("the outcome on record of {key} cannot be read: {error}"),
            })?;
            // A word of a newer build may mean that Confirm was sent.
            let confirming = matches!(known.gate, Gate::Confirming | Gate::Unknown(_));
            Claim::Known { payout: known.payout, confirming, outcome }
        }
    })
}
