//! Webhook subscriptions and the events Dfns keeps of them.

use remit_dfns::{
    CreateWebhook, EventKind, ListEvents, PageQuery, SubscriptionStatus, UpdateWebhook, Verified, Webhook,
};
use secrecy::ExposeSecret;

use crate::harness::{Server, answering, json, last, line, read, signed};

const WEBHOOK: &str = r#"{"id":"wh-1","url":"https://r.example/h","events":["payout.action.required","vault.created"],"status":"Enabled"}"#;

#[tokio::test]
async fn subscriptions_are_kept_and_only_a_new_one_has_a_secret() {
    let created = Server::signing(|_| json(200, &WEBHOOK.replace("\"id\"", r#""secret":"whs-hush","id""#))).await;
    let body = CreateWebhook {
        url: "https://r.example/h".into(),
        events: vec![EventKind::All],
        status: None,
        description: None,
    };
    let new = created.client().create_webhook(&body).await.expect("subscribed");
    assert_eq!(line(&created), signed("POST /webhooks"));
    assert_eq!(last(&created).text(), r#"{"url":"https://r.example/h","events":["*"]}"#);
    assert_eq!((new.secret.expose_secret(), new.subscription.id.as_str()), ("whs-hush", "wh-1"));
    assert!(!format!("{new:?}").contains("whs-hush"));

    let server = answering(WEBHOOK).await;
    let client = server.client();
    let change = UpdateWebhook { status: Some(SubscriptionStatus::Disabled), ..UpdateWebhook::default() };
    let changed = client.update_webhook("wh-1", &change).await.expect("changed");
    assert_eq!(line(&server), signed("PUT /webhooks/wh-1"));
    assert_eq!(last(&server).text(), r#"{"status":"Disabled"}"#);
    assert_eq!(changed.events, [EventKind::PayoutActionRequired, EventKind::Unknown("vault.created".into())]);
    assert_eq!(client.webhook("wh-1").await.expect("a subscription"), changed);
    assert_eq!(line(&server), read("GET /webhooks/wh-1"));

    let server = answering(r#"{"status":"200"}"#).await;
    let ping = server.client().ping_webhook("wh-1").await.expect("pinged");
    assert_eq!(line(&server), signed("POST /webhooks/wh-1/ping"));
    assert_eq!(ping.status.as_deref(), Some("200"));

    let server = Server::start(|_| json(200, &format!(r#"{{"items":[{WEBHOOK}]}}"#))).await;
    assert_eq!(server.client().webhooks(&PageQuery::default()).await.expect("a page").items.len(), 1);
    assert_eq!(line(&server), read("GET /webhooks"));
}

#[tokio::test]
async fn a_kept_event_stands_for_a_verified_delivery() {
    let event = r#"{"id":"whe-1","kind":"wallet.transfer.failed","date":"2026-09-01T10:00:00.000Z","status":"503","error":"no",
        "timestampSent":1788256800,"data":{"transferRequest":{"id":"xfr-1","walletId":"wa-1","status":"Failed"}}}"#;
    let server = answering(event).await;
    let kept = server.client().webhook_event("wh-1", "whe-1").await.expect("an event");
    assert_eq!(line(&server), read("GET /webhooks/wh-1/events/whe-1"));
    assert_eq!(
        (kept.id(), kept.kind(), kept.status(), kept.error()),
        ("whe-1", &EventKind::TransferFailed, Some("503"), Some("no"))
    );
    let verified: Webhook<Verified> = kept.try_into().expect("well shaped");
    assert_eq!((verified.transfer_id(), verified.object_status()), (Some("xfr-1"), Some("Failed")));
    assert_eq!(verified.delivery_attempt(), None);

    let page = Server::start(move |_| json(200, &format!(r#"{{"items":[{event}],"nextPageToken":"n"}}"#))).await;
    let page = page.client().webhook_events("wh-1", &ListEvents::default()).await.expect("a page");
    assert_eq!((page.items[0].id(), page.next_page_token.as_deref()), ("whe-1", Some("n")));

    let doubled = answering(r#"{"id":"whe-1","kind":"k","data":{"a":{"x":1,"x":2}}}"#).await;
    let kept = doubled.client().webhook_event("wh-1", "whe-1").await.expect("an event");
    assert!(Webhook::<Verified>::try_from(kept).is_err(), "doubled keys are refused here too");
}
