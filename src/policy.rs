//! `remit policy`: what may be paid, written, tried out, published and taken back.

mod cases;
mod check;
pub(crate) mod dfns;
mod diff;
mod history;
mod preview;
mod publish;
mod rollback;
mod show;
mod sign;

use std::path::Path;

use anyhow::Context;
use remit_domain::policy::{Publishers, Revision, RevisionProblem, active};
use remit_keys::verified;
use remit_records::{Records, RevisionRow};

use crate::{
    exit::{Exit, Failure, Outcome},
    settings::Settings,
};

/// What to do about the policy.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Say everything that is wrong with a policy file, and run its table of cases
    Check(check::Args),
    /// The policy in force, or a revision
    Show(show::Args),
    /// All revisions: who wrote, signed and published what, and which is in force
    History(history::Args),
    /// What changes from one revision, or file, to another
    Diff(diff::Args),
    /// What would have been decided otherwise about recent payouts
    Preview(preview::Args),
    /// Make a file the next revision, and sign it
    Publish(publish::Args),
    /// Sign a revision that needs more than one publisher
    Sign(sign::Args),
    /// Make the content of an older revision the next one
    Rollback(rollback::Args),
    /// What would change at Dfns, so that its own policies say what ours says
    Plan(dfns::PlanArgs),
    /// Write it there
    Apply(dfns::ApplyArgs),
}

/// Runs the command.
///
/// # Errors
/// As the command says.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    match command {
        Command::Check(args) => check::run(args),
        Command::Show(args) => show::run(args, settings).await,
        Command::History(args) => history::run(args, settings).await,
        Command::Diff(args) => diff::run(args, settings).await,
        Command::Preview(args) => preview::run(args, settings).await,
        Command::Publish(args) => publish::run(args, settings).await,
        Command::Sign(args) => sign::run(args, settings).await,
        Command::Rollback(args) => rollback::run(args, settings).await,
        Command::Plan(args) => dfns::plan(args, settings).await,
        Command::Apply(args) => dfns::apply(args, settings).await,
    }
}

async fn records(settings: &Settings) -> Result<Records, Failure> {
    let url = settings.records_url().map_err(Failure::usage)?;
    Ok(Records::open(&url).await?)
}

/// A policy file's text.
fn read(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
    text.map_err(|error| Failure { exit: Exit::Usage, error })
}

/// All revisions on record, the first one first, and whose word is taken for them.
pub(crate) struct Chain {
    rows: Vec<RevisionRow>,
    revisions: Vec<Revision>,
    publishers: Publishers,
}

/// Where a revision stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It decides.
    InForce,
    /// It is the newest, and publishers still have to sign it.
    Pending,
    /// Another one follows it.
    Past,
    /// The chain is broken: nothing of it is believed.
    Untrusted,
}

impl Standing {
    fn as_str(self) -> &'static str {
        match self {
            Self::InForce => "in force",
            Self::Pending => "needs signatures",
            Self::Past => "past",
            Self::Untrusted => "not trusted",
        }
    }
}

impl Chain {
    async fn read(records: &Records, settings: &Settings) -> Result<Self, Failure> {
        let publishers = settings.publishers().map_err(Failure::usage)?;
        Ok(Self::new(records.revisions().await?, publishers))
    }

    pub(crate) fn new(rows: Vec<RevisionRow>, publishers: Publishers) -> Self {
        let revisions = rows.iter().map(RevisionRow::revision).collect();
        Self { rows, revisions, publishers }
    }

    pub(crate) fn in_force(&self) -> Result<Option<&Revision>, RevisionProblem> {
        active(&self.revisions, &self.publishers, &verified)
    }

    /// The one in force, where commands cannot do without a chain that is whole.
    fn trusted(&self) -> Result<Option<&Revision>, Failure> {
        let untrusted = |problem: RevisionProblem| {
            let why = format!(
                "the policy on record cannot be trusted: {problem}; workers decide nothing until it is mended. \
                 See `remit policy history` and `remit audit verify`"
            );
            Failure::new(Exit::Failed, why)
        };
        self.in_force().map_err(untrusted)
    }

    fn get(&self, number: u32) -> Result<&Revision, Failure> {
        let found = self.revisions.iter().find(|revision| revision.number == number);
        found.ok_or_else(|| no_revision(number))
    }

    fn row(&self, number: u32) -> Result<&RevisionRow, Failure> {
        self.rows.iter().find(|row| row.number == number).ok_or_else(|| no_revision(number))
    }

    pub(crate) fn standing(&self, number: u32) -> Standing {
        match self.in_force() {
            Err(_) => Standing::Untrusted,
            Ok(Some(revision)) if revision.number == number => Standing::InForce,
            Ok(in_force) if in_force.is_none_or(|revision| revision.number < number) => Standing::Pending,
            Ok(_) => Standing::Past,
        }
    }

    /// Publishers whose signature of this revision is good.
    pub(crate) fn signed_by(&self, revision: &Revision) -> Vec<&str> {
        let text = revision.statement().text();
        let good = |name: &&String| {
            let key = &self.publishers.keys[*name];
            revision.signatures.iter().any(|it| it.publisher == **name && verified(key, &text, &it.signature))
        };
        self.publishers.keys.keys().filter(good).map(String::as_str).collect()
    }

    /// The newest revision, in force or not.
    pub(crate) fn newest(&self) -> Option<&Revision> {
        self.revisions.last()
    }

    /// What a revision still lacks, in words; none when it has enough.
    pub(crate) fn lacks(&self, revision: &Revision) -> Option<String> {
        let signed = self.signed_by(revision);
        let have = u32::try_from(signed.len()).unwrap_or(u32::MAX);
        let more = self.publishers.quorum.max(1).checked_sub(have).filter(|more| *more > 0)?;
        let others: Vec<&str> =
            self.publishers.keys.keys().map(String::as_str).filter(|name| !signed.contains(name)).collect();
        Some(format!("{more} more of {}", others.join(", ")))
    }

    /// The name of the publisher whose key this is.
    fn publisher_of(&self, key: &str) -> Option<&str> {
        self.publishers.keys.iter().find(|(_, known)| *known == key).map(|(name, _)| name.as_str())
    }
}

fn no_revision(number: u32) -> Failure {
    Failure::new(Exit::NotFound, format!("there is no revision {number}: see `remit policy history`"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use remit_keys::PrivateKey;

    use super::*;

    /// Publishers of whom two have to sign, and their keys.
    pub(super) fn publishers() -> (Publishers, [PrivateKey; 2]) {
        let keys = [(); 2].map(|()| PrivateKey::generate().expect("a key"));
        let names = ["ana", "ben"].into_iter().zip(&keys);
        let names = names.map(|(name, key)| (name.to_owned(), key.public().to_string())).collect();
        (Publishers { keys: names, quorum: 2, at_least: 0 }, keys)
    }

    pub(super) fn row(revision: &Revision, signed: &[(&str, &PrivateKey)]) -> RevisionRow {
        let sign = |(name, key): &(&str, &PrivateKey)| {
            ((*name).to_owned(), key.sign(revision.statement().text().as_bytes()).to_string())
        };
        RevisionRow {
            number: revision.number,
            previous: revision.previous.clone(),
            hash: revision.hash.clone(),
            content: revision.content.clone(),
            author: revision.author.clone(),
            note: revision.note.clone(),
            published_at: Timestamp::UNIX_EPOCH,
            signatures: signed.iter().map(sign).collect(),
        }
    }

    #[test]
    fn a_revision_is_in_force_once_enough_publishers_have_signed_it() {
        let (publishers, [ana, ben]) = publishers();
        let first = Revision::make(1, None, "name = \"one\"", "ana", "first");
        let second = Revision::make(2, Some(first.hash.clone()), "name = \"two\"", "ana", "second");
        let both = [("ana", &ana), ("ben", &ben)];
        let chain = Chain::new(vec![row(&first, &both), row(&second, &both[..1])], publishers.clone());
        assert_eq!([1, 2].map(|n| chain.standing(n)), [Standing::InForce, Standing::Pending]);
        assert_eq!(chain.lacks(&chain.revisions[1]).as_deref(), Some("1 more of ben"));
        assert_eq!(chain.get(3).expect_err("no such").exit, Exit::NotFound);

        let chain = Chain::new(vec![row(&first, &both), row(&second, &both)], publishers.clone());
        assert_eq!([1, 2].map(|n| chain.standing(n)), [Standing::Past, Standing::InForce]);
        assert_eq!(chain.lacks(&chain.revisions[1]), None);

        // Somebody else's signature under a publisher's name, and a revision that was changed.
        let forged = [("ana", &ana), ("ben", &ana)];
        let chain = Chain::new(vec![row(&first, &forged)], publishers.clone());
        assert_eq!((chain.standing(1), chain.signed_by(&chain.revisions[0])), (Standing::Pending, vec!["ana"]));
        let mut changed = row(&first, &both);
        changed.content.push('\n');
        let chain = Chain::new(vec![changed], publishers);
        assert_eq!((chain.standing(1), chain.trusted().expect_err("broken").exit), (Standing::Untrusted, Exit::Failed));
    }

    #[test]
    fn a_publisher_is_known_by_the_key() {
        let (publishers, [_, ben]) = publishers();
        let chain = Chain::new(vec![], publishers);
        assert_eq!(chain.publisher_of(&ben.public().to_string()), Some("ben"));
        assert_eq!(chain.publisher_of("ed25519:"), None);
    }
}
