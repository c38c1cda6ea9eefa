//! User action signing: who may sign, and what is refused.

use dfns_sdk_rust::auth::types::CreateServiceAccountRequest;
use dfns_sdk_rust::signer::UserActionSigner as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::organisation::{KeySigner, Organisation, User, dfns_as, refusal, transport_as};
use crate::payouts::{a_payout, text};

#[tokio::test]
async fn a_service_account_made_through_the_sdk_can_sign() {
    let organisation = Organisation::create().await;
    let alice = organisation.user("alice");
    let request = CreateServiceAccountRequest {
        name: "nightly".to_owned(),
        public_key: alice.public_key_pem.clone(),
        permission_id: None,
        external_id: None,
        days_valid: Some(30),
        federated_identity: None,
    };
    let made = dfns_as(alice).auth.create_service_account(request).await.expect("a service account");
    assert_eq!(made.user_info["isServiceAccount"], true);
    let [access] = made.access_tokens.as_slice() else { panic!("one token, got {:?}", made.access_tokens) };
    let account = User {
        token: access.access_token.clone().expect("shown this once"),
        credential_id: access.cred_id.clone(),
        ..alice.clone()
    };

    let transport = transport_as(&account);
    let body = json!({ "action": "Cancel" });
    let challenge = transport.create_user_action_challenge(Method::POST, "/payouts/pyt-1/action", Some(&body)).await;
    let challenge = challenge.expect("a challenge");
    let assertion = KeySigner::new(&account).sign(&challenge).await.expect("a signature");
    let token = transport.complete_user_action_signing(challenge.challenge_identifier.clone(), &assertion).await;
    assert!(!token.expect("a user action").is_empty());
    let again = transport.complete_user_action_signing(challenge.challenge_identifier, &assertion).await;
    let (status, error) = refusal(again);
    assert_eq!((status, text(&error["message"])), (400, "Challenge token is not valid".to_owned()));
}

#[tokio::test]
async fn a_signature_by_another_key_is_refused_and_nothing_is_created() {
    let organisation = Organisation::create().await;
    let private_key_pem = organisation.user("alice").private_key_pem.clone();
    let impostor = User { private_key_pem, ..organisation.user("payer").clone() };
    let (_, error) = refusal(dfns_as(&impostor).payouts.create_payout(a_payout(&organisation)).await);
    assert!(text(&error["message"]).contains("Unable to verify signature"), "{error}");
    let listed = organisation.dfns("payer").payouts.list_payouts(None).await.expect("a list");
    assert!(listed.items.is_empty());
}

#[tokio::test]
async fn a_write_without_a_user_action_is_refused() {
    let organisation = Organisation::create().await;
    let transport = transport_as(organisation.user("payer"));
    let body = a_payout(&organisation);
    let (status, error) = refusal(transport.request::<Value>(Method::POST, "/payouts", Some(&body), false).await);
    assert_eq!(status, 403);
    let message = text(&error["message"]);
    assert!(message.contains("user action signature is missing or invalid"), "{message}");
}
