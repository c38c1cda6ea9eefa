//! Serves HTTP to strangers: bounded in number, in patience, and in how long it takes to stop.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
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
        let open = GracefulShutdown::new();
        let next = async || {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            match listener.accept().await {
                Ok((stream, _)) => Some((place, stream)),
                Err(error) => {
                    tracing::warn!("Cannot accept a connection: {error}");
                    tokio::time::sleep(BREATH).await;
                    None
                }
            }
        };
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = next() => accepted,
            };
            let Some((place, stream)) = accepted else { continue };
            let service = TowerToHyperService::new(router.clone());
            let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!("A connection ended: {error}");
                }
                drop(place);
            });
        }
        drop(listener);
        if tokio::time::timeout(limits.drain, open.shutdown()).await.is_err() {
            tracing::warn!("Connections were still open {:?} after stopping", limits.drain);
        }
    }
}
