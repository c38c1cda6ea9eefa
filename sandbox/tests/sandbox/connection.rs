//! Headers, tokens and the request budget.

use serde_json::{Value, json};

use crate::harness::*;

#[tokio::test]
async fn a_request_without_a_known_token_is_refused() {
    let org = org().await;
    let none = org.sandbox.request("GET", "/payouts").send().await.unwrap();
    assert_eq!(reply(none).await.0, 401);
    for token in ["nonsense", "a.b.c", &format!("{}x", org.user("payer").token)] {
        let answer = org.sandbox.request("GET", "/payouts").bearer_auth(token).send().await.unwrap();
        let (status, body) = reply(answer).await;
        assert_eq!((status, &body["error"]["status"]), (401, &json!(401)), "{token}");
    }
}

#[tokio::test]
async fn a_request_without_a_user_agent_is_refused() {
    let org = org().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer =
        http.get(format!("{}/payouts", org.sandbox.base)).bearer_auth(&org.user("payer").token).send().await.unwrap();
    let (status, body) = reply(answer).await;
    assert_eq!(status, 400);
    assert!(text(&body["error"]["message"]).contains("User-Agent"));
}

#[tokio::test]
async fn organisations_see_nothing_of_each_other() {
    let org = org().await;
    let other = org.sandbox.organisation(json!({})).await;
    let payout = org.new_payout(&org.user("payer"), "po-1", "1000").await;
    let stranger = other.user("payer");
    assert_eq!(stranger.get(&format!("/payouts/{}", text(&payout["id"]))).await.0, 404);
    assert_eq!(stranger.get(&format!("/wallets/{}", org.wallet("Polygon"))).await.0, 404);
    assert_eq!(stranger.write("POST", "/payouts", &org.payout("po-1", "1000")).await.0, 404);
    assert_eq!(stranger.get("/payouts").await.1["items"], json!([]));
    let mine = other.new_payout(&stranger, "po-1", "777").await;
    assert_ne!(mine["id"], payout["id"], "an external id belongs to its organisation");

    other.advance(HOUR).await;
    let now = |org: Value| text(&org["now"]);
    let (here, there) =
        (now(org.control("GET", "/clock", Value::Null).await), now(other.control("GET", "/clock", Value::Null).await));
    assert!(there > here, "{there} is not after {here}");
}

#[tokio::test]
async fn the_budget_is_the_organisations_and_renews_after_a_minute() {
    let org = org_with(json!({"rateLimitPerMinute": 3})).await;
    let (payer, reader) = (org.user("payer"), org.user("reader"));
    let first = payer.send("GET", "/wallets", None, None).await.unwrap();
    assert_eq!(first.headers()["x-ratelimit-limit"], "3");
    assert_eq!(first.headers()["x-ratelimit-remaining"], "2");
    assert!(first.headers().contains_key("x-ratelimit-reset"));
    assert_eq!(payer.get("/wallets").await.0, 200);
    assert_eq!(reader.get("/wallets").await.0, 200);
    let over = reader.send("GET", "/wallets", None, None).await.unwrap();
    assert_eq!(over.status(), 429);
    let seconds: u64 = over.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    assert_eq!(over.headers()["x-ratelimit-remaining"], "0");
    assert_eq!(reply(over).await.1["error"]["status"], 429);
    org.advance(MINUTE).await;
    assert_eq!(payer.get("/wallets").await.0, 200);
}

#[tokio::test]
async fn the_date_of_an_answer_is_the_organisations() {
    let org = org().await;
    let payer = org.user("payer");
    let date = async || {
        let answer = payer.send("GET", "/wallets", None, None).await.unwrap();
        let dates: Vec<String> =
            answer.headers().get_all("date").iter().map(|date| date.to_str().unwrap().to_owned()).collect();
        assert_eq!(dates.len(), 1);
        dates[0].clone()
    };
    let before = date().await;
    assert!(before.ends_with("GMT"));
    org.advance(400 * 24 * HOUR).await;
    let after = date().await;
    assert_ne!(before[12..16], after[12..16], "{before} and {after} are more than a year apart");
}

#[tokio::test]
async fn an_unknown_call_is_404_and_a_body_that_is_no_json_400() {
    let org = org().await;
    let payer = org.user("payer");
    assert_eq!(payer.get("/payins").await.0, 404);
    let answer = payer.send("POST", "/auth/action/init", Some("{"), None).await.unwrap();
    assert_eq!(reply(answer).await.0, 400);
}
