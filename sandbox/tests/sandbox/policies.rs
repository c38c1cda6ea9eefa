//! Policies and approvals, seen through payouts and transfers.

use serde_json::{Value, json};

use crate::harness::*;

pub async fn policy(org: &Org, name: &str, rule: Value, action: Value) -> Value {
    let body = json!({"name": name, "activityKind": "Wallets:Sign", "rule": rule, "action": action});
    let (status, policy) = org.user("alice").write("POST", "/v2/policies", &body).await;
    assert_eq!(status, 200, "{policy}");
    policy
}

pub async fn approval_for_everything(org: &Org, minutes: Value) -> Value {
    let action = json!({
        "kind": "RequestApproval",
        "approvalGroups": [{"name": "people", "quorum": 2, "approvers": {}}],
        "autoRejectTimeout": minutes,
    });
    policy(org, "everything", json!({"kind": "AlwaysTrigger"}), action).await
}

async fn decide(user: &User, approval: &str, value: &str) -> Reply {
    user.write("POST", &format!("/v2/policy-approvals/{approval}/decisions"), &json!({"value": value})).await
}

/// A payout that waits for approval, and the approval.
async fn held(org: &Org) -> (String, String) {
    let payer = org.user("payer");
    let id = org.confirmed_payout(&payer, "po-held", "1000").await;
    org.advance(2_000).await;
    let payout = payer.payout(&id).await;
    assert_eq!(payout["data"]["executionStatus"], "PendingPolicyApproval", "{payout}");
    let path = format!("/wallets/{}/transfers/{}", text(&payout["walletId"]), text(&payout["data"]["transferId"]));
    let (_, transfer) = payer.get(&path).await;
    assert_eq!(transfer["status"], "Pending");
    (id, text(&transfer["approvalId"]))
}

#[tokio::test]
async fn a_blocking_policy_rejects_the_payout_and_says_so() {
    let org = org().await;
    let payer = org.user("payer");
    let receiver = Receiver::start().await;
    receiver.subscribe(&payer, &["*"]).await;
    let limit = json!({"kind": "TransactionAmountLimit", "configuration": {"limit": 5000, "currency": "USD"}});
    policy(&org, "Cap", limit, json!({"kind": "Block"})).await;

    let allowed = org.confirmed_payout(&payer, "po-1", "5000000000").await;
    let blocked = org.confirmed_payout(&payer, "po-2", "10000000000").await;
    org.advance(5_000).await;
    assert_eq!(payer.payout(&allowed).await["status"], "Completed", "equal to the limit passes");
    let rejected = payer.payout(&blocked).await;
    assert_eq!(rejected["status"], "Rejected");
    assert_eq!(rejected["data"]["statusReason"], "Blocked by policy: Cap");
    let events = receiver.received();
    let triggered = events.iter().find(|it| it.event["kind"] == "policy.triggered").unwrap();
    assert_eq!(
        triggered.event["data"]["policyEvaluation"]["reason"],
        "Transfer amount (USD 10000) is above limit (USD 5000). "
    );
    assert!(events.iter().any(|it| it.event["kind"] == "wallet.transfer.rejected"));
}

#[tokio::test]
async fn approval_needs_the_quorum_and_then_the_payout_runs_by_itself() {
    let org = org().await;
    approval_for_everything(&org, json!(null)).await;
    let (payout, approval) = held(&org).await;
    let (alice, bob, payer) = (org.user("alice"), org.user("bob"), org.user("payer"));

    assert_eq!(decide(&payer, &approval, "Approved").await.0, 403, "it may not vote at all");
    let (status, first) = decide(&alice, &approval, "Approved").await;
    assert_eq!((status, &first["status"]), (200, &json!("Pending")));
    assert_eq!(first["decisions"][0]["reason"], Value::Null);
    assert_eq!(decide(&alice, &approval, "Approved").await.0, 412, "each decides once");
    let (_, second) = decide(&bob, &approval, "Approved").await;
    assert_eq!(second["status"], "Approved");
    assert_eq!(decide(&bob, &approval, "Denied").await.0, 412);
    org.advance(5_000).await;
    assert_eq!(payer.payout(&payout).await["status"], "Completed");
}

#[tokio::test]
async fn one_denial_rejects_the_payout() {
    let org = org().await;
    approval_for_everything(&org, json!(null)).await;
    let (payout, approval) = held(&org).await;
    let (_, decided) = decide(&org.user("bob"), &approval, "Denied").await;
    assert_eq!(decided["status"], "Denied");
    assert_eq!(org.user("payer").payout(&payout).await["status"], "Rejected");
    assert_eq!(org.ledger("po-held").await["totals"]["transfersConfirmed"], 0);
}

#[tokio::test]
async fn nobody_answering_in_time_rejects_the_payout() {
    let org = org().await;
    let receiver = Receiver::start().await;
    receiver.subscribe(&org.user("payer"), &["policy.approval.pending", "policy.approval.resolved"]).await;
    approval_for_everything(&org, json!(30)).await;
    let (payout, approval) = held(&org).await;
    org.advance(29 * MINUTE).await;
    assert_eq!(org.user("payer").payout(&payout).await["status"], "Processing");
    org.advance(2 * MINUTE).await;
    assert_eq!(org.user("payer").payout(&payout).await["status"], "Rejected");
    let (_, expired) = org.user("alice").get(&format!("/v2/policy-approvals/{approval}")).await;
    assert_eq!(expired["status"], "Expired");
    assert_eq!(receiver.kinds(), ["policy.approval.pending", "policy.approval.resolved"]);
    assert_eq!(receiver.received()[1].event["data"]["approvalId"], approval);
}

#[tokio::test]
async fn the_initiator_may_deny_but_not_approve() {
    let org = org().await;
    approval_for_everything(&org, json!(null)).await;
    let alice = org.user("alice");
    let transfer = json!({"kind": "Erc20", "amount": "5", "contract": USDC, "to": format!("0x{}", "ab".repeat(20))});
    let (_, transfer) = alice.write("POST", &format!("/wallets/{}/transfers", org.wallet("Polygon")), &transfer).await;
    let approval = text(&transfer["approvalId"]);
    assert_eq!(decide(&alice, &approval, "Approved").await.0, 403);
    assert_eq!(decide(&alice, &approval, "Denied").await.1["status"], "Denied");
}

#[tokio::test]
async fn a_service_account_votes_only_when_named_and_switched_on() {
    let org = org().await;
    let made = json!({"name": "robot", "kind": "ServiceAccount", "permissions": ["Policies:Approvals:Approve"]});
    let robot = org.user_from(&org.control("POST", "/users", made).await);
    let action = json!({"kind": "RequestApproval", "approvalGroups": [{
        "quorum": 1, "approvers": {"userId": {"in": [robot.id]}}, "serviceAccountsCanApprove": true,
    }]});
    policy(&org, "robot", json!({"kind": "AlwaysTrigger", "configuration": {}}), action).await;
    let (payout, approval) = held(&org).await;
    assert_eq!(decide(&robot, &approval, "Approved").await.0, 403);
    org.control("POST", "/settings", json!({"serviceAccountApprovers": "on"})).await;
    assert_eq!(decide(&robot, &approval, "Approved").await.1["status"], "Approved");
    org.advance(5_000).await;
    assert_eq!(org.user("payer").payout(&payout).await["status"], "Completed");
}

#[tokio::test]
async fn velocity_and_count_look_at_a_sliding_window() {
    let org = org().await;
    let payer = org.user("payer");
    let amount = json!({"kind": "TransactionAmountVelocity",
        "configuration": {"limit": 100, "currency": "USD", "timeframe": 60}});
    let count = json!({"kind": "TransactionCountVelocity", "configuration": {"limit": 3, "timeframe": 60}});
    policy(&org, "amount", amount, json!({"kind": "Block"})).await;
    policy(&org, "count", count, json!({"kind": "Block"})).await;
    let path = format!("/wallets/{}/transfers", org.wallet("Polygon"));
    let pay = async |amount: &str| {
        let body = json!({"kind": "Erc20", "amount": amount, "contract": USDC, "to": format!("0x{}", "ab".repeat(20))});
        let (_, transfer) = payer.write("POST", &path, &body).await;
        org.advance(2_000).await;
        text(&transfer["status"])
    };
    assert_eq!(pay("60000000").await, "Executing");
    assert_eq!(pay("60000000").await, "Rejected", "120 USD within the hour");
    assert_eq!(pay("1000000").await, "Executing");
    assert_eq!(pay("1000000").await, "Executing");
    assert_eq!(pay("1000000").await, "Rejected", "the fourth within the hour");
    org.advance(HOUR).await;
    assert_eq!(pay("60000000").await, "Executing", "the window has moved on");
}

#[tokio::test]
async fn block_beats_approval_and_filters_and_whitelists_hold() {
    let org = org().await;
    let (payer, alice) = (org.user("payer"), org.user("alice"));
    let friend = format!("0x{}", "ab".repeat(20));
    approval_for_everything(&org, json!(null)).await;
    let body = json!({
        "name": "known", "activityKind": "Wallets:Sign", "action": {"kind": "Block"},
        "rule": {"kind": "TransactionRecipientWhitelist", "configuration": {"addresses": [friend.to_uppercase().replacen("0X", "0x", 1)]}},
        "filters": {"walletId": {"in": [org.wallet("Polygon")]}},
    });
    let (_, whitelist) = alice.write("POST", "/v2/policies", &body).await;
    let path = format!("/wallets/{}/transfers", org.wallet("Polygon"));
    let pay = async |to: &str| {
        let body = json!({"kind": "Erc20", "amount": "7", "contract": USDC, "to": to});
        text(&payer.write("POST", &path, &body).await.1["status"])
    };
    assert_eq!(pay(&friend).await, "Pending");
    assert_eq!(pay(&format!("0x{}", "cd".repeat(20))).await, "Rejected");

    let (status, _) = alice.write("DELETE", &format!("/v2/policies/{}", text(&whitelist["id"])), &Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(pay(&format!("0x{}", "cd".repeat(20))).await, "Pending");
    let (_, active) = alice.get("/v2/policies?status=Active").await;
    assert_eq!(active["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_policy_update_must_be_complete() {
    let org = org().await;
    let alice = org.user("alice");
    let made = approval_for_everything(&org, json!(null)).await;
    let path = format!("/v2/policies/{}", text(&made["id"]));
    let mut body = json!({"name": "renamed", "rule": {"kind": "AlwaysTrigger"}, "action": {"kind": "Block"}});
    let (status, answer) = alice.write("PUT", &path, &body).await;
    assert_eq!(status, 400);
    assert!(text(&answer["error"]["message"]).contains("activityKind"));
    body["activityKind"] = json!("Wallets:Sign");
    assert_eq!(alice.write("PUT", &path, &body).await.0, 200);
    assert_eq!(alice.get(&path).await.1["name"], "renamed");
}

#[tokio::test]
async fn a_transfer_waiting_for_approval_may_be_announced_with_202() {
    let org = org_with(json!({"settings": {"pendingApprovalAnswer": "202"}})).await;
    approval_for_everything(&org, json!(null)).await;
    let body = json!({"kind": "Erc20", "amount": "7", "contract": USDC, "to": format!("0x{}", "ab".repeat(20))});
    let path = format!("/wallets/{}/transfers", org.wallet("Polygon"));
    let (status, transfer) = org.user("payer").write("POST", &path, &body).await;
    assert_eq!((status, &transfer["status"]), (202, &json!("Pending")));
}
