//! What can be set per organisation, with its defaults.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answer::Refusal;

/// The settings of an organisation, as `POST /_sandbox/organisations/{org}/settings` takes them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Requests in a window of 60 seconds.
    pub(crate) rate_limit_per_minute: u32,
    pub(crate) delays: Delays,
    /// What a payout's `externalId` with other content answers.
    pub(crate) payout_conflict: Conflict,
    /// What the expiry of a confirmed payout does to a transfer that still waits for approval.
    pub(crate) pending_transfer_at_expiry: AtExpiry,
    /// Whether service accounts may vote at all. Dfns staff switch it on per organisation.
    pub(crate) service_account_approvers: Switch,
    /// The status that announces a transfer waiting for approval. Official sources say both.
    pub(crate) pending_approval_answer: PendingAnswer,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rate_limit_per_minute: 1000,
            delays: Delays::default(),
            payout_conflict: Conflict::Refuse,
            pending_transfer_at_expiry: AtExpiry::StayOpen,
            service_account_approvers: Switch::Off,
            pending_approval_answer: PendingAnswer::Ok,
        }
    }
}

/// How long things take, in milliseconds of the organisation's time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Delays {
    /// From creation to the deposit address.
    pub(crate) instructions: u32,
    /// From Confirm to the transfer.
    pub(crate) submission: u32,
    /// From `Executing` to `Broadcasted`.
    pub(crate) broadcast: u32,
    /// From `Broadcasted` to `Confirmed`.
    pub(crate) chain_confirmation: u32,
    /// From `Confirmed` on chain to the provider having seen the deposit.
    pub(crate) deposit: u32,
    /// From the deposit to the money in the bank.
    pub(crate) disbursement: u32,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            instructions: 150,
            submission: 100,
            broadcast: 150,
            chain_confirmation: 300,
            deposit: 200,
            disbursement: 300,
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Conflict {
    #[serde(rename = "409")]
    Refuse,
    #[serde(rename = "200")]
    OldObject,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum AtExpiry {
    StayOpen,
    Reject,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum PendingAnswer {
    #[serde(rename = "200")]
    Ok,
    #[serde(rename = "202")]
    Accepted,
}

impl Settings {
    /// These settings with some of them replaced; what is not named stays.
    ///
    /// # Errors
    /// 400 for an unknown name or a value of the wrong form.
    pub(crate) fn changed_by(&self, changes: &Value) -> Result<Self, Refusal> {
        let mut all = serde_json::to_value(self).map_err(|error| Refusal::new(500, error.to_string()))?;
        merge(&mut all, changes);
        serde_path_to_error::deserialize(all)
            .map_err(|error| Refusal::bad(format!("settings, at {}: {}", error.path(), error.inner())))
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
