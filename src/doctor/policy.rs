//! The policy, as the doctor sees it: in force, signed as the settings demand, and readable.

use remit_domain::policy::{Policy, Publishers};
use remit_records::Records;

use super::{Finding, unusable};
use crate::{
    policy::dfns::{Standing, standing},
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
    let found = standing(&records, &publishers).await;
    records.close().await;
    match found {
        Ok(standing) => say(&standing, &publishers),
        Err(error) => vec![Finding::fail(
            CHECK,
            format!("{error:#}"),
            "nothing is paid until that is cleared up: `remit policy history` shows the revisions",
        )],
    }
}

fn say(standing: &Standing, publishers: &Publishers) -> Vec<Finding> {
    let quorum = format!("{} of {}", publishers.quorum, publishers.keys.keys().cloned().collect::<Vec<_>>().join(", "));
    let mut findings = Vec::new();
    findings.push(match &standing.in_force {
        None => Finding::fail(
            CHECK,
            format!("none is in force, signed by {quorum}: nothing is paid"),
            "publish one with `remit policy publish`",
        ),
        Some(revision) => match Policy::read(&revision.content) {
            Ok(policy) => Finding::ok(
                CHECK,
                format!("{:?}, revision {}, is in force, signed by {quorum}", policy.name, revision.number),
            ),
            Err(errors) => Finding::fail(
                CHECK,
                format!("revision {} is in force, and this build cannot read it: {}", revision.number, errors[0]),
                "run the build that it was written for, or publish one that this build reads",
            ),
        },
    });
    findings.extend(standing.pending.map(|number| {
        let todo = format!("have {quorum} sign it, with `remit policy sign {number}`");
        Finding::warn(CHECK, format!("revision {number} lacks signatures, and is not in force"), todo)
    }));
    findings
}

#[cfg(test)]
mod tests {
    use remit_domain::policy::Revision;

    use super::{super::Verdict, *};

    fn verdicts(in_force: Option<&str>, pending: Option<u32>) -> Vec<Verdict> {
        let publishers = Publishers { keys: [("ana".to_owned(), "ed25519:x".to_owned())].into(), quorum: 1 };
        let in_force = in_force.map(|content| Revision::make(1, None, content, "ana", ""));
        say(&Standing { in_force, pending }, &publishers).iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn without_a_policy_that_can_be_read_nothing_is_paid() {
        assert_eq!(verdicts(Some("name = \"good\""), None), [Verdict::Ok]);
        assert_eq!(verdicts(Some("colour = 1"), None), [Verdict::Fail]);
        assert_eq!(verdicts(None, None), [Verdict::Fail]);
    }

    #[test]
    fn a_revision_that_lacks_signatures_is_told() {
        assert_eq!(verdicts(Some("name = \"good\""), Some(2)), [Verdict::Ok, Verdict::Warn]);
    }
}
