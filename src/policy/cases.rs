//! The table of cases beside a policy file: what the policy must say of payouts that somebody thought of.

use std::path::{Path, PathBuf};

use remit_domain::policy::{Policy, run_cases};

/// What came of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tried {
    /// The case's name.
    pub(super) name: String,
    /// What is otherwise than expected; empty when nothing is.
    pub(super) differs: Vec<String>,
}

/// The file of cases that belongs to a policy file: `policy.tests.toml` beside `policy.toml`.
pub(super) fn beside(policy: &Path) -> PathBuf {
    policy.with_extension("tests.toml")
}

/// Decides every case by the policy.
///
/// # Errors
/// What is wrong with the table.
pub(super) fn run(policy: &Policy, table: &str) -> Result<Vec<Tried>, String> {
    let results = run_cases(policy, table).map_err(|errors| {
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        all.join("; ")
    })?;
    let tried = |result: &remit_domain::policy::CaseResult| Tried {
        name: result.name.clone(),
        differs: if result.passed() { vec![] } else { vec![result.to_string()] },
    };
    Ok(results.iter().map(tried).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_stand_beside_their_policy() {
        assert_eq!(beside(Path::new("a/policy.toml")), Path::new("a/policy.tests.toml"));
    }
}
