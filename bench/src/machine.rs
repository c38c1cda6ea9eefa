//! What it was measured on, so that figures can be told apart.

use std::{fmt, fs, process::Command};

use serde::Serialize;

/// The machine and the versions. What cannot be found out is said to be unknown.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    cpu: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    /// How busy it was as the run began: figures of a busy machine are worth little.
    load: String,
    rustc: String,
    build: &'static str,
    temporal_sdk: String,
    temporal_server: String,
    commit: String,
}

/// The versions that this program was built with.
const LOCK: &str = include_str!("../../Cargo.lock");

impl Machine {
    /// This one, now.
    pub fn here() -> Self {
        let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
        };
        let memory = field(&file("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
        Self {
            cpu: field(&file("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kib / (1024 * 1024),
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: file("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
            rustc: said("rustc", &["--version"]),
            build: if cfg!(debug_assertions) { "debug, so no figure counts" } else { "release" },
            temporal_sdk: locked("temporalio-sdk").unwrap_or_else(unknown),
            temporal_server: "not used".to_owned(),
            commit: said("git", &["describe", "--always", "--dirty"]),
        }
    }

    /// The same, with the server that was found.
    ///
    /// # Errors
    /// When there is no Temporal CLI and none can be built.
    pub async fn with_server() -> anyhow::Result<Self> {
        let cli = remit::temporal_server::cli(None, |line| crate::figures::tell(format_args!("{line}"))).await?;
        Ok(Self { temporal_server: said(&cli.to_string_lossy(), &["--version"]), ..Self::here() })
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// The first line of what a program says.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    let line = output.and_then(|output| String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned));
    line.unwrap_or_else(unknown)
}

fn locked(package: &str) -> Option<String> {
    let (_, rest) = LOCK.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next().map(str::to_owned)
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory_gib, kernel, load, rustc, build, temporal_sdk, temporal_server, commit } = self;
        writeln!(f, "{cpu}, {cores} cores, {memory_gib} GiB, Linux {kernel}, load {load} at the start")?;
        write!(f, "{build} build of {commit}, {rustc}, Temporal SDK {temporal_sdk}, server: {temporal_server}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_says_what_it_is() {
        let machine = Machine::here();
        assert!(machine.cores > 0 && machine.memory_gib > 0 && !machine.kernel.is_empty(), "{machine:?}");
        assert_ne!(machine.temporal_sdk, "unknown");
    }
}
