//! A part of the system that runs in this process: stopped with patience, noticed when it ends by itself.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Error, Result, anyhow};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than a worker takes to drain.
const STOP_WITHIN: Duration = Duration::from_secs(40);
/// How long a part may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running part. Dropping it stops it, sooner or later.
pub(super) struct Part {
    name: &'static str,
    stop: DropGuard,
    /// `None` once its end has been seen.
    task: Option<JoinHandle<Result<()>>>,
}

impl Part {
    /// Runs what `work` makes of the token that stops it.
    pub(super) fn start<F>(name: &'static str, work: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(work(stop.clone()));
        Self { name, stop: stop.drop_guard(), task: Some(task) }
    }

    /// Waits until `GET /readyz` there answers 200.
    ///
    /// # Errors
    /// When the part ends first, or is not ready in a minute: with what it says of itself.
    pub(super) async fn ready(&mut self, http: &reqwest::Client, admin: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let mut says = "no answer yet".to_owned();
        while Instant::now() < deadline {
            let asked = async {
                let answer = http.get(format!("http://{admin}/readyz")).send().await?;
                Ok::<_, reqwest::Error>((answer.status().is_success(), answer.text().await?))
            };
            tokio::select! {
                why = self.ended() => return Err(why),
                answer = asked => match answer {
                    Ok((true, _)) => return Ok(()),
                    Ok((false, text)) => says = text,
                    Err(error) => says = error.to_string(),
                },
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(anyhow!("{} was not ready within {} s: {says}", self.name, READY_WITHIN.as_secs()))
    }

    /// Returns when the part has ended by itself, which it should not, with the reason. Safe to drop and call again.
    pub(super) async fn ended(&mut self) -> Error {
        let Some(task) = &mut self.task else { return std::future::pending().await };
        let result = task.await;
        self.task = None;
        match result {
            Ok(Ok(())) => anyhow!("{} ended by itself", self.name),
            Ok(Err(error)) => error.context(format!("{} failed", self.name)),
            Err(error) => anyhow!("{} failed: {error}", self.name),
        }
    }

    /// Asks the part to end and waits for it.
    ///
    /// # Errors
    /// When it fails while ending, or takes too long.
    pub(super) async fn stop(self) -> Result<()> {
        let Self { name, stop, task } = self;
        stop.disarm().cancel();
        let Some(task) = task else { return Ok(()) };
        let ended = tokio::time::timeout(STOP_WITHIN, task).await;
        let ended = ended.with_context(|| format!("{name} did not stop within {} s", STOP_WITHIN.as_secs()))?;
        ended.with_context(|| format!("{name} failed"))?.with_context(|| format!("{name} failed while it stopped"))
    }
}

/// Returns when this part has ended by itself; never when there is none.
pub(super) async fn ended(part: Option<&mut Part>) -> Error {
    match part {
        Some(part) => part.ended().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_fails_is_noticed_by_name_and_can_still_be_stopped() {
        let mut part = Part::start("the relay", |_| async { Err(anyhow!("the port is taken")) });
        assert_eq!(format!("{:#}", part.ended().await), "the relay failed: the port is taken");
        part.stop().await.expect("there is nothing left to stop");
    }

    #[tokio::test]
    async fn a_part_is_stopped_by_its_token_and_by_being_dropped() {
        let (ended, mut end) = tokio::sync::mpsc::unbounded_channel();
        let start = || {
            let ended = ended.clone();
            Part::start("the worker", move |stop| async move {
                stop.cancelled().await;
                ended.send(()).map_err(|_| anyhow!("nobody listens"))
            })
        };
        start().stop().await.expect("it stops");
        end.recv().await.expect("it was told to");
        drop(start());
        end.recv().await.expect("it was told to by the drop");
    }
}
