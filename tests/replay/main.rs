//! Histories recorded from the running system, replayed against this build: payouts that are open while it is deployed
//! must be able to go on. Each is replayed whole, and as it was at each of its workflow tasks.

mod costs;

use std::{collections::BTreeSet, fs, path::PathBuf, sync::LazyLock, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use remit_tests::recorded;
use remit_worker::{
    history,
    replay::{Cuts, Replayed, replay},
};
use temporalio_common::data_converters::DataConverter;

/// For one replay, which takes milliseconds.
const LIMIT: Duration = Duration::from_secs(60);

static FILES: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
    let entries = fs::read_dir(recorded::folder()).expect("a readable folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "binpb"));
    files.sort();
    files
});

#[tokio::test(flavor = "multi_thread")]
async fn every_history_replays_whole_and_cut_at_every_workflow_task() -> Result<()> {
    ensure!(!FILES.is_empty(), "no history in {}", recorded::folder().display());
    let begun = std::time::Instant::now();
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let replays = FILES.iter().map(|file| async move {
        let history = history::read(&fs::read(file)?)?;
        anyhow::Ok(replay(&history, &DataConverter::default(), Cuts::EveryTask, LIMIT).await?)
    });
    let results: Vec<Result<Replayed>> = futures::stream::iter(replays).buffered(at_once).collect().await;
    let (mut events, mut prefixes, mut bad) = (0, 0, vec![]);
    for (file, result) in FILES.iter().zip(results) {
        match result {
            Ok(replayed) => {
                events += replayed.events;
                prefixes += replayed.prefixes;
            }
            Err(error) => bad.push(format!("{}: {error:#}", file.file_name().unwrap_or_default().display())),
        }
    }
    println!(
        "{} histories ({events} events) and {prefixes} of their beginnings replayed in {} ms",
        FILES.len(),
        begun.elapsed().as_millis()
    );
    ensure!(
        bad.is_empty(),
        "{} of {} histories do not replay. Payouts that are open now would stand still on this build: put the change \
         behind a patch marker (workflows/histories/README.md).\n{}",
        bad.len(),
        FILES.len(),
        bad.join("\n")
    );
    Ok(())
}

#[test]
fn the_index_names_every_history_and_every_history_is_of_a_scenario() -> Result<()> {
    let index: BTreeSet<String> = recorded::index()?.into_keys().collect();
    let names = FILES.iter().map(|file| {
        let name = file.file_stem().context("a name")?.to_str().context("not UTF-8")?;
        Ok(name.to_owned())
    });
    let files: BTreeSet<String> = names.collect::<Result<_>>()?;
    ensure!(files == index, "in workflows/histories, the index and the files differ: {:?}", &files ^ &index);
    let scenarios: BTreeSet<String> = recorded::SCENARIOS.iter().map(|scenario| scenario.name.to_owned()).collect();
    ensure!(scenarios.is_subset(&files), "not recorded yet, run `record-histories`: {:?}", &scenarios - &files);
    Ok(())
}
