//! What goes wrong in the house: processes are killed, stand still, the records are locked, their disk is full. All from
//! the seed: which, when, how. Half of the kills of workers go to one that is in the middle of a create or a Confirm,
//! where there is one.

use std::{
    path::Path,
    sync::{Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use anyhow::Result;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, Executor};
use temporalio_client::{Client, UntypedWorkflow};
use tokio::time::{sleep, timeout};

use crate::{
    coverage::Coverage,
    script::Plan,
    starter::now_ms,
    system::{Role, System, Unit},
    watch::{Seens, State, Watcher, reader},
};

/// One line of what was done to the house.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blow {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Such as `kill worker`.
    pub what: String,
    /// Which process, and whose payout it was in the middle of.
    pub whom: String,
    /// How many payouts were open.
    pub open: usize,
}

/// Of three hundred kills, so many workers, relays and servers.
const SHARES: [(Role, usize); 3] = [(Role::Worker, 150), (Role::Relay, 100), (Role::Server, 50)];
const OF: usize = 300;
/// Beside the kills, in percent of them: processes that stand still, locks on the records, full disks under them, kills of
/// starters.
const STALLS: usize = 20;
const LOCKS: usize = 8;
const FILLS: usize = 6;
const STARTERS: usize = 6;

/// How often a kill looks for a worker that is in the middle of something.
const AIMS: usize = 8;

/// Tells what was done.
pub(crate) struct Torment<'a> {
    pub(crate) system: &'a System,
    pub(crate) watcher: &'a Watcher,
    pub(crate) coverage: &'a Coverage,
    pub(crate) temporal: Client,
    pub(crate) blows: Mutex<Vec<Blow>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Kill(Role),
    Stall(Role),
    Lock,
    Fill,
}

/// What is done, in order. The shares hold to the one, whatever the seed.
fn acts(kills: usize, dice: &mut StdRng) -> Vec<Act> {
    let [workers, relays, servers] = shares(kills);
    let mut all = vec![];
    for (role, count) in [(Role::Worker, workers), (Role::Relay, relays), (Role::Server, servers)] {
        all.extend(std::iter::repeat_n(Act::Kill(role), count));
    }
    all.extend(std::iter::repeat_n(Act::Kill(Role::Starter), (kills * STARTERS / 100).max(1)));
    for at in 0..(kills * STALLS / 100).max(3) {
        all.push(Act::Stall([Role::Worker, Role::Relay, Role::Server][at % 3]));
    }
    all.extend(std::iter::repeat_n(Act::Lock, (kills * LOCKS / 100).max(2)));
    all.extend(std::iter::repeat_n(Act::Fill, (kills * FILLS / 100).max(2)));
    all.shuffle(dice);
    all
}

fn shares(kills: usize) -> [usize; 3] {
    let [_, (_, relay), (_, server)] = SHARES;
    let (relays, servers) = (kills * relay / OF, kills * server / OF);
    [kills - relays - servers, relays, servers]
}

impl Torment<'_> {
    /// All of it, over the time of the plan.
    pub(crate) async fn run(&self, plan: &Plan) {
        let mut dice = StdRng::seed_from_u64(plan.seed.wrapping_mul(0x9e37_79b9));
        let acts = acts(plan.kills, &mut dice);
        let every = plan.lasts_ms / acts.len().max(1) as u64;
        let begun = tokio::time::Instant::now();
        for (number, act) in acts.into_iter().enumerate() {
            let at = every * number as u64 + dice.random_range(0..=every);
            tokio::time::sleep_until(begun + Duration::from_millis(at)).await;
            match act {
                Act::Kill(role) => self.kill(role, &mut dice).await,
                Act::Stall(role) => self.stall(role, &mut dice).await,
                Act::Lock => self.lock(Duration::from_millis(dice.random_range(1_500..=6_000))).await,
                Act::Fill => self.fill(Duration::from_millis(dice.random_range(1_500..=6_000))).await,
            }
        }
    }

    fn note(&self, what: String, whom: String, seens: &Seens) {
        let open = seens.values().filter(|seen| seen.state != State::Over).count();
        self.coverage.blow(&what, seens);
        let mut blows = self.blows.lock().unwrap_or_else(PoisonError::into_inner);
        blows.push(Blow { at_ms: now_ms(), what, whom, open });
    }

    async fn kill(&self, role: Role, dice: &mut StdRng) {
        // Restarted a moment ago, it may not be there yet: a kill that counts hits something.
        for _ in 0..100 {
            let mut seens = self.watcher.look().await.unwrap_or_default();
            let mut aimed = None;
            // Half of them wait a little for one that is in the middle of something.
            for _ in 0..if role == Role::Worker && dice.random_range(0..2) == 0 { AIMS } else { 1 } {
                aimed = if role == Role::Worker { self.in_the_middle(&seens).await } else { None };
                if aimed.is_some() {
                    break;
                }
                sleep(Duration::from_millis(250)).await;
                seens = self.watcher.look().await.unwrap_or_default();
            }
            let pid = |unit: &Unit| unit.pid.load(Ordering::Relaxed);
            let alive: Vec<&Unit> = self.system.of(role).filter(|unit| pid(unit) != 0).collect();
            let chosen = aimed.as_ref().and_then(|(aim, _)| alive.iter().find(|unit| pid(unit) == *aim)).copied();
            let random = alive.get(dice.random_range(0..alive.len().max(1))).copied();
            let Some(unit) = chosen.or(random) else {
                if role == Role::Starter {
                    return;
                }
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let whom = match (&aimed, chosen) {
                (Some((_, what)), Some(_)) => format!("{}, {what}", unit.name),
                _random => unit.name.clone(),
            };
            if unit.kill().await {
                return self.note(format!("kill {}", role.as_str()), whom, &seens);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// The process of a worker that has a create or a Confirm under way, as Temporal says, and which.
    async fn in_the_middle(&self, seens: &Seens) -> Option<(u32, String)> {
        let wanted = [State::ConfirmUnderWay, State::CreateUnderWay];
        let mut found: Vec<_> = seens.iter().filter(|(_, seen)| wanted.contains(&seen.state)).collect();
        found.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.state));
        for (key, seen) in found.into_iter().take(3) {
            let handle = self.temporal.get_workflow_handle::<UntypedWorkflow>(format!("payout-{key}"));
            let described = timeout(Duration::from_secs(2), handle.describe(Default::default())).await;
            let Ok(Ok(described)) = described else { continue };
            for call in &described.raw().pending_activities {
                let name = call.activity_type.as_ref().map(|kind| kind.name.as_str()).unwrap_or_default();
                if !["confirm_payout", "create_payout"].contains(&name) {
                    continue;
                }
                // A worker names itself by its process: the first number that is one of ours.
                let numbers = call.last_worker_identity.split(|c: char| !c.is_ascii_digit());
                let pids: Vec<u32> = self
                    .system
                    .of(Role::Worker)
                    .map(|unit| unit.pid.load(Ordering::Relaxed))
                    .filter(|pid| *pid != 0)
                    .collect();
                if let Some(pid) = numbers.filter_map(|it| it.parse().ok()).find(|pid| pids.contains(pid)) {
                    return Some((pid, format!("{} of {key}", seen.state.as_str())));
                }
            }
        }
        None
    }

    async fn stall(&self, role: Role, dice: &mut StdRng) {
        let units: Vec<&Unit> = self.system.of(role).collect();
        if units.is_empty() {
            return;
        }
        let unit = units[dice.random_range(0..units.len())];
        let time = Duration::from_millis(dice.random_range(1_000..=6_000));
        let seens = self.watcher.look().await.unwrap_or_default();
        if unit.stall(time).await {
            self.note(format!("stall {}", role.as_str()), format!("{} for {time:?}", unit.name), &seens);
        }
    }

    /// Holds the records' only lock on writing for so long.
    async fn lock(&self, time: Duration) {
        let seens = self.watcher.look().await.unwrap_or_default();
        if lock(&self.system.records_file(), time).await.is_ok() {
            self.note("lock records".to_owned(), format!("for {time:?}"), &seens);
        }
    }

    /// Nothing more fits on the records' disk for so long. Not where that disk is somebody else's too; the report says so.
    async fn fill(&self, time: Duration) {
        if !self.system.disk.is_small() {
            return;
        }
        let seens = self.watcher.look().await.unwrap_or_default();
        if self.system.disk.fill(time).await.is_ok() {
            self.note("fill disk".to_owned(), format!("for {time:?}"), &seens);
        }
    }
}

async fn lock(file: &Path, time: Duration) -> Result<()> {
    let mut connection = reader(file).await?;
    connection.execute("BEGIN IMMEDIATE").await?;
    sleep(time).await;
    connection.execute("ROLLBACK").await?;
    Ok(connection.close().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_kills_hold_to_the_one() {
        assert_eq!(shares(300), [150, 100, 50]);
        for kills in 0..100 {
            assert_eq!(shares(kills).iter().sum::<usize>(), kills);
        }
        let acts = acts(300, &mut StdRng::seed_from_u64(7));
        let count = |act| acts.iter().filter(|it| **it == act).count();
        assert_eq!(count(Act::Kill(Role::Server)), 50);
        assert_eq!((count(Act::Kill(Role::Starter)), count(Act::Lock), count(Act::Fill)), (18, 24, 18));
    }
}
