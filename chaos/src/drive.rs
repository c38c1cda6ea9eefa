//! Starts the payouts, a bounded number of them open at a time, and follows each to its end.

use std::{
    cell::Cell,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::StreamExt;
use remit_client::{PayoutClient, ReadError, StartError};
use remit_domain::Stage;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::load::Payout;

/// How often a payout that is waited for is looked at, and how often it is told how far all are.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const TELL_EVERY: Duration = Duration::from_secs(5);
const TRY_AGAIN: Duration = Duration::from_millis(300);

/// How a payout was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Its run completed.
    Ended,
    /// It waits for a person, and says why.
    InDoubt(String),
    /// It was refused, or its run failed.
    Failed(String),
    /// The time was over, and this is what it said last.
    Open(String),
}

/// Brings all payouts to their ends, or gives up at the deadline.
pub(crate) async fn all(
    client: &PayoutClient,
    payouts: &[Payout],
    in_flight: usize,
    deadline: Instant,
    progress: fn(&str),
) -> BTreeMap<String, Left> {
    let (begun, ended) = (Instant::now(), Cell::new(0_usize));
    let open = Cell::new(0_usize);
    let followed = futures::stream::iter(payouts).map(async |payout| {
        open.set(open.get() + 1);
        let left = one(client, payout, deadline).await;
        open.set(open.get() - 1);
        ended.set(ended.get() + 1);
        (payout.asked.key.clone(), left)
    });
    let work = followed.buffer_unordered(in_flight).collect();
    let tell = async {
        loop {
            sleep(TELL_EVERY).await;
            let (seconds, all) = (begun.elapsed().as_secs(), payouts.len());
            progress(&format!("{} of {all} ended, {} open, {seconds} s", ended.get(), open.get()));
        }
    };
    tokio::select! {
        left = work => left,
        () = tell => BTreeMap::new(),
    }
}

async fn one(client: &PayoutClient, payout: &Payout, deadline: Instant) -> Left {
    let key = &payout.asked.key;
    let mut last = "not started".to_owned();
    loop {
        match start(client, &payout.request).await {
            Ok(()) => break,
            Err(Answer::Final(why)) => return Left::Failed(why),
            Err(Answer::None(why)) => last = why,
        }
        if Instant::now() >= deadline {
            return Left::Open(last);
        }
        sleep(TRY_AGAIN).await;
    }
    while Instant::now() < deadline {
        match timeout(LOOK_EVERY, client.wait(key)).await {
            Ok(Ok(_)) => return Left::Ended,
            Ok(Err(ReadError::Unavailable(error))) => {
                last = error.to_string();
                sleep(TRY_AGAIN).await;
            }
            Ok(Err(error)) => return Left::Failed(error.to_string()),
            // A run that waits for a person goes on until one comes.
            Err(_) => match client.status(key).await {
                Ok(status) if status.stage == Stage::NeedsPerson && status.outcome.is_none() => {
                    return Left::InDoubt(status.says);
                }
                Ok(status) => last = format!("{}: {}", status.stage.as_str(), status.says),
                // Its worker may have been killed just now.
                Err(error) => last = error.to_string(),
            },
        }
    }
    Left::Open(last)
}

/// Why a start did not start anything.
enum Answer {
    /// It never will.
    Final(String),
    /// Nobody said: the same start may be made again.
    None(String),
}

async fn start(client: &PayoutClient, request: &Value) -> Result<(), Answer> {
    match client.start_json(request).await {
        Ok(_) => Ok(()),
        Err(StartError::Unavailable(error)) => Err(Answer::None(error.to_string())),
        Err(error) => Err(Answer::Final(error.to_string())),
    }
}
