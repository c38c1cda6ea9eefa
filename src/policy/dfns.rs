//! `remit policy plan --dfns` and `remit policy apply --dfns`: a second wall, in custody.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{BufRead, IsTerminal},
    path::PathBuf,
};

use anyhow::{Context, anyhow};
use remit_activities::translate_policy::{Change, Custody, NotSaid, Says, changes};
use remit_dfns::{Dfns, ListPolicies, PageQuery, Policy as DfnsPolicy, PolicyStatus};
use remit_domain::policy::Policy;
use serde_json::{Value, json};

use super::Chain;
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
};

/// Which policy, and where to.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("where").required(true)))]
struct What {
    /// A policy file [default: the policy in force]
    file: Option<PathBuf>,
    /// At Dfns, the one custody there is so far
    #[arg(long, group = "where")]
    dfns: bool,
    /// A wallet that pays, for rules that name none; several times for several [default: all of the organisation]
    #[arg(long = "wallet", value_name = "ID")]
    wallets: Vec<String>,
    /// The account that pays, which is never made an approver [default: DFNS_USER_ID]
    #[arg(long, value_name = "USER")]
    payer: Option<String>,
}

/// Flags of `remit policy plan`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit policy plan --dfns
  remit policy plan --dfns policy.toml --wallet wa-5pfuu-9euek-h0odgb6snva8ph3k
  remit policy plan --dfns --json | jq '.changes[] | select(.change != \"keep\")'

Shows what `remit policy apply` would do, and which rules Dfns cannot say, each with the reason. Ours are those at Dfns
whose names begin with \"remit: \"; no others are looked at. Needs Policies:Read at Dfns.
Exit codes: 0 shown · 2 the policy file is not accepted · 3 Dfns refuses · 4 no policy is in force · 1 anything
else.")]
pub struct PlanArgs {
    #[command(flatten)]
    what: What,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Flags of `remit policy apply`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit policy apply --dfns
  remit policy apply --dfns policy.toml --wallet wa-5pfuu-9euek-h0odgb6snva8ph3k --yes

Shows the plan, asks, and writes it: new policies and changes first, so that no wall is down in between. May be
repeated. Needs Policies:Read, Create, Update and Delete at Dfns: give these to another account than the one that pays,
and name that one with --payer. Where a policy at Dfns guards its policies, a change waits there for its approval.
Exit codes: 0 Dfns says what the policy says · 2 the policy file is not accepted, or nobody said yes · 3 Dfns refuses, or
a change waits for an approval there · 4 no policy is in force · 1 anything else.")]
pub struct ApplyArgs {
    #[command(flatten)]
    what: What,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// What there is to do.
struct Plan {
    /// Which policy it is of.
    source: String,
    changes: Vec<Change>,
    not_said: Vec<NotSaid>,
}

/// Shows what there is to do.
///
/// # Errors
/// Exit codes as the help says.
pub async fn plan(args: PlanArgs, settings: &Settings) -> Outcome {
    let dfns = connect(settings)?;
    let plan = Plan::make(&args.what, settings, &dfns).await?;
    if args.json {
        out::json(&plan.json())?
    } else {
        out::line(plan.text())?
    }
    Ok(Exit::Done)
}

/// Does it.
///
/// # Errors
/// Exit codes as the help says.
pub async fn apply(args: ApplyArgs, settings: &Settings) -> Outcome {
    let dfns = connect(settings)?;
    let plan = Plan::make(&args.what, settings, &dfns).await?;
    out::line(plan.text())?;
    if plan.is_done() {
        return Ok(Exit::Done);
    }
    if !args.yes && !agreed()? {
        return Err(Failure::new(Exit::Usage, "nothing was changed"));
    }
    plan.write(&dfns).await?;
    // What was written is read back: a change may wait there for its approval.
    let after = Plan::make(&args.what, settings, &dfns).await?;
    if after.is_done() {
        out::note("Dfns says what the policy says");
        return Ok(Exit::Done);
    }
    let why = format!(
        "Dfns has taken the changes, and not all are in force: do they wait for an approval?\n{}",
        after.text()
    );
    Err(Failure::new(Exit::Refused, why))
}

fn connect(settings: &Settings) -> Result<Dfns, Failure> {
    let access = settings.dfns.access().map_err(Failure::usage)?;
    Dfns::new(access.settings).map_err(Failure::usage)
}

/// Asks at the terminal; who is not there has not said yes.
fn agreed() -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::new(Exit::Usage, "nobody is there to be asked: say --yes where that is meant"));
    }
    out::note("Write this to Dfns? [y/N]");
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn carry_out(dfns: &Dfns, change: &Change) -> Result<(), Failure> {
    let (name, done) = match change {
        Change::Create { body } => (&body.name, dfns.create_policy(body).await.map(drop)),
        Change::Replace { before, body } => (&body.name, dfns.update_policy(&before.id, body).await.map(drop)),
        Change::Archive { before } => (&before.name, dfns.delete_policy(&before.id).await),
        Change::Keep { .. } => return Ok(()),
    };
    done.map_err(|error| {
        let exit = if error.refusal().is_some() { Exit::Refused } else { Exit::Failed };
        Failure {
            exit,
            error: anyhow!(error).context(format!("policy {name:?} at Dfns; run it again to go on from there")),
        }
    })
}

impl Plan {
    async fn make(what: &What, settings: &Settings, dfns: &Dfns) -> Result<Self, Failure> {
        let (source, policy) = match &what.file {
            Some(file) => {
                let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
                (file.display().to_string(), read(&text, &file.display().to_string())?)
            }
            None => in_force(settings).await?,
        };
        let payer = what.payer.as_deref().or(settings.dfns.user_id.as_deref());
        let wallets: BTreeSet<String> = what.wallets.iter().cloned().collect();
        let Custody { policies, not_said } = Custody::of(&policy, &wallets, payer);
        let there = active_policies(dfns).await.map_err(|error| {
            let exit = if error.refusal().is_some() { Exit::Refused } else { Exit::Failed };
            Failure { exit, error: anyhow!(error).context("the policies at Dfns cannot be read") }
        })?;
        Ok(Self { source, changes: changes(&Custody { policies, not_said: vec![] }, &there), not_said })
    }

    async fn write(&self, dfns: &Dfns) -> Result<(), Failure> {
        for change in &self.changes {
            carry_out(dfns, change).await?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.changes.iter().all(|change| matches!(change, Change::Keep { .. }))
    }

    fn text(&self) -> String {
        let mut text = format!("{}, at Dfns:", self.source);
        for change in &self.changes {
            // Writing to a text does not fail.
            let _ = match change {
                Change::Create { body } => write!(text, "\n  + {:24} {}", body.name, Says::from(body)),
                Change::Replace { before, body } => {
                    let (was, will) = (Says::from(&**before), Says::from(body));
                    write!(text, "\n  ~ {:24} {was}\n    {:24} {will}", body.name, "→")
                }
                Change::Keep { policy } => write!(text, "\n  = {:24} {}", policy.name, Says::from(&**policy)),
                Change::Archive { before } => write!(text, "\n  - {:24} {}", before.name, Says::from(&**before)),
            };
        }
        if self.changes.is_empty() {
            text.push_str("\n  nothing");
        }
        if !self.not_said.is_empty() {
            text.push_str("\nNot said there, and enforced by workers alone:");
        }
        for NotSaid { rule, why } in &self.not_said {
            let _ = write!(text, "\n  {rule:26} {why}");
        }
        text
    }

    fn json(&self) -> Value {
        let changes = self.changes.iter().map(|change| match change {
            Change::Create { body } => json!({"change": "create", "name": body.name, "policy": body}),
            Change::Replace { before, body } => json!({"change": "replace", "name": body.name, "id": before.id,
                "before": {"rule": before.rule, "action": before.action, "filters": before.filters}, "policy": body}),
            Change::Keep { policy } => json!({"change": "keep", "name": policy.name, "id": policy.id}),
            Change::Archive { before } => json!({"change": "archive", "name": before.name, "id": before.id}),
        });
        json!({"of": self.source, "changes": changes.collect::<Vec<_>>(), "notSaid": self.not_said})
    }
}

/// All policies that are active at Dfns.
///
/// # Errors
/// When Dfns gives no answer.
pub(crate) async fn active_policies(dfns: &Dfns) -> Result<Vec<DfnsPolicy>, remit_dfns::Error> {
    let mut all = Vec::new();
    let mut query = ListPolicies { page: PageQuery::default(), status: Some(PolicyStatus::Active) };
    loop {
        let page = dfns.policies(&query).await?;
        all.extend(page.items);
        match page.next_page_token {
            Some(token) => query.page.pagination_token = Some(token),
            None => return Ok(all),
        }
    }
}

fn read(toml: &str, place: &str) -> Result<Policy, Failure> {
    Policy::read(toml).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|error| format!("{place}, {error}")).collect();
        Failure::new(Exit::Usage, lines.join("\n"))
    })
}

async fn in_force(settings: &Settings) -> Result<(String, Policy), Failure> {
    let records = super::records(settings).await?;
    let chain = Chain::read(&records, settings).await?;
    records.close().await;
    let revision = chain.trusted()?.ok_or_else(|| {
        Failure::new(Exit::NotFound, "no policy is in force: name a file, or publish one with `remit policy publish`")
    })?;
    let source = format!("policy revision {}", revision.number);
    let policy = read(&revision.content, &source)?;
    Ok((source, policy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::Organisation;

    fn what(folder: &tempfile::TempDir, rules: &str, payer: &str) -> What {
        let file = folder.path().join("policy.toml");
        std::fs::write(&file, format!("name = \"test\"\n{rules}")).expect("written");
        What { file: Some(file), dfns: true, wallets: vec!["wa-1".into()], payer: Some(payer.into()) }
    }

    const LIMIT: &str =
        "[[rule]]\nname = \"large\"\nkind = \"TransactionAmountLimit\"\nlimit = \"100 USD\"\naction = \"Block\"\n";

    /// The first letters of what is to be done: `create`, `keep` …
    fn words(plan: &Plan) -> Vec<String> {
        let json = plan.json();
        let changes = json["changes"].as_array().expect("a list");
        changes.iter().map(|it| format!("{} {}", it["change"].as_str().unwrap_or_default(), it["name"])).collect()
    }

    #[tokio::test]
    async fn what_is_written_is_read_back_as_done_and_taken_away_when_nothing_asks_for_it() {
        let (organisation, _stop) = Organisation::alone().await;
        let folder = tempfile::tempdir().expect("a folder");
        let (bob, settings) = (organisation.dfns("bob").expect("bob"), Settings::default());
        let limited = what(&folder, LIMIT, "us-payer");
        let plan = Plan::make(&limited, &settings, &bob).await.expect("a plan");
        assert_eq!(words(&plan), ["create \"remit: large\""]);
        assert!(plan.text().contains("+ remit: large"), "{}", plan.text());
        plan.write(&bob).await.expect("written");
        let again = Plan::make(&limited, &settings, &bob).await.expect("a plan");
        assert!(again.is_done(), "{}", again.text());

        let higher = what(&folder, &LIMIT.replace("100", "200"), "us-payer");
        let plan = Plan::make(&higher, &settings, &bob).await.expect("a plan");
        assert_eq!(words(&plan), ["replace \"remit: large\""]);
        plan.write(&bob).await.expect("written");
        let there = active_policies(&bob).await.expect("policies");
        assert_eq!(there.len(), 1);
        assert_eq!(Says::from(&there[0]).to_string(), "above 200 USD: blocked; wa-1");

        let none = Plan::make(&what(&folder, "", "us-payer"), &settings, &bob).await.expect("a plan");
        assert_eq!(words(&none), ["archive \"remit: large\""]);
        none.write(&bob).await.expect("written");
        assert!(active_policies(&bob).await.expect("policies").is_empty());
    }

    #[tokio::test]
    async fn the_account_that_pays_may_look_and_not_write() {
        let (organisation, _stop) = Organisation::alone().await;
        let folder = tempfile::tempdir().expect("a folder");
        let payer = organisation.dfns("payer").expect("the payer");
        let plan = Plan::make(&what(&folder, LIMIT, "us-payer"), &Settings::default(), &payer).await.expect("a plan");
        assert_eq!(plan.write(&payer).await.expect_err("refused").exit, Exit::Refused);
    }
}
