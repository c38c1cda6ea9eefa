//! Does what the contract asks: the one place where the provider, the records and a payout meet.
//!
//! One file per activity, each a plain function that can be read and tested without Temporal. What may be retried is
//! said in [`failure`] alone; what the provider's words mean, in `translate` alone. Nothing here decides about a
//! payout.

// The macro generates markers without documentation.
#![expect(missing_docs)]

mod cancel_payout;
mod check_order;
mod check_payout;
mod checks;
mod claim_payout;
mod close_gate;
mod confirm_payout;
mod create_payout;
mod decide_payout;
pub mod failure;
mod metrics;
mod open_attempt;
mod policy;
mod quote_payout;
mod read_payout;
mod record_approval;
mod record_outcome;
mod settings;
mod trace;
mod translate;
pub mod translate_policy;

use std::sync::Arc;

use policy::Policies;
use remit_dfns::Dfns;
use remit_domain::{Outcome, PayoutView};
use remit_records::Records;
use remit_screening::Screener;
use remit_workflows::contract::{
    ApprovalAnswer, AttemptOpening, CancelPayout, Cancellation, CheckOrder, CheckPayout, Checking, ClaimPayout,
    Claimed, CloseGate, ConfirmPayout, Confirmation, CreatePayout, Creation, DecidePayout, Deciding, GateClosing,
    OpenAttempt, OrderCheck, QuotePayout, Quoted, ReadPayout, RecordApproval, RecordOutcome, definitions,
};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use trace::traced;

pub use failure::NoAnswer;
pub use metrics::Metrics;
pub use policy::PolicySettings;
pub use settings::{Names, PollCadence, Settings, SettingsError, TimeLimits};

/// The activities of a payout, with the handles they need.
#[derive(Clone)]
pub struct Activities {
    dfns: Dfns,
    user_id: Arc<str>,
    records: Records,
    cadence: PollCadence,
    time: TimeLimits,
    policies: Arc<Policies>,
    screener: Arc<Screener>,
    names: Names,
    metrics: Metrics,
}

impl Activities {
    /// Activities that call Dfns as `settings` say and write to `records`; their metrics go into `registry`.
    ///
    /// # Errors
    /// When the settings cannot be used, or the registry has metrics of these names already.
    pub fn new(settings: Settings, records: Records, registry: &prometheus::Registry) -> Result<Self, SettingsError> {
        let Settings { dfns, user_id, cadence, time, policy, screener, names } = settings;
        Ok(Self {
            dfns: Dfns::new(dfns)?,
            user_id: settings::user_id(&user_id)?.into(),
            records,
            cadence,
            time,
            policies: Arc::new(Policies::new(policy)),
            screener,
            names,
            metrics: Metrics::new(registry)?,
        })
    }

    /// The client these activities call the provider with.
    pub fn dfns(&self) -> &Dfns {
        &self.dfns
    }

    /// The records these activities write to.
    pub fn records(&self) -> &Records {
        &self.records
    }
}

#[activities]
impl Activities {
    #[activity(definition = definitions::ClaimPayout)]
    pub async fn claim_payout(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: ClaimPayout,
    ) -> Result<Claimed, ActivityError> {
        let key = input.request.key();
        traced(&self, &ctx, key.as_str(), claim_payout::claim_payout(&self, input)).await
    }

    #[activity(definition = definitions::DecidePayout)]
    pub async fn decide_payout(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: DecidePayout,
    ) -> Result<Deciding, ActivityError> {
        let key = input.key.clone();
        traced(&self, &ctx, key.as_str(), decide_payout::decide_payout(&self, input)).await
    }

    #[activity(definition = definitions::RecordApproval)]
    pub async fn record_approval(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: RecordApproval,
    ) -> Result<ApprovalAnswer, ActivityError> {
        let key = input.key.clone();
        traced(&self, &ctx, key.as_str(), record_approval::record_approval(&self, input)).await
    }

    #[activity(definition = definitions::CheckOrder)]
    pub async fn check_order(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: CheckOrder,
    ) -> Result<OrderCheck, ActivityError> {
        let key = input.key.clone();
        traced(&self, &ctx, key.as_str(), check_order::check_order(&self, input)).await
    }

    #[activity(definition = definitions::QuotePayout)]
    pub async fn quote_payout(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: QuotePayout,
    ) -> Result<Quoted, ActivityError> {
        let key = input.request.key();
        traced(&self, &ctx, key.as_str(), quote_payout::quote_payout(&self, input)).await
    }

    #[activity(definition = definitions::CreatePayout)]
    pub async fn create_payout(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: CreatePayout,
    ) -> Result<Creation, ActivityError> {
        let key = input.key.clone();
        traced(&self, &ctx, key.as_str(), create_payout::create_payout(&self, input)).await
    }

    #[activity(definition = definitions::ReadPayout)]
    pub async fn read_payout(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: ReadPayout,
    ) -> Result<PayoutView, ActivityError> {
        let key = input.key.clone();
        traced(&self, &ctx, key.as_str(), read_payout::read_payout(&self, input, ctx.info().attempt)).await
    }

    #[activity(definition = definitions::ConfirmPayout)]
    pub async fn confirm_payout(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: ConfirmPayout,
    ) -> Result<Confirmation, ActivityError> {
        let key = input.key.clone();
        traced(&self, &ctx, key.as_str(), confirm_payout::confirm_payout(&self, input)).await
    }

    #[activity(definition = definitions::CancelPayout)]
    pub async fn cancel_payout(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: CancelPayout,
    ) -> Result<Cancellation, ActivityError> {
        let key = input.key.clone();
        traced(&self, &ctx, key.as_str(), cancel_payout::cancel_payout(&self, input)).await
    }

    #[activity(definition = definitions::OpenAttempt)]
    pub async fn open_attempt(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: OpenAttempt,
    ) -> Result<AttemptOpening, ActivityError> {
        let key = input.key.clone();
        traced(&self, &ctx, key.as_str(), open_attempt::open_attempt(&self, input)).await
    }

    #[activity(definition = definitions::CloseGate)]
    pub async fn close_gate(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: CloseGate,
    ) -> Result<GateClosing, ActivityError> {
        let key = input.key.clone();
        traced(&self, &ctx, key.as_str(), close_gate::close_gate(&self.records, input)).await
    }

    #[activity(definition = definitions::RecordOutcome)]
    pub async fn record_outcome(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: RecordOutcome,
    ) -> Result<Outcome, ActivityError> {
        let key = input.outcome.key.clone();
        traced(&self, &ctx, key.as_str(), record_outcome::record_outcome(&self, input)).await
    }

    #[activity(definition = definitions::CheckPayout)]
    pub async fn check_payout(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: CheckPayout,
    ) -> Result<Checking, ActivityError> {
        let key = input.key.clone();
        traced(&self, &ctx, key.as_str(), check_payout::check_payout(&self, input)).await
    }
}
