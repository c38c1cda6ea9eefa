//! `remit relay`: webhook in, verified, kept, signal out.

use std::net::{Ipv4Addr, SocketAddr};

use remit_client::{Patience, PayoutClient, connect};
use remit_dfns::Dfns;
use remit_relay::{Secrets, Upkeep};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    exit::{Exit, Failure, Outcome, stop_on_signal},
    sandbox::listen,
    settings::{Settings, SettingsError},
    temporal::{identity, options},
    worker,
};

/// Flags of `remit relay`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit relay
  remit relay --listen 0.0.0.0:8080 --admin 127.0.0.1:9465

Webhooks arrive at POST /webhooks/dfns; put TLS in front of it, and subscribe that address: `remit webhook subscribe`.
Needs DFNS_WEBHOOK_SECRET_FILE or DFNS_WEBHOOK_SECRET, Temporal (TEMPORAL_ADDRESS, …) and the records
(REMIT_RECORDS_URL). The file with the secrets is read again whenever it changes.
With Dfns's own settings too (DFNS_TOKEN_FILE, DFNS_CREDENTIAL_ID, DFNS_PRIVATE_KEY_FILE, DFNS_USER_ID) it looks at the
start and every hour for what Dfns could not deliver, at the subscriptions of REMIT_RELAY_PUBLIC_URL.
Run as many as you like. Stops on Ctrl-C and SIGTERM, after what is under way.
Exit codes: 0 stopped · 2 settings · 1 anything else.")]
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
    pub(crate) secrets: Secrets,
    pub(crate) records_url: String,
    pub(crate) dfns: Option<Dfns>,
    pub(crate) public_url: Option<String>,
    pub(crate) upkeep: Upkeep,
    pub(crate) client: PayoutClient,
    pub(crate) listener: TcpListener,
    pub(crate) admin: TcpListener,
}

/// Serves until it is asked to stop.
///
/// # Errors
/// Missing settings; a port that is taken; records or Temporal that stay away.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let stop = stop_on_signal()?;
    let secrets = settings.dfns.webhook_secrets_for_a_relay().map_err(Failure::usage)?;
    let records_url = settings.records_url().map_err(Failure::usage)?;
    let dfns = gap_reader(settings, &stop)?;
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let address = args.listen.or(settings.relay.listen).unwrap_or(local(8080));
    let admin = args.admin.or(settings.relay.admin).unwrap_or(local(9465));
    let listener = listen(address, "the relay").await?;
    let admin = listen(admin, "the relay's health and metrics").await?;
    let temporal = options(settings)?;
    let connecting = async { connect(&temporal, &identity("relay"), None, Patience::Startup).await };
    let temporal = tokio::select! {
        temporal = connecting => temporal?,
        () = stop.cancelled() => return Ok(Exit::Done),
    };
    let plan = Plan {
        secrets,
        records_url,
        dfns,
        public_url: settings.relay.public_url.clone(),
        upkeep: settings.upkeep(),
        client: PayoutClient::new(temporal),
        listener,
        admin,
    };
    serve(plan, stop).await?;
    Ok(Exit::Done)
}

/// Whoever reads what Dfns could not deliver; nobody when no setting says how to reach Dfns. Half of the settings are
/// a mistake.
fn gap_reader(settings: &Settings, stop: &CancellationToken) -> Result<Option<Dfns>, Failure> {
    match settings.dfns.access() {
        Ok(access) => {
            let dfns = Dfns::new(access.settings).map_err(Failure::usage)?;
            tokio::spawn(access.renewal.watch(dfns.clone(), stop.clone()));
            Ok(Some(dfns))
        }
        Err(SettingsError::Missing(missing)) if missing.len() == WHOLE_ACCESS => {
            tracing::warn!(
                "No settings for Dfns: what it cannot deliver is not looked for, and found by polling alone. {}",
                "Set DFNS_TOKEN_FILE, DFNS_CREDENTIAL_ID, DFNS_PRIVATE_KEY_FILE and DFNS_USER_ID to change that"
            );
            Ok(None)
        }
        Err(error) => Err(Failure::usage(error)),
    }
}

/// How many settings [`crate::settings::DfnsSettings::access`] needs.
const WHOLE_ACCESS: usize = 4;

/// Runs a relay.
pub(crate) async fn serve(plan: Plan, stop: CancellationToken) -> anyhow::Result<()> {
    let Plan { secrets, records_url, dfns, public_url, upkeep, client, listener, admin } = plan;
    let records = tokio::select! {
        records = worker::open(&records_url) => records?,
        () = stop.cancelled() => return Ok(()),
    };
    let config = remit_relay::Config {
        secrets,
        payouts: client,
        records: records.clone(),
        dfns,
        public_url,
        registry: prometheus::Registry::new(),
        limits: remit_relay::Limits::default(),
        upkeep,
    };
    let served = remit_relay::serve(config, listener, admin, stop).await;
    records.close().await;
    served
}
