//! Fault plans: shares of everything, counted, and the same for the same seed.

use serde_json::{Value, json};

use crate::harness::*;

const CALLS: usize = 600;

/// What so many reads came to: a status each, 0 for no answer.
async fn statuses(org: &Org, calls: usize) -> Vec<u16> {
    let payer = org.user("payer");
    let mut all = Vec::new();
    for _ in 0..calls {
        let answer = payer.send("GET", "/wallets", None, None).await;
        all.push(answer.map_or(0, |answer| answer.status().as_u16()));
    }
    all
}

fn count(statuses: &[u16], wanted: u16) -> usize {
    statuses.iter().filter(|status| **status == wanted).count()
}

#[tokio::test]
async fn a_plan_strikes_its_share_of_the_calls_and_counts_what_it_did() {
    let org = org_with(json!({"rateLimitPerMinute": 1_000_000})).await;
    org.control("PUT", "/plan", json!({"seed": 7, "serverErrors": 20, "answersLost": 10})).await;
    let seen = statuses(&org, CALLS).await;
    let errors = count(&seen, 500) + count(&seen, 503);
    assert!((90..=150).contains(&errors), "{errors} of {CALLS}, 20 % were asked for");
    assert!(count(&seen, 500) > 30 && count(&seen, 503) > 30, "both kinds come");
    // Of the accepted calls, which four in five are.
    assert!((25..=75).contains(&count(&seen, 0)), "{} of {CALLS}", count(&seen, 0));

    let plan = org.control("GET", "/plan", Value::Null).await;
    assert_eq!(plan["calls"], CALLS);
    assert_eq!(plan["struck"]["serverErrors"], errors);
    assert_eq!(plan["struck"]["answersLost"], count(&seen, 0));
    assert_eq!(plan["struck"]["timeouts"], 0);
    assert_eq!(plan["plan"]["serverErrors"], 20);

    org.control("DELETE", "/plan", Value::Null).await;
    assert_eq!(statuses(&org, 50).await, [200; 50]);
}

#[tokio::test]
async fn the_same_plan_and_calls_go_wrong_in_the_same_way_and_another_seed_in_another() {
    let org = org_with(json!({"rateLimitPerMinute": 1_000_000})).await;
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        org.control("PUT", "/plan", json!({"seed": seed, "serverErrors": 30, "answersLost": 20})).await;
        runs.push(statuses(&org, 60).await);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn signing_calls_are_struck_as_well() {
    let org = org().await;
    org.control("PUT", "/plan", json!({"serverErrors": 100})).await;
    let init = json!({"userActionPayload": "", "userActionHttpMethod": "POST", "userActionHttpPath": "/payouts",
                      "userActionServerKind": "Api"});
    let answer = org.user("payer").send("POST", "/auth/action/init", Some(&init.to_string()), None).await.unwrap();
    assert!(answer.status().is_server_error(), "{}", answer.status());
}

#[tokio::test]
async fn a_timeout_acts_at_once_or_late_but_acts() {
    let org = org().await;
    let payer = org.user("payer");
    let mut late = 0;
    for number in 0..8 {
        let name = format!("po-{number}");
        let body = org.payout(&name, "1000").to_string();
        let token = payer.user_action("POST", "/payouts", &body).await;
        org.control("PUT", "/plan", json!({"seed": number, "timeouts": 100, "timeoutMs": 400})).await;
        let begun = std::time::Instant::now();
        let call = payer.send("POST", "/payouts", Some(&body), Some(&token));
        let gave_up = tokio::time::timeout(std::time::Duration::from_millis(150), call).await.is_err();
        let created = async || org.ledger(&name).await["totals"]["createsAccepted"] == 1;
        if gave_up && !created().await {
            late += 1;
        }
        eventually("the payout exists, whether or not anybody waited", created).await;
        let struck = org.control("GET", "/plan", Value::Null).await["struck"]["timeouts"].as_u64();
        assert!(struck.is_some_and(|struck| struck > 0) == gave_up, "{struck:?} after {:?}", begun.elapsed());
        org.control("DELETE", "/plan", Value::Null).await;
    }
    assert!((1..8).contains(&late), "{late} of 8 acted late; some should, and some should not");
}

#[tokio::test]
async fn webhooks_are_doubled_shuffled_and_lost_in_their_shares() {
    let org = org_with(json!({"rateLimitPerMinute": 1_000_000})).await;
    let payer = org.user("payer");
    let receiver = Receiver::start().await;
    receiver.subscribe(&payer, &["payout.action.required"]).await;
    let shares = json!({"seed": 3, "webhooksDoubled": 30, "webhooksShuffled": 30, "webhooksLost": 20});
    org.control("PUT", "/plan", shares).await;
    const PAYOUTS: usize = 60;
    let mut made = Vec::new();
    for number in 0..PAYOUTS {
        let name = format!("po-{number}");
        org.new_payout(&payer, &name, "1000").await;
        made.push(name);
        org.advance(500).await;
    }
    org.advance(10_000).await;
    let plan = org.control("GET", "/plan", Value::Null).await;
    let struck = |share: &str| usize::try_from(plan["struck"][share].as_u64().unwrap()).unwrap();
    assert_eq!(plan["webhooks"], PAYOUTS);
    for (share, least, most) in [("webhooksDoubled", 8, 30), ("webhooksShuffled", 8, 30), ("webhooksLost", 4, 22)] {
        assert!((least..=most).contains(&struck(share)), "{share}: {} of {PAYOUTS}", struck(share));
    }
    let heard: Vec<String> =
        receiver.received().iter().map(|it| text(&it.event["data"]["payout"]["externalId"])).collect();
    assert_eq!(heard.len(), PAYOUTS - struck("webhooksLost") + struck("webhooksDoubled"));
    let mut first_heard: Vec<&String> = Vec::new();
    for name in &heard {
        if !first_heard.contains(&name) {
            first_heard.push(name);
        }
    }
    let in_order: Vec<&String> = made.iter().filter(|name| heard.contains(name)).collect();
    assert_ne!(first_heard, in_order, "nothing was shuffled");
}

#[tokio::test]
async fn aimed_faults_come_before_the_plan_and_stay_when_it_goes() {
    let org = org().await;
    org.control("PUT", "/plan", json!({"serverErrors": 100})).await;
    org.fault(json!({"kind": "status", "status": 418, "on": "GET /wallets", "times": 2})).await;
    assert_eq!(statuses(&org, 1).await, [418]);
    let listed = org.control("GET", "/faults", Value::Null).await;
    assert_eq!((&listed["items"][0]["plan"], &listed["items"][1]["plan"]), (&Value::Null, &json!("serverErrors")));
    org.control("DELETE", "/plan", Value::Null).await;
    assert_eq!(statuses(&org, 2).await, [418, 200]);
}

#[tokio::test]
async fn a_plan_that_cannot_be_is_refused_and_the_one_before_stays() {
    let org = org().await;
    org.control("PUT", "/plan", json!({"serverErrors": 100})).await;
    let path = format!("/organisations/{}/plan", org.id);
    for plan in [
        json!({"serverErrors": 101}),
        json!({"answersLost": -1}),
        json!({"timeouts": 5.5}),
        json!({"timeoutMs": 0}),
        json!({"webhooksLost": 50, "webhooksDoubled": 30, "webhooksShuffled": 30}),
        json!({"earthquakes": 1}),
    ] {
        assert_eq!(org.sandbox.control("PUT", &path, plan.clone()).await.0, 400, "{plan}");
    }
    let status = statuses(&org, 1).await[0];
    assert!((500..=503).contains(&status), "{status}");
}
