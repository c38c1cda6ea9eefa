//! The life of a payout, its endings and its clock.

use serde_json::{Value, json};

use crate::harness::*;

#[tokio::test]
async fn a_payout_goes_from_create_to_the_bank_and_moves_exactly_its_amount() {
    let org = org().await;
    let payer = org.user("payer");
    let receiver = Receiver::start().await;
    let webhook = receiver.subscribe(&payer, &["*"]).await;

    let created = org.new_payout(&payer, "po-1", "1000000000").await;
    assert_eq!(created["status"], "Processing");
    assert_eq!(created["data"]["executionStatus"], "Initializing");
    assert_eq!(created["asset"]["network"], "Polygon");
    assert_eq!(created["requester"]["userId"], payer.id);
    org.advance(500).await;

    let required = receiver.received().pop().unwrap();
    assert!(required.is_signed_with(webhook["secret"].as_str().unwrap()));
    assert_eq!(required.event["kind"], "payout.action.required");
    assert_eq!(required.event["deliveryAttempt"], 1);
    let payout = payer.payout(&text(&created["id"])).await;
    assert_eq!(required.event["data"]["payout"], payout);

    assert_eq!(payer.confirm(&payout).await, (200, json!({})));
    org.advance(5_000).await;
    let done = payer.payout(&text(&created["id"])).await;
    assert_eq!(done["status"], "Completed", "{done}");
    for date in ["dateConfirmed", "dateDepositConfirmed", "datePayoutConfirmed"] {
        assert!(done["data"][date].is_string(), "{date}: {done}");
    }
    assert!(done["data"]["transactionHash"].as_str().unwrap().starts_with("0x"));

    let ledger = org.ledger("po-1").await;
    assert_eq!(ledger["totals"]["confirmsAccepted"], 1);
    assert_eq!(ledger["totals"]["transfersConfirmed"], 1);
    let deposited = ledger["balances"]
        .as_array()
        .unwrap()
        .iter()
        .find(|account| account["address"] == payout["data"]["depositAddress"]);
    assert_eq!(deposited.unwrap()["current"], "1000000000");
    assert_eq!(
        receiver.kinds(),
        [
            "payout.action.required",
            "wallet.transfer.requested",
            "wallet.transfer.broadcasted",
            "wallet.transfer.confirmed"
        ],
        "the end of a payout is silent"
    );
}

#[tokio::test]
async fn a_payout_also_finishes_by_itself_as_time_passes() {
    let org = org().await;
    let payer = org.user("payer");
    let id = text(&org.new_payout(&payer, "po-real", "5000000").await["id"]);
    let awaiting = async || payer.payout(&id).await["data"]["executionStatus"] == "AwaitingPayoutConfirmation";
    eventually("awaiting confirmation", awaiting).await;
    assert_eq!(payer.confirm(&payer.payout(&id).await).await.0, 200);
    eventually("completed", async || payer.payout(&id).await["status"] == "Completed").await;
}

#[tokio::test]
async fn a_solana_payout_completes_too() {
    let org = org().await;
    let payer = org.user("payer");
    let mut body = org.payout("po-sol", "25000000");
    body["walletId"] = json!(org.wallet("Solana"));
    body["asset"] =
        json!({"kind": "Spl", "amount": "25000000", "mint": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"});
    let (status, created) = payer.write("POST", "/payouts", &body).await;
    assert_eq!(status, 200, "{created}");
    org.advance(500).await;
    let payout = payer.payout(&text(&created["id"])).await;
    let confirm = json!({"action": "Confirm", "walletId": payout["walletId"], "transfer": {
        "kind": "Spl", "amount": "25000000", "mint": payout["asset"]["mint"], "to": payout["data"]["depositAddress"],
    }});
    assert_eq!(payer.act(&payout, &confirm).await.0, 200);
    org.advance(5_000).await;
    assert_eq!(payer.payout(&text(&created["id"])).await["status"], "Completed");
}

#[tokio::test]
async fn a_payout_nobody_confirms_expires_24_hours_after_its_creation() {
    let org = org().await;
    let payer = org.user("payer");
    let payout = org.awaiting_payout(&payer, "po-1", "100").await;
    org.advance(24 * HOUR - 10 * MINUTE).await;
    assert_eq!(payer.payout(&text(&payout["id"])).await["status"], "Processing");
    org.advance(10 * MINUTE).await;
    let expired = payer.payout(&text(&payout["id"])).await;
    assert_eq!(expired["status"], "Expired");
    assert_eq!(expired["data"]["executionStatus"], "Expired");
    assert_eq!(payer.confirm(&payout).await.0, 412);
}

#[tokio::test]
async fn a_confirmed_payout_without_a_transfer_expires_after_4_hours_and_its_transfer_stays_open() {
    let org = org().await;
    let (payer, alice, bob) = (org.user("payer"), org.user("alice"), org.user("bob"));
    crate::policies::approval_for_everything(&org, json!(null)).await;
    let id = org.confirmed_payout(&payer, "po-1", "100").await;
    org.advance(4 * HOUR - 10 * MINUTE).await;
    assert_eq!(payer.payout(&id).await["data"]["executionStatus"], "PendingPolicyApproval");
    org.advance(10 * MINUTE).await;
    let expired = payer.payout(&id).await;
    assert_eq!(expired["status"], "Expired");

    let (_, approvals) = alice.get("/v2/policy-approvals?status=Pending").await;
    let approval = text(&approvals["items"][0]["id"]);
    let path = format!("/v2/policy-approvals/{approval}/decisions");
    for approver in [&alice, &bob] {
        assert_eq!(approver.write("POST", &path, &json!({"value": "Approved"})).await.0, 200);
    }
    org.advance(5_000).await;
    assert_eq!(org.ledger("po-1").await["totals"]["transfersConfirmed"], 1, "the danger clients must know of");
    assert_eq!(payer.payout(&id).await["status"], "Expired");
}

#[tokio::test]
async fn an_expiry_can_be_set_to_reject_the_pending_transfer() {
    let org = org_with(json!({"settings": {"pendingTransferAtExpiry": "reject"}})).await;
    let payer = org.user("payer");
    crate::policies::approval_for_everything(&org, json!(null)).await;
    let id = org.confirmed_payout(&payer, "po-1", "100").await;
    org.advance(4 * HOUR + MINUTE).await;
    assert_eq!(payer.payout(&id).await["status"], "Expired");
    assert_eq!(org.ledger("po-1").await["transfers"][0]["status"], "Rejected");
}

#[tokio::test]
async fn the_last_two_digits_decide_the_ending() {
    let org = org().await;
    let payer = org.user("payer");
    for (amount, status, moved) in [
        ("100000090", "Failed", 1),
        ("100000093", "Failed", 0),
        ("100000095", "Failed", 1),
        ("100000096", "Completed", 1),
        ("100000097", "Processing", 0),
        ("100000098", "Completed", 1),
    ] {
        let id = org.confirmed_payout(&payer, amount, amount).await;
        org.advance(HOUR).await;
        assert_eq!(payer.payout(&id).await["status"], status, "{amount}");
        assert_eq!(org.ledger(amount).await["totals"]["transfersConfirmed"], moved, "{amount}");
    }

    let failed = text(&org.new_payout(&payer, "91", "100000091").await["id"]);
    let never = text(&org.new_payout(&payer, "92", "100000092").await["id"]);
    let slow = text(&org.new_payout(&payer, "99", "100000099").await["id"]);
    org.advance(50 * MINUTE).await;
    assert_eq!(payer.payout(&failed).await["status"], "Failed");
    assert_eq!(payer.payout(&slow).await["data"]["executionStatus"], "AwaitingPayoutInstructions");
    org.advance(11 * MINUTE).await;
    assert_eq!(payer.payout(&slow).await["data"]["executionStatus"], "AwaitingPayoutConfirmation");
    assert_eq!(payer.payout(&never).await["data"]["executionStatus"], "AwaitingPayoutInstructions");
    org.advance(23 * HOUR).await;
    assert_eq!(payer.payout(&never).await["status"], "Expired");

    let bank = org.confirmed_payout(&payer, "94", "100000094").await;
    org.advance(119 * HOUR).await;
    assert_eq!(payer.payout(&bank).await["data"]["executionStatus"], "DisbursementPending");
    org.advance(2 * HOUR).await;
    assert_eq!(payer.payout(&bank).await["status"], "Completed");
}

#[tokio::test]
async fn an_unknown_word_shows_between_deposit_and_bank() {
    let org = org_with(json!({"delays": {"disbursement": 3_600_000}})).await;
    let payer = org.user("payer");
    let id = org.confirmed_payout(&payer, "po-98", "100000098").await;
    org.advance(HOUR).await;
    assert_eq!(payer.payout(&id).await["data"]["executionStatus"], "DepositUnderReview");
    org.advance(3 * HOUR).await;
    assert_eq!(payer.payout(&id).await["status"], "Completed");
}

#[tokio::test]
async fn confirm_must_echo_everything() {
    let org = org().await;
    let payer = org.user("payer");
    let payout = org.awaiting_payout(&payer, "po-1", "1000").await;
    let wrong = [
        ("/walletId", json!(org.wallet("Solana"))),
        ("/transfer/amount", json!("1001")),
        ("/transfer/contract", json!("0x0000000000000000000000000000000000000001")),
        ("/transfer/to", json!("0x0000000000000000000000000000000000000002")),
    ];
    for (field, value) in wrong {
        let mut body = confirm_body(&payout);
        *body.pointer_mut(field).unwrap() = value;
        let (status, answer) = payer.act(&payout, &body).await;
        assert_eq!(status, 400, "{field}");
        let name = field.trim_start_matches('/').replace('/', ".");
        assert!(answer["error"]["message"].as_str().unwrap().starts_with(&name), "{answer}");
    }
    let mut shouted = confirm_body(&payout);
    shouted["transfer"]["to"] = json!(text(&payout["data"]["depositAddress"]).to_uppercase().replacen("0X", "0x", 1));
    assert_eq!(payer.act(&payout, &shouted).await.0, 200, "EVM addresses are the same in any case");
    assert_eq!(org.ledger("po-1").await["payouts"][0]["confirmCalls"], 5);
    assert_eq!(org.ledger("po-1").await["payouts"][0]["confirmsAccepted"], 1);
}

#[tokio::test]
async fn only_its_creator_in_the_right_state_may_act_on_a_payout() {
    let org = org().await;
    let (payer, alice) = (org.user("payer"), org.user("alice"));
    let payout = org.awaiting_payout(&payer, "po-1", "1000").await;
    assert_eq!(alice.confirm(&payout).await.0, 403);
    let unknown = json!({"id": "pyt-aaaaa-bbbbb-cccccccccccccccc"});
    assert_eq!(payer.act(&unknown, &json!({"action": "Cancel"})).await.0, 404);

    assert_eq!(payer.confirm(&payout).await.0, 200);
    assert_eq!(payer.confirm(&payout).await.0, 412);
    assert_eq!(payer.act(&payout, &json!({"action": "Cancel"})).await.0, 412);

    let other = org.awaiting_payout(&payer, "po-2", "1000").await;
    assert_eq!(payer.act(&other, &json!({"action": "Cancel"})).await.0, 200);
    let canceled = payer.payout(&text(&other["id"])).await;
    assert_eq!(canceled["status"], "Canceled");
    assert!(canceled["data"]["dateCanceled"].is_string());
    assert_eq!(org.ledger("po-2").await["totals"]["transfers"], 0);
}

#[tokio::test]
async fn the_same_create_twice_is_one_payout() {
    let org = org().await;
    let payer = org.user("payer");
    let first = org.new_payout(&payer, "po-1", "1000").await;
    let again = org.new_payout(&payer, "po-1", "1000").await;
    assert_eq!(first["id"], again["id"]);

    let (status, conflict) = payer.write("POST", "/payouts", &org.payout("po-1", "2000")).await;
    assert_eq!(status, 409);
    assert_eq!(conflict["error"]["details"]["duplicate"], json!({"id": first["id"], "externalId": "po-1"}));
    let ledger = org.ledger("po-1").await;
    assert_eq!(ledger["totals"]["createsAccepted"], 1);
    assert_eq!(ledger["totals"]["createCalls"], 3);

    org.control("POST", "/settings", json!({"payoutConflict": "200"})).await;
    let (status, old) = payer.write("POST", "/payouts", &org.payout("po-1", "2000")).await;
    assert_eq!((status, &old["asset"]["amount"]), (200, &json!("1000")));
}

#[tokio::test]
async fn a_bad_create_is_refused_with_the_field_named() {
    let org = org().await;
    let payer = org.user("payer");
    let cases: [(&str, &str, Value); 10] = [
        ("/walletId", "walletId", json!("wallet 1")),
        ("/asset/amount", "asset.amount", json!("1.5")),
        ("/asset/amount", "asset.amount", json!("0")),
        ("/asset/amount", "asset.amount", json!("340282366920938463463374607431768211456")),
        ("/asset/kind", "kind", json!("Native")),
        ("/asset/contract", "contract", json!("0x12")),
        ("/fiatCurrency", "fiatCurrency", json!("brl")),
        ("/country", "country", json!("BRA")),
        ("/paymentPurpose", "paymentPurpose", json!("gambling")),
        ("/externalId", "externalId", json!("x".repeat(51))),
    ];
    for (pointer, named, value) in cases {
        let mut body = org.payout("po-1", "1000");
        *body.pointer_mut(pointer).unwrap() = value.clone();
        let (status, answer) = payer.write("POST", "/payouts", &body).await;
        assert_eq!(status, 400, "{pointer} {value}: {answer}");
        let message = text(&answer["error"]["message"]);
        assert!(message.contains(named.rsplit('.').next().unwrap()), "{message}");
        assert!(answer["error"]["id"].is_string());
        assert_eq!(answer["error"]["status"], 400);
    }
    let mut body = org.payout("po-1", "1000");
    body["memo"] = json!("hello");
    let (status, answer) = payer.write("POST", "/payouts", &body).await;
    assert_eq!(status, 400);
    assert!(text(&answer["error"]["message"]).contains("unknown field `memo`"), "{answer}");
    assert_eq!(org.ledger("po-1").await["totals"]["createsAccepted"], 0);
}

#[tokio::test]
async fn quotes_are_net_of_fees_and_may_be_empty() {
    let org = org().await;
    let payer = org.user("payer");
    let quote = async |amount: &str, currency: &str| {
        let body = json!({
            "walletId": org.wallet("Polygon"),
            "asset": {"kind": "Erc20", "amount": amount, "contract": USDC},
            "fiatCurrency": currency, "provider": "Borderless", "country": "US",
        });
        reply(payer.send("POST", "/payouts/quote", Some(&body.to_string()), None).await.unwrap()).await
    };
    let (status, answer) = quote("1000000000", "USD").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["quotes"][0]["offer"], json!({"fiatCurrency": "USD", "amount": 985.5, "fees": 14.5}));
    assert_eq!(quote("1000000096", "USD").await.1["quotes"], json!([]));
    assert_eq!(quote("1000000000", "XXX").await.1["quotes"], json!([]), "no rate, no offer");
}

#[tokio::test]
async fn the_list_pages_newest_first_and_filters() {
    let org = org().await;
    let payer = org.user("payer");
    for number in 0..5 {
        org.new_payout(&payer, &format!("po-{number}"), "1000").await;
    }
    let canceled = org.awaiting_payout(&payer, "po-5", "1000").await;
    payer.act(&canceled, &json!({"action": "Cancel"})).await;

    let mut seen = Vec::new();
    let mut path = "/payouts?limit=2&status=Processing&status=Canceled".to_owned();
    loop {
        let (status, page) = payer.get(&path).await;
        assert_eq!(status, 200, "{page}");
        seen.extend(page["items"].as_array().unwrap().iter().map(|payout| text(&payout["externalId"])));
        let Some(token) = page["nextPageToken"].as_str() else { break };
        path = format!("/payouts?limit=2&status=Processing,Canceled&paginationToken={token}");
    }
    assert_eq!(seen, ["po-5", "po-4", "po-3", "po-2", "po-1", "po-0"]);
    let (_, page) = payer.get("/payouts?status=Canceled&provider=Borderless").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(payer.get("/payouts?limit=51").await.0, 400);
    assert_eq!(payer.get("/payouts?status=Lost").await.0, 400);
}
