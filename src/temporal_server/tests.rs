//! The dev server as it is: the CLI is found, or built, the way every other caller gets it.

use super::*;

async fn the_cli() -> PathBuf {
    cli(None, |line| eprintln!("{line}")).await.expect("a Temporal CLI")
}

/// Runs the CLI against a server; gives what it prints.
async fn ask(server: &DevServer, question: &[&str]) -> String {
    let asked = Command::new(the_cli().await).args(question).args(["--address", server.address()]).output().await;
    let asked = asked.expect("the CLI runs");
    let printed = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(asked.status.success(), "{question:?}: {printed}{}", String::from_utf8_lossy(&asked.stderr));
    printed
}

fn alive(pid: u32) -> bool {
    let asked = std::process::Command::new("sh").args(["-c", &format!("kill -0 {pid} 2>/dev/null")]).status();
    asked.expect("sh runs").success()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not after 20 s: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_started_server_answers_at_once_and_knows_its_search_attributes() {
    let options = DevServerOptions {
        namespace: "payouts".into(),
        search_attributes: vec![("RemitStage".into(), "Keyword".into())],
        ui: WebUi::AnyPort,
        ..DevServerOptions::default()
    };
    let server = DevServer::start(&the_cli().await, options).await.expect("it starts");
    let listed = ask(&server, &["operator", "search-attribute", "list", "--namespace", "payouts"]).await;
    assert!(listed.contains("RemitStage"), "{listed}");
    let ui = server.ui_url().and_then(|url| url.strip_prefix("http://")).expect("the Web UI is on");
    TcpStream::connect(ui).await.expect("the Web UI listens");

    let pid = server.pid();
    server.stop().await.expect("it stops");
    assert!(!alive(pid));
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let server = DevServer::start(&the_cli().await, DevServerOptions::default()).await.expect("it starts");
    assert_eq!(server.ui_url(), None);
    let pid = server.pid();
    drop(server);
    until("the server is gone", || !alive(pid)).await;
}

#[tokio::test]
async fn a_server_does_not_outlive_the_process_that_watches_for_ours() {
    let mut server = DevServer::start(&the_cli().await, DevServerOptions::default()).await.expect("it starts");
    // What the kernel does for us when this process is killed: the keeper's input ends.
    drop(server.keeper.stdin.take());
    timeout(Duration::from_secs(10), server.exited()).await.expect("in time").expect("its status");
}

#[tokio::test]
async fn what_a_file_keeps_is_there_after_a_kill() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = || DevServerOptions {
        db_file: Some(folder.path().join("state/temporal.db")),
        log_file: Some(folder.path().join("logs/temporal.log")),
        search_attributes: vec![("RemitStage".into(), "Keyword".into())],
        ..DevServerOptions::default()
    };
    let cli = the_cli().await;
    let first = DevServer::start(&cli, options()).await.expect("it starts");
    let start = ["workflow", "start", "--type", "payout", "--task-queue", "remit", "--workflow-id", "payout-1"];
    ask(&first, &start).await;
    let up = |times| {
        fs::read_to_string(folder.path().join("logs/temporal.log"))
            .is_ok_and(|log| log.matches("Temporal Server:").count() == times)
    };
    until("the log says that the server is up", || up(1)).await;
    let pid = first.pid();
    drop(first);
    until("the server is gone", || !alive(pid)).await;

    let second = DevServer::start(&cli, options()).await.expect("it starts again");
    let described = ask(&second, &["workflow", "describe", "--workflow-id", "payout-1"]).await;
    assert!(described.contains("payout-1"), "{described}");
    until("the log has both runs", || up(2)).await;
    second.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_port_that_is_taken_is_refused_by_number() {
    let taken = TcpListener::bind(at(0)).expect("a free port");
    let port = taken.local_addr().expect("its address").port();
    for options in [
        DevServerOptions { port: Some(port), ..DevServerOptions::default() },
        DevServerOptions { ui: WebUi::Port(port), ..DevServerOptions::default() },
    ] {
        let refused = DevServer::start(&the_cli().await, options).await.expect_err("the port is taken");
        assert!(format!("{refused:#}").contains(&format!("port {port} on 127.0.0.1")), "{refused:#}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why() {
    let options = DevServerOptions { extra: vec!["--no-such-flag".into()], ..DevServerOptions::default() };
    let refused = DevServer::start(&the_cli().await, options).await.expect_err("it cannot start");
    let refused = format!("{refused:#}");
    assert!(refused.contains("ended while it started") && refused.contains("no-such-flag"), "{refused}");
}
