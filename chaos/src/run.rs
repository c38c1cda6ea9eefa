//! One run: the system, the payouts, the torment, the people, the attackers, and the audit.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use remit_client::{Patience, PayoutClient, TemporalOptions, connect};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    attackers::{Attacks, NAME},
    audit::audit,
    books::{self, Books},
    coverage::Coverage,
    operators::People,
    people::{self, PEOPLE},
    report::{Report, Took},
    script::{Plan, Script, Wallets},
    starter::{divide, now_ms},
    system::{NAMESPACE, Role, System},
    torment::{Blow, Torment},
    watch::{Seens, State, Watcher},
};

/// What to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many payouts.
    pub payouts: usize,
    /// How many processes are killed.
    pub kills: usize,
    /// Decides everything that is not left to the moment.
    pub seed: u64,
    /// The fault plan, as the sandbox takes it.
    pub faults: Value,
    /// Another `remit` program than this one.
    pub program: Option<PathBuf>,
    /// Keeps all books and logs in this folder.
    pub keep: Option<PathBuf>,
    /// How long it may take all together.
    pub limit: Duration,
    /// Is told how far it is.
    pub progress: fn(&str),
}

/// What goes wrong unless something else is asked for, in percent.
pub fn usual_faults() -> Value {
    json!({"serverErrors": 4, "answersLost": 4, "timeouts": 1, "timeoutMs": 11_000,
           "webhooksDoubled": 15, "webhooksShuffled": 15, "webhooksLost": 5})
}

const TELL_EVERY: Duration = Duration::from_secs(10);
/// The sandbox remembers its last two thousand requests.
const NOTICE_EVERY: Duration = Duration::from_secs(3);
/// How often runs are looked after that go on although they are over on record.
const WAKE: usize = 8;
/// Longer than a plan may delay an answer.
const AT_REST_WITHIN: Duration = Duration::from_secs(60);
/// Longer than a transfer takes that a late call sets going.
const TRANSFERS_TAKE: Duration = Duration::from_secs(60);

/// Runs it: everything starts on loopback and has ended when this returns. A violation is no error.
///
/// # Errors
/// When the system does not start, or a book cannot be read.
pub async fn run(settings: Settings) -> Result<Report> {
    let begun = Instant::now();
    let fresh = tempfile::Builder::new().prefix("chaos-").tempdir().context("no temporary folder")?;
    let folder = match &settings.keep {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            if folder.join("records.db").exists() {
                bail!("{} holds another run: choose a new folder", folder.display());
            }
            std::path::absolute(folder)?
        }
        None => fresh.path().to_owned(),
    };
    let program = settings.program.as_deref().map(std::path::absolute).transpose()?;
    let (mut system, wallets) = System::start(&folder, settings.seed, program.as_deref(), settings.progress).await?;
    let report = within(&mut system, &settings, &wallets, &folder, begun).await;
    system.end().await;
    report
}

async fn within(
    system: &mut System,
    settings: &Settings,
    wallets: &Wallets,
    folder: &Path,
    begun: Instant,
) -> Result<Report> {
    let plan = Plan::new(settings.seed, settings.payouts, settings.kills, wallets)?;
    system.publish(&plan, 1).await?;
    let client = connected(system).await?;
    let temporal = client.temporal().clone();
    let organisation = system.organisation.clone();
    for payout in &plan.payouts {
        for fault in &payout.faults {
            organisation.fault(fault).await?;
        }
    }
    let mut faults = settings.faults.clone();
    if let Value::Object(faults) = &mut faults {
        faults.entry("seed").or_insert(settings.seed.into());
    }
    organisation.control(Method::PUT, "/plan", Some(&faults)).await.context("the fault plan is refused")?;

    let logs = ["starter-a", "starter-b"].map(|name| folder.join(format!("{name}.jsonl")));
    let works = divide(&plan, now_ms() + 2_000);
    for ((name, work), log) in ["starter-a", "starter-b"].iter().zip(works).zip(&logs) {
        let file = folder.join(format!("{name}.plan.json"));
        std::fs::write(&file, serde_json::to_vec(&work)?)?;
        system.begin_starter(name, &file, log)?;
    }
    let up = begun.elapsed();

    let system = &*system;
    let watcher = Watcher::new(organisation.clone(), system.records_file(), &plan);
    let coverage = Coverage::default();
    let attacks = Attacks::default();
    let people = People::new(client, organisation.clone(), watcher.follow(), settings.seed)?;
    let torment =
        Torment { system, watcher: &watcher, coverage: &coverage, temporal: temporal.clone(), blows: Mutex::default() };
    let requests = Mutex::new(vec![]);
    let deadline = begun + settings.limit;
    let news = watcher.follow();
    let end = async {
        tokio::join!(torment.run(&plan), publish_again(system, &plan));
        (settings.progress)("the kills are over; what is open comes to its end");
        let faults = organisation.control(Method::GET, "/plan", None).await?;
        organisation.control(Method::DELETE, "/plan", None).await?;
        let all_over = tokio::select! {
            over = all_over(system, &plan, &watcher, deadline) => over,
            () = people.night_shift(&plan) => false,
        };
        anyhow::Ok((all_over, faults))
    };
    let (all_over, plan_struck) = tokio::select! {
        end = end => end?,
        () = watcher.keep_looking() => bail!("nobody watches any more"),
        () = people.work(&plan) => bail!("nobody works any more"),
        () = attacks.webhooks(&system.webhook_url, &system.webhook_secret, plan.seed, &news) => bail!("no attacks"),
        () = attacks.lies(&temporal, &plan, &news) => bail!("no attacks"),
        () = notice(&organisation, &coverage, &requests, &watcher) => bail!("nobody notices any more"),
        () = tell(&plan, &watcher, &torment.blows, begun, settings.progress) => bail!("nobody tells any more"),
    };
    let ended = begun.elapsed();
    (settings.progress)(if all_over {
        "all are over; comparing the books"
    } else {
        "the time is over; comparing the books"
    });
    rest(&organisation).await?;
    let woken = wake(&people, &watcher.look().await?, &plan).await;
    let settled = settle(system, &plan).await?;
    coverage.aimed(&organisation.control(Method::GET, "/faults", None).await?);

    let records = books::records(&system.records_file()).await?;
    let mut keys: BTreeSet<String> = plan.payouts.iter().map(|it| it.key.clone()).collect();
    let ours = |key: &&str| !key.starts_with(NAME);
    keys.extend(records.payouts.iter().filter_map(|row| row["key"].as_str()).filter(ours).map(str::to_owned));
    let (ledger, events) = books::other_side(&organisation).await?;
    let books = Books {
        namespace: NAMESPACE.to_owned(),
        people: public_keys()?,
        starters: books::starters(&logs)?,
        records,
        runs: books::runs(&temporal, keys).await?,
        ledger,
        payouts: books::payouts(&system.sandbox_url, &organisation).await?,
        events,
        requests: requests.into_inner().unwrap_or_else(PoisonError::into_inner),
        blows: torment.blows.into_inner().unwrap_or_else(PoisonError::into_inner),
        forged_accepted: attacks.accepted.load(Ordering::Relaxed),
        doubts: people.doubts(),
        woken,
        settled,
        plan,
    };
    books.keep(folder)?;
    let findings = audit(&books);
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let report = Report::new(
        &books,
        findings,
        coverage.table(),
        plan_struck,
        system.ended.all(),
        [&attacks.webhooks, &attacks.lies].map(|count| count.load(Ordering::Relaxed)),
        Took { start_ms: ms(up), payouts_ms: ms(ended - up), audit_ms: ms(begun.elapsed() - ended) },
    );
    Ok(Report { out_of_room: system.disk.is_small().then(|| out_of_room(folder)), ..report })
}

/// How many lines of the logs name the full disk, in the words of the records.
fn out_of_room(folder: &Path) -> usize {
    let logs = ["worker-1", "worker-2", "relay"].map(|name| folder.join("logs").join(format!("{name}.log")));
    let text = logs.iter().map(|log| std::fs::read(log).unwrap_or_default());
    text.map(|log| String::from_utf8_lossy(&log).matches("the disk is full").count()).sum()
}

fn public_keys() -> Result<std::collections::BTreeMap<String, String>> {
    let hex = |name: &str| -> Result<_> {
        let key = people::signer(name)?.key.public();
        Ok((name.to_owned(), key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()))
    };
    PEOPLE.iter().map(|name| hex(name)).collect()
}

async fn connected(system: &System) -> Result<PayoutClient> {
    let options = TemporalOptions {
        address: Some(system.temporal_address.clone()),
        namespace: Some(NAMESPACE.to_owned()),
        ..TemporalOptions::default()
    };
    Ok(PayoutClient::new(connect(&options, "chaos", None, Patience::Startup).await?))
}

/// A third of the way the policy is published again, two thirds of the way it forbids one program more.
async fn publish_again(system: &System, plan: &Plan) {
    for revision in [2, 3] {
        sleep(Duration::from_millis(plan.lasts_ms / 3)).await;
        for _ in 0..20 {
            if system.publish(plan, revision).await.is_ok() {
                break;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }
}

/// Waits until every attempt that the scripts foresee has an outcome on record, and the starters are done. False when the
/// time is over first.
async fn all_over(system: &System, plan: &Plan, watcher: &Watcher, deadline: Instant) -> bool {
    let over = |seens: &Seens, key: &str| seens.get(key).is_some_and(|seen| seen.state == State::Over);
    while Instant::now() < deadline {
        if let Ok(seens) = watcher.look().await {
            let open = plan.payouts.iter().filter(|payout| {
                let retry = format!("{}-retry-1", payout.key);
                !over(&seens, &payout.key) || (payout.may_end.len() > 1 && !over(&seens, &retry))
            });
            let starting = system.of(Role::Starter).any(|unit| unit.pid.load(Ordering::Relaxed) != 0);
            if open.count() == 0 && !starting {
                return true;
            }
        }
        sleep(Duration::from_millis(500)).await;
    }
    false
}

/// Books are compared at rest: a call that nobody waited for may still act, late, and what it sets going takes its time.
async fn rest(organisation: &remit::dev::Organisation) -> Result<()> {
    let begun = Instant::now();
    while organisation.control(Method::GET, "/requests", None).await?["underWay"] != 0 {
        if begun.elapsed() > AT_REST_WITHIN {
            break;
        }
        sleep(Duration::from_millis(200)).await;
    }
    organisation.advance(TRANSFERS_TAKE).await?;
    Ok(())
}

/// What was called off at the provider behind a gate that had been taken counts until a person has looked. Gives those.
async fn settle(system: &System, plan: &Plan) -> Result<Vec<String>> {
    let records = books::records(&system.records_file()).await?;
    let called_off = |key: &str| {
        let row = records.payouts.iter().find(|row| row["key"] == key);
        let row = row.filter(|row| row["gate"] == "confirming" && row["outcome"]["ending"] == "Canceled");
        let script = plan.payouts.iter().find(|it| it.key == key).map(|it| it.script);
        row.is_some()
            && script.is_some_and(|it| [Script::AddressChangesGoOn, Script::AddressChangesGivenUp].contains(&it))
    };
    let held = records.reservations.iter().filter(|row| row["state"] == "open").filter_map(|row| row["key"].as_str());
    let held: Vec<String> = held.filter(|key| called_off(key)).map(str::to_owned).collect();
    for key in &held {
        let why = "called off at Dfns, which knows of no transfer";
        system.command(&["reservation", "settle", key, "released", "--by", PEOPLE[0], "--why", why]).await?;
    }
    Ok(held)
}

/// A run ends a moment after its outcome is on record. One that does not is woken; gives those. What is not over on record
/// is left as it is: it is lost, and the audit says so.
async fn wake(people: &People, seens: &Seens, plan: &Plan) -> BTreeSet<String> {
    let over = |key: &str| seens.get(key).is_none_or(|seen| seen.state == State::Over);
    let mut woken = BTreeSet::new();
    for _ in 0..WAKE {
        sleep(Duration::from_secs(3)).await;
        let mut open = vec![];
        for payout in plan.payouts.iter().filter(|it| over(&it.key) && over(&format!("{}-retry-1", it.key))) {
            if people.goes_on(&payout.key).await {
                open.push(payout.key.clone());
            }
        }
        if open.is_empty() {
            break;
        }
        for key in open {
            people.wake(&key).await;
            woken.insert(key);
        }
    }
    woken
}

/// Keeps the provider's list of requests, which forgets.
async fn notice(
    organisation: &remit::dev::Organisation,
    coverage: &Coverage,
    requests: &Mutex<Vec<Value>>,
    watcher: &Watcher,
) {
    let mut before = 0;
    loop {
        sleep(NOTICE_EVERY).await;
        let Ok(answer) = organisation.control(Method::GET, "/requests", None).await else { continue };
        let counts = answer["counts"].as_object().into_iter().flatten();
        let begun: u64 = counts.filter_map(|(_, count)| count.as_u64()).sum();
        // It lists those that it has answered.
        let now = begun.saturating_sub(answer["underWay"].as_u64().unwrap_or_default()).max(before);
        let Some(recent) = answer["recent"].as_array() else { continue };
        let new = usize::try_from(now - before).unwrap_or(usize::MAX).min(recent.len());
        before = now;
        let new = recent.get(recent.len() - new..).unwrap_or_default();
        coverage.requests(new.iter(), &watcher.follow().borrow());
        let told = new.iter().filter(|it| !it["path"].as_str().unwrap_or_default().starts_with("/auth"));
        requests.lock().unwrap_or_else(PoisonError::into_inner).extend(told.cloned());
    }
}

async fn tell(plan: &Plan, watcher: &Watcher, blows: &Mutex<Vec<Blow>>, begun: Instant, progress: fn(&str)) {
    loop {
        sleep(TELL_EVERY).await;
        let news = watcher.follow();
        let seens = news.borrow();
        let over = seens.values().filter(|seen| seen.state == State::Over).count();
        let blows = blows.lock().unwrap_or_else(PoisonError::into_inner);
        let kills = blows.iter().filter(|blow| blow.what.starts_with("kill")).count();
        progress(&format!(
            "{} s: {} of {} started, {over} over, {kills} killed",
            begun.elapsed().as_secs(),
            seens.len(),
            plan.payouts.len(),
        ));
    }
}
