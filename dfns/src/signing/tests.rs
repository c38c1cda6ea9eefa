//! Every signing vector of `fixtures/dfns-signing-vectors.json`, made with the official key signer.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::Value;

use super::*;
use crate::settings::Settings;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../fixtures/dfns-signing-vectors.json")).expect("the fixture is JSON")
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("the fixture has no text {key}"))
}

fn vector(name: &str) -> Value {
    let vectors = vectors();
    let all = vectors["vectors"].as_array().expect("a list");
    all.iter().find(|v| v["name"] == name).expect("a vector of this name").clone()
}

fn signer(vector: &Value) -> Signer {
    let pem = text(vector, "private_key_pkcs8_pem");
    let settings = Settings::new("https://api.dfns.io", "tok".into(), text(vector, "credential_id"), pem.into());
    Signer::new(&settings.credentials()).expect("the vector's key is usable")
}

fn decode(b64url: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(b64url).expect("base64url without padding")
}

/// Verifies with the public key of the named vector, as Dfns would with the registered one.
fn verifies(name: &str, message: &[u8], signature: &[u8]) -> bool {
    let vector = vector(name);
    let (_, spki) = pem_rfc7468::decode_vec(text(&vector, "public_key_spki_pem").as_bytes()).expect("a PEM");
    // The raw key is the tail of these two SPKIs: 32 bytes, or 0x04‖x‖y. For RSA it is all that
    // follows the 24 bytes of wrapper around a 2048-bit key.
    let (algorithm, key): (&dyn VerificationAlgorithm, &[u8]) = match name {
        "ed25519" => (&ED25519, &spki[spki.len() - 32..]),
        "p256" => (&ECDSA_P256_SHA256_ASN1, &spki[spki.len() - 65..]),
        _ => (&RSA_PKCS1_2048_8192_SHA256, &spki[24..]),
    };
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
}

#[test]
fn the_kind_of_key_is_told_from_the_pem() {
    for (name, kind) in [("ed25519", "Ed25519"), ("p256", "P-256"), ("rsa", "RSA")] {
        assert_eq!(signer(&vector(name)).kind(), kind);
    }
}

#[test]
fn deterministic_signatures_equal_those_of_the_official_signer() {
    for name in ["ed25519", "rsa"] {
        let vector = vector(name);
        assert_eq!(vector["signature_deterministic"], true);
        let signature = signer(&vector).sign(text(&vector, "client_data_utf8").as_bytes()).expect("a signature");
        assert_eq!(URL_SAFE_NO_PAD.encode(&signature), text(&vector, "signature_b64url"), "{name}");
        assert_eq!(signature.len() as u64, vector["signature_length_bytes"].as_u64().expect("a number"));
    }
}

#[test]
fn p256_signatures_are_der_and_verify() {
    let vector = vector("p256");
    let message = text(&vector, "client_data_utf8").as_bytes();
    let ours = signer(&vector).sign(message).expect("a signature");
    assert_eq!(ours[0], 0x30, "an ASN.1 sequence");
    assert!(verifies("p256", message, &ours));
    assert!(verifies("p256", message, &decode(text(&vector, "signature_b64url"))));
    assert!(verifies("p256", message, &decode(text(&vector, "rfc6979_signature_b64url"))));
}

#[test]
fn every_vector_verifies_and_its_client_data_is_its_base64url() {
    for name in ["ed25519", "p256", "rsa"] {
        let vector = vector(name);
        let message = text(&vector, "client_data_utf8").as_bytes();
        assert_eq!(decode(text(&vector, "client_data_b64url")), message);
        assert!(verifies(name, message, &decode(text(&vector, "signature_b64url"))), "{name}");
        let mut other = message.to_vec();
        other[0] ^= 1;
        assert!(!verifies(name, &other, &decode(text(&vector, "signature_b64url"))), "{name}");
    }
}

#[test]
fn alternative_client_data_layouts_are_signed_alike() {
    let vector = vector("ed25519");
    let signer = signer(&vector);
    let layouts = vector["alternative_client_data"].as_object().expect("layouts");
    assert_eq!(layouts.len(), 3);
    for (name, layout) in layouts {
        let message = text(layout, "client_data_utf8").as_bytes();
        let signature = signer.sign(message).expect("a signature");
        assert_eq!(URL_SAFE_NO_PAD.encode(&signature), text(layout, "signature_b64url"), "{name}");
        assert!(verifies("ed25519", message, &signature), "{name}");
    }
}

#[test]
fn negative_vectors_do_not_verify() {
    let vectors = vectors();
    let negatives = vectors["negative_vectors"].as_array().expect("a list");
    assert_eq!(negatives.len(), 3);
    for negative in negatives {
        let message = decode(text(negative, "client_data_b64url"));
        let signature = decode(text(negative, "signature_b64url"));
        assert!(!verifies(text(negative, "public_key_of"), &message, &signature), "{negative}");
    }
}

#[test]
fn the_answer_to_a_challenge_has_the_docs_layout() {
    let vector = vector("ed25519");
    let challenge: Challenge = serde_json::from_value(vectors()["init_response"].clone()).expect("a challenge");
    let completion = signer(&vector).answer(&challenge).expect("our credential is allowed");
    let docs = &vector["alternative_client_data"]["docs_reference_alphabetical"];
    let expected = serde_json::json!({
        "challengeIdentifier": "eyJ0eXAiOiJKV1QifQ.vector.identifier",
        "firstFactor": { "kind": "Key", "credentialAssertion": {
            "credId": text(&vector, "credential_id"),
            "clientData": text(docs, "client_data_b64url"),
            "signature": text(docs, "signature_b64url"),
        }},
    });
    assert_eq!(serde_json::to_value(&completion).expect("JSON"), expected);
}

#[test]
fn a_challenge_that_does_not_allow_our_credential_is_not_signed() {
    let signer = signer(&vector("p256"));
    let allowed_for_another: Challenge =
        serde_json::from_value(vectors()["init_response"].clone()).expect("a challenge");
    let refused = signer.answer(&allowed_for_another).err().expect("not signed");
    assert!(refused.contains("credential_id"), "{refused}");
    let silent: Challenge =
        serde_json::from_str(r#"{"challenge":"YQ","challengeIdentifier":"i"}"#).expect("a challenge");
    assert!(signer.answer(&silent).is_ok(), "a challenge without the list is signed");
}

#[test]
fn an_unusable_key_is_refused_with_its_field_and_without_its_content() {
    let good = text(&vector("ed25519"), "private_key_pkcs8_pem").to_owned();
    let body = good.lines().nth(1).expect("the base64 line").to_owned();
    for bad in [
        String::new(),
        "not a pem".to_owned(),
        good.replace("PRIVATE KEY", "EC PRIVATE KEY"),
        good.replace(&body, &body[..60]),
        good.replace(&body, "MAA="),
        text(&vector("ed25519"), "public_key_spki_pem").to_owned(),
    ] {
        let settings = Settings::new("https://api.dfns.io", "tok".into(), "cred", bad.clone().into());
        let refused =
            Signer::new(&settings.credentials()).err().unwrap_or_else(|| panic!("accepted {bad}")).to_string();
        assert!(refused.starts_with("private_key_pem: expected "), "{refused}");
        assert!(!refused.contains(&body[..40]), "{refused}");
    }
    let nameless = Settings::new("https://api.dfns.io", "tok".into(), "", good.into());
    assert!(Signer::new(&nameless.credentials()).err().expect("refused").to_string().starts_with("credential_id: "));
}
