//! Policies: which activities Dfns blocks or holds for approval. `/v2/policies…`
//!
//! Sources: Dfns docs and OpenAPI 2.0.155; `@dfns/sdk` 0.8.21. An outgoing payment, and the transfer
//! behind a payout, is `Wallets:Sign`.

use jiff::Timestamp;
use reqwest::Method;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::{Dfns, Page, PageQuery, Query, segment};
use crate::error::Error;
use crate::open::open_enum;
use crate::wire;

impl Dfns {
    /// Policies, one page at a time. `GET /v2/policies`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn policies(&self, query: &ListPolicies) -> Result<Page<Policy>, Error> {
        let mut pairs = query.page.pairs();
        pairs.extend(query.status.iter().map(|s| ("status", s.to_string())));
        self.get("/v2/policies", pairs).await?.value()
    }

    /// One policy, with a change of it that awaits approval. `GET /v2/policies/{id}`
    ///
    /// # Errors
    /// See [`Error`]; safe to repeat.
    pub async fn policy(&self, id: &str) -> Result<Policy, Error> {
        self.get(&policy_path(id)?, Query::new()).await?.value()
    }

    /// Makes a policy; it has no idempotency key. `POST /v2/policies`
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_policy(&self, body: &PolicyBody) -> Result<Policy, Error> {
        self.write(Method::POST, "/v2/policies", Some(wire::to_bytes(body))).await?.value()
    }

    /// Replaces a policy in full. Where a `Policies:Modify` policy matches, the change waits for
    /// approval and the policy stays as it was. `PUT /v2/policies/{id}`
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn update_policy(&self, id: &str, body: &PolicyBody) -> Result<Policy, Error> {
        self.write(Method::PUT, &policy_path(id)?, Some(wire::to_bytes(body))).await?.value()
    }

    /// Archives a policy. `DELETE /v2/policies/{id}`
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete_policy(&self, id: &str) -> Result<(), Error> {
        self.write(Method::DELETE, &policy_path(id)?, None).await?;
        Ok(())
    }
}

fn policy_path(id: &str) -> Result<String, Error> {
    Ok(format!("/v2/policies/{}", segment("policy id", id)?))
}

/// Which policies to list.
#[derive(Debug, Clone, Default)]
pub struct ListPolicies {
    /// Which page.
    pub page: PageQuery,
    /// Only in this status.
    pub status: Option<PolicyStatus>,
}

/// What a create or an update sends; an update replaces everything.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyBody {
    /// Its name, seen in reasons.
    pub name: String,
    /// What it watches.
    pub activity_kind: ActivityKind,
    /// When it triggers.
    pub rule: Rule,
    /// What happens then.
    pub action: Action,
    /// Which wallets; `None` means all. For `Wallets:Sign`: `{walletId: {in}, walletTags: {hasAny, hasAll}}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filters: Option<Value>,
}

/// A policy as Dfns shows it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// `plc-…`
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it is in force.
    pub status: PolicyStatus,
    /// What it watches.
    pub activity_kind: ActivityKind,
    /// When it triggers.
    pub rule: Rule,
    /// What happens then.
    pub action: Action,
    /// Which wallets; `None` means all.
    #[serde(default)]
    pub filters: Option<Value>,
    /// When it was made.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_created: Option<Timestamp>,
    /// When it last changed.
    #[serde(default, deserialize_with = "wire::read_date")]
    pub date_updated: Option<Timestamp>,
    /// A change that awaits approval; only in the answer for one policy.
    #[serde(default)]
    pub pending_change_request: Option<Value>,
}

/// When a policy triggers. A limit triggers above it (equal passes); what has no known price
/// triggers too.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rule {
    /// Which rule.
    pub kind: RuleKind,
    /// Its figures, as the JSON text, so that no limit passes through a float.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Box<RawValue>>,
}

impl Rule {
    /// Triggers on everything.
    pub fn always() -> Self {
        Self { kind: RuleKind::AlwaysTrigger, configuration: None }
    }

    /// Triggers above `limit` US dollars in one transfer.
    pub fn amount_limit(limit_usd: Decimal) -> Self {
        Self::configured(
            RuleKind::TransactionAmountLimit,
            &Limit { limit: raw(limit_usd), currency: Some("USD"), timeframe: None },
        )
    }

    /// Triggers above `limit` US dollars per wallet in a sliding window of 1–43200 minutes.
    pub fn amount_velocity(limit_usd: Decimal, minutes: u32) -> Self {
        Self::configured(
            RuleKind::TransactionAmountVelocity,
            &Limit { limit: raw(limit_usd), currency: Some("USD"), timeframe: Some(minutes) },
        )
    }

    /// Triggers above `limit` transfers per wallet in a sliding window of 1–43200 minutes.
    pub fn count_velocity(limit: u32, minutes: u32) -> Self {
        Self::configured(
            RuleKind::TransactionCountVelocity,
            &Limit { limit: raw(limit.into()), currency: None, timeframe: Some(minutes) },
        )
    }

    /// Triggers on recipients that are not in the list. EVM addresses compare without case.
    pub fn recipient_whitelist(addresses: &[String]) -> Self {
        #[derive(Serialize)]
        struct Whitelist<'a> {
            addresses: &'a [String],
        }
        Self::configured(RuleKind::TransactionRecipientWhitelist, &Whitelist { addresses })
    }

    fn configured<T: Serialize>(kind: RuleKind, configuration: &T) -> Self {
        let raw = serde_json::value::to_raw_value(configuration).expect("rule figures are plain JSON");
        Self { kind, configuration: Some(raw) }
    }
}

#[derive(Serialize)]
struct Limit {
    limit: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeframe: Option<u32>,
}

/// A decimal as a JSON number, digit for digit.
fn raw(number: Decimal) -> Box<RawValue> {
    RawValue::from_string(number.to_string()).expect("a decimal prints as a JSON number")
}

/// What happens when a policy triggers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// Which action.
    pub kind: ActionKind,
    /// Who must approve (`RequestApproval`): every group must reach its quorum.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "wire::read_list")]
    pub approval_groups: Vec<ApprovalGroup>,
    /// Minutes until the request is rejected by itself (`RequestApproval`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_reject_timeout: Option<u32>,
}

impl Action {
    /// Refuses the activity, whatever other policies say.
    pub fn block() -> Self {
        Self { kind: ActionKind::Block, approval_groups: Vec::new(), auto_reject_timeout: None }
    }

    /// Holds the activity until all groups approve, at most for so many minutes.
    pub fn request_approval(approval_groups: Vec<ApprovalGroup>, auto_reject_minutes: Option<u32>) -> Self {
        Self { kind: ActionKind::RequestApproval, approval_groups, auto_reject_timeout: auto_reject_minutes }
    }
}

/// A group of which so many must approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalGroup {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many must approve.
    pub quorum: u32,
    /// Who may.
    #[serde(default)]
    pub approvers: Approvers,
    /// Whether the one who asked may approve. Absent means no; denying is always allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiator_can_approve: Option<bool>,
    /// Whether listed service accounts may approve. Absent means no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_accounts_can_approve: Option<bool>,
}

/// Who may approve.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approvers {
    /// These users; `None` means any human of the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserList>,
}

/// A list of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserList {
    /// `us-…` ids.
    #[serde(rename = "in")]
    pub any_of: Vec<String>,
}

open_enum! {
    /// Whether a policy is in force.
    PolicyStatus {
        Active = "Active",
        Archived = "Archived",
    }
}

open_enum! {
    /// What a policy watches.
    ActivityKind {
        WalletsSign = "Wallets:Sign",
        WalletsIncomingTransaction = "Wallets:IncomingTransaction",
        PermissionsAssign = "Permissions:Assign",
        PermissionsModify = "Permissions:Modify",
        PoliciesModify = "Policies:Modify",
        RegistryAddressesModify = "Registry:Addresses:Modify",
        RegistryContractSchemasModify = "Registry:ContractSchemas:Modify",
        VaultsReleaseQuarantine = "Vaults:ReleaseQuarantine",
        VaultsCreateLock = "Vaults:CreateLock",
    }
}

open_enum! {
    /// When a policy triggers.
    RuleKind {
        AlwaysTrigger = "AlwaysTrigger",
        TransactionAmountLimit = "TransactionAmountLimit",
        TransactionAmountLimitNominal = "TransactionAmountLimitNominal",
        TransactionAmountVelocity = "TransactionAmountVelocity",
        TransactionCountVelocity = "TransactionCountVelocity",
        TransactionRecipientWhitelist = "TransactionRecipientWhitelist",
        ChainalysisTransactionPrescreening = "ChainalysisTransactionPrescreening",
        ChainalysisTransactionScreening = "ChainalysisTransactionScreening",
        ChainalysisQuarantineScreening = "ChainalysisQuarantineScreening",
        GlobalLedgerTransactionPrescreening = "GlobalLedgerTransactionPrescreening",
        TravelRuleTransactionPrescreening = "TravelRuleTransactionPrescreening",
    }
}

open_enum! {
    /// What a policy does when it triggers.
    ActionKind {
        Block = "Block",
        RequestApproval = "RequestApproval",
        /// Report only; screening rules.
        NoAction = "NoAction",
    }
}
