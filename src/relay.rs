//! `remit relay`: webhook in, verified, signal out.

use std::net::{Ipv4Addr, SocketAddr};

use remit_client::{Patience, PayoutClient, connect};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    exit::{Exit, Failure, Outcome, stop_on_signal},
    sandbox::listen,
    settings::Settings,
    temporal::{identity, options},
};

/// Flags of `remit relay`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit relay
  remit relay --listen 0.0.0.0:8080 --admin 127.0.0.1:9465

Webhooks arrive at POST /webhooks/dfns; put TLS in front of it, and subscribe that address in Dfns.
Needs DFNS_WEBHOOK_SECRET or DFNS_WEBHOOK_SECRET_FILE, and Temporal (TEMPORAL_ADDRESS, …).
Stops on Ctrl-C and SIGTERM, after what is under way. Exit codes: 0 stopped · 2 settings · 1 anything else.")]
pub struct Args {
    /// Where webhooks arrive [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where health and metrics are: /livez, /readyz, /metrics [default: 127.0.0.1:9465]
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<SocketAddr>,
}

/// What a relay is made of.
pub(crate) struct Plan {
    pub(crate) secrets: Vec<SecretString>,
    pub(crate) client: PayoutClient,
    pub(crate) listener: TcpListener,
    pub(crate) admin: TcpListener,
}

/// Serves until it is asked to stop.
///
/// # Errors
/// Missing settings; a port that is taken; Temporal that stays away.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let stop = stop_on_signal()?;
    let secrets = settings.dfns.webhook_secrets().map_err(Failure::usage)?;
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let address = args.listen.or(settings.relay.listen).unwrap_or(local(8080));
    let admin = args.admin.or(settings.relay.admin).unwrap_or(local(9465));
    let listener = listen(address, "the relay").await?;
    let admin = listen(admin, "the relay's health and metrics").await?;
    let connecting = async { connect(&options(settings), &identity("relay"), None, Patience::Startup).await };
    let temporal = tokio::select! {
        temporal = connecting => temporal?,
        () = stop.cancelled() => return Ok(Exit::Done),
    };
    serve(Plan { secrets, client: PayoutClient::new(temporal), listener, admin }, stop).await?;
    Ok(Exit::Done)
}

/// Runs a relay.
pub(crate) async fn serve(plan: Plan, stop: CancellationToken) -> anyhow::Result<()> {
    let Plan { secrets, client, listener, admin } = plan;
    let config = remit_relay::Config {
        secrets,
        payouts: client,
        registry: prometheus::Registry::new(),
        limits: remit_relay::Limits::default(),
    };
    remit_relay::serve(config, listener, admin, stop).await
}
