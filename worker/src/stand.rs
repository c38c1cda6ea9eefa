//! What a worker of a deployment does about its version once it polls: takes over, if it is told to, and says so when
//! new payouts go to another one.

use std::time::Duration;

use temporalio_client::{Client, ConnectionOptions};
use tokio_util::sync::CancellationToken;

use crate::{
    Promotion, connect,
    deployment::{Build, Deployment},
};

/// Between two tries. The first ones come to nothing: the server learns of a new version a moment after its first poll.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// What is said at once would be said at every start; only what lasts is worth a line.
const QUIET_TRIES: u32 = 10;

/// Settles the standing of this worker's version. Tries until it is settled or the worker stops: nothing depends on it
/// but where new payouts go.
pub(crate) async fn settle(
    build: Build,
    promotion: Promotion,
    connection: ConnectionOptions,
    namespace: String,
    stop: CancellationToken,
) {
    let Some(name) = build.deployment else { return };
    let mut client = None;
    let mut said = String::new();
    for tried in 1.. {
        let why = match attempt(&mut client, &connection, &namespace, &name, &build.id, promotion).await {
            Ok(()) => return,
            Err(error) => format!("{error:#}"),
        };
        if tried >= QUIET_TRIES && said != why {
            tracing::warn!(deployment = name, build_id = build.id, "The version's standing is not settled: {why}");
            said = why;
        }
        tokio::select! {
            () = tokio::time::sleep(BETWEEN_TRIES) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn attempt(
    client: &mut Option<Client>,
    connection: &ConnectionOptions,
    namespace: &str,
    name: &str,
    build_id: &str,
    promotion: Promotion,
) -> anyhow::Result<()> {
    let connected = match client.take() {
        Some(client) => client,
        None => connect(connection.clone(), namespace.to_owned()).await?,
    };
    let deployment = Deployment::new(client.insert(connected).clone(), name);
    let current = match promotion {
        Promotion::ByHand => deployment.is_current(build_id).await?,
        Promotion::WhenReady => deployment.take_over(build_id).await?,
    };
    match (current, promotion) {
        (true, Promotion::WhenReady) => {
            tracing::info!(deployment = name, build_id, "New payouts go to this version");
        }
        (true, Promotion::ByHand) => {}
        (false, Promotion::ByHand) => tracing::warn!(
            deployment = name,
            build_id,
            "This version is not current: it finishes the payouts that were begun on it and gets no new ones, until \
             `remit deployment promote {build_id}`"
        ),
        (false, Promotion::WhenReady) => tracing::warn!(
            deployment = name,
            build_id,
            "This version was current before and another one is now, so it does not take over: it finishes the payouts \
             that were begun on it. To go back to it: `remit deployment promote {build_id}`"
        ),
    }
    Ok(())
}
