//! User actions: real signatures, single use, exact binding.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use spki::der::pem;

use crate::harness::*;

fn vectors() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../dfns/fixtures/dfns-signing-vectors.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

fn pkcs8(vector: &Value) -> Vec<u8> {
    pem::decode_vec(vector["private_key_pkcs8_pem"].as_str().unwrap().as_bytes()).unwrap().1
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm, pkcs8: &[u8], message: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8, &random).unwrap();
    key.sign(&random, message).unwrap().as_ref().to_vec()
}

/// Signs with the private key of a vector, as its kind of key is used.
fn sign(vector: &Value, message: &[u8]) -> Vec<u8> {
    let pkcs8 = pkcs8(vector);
    match vector["name"].as_str().unwrap() {
        "ed25519" => Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8).unwrap().sign(message).as_ref().to_vec(),
        "p256" => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, message),
        "rsa" => {
            let key = RsaKeyPair::from_pkcs8(&pkcs8).unwrap();
            let mut signature = vec![0; key.public().modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        }
        other => panic!("a new kind of vector: {other}"),
    }
}

/// The four layouts official sources use.
fn layouts(challenge: &str) -> [String; 4] {
    [
        format!(r#"{{"challenge":"{challenge}","type":"key.get"}}"#),
        format!(r#"{{"type":"key.get","challenge":"{challenge}"}}"#),
        format!(r#"{{"challenge":"{challenge}","crossOrigin":false,"type":"key.get"}}"#),
        format!(r#"{{"type":"key.get","challenge":"{challenge}","origin":"https://app.dfns.io","crossOrigin":false}}"#),
    ]
}

/// A user registered with the public key of a vector. Its own `key` is not used.
async fn user_of(org: &Org, vector: &Value) -> User {
    let body = json!({
        "name": vector["name"], "kind": "ServiceAccount", "publicKeyPem": vector["public_key_spki_pem"],
    });
    let mut made = org.control("POST", "/users", body).await;
    assert_eq!(made["privateKeyPem"], Value::Null);
    made["privateKeyPem"] = org.made["users"][0]["privateKeyPem"].clone();
    org.user_from(&made)
}

#[tokio::test]
async fn all_three_kinds_of_key_sign_in_all_four_layouts() {
    let org = org().await;
    let vectors = vectors();
    assert_eq!(vectors.len(), 3);
    for vector in &vectors {
        let user = user_of(&org, vector).await;
        for layout in 0..4 {
            let challenge = user.challenge("POST", "/payouts", "{}").await;
            let client_data = &layouts(&text(&challenge["challenge"]))[layout];
            let signature = sign(vector, client_data.as_bytes());
            let (status, answer) = user.complete(&challenge, &user.credential, client_data, &signature).await;
            assert_eq!(status, 200, "{} layout {layout}: {answer}", vector["name"]);
        }
    }
}

#[tokio::test]
async fn a_wrong_signature_is_refused() {
    let org = org().await;
    for vector in &vectors() {
        let user = user_of(&org, vector).await;
        let name = text(&vector["name"]);
        let mut attempts: Vec<(&str, Vec<u8>)> = Vec::new();
        let challenge = user.challenge("POST", "/payouts", "{}").await;
        let client_data = layouts(&text(&challenge["challenge"]))[0].clone();
        attempts.push(("over other text", sign(vector, b"other")));
        attempts.push(("hashed twice", sign(vector, digest(&SHA256, client_data.as_bytes()).as_ref())));
        attempts.push(("empty", Vec::new()));
        if name == "p256" {
            attempts.push(("P1363", ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8(vector), client_data.as_bytes())));
        }
        for (what, signature) in attempts {
            let challenge = user.challenge("POST", "/payouts", "{}").await;
            let client_data = layouts(&text(&challenge["challenge"]))[0].clone();
            let (status, answer) = user.complete(&challenge, &user.credential, &client_data, &signature).await;
            assert_eq!(status, 400, "{name}, {what}");
            assert_eq!(answer["error"]["message"], "Unable to verify signature");
        }
    }
}

#[tokio::test]
async fn good_signatures_over_wrong_client_data_are_refused() {
    let org = org().await;
    let payer = org.user("payer");
    for wrong in [
        r#"{"challenge":"CHALLENGE","type":"webauthn.get"}"#,
        r#"{"challenge":"another","type":"key.get"}"#,
        r#"{"type":"key.get"}"#,
        "not json",
    ] {
        let challenge = payer.challenge("POST", "/payouts", "{}").await;
        let client_data = wrong.replace("CHALLENGE", &text(&challenge["challenge"]));
        let signature = payer.key.sign(client_data.as_bytes());
        let (status, answer) = payer.complete(&challenge, &payer.credential, &client_data, signature.as_ref()).await;
        assert_eq!(status, 400, "{wrong}: {answer}");
    }
}

#[tokio::test]
async fn encodings_are_strict() {
    let org = org().await;
    let payer = org.user("payer");
    let encodings: [fn(&[u8]) -> String; 2] = [
        |bytes| base64::engine::general_purpose::URL_SAFE.encode(bytes),
        |bytes| base64::engine::general_purpose::STANDARD.encode(bytes),
    ];
    for encode in encodings {
        let challenge = payer.challenge("POST", "/payouts", "{}").await;
        let client_data = layouts(&text(&challenge["challenge"]))[0].clone();
        let signature = payer.key.sign(client_data.as_bytes());
        let body = json!({
            "challengeIdentifier": challenge["challengeIdentifier"],
            "firstFactor": {"kind": "Key", "credentialAssertion": {
                "credId": payer.credential,
                "clientData": URL_SAFE_NO_PAD.encode(&client_data),
                "signature": encode(signature.as_ref()),
            }},
        });
        let answer = payer.send("POST", "/auth/action", Some(&body.to_string()), None).await.unwrap();
        assert_eq!(reply(answer).await.0, 400);
    }
}

#[tokio::test]
async fn a_challenge_names_the_credential_and_is_good_once_for_15_minutes() {
    let org = org().await;
    let payer = org.user("payer");
    let challenge = payer.challenge("POST", "/payouts", "{}").await;
    assert_eq!(challenge["allowCredentials"]["key"][0]["id"], payer.credential);
    let client_data = layouts(&text(&challenge["challenge"]))[0].clone();
    let signature = payer.key.sign(client_data.as_bytes());
    let again = async || payer.complete(&challenge, &payer.credential, &client_data, signature.as_ref()).await;
    assert_eq!(again().await.0, 200);
    let (status, answer) = again().await;
    assert_eq!((status, &answer["error"]["message"]), (400, &json!("Challenge token is not valid")));

    let late = payer.challenge("POST", "/payouts", "{}").await;
    org.advance(15 * MINUTE + 1).await;
    let client_data = layouts(&text(&late["challenge"]))[0].clone();
    let signature = payer.key.sign(client_data.as_bytes());
    assert_eq!(payer.complete(&late, &payer.credential, &client_data, signature.as_ref()).await.0, 400);
}

#[tokio::test]
async fn a_token_is_good_once_for_exactly_one_call() {
    let org = org().await;
    let (payer, alice) = (org.user("payer"), org.user("alice"));
    let body = org.payout("po-1", "1000").to_string();
    let token = payer.user_action("POST", "/payouts", &body).await;
    let send = async |user: &User, path: &str, body: &str, token: Option<&str>| {
        let (status, answer) = reply(user.send("POST", path, Some(body), token).await.unwrap()).await;
        (status, answer["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    let refused = (403, "user action signature is missing or invalid".to_owned());
    assert_eq!(send(&payer, "/payouts", &body, None).await, refused);
    assert_eq!(send(&payer, "/payouts", &body, Some("made.up")).await, refused);
    assert_eq!(send(&payer, "/webhooks", &body, Some(&token)).await, refused, "another path");
    assert_eq!(send(&payer, "/payouts", &format!("{body} "), Some(&token)).await, refused, "another body");
    assert_eq!(send(&alice, "/payouts", &body, Some(&token)).await, refused, "another user");
    assert_eq!(send(&payer, "/payouts?x=1", &body, Some(&token)).await.0, 200, "the query does not count");
    let used = send(&payer, "/payouts", &body, Some(&token)).await;
    assert_eq!(used, (400, "user action has already been used".to_owned()));

    let late = payer.user_action("POST", "/payouts", &body).await;
    org.advance(5 * MINUTE + 1).await;
    assert_eq!(send(&payer, "/payouts", &body, Some(&late)).await, refused);
}

#[tokio::test]
async fn a_body_less_write_may_send_nothing_or_an_empty_object() {
    let org = org().await;
    let payer = org.user("payer");
    let receiver = Receiver::start().await;
    for body in [Value::Null, json!({})] {
        let webhook = receiver.subscribe(&payer, &["*"]).await;
        let answer = payer.write("DELETE", &format!("/webhooks/{}", text(&webhook["id"])), &body).await;
        assert_eq!(answer, (200, json!({"deleted": true})));
    }
}

#[tokio::test]
async fn permissions_hold_under_both_of_their_names() {
    let org = org().await;
    let reader = org.user("reader");
    let (status, answer) = reader.write("POST", "/payouts", &org.payout("po-1", "1000")).await;
    assert_eq!(status, 403);
    let expected = format!("ServiceAccount {} is not authorized to perform operation (Payouts:Create)", reader.id);
    assert_eq!(answer["error"]["message"], expected);
    assert_eq!(reader.get("/payouts").await.0, 200);

    let made = json!({"name": "old", "kind": "ServiceAccount",
        "permissions": ["Payouts:Create", "Payouts:Read", "Payouts:Write"]});
    let old = org.user_from(&org.control("POST", "/users", made).await);
    let id = org.confirmed_payout(&old, "po-2", "1000").await;
    assert_eq!(old.payout(&id).await["data"]["executionStatus"], "SubmittingPayoutTransfer");
    assert_eq!(old.get("/wallets").await.0, 403);
}

#[tokio::test]
async fn a_person_creates_a_service_account_that_may_do_nothing_yet() {
    let org = org().await;
    let (payer, alice) = (org.user("payer"), org.user("alice"));
    let vector = &vectors()[0];
    let body = json!({"name": "worker", "publicKey": vector["public_key_spki_pem"], "daysValid": 30});
    assert_eq!(payer.write("POST", "/auth/service-accounts", &body).await.0, 403);
    let (status, made) = alice.write("POST", "/auth/service-accounts", &body).await;
    assert_eq!(status, 200, "{made}");
    let token = &made["accessTokens"][0];
    let worker = User {
        sandbox: std::sync::Arc::clone(&org.sandbox),
        id: text(&made["userInfo"]["userId"]),
        token: text(&token["accessToken"]),
        credential: text(&token["credId"]),
        key: Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8(vector)).unwrap(),
    };
    assert_eq!(worker.get("/payouts").await.0, 403);
    let path = format!("/users/{}/permissions", worker.id);
    org.control("PUT", &path, json!({"permissions": ["Payouts:Read", "Payouts:Create"]})).await;
    assert_eq!(worker.get("/payouts").await.0, 200);
    org.new_payout(&worker, "po-1", "1000").await;
    org.advance(31 * 24 * HOUR).await;
    assert_eq!(worker.get("/payouts").await.0, 401, "its token has expired");
}

#[tokio::test]
async fn a_token_and_a_key_are_replaced_and_the_ones_before_are_refused() {
    let org = org().await;
    let mut payer = org.user("payer");
    let users = format!("/users/{}", payer.id);
    let made = org.control("POST", &format!("{users}/token"), Value::Null).await;
    assert_eq!(payer.get("/payouts").await.0, 401);
    payer.token = text(&made["token"]);
    assert_eq!(payer.get("/payouts").await.0, 200);

    let made = org.control("POST", &format!("{users}/key"), Value::Null).await;
    let challenge = payer.challenge("POST", "/payouts", "{}").await;
    assert_eq!(challenge["allowCredentials"]["key"][0]["id"], made["credentialId"], "the old key may not sign");
    let renewed = org.user_from(&json!({"userId": payer.id, "token": payer.token,
        "credentialId": made["credentialId"], "privateKeyPem": made["privateKeyPem"]}));
    org.new_payout(&renewed, "po-1", "1000").await;
    let path = format!("/organisations/{}/users/us-nobody/token", org.id);
    assert_eq!(org.sandbox.control("POST", &path, Value::Null).await.0, 404);
}
