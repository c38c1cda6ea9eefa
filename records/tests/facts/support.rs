//! Real databases for the facts: a SQLite file each, or a database each in a throw-away Postgres cluster.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use futures::future::join_all;
use remit_records::{Error, NewClaim, NewEvent, ObjectKind, Records};
use serde_json::Value;
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions, Connection, Executor};

/// A database of its own for one test.
pub struct Store {
    pub url: String,
    /// The file's folder, or the Postgres database to drop.
    home: Home,
}

enum Home {
    Folder(tempfile::TempDir),
    Database(String),
}

impl Store {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the database");
        let url = format!("sqlite://{}", folder.path().join("records.db").display());
        Self { url, home: Home::Folder(folder) }
    }

    pub async fn postgres() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("remit_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let url = with_database(&server_url(), &name);
        administer(format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")).await;
        Self { url, home: Home::Database(name) }
    }

    pub async fn open(&self) -> Records {
        Records::open(&self.url).await.expect("the store opens")
    }

    /// A plain connection beside the store, as another program would have.
    pub async fn plain_connection(&self) -> AnyConnection {
        connect(&self.url).await
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self.home, Home::Database(_))
    }

    /// As [`Store::plain_connection`], before the store was ever opened.
    pub async fn plain_connection_to_new(&self) -> AnyConnection {
        match &self.home {
            Home::Folder(_) => connect(&format!("{}?mode=rwc", self.url)).await,
            Home::Database(_) => self.plain_connection().await,
        }
    }

    pub async fn remove(self) {
        match self.home {
            Home::Folder(folder) => folder.close().expect("the folder goes"),
            Home::Database(name) => administer(format!("DROP DATABASE {name} WITH (FORCE)")).await,
        }
    }
}

pub async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let options: AnyConnectOptions = url.parse().expect("a database URL");
    options.connect().await.expect("a connection")
}

pub fn with_database(url: &str, name: &str) -> String {
    let mut options: AnyConnectOptions = url.parse().expect("a database URL");
    options.database_url.set_path(name);
    options.database_url.to_string()
}

async fn administer(statement: String) {
    let mut connection = connect(&server_url()).await;
    connection.execute(AssertSqlSafe(statement)).await.expect("the server does as the test asks");
    connection.close().await.expect("closes");
}

/// The server all tests of this binary share: `REMIT_TEST_POSTGRES_URL`, else a cluster started here.
pub fn server_url() -> String {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    match std::env::var("REMIT_TEST_POSTGRES_URL") {
        Ok(url) => url,
        Err(_) => CLUSTER.get_or_init(Cluster::start).url.clone(),
    }
}

/// A throw-away cluster on a Unix socket. Its keeper waits on a pipe from this process, so that it stops the
/// server and removes the files however this process ends.
struct Cluster {
    url: String,
    _keeper: Child,
}

const KEEPER: &str = r#"
set -eu
dir=$(mktemp -d /tmp/remit-records-pg.XXXXXX)
stop() { "$1/pg_ctl" -D "$dir/data" -m immediate stop >>"$dir/log" 2>&1 || true; rm -rf "$dir"; }
trap "stop '$1'" EXIT
trap 'exit 1' INT TERM HUP
"$1/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 \
    || { cat "$dir/log"; exit 1; }
"$1/pg_ctl" -D "$dir/data" -w -t 60 -l "$dir/log" \
    -o "-c listen_addresses='' -c unix_socket_directories='$dir' -c max_connections=300 -c fsync=off" \
    start </dev/null >/dev/null 2>&1 || { cat "$dir/log"; exit 1; }
echo "ready $dir"
cat >/dev/null
"#;

impl Cluster {
    fn start() -> Self {
        let programs = find_programs().expect(
            "these tests need a real PostgreSQL server: `apt-get install postgresql`, or set \
             REMIT_TEST_POSTGRES_URL to one where databases may be made",
        );
        let mut command = match nobody_in_particular() {
            // The server refuses to run as root.
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--", "sh", "-c", KEEPER, "keeper"]);
                command
            }
            None => {
                let mut command = Command::new("sh");
                command.args(["-c", KEEPER, "keeper"]);
                command
            }
        };
        let mut keeper = command
            .arg(programs)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the keeper of the Postgres cluster starts");
        let mut output = BufReader::new(keeper.stdout.take().expect("its output is piped"));
        let mut said = String::new();
        output.read_line(&mut said).expect("the keeper says something");
        let Some(folder) = said.strip_prefix("ready ") else {
            output.read_to_string(&mut said).expect("the rest of what it says");
            panic!("the Postgres cluster does not start:\n{said}");
        };
        let url = format!("postgres:///postgres?host={}&user=postgres", folder.trim());
        Self { url, _keeper: keeper }
    }
}

fn find_programs() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    let packaged = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(packaged.map(|version| version.path().join("bin")));
    let all_there = |folder: &PathBuf| ["initdb", "pg_ctl", "postgres"].iter().all(|p| folder.join(p).exists());
    folders.into_iter().find(all_there)
}

/// The user to run the server as, when we are root.
fn nobody_in_particular() -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt;
    let we_are_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let known = users.lines().any(|line| line.starts_with("postgres:"));
    we_are_root.then_some(if known { "postgres" } else { "nobody" })
}

/// The same test program again, as a process of its own, running one test.
pub fn again(test: &str) -> Command {
    let me: &Path = &std::env::current_exe().expect("this program's path");
    let mut command = Command::new(me);
    command.args(["--exact", test, "--nocapture"]);
    command
}

/// A claim for some request, where it does not matter which.
pub fn claim<'a>(key: &'a str, digest: &'a str, external_id: &'a str) -> NewClaim<'a> {
    static REQUEST: LazyLock<Value> = LazyLock::new(|| serde_json::json!({"amount": "12500000"}));
    NewClaim {
        key,
        digest,
        external_id,
        request: &REQUEST,
        wallet: "wa-1",
        asset: "USDC",
        amount: "12500000",
        program: None,
    }
}

/// An event about these objects, where nothing else matters.
pub fn event<'a>(what: &'a str, objects: &'a [(ObjectKind, &'a str)]) -> NewEvent<'a> {
    NewEvent {
        what,
        kind: "something.happened",
        about: "",
        state: "Pending",
        objects,
        named_key: None,
        body: b"{}",
        event_id: "ev-1",
        source: "webhook",
    }
}

/// Stores on one database, as several processes have them.
pub async fn several(store: &Store) -> Vec<Records> {
    vec![store.open().await, store.open().await, store.open().await, store.open().await]
}

pub async fn close(stores: Vec<Records>) {
    for records in stores {
        records.close().await;
    }
}

/// A hundred tasks over these stores, started together.
pub async fn race<T, F>(stores: &[Records], work: impl Fn(Records, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    race_of(100, stores, work).await
}

/// As [`race`], with this many tasks.
pub async fn race_of<T, F>(many: usize, stores: &[Records], work: impl Fn(Records, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(tokio::sync::Barrier::new(many));
    let tasks: Vec<_> = (0..many)
        .map(|n| {
            let (start, task) = (start.clone(), work(stores[n % stores.len()].clone(), n));
            tokio::spawn(async move {
                start.wait().await;
                task.await
            })
        })
        .collect();
    join_all(tasks).await.into_iter().map(|done| done.expect("no task panics")).collect()
}

/// At least this long, and not much longer: the clock was moved, the machine may be slow.
#[track_caller]
pub fn assert_about(age: Duration, expected: Duration) {
    let most = expected + Duration::from_secs(120);
    assert!(age >= expected && age < most, "{age:?}; expected {expected:?} or a little more");
}

#[track_caller]
pub fn assert_broken<T: std::fmt::Debug>(answer: Result<T, Error>, part: &str) {
    let error = answer.expect_err("an error");
    assert!(!error.retry_helps(), "retrying does not help: {}", chain(&error));
    assert!(error.to_string().contains(part), "{error}; expected to read {part:?}");
}

pub fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}
