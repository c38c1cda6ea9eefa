//! Every payout is decided by the policy in force, before anything is created and again before Confirm.

use std::time::Duration;

use anyhow::{Context, Result};
use remit::dev::{Begin, Options};
use remit_client::Verdict;
use remit_domain::{Ending, Money, PayoutRequest, Stage, policy::ApprovalValue};
use serde_json::{Value, json};

use crate::harness::{People, STANDARD, World, instructions_after, order, quick, until};

async fn to(world: &World, id: &str, units: &str, instructions: &str) -> Result<PayoutRequest> {
    let mut json = serde_json::to_value(world.request(id, units)?)?;
    json["destination"]["instructionsId"] = json!(instructions);
    world.system.client().start_json(&json).await?;
    Ok(PayoutRequest::parse(&json)?)
}

async fn with_policy(policy: &str) -> Result<World> {
    World::with(Options { cadence: quick(), policy: policy.to_owned(), ..Options::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standard_set_lets_small_ones_go_asks_for_large_and_unknown_ones_and_blocks_above_the_day() -> Result<()> {
    let people = People::new(&["ana", "ben"])?;
    let world = with_policy(&people.policy(STANDARD)).await?;

    // Small and known: by itself.
    to(&world, "small", "1000000000", "pi-1").await?;
    assert_eq!(world.outcome("small").await?.ending, Ending::Completed);

    // Unknown: asked for, and denied.
    to(&world, "unknown", "500000000", "pi-2").await?;
    let status = world.awaiting_approval("unknown").await?;
    assert!(status.says.contains("known"), "{}", status.says);
    let answer = world.decide(&people, "ben", "unknown", "treasury", false).await?;
    assert_eq!(answer.answer, Verdict::Accepted, "{}", answer.says);
    let outcome = world.outcome("unknown").await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Denied, Money::Untouched), "{}", outcome.reason);
    assert_eq!(outcome.decided.map(|decided| decided.by).as_deref(), Some("ben"));
    assert_eq!(world.total("unknown", "createCalls").await?, 0);

    // Large: asked for, and approved.
    to(&world, "large", "1600000000", "pi-1").await?;
    world.awaiting_approval("large").await?;
    let answer = world.decide(&people, "ana", "large", "treasury", true).await?;
    assert_eq!(answer.answer, Verdict::Accepted, "{}", answer.says);
    assert_eq!(world.outcome("large").await?.ending, Ending::Completed);
    world.paid_exactly_once("large").await?;

    // 2,600 are spent: 400 more fit, one more cent does not.
    to(&world, "over", "400010000", "pi-1").await?;
    let outcome = world.outcome("over").await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Blocked, Money::Untouched), "{}", outcome.reason);
    assert!(outcome.reason.contains("a-day"), "{}", outcome.reason);
    assert_eq!(world.total("over", "createCalls").await?, 0);
    to(&world, "fits", "399000000", "pi-1").await?;
    assert_eq!(world.outcome("fits").await?.ending, Ending::Completed);

    for id in ["small", "unknown", "large", "over", "fits"] {
        world.no_task_failed(id).await?;
    }
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_stricter_by_the_time_of_confirm_calls_the_payout_off_at_the_provider() -> Result<()> {
    let people = People::new(&["ana", "ben"])?;
    let world = World::with(Options {
        cadence: quick(),
        organisation: instructions_after(86_000_000),
        policy: people.policy(STANDARD),
        ..Options::default()
    })
    .await?;
    world.start("strict", "1000000000").await?;
    world.total_is("strict", "createsAccepted", 1).await?;
    let strict = people.policy(STANDARD).replace("limit = \"3000 USD\"", "limit = \"500 USD\"");
    world.system.publish(&strict, "less a day").await?;
    world.instruct("strict").await?;
    let outcome = world.outcome("strict").await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Blocked, Money::Untouched), "{}", outcome.reason);
    assert_eq!(world.total("strict", "confirmCalls").await?, 0);
    assert_eq!(world.ledger("strict").await?["payouts"][0]["status"], "Canceled");
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_is_wanted_only_by_the_time_of_confirm_is_asked_for_then() -> Result<()> {
    let people = People::new(&["ana", "ben"])?;
    let world = World::with(Options {
        cadence: quick(),
        organisation: instructions_after(86_000_000),
        policy: people.policy(STANDARD),
        ..Options::default()
    })
    .await?;
    world.start("asked-late", "1000000000").await?;
    world.total_is("asked-late", "createsAccepted", 1).await?;
    let strict = people.policy(STANDARD).replace("limit = \"1500 USD\"", "limit = \"500 USD\"");
    world.system.publish(&strict, "less without asking").await?;
    world.instruct("asked-late").await?;
    world.awaiting_approval("asked-late").await?;
    assert_eq!(world.total("asked-late", "confirmCalls").await?, 0);
    let answer = world.decide(&people, "ana", "asked-late", "treasury", true).await?;
    assert_eq!(answer.answer, Verdict::Accepted, "{}", answer.says);
    assert_eq!(world.outcome("asked-late").await?.ending, Ending::Completed);
    world.paid_exactly_once("asked-late").await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_policy_nothing_is_created_and_with_one_everything_goes_on() -> Result<()> {
    let people = People::new(&["ana", "ben"])?;
    let mut world = World::with(Options { cadence: quick(), worker: Begin::Later, ..Options::default() }).await?;
    // A worker that knows another publisher trusts nothing that is on record.
    let stranger = People::new(&["stranger"])?;
    let stranger = format!("stranger={}", stranger.signer("stranger")?.key.public());
    let untrusting = world.worker_with(&[("REMIT_POLICY_PUBLISHERS", &stranger)])?;
    world.start("waits", "1000000000").await?;
    until("the decision to be tried", async || {
        let described = world.system.client().describe("waits").await?;
        let tried =
            described.pending.iter().any(|call| call.activity == "decide_payout" && call.last_failure.is_some());
        Ok(tried.then_some(()))
    })
    .await?;
    assert_eq!(world.total("waits", "createCalls").await?, 0);
    untrusting.kill()?;
    world.system.publish(&people.policy(STANDARD), "the first good one").await?;
    world.system.start_worker().await?;
    world.advance("waits", std::time::Duration::from_secs(120)).await?;
    assert_eq!(world.outcome("waits").await?.ending, Ending::Completed);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_the_policy_names_may_let_money_go_on_and_only_signed() -> Result<()> {
    let people = People::new(&["ana", "ben", "eve"])?;
    let world = with_policy(&people.policy(STANDARD)).await?;
    let client = world.system.client();
    world.start("held", "1000000099").await?;
    world.status_when("held", "the wait", |status| status.waits_for.is_some()).await?;
    assert_eq!(client.hold("held", &order("look")).await?.answer, Verdict::Accepted);

    let unsigned = remit_client::Release { order: order("go"), signed: None };
    assert_eq!(client.release("held", &unsigned).await?.answer, Verdict::Refused);
    // Eve has a key, but the policy does not know her; and what ana signs for one order does not do for another.
    let forged = world.release(&people, "eve", "held").await?;
    assert_eq!(client.release("held", &forged).await?.answer, Verdict::Refused);
    let mut renamed = world.release(&people, "eve", "held").await?;
    renamed.order.by = "ana".into();
    assert_eq!(client.release("held", &renamed).await?.answer, Verdict::Refused);
    let other = world.release(&people, "ana", "another-payout").await?;
    assert_eq!(client.release("held", &other).await?.answer, Verdict::Refused);
    assert_eq!(client.status("held").await?.hold.map(|hold| hold.by).as_deref(), Some("ana@example.com"));

    let good = world.release(&people, "ana", "held").await?;
    assert_eq!(client.release("held", &good).await?.answer, Verdict::Accepted);
    world.instruct("held").await?;
    assert_eq!(world.outcome("held").await?.ending, Ending::Completed);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_counts_only_signed_by_a_starter_and_only_in_its_programs() -> Result<()> {
    let people = People::new(&["ana", "ben", "payroll", "eve"])?;
    let policy = people
        .policy(&format!("{STANDARD}\n[starters.payroll]\nkey = \"payroll\"\nprograms = [\"payroll\"]\n"))
        .replace("unsigned_starts = \"allow\"", "unsigned_starts = \"block\"");
    let world = with_policy(&policy).await?;
    let namespace = world.system.client().namespace().to_owned();
    let of_program = |id: &str, program: &str| -> Result<PayoutRequest> {
        let mut json: Value = serde_json::to_value(world.request(id, "100000000")?)?;
        json["program"] = json!(program);
        Ok(PayoutRequest::parse(&json)?)
    };
    let payroll = people.signer("payroll")?;
    let eve = remit_client::Signer { name: "payroll".into(), key: remit_keys::PrivateKey::generate()? };
    let other = payroll.start(&namespace, &of_program("other", "payroll")?);
    let cases = [
        ("signed", payroll.start(&namespace, &of_program("signed", "payroll")?), Ending::Completed),
        ("unsigned", of_program("unsigned", "payroll")?, Ending::Blocked),
        ("forged", eve.start(&namespace, &of_program("forged", "payroll")?), Ending::Blocked),
        ("stranger", people.signer("eve")?.start(&namespace, &of_program("stranger", "payroll")?), Ending::Blocked),
        ("elsewhere", payroll.start("another-namespace", &of_program("elsewhere", "payroll")?), Ending::Blocked),
        ("outside", payroll.start(&namespace, &of_program("outside", "marketing")?), Ending::Blocked),
        ("moved", PayoutRequest { signed: other.signed, ..of_program("moved", "payroll")? }, Ending::Blocked),
    ];
    for (id, request, ending) in cases {
        world.system.client().start(&request).await?;
        let outcome = world.outcome(id).await?;
        assert_eq!(outcome.ending, ending, "{id}: {}", outcome.reason);
        let paid = u64::from(ending == Ending::Completed);
        assert_eq!(world.total(id, "createCalls").await?, paid, "{id}");
    }
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_twice_or_what_they_started_or_after_the_time() -> Result<()> {
    let people = People::new(&["ana", "ben", "eve"])?;
    let two = people.policy(STANDARD).replace("quorum = 1", "quorum = 2");
    let world = with_policy(&two).await?;
    world.start("two", "1600000000").await?;
    world.awaiting_approval("two").await?;
    let refused = world.decide(&people, "eve", "two", "treasury", true).await?;
    assert_eq!(refused.answer, Verdict::Refused, "{}", refused.says);
    for _ in 0..2 {
        let answer = world.decide(&people, "ana", "two", "treasury", true).await?;
        assert_eq!(answer.stage, Stage::AwaitingApproval, "{}", answer.says);
    }
    assert_eq!(world.system.client().status("two").await?.stage, Stage::AwaitingApproval);
    assert_eq!(world.total("two", "createCalls").await?, 0);
    world.advance("two", std::time::Duration::from_secs(4 * 3600 + 60)).await?;
    let outcome = world.outcome("two").await?;
    assert_eq!((outcome.ending, outcome.money), (Ending::Denied, Money::Untouched), "{}", outcome.reason);
    assert!(outcome.reason.contains("treasury"), "{}", outcome.reason);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signed_an_approval_that_has_expired_may_sign_another() -> Result<()> {
    let people = People::new(&["ana", "ben"])?;
    let world = with_policy(&people.policy(STANDARD).replace("quorum = 1", "quorum = 2")).await?;
    to(&world, "two", "1600000000", "pi-1").await?;
    let status = world.awaiting_approval("two").await?;
    let (client, hour) = (world.system.client(), Duration::from_secs(3600));
    let expires = world.system.records().now().await? + hour;
    let yes = ApprovalValue::Approve;
    let short = people.signer("ana")?.approval(client.namespace(), &status, "treasury", yes, "in haste", expires);
    let short = short.context("a ruling")?;
    assert_eq!(client.approve("two", &short).await?.answer, Verdict::Accepted);

    world.system.records().shift_clock(2 * hour).await?;
    let answer = world.decide(&people, "ben", "two", "treasury", true).await?;
    assert!(answer.says.contains("still wanted"), "that of ana has expired: {}", answer.says);
    let answer = client.approve("two", &short).await?;
    assert_eq!(answer.answer, Verdict::Refused, "the expired one again: {}", answer.says);
    let answer = world.decide(&people, "ana", "two", "treasury", true).await?;
    assert_eq!(answer.answer, Verdict::Accepted, "{}", answer.says);
    assert_eq!(world.outcome("two").await?.ending, Ending::Completed);
    let approvals = world.system.records().approvals("two").await?;
    let void: Vec<bool> = approvals.iter().map(|row| row.void.is_some()).collect();
    assert_eq!(void, [true, false, false], "{approvals:#?}");
    world.end().await
}
