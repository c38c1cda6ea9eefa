//! Verifies that whoever gives an order may: what lets money go on needs the signature of somebody the policy names.

use remit_domain::{
    Decided,
    policy::{OrderOf, Statement, may_order},
};
use remit_keys::verified;
use remit_workflows::contract::{CheckOrder, OrderCheck, Signed};

use crate::{Activities, NoAnswer};

/// Changes nothing but the audit record.
pub(crate) async fn check_order(all: &Activities, input: CheckOrder) -> Result<OrderCheck, NoAnswer> {
    let key = input.key.as_str();
    let checked = may(all, key, &input.order, &input.what, &input.decided, input.signed.as_ref()).await?;
    let body = serde_json::json!({
        "order": input.order, "what": input.what, "by": input.decided.by, "why": input.decided.why,
        "signed": input.signed.is_some(), "refused": checked.as_ref().err(),
    });
    all.records.audit_append("order", Some(key), &body).await?;
    Ok(match checked {
        Ok(()) => OrderCheck::May,
        Err(why) => OrderCheck::MayNot { why },
    })
}

/// Whether this order may be given. The inner error says why not.
pub(crate) async fn may(
    all: &Activities,
    key: &str,
    order: &str,
    what: &str,
    decided: &Decided,
    signed: Option<&Signed>,
) -> Result<Result<(), String>, NoAnswer> {
    let in_force = all.policies.in_force(&all.records).await?;
    let Some(signed) = signed else {
        if in_force.policy.allows_unsigned_orders() {
            return Ok(Ok(()));
        }
        let why = format!("the policy takes {order} only signed: give it with `--key`, as somebody the policy names");
        return Ok(Err(why));
    };
    let statement = match Statement::parse(&signed.statement) {
        Ok(statement) => statement,
        Err(why) => return Ok(Err(format!("the statement cannot be read: {why}"))),
    };
    let of = OrderOf {
        namespace: &all.policies.settings.namespace,
        key,
        order,
        what,
        by: &decided.by,
        why: &decided.why,
        now: all.records.now().await?,
    };
    Ok(may_order(&in_force.policy, &of, &statement).and_then(|key| {
        let verified = verified(&key, &signed.statement, &signed.signature);
        verified.then_some(()).ok_or_else(|| format!("the signature is not that of {}", decided.by))
    }))
}
