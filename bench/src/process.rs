//! The worker as a process of its own, and what the operating system says of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    process::{Child, Command},
    time::Instant,
};

const READY_WITHIN: Duration = Duration::from_secs(60);

/// A worker process. Killed when dropped.
pub struct Worker {
    child: Child,
    pid: u32,
    admin: String,
}

impl Worker {
    /// Starts `remit worker`, the program beside this one, and returns once it is ready.
    pub async fn start(environment: Vec<(String, String)>, log: &Path) -> Result<Self> {
        // Free now; whoever takes it in between makes the start fail, and nothing else.
        let admin = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let program = program()?;
        let log = fs::File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = Command::new(&program)
            .args(["worker", "--admin", &admin, "--log", "json"])
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let pid = child.id().context("the worker ended at once")?;
        let mut worker = Self { child, pid, admin };
        worker.ready().await?;
        Ok(worker)
    }

    async fn ready(&mut self) -> Result<()> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!("the worker ended while it started ({status})");
            }
            let answer = http.get(format!("http://{}/readyz", self.admin)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the worker was not ready within {READY_WITHIN:?}")
    }

    /// What the operating system says of it now.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid)
    }
}

/// Memory and processor time of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory.
    pub resident_mib: u64,
    /// The most it ever was.
    pub peak_mib: u64,
    /// Time on processors so far, user and system.
    pub cpu: Duration,
}

/// `USER_HZ`, which is 100 on every architecture that Rust runs on with Linux.
const TICKS_PER_SECOND: u64 = 100;

impl Usage {
    /// Of the process with this number.
    pub fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
        Self::parse(&status, &stat).context("/proc reads in another way")
    }

    fn parse(status: &str, stat: &str) -> Option<Self> {
        let mib = |name: &str| -> Option<u64> {
            let value = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? / 1024)
        };
        // The name in brackets may hold spaces. After it, user and system time are the 12th and the 13th.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(Self {
            resident_mib: mib("VmRSS:")?,
            peak_mib: mib("VmHWM:")?,
            cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND),
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

/// The program that was built with this one.
fn program() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("remit");
    if !program.exists() {
        bail!("{} is missing; build it with `cargo build --release --workspace`", program.display());
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a (b) c) S 7 42 42 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 3 0 1 2 3";

    #[test]
    fn memory_and_time_are_read_as_linux_writes_them() {
        let status = "Name:\tremit\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n";
        let usage = Usage::parse(status, STAT).expect("readable");
        assert_eq!(usage, Usage { resident_mib: 100, peak_mib: 200, cpu: Duration::from_secs(3) });
        assert_eq!(Usage::parse("", STAT), None);
    }

    #[test]
    fn this_process_has_some_of_both() {
        let usage = Usage::of(std::process::id()).expect("we are here");
        assert!(usage.resident_mib > 0 && usage.peak_mib >= usage.resident_mib, "{usage:?}");
    }

    #[test]
    fn the_server_is_known_by_its_name_and_its_parent() {
        assert!(is_temporal_of("9 (temporal) S 7 9 9", "7"));
        assert!(!is_temporal_of("9 (temporal) S 8 9 9", "7"));
        assert!(!is_temporal_of("9 (sh) S 7 9 9", "7"));
    }
}
