//! `remit policy publish`, and the making and signing of revisions.

use std::path::PathBuf;

use remit_domain::policy::{Policy, Revision};
use remit_keys::PrivateKey;
use remit_records::{AddedRevision, NewRevision, Records, SignedRevision};
use serde_json::json;

use super::{Chain, check::Checked, diff::unified, records};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    payout::user,
    settings::Settings,
    signing::private_key,
};

/// Flags of `remit policy publish`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit policy publish policy.toml --dry-run
  remit policy publish policy.toml --note 'refunds: at most 500 USD' --author ana --key ana.pem
  remit policy publish policy.toml --note 'refunds' --author ana --key ana.pem --key ben.pem

Checks the file and its cases (`remit policy check`), shows what changes, makes the next revision and signs it. It is in
force for every decision from the moment that a quorum of the publishers (REMIT_POLICY_PUBLISHERS, REMIT_POLICY_QUORUM)
has signed it, payouts that are under way included: they are decided again before they are confirmed. Until then the
one before stays in force, and no other can follow. A file that is in force already is not published again.

Exit codes: 0 published, or in force already · 2 the file cannot be published, or a key is no publisher's · 5 another \
revision came in between, or waits for signatures · 1 anything else.")]
pub struct Args {
    /// The policy
    file: PathBuf,
    /// What changes, for whoever reads the history
    #[arg(long, required_unless_present = "dry_run")]
    note: Option<String>,
    #[command(flatten)]
    by: By,
    /// Check it, and show what would change; publish nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Who writes a revision, and who signs it.
#[derive(Debug, clap::Args)]
pub(super) struct By {
    /// Who wrote it
    #[arg(long, env = "REMIT_OPERATOR", default_value_t = user())]
    author: String,
    #[command(flatten)]
    keys: Keys,
}

/// Who signs.
#[derive(Debug, clap::Args)]
pub(super) struct Keys {
    /// A publisher's private key; several times for several publishers
    #[arg(long, value_name = "FILE", env = "REMIT_PUBLISHER_KEY_FILE")]
    key: Vec<PathBuf>,
}

impl Keys {
    /// Each with its publisher's name.
    ///
    /// # Errors
    /// When there is none, one cannot be read, or one is no publisher's.
    pub(super) fn read(&self, chain: &Chain) -> Result<Vec<(String, PrivateKey)>, Failure> {
        if self.key.is_empty() {
            return Err(Failure::new(Exit::Usage, "who signs? --key FILE, or REMIT_PUBLISHER_KEY_FILE"));
        }
        let with_name = |file: &PathBuf| {
            let key = private_key(file)?;
            let public = key.public().to_string();
            let name = chain.publisher_of(&public).ok_or_else(|| {
                let why = format!("{}: {public} is no publisher's; see REMIT_POLICY_PUBLISHERS", file.display());
                Failure::new(Exit::Usage, why)
            })?;
            Ok((name.to_owned(), key))
        };
        self.key.iter().map(with_name).collect()
    }
}

/// Publishes a file.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let checked = Checked::file(&args.file)?;
    checked.lines().iter().for_each(out::note);
    if !checked.is_good() {
        return Err(Failure::new(Exit::Usage, format!("{} cannot be published like this", args.file.display())));
    }
    let note = args.note.unwrap_or_default();
    let plan = Plan { content: &checked.text, note: &note, by: &args.by, dry_run: args.dry_run, json: args.json };
    plan.carry_out(&records(settings).await?, settings).await
}

/// A revision that is to be made.
pub(super) struct Plan<'a> {
    pub(super) content: &'a str,
    pub(super) note: &'a str,
    pub(super) by: &'a By,
    pub(super) dry_run: bool,
    pub(super) json: bool,
}

impl Plan<'_> {
    /// Shows what changes, then makes the next revision and signs it.
    pub(super) async fn carry_out(&self, records: &Records, settings: &Settings) -> Outcome {
        let chain = Chain::read(records, settings).await?;
        let in_force = chain.trusted()?;
        if let Some(pending) = chain.revisions.last().filter(|newest| Some(*newest) != in_force) {
            let (number, lacks) = (pending.number, chain.lacks(pending).unwrap_or_default());
            let why = format!(
                "revision {number} is not in force yet (it needs {lacks}) and no other can follow before: \
                 `remit policy sign {number}`, and then `remit policy rollback` if it is not wanted any more"
            );
            return Err(Failure::new(Exit::Conflict, why));
        }
        let (before, name) = match in_force {
            Some(revision) => (revision.content.as_str(), format!("revision {}", revision.number)),
            None => ("", "nothing".to_owned()),
        };
        let number = in_force.map_or(1, |revision| revision.number + 1);
        let difference = unified(before, self.content, &name, &format!("revision {number}"));
        if let Some(same) = in_force.filter(|_| difference.is_empty()) {
            out::note(format_args!("revision {} is the same, and in force: nothing to publish", same.number));
            return self.tell(&chain, same, "in force already");
        }
        if !self.json {
            out::line(difference.trim_end_matches('\n'))?;
        }
        if self.dry_run {
            if self.json {
                out::json(&json!({"revision": number, "diff": difference}))?;
            }
            return Ok(Exit::Done);
        }
        // Before anything is written: a revision that nobody can sign would be in everyone's way.
        let signers = self.by.keys.read(&chain)?;
        let previous = in_force.map(|revision| revision.hash.clone());
        let revision = Revision::make(number, previous, self.content, &self.by.author, self.note);
        add(records, &revision).await?;
        sign(records, &revision, &signers).await?;
        let chain = Chain::read(records, settings).await?;
        records.close().await;
        self.tell(&chain, &revision, "published")
    }

    fn tell(&self, chain: &Chain, revision: &Revision, word: &str) -> Outcome {
        tell(chain, revision.number, word, self.json)
    }
}

async fn add(records: &Records, revision: &Revision) -> Result<(), Failure> {
    let new = NewRevision {
        number: revision.number,
        previous: revision.previous.as_deref(),
        hash: &revision.hash,
        content: &revision.content,
        author: &revision.author,
        note: &revision.note,
    };
    match records.add_revision(&new).await? {
        AddedRevision::Added | AddedRevision::Already => Ok(()),
        AddedRevision::Taken { .. } | AddedRevision::NotNext { .. } => {
            let why = "another revision was published at this moment: see `remit policy diff`, then publish again";
            Err(Failure::new(Exit::Conflict, why))
        }
    }
}

/// Signs a revision that is on record.
pub(super) async fn sign(
    records: &Records,
    revision: &Revision,
    signers: &[(String, PrivateKey)],
) -> Result<(), Failure> {
    let text = revision.statement().text();
    for (name, key) in signers {
        let signature = key.sign(text.as_bytes()).to_string();
        match records.sign_revision(revision.number, name, &signature).await? {
            SignedRevision::Now => {}
            SignedRevision::Already => out::note(format_args!("{name} has signed it before")),
            SignedRevision::NoRevision => return Err(super::no_revision(revision.number)),
        }
    }
    Ok(())
}

/// Says where a revision stands now.
pub(super) fn tell(chain: &Chain, number: u32, word: &str, json: bool) -> Outcome {
    if json {
        let mut json = super::show::json_of(chain, number)?;
        json["answer"] = word.into();
        out::json(&json)?;
        return Ok(Exit::Done);
    }
    match chain.lacks(chain.get(number)?) {
        None => out::line(format_args!("{word}: revision {number} is in force"))?,
        Some(lacks) => out::line(format_args!(
            "{word}: revision {number} is not in force yet; it needs {lacks}: `remit policy sign {number} --key FILE`"
        ))?,
    }
    Ok(Exit::Done)
}

/// Whether this build understands a policy that is on record.
pub(super) fn understood(revision: &Revision) -> Result<(), Failure> {
    Policy::read(&revision.content).map(drop).map_err(|errors| {
        let all: Vec<String> = errors.iter().map(|error| format!("  {error}")).collect();
        Failure::new(Exit::Usage, format!("revision {} is not understood:\n{}", revision.number, all.join("\n")))
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::{super::tests::publishers, *};

    #[test]
    fn only_publishers_sign_and_each_under_the_name_of_the_key() {
        let (publishers, [_, ben]) = publishers();
        let chain = Chain::new(vec![], publishers);
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, key: &PrivateKey| {
            let file = folder.path().join(name);
            std::fs::write(&file, key.to_pem().expose_secret()).expect("written");
            file
        };
        let bens = file("any-name.pem", &ben);
        let read = |key: Vec<PathBuf>| Keys { key }.read(&chain);
        let names: Vec<String> = read(vec![bens.clone()]).expect("a publisher").into_iter().map(|it| it.0).collect();
        assert_eq!(names, ["ben"]);
        let eves = file("ben.pem", &PrivateKey::generate().expect("a key"));
        for keys in [vec![], vec![bens, eves], vec![folder.path().join("none.pem")]] {
            assert_eq!(read(keys).map(drop).expect_err("refused").exit, Exit::Usage);
        }
    }
}
