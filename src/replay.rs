//! `remit replay`: recorded histories against this build, before a deploy.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use futures::StreamExt;
use remit_codec::Codec;
use remit_worker::{
    history,
    replay::{Cuts, Replayed, replay},
};
use serde::Serialize;
use temporalio_common::data_converters::DataConverter;

use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
};

/// Flags of `remit replay`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  temporal workflow show --workflow-id payout-invoice-1 --output json >invoice-1.json
  remit replay invoice-1.json
  remit replay --prefixes workflows/histories/*.binpb

A history comes from the CLI as above, from the download button of the Web UI (without decoding), or as protobuf bytes.
Encrypted ones are read with the keys of the settings (REMIT_CODEC_KEYS_FILE).
One that does not replay means that payouts open at that point would stand still on this build: keep the old build for
them (worker versioning), or put the change behind a patch marker.

Exit codes: 0 all replay · 1 one does not, or cannot be read.")]
pub struct Args {
    /// Histories, as JSON or protobuf
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Replay each also as it was after, and at the start of, each of its workflow tasks
    #[arg(long)]
    prefixes: bool,
    /// Print an array of what became of each file
    #[arg(long)]
    json: bool,
    /// How many seconds one replay may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

/// What became of a file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    file: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_tasks: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefixes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Replays the files, several at a time, and tells of each in the order in which they are named.
///
/// # Errors
/// When nothing can be printed.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let codec = settings.codec().map_err(Failure::usage)?;
    let converter = codec.as_ref().map(Codec::converter).unwrap_or_default();
    let converter = &converter;
    let cuts = if args.prefixes { Cuts::EveryTask } else { Cuts::Whole };
    let limit = Duration::from_secs(args.timeout);
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let replays = args.files.iter().map(|file| async move { row(file, one(file, converter, cuts, limit).await) });
    let mut replays = std::pin::pin!(futures::stream::iter(replays).buffered(at_once));
    let mut rows: Vec<Row> = vec![];
    while let Some(row) = replays.next().await {
        if !args.json {
            out::line(line(&row))?;
        }
        rows.push(row);
    }
    let good = rows.iter().filter(|row| row.ok).count();
    if args.json {
        out::json(&rows)?;
    } else {
        out::line(format_args!("{good} of {} replay on this build", rows.len()))?;
    }
    Ok(if good == rows.len() { Exit::Done } else { Exit::Failed })
}

async fn one(file: &Path, converter: &DataConverter, cuts: Cuts, limit: Duration) -> Result<Replayed> {
    let bytes = tokio::fs::read(file).await.context("it cannot be read")?;
    Ok(replay(&history::read(&bytes)?, converter, cuts, limit).await?)
}

fn row(file: &Path, result: Result<Replayed>) -> Row {
    let replayed = result.as_ref().ok();
    Row {
        file: file.display().to_string(),
        ok: replayed.is_some(),
        events: replayed.map(|replayed| replayed.events),
        workflow_tasks: replayed.map(|replayed| replayed.tasks),
        prefixes: replayed.map(|replayed| replayed.prefixes),
        error: result.as_ref().err().map(|error| format!("{error:#}")),
    }
}

fn line(row: &Row) -> String {
    let file = &row.file;
    if let Some(error) = &row.error {
        return format!("FAILED  {file}: {error}");
    }
    let counted = |count: Option<usize>, what: &str| match count {
        Some(1) => format!("1 {what}"),
        count => format!("{} {what}s", count.unwrap_or_default()),
    };
    let (events, tasks) = (counted(row.events, "event"), counted(row.workflow_tasks, "workflow task"));
    let prefixes =
        row.prefixes.filter(|count| *count > 0).map(|count| format!(", {}", counted(Some(count), "beginning")));
    format!("ok      {file}: {events}, {tasks}{}", prefixes.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_file_that_is_no_history_is_a_line_that_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.json");
        for (text, expected) in [
            (r#"{"events": []}"#, "0 events"),
            (
                r#"{"events": [{"eventId": "1", "eventType": "EVENT_TYPE_WORKFLOW_TASK_SCHEDULED"},
                               {"eventId": "2", "eventType": "EVENT_TYPE_WORKFLOW_TASK_STARTED"}]}"#,
                "does not begin with WorkflowExecutionStarted",
            ),
            ("{", "temporal workflow show"),
        ] {
            std::fs::write(&path, text).expect("written");
            let row = row(&path, one(&path, &DataConverter::default(), Cuts::Whole, PATIENCE).await);
            let line = line(&row);
            assert!(line.starts_with("FAILED  ") && line.contains("a.json") && line.contains(expected), "{line}");
        }
        let missing = folder.path().join("missing");
        assert!(
            line(&row(&missing, one(&missing, &DataConverter::default(), Cuts::Whole, PATIENCE).await))
                .contains("cannot be read")
        );
    }

    #[test]
    fn a_row_says_how_much_was_replayed() {
        let path = Path::new("a.binpb");
        let whole = Replayed { events: 51, tasks: 1, prefixes: 0 };
        assert_eq!(line(&row(path, Ok(whole))), "ok      a.binpb: 51 events, 1 workflow task");
        let cut = row(path, Ok(Replayed { prefixes: 9, tasks: 9, ..whole }));
        assert_eq!(line(&cut), "ok      a.binpb: 51 events, 9 workflow tasks, 9 beginnings");
        let json = serde_json::to_value(&cut).expect("JSON");
        let expected = json!({"file": "a.binpb", "ok": true, "events": 51, "workflowTasks": 9, "prefixes": 9});
        assert_eq!(json, expected);
    }
}
