//! Pays one beneficiary once, or says why not.
//!
//! ```text
//! Requested ──claim, policy [AwaitingApproval]──▶ Creating ──quote, guards, create──▶ AwaitingInstructions
//!    ── nudge or poll: the deposit address is known ──▶ Confirming ──echo check, gate, confirm──▶ Settling
//!    ── poll: transfer, approval at the provider, bank payment ──▶ Completed │ Failed │ Rejected │ Expired │ Canceled
//! anything we cannot tell or must not decide ──▶ NeedsPerson, which waits for a person's decision
//! ```
//!
//! Every transition is one of [`remit_domain::TRANSITIONS`]. Left behind by a crash anywhere: nothing that the same
//! start does not take up again. What was claimed, the bytes that were sent, whether Confirm may have gone out and who
//! closed the gate are in the records, not only in this history.
//!
//! Everything runs under a scope of its own: Temporal's Cancel is the same as the update `cancel`, a request, and can
//! never kill a Confirm in flight.

use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use remit_domain::{
    Cause, Ending, Money, Offer, OnBreach, Outcome, PayoutView, Progress, Until, echo_check, ending_of,
};
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{
    SyncWorkflowContext, WorkflowCancellationToken, WorkflowContext, WorkflowContextView, WorkflowResult,
    WorkflowTermination, join, select,
};

use crate::{
    contract::{
        Because, Claim, ClaimPayout, Closing, ConfirmPayout, Confirmation, CreatePayout, Creation, GateClosing, GateIs,
        Limits, PayoutActivities, QuotePayout, Quoted,
    },
    job::{Ctx, Job, Stop, Waited, cause, now, overdue, person, with},
    names,
    options::{self, Urgency},
    orders::{self, Answer, Order, Standing},
    permission, refusal, search,
    signals::{About, Nudges},
    status::Status,
};

/// The provider lets a payout wait this long for Confirm, counted from its creation.
/// Source: Dfns guide "Process payouts via API".
const CONFIRM_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// A quote that takes longer than this is given up; nothing was created.
const QUOTE_WITHIN: Duration = Duration::from_secs(3600);
/// How often a quote is asked for again that was too old when it came.
const QUOTES: usize = 3;

/// The provider's limit for submitting the transfer. Source: Dfns guide "Process payouts via API".
const SUBMIT_WITHIN: Duration = Duration::from_secs(4 * 3600);
/// After this a person looks.
const SETTLE_WITHIN: Duration = Duration::from_secs(30 * 24 * 3600);

/// The workflow of one payout.
#[workflow]
pub struct Payout {
    /// What was asked, or why it is refused.
    pub(crate) input: Result<Status, String>,
    pub(crate) nudges: Nudges,
    pub(crate) standing: Standing,
}

type Rejected = Box<dyn std::error::Error + Send + Sync>;

#[workflow_methods]
impl Payout {
    #[init]
    fn new(_: &WorkflowContextView, input: RawValue) -> Self {
        let input = refusal::read_input(&input).map(Status::new);
        Self { input, nudges: Nudges::default(), standing: Standing::default() }
    }

    /// Runs the payout to its end.
    #[run(name = names::PAYOUT)]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Outcome> {
        let job = Job::accept(ctx)?;
        let outcome = {
            let ctx = &*ctx;
            let mut course = Box::pin(job.pay(ctx).fuse());
            let mut cancelled = Box::pin(ctx.cancelled());
            select! {
                outcome = course => outcome?,
                reason = cancelled => {
                    let why = reason.filter(|why| !why.is_empty()).unwrap_or_else(|| "no reason given".to_owned());
                    let order = Order { by: "a cancel request in Temporal".to_owned(), why };
                    let (outcome, _) = join!(course, job.cancel(ctx, order));
                    outcome?
                }
            }
        };
        let outcome = job.conclude(ctx, outcome).await;
        // An operator's order that came with the end is still answered.
        let finished = ctx.wait_condition_with_options(|_| ctx.all_handlers_finished(), job.uncancelled());
        let _ = finished.await;
        Ok(outcome)
    }

    /// A webhook says that something happened. It is a nudge to go and read, never the reading itself.
    #[signal(name = names::PROVIDER_EVENT)]
    pub fn provider_event(&mut self, ctx: &mut SyncWorkflowContext<Self>, raw: RawValue) {
        let Ok(status) = &self.input else { return };
        if !self.nudges.take(&raw, status.key.as_str()) && !ctx.is_replaying_history_events() {
            status.span(ctx.run_id()).in_scope(|| {
                tracing::warn!("ignored a signal that is unreadable, repeated or for another payout");
            });
        }
    }

    /// Where the payout is.
    #[query(name = names::STATUS)]
    pub fn status(&self, _: &WorkflowContextView) -> Result<Status, Rejected> {
        self.input.clone().map_err(Into::into)
    }

    /// Calls the payout off, while its gate is open.
    #[update(name = names::CANCEL)]
    pub async fn cancel(ctx: &mut WorkflowContext<Self>, raw: RawValue) -> Result<Answer, Rejected> {
        Ok(Job::of(ctx)?.cancel(ctx, orders::order(&raw)?).await)
    }

    #[update_validator(cancel)]
    fn may_cancel(&self, _: &WorkflowContextView, raw: &RawValue) -> Result<(), Rejected> {
        self.may_be_ordered(orders::order(raw))
    }

    /// Holds the payout back before Confirm.
    #[update(name = names::HOLD)]
    pub async fn hold(ctx: &mut WorkflowContext<Self>, raw: RawValue) -> Result<Answer, Rejected> {
        Ok(Job::of(ctx)?.hold(ctx, orders::order(&raw)?))
    }

    #[update_validator(hold)]
    fn may_hold(&self, _: &WorkflowContextView, raw: &RawValue) -> Result<(), Rejected> {
        self.may_be_ordered(orders::order(raw))
    }

    /// Lets a payout that was held back go on.
    #[update(name = names::RELEASE)]
    pub async fn release(ctx: &mut WorkflowContext<Self>, raw: RawValue) -> Result<Answer, Rejected> {
        Ok(Job::of(ctx)?.release(ctx, orders::release(&raw)?).await)
    }

    #[update_validator(release)]
    fn may_release(&self, _: &WorkflowContextView, raw: &RawValue) -> Result<(), Rejected> {
        self.may_be_ordered(orders::release(raw))
    }

    /// A signed statement of a person whose approval the policy asks for.
    #[update(name = names::APPROVAL)]
    pub async fn approval(ctx: &mut WorkflowContext<Self>, raw: RawValue) -> Result<Answer, Rejected> {
        Ok(Job::of(ctx)?.approval(ctx, orders::approval(&raw)?).await)
    }

    #[update_validator(approval)]
    fn may_approve(&self, _: &WorkflowContextView, raw: &RawValue) -> Result<(), Rejected> {
        self.may_be_ordered(orders::approval(raw))
    }

    /// A person's decision about a payout in doubt.
    #[update(name = names::RESOLVE)]
    pub async fn resolve(ctx: &mut WorkflowContext<Self>, raw: RawValue) -> Result<Answer, Rejected> {
        Ok(Job::of(ctx)?.resolve(ctx, orders::resolve(&raw)?).await)
    }

    #[update_validator(resolve)]
    fn may_resolve(&self, _: &WorkflowContextView, raw: &RawValue) -> Result<(), Rejected> {
        self.may_be_ordered(orders::resolve(raw))
    }

    fn may_be_ordered<T>(&self, order: Result<T, String>) -> Result<(), Rejected> {
        order?;
        self.input.as_ref().map(|_| ()).map_err(|why| format!("this run refuses its input: {why}").into())
    }
}

/// What is known of a payout so far. Kept when a person lets it be checked again.
#[derive(Default)]
pub(crate) struct Known {
    claimed: bool,
    /// The policy decides about this run.
    controls: bool,
    /// The provider's id of it.
    pub(crate) payout: Option<String>,
    /// When the provider was first asked to create it, by workflow time.
    asked_at: Option<SystemTime>,
    /// Until when Confirm may be sent.
    pub(crate) confirm_by: Option<SystemTime>,
    pub(crate) limits: Limits,
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

    /// For an order that came to this run.
    fn of(ctx: &Ctx) -> Result<Self, String> {
        let status = ctx.state(|wf| wf.input.clone())?;
        Ok(Self { digest: status.digest, request: status.request, scope: WorkflowCancellationToken::new() })
    }

    /// The payout from its claim to its end, however often a person has to look on the way.
    async fn pay(&self, ctx: &Ctx) -> Result<Outcome, WorkflowTermination> {
        let mut known = Known::default();
        loop {
            let stop = match self.course(ctx, &mut known).await {
                Ok(outcome) => return Ok(outcome),
                Err(Stop::Closed(closing)) => match self.wind_down(ctx, &mut known, &closing).await {
                    Ok(outcome) => return Ok(outcome),
                    Err(stop) => stop,
                },
                Err(stop) => stop,
            };
            match stop {
                Stop::Refused(failure) => return Err(failure),
                Stop::Person { reason, money, watch } => {
                    if let Some(outcome) = self.park(ctx, &known, reason, money, watch).await {
                        return Ok(outcome);
                    }
                }
                // Wound down in the next round.
                Stop::Closed(_) => {}
            }
        }
    }

    /// The business process, read aloud: claim, quote, create, wait for the address, confirm, settle.
    async fn course(&self, ctx: &Ctx, known: &mut Known) -> Result<Outcome, Stop> {
        if !known.claimed
            && let Some(ended) = self.claim(ctx, known).await?
        {
            return Ok(ended);
        }
        self.unless_closed(ctx)?;
        // Where Confirm may have been sent there is nothing left to permit.
        if known.controls
            && !ctx.state(|wf| wf.standing.confirming)
            && let Some(ended) = self.permission(ctx, known.confirm_by).await?
        {
            return Ok(ended);
        }
        let mut view = match &known.payout {
            Some(id) => {
                self.go(ctx, Cause::Claimed, "reading it at the provider");
                self.read(ctx, id, Because::Check).await?
            }
            None => {
                if let Some(called_off) = self.quote_at_start(ctx).await? {
                    return Ok(called_off);
                }
                match self.create(ctx, known).await? {
                    Ok(view) => view,
                    Err(refused) => return Ok(refused),
                }
            }
        };
        let confirm_by =
            *known.confirm_by.get_or_insert_with(|| confirm_deadline(known.asked_at, now(ctx), &view, known.limits));
        self.go(ctx, Cause::Created, "created; waiting for the deposit address");
        loop {
            self.seen(ctx, &view);
            self.check_echo(&view)?;
            let confirming = ctx.state(|wf| wf.standing.confirming);
            view = match &view.progress {
                progress if progress.is_final() => return self.over(ctx, &view).await,
                Progress::Preparing | Progress::Unrecognised { .. } if !confirming => {
                    let what = "the provider's deposit address";
                    match self.wait(ctx, &view.payout, Until::Ready, About::Instructions, what, confirm_by).await? {
                        Waited::For(view) => view,
                        Waited::TimeUp => self.time_up(ctx, &view).await?,
                    }
                }
                Progress::AwaitingConfirmation if now(ctx) < confirm_by => {
                    match self.when_released(ctx, &view, confirm_by).await? {
                        Some(view) => view,
                        None => match self.confirm(ctx, &view, known).await? {
                            Some(view) => view,
                            None => self.settle(ctx, &view, known).await?,
                        },
                    }
                }
                Progress::AwaitingConfirmation if !confirming => self.time_up(ctx, &view).await?,
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
                | Progress::Canceled => self.settle(ctx, &view, known).await?,
            };
        }
    }

    /// Claims the id. `Some` when an earlier run has brought the payout to its end.
    async fn claim(&self, ctx: &Ctx, known: &mut Known) -> Result<Option<Outcome>, Stop> {
        let input = ClaimPayout { request: self.request.clone() };
        let claimed =
            self.on_record(ctx, || PayoutActivities::claim_payout, "claim the id for this request", input).await?;
        known.limits = claimed.limits;
        known.controls = claimed.controls;
        known.claimed = true;
        let (mut confirming, mut closed) = (false, None);
        match claimed.claim {
            Claim::New => {}
            Claim::Known { outcome: Some(outcome), .. } => return Ok(Some(outcome)),
            Claim::Known { payout, gate, outcome: None } => {
                self.note(ctx, "taken up again where it was left");
                known.payout = payout;
                match gate {
                    GateIs::Open => {}
                    GateIs::Confirming => confirming = true,
                    GateIs::Closed { closing } => closed = Some(closing),
                }
            }
            Claim::Conflict => return Err(Stop::Refused(refusal::conflict(self.request.key().as_str()))),
            Claim::NotOpened => return Err(Stop::Refused(refusal::not_opened(&self.request))),
            Claim::NameInClear => return Err(Stop::Refused(refusal::name_in_clear())),
        }
        ctx.state_mut(|wf| {
            wf.standing.claimed = true;
            wf.standing.controls = claimed.controls;
            wf.standing.confirming = confirming;
            wf.standing.closed = closed;
        });
        Ok(None)
    }

    /// Asks for a quote before anything is created. `Some` when the payout ends here.
    async fn quote_at_start(&self, ctx: &Ctx) -> Result<Option<Outcome>, Stop> {
        self.go(ctx, Cause::Claimed, "asking for a quote");
        let offers = match self.quote(ctx, Urgency::Begin).await? {
            Ok(offers) => offers,
            Err(reason) => return Ok(Some(self.outcome(ctx, Ending::Failed, Money::Untouched, reason))),
        };
        let Some(guards) = &self.request.guards else { return Ok(None) };
        let breaches = guards.check(&offers);
        if breaches.is_empty() {
            return Ok(None);
        }
        let why: Vec<String> = breaches.iter().map(ToString::to_string).collect();
        let why = format!("the quote does not keep the request's limits, nothing was created: {}", why.join("; "));
        match guards.on_breach {
            OnBreach::Cancel => Ok(Some(self.outcome(ctx, Ending::Canceled, Money::Untouched, why))),
            OnBreach::Ask => Err(person(why, Money::Untouched)),
        }
    }

    /// The offers, or why there are none to be had.
    async fn quote(&self, ctx: &Ctx, urgency: Urgency) -> Result<Result<Vec<Offer>, String>, Stop> {
        let input = QuotePayout { request: self.request.clone() };
        let scope = self.scope.child_token();
        let options = options::provider("ask what the beneficiary would get", urgency, QUOTE_WITHIN, &scope);
        let call = ctx.execute_activity(PayoutActivities::quote_payout, input, options);
        Ok(match self.unless_closed_during(ctx, call, &scope).await? {
            Ok(Quoted::Offers { offers }) => {
                let best = offers.first().cloned();
                let says = match &best {
                    Some(offer) => format!("quoted: {} after {} fees", offer.receives, offer.fees),
                    None => "no offer in the quote".to_owned(),
                };
                self.note(ctx, says);
                ctx.state_mut(|wf| with(wf, |status| status.quoted = best));
                Ok(offers)
            }
            Ok(Quoted::Refused { reason }) => Err(format!("the provider does not quote this payout: {reason}")),
            Err(error) => Err(format!("no quote to be had: {}", cause(&error))),
        })
    }

    /// Creates the payout. `Err` inside when the provider refused and the payout ends here.
    async fn create(&self, ctx: &Ctx, known: &mut Known) -> Result<Result<PayoutView, Outcome>, Stop> {
        self.says(ctx, "creating the payout at the provider");
        known.asked_at.get_or_insert(now(ctx));
        let input =
            CreatePayout { key: self.request.key(), digest: self.digest.clone(), request: self.request.clone() };
        let scope = self.scope.child_token();
        let options = options::provider("create the payout at the provider", Urgency::Begin, CONFIRM_WITHIN, &scope);
        let call = ctx.execute_activity(PayoutActivities::create_payout, input, options);
        match self.unless_closed_during(ctx, call, &scope).await? {
            Ok(Creation::Exists { view }) => {
                self.note(ctx, format!("created at the provider as {}", view.payout));
                known.payout = Some(view.payout.clone());
                // Called off while it was being created: it is seen, and wound down.
                ctx.state_mut(|wf| with(wf, |status| status.read = Some(view.clone())));
                self.unless_closed(ctx)?;
                Ok(Ok(view))
            }
            Ok(Creation::Refused { reason }) => {
                let reason = format!("the provider refused the payout, nothing was created: {reason}");
                Ok(Err(self.outcome(ctx, Ending::Failed, Money::Untouched, reason)))
            }
            Ok(Creation::Doubtful { reason }) => Err(person(reason, Money::Unknown)),
            Err(error) => {
                Err(person(format!("whether the payout was created is not known: {}", cause(&error)), Money::Unknown))
            }
        }
    }

    /// Every field that was sent must be what is read, at every reading.
    pub(crate) fn check_echo(&self, view: &PayoutView) -> Result<(), Stop> {
        let differences = echo_check(&self.request, &self.request.key(), &view.asked);
        if differences.is_empty() {
            return Ok(());
        }
        let all: Vec<String> = differences.iter().map(ToString::to_string).collect();
        Err(person(format!("the payout at the provider is not what was asked for: {}", all.join("; ")), Money::Unknown))
    }

    /// Confirms. `Some` when nothing was sent because the payout has moved on; `None` when it is confirmed, or may be.
    async fn confirm(&self, ctx: &Ctx, view: &PayoutView, known: &Known) -> Result<Option<PayoutView>, Stop> {
        let Some(address) = view.deposit_address.clone() else {
            return Err(person("the provider waits for Confirm but names no deposit address", Money::Untouched));
        };
        self.check_guards(ctx).await?;
        // The fresh quote took time; someone may have called it off, held it back, or the margin may have begun.
        self.unless_closed(ctx)?;
        let held = ctx.state(|wf| wf.standing.hold.is_some());
        if held || known.confirm_by.is_some_and(|by| now(ctx) >= by) {
            return Ok(Some(view.clone()));
        }
        self.go(ctx, Cause::Ready, "checked; confirming");
        let before = ctx.state_mut(|wf| std::mem::replace(&mut wf.standing.confirming, true));
        let input = ConfirmPayout {
            key: self.request.key(),
            digest: self.digest.clone(),
            request: self.request.clone(),
            payout: view.payout.clone(),
            address,
        };
        let options =
            options::provider("check once more, then confirm, once", Urgency::Confirm, CONFIRM_WITHIN, &self.scope);
        let nothing_sent = || ctx.state_mut(|wf| wf.standing.confirming = before);
        match ctx.execute_activity(PayoutActivities::confirm_payout, input, options).await {
            Ok(Confirmation::Sent) => {
                self.go(ctx, Cause::Confirmed, "confirmed; on its way to the bank");
                self.note(ctx, "confirmed");
                Ok(None)
            }
            Ok(Confirmation::NotWaiting { view }) => {
                nothing_sent();
                self.go(ctx, Cause::NotSent, "not sent by this run: it has moved on");
                Ok(Some(view))
            }
            Ok(Confirmation::Changed { differences, gate_taken }) => {
                let all: Vec<String> = differences.iter().map(ToString::to_string).collect();
                let all = all.join("; ");
                if gate_taken {
                    return Err(overdue(format!("changed, and Confirm may have been sent before: {all}")));
                }
                nothing_sent();
                Err(person(format!("changed just before Confirm, nothing was sent: {all}"), Money::Untouched))
            }
            Ok(Confirmation::GateClosed { closing }) => {
                nothing_sent();
                ctx.state_mut(|wf| wf.standing.closed = Some(closing.clone()));
                Err(Stop::Closed(closing))
            }
            Ok(Confirmation::Blocked { ruling }) => {
                nothing_sent();
                self.ruled(ctx, &ruling);
                Err(self.forbid(ctx, Closing::Blocked { why: ruling.why() }).await?)
            }
            Ok(Confirmation::NeedsApproval { ruling }) => {
                nothing_sent();
                self.ruled(ctx, &ruling);
                match self.approvals(ctx, &ruling, known.confirm_by, Cause::ApprovedToConfirm).await? {
                    permission::Waited::Approved => Ok(Some(self.read(ctx, &view.payout, Because::Check).await?)),
                    permission::Waited::TimeUp => Ok(Some(self.time_up(ctx, view).await?)),
                }
            }
            Ok(Confirmation::NotReady { checks }) => {
                nothing_sent();
                Err(person(format!("Confirm could not work yet: {}", checks.join("; ")), Money::Untouched))
            }
            Ok(Confirmation::Refused { reason }) => {
                Err(person(format!("the provider refused Confirm and still waits for it: {reason}"), Money::Unknown))
            }
            // Sent or not is not known: what is read from here on tells.
            Err(error) if !needs_person(&error) => {
                self.go(ctx, Cause::Confirmed, "Confirm was sent, or not; what is read tells");
                self.note(ctx, format!("no answer to Confirm: {}", cause(&error)));
                Ok(None)
            }
            Err(error) => Err(overdue(format!("Confirm could not be carried out: {}", cause(&error)))),
        }
    }

    /// Quotes lock nothing: where the request has limits, a fresh one must keep them just before Confirm.
    async fn check_guards(&self, ctx: &Ctx) -> Result<(), Stop> {
        let Some(guards) = &self.request.guards else { return Ok(()) };
        let mut broken = String::new();
        for _ in 0..QUOTES {
            let asked_at = now(ctx);
            broken = match self.quote(ctx, Urgency::UnderWay).await? {
                Ok(offers) => {
                    let breaches: Vec<String> = guards.check(&offers).iter().map(ToString::to_string).collect();
                    breaches.join("; ")
                }
                Err(reason) => reason,
            };
            let age = now(ctx).duration_since(asked_at).unwrap_or_default();
            if !broken.is_empty() {
                break;
            }
            if !guards.too_old(age) {
                return Ok(());
            }
            broken = format!("the quote took {} s to come, which is longer than it may be old", age.as_secs());
        }
        match guards.on_breach {
            OnBreach::Ask => {
                let why = format!("the fresh quote is not good enough: {broken}");
                self.void_approvals(ctx, &why).await?;
                Err(person(why, Money::Untouched))
            }
            OnBreach::Cancel => {
                let closing = Closing::GuardBroken { why: broken };
                match self.close_gate(ctx, closing).await? {
                    GateClosing::Closed { closing } => Err(Stop::Closed(closing)),
                    GateClosing::Confirming => Ok(()),
                }
            }
        }
    }

    /// Follows a confirmed payout until it is over or waits for people, whatever the provider calls it meanwhile.
    async fn settle(&self, ctx: &Ctx, view: &PayoutView, known: &Known) -> Result<PayoutView, Stop> {
        ctx.state_mut(|wf| wf.standing.confirming = true);
        let held = view.progress == Progress::Held;
        let says = if held {
            "the transfer waits for an approval at the provider"
        } else {
            "confirmed; on its way to the bank"
        };
        self.go(ctx, Cause::Confirmed, says);
        self.says(ctx, says);
        self.waits_for(ctx, if held { search::PROVIDER_APPROVAL } else { search::NOBODY });
        let (until, what) = if held {
            (Until::NotHeld, "an approval at the provider")
        } else {
            (Until::HeldOrFinal, "the bank payment")
        };
        let begun = now(ctx);
        let expected = known.limits.bank_expected();
        for limit in [SUBMIT_WITHIN, expected, SETTLE_WITHIN] {
            match self.wait(ctx, &view.payout, until, About::Transfer, what, begun + limit).await? {
                Waited::For(view) => return Ok(view),
                Waited::TimeUp => {}
            }
            let late = if limit == SUBMIT_WITHIN {
                let view = self.read(ctx, &view.payout, Because::Check).await?;
                if until.is_met_by(&view) {
                    return Ok(view);
                }
                self.seen(ctx, &view);
                matches!(view.progress, Progress::Submitting | Progress::Held | Progress::AwaitingConfirmation)
                    .then(|| "the provider's limit of 4 h for the transfer has passed".to_owned())
            } else {
                let days = limit.as_secs().div_ceil(24 * 3600);
                Some(format!("the bank payment takes longer than expected: more than {days} days since Confirm"))
            };
            if let Some(late) = late {
                self.note(ctx, late.clone());
                self.show(ctx, |status| status.attention = Some(late));
            }
        }
        Err(overdue("30 days have passed since Confirm without an end"))
    }
}

/// Until when Confirm may be sent. Clocks are not compared: for a payout this run asked for it is workflow time just
/// before asking plus the limit; for one that existed, the time left by the provider's own clock.
fn confirm_deadline(asked_at: Option<SystemTime>, now: SystemTime, view: &PayoutView, limits: Limits) -> SystemTime {
    let age = view.age_ms.map(Duration::from_millis);
    let created = match (asked_at, age.and_then(|age| now.checked_sub(age))) {
        // Asked for by this run, yet it may have existed before: the earlier of the two is the safe one.
        (Some(asked_at), Some(created)) => asked_at.min(created),
        (Some(asked_at), None) => asked_at,
        (None, Some(created)) => created,
        (None, None) => now,
    };
    created + CONFIRM_WITHIN.saturating_sub(limits.confirm_margin())
}

/// Asking again would not help, and nothing that is read later tells why.
fn needs_person(error: &temporalio_workflow::ActivityExecutionError) -> bool {
    let kind = match error.cause() {
        Some(temporalio_common::error::IncomingError::Application(failure)) => failure.type_name(),
        _ => None,
    };
    kind.is_some_and(|kind| [names::ERROR_NOT_ALLOWED, names::ERROR_MISUNDERSTOOD].contains(&kind))
}

impl Job {
    /// The provider says that it is over: at once where it is certain where the money is, else when its transfer is
    /// over too. "Not paid" is not said while somebody could still approve that transfer.
    async fn over(&self, ctx: &Ctx, view: &PayoutView) -> Result<Outcome, Stop> {
        if view.progress == Progress::Completed {
            self.go(ctx, Cause::Confirmed, "confirmed; paid");
        }
        if let Some((ending, money, reason)) = ending_of(view) {
            return Ok(self.outcome(ctx, ending, money, reason));
        }
        self.go(ctx, Cause::Confirmed, "over at the provider; its transfer may still go out");
        let limit = now(ctx) + SETTLE_WITHIN;
        let what = "the end of a transfer whose payout is over";
        match self.wait(ctx, &view.payout, Until::Certain, About::Transfer, what, limit).await? {
            Waited::For(view) => {
                self.seen(ctx, &view);
                self.check_echo(&view)?;
                match ending_of(&view) {
                    Some((ending, money, reason)) => Ok(self.outcome(ctx, ending, money, reason)),
                    None => Err(overdue("a reading that is final without an ending")),
                }
            }
            Waited::TimeUp => {
                Err(overdue("its payout is over at the provider, and after 30 days its transfer still is not"))
            }
        }
    }
}
