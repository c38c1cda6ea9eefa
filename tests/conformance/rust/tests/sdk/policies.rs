//! Policies that hold or stop a transfer, and the people who decide.

use dfns_sdk_rust::DfnsClient;
use dfns_sdk_rust::policies::types::{CreateApprovalDecisionRequest, ListApprovalsQuery};
use dfns_sdk_rust::wallets::types::GetTransferResponse;
use serde_json::{Value, json};

use crate::organisation::{Organisation, refusal, until};
use crate::payouts::{a_payout, confirm, text, until_it_awaits_confirmation, until_it_ends};
use crate::transfers::{a_transfer, until_status};

#[tokio::test]
async fn a_transfer_above_the_limit_waits_and_executes_once_another_user_approves() {
    let organisation = Organisation::create().await;
    let (payer, bob) = (organisation.dfns("payer"), organisation.dfns("bob"));
    hold_above_usd(1000, &organisation).await;
    let held = a_held_transfer(&organisation, &payer, "1000000001").await;
    let approval_id = held.approval_id.clone().expect("an approval");

    let approval = bob.policies.get_approval(approval_id.clone()).await.expect("the approval");
    assert_eq!(approval.status, "Pending");
    assert_eq!(approval.initiator_id, organisation.user("payer").user_id);
    assert_eq!(approval.activity["transferRequest"]["id"], held.id);
    assert_eq!(approval.policy_evaluations[0]["triggered"], true);
    let query = ListApprovalsQuery {
        limit: Some("10".to_owned()),
        pagination_token: None,
        status: Some("Pending".to_owned()),
        initiator_id: None,
        approver_id: None,
    };
    let pending = bob.policies.list_approvals(Some(query)).await.expect("a list");
    assert_eq!(pending.items.iter().map(|item| &item.id).collect::<Vec<_>>(), [&approval_id]);

    let (status, _) = refusal(payer.policies.create_approval_decision(approval_id.clone(), decision("Approved")).await);
    assert!([400, 403].contains(&status), "the initiator may not approve, got {status}");
    let decided = bob.policies.create_approval_decision(approval_id, decision("Approved")).await.expect("decided");
    assert_eq!(decided.status, "Approved");
    assert_eq!(decided.decisions[0]["userId"], organisation.user("bob").user_id);
    until_status(&payer, &held.wallet_id, &held.id, "Confirmed").await;
}

#[tokio::test]
async fn one_denial_rejects_the_transfer() {
    let organisation = Organisation::create().await;
    let payer = organisation.dfns("payer");
    hold_above_usd(1000, &organisation).await;
    let held = a_held_transfer(&organisation, &payer, "2000000000").await;
    let approval_id = held.approval_id.clone().expect("an approval");
    let bob = organisation.dfns("bob");
    let denied = bob.policies.create_approval_decision(approval_id, decision("Denied")).await.expect("decided");
    assert_eq!(denied.status, "Denied");
    let rejected = until_status(&payer, &held.wallet_id, &held.id, "Rejected").await;
    assert_eq!(rejected.tx_hash, None);
}

#[tokio::test]
async fn a_payout_whose_transfer_is_held_shows_it_and_completes_after_the_approval() {
    let organisation = Organisation::create().await;
    let payer = organisation.dfns("payer");
    hold_above_usd(100, &organisation).await;
    let created = payer.payouts.create_payout(a_payout(&organisation)).await.expect("a payout");
    let ready = until_it_awaits_confirmation(&payer, &created).await;
    confirm(&payer, &ready).await.expect("confirmed");
    let held = until(
        async || payer.payouts.get_payout(text(&ready["id"])).await,
        |payout| payout["data"]["executionStatus"] == "PendingPolicyApproval",
    )
    .await;

    let (wallet_id, transfer_id) = (text(&held["walletId"]), text(&held["data"]["transferId"]));
    let transfer = payer.wallets.get_transfer(wallet_id, transfer_id).await.expect("its transfer");
    let approval_id = transfer.approval_id.expect("an approval");
    let bob = organisation.dfns("bob");
    bob.policies.create_approval_decision(approval_id, decision("Approved")).await.expect("decided");
    assert_eq!(until_it_ends(&payer, &held).await["status"], "Completed");
}

/// Archiving is a signed call without a body.
#[tokio::test]
async fn an_archived_policy_holds_nothing() {
    let organisation = Organisation::create().await;
    let (alice, payer) = (organisation.dfns("alice"), organisation.dfns("payer"));
    let policy = hold_above_usd(1, &organisation).await;
    let listed = alice.policies.list_policies(None).await.expect("a list");
    assert_eq!(listed.items, std::slice::from_ref(&policy));
    let archived = alice.policies.delete_policy(text(&policy["id"])).await.expect("archived");
    assert_eq!(archived["status"], "Archived");

    let wallet_id = organisation.wallet("Polygon");
    let transfer = payer.wallets.transfer_asset(wallet_id.clone(), a_transfer("5000000")).await.expect("a transfer");
    until_status(&payer, &wallet_id, &transfer.id, "Confirmed").await;
}

/// Makes a policy under which Bob has to approve what is above `limit` US dollars.
async fn hold_above_usd(limit: u32, organisation: &Organisation) -> Value {
    let bob = &organisation.user("bob").user_id;
    let body = json!({
        "name": format!("Bob approves above USD {limit}"),
        "activityKind": "Wallets:Sign",
        "rule": { "kind": "TransactionAmountLimit", "configuration": { "limit": limit, "currency": "USD" } },
        "action": {
            "kind": "RequestApproval",
            "approvalGroups": [{ "quorum": 1, "approvers": { "userId": { "in": [bob] } } }],
        },
    });
    organisation.dfns("alice").policies.create_policy(body).await.expect("a policy")
}

async fn a_held_transfer(organisation: &Organisation, payer: &DfnsClient, amount: &str) -> GetTransferResponse {
    let wallet_id = organisation.wallet("Polygon");
    let requested = payer.wallets.transfer_asset(wallet_id.clone(), a_transfer(amount)).await.expect("a transfer");
    until(
        async || payer.wallets.get_transfer(wallet_id.clone(), requested.id.clone()).await,
        |transfer| transfer.status == "Pending" && transfer.approval_id.is_some(),
    )
    .await
}

fn decision(value: &str) -> CreateApprovalDecisionRequest {
    CreateApprovalDecisionRequest { value: value.to_owned(), reason: Some("checked".to_owned()) }
}
