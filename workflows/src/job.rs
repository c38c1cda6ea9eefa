//! How a payout's workflow calls, waits and shows: the plumbing under [`crate::payout`].

use std::time::{Duration, SystemTime};

use futures_util::future::FusedFuture;
use remit_domain::{Cause, Money, PayoutRequest, PayoutView, TRANSITIONS, Until};
use temporalio_common::{ActivityDefinition, data_converters::TemporalDeserializable};
use temporalio_workflow::{
    TimerOptions, WaitConditionOptions, WorkflowCancellationToken, WorkflowContext, WorkflowTermination, select,
};

use crate::{
    contract::{Because, Closing, PayoutActivities, ReadPayout},
    options::{self, Urgency},
    payout::Payout,
    signals::About,
    status::{Status, rfc3339},
};

/// A single reading that takes longer than this is given up: a person looks.
const READ_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// One payout being worked on: what was asked, and the scope all its calls run under.
pub(crate) struct Job {
    pub(crate) request: PayoutRequest,
    pub(crate) digest: String,
    /// Detached from Temporal's cancellation, see the module's head.
    pub(crate) scope: WorkflowCancellationToken,
}

/// Why the ordinary course stops.
pub(crate) enum Stop {
    /// The run fails: its input may be corrected.
    Refused(WorkflowTermination),
    /// The gate is closed: nothing will be confirmed any more, and the payout is wound down.
    Closed(Closing),
    /// A person looks. `watch`: meanwhile the provider may bring it to its end, which is taken as it is.
    Person { reason: String, money: Money, watch: bool },
}

/// Something does not fit: only a person can say what is so.
pub(crate) fn person(reason: impl Into<String>, money: Money) -> Stop {
    Stop::Person { reason: reason.into(), money, watch: false }
}

/// Confirm may have been sent and no end is in sight: a person looks, and what the provider says still counts.
pub(crate) fn overdue(reason: impl Into<String>) -> Stop {
    Stop::Person { reason: reason.into(), money: Money::Unknown, watch: true }
}

/// How a wait ended.
pub(crate) enum Waited {
    For(PayoutView),
    TimeUp,
}

pub(crate) type Ctx = WorkflowContext<Payout>;

impl Job {
    /// Waits until a reading is what is waited for. Webhooks nudge, polling stands behind them, the timer is the end;
    /// a gate that somebody closes meanwhile ends it as well.
    pub(crate) async fn wait(
        &self,
        ctx: &Ctx,
        payout: &str,
        until: Until,
        about: About,
        what: &str,
        limit: SystemTime,
    ) -> Result<Waited, Stop> {
        let Ok(left) = limit.duration_since(now(ctx)) else { return Ok(Waited::TimeUp) };
        self.show(ctx, |status| {
            status.waits_for = Some(what.to_owned());
            status.until = Some(rfc3339(limit));
        });
        let whole = self.scope.child_token();
        let mut timer = ctx.timer(
            TimerOptions::builder(left)
                .summary(format!("wait for {what}, at most until {}", rfc3339(limit)))
                .cancellation_token(whole.clone())
                .build(),
        );
        let waited = loop {
            if let Err(closed) = self.unless_closed(ctx) {
                whole.cancel();
                return Err(closed);
            }
            if ctx.state(|wf| wf.nudges.has(about)) {
                ctx.state_mut(|wf| wf.nudges.clear(about));
                let view = self.read(ctx, payout, Because::Nudge).await?;
                if until.is_met_by(&view) {
                    break Waited::For(view);
                }
                self.seen(ctx, &view);
                // It may have been called off during that reading.
                continue;
            }
            let race = whole.child_token();
            let input =
                ReadPayout { key: self.request.key(), payout: payout.to_owned(), until, because: Because::Poll };
            let mut poll = ctx.execute_activity(
                PayoutActivities::read_payout,
                input,
                options::poll(&format!("look now and then: {what}"), &race),
            );
            let nudged = ctx.wait_condition_with_options(
                |wf| wf.nudges.has(about) || wf.standing.closed.is_some(),
                WaitConditionOptions::builder().cancellation_token(race.clone()).build(),
            );
            let mut nudged = Box::pin(nudged);
            let end = select! {
                _ = nudged => None,
                read = poll => Some(match read {
                    Ok(view) => Ok(Waited::For(view)),
                    Err(error) => Err(overdue(format!("the payout cannot be read: {}", cause(&error)))),
                }),
                _ = timer => Some(Ok(Waited::TimeUp)),
            };
            drop(nudged);
            race.cancel();
            match end {
                None => {}
                Some(Ok(waited)) => break waited,
                Some(Err(stop)) => {
                    whole.cancel();
                    return Err(stop);
                }
            }
        };
        // Where the payout is over the run ends at once, and the timer with it: an event less.
        if !matches!(&waited, Waited::For(view) if view.progress.is_final()) {
            whole.cancel();
        }
        self.show(ctx, |status| {
            status.waits_for = None;
            status.until = None;
        });
        Ok(waited)
    }

    /// Reads once, now.
    pub(crate) async fn read(&self, ctx: &Ctx, payout: &str, because: Because) -> Result<PayoutView, Stop> {
        let input = ReadPayout { key: self.request.key(), payout: payout.to_owned(), until: Until::Now, because };
        let options = options::provider("read the payout at the provider", Urgency::UnderWay, READ_WITHIN, &self.scope);
        ctx.execute_activity(PayoutActivities::read_payout, input, options)
            .await
            .map_err(|error| overdue(format!("the payout cannot be read: {}", cause(&error))))
    }

    /// A write to the records: by the worker at hand, else through the task queue for as long as it takes.
    pub(crate) async fn on_record<A>(
        &self,
        ctx: &Ctx,
        activity: impl Fn() -> A,
        summary: &str,
        input: A::Input,
    ) -> Result<A::Output, Stop>
    where
        A: ActivityDefinition,
        A::Input: Clone,
        A::Output: TemporalDeserializable,
    {
        let at_hand = options::records_at_hand(summary, &self.scope);
        if let Ok(answer) = ctx.execute_local_activity(activity(), input.clone(), at_hand).await {
            return Ok(answer);
        }
        ctx.execute_activity(activity(), input, options::records(summary, &self.scope))
            .await
            .map_err(|error| person(format!("{summary}: {}", cause(&error)), Money::Unknown))
    }

    /// The gate, as far as this run knows: an error once somebody has closed it.
    pub(crate) fn unless_closed(&self, ctx: &Ctx) -> Result<(), Stop> {
        match ctx.state(|wf| wf.standing.closed.clone()) {
            Some(closing) => Err(Stop::Closed(closing)),
            None => Ok(()),
        }
    }

    /// Waits for a call, but no longer than until the gate is closed: nothing that the call could bring about could be
    /// confirmed then.
    pub(crate) async fn unless_closed_during<T>(
        &self,
        ctx: &Ctx,
        call: impl FusedFuture<Output = T> + Unpin,
        scope: &WorkflowCancellationToken,
    ) -> Result<T, Stop> {
        let (mut call, race) = (call, self.scope.child_token());
        let mut closed = Box::pin(ctx.wait_condition_with_options(
            |wf| wf.standing.closed.is_some(),
            WaitConditionOptions::builder().cancellation_token(race.clone()).build(),
        ));
        let answer = select! {
            answer = call => Some(answer),
            _ = closed => None,
        };
        drop(closed);
        race.cancel();
        match answer {
            Some(answer) => Ok(answer),
            None => {
                scope.cancel();
                self.unless_closed(ctx)?;
                Err(person("a wait ended without a reason", Money::Unknown))
            }
        }
    }

    /// For waits that Temporal's Cancel may not end.
    pub(crate) fn uncancelled(&self) -> WaitConditionOptions {
        WaitConditionOptions::builder().cancellation_token(self.scope.child_token()).build()
    }

    /// Moves to the stage that follows from this cause. Where it is there already, nothing happens; what the table of
    /// transitions does not know is not done, and shown.
    pub(crate) fn go(&self, ctx: &Ctx, cause: Cause, says: &str) {
        self.show(ctx, |status| match status.stage.after(cause) {
            Some(next) => {
                status.stage = next;
                status.says = says.to_owned();
            }
            None if TRANSITIONS.iter().any(|(_, by, to)| *by == cause && *to == status.stage) => {}
            None => {
                let odd = format!("from {} nothing follows by \"{}\"", status.stage.as_str(), cause.as_str());
                status.span(ctx.run_id()).in_scope(|| tracing::error!("{odd}"));
                status.attention = Some(odd);
            }
        });
    }

    /// See [`Status::span`].
    pub(crate) fn span(&self, ctx: &Ctx) -> Option<tracing::Span> {
        ctx.state(|wf| wf.input.as_ref().ok().map(|status| status.span(ctx.run_id())))
    }

    pub(crate) fn says(&self, ctx: &Ctx, says: &str) {
        self.show(ctx, |status| status.says = says.to_owned());
    }

    pub(crate) fn note(&self, ctx: &Ctx, what: impl Into<String>) {
        let at = now(ctx);
        ctx.state_mut(|wf| with(wf, |status| status.note(at, what)));
    }

    /// Takes in a reading; the timeline gets a line when it says something new.
    pub(crate) fn seen(&self, ctx: &Ctx, view: &PayoutView) {
        let at = now(ctx);
        self.show(ctx, |status| {
            if status.read.as_ref().is_none_or(|before| before.progress != view.progress) {
                status.note(at, format!("the provider says: {}", view.progress.describe()));
            }
            status.read = Some(view.clone());
        });
    }

    pub(crate) fn show(&self, ctx: &Ctx, change: impl FnOnce(&mut Status)) {
        ctx.state_mut(|wf| with(wf, change));
        ctx.set_current_details(ctx.state(|wf| wf.input.as_ref().map(Status::details).unwrap_or_default()));
    }
}

pub(crate) fn now(ctx: &Ctx) -> SystemTime {
    ctx.workflow_time().unwrap_or(SystemTime::UNIX_EPOCH)
}

pub(crate) fn with(wf: &mut Payout, change: impl FnOnce(&mut Status)) {
    if let Ok(status) = &mut wf.input {
        change(status);
    }
}

/// The message a person can use: the innermost one.
pub(crate) fn cause(error: &temporalio_workflow::ActivityExecutionError) -> String {
    error.cause().map_or_else(|| error.to_string(), ToString::to_string)
}
