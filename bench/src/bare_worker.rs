//! The Rust one of the comparison workers (`peers/` holds the others): a payout as somebody would write it who takes
//! Temporal's samples for a pattern. No policy, no records, no audit, no limits. Dfns is called through `remit-dfns`, as
//! anybody in Rust could, so that the difference to ours is what ours does beside.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use remit::exit::stop_on_signal;
use remit_dfns::{
    ConfirmTransfer, CreatePayout, Dfns, ExecutionStatus, PaymentPurpose, PayoutAction, PayoutAsset, PayoutStatus,
    Provider, QuoteRequest, Settings,
};
use serde::{Deserialize, Serialize};
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, Url};
use temporalio_common::RetryPolicy;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityCloseTimeouts, ActivityOptions, ApplicationFailure, Runtime, SyncWorkflowContext, TimerOptions, Worker,
    WorkerOptions, WorkflowCancellationToken, WorkflowContext, WorkflowContextView, WorkflowResult,
    activities::{ActivityContext, ActivityError},
    runtime::{
        PollerBehavior, RuntimeOptions,
        worker_tuner::{FixedSizeSlotSupplier as Slots, TunerHolder},
    },
    workflows::select,
};

/// The queue is named by the caller.
const QUEUE: &str = "PEER_TASK_QUEUE";
const ONE_ATTEMPT: Duration = Duration::from_secs(15);

/// Flags of the hidden `bench bare-worker`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// With the settings that served best, in the place of the SDK's own
    #[arg(long)]
    tuned: bool,
}

/// A request as our starters send it, as far as this needs it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    external_id: String,
    wallet_id: String,
    asset: Asset,
    amount: String,
    destination: Destination,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Asset {
    kind: String,
    contract: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Destination {
    provider: String,
    account_id: String,
    instructions_id: String,
    currency: String,
    country: String,
    purpose: String,
}

/// What a reading found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    awaits_confirmation: bool,
    wallet_id: String,
    contract: String,
    amount: String,
    deposit_address: Option<String>,
}

/// What is confirmed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Confirm {
    payout_id: String,
    wallet_id: String,
    contract: String,
    amount: String,
    to: String,
}

/// What the signal carries.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionRequired {
    /// Which payout waits.
    pub payout_id: String,
}

/// How it ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    payout_id: String,
    status: String,
}

/// A payout.
#[workflow]
pub struct BarePayout {
    request: Request,
    action_required: bool,
}

#[workflow_methods]
impl BarePayout {
    #[init]
    fn new(_: &WorkflowContextView, request: Request) -> Self {
        Self { request, action_required: false }
    }

    /// Quote, create, wait, read, confirm, wait.
    #[run(name = "bare_payout")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Done> {
        let life = ctx.cancellation_token().child_token();
        let request = ctx.state(|state| state.request.clone());
        ctx.execute_activity(Bare::quote, request.clone(), activity(&life)).await?;
        let payout = ctx.execute_activity(Bare::create, request.clone(), activity(&life)).await?;

        let cadence = cadence();
        let mut pause = cadence.first;
        let seen = loop {
            let race = life.child_token();
            let mut timer = ctx.timer(TimerOptions::builder(pause).cancellation_token(race.clone()).build());
            let signalled = select! {
                signalled = ctx.wait_condition(|state| state.action_required) => { signalled?; true }
                _ = timer => false,
            };
            race.cancel();
            let seen = ctx.execute_activity(Bare::read, payout.clone(), activity(&life)).await?;
            if signalled || seen.awaits_confirmation {
                break seen;
            }
            pause = (pause * 2).min(cadence.most);
        };
        let same = seen.awaits_confirmation
            && seen.amount == request.amount
            && seen.contract.eq_ignore_ascii_case(&request.asset.contract)
            && seen.wallet_id == request.wallet_id;
        let Some(to) = seen.deposit_address.filter(|_| same) else {
            return Err(ApplicationFailure::new(anyhow!("payout {payout} is not what was asked for")).into());
        };
        let Request { wallet_id, amount, asset, .. } = request;
        let confirm = Confirm { payout_id: payout.clone(), wallet_id, contract: asset.contract, amount, to };
        ctx.execute_activity(Bare::confirm, confirm, activity(&life)).await?;
        let status = ctx.execute_activity(Bare::await_completion, payout.clone(), polling(&life)).await?;
        Ok(Done { payout_id: payout, status })
    }

    /// The provider waits for us.
    #[signal(name = "action_required")]
    pub fn action_required(&mut self, _: &mut SyncWorkflowContext<Self>, _event: ActionRequired) {
        self.action_required = true;
    }
}

fn activity(life: &WorkflowCancellationToken) -> ActivityOptions {
    ActivityOptions::with_close_timeouts(ActivityCloseTimeouts::StartToClose(ONE_ATTEMPT))
        .cancellation_token(life.clone())
        .build()
}

/// Retried by the server until it is so: the sample "infrequent polling".
fn polling(life: &WorkflowCancellationToken) -> ActivityOptions {
    let Cadence { first, most } = cadence();
    let retry = RetryPolicy::builder().initial_interval(first).backoff_coefficient(1.5).maximum_interval(most).build();
    ActivityOptions::with_close_timeouts(ActivityCloseTimeouts::StartToClose(ONE_ATTEMPT))
        .retry_policy(retry)
        .cancellation_token(life.clone())
        .build()
}

struct Bare {
    dfns: Dfns,
}

#[activities]
impl Bare {
    #[activity(name = "quote")]
    async fn quote(self: Arc<Self>, _ctx: ActivityContext, request: Request) -> Result<(), ActivityError> {
        let Request { wallet_id, asset, amount, destination, .. } = request;
        let quote = QuoteRequest {
            wallet_id,
            asset: PayoutAsset::Erc20 { amount, contract: asset.contract },
            fiat_currency: destination.currency,
            provider: Provider::from(destination.provider.as_str()),
            country: destination.country,
        };
        self.dfns.quote(&quote).await?;
        Ok(())
    }

    #[activity(name = "create")]
    async fn create(self: Arc<Self>, _ctx: ActivityContext, request: Request) -> Result<String, ActivityError> {
        let Request { external_id, wallet_id, asset, amount, destination } = request;
        let create = CreatePayout {
            wallet_id,
            asset: PayoutAsset::Erc20 { amount, contract: asset.contract },
            fiat_currency: destination.currency,
            provider: Provider::from(destination.provider.as_str()),
            country: destination.country,
            borderless_account_id: destination.account_id,
            payment_instructions_id: destination.instructions_id,
            payment_purpose: PaymentPurpose::from(destination.purpose.as_str()),
            external_id: Some(external_id),
        };
        Ok(self.dfns.create_payout(create.to_bytes()).await?.id)
    }

    #[activity(name = "read")]
    async fn read(self: Arc<Self>, _ctx: ActivityContext, id: String) -> Result<Seen, ActivityError> {
        let payout = self.dfns.payout(&id).await?.value;
        Ok(Seen {
            awaits_confirmation: payout.data.execution_status == Some(ExecutionStatus::AwaitingPayoutConfirmation),
            wallet_id: payout.wallet_id,
            contract: payout.asset.contract.unwrap_or_default(),
            amount: payout.asset.amount,
            deposit_address: payout.data.deposit_address,
        })
    }

    #[activity(name = "confirm")]
    async fn confirm(self: Arc<Self>, _ctx: ActivityContext, confirm: Confirm) -> Result<(), ActivityError> {
        let Confirm { payout_id, wallet_id, contract, amount, to } = confirm;
        let action = PayoutAction::Confirm { wallet_id, transfer: ConfirmTransfer::Erc20 { amount, contract, to } };
        self.dfns.payout_action(&payout_id, &action).await?;
        Ok(())
    }

    #[activity(name = "await_completion")]
    async fn await_completion(self: Arc<Self>, _ctx: ActivityContext, id: String) -> Result<String, ActivityError> {
        let payout = self.dfns.payout(&id).await?.value;
        if payout.status != PayoutStatus::Completed {
            return Err(anyhow!("payout {id} is {} so far", payout.status.as_str()).into());
        }
        Ok(payout.status.as_str().to_owned())
    }
}

#[derive(Clone, Copy)]
struct Cadence {
    first: Duration,
    most: Duration,
}

/// The same for every run of this process, as a constant of a deployed build would be.
static CADENCE: OnceLock<Cadence> = OnceLock::new();

fn cadence() -> Cadence {
    const USUAL: Cadence = Cadence { first: Duration::from_secs(30), most: Duration::from_secs(7_200) };
    *CADENCE.get_or_init(|| USUAL)
}

/// Works until it is asked to stop.
pub async fn run(args: Args) -> Result<()> {
    let stop = stop_on_signal()?;
    let milliseconds = |name: &str| Ok::<_, anyhow::Error>(Duration::from_millis(variable(name)?.parse()?));
    let _ =
        CADENCE.set(Cadence { first: milliseconds("PEER_POLL_FIRST_MS")?, most: milliseconds("PEER_POLL_MAX_MS")? });
    let key = std::fs::read_to_string(variable("DFNS_PRIVATE_KEY_FILE")?).context("DFNS_PRIVATE_KEY_FILE")?;
    let (token, credential) = (variable("DFNS_TOKEN")?, variable("DFNS_CREDENTIAL_ID")?);
    let dfns = Dfns::new(Settings::new(variable("DFNS_BASE_URL")?, token.into(), credential, key.into()))?;

    let url: Url = format!("http://{}", variable("TEMPORAL_ADDRESS")?).parse()?;
    let connection = Connection::connect(ConnectionOptions::new(url).identity("bare-worker").build()).await?;
    let client = Client::new(connection, ClientOptions::new(variable("TEMPORAL_NAMESPACE")?).build())?;
    let mut options = WorkerOptions::new(variable(QUEUE)?)
        .register_activities(Bare { dfns })
        .register_workflow::<BarePayout>()?
        .build();
    if let Ok(cached) = std::env::var("PEER_CACHED_WORKFLOWS") {
        options.max_cached_workflows = cached.parse().context("PEER_CACHED_WORKFLOWS")?;
    }
    if args.tuned {
        let tuner = TunerHolder::builder()
            .workflow_task_slot_supplier(Slots::new(100))
            .activity_task_slot_supplier(Slots::new(400))
            .local_activity_task_slot_supplier(Slots::new(100))
            .nexus_task_slot_supplier(Slots::new(1))
            .build();
        options.tuner = tuner.into();
        options.workflow_task_poller_behavior = Some(PollerBehavior::SimpleMaximum(10));
        options.activity_task_poller_behavior = Some(PollerBehavior::SimpleMaximum(10));
    }
    let runtime = RuntimeOptions::builder().build().map_err(anyhow::Error::msg)?;
    let runtime = Runtime::from_current_tokio(runtime)?;
    let mut worker = Worker::new(&runtime, client, options)?;
    let shut_down = worker.shutdown_handle();
    tokio::spawn(async move {
        stop.cancelled().await;
        shut_down();
    });
    println!("ready");
    worker.run().await?;
    Ok(())
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set; `bench cost` sets what this worker needs"))
}
