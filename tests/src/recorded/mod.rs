//! Histories recorded from the running system: how to get to each, where they are kept, and why.

mod courses;
mod scenarios;

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use futures::future::LocalBoxFuture;
use remit::dev::Options;
use temporalio_common::protos::temporal::api::{enums::v1::EventType, history::v1::History};

use crate::World;

pub use scenarios::SCENARIOS;

/// A way to an end.
pub struct Scenario {
    /// The payout's business id, and the name of the file.
    pub name: &'static str,
    /// Why its history is kept, in one line.
    pub why: &'static str,
    /// The system it runs on.
    pub system: fn() -> Options,
    /// Takes the payout of this id through it to its end, and checks that it was that end.
    pub drive: for<'a> fn(&'a World, &'a str) -> LocalBoxFuture<'a, Result<()>>,
}

/// Drives a system of its own through the scenario.
///
/// # Errors
/// When it takes another course than the scenario says.
pub async fn record(scenario: &Scenario) -> Result<History> {
    let attempt = || format!("the scenario {} does not go as it says", scenario.name);
    let world = World::with((scenario.system)()).await.with_context(attempt)?;
    (scenario.drive)(&world, scenario.name).await.with_context(attempt)?;
    let events = world.history(scenario.name).await?;
    let is_over = events.last().is_some_and(|event| {
        [EventType::WorkflowExecutionCompleted, EventType::WorkflowExecutionFailed].contains(&event.event_type())
    });
    ensure!(is_over, "{} has not ended", scenario.name);
    world.end().await?;
    Ok(History { events })
}

/// Where the repository keeps them.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../workflows/histories")
}

/// The file of this name.
pub fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.binpb"))
}

const INDEX: &str = "README.md";
/// The list stands behind this, at the end of the index.
const LIST: &str = "| History | Kept because |\n|---|---|\n";

/// What the index says: name, and why it is kept.
///
/// # Errors
/// When the index cannot be read, or holds something else behind the head of its list.
pub fn index() -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(folder().join(INDEX)).context("the index of the histories")?;
    let (_, list) = text.split_once(LIST).context("the index of the histories has no list")?;
    list.lines()
        .map(|line| {
            let row = line.strip_prefix("| `").and_then(|rest| rest.strip_suffix(" |"));
            let (name, why) =
                row.and_then(|row| row.split_once("` | ")).with_context(|| format!("no row: {line:?}"))?;
            Ok((name.to_owned(), why.to_owned()))
        })
        .collect()
}

/// Writes the list of the index in this folder: those that have a file there, with what their scenarios say now.
///
/// # Errors
/// When the index cannot be read or written.
pub fn write_index(folder: &Path) -> Result<()> {
    let mut rows = index()?;
    rows.extend(SCENARIOS.iter().map(|scenario| (scenario.name.to_owned(), scenario.why.to_owned())));
    rows.retain(|name, _| file(folder, name).exists());
    let text = fs::read_to_string(self::folder().join(INDEX))?;
    let (prose, _) = text.split_once(LIST).context("the index of the histories has no list")?;
    let mut text = format!("{prose}{LIST}");
    for (name, why) in rows {
        writeln!(text, "| `{name}` | {why} |")?;
    }
    Ok(fs::write(folder.join(INDEX), text)?)
}
