//! What the activities need to know: how to reach the provider, who we are there, how often to ask.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use remit_screening::Screener;
use remit_workflows::contract::Limits;

use crate::PolicySettings;

/// Settings of the activities. Printing them shows no secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How to reach Dfns and sign. Its request timeout has to leave room for four requests in one attempt of
    /// 45 seconds: 10 seconds or less.
    pub dfns: remit_dfns::Settings,
    /// Our user id at Dfns (`us-…`), the one that creates payouts. A payout that says it was created by anyone else
    /// is never confirmed.
    pub user_id: String,
    /// How often an open payout is read while no webhook comes.
    pub cadence: PollCadence,
    /// Limits of time that are ours to choose.
    pub time: TimeLimits,
    /// Whose word is taken for a policy.
    pub policy: PolicySettings,
    /// The lists that payouts are screened against.
    pub screener: Arc<Screener>,
    /// Whether a payout may say who is paid.
    pub names: Names,
}

/// Whether a payout may say who is paid: personal data, which Temporal keeps as it keeps everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Only where what Temporal keeps is encrypted, which it is not here: refused.
    #[default]
    OnlyEncrypted,
    /// It is encrypted here, or somebody has allowed it in clear.
    Allowed,
}

/// Limits of time that are ours to choose. A run keeps those it began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeLimits {
    /// Nothing is confirmed this close to the provider's limit. Default two minutes.
    pub confirm_margin: Duration,
    /// How long a bank payment may take before somebody had better know. Default five days.
    pub bank_expected: Duration,
    /// The same for single corridors, by country and currency: `("BR", "BRL")`.
    pub bank_expected_in: BTreeMap<(String, String), Duration>,
}

impl Default for TimeLimits {
    fn default() -> Self {
        let usual = Limits::default();
        let (confirm_margin, bank_expected) = (usual.confirm_margin(), usual.bank_expected());
        Self { confirm_margin, bank_expected, bank_expected_in: BTreeMap::new() }
    }
}

impl TimeLimits {
    /// Those of one corridor.
    pub(crate) fn of(&self, country: &str, currency: &str) -> Limits {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let expected = self.bank_expected_in.get(&(country.to_owned(), currency.to_owned()));
        Limits {
            confirm_margin_seconds: seconds(self.confirm_margin),
            bank_expected_seconds: seconds(*expected.unwrap_or(&self.bank_expected)),
        }
    }
}

/// How often an open payout is read while no webhook comes: after `first`, then each time half as long again, at most
/// `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollCadence {
    /// Wait after the first reading. Default 30 seconds.
    pub first: Duration,
    /// Longest wait. Default two hours.
    pub most: Duration,
}

impl Default for PollCadence {
    fn default() -> Self {
        Self { first: Duration::from_secs(30), most: Duration::from_secs(2 * 3600) }
    }
}

impl PollCadence {
    /// The wait after reading number `attempt`, counted from 1.
    pub fn after(&self, attempt: u32) -> Duration {
        let mut wait = self.first;
        for _ in 1..attempt {
            if wait >= self.most {
                break;
            }
            wait = wait * 3 / 2;
        }
        wait.min(self.most)
    }
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Those of Dfns.
    #[error("the Dfns settings cannot be used")]
    Dfns(#[from] remit_dfns::SettingsError),
    /// Our own user id.
    #[error(
        "DFNS_USER_ID is {0:?}; expected the id of the account that creates payouts, such as \"us-3v1ag-v6b36-f2acnr30000008sp\""
    )]
    UserId(String),
    /// Metrics of these names exist already.
    #[error("the metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
}

pub(crate) fn user_id(text: &str) -> Result<&str, SettingsError> {
    let fits =
        text.starts_with("us-") && text.len() > 3 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if fits { Ok(text) } else { Err(SettingsError::UserId(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corridor_has_its_own_patience_or_the_usual_one() {
        let corridor = ("BR".to_owned(), "BRL".to_owned());
        let time =
            TimeLimits { bank_expected_in: [(corridor, Duration::from_secs(60))].into(), ..TimeLimits::default() };
        assert_eq!(time.of("BR", "BRL").bank_expected_seconds, 60);
        assert_eq!(time.of("BR", "USD"), Limits::default());
    }

    #[test]
    fn polls_start_at_thirty_seconds_and_never_wait_longer_than_two_hours() {
        let cadence = PollCadence::default();
        let waits: Vec<u64> = (1..=20).map(|n| cadence.after(n).as_secs()).collect();
        assert_eq!(&waits[..5], [30, 45, 67, 101, 151]);
        assert_eq!(*waits.last().unwrap(), 7200);
        assert!(waits.is_sorted());
        assert_eq!(cadence.after(u32::MAX).as_secs(), 7200);
    }
}
