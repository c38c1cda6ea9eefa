//! The sides of the comparison: ours, and workers in four languages that do the same steps and no more.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use tokio::process::Command;

/// Rules of every kind that count something, and that let the bench's payouts through.
const CONTROLS: &str = include_str!("../policies/controls.toml");
/// The least that lets a payout through.
const SMALLEST: &str = include_str!("../policies/smallest.toml");

/// Whose worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// Ours, all of it: the relay, and a policy whose rules look at limits, windows, recipients and anomalies
    Remit,
    /// Ours, with the smallest policy that lets payouts through
    RemitPlain,
    /// Bare Rust, as the SDK ships
    Bare,
    /// Bare Rust, with more slots and a fixed number of pollers
    BareTuned,
    /// Bare Go
    Go,
    /// Bare TypeScript
    Typescript,
    /// Bare Python
    Python,
}

impl Side {
    /// As it is called on the command line and in the figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Remit => "remit",
            Self::RemitPlain => "remit-plain",
            Self::Bare => "bare",
            Self::BareTuned => "bare-tuned",
            Self::Go => "go",
            Self::Typescript => "typescript",
            Self::Python => "python",
        }
    }

    /// The policy in force when it is ours.
    pub fn policy(self) -> Option<&'static str> {
        match self {
            Self::Remit => Some(CONTROLS),
            Self::RemitPlain => Some(SMALLEST),
            Self::Bare | Self::BareTuned | Self::Go | Self::Typescript | Self::Python => None,
        }
    }

    /// The program of one that is not ours.
    ///
    /// # Errors
    /// When this program cannot say where it is.
    pub fn program(self) -> Result<Command> {
        let rust = |arguments: &[&str]| {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("bare-worker").args(arguments);
            Ok(command)
        };
        match self {
            Self::Remit | Self::RemitPlain => anyhow::bail!("{} is no comparison worker", self.name()),
            Self::Bare => rust(&[]),
            Self::BareTuned => rust(&["--tuned"]),
            Self::Go | Self::Typescript | Self::Python => Ok(Command::new(self.peer().join("run"))),
        }
    }

    /// Why it cannot take part, when it cannot: its program has not been prepared.
    pub fn missing(self) -> Option<String> {
        // What `prepare` makes last, and `run` looks for.
        let made = self.peer().join(match self {
            Self::Remit | Self::RemitPlain | Self::Bare | Self::BareTuned => return None,
            Self::Go => "worker",
            Self::Typescript => "lib/workflow-bundle.js",
            Self::Python => ".venv/bin/python",
        });
        (!made.exists()).then(|| format!("{} is left out: there is no {}", self.name(), made.display()))
    }

    /// What makes its program ready, for whoever sees that it is not.
    pub fn advice(self) -> Option<String> {
        let name = self.name();
        match self {
            Self::Remit | Self::RemitPlain | Self::Bare | Self::BareTuned => None,
            Self::Go | Self::Typescript | Self::Python => Some(format!("prepare it with `bench/peers/{name}/prepare`")),
        }
    }

    fn peer(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(self.name())
    }
}

/// The sides in the order of this round: each is first once.
pub fn rotated(sides: &[Side], round: usize) -> Vec<Side> {
    let mut sides = sides.to_vec();
    let places = round % sides.len().max(1);
    sides.rotate_left(places);
    sides
}

/// Names of sides with commas between, as on the command line.
///
/// # Errors
/// When a name is none, or there is none.
pub fn parse(names: &str) -> Result<Vec<Side>, String> {
    let mut sides = vec![];
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let side = Side::from_str(name, false).map_err(|_| {
            let all: Vec<&str> = Side::value_variants().iter().map(|side| side.name()).collect();
            format!("{name:?} is no side; there are {}", all.join(", "))
        })?;
        if !sides.contains(&side) {
            sides.push(side);
        }
    }
    if sides.is_empty() { Err("expected at least one side".to_owned()) } else { Ok(sides) }
}

/// Fails with advice where a side did not start.
///
/// # Errors
/// As the start.
pub fn started<T>(side: Side, start: Result<T>) -> Result<T> {
    match side.advice() {
        Some(advice) => start.with_context(|| format!("{} did not start; {advice}", side.name())),
        None => start.with_context(|| format!("{} did not start", side.name())),
    }
}

#[cfg(test)]
mod tests {
    use remit_domain::policy::Policy;

    use super::*;

    #[test]
    fn each_side_is_first_once() {
        let sides = [Side::Remit, Side::Bare, Side::Go];
        let first: Vec<Side> = (0..4).map(|round| rotated(&sides, round)[0]).collect();
        assert_eq!(first, [Side::Remit, Side::Bare, Side::Go, Side::Remit]);
        assert!(rotated(&[], 3).is_empty());
    }

    #[test]
    fn sides_are_read_as_they_are_named_and_a_wrong_one_is_told_with_the_right_ones() {
        let names: Vec<&str> = Side::value_variants().iter().map(|side| side.name()).collect();
        assert_eq!(parse(&names.join(",")).expect("all").len(), names.len());
        let error = parse("remit,java").expect_err("no side");
        assert!(error.contains("java") && error.contains("typescript"), "{error}");
        assert!(parse(" ,").is_err());
    }

    #[test]
    fn both_policies_can_be_used_and_say_something_about_the_benchs_payouts() {
        for text in [CONTROLS, SMALLEST] {
            let policy = Policy::read(text).expect("a policy");
            assert!(policy.rules.len() == if text == SMALLEST { 1 } else { 5 }, "{policy:?}");
        }
    }
}
