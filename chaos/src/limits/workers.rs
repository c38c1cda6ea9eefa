//! Workers in processes of their own, killed without a goodbye at moments that the seed decides.

use std::{convert::Infallible, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{process::Command, time::sleep};

use crate::system::AS_REMIT;

/// How long a worker lives, in milliseconds: long enough to get some work done, short enough to be killed within it.
const LIVES: std::ops::RangeInclusive<u64> = 3_000..=15_000;

/// Runs one worker after the other, each until it is killed; `killed` is told how many were. Ends only by being
/// dropped, which kills the last one.
///
/// # Errors
/// When a worker does not start, or ends by itself.
pub(super) async fn kill_again_and_again(
    environment: &[(String, String)],
    seed: u64,
    killed: &std::cell::Cell<u64>,
) -> Result<Infallible> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let mut dice = StdRng::seed_from_u64(seed);
    loop {
        let mut worker = Command::new(&program)
            .args([AS_REMIT, "worker", "--admin", "127.0.0.1:0"])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        tokio::select! {
            status = worker.wait() => bail!("a worker ended by itself ({}); run it by hand to see why", status?),
            () = sleep(Duration::from_millis(dice.random_range(LIVES))) => {}
        }
        worker.kill().await.context("a worker cannot be killed")?;
        killed.set(killed.get() + 1);
    }
}
