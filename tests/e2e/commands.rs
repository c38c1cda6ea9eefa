//! The program, as a newcomer runs it.

use anyhow::Result;
use serde_json::Value;

use crate::harness::Process;

#[tokio::test(flavor = "multi_thread")]
async fn every_payout_of_the_demo_ends_as_it_says() -> Result<()> {
    let (succeeded, output) = tokio::task::spawn_blocking(|| Process::output(&["demo", "--exit", "--json"])).await??;
    let rows: Vec<Value> = serde_json::from_str(&output)?;
    for row in &rows {
        assert_eq!(row["ending"], row["expected"], "{row:#}");
        assert!(row["link"].as_str().is_some_and(|link| link.contains("/workflows/payout-demo-")), "{row:#}");
    }
    assert_eq!(rows.len(), 11);
    assert!(succeeded);
    Ok(())
}
