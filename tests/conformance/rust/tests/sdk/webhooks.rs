//! A webhook subscription, and the real deliveries that reach a local server.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use dfns_sdk_rust::Error;
use dfns_sdk_rust::webhooks::types::{CreateWebhookRequest, UpdateWebhookRequest};
use ring::hmac;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::organisation::{Organisation, refusal, until};
use crate::payouts::{a_payout, until_it_awaits_confirmation};

#[tokio::test]
async fn a_subscription_receives_the_signed_event_that_says_a_payout_awaits_confirmation() {
    let organisation = Organisation::create().await;
    let (alice, payer) = (organisation.dfns("alice"), organisation.dfns("payer"));
    let mut receiver = Receiver::listen().await;
    let events = vec![json!("payout.action.required")];
    let subscription = alice.webhooks.create_webhook(request(&receiver.url, events)).await.expect("a webhook");
    assert_eq!(subscription.status, "Enabled");

    let created = payer.payouts.create_payout(a_payout(&organisation)).await.expect("a payout");
    let payout = until_it_awaits_confirmation(&payer, &created).await;
    let delivery = receiver.next().await;
    delivery.assert_signed_with(&subscription.secret);
    let event: Value = serde_json::from_slice(&delivery.body).expect("a JSON event");
    assert_eq!(event["kind"], "payout.action.required");
    assert_eq!(event["deliveryAttempt"], 1);
    assert_eq!(event["data"]["payout"], payout);
    let sent = event["timestampSent"].as_u64().expect("seconds");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    assert!(now.abs_diff(sent) < 300, "sent now, got {sent} at {now}");

    let stored = until(
        async || alice.webhooks.list_webhook_events(subscription.id.clone(), None).await,
        |page| !page.items.is_empty(),
    )
    .await;
    let [stored] = stored.items.as_slice() else { panic!("one event, got {stored:?}") };
    assert_eq!((json!(stored.id), stored.status.as_str()), (event["id"].clone(), "200"));
}

#[tokio::test]
async fn a_subscription_can_be_changed_pinged_and_deleted() {
    let organisation = Organisation::create().await;
    let alice = organisation.dfns("alice");
    let mut receiver = Receiver::listen().await;
    let created = alice.webhooks.create_webhook(request(&receiver.url, vec![json!("*")])).await.expect("a webhook");
    let ping = alice.webhooks.ping_webhook(created.id.clone()).await.expect("a ping");
    assert_eq!(ping.status, "200");
    receiver.next().await.assert_signed_with(&created.secret);

    let change =
        UpdateWebhookRequest { url: None, description: None, events: None, status: Some("Disabled".to_owned()) };
    let changed = alice.webhooks.update_webhook(created.id.clone(), change).await.expect("changed");
    assert_eq!(changed.status, "Disabled");
    let listed = alice.webhooks.list_webhooks(None).await.expect("a list");
    assert_eq!(listed.items.iter().map(|item| &item.id).collect::<Vec<_>>(), [&created.id]);

    // Dfns answers `{"deleted":true}`, where this version of the crate wants a text.
    let deleted = alice.webhooks.delete_webhook(created.id.clone()).await;
    assert!(matches!(deleted, Err(Error::Serde(_))), "{deleted:?}");
    let (status, _) = refusal(alice.webhooks.get_webhook(created.id).await);
    assert_eq!(status, 404);
}

fn request(url: &str, events: Vec<Value>) -> CreateWebhookRequest {
    CreateWebhookRequest { url: url.to_owned(), status: None, description: None, events }
}

/// A local server that answers 200 and hands on what arrived.
struct Receiver {
    url: String,
    deliveries: mpsc::UnboundedReceiver<Delivery>,
}

impl Receiver {
    async fn listen() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}/dfns", listener.local_addr().expect("its address"));
        let (sender, deliveries) = mpsc::unbounded_channel();
        let receive = async move |headers: HeaderMap, body: Bytes| {
            // Nobody listens any more once the test is over.
            sender.send(Delivery { headers, body }).ok();
        };
        let router = Router::new().route("/dfns", post(receive));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, deliveries }
    }

    async fn next(&mut self) -> Delivery {
        let next = tokio::time::timeout(Duration::from_secs(30), self.deliveries.recv()).await;
        next.expect("a delivery within 30 s").expect("a server that runs")
    }
}

struct Delivery {
    headers: HeaderMap,
    body: Bytes,
}

impl Delivery {
    fn assert_signed_with(&self, secret: &str) {
        let header = self.headers.get("x-dfns-webhook-signature").expect("a signature header");
        let digits = header.to_str().ok().and_then(|text| text.strip_prefix("sha256=")).expect("sha256=<hex>");
        let given = hex::decode(digits).expect("hexadecimal digits");
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        hmac::verify(&key, &self.body, &given).expect("the signature is that of the body");
    }
}
