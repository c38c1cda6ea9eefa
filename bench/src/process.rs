//! Processes that are measured, and what the operating system says of them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, timeout},
};

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
/// What the log says of a worker that is over its bound of memory.
const BEGINS_ANEW: &str = "begins anew";

/// A process of ours. Killed when dropped.
pub struct Process {
    child: Child,
    pid: u32,
    name: String,
    log: PathBuf,
}

/// A worker or relay with its admin port.
pub struct Role {
    /// The process.
    pub process: Process,
    /// `host:port` of health and metrics.
    pub admin: String,
}

impl Process {
    /// Starts a program; what it writes to stderr goes to the log, what it prints can be read.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let file = fs::File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true)
            // A group of its own: Ctrl-C reaches us, and we end what we have started.
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        let pid = child.id().with_context(|| format!("{name} ended at once"))?;
        Ok(Self { child, pid, name: name.to_owned(), log: log.to_owned() })
    }

    /// Returns once it has printed this line.
    pub async fn says(&mut self, line: &str) -> Result<()> {
        let stdout = self.child.stdout.take().with_context(|| format!("{} was listened to before", self.name))?;
        let mut lines = BufReader::new(stdout).lines();
        let said = async {
            while let Some(said) = lines.next_line().await? {
                if said.trim() == line {
                    return Ok(true);
                }
            }
            Ok::<_, std::io::Error>(false)
        };
        let said = timeout(READY_WITHIN, said).await;
        if let Ok(Ok(true)) = said {
            // Read on: a full pipe would stop it.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(());
        }
        let words = fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = words.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!("{} did not say {line:?} within {READY_WITHIN:?}; its last words: {}", self.name, last.join(" | "))
    }

    /// What the operating system says of it now.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid)
            .with_context(|| format!("{} is gone; its last words are in {}", self.name, self.log.display()))
    }

    /// Asks it to end, as SIGTERM does, and waits for it.
    pub async fn stop(mut self) -> Result<()> {
        // `kill` rather than a call of the system, which would be unsafe code.
        let asked = Command::new("kill").args(["-TERM", &self.pid.to_string()]).status().await?;
        ensure!(asked.success(), "{} had ended before it was asked to", self.name);
        let ended = timeout(STOPPED_WITHIN, self.child.wait()).await;
        ended.with_context(|| format!("{} did not end within {STOPPED_WITHIN:?} after SIGTERM", self.name))??;
        Ok(())
    }
}

impl Role {
    /// Starts `remit worker` or `remit relay`, the program beside this one, and returns once it is ready.
    pub async fn start(
        role: &str,
        more: &[&str],
        environment: impl IntoIterator<Item = (String, String)>,
        log: &Path,
    ) -> Result<Self> {
        // Free now; whoever takes it in between makes the start fail, and nothing else.
        let admin = free_address()?;
        let mut command = Command::new(remit()?);
        command.args([role, "--admin", &admin, "--log", "json"]).args(more).envs(environment);
        let process = Process::start(&format!("the {role}"), &mut command, log)?;
        let mut role = Self { process, admin };
        role.ready().await?;
        Ok(role)
    }

    /// How often this role, when it is a relay, answered a webhook in this way, by its own count.
    pub async fn counted(&self, result: &str) -> Result<usize> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let metrics =
            http.get(format!("http://{}/metrics", self.admin)).send().await?.error_for_status()?.text().await?;
        let of_result = format!("result=\"{result}\"");
        let lines =
            metrics.lines().filter(|line| line.starts_with("remit_relay_webhooks_total{") && line.contains(&of_result));
        lines.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<usize>()?)).sum()
    }

    /// How often this role, when it is a worker, began anew above its bound of memory, by its own log. What it held at
    /// most is then told since the last time only.
    pub fn began_anew(&self) -> Result<usize> {
        Ok(fs::read_to_string(&self.process.log)?.matches(BEGINS_ANEW).count())
    }

    async fn ready(&mut self) -> Result<()> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.process.child.try_wait()? {
                let words = fs::read_to_string(&self.process.log).unwrap_or_default();
                bail!("{} ended while it started ({status}): {}", self.process.name, words.trim());
            }
            let answer = http.get(format!("http://{}/readyz", self.admin)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("{} was not ready within {READY_WITHIN:?}", self.process.name)
    }
}

/// An address on loopback that is free now.
pub fn free_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// The program that was built with this one.
pub fn remit() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("remit");
    ensure!(
        program.exists(),
        "{} is missing; build both with `cargo build --release --workspace --locked`",
        program.display()
    );
    Ok(program)
}

/// Memory, processor time and open files of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory.
    pub resident_kib: u64,
    /// The most it ever was.
    pub peak_kib: u64,
    /// Time on processors so far, user and system.
    pub cpu: Duration,
    /// Open file descriptors.
    pub files: usize,
}

/// `USER_HZ`, which is 100 on every architecture that Rust runs on with Linux.
const TICKS_PER_SECOND: u64 = 100;

impl Usage {
    /// Of the process with this number.
    pub fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
        let files = fs::read_dir(format!("/proc/{pid}/fd")).context("the process is gone")?.count();
        Self::parse(&status, &stat, files).context("/proc reads in another way")
    }

    /// Resident memory in MiB.
    pub fn resident_mib(&self) -> f64 {
        self.resident_kib as f64 / 1024.0
    }

    /// The most it ever was, in MiB.
    pub fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }

    fn parse(status: &str, stat: &str, files: usize) -> Option<Self> {
        let kib = |name: &str| -> Option<u64> {
            let value = status.lines().find_map(|line| line.strip_prefix(name))?;
            value.trim().strip_suffix(" kB")?.trim().parse().ok()
        };
        // The name in brackets may hold spaces. After it, user and system time are the 12th and the 13th.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(Self {
            resident_kib: kib("VmRSS:")?,
            peak_kib: kib("VmHWM:")?,
            cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND),
            files,
        })
    }
}

/// The Temporal dev server that this process has started.
pub fn temporal_server() -> Result<u32> {
    let ours = std::process::id().to_string();
    let processes = fs::read_dir("/proc")?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter()
        .find(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            is_temporal_of(&stat, &ours)
        })
        .context("the Temporal dev server is no child of this process")
}

fn is_temporal_of(stat: &str, parent: &str) -> bool {
    let Some((head, rest)) = stat.rsplit_once(") ") else { return false };
    head.ends_with("(temporal") && rest.split(' ').nth(1) == Some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a (b) c) S 7 42 42 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 3 0 1 2 3";

    #[test]
    fn memory_and_time_are_read_as_linux_writes_them() {
        let status = "Name:\tremit\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n";
        let usage = Usage::parse(status, STAT, 9).expect("readable");
        let expected = Usage { resident_kib: 102_400, peak_kib: 204_800, cpu: Duration::from_secs(3), files: 9 };
        assert_eq!(usage, expected);
        assert_eq!(Usage::parse("", STAT, 9), None);
    }

    #[test]
    fn this_process_has_some_of_each() {
        let usage = Usage::of(std::process::id()).expect("we are here");
        assert!(usage.resident_kib > 0 && usage.peak_kib >= usage.resident_kib && usage.files > 0, "{usage:?}");
    }

    #[test]
    fn the_server_is_known_by_its_name_and_its_parent() {
        assert!(is_temporal_of("9 (temporal) S 7 9 9", "7"));
        assert!(!is_temporal_of("9 (temporal) S 8 9 9", "7"));
        assert!(!is_temporal_of("9 (sh) S 7 9 9", "7"));
    }

    #[tokio::test]
    async fn a_process_that_ends_without_its_word_is_told_with_its_last_words() {
        let log = std::env::temp_dir().join(format!("bench-process-{}.log", std::process::id()));
        let mut command = Command::new("sh");
        let mut process =
            Process::start("the shell", command.args(["-c", "echo prepare me first >&2"]), &log).expect("started");
        let error = process.says("ready").await.expect_err("it said nothing").to_string();
        assert!(error.contains("the shell") && error.contains("prepare me first"), "{error}");
        fs::remove_file(log).expect("removed");
    }
}
