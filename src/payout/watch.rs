//! `remit payout watch`.

use std::time::Duration;

use remit_client::ReadError;
use remit_domain::{Ending, Outcome as PayoutOutcome};
use remit_workflows::status::Status;

use crate::{
    exit::{Exit, Outcome},
    out,
    settings::Settings,
    temporal::{Connected, read_failure},
};

/// Flags of `remit payout watch`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit payout watch invoice-2026-0001
  remit payout watch invoice-2026-0001 --json >outcome.json && echo paid

Ctrl-C stops watching, not the payout.
Exit codes: 0 paid · 3 ended without being paid · 4 there is no such payout · 1 anything else.")]
pub struct Args {
    /// Your id of the payout, or its key
    id: String,
    /// Say nothing until it ends, then how, in JSON
    #[arg(long)]
    json: bool,
}

/// How what happens is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Line by line.
    Lines,
    /// The outcome alone.
    Json,
}

/// How often to look.
const EVERY: Duration = Duration::from_secs(1);
/// How often in a row Temporal or the worker may be away.
const AWAY_AT_MOST: u32 = 20;

/// Follows the payout to its end.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let connected = Connected::for_a_person(settings).await?;
    follow(&connected, &args.id, if args.json { Form::Json } else { Form::Lines }).await
}

/// Follows one payout.
pub(super) async fn follow(connected: &Connected, id: &str, form: Form) -> Outcome {
    let mut story = Story::default();
    let mut away = 0;
    loop {
        match connected.client.status(id).await {
            Ok(status) => {
                away = 0;
                if form == Form::Lines {
                    story.news(&status).iter().try_for_each(out::line)?;
                }
                if let Some(outcome) = &status.outcome {
                    if form == Form::Json {
                        out::json(outcome)?;
                    }
                    return Ok(exit_of(outcome));
                }
            }
            Err(error @ (ReadError::NoWorker { .. } | ReadError::Unavailable(_))) if away < AWAY_AT_MOST => {
                if away == 0 {
                    out::note(format_args!("{error}; trying again"));
                }
                away += 1;
            }
            Err(error) => return Err(read_failure(error)),
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn exit_of(outcome: &PayoutOutcome) -> Exit {
    match outcome.ending {
        Ending::Completed => Exit::Done,
        Ending::Failed | Ending::Rejected | Ending::Expired | Ending::Canceled | Ending::Blocked | Ending::Denied => {
            Exit::Refused
        }
    }
}

/// What has been told of a payout so far.
#[derive(Default)]
pub(crate) struct Story {
    told: usize,
    waits: Option<String>,
}

impl Story {
    /// The lines that are new in this status.
    pub(crate) fn news(&mut self, status: &Status) -> Vec<String> {
        let new = status.timeline.iter().skip(self.told);
        let mut lines: Vec<String> = new.map(|moment| format!("{}  {}", moment.at, moment.what)).collect();
        self.told = status.timeline.len();
        let until = status.until.as_deref().map(|until| format!(", until {until}")).unwrap_or_default();
        let waits = status.waits_for.as_ref().map(|what| format!("waits for {what}{until}"));
        if waits != self.waits {
            lines.extend(waits.clone());
            self.waits = waits;
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::show::tests::waiting, *};

    #[test]
    fn each_thing_that_happens_is_told_once() {
        let mut story = Story::default();
        let mut status = waiting();
        assert_eq!(
            story.news(&status),
            [
                "2026-01-01T00:00:00Z  created at the provider as pyt-1",
                "waits for the provider's deposit address, until 2026-01-02T00:00:00Z"
            ]
        );
        assert!(story.news(&status).is_empty());
        status.timeline.push(serde_json::from_value(json!({"at": "t", "what": "confirmed"})).expect("a moment"));
        status.waits_for = None;
        assert_eq!(story.news(&status), ["t  confirmed"]);
    }

    #[test]
    fn only_a_paid_payout_exits_with_zero() {
        for (ending, exit) in [
            ("Completed", Exit::Done),
            ("Failed", Exit::Refused),
            ("Rejected", Exit::Refused),
            ("Expired", Exit::Refused),
            ("Canceled", Exit::Refused),
        ] {
            let outcome = json!({"key": "a", "ending": ending, "reason": "r", "money": "unknown"});
            assert_eq!(exit_of(&serde_json::from_value(outcome).expect("an outcome")), exit, "{ending}");
        }
    }
}
