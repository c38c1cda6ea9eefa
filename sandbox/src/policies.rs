//! Policies, `/v2/policies`, and what they say about a transfer.

use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Outcome, Refusal};
use crate::organisation::State;
use crate::policy_rules::{Candidate, Rule};
use crate::server::Visit;
use crate::table::{Page, Row};
use crate::webhooks::Listed;
use crate::wire;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PolicyStatus {
    Active,
    Archived,
}

/// A policy.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Policy {
    pub(crate) id: String,
    status: PolicyStatus,
    date_created: String,
    date_updated: String,
    #[serde(flatten)]
    body: PolicyBody,
}

impl Row for Policy {
    fn id(&self) -> &str {
        &self.id
    }
}

/// What callers write; an update replaces all of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PolicyBody {
    name: String,
    activity_kind: ActivityKind,
    rule: Rule,
    action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filters: Option<Filters>,
}

/// Only outgoing payments are simulated.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum ActivityKind {
    #[serde(rename = "Wallets:Sign")]
    WalletsSign,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Action {
    Block {},
    RequestApproval {
        approval_groups: Vec<ApprovalGroup>,
        /// Minutes.
        #[serde(default)]
        auto_reject_timeout: Option<u32>,
    },
}

/// Who may approve, and how many must.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ApprovalGroup {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    pub(crate) quorum: usize,
    approvers: Approvers,
    #[serde(default)]
    pub(crate) initiator_can_approve: bool,
    #[serde(default)]
    pub(crate) service_accounts_can_approve: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Approvers {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<AnyOf>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnyOf {
    r#in: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filters {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wallet_id: Option<AnyOf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wallet_tags: Option<WalletTags>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WalletTags {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    has_any: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    has_all: Option<Vec<String>>,
}

impl ApprovalGroup {
    /// Whether a person or service account is named, or everyone is.
    pub(crate) fn lists(&self, user_id: &str) -> bool {
        self.approvers.user_id.as_ref().is_none_or(|users| users.r#in.iter().any(|id| id == user_id))
    }

    pub(crate) fn names(&self, user_id: &str) -> bool {
        self.approvers.user_id.is_some() && self.lists(user_id)
    }
}

impl Filters {
    fn cover(&self, wallet_id: &str, tags: &[String]) -> bool {
        let by_id = self.wallet_id.as_ref().is_none_or(|any| any.r#in.iter().any(|id| id == wallet_id));
        let by_tags = self.wallet_tags.as_ref().is_none_or(|filter| {
            filter.has_any.as_ref().is_none_or(|any| any.iter().any(|tag| tags.contains(tag)))
                && filter.has_all.as_ref().is_none_or(|all| all.iter().all(|tag| tags.contains(tag)))
        });
        by_id && by_tags
    }
}

/// One triggered policy, as approvals and events show it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Evaluation {
    pub(crate) policy_id: String,
    pub(crate) triggered: bool,
    pub(crate) reason: String,
}

/// What all active policies together say about a transfer.
#[derive(Debug)]
pub(crate) enum Verdict {
    Allowed,
    Blocked { policy: String },
    NeedsApproval { groups: Vec<ApprovalGroup>, auto_reject_minutes: Option<u32> },
}

/// Evaluates every active policy. Any block wins; several approvals must all be given.
pub(crate) fn evaluate(state: &State, transfer: &Candidate<'_>) -> (Vec<Evaluation>, Verdict) {
    let tags = state.wallets.get(transfer.wallet_id).map(|wallet| wallet.tags.clone()).unwrap_or_default();
    let mut evaluations = Vec::new();
    let mut blocked_by = None;
    let mut wanted = Vec::new();
    let mut timeout: Option<u32> = None;
    for policy in state.policies.iter().filter(|policy| policy.status == PolicyStatus::Active) {
        let covered = policy.body.filters.as_ref().is_none_or(|filters| filters.cover(transfer.wallet_id, &tags));
        let Some(reason) = covered.then(|| policy.body.rule.triggers(state, transfer)).flatten() else { continue };
        evaluations.push(Evaluation { policy_id: policy.id.clone(), triggered: true, reason });
        match &policy.body.action {
            Action::Block {} => blocked_by = blocked_by.or_else(|| Some(policy.body.name.clone())),
            Action::RequestApproval { approval_groups, auto_reject_timeout } => {
                wanted.extend(approval_groups.iter().cloned());
                timeout = match (timeout, *auto_reject_timeout) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
        }
    }
    let verdict = match blocked_by {
        Some(policy) => Verdict::Blocked { policy },
        None if evaluations.is_empty() => Verdict::Allowed,
        None => Verdict::NeedsApproval { groups: wanted, auto_reject_minutes: timeout },
    };
    (evaluations, verdict)
}

pub(crate) fn create(state: &mut State, visit: &Visit) -> Outcome {
    let body = read(&visit.body)?;
    let now = state.clock.now();
    let policy = Policy {
        id: state.ids.id("plc"),
        status: PolicyStatus::Active,
        date_created: now.clone(),
        date_updated: now,
        body,
    };
    let answer = Answer::ok(&policy);
    state.policies.insert(policy);
    answer
}

pub(crate) fn list(state: &mut State, visit: &Visit) -> Outcome {
    let page = Page::read(&visit.query, 50, 500)?;
    let status = match visit.query.one("status") {
        None => None,
        Some("Active") => Some(PolicyStatus::Active),
        Some("Archived") => Some(PolicyStatus::Archived),
        Some(other) => return Err(Refusal::field("status", other, "Active or Archived")),
    };
    let (items, next) = state.policies.page(&page, |policy| status.is_none_or(|status| policy.status == status));
    Answer::ok(&Listed { items, next_page_token: next })
}

pub(crate) fn get(state: &mut State, visit: &Visit) -> Outcome {
    let policy = state.policies.get(visit.id());
    Answer::ok(policy.ok_or_else(|| Refusal::missing("policy", visit.id()))?)
}

pub(crate) fn replace(state: &mut State, visit: &Visit) -> Outcome {
    let body = read(&visit.body)?;
    change(state, visit, |policy| policy.body = body)
}

pub(crate) fn archive(state: &mut State, visit: &Visit) -> Outcome {
    wire::read_nothing(&visit.body)?;
    change(state, visit, |policy| policy.status = PolicyStatus::Archived)
}

fn change(state: &mut State, visit: &Visit, change: impl FnOnce(&mut Policy)) -> Outcome {
    let now = state.clock.now();
    let policy = state.policies.get_mut(visit.id()).ok_or_else(|| Refusal::missing("policy", visit.id()))?;
    if policy.status == PolicyStatus::Archived {
        return Err(Refusal::new(422, format!("policy {} is archived", policy.id)));
    }
    change(policy);
    policy.date_updated = now;
    Answer::ok(policy)
}

fn read(body: &[u8]) -> Result<PolicyBody, Refusal> {
    let body: PolicyBody = wire::read(body)?;
    body.rule.check()?;
    match &body.action {
        Action::Block {} => {}
        Action::RequestApproval { approval_groups, auto_reject_timeout } => {
            if approval_groups.is_empty() || approval_groups.iter().any(|group| group.quorum == 0) {
                return Err(Refusal::bad(
                    "action.approvalGroups: expected one or more, each with a quorum of 1 or more",
                ));
            }
            if *auto_reject_timeout == Some(0) {
                return Err(Refusal::field("action.autoRejectTimeout", 0, "1 minute or more, or null"));
            }
        }
    }
    Ok(body)
}
