//! The payouts of the demonstration: what each shows, how it should end, and what has to be prepared for it.

use std::time::Duration;

use anyhow::{Error, Result};
use jiff::Timestamp;
use remit_client::{Action as Decide, Answer, Order, Resolve, Signer, Status, Whereabouts};
use remit_dfns::{
    Action, ActivityKind, ApprovalGroup, ApprovalStatus, Approvers, DecisionValue, Dfns, ListApprovals, PolicyBody,
    Rule, UserList,
};
use remit_domain::{Ending, PayoutRequest, Progress, Stage, policy::ApprovalValue};
use remit_keys::PrivateKey;
use serde_json::json;

use crate::dev::{APPROVER, Organisation, System};

/// One payout.
#[derive(Debug)]
pub(super) struct Case {
    /// Its business id.
    pub(super) id: &'static str,
    /// What it shows.
    pub(super) shows: &'static str,
    /// In the token's smallest unit. The last two digits decide what the other side does, see the sandbox's README.
    amount: u64,
    /// How it should end.
    pub(super) expected: Ending,
    /// What has to happen around it.
    pub(super) script: Script,
}

/// What has to happen around a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// Nothing.
    Plain,
    /// A policy of the organisation blocks its wallet.
    Block,
    /// A policy of the organisation wants an approval for its wallet, and gets it.
    Approve,
    /// Its webhooks are lost.
    LoseWebhooks,
    /// The deposit address changes between our check and our Confirm; a person gives the payout up.
    ChangeAddress,
    /// A person calls it off.
    CallOff,
    /// Its time is moved.
    TimeMoves,
    /// Our own policy wants an approval, and gets it.
    OurApproval,
    /// Our own policy wants an approval for a recipient it does not know, and is denied.
    OurDenial,
}

/// Past the day that a payout may wait for Confirm.
pub(super) const MOVED: Duration = Duration::from_secs(25 * 3600);
/// How often the approver looks for something to approve.
const APPROVER_LOOKS_EVERY: Duration = Duration::from_millis(300);
/// Who decides, in the demonstration's policy.
const TREASURY: &str = "treasury";
/// Money leaves from here.
const NETWORK: &str = "Polygon";

impl Case {
    /// All of them, in the order of the table.
    pub(super) const ALL: &[Self] = &[
        Self {
            id: "demo-paid",
            shows: "the ordinary course",
            amount: 1_000_000_000,
            expected: Ending::Completed,
            script: Script::Plain,
        },
        Self {
            id: "demo-approved",
            shows: "a Dfns policy holds the transfer, a person approves",
            amount: 2_000_000_000,
            expected: Ending::Completed,
            script: Script::Approve,
        },
        Self {
            id: "demo-webhook-lost",
            shows: "no webhook arrives, the poll finds it",
            amount: 3_000_000_000,
            expected: Ending::Completed,
            script: Script::LoseWebhooks,
        },
        Self {
            id: "demo-blocked",
            shows: "a Dfns policy blocks the transfer",
            amount: 4_000_000_000,
            expected: Ending::Rejected,
            script: Script::Block,
        },
        Self {
            id: "demo-bank-refuses",
            shows: "the bank refuses after the deposit",
            amount: 5_000_000_090,
            expected: Ending::Failed,
            script: Script::Plain,
        },
        Self {
            id: "demo-address-changed",
            shows: "the deposit address changes before Confirm: nothing is sent, a person gives it up",
            amount: 6_000_000_000,
            expected: Ending::Canceled,
            script: Script::ChangeAddress,
        },
        Self {
            id: "demo-canceled",
            shows: "called off while it waits for its deposit address",
            amount: 8_000_000_099,
            expected: Ending::Canceled,
            script: Script::CallOff,
        },
        Self {
            id: "demo-large",
            shows: "our policy asks for an approval over 10,000 USD, a person signs it",
            amount: 20_000_000_000,
            expected: Ending::Completed,
            script: Script::OurApproval,
        },
        Self {
            id: "demo-unknown-recipient",
            shows: "our policy asks about a recipient it does not know, a person says no",
            amount: 500_000_000,
            expected: Ending::Denied,
            script: Script::OurDenial,
        },
        Self {
            id: "demo-over-the-day",
            shows: "our policy allows 100,000 USD a day",
            amount: 150_000_000_000,
            expected: Ending::Blocked,
            script: Script::Plain,
        },
        Self {
            id: "demo-no-instructions",
            shows: "no deposit address within 24 h",
            amount: 7_000_000_092,
            expected: Ending::Expired,
            script: Script::TimeMoves,
        },
    ];
}

/// Prepares the organisation for this payout, in a wallet of its own, and gives the request.
pub(super) async fn prepare(case: &Case, organisation: &Organisation) -> Result<PayoutRequest> {
    let wallet = organisation.add_wallet(NETWORK, case.id).await?;
    // A person writes the rules: the paying account may not.
    let person = || organisation.dfns(APPROVER);
    match case.script {
        Script::Plain | Script::TimeMoves | Script::CallOff | Script::OurApproval | Script::OurDenial => {}
        Script::Block => policy(&person()?, case, &wallet.id, Action::block()).await?,
        Script::Approve => {
            let approver = organisation.user(APPROVER)?.user_id.clone();
            let group = ApprovalGroup {
                name: Some("treasury".to_owned()),
                quorum: 1,
                approvers: Approvers { user_id: Some(UserList { any_of: vec![approver] }) },
                initiator_can_approve: None,
                service_accounts_can_approve: None,
            };
            policy(&person()?, case, &wallet.id, Action::request_approval(vec![group], Some(60))).await?;
        }
        Script::LoseWebhooks => {
            organisation.fault(&json!({"kind": "loseWebhook", "externalId": case.id, "times": 1000})).await?;
        }
        Script::ChangeAddress => {
            // At every reading: which of them comes just before Confirm is for the race of webhook and poll to decide.
            let fault = json!({"kind": "addressChangesAtConfirm", "externalId": case.id, "times": 1000});
            organisation.fault(&fault).await?;
        }
    }
    let token = organisation.token(NETWORK)?.contract;
    let instructions = if case.script == Script::OurDenial { "pi-stranger" } else { "pi-demo" };
    let request = json!({
        "externalId": case.id, "walletId": wallet.id, "amount": case.amount.to_string(), "program": "demo",
        "asset": {"kind": "Erc20", "contract": token},
        "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-demo", "instructionsId": instructions,
                        "currency": "BRL", "country": "BR", "purpose": "salary payment"},
    });
    Ok(PayoutRequest::parse(&request)?)
}

async fn policy(person: &Dfns, case: &Case, wallet: &str, action: Action) -> Result<()> {
    let body = PolicyBody {
        name: case.id.to_owned(),
        activity_kind: ActivityKind::WalletsSign,
        rule: Rule::always(),
        action,
        filters: Some(json!({"walletId": {"in": [wallet]}})),
    };
    person.create_policy(&body).await?;
    Ok(())
}

/// A person of the demonstration's policy, with a new key, and that policy.
pub(super) fn policy_with_a_person() -> Result<(Signer, String)> {
    let ana = Signer { name: "ana".to_owned(), key: PrivateKey::generate()? };
    let policy = include_str!("policy.toml").replace("key = \"ANA\"", &format!("key = \"{}\"", ana.key.public()));
    Ok((ana, policy))
}

/// Approves, as a person, whatever waits for approval, once its payout has seen that; returns only with an error.
pub(super) async fn approve(system: &System) -> Error {
    let vote = async {
        let person = system.dfns(APPROVER)?;
        let pending = ListApprovals { status: Some(ApprovalStatus::Pending), ..ListApprovals::default() };
        loop {
            if !held(system).await {
                tokio::time::sleep(APPROVER_LOOKS_EVERY).await;
                continue;
            }
            for approval in person.approvals(&pending).await?.items {
                super::say("", &format!("{APPROVER} approves {}", approval.id));
                person.decide_approval(&approval.id, DecisionValue::Approved, Some("seen and agreed")).await?;
            }
            tokio::time::sleep(APPROVER_LOOKS_EVERY).await;
        }
    };
    let never: Result<std::convert::Infallible> = vote.await;
    match never {
        Err(error) => error.context("the approver cannot vote"),
        Ok(never) => match never {},
    }
}

/// What operations people do about this payout, once it is time: the order, or nothing.
///
/// # Errors
/// When the order is not answered.
pub(super) async fn operate(system: &System, ana: &Signer, case: &Case, status: &Status) -> Result<Option<Answer>> {
    let order = |why: &str| Order { by: APPROVER.to_owned(), why: why.to_owned() };
    Ok(match case.script {
        Script::ChangeAddress if status.stage == Stage::NeedsPerson => {
            let action = Decide::GiveUp(Whereabouts::NotSent);
            let resolve = Resolve { order: order("nobody knows that address"), action, signed: None };
            Some(system.client().resolve(case.id, &resolve).await?)
        }
        Script::CallOff if status.stage == Stage::AwaitingInstructions => {
            Some(system.client().cancel(case.id, &order("the invoice was wrong")).await?)
        }
        Script::OurApproval | Script::OurDenial if status.stage == Stage::AwaitingApproval => {
            let (value, why) = if case.script == Script::OurDenial {
                (ApprovalValue::Deny, "nobody knows them")
            } else {
                (ApprovalValue::Approve, "it is the yearly bonus")
            };
            let expires = Timestamp::now() + Duration::from_secs(3600);
            let namespace = system.client().namespace();
            match ana.approval(namespace, status, TREASURY, value, why, expires) {
                Some(signed) => Some(system.client().approve(case.id, &signed).await?),
                None => None,
            }
        }
        Script::Plain
        | Script::Block
        | Script::Approve
        | Script::LoseWebhooks
        | Script::TimeMoves
        | Script::ChangeAddress
        | Script::CallOff
        | Script::OurApproval
        | Script::OurDenial => None,
    })
}

/// Whether a payout knows that it waits for an approval.
async fn held(system: &System) -> bool {
    for case in Case::ALL.iter().filter(|case| case.script == Script::Approve) {
        let status = system.client().status(case.id).await.ok();
        if status.and_then(|status| status.read).is_some_and(|read| read.progress == Progress::Held) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_payouts_show_every_ending_and_have_ids_of_their_own() {
        let ids: BTreeSet<&str> = Case::ALL.iter().map(|case| case.id).collect();
        assert_eq!(ids.len(), Case::ALL.len());
        for ending in Ending::ALL {
            assert!(Case::ALL.iter().any(|case| case.expected == ending), "{ending:?} is not shown");
        }
    }
}
