//! Where the records are: the database URL, understood, and a file made ready.

use std::fs::{DirBuilder, OpenOptions};
use std::path::{Path, PathBuf};

use sqlx::ConnectOptions;
use sqlx::any::AnyConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::Error;

const EXPECTED: &str = "expected sqlite://path/to/file or postgres://user@host/database";

/// A database of one of the two kinds.
#[derive(Clone)]
pub(crate) enum Place {
    Sqlite { file: PathBuf },
    Postgres { options: AnyConnectOptions },
}

impl Place {
    pub fn parse(url: &str) -> Result<Self, Error> {
        let (scheme, rest) = url
            .split_once(':')
            .ok_or_else(|| Error::broken(format!("database URL: there is no scheme; {EXPECTED}")))?;
        match scheme {
            "sqlite" => Ok(Self::Sqlite { file: sqlite_file(rest)? }),
            "postgres" | "postgresql" => {
                let options = url.parse().map_err(|cause: sqlx::Error| {
                    Error::broken_by(format!("database URL: not a valid URL; {EXPECTED}"), cause)
                })?;
                Ok(Self::Postgres { options })
            }
            other => Err(Error::broken(format!("database URL: unknown scheme {other:?}; {EXPECTED}"))),
        }
    }

    /// Makes the file, readable by its owner alone, and the folders above it.
    pub fn prepare(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite { file } => prepare_file(file),
            Self::Postgres { .. } => Ok(()),
        }
    }

    pub fn connect_options(&self) -> Result<AnyConnectOptions, Error> {
        match self {
            Self::Sqlite { file } => {
                // The driver takes percent signs for escapes but does not write them as such.
                let escaped = file.to_string_lossy().replace('%', "%25");
                let url = SqliteConnectOptions::new().filename(escaped).to_url_lossy();
                Ok(AnyConnectOptions::from_url(&url)?)
            }
            Self::Postgres { options } => Ok(options.clone()),
        }
    }
}

/// Names the place to people; never a user name, a password or a parameter.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite { file } => write!(f, "SQLite file {}", file.display()),
            Self::Postgres { options } => {
                let url = &options.database_url;
                write!(f, "Postgres at {}", url.host_str().unwrap_or("a local socket"))?;
                if let Some(port) = url.port() {
                    write!(f, ":{port}")?;
                }
                write!(f, ", database {:?}", url.path().trim_start_matches('/'))
            }
        }
    }
}

fn sqlite_file(rest: &str) -> Result<PathBuf, Error> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path == ":memory:" || path.contains("mode=memory") {
        return Err(Error::broken(
            "database URL: records must outlive the process, so memory will not do; expected sqlite://path/to/file",
        ));
    }
    if path.contains(['?', '#']) {
        return Err(Error::broken("database URL: parameters are not taken for SQLite; expected sqlite://path/to/file"));
    }
    if path.is_empty() || path.ends_with('/') {
        return Err(Error::broken(format!("database URL: {path:?} names no file; expected sqlite://path/to/file")));
    }
    std::path::absolute(path)
        .map_err(|cause| Error::broken_by(format!("database URL: {path:?} is not a usable path"), cause))
}

fn prepare_file(file: &Path) -> Result<(), Error> {
    if let Some(folder) = file.parent() {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|cause| {
            Error::broken_by(format!("cannot make the folder {} for the records", folder.display()), cause)
        })?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // SQLite gives its side files (-wal, -shm) the mode of the main one.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map_err(|cause| {
        Error::broken_by(
            format!(
                "cannot open {} for reading and writing: it must be a file of ours in a folder of ours",
                file.display()
            ),
            cause,
        )
    })?;
    Ok(())
}
