//! Opening the store, and what all its calls share: connections, transactions, the clock, a bound on waiting.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions, Connection, Executor, Row, Transaction};

use crate::audit::append;
use crate::error::is_busy;
use crate::place::Place;
use crate::row::timestamp;
use crate::{Error, schema};

/// The store. Clones share their connections.
#[derive(Clone)]
pub struct Records {
    pub(crate) pool: AnyPool,
    place: Arc<Place>,
    patience: Duration,
}

/// How to open the store.
#[derive(Clone)]
pub struct Options {
    /// `sqlite://path/to/file` (relative or absolute, taken as it stands) or `postgres://user@host/database`.
    pub url: String,
    /// Most connections to Postgres from this process; default 10. SQLite always has one, so that calls queue
    /// here instead of finding the file locked.
    pub max_connections: u32,
    /// The longest one call may take, waiting for a connection included; default 30 s.
    pub patience: Duration,
}

impl Options {
    /// The defaults, for this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), max_connections: 10, patience: Duration::from_secs(30) }
    }
}

impl Records {
    /// Connects, and brings the schema up to date. Makes the file and its folder when they are not there.
    ///
    /// # Errors
    /// `Broken`: the URL is not one, the file cannot be used, the database does not exist, or its schema is
    /// newer than this build. `Unavailable`: the server cannot be reached, or refuses us.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::open_with(Options::new(url)).await
    }

    /// As [`Records::open`], with all settings.
    ///
    /// # Errors
    /// As [`Records::open`].
    pub async fn open_with(options: Options) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let Options { url, max_connections, patience } = options;
        let place = Arc::new(Place::parse(&url)?);
        place.prepare()?;
        let to = place.connect_options()?;

        // One plain connection first: a pool would report that it timed out, and not why.
        let opening = bounded(patience, format!("open the records ({place})"), first_connection(&place, &to));
        opening.await.map_err(Error::at_opening)?;

        let pool = match &*place {
            Place::Sqlite { .. } => AnyPoolOptions::new()
                .max_connections(1)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false),
            Place::Postgres { .. } => AnyPoolOptions::new().max_connections(max_connections.max(1)),
        };
        let settings = Arc::clone(&place);
        let pool = pool
            .acquire_timeout(patience)
            .after_connect(move |connection, _| {
                let place = Arc::clone(&settings);
                Box::pin(async move { prepare_connection(&place, connection, patience).await })
            })
            // Where SQLite took a transaction back by itself, as on a full disk, sqlx fails to take it back once more,
            // and counts the connection as within it for ever.
            .before_acquire(|connection, _| Box::pin(std::future::ready(Ok(!connection.is_in_transaction()))))
            .connect_lazy_with(to);
        Ok(Self { pool, place, patience })
    }

    /// Whether the store answers, for health checks: one small read.
    ///
    /// # Errors
    /// As any call.
    pub async fn ready(&self) -> Result<(), Error> {
        self.bounded("read the clock", async {
            sqlx::query("SELECT now_us FROM clock").fetch_one(&self.pool).await?;
            Ok(())
        })
        .await
    }

    /// Now, by the database's clock.
    ///
    /// # Errors
    /// As any call.
    pub async fn now(&self) -> Result<Timestamp, Error> {
        self.bounded("read the clock", async {
            let row = sqlx::query("SELECT now_us FROM clock").fetch_one(&self.pool).await?;
            timestamp(row.try_get("now_us")?)
        })
        .await
    }

    /// Moves the clock of this database forward, for every process that uses it and for good. For tests and
    /// demonstrations, together with the clocks of Temporal and of the sandbox.
    ///
    /// # Errors
    /// As any call; `Broken` when the time is beyond what the clock can hold.
    pub async fn shift_clock(&self, forward: Duration) -> Result<(), Error> {
        self.bounded("shift the clock", async {
            let by = i64::try_from(forward.as_micros())
                .ok()
                .filter(|by| *by <= A_CENTURY_US)
                .ok_or_else(|| Error::broken(format!("forward: {forward:?}; expected at most 100 years")))?;
            let mut tx = self.begin().await?;
            sqlx::query("UPDATE clock_shift SET shift_us = shift_us + $1").bind(by).execute(&mut *tx).await?;
            append(&mut tx, "clock.shifted", None, &json!({"microseconds": by})).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Finishes what is under way and closes the connections. Later calls answer `Unavailable`.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A write transaction. Dropped without commit, it leaves nothing.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Any>, Error> {
        let begin = match &*self.place {
            // Taking the write lock at once: a read that turns into a write could find the file locked.
            Place::Sqlite { .. } => "BEGIN IMMEDIATE",
            // The statements rely on seeing what others committed while they waited for a row.
            Place::Postgres { .. } => "BEGIN ISOLATION LEVEL READ COMMITTED",
        };
        Ok(self.pool.begin_with(begin).await?)
    }

    /// Says what was attempted when there is no answer, and waits no longer than the patience of this store.
    pub(crate) async fn bounded<T>(
        &self,
        attempt: impl Into<String>,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        bounded(self.patience, attempt.into(), work).await
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Records({})", self.place)
    }
}

/// As the databases count; what is longer than they can count is as long as they can.
pub(crate) fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX).min(A_CENTURY_US)
}

const A_CENTURY_US: i64 = 100 * 366 * 24 * 3600 * 1_000_000;

async fn bounded<T>(
    patience: Duration,
    attempt: String,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(patience, work).await {
        Ok(answer) => answer.map_err(|error| error.during(&attempt)),
        Err(_) => Err(Error::unavailable(format!("no answer within {patience:?}")).during(&attempt)),
    }
}

async fn first_connection(place: &Place, to: &AnyConnectOptions) -> Result<(), Error> {
    let mut connection = to.connect().await?;
    match place {
        Place::Sqlite { .. } => {
            prepare_sqlite(&mut connection).await?;
        }
        Place::Postgres { .. } => {
            let (encoding,): (String,) =
                sqlx::query_as("SELECT current_setting('server_encoding')").fetch_one(&mut connection).await?;
            if encoding != "UTF8" {
                return Err(Error::broken(format!("the database's encoding is {encoding}; expected UTF8")));
            }
        }
    }
    schema::migrate(place, &mut connection).await?;
    connection.close().await?;
    Ok(())
}

async fn prepare_connection(
    place: &Place,
    connection: &mut AnyConnection,
    patience: Duration,
) -> Result<(), sqlx::Error> {
    match place {
        Place::Sqlite { .. } => prepare_sqlite(connection).await,
        Place::Postgres { .. } => prepare_postgres(connection, patience).await,
    }
}

/// `synchronous=FULL` because a lost claim is money: with less, WAL may forget commits in a power cut.
async fn prepare_sqlite(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let timeout = format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis());
    connection.execute(sqlx::AssertSqlSafe(timeout)).await?;
    // Of two processes that turn a new file to WAL at the same moment SQLite tells one that it is busy, at once and not
    // after the timeout: they could wait for each other.
    let begun = Instant::now();
    while let Err(error) = connection.execute("PRAGMA journal_mode = WAL").await {
        if !is_busy(&error) || begun.elapsed() >= BUSY_TIMEOUT {
            return Err(error);
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    connection.execute("PRAGMA synchronous = FULL").await?;
    Ok(())
}

const BUSY_TIMEOUT: Duration = Duration::from_secs(20);
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// The server gives up when we do, and an `off` set elsewhere does not make commits forgettable.
async fn prepare_postgres(connection: &mut AnyConnection, patience: Duration) -> Result<(), sqlx::Error> {
    let limit = format!("{}ms", patience.as_millis().clamp(1, 3_600_000));
    sqlx::query(
        "SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $1, false), \
         set_config('idle_in_transaction_session_timeout', $1, false), \
         set_config('synchronous_commit', CASE current_setting('synchronous_commit') \
            WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)",
    )
    .bind(limit)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sqlite_commit_is_on_the_disk_before_it_is_reported() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("records.db").display());
        let records = Records::open(&url).await.expect("opens");

        let (mode,): (String,) =
            sqlx::query_as("PRAGMA journal_mode").fetch_one(&records.pool).await.expect("journal mode");
        let (synchronous,): (i64,) =
            sqlx::query_as("PRAGMA synchronous").fetch_one(&records.pool).await.expect("synchronous");

        assert_eq!((mode.as_str(), synchronous), ("wal", 2), "2 is FULL");
        records.close().await;
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_took_back_itself_is_not_in_the_way_of_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("records.db").display());
        let records = Records::open(&url).await.expect("opens");
        sqlx::query("CREATE TABLE once (n INTEGER UNIQUE)").execute(&records.pool).await.expect("a table");

        // As it does on a full disk.
        let mut taken_back = records.begin().await.expect("begins");
        let twice = "INSERT OR ROLLBACK INTO once VALUES (1), (1)";
        sqlx::query(twice).execute(&mut *taken_back).await.expect_err("not twice");
        drop(taken_back);

        let next = records.begin().await.expect("begins again");
        next.rollback().await.expect("nothing to keep");
        records.close().await;
    }
}
