//! Webhooks on real servers: what arrives before anybody can use it, what did not arrive, and a secret that is
//! replaced while payouts run. The commands are read as a program reads them.

use std::{fs, os::unix::fs::PermissionsExt};

use anyhow::{Context, Result, ensure};
use remit::dev::{APPROVER, Begin, Options};
use remit_dfns::{Action, DecisionValue, PageQuery};
use remit_domain::Ending;
use remit_records::ObjectKind;
use serde_json::Value;
use temporalio_common::protos::temporal::api::enums::v1::EventType;

use crate::harness::{Process, World, anyone, instructions_after, payer, policy, quick, rarely, until};

const READY: &str = "payout.action.required";
const PENDING: &str = "policy.approval.pending";
const RESOLVED: &str = "policy.approval.resolved";
const FOUND_BY_NUDGE: &str = "remit_action_required_found_total{by=\"nudge\"}";

/// What these tests ask of a world besides.
trait Webhooks {
    async fn webhook(&self, args: &[&str]) -> Result<(Option<i32>, String)>;
    async fn rows(&self, args: &[&str]) -> Result<Vec<Value>>;
    async fn stands(&self, kind: &str, standing: &str) -> Result<Value>;
    async fn relay_metric(&self, line: &str) -> Result<Option<String>>;
}

impl Webhooks for World {
    /// `remit webhook …` with the settings of this system: exit code and answer.
    async fn webhook(&self, args: &[&str]) -> Result<(Option<i32>, String)> {
        let args: Vec<String> = ["webhook"].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
        let environment = self.system.environment().to_vec();
        let run = move || Process::run(&args.iter().map(String::as_str).collect::<Vec<_>>(), &environment);
        tokio::task::spawn_blocking(run).await?
    }

    /// The rows that a command answers with `--json`.
    async fn rows(&self, args: &[&str]) -> Result<Vec<Value>> {
        let (code, answer) = self.webhook(&[args, &["--json"]].concat()).await?;
        ensure!(code == Some(0), "remit webhook {args:?} ended with {code:?}: {answer}");
        Ok(serde_json::from_str(&answer)?)
    }

    /// The row of the inbox for this kind, once it stands like this.
    async fn stands(&self, kind: &str, standing: &str) -> Result<Value> {
        until(&format!("{kind} to be {standing}"), async || {
            let rows = self.rows(&["list", "--kind", kind]).await?;
            Ok(rows.into_iter().find(|row| row["standing"] == standing))
        })
        .await
    }

    async fn relay_metric(&self, line: &str) -> Result<Option<String>> {
        let url = format!("{}/metrics", self.system.relay_admin_url());
        let text = reqwest::Client::builder().no_proxy().build()?.get(url).send().await?.text().await?;
        Ok(text.lines().find_map(|l| l.strip_prefix(line)).map(|value| value.trim().to_owned()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_the_relay_was_down_is_fetched_when_it_starts_before_the_poll() -> Result<()> {
    let mut world = World::with(Options { cadence: rarely(), relay: Begin::Later, ..Options::default() }).await?;
    world.start("gap-1", "1000000099").await?;
    world.has_been_polled("gap-1").await?;
    world.instruct("gap-1").await?;
    let gap = async |world: &World, have: &str| {
        until(&format!("{READY} to be {have}"), async || {
            let gaps = world.rows(&["gaps"]).await?;
            Ok(gaps.into_iter().find(|gap| gap["kind"] == READY && gap["have"] == have))
        })
        .await
    };
    let missing = gap(&world, "missing").await?;
    assert!(missing["error"].is_string() && missing["what"].is_string(), "{missing:#}");
    assert_eq!(world.total("gap-1", "confirmCalls").await?, 0);

    world.system.start_relay().await?;
    world.total_is("gap-1", "confirmsAccepted", 1).await?;
    assert_eq!(world.worker_metric(FOUND_BY_NUDGE).await?.as_deref(), Some("1"));
    let row = world.stands(READY, "delivered").await?;
    assert_eq!((&row["source"], &row["payout"]), (&Value::from("gap"), &Value::from("gap-1")), "{row:#}");
    assert_eq!(row["what"], missing["what"]);
    gap(&world, "delivered").await?;
    let new = world.relay_metric("remit_relay_gaps_total{result=\"new\"}").await?.context("nothing was new")?;
    assert!(new.parse::<u64>()? >= 1, "{new}");
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_came_before_its_transfer_was_known_reaches_the_payout_once_it_is() -> Result<()> {
    let world = World::with(Options { cadence: quick(), ..Options::default() }).await?;
    policy(&world, Action::request_approval(vec![anyone()], Some(60))).await?;
    let request = world.start("held-1", "1000000000").await?;
    world
        .status_when("held-1", "the hold", |status| status.waits_for.as_deref() == Some("an approval at the provider"))
        .await?;
    until(PENDING, async || Ok(world.rows(&["list", "--kind", PENDING]).await?.pop())).await?;

    let transfer = world.ledger("held-1").await?["transfers"][0].clone();
    let (id, approval) = (transfer["id"].as_str(), transfer["approvalId"].as_str());
    let (id, approval) = (id.context("no transfer")?, approval.context("no approval")?);
    // As an activity does when it reads the payout and finds its transfer, whether or not one did so before.
    let key = request.key();
    world.system.records().map_object(ObjectKind::Transfer, id, key.as_str()).await?;
    let row = world.stands(PENDING, "delivered").await?;
    assert_eq!(row["payout"], "held-1", "{row:#}");
    assert_eq!(row["objects"][0]["id"], approval, "{row:#}");
    // Delivered by a signal, or by the reading that found the transfer, which then reads once more.
    let signals = {
        let history = world.history("held-1").await?;
        history.iter().filter(|e| e.event_type() == EventType::WorkflowExecutionSignaled).count()
    };

    world.system.dfns(APPROVER)?.decide_approval(approval, DecisionValue::Approved, Some("tested")).await?;
    let row = world.stands(RESOLVED, "delivered").await?;
    assert_eq!(row["payout"], "held-1", "the approval was joined to the transfer: {row:#}");
    assert_eq!(world.outcome("held-1").await?.ending, Ending::Completed);
    world.paid_exactly_once("held-1").await?;
    world.no_task_failed("held-1").await?;

    let progress = world.stands("wallet.transfer.broadcasted", "delivered").await?;
    assert_eq!(progress["about"], "progress", "{progress:#}");
    let history = world.history("held-1").await?;
    let now = history.iter().filter(|e| e.event_type() == EventType::WorkflowExecutionSignaled).count();
    assert!(now <= signals + 2, "what goes well signals nothing: {signals} before the decision, {now} after");
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_replaced_while_payouts_run_and_none_of_them_waits_for_a_poll() -> Result<()> {
    let world = World::with(Options { cadence: rarely(), ..Options::default() }).await?;
    let url = world.system.webhook_url();
    let file = world.system.webhook_secrets_file().to_owned();
    let secrets = || -> Result<Vec<String>> {
        let text = fs::read_to_string(&file)?;
        Ok(text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect())
    };
    let first = secrets()?;
    // Instructions come when they are pushed.
    let waiting = async |id: &str| -> Result<()> {
        world.start(id, "1000000099").await?;
        world.has_been_polled(id).await
    };
    let confirmed = async |id: &str, so_far: &str| -> Result<()> {
        world.instruct(id).await?;
        world.total_is(id, "confirmsAccepted", 1).await?;
        assert_eq!(world.worker_metric(FOUND_BY_NUDGE).await?.as_deref(), Some(so_far), "{id}");
        Ok(())
    };
    waiting("rotate-1").await?;
    assert_eq!(world.webhook(&["rotate", "--url", &url, "--dry-run"]).await?.0, Some(0));
    assert_eq!(secrets()?, first);
    assert_eq!(world.webhook(&["rotate", "--url", &url]).await?.0, Some(0));
    confirmed("rotate-1", "1").await?;
    let both = secrets()?;
    assert!(both.len() == 2 && both[0] == first[0], "the new one is added below the old one");
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    assert_eq!(world.webhook(&["rotate", "--url", &url]).await?.0, Some(3), "one rotation at a time");

    waiting("rotate-2").await?;
    confirmed("rotate-2", "2").await?;
    waiting("rotate-3").await?;
    assert_eq!(world.webhook(&["rotate", "--url", &url, "--finish"]).await?.0, Some(0));
    confirmed("rotate-3", "3").await?;
    assert_eq!(secrets()?, both[1..], "the old one is dropped");
    let left = payer(&world)?.webhooks(&PageQuery::default()).await?.items;
    assert_eq!(left.len(), 1);
    waiting("rotate-4").await?;
    confirmed("rotate-4", "4").await?;

    assert_eq!(world.webhook(&["rotate", "--url", &url, "--finish"]).await?.0, Some(0), "it may be repeated");
    assert_eq!(secrets()?, both[1..]);
    let refused = "remit_relay_webhooks_total{kind=\"unverified\",result=\"bad_signature\"}";
    assert_eq!(world.relay_metric(refused).await?, None, "no delivery was refused on the way");
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_is_not_finished_before_the_relay_accepts_the_new_secret() -> Result<()> {
    let world = World::with(Options { worker: Begin::Later, ..Options::default() }).await?;
    let url = world.system.webhook_url();
    let elsewhere = world.system.webhook_secrets_file().with_file_name("not-the-relays");
    let elsewhere = elsewhere.to_str().context("a path")?;
    assert_eq!(world.webhook(&["rotate", "--url", &url, "--secrets-file", elsewhere]).await?.0, Some(0));
    let finish = ["rotate", "--url", &url, "--secrets-file", elsewhere, "--finish"];
    assert_eq!(world.webhook(&finish).await?.0, Some(3));
    assert_eq!(payer(&world)?.webhooks(&PageQuery::default()).await?.items.len(), 2, "nothing was deleted");
    assert_eq!(world.webhook(&[&finish[..], &["--without-ping"]].concat()).await?.0, Some(0));
    assert_eq!(payer(&world)?.webhooks(&PageQuery::default()).await?.items.len(), 1);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_subscribed_once_and_its_secret_is_kept_or_nothing_is_made() -> Result<()> {
    let world = World::with(Options { worker: Begin::Later, ..Options::default() }).await?;
    let count = async || Ok::<_, anyhow::Error>(payer(&world)?.webhooks(&PageQuery::default()).await?.items.len());
    let folder = world.system.webhook_secrets_file().parent().context("a folder")?;
    let file = folder.join("new-secrets");
    let path = file.to_str().context("a path")?;
    let nowhere = folder.join("nowhere/secrets");
    let nowhere = nowhere.to_str().context("a path")?;
    let subscribe =
        async |url: &str, more: &[&str]| world.webhook(&[&["subscribe", "--url", url], more].concat()).await;
    assert_eq!(subscribe(&world.system.webhook_url(), &[]).await?.0, Some(5), "it is subscribed already");
    assert_eq!(subscribe("https://a.example/x", &["--secrets-file", path, "--dry-run"]).await?.0, Some(0));
    assert_eq!(subscribe("https://a.example/x", &["--secrets-file", nowhere]).await?.0, Some(1));
    assert_eq!(subscribe("a.example", &[]).await?.0, Some(2), "no address");
    assert_eq!(count().await?, 1, "nothing was made");

    let (code, answer) = subscribe("https://a.example/x", &["--secrets-file", path]).await?;
    assert_eq!((code, answer.as_str()), (Some(0), ""), "a secret is not printed");
    let text = fs::read_to_string(&file)?;
    let secret = text.lines().last().context("a secret")?;
    assert!(text.contains("https://a.example/x") && secret.starts_with("whs-"));
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    let (code, answer) = subscribe("https://b.example/x", &["--secrets-file", path, "--print-secret"]).await?;
    assert!(code == Some(0) && fs::read_to_string(&file)?.contains(answer.trim()), "printed and kept");

    for url in ["https://c.example/x", "https://d.example/x"] {
        assert_eq!(subscribe(url, &["--secrets-file", path]).await?.0, Some(0));
    }
    let before = fs::read_to_string(&file)?;
    assert_eq!(subscribe("https://e.example/x", &["--secrets-file", path]).await?.0, Some(3), "Dfns allows five");
    assert_eq!((count().await?, fs::read_to_string(&file)?), (5, before));
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_can_list_the_inbox_and_hand_events_on_again() -> Result<()> {
    let world = World::with(Options { organisation: instructions_after(1_200), ..Options::default() }).await?;
    let request = world.start("an id with spaces", "1000000000").await?;
    world.total_is(request.key().as_str(), "confirmsAccepted", 1).await?;
    let row = world.stands(READY, "delivered").await?;
    let of_payout = world.rows(&["list", "--payout", "an id with spaces", "--kind", READY]).await?;
    assert_eq!(of_payout, std::slice::from_ref(&row));
    let key = row["payout"].as_str().context("a key")?;
    assert_eq!(world.rows(&["list", "--payout", key, "--kind", READY]).await?, of_payout, "its key will do too");
    assert_eq!(world.rows(&["list", "--limit", "1"]).await?.len(), 1);
    assert_eq!(world.rows(&["list", "--payout", "somebody else"]).await?, Vec::<Value>::new());
    let undelivered = world.rows(&["list", "--undelivered"]).await?;
    assert!(undelivered.iter().all(|row| row["deliveredAt"].is_null()), "{undelivered:#?}");

    let what = row["what"].as_str().context("a name")?;
    let dry = world.rows(&["replay", what, "--dry-run"]).await?;
    assert_eq!(dry[0]["result"], "delivered", "how it stands");
    let again = world.rows(&["replay", what]).await?;
    assert_eq!((&again[0]["what"], &again[0]["payout"]), (&row["what"], &row["payout"]));
    let result = again[0]["result"].as_str().unwrap_or_default();
    assert!(["delivered", "over"].contains(&result), "{again:#?}");
    assert_eq!(world.webhook(&["replay", "nothing-of-this-name"]).await?.0, Some(4));
    assert_eq!(world.rows(&["replay", "--undelivered"]).await?, Vec::<Value>::new(), "the relay has done it");
    assert_eq!(world.webhook(&["replay"]).await?.0, Some(2), "it must be said what");
    world.advance("an id with spaces", std::time::Duration::from_secs(120)).await?;
    assert_eq!(world.outcome("an id with spaces").await?.ending, Ending::Completed);
    world.paid_exactly_once(request.key().as_str()).await?;
    world.end().await
}
