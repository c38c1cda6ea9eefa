//! `remit deployment`: the builds that payouts are pinned to, and which of them new payouts go to.

use remit_client::PayoutClient;
use remit_worker::deployment::{Deployment, DeploymentError, Described, MayStop, Version, VersionState};
use serde_json::{Value, json};

use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    payout::rfc3339,
    settings::{BuildId, DeploymentName, Settings},
    table::Look,
    temporal::Connected,
};

/// Sub-commands of `remit deployment`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Which builds there are, how many open payouts each has, and which may be stopped
    Show(Show),
    /// Let new payouts go to a build
    Promote(Promote),
}

/// Flags of `remit deployment show`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  REMIT_DEPLOYMENT=remit remit deployment show
  remit deployment show --deployment remit --json | jq -r '.versions[] | select(.mayStop == false) | .buildId'

A payout is finished by the build that began it, so keep workers of a build running for as long as it is needed here.
Where that takes too long, as for a payout that waits for a person: replay its history against the new build
(`remit replay`), then hand it over with Temporal's own command, `temporal workflow update-options`.
Exit codes: 0 shown · 2 no deployment named · 4 no such deployment · 1 anything else.")]
pub struct Show {
    #[command(flatten)]
    which: Which,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Flags of `remit deployment promote`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit deployment promote 3f2c9d1 --deployment remit
  remit deployment promote 3f2c9d1 --dry-run

A worker of the build has to run. Payouts that are open stay with the build that began them. To go back, promote the
build before.
Exit codes: 0 done, also when it was current already · 2 no deployment named · 4 no such deployment or build · 1 not
ready yet, or anything else.")]
pub struct Promote {
    /// Id of the build
    build: BuildId,
    #[command(flatten)]
    which: Which,
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Name of the worker deployment [default: REMIT_DEPLOYMENT]
    #[arg(long, value_name = "NAME")]
    deployment: Option<DeploymentName>,
}

/// Shows and changes the deployment.
///
/// # Errors
/// Exit codes as the help of each sub-command says.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    match command {
        Command::Show(args) => show(args, settings).await,
        Command::Promote(args) => promote(args, settings).await,
    }
}

async fn show(args: Show, settings: &Settings) -> Outcome {
    let (name, deployment) = args.which.open(settings).await?;
    let described = deployment.describe().await.map_err(failure)?;
    if args.json {
        out::json(&json_of(&name, &described))?;
        return Ok(Exit::Done);
    }
    let header = ["build", "state", "open payouts", "first seen", "last current", "may be stopped"];
    out::line(Look::of_stdout().table(&header, &described.versions.iter().map(row).collect::<Vec<_>>()))?;
    if described.unassigned > 0 {
        let unassigned = described.unassigned;
        out::note(format_args!(
            "{unassigned} open payouts have no build yet: they go to the one that is current, or were begun by workers \
             without a deployment"
        ));
    }
    Ok(Exit::Done)
}

async fn promote(args: Promote, settings: &Settings) -> Outcome {
    let (name, deployment) = args.which.open(settings).await?;
    let build = args.build.as_str();
    let described = deployment.describe().await.map_err(failure)?;
    let current = described.versions.iter().find(|version| version.state == VersionState::Current);
    let from = current.map_or("no build".to_owned(), |version| format!("{} ({} open)", version.build_id, version.open));
    if current.is_some_and(|version| version.build_id == build) {
        out::line(format_args!("{build} is the current build of {name} already"))?;
        return Ok(Exit::Done);
    }
    if args.dry_run {
        if !described.versions.iter().any(|version| version.build_id == build) {
            return Err(failure(DeploymentError::UnknownVersion { name, build_id: build.to_owned() }));
        }
        out::line(format_args!("would change the current build of {name} from {from} to {build}"))?;
        return Ok(Exit::Done);
    }
    deployment.make_current(build).await.map_err(failure)?;
    out::line(format_args!("the current build of {name} was {from} and is now {build}"))?;
    Ok(Exit::Done)
}

impl Which {
    async fn open(&self, settings: &Settings) -> Result<(String, Deployment), Failure> {
        let name = self.deployment.as_ref().or(settings.worker.deployment.as_ref()).ok_or_else(|| {
            Failure::new(Exit::Usage, "which deployment? Name it with --deployment, or set REMIT_DEPLOYMENT")
        })?;
        let connected = Connected::for_a_person(settings).await?;
        let temporal = PayoutClient::temporal(&connected.client).clone();
        Ok((name.as_str().to_owned(), Deployment::new(temporal, name.as_str())))
    }
}

fn failure(error: DeploymentError) -> Failure {
    let exit = match &error {
        DeploymentError::Unknown { .. } | DeploymentError::UnknownVersion { .. } => Exit::NotFound,
        DeploymentError::NotYet { .. } | DeploymentError::Refused { .. } => Exit::Failed,
    };
    Failure { exit, error: error.into() }
}

/// In words, why or why not.
fn may_stop(version: &Version) -> String {
    match version.may_stop() {
        MayStop::Yes => "yes".to_owned(),
        MayStop::GetsNew => "no: new payouts go to it".to_owned(),
        MayStop::Needed(open) => format!("no: {open} to finish"),
        MayStop::NotSure => "not yet: nothing is listed, and the server has still to confirm it".to_owned(),
    }
}

fn row(version: &Version) -> Vec<String> {
    vec![
        version.build_id.clone(),
        version.state.as_str().to_owned(),
        version.open.to_string(),
        rfc3339(version.created),
        rfc3339(version.last_current),
        may_stop(version),
    ]
}

fn json_of(name: &str, described: &Described) -> Value {
    let time = |time: Option<_>| time.map(|time| rfc3339(Some(time)));
    let versions: Vec<Value> = described
        .versions
        .iter()
        .map(|version| {
            json!({
                "buildId": version.build_id, "state": version.state.as_str(), "open": version.open,
                "firstSeen": time(version.created), "lastCurrent": time(version.last_current),
                "mayStop": version.may_stop() == MayStop::Yes, "why": may_stop(version),
            })
        })
        .collect();
    json!({"deployment": name, "versions": versions, "unassigned": described.unassigned})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(state: VersionState, open: u64) -> Version {
        Version { build_id: "b1".into(), state, created: None, last_current: None, open }
    }

    #[test]
    fn a_build_that_is_needed_says_for_how_many_payouts() {
        assert_eq!(row(&version(VersionState::Draining, 3))[5], "no: 3 to finish");
        assert_eq!(row(&version(VersionState::Drained, 0))[5], "yes");
        assert!(row(&version(VersionState::Current, 0))[5].starts_with("no: new payouts"));
    }

    #[test]
    fn in_json_only_a_build_that_may_be_stopped_for_sure_says_so() {
        let versions = vec![version(VersionState::Draining, 0), version(VersionState::Drained, 0)];
        let json = json_of("remit", &Described { versions, unassigned: 2 });
        assert_eq!((&json["versions"][0]["mayStop"], &json["versions"][1]["mayStop"]), (&json!(false), &json!(true)));
        assert_eq!((&json["deployment"], &json["unassigned"]), (&json!("remit"), &json!(2)));
    }

    #[test]
    fn what_does_not_exist_is_told_apart_from_what_failed() {
        let unknown = DeploymentError::UnknownVersion { name: "remit".into(), build_id: "b9".into() };
        assert_eq!(failure(unknown).exit, Exit::NotFound);
        let not_yet = DeploymentError::NotYet { build_id: "b2".into(), why: "its workers do not poll".into() };
        assert_eq!(failure(not_yet).exit, Exit::Failed);
    }
}
