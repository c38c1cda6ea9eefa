//! The official Temporal dev server as a child process: for `remit dev`, `remit demo` and the tests.

mod install;

pub use install::cli;

use anyhow::{Context, Result, anyhow, bail};
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Time skipping on and precise, and the queue throttle lifted: without the last two a shard reads its queues
/// 20 times a second at most, so that after a burst every task starts 40 ms late. An old build is seen to be without
/// payouts in seconds, as against minutes.
const DYNAMIC_CONFIG: [&str; 6] = [
    "frontend.WorkflowTimeSkippingEnabled=true",
    "history.timerProcessorMaxTimeShift=\"10ms\"",
    "history.transferProcessorMaxPollRPS=10000",
    "history.timerProcessorMaxPollRPS=10000",
    "matching.wv.VersionDrainageStatusVisibilityGracePeriod=\"2s\"",
    "matching.wv.VersionDrainageStatusRefreshInterval=\"2s\"",
];

/// A running dev server, on loopback only. Dropping it kills it; [`DevServer::stop`] lets it end well.
/// It does not outlive this process, even when this process is killed.
#[derive(Debug)]
pub struct DevServer {
    child: Child,
    keeper: Child,
    pid: u32,
    address: String,
    ui_url: Option<String>,
}

/// How to start a [`DevServer`]. The default is in memory, on free ports, without the Web UI.
#[derive(Clone, Debug)]
pub struct DevServerOptions {
    /// gRPC port; `None` takes a free one.
    pub port: Option<u16>,
    /// The Web UI and its port.
    pub ui: WebUi,
    /// SQLite file that keeps the state between runs, its folder created when missing; `None` keeps it in memory.
    /// Survives a kill of the server, not a crash of the machine: writes are not flushed one by one, which makes it 5 times faster.
    pub db_file: Option<PathBuf>,
    /// Created at start, beside `default`, which is always there.
    pub namespace: String,
    /// Name and type (`Keyword`, `Text`, `Int`, `Bool`, `Datetime`, …), registered in every namespace.
    pub search_attributes: Vec<(String, String)>,
    /// Where the server's own output goes, appended; `None` keeps it only to explain a failed start.
    pub log_file: Option<PathBuf>,
    /// Further arguments for `temporal server start-dev`.
    pub extra: Vec<String>,
}

/// Whether a [`DevServer`] serves Temporal's Web UI, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebUi {
    /// No Web UI.
    Off,
    /// On a free port.
    AnyPort,
    /// On this port.
    Port(u16),
}

impl Default for DevServerOptions {
    fn default() -> Self {
        Self {
            port: None,
            ui: WebUi::Off,
            db_file: None,
            namespace: "default".into(),
            search_attributes: vec![],
            log_file: None,
            extra: vec![],
        }
    }
}

impl DevServer {
    /// Starts `cli` (see [`cli()`]) and returns when it takes connections, 30 s at most.
    ///
    /// # Errors
    ///
    /// A port asked for that is taken; a server that ends or is not up in time (with its last output).
    pub async fn start(cli: &Path, options: DevServerOptions) -> Result<Self> {
        // Somebody may take a free port between our look and the server's: other ports then, unless they were asked for.
        let mut attempt = 1;
        loop {
            let ports = Ports::choose(&options)?;
            match Self::start_on(cli, &options, ports).await {
                Ok(server) => return Ok(server),
                Err(error) if attempt == 3 || options.port.is_some() => return Err(error),
                Err(error) => tracing::warn!("the Temporal dev server did not start, trying again: {error:#}"),
            }
            attempt += 1;
        }
    }

    async fn start_on(cli: &Path, options: &DevServerOptions, ports: Ports) -> Result<Self> {
        let log = open_log(options.log_file.as_deref(), ports.grpc)?;
        let mut command = Command::new(cli);
        command
            .args(["server", "start-dev", "--ip", "127.0.0.1", "--port"])
            .arg(ports.grpc.to_string())
            .args(["--namespace", &options.namespace])
            .args(DYNAMIC_CONFIG.iter().flat_map(|value| ["--dynamic-config-value", value]));
        match ports.ui {
            Some(port) => command.args(["--ui-disable-news-fetch", "--ui-port", &port.to_string()]),
            None => command.arg("--headless"),
        };
        if let Some(file) = &options.db_file {
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
            }
            command.arg("--db-filename").arg(file);
            command.args(["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=OFF"]);
        }
        for (name, kind) in &options.search_attributes {
            command.args(["--search-attribute", &format!("{name}={kind}")]);
        }
        // The CLI takes settings of its own from these, which are meant for us as a client.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TEMPORAL_")) {
            command.env_remove(name);
        }
        let child = command
            .args(&options.extra)
            // A group of its own: Ctrl-C in a terminal reaches us, and we stop the server when its users have stopped.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot share the server's log file")?)
            .stderr(log.try_clone().context("cannot share the server's log file")?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", cli.display()))?;
        let pid = child.id().context("the Temporal dev server ended at once")?;
        let mut server = Self {
            child,
            keeper: keeper(pid)?,
            pid,
            address: at(ports.grpc).to_string(),
            ui_url: ports.ui.map(|port| format!("http://{}", at(port))),
        };
        server.ready(ports).await.map_err(|error| match last_words(log) {
            words if words.is_empty() => error,
            words => anyhow!("{error:#}; its last output:\n{words}"),
        })?;
        Ok(server)
    }

    async fn ready(&mut self, ports: Ports) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        for port in [Some(ports.grpc), ports.ui].into_iter().flatten() {
            loop {
                let connected = TcpStream::connect(at(port)).await;
                // In this order: with the server gone, whoever answered on the port was not it.
                if let Some(status) = self.child.try_wait().context("cannot ask after the Temporal dev server")? {
                    bail!("the Temporal dev server ended while it started ({status})");
                }
                match connected {
                    Ok(_) => break,
                    Err(error) if Instant::now() > deadline => {
                        return Err(anyhow!(
                            "the Temporal dev server did not listen on {} within {} s: {error}",
                            at(port),
                            READY_WITHIN.as_secs()
                        ));
                    }
                    Err(_) => sleep(Duration::from_millis(25)).await,
                }
            }
        }
        Ok(())
    }

    /// Host and port of gRPC, such as `127.0.0.1:7233`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Address of the Web UI, such as `http://127.0.0.1:8233`, when it is on.
    pub fn ui_url(&self) -> Option<&str> {
        self.ui_url.as_deref()
    }

    /// Process id of the server.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns when the server has ended by itself, which it should not. Safe to drop and to call again.
    ///
    /// # Errors
    ///
    /// When the operating system cannot say.
    pub async fn exited(&mut self) -> Result<ExitStatus> {
        self.child.wait().await.context("cannot wait for the Temporal dev server")
    }

    /// Asks the server to end, and kills it after 5 s.
    ///
    /// # Errors
    ///
    /// When it can be neither asked nor killed.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(signals) = self.keeper.stdin.as_mut() {
            // Fails only when the keeper is gone; then the kill below does it.
            let _ = signals.write_all(b"TERM\n").await;
        }
        if timeout(STOP_WITHIN, self.child.wait()).await.is_err() {
            self.child.kill().await.context("cannot kill the Temporal dev server")?;
        }
        // Before its input ends: the process id is free now, and must not be signalled again.
        self.keeper.kill().await.context("cannot end the process that watches over the Temporal dev server")
    }
}

/// A shell that signals the server: what we write to it, and KILL when its input ends, which the kernel sees to however
/// this process dies. Safe Rust has no way to send a signal.
fn keeper(pid: u32) -> Result<Child> {
    Command::new("sh")
        .args(["-c", r#"while read -r signal; do kill -s "$signal" -- "-$0"; done; kill -s KILL -- "-$0""#])
        .arg(pid.to_string())
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start sh, which watches over the Temporal dev server")
}

#[derive(Clone, Copy)]
struct Ports {
    grpc: u16,
    ui: Option<u16>,
}

impl Ports {
    /// A port that was asked for must be free: the server would end, and the other one on that port answer in its name.
    fn choose(options: &DevServerOptions) -> Result<Self> {
        let grpc = hold(options.port, "the Temporal server")?;
        let ui = match options.ui {
            WebUi::Off => None,
            WebUi::AnyPort => Some(hold(None, "Temporal's Web UI")?),
            WebUi::Port(port) => Some(hold(Some(port), "Temporal's Web UI")?),
        };
        // Both are held until here, so that they differ.
        let port = |listener: &TcpListener| listener.local_addr().context("a port has no address").map(|a| a.port());
        Ok(Self { grpc: port(&grpc)?, ui: ui.as_ref().map(port).transpose()? })
    }
}

fn hold(port: Option<u16>, whose: &str) -> Result<TcpListener> {
    TcpListener::bind(at(port.unwrap_or(0))).with_context(|| match port {
        Some(port) => format!(
            "port {port} on 127.0.0.1, asked for {whose}, cannot be used: stop what listens there, or choose another port"
        ),
        None => format!("no free port on 127.0.0.1 for {whose}"),
    })
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn open_log(file: Option<&Path>, port: u16) -> Result<File> {
    let mut open = OpenOptions::new();
    open.read(true).append(true);
    if let Some(file) = file {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        return open.create(true).open(file).with_context(|| format!("cannot open {}", file.display()));
    }
    // Without a name, so that nothing is left behind.
    let file = std::env::temp_dir().join(format!("remit-temporal-{}-{port}.log", std::process::id()));
    let log = open.create_new(true).open(&file).with_context(|| format!("cannot create {}", file.display()))?;
    fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    Ok(log)
}

/// The end of the log, for an error message; empty where it cannot be read.
fn last_words(mut log: File) -> String {
    const AT_MOST: u64 = 2000;
    let mut words = Vec::new();
    let read = log.metadata().and_then(|meta| {
        log.seek(SeekFrom::Start(meta.len().saturating_sub(AT_MOST)))?;
        log.take(AT_MOST).read_to_end(&mut words)
    });
    read.map(|_| String::from_utf8_lossy(&words).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
