//! The people of a run: they approve, deny, call off, hold back, release, resolve and retry, as each payout's script says,
//! with signed statements where money goes on. Whatever they order is asked again until it has had its effect.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use futures::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use remit::dev::{APPROVER, Organisation, PAYER};
use remit_client::{Action, Order, PayoutClient, Release, Resolve, Retried, RunStatus, Verdict, Whereabouts};
use remit_dfns::{DecisionValue, Dfns, PayoutAction};
use remit_domain::{Stage, policy::ApprovalValue};
use reqwest::Method;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    people::{self, PEOPLE},
    script::{Payout, Plan, Script},
    watch::{Seen, Seens, State},
};

const ASK_AGAIN: Duration = Duration::from_millis(1_500);
/// Longer than an order takes that is answered.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);
/// How often a person decides the same before something else is tried.
const IN_VAIN: usize = 4;
/// How long a payout may stand still, once nothing goes wrong any more, before somebody looks at it.
const STANDS_STILL: Duration = Duration::from_secs(20);

/// What people need.
#[derive(Clone)]
pub(crate) struct People {
    pub(crate) client: PayoutClient,
    pub(crate) organisation: Organisation,
    approver: Dfns,
    payer: Dfns,
    news: watch::Receiver<Seens>,
    seed: u64,
    /// Payouts that asked for a person although their script does not foresee it, with what they said.
    doubts: Arc<Mutex<BTreeSet<(String, String)>>>,
}

impl People {
    pub(crate) fn new(
        client: PayoutClient,
        organisation: Organisation,
        news: watch::Receiver<Seens>,
        seed: u64,
    ) -> Result<Self> {
        let (approver, payer) = (organisation.dfns(APPROVER)?, organisation.dfns(PAYER)?);
        Ok(Self { client, organisation, approver, payer, news, seed, doubts: Arc::default() })
    }

    /// Does what the scripts say, for ever.
    pub(crate) async fn work(&self, plan: &Plan) {
        let mut all: FuturesUnordered<_> = plan.payouts.iter().map(|payout| self.one(payout)).collect();
        while all.next().await.is_some() {}
        std::future::pending().await
    }

    /// Payouts that asked for a person unforeseen, and what they said.
    pub(crate) fn doubts(&self) -> Vec<(String, String)> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    async fn one(&self, payout: &Payout) {
        // An order that fails for good has no effect, which the audit sees.
        let number = payout.key.bytes().fold(self.seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let mut hand = Hand { people: self.clone(), key: payout.key.clone(), dice: StdRng::seed_from_u64(number) };
        hand.does(payout.script).await;
    }

    /// Whether the run of a payout has not ended.
    pub(crate) async fn goes_on(&self, key: &str) -> bool {
        let described = timeout(ANSWER_WITHIN, self.client.describe(key)).await;
        matches!(&described, Ok(Ok(described)) if described.run.status == RunStatus::Running)
    }

    /// Makes a run look that goes on although it is over on record: an order whose call was lost with the server, after the
    /// records had it, leaves it waiting. Any order does.
    pub(crate) async fn wake(&self, key: &str) {
        let _ = timeout(ANSWER_WITHIN, self.client.cancel(key, &order("is over on record"))).await;
    }

    /// Looks at what stands still, and lets it be checked again where it waits for a person.
    pub(crate) async fn night_shift(&self, plan: &Plan) {
        let mut since = std::collections::BTreeMap::new();
        loop {
            sleep(Duration::from_secs(4)).await;
            let seens = self.news.borrow().clone();
            for (key, seen) in &seens {
                let entry = since.entry(key.clone()).or_insert((seen.state, tokio::time::Instant::now()));
                if entry.0 != seen.state {
                    *entry = (seen.state, tokio::time::Instant::now());
                }
                if seen.state == State::Over || entry.1.elapsed() < STANDS_STILL {
                    continue;
                }
                entry.1 = tokio::time::Instant::now();
                let Ok(Ok(status)) = timeout(ANSWER_WITHIN, self.client.status(key)).await else { continue };
                if status.stage != Stage::NeedsPerson || status.outcome.is_some() {
                    continue;
                }
                let base = key.split("-retry-").next().unwrap_or_default();
                let script = plan.payouts.iter().find(|it| it.key == base).map(|it| it.script);
                let foreseen = [Script::AddressChangesGoOn, Script::AddressChangesGivenUp, Script::KeyTaken];
                if !script.is_some_and(|script| foreseen.contains(&script)) {
                    let mut doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
                    doubts.insert((key.clone(), status.says.clone()));
                }
                let mut hand = Hand { people: self.clone(), key: key.clone(), dice: StdRng::seed_from_u64(self.seed) };
                let _ = hand.resolve(Action::GoOn).await;
            }
        }
    }
}

/// Somebody who sees to one payout.
struct Hand {
    people: People,
    key: String,
    dice: StdRng,
}

fn order(why: &str) -> Order {
    Order { by: PEOPLE[0].to_owned(), why: why.to_owned() }
}

/// Signed orders count for minutes.
fn soon() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + 600).unwrap_or(Timestamp::MAX)
}

impl Hand {
    async fn does(&mut self, script: Script) {
        match script {
            Script::Pays
            | Script::UnderReview
            | Script::NoOffers
            | Script::BankRefuses
            | Script::FailsEarly
            | Script::FailsOnChain
            | Script::Unanswered
            | Script::Forbidden
            | Script::ForbiddenLater
            | Script::Capped
            | Script::ProviderBlocks => {}
            Script::CalledOff => self.call_off_waiting(2_500).await,
            Script::CalledOffAtConfirm => self.call_off_at_confirm().await,
            Script::HeldReleased => {
                self.hold().await;
                self.push().await;
                self.until_over_or(State::Settling, async |hand| hand.release().await).await;
            }
            Script::HeldCalledOff => {
                self.hold().await;
                self.push().await;
                self.call_off_waiting(1_500).await;
            }
            Script::Approved => self.answer(ApprovalValue::Approve).await,
            Script::Denied => self.answer(ApprovalValue::Deny).await,
            Script::ProviderApproves => self.decide_there(DecisionValue::Approved).await,
            Script::ProviderDenies => self.decide_there(DecisionValue::Denied).await,
            Script::AddressChangesGoOn | Script::KeyTaken => self.person(Action::GoOn).await,
            Script::AddressChangesGivenUp => self.person(Action::GiveUp(Whereabouts::NotSent)).await,
            Script::SecondAttempt => {
                self.call_off_waiting(1_500).await;
                self.retry().await;
                self.key = format!("{}-retry-1", self.key);
                self.push().await;
            }
            Script::SecondAttemptFails => {
                self.until(|seen| seen.state == State::Over).await;
                self.retry().await;
            }
        }
    }

    /// Waits until it is so.
    async fn until(&mut self, is_so: impl Fn(&Seen) -> bool) {
        let key = self.key.clone();
        // The news end with the run.
        let _ = self.people.news.wait_for(|seens| seens.get(&key).is_some_and(&is_so)).await;
    }

    fn state(&self) -> Option<State> {
        self.people.news.borrow().get(&self.key).map(|seen| seen.state)
    }

    async fn pause(&mut self, up_to_ms: u64) {
        let ms = self.dice.random_range(0..=up_to_ms);
        sleep(Duration::from_millis(ms)).await;
    }

    /// Does it again until the payout is there, or further.
    async fn until_over_or(&mut self, state: State, mut act: impl AsyncFnMut(&mut Self) -> Result<()>) {
        while self.state().is_none_or(|at| at < state) {
            let _ = timeout(ANSWER_WITHIN, act(self)).await;
            sleep(ASK_AGAIN).await;
        }
    }

    async fn call_off_waiting(&mut self, after_ms: u64) {
        self.until(|seen| seen.state >= State::AwaitingInstructions).await;
        self.pause(after_ms).await;
        self.until_over_or(State::OverThere, async |hand| {
            hand.people.client.cancel(&hand.key, &order("not wanted any more")).await?;
            Ok(())
        })
        .await;
    }

    /// Between its create and its Confirm there are some hundred milliseconds: asked a few times around them.
    async fn call_off_at_confirm(&mut self) {
        self.until(|seen| seen.state >= State::CreateUnderWay).await;
        self.pause(2_500).await;
        for _ in 0..3 {
            if self.state() >= Some(State::OverThere) {
                return;
            }
            let wish = order("not wanted any more");
            let _ = timeout(ANSWER_WITHIN, self.people.client.cancel(&self.key, &wish)).await;
            self.pause(1_200).await;
        }
    }

    async fn hold(&mut self) {
        self.until(|seen| seen.state >= State::AwaitingInstructions).await;
        loop {
            let asked = timeout(ANSWER_WITHIN, self.people.client.hold(&self.key, &order("to be looked at"))).await;
            if matches!(&asked, Ok(Ok(answer)) if answer.answer == Verdict::Accepted)
                || self.state() == Some(State::Over)
            {
                return;
            }
            sleep(ASK_AGAIN).await;
        }
    }

    async fn release(&mut self) -> Result<()> {
        self.pause(1_000).await;
        let (order, by) = (order("cleared"), people::signer(PEOPLE[0])?);
        let namespace = self.people.client.namespace();
        let signed = Some(by.order(namespace, &self.key, "release", "", &order, soon()));
        self.people.client.release(&self.key, &Release { order, signed }).await?;
        Ok(())
    }

    /// Makes the provider send its instructions now.
    async fn push(&mut self) {
        self.until(|seen| seen.state >= State::AwaitingInstructions && seen.payout.is_some()).await;
        let id = self.people.news.borrow().get(&self.key).and_then(|seen| seen.payout.clone()).unwrap_or_default();
        let path = format!("/ledger?externalId={}", self.key);
        loop {
            let ledger = self.people.organisation.control(Method::GET, &path, None).await.unwrap_or_default();
            match ledger["payouts"][0]["executionStatus"].as_str() {
                Some("Initializing" | "AwaitingPayoutInstructions") => {
                    let next = format!("/payouts/{id}/next");
                    let _ = self.people.organisation.control(Method::POST, &next, Some(&json!({}))).await;
                }
                Some(_) => return,
                None => {}
            }
            sleep(Duration::from_millis(300)).await;
        }
    }

    async fn answer(&mut self, value: ApprovalValue) {
        self.until(|seen| seen.state == State::AwaitingOurApproval || seen.state == State::Over).await;
        self.pause(4_000).await;
        let by = PEOPLE[self.dice.random_range(0..PEOPLE.len())];
        // A policy that was published meanwhile asks anew. And a call without an answer is made again even when the records
        // show its effect: the run may have lost it with the server.
        let mut answered = false;
        while !answered || self.state().is_some_and(|at| at < State::ConfirmUnderWay) {
            answered |= matches!(timeout(ANSWER_WITHIN, self.approve(by, value)).await, Ok(Ok(true)));
            sleep(ASK_AGAIN).await;
        }
    }

    /// True when the payout has taken it, or waits for it no more.
    async fn approve(&mut self, by: &str, value: ApprovalValue) -> Result<bool> {
        let status = self.people.client.status(&self.key).await?;
        if status.stage != Stage::AwaitingApproval {
            return Ok(status.stage != Stage::Requested);
        }
        let namespace = self.people.client.namespace();
        let signed = people::signer(by)?.approval(namespace, &status, "treasury", value, "looked at it", soon());
        let answer = self.people.client.approve(&self.key, &signed.context("nobody asks")?).await?;
        Ok(answer.answer == Verdict::Accepted)
    }

    async fn decide_there(&mut self, value: DecisionValue) {
        self.until(|seen| seen.approval.as_ref().is_some_and(|id| !id.is_empty()) || seen.state == State::Over).await;
        self.pause(12_000).await;
        while let Some(id) = self.approval_there() {
            let _ = timeout(ANSWER_WITHIN, self.people.approver.decide_approval(&id, value.clone(), None)).await;
            sleep(ASK_AGAIN).await;
        }
    }

    /// The approval at the provider that its transfer waits for. The news are not held on to: others wait to write them.
    fn approval_there(&self) -> Option<String> {
        let approval = self.people.news.borrow().get(&self.key).and_then(|seen| seen.approval.clone());
        approval.filter(|id| !id.is_empty())
    }

    /// Waits until a person is asked for, and decides so. A gate that was taken for an address that is no more lets nothing
    /// through and cannot be given up as not sent: then it is called off at the provider.
    async fn person(&mut self, action: Action) {
        self.until(|seen| seen.state >= State::CreateUnderWay).await;
        let mut asked = 0;
        while self.state().is_none_or(|at| at < State::PolicyHold) {
            sleep(ASK_AGAIN * 2).await;
            let Ok(Ok(status)) = timeout(ANSWER_WITHIN, self.people.client.status(&self.key)).await else { continue };
            if status.stage != Stage::NeedsPerson || status.outcome.is_some() {
                continue;
            }
            asked += 1;
            if asked > IN_VAIN && self.state() == Some(State::ConfirmUnderWay) {
                let payout = self.people.news.borrow().get(&self.key).and_then(|seen| seen.payout.clone());
                let payout = payout.unwrap_or_default();
                let _ = timeout(ANSWER_WITHIN, self.people.payer.payout_action(&payout, &PayoutAction::Cancel)).await;
            }
            let action = if asked > IN_VAIN { Action::GoOn } else { action };
            let _ = timeout(ANSWER_WITHIN, self.resolve(action)).await;
        }
    }

    async fn resolve(&mut self, action: Action) -> Result<()> {
        let (order, by) = (order("looked at it"), people::signer(PEOPLE[0])?);
        let namespace = self.people.client.namespace();
        let signed = Some(by.order(namespace, &self.key, "resolve", action.words(), &order, soon()));
        self.people.client.resolve(&self.key, &Resolve { order, action, signed }).await?;
        Ok(())
    }

    /// Asks until the next attempt runs: it may be open on record and not started, when the server died in between.
    async fn retry(&mut self) {
        self.until(|seen| seen.state == State::Over).await;
        loop {
            let asked = timeout(Duration::from_secs(120), self.try_again()).await;
            if matches!(asked, Ok(Ok(Retried::Started(_) | Retried::UnderWay(_)))) {
                return;
            }
            sleep(ASK_AGAIN).await;
        }
    }

    async fn try_again(&mut self) -> Result<Retried> {
        let (order, by) = (order("the account is open again"), people::signer(PEOPLE[0])?);
        let signed = by.order(self.people.client.namespace(), &self.key, "retry", "", &order, soon());
        Ok(self.people.client.retry(&self.key, &order, Some(signed)).await?)
    }
}
