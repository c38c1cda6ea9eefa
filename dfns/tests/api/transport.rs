//! How far a call came when the network fails.

use std::time::Duration;

use remit_dfns::{Dfns, Error, PayoutAction, Stage};
use tokio::net::TcpListener;

use crate::harness::{Raw, raw_server, settings};

fn client(url: &str) -> Dfns {
    Dfns::new(settings(url)).expect("good settings")
}

async fn cancel(url: &str) -> Error {
    client(url).payout_action("pyt-1", &PayoutAction::Cancel).await.expect_err("no answer")
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_sent_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    let read = client(&url).payout("pyt-1").await.expect_err("nobody listens");
    assert!(matches!(read, Error::NotSent { stage: Stage::Call, .. }), "{read:?}");
    let write = cancel(&url).await;
    assert!(matches!(write, Error::NotSent { stage: Stage::Signing, .. }), "{write:?}");
}

#[tokio::test]
async fn a_listener_that_closes_after_the_request_leaves_the_outcome_unknown() {
    let (url, requests) = raw_server(vec![Raw::Close]).await;
    let lost = client(&url).payout("pyt-1").await.expect_err("closed");
    assert!(matches!(lost, Error::Lost { stage: Stage::Call, .. }), "{lost:?}");
    assert_eq!(requests.await.expect("the server ran"), 1, "the request is not repeated");
}

#[tokio::test]
async fn the_stage_tells_a_lost_signing_from_a_lost_call() {
    let (url, _) = raw_server(vec![Raw::Close]).await;
    let lost = cancel(&url).await;
    assert!(matches!(lost, Error::Lost { stage: Stage::Signing, .. }), "{lost:?}");

    let (url, requests) = raw_server(Raw::signing().into_iter().chain([Raw::Close]).collect()).await;
    let lost = cancel(&url).await;
    assert!(matches!(lost, Error::Lost { stage: Stage::Call, .. }), "{lost:?}");
    assert_eq!(requests.await.expect("the server ran"), 3);
}

#[tokio::test]
async fn a_call_that_finds_nobody_after_its_signing_was_not_sent() {
    let (url, _) = raw_server(Raw::signing().into()).await;
    let error = cancel(&url).await;
    assert!(matches!(error, Error::NotSent { stage: Stage::Call, .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_lost_whatever_its_status() {
    for status in ["200 OK", "409 Conflict"] {
        let cut = format!("HTTP/1.1 {status}\r\ncontent-length: 100\r\n\r\n{{\"id\"");
        let (url, _) = raw_server(vec![Raw::Write(cut)]).await;
        let lost = client(&url).payout("pyt-1").await.expect_err("cut off");
        assert!(matches!(lost, Error::Lost { stage: Stage::Call, .. }), "{lost:?}");
    }
}

#[tokio::test]
async fn a_silent_answer_is_lost_after_the_time_limit() {
    let (url, _) = raw_server(vec![Raw::Silence]).await;
    let mut settings = settings(&url);
    settings.timeout = Duration::from_millis(100);
    let lost = Dfns::new(settings).expect("good settings").payout("pyt-1").await.expect_err("silence");
    assert!(matches!(lost, Error::Lost { stage: Stage::Call, .. }), "{lost:?}");
}

#[tokio::test]
async fn a_failed_tls_handshake_means_that_nothing_was_sent() {
    // Speaks plain HTTP where TLS is expected.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
    });
    let error = client(&url).payout("pyt-1").await.expect_err("no handshake");
    assert!(matches!(error, Error::NotSent { stage: Stage::Call, .. }), "{error:?}");
    server.await.expect("the server ran");
}
