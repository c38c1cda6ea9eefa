//! What operators order: cancel, hold, release, resolve. Each order is answered with what happens now; none overrides a
//! check, and none makes a payment.

use std::time::SystemTime;

use remit_domain::{Cause, PayoutView, Stage};
use temporalio_workflow::{TimerOptions, WaitConditionOptions, select};

use crate::{
    contract::{Because, Closing, GateClosing},
    job::{Ctx, Job, Stop, now},
    orders::{Action, Answer, Decision, Order, Release, Resolve, Verdict, Whereabouts},
    search,
    status::rfc3339,
};

impl Job {
    /// Closes the gate: the payout ends as Canceled. Too late once Confirm may have been sent.
    pub(crate) async fn cancel(&self, ctx: &Ctx, order: Order) -> Answer {
        // Before the claim is answered there is no gate.
        let claimed = ctx.wait_condition_with_options(
            |wf| wf.standing.claimed || wf.input.as_ref().is_ok_and(|status| status.outcome.is_some()),
            self.uncancelled(),
        );
        let _ = claimed.await;
        if let Some(over) = self.is_over(ctx) {
            return over;
        }
        self.note(ctx, format!("to be called off, says {order}"));
        match self.close_gate(ctx, Closing::Canceled { order: order.clone() }).await {
            Ok(GateClosing::Closed { closing: Closing::Canceled { order: first } }) if first == order => {
                accepted(Stage::Canceled, "nothing will be confirmed any more; it ends as Canceled")
            }
            Ok(GateClosing::Closed { closing }) => {
                self.refused(ctx, format!("nothing will be confirmed any more in any case: {closing}"))
            }
            Ok(GateClosing::Confirming) => self.refused(
                ctx,
                "Confirm has been sent or is being sent: the money may be on its way; follow it with `remit payout watch`",
            ),
            Err(_) => self.refused(ctx, "the records cannot be written; try again"),
        }
    }

    /// Holds it back before Confirm.
    pub(crate) fn hold(&self, ctx: &Ctx, order: Order) -> Answer {
        if let Some(over) = self.is_over(ctx) {
            return over;
        }
        let (standing, stage) = ctx.state(|wf| (wf.standing.clone(), wf.input.as_ref().map(|s| s.stage).ok()));
        if let Some(first) = standing.hold {
            // The same order again: whoever gave it may have had no answer.
            if first == order {
                return accepted(stage.unwrap_or(Stage::OnHold), "it is held back already by this order");
            }
            return self.refused(ctx, format!("it is held back already by {first}"));
        }
        if standing.parked {
            return self.refused(ctx, "it waits for a person already; nothing is confirmed meanwhile");
        }
        if standing.confirming || stage == Some(Stage::Confirming) {
            return self.refused(ctx, "Confirm has been sent or is being sent: it cannot be held back any more");
        }
        self.note(ctx, format!("held back by {order}"));
        ctx.state_mut(|wf| wf.standing.hold = Some(order.clone()));
        self.show(ctx, |status| status.hold = Some(order));
        accepted(stage.unwrap_or(Stage::OnHold), "it will not be confirmed before it is released; its deadline stands")
    }

    /// Lets it go on.
    pub(crate) async fn release(&self, ctx: &Ctx, release: Release) -> Answer {
        if let Some(over) = self.is_over(ctx) {
            return over;
        }
        let Release { order, signed } = release;
        if ctx.state(|wf| wf.standing.hold.is_none()) {
            return self.refused(ctx, "it is not held back");
        }
        if let Some(refused) = self.may_not(ctx, "release", "", &order, signed).await {
            return refused;
        }
        if ctx.state_mut(|wf| wf.standing.hold.take()).is_none() {
            return self.refused(ctx, "it is not held back");
        }
        self.note(ctx, format!("released by {order}"));
        self.show(ctx, |status| status.hold = None);
        accepted(self.at(ctx), "it goes on; all checks are made again before Confirm")
    }

    /// Takes a person's decision about a payout in doubt.
    pub(crate) async fn resolve(&self, ctx: &Ctx, resolve: Resolve) -> Answer {
        if let Some(over) = self.is_over(ctx) {
            return over;
        }
        let standing = ctx.state(|wf| wf.standing.clone());
        if !standing.parked {
            return self.refused(ctx, "it is not in doubt: there is nothing to resolve");
        }
        if standing.decision.is_some() {
            return self.refused(ctx, "somebody else has just decided");
        }
        let Resolve { order, action, signed } = resolve;
        if let Some(refused) = self.may_not(ctx, "resolve", action.words(), &order, signed).await {
            return refused;
        }
        // While that was found out somebody else may have decided.
        let standing = ctx.state(|wf| wf.standing.clone());
        if !standing.parked || standing.decision.is_some() {
            return self.refused(ctx, "somebody else has just decided");
        }
        match action {
            Action::ReadAgain => self.read_again(ctx, &order).await,
            Action::GoOn => {
                ctx.state_mut(|wf| wf.standing.decision = Some(Decision::GoOn(order)));
                accepted(Stage::Requested, "it is checked again from the beginning, and goes on if everything holds")
            }
            Action::GiveUp(Whereabouts::NotSent) => {
                match self.close_gate(ctx, Closing::GivenUp { order }).await {
                    // The closed gate wakes the run, which winds it down.
                    Ok(GateClosing::Closed { .. }) => {
                        accepted(Stage::Canceled, "given up; nothing was or will be sent")
                    }
                    Ok(GateClosing::Confirming) => self.refused(
                        ctx,
                        "Confirm may have been sent: say where the money is (returned, paid or writtenOff), or cancel it at \
                         Dfns while it waits there, and it ends by itself",
                    ),
                    Err(_) => self.refused(ctx, "the records cannot be written; try again"),
                }
            }
            Action::GiveUp(_) if !standing.confirming => self.refused(
                ctx,
                "no Confirm of this payout was ever asked for, so no money has moved: give it up as notSent",
            ),
            Action::GiveUp(money) => {
                ctx.state_mut(|wf| wf.standing.decision = Some(Decision::GiveUp(order, money)));
                accepted(self.at(ctx), "given up; the outcome says where the money is")
            }
        }
    }

    async fn read_again(&self, ctx: &Ctx, order: &Order) -> Answer {
        self.note(ctx, format!("read again for {order}"));
        let payout =
            ctx.state(|wf| wf.input.as_ref().ok().and_then(|s| s.read.as_ref().map(|view| view.payout.clone())));
        let Some(payout) = payout else {
            return accepted(self.at(ctx), "nothing is known to exist at the provider; there is nothing to read");
        };
        match self.read(ctx, &payout, Because::Check).await {
            Ok(view) => {
                self.seen(ctx, &view);
                let echo = match self.check_echo(&view) {
                    Ok(()) => "it is what was asked for",
                    Err(_) => "it is NOT what was asked for",
                };
                accepted(self.at(ctx), format!("the provider says: {}; {echo}", view.progress.describe()))
            }
            Err(_) => self.refused(ctx, "it cannot be read at the provider; try again later"),
        }
    }

    /// Waits while somebody holds the payout back. `Some` when it was, with what is read after the release.
    pub(crate) async fn when_released(
        &self,
        ctx: &Ctx,
        view: &PayoutView,
        confirm_by: SystemTime,
    ) -> Result<Option<PayoutView>, Stop> {
        let Some(order) = ctx.state(|wf| wf.standing.hold.clone()) else { return Ok(None) };
        self.go(ctx, Cause::Held, &format!("ready to be confirmed; held back by {order}"));
        self.found(ctx, search::A_RELEASE);
        self.show(ctx, |status| {
            status.waits_for = Some("an operator's release".to_owned());
            status.until = Some(rfc3339(confirm_by));
        });
        let race = self.scope.child_token();
        let left = confirm_by.duration_since(now(ctx)).unwrap_or_default();
        let mut timer = ctx.timer(
            TimerOptions::builder(left.max(std::time::Duration::from_secs(1)))
                .summary(format!("wait for the release, at most until {}", rfc3339(confirm_by)))
                .cancellation_token(race.clone())
                .build(),
        );
        let mut released = Box::pin(ctx.wait_condition_with_options(
            |wf| wf.standing.hold.is_none() || wf.standing.closed.is_some(),
            WaitConditionOptions::builder().cancellation_token(race.clone()).build(),
        ));
        select! {
            _ = released => {}
            _ = timer => {}
        }
        drop(released);
        race.cancel();
        self.show(ctx, |status| {
            status.waits_for = None;
            status.until = None;
        });
        self.unless_closed(ctx)?;
        if ctx.state(|wf| wf.standing.hold.is_some()) {
            return Ok(Some(self.time_up(ctx, view).await?));
        }
        self.go(ctx, Cause::Released, "released; reading it again");
        self.found(ctx, search::NOBODY);
        Ok(Some(self.read(ctx, &view.payout, Because::Check).await?))
    }

    /// Makes it searchable whom the payout waits for.
    pub(crate) fn waits_for(&self, ctx: &Ctx, whom: &str) {
        let before = ctx.search_attributes().get(&search::WAITS_FOR);
        if before.as_deref().unwrap_or(search::NOBODY) != whom {
            self.found(ctx, whom);
        }
    }

    fn at(&self, ctx: &Ctx) -> Stage {
        ctx.state(|wf| wf.input.as_ref().map_or(Stage::Requested, |status| status.stage))
    }

    pub(crate) fn is_over(&self, ctx: &Ctx) -> Option<Answer> {
        let outcome = ctx.state(|wf| wf.input.as_ref().ok().and_then(|status| status.outcome.clone()))?;
        let ended = outcome.ending.stage();
        Some(self.refused(ctx, format!("it is over: {}, {}", ended.as_str(), outcome.reason)))
    }

    pub(crate) fn refused(&self, ctx: &Ctx, says: impl Into<String>) -> Answer {
        Answer { answer: Verdict::Refused, stage: self.at(ctx), says: says.into() }
    }
}

pub(crate) fn accepted(stage: Stage, says: impl Into<String>) -> Answer {
    Answer { answer: Verdict::Accepted, stage, says: says.into() }
}
