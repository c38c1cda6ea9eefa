//! Which Temporal CLI is taken, and when one is built: with scripts in the place of `temporal` and `go`.

use super::*;
use std::{cell::RefCell, os::unix::fs::symlink};
use tempfile::TempDir;

const NEW: &str = "temporal version 1.8.2 (Server 1.32.1, UI 2.54.1)";
const OLD: &str = "temporal version 1.3.0 (Server 1.27.1, UI 2.36.0)";

/// A user whose PATH and cache are empty folders.
struct User {
    home: TempDir,
    places: Places,
    said: RefCell<Vec<String>>,
}

impl User {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        for folder in ["bin", "cache", "elsewhere"] {
            fs::create_dir(home.path().join(folder)).expect("a folder in it");
        }
        let places = Places { path: home.path().join("bin").into(), cache: Some(home.path().join("cache")) };
        Self { home, places, said: RefCell::default() }
    }

    /// Written by another process: a file that this one has open for writing could not be run by a test beside this one.
    fn script(&self, name: &str, body: &str) -> PathBuf {
        let file = self.home.path().join(name);
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod +x "$0""#;
        let done = std::process::Command::new("sh").args(["-c", write]).arg(&file).arg(body).status();
        assert!(done.expect("sh runs").success());
        file
    }

    fn cli(&self, name: &str, version: &str) -> PathBuf {
        self.script(name, &format!("echo '{version}'"))
    }

    /// A Go that "builds" a CLI, counts how often, and leaves a trace of how it was called.
    fn go(&self) {
        let body = r#"
            log="$(dirname "$0")/../go.log"
            PATH=/usr/bin:/bin
            if [ "$1" = env ]; then echo go1.26.8; echo https://proxy.golang.org,direct; exit; fi
            [ -s go.mod ] && [ -s go.sum ] || exit 1
            echo "$GOTOOLCHAIN $GOFLAGS $GOPROXY $*" >> "$log"
            sleep 0.3
            printf '#!/bin/sh\necho "temporal version 1.8.2 (Server 1.32.1, UI 2.54.1)"\n' > temporal
            chmod +x temporal
        "#;
        self.script("bin/go", body);
    }

    fn builds(&self) -> Vec<String> {
        fs::read_to_string(self.home.path().join("go.log")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    async fn find(&self, explicit: Option<&Path>) -> Result<PathBuf> {
        self.places.find(explicit, &|line| self.said.borrow_mut().push(line.to_owned())).await
    }

    async fn refused(&self, explicit: Option<&Path>) -> String {
        format!("{:#}", self.find(explicit).await.expect_err("nothing to find"))
    }

    fn kept(&self) -> PathBuf {
        self.home.path().join("cache/remit/temporal-1.8.2-1.32.1/temporal")
    }
}

#[test]
fn the_server_version_is_read_from_what_the_cli_says() {
    let version = |said| server_version(said);
    assert_eq!(version(NEW), Some(vec![1, 32, 1]));
    assert_eq!(version("temporal version 1.9.0 (Server 1.33.0-153.1, UI 2.60.0)"), Some(vec![1, 33, 0]));
    assert_eq!(version("temporal version 2.0 (Server 2.0)"), Some(vec![2, 0]));
    for unreadable in ["", "temporal version 1.8.2", "(Server x, UI 2)", "(Server 1, UI 2)", "(Server 1..2, UI 2)"] {
        assert_eq!(version(unreadable), None, "{unreadable:?}");
    }
}

#[test]
fn versions_compare_as_numbers() {
    assert!(numbers("1.32.1").expect("a version").as_slice() >= OLDEST_SERVER);
    assert!(numbers("1.32").expect("a version").as_slice() >= OLDEST_SERVER);
    assert!(numbers("1.9.9").expect("a version").as_slice() < OLDEST_SERVER);
    assert!(numbers("1.100").expect("a version").as_slice() >= OLDEST_SERVER);
}

#[test]
fn the_versions_named_here_are_the_ones_the_go_module_pins() {
    for line in [
        format!("github.com/temporalio/cli v{CLI_VERSION} "),
        format!("go.temporal.io/server v{SERVER_VERSION} "),
        format!("\ngo {OLDEST_GO}\n"),
    ] {
        assert!(GO_MOD.contains(&line), "{line:?} is not in tools/temporal/go.mod");
    }
}

#[tokio::test]
async fn a_cli_that_is_named_is_used_even_with_another_on_path() {
    let user = User::new();
    user.cli("bin/temporal", NEW);
    let named = user.cli("elsewhere/temporal", NEW);
    assert_eq!(user.find(Some(&named)).await.expect("it is usable"), named);
}

#[tokio::test]
async fn a_cli_that_is_named_but_too_old_is_refused_with_both_versions() {
    let user = User::new();
    let named = user.cli("elsewhere/temporal", OLD);
    let refused = user.refused(Some(&named)).await;
    assert!(refused.contains("holds Temporal Server 1.27.1, 1.32 or newer is needed"), "{refused}");
}

#[tokio::test]
async fn a_cli_that_is_named_but_missing_is_refused_by_name() {
    let user = User::new();
    let refused = user.refused(Some(Path::new("/nowhere/temporal"))).await;
    assert!(refused.contains("/nowhere/temporal does not run"), "{refused}");
}

#[tokio::test]
async fn a_new_enough_cli_on_path_is_used() {
    let user = User::new();
    let on_path = user.cli("bin/temporal", NEW);
    assert_eq!(user.find(None).await.expect("it is usable"), on_path);
}

#[tokio::test]
async fn an_old_cli_on_path_is_passed_over_and_one_is_built() {
    let user = User::new();
    user.cli("bin/temporal", OLD);
    user.go();
    assert_eq!(user.find(None).await.expect("it is built"), user.kept());
    assert!(user.said.borrow()[0].contains("1.27.1"), "{:?}", user.said);
}

#[tokio::test]
async fn the_cli_is_built_once_with_the_pinned_module_and_no_other_toolchain() {
    let user = User::new();
    user.go();
    for _ in 0..2 {
        assert_eq!(user.find(None).await.expect("it is built"), user.kept());
    }
    let builds = user.builds();
    assert_eq!(builds.len(), 1, "{builds:?}");
    assert!(builds[0].starts_with("local -mod=readonly https://proxy.golang.org build"), "{builds:?}");
    assert!(builds[0].ends_with("temporalcli.Version=1.8.2 github.com/temporalio/cli/cmd/temporal"), "{builds:?}");
    assert!(!user.kept().with_file_name("build").exists(), "the build folder is left behind");
}

#[tokio::test]
async fn two_who_ask_at_once_build_once() {
    let user = User::new();
    user.go();
    let (one, other) = tokio::join!(user.find(None), user.find(None));
    assert_eq!((one.expect("it is built"), other.expect("it is built")), (user.kept(), user.kept()));
    assert_eq!(user.builds().len(), 1);
    assert!(user.said.borrow().iter().any(|line| line.contains("another process")), "{:?}", user.said);
}

#[tokio::test]
async fn a_broken_cli_in_the_cache_is_built_again() {
    let user = User::new();
    user.go();
    fs::create_dir_all(user.kept().parent().expect("a folder")).expect("created");
    fs::write(user.kept(), "half a file").expect("written");
    user.find(None).await.expect("it is built");
    assert_eq!(user.builds().len(), 1);
}

#[tokio::test]
async fn a_build_that_was_killed_does_not_stand_in_the_way() {
    let user = User::new();
    user.go();
    let left_behind = user.kept().with_file_name("build");
    fs::create_dir_all(&left_behind).expect("created");
    symlink("/nowhere", left_behind.join("temporal")).expect("linked");
    assert_eq!(user.find(None).await.expect("it is built"), user.kept());
}

#[tokio::test]
async fn without_go_the_message_says_what_to_install() {
    let refused = User::new().refused(None).await;
    for hint in ["Server 1.32", "https://go.dev/dl/", "https://docs.temporal.io/cli"] {
        assert!(refused.contains(hint), "{hint} is missing: {refused}");
    }
}

#[tokio::test]
async fn an_old_go_is_refused_before_it_meets_a_file_it_cannot_read() {
    let user = User::new();
    user.script("bin/go", "echo go1.19.2");
    let refused = user.refused(None).await;
    assert!(refused.contains("needs Go 1.26.8") && refused.contains("go1.19.2"), "{refused}");
}

#[tokio::test]
async fn a_failed_build_shows_what_go_said() {
    let user = User::new();
    user.script("bin/go", r#"if [ "$1" = env ]; then echo go1.27.0; else echo 'dial tcp: no route' >&2; exit 1; fi"#);
    let refused = user.refused(None).await;
    assert!(
        refused.contains("dial tcp: no route") && refused.contains("GOPROXY=https://proxy.golang.org"),
        "{refused}"
    );
    assert!(!user.kept().exists());
}

#[tokio::test]
async fn a_module_proxy_that_the_user_chose_is_kept() {
    let user = User::new();
    user.script("bin/go", "echo go1.27.0; echo https://proxy.example,direct");
    let proxy = go_settings(&user.home.path().join("bin/go")).await.expect("settings");
    assert_eq!(proxy, "https://proxy.example,direct");
}
