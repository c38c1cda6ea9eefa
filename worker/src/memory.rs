//! The bound on a worker's memory. Temporal's SDK 1.1 keeps a little of every activity for as long as its worker lives
//! (the handle by which it could be cancelled), so a worker that lives long enough grows without end. Above the bound it
//! drains, as when it is stopped, and whoever started it lets it begin anew.

use std::{num::NonZero, time::Duration};

use tokio_util::sync::CancellationToken;

/// Short beside the time in which memory grows.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);
const KIB_PER_MIB: usize = 1024;

/// Cancels `drain` once this process holds more than so many MiB. Does nothing without a bound, and where the operating
/// system does not say what a process holds.
pub(crate) async fn keep_below(mib: Option<NonZero<usize>>, every: Duration, drain: CancellationToken) {
    let Some(mib) = mib else { return std::future::pending().await };
    loop {
        // At first too: one that never gets below the bound still works between two beginnings.
        tokio::time::sleep(every).await;
        let Some(held) = resident_mib().await else { return std::future::pending().await };
        if held > mib.get() {
            tracing::warn!(
                held,
                bound = mib.get(),
                "The worker holds more MiB than it may: it drains, and begins anew"
            );
            drain.cancel();
            return;
        }
    }
}

/// What this process has in memory now.
async fn resident_mib() -> Option<usize> {
    let status = tokio::fs::read_to_string("/proc/self/status").await.ok()?;
    Some(resident_kib(&status)? / KIB_PER_MIB)
}

fn resident_kib(status: &str) -> Option<usize> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    value.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_linux_writes_it() {
        assert_eq!(resident_kib("Name:\tremit\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n"), Some(102_400));
        assert_eq!(resident_kib("Name:\tremit\n"), None);
    }

    #[tokio::test]
    async fn what_holds_more_than_it_may_drains() {
        let drain = CancellationToken::new();
        keep_below(NonZero::new(1), Duration::ZERO, drain.clone()).await;
        assert!(drain.is_cancelled());
    }

    #[tokio::test]
    async fn what_has_no_bound_or_room_goes_on() {
        for bound in [None, NonZero::new(usize::MAX)] {
            let drain = CancellationToken::new();
            let kept = keep_below(bound, Duration::ZERO, drain.clone());
            assert!(tokio::time::timeout(Duration::from_millis(50), kept).await.is_err(), "{bound:?}");
            assert!(!drain.is_cancelled());
        }
    }
}
