//! An HTTP/1.1 client that costs next to nothing: whole requests from memory over a connection that stays open, and of
//! the answer only its status. What drives the relay must not take the processor from it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(30);
const LARGEST_ANSWER: usize = 64 * 1024;

/// A connection.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    /// To `host:port`.
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("nobody listens at {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![] })
    }

    /// Sends a request and reads the whole answer; says its status.
    pub async fn call(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        timeout(PATIENCE, self.answer()).await.with_context(|| format!("no answer within {PATIENCE:?}"))?
    }

    async fn answer(&mut self) -> Result<u16> {
        loop {
            if let Some((status, length)) = read(&self.buffer)? {
                self.buffer.drain(..length);
                return Ok(status);
            }
            ensure!(self.buffer.len() < LARGEST_ANSWER, "an answer that does not end");
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed before the answer was complete");
            }
        }
    }
}

/// Status and length of the answer at the beginning; nothing while it is not complete.
fn read(buffer: &[u8]) -> Result<Option<(u16, usize)>> {
    let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&buffer[..head])?;
    let status =
        text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).context("no HTTP/1.1 answer")?.parse()?;
    let length = text.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    let whole = head + 4 + length.unwrap_or_default();
    Ok((buffer.len() >= whole).then_some((status, whole)))
}

/// Sends so many over so many connections, as fast as they are answered; `request` writes the one of each number.
/// Returns how many were answered with `expected`; any other answer is an error.
pub async fn flood(
    address: &str,
    connections: usize,
    count: usize,
    expected: u16,
    request: impl Fn(usize, &mut Vec<u8>),
) -> Result<usize> {
    let next = AtomicUsize::new(0);
    let (next, request) = (&next, &request);
    let senders = (0..connections).map(|_| async move {
        let (mut wire, mut bytes, mut sent) = (Wire::open(address).await?, vec![], 0);
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return Ok::<_, anyhow::Error>(sent);
            }
            bytes.clear();
            request(n, &mut bytes);
            let status = wire.call(&bytes).await?;
            ensure!(status == expected, "webhook {n} was answered with {status}, expected {expected}");
            sent += 1;
        }
    });
    Ok(try_join_all(senders).await?.into_iter().sum())
}

/// Sends at a steady rate, each at its time whether the others are answered or not; says how long each answer took.
pub async fn steadily(address: &str, rate: f64, requests: Vec<Vec<u8>>) -> Result<Vec<Duration>> {
    let every = Duration::from_secs_f64(1.0 / rate);
    let idle = std::sync::Mutex::new(vec![]);
    let idle = &idle;
    let begun = Instant::now();
    let calls = requests.into_iter().enumerate().map(|(n, request)| async move {
        let due = begun + every * u32::try_from(n)?;
        tokio::time::sleep_until(due.into()).await;
        let kept = idle.lock().map_err(|_| anyhow::anyhow!("a sender failed"))?.pop();
        let mut wire = match kept {
            Some(wire) => wire,
            None => Wire::open(address).await?,
        };
        let status = wire.call(&request).await?;
        // From when it was due, so that a sender that is late hides nothing.
        let took = due.elapsed();
        ensure!(status == 200, "webhook {n} was answered with {status}, expected 200");
        idle.lock().map_err(|_| anyhow::anyhow!("a sender failed"))?.push(wire);
        Ok::<_, anyhow::Error>(took)
    });
    try_join_all(calls).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_once_it_is_complete() {
        let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\ndate: x\r\n\r\nnoHTTP/1.1 200";
        for cut in 0..57 {
            assert_eq!(read(&answer[..cut]).expect("readable"), None, "{cut}");
        }
        assert_eq!(read(answer).expect("readable"), Some((401, answer.len() - 12)));
        assert_eq!(read(b"HTTP/1.1 200 OK\r\n\r\n").expect("readable"), Some((200, 19)));
        assert!(read(b"SSH-2.0\r\n\r\n").is_err());
    }
}
