//! What keys sign: starts, approvals, and orders that let money go on. The text is a [`Statement`]; a signature counts
//! for exactly that text: in one namespace, for one payout, until it expires.

use jiff::Timestamp;
use remit_domain::{
    PayoutRequest, SignedStart,
    policy::{ApprovalValue, Statement},
};
use remit_keys::PrivateKey;
use remit_workflows::{contract::Signed, orders::Order, status::Status};

/// Somebody who signs: under the name that the policy knows, with the key that it knows for it.
#[derive(Debug)]
pub struct Signer {
    /// The name of a person or a starter in the policy.
    pub name: String,
    /// That one's key.
    pub key: PrivateKey,
}

impl Signer {
    /// Signs a request as its starter, in place of any signature it has.
    pub fn start(&self, namespace: &str, request: &PayoutRequest) -> PayoutRequest {
        let statement = Statement::Start {
            namespace: namespace.to_owned(),
            external_id: request.external_id.as_str().to_owned(),
            digest: request.digest(),
            starter: self.name.clone(),
        };
        let signature = self.key.sign(statement.text().as_bytes()).to_string();
        PayoutRequest { signed: Some(SignedStart { by: self.name.clone(), signature }), ..request.clone() }
    }

    /// Approves or denies a payout that waits for it, for this group, until `expires`. None when it waits for no
    /// approval.
    pub fn approval(
        &self,
        namespace: &str,
        status: &Status,
        group: &str,
        value: ApprovalValue,
        why: &str,
        expires: Timestamp,
    ) -> Option<Signed> {
        let ruling = status.ruling.as_ref()?;
        Some(self.sign(&Statement::Approval {
            namespace: namespace.to_owned(),
            key: status.key.as_str().to_owned(),
            attempt: status.request.attempt.number(),
            digest: status.digest.clone(),
            revision: ruling.revision_hash.clone(),
            group: group.to_owned(),
            value,
            by: self.name.clone(),
            why: why.to_owned(),
            expires,
        }))
    }

    /// Signs an order about a payout, by its key: `release`, `resolve` (`what`: [`remit_workflows::orders::Action::words`])
    /// or `retry`. The order must name this signer.
    pub fn order(
        &self,
        namespace: &str,
        key: &str,
        order: &str,
        what: &str,
        decided: &Order,
        expires: Timestamp,
    ) -> Signed {
        self.sign(&Statement::Order {
            namespace: namespace.to_owned(),
            key: key.to_owned(),
            order: order.to_owned(),
            what: what.to_owned(),
            by: decided.by.clone(),
            why: decided.why.clone(),
            expires,
        })
    }

    /// Signs any statement.
    pub fn sign(&self, statement: &Statement) -> Signed {
        let statement = statement.text();
        let signature = self.key.sign(statement.as_bytes()).to_string();
        Signed { statement, signature }
    }
}
