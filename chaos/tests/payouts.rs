//! A small run, as the program does them.

use std::time::Duration;

use anyhow::Result;
use remit_chaos::payouts::{Plan, run, usual_faults};

#[tokio::test(flavor = "multi_thread")]
async fn forty_payouts_under_the_usual_faults_all_end_and_every_book_agrees() -> Result<()> {
    let plan = Plan {
        count: 40,
        seed: 7,
        in_flight: 40,
        faults: usual_faults(),
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
