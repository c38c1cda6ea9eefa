//! A whole system on this machine, in parts that can be stopped and started: for `remit dev`, `remit demo` and the
//! tests.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Error, Result, anyhow};
use remit_activities::{Names, PollCadence, TimeLimits};
use remit_client::{PayoutClient, Target};
use remit_codec::Codec;
use remit_dfns::{CreateWebhook, Dfns};
use remit_domain::policy::{Policy, Publishers, Revision};
use remit_keys::PrivateKey;
use remit_records::{AddedRevision, NewRevision, Records};
use remit_relay::{Secrets, Upkeep};
use remit_screening::Screener;
use remit_worker::{Interceptor, Promotion, Tuning};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, Url};
use tokio::{net::TcpListener, time::Instant};

use super::{
    organisation::{Organisation, PAYER, http, write_env, write_private},
    part::{self, Part},
};
use crate::{
    out, relay, sandbox,
    temporal::identity,
    temporal_server::{self, DevServer, DevServerOptions, WebUi},
    time::{Clocks, Moved},
    worker,
};

/// Temporal's namespace that is always there.
const NAMESPACE: &str = "default";
/// Allows what a person tries out, and asks for an approval of large amounts.
const DEVELOPMENT_POLICY: &str = include_str!("../../docs/policies/development.toml");
/// The name under which the key of this system publishes.
const PUBLISHER: &str = "dev";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// Whether a part starts with the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// It does.
    Now,
    /// It is started later, or not at all.
    Later,
}

/// How to start a [`System`]. The default is everything, on free ports, without the Web UI, in a folder of its own
/// that is removed at the end.
#[derive(Clone, Debug)]
pub struct Options {
    /// The Temporal CLI; `None` finds or builds one.
    pub temporal_cli: Option<PathBuf>,
    /// Temporal's port; `None` takes a free one.
    pub port: Option<u16>,
    /// Temporal's Web UI.
    pub ui: WebUi,
    /// Folder that keeps Temporal's state and the records; `None` keeps them nowhere.
    pub dir: Option<PathBuf>,
    /// Port of the sandbox; 0 takes a free one.
    pub sandbox_port: u16,
    /// Port of the relay; 0 takes a free one.
    pub relay_port: u16,
    /// Seed of the sandbox.
    pub seed: u64,
    /// Options of the organisation, as the sandbox's control API takes them.
    pub organisation: Value,
    /// How often the worker polls.
    pub cadence: PollCadence,
    /// Calls to the provider begun in a second.
    pub provider_calls_per_second: u32,
    /// The policy that is published when none is there, as a policy file.
    pub policy: String,
    /// Encrypts what Temporal keeps. Processes of their own take the keys from their settings.
    pub codec: Option<Codec>,
    /// Stands around every activity of the worker, for tests that fail them.
    pub interceptor: Option<Interceptor>,
    /// The worker.
    pub worker: Begin,
    /// The relay.
    pub relay: Begin,
    /// Is told what takes long.
    pub progress: fn(&str),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            temporal_cli: None,
            port: None,
            ui: WebUi::Off,
            dir: None,
            sandbox_port: 0,
            relay_port: 0,
            seed: 1,
            organisation: json!({}),
            cadence: PollCadence::default(),
            provider_calls_per_second: Tuning::default().provider_calls_per_second,
            policy: DEVELOPMENT_POLICY.to_owned(),
            codec: None,
            interceptor: None,
            worker: Begin::Now,
            relay: Begin::Now,
            progress: |line| out::note(line),
        }
    }
}

/// A running system: Temporal dev server, sandbox with an organisation, records, relay and worker.
///
/// [`System::stop`] lets everything end well; dropping it ends everything as well, without waiting.
pub struct System {
    // In the order in which they may be dropped: whoever uses something goes before it.
    worker: Option<Part>,
    relay: Option<Part>,
    held: Held,
    sandbox: Part,
    client: PayoutClient,
    records: Records,
    server: DevServer,
    http: reqwest::Client,
    organisation: Organisation,
    webhook_secret: SecretString,
    places: Places,
    cadence: PollCadence,
    provider_calls_per_second: u32,
    interceptor: Option<Interceptor>,
    publisher: PrivateKey,
    codec: Option<Codec>,
    environment: Vec<(String, String)>,
    folder: Folder,
}

/// Addresses that stay the same when a part is stopped and started.
struct Places {
    sandbox_url: String,
    relay: SocketAddr,
    relay_admin: SocketAddr,
    worker_admin: SocketAddr,
    records_url: String,
    webhook_secrets: PathBuf,
}

/// Listeners of parts that start with the system, until they do.
struct Held {
    /// The relay's, and that of its health and metrics.
    relay: Option<(TcpListener, TcpListener)>,
    /// That of the worker's health and metrics.
    worker: Option<TcpListener>,
}

/// Where files are.
enum Folder {
    Kept(PathBuf),
    Fresh(TempDir),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Fresh(folder) => folder.path(),
        }
    }
}

impl System {
    /// Starts the system; returns when every part that was asked for is ready.
    ///
    /// # Errors
    /// When there is no Temporal CLI and none can be built, a port is taken, or a part does not start.
    pub async fn start(options: Options) -> Result<Self> {
        let folder = match &options.dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
                Folder::Kept(std::path::absolute(dir)?)
            }
            None => Folder::Fresh(tempfile::Builder::new().prefix("remit-").tempdir().context("no temporary folder")?),
        };
        let cli = temporal_server::cli(options.temporal_cli.as_deref(), options.progress).await?;
        let attributes = remit_workflows::search::ALL.map(|name| (name.to_owned(), "Keyword".to_owned()));
        let server = DevServer::start(
            &cli,
            DevServerOptions {
                port: options.port,
                ui: options.ui,
                db_file: options.dir.is_some().then(|| folder.path().join("temporal.db")),
                namespace: NAMESPACE.to_owned(),
                search_attributes: attributes.to_vec(),
                log_file: Some(folder.path().join("temporal.log")),
                ..DevServerOptions::default()
            },
        );
        let server = server.await?;
        let client =
            PayoutClient::new(connected(target(server.address(), "system", reading(&options.codec).as_ref())?).await?);

        let listener = sandbox::listen(loopback(options.sandbox_port), "the sandbox").await?;
        let sandbox_url = format!("http://{}", listener.local_addr()?);
        let seed = remit_sandbox::Options { seed: options.seed, ..Default::default() };
        let sandbox =
            Part::start("the sandbox", |stop| async move { Ok(remit_sandbox::serve(listener, seed, stop).await?) });
        let organisation = Organisation::create(&sandbox_url, &options.organisation).await?;

        // Held until everyone has one, so that they differ.
        let relay = sandbox::listen(loopback(options.relay_port), "the relay").await?;
        let (relay_admin, worker_admin) = (free().await?, free().await?);
        let records_url = format!("sqlite://{}", folder.path().join("records.db").display());
        let places = Places {
            sandbox_url,
            relay: relay.local_addr()?,
            relay_admin: relay_admin.local_addr()?,
            worker_admin: worker_admin.local_addr()?,
            records_url,
            webhook_secrets: folder.path().join("webhook.secrets"),
        };
        // What starts now keeps its places: given back, anybody's outgoing connection could take them meanwhile.
        let held = Held {
            relay: (options.relay == Begin::Now).then_some((relay, relay_admin)),
            worker: (options.worker == Begin::Now).then_some(worker_admin),
        };

        let subscription = CreateWebhook {
            url: public_url(&places),
            events: remit_relay::KINDS.to_vec(),
            status: None,
            description: Some("the relay of remit dev".to_owned()),
        };
        let subscription = organisation.dfns(PAYER)?.create_webhook(&subscription).await?;
        let records = Records::open(&places.records_url).await?;
        write_private(&places.webhook_secrets, &format!("{}\n", subscription.secret.expose_secret()))?;
        // Made on first use: whoever has the folder may publish.
        let publisher = PrivateKey::read_or_make(&publisher_file(&folder))?;
        if records.revisions().await?.is_empty() {
            publish(&records, &publisher, &options.policy, "the first one").await?;
        }
        let environment = environment(&folder, &organisation, &places, server.address(), &publisher, &options)?;
        let mut system = Self {
            worker: None,
            relay: None,
            held,
            sandbox,
            client,
            records,
            server,
            http: http()?,
            organisation,
            webhook_secret: subscription.secret,
            places,
            cadence: options.cadence,
            provider_calls_per_second: options.provider_calls_per_second,
            interceptor: options.interceptor,
            publisher,
            codec: options.codec,
            environment,
            folder,
        };
        if options.relay == Begin::Now {
            system.start_relay().await?;
        }
        if options.worker == Begin::Now {
            system.start_worker().await?;
        }
        Ok(system)
    }

    /// Starts the worker, if it is not running; returns when it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_worker(&mut self) -> Result<()> {
        if self.worker.is_some() {
            return Ok(());
        }
        let plan = worker::Plan {
            access: self.organisation.access(PAYER)?,
            cadence: self.cadence,
            time: TimeLimits::default(),
            publishers: publishers(&self.publisher),
            screener: Screener::new(vec![]),
            names: if self.codec.is_some() { Names::Allowed } else { Names::OnlyEncrypted },
            records_url: self.places.records_url.clone(),
            temporal: target(self.server.address(), "worker", self.codec.as_ref())?,
            tuning: Tuning { provider_calls_per_second: self.provider_calls_per_second, ..Tuning::default() },
            build: worker::this_build(),
            promotion: Promotion::ByHand,
            interceptor: self.interceptor.clone(),
            admin: match self.held.worker.take() {
                Some(listener) => listener,
                None => again(self.places.worker_admin, "the worker's health and metrics").await?,
            },
        };
        let mut part = Part::start("the worker", |stop| async move { worker::serve(plan, stop).await.map(drop) });
        part.ready(&self.http, self.places.worker_admin).await?;
        self.worker = Some(part);
        Ok(())
    }

    /// Stops the worker as SIGTERM does, if it is running: what runs is finished first.
    ///
    /// # Errors
    /// When it fails while it stops.
    pub async fn stop_worker(&mut self) -> Result<()> {
        stop(self.worker.take()).await
    }

    /// Starts the relay, if it is not running, where it was before; returns when it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_relay(&mut self) -> Result<()> {
        if self.relay.is_some() {
            return Ok(());
        }
        let (listener, admin) = match self.held.relay.take() {
            Some(listeners) => listeners,
            None => (
                again(self.places.relay, "the relay").await?,
                again(self.places.relay_admin, "the relay's health and metrics").await?,
            ),
        };
        let plan = relay::Plan {
            secrets: Secrets::File(self.places.webhook_secrets.clone()),
            records_url: self.places.records_url.clone(),
            dfns: Some(self.organisation.dfns(PAYER)?),
            public_url: Some(self.webhook_url()),
            upkeep: Upkeep::default(),
            client: PayoutClient::new(
                connected(target(self.server.address(), "relay", reading(&self.codec).as_ref())?).await?,
            ),
            listener,
            admin,
        };
        let mut part = Part::start("the relay", |stop| relay::serve(plan, stop));
        part.ready(&self.http, self.places.relay_admin).await?;
        self.relay = Some(part);
        Ok(())
    }

    /// Stops the relay, if it is running: webhooks find nobody.
    ///
    /// # Errors
    /// When it fails while it stops.
    pub async fn stop_relay(&mut self) -> Result<()> {
        stop(self.relay.take()).await
    }

    /// Publishes a policy: it is in force for every decision from now on.
    ///
    /// # Errors
    /// When it is none, or the records cannot be written.
    pub async fn publish(&self, policy: &str, note: &str) -> Result<Revision> {
        publish(&self.records, &self.publisher, policy, note).await
    }

    /// Another organisation in the same sandbox, with a clock, faults and a ledger of its own. The worker and the relay
    /// do not know it.
    ///
    /// # Errors
    /// As [`Organisation::create`].
    pub async fn another_organisation(&self, options: &Value) -> Result<Organisation> {
        Organisation::create(&self.places.sandbox_url, options).await
    }

    /// Moves these workflows, the organisation's clock and that of the records ahead, see [`Clocks::advance`].
    ///
    /// # Errors
    /// As [`Clocks::advance`].
    pub async fn advance(&self, workflow_ids: &[&str], by: Duration) -> Result<Vec<Moved>> {
        let clocks =
            Clocks { temporal: self.client.temporal(), organisation: &self.organisation, records: &self.records };
        clocks.advance(workflow_ids, by).await
    }

    /// Returns when a part has ended by itself, which none should, with the reason. Safe to drop and to call again.
    pub async fn broken(&mut self) -> Error {
        tokio::select! {
            why = self.sandbox.ended() => why,
            why = part::ended(self.worker.as_mut()) => why,
            why = part::ended(self.relay.as_mut()) => why,
            status = self.server.exited() => match status {
                Ok(status) => anyhow!("the Temporal dev server ended by itself ({status})"),
                Err(error) => error,
            },
        }
    }

    /// Stops all parts, those that use others first.
    ///
    /// # Errors
    /// The first that did not end well; the others are stopped all the same.
    pub async fn stop(self) -> Result<()> {
        let Self { worker, relay, sandbox, client, records, server, folder, .. } = self;
        let mut ends = vec![stop(relay).await, stop(worker).await];
        drop(client);
        records.close().await;
        ends.push(sandbox.stop().await);
        ends.push(server.stop().await);
        if let Folder::Fresh(folder) = folder {
            ends.push(folder.close().context("cannot remove the temporary folder"));
        }
        ends.into_iter().collect()
    }

    /// Temporal's gRPC address, `host:port`.
    pub fn temporal_address(&self) -> &str {
        self.server.address()
    }

    /// Temporal's Web UI, when it is on.
    pub fn ui_url(&self) -> Option<&str> {
        self.server.ui_url()
    }

    /// The sandbox.
    pub fn sandbox_url(&self) -> &str {
        &self.places.sandbox_url
    }

    /// The organisation whose paying account the worker signs with.
    pub fn organisation(&self) -> &Organisation {
        &self.organisation
    }

    /// Where the relay takes webhooks, without the path.
    pub fn relay_url(&self) -> String {
        format!("http://{}", self.places.relay)
    }

    /// Where the relay takes webhooks, as it is subscribed.
    pub fn webhook_url(&self) -> String {
        public_url(&self.places)
    }

    /// The file with the secrets that the relay accepts.
    pub fn webhook_secrets_file(&self) -> &Path {
        &self.places.webhook_secrets
    }

    /// The relay's health and metrics.
    pub fn relay_admin_url(&self) -> String {
        format!("http://{}", self.places.relay_admin)
    }

    /// The worker's health and metrics.
    pub fn worker_admin_url(&self) -> String {
        format!("http://{}", self.places.worker_admin)
    }

    /// The database of the records.
    pub fn records_url(&self) -> &str {
        &self.places.records_url
    }

    /// The records, beside the worker's own connections to them.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// A client of payouts.
    pub fn client(&self) -> &PayoutClient {
        &self.client
    }

    /// A client of Dfns that acts as this user, such as [`PAYER`].
    ///
    /// # Errors
    /// As [`Organisation::dfns`].
    pub fn dfns(&self, user: &str) -> Result<Dfns> {
        self.organisation.dfns(user)
    }

    /// The secret of the webhook subscription that the system began with.
    pub fn webhook_secret(&self) -> &SecretString {
        &self.webhook_secret
    }

    /// The environment in which `remit worker`, `remit relay` and every command work with this system.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The same as a file for a shell.
    pub fn env_file(&self) -> PathBuf {
        env_file(&self.folder)
    }
}

/// Writes the file too.
fn environment(
    folder: &Folder,
    organisation: &Organisation,
    places: &Places,
    temporal_address: &str,
    publisher: &PrivateKey,
    options: &Options,
) -> Result<Vec<(String, String)>> {
    let mut all = organisation.environment(&folder.path().join("payer.key.pem"))?;
    let ours = [
        ("DFNS_WEBHOOK_SECRET_FILE", places.webhook_secrets.to_string_lossy().into_owned()),
        ("REMIT_RELAY_PUBLIC_URL", public_url(places)),
        ("TEMPORAL_ADDRESS", temporal_address.to_owned()),
        ("TEMPORAL_NAMESPACE", NAMESPACE.to_owned()),
        ("REMIT_RECORDS_URL", places.records_url.clone()),
        ("REMIT_POLICY_PUBLISHERS", format!("{PUBLISHER}={}", publisher.public())),
        ("REMIT_PUBLISHER_KEY_FILE", publisher_file(folder).to_string_lossy().into_owned()),
        ("REMIT_POLL_FIRST", period(options.cadence.first)),
        ("REMIT_POLL_MAX", period(options.cadence.most)),
        ("REMIT_PROVIDER_CALLS_PER_SECOND", options.provider_calls_per_second.to_string()),
    ];
    all.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    write_env(&env_file(folder), &all)?;
    Ok(all)
}

fn publisher_file(folder: &Folder) -> PathBuf {
    folder.path().join("publisher.key.pem")
}

fn publishers(publisher: &PrivateKey) -> Publishers {
    Publishers { keys: [(PUBLISHER.to_owned(), publisher.public().to_string())].into(), quorum: 1, at_least: 0 }
}

/// The next revision, signed.
async fn publish(records: &Records, publisher: &PrivateKey, policy: &str, note: &str) -> Result<Revision> {
    Policy::read(policy).map_err(|errors| {
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow!("the policy cannot be used: {}", all.join("; "))
    })?;
    let newest = records.revisions().await?.pop();
    let (number, previous) = newest.map_or((1, None), |newest| (newest.number + 1, Some(newest.hash)));
    let revision = Revision::make(number, previous, policy, PUBLISHER, note);
    let new = NewRevision {
        number: revision.number,
        previous: revision.previous.as_deref(),
        hash: &revision.hash,
        content: &revision.content,
        author: &revision.author,
        note: &revision.note,
    };
    match records.add_revision(&new).await? {
        AddedRevision::Added | AddedRevision::Already => {}
        AddedRevision::Taken { .. } | AddedRevision::NotNext { .. } => {
            return Err(anyhow!("another revision was published at the same moment"));
        }
    }
    let signature = publisher.sign(revision.statement().text().as_bytes()).to_string();
    records.sign_revision(revision.number, PUBLISHER, &signature).await?;
    Ok(revision)
}

/// As settings are written.
fn period(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    }
}

fn env_file(folder: &Folder) -> PathBuf {
    folder.path().join("dev.env")
}

/// For those who look at runs, and decide nothing.
fn reading(codec: &Option<Codec>) -> Option<Codec> {
    codec.as_ref().map(Codec::reading_plain)
}

/// The dev server as it is: what the environment says of another Temporal, TLS and keys, is not for this one.
fn target(address: &str, role: &str, codec: Option<&Codec>) -> Result<Target> {
    let url: Url = format!("http://{address}").parse()?;
    let converter = codec.map(Codec::converter).unwrap_or_default();
    let connection = ConnectionOptions::new(url).identity(identity(role)).connect_timeout(CONNECT_TIMEOUT).build();
    Ok(Target { connection, namespace: NAMESPACE.to_owned(), converter })
}

/// The server listens a moment before it answers.
async fn connected(target: Target) -> Result<Client> {
    let deadline = Instant::now() + ANSWERS_WITHIN;
    loop {
        match Connection::connect(target.connection.clone()).await {
            Ok(connection) => {
                return Ok(Client::new(
                    connection,
                    ClientOptions::new(target.namespace).data_converter(target.converter).build(),
                )?);
            }
            Err(error) if Instant::now() > deadline => {
                return Err(error).context("the Temporal dev server does not answer");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn public_url(places: &Places) -> String {
    format!("http://{}/webhooks/dfns", places.relay)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

async fn free() -> Result<TcpListener> {
    sandbox::listen(loopback(0), "the system").await
}

/// Where it was before. Somebody's outgoing connection may have that port for a moment.
async fn again(address: SocketAddr, what: &str) -> Result<TcpListener> {
    let deadline = Instant::now() + ANSWERS_WITHIN;
    loop {
        match sandbox::listen(address, what).await {
            Ok(listener) => return Ok(listener),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn stop(part: Option<Part>) -> Result<()> {
    match part {
        Some(part) => part.stop().await,
        None => Ok(()),
    }
}
