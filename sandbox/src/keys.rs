//! Credentials: making key pairs, reading public keys, verifying signatures.

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::{Deserialize, Serialize};
use spki::der::asn1::BitString;
use spki::der::pem::{self, LineEnding};
use spki::der::{Any, DecodePem, EncodePem};
use spki::{AlgorithmIdentifier, ObjectIdentifier, SubjectPublicKeyInfoOwned};

use crate::ids::Ids;

const OID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const OID_EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const OID_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const OID_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The fixed start of a version 1 PKCS#8 document for Ed25519 (RFC 8410, section 7). Written so,
/// because ring only writes version 2, which other tools do not all read, and only unseeded.
const ED25519_PKCS8_START: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The kinds of key the sandbox makes. It verifies RSA as well.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) enum KeyKind {
    /// Seeded like everything else.
    #[default]
    Ed25519,
    /// Not seeded: the library takes its randomness from the system.
    P256,
}

/// A key pair as PEM text: PKCS#8 and SPKI.
pub(crate) struct KeyPair {
    pub(crate) private_pem: String,
    pub(crate) public_pem: String,
}

/// Makes a key pair.
pub(crate) fn make(kind: KeyKind, ids: &mut Ids) -> Result<KeyPair, String> {
    let (pkcs8, algorithm, public) = match kind {
        KeyKind::Ed25519 => {
            let seed = ids.bytes::<32>();
            let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|error| error.to_string())?;
            let pkcs8 = [ED25519_PKCS8_START.as_slice(), &seed].concat();
            (pkcs8, AlgorithmIdentifier { oid: OID_ED25519, parameters: None }, pair.public_key().as_ref().to_vec())
        }
        KeyKind::P256 => {
            let random = SystemRandom::new();
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)
                .map_err(|_| "the system gave no randomness".to_owned())?;
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random)
                .map_err(|error| error.to_string())?;
            let algorithm = AlgorithmIdentifier { oid: OID_EC, parameters: Some(Any::from(OID_P256)) };
            (pkcs8.as_ref().to_vec(), algorithm, pair.public_key().as_ref().to_vec())
        }
    };
    let subject_public_key = BitString::from_bytes(&public).map_err(|error| error.to_string())?;
    let info = SubjectPublicKeyInfoOwned { algorithm, subject_public_key };
    Ok(KeyPair {
        private_pem: pem::encode_string("PRIVATE KEY", LineEnding::LF, &pkcs8).map_err(|error| error.to_string())?,
        public_pem: info.to_pem(LineEnding::LF).map_err(|error| error.to_string())?,
    })
}

/// A registered public key.
pub(crate) struct PublicKey {
    algorithm: &'static dyn VerificationAlgorithm,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl PublicKey {
    /// Reads an SPKI PEM of kind Ed25519, ECDSA P-256 or RSA.
    pub(crate) fn from_pem(text: &str) -> Result<Self, String> {
        let info = SubjectPublicKeyInfoOwned::from_pem(text)
            .map_err(|error| format!("not an SPKI PEM (-----BEGIN PUBLIC KEY-----): {error}"))?;
        let curve = info.algorithm.parameters.as_ref().and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        let algorithm: &'static dyn VerificationAlgorithm = match (info.algorithm.oid, curve) {
            (OID_ED25519, _) => &ED25519,
            (OID_EC, Some(OID_P256)) => &ECDSA_P256_SHA256_ASN1,
            (OID_RSA, _) => &RSA_PKCS1_2048_8192_SHA256,
            (other, _) => return Err(format!("key kind {other} is not Ed25519, ECDSA P-256 or RSA")),
        };
        Ok(Self { algorithm, bytes: info.subject_public_key.raw_bytes().to_vec() })
    }

    /// Ed25519: 64 raw bytes over the message. P-256: DER over its SHA-256. RSA: PKCS#1 v1.5.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm, &self.bytes).verify(message, signature).is_ok()
    }
}

/// The published signing vectors.
#[cfg(test)]
pub(crate) fn vectors() -> serde_json::Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../dfns/fixtures/dfns-signing-vectors.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::Value;

    use super::*;

    fn bytes(value: &Value) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
    }

    fn key(vectors: &Value, name: &str) -> PublicKey {
        let vectors = vectors["vectors"].as_array().unwrap();
        let vector = vectors.iter().find(|vector| vector["name"] == name).unwrap();
        PublicKey::from_pem(vector["public_key_spki_pem"].as_str().unwrap()).unwrap()
    }

    #[test]
    fn every_published_signature_verifies_in_every_layout() {
        let vectors = vectors();
        for vector in vectors["vectors"].as_array().unwrap() {
            let name = vector["name"].as_str().unwrap();
            let key = key(&vectors, name);
            let message = bytes(&vector["client_data_b64url"]);
            assert!(key.verifies(&message, &bytes(&vector["signature_b64url"])), "{name}");
            if let Some(rfc6979) = vector.get("rfc6979_signature_b64url") {
                assert!(key.verifies(&message, &bytes(rfc6979)), "{name}, RFC 6979");
            }
            if let Some(layouts) = vector["alternative_client_data"].as_object() {
                assert_eq!(layouts.len(), 3);
                for (layout, signed) in layouts {
                    let message = bytes(&signed["client_data_b64url"]);
                    assert!(key.verifies(&message, &bytes(&signed["signature_b64url"])), "{name}, {layout}");
                }
            }
        }
    }

    #[test]
    fn every_published_refusal_case_is_refused() {
        let vectors = vectors();
        let cases = vectors["negative_vectors"].as_array().unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let key = key(&vectors, case["public_key_of"].as_str().unwrap());
            let (message, signature) = (bytes(&case["client_data_b64url"]), bytes(&case["signature_b64url"]));
            assert!(!key.verifies(&message, &signature), "{}", case["name"]);
        }
    }

    #[test]
    fn a_key_made_here_signs_what_its_public_half_verifies() {
        let pair = make(KeyKind::Ed25519, &mut Ids::new(7)).unwrap();
        let (_, pkcs8) = pem::decode_vec(pair.private_pem.as_bytes()).unwrap();
        let signer = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8).unwrap();
        let public = PublicKey::from_pem(&pair.public_pem).unwrap();
        assert!(public.verifies(b"text", signer.sign(b"text").as_ref()));
        assert!(!public.verifies(b"other", signer.sign(b"text").as_ref()));
        assert_eq!(pair.private_pem, make(KeyKind::Ed25519, &mut Ids::new(7)).unwrap().private_pem);
    }

    #[test]
    fn an_openssh_key_is_refused() {
        let text = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKvUwAd8/y+vd6dCoG1MGCiWnbragh";
        assert!(PublicKey::from_pem(text).unwrap_err().contains("not an SPKI PEM"));
    }
}
