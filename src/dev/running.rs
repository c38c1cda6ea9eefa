//! Where the system started by `remit dev` or `remit demo` is: written down for commands in other terminals.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use super::organisation::write_private;

/// A system that runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    /// The process.
    pub pid: u32,
    /// `dev` or `demo`.
    pub command: String,
    /// `host:port`.
    pub temporal_address: String,
    /// Temporal's namespace.
    pub namespace: String,
    /// The Web UI, if it is on.
    pub ui_url: Option<String>,
    /// The sandbox.
    pub sandbox_url: String,
    /// The environment file with all settings.
    pub env_file: PathBuf,
}

/// How long the system that is written down has to take a connection.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

impl Running {
    /// The running system, if there is one and its Temporal takes connections.
    pub async fn find() -> Option<Self> {
        Self::find_in(&place()?).await
    }

    /// Writes it down, in place of whichever was there.
    ///
    /// # Errors
    /// When the user has no folder for it, or it cannot be written.
    pub fn announce(&self) -> Result<()> {
        let file = place().context("no folder to write down where the system is: set HOME or XDG_RUNTIME_DIR")?;
        self.write(&file)
    }

    /// Takes it back, unless another one has been written down since.
    pub fn retract(&self) {
        if let Some(file) = place() {
            self.remove(&file);
        }
    }

    async fn find_in(file: &Path) -> Option<Self> {
        let running = read(file)?;
        let connect = TcpStream::connect(running.temporal_address.as_str());
        tokio::time::timeout(ANSWERS_WITHIN, connect).await.ok()?.ok()?;
        Some(running)
    }

    fn write(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        write_private(file, &serde_json::to_string_pretty(self)?)
    }

    fn remove(&self, file: &Path) {
        if read(file).is_some_and(|written| written.pid == self.pid) {
            // What stays is noticed by whoever tries to connect.
            let _ = std::fs::remove_file(file);
        }
    }
}

fn read(file: &Path) -> Option<Running> {
    serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()
}

fn place() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let folder = folder("XDG_RUNTIME_DIR")
        .filter(|folder| folder.is_dir())
        .or_else(|| folder("XDG_CACHE_HOME"))
        .or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    Some(folder.join("remit/dev.json"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn running(pid: u32, address: &str) -> Running {
        Running {
            pid,
            command: "dev".into(),
            temporal_address: address.into(),
            namespace: "default".into(),
            ui_url: None,
            sandbox_url: "http://127.0.0.1:1".into(),
            env_file: "dev.env".into(),
        }
    }

    #[tokio::test]
    async fn a_system_is_found_while_its_temporal_listens_and_not_after() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("remit/dev.json");
        assert_eq!(Running::find_in(&file).await, None);
        // An address of its own: on 127.0.0.1 somebody else may take the port the moment it is free.
        let listener = TcpListener::bind("127.0.0.93:0").expect("a free port");
        let ours = running(1, &listener.local_addr().expect("an address").to_string());
        ours.write(&file).expect("written");
        assert_eq!(Running::find_in(&file).await, Some(ours));
        drop(listener);
        // A program that another test starts in this moment holds the port too, until it runs.
        let gone = async {
            while Running::find_in(&file).await.is_some() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.expect("nobody listens any more");
        std::fs::write(&file, "{").expect("written");
        assert_eq!(Running::find_in(&file).await, None);
    }

    #[test]
    fn a_system_takes_back_only_what_it_wrote_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("dev.json");
        let (first, second) = (running(1, "a"), running(2, "b"));
        first.write(&file).expect("written");
        second.write(&file).expect("written");
        first.remove(&file);
        assert!(file.exists(), "the second one's place is still known");
        second.remove(&file);
        assert!(!file.exists());
    }
}
