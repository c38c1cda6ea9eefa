//! Why the store gave no answer, and whether asking again can help.

use sqlx::migrate::MigrateError;

/// There was no answer. What the database had to say is in `source`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Asking again helps, now or once the database is back. The call may or may not have been carried out;
    /// repeating it is safe.
    #[error("{message}")]
    Unavailable {
        /// What was attempted, and what stood in the way.
        message: String,
        /// What the database or the network said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Asking again does not help: bad input, a bug, or a database that is not what it should be.
    #[error("{message}")]
    Broken {
        /// What was attempted, and what is wrong.
        message: String,
        /// What the database said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl Error {
    /// Whether repeating the same call can help.
    pub fn retry_helps(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Broken { .. } => false,
        }
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into(), source: None }
    }

    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self::Broken { message: message.into(), source: None }
    }

    pub(crate) fn broken_by(
        message: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Broken { message: message.into(), source: Some(Box::new(source)) }
    }

    /// At opening, files that SQLite cannot open are a matter of settings; later, of a machine short of something.
    pub(crate) fn at_opening(self) -> Self {
        match self {
            Self::Unavailable { message, source } if source.as_deref().is_some_and(is_cannot_open) => Self::Broken {
                message: format!("{message}; the file, its -wal and -shm, and their folder must be writable to us"),
                source,
            },
            other @ (Self::Unavailable { .. } | Self::Broken { .. }) => other,
        }
    }

    /// Puts what was attempted in front: "cannot claim payout `a-1`: the database is busy".
    pub(crate) fn during(self, attempt: &str) -> Self {
        match self {
            Self::Unavailable { message, source } => {
                Self::Unavailable { message: format!("cannot {attempt}: {message}"), source }
            }
            Self::Broken { message, source } => {
                Self::Broken { message: format!("cannot {attempt}: {message}"), source }
            }
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match classify(&error) {
            (Retry::Helps, why) => Self::Unavailable { message: why.to_owned(), source: Some(Box::new(error)) },
            (Retry::DoesNotHelp, why) => Self::Broken { message: why.to_owned(), source: Some(Box::new(error)) },
        }
    }
}

impl From<MigrateError> for Error {
    fn from(error: MigrateError) -> Self {
        if let MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) = error {
            return cause.into();
        }
        let why = if let MigrateError::VersionMissing(version) = &error {
            format!(
                "the database has migration {version}, which this build does not know: it was \
                 migrated by a newer build, run that one"
            )
        } else if let MigrateError::VersionMismatch(version) = &error {
            format!(
                "migration {version} in the database is not the one in this build: the database \
                 belongs to another program or build"
            )
        } else {
            "the migrations do not fit the database".to_owned()
        };
        Self::broken_by(why, error)
    }
}

/// SQLITE_IOERR or SQLITE_CANTOPEN, in all their forms.
fn is_cannot_open(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    matches!(cause.downcast_ref().and_then(sqlite_code), Some(10 | 14))
}

/// SQLITE_BUSY, in all its forms.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    sqlite_code(error) == Some(5)
}

/// The primary result code, where SQLite said something.
fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let answer = error.as_database_error()?;
    answer.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    Some(answer.code()?.parse::<u32>().ok()? & 0xff)
}

enum Retry {
    Helps,
    DoesNotHelp,
}

/// What stood in the way, and whether asking again can help.
fn classify(error: &sqlx::Error) -> (Retry, &'static str) {
    use sqlx::Error as E;
    if let E::Database(answer) = error {
        // SQLSTATE has five characters; SQLite's result codes are shorter numbers.
        let code = answer.code().unwrap_or_default();
        return match code.parse::<u32>() {
            Ok(code) if answer.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() => of_sqlite(code),
            Ok(_) | Err(_) => of_postgres(&code),
        };
    }
    if matches!(error, E::PoolTimedOut) {
        return (Retry::Helps, "no connection to the database became free in time");
    }
    if matches!(error, E::PoolClosed | E::WorkerCrashed) {
        return (Retry::Helps, "this process has closed its database connections");
    }
    if matches!(error, E::Io(_) | E::Tls(_) | E::Protocol(_) | E::BeginFailed) {
        return (Retry::Helps, "the connection to the database failed");
    }
    if matches!(error, E::Configuration(_)) {
        return (Retry::DoesNotHelp, "the database settings are not usable");
    }
    (Retry::DoesNotHelp, "the database holds what this build does not understand")
}

/// Result codes: <https://www.sqlite.org/rescode.html>; the low byte is the primary one.
fn of_sqlite(code: u32) -> (Retry, &'static str) {
    match code & 0xff {
        5 | 6 | 15 => (Retry::Helps, "the database file is busy"),
        7 | 9 => (Retry::Helps, "the database gave up"),
        10 | 14 => (Retry::Helps, "the database file could not be read or written"),
        13 => (Retry::Helps, "the disk is full"),
        8 => (Retry::DoesNotHelp, "the database file or its folder is read-only"),
        11 | 26 => (Retry::DoesNotHelp, "the file is damaged or not a SQLite database"),
        19 => (Retry::DoesNotHelp, "a rule of the database forbids it"),
        _ => (Retry::DoesNotHelp, "the database refused"),
    }
}

/// Classes of SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn of_postgres(code: &str) -> (Retry, &'static str) {
    match code.get(..2).unwrap_or_default() {
        "08" => (Retry::Helps, "the connection to the database failed"),
        // Credentials rotate: an operator's problem, not the payout's.
        "28" => (Retry::Helps, "the database refused our credentials"),
        "25" if code == "25006" => (Retry::Helps, "the database is read-only, a standby perhaps"),
        "25" => (Retry::Helps, "the database ended the transaction"),
        "40" => (Retry::Helps, "the database rolled the transaction back"),
        "53" => (Retry::Helps, "the database is out of room, memory or connections"),
        "55" => (Retry::Helps, "another process holds a lock for too long"),
        "57" | "58" => (Retry::Helps, "the database stopped the call"),
        "3D" => (Retry::DoesNotHelp, "there is no such database"),
        "42" => (Retry::DoesNotHelp, "the database lacks a table, a column or our right to use it"),
        "23" | "P0" => (Retry::DoesNotHelp, "a rule of the database forbids it"),
        _ => (Retry::DoesNotHelp, "the database refused"),
    }
}
