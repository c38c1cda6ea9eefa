//! Finds the Temporal CLI, or builds the pinned one with Go, once, and keeps it in the user's cache folder.

use anyhow::{Context, Result, anyhow, ensure};
use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::{self, File, TryLockError},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::{Instant, interval, sleep, timeout},
};

/// The versions that `tools/temporal/go.mod` pins; a test holds the two together.
const CLI_VERSION: &str = "1.8.2";
const SERVER_VERSION: &str = "1.32.1";
/// Older servers cannot skip time, and page no oversized workflow tasks.
const OLDEST_SERVER: &[u32] = &[1, 32];
const OLDEST_GO: &str = "1.26.8";

// Inside the program, so that an installed `remit` needs no checkout.
const GO_MOD: &str = include_str!("../../tools/temporal/go.mod");
const GO_SUM: &str = include_str!("../../tools/temporal/go.sum");

/// Longest wait for another process that builds the CLI.
const WAIT_FOR_OTHER_BUILD: Duration = Duration::from_secs(30 * 60);

/// The path of a Temporal CLI whose dev server is 1.32 or newer.
///
/// Looks at `explicit`, and if that is `None` at `temporal` on `PATH`, then at the one built before; at last it builds one,
/// which takes minutes and needs Go and a Go module proxy. `progress` is given one line of text at a time.
///
/// # Errors
///
/// An `explicit` CLI that does not run or is too old; no usable CLI and no Go (the message says what to install); a build that failed.
pub async fn cli(explicit: Option<&Path>, progress: impl Fn(&str)) -> Result<PathBuf> {
    Places::of_this_user().find(explicit, &progress).await
}

/// Where to look; tests give their own.
struct Places {
    path: OsString,
    cache: Option<PathBuf>,
}

impl Places {
    fn of_this_user() -> Self {
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute())
            .or_else(|| Some(std::env::home_dir()?.join(".cache")));
        Self { path: std::env::var_os("PATH").unwrap_or_default(), cache }
    }

    async fn find(&self, explicit: Option<&Path>, progress: &impl Fn(&str)) -> Result<PathBuf> {
        if let Some(exe) = explicit {
            usable(exe).await?;
            return Ok(exe.to_owned());
        }
        if let Some(exe) = self.on_path("temporal") {
            match usable(&exe).await {
                Ok(()) => return Ok(exe),
                Err(reason) => progress(&format!("not using the Temporal CLI on PATH: {reason:#}")),
            }
        }
        let folder = self
            .cache
            .as_ref()
            .context("no folder to keep the Temporal CLI in: set HOME or XDG_CACHE_HOME to an absolute path")?
            .join(format!("remit/temporal-{CLI_VERSION}-{SERVER_VERSION}"));
        let kept = folder.join("temporal");
        if usable(&kept).await.is_ok() {
            return Ok(kept);
        }
        let go = self.on_path("go").ok_or_else(|| {
            anyhow!(
                "no Temporal CLI with Server {oldest} or newer was found, and no Go to build one: \
                 install Go {OLDEST_GO} or newer (https://go.dev/dl/), or the CLI (https://docs.temporal.io/cli)",
                oldest = dotted(OLDEST_SERVER),
            )
        })?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let _lock = lock(&folder.join("lock"), progress).await?;
        if usable(&kept).await.is_err() {
            build(&go, &folder, &kept, progress).await?;
        }
        Ok(kept)
    }

    fn on_path(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path)
            .map(|folder| folder.join(program))
            .find(|file| fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0))
    }
}

/// Runs `exe --version` and reads its server version.
async fn usable(exe: &Path) -> Result<()> {
    let shown = exe.display();
    let said = output(exe, ["--version".as_ref()]).await.with_context(|| format!("{shown} does not run"))?;
    let server = server_version(&said)
        .ok_or_else(|| anyhow!("`{shown} --version` says {:?}, expected \"… (Server 1.32.1, …)\"", said.trim()))?;
    ensure!(
        server.as_slice() >= OLDEST_SERVER,
        "{shown} holds Temporal Server {}, {} or newer is needed",
        dotted(&server),
        dotted(OLDEST_SERVER)
    );
    Ok(())
}

/// `temporal version 1.8.2 (Server 1.32.1, UI 2.54.1)` → 1.32.1
fn server_version(said: &str) -> Option<Vec<u32>> {
    numbers(said.split_once("(Server ")?.1)
}

/// The leading dotted numbers: `1.33.0-153.1` → 1.33.0. Compared as slices, 1.32 is older than 1.32.0.
fn numbers(text: &str) -> Option<Vec<u32>> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let parts: Result<Vec<u32>, _> = text[..end].trim_end_matches('.').split('.').map(str::parse).collect();
    parts.ok().filter(|parts| parts.len() > 1)
}

fn dotted(version: &[u32]) -> String {
    version.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

/// Held until dropped, or until this process ends.
async fn lock(file: &Path, progress: &impl Fn(&str)) -> Result<File> {
    let shown = file.display();
    let handle = File::create(file).with_context(|| format!("cannot create {shown}"))?;
    let started = Instant::now();
    let mut said = 0;
    loop {
        match handle.try_lock() {
            Ok(()) => return Ok(handle),
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock {shown}")),
            Err(TryLockError::WouldBlock) => {}
        }
        let waited = started.elapsed();
        ensure!(
            waited < WAIT_FOR_OTHER_BUILD,
            "another process has held {shown} for {} minutes",
            waited.as_secs() / 60
        );
        if waited.as_secs() >= said {
            progress(&format!("waiting for another process that builds the Temporal CLI: {} s", waited.as_secs()));
            said += 10;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Builds in a folder beside `target` and renames, so that nobody ever sees half a file. The caller holds the lock.
async fn build(go: &Path, folder: &Path, target: &Path, progress: &impl Fn(&str)) -> Result<()> {
    let proxy = go_settings(go).await?;
    let work = folder.join("build");
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    }
    fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;
    fs::write(work.join("go.mod"), GO_MOD).context("cannot write go.mod")?;
    fs::write(work.join("go.sum"), GO_SUM).context("cannot write go.sum")?;

    progress(&format!(
        "building the Temporal CLI {CLI_VERSION} (Server {SERVER_VERSION}) with Go, once; this takes a few minutes"
    ));
    let mut child = Command::new(go)
        .args(["build", "-v", "-mod=readonly", "-o", "temporal", "-ldflags"])
        .arg(format!("-s -w -X github.com/temporalio/cli/internal/temporalcli.Version={CLI_VERSION}"))
        .arg("github.com/temporalio/cli/cmd/temporal")
        .current_dir(&work)
        .envs([("GOTOOLCHAIN", "local"), ("GOFLAGS", "-mod=readonly"), ("GOWORK", "off"), ("CGO_ENABLED", "0")])
        .env("GOPROXY", &proxy)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", go.display()))?;
    let stderr = child.stderr.take().context("go has no stderr")?;

    let mut lines = BufReader::new(stderr).lines();
    let mut last: VecDeque<String> = VecDeque::new();
    let (started, mut downloads, mut packages) = (Instant::now(), 0, 0);
    let mut tick = interval(Duration::from_secs(10));
    tick.tick().await;
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Some(line) = line.context("cannot read what go says")? else { break };
                if line.starts_with("go: downloading") { downloads += 1 } else { packages += 1 }
                last.push_back(line);
                if last.len() > 12 { last.pop_front(); }
            }
            _ = tick.tick() => progress(&format!(
                "building the Temporal CLI: {} s, {downloads} modules downloaded, {packages} packages compiled",
                started.elapsed().as_secs(),
            )),
        }
    }
    let status = child.wait().await.context("cannot wait for go")?;
    ensure!(
        status.success(),
        "go could not build the Temporal CLI ({status}). Its last words:\n{}\nModules come from GOPROXY={proxy}.",
        last.make_contiguous().join("\n"),
    );
    let built = work.join("temporal");
    usable(&built).await.context("the Temporal CLI just built is not usable")?;
    fs::rename(&built, target).with_context(|| format!("cannot move the Temporal CLI to {}", target.display()))?;
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    progress(&format!("built the Temporal CLI in {} s: {}", started.elapsed().as_secs(), target.display()));
    Ok(())
}

/// Checks Go's version and gives the module proxy to use: the user's, or the public one alone,
/// because `,direct` would try git for minutes where only the proxy can be reached.
async fn go_settings(go: &Path) -> Result<String> {
    let said = output(go, ["env", "GOVERSION", "GOPROXY"].map(OsStr::new))
        .await
        .with_context(|| format!("{} does not run", go.display()))?;
    let mut lines = said.lines();
    let version = lines.next().unwrap_or_default();
    let found = version.split_once("go").and_then(|(_, rest)| numbers(rest));
    ensure!(
        found.is_some_and(|found| Some(found) >= numbers(OLDEST_GO)),
        "the Temporal CLI needs Go {OLDEST_GO} or newer to be built, {} is {version:?}: see https://go.dev/dl/",
        go.display(),
    );
    Ok(match lines.next().unwrap_or_default() {
        "" | "https://proxy.golang.org,direct" => "https://proxy.golang.org".to_owned(),
        chosen => chosen.to_owned(),
    })
}

async fn output<'a>(exe: &Path, args: impl IntoIterator<Item = &'a OsStr>) -> Result<String> {
    let run = Command::new(exe).args(args).env("GOTOOLCHAIN", "local").stdin(Stdio::null()).kill_on_drop(true).output();
    let done = timeout(Duration::from_secs(60), run).await.context("no answer within 60 s")??;
    ensure!(done.status.success(), "{}: {}", done.status, String::from_utf8_lossy(&done.stderr).trim());
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

#[cfg(test)]
mod tests;
