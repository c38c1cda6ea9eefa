//! A system of one's own, requests to it, waiting for a condition, and the other side's books.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use remit::dev::{APPROVER, Options, PAYER, System};
use remit_activities::PollCadence;
use remit_client::{Action as Decide, Answer, Order, Release, Resolve, Status, Whereabouts};
use remit_dfns::{Action, ActivityKind, ApprovalGroup, Approvers, PolicyBody, Rule};
use remit_domain::{Outcome, PayoutRequest, Stage, policy::ApprovalValue};
use remit_records::Gate;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};
use temporalio_client::{Client, UntypedWorkflow, WorkflowHandle};
use temporalio_common::protos::temporal::api::{
    enums::v1::{PendingActivityState, WorkflowTaskFailedCause},
    history::v1::{HistoryEvent, history_event::Attributes},
    workflow::v1::PendingActivityInfo,
};

use crate::People;

/// Longer than anything takes on a busy machine; a test that gets here has failed. A call that is handed to a process
/// which stands still is given to another after 45 seconds, and a few may be.
const PATIENCE: Duration = Duration::from_secs(300);

/// A system, and what the tests ask of it.
pub struct World {
    /// The running parts.
    pub system: System,
}

impl World {
    /// A system that polls quickly, so that nothing depends on webhooks arriving fast.
    ///
    /// # Errors
    /// As [`World::with`].
    pub async fn new() -> Result<Self> {
        Self::with(Options { cadence: quick(), ..Options::default() }).await
    }

    /// A system of these options.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn with(options: Options) -> Result<Self> {
        Ok(Self { system: System::start(options).await? })
    }

    /// A request of this many units of USDC from the organisation's Polygon wallet.
    ///
    /// # Errors
    /// When the request is not accepted, as with an id that is too long.
    pub fn request(&self, id: &str, units: &str) -> Result<PayoutRequest> {
        let wallet = self.system.organisation().wallet("Polygon")?.id.clone();
        Ok(PayoutRequest::parse(&json!({
            "externalId": id, "walletId": wallet, "amount": units, "program": "tests",
            "asset": {"kind": "Erc20", "contract": self.system.organisation().token("Polygon")?.contract},
            "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                            "currency": "BRL", "country": "BR", "purpose": "salary payment"},
        }))?)
    }

    /// Starts a payout and gives its request.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(&self, id: &str, units: &str) -> Result<PayoutRequest> {
        let request = self.request(id, units)?;
        self.system.client().start(&request).await?;
        Ok(request)
    }

    /// The outcome of a payout, within patience.
    ///
    /// # Errors
    /// When it ends without one, or not in time.
    pub async fn outcome(&self, id: &str) -> Result<Outcome> {
        let wait = tokio::time::timeout(PATIENCE, self.system.client().wait(id)).await;
        match wait {
            Ok(outcome) => Ok(outcome?),
            Err(_) => bail!("payout {id} did not end; its status: {:#?}", self.system.client().status(id).await),
        }
    }

    /// The status of a payout once it is so.
    ///
    /// # Errors
    /// When it is not so in time.
    pub async fn status_when(&self, id: &str, what: &str, is_so: impl Fn(&Status) -> bool) -> Result<Status> {
        until(what, async || Ok(self.system.client().status(id).await.ok().filter(|status| is_so(status)))).await
    }

    /// The status of a payout once it is in doubt.
    ///
    /// # Errors
    /// When it is not within patience.
    pub async fn in_doubt(&self, id: &str) -> Result<Status> {
        self.status_when(id, "the doubt", |status| status.stage == Stage::NeedsPerson).await
    }

    /// The status of a payout once it waits for approvals.
    ///
    /// # Errors
    /// When it does not within patience.
    pub async fn awaiting_approval(&self, id: &str) -> Result<Status> {
        self.status_when(id, "the wish for approval", |status| status.stage == Stage::AwaitingApproval).await
    }

    /// Somebody approves a payout that waits for it, or denies it.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn decide(&self, people: &People, by: &str, id: &str, group: &str, yes: bool) -> Result<Answer> {
        let client = self.system.client();
        let value = if yes { ApprovalValue::Approve } else { ApprovalValue::Deny };
        let (status, expires) = (client.status(id).await?, self.in_an_hour().await?);
        let signed = people.signer(by)?.approval(client.namespace(), &status, group, value, "looked at it", expires);
        Ok(client.approve(id, &signed.context("no policy has decided about it")?).await?)
    }

    /// Somebody's signed order to let a payout go on.
    ///
    /// # Errors
    /// When that one has no key.
    pub async fn release(&self, people: &People, by: &str, id: &str) -> Result<Release> {
        let order = Order { by: by.into(), why: "cleared".into() };
        let (namespace, expires) = (self.system.client().namespace(), self.in_an_hour().await?);
        let signed = Some(people.signer(by)?.order(namespace, id, "release", "", &order, expires));
        Ok(Release { order, signed })
    }

    /// By the clock that signatures expire by.
    async fn in_an_hour(&self) -> Result<jiff::Timestamp> {
        Ok(self.system.records().now().await? + Duration::from_secs(3600))
    }

    /// The other side's books of one payout.
    ///
    /// # Errors
    /// When the sandbox cannot be reached.
    pub async fn ledger(&self, id: &str) -> Result<Value> {
        self.system.organisation().control(Method::GET, &format!("/ledger?externalId={id}"), None).await
    }

    /// One total of those books.
    ///
    /// # Errors
    /// When the sandbox cannot be reached, or keeps no such total.
    pub async fn total(&self, id: &str, name: &str) -> Result<u64> {
        self.ledger(id).await?["totals"][name].as_u64().with_context(|| format!("the ledger has no total {name}"))
    }

    /// Waits until a total has reached this.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn total_is(&self, id: &str, name: &str, at_least: u64) -> Result<()> {
        until(&format!("{name} of {id} to be {at_least}"), async || {
            Ok((self.total(id, name).await? >= at_least).then_some(()))
        })
        .await
    }

    /// Makes the provider send its instructions now, however long they would have taken.
    ///
    /// # Errors
    /// When there is no such payout in time.
    pub async fn instruct(&self, id: &str) -> Result<()> {
        until("the instructions", async || {
            let ledger = self.ledger(id).await?;
            let payout = &ledger["payouts"][0];
            match payout["executionStatus"].as_str() {
                None => return Ok(None),
                Some("Initializing" | "AwaitingPayoutInstructions") => {}
                Some(_) => return Ok(Some(())),
            }
            let next = format!("/payouts/{}/next", payout["id"].as_str().unwrap_or_default());
            self.system.organisation().control(Method::POST, &next, Some(&json!({}))).await?;
            Ok(None)
        })
        .await
    }

    /// Makes the bank pay now, however long it would have taken.
    ///
    /// # Errors
    /// When there is no such payout that gets as far in time.
    pub async fn disburse(&self, id: &str) -> Result<()> {
        until("the bank payment", async || {
            let ledger = self.ledger(id).await?;
            let payout = &ledger["payouts"][0];
            if payout["status"] == "Completed" {
                return Ok(Some(()));
            }
            if payout["executionStatus"] == "DisbursementPending" {
                let next = format!("/payouts/{}/next", payout["id"].as_str().unwrap_or_default());
                self.system.organisation().control(Method::POST, &next, Some(&json!({}))).await?;
            }
            Ok(None)
        })
        .await
    }

    /// Waits until a worker is in the middle of this activity of a payout: it has taken it up and not answered.
    ///
    /// # Errors
    /// When none is in time.
    pub async fn is_in(&self, id: &str, activity: &str) -> Result<()> {
        let workflow_id = self.request(id, "1")?.key().workflow_id();
        until(&format!("{id} to be in {activity}"), async || {
            let described = self.handle(&workflow_id).describe(Default::default()).await?;
            let begun = |call: &PendingActivityInfo| {
                let name = call.activity_type.as_ref().map(|kind| kind.name.as_str());
                name == Some(activity) && call.state() == PendingActivityState::Started
            };
            Ok(described.raw().pending_activities.iter().any(begun).then_some(()))
        })
        .await
    }

    /// Waits until a payout has been looked at and is not ready: the next look comes after the cadence's wait.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn has_been_polled(&self, id: &str) -> Result<()> {
        until(&format!("the first look at {id}"), async || {
            let described = self.system.client().describe(id).await?;
            Ok(described.pending.iter().any(|call| call.attempt > 1).then_some(()))
        })
        .await
    }

    /// Waits until Confirm has taken the gate of a payout.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn gate_is_taken(&self, key: &str) -> Result<()> {
        until(&format!("the gate of {key} to be taken"), async || {
            let gate = self.system.records().gate(key).await?.map(|state| state.gate);
            Ok((gate == Some(Gate::Confirming)).then_some(()))
        })
        .await
    }

    /// Holds the records' only lock on writing until what is given back is released or dropped: all that others see of
    /// a database that is away, and reading goes on.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn lock_records(&self) -> Result<Lock> {
        let mut connection = SqliteConnection::connect(self.system.records_url()).await?;
        connection.execute("PRAGMA busy_timeout = 20000").await?;
        connection.execute("BEGIN IMMEDIATE").await?;
        Ok(Lock(connection))
    }

    /// What must hold for every payout that was paid: created once, confirmed once, one transfer, whatever happened.
    ///
    /// # Errors
    /// When it does not, with the books.
    pub async fn paid_exactly_once(&self, id: &str) -> Result<()> {
        for name in ["createsAccepted", "confirmsAccepted", "transfers", "transfersConfirmed"] {
            let total = self.total(id, name).await?;
            if total != 1 {
                bail!("{name} of {id} is {total}: {:#}", self.ledger(id).await?);
            }
        }
        Ok(())
    }

    /// The events of the payout's last run.
    ///
    /// # Errors
    /// When there is no such run.
    pub async fn history(&self, id: &str) -> Result<Vec<HistoryEvent>> {
        // Of its newest attempt.
        let described = self.system.client().describe(id).await?;
        let handle = self.handle(&described.run.workflow_id);
        Ok(handle.fetch_history(Default::default()).into_events().await?)
    }

    /// Temporal's handle of a workflow.
    pub fn handle(&self, workflow_id: &str) -> WorkflowHandle<Client, UntypedWorkflow> {
        self.system.client().temporal().get_workflow_handle::<UntypedWorkflow>(workflow_id)
    }

    /// No workflow task of this payout ever failed of itself. That the server turns a closing task down because
    /// something has just arrived is how it makes sure that nothing is lost.
    ///
    /// # Errors
    /// When one did, or the history cannot be read.
    pub async fn no_task_failed(&self, id: &str) -> Result<()> {
        for event in self.history(id).await? {
            if let Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) = &event.attributes
                && failed.cause() != WorkflowTaskFailedCause::UnhandledCommand
            {
                bail!("a workflow task of {id} failed: {event:#?}");
            }
        }
        Ok(())
    }

    /// Puts this much USDC into the wallet that pays.
    ///
    /// # Errors
    /// When the sandbox cannot be reached.
    pub async fn balance(&self, units: &str) -> Result<()> {
        let organisation = self.system.organisation();
        let contract = organisation.token("Polygon")?.contract;
        let balance = json!({"walletId": organisation.wallet("Polygon")?.id, "kind": "Erc20", "contract": contract,
                             "balance": units});
        organisation.control(Method::PUT, "/balances", Some(&balance)).await?;
        Ok(())
    }

    /// Makes something go wrong at the other side. Gives the fault's id.
    ///
    /// # Errors
    /// When the sandbox knows no such fault.
    pub async fn fault(&self, fault: Value) -> Result<String> {
        let made = self.system.organisation().control(Method::POST, "/faults", Some(&fault)).await?;
        made["id"].as_str().map(str::to_owned).context("a fault without an id")
    }

    /// Waits until a fault has struck.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn has_struck(&self, fault: &str) -> Result<()> {
        until(&format!("{fault} to strike"), async || {
            let all = self.system.organisation().control(Method::GET, "/faults", None).await?;
            let struck = |entry: &Value| entry["id"] == fault && entry["struck"].as_u64() > Some(0);
            Ok(all["items"].as_array().is_some_and(|all| all.iter().any(struck)).then_some(()))
        })
        .await
    }

    /// Takes one fault back.
    ///
    /// # Errors
    /// When there is no such fault.
    pub async fn no_fault(&self, fault: &str) -> Result<()> {
        self.system.organisation().control(Method::DELETE, &format!("/faults/{fault}"), None).await?;
        Ok(())
    }

    /// Takes all faults back.
    ///
    /// # Errors
    /// When the sandbox cannot be reached.
    pub async fn no_faults(&self) -> Result<()> {
        self.system.organisation().control(Method::DELETE, "/faults", None).await?;
        Ok(())
    }

    /// A metric of the worker.
    ///
    /// # Errors
    /// When the worker cannot be reached.
    pub async fn worker_metric(&self, line: &str) -> Result<Option<String>> {
        let url = format!("{}/metrics", self.system.worker_admin_url());
        let text = reqwest::Client::builder().no_proxy().build()?.get(url).send().await?.text().await?;
        Ok(text.lines().find_map(|l| l.strip_prefix(line)).map(|value| value.trim().to_owned()))
    }

    /// Moves the time of one payout, with the organisation's and the records'.
    ///
    /// # Errors
    /// When a clock cannot be moved.
    pub async fn advance(&self, id: &str, by: Duration) -> Result<()> {
        let workflow_id = self.request(id, "1")?.key().workflow_id();
        self.system.advance(&[&workflow_id], by).await?;
        Ok(())
    }

    /// A worker in a process of its own, with the settings of this system.
    ///
    /// # Errors
    /// When the program is not built.
    pub fn worker_process(&self) -> Result<Process> {
        Process::start(&program()?, &["worker", "--admin", "127.0.0.1:0"], self.system.environment())
    }

    /// The same with other settings.
    ///
    /// # Errors
    /// When the program is not built.
    pub fn worker_with(&self, settings: &[(&str, &str)]) -> Result<Process> {
        let mut environment = self.system.environment().to_vec();
        environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Process::start(&program()?, &["worker", "--admin", "127.0.0.1:0"], &environment)
    }

    /// The same as a build of a worker deployment, as if it were another program.
    ///
    /// # Errors
    /// When the program is not built.
    pub fn worker_of_build(&self, deployment: &str, build: &str, flags: &[&str]) -> Result<Process> {
        self.worker_of(&program()?, Some((deployment, build)), flags)
    }

    /// A worker of another program, as a version of a deployment or as one that takes any payout.
    ///
    /// # Errors
    /// When the program does not start.
    pub fn worker_of(&self, program: &Path, version: Option<(&str, &str)>, flags: &[&str]) -> Result<Process> {
        let mut environment = self.system.environment().to_vec();
        if let Some((deployment, build)) = version {
            let named = [("REMIT_DEPLOYMENT", deployment), ("REMIT_BUILD_ID", build)];
            environment.extend(named.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        Process::start(program, &[&["worker", "--admin", "127.0.0.1:0"], flags].concat(), &environment)
    }

    /// Runs a command against this system; gives its exit code, and what it wrote to standard output and to stderr.
    ///
    /// # Errors
    /// When the program is not built.
    pub async fn command(&self, args: &[&str]) -> Result<(Option<i32>, String, String)> {
        let environment = self.system.environment().iter().cloned();
        let mut command = tokio::process::Command::new(program()?);
        let output = command.args(args).envs(environment).stdin(Stdio::null()).output().await?;
        Ok((output.status.code(), String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
    }

    /// Stops all parts.
    ///
    /// # Errors
    /// When one does not stop.
    pub async fn end(self) -> Result<()> {
        self.system.stop().await
    }
}

/// Somebody orders something.
pub fn order(why: &str) -> Order {
    Order { by: "ana@example.com".into(), why: why.into() }
}

/// Somebody lets a payout go on, where the policy takes that unsigned.
pub fn unsigned(why: &str) -> Release {
    Release { order: order(why), signed: None }
}

/// Somebody gives a payout in doubt up.
pub fn give_up(money: Whereabouts) -> Resolve {
    Resolve { order: order("looked at it"), action: Decide::GiveUp(money), signed: None }
}

/// Somebody lets a payout in doubt be checked again.
pub fn go_on() -> Resolve {
    Resolve { order: order("looked at it"), action: Decide::GoOn, signed: None }
}

/// Half a second, then up to two.
pub fn quick() -> PollCadence {
    PollCadence { first: Duration::from_millis(500), most: Duration::from_secs(2) }
}

/// So rarely that a poll finds nothing while a test runs: what is found is found because of a webhook.
pub fn rarely() -> PollCadence {
    PollCadence { first: Duration::from_secs(3600), ..PollCadence::default() }
}

/// Half a second, then ever longer, up to the true two hours: for payouts whose time is moved by hours.
pub fn quick_then_true() -> PollCadence {
    PollCadence { first: Duration::from_millis(500), ..PollCadence::default() }
}

/// Instructions after this many milliseconds of the organisation's time.
pub fn instructions_after(ms: u32) -> Value {
    json!({"delays": {"instructions": ms}})
}

/// Waits until there is an answer.
///
/// # Errors
/// When asking fails, or there is none in time.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("waited in vain for {what}")
}

/// The payer's user, whom the worker signs as.
///
/// # Errors
/// When its key cannot be used.
pub fn payer(world: &World) -> Result<remit_dfns::Dfns> {
    world.system.dfns(PAYER)
}

/// A policy of the provider over everything the wallets sign.
///
/// # Errors
/// When the provider refuses it.
pub async fn policy(world: &World, action: Action) -> Result<()> {
    let body = PolicyBody {
        name: "tests".to_owned(),
        activity_kind: ActivityKind::WalletsSign,
        rule: Rule::always(),
        action,
        filters: None,
    };
    world.system.dfns(APPROVER)?.create_policy(&body).await?;
    Ok(())
}

/// A group of which anyone may approve.
pub fn anyone() -> ApprovalGroup {
    ApprovalGroup {
        name: Some("treasury".to_owned()),
        quorum: 1,
        approvers: Approvers { user_id: None },
        initiator_can_approve: None,
        service_accounts_can_approve: None,
    }
}

/// The records' lock on writing.
pub struct Lock(SqliteConnection);

impl Lock {
    /// Lets others write.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release(mut self) -> Result<()> {
        self.0.execute("ROLLBACK").await?;
        Ok(self.0.close().await?)
    }
}

/// A process of the `remit` program. Killed when dropped.
pub struct Process(Child);

impl Process {
    fn start(program: &Path, args: &[&str], environment: &[(String, String)]) -> Result<Self> {
        let child = Command::new(program)
            .args(args)
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        Ok(Self(child))
    }

    /// A part of the program that writes what it says into this file.
    ///
    /// # Errors
    /// When the program is not built, or the file cannot be written.
    pub fn logged(args: &[&str], environment: &[(String, String)], log: &Path) -> Result<Self> {
        let log = File::create(log)?;
        let child = Command::new(program()?)
            .args(args)
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("the remit program does not start")?;
        Ok(Self(child))
    }

    /// Runs a command to its end; gives whether it exited with 0, and what it wrote to standard output.
    ///
    /// # Errors
    /// When the program is not built.
    pub fn output(args: &[&str]) -> Result<(bool, String)> {
        let output = Command::new(program()?).args(args).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        Ok((output.status.success(), String::from_utf8(output.stdout)?))
    }

    /// The program that was built beside these tests.
    ///
    /// # Errors
    /// When it was not.
    pub fn program() -> Result<PathBuf> {
        program()
    }

    /// Its number in the operating system, which is part of how a worker names itself to Temporal.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Runs a command with these settings to its end; gives its exit code, and what it wrote to standard output.
    ///
    /// # Errors
    /// When the program is not built or writes no text.
    pub fn run(args: &[&str], environment: &[(String, String)]) -> Result<(Option<i32>, String)> {
        let mut command = Command::new(program()?);
        command.args(args).envs(environment.iter().cloned()).stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output()?;
        Ok((output.status.code(), String::from_utf8(output.stdout)?))
    }

    /// SIGSTOP: it stands still, wherever it is.
    ///
    /// # Errors
    /// When it is gone.
    pub fn stop(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// SIGCONT: it goes on where it was.
    ///
    /// # Errors
    /// When it is gone.
    pub fn wake(&self) -> Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> Result<()> {
        let sent = Command::new("kill").args([format!("-{name}"), self.0.id().to_string()]).status()?;
        if sent.success() { Ok(()) } else { bail!("process {} cannot be sent {name}", self.0.id()) }
    }

    /// SIGTERM: it finishes what it is doing, and ends.
    ///
    /// # Errors
    /// When it does not end in time, or not well.
    pub async fn finish(mut self) -> Result<()> {
        self.signal("TERM")?;
        let ended = until("the process to finish what it does", async || Ok(self.0.try_wait()?)).await?;
        if ended.success() { Ok(()) } else { bail!("process {} ended with {ended}", self.0.id()) }
    }

    /// SIGKILL: no goodbye.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program that was built with this one. Cargo puts tests into a folder below it.
fn program() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let program = here.ancestors().skip(1).take(2).map(|folder| folder.join("remit")).find(|program| program.exists());
    program.with_context(|| {
        format!(
            "no program `remit` beside {}; build it with `cargo build`, or run `./test`, which does",
            here.display()
        )
    })
}
