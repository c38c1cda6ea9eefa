//! The second wall: Dfns's own policies, as the doctor sees them.

use anyhow::{Context, Result};
use remit_dfns::{Action, ApprovalGroup, Approvers, UserList};
use serde_json::Value;

use crate::harness::{World, anyone, policy};

/// What the doctor found: its exit code, and every finding.
async fn diagnosed(world: &World) -> Result<(Option<i32>, Vec<Value>)> {
    let (exit, says, _) = world.command(&["doctor", "--json"]).await?;
    Ok((exit, serde_json::from_str(&says).with_context(|| says.clone())?))
}

/// The verdicts of one check.
fn verdicts<'a>(findings: &'a [Value], check: &str) -> Vec<&'a str> {
    findings.iter().filter(|it| it["check"] == check).filter_map(|it| it["verdict"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_sees_the_policy_in_force_and_what_the_payer_could_do() -> Result<()> {
    let world = World::new().await?;
    let (exit, findings) = diagnosed(&world).await?;
    assert_eq!(exit, Some(0), "{findings:#?}");
    assert_eq!(verdicts(&findings, "policy"), ["ok"], "{findings:#?}");
    // The sandbox's payer can neither vote nor take policies down; it may send tokens.
    assert_eq!(verdicts(&findings, "Policies:Evaluations:Vote"), ["ok"], "{findings:#?}");
    assert_eq!(verdicts(&findings, "Policies:Delete"), ["ok"]);
    assert_eq!(verdicts(&findings, "Wallets:Transfers:Create"), ["warn"]);
    assert_eq!(verdicts(&findings, "policies at Dfns"), ["warn"], "there are none");

    policy(&world, Action::request_approval(vec![anyone()], Some(239))).await?;
    let (exit, findings) = diagnosed(&world).await?;
    assert_eq!((exit, verdicts(&findings, "policies at Dfns")), (Some(0), vec!["ok"]), "{findings:#?}");

    let payer = world.system.organisation().user("payer")?.user_id.clone();
    let named = Approvers { user_id: Some(UserList { any_of: vec![payer] }) };
    policy(&world, Action::request_approval(vec![ApprovalGroup { approvers: named, ..anyone() }], None)).await?;
    let (exit, findings) = diagnosed(&world).await?;
    assert_eq!((exit, verdicts(&findings, "policies at Dfns")), (Some(1), vec!["fail", "warn"]), "{findings:#?}");
    world.end().await
}
