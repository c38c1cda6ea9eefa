//! Opening the store: what is made, and how clearly everything else is refused.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use remit_records::{Error, NewClaim, Options, Records};

static CLAIM: NewClaim<'static> = NewClaim {
    key: "inv-1",
    digest: "d1",
    external_id: "inv-1",
    request: &serde_json::Value::Null,
    wallet: "wa-1",
    asset: "USDC",
    amount: "1",
    program: None,
};

#[tokio::test]
async fn a_new_file_and_its_folders_are_for_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a/b/records 100%25 é.db");
    let records = Records::open(&format!("sqlite://{}", file.display())).await.expect("opens");
    records.claim(&CLAIM).await.expect("claims");

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("a")), 0o700);
    let made: Vec<_> = fs::read_dir(folder.path().join("a/b")).unwrap().map(|f| f.unwrap().path()).collect();
    assert!(made.contains(&file), "the path is taken as it stands: {made:?}");
    assert!(made.len() > 1, "the log lies beside the file: {made:?}");
    for path in &made {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    records.close().await;
}

#[tokio::test]
async fn what_is_not_a_database_url_is_refused_with_what_was_expected() {
    for (url, part) in [
        ("", "no scheme"),
        ("records.db", "no scheme"),
        ("mysql://localhost/remit", "unknown scheme \"mysql\""),
        ("sqlite://", "names no file"),
        ("sqlite:///var/lib/", "names no file"),
        ("sqlite::memory:", "memory will not do"),
        ("sqlite://:memory:", "memory will not do"),
        ("sqlite://x?mode=memory&cache=shared", "memory will not do"),
        ("sqlite://x?mode=ro", "parameters are not taken"),
        ("postgres://[::1/remit", "not a valid URL"),
    ] {
        let error = refused(url).await;
        assert!(!error.retry_helps(), "{url}: {error}");
        let text = error.to_string();
        assert!(text.contains(part) && text.contains("expected sqlite://path"), "{url}: {text}");
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plain");
    fs::write(&file, "a file").unwrap();
    let below_a_file = file.join("records.db");
    let a_folder = folder.path().join("folder");
    fs::create_dir(&a_folder).unwrap();

    // Nobody may make files in /proc, root included.
    for path in [below_a_file.as_path(), &a_folder, Path::new("/proc/remit/records.db")] {
        let error = refused(&format!("sqlite://{}", path.display())).await;
        assert!(!error.retry_helps(), "{error}");
        let named = path.parent().unwrap().display().to_string();
        assert!(error.to_string().contains(&named), "{error}");
        assert!(std::error::Error::source(&error).is_some(), "the system's own words are kept");
    }
}

#[tokio::test]
async fn a_folder_where_sqlite_cannot_make_its_log_is_refused_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.db");
    // In the way of the log, for root too.
    fs::create_dir(folder.path().join("records.db-wal")).unwrap();
    let error = refused(&format!("sqlite://{}", file.display())).await;
    assert!(!error.retry_helps(), "{error}");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    assert!(error.to_string().contains("must be writable"), "{error}");
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    let text = "not a database, but longer than the hundred bytes of a SQLite header: ".repeat(4);
    fs::write(&file, &text).unwrap();
    let error = refused(&format!("sqlite://{}", file.display())).await;
    assert!(!error.retry_helps());
    assert!(error.to_string().contains("not a SQLite database"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    // A port that was free a moment ago, and nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refused(&format!("postgres://remit:hunter2@127.0.0.1:{port}/books?sslmode=disable")).await;
    assert!(error.retry_helps(), "it may come back");
    let text = error.to_string();
    assert!(text.contains(&format!("Postgres at 127.0.0.1:{port}, database \"books\"")), "{text}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    // It accepts, by its backlog, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut options = Options::new(format!("postgres://remit@127.0.0.1:{port}/books?sslmode=disable"));
    options.patience = Duration::from_millis(200);
    let error = Records::open_with(options).await.expect_err("no answer");
    assert!(error.retry_helps());
    assert!(error.to_string().contains("no answer within 200ms"), "{error}");
}

#[tokio::test]
async fn a_file_locked_by_another_program_is_waited_for_and_then_said_to_be_busy() {
    use sqlx::{ConnectOptions, Executor};
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("records.db").display());
    let mut options = Options::new(&url);
    options.patience = Duration::from_millis(300);
    let records = Records::open_with(options).await.expect("opens");

    sqlx::any::install_default_drivers();
    let other: sqlx::any::AnyConnectOptions = url.parse().unwrap();
    let mut other = other.connect().await.expect("connects");
    other.execute("BEGIN IMMEDIATE").await.expect("locks");
    let error = records.claim(&CLAIM).await.expect_err("locked");
    assert!(error.retry_helps(), "{error}");

    other.execute("ROLLBACK").await.expect("unlocks");
    // The call that was given up may still hold the one connection for a moment: ask until it is answered.
    let answered = async {
        while let Err(error) = records.claim(&CLAIM).await {
            assert!(error.retry_helps(), "{error}");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answered).await.expect("answers once it is free");
    records.close().await;
}

async fn refused(url: &str) -> Error {
    match Records::open(url).await {
        Ok(_) => panic!("{url:?} was opened"),
        Err(error) => error,
    }
}
