//! A small run of what the program does.

use std::time::Duration;

use anyhow::Result;
use remit_chaos::payouts::{Plan, run};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn forty_payouts_under_faults_all_end_and_every_book_agrees() -> Result<()> {
    // Of the usual faults, but fewer errors and timeouts: a signed call is three, and the waits between tries grow.
    let faults = json!({"serverErrors": 5, "answersLost": 5, "timeouts": 2,
                        "webhooksDoubled": 20, "webhooksShuffled": 20, "webhooksLost": 5});
    let plan = Plan {
        count: 40,
        seed: 7,
        in_flight: 40,
        faults,
        limit: Duration::from_secs(300),
        kill_workers: false,
        progress: |line| println!("{line}"),
    };
    let report = run(plan).await?;
    println!("{report}");
    assert!(report.holds(), "{report}");
    // Otherwise nothing was shown.
    for share in ["serverErrors", "answersLost", "timeouts", "webhooksDoubled", "webhooksShuffled"] {
        assert!(report.faults["struck"][share].as_u64() > Some(0), "{share} never struck: {report}");
    }
    Ok(())
}
