//! `remit doctor`: is everything there that a worker and a relay need, and what to do where it is not.

mod dfns;
mod policy;
mod temporal;

use std::{future::Future, time::Duration};

use remit_records::Records;
use serde::Serialize;

use crate::{
    dev::{Running, shell_quoted},
    exit::{Exit, Outcome},
    out,
    settings::{Settings, SettingsError, others_can_read},
};

/// Flags of `remit doctor`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit doctor
  remit doctor --json | jq '.[] | select(.verdict != \"ok\")'

Changes nothing at Dfns: it reads, asks for a quote from a wallet that does not exist, and signs calls about a payout, an
approval, a policy and a wallet that do not exist, which Dfns refuses as unknown or as not allowed. What each role may
do there, and what it should not: docs/permissions.md.
The database is opened as a worker opens it, which brings its tables up to date.
Exit codes: 0 nothing failed · 1 something did.")]
pub struct Args {
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One line of the diagnosis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), todo: None }
    }

    fn warn(check: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warn, found: found.into(), todo: Some(todo.into()) }
    }

    fn fail(check: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fail, found: found.into(), todo: Some(todo.into()) }
    }
}

/// No group of checks takes longer.
const WITHIN: Duration = Duration::from_secs(60);

/// Checks everything.
///
/// # Errors
/// When the answer cannot be printed.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    if !settings.is_complete_for_a_worker()
        && let Some(running) = Running::find().await
    {
        let file = shell_quoted(&running.env_file.to_string_lossy());
        out::note(format_args!(
            "`remit {}` runs a system on this machine; to check that one: . {file}",
            running.command
        ));
    }
    let mut findings = vec![settings_file(settings)];
    let (temporal, records, policy, dfns) = tokio::join!(
        within("Temporal", temporal::check(settings)),
        within("records", records(settings)),
        within("policy", policy::check(settings)),
        within("Dfns", dfns::check(settings)),
    );
    findings.extend([temporal, records, policy, dfns].concat());
    findings.extend(webhook_secret(settings));
    findings.extend(secret_files(settings));
    if args.json {
        out::json(&findings)?;
    } else {
        out::line(findings.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    }
    Ok(verdict(&findings))
}

async fn within(check: &'static str, findings: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    tokio::time::timeout(WITHIN, findings).await.unwrap_or_else(|_| {
        vec![Finding::fail(check, format!("no answer within {} s", WITHIN.as_secs()), "look at the network in between")]
    })
}

fn verdict(findings: &[Finding]) -> Exit {
    if findings.iter().any(|finding| finding.verdict == Verdict::Fail) { Exit::Failed } else { Exit::Done }
}

fn line(finding: &Finding) -> String {
    let verdict = match finding.verdict {
        Verdict::Ok => "ok  ",
        Verdict::Warn => "warn",
        Verdict::Fail => "FAIL",
    };
    let found = finding.found.replace('\n', "\n      ");
    let todo = finding.todo.as_ref().map(|todo| format!("\n      → {todo}")).unwrap_or_default();
    format!("{verdict}  {:25} {found}{todo}", finding.check)
}

fn settings_file(settings: &Settings) -> Finding {
    match &settings.file {
        Some(file) => Finding::ok("settings", format!("{} and the environment", file.display())),
        None => Finding::ok("settings", "the environment (no remit.toml here)"),
    }
}

/// Missing settings, or ones that cannot be used.
fn unusable(check: &'static str, error: &SettingsError) -> Finding {
    match error {
        SettingsError::Missing(missing) => {
            let names: Vec<String> = missing.iter().map(|it| format!("{} ({})", it.variable, it.what)).collect();
            Finding::fail(check, format!("not set: {}", names.join(", ")), "set it in the environment or in remit.toml")
        }
        SettingsError::File { .. } | SettingsError::Value { .. } => {
            Finding::fail(check, error.to_string(), "correct the setting")
        }
    }
}

async fn records(settings: &Settings) -> Vec<Finding> {
    const CHECK: &str = "records";
    let url = match settings.records_url() {
        Ok(url) => url,
        Err(error) => return vec![unusable(CHECK, &error)],
    };
    let todo = "check REMIT_RECORDS_URL, and that the database takes connections from here";
    let records = match Records::open(&url).await {
        Ok(records) => records,
        Err(error) => return vec![Finding::fail(CHECK, chain(&error), todo)],
    };
    // Moving the clock by nothing is the smallest write there is.
    let written = records.shift_clock(Duration::ZERO).await;
    let place = format!("{records:?}");
    let place = place.trim_start_matches("Records(").trim_end_matches(')').to_owned();
    records.close().await;
    vec![match written {
        Ok(()) => Finding::ok(CHECK, format!("{place}: opens, is up to date, takes writes")),
        Err(error) => Finding::fail(CHECK, chain(&error), "the database user must be able to write"),
    }]
}

fn webhook_secret(settings: &Settings) -> Vec<Finding> {
    const CHECK: &str = "webhook secret";
    vec![match settings.dfns.webhook_secrets() {
        Ok(secrets) => Finding::ok(CHECK, format!("{} set", secrets.len())),
        Err(SettingsError::Missing(_)) => Finding::warn(
            CHECK,
            "not set: a relay cannot run, and payouts are found by polling alone",
            "set DFNS_WEBHOOK_SECRET_FILE to the file that `remit webhook subscribe` writes, or DFNS_WEBHOOK_SECRET to \
             the secret that Dfns showed when the webhook was made",
        ),
        Err(error) => unusable(CHECK, &error),
    }]
}

fn secret_files(settings: &Settings) -> Vec<Finding> {
    let dfns = &settings.dfns;
    let files = [&dfns.token_file, &dfns.private_key_file, &dfns.webhook_secret_file];
    let open = files.into_iter().flatten().filter(|file| others_can_read(file));
    let open = open.map(|file| {
        let found = format!("{} can be read by other users of this machine", file.display());
        Finding::warn("secret files", found, format!("chmod 600 {}", file.display()))
    });
    open.collect()
}

/// An error with all its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_check_fails_the_command() {
        let (ok, warn) = (Finding::ok("a", "x"), Finding::warn("b", "y", "z"));
        assert_eq!(verdict(&[ok.clone(), warn.clone()]), Exit::Done);
        assert_eq!(verdict(&[ok, Finding::fail("c", "y", "z"), warn]), Exit::Failed);
    }

    #[test]
    fn a_finding_says_what_to_do_on_a_line_of_its_own() {
        let text = line(&Finding::fail("Temporal", "cannot be reached", "start it"));
        assert_eq!(text, "FAIL  Temporal                  cannot be reached\n      → start it");
        assert!(!line(&Finding::ok("Temporal", "fine")).contains('→'));
    }

    #[test]
    fn missing_settings_are_named_and_a_missing_webhook_secret_is_no_failure() {
        let settings = Settings::default();
        let missing = unusable("Dfns settings", &settings.dfns.access().expect_err("nothing is set"));
        assert_eq!(missing.verdict, Verdict::Fail);
        assert!(missing.found.contains("DFNS_TOKEN") && missing.found.contains("DFNS_USER_ID"), "{}", missing.found);
        assert_eq!(webhook_secret(&settings)[0].verdict, Verdict::Warn);
    }

    #[tokio::test]
    async fn a_database_that_works_is_ok_and_one_that_is_not_there_says_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = Settings::default();
        settings.records.url = Some(format!("sqlite://{}", folder.path().join("r.db").display()));
        assert_eq!(records(&settings).await[0].verdict, Verdict::Ok);
        settings.records.url = Some(format!("sqlite://{}", folder.path().display()));
        let found = records(&settings).await;
        assert_eq!(found[0].verdict, Verdict::Fail);
        assert!(found[0].todo.as_deref().is_some_and(|todo| todo.contains("REMIT_RECORDS_URL")), "{found:?}");
    }
}
