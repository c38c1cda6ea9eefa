//! The system in processes of its own, each watched over as systemd would: what dies is started again.

use std::{
    fs::{File, OpenOptions},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use remit::{
    dev::{APPROVER, Organisation, PAYER, Wallet},
    temporal_server::{self, DevServer, DevServerOptions, WebUi},
};
use remit_dfns::{Action, ActivityKind, ApprovalGroup, Approvers, CreateWebhook, PolicyBody, Rule};
use remit_keys::PrivateKey;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
    time::{Instant, sleep},
};

use crate::{
    disk::Disk,
    people::PUBLISHER,
    script::{Plan, Wallets},
};

/// The hidden sub-command under which this program is `remit`.
pub const AS_REMIT: &str = "as-remit";
/// The hidden sub-command under which it starts payouts.
pub const STARTER: &str = "starter";
/// Temporal's namespace that is always there.
pub(crate) const NAMESPACE: &str = "default";

/// As a service manager waits.
const RESTART_AFTER: Duration = Duration::from_millis(200);
const UP_WITHIN: Duration = Duration::from_secs(60);
/// How much is shown of the log of a process that ended by itself.
const TAIL: u64 = 1_500;
const REQUESTS_A_MINUTE: u32 = 10_000_000;

/// What a process is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Runs payouts.
    Worker,
    /// Takes webhooks.
    Relay,
    /// Temporal.
    Server,
    /// Starts payouts.
    Starter,
    /// The outside world; never killed.
    Sandbox,
}

impl Role {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Relay => "relay",
            Self::Server => "server",
            Self::Starter => "starter",
            Self::Sandbox => "sandbox",
        }
    }
}

/// The running system.
pub(crate) struct System {
    /// Where everything is kept.
    pub(crate) folder: PathBuf,
    pub(crate) disk: Disk,
    pub(crate) organisation: Organisation,
    pub(crate) sandbox_url: String,
    /// Of the relay, as it is subscribed.
    pub(crate) webhook_url: String,
    pub(crate) webhook_secret: String,
    /// For `remit worker`, `remit relay` and every command.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) temporal_address: String,
    pub(crate) units: Vec<Unit>,
    pub(crate) ended: Arc<Ended>,
    program: Vec<String>,
    watch: Watch,
    progress: fn(&str),
}

/// Processes that ended by themselves, which none should: name, status, and the end of the log.
#[derive(Default)]
pub(crate) struct Ended(Mutex<Vec<(String, String, String)>>);

impl Ended {
    fn add(&self, name: &str, status: &str, tail: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), status.to_owned(), tail));
    }

    pub(crate) fn all(&self) -> Vec<(String, String, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One process that is watched over.
pub(crate) struct Unit {
    pub(crate) role: Role,
    pub(crate) name: String,
    pub(crate) pid: Arc<AtomicU32>,
    orders: mpsc::Sender<Order>,
}

enum Order {
    /// SIGKILL; answered once it is dead.
    Kill(oneshot::Sender<bool>),
    /// SIGSTOP, and SIGCONT after this long; answered once it stands.
    Stall(Duration, oneshot::Sender<bool>),
    /// The end; answered once it is dead.
    End(oneshot::Sender<bool>),
}

impl Unit {
    /// Kills it without a goodbye. False when there was nothing to kill just then.
    pub(crate) async fn kill(&self) -> bool {
        self.order(Order::Kill).await
    }

    /// Makes it stand still for so long.
    pub(crate) async fn stall(&self, time: Duration) -> bool {
        self.order(|answer| Order::Stall(time, answer)).await
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<bool>) -> Order) -> bool {
        let (answer, answered) = oneshot::channel();
        self.orders.send(order(answer)).await.is_ok() && answered.await.unwrap_or(false)
    }
}

/// Signals the processes of this run, and kills all of them when this process is gone, however it went. Safe Rust has
/// no way to send a signal.
struct Hangman(AsyncMutex<ChildStdin>);

const HANGMAN: &str = r#"all=""
while read -r what pid; do
  case "$what" in
    BORN) all="$all $pid" ;;
    GONE) rest=""; for one in $all; do [ "$one" = "$pid" ] || rest="$rest $one"; done; all="$rest" ;;
    *) kill -s "$what" "$pid" ;;
  esac
done
for one in $all; do kill -s KILL "$one"; done"#;

impl Hangman {
    fn new() -> Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", HANGMAN])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh, which signals the processes of the run")?;
        let input = shell.stdin.take().context("sh takes no input")?;
        // It ends with its input, and has to outlive everything else here.
        tokio::spawn(async move { shell.wait().await });
        Ok(Self(AsyncMutex::new(input)))
    }

    async fn says(&self, what: &str, pid: u32) {
        // Fails only when it is gone; kills do not depend on it.
        let _ = self.0.lock().await.write_all(format!("{what} {pid}\n").as_bytes()).await;
    }
}

/// A process, started.
enum Running {
    Plain(Child),
    Server(DevServer),
}

impl Running {
    fn pid(&self) -> u32 {
        match self {
            Self::Plain(child) => child.id().unwrap_or_default(),
            Self::Server(server) => server.pid(),
        }
    }

    async fn wait(&mut self) -> Result<ExitStatus> {
        match self {
            Self::Plain(child) => Ok(child.wait().await?),
            Self::Server(server) => server.exited().await,
        }
    }

    async fn kill(self, hangman: &Hangman) -> Result<()> {
        match self {
            Self::Plain(mut child) => Ok(child.kill().await?),
            // It is started on the same port again, which is free a moment later.
            Self::Server(mut server) => {
                let address = server.address().to_owned();
                hangman.says("KILL", server.pid()).await;
                server.exited().await?;
                drop(server);
                let deadline = Instant::now() + Duration::from_secs(10);
                while TcpListener::bind(&address).is_err() && Instant::now() < deadline {
                    sleep(Duration::from_millis(20)).await;
                }
                Ok(())
            }
        }
    }
}

/// How to start a process.
#[derive(Clone)]
enum Recipe {
    Plain { line: Vec<String>, environment: Vec<(String, String)> },
    Server { cli: PathBuf, options: Box<DevServerOptions> },
}

impl Recipe {
    async fn start(&self, log: &Path) -> Result<Running> {
        match self {
            Self::Plain { line, environment } => {
                let (program, args) = line.split_first().context("an empty command line")?;
                let log = open_log(log)?;
                let child = Command::new(program)
                    .args(args)
                    .envs(environment.iter().map(|(name, value)| (name, value)))
                    // A group of its own: Ctrl-C in a terminal reaches us, and we end the others.
                    .process_group(0)
                    .stdin(Stdio::null())
                    .stdout(log.try_clone()?)
                    .stderr(log)
                    .kill_on_drop(true)
                    .spawn()
                    .with_context(|| format!("cannot start {program}"))?;
                Ok(Running::Plain(child))
            }
            Self::Server { cli, options } => Ok(Running::Server(DevServer::start(cli, (**options).clone()).await?)),
        }
    }
}

fn open_log(file: &Path) -> Result<File> {
    OpenOptions::new().create(true).append(true).open(file).with_context(|| format!("cannot open {}", file.display()))
}

/// Starts again what dies, until the end. A process that ends by itself with 0 stays ended where that is its job.
async fn watch_over(
    recipe: Recipe,
    (role, name): (Role, String),
    log: PathBuf,
    pid: Arc<AtomicU32>,
    mut orders: mpsc::Receiver<Order>,
    (ended, hangman): (Arc<Ended>, Arc<Hangman>),
) {
    loop {
        let mut running = match recipe.start(&log).await {
            Ok(running) => running,
            Err(error) => {
                ended.add(&name, "did not start", format!("{error:#}"));
                sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let id = running.pid();
        hangman.says("BORN", id).await;
        pid.store(id, Ordering::Relaxed);
        let mut wake: Option<Instant> = None;
        loop {
            let woken = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                status = running.wait() => {
                    pid.store(0, Ordering::Relaxed);
                    hangman.says("GONE", id).await;
                    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    if role == Role::Starter && status.ends_with(": 0") {
                        // Its work is done.
                        while let Some(order) = orders.recv().await {
                            match order {
                                Order::Kill(answer) | Order::Stall(_, answer) => drop(answer.send(false)),
                                Order::End(answer) => {
                                    let _ = answer.send(true);
                                    return;
                                }
                            }
                        }
                        return;
                    }
                    ended.add(&name, &status, tail(&log));
                    break;
                }
                () = woken => {
                    hangman.says("CONT", id).await;
                    wake = None;
                }
                order = orders.recv() => match order {
                    Some(Order::Stall(time, answer)) => {
                        hangman.says("STOP", id).await;
                        wake = Some(Instant::now() + time);
                        let _ = answer.send(true);
                    }
                    Some(Order::Kill(answer)) => {
                        pid.store(0, Ordering::Relaxed);
                        let killed = running.kill(&hangman).await.is_ok();
                        hangman.says("GONE", id).await;
                        let _ = answer.send(killed);
                        break;
                    }
                    Some(Order::End(answer)) => {
                        let killed = running.kill(&hangman).await.is_ok();
                        hangman.says("GONE", id).await;
                        let _ = answer.send(killed);
                        return;
                    }
                    None => {
                        let _ = running.kill(&hangman).await;
                        hangman.says("GONE", id).await;
                        return;
                    }
                },
            }
        }
        sleep(RESTART_AFTER).await;
    }
}

/// The end of a log.
fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let from = text.len().saturating_sub(usize::try_from(TAIL).unwrap_or_default());
    String::from_utf8_lossy(text.get(from..).unwrap_or_default()).trim().to_owned()
}

impl System {
    /// Starts everything but the starters; returns when it is up. The wallets are what payouts go out from.
    ///
    /// # Errors
    /// When a part does not start.
    pub(crate) async fn start(
        folder: &Path,
        seed: u64,
        program: Option<&Path>,
        progress: fn(&str),
    ) -> Result<(Self, Wallets)> {
        let here = std::env::current_exe().context("this program cannot be found")?;
        let own = vec![here.to_string_lossy().into_owned(), AS_REMIT.to_owned()];
        let program = program.map_or_else(|| own.clone(), |file| vec![file.to_string_lossy().into_owned()]);
        std::fs::create_dir_all(folder.join("logs")).with_context(|| format!("cannot make {}", folder.display()))?;
        let cli = temporal_server::cli(None, progress).await?;
        let watch = Watch { ended: Arc::new(Ended::default()), hangman: Arc::new(Hangman::new()?) };
        let ports = free_ports(4)?;
        let [temporal, sandbox, relay, relay_admin] = ports[..] else { bail!("no free ports") };
        let log = |name: &str| folder.join("logs").join(format!("{name}.log"));

        let mut line = own;
        line.extend(["sandbox", "--seed", &seed.to_string(), "--listen", &sandbox.to_string()].map(str::to_owned));
        let outside = watch.unit(Role::Sandbox, "sandbox", Recipe::Plain { line, environment: vec![] }, log("sandbox"));
        let organisation = organisation(&format!("http://{sandbox}"), seed).await?;
        let wallets = wallets(&organisation).await?;

        let webhook_url = format!("http://{relay}/webhooks/dfns");
        let subscription = CreateWebhook {
            url: webhook_url.clone(),
            events: remit_relay::KINDS.to_vec(),
            status: None,
            description: Some("chaos".to_owned()),
        };
        let subscription = organisation.dfns(PAYER)?.create_webhook(&subscription).await?;
        let webhook_secret = subscription.secret.expose_secret().to_owned();

        let attributes = remit_workflows::search::ALL.map(|name| (name.to_owned(), "Keyword".to_owned()));
        let options = DevServerOptions {
            port: Some(temporal.port()),
            ui: WebUi::Off,
            db_file: Some(folder.join("temporal.db")),
            namespace: NAMESPACE.to_owned(),
            search_attributes: attributes.to_vec(),
            log_file: Some(log("server")),
            extra: vec![],
        };
        let recipe = Recipe::Server { cli, options: Box::new(options) };
        let server = watch.unit(Role::Server, "server", recipe, log("server"));
        up(&temporal.to_string(), &watch.ended).await.context("Temporal is not up")?;

        let mut system = Self {
            folder: folder.to_owned(),
            disk: Disk::under(folder)?,
            environment: vec![],
            organisation,
            sandbox_url: format!("http://{sandbox}"),
            webhook_url,
            webhook_secret,
            temporal_address: temporal.to_string(),
            units: vec![outside, server],
            ended: watch.ended.clone(),
            program,
            watch,
            progress,
        };
        system.environment = system.environment()?;
        let relay = ["relay", "--listen", &relay.to_string(), "--admin", &relay_admin.to_string()].map(str::to_owned);
        system.begin(Role::Relay, "relay", &relay);
        for name in ["worker-1", "worker-2"] {
            system.begin(Role::Worker, name, &["worker", "--admin", "127.0.0.1:0"].map(str::to_owned));
        }
        Ok((system, wallets))
    }

    fn environment(&self) -> Result<Vec<(String, String)>> {
        let secrets = self.folder.join("webhook.secrets");
        std::fs::write(&secrets, format!("{}\n", self.webhook_secret))?;
        std::fs::set_permissions(&secrets, std::fs::Permissions::from_mode(0o600))?;
        let publisher = PrivateKey::read_or_make(&self.folder.join("publisher.key.pem"))?;
        let mut all = self.organisation.environment(&self.folder.join("payer.key.pem"))?;
        let ours = [
            ("DFNS_WEBHOOK_SECRET_FILE", secrets.to_string_lossy().into_owned()),
            ("REMIT_RELAY_PUBLIC_URL", self.webhook_url.clone()),
            ("TEMPORAL_ADDRESS", self.temporal_address.clone()),
            ("TEMPORAL_NAMESPACE", NAMESPACE.to_owned()),
            ("REMIT_RECORDS_URL", format!("sqlite://{}", self.records_file().display())),
            ("REMIT_POLICY_PUBLISHERS", format!("{PUBLISHER}={}", publisher.public())),
            ("REMIT_PUBLISHER_KEY_FILE", self.folder.join("publisher.key.pem").to_string_lossy().into_owned()),
            // Sooner than in production, where nobody waits for the end of a run.
            ("REMIT_POLL_FIRST", "1s".to_owned()),
            ("REMIT_POLL_MAX", "5s".to_owned()),
            ("REMIT_PROVIDER_CALLS_PER_SECOND", "2000".to_owned()),
        ];
        all.extend(ours.map(|(name, value)| (name.to_owned(), value)));
        Ok(all)
    }

    /// The database of the records.
    pub(crate) fn records_file(&self) -> PathBuf {
        self.disk.file("records.db")
    }

    fn begin(&mut self, role: Role, name: &str, args: &[String]) {
        let mut line = self.program.clone();
        line.extend_from_slice(args);
        let recipe = Recipe::Plain { line, environment: self.environment.clone() };
        let log = self.folder.join("logs").join(format!("{name}.log"));
        let unit = self.watch.unit(role, name, recipe, log);
        self.units.push(unit);
    }

    /// A process of this program that starts payouts.
    ///
    /// # Errors
    /// When this program cannot be found.
    pub(crate) fn begin_starter(&mut self, name: &str, plan: &Path, log: &Path) -> Result<()> {
        let here = std::env::current_exe().context("this program cannot be found")?;
        let mut line = vec![here.to_string_lossy().into_owned(), STARTER.to_owned(), name.to_owned()];
        line.extend([plan, log].map(|file| file.to_string_lossy().into_owned()));
        let recipe = Recipe::Plain { line, environment: self.environment.clone() };
        let log = self.folder.join("logs").join(format!("{name}.log"));
        self.units.push(self.watch.unit(Role::Starter, name, recipe, log));
        Ok(())
    }

    /// Publishes a policy as a person would, by the program.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn publish(&self, plan: &Plan, revision: u32) -> Result<()> {
        let file = self.folder.join(format!("policy-{revision}.toml"));
        std::fs::write(&file, plan.policy(revision)?)?;
        let note = format!("revision {revision}");
        let file = file.to_string_lossy();
        self.command(&["policy", "publish", "--author", PUBLISHER, "--note", &note, &file]).await
    }

    /// Does what a person does with the program.
    ///
    /// # Errors
    /// When it does not exit with 0.
    pub(crate) async fn command(&self, line: &[&str]) -> Result<()> {
        let (program, args) = self.program.split_first().context("no program")?;
        let output = Command::new(program)
            .args(args)
            .args(line)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .await?;
        if !output.status.success() {
            bail!("{} {}: {}", line[0], line[1], String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Those of a role.
    pub(crate) fn of(&self, role: Role) -> impl Iterator<Item = &Unit> {
        self.units.iter().filter(move |unit| unit.role == role)
    }

    /// Kills all, those that use others first.
    pub(crate) async fn end(&self) {
        for role in [Role::Starter, Role::Relay, Role::Worker, Role::Server, Role::Sandbox] {
            for unit in self.of(role) {
                unit.order(Order::End).await;
            }
        }
        if let Err(error) = self.disk.keep(&self.folder) {
            (self.progress)(&format!("the records cannot be kept: {error:#}"));
        }
    }
}

/// Sees to every process of a run.
struct Watch {
    ended: Arc<Ended>,
    hangman: Arc<Hangman>,
}

impl Watch {
    fn unit(&self, role: Role, name: &str, recipe: Recipe, log: PathBuf) -> Unit {
        let (orders, taken) = mpsc::channel(8);
        let pid = Arc::new(AtomicU32::new(0));
        let who = (role, name.to_owned());
        let watch = (self.ended.clone(), self.hangman.clone());
        tokio::spawn(watch_over(recipe, who, log, pid.clone(), taken, watch));
        Unit { role, name: name.to_owned(), pid, orders }
    }
}

/// Addresses on loopback, each another, free just now.
fn free_ports(count: usize) -> Result<Vec<SocketAddr>> {
    let held: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>().context("no free port")?;
    Ok(held.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?)
}

/// Waits until somebody listens there.
async fn up(address: &str, ended: &Ended) -> Result<()> {
    let deadline = Instant::now() + UP_WITHIN;
    while tokio::net::TcpStream::connect(address).await.is_err() {
        if Instant::now() > deadline {
            bail!("nobody listens on {address} within {UP_WITHIN:?}: {:?}", ended.all());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// An organisation in the sandbox, once that is up.
async fn organisation(sandbox: &str, seed: u64) -> Result<Organisation> {
    // Slower than the sandbox is by itself, so that something goes wrong in each state.
    let options = json!({"name": "chaos", "seed": seed, "rateLimitPerMinute": REQUESTS_A_MINUTE,
                         "clockOffsetMs": Plan::clock_offset_ms(seed),
                         "delays": {"instructions": 1_000, "submission": 500, "broadcast": 700,
                                    "chainConfirmation": 1_500, "deposit": 1_000, "disbursement": 3_000}});
    let deadline = Instant::now() + UP_WITHIN;
    loop {
        match Organisation::create(sandbox, &options).await {
            Ok(organisation) => return Ok(organisation),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The wallets, and the policies at the provider over two of them: one holds every transfer for a person, one blocks.
async fn wallets(organisation: &Organisation) -> Result<Wallets> {
    let token = |network: &str| -> Result<Value> {
        let token = organisation.token(network)?;
        Ok(match token.contract {
            Some(contract) => json!({"kind": token.kind, "contract": contract}),
            None => json!({"kind": token.kind, "mint": token.mint}),
        })
    };
    let held = organisation.add_wallet("Polygon", "held").await?;
    let shut = organisation.add_wallet("Polygon", "shut").await?;
    let people = ApprovalGroup {
        name: Some("treasury".to_owned()),
        quorum: 1,
        approvers: Approvers { user_id: None },
        initiator_can_approve: None,
        service_accounts_can_approve: None,
    };
    let approver = organisation.dfns(APPROVER)?;
    for (wallet, name, action) in
        [(&held, "held", Action::request_approval(vec![people], None)), (&shut, "shut", Action::block())]
    {
        let body = PolicyBody {
            name: name.to_owned(),
            activity_kind: ActivityKind::WalletsSign,
            rule: Rule::always(),
            action,
            filters: Some(json!({"walletId": {"in": [wallet.id]}})),
        };
        approver.create_policy(&body).await.context("the provider refuses a policy")?;
    }
    let of = |wallet: &Wallet, network: &str| Ok::<_, anyhow::Error>((wallet.id.clone(), token(network)?));
    let by_name = [
        ("polygon", of(organisation.wallet("Polygon")?, "Polygon")?),
        ("solana", of(organisation.wallet("Solana")?, "Solana")?),
        ("held", of(&held, "Polygon")?),
        ("shut", of(&shut, "Polygon")?),
    ];
    Ok(Wallets { by_name: by_name.into() })
}
