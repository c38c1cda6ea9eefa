//! The small form of a run, as the program does it.

use std::process::Command;

use serde_json::Value;

#[test]
fn two_hundred_payouts_and_forty_kills_leave_books_that_agree() {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = folder.path().join("run");
    let run = Command::new(env!("CARGO_BIN_EXE_chaos"))
        .args(["--payouts", "200", "--kills", "40", "--seed", "7", "--limit", "10", "--json", "--keep"])
        .arg(&keep)
        .output()
        .expect("the program runs");
    let (said, progress) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    println!("{progress}\n{said}");
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(report["violations"], Value::Array(vec![]), "{:#}", report["violations"]);
    assert_eq!(run.status.code(), Some(0), "{progress}");

    // Otherwise nothing was shown.
    let blows = |what: &str| report["blows"][what].as_u64().unwrap_or_default();
    assert_eq!((blows("kill worker"), blows("kill relay"), blows("kill server")), (21, 13, 6), "{}", report["blows"]);
    assert!(report["endings"]["Completed/paid"].as_u64() >= Some(100), "{}", report["endings"]);
    for ending in [
        "Blocked/untouched",
        "Canceled/untouched",
        "Denied/untouched",
        "Failed/withProvider",
        "Failed/untouched",
        "Rejected/untouched",
    ] {
        assert!(report["endings"][ending].as_u64() > Some(0), "{ending}: {}", report["endings"]);
    }
    let pairs = report["coverage"]["pairs"].as_array().expect("a table");
    for (fault, state) in [
        ("kill worker", "create under way"),
        ("kill worker", "awaiting instructions"),
        ("kill worker", "confirm under way"),
        ("kill worker", "settling"),
        ("kill relay", "awaiting instructions"),
        ("kill server", "awaiting instructions"),
        ("slow, after the effect", "create under way"),
        ("slow, after the effect", "confirm under way"),
        ("cutConnection, after the effect", "confirm under way"),
        ("addressChangesAtConfirm", "confirm under way"),
    ] {
        let hit = pairs.iter().any(|pair| pair[0] == fault && pair[1] == state);
        assert!(hit, "no {fault} met a payout that was {state}: {}", report["coverage"]);
    }

    // One payout can be followed through all books.
    let trace = Command::new(env!("CARGO_BIN_EXE_chaos")).arg("trace").arg(&keep).arg("c7-0000").output();
    let trace = String::from_utf8(trace.expect("the program runs").stdout).expect("text");
    for book in ["plan", "starter", "audit", "records", "history"] {
        assert!(trace.lines().any(|line| line.contains(&format!("  {book} "))), "{book}: {trace}");
    }
}
