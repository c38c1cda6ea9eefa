//! Records histories from the running system, for `tests/replay`: see `workflows/histories/README.md`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use remit_tests::recorded::{self, SCENARIOS, Scenario};
use remit_worker::{
    history,
    replay::{Cuts, replay},
};
use temporalio_common::data_converters::DataConverter;

const USAGE: &str = "usage: record-histories [--into FOLDER] [--again] [NAME…]
  Records the scenarios of these names, else all, that have no file yet; with --again also those that have one.";

/// Systems at a time: they mostly wait.
const AT_ONCE: usize = 3;
/// For one replay.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("record-histories: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let (mut folder, mut again, mut names) = (recorded::folder(), false, BTreeSet::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--into" => folder = PathBuf::from(arguments.next().context(USAGE)?),
            "--again" => again = true,
            "-h" | "--help" => {
                println!("{USAGE}");
                return Ok(());
            }
            name if SCENARIOS.iter().any(|scenario| scenario.name == name) => {
                names.insert(argument);
            }
            other => bail!("there is no scenario {other:?}\n{USAGE}"),
        }
    }
    fs::create_dir_all(&folder)?;
    let wanted = SCENARIOS.iter().filter(|scenario| names.is_empty() || names.contains(scenario.name));
    let missing = wanted.filter(|scenario| again || !recorded::file(&folder, scenario.name).exists());
    let mut recordings =
        futures::stream::iter(missing.map(|scenario| one(scenario, &folder))).buffer_unordered(AT_ONCE);
    let mut failed = 0;
    while let Some(recording) = recordings.next().await {
        match recording {
            Ok(line) => println!("{line}"),
            Err(error) => {
                failed += 1;
                eprintln!("FAILED  {error:#}");
            }
        }
    }
    recorded::write_index(&folder)?;
    if failed > 0 {
        bail!("{failed} could not be recorded");
    }
    Ok(())
}

/// Records one and writes it, unless it does not even replay on the build it was recorded from.
async fn one(scenario: &Scenario, folder: &Path) -> Result<String> {
    let name = scenario.name;
    let history = recorded::record(scenario).await?;
    let replayed = replay(&history, &DataConverter::default(), Cuts::EveryTask, LIMIT)
        .await
        .with_context(|| format!("{name} does not replay"))?;
    fs::write(recorded::file(folder, name), history::write(&history))?;
    Ok(format!("recorded {name}: {} events, {} workflow tasks", replayed.events, replayed.tasks))
}
