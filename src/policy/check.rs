//! `remit policy check`, and what every command asks of a file before it becomes a policy.

use std::path::{Path, PathBuf};

use remit_domain::policy::{Policy, PolicyError, content_hash};
use serde_json::json;

use super::{
    cases::{self, Tried},
    read,
};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
};

/// Flags of `remit policy check`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit policy check policy.toml
  remit policy check policy.toml --json | jq '.cases[] | select(.passed | not)'

Says everything that is wrong with the file, each with its line; then what is allowed and yet hardly meant (warnings); then
decides the payouts in policy.tests.toml, where that file stands beside it, and says which come out otherwise:

  [usual]
  starter = \"payroll\"
  program = \"payroll\"
  [[case]]
  name = \"a large salary is asked for\"
  worth = \"12_000 USD\"
  verdict = \"needsApproval\"
  triggers = [\"large\"]

Needs neither records nor Temporal. Exit codes: 0 it can be published · 2 it cannot, or a case comes out otherwise.")]
pub struct Args {
    /// The policy
    file: PathBuf,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// What there is to say about a policy file.
pub(super) struct Checked {
    file: PathBuf,
    /// The file.
    pub(super) text: String,
    /// The policy in it.
    pub(super) policy: Result<Policy, Vec<PolicyError>>,
    cases: Result<Vec<Tried>, String>,
}

impl Checked {
    /// Reads a file and its table of cases.
    pub(super) fn file(file: &Path) -> Result<Self, Failure> {
        let text = read(file)?;
        let table = cases::beside(file);
        let table = if table.exists() { Some(read(&table)?) } else { None };
        Ok(Self::of(file, text, table.as_deref()))
    }

    fn of(file: &Path, text: String, table: Option<&str>) -> Self {
        let policy = Policy::read(&text);
        let cases = match (&policy, table) {
            (Ok(policy), Some(table)) => cases::run(policy, table),
            (Ok(_), None) | (Err(_), _) => Ok(vec![]),
        };
        Self { file: file.to_owned(), text, policy, cases }
    }

    fn warnings(&self) -> Vec<String> {
        self.policy.iter().flat_map(Policy::warnings).map(|warning| warning.to_string()).collect()
    }

    /// Whether it may be published.
    pub(super) fn is_good(&self) -> bool {
        let passed = |cases: &Vec<Tried>| cases.iter().all(|case| case.differs.is_empty());
        self.policy.is_ok() && self.cases.as_ref().is_ok_and(passed)
    }

    /// Everything that there is to say, for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let name = self.file.display();
        let mut lines = Vec::new();
        for PolicyError { line, field, problem } in self.policy.as_ref().err().into_iter().flatten() {
            lines.push(format!("{name}:{line}: {field}: {problem}"));
        }
        lines.extend(self.warnings().iter().map(|warning| format!("warning: {warning}")));
        match &self.cases {
            Err(why) => lines.push(format!("{}: {why}", cases::beside(&self.file).display())),
            Ok(cases) => {
                for case in cases.iter().filter(|case| !case.differs.is_empty()) {
                    lines.extend(case.differs.iter().map(|differs| format!("case {:?}: {differs}", case.name)));
                }
            }
        }
        lines
    }
}

/// Checks a file.
///
/// # Errors
/// Exit codes as the help says.
pub fn run(args: Args) -> Outcome {
    let checked = Checked::file(&args.file)?;
    let exit = if checked.is_good() { Exit::Done } else { Exit::Usage };
    if args.json {
        let error = |error: &PolicyError| json!({"line": error.line, "field": error.field, "problem": error.problem});
        let errors: Vec<_> = checked.policy.as_ref().err().into_iter().flatten().map(error).collect();
        let tried =
            |case: &Tried| json!({"name": case.name, "passed": case.differs.is_empty(), "differs": case.differs});
        let cases: Vec<_> = checked.cases.iter().flatten().map(tried).collect();
        out::json(&json!({
            "good": checked.is_good(), "contentSha256": content_hash(&checked.text), "errors": errors,
            "warnings": checked.warnings(), "cases": cases, "casesError": checked.cases.as_ref().err(),
        }))?;
        return Ok(exit);
    }
    checked.lines().iter().try_for_each(out::line)?;
    match (&checked.policy, &checked.cases) {
        (Ok(policy), Ok(cases)) if checked.is_good() => out::line(format_args!(
            "policy {:?}: good, {}, {}",
            policy.name,
            many(policy.rules.len(), "rule"),
            match cases.len() {
                0 => format!("no cases in {}", cases::beside(&args.file).display()),
                cases => format!("{} as expected", many(cases, "case")),
            }
        ))?,
        _ => out::note("it cannot be published like this"),
    }
    Ok(exit)
}

/// `1 rule`, `2 rules`.
pub(super) fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "name = \"p\"\nunsigned_starts = \"allow\"\n[orders]\nunsigned = \"allow\"\n\
                          [[rule]]\nname = \"all\"\nkind = \"AlwaysTrigger\"\naction = \"Flag\"\n";

    fn lines(policy: &str, table: Option<&str>) -> (bool, Vec<String>) {
        let checked = Checked::of(Path::new("policy.toml"), policy.to_owned(), table);
        (checked.is_good(), checked.lines())
    }

    #[test]
    fn errors_come_with_file_and_line_and_keep_cases_from_being_tried() {
        let (good, lines) = lines(&POLICY.replace("\"Flag\"", "\"Pay\""), Some("not a table"));
        assert!(!good && lines.len() == 1, "{lines:?}");
        assert!(lines[0].starts_with("policy.toml:8: rule \"all\".action"), "{lines:?}");
    }

    /// The block of the page after this mark.
    fn documented(mark: &str) -> String {
        let page = include_str!("../../docs/policy.md");
        let (_, after) = page.split_once(&format!("<!-- tested: {mark} -->\n```toml\n")).expect("the mark");
        after.split_once("```").expect("its end").0.to_owned()
    }

    #[test]
    fn the_policy_that_the_documents_show_is_good_and_says_what_they_say() {
        let (good, lines) = lines(&documented("policy"), Some(&documented("cases")));
        assert!(good && lines.is_empty(), "{lines:#?}");
    }

    #[test]
    fn warnings_alone_keep_nothing_from_being_published() {
        let idle = format!("{POLICY}[people.ana]\nkey = \"ed25519:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\"\n");
        let (good, lines) = lines(&idle, None);
        assert!(good && lines.iter().any(|line| line.starts_with("warning: person \"ana\"")), "{lines:?}");
    }

    #[test]
    fn a_case_that_comes_out_otherwise_and_a_table_that_is_not_understood_do() {
        let case = "[[case]]\nname = \"small\"\nworth = \"5 USD\"\nverdict = \"blocked\"\ntriggers = [\"all\"]\n";
        let (good, said) = lines(POLICY, Some(case));
        assert!(
            !good && said.iter().any(|line| line.starts_with("case \"small\":") && line.contains("expected blocked")),
            "{said:?}"
        );
        assert!(lines(POLICY, Some(&case.replace("blocked", "allowed"))).0);
        let (good, said) = lines(POLICY, Some("[[cases]]"));
        assert!(!good && said.iter().any(|line| line.starts_with("policy.tests.toml: line 1")), "{said:?}");
    }
}
