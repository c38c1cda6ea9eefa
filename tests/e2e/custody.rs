//! The second wall, Dfns's own policies, as the doctor sees them; and the token that a worker calls Dfns with.

use anyhow::{Context, Result};
use remit::dev::{Begin, Options};
use remit_client::Found;
use remit_dfns::{Action, ApprovalGroup, Approvers, UserList};
use remit_domain::Ending;
use reqwest::Method;
use serde_json::Value;

use crate::harness::{World, anyone, policy, quick, until};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_goes_on_with_the_token_that_its_command_prints_when_the_first_is_revoked() -> Result<()> {
    let world = World::with(Options { cadence: quick(), worker: Begin::Later, ..Options::default() }).await?;
    let organisation = world.system.organisation();
    let payer = organisation.user("payer")?.user_id.clone();
    let renew = async || -> Result<String> {
        let made = organisation.control(Method::POST, &format!("/users/{payer}/token"), None).await?;
        Ok(made["token"].as_str().context("no token")?.to_owned())
    };
    let file = world.system.env_file().with_file_name("token");
    std::fs::write(&file, renew().await?)?;
    let command = format!("cat {}", file.display());
    let worker = world.worker_with(&[("DFNS_TOKEN", ""), ("DFNS_TOKEN_COMMAND", &command)])?;
    let (client, request) = (world.system.client(), world.request("renewed", "1000000000")?);
    assert_eq!(client.check(&request).await?.found(), Found::Good);

    std::fs::write(&file, renew().await?)?;
    let refused = client.check(&request).await?;
    assert_eq!(refused.found(), Found::NotKnown, "the token at hand is refused: {refused:#?}");
    until("the worker to call with the new one", async || {
        Ok((client.check(&request).await?.found() == Found::Good).then_some(()))
    })
    .await?;
    client.start(&request).await?;
    assert_eq!(world.outcome("renewed").await?.ending, Ending::Completed);
    world.paid_exactly_once("renewed").await?;
    worker.kill()?;
    world.end().await
}
