//! Approvals of transfers that a policy stopped, and the votes on them: `/v2/policy-approvals`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::{Answer, Outcome, Refusal};
use crate::clock::{self, Due};
use crate::delivery;
use crate::organisation::State;
use crate::policies::{ApprovalGroup, Evaluation};
use crate::server::Visit;
use crate::settings::Switch;
use crate::table::{Page, Row};
use crate::transfers;
use crate::users::{User, UserKind};
use crate::webhooks::Listed;
use crate::wire;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ApprovalStatus {
    Pending,
    Approved,
    Denied,
    Expired,
}

/// A transfer waiting for votes, or its outcome.
#[derive(Debug)]
pub(crate) struct Approval {
    id: String,
    transfer_id: String,
    initiator_id: String,
    status: ApprovalStatus,
    evaluations: Vec<Evaluation>,
    groups: Vec<ApprovalGroup>,
    decisions: Vec<Decision>,
    expires: Option<String>,
    created: String,
    updated: String,
    resolved: Option<String>,
}

impl Row for Approval {
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Decision {
    user_id: String,
    date: String,
    /// `null` when none was given, unlike every other absent value.
    reason: Option<String>,
    value: Vote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Vote {
    Approved,
    Denied,
}

/// What a policy verdict asks for.
pub(crate) struct Wanted {
    pub(crate) transfer_id: String,
    pub(crate) initiator_id: String,
    pub(crate) evaluations: Vec<Evaluation>,
    pub(crate) groups: Vec<ApprovalGroup>,
    pub(crate) auto_reject_minutes: Option<u32>,
}

/// Opens an approval; the caller puts its id on the transfer and then calls [`announce`].
pub(crate) fn open(state: &mut State, wanted: Wanted) -> String {
    let id = state.ids.id("ap");
    let now = state.clock.now();
    let timeout_ms = wanted.auto_reject_minutes.map(|minutes| i64::from(minutes) * 60_000);
    if let Some(timeout_ms) = timeout_ms {
        state.clock.after(timeout_ms, Due::ApprovalExpires { id: id.clone() });
    }
    state.approvals.insert(Approval {
        id: id.clone(),
        transfer_id: wanted.transfer_id,
        initiator_id: wanted.initiator_id,
        status: ApprovalStatus::Pending,
        evaluations: wanted.evaluations,
        groups: wanted.groups,
        decisions: Vec::new(),
        expires: timeout_ms.map(|timeout_ms| clock::iso(state.clock.now_ms() + timeout_ms)),
        created: now.clone(),
        updated: now,
        resolved: None,
    });
    id
}

pub(crate) fn announce(state: &mut State, id: &str) {
    let Some(approval) = state.approvals.get(id) else { return };
    let data = json!({"approval": view(state, approval)});
    let external_id = transfers::aim(state, &approval.transfer_id);
    delivery::emit(state, "policy.approval.pending", &data, external_id.as_deref());
}

/// Nobody answered in time.
pub(crate) fn expire(state: &mut State, id: &str) {
    resolve(state, id, ApprovalStatus::Expired);
}

/// The transfer went away for another reason; votes are no longer asked for.
pub(crate) fn expire_for(state: &mut State, transfer_id: &str) {
    let open = |approval: &&Approval| approval.transfer_id == transfer_id && approval.status == ApprovalStatus::Pending;
    let id = state.approvals.iter().find(open).map(|approval| approval.id.clone());
    if let Some(id) = id {
        resolve(state, &id, ApprovalStatus::Expired);
    }
}

pub(crate) fn list(state: &mut State, visit: &Visit) -> Outcome {
    let page = Page::read(&visit.query, 50, 500)?;
    let status: Option<ApprovalStatus> = match visit.query.one("status") {
        None => None,
        Some(text) => Some(
            serde_json::from_value(Value::from(text))
                .map_err(|_| Refusal::field("status", text, "Pending, Approved, Denied or Expired"))?,
        ),
    };
    let initiator = visit.query.one("initiatorId");
    let approver = visit.query.one("approverId");
    let (found, next) = state.approvals.page(&page, |approval| {
        status.is_none_or(|status| approval.status == status)
            && initiator.is_none_or(|id| approval.initiator_id == id)
            && approver.is_none_or(|id| approval.groups.iter().any(|group| group.lists(id)))
    });
    let items: Vec<Value> = found.into_iter().map(|approval| view(state, approval)).collect();
    Answer::ok(&Listed { items, next_page_token: next })
}

pub(crate) fn get(state: &mut State, visit: &Visit) -> Outcome {
    Answer::ok(&view(state, find(state, visit.id())?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDecision {
    value: Vote,
    reason: Option<String>,
}

/// A vote. One denial denies everything; approval needs every group's quorum.
pub(crate) fn decide(state: &mut State, visit: &Visit) -> Outcome {
    let asked: NewDecision = wire::read(&visit.body)?;
    let id = visit.id();
    let approval = find(state, id)?;
    if approval.status != ApprovalStatus::Pending {
        return Err(Refusal::wrong_state(format!("approval {id} is {:?} already", approval.status)));
    }
    if approval.decisions.iter().any(|decision| decision.user_id == visit.user_id) {
        return Err(Refusal::wrong_state(format!("user {} has decided on approval {id} already", visit.user_id)));
    }
    let user = state.users.get(&visit.user_id).ok_or_else(|| Refusal::new(401, "Unknown user"))?;
    let is_initiator = approval.initiator_id == user.id;
    let may = match asked.value {
        Vote::Approved => approval.groups.iter().any(|group| may_approve(state, approval, group, user)),
        Vote::Denied => is_initiator || approval.groups.iter().any(|group| listed(state, group, user)),
    };
    if !may {
        return Err(Refusal::forbidden(format!("user {} may not decide so on approval {id}", user.id)));
    }

    let date = state.clock.now();
    let decision =
        Decision { user_id: visit.user_id.clone(), date: date.clone(), reason: asked.reason, value: asked.value };
    if let Some(approval) = state.approvals.get_mut(id) {
        approval.decisions.push(decision);
        approval.updated = date;
    }
    match asked.value {
        Vote::Denied => resolve(state, id, ApprovalStatus::Denied),
        Vote::Approved => {
            let approval = find(state, id)?;
            if approval.groups.iter().all(|group| has_quorum(state, approval, group)) {
                resolve(state, id, ApprovalStatus::Approved);
            }
        }
    }
    Answer::ok(&view(state, find(state, id)?))
}

/// Listed as an approver: everyone means people; a service account must be named and allowed.
fn listed(state: &State, group: &ApprovalGroup, user: &User) -> bool {
    match (user.kind, state.settings.service_account_approvers) {
        (UserKind::CustomerEmployee, _) => group.lists(&user.id),
        (UserKind::ServiceAccount, Switch::On) => group.service_accounts_can_approve && group.names(&user.id),
        (UserKind::ServiceAccount, Switch::Off) => false,
    }
}

fn may_approve(state: &State, approval: &Approval, group: &ApprovalGroup, user: &User) -> bool {
    listed(state, group, user) && (approval.initiator_id != user.id || group.initiator_can_approve)
}

fn has_quorum(state: &State, approval: &Approval, group: &ApprovalGroup) -> bool {
    let votes = approval
        .decisions
        .iter()
        .filter(|decision| decision.value == Vote::Approved)
        .filter_map(|decision| state.users.get(&decision.user_id))
        .filter(|user| may_approve(state, approval, group, user))
        .count();
    votes >= group.quorum
}

fn resolve(state: &mut State, id: &str, status: ApprovalStatus) {
    let now = state.clock.now();
    let Some(approval) = state.approvals.get_mut(id).filter(|approval| approval.status == ApprovalStatus::Pending)
    else {
        return;
    };
    approval.status = status;
    approval.updated.clone_from(&now);
    approval.resolved = Some(now);
    let transfer_id = approval.transfer_id.clone();
    match status {
        ApprovalStatus::Approved => transfers::approved(state, &transfer_id),
        ApprovalStatus::Denied => transfers::rejected(state, &transfer_id, "Denied by an approver"),
        ApprovalStatus::Expired => transfers::rejected(state, &transfer_id, "Approval expired"),
        ApprovalStatus::Pending => {}
    }
    // Three official sources give three shapes for this event: all their ids are here.
    let Some(approval) = state.approvals.get(id) else { return };
    let mut shown = view(state, approval);
    shown["activityId"] = Value::from(transfer_id.as_str());
    let data = json!({"activityId": transfer_id, "approvalId": id, "approval": shown});
    let external_id = transfers::aim(state, &transfer_id);
    delivery::emit(state, "policy.approval.resolved", &data, external_id.as_deref());
}

fn find<'a>(state: &'a State, id: &str) -> Result<&'a Approval, Refusal> {
    state.approvals.get(id).ok_or_else(|| Refusal::missing("approval", id))
}

fn view(state: &State, approval: &Approval) -> Value {
    let transfer = state.transfers.get(&approval.transfer_id).map(|transfer| &transfer.wire);
    let mut view = json!({
        "id": approval.id,
        "initiatorId": approval.initiator_id,
        "activity": {"kind": "Wallets:Sign", "transferRequest": transfer},
        "status": approval.status,
        "policyEvaluations": approval.evaluations,
        "decisions": approval.decisions,
        "dateCreated": approval.created,
        "dateUpdated": approval.updated,
    });
    let optional = [("expirationDate", &approval.expires), ("dateResolved", &approval.resolved)];
    for (name, value) in optional.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        view[name] = Value::from(value.as_str());
    }
    view
}
