//! The approvals that policies ask for, and the votes on them. `/v2/policy-approvals…`
//!
//! Sources: Dfns docs and OpenAPI 2.0.155; `@dfns/sdk` 0.8.21.

use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Dfns, Page, PageQuery, Query, segment};
use crate::error::Error;
use crate::open::open_enum;
use crate::policies::ActivityKind;
use crate::transfers::Transfer;
use crate::wire;

impl Dfns {
    /// Approvals, one page at a time. `GET /v2/policy-approvals`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn approvals(&self, query: &ListApprovals) -> Result<Page<Approval>, Error> {
        let mut pairs = query.page.pairs();
        pairs.extend(query.status.iter().map(|s| ("status", s.to_string())));
        pairs.extend(query.initiator_id.clone().map(|id| ("initiatorId", id)));
        pairs.extend(query.approver_id.clone().map(|id| ("approverId", id)));
        self.get("/v2/policy-approvals", pairs).await?.value()
    }

    /// One approval. `GET /v2/policy-approvals/{id}`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn approval(&self, id: &str) -> Result<Approval, Error> {
        self.get(&approval_path(id)?, Query::new()).await?.value()
    }

    /// Votes, once per user and approval. A single denial denies; a service account's is final.
    /// `POST /v2/policy-approvals/{id}/decisions`
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn decide_approval(
        &self,
        id: &str,
        value: DecisionValue,
        reason: Option<&str>,
    ) -> Result<Approval, Error> {
        #[derive(Serialize)]
        struct Vote<'a> {
            value: DecisionValue,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<&'a str>,
        }
        let path = format!("{}/decisions", approval_path(id)?);
        self.write(Method::POST, &path, Some(wire::to_bytes(&Vote { value, reason }))).await?.value()
    }
}

fn approval_path(id: &str) -> Result<String, Error> {
    Ok(format!("/v2/policy-approvals/{}", segment("approval id", id)?))
}

/// Which approvals to list.
#[derive(Debug, Clone, Default)]
pub struct ListApprovals {
    /// Which page.
    pub page: PageQuery,
    /// Only in this status.
    pub status: Option<ApprovalStatus>,
    /// Only asked for by this user.
    pub initiator_id: Option<String>,
    /// Only to be decided by this user.
    pub approver_id: Option<String>,
}

/// A request for approval as Dfns shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// `ap-…`
    pub id: String,
    /// Who asked for the activity.
    #[serde(default)]
    pub initiator_id: Option<String>,
    /// What would be done.
    pub activity: Activity,
    /// Where it stands. Approved does not mean paid: follow the transfer.
    pub status: ApprovalStatus,
    /// Which policies were looked at.
    #[serde(default, deserialize_with = "wire::read_list")]
    pub policy_evaluations: Vec<PolicyEvaluation>,
    /// The votes so far.
    #[serde(default, deserialize_with = "wire::read_list")]
    pub decisions: Vec<Decision>,
    /// When it expires.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub expiration_date: Option<Timestamp>,
    /// When it was asked for.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_created: Option<Timestamp>,
    /// When it last changed.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_updated: Option<Timestamp>,
    /// When it was decided.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_resolved: Option<Timestamp>,
}

/// What an approval is about.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// Which kind of activity.
    pub kind: ActivityKind,
    /// The transfer, when it is one.
    #[serde(default)]
    pub transfer_request: Option<Transfer>,
}

/// What one policy said.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyEvaluation {
    /// `plc-…`
    pub policy_id: String,
    /// Whether it triggered.
    #[serde(default)]
    pub triggered: Option<bool>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// What a screening vendor said; free-form, evidence to keep.
    #[serde(default)]
    pub context: Option<Value>,
}

/// One vote.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Who voted.
    pub user_id: String,
    /// When.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date: Option<Timestamp>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// How.
    pub value: DecisionValue,
}

open_enum! {
    /// Where an approval stands.
    ApprovalStatus {
        Pending = "Pending",
        Approved = "Approved",
        Denied = "Denied",
        Expired = "Expired",
    }
}

open_enum! {
    /// A vote.
    DecisionValue {
        Approved = "Approved",
        Denied = "Denied",
    }
}
