//! `remit approval approve` and `deny`.

use std::{io::IsTerminal, path::PathBuf};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use remit_client::{Answer, OrderError, PayoutClient, Signer, Status, Verdict};
use remit_domain::{
    Program,
    policy::{ApprovalValue, MicroUsd, Statement},
};
use remit_workflows::search;
use serde_json::{Value, json};

use super::{AT_ONCE, asks, missing, waiting, worth};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::{Period, Settings},
    signing::{counts_for, from_now, private_key},
    table::Look,
    temporal::{Connected, read_failure},
};

/// Flags of `remit approval approve` and `deny`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit approval approve invoice-2026-0001 --by ana --key ana.pem --why 'checked with the invoice'
  remit approval approve invoice-2026-0001 --group treasury --by ana --key ana.pem --why 'checked' --expires 4h
  remit approval deny invoice-2026-0001 --by ana --key ana.pem --why 'no such supplier'
  remit approval approve --all --program payroll --group treasury --by ana --key ana.pem --why 'payroll of May'
  remit approval approve invoice-2026-0001 --by ana --why 'checked' --dry-run      the text that would be signed

What is signed names the payout, its content by a digest, the policy's revision that asked, you, the reason and a time
after which it counts no more; docs/policy.md has it to the letter, for keys that are elsewhere. --group may be left out
where only one group is missing. Several payouts are shown with their sum first, and asked about on a terminal.

Exit codes: 0 all count · 3 one was refused, each says why · 4 there is no such payout · 2 usage, or nobody said yes · \
1 anything else.")]
pub struct Args {
    /// Your ids of the payouts, or their keys
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Vec<String>,
    /// All that wait for the group in this program
    #[arg(long, requires = "program")]
    all: bool,
    /// With --all: which program
    #[arg(long, requires = "all", conflicts_with = "id", value_parser = Program::parse)]
    program: Option<Program>,
    /// For which group [default: the one that is missing]
    #[arg(long)]
    group: Option<String>,
    /// Your name in the policy
    #[arg(long, env = "REMIT_OPERATOR")]
    by: String,
    /// Your private key
    #[arg(long, value_name = "FILE", env = "REMIT_SIGNING_KEY_FILE", required_unless_present = "dry_run")]
    key: Option<PathBuf>,
    /// The reason, for whoever reads the history
    #[arg(long)]
    why: String,
    /// How long it counts, at most 31d
    #[arg(long, value_name = "TIME", default_value = "48h", value_parser = counts_for)]
    expires: Period,
    /// Answer yes to what is asked
    #[arg(long)]
    yes: bool,
    /// Show the exact texts that would be signed; sign and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Most payouts that are answered at once.
const MOST: usize = 1000;

/// Answers.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(value: ApprovalValue, args: Args, settings: &Settings) -> Outcome {
    let key = args.key.as_deref().filter(|_| !args.dry_run).map(private_key).transpose()?;
    let connected = Connected::for_a_person(settings).await?;
    let client = &connected.client;
    let found = find(client, &args).await?;
    if found.is_empty() {
        let group = args.group.as_ref().map(|group| format!(" of group {group}")).unwrap_or_default();
        out::note(format_args!("nothing waits for an approval{group} there"));
        return Ok(Exit::Done);
    }
    let expires = from_now(args.expires.duration());
    let statements = found.iter().map(|status| statement(client.namespace(), value, &args, status, expires));
    let wanted: Vec<(&Status, Result<Statement, String>)> = found.iter().zip(statements).collect();
    if args.dry_run {
        return dry_run(&wanted, args.json);
    }
    if found.len() > 1 || args.all {
        preview(&found)?;
        if !(args.yes || confirmed(value, found.len())?) {
            return Err(Failure::new(Exit::Usage, "nothing was signed"));
        }
    }
    let Some(key) = key else { return Err(Failure::new(Exit::Usage, "who signs? --key FILE")) };
    let signer = &Signer { name: args.by.clone(), key };
    let mut exit = Exit::Done;
    let mut answers = Vec::new();
    let mut sent = stream::iter(wanted)
        .map(|(status, statement)| async move { (status, send(client, signer, status, statement).await) })
        .buffered(AT_ONCE);
    while let Some((status, answer)) = sent.next().await {
        let (word, says) = match &answer {
            Ok(Answer { answer: Verdict::Accepted, says, .. }) => ("accepted", says.clone()),
            Ok(Answer { answer: Verdict::Refused, says, .. }) => ("refused", says.clone()),
            Err(error) => ("no answer", error.to_string()),
        };
        exit = worse(exit, exit_of(&answer));
        if args.json {
            answers.push(json!({
                "payout": status.key, "answer": word, "says": says,
                "stage": answer.as_ref().map_or(status.stage, |answer| answer.stage).as_str(),
            }));
        } else {
            out::line(format_args!("{}: {word}: {says}", status.key))?;
        }
    }
    if args.json {
        out::json(&answers)?;
    }
    Ok(exit)
}

/// The payouts that are meant.
async fn find(client: &PayoutClient, args: &Args) -> Result<Vec<Status>, Failure> {
    if args.all {
        let mut found = Vec::new();
        for (_, status) in waiting(client, search::AN_APPROVAL, args.program.as_ref(), MOST).await? {
            found.push(status.map_err(read_failure)?);
        }
        let asked = |status: &Status| match &args.group {
            Some(group) => asks(status, group),
            None => !missing(status).is_empty(),
        };
        found.retain(asked);
        return Ok(found);
    }
    let statuses = stream::iter(&args.id).map(|id| async move { client.status(id).await }).buffered(AT_ONCE);
    let statuses: Vec<_> = statuses.collect().await;
    let mut found: Vec<Status> = Vec::new();
    for status in statuses {
        let status = status.map_err(read_failure)?;
        // By its id and by its key is once.
        if !found.iter().any(|known| known.key == status.key) {
            found.push(status);
        }
    }
    Ok(found)
}

/// What is to be signed about one payout; or why nothing can be.
fn statement(
    namespace: &str,
    value: ApprovalValue,
    args: &Args,
    status: &Status,
    expires: Timestamp,
) -> Result<Statement, String> {
    let missing = missing(status);
    let ruling = status.ruling.as_ref().filter(|_| !missing.is_empty());
    let ruling = ruling.ok_or("no approval is wanted of it now")?;
    let group = match (&args.group, missing) {
        (Some(group), _) => group.clone(),
        (None, [only]) => only.group.clone(),
        (None, several) => {
            let groups: Vec<&str> = several.iter().map(|missing| missing.group.as_str()).collect();
            return Err(format!("several groups are missing, name one with --group: {}", groups.join(", ")));
        }
    };
    Ok(Statement::Approval {
        namespace: namespace.to_owned(),
        key: status.key.as_str().to_owned(),
        attempt: status.request.attempt.number(),
        digest: status.digest.clone(),
        revision: ruling.revision_hash.clone(),
        group,
        value,
        by: args.by.clone(),
        why: args.why.clone(),
        expires,
    })
}

async fn send(
    client: &PayoutClient,
    signer: &Signer,
    status: &Status,
    statement: Result<Statement, String>,
) -> Result<Answer, OrderError> {
    match statement {
        Ok(statement) => client.approve(status.key.as_str(), &signer.sign(&statement)).await,
        Err(says) => Ok(Answer { answer: Verdict::Refused, stage: status.stage, says }),
    }
}

fn exit_of(answer: &Result<Answer, OrderError>) -> Exit {
    match answer {
        Ok(Answer { answer: Verdict::Accepted, .. }) => Exit::Done,
        // It was there a moment ago: what has ended meanwhile is refused.
        Ok(Answer { answer: Verdict::Refused, .. }) | Err(OrderError::Read(remit_client::ReadError::Over { .. })) => {
            Exit::Refused
        }
        Err(OrderError::Malformed { .. }) => Exit::Usage,
        Err(OrderError::Read(_)) => Exit::Failed,
    }
}

/// What is said about several: that one was not answered counts more than that one was refused.
fn worse(one: Exit, other: Exit) -> Exit {
    let rank = |exit: Exit| match exit {
        Exit::Done => 0,
        Exit::Refused => 1,
        Exit::Usage | Exit::NotFound | Exit::Conflict => 2,
        Exit::Failed => 3,
    };
    if rank(other) > rank(one) { other } else { one }
}

fn dry_run(wanted: &[(&Status, Result<Statement, String>)], json: bool) -> Outcome {
    let refused = wanted.iter().any(|(_, statement)| statement.is_err());
    if json {
        let row = |(status, statement): &(&Status, Result<Statement, String>)| -> Value {
            let text = statement.as_ref().ok().map(Statement::text);
            json!({"payout": status.key, "statement": text, "refused": statement.as_ref().err()})
        };
        out::json(&wanted.iter().map(row).collect::<Vec<_>>())?;
    } else {
        for (status, why) in wanted.iter().filter_map(|(status, it)| Some((status, it.as_ref().err()?))) {
            out::note(format_args!("{}: {why}", status.key));
        }
        // One alone to the byte, so that it can be signed elsewhere.
        let texts: Vec<String> = wanted.iter().filter_map(|(_, it)| Some(it.as_ref().ok()?.text())).collect();
        if !texts.is_empty() {
            out::line(texts.join("\n").trim_end_matches('\n'))?;
        }
    }
    Ok(if refused { Exit::Refused } else { Exit::Done })
}

/// What several payouts are, and what they are worth together.
fn preview(found: &[Status]) -> Result<(), Failure> {
    let row = |status: &Status| {
        let groups: Vec<String> = missing(status).iter().map(ToString::to_string).collect();
        vec![status.key.as_str().to_owned(), worth(status), groups.join(" and "), status.request.summary()]
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    let header = ["payout", "worth", "wants", "asked"];
    out::note(Look::of_stdout().table(&header, &rows));
    out::note(sum(found));
    Ok(())
}

/// `3 payouts, 12,000.00 USD together; of 1 nobody says what it is worth`.
fn sum(found: &[Status]) -> String {
    let known: Vec<u64> =
        found.iter().filter_map(|status| status.ruling.as_ref()?.usd).map(|MicroUsd(usd)| usd).collect();
    let total = known.iter().fold(0u64, |total, usd| total.saturating_add(*usd));
    let unknown = match found.len() - known.len() {
        0 => String::new(),
        unknown => format!("; of {unknown} nobody says what it is worth"),
    };
    format!("{} payouts, {} together{unknown}", found.len(), MicroUsd(total))
}

/// Asks whoever is at the terminal.
fn confirmed(value: ApprovalValue, many: usize) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        let why = format!("{many} payouts at once, and nobody at a terminal to ask: say --yes");
        return Err(Failure::new(Exit::Usage, why));
    }
    out::note(format_args!("{} these {many}? [y/N]", value.as_str()));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(says_yes(&line))
}

fn says_yes(line: &str) -> bool {
    matches!(line.trim(), "y" | "Y" | "yes")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use remit_client::ReadError;

    use super::{super::tests::awaiting, *};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &[&str]) -> Result<Args, clap::Error> {
        let always = ["approve", "--by", "ana", "--key", "ana.pem", "--why", "checked"];
        Line::try_parse_from(always.iter().chain(line)).map(|line| line.args)
    }

    fn text(args: &Args, status: &Status) -> Result<String, String> {
        let expires = Timestamp::from_second(1_800_000_000).expect("a time");
        statement("payouts", ApprovalValue::Approve, args, status, expires).map(|statement| statement.text())
    }

    #[test]
    fn payouts_are_named_or_all_of_a_program() {
        assert!(args(&["a", "b"]).is_ok() && args(&["--all", "--program", "payroll"]).is_ok());
        for bad in [&[][..], &["--all"], &["a", "--all", "--program", "p"], &["a", "--program", "p"]] {
            assert!(args(bad).is_err(), "{bad:?}");
        }
        assert!(args(&["a", "--expires", "32d"]).is_err());
    }

    #[test]
    fn what_is_signed_is_about_this_payout_and_the_group_that_is_missing() {
        let text = text(&args(&["a"]).expect("args"), &awaiting("a", None, &["treasury"])).expect("a statement");
        assert_eq!(
            text,
            "remit.approval.v1\nnamespace: payouts\npayout: a\nattempt: 1\ndigest: d\npolicy: h\ngroup: treasury\n\
             value: approve\nby: ana\nwhy: checked\nexpires: 2027-01-15T08:00:00Z\n"
        );
    }

    #[test]
    fn where_it_is_not_clear_for_which_group_or_nothing_is_wanted_nothing_is_signed() {
        let plain = args(&["a"]).expect("args");
        let two = awaiting("a", None, &["treasury", "board"]);
        assert!(text(&plain, &two).expect_err("two").contains("--group: treasury, board"));
        assert!(text(&args(&["a", "--group", "board"]).expect("args"), &two).is_ok());
        let mut over = awaiting("a", None, &["treasury"]);
        over.stage = remit_domain::Stage::Creating;
        assert!(text(&plain, &over).expect_err("over").contains("no approval is wanted"));
    }

    #[test]
    fn several_are_summed_and_what_is_not_known_is_said() {
        let found =
            [awaiting("a", Some(10_000_000), &[]), awaiting("b", Some(2_500_000), &[]), awaiting("c", None, &[])];
        assert_eq!(sum(&found[..2]), "2 payouts, 12.50 USD together");
        assert_eq!(sum(&found), "3 payouts, 12.50 USD together; of 1 nobody says what it is worth");
    }

    #[test]
    fn only_a_yes_is_one() {
        for (line, yes) in
            [("y\n", true), ("yes\n", true), ("\n", false), ("n\n", false), ("yellow\n", false), ("", false)]
        {
            assert_eq!(says_yes(line), yes, "{line:?}");
        }
    }

    #[test]
    fn the_exit_code_of_several_is_that_of_the_worst() {
        let over = OrderError::Read(ReadError::Over { workflow_id: "w".into(), how: "Denied".into() });
        let away = OrderError::Read(ReadError::NoWorker { workflow_id: "w".into() });
        assert_eq!(exit_of(&Err(over)), Exit::Refused);
        assert_eq!(exit_of(&Err(away)), Exit::Failed);
        assert_eq!(worse(worse(Exit::Done, Exit::Refused), Exit::Done), Exit::Refused);
        assert_eq!(worse(Exit::Refused, Exit::Failed), Exit::Failed);
    }
}
