//! Starts the payouts, a bounded number of them open at a time, and follows each to its end.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use futures::StreamExt;
use remit_client::{PayoutClient, ReadError, StartError};
use remit_domain::Stage;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::load::Payout;

/// How often a payout that is waited for is looked at, and how often it is told how far all are.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const TELL_EVERY: Duration = Duration::from_secs(5);
const TRY_AGAIN: Duration = Duration::from_millis(300);

/// Brings all payouts to their ends, or gives up at the deadline.
pub(super) async fn all(
    client: &PayoutClient,
    payouts: &[Payout],
    in_flight: usize,
    deadline: Instant,
    progress: fn(&str),
) {
    let (begun, ended) = (Instant::now(), Cell::new(0_usize));
    let open = Cell::new(0_usize);
    let followed = futures::stream::iter(payouts).map(async |payout| {
        open.set(open.get() + 1);
        one(client, payout, deadline).await;
        open.set(open.get() - 1);
        ended.set(ended.get() + 1);
    });
    let work = followed.buffer_unordered(in_flight).collect::<()>();
    let tell = async {
        loop {
            sleep(TELL_EVERY).await;
            let (seconds, all) = (begun.elapsed().as_secs(), payouts.len());
            progress(&format!("{} of {all} ended, {} open, {seconds} s", ended.get(), open.get()));
        }
    };
    tokio::select! {
        () = work => {}
        () = tell => {}
    }
}

/// Follows one to where it stays. What became of it is read from the books.
async fn one(client: &PayoutClient, payout: &Payout, deadline: Instant) {
    let key = &payout.asked.key;
    loop {
        match start(client, &payout.request).await {
            Ok(()) => break,
            Err(Answer::Final) => return,
            Err(Answer::None) if Instant::now() >= deadline => return,
            Err(Answer::None) => sleep(TRY_AGAIN).await,
        }
    }
    while Instant::now() < deadline {
        match timeout(LOOK_EVERY, client.wait(key)).await {
            Ok(Err(ReadError::Unavailable(_))) => sleep(TRY_AGAIN).await,
            Ok(_) => return,
            // A run that waits for a person goes on until one comes.
            Err(_) => match client.status(key).await {
                Ok(status) if status.stage == Stage::NeedsPerson && status.outcome.is_none() => return,
                // Its worker may have been killed just now.
                Ok(_) | Err(_) => {}
            },
        }
    }
}

/// Why a start did not start anything.
enum Answer {
    /// It never will.
    Final,
    /// Nobody said: the same start may be made again.
    None,
}

async fn start(client: &PayoutClient, request: &Value) -> Result<(), Answer> {
    match client.start_json(request).await {
        Ok(_) => Ok(()),
        Err(StartError::Unavailable(_)) => Err(Answer::None),
        Err(_) => Err(Answer::Final),
    }
}
