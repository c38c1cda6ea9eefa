//! Verifies a person's signed approval and writes it down.

use remit_domain::policy::{ApprovalOf, ApprovalValue, Statement, Verdict, may_approve};
use remit_keys::verified;
use remit_records::{AddedApproval, NewApproval};
use remit_workflows::contract::{ApprovalAnswer, RecordApproval};

use crate::{
    Activities, NoAnswer,
    decide_payout::{COUNTS_AT_MOST, counts, how_far, initiator, on_record},
    policy::InForce,
};

/// Twice: it counts once. Whoever is not in the group, has no key, signs something else or has started the payout is
/// told so. Confirm verifies all of it again.
pub(crate) async fn record_approval(all: &Activities, input: RecordApproval) -> Result<ApprovalAnswer, NoAnswer> {
    let refused = |why: String| Ok(ApprovalAnswer::Refused { why });
    let key = input.key.as_str();
    let Some(row) = all.records.payout(key).await? else {
        return refused(format!("payout {key} is not claimed"));
    };
    let Some(request) = on_record(&row)? else {
        return refused("the request is not on record".to_owned());
    };
    let Some(decided) = all.records.decision(key).await? else {
        return refused("no approval is wanted of it".to_owned());
    };
    if decided.decision.verdict != Verdict::NeedsApproval {
        return refused("no approval is wanted of it".to_owned());
    }
    let in_force = all.policies.in_force(&all.records).await?;
    let statement = match Statement::parse(&input.signed.statement) {
        Ok(statement) => statement,
        Err(why) => return refused(format!("the statement cannot be read: {why}")),
    };
    let namespace = &all.policies.settings.namespace;
    let initiator = initiator(namespace, &in_force, &request);
    let now = all.records.now().await?;
    let of = ApprovalOf {
        namespace,
        key,
        attempt: request.attempt.number(),
        digest: &row.digest,
        initiator: &initiator,
        revisions: &in_force.hashes,
        now,
    };
    let approved = match may_approve(&in_force.policy, &of, &statement) {
        Ok(approved) => approved,
        Err(why) => return refused(why),
    };
    let Statement::Approval { by, why, revision, expires, .. } = &statement else {
        return refused("the statement is no approval".to_owned());
    };
    if !verified(&approved.key, &input.signed.statement, &input.signed.signature) {
        return refused(format!("the signature is not that of {by}"));
    }
    if expires.duration_since(now).unsigned_abs() > COUNTS_AT_MOST {
        return refused("it would count for more than 31 days: sign one that expires sooner".to_owned());
    }
    if !decided.decision.wanted.iter().any(|wanted| wanted.group == approved.group) {
        return refused(format!("no approval of group {:?} is wanted", approved.group));
    }
    let (value, does) = match approved.value {
        ApprovalValue::Approve => ("approve", "approves"),
        ApprovalValue::Deny => ("deny", "denies"),
    };
    let new = NewApproval {
        key,
        person: &approved.person,
        group: &approved.group,
        value,
        statement: &input.signed.statement,
        signature: &input.signed.signature,
        revision,
    };
    let mut added = all.records.add_approval(&new).await?;
    if matches!(added, AddedApproval::Already { .. })
        && let Some(why) = stale(all, &in_force, &of, &new).await?
    {
        all.records.void_approvals_of(key, new.person, &why).await?;
        added = all.records.add_approval(&new).await?;
    }
    match added {
        AddedApproval::Added => {
            tracing::info!(actor = %by, "{by} {does} payout {key} for {}", approved.group);
        }
        AddedApproval::Already { value: before } if before == value => {}
        AddedApproval::Already { value: before } => {
            return refused(format!("{by} has decided before: {before}"));
        }
        AddedApproval::NotClaimed => return refused(format!("payout {key} is not claimed")),
    }
    let approvals = how_far(all, &in_force, &input.key, &row.digest, &request, &decided.decision).await?;
    Ok(ApprovalAnswer::Counted { what: format!("{by} {does} for {}: {why}", approved.group), approvals })
}

/// Why what this person signed before counts no more, where it does not: it has expired, or their key is another one
/// now. Then they may decide anew.
async fn stale(
    all: &Activities,
    in_force: &InForce,
    of: &ApprovalOf<'_>,
    new: &NewApproval<'_>,
) -> Result<Option<String>, NoAnswer> {
    let on_record = all.records.approvals(of.key).await?;
    let standing =
        on_record.iter().rev().find(|row| row.void.is_none() && row.person == new.person && row.group == new.group);
    Ok(standing.and_then(|row| counts(in_force, of, row).err()))
}
