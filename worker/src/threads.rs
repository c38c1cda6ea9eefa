//! One thread for each worker, since all workflow code of a worker runs on one; and their common end.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use temporalio_client::{ClientOptions, ConnectionOptions, NamespacedClient};
use temporalio_sdk::{Worker, WorkerOptions};
use temporalio_sdk_core::{CoreRuntime, init_worker};
use tokio::{runtime::Handle, sync::oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    connect_as,
    phase::{Phase, Phases},
    queries::ForgetAsked,
    queues::Place,
};

/// How much longer than it was given a worker may take to return, before we stop waiting for it.
const LEEWAY: Duration = Duration::from_secs(10);

/// The workers of this process. When one ends, all end.
pub(crate) struct Threads {
    running: FuturesUnordered<BoxFuture<'static, (Place, anyhow::Result<()>)>>,
    end: CancellationToken,
}

impl Threads {
    pub(crate) fn new(end: CancellationToken) -> Self {
        Self { running: FuturesUnordered::new(), end }
    }

    /// Starts a worker on a thread of its own. Its connection is its own too: the server refuses two on one.
    pub(crate) fn start(
        &mut self,
        place: Place,
        runtime: CoreRuntime,
        connection: ConnectionOptions,
        client: ClientOptions,
        options: WorkerOptions,
    ) -> anyhow::Result<()> {
        let (done, ended) = oneshot::channel();
        let (tokio, end) = (Handle::current(), self.end.clone());
        std::thread::Builder::new()
            .name(place.to_string())
            .spawn(move || {
                let result = tokio.block_on(work(&runtime, connection, client, options, end));
                // Nobody listens any more when draining took too long.
                let _ = done.send(result);
            })
            .context("no thread for a worker")?;
        let ended = ended.map(move |result| (place, result.unwrap_or_else(|_| Err(anyhow!("its thread panicked")))));
        self.running.push(ended.boxed());
        Ok(())
    }

    /// Waits for all workers to end; on the way tells that they drain.
    pub(crate) async fn supervise(mut self, phases: &Phases, graceful: Duration) -> anyhow::Result<()> {
        let mut broken = None;
        let limit = graceful + LEEWAY;
        let end = self.end.clone();
        let overdue = async {
            end.cancelled().await;
            phases.enter(Phase::Draining);
            tokio::time::sleep(limit).await;
        };
        let mut overdue = std::pin::pin!(overdue);
        loop {
            let ended = tokio::select! {
                biased;
                () = &mut overdue => {
                    let late = anyhow!("what was under way did not end within {limit:?} after the worker was stopped");
                    return Err(broken.unwrap_or(late));
                }
                ended = self.running.next() => ended,
            };
            let Some((place, result)) = ended else { break };
            let asked_to = self.end.is_cancelled();
            let result = result.and_then(|()| if asked_to { Ok(()) } else { Err(anyhow!("it ended by itself")) });
            if let Err(error) = result {
                let error = error.context(format!("the worker {place} failed"));
                tracing::error!("{error:#}");
                broken.get_or_insert(error);
                self.end.cancel();
            }
        }
        broken.map_or(Ok(()), Err)
    }
}

async fn work(
    runtime: &CoreRuntime,
    connection: ConnectionOptions,
    client: ClientOptions,
    mut options: WorkerOptions,
    end: CancellationToken,
) -> anyhow::Result<()> {
    let client = connect_as(connection, client).await?;
    // As `Worker::new` does it, but for a hand on the core.
    let config = options.to_core_options(client.namespace(), client.identity()).map_err(anyhow::Error::msg)?;
    let core = Arc::new(init_worker(runtime, config, client.connection().clone())?);
    options.worker_interceptor(ForgetAsked::new(Arc::clone(&core)));
    let mut worker = Worker::new_from_core_options(core, client.options().clone(), options)?;
    let shut_down = worker.shutdown_handle();
    let watch = tokio::spawn(async move {
        end.cancelled().await;
        shut_down();
    });
    let result = worker.run().await;
    watch.abort();
    Ok(result?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queues::Queue;

    const DECISIONS: Place = Place { queue: Queue::Decisions, shard: 1 };
    const PROVIDER: Place = Place { queue: Queue::Provider, shard: 0 };

    fn threads(of: Vec<BoxFuture<'static, (Place, anyhow::Result<()>)>>) -> (Threads, CancellationToken) {
        let end = CancellationToken::new();
        (Threads { running: of.into_iter().collect(), end: end.clone() }, end)
    }

    fn until(end: &CancellationToken, place: Place) -> BoxFuture<'static, (Place, anyhow::Result<()>)> {
        let end = end.clone();
        async move {
            end.cancelled().await;
            (place, Ok(()))
        }
        .boxed()
    }

    #[tokio::test]
    async fn a_worker_that_fails_ends_the_others_and_is_named() {
        let failing = std::future::ready((PROVIDER, Err(anyhow!("no such namespace")))).boxed();
        let (threads, end) = threads(vec![failing]);
        threads.running.push(until(&end, DECISIONS));
        let phases = Phases::new();
        let error = threads.supervise(&phases, Duration::from_secs(60)).await.expect_err("one failed");
        assert_eq!(format!("{error:#}"), "the worker remit-provider/0 failed: no such namespace");
        assert!(end.is_cancelled());
    }

    #[tokio::test]
    async fn a_worker_that_ends_by_itself_is_a_failure_and_one_that_was_asked_to_is_not() {
        let (by_itself, _) = threads(vec![std::future::ready((DECISIONS, Ok(()))).boxed()]);
        let error = by_itself.supervise(&Phases::new(), Duration::ZERO).await.expect_err("nobody asked");
        assert!(format!("{error:#}").contains("ended by itself"), "{error:#}");

        let (asked, end) = threads(vec![]);
        asked.running.push(until(&end, DECISIONS));
        let phases = Phases::new();
        end.cancel();
        asked.supervise(&phases, Duration::from_secs(60)).await.expect("drained");
        assert_eq!(phases.now(), Phase::Draining);
    }
}
