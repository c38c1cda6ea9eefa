//! How much goes wrong in an organisation, in percent: for runs with many payouts, where no single fault is aimed.
//!
//! A plan is written out as entries of the one list of faults, so that it strikes where they strike.

use serde::{Deserialize, Serialize};

use crate::answer::Refusal;
use crate::faults::{Fault, FaultKind, When};

/// Longer than any client waits for an answer.
const LATER_THAN_ANYONE_WAITS_MS: u32 = 12_000;
const LATEST_ANSWER_MS: u32 = 600_000;
/// Long enough for the events of a payout to overtake each other.
const SHUFFLED_UP_TO_MS: u32 = 3_000;
/// As long as the plan lasts.
const EVERY_TIME: u64 = u32::MAX as u64;

/// The plan, as a control call writes it. Shares are whole percents: of all calls, or of all webhooks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Plan {
    /// Starts the dice anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
    /// 500 or 503 before the effect.
    server_errors: u8,
    /// The connection is cut after the effect.
    answers_lost: u8,
    /// The answer comes `timeout_ms` late: half of these calls act at once, half act that late too.
    timeouts: u8,
    timeout_ms: u32,
    webhooks_doubled: u8,
    /// Sent a random time of up to `shuffled_up_to_ms` later.
    webhooks_shuffled: u8,
    shuffled_up_to_ms: u32,
    webhooks_lost: u8,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: None,
            server_errors: 0,
            answers_lost: 0,
            timeouts: 0,
            timeout_ms: LATER_THAN_ANYONE_WAITS_MS,
            webhooks_doubled: 0,
            webhooks_shuffled: 0,
            shuffled_up_to_ms: SHUFFLED_UP_TO_MS,
            webhooks_lost: 0,
        }
    }
}

/// Which share of the plan an entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Share {
    ServerErrors,
    AnswersLost,
    Timeouts,
    WebhooksDoubled,
    WebhooksShuffled,
    WebhooksLost,
}

impl Share {
    pub(crate) const ALL: [Self; 6] = [
        Self::ServerErrors,
        Self::AnswersLost,
        Self::Timeouts,
        Self::WebhooksDoubled,
        Self::WebhooksShuffled,
        Self::WebhooksLost,
    ];

    /// Its name in the plan.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ServerErrors => "serverErrors",
            Self::AnswersLost => "answersLost",
            Self::Timeouts => "timeouts",
            Self::WebhooksDoubled => "webhooksDoubled",
            Self::WebhooksShuffled => "webhooksShuffled",
            Self::WebhooksLost => "webhooksLost",
        }
    }
}

impl Plan {
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let calls = [
            ("serverErrors", self.server_errors),
            ("answersLost", self.answers_lost),
            ("timeouts", self.timeouts),
            ("webhooksDoubled", self.webhooks_doubled),
            ("webhooksShuffled", self.webhooks_shuffled),
            ("webhooksLost", self.webhooks_lost),
        ];
        if let Some((field, percent)) = calls.into_iter().find(|(_, percent)| *percent > 100) {
            return Err(Refusal::field(field, percent, "0 to 100, in percent"));
        }
        let webhooks =
            u32::from(self.webhooks_lost) + u32::from(self.webhooks_shuffled) + u32::from(self.webhooks_doubled);
        if webhooks > 100 {
            let expected = "100 or less together with webhooksShuffled and webhooksDoubled: one of the three strikes";
            return Err(Refusal::field("webhooksLost", self.webhooks_lost, expected));
        }
        for (field, ms) in [("timeoutMs", self.timeout_ms), ("shuffledUpToMs", self.shuffled_up_to_ms)] {
            if !(1..=LATEST_ANSWER_MS).contains(&ms) {
                return Err(Refusal::field(field, ms, "1 to 600000 milliseconds"));
            }
        }
        Ok(())
    }

    /// The plan as faults. A fault is asked only where the ones before it did not strike, so each probability is that
    /// of the share among what the ones before it left.
    pub(crate) fn faults(&self) -> Vec<(Share, Fault)> {
        let half_late = of(self.timeouts, 0) / 2.0;
        let (lost, shuffled, doubled) = (self.webhooks_lost, self.webhooks_shuffled, self.webhooks_doubled);
        let half_failed = of(self.server_errors, 0) / 2.0;
        let status = |status, probability| Fault { status: Some(status), ..fault(FaultKind::Status, probability) };
        let slow = |when| Fault { ms: Some(self.timeout_ms), when, ..fault(FaultKind::Slow, half_late) };
        let cut = Fault { when: When::AfterEffect, ..fault(FaultKind::CutConnection, of(self.answers_lost, 0)) };
        let delay = Fault {
            up_to_ms: Some(self.shuffled_up_to_ms),
            ..fault(FaultKind::DelayWebhook, of(shuffled, u32::from(lost)))
        };
        let double = fault(FaultKind::DoubleWebhook, of(doubled, u32::from(lost) + u32::from(shuffled)));
        vec![
            (Share::ServerErrors, status(500, half_failed)),
            (Share::ServerErrors, status(503, half_failed / (1.0 - half_failed))),
            (Share::AnswersLost, cut),
            (Share::Timeouts, slow(When::BeforeEffect)),
            (Share::Timeouts, slow(When::AfterEffect)),
            (Share::WebhooksLost, fault(FaultKind::LoseWebhook, of(lost, 0))),
            (Share::WebhooksShuffled, delay),
            (Share::WebhooksDoubled, double),
        ]
    }
}

fn fault(kind: FaultKind, probability: f64) -> Fault {
    Fault { probability: Some(probability), times: EVERY_TIME, ..Fault::of(kind) }
}

/// The probability of this many percent of all, asked only of those that `before` percent of all have left.
fn of(percent: u8, before: u32) -> f64 {
    let left = 100_u32.saturating_sub(before);
    if percent == 0 || left == 0 { 0.0 } else { (f64::from(percent) / f64::from(left)).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many, how many each kind strikes, by the list order and the probabilities alone.
    fn shares(plan: &str, kinds: &[FaultKind]) -> Vec<f64> {
        let plan: Plan = serde_json::from_str(plan).unwrap();
        plan.check().unwrap();
        let mut left = 100.0;
        let entries = plan.faults().into_iter().map(|(_, fault)| fault).filter(|fault| kinds.contains(&fault.kind));
        entries
            .map(|fault| {
                let struck = left * fault.probability.unwrap();
                left -= struck;
                (struck * 1000.0).round() / 1000.0
            })
            .collect()
    }

    #[test]
    fn each_share_is_of_all_calls_or_webhooks_and_not_of_what_the_ones_before_left() {
        assert_eq!(shares(r#"{"serverErrors": 10}"#, &[FaultKind::Status]), [5.0, 5.0]);
        assert_eq!(shares(r#"{"serverErrors": 100}"#, &[FaultKind::Status]), [50.0, 50.0]);
        let webhooks = [FaultKind::LoseWebhook, FaultKind::DelayWebhook, FaultKind::DoubleWebhook];
        let all = r#"{"webhooksLost": 5, "webhooksShuffled": 20, "webhooksDoubled": 20}"#;
        assert_eq!(shares(all, &webhooks), [5.0, 20.0, 20.0]);
        assert_eq!(shares(r#"{"webhooksLost": 100}"#, &webhooks), [100.0, 0.0, 0.0]);
    }

    #[test]
    fn every_share_of_a_plan_has_its_faults_and_the_name_that_json_has() {
        let written: Vec<Share> = Plan::default().faults().into_iter().map(|(share, _)| share).collect();
        for share in Share::ALL {
            assert!(written.contains(&share), "{share:?}");
            assert_eq!(serde_json::to_value(share).unwrap(), share.name());
        }
    }
}
