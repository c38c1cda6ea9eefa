//! Settings: a flag wins over the environment, the environment over `remit.toml`, and that over the default.
//!
//! One struct per concern; each field says its variable, its unit and its default. `remit.example.toml` shows all of
//! them. Temporal's own settings come through its standard `TEMPORAL_…` environment and `temporal.toml`.

mod dfns;
mod renewal;
mod secrets;
mod values;

pub use dfns::{DfnsAccess, DfnsSettings};
pub use renewal::{Renewal, Sources};
pub use secrets::CommandLine;
pub(crate) use values::others_can_read;
pub use values::{
    BuildId, Corridors, DeploymentName, NamesIn, Period, PlainHttpSetting, PlainPayloads, PublisherKeys, Secret,
};

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use remit_activities::{Names, PollCadence, TimeLimits};
use remit_codec::{Codec, CodecKeys, Plain};
use remit_domain::policy::Publishers;
use remit_screening::{FileSettings, Screener, WatchmanSettings};
use serde::Deserialize;

use crate::logging::LogFormat;

/// Gives the value of an environment variable. Tests give their own.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Declares a section of `remit.toml`, so that file, environment and documentation cannot part company.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident in $table:literal {
        $( $(#[$field_doc:meta])* $key:ident: $kind:ty = $variable:literal, )+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name { $( $(#[$field_doc])* pub $key: Option<$kind>, )+ }

        impl $name {
            /// Key in `remit.toml` and environment variable of each setting.
            pub const KEYS: &'static [(&'static str, &'static str)] =
                &[$( (concat!($table, ".", stringify!($key)), $variable), )+];

            pub(crate) fn overlay(&mut self, env: $crate::settings::Env<'_>) -> Result<(), $crate::settings::SettingsError> {
                $( if let Some(text) = env($variable) {
                    self.$key = Some($crate::settings::parse($variable, &text)?);
                } )+
                Ok(())
            }
        }
    };
}
pub(crate) use section;

section! {
    /// Where the records are.
    RecordsSettings in "records" {
        /// `REMIT_RECORDS_URL`: `sqlite://path/to/file` or `postgres://user@host/database`. Default: a SQLite file in
        /// the user's data folder, `~/.local/share/remit/records.db`.
        url: String = "REMIT_RECORDS_URL",
    }
}

section! {
    /// How often an open payout is read while no webhook comes.
    PollSettings in "poll" {
        /// `REMIT_POLL_FIRST`: wait after the first reading, a duration such as "30s". Default 30 s; each later wait is
        /// half as long again.
        first: Period = "REMIT_POLL_FIRST",
        /// `REMIT_POLL_MAX`: longest wait, a duration such as "2h". Default 2 h.
        max: Period = "REMIT_POLL_MAX",
    }
}

section! {
    /// Limits of time that are ours to choose.
    TimeSettings in "time" {
        /// `REMIT_CONFIRM_MARGIN`: nothing is confirmed this close to the provider's limit. Default 2 min.
        confirm_margin: Period = "REMIT_CONFIRM_MARGIN",
        /// `REMIT_BANK_EXPECTED`: how long a bank payment may take before somebody had better know. Default 5 days.
        bank_expected: Period = "REMIT_BANK_EXPECTED",
        /// `REMIT_BANK_EXPECTED_IN`: the same for single corridors, such as "BR-BRL=2d, US-USD=1d".
        bank_expected_in: Corridors = "REMIT_BANK_EXPECTED_IN",
    }
}

section! {
    /// Whose word is taken for a policy.
    PolicySettings in "policy" {
        /// `REMIT_POLICY_PUBLISHERS`: who may publish a policy, each with a public key: "ana=ed25519:…, ben=ed25519:…".
        /// A worker needs it: without a policy nothing is paid.
        publishers: PublisherKeys = "REMIT_POLICY_PUBLISHERS",
        /// `REMIT_POLICY_QUORUM`: how many of them have to sign a revision. Default 1.
        quorum: u32 = "REMIT_POLICY_QUORUM",
        /// `REMIT_POLICY_AT_LEAST`: number of a revision that has been in force: an older one is not taken any more, should
        /// the records be put back. Default: none, and a worker notices it only while it runs.
        at_least: u32 = "REMIT_POLICY_AT_LEAST",
    }
}

section! {
    /// The lists that payouts are screened against. None of them is there by default; one that is set and does not
    /// answer holds every payout back.
    ScreeningSettings in "screening" {
        /// `REMIT_SCREENING_DENYLIST`: a file of addresses, account ids and names of ours.
        denylist: PathBuf = "REMIT_SCREENING_DENYLIST",
        /// `REMIT_SCREENING_SDN`: the imported list of the US Treasury (`remit screening import`).
        sdn: PathBuf = "REMIT_SCREENING_SDN",
        /// `REMIT_SCREENING_WATCHMAN`: address of a moov watchman, such as "http://127.0.0.1:8084".
        watchman: String = "REMIT_SCREENING_WATCHMAN",
    }
}

section! {
    /// Encryption of what Temporal keeps.
    CodecSettings in "codec" {
        /// `REMIT_CODEC_KEYS_FILE`: file with keys, `id=base64` a line; the first encrypts, all read. The same for workers,
        /// relays, starters and commands. Default: none, and Temporal keeps payouts in clear.
        keys_file: PathBuf = "REMIT_CODEC_KEYS_FILE",
        /// `REMIT_CODEC_PLAIN`: what to do with a payload that is not encrypted, "read" or "refuse". Default "read", for
        /// payouts that began before there were keys.
        plain: PlainPayloads = "REMIT_CODEC_PLAIN",
        /// `REMIT_CODEC_NAMES`: whether a payout may say who is paid, "encrypted" or "clear". Default "encrypted": only with
        /// keys, since Temporal keeps it, and a name is personal data.
        names: NamesIn = "REMIT_CODEC_NAMES",
    }
}

section! {
    /// The worker.
    WorkerSettings in "worker" {
        /// `REMIT_WORKER_ADMIN`: address of health and metrics. Default `127.0.0.1:9464`.
        admin: SocketAddr = "REMIT_WORKER_ADMIN",
        /// `REMIT_PROVIDER_CALLS_PER_SECOND`: how many calls to Dfns are begun in a second, by all workers together.
        /// Default 15, which leaves room in Dfns's 1000 requests a minute, as most calls are one request and the
        /// signed ones three.
        provider_calls_per_second: u32 = "REMIT_PROVIDER_CALLS_PER_SECOND",
        /// `REMIT_WORKER_SHARDS`: how many workers of this process take decisions, each on a thread of its own. Default:
        /// one for each core, at most 4.
        shards: usize = "REMIT_WORKER_SHARDS",
        /// `REMIT_WORKER_CACHED_PAYOUTS`: payouts kept in memory between two tasks, divided among the shards. Default
        /// 300, about 100 KiB each: enough for those that have something to do now.
        cached_payouts: usize = "REMIT_WORKER_CACHED_PAYOUTS",
        /// `REMIT_WORKER_MEMORY`: a worker that holds more than so many MiB drains and begins anew, in the same process
        /// number; 0 lets it grow. Default 1024: a worker begins with about 40, adds about 0.1 for each cached payout
        /// (docs/performance.md), and a little for each activity it ever ran, which the SDK does not give back.
        memory: usize = "REMIT_WORKER_MEMORY",
        /// `REMIT_DEPLOYMENT`: name of the worker deployment that this worker's build is a version of. A payout is then
        /// finished by the build that began it, and new ones go to the version that is current. Default: none, and any
        /// build takes any payout.
        deployment: DeploymentName = "REMIT_DEPLOYMENT",
        /// `REMIT_BUILD_ID`: which build this is. Default: what the build was given under the same name, else its
        /// version number. With a deployment it must change with every build.
        build_id: BuildId = "REMIT_BUILD_ID",
    }
}

section! {
    /// The relay.
    RelaySettings in "relay" {
        /// `REMIT_RELAY_LISTEN`: address where webhooks arrive. Default `127.0.0.1:8080`.
        listen: SocketAddr = "REMIT_RELAY_LISTEN",
        /// `REMIT_RELAY_ADMIN`: address of health and metrics. Default `127.0.0.1:9465`.
        admin: SocketAddr = "REMIT_RELAY_ADMIN",
        /// `REMIT_RELAY_PUBLIC_URL`: the address that Dfns delivers to, as it is subscribed. Failed deliveries are
        /// looked for at its subscriptions alone. Default: at all of the organisation.
        public_url: String = "REMIT_RELAY_PUBLIC_URL",
        /// `REMIT_RELAY_GAPS`: how often failed deliveries are looked for at Dfns, beside the start, a duration such
        /// as "1h". Default 1 h.
        gaps: Period = "REMIT_RELAY_GAPS",
        /// `REMIT_RELAY_KEEP_DELIVERED`: how long delivered events are kept, a duration such as "168h". Default 168 h.
        keep_delivered: Period = "REMIT_RELAY_KEEP_DELIVERED",
        /// `REMIT_RELAY_KEEP_UNMATCHED`: how long events without a payout are kept, a duration such as "744h". Default
        /// 744 h, which is 31 days.
        keep_unmatched: Period = "REMIT_RELAY_KEEP_UNMATCHED",
    }
}

section! {
    /// Logging. How much is said is `RUST_LOG`'s business.
    LogSettings in "log" {
        /// `REMIT_LOG`: `human` or `json`. Default: lines for people, and JSON for a worker, relay or sandbox whose
        /// stderr is no terminal.
        format: LogFormat = "REMIT_LOG",
    }
}

/// All settings. Printing them shows no secret.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the records are.
    pub records: RecordsSettings,
    /// How to reach Dfns, and as whom.
    pub dfns: DfnsSettings,
    /// How often to poll.
    pub poll: PollSettings,
    /// Limits of time.
    pub time: TimeSettings,
    /// Whose word is taken for a policy.
    pub policy: PolicySettings,
    /// What payouts are screened against.
    pub screening: ScreeningSettings,
    /// Encryption of what Temporal keeps.
    pub codec: CodecSettings,
    /// The worker.
    pub worker: WorkerSettings,
    /// The relay.
    pub relay: RelaySettings,
    /// Logging.
    pub log: LogSettings,
    /// What flags say about Temporal; the rest is Temporal's own environment.
    #[serde(skip)]
    pub temporal: TemporalFlags,
    /// The file that was read.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// Whether it holds a secret itself.
    #[serde(skip)]
    file_holds: Holds,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Holds {
    #[default]
    NoSecret,
    Secret,
}

/// Where Temporal is, when flags say so.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TemporalFlags {
    /// Temporal's address, such as 127.0.0.1:7233 [default: TEMPORAL_ADDRESS, temporal.toml, localhost:7233]
    #[arg(long = "temporal-address", value_name = "HOST:PORT", global = true, help_heading = "Settings")]
    pub address: Option<String>,
    /// Temporal's namespace [default: TEMPORAL_NAMESPACE, temporal.toml, "default"]
    #[arg(long = "temporal-namespace", value_name = "NAME", global = true, help_heading = "Settings")]
    pub namespace: Option<String>,
}

/// Settings that every command takes as flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// File with settings [default: REMIT_CONFIG, else remit.toml in this folder, if there is one]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// Where the records are: sqlite://path/to/file or postgres://user@host/database
    #[arg(long, value_name = "URL", global = true, help_heading = "Settings")]
    pub records_url: Option<String>,
    /// Form of log lines; RUST_LOG says how many
    #[arg(long, value_name = "FORMAT", global = true, help_heading = "Settings")]
    pub log: Option<LogFormat>,
    /// Where Temporal is.
    #[command(flatten)]
    pub temporal: TemporalFlags,
}

impl Settings {
    /// Reads the settings of this process.
    ///
    /// # Errors
    /// A file that cannot be read or has unknown keys; a value that is not understood. Never quotes a secret.
    pub fn load(flags: &Flags) -> Result<Self, SettingsError> {
        let env = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let file = match flags.config.clone().or_else(|| env("REMIT_CONFIG").map(PathBuf::from)) {
            Some(file) => Some(file),
            None => Some(PathBuf::from("remit.toml")).filter(|file| file.exists()),
        };
        let text = match &file {
            None => None,
            Some(path) => Some(std::fs::read_to_string(path).map_err(|error| SettingsError::File {
                path: path.clone(),
                line: None,
                problem: error.to_string(),
            })?),
        };
        Self::from_parts(flags, &env, file.as_deref().zip(text.as_deref()))
    }

    /// Warns of a settings file with secrets that others can read: once logging is set up as the settings say.
    pub fn warn(&self) {
        if let (Some(path), Holds::Secret) = (&self.file, self.file_holds) {
            values::warn_if_others_can_read(path);
        }
    }

    /// The same from given parts.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn from_parts(flags: &Flags, env: Env<'_>, file: Option<(&Path, &str)>) -> Result<Self, SettingsError> {
        let mut settings = match file {
            None => Self::default(),
            Some((path, text)) => Self::from_toml(text).map_err(|(line, problem)| SettingsError::File {
                path: path.to_owned(),
                line,
                problem,
            })?,
        };
        if let Some((path, text)) = file {
            settings.file = Some(path.to_owned());
            settings.file_holds = if dfns::holds_secrets(text) { Holds::Secret } else { Holds::NoSecret };
        }
        settings.records.overlay(env)?;
        settings.dfns.overlay_secrets_too(env)?;
        settings.poll.overlay(env)?;
        settings.time.overlay(env)?;
        settings.policy.overlay(env)?;
        settings.screening.overlay(env)?;
        settings.codec.overlay(env)?;
        settings.worker.overlay(env)?;
        settings.relay.overlay(env)?;
        settings.log.overlay(env)?;
        settings.records.url = flags.records_url.clone().or(settings.records.url);
        settings.log.format = flags.log.or(settings.log.format);
        settings.temporal = flags.temporal.clone();
        Ok(settings)
    }

    /// Line and problem when it is not understood. The library's own rendering would quote the line, secret and all.
    fn from_toml(text: &str) -> Result<Self, (Option<usize>, String)> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            (line, error.message().to_owned())
        })
    }

    /// Key in `remit.toml` and environment variable of every setting.
    pub fn keys() -> Vec<(&'static str, &'static str)> {
        [
            RecordsSettings::KEYS,
            DfnsSettings::KEYS,
            PollSettings::KEYS,
            TimeSettings::KEYS,
            PolicySettings::KEYS,
            ScreeningSettings::KEYS,
            CodecSettings::KEYS,
            WorkerSettings::KEYS,
            RelaySettings::KEYS,
            LogSettings::KEYS,
        ]
        .concat()
    }

    /// Where the records are.
    ///
    /// # Errors
    /// When nothing says so and the user has no data folder.
    pub fn records_url(&self) -> Result<String, SettingsError> {
        if let Some(url) = &self.records.url {
            return Ok(url.clone());
        }
        let folder = std::env::var_os("XDG_DATA_HOME")
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute())
            .or_else(|| Some(std::env::home_dir()?.join(".local/share")));
        let missing = Missing { variable: "REMIT_RECORDS_URL", key: "records.url", what: "where the records are" };
        let file = folder.ok_or_else(|| SettingsError::Missing(vec![missing]))?.join("remit/records.db");
        Ok(format!("sqlite://{}", file.display()))
    }

    /// Whether a worker could reach Dfns with them.
    pub fn is_complete_for_a_worker(&self) -> bool {
        self.dfns.sources().is_ok()
    }

    /// Who may publish a policy, and how many of them it takes.
    ///
    /// # Errors
    /// When nobody is named, or fewer than the quorum.
    pub fn publishers(&self) -> Result<Publishers, SettingsError> {
        let missing = Missing {
            variable: "REMIT_POLICY_PUBLISHERS",
            key: "policy.publishers",
            what: "who may publish a policy, such as \"ana=ed25519:…\" (`remit key new` makes a key)",
        };
        let keys = self.policy.publishers.clone().ok_or_else(|| SettingsError::Missing(vec![missing]))?.0;
        let quorum = self.policy.quorum.unwrap_or(1);
        if quorum == 0 || usize::try_from(quorum).is_ok_and(|quorum| quorum > keys.len()) {
            return Err(SettingsError::Value {
                place: "REMIT_POLICY_QUORUM".to_owned(),
                problem: format!("{quorum} is not possible with {} publishers; expected 1 to that many", keys.len()),
            });
        }
        Ok(Publishers { keys, quorum, at_least: self.policy.at_least.unwrap_or(0) })
    }

    /// The lists that payouts are screened against.
    ///
    /// # Errors
    /// When the address of a server is none.
    pub fn screener(&self) -> Result<Screener, SettingsError> {
        let lists = remit_screening::Settings {
            denylist: self.screening.denylist.as_ref().map(FileSettings::new),
            sdn: self.screening.sdn.as_ref().map(FileSettings::new),
            watchman: self.screening.watchman.as_ref().map(WatchmanSettings::new),
        };
        Screener::from_settings(&lists).map_err(|error| SettingsError::Value {
            place: "REMIT_SCREENING_WATCHMAN".to_owned(),
            problem: error.to_string(),
        })
    }

    /// What encrypts the payloads; none where no keys are set.
    ///
    /// # Errors
    /// When the file with the keys cannot be used.
    pub fn codec(&self) -> Result<Option<Codec>, SettingsError> {
        let Some(file) = &self.codec.keys_file else { return Ok(None) };
        let keys = CodecKeys::read(file).map_err(|error| SettingsError::Value {
            place: "REMIT_CODEC_KEYS_FILE".to_owned(),
            problem: error.to_string(),
        })?;
        if values::others_can_read(file) {
            values::warn_if_others_can_read(file);
        }
        Ok(Some(Codec::new(keys, self.codec.plain.map_or(Plain::Read, |plain| plain.0))))
    }

    /// Whether a payout may say who is paid.
    pub fn names(&self) -> Names {
        match (&self.codec.keys_file, self.codec.names) {
            (Some(_), _) | (None, Some(NamesIn(Names::Allowed))) => Names::Allowed,
            (None, Some(NamesIn(Names::OnlyEncrypted)) | None) => Names::OnlyEncrypted,
        }
    }

    /// What the relay does by itself.
    pub fn upkeep(&self) -> remit_relay::Upkeep {
        let usual = remit_relay::Upkeep::default();
        let said = |period: Option<Period>, usual| period.map_or(usual, Period::duration);
        remit_relay::Upkeep {
            gaps: said(self.relay.gaps, usual.gaps),
            keep_delivered: said(self.relay.keep_delivered, usual.keep_delivered),
            keep_unmatched: said(self.relay.keep_unmatched, usual.keep_unmatched),
            ..usual
        }
    }

    /// How often to poll.
    pub fn cadence(&self) -> PollCadence {
        let usual = PollCadence::default();
        PollCadence {
            first: self.poll.first.map_or(usual.first, Period::duration),
            most: self.poll.max.map_or(usual.most, Period::duration),
        }
    }

    /// Limits of time that are ours to choose.
    pub fn time_limits(&self) -> TimeLimits {
        let usual = TimeLimits::default();
        TimeLimits {
            confirm_margin: self.time.confirm_margin.map_or(usual.confirm_margin, Period::duration),
            bank_expected: self.time.bank_expected.map_or(usual.bank_expected, Period::duration),
            bank_expected_in: self.time.bank_expected_in.clone().unwrap_or_default().0,
        }
    }
}

/// A setting that is needed and not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its environment variable.
    pub variable: &'static str,
    /// Its key in `remit.toml`.
    pub key: &'static str,
    /// What it is.
    pub what: &'static str,
}

/// Why settings cannot be used.
#[derive(Debug)]
pub enum SettingsError {
    /// The file.
    File {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        line: Option<usize>,
        /// What is wrong; quotes names, never values.
        problem: String,
    },
    /// One value.
    Value {
        /// Its variable or file.
        place: String,
        /// What stands there, where it is no secret, and what was expected.
        problem: String,
    },
    /// Settings that are needed and not there, all of them.
    Missing(Vec<Missing>),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: Some(line), problem } => write!(f, "{}, line {line}: {problem}", path.display()),
            Self::File { path, line: None, problem } => write!(f, "{}: {problem}", path.display()),
            Self::Value { place, problem } => write!(f, "{place}: {problem}"),
            Self::Missing(missing) => {
                writeln!(f, "settings are missing:")?;
                let width = missing.iter().map(|it| it.variable.len()).max().unwrap_or_default();
                for it in missing {
                    writeln!(f, "  {:width$}  {}  (`{}` in remit.toml)", it.variable, it.what, it.key)?;
                }
                write!(
                    f,
                    "Set them in the environment, or in remit.toml (remit.example.toml shows all settings). \
                     `remit dev` runs a whole system that needs none of them."
                )
            }
        }
    }
}

impl std::error::Error for SettingsError {}

pub(crate) fn parse<T: std::str::FromStr>(variable: &str, text: &str) -> Result<T, SettingsError>
where
    T::Err: fmt::Display,
{
    text.parse().map_err(|expected: T::Err| SettingsError::Value {
        place: variable.to_owned(),
        problem: format!("{text:?} is not understood: {expected}"),
    })
}

#[cfg(test)]
mod tests;
