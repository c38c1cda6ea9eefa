//! Servers on a free loopback port: one that records requests and answers them, and one that
//! answers with raw bytes, or not at all.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use remit_dfns::{Dfns, Settings};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The vectors made with the official packages.
pub fn vectors() -> Value {
    serde_json::from_str(include_str!("../../fixtures/dfns-signing-vectors.json")).expect("the fixture is JSON")
}

/// A request as it arrived.
#[derive(Clone)]
pub struct Seen {
    pub method: String,
    /// With the query.
    pub path: String,
    pub headers: axum::http::HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().expect("a text header"))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text body")
    }
}

/// Records every request and answers what it is told to. Stops when dropped.
pub struct Server {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start(answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let app = Router::new().fallback(move |request: Request| {
            let (answer, log) = (answer.clone(), log.clone());
            async move {
                let (parts, body) = request.into_parts();
                let seen = Seen {
                    method: parts.method.to_string(),
                    path: parts.uri.to_string(),
                    headers: parts.headers,
                    body: to_bytes(body, usize::MAX).await.expect("a whole body"),
                };
                log.lock().expect("not poisoned").push(seen.clone());
                answer(&seen)
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, app).await.expect("a running server") });
        Self { url, seen, task }
    }

    /// Signs everything and answers the real calls with what `answer` says.
    pub async fn signing(answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static) -> Self {
        Self::start(move |seen| sign(seen).unwrap_or_else(|| answer(seen))).await
    }

    pub fn client(&self) -> Dfns {
        Dfns::new(settings(&self.url)).expect("good settings")
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("not poisoned").clone()
    }

    /// `METHOD path` of each request, in order.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|s| format!("{} {}", s.method, s.path)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The service account of the Ed25519 vector, at this place.
pub fn settings(url: &str) -> Settings {
    let vector = &vectors()["vectors"][0];
    let text = |key: &str| vector[key].as_str().expect("a text").to_owned();
    Settings::new(url, "tok".into(), text("credential_id"), text("private_key_pkcs8_pem").into())
}

/// The two signing answers of the transcript; `None` for any other request.
pub fn sign(seen: &Seen) -> Option<Response> {
    let transcript = &vectors()["transcript"]["responses"];
    match seen.path.as_str() {
        "/auth/action/init" => Some(json(200, &transcript[0]["body"].to_string())),
        "/auth/action" => Some(json(200, &transcript[1]["body"].to_string())),
        _ => None,
    }
}

pub fn json(status: u16, body: &str) -> Response {
    with_headers(status, &[], body)
}

pub fn with_headers(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body.to_owned())).expect("a response")
}

/// A server that answers real calls with one body.
pub async fn answering(body: &'static str) -> Server {
    Server::signing(move |_| json(200, body)).await
}

pub fn last(server: &Server) -> Seen {
    server.seen().last().expect("a request").clone()
}

/// The last request's line, and whether it was signed.
pub fn line(server: &Server) -> (String, bool) {
    let seen = last(server);
    (format!("{} {}", seen.method, seen.path), seen.header("x-dfns-useraction").is_some())
}

pub fn read(line: &str) -> (String, bool) {
    (line.to_owned(), false)
}

pub fn signed(line: &str) -> (String, bool) {
    (line.to_owned(), true)
}

/// What a raw server does with one connection, after it has read one whole request.
pub enum Raw {
    /// Writes these bytes and closes.
    Write(String),
    /// Closes without a word.
    Close,
    /// Says nothing until the client gives up.
    Silence,
}

impl Raw {
    /// A whole answer on a connection of its own.
    pub fn json(body: &str) -> Self {
        Self::Write(format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    /// The two signing answers.
    pub fn signing() -> [Self; 2] {
        let transcript = &vectors()["transcript"]["responses"];
        [0, 1].map(|i| Self::json(&transcript[i]["body"].to_string()))
    }
}

/// Takes one connection per step, then stops listening (before the last step's answer).
/// Returns the address and the number of requests read.
pub async fn raw_server(steps: Vec<Raw>) -> (String, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move {
        let mut listener = Some(listener);
        let mut requests = 0;
        let last = steps.len() - 1;
        for (i, step) in steps.into_iter().enumerate() {
            let (mut stream, _) = listener.as_ref().expect("listening").accept().await.expect("a connection");
            if i == last {
                listener = None;
            }
            read_request(&mut stream).await;
            requests += 1;
            match step {
                Raw::Write(bytes) => {
                    stream.write_all(bytes.as_bytes()).await.expect("written");
                    stream.shutdown().await.expect("closed");
                }
                Raw::Close => drop(stream),
                Raw::Silence => while stream.read(&mut [0; 64]).await.is_ok_and(|n| n > 0) {},
            }
        }
        requests
    });
    (url, task)
}

async fn read_request(stream: &mut TcpStream) {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).to_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text.split("content-length: ").nth(1).and_then(|t| t.split("\r\n").next());
            let length: usize = length.map_or(0, |n| n.parse().expect("a length"));
            if read.len() >= end + 4 + length {
                return;
            }
        }
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.expect("a readable stream");
        assert!(n > 0, "the client went away in the middle of a request");
        read.extend_from_slice(&chunk[..n]);
    }
}
