//! The control API.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::*;

#[tokio::test]
async fn an_organisation_comes_with_users_and_wallets() {
    let org = org_with(json!({"name": "Acme"})).await;
    assert_eq!(org.made["name"], "Acme");
    let names: Vec<String> = org.made["users"].as_array().unwrap().iter().map(|user| text(&user["name"])).collect();
    assert_eq!(names, ["payer", "alice", "bob", "reader"]);
    let polygon = &org.made["wallets"][0];
    assert_eq!(polygon["assets"][1]["balance"], "1000000000000000");
    assert_eq!(polygon["assets"][1]["contract"], USDC);

    let read = org.control("GET", "", Value::Null).await;
    assert_eq!(read["users"][0]["token"], Value::Null, "secrets are shown once");
    let (_, all) = org.sandbox.control("GET", "/organisations", Value::Null).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn default_users_may_have_p256_keys() {
    let org = org_with(json!({"keyKind": "P256"})).await;
    let pem = text(&org.made["users"][0]["privateKeyPem"]);
    let (_, pkcs8) = spki::der::pem::decode_vec(pem.as_bytes()).unwrap();
    let random = ring::rand::SystemRandom::new();
    let algorithm = &ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
    assert!(ring::signature::EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8, &random).is_ok());
}

#[tokio::test]
async fn the_same_seed_and_calls_make_the_same_organisation() {
    let (first, second) = (org().await, org().await);
    let ids = |org: &Org| (org.id.clone(), org.wallet("Polygon"), text(&org.made["users"][0]["privateKeyPem"]));
    assert_eq!(ids(&first), ids(&second));
    let next = first.sandbox.organisation(json!({})).await;
    assert_ne!(ids(&first), ids(&next));
}

#[tokio::test]
async fn a_deleted_organisation_is_gone() {
    let org = org().await;
    org.control("DELETE", "", Value::Null).await;
    assert_eq!(org.user("payer").get("/payouts").await.0, 401);
    let path = format!("/organisations/{}/ledger", org.id);
    assert_eq!(org.sandbox.control("GET", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn settings_change_in_part_and_refuse_unknown_names() {
    let org = org().await;
    let changed = org.control("POST", "/settings", json!({"delays": {"instructions": 5}})).await;
    assert_eq!(changed["delays"]["instructions"], 5);
    assert_eq!(changed["delays"]["deposit"], 200);
    let path = format!("/organisations/{}/settings", org.id);
    for wrong in [json!({"speed": 1}), json!({"delays": {"lunch": 1}}), json!({"payoutConflict": "418"})] {
        assert_eq!(org.sandbox.control("POST", &path, wrong).await.0, 400);
    }
    let path = format!("/organisations/{}/clock", org.id);
    assert_eq!(org.sandbox.control("POST", &path, json!({"advanceMs": -1})).await.0, 400);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_logged() {
    let org = org().await;
    let payer = org.user("payer");
    let id = text(&org.new_payout(&payer, "po-1", "1000").await["id"]);
    payer.payout(&id).await;
    let log = org.control("GET", "/requests", Value::Null).await;
    assert_eq!(
        log["counts"],
        json!({"POST /auth/action/init": 1, "POST /auth/action": 1, "POST /payouts": 1, "GET /payouts/{}": 1})
    );
    let last = log["recent"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["method"], &last["status"]), (&json!("GET"), &json!(200)));
    assert!(text(&last["user"]).starts_with("payer"));
}

#[tokio::test]
async fn a_payout_can_be_pushed_step_by_step() {
    let org = org_with(json!({"delays": {"instructions": 3_600_000}})).await;
    let payer = org.user("payer");
    let id = text(&org.new_payout(&payer, "po-1", "1000").await["id"]);
    let path = format!("/payouts/{id}/next");
    let status = |payout: Value| text(&payout["data"]["executionStatus"]);
    assert_eq!(status(org.control("POST", &path, Value::Null).await), "AwaitingPayoutInstructions");
    assert_eq!(status(org.control("POST", &path, Value::Null).await), "AwaitingPayoutConfirmation");
    let full = format!("/organisations/{}{path}", org.id);
    assert_eq!(org.sandbox.control("POST", &full, Value::Null).await.0, 412, "only its user can move it now");
    let events = org.control("GET", "/events", Value::Null).await;
    assert_eq!(events["items"], json!([]), "nobody has subscribed");
}

#[tokio::test]
async fn a_stopped_sandbox_returns() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn(remit_sandbox::serve(listener, remit_sandbox::Options::default(), stop.clone()));
    stop.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(5), server).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn the_clock_of_an_organisation_can_run_ahead_or_behind_and_webhooks_are_stamped_by_the_wall_all_the_same() {
    let wall_ms = || jiff::Timestamp::now().as_millisecond();
    let parse = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    // A Date header counts whole seconds; the rest is how long a slow machine takes.
    let near = |ms: i64, wanted: i64| (wanted - 2_000..=wanted + 10_000).contains(&ms);
    for offset_ms in [-5 * MINUTE, 5 * MINUTE] {
        let org = org_with(json!({"clockOffsetMs": offset_ms})).await;
        let payer = org.user("payer");
        let receiver = Receiver::start().await;
        receiver.subscribe(&payer, &["payout.action.required"]).await;
        let begun = wall_ms();
        let answer = payer.send("GET", "/wallets", None, None).await.unwrap();
        let date = answer.headers()["date"].to_str().unwrap().to_owned();
        let date = jiff::fmt::rfc2822::parse(&date).unwrap().timestamp().as_millisecond();
        assert!(near(date - begun, offset_ms), "Date is {} ms off", date - begun);
        let payout = org.new_payout(&payer, "po-1", "1092").await;
        let created = parse(&text(&payout["dateCreated"]));
        assert!(near(created - begun, offset_ms), "dateCreated is {} ms off", created - begun);

        org.awaiting_payout(&payer, "po-2", "1000").await;
        let event = receiver.received()[0].event.clone();
        assert!(near(event["timestampSent"].as_i64().unwrap() * 1000 - begun, 0), "{event}");

        // Expiry counts from its own creation, whatever anybody else's clock says.
        let id = text(&payout["id"]);
        org.advance(24 * HOUR - 5 * MINUTE).await;
        assert_eq!(payer.payout(&id).await["status"], "Processing");
        org.advance(5 * MINUTE).await;
        assert_eq!(payer.payout(&id).await["status"], "Expired");
    }
    let sandbox = org().await.sandbox;
    let never = json!({"clockOffsetMs": 400 * 24 * HOUR});
    assert_eq!(sandbox.control("POST", "/organisations", never).await.0, 400);
}
