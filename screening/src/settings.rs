//! Which lists there are, and how alike names have to be.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

/// Which lists are asked. Those that are not named are not; unknown keys are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The operator's own list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denylist: Option<FileSettings>,
    /// The SDN list of the US Treasury, as [`import_sdn`](crate::import_sdn) wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdn: Option<FileSettings>,
    /// A Watchman server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchman: Option<WatchmanSettings>,
}

/// A list that is a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// Where it is. It is read again when it changes.
    pub path: PathBuf,
    /// From which score on a name that is only alike is a hit. 100: only equal ones. Default 90.
    #[serde(default = "Threshold::of_files")]
    pub threshold: Threshold,
}

impl FileSettings {
    /// Settings with the usual threshold.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), threshold: Threshold::of_files() }
    }
}

/// A server of moov-io/watchman, 0.5x, asked through `/v2/search`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchmanSettings {
    /// Base of its API, such as `http://watchman:8084`. No proxy is used: names belong on the own network.
    pub url: String,
    /// How long all of an answer may take. Default 5 s.
    #[serde(default = "five_seconds", with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub timeout: Duration,
    /// From which score on, of Watchman's own, a name is a hit. Default 80: Watchman scores a name alone at most 95.
    #[serde(default = "Threshold::of_watchman")]
    pub threshold: Threshold,
    /// Lists that must be loaded there, by Watchman's names; without them it gives no answer. Default `us_ofac`.
    #[serde(default = "us_ofac")]
    pub lists: Vec<String>,
    /// Whether addresses are asked for too. Default no: an old server passes over a question that it does not know, and
    /// the SDN list has the addresses.
    #[serde(default)]
    pub addresses: bool,
}

impl WatchmanSettings {
    /// Settings with defaults for everything but the place.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            timeout: five_seconds(),
            threshold: Threshold::of_watchman(),
            lists: us_ofac(),
            addresses: false,
        }
    }
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn us_ofac() -> Vec<String> {
    vec!["us_ofac".to_owned()]
}

/// A score from which on something is a hit: 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub struct Threshold(u8);

impl Threshold {
    /// A threshold.
    ///
    /// # Errors
    /// [`SettingsError::Threshold`] for 0 and for more than 100.
    pub fn new(score: u8) -> Result<Self, SettingsError> {
        if (1..=100).contains(&score) { Ok(Self(score)) } else { Err(SettingsError::Threshold(score)) }
    }

    /// The score.
    pub fn get(self) -> u8 {
        self.0
    }

    fn of_files() -> Self {
        Self(90)
    }

    fn of_watchman() -> Self {
        Self(80)
    }
}

impl From<Threshold> for u8 {
    fn from(threshold: Threshold) -> Self {
        threshold.0
    }
}

impl TryFrom<u8> for Threshold {
    type Error = SettingsError;

    fn try_from(score: u8) -> Result<Self, SettingsError> {
        Self::new(score)
    }
}

/// Settings that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A threshold that is no score.
    #[error("threshold: expected 1 to 100, got {0}")]
    Threshold(u8),
    /// Something about the Watchman server.
    #[error("watchman: {0}")]
    Watchman(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_the_places_has_a_default() {
        let settings: Settings = toml::from_str(
            r#"
            denylist = { path = "denylist.toml", threshold = 100 }
            sdn = { path = "sdn.list" }
            watchman = { url = "http://watchman:8084", timeout = "2s" }
            "#,
        )
        .expect("settings");
        assert_eq!(settings.denylist.expect("given").threshold.get(), 100);
        assert_eq!(settings.sdn.expect("given").threshold.get(), 90);
        let watchman =
            WatchmanSettings { timeout: Duration::from_secs(2), ..WatchmanSettings::new("http://watchman:8084") };
        assert_eq!(settings.watchman.expect("given"), watchman);
        assert_eq!(toml::from_str::<Settings>("").expect("settings"), Settings::default());
    }

    #[test]
    fn settings_survive_being_written() {
        let file = FileSettings { path: "a".into(), threshold: Threshold(95) };
        let settings = Settings {
            denylist: Some(file.clone()),
            sdn: Some(file),
            watchman: Some(WatchmanSettings::new("http://w")),
        };
        let text = toml::to_string(&settings).expect("TOML");
        assert_eq!(toml::from_str::<Settings>(&text).expect("settings"), settings);
    }

    #[test]
    fn unknown_keys_and_thresholds_that_are_no_score_are_refused() {
        for (text, says) in [
            ("ofac = {}", "unknown field `ofac`"),
            ("sdn = { path = \"a\", treshold = 90 }", "unknown field `treshold`"),
            ("sdn = { path = \"a\", threshold = 0 }", "threshold: expected 1 to 100, got 0"),
            ("sdn = { path = \"a\", threshold = 101 }", "threshold: expected 1 to 100, got 101"),
            ("sdn = { threshold = 90 }", "missing field `path`"),
            ("watchman = { url = \"a\", timeout = 5 }", "invalid type"),
        ] {
            let refused = toml::from_str::<Settings>(text).expect_err(text).to_string();
            assert!(refused.contains(says), "{refused}");
        }
    }
}
