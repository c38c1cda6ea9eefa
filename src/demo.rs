//! `remit demo`: the whole system, and a set of payouts that between them show every way one can go.

mod cases;

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use futures::future::join_all;
use remit_activities::PollCadence;
use remit_client::Signer;
use remit_domain::{Ending, Outcome as PayoutOutcome, PayoutRequest};
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::cases::{Case, Script};
use crate::{
    dev::{self, Options, System},
    exit::{Exit, Failure, Outcome, stop_on_signal},
    out,
    payout::Story,
    table::Look,
    temporal_server::WebUi,
};

/// Flags of `remit demo`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit demo                  runs the payouts, shows how they ended, and stays up to look around until Ctrl-C
  remit demo --exit           ends by itself: 0 when every payout ended as it should, else 1
  remit demo --exit --json    the same as JSON, for programs

Everything is real but the other side: Temporal's server, the worker, the relay, signed webhooks, SQLite. The other
side is the sandbox, a fake Dfns. The payout that waits 24 hours has its time moved; nothing else is hurried.")]
pub struct Args {
    /// End when all payouts have ended
    #[arg(long)]
    exit: bool,
    /// How they ended, as JSON
    #[arg(long)]
    json: bool,
    /// The Temporal CLI to use [default: `temporal` on PATH, else one that is built once with Go]
    #[arg(long, value_name = "FILE")]
    temporal_cli: Option<std::path::PathBuf>,
}

/// Webhooks nudge; where one is lost, a demonstration need not wait for half a minute.
const FIRST_POLL: Duration = Duration::from_secs(1);
/// All payouts but the one whose time is moved end within this, on a slow machine too.
const WITHIN: Duration = Duration::from_secs(120);
/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// How one payout ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    shows: &'static str,
    ending: Option<Ending>,
    expected: Ending,
    why: String,
    quoted: Option<String>,
    transaction_hash: Option<String>,
    /// By the workflow's own clock, which may have been moved.
    seconds: Option<u64>,
    link: Option<String>,
}

impl Row {
    fn is_as_expected(&self) -> bool {
        self.ending == Some(self.expected)
    }
}

/// Runs the demonstration.
///
/// # Errors
/// When the system does not start; with `--exit`, when a payout did not end as it should.
pub async fn run(args: Args) -> Outcome {
    let stop = stop_on_signal()?;
    let (ana, policy) = cases::policy_with_a_person()?;
    let options = Options {
        policy,
        temporal_cli: args.temporal_cli.clone(),
        ui: WebUi::AnyPort,
        cadence: PollCadence { first: FIRST_POLL, ..PollCadence::default() },
        ..Options::default()
    };
    out::note("starting Temporal with its Web UI, the sandbox, the records, the relay and the worker");
    let starting = System::start(options);
    let mut system = tokio::select! {
        system = starting => system?,
        () = stop.cancelled() => return Ok(Exit::Failed),
    };
    let running = dev::announce(&system, "demo")?;
    let shown = show(&mut system, &ana, &args, &stop).await;
    running.retract();
    out::note("stopping");
    let stopped = system.stop().await;
    let exit = shown?;
    stopped?;
    Ok(exit)
}

async fn show(system: &mut System, ana: &Signer, args: &Args, stop: &CancellationToken) -> Outcome {
    let rows = tokio::select! {
        rows = play(system, ana) => rows?,
        () = stop.cancelled() => return Ok(Exit::Failed),
    };
    if args.json {
        out::json(&rows)?;
    } else {
        out::line(format_args!("\n{}", table(&rows, Look::of_stdout())))?;
        out::line(where_to_look(system, &rows))?;
    }
    let wrong: Vec<String> = rows.iter().filter(|row| !row.is_as_expected()).map(complaint).collect();
    if !args.exit {
        out::note("\nEverything stays up. Ctrl-C stops it.");
        tokio::select! {
            error = system.broken() => return Err(Failure { exit: Exit::Failed, error }),
            () = stop.cancelled() => {}
        }
    }
    if wrong.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failure::new(Exit::Failed, format!("not every payout ended as it should:\n  {}", wrong.join("\n  "))))
}

/// Starts all payouts, follows them to their ends, and moves the time of the one that waits for a day.
async fn play(system: &System, ana: &Signer) -> Result<Vec<Row>> {
    let mut requests = Vec::new();
    for case in Case::ALL {
        requests.push((case, cases::prepare(case, system.organisation()).await?));
    }
    let started: BTreeMap<&str, (String, String)> = {
        let starts = requests.iter().map(|(case, request)| async move {
            let started = system.client().start(request).await.with_context(|| format!("cannot start {}", case.id))?;
            say(case.id, &format!("started: {}", case.shows));
            anyhow::Ok((case.id, (started.workflow_id, started.run_id)))
        });
        join_all(starts).await.into_iter().collect::<Result<_>>()?
    };
    let (moved, live): (Vec<_>, Vec<_>) = requests.iter().partition(|(case, _)| case.script == Script::TimeMoves);
    let follows = live.iter().map(|(case, request)| async move { (case.id, follow(system, ana, case, request).await) });
    let voter = cases::approve(system);
    let mut ends: BTreeMap<&str, Result<PayoutOutcome>> = BTreeMap::new();
    tokio::select! {
        all = join_all(follows) => ends.extend(all),
        error = voter => return Err(error),
    }
    for (case, request) in moved {
        ends.insert(case.id, move_time(system, ana, case, request).await);
    }

    let mut rows = Vec::new();
    for (case, request) in &requests {
        let end = ends.remove(case.id).unwrap_or_else(|| bail!("was not followed"));
        let link = started.get(case.id).and_then(|(workflow_id, run_id)| {
            remit_client::ui_link(system.ui_url()?, system.client().namespace(), workflow_id, run_id)
        });
        rows.push(row(system, case, request, end, link).await);
    }
    Ok(rows)
}

/// Tells what happens to a payout until it ends.
async fn follow(system: &System, ana: &Signer, case: &Case, request: &PayoutRequest) -> Result<PayoutOutcome> {
    let id = request.external_id.as_str();
    let telling = async {
        let mut story = Story::default();
        let mut ordered = false;
        loop {
            if let Ok(status) = system.client().status(id).await {
                story.news(&status).iter().for_each(|line| say(case.id, line));
                // Not answered is not ordered: asked again at the next look.
                if !ordered && let Ok(Some(answer)) = cases::operate(system, ana, case, &status).await {
                    say(case.id, &format!("ordered by a person: {}", answer.says));
                    ordered = true;
                }
                if let Some(outcome) = status.outcome {
                    return outcome;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let end = tokio::time::timeout(WITHIN, telling).await;
    end.with_context(|| format!("did not end within {} s", WITHIN.as_secs()))
}

/// Moves the payout's time, with the organisation's and the records', past the day it may wait.
async fn move_time(system: &System, ana: &Signer, case: &Case, request: &PayoutRequest) -> Result<PayoutOutcome> {
    say(case.id, "its time is moved by 25 hours");
    let workflow_id = request.key().workflow_id();
    system.advance(&[&workflow_id], cases::MOVED).await?;
    follow(system, ana, case, request).await
}

async fn row(
    system: &System,
    case: &Case,
    request: &PayoutRequest,
    end: Result<PayoutOutcome>,
    link: Option<String>,
) -> Row {
    let described = system.client().describe(request.external_id.as_str()).await.ok();
    let took = described.and_then(|described| took(described.run.started?, described.run.closed?));
    let mut row = Row {
        id: case.id.to_owned(),
        shows: case.shows,
        ending: None,
        expected: case.expected,
        why: String::new(),
        quoted: None,
        transaction_hash: None,
        seconds: took.map(|took| took.as_secs()),
        link,
    };
    match end {
        Ok(outcome) => {
            row.ending = Some(outcome.ending);
            row.why = outcome.reason;
            row.quoted = outcome.quoted.map(|offer| offer.receives.to_string());
            row.transaction_hash = outcome.transaction_hash;
        }
        Err(error) => row.why = format!("{error:#}"),
    }
    row
}

fn took(started: SystemTime, closed: SystemTime) -> Option<Duration> {
    closed.duration_since(started).ok()
}

fn say(id: &str, what: &str) {
    if std::io::stderr().is_terminal() {
        out::note(format_args!("\u{1b}[2m{id:22}\u{1b}[0m {what}"));
    } else {
        out::note(format_args!("{id:22} {what}"));
    }
}

fn table(rows: &[Row], look: Look) -> String {
    let header = ["payout", "what it shows", "ending", "why", "bank gets (quoted)", "on-chain hash", "took"];
    let lines = rows.iter().map(|row| {
        let mark = if row.is_as_expected() { "" } else { " (!)" };
        vec![
            row.id.clone(),
            row.shows.to_owned(),
            format!("{}{mark}", row.ending.map_or("none", |ending| ending.stage().as_str())),
            row.why.clone(),
            row.quoted.clone().unwrap_or_default(),
            row.transaction_hash.as_deref().map(|hash| shortened(hash, look)).unwrap_or_default(),
            row.seconds.map(human).unwrap_or_default(),
        ]
    });
    look.table(&header, &lines.collect::<Vec<_>>())
}

/// A hash is recognised by its ends; where programs read, it stays whole.
fn shortened(hash: &str, look: Look) -> String {
    match (look, hash.get(..8), hash.get(hash.len().saturating_sub(6)..)) {
        (Look::Terminal(_), Some(begins), Some(ends)) if hash.len() > 20 => format!("{begins}…{ends}"),
        _ => hash.to_owned(),
    }
}

fn human(seconds: u64) -> String {
    match (seconds / 3600, seconds % 3600 / 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (hours, minutes) => format!("{hours} h {minutes} min (moved)"),
    }
}

fn where_to_look(system: &System, rows: &[Row]) -> String {
    let mut lines = vec!["Runs in Temporal's Web UI:".to_owned()];
    lines.extend(rows.iter().filter_map(|row| Some(format!("  {:22} {}", row.id, row.link.as_ref()?))));
    if let Some(row) = rows.first() {
        lines.extend([
            "In another terminal:".to_owned(),
            "  remit payout list".to_owned(),
            format!("  remit payout show {}", row.id),
            format!("  . {} && remit doctor", dev::shell_quoted(&system.env_file().to_string_lossy())),
            format!("  curl {}/metrics", system.worker_admin_url()),
        ]);
    }
    lines.join("\n")
}

fn complaint(row: &Row) -> String {
    let json = json!({"ending": row.ending, "expected": row.expected});
    format!("{}: {json}: {}", row.id, row.why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Row {
        Row {
            id: "demo-paid".into(),
            shows: "the ordinary course",
            ending: Some(Ending::Completed),
            expected: Ending::Completed,
            why: "the bank has been paid".into(),
            quoted: Some("5321.70 BRL".into()),
            transaction_hash: Some(format!("0x{}", "ab12".repeat(16))),
            seconds: Some(4),
            link: None,
        }
    }

    #[test]
    fn a_row_says_how_it_ended_why_and_what_the_bank_gets() {
        let text = table(&[sample()], Look::Plain);
        for part in ["demo-paid\t", "\tCompleted\t", "\tthe bank has been paid\t", "\t5321.70 BRL\t", "\t4 s"] {
            assert!(text.contains(part), "{part:?} is not in {text:?}");
        }
        assert!(text.contains(&"ab12".repeat(16)), "programs get the whole hash: {text}");
        let text = table(&[sample()], Look::Terminal(200));
        assert!(text.contains("0xab12ab…12ab12"), "{text}");
    }

    #[test]
    fn an_ending_that_was_not_expected_is_marked_and_named() {
        let row = Row { ending: Some(Ending::Failed), why: "bank closed".into(), ..sample() };
        assert!(!row.is_as_expected());
        assert!(table(std::slice::from_ref(&row), Look::Plain).contains("\tFailed (!)\t"));
        let said = complaint(&row);
        assert!(said.starts_with("demo-paid: ") && said.contains("Failed") && said.contains("bank closed"), "{said}");
        let none = Row { ending: None, ..sample() };
        assert!(!none.is_as_expected());
    }

    #[test]
    fn durations_are_for_people() {
        assert_eq!([4, 75, 25 * 3600 + 60].map(human), ["4 s", "1 min 15 s", "25 h 1 min (moved)"]);
    }
}
