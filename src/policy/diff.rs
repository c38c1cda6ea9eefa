//! `remit policy diff`, and the text of a difference.

use std::{path::PathBuf, str::FromStr};

use remit_domain::policy::Revision;
use serde_json::json;
use similar::TextDiff;

use super::{Chain, read, records};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::Settings,
};

/// Flags of `remit policy diff`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit policy diff                    what the newest revision changed
  remit policy diff policy.toml        what publishing this file would change
  remit policy diff 3                  what going back to revision 3 would change
  remit policy diff 2 4

A difference as `diff -u` writes it. One place alone is compared with the policy in force.
Exit codes: 0 compared, even when nothing differs · 4 there is no such revision · 2 settings, no such file · \
1 anything else.")]
pub struct Args {
    /// From: a revision, or a file
    #[arg(value_name = "A")]
    from: Option<Place>,
    /// To: a revision, or a file
    #[arg(value_name = "B")]
    to: Option<Place>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Where a policy is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Revision(u32),
    File(PathBuf),
}

impl FromStr for Place {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(0) => Err("revisions are counted from 1"),
            Ok(number) => Ok(Self::Revision(number)),
            Err(_) if text.is_empty() => Err("expected a revision or a file"),
            Err(_) => Ok(Self::File(text.into())),
        }
    }
}

/// One side of a comparison.
struct Side {
    name: String,
    text: String,
}

impl Side {
    fn nothing() -> Self {
        Self { name: "nothing".into(), text: String::new() }
    }

    fn of(revision: &Revision) -> Self {
        Self { name: format!("revision {}", revision.number), text: revision.content.clone() }
    }

    fn at(place: &Place, chain: &Chain) -> Result<Self, Failure> {
        match place {
            Place::Revision(number) => chain.get(*number).map(Self::of),
            Place::File(file) => Ok(Self { name: file.display().to_string(), text: read(file)? }),
        }
    }
}

/// Compares them.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let records = records(settings).await?;
    let chain = Chain::read(&records, settings).await?;
    records.close().await;
    let (from, to) = match (&args.from, &args.to) {
        (Some(from), Some(to)) => (Side::at(from, &chain)?, Side::at(to, &chain)?),
        (Some(to), None) => (chain.trusted()?.map_or_else(Side::nothing, Side::of), Side::at(to, &chain)?),
        (None, _) => match chain.revisions.as_slice() {
            [.., before, newest] => (Side::of(before), Side::of(newest)),
            [only] => (Side::nothing(), Side::of(only)),
            [] => return Err(Failure::new(Exit::NotFound, "there is no policy yet: nothing to compare")),
        },
    };
    let difference = unified(&from.text, &to.text, &from.name, &to.name);
    if args.json {
        out::json(&json!({"from": from.name, "to": to.name, "same": difference.is_empty(), "diff": difference}))?;
    } else if difference.is_empty() {
        out::note(format_args!("{} and {} are the same", from.name, to.name));
    } else {
        out::line(difference.trim_end_matches('\n'))?;
    }
    Ok(Exit::Done)
}

/// As `diff -u` writes it; empty when nothing differs.
pub(super) fn unified(from: &str, to: &str, from_name: &str, to_name: &str) -> String {
    TextDiff::from_lines(from, to).unified_diff().context_radius(3).header(from_name, to_name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_revision_or_a_file() {
        assert_eq!("3".parse(), Ok(Place::Revision(3)));
        assert_eq!("3.toml".parse(), Ok(Place::File("3.toml".into())));
        assert_eq!("./3".parse(), Ok(Place::File("./3".into())));
        assert!("0".parse::<Place>().is_err() && "".parse::<Place>().is_err());
    }

    #[test]
    fn a_difference_shows_what_goes_and_what_comes() {
        let text = unified("a\nlimit = 1\nz\n", "a\nlimit = 2\nz\n", "revision 1", "policy.toml");
        assert_eq!(text, "--- revision 1\n+++ policy.toml\n@@ -1,3 +1,3 @@\n a\n-limit = 1\n+limit = 2\n z\n");
        assert_eq!(unified("a\n", "a\n", "one", "other"), "");
        assert!(unified("", "a\n", "nothing", "revision 1").contains("+a\n"));
        assert!(unified("a", "a\n", "one", "other").contains("No newline at end of file"));
    }
}
