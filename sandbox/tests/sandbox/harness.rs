//! A running sandbox, a signing client of its own, and a webhook receiver.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use remit_sandbox::Options;
use ring::hmac;
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};
use spki::der::pem;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub const USDC: &str = "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359";
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;

/// A status and the JSON that came with it; `Null` for an empty body.
pub type Reply = (u16, Value);

/// A sandbox on a free port.
pub struct Sandbox {
    pub base: String,
    pub http: reqwest::Client,
    _stop: DropGuard,
}

impl Sandbox {
    pub async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(remit_sandbox::serve(listener, Options { seed: 42, ..Options::default() }, stop.clone()));
        let http = reqwest::Client::builder().user_agent("sandbox-tests").no_proxy().build().unwrap();
        Self { base, http, _stop: stop.drop_guard() }
    }

    pub async fn control(&self, method: &str, path: &str, body: Value) -> Reply {
        let mut request = self.request(method, &format!("/_sandbox{path}"));
        if !body.is_null() {
            request = request.json(&body);
        }
        reply(request.send().await.unwrap()).await
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.base))
    }

    pub async fn organisation(self: &Arc<Self>, options: Value) -> Org {
        let (status, body) = self.control("POST", "/organisations", options).await;
        assert_eq!(status, 200, "{body}");
        Org { sandbox: Arc::clone(self), id: text(&body["id"]), made: body }
    }
}

pub async fn reply(response: reqwest::Response) -> Reply {
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

/// A new sandbox with one organisation.
pub async fn org() -> Org {
    org_with(json!({})).await
}

pub async fn org_with(options: Value) -> Org {
    Arc::new(Sandbox::start().await).organisation(options).await
}

/// An organisation and what it was made with.
pub struct Org {
    pub sandbox: Arc<Sandbox>,
    pub id: String,
    pub made: Value,
}

impl Org {
    pub fn user(&self, name: &str) -> User {
        let users = self.made["users"].as_array().unwrap();
        self.user_from(users.iter().find(|user| user["name"] == name).unwrap())
    }

    pub fn user_from(&self, made: &Value) -> User {
        let (_, pkcs8) = pem::decode_vec(made["privateKeyPem"].as_str().unwrap().as_bytes()).unwrap();
        User {
            sandbox: Arc::clone(&self.sandbox),
            id: text(&made["userId"]),
            token: text(&made["token"]),
            credential: text(&made["credentialId"]),
            key: Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8).unwrap(),
        }
    }

    /// Of the wallet on this network: its id.
    pub fn wallet(&self, network: &str) -> String {
        let wallets = self.made["wallets"].as_array().unwrap();
        text(&wallets.iter().find(|wallet| wallet["network"] == network).unwrap()["id"])
    }

    pub async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.sandbox.control(method, &format!("/organisations/{}{path}", self.id), body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// Moves the organisation's clock; everything due on the way has happened afterwards.
    pub async fn advance(&self, ms: i64) {
        self.control("POST", "/clock", json!({"advanceMs": ms})).await;
    }

    pub async fn fault(&self, fault: Value) {
        self.control("POST", "/faults", fault).await;
    }

    pub async fn ledger(&self, external_id: &str) -> Value {
        self.control("GET", &format!("/ledger?externalId={external_id}"), Value::Null).await
    }

    /// The body of a Polygon payout.
    pub fn payout(&self, external_id: &str, amount: &str) -> Value {
        json!({
            "walletId": self.wallet("Polygon"),
            "asset": {"kind": "Erc20", "amount": amount, "contract": USDC},
            "fiatCurrency": "BRL",
            "provider": "Borderless",
            "country": "BR",
            "borderlessAccountId": "acc-1",
            "paymentInstructionsId": "pi-1",
            "paymentPurpose": "salary payment",
            "externalId": external_id,
        })
    }

    pub async fn new_payout(&self, user: &User, external_id: &str, amount: &str) -> Value {
        let (status, payout) = user.write("POST", "/payouts", &self.payout(external_id, amount)).await;
        assert_eq!(status, 200, "{payout}");
        payout
    }

    /// Creates a payout and brings it to where it awaits confirmation.
    pub async fn awaiting_payout(&self, user: &User, external_id: &str, amount: &str) -> Value {
        let id = text(&self.new_payout(user, external_id, amount).await["id"]);
        self.advance(500).await;
        let payout = user.payout(&id).await;
        assert_eq!(payout["data"]["executionStatus"], "AwaitingPayoutConfirmation", "{payout}");
        payout
    }

    /// Creates a payout and confirms it.
    pub async fn confirmed_payout(&self, user: &User, external_id: &str, amount: &str) -> String {
        let payout = self.awaiting_payout(user, external_id, amount).await;
        let (status, body) = user.confirm(&payout).await;
        assert_eq!((status, body), (200, json!({})));
        text(&payout["id"])
    }
}

/// Someone with a token and an Ed25519 key.
pub struct User {
    pub sandbox: Arc<Sandbox>,
    pub id: String,
    pub token: String,
    pub credential: String,
    pub key: Ed25519KeyPair,
}

impl User {
    pub async fn get(&self, path: &str) -> Reply {
        reply(self.send("GET", path, None, None).await.unwrap()).await
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
        user_action: Option<&str>,
    ) -> reqwest::Result<reqwest::Response> {
        let mut request = self.sandbox.request(method, path).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        if let Some(user_action) = user_action {
            request = request.header("x-dfns-useraction", user_action);
        }
        request.send().await
    }

    /// The three calls of a signed write.
    pub async fn write(&self, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let token = self.user_action(method, path, &body).await;
        reply(self.send(method, path, Some(&body), Some(&token)).await.unwrap()).await
    }

    /// Init and complete: the token for one write.
    pub async fn user_action(&self, method: &str, path: &str, body: &str) -> String {
        let challenge = self.challenge(method, path, body).await;
        let client_data = format!(r#"{{"challenge":"{}","type":"key.get"}}"#, text(&challenge["challenge"]));
        let signature = self.key.sign(client_data.as_bytes());
        let (status, answer) = self.complete(&challenge, &self.credential, &client_data, signature.as_ref()).await;
        assert_eq!(status, 200, "{answer}");
        text(&answer["userAction"])
    }

    pub async fn challenge(&self, method: &str, path: &str, body: &str) -> Value {
        let init = json!({
            "userActionPayload": body,
            "userActionHttpMethod": method,
            "userActionHttpPath": path,
            "userActionServerKind": "Api",
        });
        let answer = self.send("POST", "/auth/action/init", Some(&init.to_string()), None).await.unwrap();
        let (status, challenge) = reply(answer).await;
        assert_eq!(status, 200, "{challenge}");
        challenge
    }

    pub async fn complete(&self, challenge: &Value, credential: &str, client_data: &str, signature: &[u8]) -> Reply {
        let body = json!({
            "challengeIdentifier": challenge["challengeIdentifier"],
            "firstFactor": {"kind": "Key", "credentialAssertion": {
                "credId": credential,
                "clientData": URL_SAFE_NO_PAD.encode(client_data),
                "signature": URL_SAFE_NO_PAD.encode(signature),
            }},
        });
        reply(self.send("POST", "/auth/action", Some(&body.to_string()), None).await.unwrap()).await
    }

    pub async fn payout(&self, id: &str) -> Value {
        let (status, payout) = self.get(&format!("/payouts/{id}")).await;
        assert_eq!(status, 200, "{payout}");
        payout
    }

    pub async fn confirm(&self, payout: &Value) -> Reply {
        self.act(payout, &confirm_body(payout)).await
    }

    pub async fn act(&self, payout: &Value, body: &Value) -> Reply {
        self.write("POST", &format!("/payouts/{}/action", text(&payout["id"])), body).await
    }
}

/// The Confirm that echoes a payout as it was read.
pub fn confirm_body(payout: &Value) -> Value {
    json!({
        "action": "Confirm",
        "walletId": payout["walletId"],
        "transfer": {
            "kind": payout["asset"]["kind"],
            "amount": payout["asset"]["amount"],
            "contract": payout["asset"]["contract"],
            "to": payout["data"]["depositAddress"],
        },
    })
}

/// One delivery, as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub body: Vec<u8>,
    pub signature: String,
    pub event: Value,
}

impl Received {
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let hex: String = hmac::sign(&key, &self.body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        self.signature == format!("sha256={hex}")
    }
}

#[derive(Clone)]
struct Inbox {
    received: Arc<Mutex<Vec<Received>>>,
    answer: Arc<Mutex<u16>>,
}

/// A webhook receiver on a free port.
pub struct Receiver {
    pub url: String,
    inbox: Inbox,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let inbox = Inbox { received: Arc::default(), answer: Arc::new(Mutex::new(200)) };
        let app = Router::new().fallback(receive).with_state(inbox.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url: format!("http://{address}/hook"), inbox, task }
    }

    /// Subscribes to everything, and returns the webhook with its secret.
    pub async fn subscribe(&self, user: &User, events: &[&str]) -> Value {
        let body = json!({"url": self.url, "events": events});
        let (status, webhook) = user.write("POST", "/webhooks", &body).await;
        assert_eq!(status, 200, "{webhook}");
        webhook
    }

    /// What it answers from now on.
    pub fn answer(&self, status: u16) {
        *self.inbox.answer.lock().unwrap() = status;
    }

    pub fn received(&self) -> Vec<Received> {
        self.inbox.received.lock().unwrap().clone()
    }

    pub fn kinds(&self) -> Vec<String> {
        self.received().iter().map(|received| text(&received.event["kind"])).collect()
    }
}

async fn receive(State(inbox): State<Inbox>, request: Request) -> StatusCode {
    let signature = request.headers().get("x-dfns-webhook-signature").unwrap().to_str().unwrap().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap().to_vec();
    let event = serde_json::from_slice(&body).unwrap();
    inbox.received.lock().unwrap().push(Received { body, signature, event });
    StatusCode::from_u16(*inbox.answer.lock().unwrap()).unwrap()
}

/// Waits until the condition holds, at most ten seconds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(10), "after ten seconds still not: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
