//! What every test starts from: an organisation of its own at the sandbox, a signing client for
//! each of its users, and a bounded wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dfns_sdk_rust::signer::{CredentialAssertion, CredentialAssertionData, UserActionChallenge, UserActionSigner};
use dfns_sdk_rust::{Client, DfnsClient, Error, Options};
use ring::signature::Ed25519KeyPair;
use serde::Deserialize;
use serde_json::{Value, json};

pub const USDC_ON_POLYGON: &str = "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359";
pub const USDC_ON_SOLANA: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
pub const SOME_ADDRESS: &str = "0x1111111111111111111111111111111111111111";

/// A service account `payer` that may pay, people `alice` and `bob`, a `reader` that may only read,
/// a Polygon and a Solana wallet with USDC.
#[derive(Deserialize)]
pub struct Organisation {
    wallets: Vec<Wallet>,
    users: Vec<User>,
}

#[derive(Deserialize)]
struct Wallet {
    id: String,
    network: String,
}

/// A user as the sandbox makes it, private key included.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub user_id: String,
    pub name: String,
    pub token: String,
    pub credential_id: String,
    pub public_key_pem: String,
    pub private_key_pem: String,
}

impl Organisation {
    pub async fn create() -> Self {
        let answer = http()
            .post(format!("{}/_sandbox/organisations", sandbox_url()))
            .json(&json!({}))
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .expect("the sandbox makes an organisation");
        answer.json().await.expect("an organisation with its wallets and users")
    }

    pub fn wallet(&self, network: &str) -> String {
        let found = self.wallets.iter().find(|wallet| wallet.network == network);
        found.unwrap_or_else(|| panic!("no wallet on {network}")).id.clone()
    }

    pub fn user(&self, name: &str) -> &User {
        let found = self.users.iter().find(|user| user.name == name);
        found.unwrap_or_else(|| panic!("no user {name}"))
    }

    /// The official client, signing as `name`.
    pub fn dfns(&self, name: &str) -> DfnsClient {
        dfns_as(self.user(name))
    }
}

/// The official client, signing as `user`.
pub fn dfns_as(user: &User) -> DfnsClient {
    DfnsClient::new(options(user)).expect("loopback http and a token are accepted")
}

/// The official transport alone, for calls that the typed methods cannot express.
pub fn transport_as(user: &User) -> Client {
    Client::new(options(user)).expect("loopback http and a token are accepted")
}

fn options(user: &User) -> Options {
    Options {
        base_url: sandbox_url(),
        auth_token: user.token.clone(),
        signer: Some(Arc::new(KeySigner::new(user))),
        http: Some(http()),
    }
}

/// With a `User-Agent`, which Dfns asks for and the crate's own client does not send.
fn http() -> reqwest::Client {
    let builder = reqwest::Client::builder().user_agent("remit-conformance");
    builder.timeout(Duration::from_secs(30)).build().expect("an http client")
}

pub fn sandbox_url() -> String {
    std::env::var("SANDBOX_URL").expect("SANDBOX_URL: the address of a running sandbox, as ../run sets it")
}

/// Signs challenges with a user's Ed25519 key; the crate ships no signer.
pub struct KeySigner {
    credential_id: String,
    key: Ed25519KeyPair,
}

impl KeySigner {
    pub fn new(user: &User) -> Self {
        let (_, der) = pem_rfc7468::decode_vec(user.private_key_pem.as_bytes()).expect("a PEM key");
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).expect("an Ed25519 key in PKCS#8");
        Self { credential_id: user.credential_id.clone(), key }
    }
}

#[async_trait]
impl UserActionSigner for KeySigner {
    async fn sign(&self, challenge: &UserActionChallenge) -> Result<CredentialAssertion, Error> {
        // The layout of Dfns's reference pages; the TypeScript signer writes the fields the other way round.
        let client_data = json!({ "challenge": challenge.challenge, "type": "key.get" }).to_string();
        Ok(CredentialAssertion {
            kind: "Key".to_owned(),
            credential_assertion: CredentialAssertionData {
                cred_id: self.credential_id.clone(),
                signature: URL_SAFE_NO_PAD.encode(self.key.sign(client_data.as_bytes())),
                client_data: URL_SAFE_NO_PAD.encode(client_data),
            },
        })
    }
}

/// Reads until `condition` holds, and gives what was read last. Panics after 30 s with that reading.
pub async fn until<T: std::fmt::Debug>(
    mut read: impl AsyncFnMut() -> Result<T, Error>,
    condition: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let value = read().await.expect("a reading");
        if condition(&value) {
            return value;
        }
        assert!(Instant::now() < deadline, "still not so after 30 s, last read: {value:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The status and the `error` object of a refusal. The crate reads only flat error bodies, and so
/// hands over Dfns's nested ones as text.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, Value) {
    let error = result.expect_err("a refusal");
    let Error::ApiRaw { status, raw } = error else { panic!("not a refusal by the provider: {error:?}") };
    let body: Value = serde_json::from_str(&raw).expect("a JSON error body");
    assert_eq!(body["error"]["status"], status, "{raw}");
    (status, body["error"].clone())
}
