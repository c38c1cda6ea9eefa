//! Figures: what was measured in each round, as a median with the least and the most, for people and for programs.

use std::{
    fmt,
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::Value;

use crate::machine::Machine;

/// All figures of one run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    what: &'static str,
    machine: Machine,
    settings: Value,
    figures: Vec<Figure>,
    /// What was left out, and why.
    notes: Vec<String>,
}

/// One figure of one thing, measured once in each round.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figure {
    of: String,
    what: String,
    unit: &'static str,
    #[serde(flatten)]
    spread: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<Aim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<bool>,
    rounds: Vec<f64>,
}

/// What it should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Aim {
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
}

/// Where the values of all rounds lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Figures {
    /// None so far. `settings` are those that decide what was measured.
    pub fn new(what: &'static str, machine: Machine, settings: Value) -> Self {
        Self { what, machine, settings, figures: vec![], notes: vec![] }
    }

    /// A value of one round, told at once.
    pub fn add(&mut self, of: &str, what: &str, unit: &'static str, value: f64) {
        tell(format_args!("{of}: {what} {} {unit}", short(value)));
        self.put(of, what, unit, value);
    }

    /// Something that was counted and is the same in every round.
    pub fn count(&mut self, of: &str, what: &str, value: usize) {
        self.put(of, what, "", value as f64);
    }

    fn put(&mut self, of: &str, what: &str, unit: &'static str, value: f64) {
        let figure = match self.figures.iter().position(|figure| figure.of == of && figure.what == what) {
            Some(at) => &mut self.figures[at],
            None => {
                let (of, what) = (of.to_owned(), what.to_owned());
                let new =
                    Figure { of, what, unit, spread: Spread::default(), aim: None, reached: None, rounds: vec![] };
                self.figures.push(new);
                let last = self.figures.len() - 1;
                &mut self.figures[last]
            }
        };
        figure.rounds.push(value);
        figure.spread = Spread::of(&figure.rounds);
        figure.reached = figure.aim.map(|aim| aim.reached(figure.spread.median));
    }

    /// What a figure should be; nothing when it was not measured.
    pub fn aim(&mut self, of: &str, what: &str, aim: Aim) {
        for figure in self.figures.iter_mut().filter(|figure| figure.of == of && figure.what == what) {
            figure.aim = Some(aim);
            figure.reached = Some(aim.reached(figure.spread.median));
        }
    }

    /// How many times as much one side's figure is as the other's, round by round: both were measured in each, under
    /// the same circumstances.
    pub fn ratio(&mut self, side: &str, other: &str, what: &str, aim: Option<Aim>) {
        let rounds = |of: &str| {
            let figure = self.figures.iter().find(|figure| figure.of == of && figure.what == what);
            figure.map(|figure| figure.rounds.clone())
        };
        let (Some(ours), Some(theirs)) = (rounds(side), rounds(other)) else { return };
        let of = format!("{side} / {other}");
        for (ours, theirs) in ours.iter().zip(&theirs).filter(|(_, theirs)| **theirs > 0.0) {
            self.add(&of, what, "times", ours / theirs);
        }
        if let Some(aim) = aim {
            self.aim(&of, what, aim);
        }
    }

    /// Says what was left out, or what has to be known beside the figures.
    pub fn note(&mut self, note: String) {
        tell(format_args!("{note}"));
        self.notes.push(note);
    }

    /// Prints all of it: one JSON value, or a table.
    ///
    /// # Errors
    /// When it cannot be printed.
    pub fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            remit::out::json(self)?
        } else {
            remit::out::line(self)?
        }
        Ok(())
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.machine)?;
        writeln!(f, "| Of | Figure | Median | Least to most | Rounds | Aim |\n|---|---|---|---|---|---|")?;
        for Figure { of, what, unit, spread, aim, reached, rounds } in &self.figures {
            let Spread { median, min, max } = spread;
            let aim = match (aim, reached) {
                (Some(aim), Some(true)) => format!("{aim}: reached"),
                (Some(aim), _) => format!("{aim}: missed"),
                (None, _) => String::new(),
            };
            let (median, min, max, count) = (short(*median), short(*min), short(*max), rounds.len());
            writeln!(f, "| {of} | {what} | {median} {unit} | {min} to {max} | {count} | {aim} |")?;
        }
        for note in &self.notes {
            writeln!(f, "\n{note}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "at most {}", short(*most)),
            Self::AtLeast(least) => write!(f, "at least {}", short(*least)),
        }
    }
}

impl Aim {
    fn reached(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (middle, even) = (sorted.len() / 2, sorted.len().is_multiple_of(2));
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        let median = if even { (at(middle.saturating_sub(1)) + at(middle)) / 2.0 } else { at(middle) };
        Self { median, min: at(0), max: at(sorted.len().saturating_sub(1)) }
    }
}

/// Three digits that count, and whole numbers from a hundred on, in groups of three.
fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => grouped(value),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let groups: Vec<&str> = {
        let first = digits.len() % 3;
        let (head, tail) = digits.split_at(first);
        let tail = (0..tail.len()).step_by(3).map(|at| &tail[at..at + 3]);
        Some(head).filter(|head| !head.is_empty()).into_iter().chain(tail).collect()
    };
    format!("{}{}", if value < 0.0 { "-" } else { "" }, groups.join(","))
}

/// The duration below which this many of a hundred lie; nothing for none. Sorts.
pub fn percentile(of: &mut [Duration], percent: usize) -> Option<Duration> {
    of.sort_unstable();
    let rank = (of.len() * percent).div_ceil(100).clamp(1, of.len().max(1));
    of.get(rank - 1).copied()
}

/// Milliseconds, with what is behind the point.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// How many in a second.
pub fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::EPSILON)
}

/// A line of progress.
pub fn tell(line: fmt::Arguments<'_>) {
    eprintln!("bench: {line}");
}

/// Lets a line of progress out now and then.
pub struct Told(Instant);

const TELL_EVERY: Duration = Duration::from_secs(10);

impl Default for Told {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Told {
    /// The line, unless there was one a moment ago.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.0.elapsed() >= TELL_EVERY {
            tell(format_args!("{}", line()));
            self.0 = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut all: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut all, 50), Some(Duration::from_millis(100)));
        assert_eq!(percentile(&mut all, 99), Some(Duration::from_millis(198)));
        assert_eq!(percentile(&mut all, 100), Some(Duration::from_millis(200)));
        assert_eq!(percentile(&mut [Duration::from_millis(7)], 50), Some(Duration::from_millis(7)));
        assert_eq!(percentile(&mut [], 50), None);
    }

    #[test]
    fn rounds_become_a_median_with_the_least_and_the_most() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of(&[4.0, 1.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of(&[]), Spread::default());
    }

    #[test]
    fn a_ratio_is_taken_round_by_round_and_held_against_its_aim() {
        let mut figures = Figures::new("test", Machine::default(), json!({}));
        for (ours, theirs) in [(1.0, 2.0), (3.0, 2.0), (2.0, 2.0)] {
            figures.add("ours", "CPU", "s", ours);
            figures.add("theirs", "CPU", "s", theirs);
        }
        figures.ratio("ours", "theirs", "CPU", Some(Aim::AtMost(1.0)));
        figures.ratio("ours", "nobody", "CPU", None);
        let json = serde_json::to_value(&figures).expect("JSON");
        assert_eq!(json["figures"].as_array().map(Vec::len), Some(3));
        let ratio = &json["figures"][2];
        assert_eq!(ratio["rounds"], json!([0.5, 1.5, 1.0]));
        assert_eq!((&ratio["median"], &ratio["reached"]), (&json!(1.0), &json!(true)));
        assert!(
            figures
                .to_string()
                .contains("| ours / theirs | CPU | 1.00 times | 0.50 to 1.50 | 3 | at most 1.00: reached |")
        );
    }

    #[test]
    fn numbers_are_short() {
        let cases = [(0.123, "0.12"), (12.34, "12.3"), (123.4, "123"), (1_234_567.0, "1,234,567"), (-1000.0, "-1,000")];
        for (value, expected) in cases {
            assert_eq!(short(value), expected);
        }
        assert!((per_second(300, Duration::from_secs(10)) - 30.0).abs() < 1e-9);
    }
}
