//! How a payout's run comes to its end when the ordinary course does not bring it there: wound down after its gate was
//! closed, or decided by a person. And the writing down of every end.

use remit_domain::{Cause, Ending, Money, Outcome, PayoutView, Progress, Until, ending_of};
use temporalio_workflow::{TimerOptions, WaitConditionOptions, select};

use crate::{
    contract::{Because, CancelPayout, CloseGate, Closing, GateClosing, PayoutActivities, ReadPayout, RecordOutcome},
    job::{Ctx, Job, Stop, Waited, cause, now, overdue},
    options::{self, Urgency},
    orders::{Decision, Order, Whereabouts},
    payout::Known,
    search,
    signals::About,
    status::rfc3339,
};

use std::time::Duration;

/// How long the provider is asked to cancel a payout whose gate is closed. It could not be confirmed anyway.
const CANCEL_WITHIN: Duration = Duration::from_secs(600);
/// How long the provider's own expiry is watched for after the gate was closed at the deadline.
const WATCH_EXPIRY: Duration = Duration::from_secs(3600);

impl Job {
    /// The time to confirm is over: closes the gate. Gives the reading back when Confirm was under way after all.
    pub(crate) async fn time_up(&self, ctx: &Ctx, view: &PayoutView) -> Result<PayoutView, Stop> {
        self.note(ctx, "the time to confirm is over");
        match self.close_gate(ctx, Closing::TimeUp).await? {
            GateClosing::Closed { closing } => Err(Stop::Closed(closing)),
            GateClosing::Confirming => {
                self.note(ctx, "Confirm had been sent before");
                ctx.state_mut(|wf| wf.standing.confirming = true);
                Ok(view.clone())
            }
        }
    }

    /// Closes the gate, and remembers by whom it is closed.
    pub(crate) async fn close_gate(&self, ctx: &Ctx, closing: Closing) -> Result<GateClosing, Stop> {
        let input = CloseGate { key: self.request.key(), closing };
        let summary = "close the gate: nothing may be confirmed any more";
        let answer = self.on_record(ctx, || PayoutActivities::close_gate, summary, input).await?;
        if let GateClosing::Closed { closing } = &answer {
            ctx.state_mut(|wf| wf.standing.closed.get_or_insert(closing.clone()).clone());
        }
        Ok(answer)
    }

    /// The gate is closed, by whomever: nothing was confirmed and nothing will be. Sees to it that the provider comes to
    /// the same end where that can be had, and ends the payout.
    pub(crate) async fn wind_down(&self, ctx: &Ctx, known: &mut Known, closing: &Closing) -> Result<Outcome, Stop> {
        self.note(ctx, closing.to_string());
        self.says(ctx, "nothing can be confirmed any more; ending it at the provider");
        let seen = match &known.payout {
            None => None,
            Some(payout) => match closing {
                Closing::TimeUp | Closing::Other { .. } => self.watch_expiry(ctx, payout).await?,
                Closing::Canceled { .. }
                | Closing::GivenUp { .. }
                | Closing::GuardBroken { .. }
                | Closing::Blocked { .. }
                | Closing::Denied { .. }
                | Closing::NotApproved { .. } => self.cancel_at_provider(ctx, payout).await,
            },
        };
        if let Some(view) = &seen {
            self.seen(ctx, view);
            if moves(&view.progress) {
                return Err(overdue(format!(
                    "{closing}; yet at the provider it is {}, which only a Confirm by somebody else can explain",
                    view.progress.describe()
                )));
            }
        }
        let (ending, decided) = match closing {
            Closing::Canceled { order } | Closing::GivenUp { order } => (Ending::Canceled, Some(order.clone())),
            Closing::GuardBroken { .. } => (Ending::Canceled, None),
            Closing::Blocked { .. } => (Ending::Blocked, None),
            Closing::Denied { order } => (Ending::Denied, Some(order.clone())),
            Closing::NotApproved { .. } => (Ending::Denied, None),
            Closing::TimeUp | Closing::Other { .. } => (Ending::Expired, None),
        };
        // Where the provider has an end of its own, its reason is the better one.
        let said = seen.as_ref().and_then(ending_of).filter(|_| matches!(closing, Closing::TimeUp));
        let outcome = match said {
            Some((ending, money, reason)) => self.outcome(ctx, ending, money, reason),
            None => self.outcome(ctx, ending, Money::Untouched, closing.to_string()),
        };
        Ok(Outcome { decided, ..outcome })
    }

    /// Best effort: a payout that the provider does not let us cancel expires there by itself.
    async fn cancel_at_provider(&self, ctx: &Ctx, payout: &str) -> Option<PayoutView> {
        let input = CancelPayout { key: self.request.key(), payout: payout.to_owned() };
        let options = options::provider("cancel it at the provider", Urgency::Confirm, CANCEL_WITHIN, &self.scope);
        match ctx.execute_activity(PayoutActivities::cancel_payout, input, options).await {
            Ok(cancellation) => {
                if let Some(refused) = cancellation.refused {
                    self.note(ctx, format!("not cancelled at the provider, where it will expire: {refused}"));
                }
                Some(cancellation.view)
            }
            Err(error) => {
                self.note(ctx, format!("not cancelled at the provider, where it will expire: {}", cause(&error)));
                None
            }
        }
    }

    /// The provider expires it at about the same time: its own word is waited for, for a while.
    async fn watch_expiry(&self, ctx: &Ctx, payout: &str) -> Result<Option<PayoutView>, Stop> {
        // The closed gate is what got us here; it does not end this wait.
        let closing = ctx.state_mut(|wf| wf.standing.closed.take());
        let limit = now(ctx) + WATCH_EXPIRY;
        let what = "the provider to expire it";
        let waited = self.wait(ctx, payout, Until::Certain, About::Instructions, what, limit).await;
        ctx.state_mut(|wf| wf.standing.closed = closing);
        Ok(match waited? {
            Waited::For(view) => Some(view),
            Waited::TimeUp => None,
        })
    }

    /// Waits for a person to decide. `None`: it shall be checked again. Nothing is confirmed meanwhile; when the time to
    /// confirm is over and nothing had been confirmed, the payout ends as expired without anybody.
    pub(crate) async fn park(
        &self,
        ctx: &Ctx,
        known: &Known,
        reason: String,
        money: Money,
        watch: bool,
    ) -> Option<Outcome> {
        self.go(ctx, Cause::InDoubt, &reason);
        self.note(ctx, format!("in doubt: {reason}"));
        self.found(ctx, search::A_PERSON);
        ctx.state_mut(|wf| {
            wf.standing.parked = true;
            wf.standing.decision = None;
        });
        if let (false, Some(span)) = (ctx.is_replaying_history_events(), self.span(ctx)) {
            span.in_scope(|| tracing::warn!("A person must look at the payout: {reason} (money: {money:?})"));
        }
        let ended = self.wait_for_a_person(ctx, known, watch).await;
        ctx.state_mut(|wf| wf.standing.parked = false);
        self.show(ctx, |status| {
            status.attention = None;
            status.waits_for = None;
            status.until = None;
        });
        if ended.is_none() {
            self.go(ctx, Cause::CheckedAgain, "being checked again");
            self.found(ctx, search::NOBODY);
        }
        ended
    }

    async fn wait_for_a_person(&self, ctx: &Ctx, known: &Known, watch: bool) -> Option<Outcome> {
        let mut watched = known.payout.as_ref().filter(|_| watch);
        loop {
            let by =
                known.confirm_by.filter(|_| ctx.state(|wf| !wf.standing.confirming && wf.standing.closed.is_none()));
            self.show(ctx, |status| {
                status.attention = Some("a person must look".to_owned());
                status.waits_for = Some("a person's decision".to_owned());
                status.until = by.map(rfc3339);
            });
            let race = self.scope.child_token();
            let never = Duration::from_secs(365 * 24 * 3600);
            let left = by.map_or(never, |by| by.duration_since(now(ctx)).unwrap_or_default());
            let mut timer = ctx.timer(
                TimerOptions::builder(left.max(Duration::from_secs(1)))
                    .summary("wait for a person's decision".to_owned())
                    .cancellation_token(race.clone())
                    .build(),
            );
            let mut ordered = Box::pin(ctx.wait_condition_with_options(
                |wf| wf.standing.decision.is_some() || wf.standing.closed.is_some(),
                WaitConditionOptions::builder().cancellation_token(race.clone()).build(),
            ));
            let woken = match watched {
                None => select! {
                    _ = ordered => Woken::Order,
                    _ = timer => Woken::Time,
                },
                Some(payout) => {
                    let input = ReadPayout {
                        key: self.request.key(),
                        payout: payout.clone(),
                        until: Until::Certain,
                        because: Because::Poll,
                    };
                    let options = options::poll("look now and then: whether it came to an end by itself", &race);
                    let mut poll = ctx.execute_activity(PayoutActivities::read_payout, input, options);
                    select! {
                        _ = ordered => Woken::Order,
                        read = poll => Woken::Provider(read.ok()),
                        _ = timer => Woken::Time,
                    }
                }
            };
            drop(ordered);
            race.cancel();
            match woken {
                Woken::Order => {
                    let (decision, closed) =
                        ctx.state_mut(|wf| (wf.standing.decision.take(), wf.standing.closed.clone()));
                    match decision {
                        Some(Decision::GoOn(order)) => {
                            self.note(ctx, format!("to be checked again, says {order}"));
                            return None;
                        }
                        Some(Decision::GiveUp(order, money)) => return Some(self.given_up(ctx, order, money)),
                        // Called off: the ordinary course winds it down.
                        None if closed.is_some() => return None,
                        None => {}
                    }
                }
                Woken::Provider(Some(view)) => {
                    self.seen(ctx, &view);
                    if self.check_echo(&view).is_ok()
                        && let Some((ending, money, reason)) = ending_of(&view)
                    {
                        return Some(self.outcome(ctx, ending, money, reason));
                    }
                    watched = None;
                }
                Woken::Provider(None) => watched = None,
                Woken::Time if by.is_some() => {
                    self.note(ctx, "the time to confirm is over, and nobody has decided");
                    match self.close_gate(ctx, Closing::TimeUp).await {
                        Ok(GateClosing::Closed { .. }) => return None,
                        Ok(GateClosing::Confirming) | Err(_) => ctx.state_mut(|wf| wf.standing.confirming = true),
                    }
                }
                Woken::Time => {}
            }
        }
    }

    fn given_up(&self, ctx: &Ctx, order: Order, money: Whereabouts) -> Outcome {
        let (ending, says) = match money {
            Whereabouts::NotSent => (Ending::Canceled, "given up; nothing was sent"),
            Whereabouts::Returned => (Ending::Failed, "given up; the money came back"),
            Whereabouts::Paid => (Ending::Completed, "the beneficiary has the money, as a person has found"),
            Whereabouts::WrittenOff => (Ending::Failed, "given up; the money is written off"),
        };
        let outcome = self.outcome(ctx, ending, money.money(), format!("{says} ({order})"));
        Outcome { decided: Some(order), ..outcome }
    }

    pub(crate) fn outcome(&self, ctx: &Ctx, ending: Ending, money: Money, reason: String) -> Outcome {
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
            decided: None,
        }
    }

    /// Writes the outcome down and shows it. The first one written stands.
    pub(crate) async fn conclude(&self, ctx: &Ctx, outcome: Outcome) -> Outcome {
        let input = RecordOutcome { outcome: outcome.clone() };
        let written = self.on_record(ctx, || PayoutActivities::record_outcome, "write the outcome down", input).await;
        let outcome = written.unwrap_or(outcome);
        self.go(ctx, Cause::Ended(outcome.ending), &outcome.reason);
        self.note(ctx, format!("{}: {}", outcome.ending.stage().as_str(), outcome.reason));
        self.show(ctx, |status| {
            status.waits_for = None;
            status.until = None;
            status.hold = None;
            status.outcome = Some(outcome.clone());
        });
        self.found(ctx, search::NOBODY);
        outcome
    }

    /// Makes it searchable where the payout is and whom it waits for; writes only what is news.
    pub(crate) fn found(&self, ctx: &Ctx, whom: &str) {
        let stage = ctx.state(|wf| wf.input.as_ref().map(|status| status.stage).ok());
        let (before, waits) = {
            let attributes = ctx.search_attributes();
            (attributes.get(&search::STAGE), attributes.get(&search::WAITS_FOR))
        };
        let mut news = Vec::new();
        if let Some(stage) = stage.filter(|stage| before.as_deref() != Some(stage.as_str())) {
            news.push(search::STAGE.value_set(stage.as_str().to_owned()));
        }
        if waits.as_deref().unwrap_or(search::NOBODY) != whom {
            news.push(search::WAITS_FOR.value_set(whom.to_owned()));
        }
        if !news.is_empty() {
            ctx.upsert_search_attributes(news);
        }
    }
}

enum Woken {
    Order,
    Provider(Option<PayoutView>),
    Time,
}

/// Whether the provider acts as if the payout had been confirmed.
fn moves(progress: &Progress) -> bool {
    match progress {
        Progress::Submitting | Progress::Held | Progress::Depositing | Progress::Disbursing | Progress::Completed => {
            true
        }
        Progress::Preparing
        | Progress::AwaitingConfirmation
        | Progress::Failed
        | Progress::Rejected
        | Progress::Expired
        | Progress::Canceled
        | Progress::Unrecognised { .. } => false,
    }
}
