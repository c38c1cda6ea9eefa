//! What may be paid: the policy decides before anything is created, and again inside Confirm. Here is what the run does
//! with the decision: goes on, waits for people, or ends.

use std::time::{Duration, SystemTime};

use remit_domain::{Cause, Ending, Money, Outcome, Stage, policy::Verdict};
use temporalio_workflow::{TimerOptions, WaitConditionOptions, select};

use crate::{
    contract::{
        ApprovalAnswer, Approvals, CheckOrder, Closing, DecidePayout, Deciding, GateClosing, OrderCheck,
        PayoutActivities, RecordApproval, Ruling, Signed,
    },
    job::{Ctx, Job, Stop, cause, now, person},
    operators::accepted,
    options::{self, Urgency},
    orders::{Answer, Order},
    search,
    status::{Status, rfc3339},
};

/// A decision that takes longer than this is given up, and a person looks: nothing was created.
const DECIDE_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// What the wait for approvals came to.
pub(crate) enum Waited {
    /// All are there.
    Approved,
    /// The limit that was given has passed first.
    TimeUp,
}

impl Job {
    /// Asks the policy before anything is created. `Some` when the payout ends here. `limit`: the deadline of a payout
    /// that exists already, since a person has looked at it.
    pub(crate) async fn permission(&self, ctx: &Ctx, limit: Option<SystemTime>) -> Result<Option<Outcome>, Stop> {
        self.says(ctx, "being decided by the policy");
        let urgency = if limit.is_some() { Urgency::UnderWay } else { Urgency::Begin };
        let ruling = match self.decide(ctx, None, urgency).await? {
            Deciding::Ruled { ruling } => ruling,
            Deciding::Unpayable { reason } => {
                return Ok(Some(self.outcome(ctx, Ending::Failed, Money::Untouched, reason)));
            }
        };
        self.ruled(ctx, &ruling);
        match ruling.verdict {
            Verdict::Allowed => Ok(None),
            Verdict::Blocked => Err(self.forbid(ctx, Closing::Blocked { why: ruling.why() }).await?),
            Verdict::NeedsApproval => {
                // When the deadline comes first, what is read next says so.
                self.approvals(ctx, &ruling, limit, Cause::Approved).await?;
                Ok(None)
            }
        }
    }

    /// The quote is worse by more than the request allows: what was approved was another payout. It is asked for anew
    /// when the payout goes on.
    pub(crate) async fn void_approvals(&self, ctx: &Ctx, why: &str) -> Result<(), Stop> {
        if !ctx.state(|wf| wf.standing.controls) {
            return Ok(());
        }
        let approved =
            |status: &Status| status.ruling.as_ref().is_some_and(|ruling| ruling.verdict == Verdict::NeedsApproval);
        if !ctx.state(|wf| wf.input.as_ref().is_ok_and(approved)) {
            return Ok(());
        }
        if let Deciding::Ruled { ruling } = self.decide(ctx, Some(why.to_owned()), Urgency::UnderWay).await? {
            self.ruled(ctx, &ruling);
            self.note(ctx, "the approvals so far are void");
        }
        Ok(())
    }

    async fn decide(&self, ctx: &Ctx, void: Option<String>, urgency: Urgency) -> Result<Deciding, Stop> {
        let (key, digest, request) = (self.request.key(), self.digest.clone(), self.request.clone());
        let input = DecidePayout { key, digest, request, void };
        let scope = self.scope.child_token();
        let summary = "decide by the policy in force";
        let options = options::provider(summary, urgency, DECIDE_WITHIN, &scope);
        let call = ctx.execute_activity(PayoutActivities::decide_payout, input, options);
        self.unless_closed_during(ctx, call, &scope)
            .await?
            .map_err(|error| person(format!("the policy could not decide: {}", cause(&error)), Money::Untouched))
    }

    /// Takes in a decision.
    pub(crate) fn ruled(&self, ctx: &Ctx, ruling: &Ruling) {
        let why = if ruling.reasons.is_empty() { String::new() } else { format!(" ({})", ruling.why()) };
        self.note(ctx, format!("policy revision {}: {}{why}", ruling.revision, ruling.verdict.as_str()));
        self.show(ctx, |status| status.ruling = Some(ruling.clone()));
    }

    /// Closes the gate for what must not be paid; the run is wound down. Ok only when Confirm had been sent before.
    pub(crate) async fn forbid(&self, ctx: &Ctx, closing: Closing) -> Result<Stop, Stop> {
        match self.close_gate(ctx, closing).await? {
            GateClosing::Closed { closing } => Ok(Stop::Closed(closing)),
            GateClosing::Confirming => {
                ctx.state_mut(|wf| wf.standing.confirming = true);
                let reason = "forbidden by now, but Confirm may have been sent by another run";
                Ok(Stop::Person { reason: reason.into(), money: Money::Unknown, watch: true })
            }
        }
    }

    /// Waits until all wanted approvals are there. A denial, or nobody's answer in time, closes the gate. `limit`: the
    /// deadline of a payout that exists already. `then`: what it means that they are there.
    pub(crate) async fn approvals(
        &self,
        ctx: &Ctx,
        ruling: &Ruling,
        limit: Option<SystemTime>,
        then: Cause,
    ) -> Result<Waited, Stop> {
        if ruling.approvals == Approvals::Met {
            self.note(ctx, "approved before");
            return Ok(Waited::Approved);
        }
        ctx.state_mut(|wf| wf.standing.approvals = Some(ruling.approvals.clone()));
        let own = now(ctx) + Duration::from_secs(ruling.wait_seconds.into());
        let by = limit.map_or(own, |limit| own.min(limit));
        self.go(ctx, Cause::ApprovalWanted, &format!("waits for approval: {}", ruling.why()));
        self.found(ctx, search::AN_APPROVAL);
        self.show(ctx, |status| {
            status.waits_for = Some(format!("approval by {}", ruling.approvals));
            status.until = Some(rfc3339(by));
        });
        let race = self.scope.child_token();
        let left = by.duration_since(now(ctx)).unwrap_or_default();
        let mut timer = ctx.timer(
            TimerOptions::builder(left.max(Duration::from_secs(1)))
                .summary(format!("wait for approval, at most until {}", rfc3339(by)))
                .cancellation_token(race.clone())
                .build(),
        );
        let mut answered = Box::pin(ctx.wait_condition_with_options(
            |wf| {
                wf.standing.closed.is_some()
                    || matches!(wf.standing.approvals, Some(Approvals::Met | Approvals::Denied { .. }))
            },
            WaitConditionOptions::builder().cancellation_token(race.clone()).build(),
        ));
        select! {
            _ = answered => {}
            _ = timer => {}
        }
        drop(answered);
        race.cancel();
        let approvals = ctx.state_mut(|wf| wf.standing.approvals.take());
        self.show(ctx, |status| {
            status.waits_for = None;
            status.until = None;
        });
        self.unless_closed(ctx)?;
        match approvals {
            Some(Approvals::Met) => {
                self.go(ctx, then, "approved");
                self.found(ctx, search::NOBODY);
                Ok(Waited::Approved)
            }
            Some(Approvals::Denied { order }) => Err(self.forbid(ctx, Closing::Denied { order }).await?),
            Some(Approvals::Missing { .. }) | None if limit.is_some_and(|limit| limit <= own) => Ok(Waited::TimeUp),
            Some(missing @ Approvals::Missing { .. }) => {
                Err(self.forbid(ctx, Closing::NotApproved { why: missing.to_string() }).await?)
            }
            None => Err(person("a wait for approvals ended without a reason", Money::Untouched)),
        }
    }

    /// Takes in a person's signed approval. Verified where the keys are known: in the activity, and again in Confirm.
    pub(crate) async fn approval(&self, ctx: &Ctx, signed: Signed) -> Answer {
        if let Some(over) = self.is_over(ctx) {
            return over;
        }
        if ctx.state(|wf| wf.standing.approvals.is_none()) {
            return self.refused(ctx, "no approval is wanted of it now");
        }
        let input = RecordApproval { key: self.request.key(), signed };
        let summary = "verify the approval and write it down";
        match self.on_record(ctx, || PayoutActivities::record_approval, summary, input).await {
            Ok(ApprovalAnswer::Counted { what, approvals }) => {
                self.note(ctx, what.clone());
                let says = match &approvals {
                    Approvals::Met => format!("{what}; all approvals are there, it goes on"),
                    Approvals::Denied { .. } => format!("{what}; it ends as Denied"),
                    Approvals::Missing { .. } => format!("{what}; still wanted: {approvals}"),
                };
                let stage = match &approvals {
                    Approvals::Denied { .. } => Stage::Denied,
                    Approvals::Met | Approvals::Missing { .. } => Stage::AwaitingApproval,
                };
                self.show(ctx, |status| {
                    if let Some(ruling) = &mut status.ruling {
                        ruling.approvals = approvals.clone();
                    }
                });
                // Unless the wait has ended meanwhile.
                ctx.state_mut(|wf| wf.standing.approvals.as_mut().map(|standing| *standing = approvals));
                accepted(stage, says)
            }
            Ok(ApprovalAnswer::Refused { why }) => self.refused(ctx, format!("the approval does not count: {why}")),
            Err(_) => self.refused(ctx, "the records cannot be written; try again"),
        }
    }

    /// Whether whoever gives this order may. `Some`: why not.
    pub(crate) async fn may_not(
        &self,
        ctx: &Ctx,
        order: &str,
        what: &str,
        decided: &Order,
        signed: Option<Signed>,
    ) -> Option<Answer> {
        if !ctx.state(|wf| wf.standing.controls) {
            return None;
        }
        let input = CheckOrder {
            key: self.request.key(),
            order: order.to_owned(),
            what: what.to_owned(),
            decided: decided.clone(),
            signed,
        };
        match self.on_record(ctx, || PayoutActivities::check_order, "verify who gives this order", input).await {
            Ok(OrderCheck::May) => None,
            Ok(OrderCheck::MayNot { why }) => Some(self.refused(ctx, why)),
            Err(_) => Some(self.refused(ctx, "the records cannot be read; try again")),
        }
    }
}
