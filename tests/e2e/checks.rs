//! What would go wrong is said before it does: asked for by a person, and looked at just before Confirm.

use anyhow::Result;
use remit::dev::Options;
use remit_client::{Found, PayoutCheck, Standing};
use remit_domain::{Ending, policy::Verdict};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{World, go_on, instructions_after, order, quick, unsigned};

const POLICY: &str = r#"
name = "checks"
unsigned_starts = "allow"

[people.ana]
key = "ed25519:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
[groups.treasury]
people = ["ana"]
[orders]
unsigned = "allow"

[[rule]]
name = "a-day"
kind = "TransactionAmountVelocity"
limit = "1500 USD"
window = "24h"
action = "Block"

[[rule]]
name = "large"
kind = "TransactionAmountLimit"
limit = "1200 USD"
action = "RequestApproval"
approvals = [{ group = "treasury", quorum = 1 }]
timeout = "4h"
"#;

async fn with(organisation: Value) -> Result<World> {
    let policy = POLICY.to_owned();
    World::with(Options { cadence: quick(), policy, organisation, ..Options::default() }).await
}

async fn control(world: &World, path: &str, body: Value) -> Result<()> {
    world.system.organisation().control(Method::PUT, path, Some(&body)).await.map(drop)
}

fn found(check: &PayoutCheck, what: &str) -> Option<Found> {
    check.checks.iter().find(|it| it.what == what).map(|it| it.found)
}

/// The checks that say no.
fn bad(check: &PayoutCheck) -> Vec<&str> {
    check.checks.iter().filter(|it| it.found == Found::Bad).map(|it| it.what.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_the_policy_would_say_and_leaves_nothing_behind() -> Result<()> {
    let world = with(json!({})).await?;
    let client = world.system.client();
    let small = client.check(&world.request("small", "1000000000")?).await?;
    assert_eq!((small.found(), &small.standing), (Found::Good, &Standing::New), "{small:#?}");
    assert!(!small.offers.is_empty());
    let verdict = |check: &PayoutCheck| check.ruling.as_ref().map(|ruling| ruling.verdict);
    assert_eq!(verdict(&small), Some(Verdict::Allowed));
    let large = client.check(&world.request("large", "1300000000")?).await?;
    assert_eq!((large.found(), verdict(&large)), (Found::Good, Some(Verdict::NeedsApproval)), "{large:#?}");
    let over = client.check(&world.request("over", "1500000001")?).await?;
    assert_eq!((bad(&over), verdict(&over)), (vec!["policy"], Some(Verdict::Blocked)), "{over:#?}");

    // However often it was asked: nothing is claimed, decided or reserved, and nothing was made at the provider.
    let records = world.system.records();
    for id in ["small", "large", "over"] {
        assert!(records.payout(id).await?.is_none() && records.decision(id).await?.is_none(), "{id}");
        assert_eq!(world.total(id, "createCalls").await?, 0, "{id}");
    }
    assert!(records.open_reservations(None, 10).await?.items.is_empty());

    // What is paid counts in the next forecast, as it does in the next decision.
    world.start("small", "1000000000").await?;
    assert_eq!(world.outcome("small").await?.ending, Ending::Completed);
    let next = client.check(&world.request("next", "600000000")?).await?;
    assert_eq!(bad(&next), ["policy"], "{next:#?}");
    let paid = client.check_started("small").await?;
    assert!(matches!(paid.standing, Standing::Over { .. }), "{paid:#?}");
    let other = client.check(&world.request("small", "1000000001")?).await?;
    assert_eq!((&other.standing, bad(&other)), (&Standing::Conflict, vec!["id"]));
    assert!(client.check_started("nobody").await.is_err());
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_sees_what_would_fail_on_the_chain() -> Result<()> {
    let world = with(json!({})).await?;
    let client = world.system.client();
    let organisation = world.system.organisation();
    let (wallet, token) = (organisation.wallet("Polygon")?.id.clone(), organisation.token("Polygon")?.contract);
    let request = world.request("chain", "1000000000")?;
    let token_is = |paused: bool, listed: Value| json!({"network": "Polygon", "contract": token, "paused": paused, "blacklisted": listed});
    let native = |units: &str| json!({"walletId": wallet, "kind": "Native", "balance": units});
    let holds = |units: &str| json!({"walletId": wallet, "kind": "Erc20", "contract": token, "balance": units});

    control(&world, "/tokens", token_is(true, json!([]))).await?;
    assert_eq!(bad(&client.check(&request).await?), ["paused"]);
    control(&world, "/tokens", token_is(false, json!([]))).await?;
    control(&world, "/balances", native("1000")).await?;
    assert_eq!(bad(&client.check(&request).await?), ["fee"]);
    control(&world, "/balances", native("1000000000000000000")).await?;
    control(&world, "/balances", holds("999999999")).await?;
    assert_eq!(bad(&client.check(&request).await?), ["balance"]);
    control(&world, "/balances", holds("1000000000")).await?;
    control(&world, &format!("/wallets/{wallet}"), json!({"status": "Inactive"})).await?;
    assert_eq!(found(&client.check(&request).await?, "wallet"), Some(Found::Bad));
    control(&world, &format!("/wallets/{wallet}"), json!({"status": "Active"})).await?;
    assert_eq!(client.check(&request).await?.found(), Found::Good);

    // The program says the same, and its exit code too.
    let file = world.system.env_file().with_file_name("payout.json");
    std::fs::write(&file, serde_json::to_string(&request)?)?;
    let file = file.to_string_lossy().into_owned();
    let (exit, says, stderr) = world.command(&["payout", "check", &file]).await?;
    assert_eq!(exit, Some(0), "{says}{stderr}");
    assert!(says.contains("would be paid"), "{says}");
    control(&world, "/tokens", token_is(true, json!([]))).await?;
    let (exit, says, _) = world.command(&["payout", "start", "--file", &file, "--dry-run"]).await?;
    assert_eq!(exit, Some(3), "{says}");
    assert!(says.contains("paused"), "{says}");
    assert_eq!(world.command(&["payout", "check", "nobody"]).await?.0, Some(4));
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_work_is_not_confirmed_and_goes_on_once_it_can() -> Result<()> {
    let world = with(instructions_after(86_000_000)).await?;
    let client = world.system.client();
    let token = world.system.organisation().token("Polygon")?.contract;
    world.start("listed", "1000000000").await?;
    world.total_is("listed", "createsAccepted", 1).await?;
    client.hold("listed", &order("until its address is on the list")).await?;
    world.instruct("listed").await?;
    let status = world
        .status_when("listed", "its address", |it| it.read.as_ref().is_some_and(|read| read.deposit_address.is_some()));
    let address = status.await?.read.and_then(|read| read.deposit_address);
    let listed = |addresses: Value| json!({"network": "Polygon", "contract": token, "blacklisted": addresses});
    control(&world, "/tokens", listed(json!([address]))).await?;
    assert_eq!(bad(&client.check_started("listed").await?), ["recipient"]);

    client.release("listed", &unsigned("go")).await?;
    let status = world.in_doubt("listed").await?;
    assert!(status.says.contains("refuses"), "{}", status.says);
    assert_eq!(world.total("listed", "confirmCalls").await?, 0);
    control(&world, "/tokens", listed(json!([]))).await?;
    client.resolve("listed", &go_on()).await?;
    assert_eq!(world.outcome("listed").await?.ending, Ending::Completed);
    world.paid_exactly_once("listed").await?;
    world.no_task_failed("listed").await?;
    world.end().await
}
