//! `remit payout retry`.

use remit_client::{Retried, RetryError, Started};
use serde_json::json;

use super::order::{KeyArg, OrderArgs};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
    signing::sign_order,
    temporal::{Connected, start_failure},
};

/// Flags of `remit payout retry`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit payout retry invoice-2026-0001 --why 'the bank account is open again'
  remit payout retry invoice-2026-0001 --why 'the bank account is open again' --by ana --key ana.pem

Pays the same request under the next attempt's key (invoice-2026-0001-retry-1). Refused unless the attempt before is
over, its gate is closed or the provider says that it is over, and it is certain where its money is: read at the provider
and written down in one step, so that two people who retry at once open one attempt. Safe to repeat. Where the policy takes such orders only signed ([orders]), --by is
somebody's name in the policy and --key that one's private key.

Exit codes: 0 started · 3 refused, with why · 2 the order is not accepted as one · 1 anything else.")]
pub struct Args {
    /// Your id of the payout
    id: String,
    #[command(flatten)]
    order: OrderArgs,
    #[command(flatten)]
    key: KeyArg,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Asks for another attempt.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let connected = Connected::for_a_person(settings).await?;
    let order = args.order.order();
    let signed = sign_order(&connected.client, &args.id, ("retry", ""), &order, args.key.key.as_deref()).await?;
    let retried = connected.client.retry(&args.id, &order, signed).await;
    let (word, started) = match retried.map_err(failure)? {
        Retried::Started(started) => ("started", started),
        Retried::UnderWay(started) => ("under way already", started),
        Retried::Refused { why } => {
            if args.json {
                out::json(&json!({"answer": "refused", "says": why}))?;
            } else {
                out::line(format_args!("refused: {why}"))?;
            }
            return Ok(Exit::Refused);
        }
    };
    let Started { key, workflow_id, run_id, .. } = &started;
    if args.json {
        out::json(&json!({"answer": word, "key": key, "workflowId": workflow_id, "runId": run_id}))?;
        return Ok(Exit::Done);
    }
    out::line(format_args!("{word}: attempt {key}"))?;
    if let Some(link) = connected.ui_link(workflow_id, run_id) {
        out::line(link)?;
    }
    Ok(Exit::Done)
}

fn failure(error: RetryError) -> Failure {
    match error {
        RetryError::Start(error) => start_failure(error),
        error @ RetryError::Malformed { .. } => Failure::usage(error),
        error @ (RetryError::NotProven { .. } | RetryError::Unavailable(_)) => {
            Failure { exit: Exit::Failed, error: error.into() }
        }
    }
}
