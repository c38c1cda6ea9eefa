//! What anybody can send to an open port: other HTTP, broken HTTP, too much of it, and too slowly.

use std::time::{Duration, Instant};

use remit_relay::Limits;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    forged::nothing_came_of_it,
    support::{PATIENCE, Relay, SECRET, action_required, sign},
};

const PATH: &str = "/webhooks/dfns";

/// One connection after another to a relay, by hand.
pub struct Wire {
    to: std::net::SocketAddr,
    stream: Option<TcpStream>,
}

impl Wire {
    pub fn to(relay: &Relay) -> Self {
        Self { to: relay.webhooks, stream: None }
    }

    /// Sends a request and says which status came back. Where the relay has hung up after the answer before, it is a
    /// new connection.
    pub async fn ask(&mut self, request: &[u8]) -> u16 {
        for _ in 0..2 {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => TcpStream::connect(self.to).await.expect("the relay listens"),
            };
            let answer = async {
                stream.write_all(request).await.ok()?;
                head(&mut stream).await
            };
            let answer = timeout(PATIENCE, answer).await.expect("the relay answers");
            if let Some(answer) = answer {
                if !answer.to_ascii_lowercase().contains("connection: close") {
                    self.stream = Some(stream);
                }
                return status(&answer);
            }
        }
        panic!("no answer to {}", String::from_utf8_lossy(request));
    }
}

/// The head of one answer; `None` where the relay hung up instead. Our answers have no body.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).expect("ASCII"))
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status: {head:?}"))
}

/// A delivery with these headers.
pub fn post(headers: &[(&[u8], &[u8])], body: &[u8]) -> Vec<u8> {
    let mut request = format!("POST {PATH} HTTP/1.1\r\nhost: relay\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    for (name, value) in headers {
        request.extend([*name, b": ", *value, b"\r\n"].concat());
    }
    [request.as_slice(), b"\r\n", body].concat()
}

/// Sends this on a connection of its own, says that nothing more will come, and reads all that comes back.
async fn say(relay: &Relay, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(relay.webhooks).await.expect("the relay listens");
    // It may hang up before it has read all of it.
    let _ = stream.write_all(request).await;
    let _ = stream.shutdown().await;
    rest(stream).await
}

/// Sends this on a connection of its own, and reads all that comes back until the relay hangs up.
async fn talk(relay: &Relay, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(relay.webhooks).await.expect("the relay listens");
    stream.write_all(request).await.expect("the relay reads");
    rest(stream).await
}

async fn rest(mut stream: TcpStream) -> String {
    let mut all = vec![];
    let _ = timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("the relay hangs up");
    String::from_utf8_lossy(&all).into_owned()
}

fn genuine() -> (String, String) {
    let body = action_required(0).to_string();
    let signature = sign(SECRET, body.as_bytes());
    (body, signature)
}

#[tokio::test]
async fn a_genuine_body_is_worth_nothing_without_exactly_one_genuine_signature_header() {
    let relay = Relay::patient(Limits::default()).await;
    let (body, good) = genuine();
    let bad = sign("whs-guess", body.as_bytes());
    let name = "x-dfns-webhook-signature";
    let headers = [
        String::new(),
        format!("{name}: {good}\r\n{name}: {bad}\r\n"),
        format!("{name}: {bad}\r\n{name}: {good}\r\n"),
        format!("{name}: {good}\r\nX-DFNS-WEBHOOK-SIGNATURE: {good}\r\n"),
        format!("{name}: {good}, {bad}\r\n"),
        format!("{name}: {good}\r\n {good}\r\n"),
        format!("{name}:\r\n {good}\r\n"),
        format!("{name} : {good}\r\n"),
        format!("x-dfns-signature: {good}\r\n"),
        format!("x_dfns_webhook_signature: {good}\r\n"),
        format!("authorization: {good}\r\n"),
        format!("cookie: {name}={good}\r\n"),
    ];
    for header in headers {
        let head = format!("POST {PATH} HTTP/1.1\r\nhost: relay\r\n{header}content-length: {}\r\n\r\n", body.len());
        let answer = say(&relay, format!("{head}{body}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{header:?}: {answer}");
    }
    // In the query, and in a trailer, which comes after a body that was already refused.
    let queried =
        format!("POST {PATH}?{name}={good} HTTP/1.1\r\nhost: relay\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    assert!(say(&relay, queried.as_bytes()).await.starts_with("HTTP/1.1 401"));
    let trailed = format!(
        "POST {PATH} HTTP/1.1\r\nhost: relay\r\ntransfer-encoding: chunked\r\ntrailer: {name}\r\n\r\n{:x}\r\n{body}\r\n0\r\n{name}: {good}\r\n\r\n",
        body.len()
    );
    assert!(say(&relay, trailed.as_bytes()).await.starts_with("HTTP/1.1 401"));
    nothing_came_of_it(relay).await;
}

#[tokio::test]
async fn a_genuine_delivery_under_another_verb_path_or_length_is_none() {
    let relay = Relay::patient(Limits::default()).await;
    let (body, good) = genuine();
    let length = body.len();
    let with = |line: &str, more: &str| {
        format!("{line}\r\nhost: relay\r\nx-dfns-webhook-signature: {good}\r\n{more}\r\n{body}").into_bytes()
    };
    let sized = format!("content-length: {length}\r\n");
    for verb in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "POSTS", "PO ST"] {
        let answer = say(&relay, &with(&format!("{verb} {PATH} HTTP/1.1"), &sized)).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{verb}: {answer}");
    }
    for path in [
        "/",
        "/webhooks",
        "/webhooks/dfns/",
        "//webhooks/dfns",
        "/webhooks/../webhooks/dfns",
        "/WEBHOOKS/DFNS",
        "/webhooks%2fdfns",
        "*",
    ] {
        let answer = say(&relay, &with(&format!("POST {path} HTTP/1.1"), &sized)).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
    for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/3", "HTTP/1.1 ", "http/1.1"] {
        let answer = say(&relay, &with(&format!("POST {PATH} {version}"), &sized)).await;
        assert!(!answer.contains(" 200 "), "{version}: {answer}");
    }
    let lengths = [
        format!("content-length: {}\r\n", length - 1),
        format!("content-length: {}\r\n", length + 1),
        format!("content-length: 0{length}x\r\n"),
        "content-length: -1\r\n".to_owned(),
        format!("content-length: {length}\r\ncontent-length: {}\r\n", length - 1),
        "content-length: 99999999999999999999999\r\n".to_owned(),
        "transfer-encoding: gzip\r\n".to_owned(),
        "transfer-encoding: chunked\r\n".to_owned(),
        String::new(),
    ];
    for more in lengths {
        let answer = say(&relay, &with(&format!("POST {PATH} HTTP/1.1"), &more)).await;
        assert!(!answer.contains(" 200 "), "{more}: {answer}");
    }
    nothing_came_of_it(relay).await;
}

#[tokio::test]
async fn what_is_cut_off_anywhere_is_not_taken() {
    let relay = Relay::patient(Limits::default()).await;
    let (body, good) = genuine();
    let request = post(&[(b"x-dfns-webhook-signature", good.as_bytes())], body.as_bytes());
    for end in (0..request.len()).step_by(17).chain([request.len() - 1]) {
        let answer = say(&relay, &request[..end]).await;
        assert!(!answer.contains(" 200 "), "{end} bytes: {answer}");
    }
    let chunk = format!("{:x}\r\n{body}\r\n", body.len());
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: relay\r\nx-dfns-webhook-signature: {good}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    for rest in [
        String::new(),
        chunk.clone(),
        format!("{chunk}0\r\n"),
        format!("{chunk}zz\r\n"),
        format!("{chunk}ffffffffffffffffff\r\n"),
    ] {
        let answer = say(&relay, format!("{head}{rest}").as_bytes()).await;
        assert!(!answer.contains(" 200 "), "{rest}: {answer}");
    }
    nothing_came_of_it(relay).await;
}

#[tokio::test]
async fn a_request_hidden_in_another_or_sent_right_behind_it_is_one_of_its_own() {
    let relay = Relay::patient(Limits::default()).await;
    let (body, good) = genuine();
    let forged = post(&[(b"x-dfns-webhook-signature", sign("whs-guess", body.as_bytes()).as_bytes())], body.as_bytes());
    let unsigned = post(&[], body.as_bytes());
    let hidden = post(&[(b"x-dfns-webhook-signature", good.as_bytes())], body.as_bytes());
    // A genuine delivery as the body of one that is not.
    assert!(say(&relay, &post(&[], &hidden)).await.starts_with("HTTP/1.1 401"));
    let last = post(&[(b"connection", b"close")], body.as_bytes());
    let pipelined = talk(&relay, &[forged, unsigned, last].concat()).await;
    assert_eq!(pipelined.matches("HTTP/1.1 401").count(), 3, "{pipelined}");
    // Two lengths: whoever believes the first sees one request, whoever believes the second sees two.
    let smuggled = format!(
        "POST {PATH} HTTP/1.1\r\nhost: relay\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    let answer = say(&relay, smuggled.as_bytes()).await;
    assert!(!answer.contains(" 200 "), "{answer}");
    assert!(relay.inbox().await.is_empty());

    // In one breath with a genuine one, only that one is taken.
    let mixed = [post(&[], b"{}"), hidden, post(&[(b"connection", b"close")], b"{}")].concat();
    let answer = talk(&relay, &mixed).await;
    let statuses: Vec<u16> = answer.split("HTTP/1.1").skip(1).map(|one| status(&format!("HTTP/1.1{one}"))).collect();
    assert_eq!(statuses, [401, 200, 401], "{answer}");
    assert_eq!(relay.had().len(), 1);
    relay.end().await;
}

#[tokio::test]
async fn a_genuine_delivery_in_chunks_or_by_old_http_is_one() {
    let relay = Relay::patient(Limits::default()).await;
    for (n, version) in ["HTTP/1.1", "HTTP/1.0"].into_iter().enumerate() {
        let mut event = action_required(0);
        event["data"]["payout"]["id"] = json!(format!("pyt-{n}"));
        let body = event.to_string();
        let signature = sign(SECRET, body.as_bytes());
        let head = format!("POST {PATH} {version}\r\nhost: relay\r\nx-dfns-webhook-signature: {signature}\r\n");
        let request = if n == 0 {
            let chunks: String =
                body.split_inclusive(',').map(|part| format!("{:x}\r\n{part}\r\n", part.len())).collect();
            format!("{head}connection: close\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
        } else {
            format!("{head}content-length: {}\r\n\r\n{body}", body.len())
        };
        let answer = talk(&relay, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.") && answer.contains(" 200 "), "{version}: {answer}");
    }
    assert_eq!(relay.inbox().await.len(), 2);
    relay.end().await;
}

/// How much of an endless stream of this, after this, is taken before the relay hangs up.
async fn taken_of(relay: &Relay, head: &str, part: &[u8]) -> usize {
    let mut stream = TcpStream::connect(relay.webhooks).await.expect("the relay listens");
    stream.write_all(head.as_bytes()).await.expect("a head");
    let mut sent = 0;
    let pour = async {
        while let Ok(some @ 1..) = stream.write(part).await {
            sent += some;
        }
    };
    timeout(PATIENCE, pour).await.expect("the relay hangs up");
    sent
}

#[tokio::test]
async fn what_does_not_end_is_cut_off_and_not_remembered() {
    // Whatever the sockets on both sides hold on the way.
    const IN_SOCKETS: usize = 16 * 1024 * 1024;
    let relay = Relay::patient(Limits::default()).await;
    let start = format!("POST {PATH} HTTP/1.1\r\nhost: relay\r\n");
    let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, "x".repeat(64 * 1024));
    for (what, head, part) in [
        ("a body in chunks", format!("{start}transfer-encoding: chunked\r\n\r\n"), chunk),
        ("a body", format!("{start}content-length: 999999999\r\n\r\n"), "x".repeat(64 * 1024)),
        ("headers", start.clone(), format!("x-{}: y\r\n", "n".repeat(1000))),
        ("one header", format!("{start}x-long: "), "x".repeat(64 * 1024)),
        ("a path", "POST /".to_owned(), "x".repeat(64 * 1024)),
        ("no line", String::new(), "\u{7f}".repeat(64 * 1024)),
        ("the note of a chunk", format!("{start}transfer-encoding: chunked\r\n\r\n1;"), "x".repeat(64 * 1024)),
    ] {
        let taken = taken_of(&relay, &head, part.as_bytes()).await;
        assert!(taken < IN_SOCKETS, "{what}: {taken} bytes were taken");
    }
    nothing_came_of_it(relay).await;
}

#[tokio::test]
async fn what_says_nothing_for_ever_is_cut_off_in_time() {
    let relay = Relay::hurried().await;
    let head = format!("POST {PATH} HTTP/1.1\r\nhost: relay\r\ntransfer-encoding: chunked\r\n\r\n");
    // A chunk whose size is written with zeros in front, and never comes to its first other digit.
    taken_of(&relay, &head, "0".repeat(64 * 1024).as_bytes()).await;
    assert!(relay.had().is_empty() && relay.inbox().await.is_empty());
    relay.end().await;
}

#[tokio::test]
async fn those_who_dawdle_make_room_for_a_genuine_delivery() {
    const PLACES: usize = 16;
    let relay = Relay::patient(Limits { connections: PLACES, ..Limits::default() }).await;
    let in_head = format!("POST {PATH} HTTP/1.1\r\nhost: relay\r\nx-slow: ");
    let in_body = format!("POST {PATH} HTTP/1.1\r\nhost: relay\r\ncontent-length: 100000\r\n\r\n{{");
    let mut held = vec![];
    for n in 0..4 * PLACES {
        let mut stream = TcpStream::connect(relay.webhooks).await.expect("the relay listens");
        let beginning: &[u8] = match n % 3 {
            0 => in_head.as_bytes(),
            1 => in_body.as_bytes(),
            _ => b"",
        };
        // It may have made room already.
        let _ = stream.write_all(beginning).await;
        held.push(stream);
    }
    // The relay gives all of them longer than this test lasts: nobody goes by themselves.
    let begun = Instant::now();
    for n in 0..3 {
        let mut event = action_required(0);
        event["data"]["payout"]["id"] = json!(format!("pyt-{n}"));
        let body = event.to_string();
        let signature = sign(SECRET, body.as_bytes());
        let mut wire = Wire::to(&relay);
        let status = wire.ask(&post(&[(b"x-dfns-webhook-signature", signature.as_bytes())], body.as_bytes())).await;
        assert_eq!(status, 200, "delivery {n} after {:?}", begun.elapsed());
        held.push(TcpStream::connect(relay.webhooks).await.expect("the relay listens"));
    }
    assert!(begun.elapsed() < PATIENCE, "they had to go by themselves");
    assert_eq!(relay.had().len(), 3);

    // Some still dawdle, byte by byte, and do no harm.
    let mut alive = 0;
    for stream in &mut held {
        let mut byte = [0];
        let open = timeout(Duration::from_millis(1), stream.read(&mut byte)).await.is_err();
        alive += usize::from(open);
    }
    assert!(alive <= PLACES + 1, "{alive} connections in {PLACES} places");
    drop(held);
    relay.end().await;
}
