//! Serves HTTP to strangers: bounded in number, in patience, and in how long it takes to stop.
//!
//! When every place is taken, whoever has gone longest without proving anything makes room: those who open connections
//! and dawdle push out one another, and a genuine delivery, which proves itself within milliseconds, gets through.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

use crate::Limits;

/// After the system could not accept a connection, for want of file descriptors perhaps.
const BREATH: Duration = Duration::from_millis(100);

pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) limits: Limits,
}

impl Server {
    /// Serves until `stop`, then finishes what is under way.
    pub(crate) async fn serve(self, stop: &CancellationToken) {
        let Self { listener, router, limits } = self;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(limits.head);
        let places = Arc::new(Semaphore::new(limits.connections));
        let queue = Queue::default();
        let open = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = next(&listener, &places, &queue) => accepted,
            };
            let Some((place, stream)) = accepted else { continue };
            let guest = queue.enter();
            let service = TowerToHyperService::new(router.clone().layer(Extension(guest.clone())));
            let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
            tokio::spawn(async move {
                tokio::select! {
                    ended = connection => if let Err(error) = ended {
                        tracing::debug!("A connection ended: {error}");
                    },
                    () = guest.leave.cancelled() => tracing::debug!("A connection made room for another"),
                }
                guest.gone();
                drop(place);
            });
        }
        drop(listener);
        if tokio::time::timeout(limits.drain, open.shutdown()).await.is_err() {
            tracing::warn!("Connections were still open {:?} after stopping", limits.drain);
        }
    }
}

/// The next connection and a place for it.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    queue: &Queue,
) -> Option<(OwnedSemaphorePermit, TcpStream)> {
    let stream = match listener.accept().await {
        Ok((stream, _)) => stream,
        Err(error) => {
            tracing::warn!("Cannot accept a connection: {error}");
            tokio::time::sleep(BREATH).await;
            return None;
        }
    };
    if places.available_permits() == 0 {
        queue.make_room();
    }
    Some((Arc::clone(places).acquire_owned().await.ok()?, stream))
}

/// Those who have proven nothing yet, in the order in which they began to wait.
#[derive(Clone, Default)]
struct Queue(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    next: u64,
    guests: BTreeMap<u64, CancellationToken>,
}

impl Waiting {
    fn add(&mut self, leave: &CancellationToken) -> u64 {
        let number = self.next;
        self.next += 1;
        self.guests.insert(number, leave.clone());
        number
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> Guest {
        let leave = CancellationToken::new();
        let number = self.lock().add(&leave);
        Guest { queue: self.clone(), leave, number: Arc::new(AtomicU64::new(number)) }
    }

    fn make_room(&self) {
        if let Some((_, leave)) = self.lock().guests.pop_first() {
            leave.cancel();
        }
    }
}

/// Somebody with a connection; each of its requests has it as an extension.
#[derive(Clone)]
pub(crate) struct Guest {
    queue: Queue,
    leave: CancellationToken,
    number: Arc<AtomicU64>,
}

/// As long as it is held, its guest makes no room for anybody.
pub(crate) struct Stay<'a>(&'a Guest);

impl Guest {
    /// It has proven who it is: what it brought is finished with before it may be sent away.
    pub(crate) fn stays(&self) -> Stay<'_> {
        self.gone();
        Stay(self)
    }

    fn gone(&self) {
        self.queue.lock().guests.remove(&self.number.load(Ordering::Relaxed));
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        let Guest { queue, leave, number } = self.0;
        number.store(queue.lock().add(leave), Ordering::Relaxed);
    }
}
