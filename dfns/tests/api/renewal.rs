//! Credentials that are replaced while a client is in use.

use remit_dfns::{Credentials, Dfns, Error, PayoutAction};

use crate::harness::{Server, json, settings, vectors};

const NEW: &str = "new-token";

/// Accepts the new token alone.
async fn after_rotation() -> Server {
    Server::signing(|seen| match seen.header("authorization") {
        Some("Bearer new-token") => json(200, "{\"items\": []}"),
        Some(_) | None => json(401, "{\"error\": {\"status\": 401, \"message\": \"token expired\"}}"),
    })
    .await
}

fn renewed(url: &str) -> Credentials {
    Credentials { token: NEW.into(), ..settings(url).credentials() }
}

#[tokio::test]
async fn a_refused_token_is_counted_and_a_new_one_serves_all_clones() {
    let server = after_rotation().await;
    let client = server.client();
    let clone = client.clone();
    let refused = client.wallets(&Default::default()).await.expect_err("an old token");
    assert!(matches!(&refused, Error::Refused { refusal, .. } if refusal.status == 401), "{refused:?}");
    assert_eq!(clone.unauthorized(), 1);
    clone.renew(&renewed(&server.url)).expect("good credentials");
    client.wallets(&Default::default()).await.expect("the new token");
    assert_eq!(client.unauthorized(), 1);
}

#[tokio::test]
async fn a_new_key_signs_from_the_next_call_on() {
    let server = Server::signing(|_| json(200, "{}")).await;
    let client: Dfns = server.client();
    let p256 = vectors()["vectors"].as_array().expect("a list").iter().find(|it| it["name"] == "p256").cloned();
    let p256 = p256.expect("a vector");
    let pem = p256["private_key_pkcs8_pem"].as_str().expect("a key").to_owned();
    let mut new = renewed(&server.url);
    new.private_key_pem = pem.into();
    client.renew(&new).expect("good credentials");
    client.payout_action("pyt-1", &PayoutAction::Cancel).await.expect("canceled");
    assert!(server.seen().iter().all(|seen| seen.header("authorization") == Some("Bearer new-token")));
    assert!(format!("{client:?}").contains("P-256"));
}

#[tokio::test]
async fn what_cannot_be_used_leaves_what_is_in_use() {
    let server = Server::signing(|_| json(200, "{\"items\": []}")).await;
    let client = server.client();
    let broken = Credentials { private_key_pem: "no key".to_owned().into(), ..renewed(&server.url) };
    let refused = client.renew(&broken).expect_err("no key").to_string();
    assert!(refused.starts_with("private_key_pem: "), "{refused}");
    client.wallets(&Default::default()).await.expect("the token at hand");
    assert_eq!(server.seen()[0].header("authorization"), Some("Bearer tok"));
}
