//! Where a secret comes from: a setting, a file, or a command that prints it, such as that of a vault.

use std::{
    fmt, fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    str::FromStr,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{Secret, SettingsError, values::warn_if_others_can_read};

/// A vault that takes longer is away.
const WITHIN: Duration = Duration::from_secs(10);
/// No secret is longer.
const LONGEST: u64 = 64 * 1024;

/// A program with its arguments, as words; it is run without a shell. Quotes keep a word together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine(Vec<String>);

impl FromStr for CommandLine {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for c in text.chars() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '"' | '\'') => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (None, c) if c.is_whitespace() => words.extend(word.take()),
                (_, c) => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        match (quote, words.is_empty()) {
            (None, false) => Ok(Self(words)),
            _ => Err("expected a program with its arguments, quotes closed, such as \"vault read -field=token dfns\""),
        }
    }
}

impl<'de> Deserialize<'de> for CommandLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The program alone: its arguments are nobody's business in a log.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.first().map_or("", String::as_str))
    }
}

impl CommandLine {
    /// Runs it, and takes what it prints. What it says on stderr is shown, what it prints never is.
    fn run(&self) -> Result<Secret, String> {
        let (program, arguments) = self.0.split_first().ok_or("there is no program")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| format!("{program} cannot be run: {error}"))?;
        let mut stdout = child.stdout.take().ok_or("it has no output")?;
        let (sender, printed) = mpsc::channel();
        thread::spawn(move || {
            let mut text = Zeroizing::new(String::new());
            let read = stdout.by_ref().take(LONGEST).read_to_string(&mut text).map(|_| text);
            // Where nobody waits any more, nothing is lost.
            let _ = sender.send(read);
        });
        let deadline = Instant::now() + WITHIN;
        let printed = printed.recv_timeout(WITHIN);
        let status = loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None if Instant::now() >= deadline => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("{program} gave no answer within {} s", WITHIN.as_secs()));
                }
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        if !status.success() {
            return Err(format!("{program} failed: {status}"));
        }
        let text = printed.map_err(|_| format!("{program} does not close its output"))?;
        let text = text.map_err(|_| format!("{program} printed something else than text"))?;
        match text.trim() {
            "" => Err(format!("{program} printed nothing")),
            text => Ok(Secret::from(text.to_owned())),
        }
    }
}

/// Where a secret comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// It is given.
    Given(Secret),
    /// It is in this file.
    File { variable: &'static str, path: PathBuf },
    /// This prints it.
    Command { variable: &'static str, command: CommandLine },
}

impl Source {
    /// The one that is set, if one is.
    ///
    /// # Errors
    /// When more than one is.
    pub(super) fn of(
        [variable, file_variable, command_variable]: [&'static str; 3],
        given: Option<&Secret>,
        file: Option<&PathBuf>,
        command: Option<&CommandLine>,
    ) -> Result<Option<Self>, SettingsError> {
        let given = given.cloned().map(Self::Given);
        let file = file.map(|path| Self::File { variable: file_variable, path: path.clone() });
        let command = command.map(|command| Self::Command { variable: command_variable, command: command.clone() });
        let mut set: Vec<Self> = [given, file, command].into_iter().flatten().collect();
        if set.len() > 1 {
            let problem = format!("is set, and so is {file_variable} or {command_variable}; expected one of them");
            return Err(SettingsError::Value { place: variable.to_owned(), problem });
        }
        Ok(set.pop())
    }

    /// The secret as it is now; none when there is nothing in it.
    ///
    /// # Errors
    /// When the file cannot be read, or the command gives none.
    pub(crate) fn read(&self) -> Result<Option<Secret>, SettingsError> {
        let secret = match self {
            Self::Given(secret) => secret.clone(),
            Self::File { variable, path } => {
                let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|error| SettingsError::Value {
                    place: (*variable).to_owned(),
                    problem: format!("cannot read {}: {error}", path.display()),
                })?;
                warn_if_others_can_read(path);
                Secret::from(text.trim().to_owned())
            }
            Self::Command { variable, command } => {
                command.run().map_err(|problem| SettingsError::Value { place: (*variable).to_owned(), problem })?
            }
        };
        Ok(Some(secret).filter(|secret| !secret.expose().is_empty()))
    }

    /// Tells one state of its file from another, where it has one.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::File { path, .. } => stamp(path).ok(),
            Self::Given(_) | Self::Command { .. } => None,
        }
    }

    /// Whether it may become another while the program runs.
    pub(crate) fn may_change(&self) -> bool {
        match self {
            Self::File { .. } | Self::Command { .. } => true,
            Self::Given(_) => false,
        }
    }
}

/// Device and inode too, since a file is replaced within one tick of its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    file: (u64, u64),
    modified: (i64, i64),
    size: u64,
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let meta = fs::metadata(path)?;
    Ok(Stamp { file: (meta.dev(), meta.ino()), modified: (meta.mtime(), meta.mtime_nsec()), size: meta.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> CommandLine {
        text.parse().expect("a command")
    }

    #[test]
    fn a_command_is_words_and_quotes_keep_one_together() {
        let words = |text: &str| text.parse::<CommandLine>().map(|line| line.0);
        assert_eq!(
            words(" vault  read -field=token\tdfns ").expect("words"),
            ["vault", "read", "-field=token", "dfns"]
        );
        assert_eq!(words("a 'b c' \"d'e\" ''").expect("words"), ["a", "b c", "d'e", ""]);
        assert_eq!(words("echo $HOME;ls").expect("words"), ["echo", "$HOME;ls"], "no shell reads it");
        assert!(words("").is_err() && words("a 'b").is_err());
    }

    #[test]
    fn what_a_command_prints_is_the_secret() {
        assert_eq!(command("printf ' hunter2\\n'").run().expect("a secret").expose(), "hunter2");
    }

    #[test]
    fn a_command_that_gives_no_secret_says_why_and_not_what_it_printed() {
        for (text, why) in [
            ("false", "false failed"),
            ("true", "true printed nothing"),
            ("sh -c 'echo hunter2; exit 3'", "sh failed: exit status: 3"),
            ("no-such-program-anywhere", "no-such-program-anywhere cannot be run"),
            ("printf '\\377'", "something else than text"),
        ] {
            let problem = command(text).run().expect_err(text);
            assert!(problem.contains(why) && !problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn only_one_place_may_be_set() {
        const NAMES: [&str; 3] = ["X", "X_FILE", "X_COMMAND"];
        let (secret, file, line) = (Secret::from("a".to_owned()), PathBuf::from("/x"), command("true"));
        assert!(Source::of(NAMES, None, None, None).expect("none").is_none());
        assert!(Source::of(NAMES, Some(&secret), None, None).expect("one").is_some());
        let refused = Source::of(NAMES, None, Some(&file), Some(&line)).expect_err("two").to_string();
        assert!(refused.contains("X_COMMAND") && refused.contains("one of them"), "{refused}");
    }
}
