//! Kinds of values in settings: durations as text, secrets that do not print, files that hold them.

use std::{collections::BTreeMap, fmt, fs, path::Path, str::FromStr, time::Duration};

use jiff::{Span, SpanRelativeTo};
use remit_activities::Names;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::SettingsError;

/// A length of time, written as text such as "30s", "1h 30m", "5d" or "PT2H". More than zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(Duration);

impl Period {
    /// As the standard library has it.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Period {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A day is 24 hours here: these are limits, not calendars.
        let span: Option<Span> = text.parse().ok();
        let period = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
        period
            .filter(|period| period.is_positive())
            .and_then(|period| Duration::try_from(period).ok())
            .map(Self)
            .ok_or("expected a duration of more than zero with its unit, such as \"30s\", \"5m\", \"2h\" or \"5d\"")
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|expected| D::Error::custom(format!("{text:?} is not understood: {expected}")))
    }
}

/// A length of time for each of some corridors, written as `BR-BRL=2d, US-USD=1d`: country and currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corridors(pub(crate) BTreeMap<(String, String), Duration>);

impl FromStr for Corridors {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected corridors with a duration each, such as \"BR-BRL=2d, US-USD=1d\"";
        let capitals = |word: &str, length| word.len() == length && word.bytes().all(|b| b.is_ascii_uppercase());
        let mut all = BTreeMap::new();
        for entry in text.split(',') {
            let (corridor, time) = entry.trim().split_once('=').ok_or(EXPECTED)?;
            let (country, currency) = corridor.trim().split_once('-').ok_or(EXPECTED)?;
            if !capitals(country, 2) || !capitals(currency, 3) {
                return Err(EXPECTED);
            }
            let time: Period = time.trim().parse().map_err(|_| EXPECTED)?;
            if all.insert((country.to_owned(), currency.to_owned()), time.duration()).is_some() {
                return Err("a corridor is named twice; expected each once");
            }
        }
        Ok(Self(all))
    }
}

impl<'de> Deserialize<'de> for Corridors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|expected| D::Error::custom(format!("{text:?} is not understood: {expected}")))
    }
}

/// What to do with a payload that is not encrypted: `read` or `refuse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainPayloads(pub(crate) remit_codec::Plain);

impl FromStr for PlainPayloads {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "read" => Ok(Self(remit_codec::Plain::Read)),
            "refuse" => Ok(Self(remit_codec::Plain::Refuse)),
            _ => Err("expected \"read\" or \"refuse\""),
        }
    }
}

impl<'de> Deserialize<'de> for PlainPayloads {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|expected| D::Error::custom(format!("{text:?} is not understood: {expected}")))
    }
}

/// Whether a payout may say who is paid: `encrypted` or `clear`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamesIn(pub(crate) Names);

impl FromStr for NamesIn {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "encrypted" => Ok(Self(Names::OnlyEncrypted)),
            "clear" => Ok(Self(Names::Allowed)),
            _ => Err("expected \"encrypted\" or \"clear\""),
        }
    }
}

impl<'de> Deserialize<'de> for NamesIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|expected| D::Error::custom(format!("{text:?} is not understood: {expected}")))
    }
}

/// Who may publish a policy: names and public keys, written as `ana=ed25519:…, ben=ed25519:…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublisherKeys(pub(crate) BTreeMap<String, String>);

impl FromStr for PublisherKeys {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected names with a public key each, such as \"ana=ed25519:AAAA…=\" (`remit key show` prints it)";
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        for entry in text.split(',') {
            let (name, key) = entry.trim().split_once('=').ok_or(EXPECTED)?;
            let (name, key) = (name.trim(), key.trim());
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._@-".contains(&b);
            if name.is_empty() || !name.bytes().all(plain) || key.parse::<remit_keys::PublicKey>().is_err() {
                return Err(EXPECTED);
            }
            if all.values().any(|known| known == key) || all.insert(name.to_owned(), key.to_owned()).is_some() {
                return Err("a name or a key stands there twice; expected each once");
            }
        }
        Ok(Self(all))
    }
}

impl<'de> Deserialize<'de> for PublisherKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|expected| D::Error::custom(format!("{text:?} is not understood: {expected}")))
    }
}

/// Declares a word that stands in names on Temporal's server.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident: at most $most:literal of letters, digits and $signs:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The word.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = &'static str;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let fits = |c: char| c.is_ascii_alphanumeric() || $signs.contains(c);
                if (1..=$most).contains(&text.len()) && text.chars().all(fits) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(concat!("expected 1 to ", $most, " letters, digits and any of ", $signs))
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|expected| D::Error::custom(format!("{text:?} is not understood: {expected}")))
            }
        }
    };
}

word! {
    /// Name of a worker deployment. The server joins it with the build id by a sign that neither may hold.
    DeploymentName: at most 64 of letters, digits and "_-"
}
word! {
    /// Id of a build.
    BuildId: at most 128 of letters, digits and "._+-"
}

/// A text that does not print.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// To hand on to whoever needs it.
    pub fn secret(&self) -> SecretString {
        self.0.clone()
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned().into()))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `custom`: the library's message for a wrong type quotes what stood there.
        String::deserialize(deserializer).map(Self::from).map_err(|_| D::Error::custom("expected a text"))
    }
}

/// Where unencrypted connections to Dfns are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlainHttpSetting {
    /// To this machine.
    Loopback,
    /// Anywhere: for a sandbox in a container network.
    Anywhere,
}

impl FromStr for PlainHttpSetting {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "loopback" => Ok(Self::Loopback),
            "anywhere" => Ok(Self::Anywhere),
            _ => Err("expected \"loopback\" or \"anywhere\""),
        }
    }
}

/// A value, or the content of the file that holds it; `None` when neither is set.
///
/// # Errors
/// When both are set, or the file cannot be read.
pub(super) fn value_or_file(
    value: &Option<Secret>,
    variable: &str,
    file: &Option<std::path::PathBuf>,
) -> Result<Option<Secret>, SettingsError> {
    let Some(path) = file else { return Ok(value.clone()) };
    if value.is_some() {
        return Err(SettingsError::Value {
            place: variable.to_owned(),
            problem: format!("is set, and so is {variable}_FILE; expected one of the two"),
        });
    }
    let text = fs::read_to_string(path).map_err(|error| SettingsError::Value {
        place: format!("{variable}_FILE"),
        problem: format!("cannot read {}: {error}", path.display()),
    })?;
    warn_if_others_can_read(path);
    Ok(Some(Secret::from(text.trim().to_owned())).filter(|secret| !secret.expose().is_empty()))
}

/// Secrets that everybody on the machine can read are none.
pub(super) fn warn_if_others_can_read(path: &Path) {
    if others_can_read(path) {
        tracing::warn!(
            "{} holds a secret and can be read by other users of this machine: chmod 600 {0}",
            path.display()
        );
    }
}

pub(crate) fn others_can_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_written_with_its_unit_days_included() {
        let seconds = |text: &str| text.parse::<Period>().map(|period| period.duration().as_secs());
        assert_eq!(seconds("30s"), Ok(30));
        assert_eq!(seconds("1h 30m"), Ok(5_400));
        assert_eq!(seconds("5d"), Ok(432_000));
        for bad in ["30", "soon", "0s", "-5m", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn corridors_are_country_and_currency_each_once() {
        let corridors: Corridors = "BR-BRL=2d, US-USD=36h".parse().expect("two corridors");
        assert_eq!(corridors.0.len(), 2);
        for bad in ["BR=2d", "BR-BRL", "br-brl=2d", "BR-BRL=2", "BR-BRL=1d,BR-BRL=2d", ""] {
            assert!(bad.parse::<Corridors>().is_err(), "{bad}");
        }
    }
}
