//! The policy, as the doctor sees it: in force, signed as the settings demand, and readable.

use remit_domain::policy::Policy;
use remit_records::Records;

use super::{Finding, chain as causes, unusable};
use crate::{
    policy::{Chain, Standing},
    settings::Settings,
};

const CHECK: &str = "policy";

pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let publishers = match settings.publishers() {
        Ok(publishers) => publishers,
        Err(error) => return vec![unusable(CHECK, &error)],
    };
    let url = match settings.records_url() {
        Ok(url) => url,
        Err(error) => return vec![unusable(CHECK, &error)],
    };
    // Records that do not open have a finding of their own.
    let Ok(records) = Records::open(&url).await else { return vec![] };
    let (rows, held) = (records.revisions().await, held(&records).await);
    records.close().await;
    let unreadable = |error| vec![Finding::fail(CHECK, causes(&error), "look at the database")];
    let mut findings = match rows {
        Ok(rows) => say(&Chain::new(rows, publishers)),
        Err(error) => return unreadable(error),
    };
    match held {
        Ok(0) => {}
        Ok(many) => findings.push(Finding::warn(
            CHECK,
            format!(
                "{many} payouts have ended while it was not certain where their tokens are: they count in every limit"
            ),
            "`remit reservation list --held`, look at the chain, then `remit reservation settle`",
        )),
        Err(error) => return unreadable(error),
    }
    findings
}

/// How many of the oldest reservations wait for a person.
async fn held(records: &Records) -> Result<usize, remit_records::Error> {
    let mut held = 0;
    for reservation in records.open_reservations(None, 500).await?.items {
        let row = records.payout(&reservation.key).await?;
        held += usize::from(row.is_some_and(|row| row.outcome.is_some()));
    }
    Ok(held)
}

fn say(chain: &Chain) -> Vec<Finding> {
    let mut findings = vec![match chain.in_force() {
        Err(problem) => Finding::fail(
            CHECK,
            format!("what is on record cannot be trusted, and nothing is paid: {problem}"),
            "see `remit policy history` and `remit audit verify`",
        ),
        Ok(None) => Finding::fail(
            CHECK,
            "none is in force, and nothing is paid",
            "publish one with `remit policy publish`, signed by as many publishers as the settings ask for",
        ),
        Ok(Some(revision)) => match Policy::read(&revision.content) {
            Ok(policy) => {
                let signed = chain.signed_by(revision).join(", ");
                let found = format!("{:?}, revision {}, is in force, signed by {signed}", policy.name, revision.number);
                Finding::ok(CHECK, found)
            }
            Err(errors) => Finding::fail(
                CHECK,
                format!("revision {} is in force, and this build cannot read it: {}", revision.number, errors[0]),
                "run the build that it was written for, or publish one that this build reads",
            ),
        },
    }];
    if let Some(newest) = chain.newest().filter(|newest| chain.standing(newest.number) == Standing::Pending)
        && let Some(lacks) = chain.lacks(newest)
    {
        let found = format!("revision {} is not in force yet: it lacks the signature of {lacks}", newest.number);
        findings.push(Finding::warn(CHECK, found, format!("`remit policy sign {}`", newest.number)));
    }
    findings
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use remit_domain::policy::{Publishers, Revision};
    use remit_keys::PrivateKey;
    use remit_records::RevisionRow;

    use super::{super::Verdict, *};

    /// Revisions with these contents; all are signed but, where it says so, the newest.
    fn verdicts(contents: &[&str], newest_is_signed: bool) -> Vec<Verdict> {
        let key = PrivateKey::generate().expect("a key");
        let publishers =
            Publishers { keys: [("ana".to_owned(), key.public().to_string())].into(), quorum: 1, at_least: 0 };
        let mut rows: Vec<RevisionRow> = vec![];
        for (number, content) in (1..).zip(contents) {
            let previous = rows.last().map(|before| before.hash.clone());
            let revision = Revision::make(number, previous, content, "ana", "");
            let signature = key.sign(revision.statement().text().as_bytes()).to_string();
            let is_signed = newest_is_signed || rows.len() + 1 < contents.len();
            rows.push(RevisionRow {
                number,
                previous: revision.previous,
                hash: revision.hash,
                content: revision.content,
                author: revision.author,
                note: revision.note,
                published_at: Timestamp::UNIX_EPOCH,
                signatures: is_signed.then(|| ("ana".to_owned(), signature)).into_iter().collect(),
            });
        }
        say(&Chain::new(rows, publishers)).iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn without_a_policy_that_can_be_read_nothing_is_paid() {
        assert_eq!(verdicts(&["name = \"good\""], true), [Verdict::Ok]);
        assert_eq!(verdicts(&["colour = 1"], true), [Verdict::Fail]);
        assert_eq!(verdicts(&[], true), [Verdict::Fail]);
    }

    #[test]
    fn a_revision_that_lacks_signatures_is_told() {
        assert_eq!(verdicts(&["name = \"good\"", "name = \"next\""], false), [Verdict::Ok, Verdict::Warn]);
        assert_eq!(verdicts(&["name = \"first\""], false), [Verdict::Fail, Verdict::Warn]);
    }
}
