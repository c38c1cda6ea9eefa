//! The commands that the documents show, as a shell runs them.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use remit_client::Status;

use crate::harness::{Process, World};

/// Commands of these roles stay up; other tests run them.
const ROLES: [&str; 6] = ["dev", "demo", "worker", "relay", "sandbox", "replay"];

/// The lines that begin with `remit ` in the shell blocks of a page.
fn commands(page: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page)).expect("a page");
    let mut shell = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            shell = line == "```sh";
        } else if shell && line.starts_with("remit ") && !ROLES.contains(&line.split(' ').nth(1).unwrap_or_default()) {
            found.push(line.to_owned());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_in_the_documents_is_understood_and_answered() -> Result<()> {
    let world = World::new().await?;
    // The payouts that the documents speak of. The first waits and is called off; the second is paid.
    world.start("invoice-1", "1000000099").await?;
    world.status_when("invoice-1", "the wait", |status: &Status| status.waits_for.is_some()).await?;
    world.start("invoice-2026-0001", "1000000000").await?;
    world.outcome("invoice-2026-0001").await?;
    let mut all = Vec::new();
    for page in ["README.md", "docs/operations.md"] {
        let found = commands(page);
        ensure!(found.len() >= 4, "{page} has lost its commands: {found:?}");
        all.extend(found);
    }
    let path = Process::program()?.parent().context("a folder")?.display().to_string();
    let path = format!("{path}:{}", std::env::var("PATH")?);
    // Watching ends with the payout: the order that ends it comes before, another attempt after.
    all.sort_by_key(|command| (command.contains(" retry "), command.contains(" watch ")));
    for command in all {
        let environment = world.system.environment().to_vec();
        let (path, line) = (path.clone(), command.clone());
        let run = move || Command::new("sh").args(["-c", &line]).envs(environment).env("PATH", path).output();
        let output = tokio::task::spawn_blocking(run).await??;
        let (code, said) = (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned());
        // Refused is an answer as well: nothing is in doubt here.
        ensure!(matches!(code, Some(0 | 3)), "{command}: {code:?}: {said}");
    }
    world.end().await
}
