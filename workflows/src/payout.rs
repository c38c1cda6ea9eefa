//! Pays one beneficiary once, or says why not.
//!
//! ```text
//! Requested ──claim──▶ Creating ──quote, create──▶ AwaitingInstructions
//!    ── nudge or poll: the deposit address is known ──▶ Confirming ──echo check, gate, confirm──▶ Settling
//!    ── poll: transfer, approval at the provider, bank payment ──▶ Completed │ Failed │ Rejected │ Expired │ Canceled
//! anything we cannot tell or must not decide ──▶ NeedsPerson
//! ```
//!
//! Left behind by a crash anywhere: nothing that the same start does not take up again. What was claimed, the bytes
//! that were sent, and whether Confirm may have gone out are in the records, not only in this history.
//!
//! Everything runs under a scope of its own, so that Temporal's Cancel, which is a request and not an event at the
//! provider, can never kill a Confirm in flight.

use std::time::{Duration, SystemTime};

use remit_domain::{Ending, Money, Offer, Outcome, PayoutView, Progress, Stage, Until, echo_check, ending_of};
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{
    SyncWorkflowContext, WorkflowCancellationToken, WorkflowContext, WorkflowContextView, WorkflowResult,
    WorkflowTermination,
};

use crate::{
    contract::{
        Because, Claim, ClaimPayout, CloseGate, ConfirmPayout, Confirmation, CreatePayout, Creation, GateClosing,
        PayoutActivities, QuotePayout, Quoted, RecordOutcome,
    },
    job::{Ctx, Job, Stop, Waited, cause, now, person, with},
    names,
    options::{self, Urgency},
    refusal, search,
    signals::{About, Nudges},
    status::Status,
};

/// The provider lets a payout wait this long for Confirm, counted from its creation.
/// Source: Dfns guide "Process payouts via API".
const CONFIRM_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// Nothing is confirmed this close to that limit.
const CONFIRM_MARGIN: Duration = Duration::from_secs(2 * 60);
/// How long the provider's own expiry is watched for after the gate was closed at the deadline.
const WATCH_EXPIRY: Duration = Duration::from_secs(3600);
/// A quote that takes longer than this is given up; nothing was created.
const QUOTE_WITHIN: Duration = Duration::from_secs(3600);

/// How long settling may take: what is said when a limit passes, and how long after Confirm that is. The first is the
/// provider's limit for submitting the transfer (Dfns guide "Process payouts via API"); after the last a person looks.
const SETTLING: [(Duration, &str); 3] = [
    (Duration::from_secs(4 * 3600), "the provider's limit of 4 h for the transfer has passed"),
    (Duration::from_secs(5 * 24 * 3600), "the bank payment takes longer than five days"),
    (Duration::from_secs(30 * 24 * 3600), "no end after thirty days"),
];

/// The value of the search attribute once a payout has stopped waiting for somebody. Not unset: the SDK's form of
/// that is refused by the server ("invalid value"), and the workflow task with it.
const NOBODY: &str = "nobody";

/// The workflow of one payout.
#[workflow]
pub struct Payout {
    /// What was asked, or why it is refused.
    pub(crate) input: Result<Status, String>,
    pub(crate) nudges: Nudges,
}

#[workflow_methods]
impl Payout {
    #[init]
    fn new(_: &WorkflowContextView, input: RawValue) -> Self {
        Self { input: refusal::read_input(&input).map(Status::new), nudges: Nudges::default() }
    }

    /// Runs the payout to its end.
    #[run(name = names::PAYOUT)]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Outcome> {
        let job = Job::accept(ctx)?;
        let outcome = match job.pay(ctx).await {
            Ok(outcome) => outcome,
            Err(Stop::Refused(failure)) => return Err(failure),
            Err(Stop::Person { reason, money }) => job.hand_over(ctx, reason, money).await,
        };
        job.conclude(ctx, outcome).await
    }

    /// A webhook says that something happened. It is a nudge to go and read, never the reading itself.
    #[signal(name = names::PROVIDER_EVENT)]
    pub fn provider_event(&mut self, ctx: &mut SyncWorkflowContext<Self>, raw: RawValue) {
        let Ok(status) = &self.input else { return };
        if !self.nudges.take(&raw, status.key.as_str()) && !ctx.is_replaying_history_events() {
            tracing::warn!(payout.key = %status.key, "ignored a signal that is unreadable, repeated or for another payout");
        }
    }

    /// Where the payout is.
    #[query(name = names::STATUS)]
    pub fn status(&self, _: &WorkflowContextView) -> Result<Status, Box<dyn std::error::Error + Send + Sync>> {
        self.input.clone().map_err(Into::into)
    }
}

impl Job {
    fn accept(ctx: &Ctx) -> Result<Self, WorkflowTermination> {
        let status = ctx.state(|wf| wf.input.clone()).map_err(refusal::refused)?;
        let expected = status.key.workflow_id();
        if ctx.workflow_id() != expected {
            return Err(refusal::refused(format!(
                "the workflow id is {:?}; a payout with this externalId must be started as {expected:?}",
                ctx.workflow_id()
            )));
        }
        // A starter of ours has set them; one in another language may have left that to us.
        if ctx.search_attributes().get(&search::STAGE).is_none() {
            ctx.upsert_search_attributes(search::at_start(&status.request));
        }
        Ok(Self { digest: status.digest, request: status.request, scope: WorkflowCancellationToken::new() })
    }

    /// The business process, read aloud: claim, quote, create, wait for the address, confirm, settle.
    async fn pay(&self, ctx: &Ctx) -> Result<Outcome, Stop> {
        let begun = self.claim(ctx).await?;
        let asked_at = now(ctx);
        let mut view = match &begun {
            Begun::Ended(outcome) => return Ok(outcome.clone()),
            Begun::Before { payout: Some(id), .. } => {
                self.note(ctx, "taken up again where it was left");
                self.read(ctx, id, Because::Check).await?
            }
            Begun::Before { payout: None, .. } | Begun::Now => {
                if let Some(refused) = self.quote(ctx).await? {
                    return Ok(refused);
                }
                match self.create(ctx).await? {
                    Ok(view) => view,
                    Err(refused) => return Ok(refused),
                }
            }
        };
        let confirm_by = confirm_deadline(&begun, asked_at, now(ctx), view.age_ms);
        let mut confirming = matches!(begun, Begun::Before { confirming: true, .. });
        loop {
            self.seen(ctx, &view);
            self.check_echo(&view)?;
            if let Some((ending, money, reason)) = ending_of(&view) {
                return self.end(ctx, ending, money, reason);
            }
            let late = now(ctx) >= confirm_by;
            view = match &view.progress {
                Progress::Preparing | Progress::Unrecognised { .. } if !confirming => {
                    self.stage(ctx, Stage::AwaitingInstructions, "created; waiting for the deposit address");
                    let what = "the provider's deposit address";
                    match self.wait(ctx, &view.payout, Until::Ready, About::Instructions, what, confirm_by).await? {
                        Waited::For(view) => view,
                        Waited::TimeUp => return self.expire(ctx, &view.payout).await,
                    }
                }
                Progress::AwaitingConfirmation if !late => match self.confirm(ctx, &view).await? {
                    Some(view) => view,
                    None => {
                        confirming = true;
                        self.settle(ctx, &view).await?
                    }
                },
                Progress::AwaitingConfirmation if !confirming => return self.expire(ctx, &view.payout).await,
                // Confirmed, or perhaps confirmed: from here on what is read tells.
                Progress::Preparing
                | Progress::Unrecognised { .. }
                | Progress::AwaitingConfirmation
                | Progress::Submitting
                | Progress::Held
                | Progress::Depositing
                | Progress::Disbursing
                | Progress::Completed
                | Progress::Failed
                | Progress::Rejected
                | Progress::Expired
                | Progress::Canceled => self.settle(ctx, &view).await?,
            };
        }
    }

    async fn claim(&self, ctx: &Ctx) -> Result<Begun, Stop> {
        let input = ClaimPayout {
            key: self.request.key(),
            digest: self.digest.clone(),
            external_id: self.request.external_id.as_str().to_owned(),
        };
        match self.on_record(ctx, || PayoutActivities::claim_payout, "claim the id for this request", input).await? {
            Claim::New => Ok(Begun::Now),
            Claim::Known { outcome: Some(outcome), .. } => Ok(Begun::Ended(outcome)),
            Claim::Known { payout, confirming, outcome: None } => Ok(Begun::Before { payout, confirming }),
            Claim::Conflict => Err(Stop::Refused(refusal::conflict(self.request.key().as_str()))),
        }
    }

    /// Asks for a quote. `Some` when the payout ends here.
    async fn quote(&self, ctx: &Ctx) -> Result<Option<Outcome>, Stop> {
        self.stage(ctx, Stage::Creating, "asking for a quote");
        let input = QuotePayout { request: self.request.clone() };
        let options =
            options::provider("ask what the beneficiary would get", Urgency::Create, QUOTE_WITHIN, &self.scope);
        match ctx.execute_activity(PayoutActivities::quote_payout, input, options).await {
            Ok(Quoted::Offers { offers }) => {
                let best: Option<Offer> = offers.into_iter().next();
                self.note(
                    ctx,
                    match &best {
                        Some(offer) => format!("quoted: {} after {} fees", offer.receives, offer.fees),
                        None => "no offer in the quote".to_owned(),
                    },
                );
                ctx.state_mut(|wf| with(wf, |status| status.quoted = best));
                Ok(None)
            }
            Ok(Quoted::Refused { reason }) => {
                let reason = format!("the provider does not quote this payout: {reason}");
                self.end(ctx, Ending::Failed, Money::Untouched, reason).map(Some)
            }
            Err(error) => {
                let reason = format!("no quote to be had, nothing was created: {}", cause(&error));
                self.end(ctx, Ending::Failed, Money::Untouched, reason).map(Some)
            }
        }
    }

    /// Creates the payout. `Err` inside when the provider refused and the payout ends here.
    async fn create(&self, ctx: &Ctx) -> Result<Result<PayoutView, Outcome>, Stop> {
        self.stage(ctx, Stage::Creating, "creating the payout at the provider");
        let input =
            CreatePayout { key: self.request.key(), digest: self.digest.clone(), request: self.request.clone() };
        let options =
            options::provider("create the payout at the provider", Urgency::Create, CONFIRM_WITHIN, &self.scope);
        match ctx.execute_activity(PayoutActivities::create_payout, input, options).await {
            Ok(Creation::Exists { view }) => {
                self.note(ctx, format!("created at the provider as {}", view.payout));
                Ok(Ok(view))
            }
            Ok(Creation::Refused { reason }) => {
                let reason = format!("the provider refused the payout, nothing was created: {reason}");
                self.end(ctx, Ending::Failed, Money::Untouched, reason).map(Err)
            }
            Ok(Creation::Doubtful { reason }) => Err(person(reason, Money::Unknown)),
            Err(error) => {
                Err(person(format!("whether the payout was created is not known: {}", cause(&error)), Money::Unknown))
            }
        }
    }

    /// Every field that was sent must be what is read, at every reading.
    fn check_echo(&self, view: &PayoutView) -> Result<(), Stop> {
        let differences = echo_check(&self.request, &self.request.key(), &view.asked);
        if differences.is_empty() {
            return Ok(());
        }
        let all: Vec<String> = differences.iter().map(ToString::to_string).collect();
        Err(person(format!("the payout at the provider is not what was asked for: {}", all.join("; ")), Money::Unknown))
    }

    /// Confirms. `Some` when nothing was sent because the payout has moved on; `None` when it is confirmed, or may be.
    async fn confirm(&self, ctx: &Ctx, view: &PayoutView) -> Result<Option<PayoutView>, Stop> {
        let Some(address) = view.deposit_address.clone() else {
            return Err(person("the provider waits for Confirm but names no deposit address", Money::Untouched));
        };
        self.stage(ctx, Stage::Confirming, "checked; confirming");
        let input = ConfirmPayout {
            key: self.request.key(),
            digest: self.digest.clone(),
            request: self.request.clone(),
            payout: view.payout.clone(),
            address,
        };
        let options =
            options::provider("check once more, then confirm, once", Urgency::Confirm, CONFIRM_WITHIN, &self.scope);
        match ctx.execute_activity(PayoutActivities::confirm_payout, input, options).await {
            Ok(Confirmation::Sent) => {
                self.note(ctx, "confirmed");
                Ok(None)
            }
            Ok(Confirmation::NotWaiting { view }) => Ok(Some(view)),
            Ok(Confirmation::Changed { differences }) => {
                let all: Vec<String> = differences.iter().map(ToString::to_string).collect();
                Err(person(
                    format!("changed just before Confirm, nothing was sent: {}", all.join("; ")),
                    Money::Untouched,
                ))
            }
            Ok(Confirmation::GateClosed { why }) => {
                self.note(ctx, format!("not confirmed, the gate is closed: {why}"));
                Err(person(format!("the gate was closed before Confirm: {why}"), Money::Untouched))
            }
            Ok(Confirmation::Refused { reason }) => {
                Err(person(format!("the provider refused Confirm and still waits for it: {reason}"), Money::Unknown))
            }
            // Sent or not is not known: what is read from here on tells.
            Err(error) => {
                self.note(ctx, format!("no answer to Confirm: {}", cause(&error)));
                Ok(None)
            }
        }
    }

    /// Follows a confirmed payout until it is over or waits for people, whatever the provider calls it meanwhile.
    async fn settle(&self, ctx: &Ctx, view: &PayoutView) -> Result<PayoutView, Stop> {
        let held = view.progress == Progress::Held;
        let says = if held {
            "the transfer waits for an approval at the provider"
        } else {
            "confirmed; on its way to the bank"
        };
        self.stage(ctx, Stage::Settling, says);
        self.waits_for(ctx, if held { "provider approval" } else { NOBODY });
        let (until, what) = if held {
            (Until::NotHeld, "an approval at the provider")
        } else {
            (Until::HeldOrFinal, "the bank payment")
        };
        let begun = now(ctx);
        for (after, passed) in SETTLING {
            match self.wait(ctx, &view.payout, until, About::Transfer, what, begun + after).await? {
                Waited::For(view) => return Ok(view),
                Waited::TimeUp => {
                    self.note(ctx, passed);
                    ctx.state_mut(|wf| with(wf, |status| status.attention = Some(passed.to_owned())));
                }
            }
        }
        Err(person(format!("{}; last seen: {}", SETTLING[2].1, view.progress.describe()), Money::Unknown))
    }

    /// The time to confirm is over: closes the gate, then watches the provider come to the same end.
    async fn expire(&self, ctx: &Ctx, payout: &str) -> Result<Outcome, Stop> {
        self.note(ctx, "the time to confirm is over");
        let closed = self.close_gate(ctx, "the time to confirm is over").await?;
        let what = "the provider to expire it";
        let limit = now(ctx) + WATCH_EXPIRY;
        match self.wait(ctx, payout, Until::Final, About::Instructions, what, limit).await? {
            Waited::For(view) => {
                self.seen(ctx, &view);
                match ending_of(&view) {
                    Some((ending, money, reason)) => self.end(ctx, ending, money, reason),
                    None => Err(person("a final reading without an ending", Money::Unknown)),
                }
            }
            Waited::TimeUp if closed == GateClosing::Closed => {
                let reason = "not confirmed in time; it cannot be confirmed any more";
                self.end(ctx, Ending::Expired, Money::Untouched, reason.to_owned())
            }
            Waited::TimeUp => {
                Err(person("Confirm was under way at the deadline and no end is in sight", Money::Unknown))
            }
        }
    }

    async fn close_gate(&self, ctx: &Ctx, why: &str) -> Result<GateClosing, Stop> {
        let input = CloseGate { key: self.request.key(), why: why.to_owned() };
        self.on_record(ctx, || PayoutActivities::close_gate, "close the gate: nothing may be confirmed any more", input)
            .await
    }

    /// Hands over to a person. Whatever is found out later, nothing is confirmed meanwhile.
    async fn hand_over(&self, ctx: &Ctx, reason: String, money: Money) -> Outcome {
        let money = match self.close_gate(ctx, "a person must look").await {
            Ok(GateClosing::Closed) | Err(_) => money,
            Ok(GateClosing::Confirming) => Money::Unknown,
        };
        self.outcome(ctx, Ending::NeedsPerson, money, reason)
    }

    /// Makes it searchable whom the payout waits for; writes only what is news.
    fn waits_for(&self, ctx: &Ctx, whom: &str) {
        if whom != NOBODY || self.waits_for_somebody(ctx) {
            ctx.upsert_search_attributes([search::WAITS_FOR.value_set(whom.to_owned())]);
        }
    }

    fn waits_for_somebody(&self, ctx: &Ctx) -> bool {
        ctx.search_attributes().get(&search::WAITS_FOR).is_some_and(|whom| whom != NOBODY)
    }

    fn end(&self, ctx: &Ctx, ending: Ending, money: Money, reason: String) -> Result<Outcome, Stop> {
        match ending {
            Ending::NeedsPerson => Err(person(reason, money)),
            Ending::Completed | Ending::Failed | Ending::Rejected | Ending::Expired | Ending::Canceled => {
                Ok(self.outcome(ctx, ending, money, reason))
            }
        }
    }

    fn outcome(&self, ctx: &Ctx, ending: Ending, money: Money, reason: String) -> Outcome {
        let (read, quoted) = ctx.state(|wf| match &wf.input {
            Ok(status) => (status.read.clone(), status.quoted.clone()),
            Err(_) => (None, None),
        });
        Outcome {
            key: self.request.key(),
            ending,
            reason,
            money,
            payout: read.as_ref().map(|view| view.payout.clone()),
            transfer: read.as_ref().and_then(|view| view.transfer.clone()),
            transaction_hash: read.as_ref().and_then(|view| view.transaction_hash.clone()),
            quoted,
        }
    }

    /// Writes the outcome down and shows it. What waits for a person is no outcome yet and stays off the record.
    async fn conclude(&self, ctx: &Ctx, outcome: Outcome) -> WorkflowResult<Outcome> {
        let outcome = if outcome.ending == Ending::NeedsPerson {
            outcome
        } else {
            let input = RecordOutcome { outcome: outcome.clone() };
            match self.on_record(ctx, || PayoutActivities::record_outcome, "write the outcome down", input).await {
                Ok(on_record) => on_record,
                Err(_) => outcome,
            }
        };
        let stage = outcome.ending.stage();
        let mut found = vec![search::STAGE.value_set(stage.as_str().to_owned())];
        if self.waits_for_somebody(ctx) {
            found.push(search::WAITS_FOR.value_set(NOBODY.to_owned()));
        }
        ctx.upsert_search_attributes(found);
        self.note(ctx, format!("{}: {}", stage.as_str(), outcome.reason));
        self.show(ctx, |status| {
            status.stage = stage;
            status.says = outcome.reason.clone();
            status.waits_for = None;
            status.until = None;
            status.outcome = Some(outcome.clone());
        });
        Ok(outcome)
    }
}

/// What was known of a payout when this run began.
enum Begun {
    /// Nothing: this run is the first.
    Now,
    /// An earlier run got this far.
    Before { payout: Option<String>, confirming: bool },
    /// An earlier run brought it to its end.
    Ended(Outcome),
}

/// Until when Confirm may be sent. Clocks are not compared: for a payout this run asked for it is workflow time just
/// before asking plus the limit; for one that existed, the time left by the provider's own clock.
fn confirm_deadline(begun: &Begun, asked_at: SystemTime, now: SystemTime, age_ms: Option<u64>) -> SystemTime {
    let created = match (begun, age_ms) {
        (Begun::Before { .. }, Some(age)) => now.checked_sub(Duration::from_millis(age)).unwrap_or(asked_at),
        _ => asked_at,
    };
    created + CONFIRM_WITHIN - CONFIRM_MARGIN
}
