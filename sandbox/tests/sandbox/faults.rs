//! Faults on request, and what they leave in the ledger.

use serde_json::{Value, json};

use crate::harness::*;

/// How a call ended: with a status, or without any answer.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Status(u16),
    NoAnswer,
}

async fn create(org: &Org, external_id: &str) -> End {
    let payer = org.user("payer");
    let body = org.payout(external_id, "1000").to_string();
    let token = payer.user_action("POST", "/payouts", &body).await;
    match payer.send("POST", "/payouts", Some(&body), Some(&token)).await {
        Ok(response) => End::Status(response.status().as_u16()),
        Err(_) => End::NoAnswer,
    }
}

#[tokio::test]
async fn faults_before_the_effect_leave_nothing_and_faults_after_it_leave_everything() {
    let org = org().await;
    for (kind, when, end, creates) in [
        ("status", "beforeEffect", End::Status(503), 0),
        ("status", "afterEffect", End::Status(503), 1),
        ("cutConnection", "beforeEffect", End::NoAnswer, 0),
        ("cutConnection", "afterEffect", End::NoAnswer, 1),
    ] {
        let name = format!("{kind}-{when}");
        let mut fault = json!({"kind": kind, "when": when, "on": "POST /payouts", "externalId": name});
        if kind == "status" {
            fault["status"] = json!(503);
        }
        org.fault(fault).await;
        assert_eq!(create(&org, "someone-else").await, End::Status(200));
        assert_eq!(create(&org, &name).await, end, "{name}");
        assert_eq!(org.ledger(&name).await["totals"]["createsAccepted"], creates, "{name}");
        assert_eq!(create(&org, &name).await, End::Status(200), "a fault strikes once");
        assert_eq!(org.ledger(&name).await["totals"]["createsAccepted"], 1, "{name}");
    }
}

#[tokio::test]
async fn an_empty_answer_to_confirm_hides_that_it_was_accepted() {
    let org = org().await;
    let payer = org.user("payer");
    let payout = org.awaiting_payout(&payer, "po-1", "1000").await;
    org.fault(json!({"kind": "emptyBody"})).await;
    assert_eq!(payer.confirm(&payout).await, (200, Value::Null));
    assert_eq!(org.ledger("po-1").await["totals"]["confirmsAccepted"], 1);
}

#[tokio::test]
async fn a_status_fault_can_ask_for_patience_and_a_burst_ends() {
    let org = org().await;
    let payer = org.user("payer");
    org.fault(json!({"kind": "status", "status": 503, "retryAfterSeconds": 7, "on": "GET /wallets"})).await;
    let response = payer.send("GET", "/wallets", None, None).await.unwrap();
    assert_eq!(response.headers()["retry-after"], "7");
    org.fault(json!({"kind": "rateLimited", "times": 3, "on": "GET /wallets"})).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(payer.get("/wallets").await.0);
    }
    assert_eq!(statuses, [429, 429, 429, 200]);
}

#[tokio::test]
async fn lagging_reads_show_the_past() {
    let org = org().await;
    let payer = org.user("payer");
    let old = org.awaiting_payout(&payer, "old", "1000").await;
    org.fault(json!({"kind": "readsLag", "ms": 60_000, "times": 100, "on": "GET /payouts/**"})).await;
    let new = org.new_payout(&payer, "new", "1000").await;
    let path = format!("/payouts/{}", text(&new["id"]));
    assert_eq!(payer.get(&path).await.0, 404, "it did not exist a minute ago");
    assert_eq!(payer.confirm(&old).await.0, 200);
    org.advance(10_000).await;
    let seen = payer.payout(&text(&old["id"])).await;
    assert_eq!(seen["data"]["executionStatus"], "AwaitingPayoutConfirmation", "as it was a minute ago");
    assert_eq!(payer.get("/payouts?status=Completed").await.1["items"], json!([]));
    org.advance(60_000).await;
    assert_eq!(payer.payout(&text(&old["id"])).await["status"], "Completed");
    assert_eq!(payer.get(&path).await.0, 200);
}

#[tokio::test]
async fn unknown_words_can_be_asked_for() {
    let org = org().await;
    let payer = org.user("payer");
    let id = text(&org.new_payout(&payer, "po-1", "1000").await["id"]);
    org.fault(json!({"kind": "unknownStatus"})).await;
    org.fault(json!({"kind": "unknownNetwork", "word": "Andromeda", "on": "GET /wallets/**"})).await;
    assert_eq!(payer.payout(&id).await["data"]["executionStatus"], "AwaitingModeration");
    assert_eq!(payer.payout(&id).await["data"]["executionStatus"], "Initializing");
    let (_, assets) = payer.get(&format!("/wallets/{}/assets", org.wallet("Polygon"))).await;
    assert_eq!(assets["network"], "Andromeda");

    org.fault(json!({"kind": "unknownWord", "field": "kind", "word": "Erc2000", "on": "GET /payouts/*"})).await;
    org.fault(json!({"kind": "unknownWord", "field": "status", "on": "GET /payouts/*"})).await;
    assert_eq!(payer.payout(&id).await["asset"]["kind"], "Erc2000");
    let odd = payer.payout(&id).await;
    assert_eq!((&odd["status"], &odd["data"]["executionStatus"]), (&json!("Nebulous"), &json!("Initializing")));
    assert_eq!(payer.payout(&id).await["status"], "Processing", "it was only shown");
}

#[tokio::test]
async fn webhooks_can_say_unknown_words_of_what_they_tell() {
    let org = org().await;
    let payer = org.user("payer");
    let receiver = Receiver::start().await;
    receiver.subscribe(&payer, &["*"]).await;
    let odd = json!({"kind": "unknownWordInWebhook", "field": "status", "eventKind": "wallet.transfer.confirmed"});
    org.fault(odd).await;
    org.confirmed_payout(&payer, "po-1", "1000").await;
    org.advance(10_000).await;
    let statuses = |kind: &str| -> Vec<String> {
        let of_kind = receiver.received().into_iter().filter(|it| it.event["kind"] == kind);
        of_kind.map(|it| text(&it.event["data"]["transferRequest"]["status"])).collect()
    };
    assert_eq!(statuses("wallet.transfer.broadcasted"), ["Broadcasted"]);
    assert_eq!(statuses("wallet.transfer.confirmed"), ["Nebulous"]);
}

#[tokio::test]
async fn the_webhook_can_lie_about_the_address_and_so_can_time() {
    let org = org().await;
    let payer = org.user("payer");
    let receiver = Receiver::start().await;
    receiver.subscribe(&payer, &["*"]).await;
    org.fault(json!({"kind": "wrongAddressInWebhook"})).await;
    let payout = org.awaiting_payout(&payer, "po-1", "1000").await;
    let told = receiver.received()[0].event["data"]["payout"].clone();
    assert_ne!(told["data"]["depositAddress"], payout["data"]["depositAddress"]);
    assert_eq!(payer.confirm(&told).await.0, 400);

    org.fault(json!({"kind": "addressChangesAtConfirm"})).await;
    let first = payer.payout(&text(&payout["id"])).await;
    assert_eq!(payer.confirm(&first).await.0, 400, "it has another address by now");
    let second = payer.payout(&text(&payout["id"])).await;
    assert_ne!(first["data"]["depositAddress"], second["data"]["depositAddress"]);
    assert_eq!(payer.confirm(&second).await.0, 200);
}

#[tokio::test]
async fn a_second_confirm_can_be_let_through_and_pays_twice() {
    let org = org().await;
    let payer = org.user("payer");
    org.fault(json!({"kind": "twoConfirmsAccepted"})).await;
    let payout = org.awaiting_payout(&payer, "po-1", "1000").await;
    assert_eq!(payer.confirm(&payout).await.0, 200);
    assert_eq!(payer.confirm(&payout).await.0, 200);
    assert_eq!(payer.confirm(&payout).await.0, 412);
    org.advance(5_000).await;
    let ledger = org.ledger("po-1").await;
    assert_eq!(ledger["totals"]["confirmsAccepted"], 2);
    assert_eq!(ledger["totals"]["transfersConfirmed"], 2);
    assert_eq!(ledger["payouts"][0]["transferIds"].as_array().unwrap().len(), 2);
    assert_eq!(payer.payout(&text(&payout["id"])).await["status"], "Completed");
}

#[tokio::test]
async fn instructions_and_offers_can_be_withheld() {
    let org = org().await;
    let payer = org.user("payer");
    org.fault(json!({"kind": "neverInstructions", "externalId": "po-1"})).await;
    let id = text(&org.new_payout(&payer, "po-1", "1000").await["id"]);
    org.advance(23 * HOUR).await;
    assert_eq!(payer.payout(&id).await["data"]["executionStatus"], "AwaitingPayoutInstructions");
    org.fault(json!({"kind": "quoteWithoutOffers"})).await;
    let body = json!({
        "walletId": org.wallet("Polygon"), "asset": {"kind": "Erc20", "amount": "1000", "contract": USDC},
        "fiatCurrency": "USD", "provider": "Borderless", "country": "US",
    });
    let answer = payer.send("POST", "/payouts/quote", Some(&body.to_string()), None).await.unwrap();
    assert_eq!(reply(answer).await.1["quotes"], json!([]));
}

#[tokio::test]
async fn webhooks_can_be_lost_doubled_delayed_and_of_unknown_kind() {
    let org = org().await;
    let payer = org.user("payer");
    let receiver = Receiver::start().await;
    let webhook = receiver.subscribe(&payer, &["payout.action.required"]).await;
    for (external_id, fault) in [
        ("lost", json!({"kind": "loseWebhook"})),
        ("doubled", json!({"kind": "doubleWebhook"})),
        ("late", json!({"kind": "delayWebhook", "ms": 3_600_000})),
        ("odd", json!({"kind": "unknownEventKind"})),
    ] {
        let mut fault = fault;
        fault["externalId"] = json!(external_id);
        org.fault(fault).await;
    }
    let heard = |external_id: &str| {
        let of = |it: &Received| it.event["data"]["payout"]["externalId"] == external_id;
        receiver.received().into_iter().filter(of).collect::<Vec<_>>()
    };
    org.awaiting_payout(&payer, "lost", "1000").await;
    org.advance(30 * HOUR).await;
    assert_eq!(heard("lost").len(), 0);
    let path = format!("/webhooks/{}/events?deliveryFailed=true", text(&webhook["id"]));
    assert_eq!(payer.get(&path).await.1["items"].as_array().unwrap().len(), 1, "the events API knows of it");

    org.awaiting_payout(&payer, "doubled", "1000").await;
    let twice = heard("doubled");
    assert_eq!(twice.len(), 2);
    assert_eq!(twice[0].event["id"], twice[1].event["id"]);

    org.awaiting_payout(&payer, "late", "1000").await;
    assert_eq!(heard("late").len(), 0);
    org.advance(HOUR).await;
    assert_eq!(heard("late").len(), 1);

    org.awaiting_payout(&payer, "odd", "1000").await;
    let mut kinds: Vec<String> = heard("odd").iter().map(|it| text(&it.event["kind"])).collect();
    kinds.sort();
    assert_eq!(kinds, ["payout.action.required", "payout.weather.changed"]);
}

#[tokio::test]
async fn webhooks_can_arrive_in_the_wrong_order() {
    let org = org().await;
    let payer = org.user("payer");
    let receiver = Receiver::start().await;
    receiver.subscribe(&payer, &["wallet.transfer.broadcasted", "wallet.transfer.confirmed"]).await;
    org.fault(json!({"kind": "reorderWebhook", "eventKind": "wallet.transfer.broadcasted"})).await;
    org.confirmed_payout(&payer, "po-1", "1000").await;
    org.advance(10_000).await;
    assert_eq!(receiver.kinds(), ["wallet.transfer.confirmed", "wallet.transfer.broadcasted"]);
}

#[tokio::test]
async fn a_slow_call_has_its_effect_even_when_its_caller_leaves() {
    let org = org().await;
    let payer = org.user("payer");
    org.fault(json!({"kind": "slow", "ms": 400, "on": "POST /payouts"})).await;
    let body = org.payout("po-1", "1000").to_string();
    let token = payer.user_action("POST", "/payouts", &body).await;
    let call = payer.send("POST", "/payouts", Some(&body), Some(&token));
    assert!(tokio::time::timeout(std::time::Duration::from_millis(100), call).await.is_err());
    let under_way = async || org.control("GET", "/requests", Value::Null).await["underWay"].clone();
    assert_eq!(under_way().await, 1, "it has left no trace yet, and is told all the same");
    let created = async || org.ledger("po-1").await["totals"]["createsAccepted"] == 1;
    eventually("the payout exists although nobody waited for the answer", created).await;
    eventually("nothing is under way any more", async || under_way().await == 0).await;
}

#[tokio::test]
async fn a_bad_fault_is_refused_and_faults_can_be_listed_and_removed() {
    let org = org().await;
    let path = format!("/organisations/{}/faults", org.id);
    for fault in [
        json!({"kind": "earthquake"}),
        json!({"kind": "status"}),
        json!({"kind": "slow"}),
        json!({"kind": "unknownWord"}),
        json!({"kind": "cutConnection", "on": "payouts"}),
        json!({"kind": "cutConnection", "times": 0}),
        json!({"kind": "cutConnection", "colour": "red"}),
        json!({"kind": "cutConnection", "probability": 1.5}),
    ] {
        assert_eq!(org.sandbox.control("POST", &path, fault.clone()).await.0, 400, "{fault}");
    }
    org.fault(json!({"kind": "rateLimited", "on": "GET /wallets", "times": 2})).await;
    org.user("payer").get("/wallets").await;
    let faults = org.control("GET", "/faults", Value::Null).await;
    assert_eq!((faults["items"][0]["struck"].as_u64(), faults["items"].as_array().unwrap().len()), (Some(1), 1));
    let id = text(&faults["items"][0]["id"]);
    org.control("DELETE", &format!("/faults/{id}"), Value::Null).await;
    assert_eq!(org.user("payer").get("/wallets").await.0, 200);
}
