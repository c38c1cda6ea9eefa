//! Why a call gave no answer, and so what to do. The only place that decides what is retried, and when.

use std::time::Duration;

use remit_dfns::Stage;
use remit_workflows::names;
use temporalio_common::error::ApplicationErrorCategory;
use temporalio_sdk::{ApplicationFailure, activities::ActivityError};

/// How long to leave a provider alone that did not say.
const THROTTLED: Duration = Duration::from_secs(10);
/// How often to try credentials again that are not accepted: an operator has to act first.
const LOCKED_OUT: Duration = Duration::from_secs(60);

/// Why a call gave no answer. Every error of the provider and of the records has exactly one.
#[derive(Debug)]
pub enum NoAnswer {
    /// The provider did not act, and may if asked again.
    TryAgain {
        /// What stood in the way.
        why: String,
        /// How long to wait, where the provider said so.
        after: Option<Duration>,
    },
    /// The provider may have acted. Asking again is safe only because key and bytes are the same, or because the
    /// payout is read first.
    OutcomeUnknown {
        /// What happened.
        why: String,
    },
    /// The provider does not accept us. Every payout waits until an operator has acted; none fails for it.
    Unauthorized {
        /// What was said.
        why: String,
    },
    /// We misread each other: a bug, or a changed API. A person looks; asking again would not help.
    Misunderstood {
        /// What does not fit.
        why: String,
    },
    /// The answer is not yet the one that is waited for.
    NotYet {
        /// What it is instead.
        why: String,
        /// When to ask again.
        after: Duration,
    },
    /// The records cannot be reached. Nothing is created or confirmed without them, and nothing is given up.
    Records {
        /// What was attempted, and what stood in the way.
        why: String,
    },
    /// The records do not allow what was asked. A person looks.
    NotAllowed {
        /// What is missing.
        why: String,
    },
    /// No policy is in force that can be trusted. Every payout waits until an operator has acted; none fails for it.
    Policy {
        /// What is wrong with it.
        why: String,
    },
    /// A list that payouts are screened against gives no answer: nobody is paid unscreened, and nothing is given up.
    Screening {
        /// Which, and what stood in the way.
        why: String,
    },
}

impl NoAnswer {
    /// What stood in the way, for people.
    pub fn why(self) -> String {
        match self {
            Self::TryAgain { why, .. }
            | Self::OutcomeUnknown { why }
            | Self::Unauthorized { why }
            | Self::Misunderstood { why }
            | Self::NotYet { why, .. }
            | Self::Records { why }
            | Self::NotAllowed { why }
            | Self::Policy { why }
            | Self::Screening { why } => why,
        }
    }
}

impl From<remit_dfns::Error> for NoAnswer {
    fn from(error: remit_dfns::Error) -> Self {
        let why = chain(&error);
        match error {
            remit_dfns::Error::NotSent { .. } => Self::TryAgain { why, after: None },
            remit_dfns::Error::Lost { stage, .. } | remit_dfns::Error::Misread { stage, .. } => unknown(stage, why),
            // Our key or an id cannot be used: waiting for an operator loses nothing.
            remit_dfns::Error::Unsigned { .. } => Self::Unauthorized { why },
            remit_dfns::Error::Refused { stage, refusal } => match refusal.status {
                429 => Self::TryAgain { why, after: Some(refusal.retry_after.unwrap_or(THROTTLED)) },
                401..=403 => Self::Unauthorized { why },
                500..=599 => unknown(stage, why),
                // 4xx to the signing calls speaks of our credentials, never of the payout.
                _ if stage == Stage::Signing => Self::Unauthorized { why },
                _ => Self::Misunderstood { why },
            },
        }
    }
}

/// Signing moves nothing: whatever happened there, the real call was never sent.
fn unknown(stage: Stage, why: String) -> NoAnswer {
    match stage {
        Stage::Signing => NoAnswer::TryAgain { why, after: None },
        Stage::Call => NoAnswer::OutcomeUnknown { why },
    }
}

impl From<remit_records::Error> for NoAnswer {
    fn from(error: remit_records::Error) -> Self {
        Self::Records { why: chain(&error) }
    }
}

impl From<NoAnswer> for ActivityError {
    fn from(no_answer: NoAnswer) -> Self {
        let (kind, why, again) = match no_answer {
            NoAnswer::TryAgain { why, after } => (names::ERROR_TRY_AGAIN, why, Again::After(after)),
            NoAnswer::OutcomeUnknown { why } => (names::ERROR_OUTCOME_UNKNOWN, why, Again::After(None)),
            NoAnswer::Unauthorized { why } => (names::ERROR_UNAUTHORIZED, why, Again::After(Some(LOCKED_OUT))),
            NoAnswer::Misunderstood { why } => (names::ERROR_MISUNDERSTOOD, why, Again::Never),
            NoAnswer::NotYet { why, after } => (names::ERROR_NOT_YET, why, Again::Expected(after)),
            NoAnswer::Records { why } => (names::ERROR_RECORDS, why, Again::After(None)),
            NoAnswer::NotAllowed { why } => (names::ERROR_NOT_ALLOWED, why, Again::Never),
            NoAnswer::Policy { why } => (names::ERROR_POLICY, why, Again::After(Some(LOCKED_OUT))),
            NoAnswer::Screening { why } => (names::ERROR_SCREENING, why, Again::After(None)),
        };
        match again {
            Again::Expected(_) => tracing::debug!(error.kind = kind, "not yet: {why}"),
            Again::After(_) if ![names::ERROR_UNAUTHORIZED, names::ERROR_POLICY].contains(&kind) => {
                tracing::warn!(error.kind = kind, "no answer: {why}")
            }
            Again::After(_) | Again::Never => tracing::error!(error.kind = kind, "a person must look: {why}"),
        }
        let failure = ApplicationFailure::builder(why).type_name(kind.to_owned());
        ActivityError::application(match again {
            Again::After(None) => failure.build(),
            Again::After(Some(delay)) => failure.next_retry_delay(delay).build(),
            Again::Expected(delay) => {
                failure.next_retry_delay(delay).category(ApplicationErrorCategory::Benign).build()
            }
            Again::Never => failure.non_retryable(true).build(),
        })
    }
}

/// When to ask again.
enum Again {
    /// After this, or after the ordinary wait.
    After(Option<Duration>),
    /// After this, and nobody needs to hear of it.
    Expected(Duration),
    Never,
}

/// An error with all its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use remit_dfns::{Error, RateLimit, Refusal};

    use super::*;

    fn refused(stage: Stage, status: u16, retry_after: Option<Duration>) -> NoAnswer {
        let refusal =
            Refusal { status, id: None, message: "no".into(), details: None, retry_after, rate: RateLimit::default() };
        Error::Refused { stage, refusal }.into()
    }

    fn kind(no_answer: &NoAnswer) -> &'static str {
        match no_answer {
            NoAnswer::TryAgain { .. } => "try again",
            NoAnswer::OutcomeUnknown { .. } => "unknown",
            NoAnswer::Unauthorized { .. } => "unauthorized",
            NoAnswer::Misunderstood { .. } => "misunderstood",
            NoAnswer::NotYet { .. } => "not yet",
            NoAnswer::Records { .. } => "records",
            NoAnswer::NotAllowed { .. } => "not allowed",
            NoAnswer::Policy { .. } => "policy",
            NoAnswer::Screening { .. } => "screening",
        }
    }

    #[test]
    fn every_status_has_one_meaning_and_no_server_fault_on_the_call_is_taken_for_a_failure() {
        for status in 300..=599 {
            let call = kind(&refused(Stage::Call, status, None));
            let signing = kind(&refused(Stage::Signing, status, None));
            let (call_should, signing_should) = match status {
                429 => ("try again", "try again"),
                401..=403 => ("unauthorized", "unauthorized"),
                500..=599 => ("unknown", "try again"),
                _ => ("misunderstood", "unauthorized"),
            };
            assert_eq!((call, signing), (call_should, signing_should), "{status}");
        }
    }

    #[test]
    fn a_lost_answer_is_unknown_only_once_the_call_itself_was_sent() {
        let lost = |stage| kind(&NoAnswer::from(Error::Lost { stage, source: "cut".into() }));
        assert_eq!(lost(Stage::Call), "unknown");
        assert_eq!(lost(Stage::Signing), "try again");
    }

    #[test]
    fn the_provider_is_left_alone_for_as_long_as_it_asks() {
        let NoAnswer::TryAgain { after, .. } = refused(Stage::Call, 429, Some(Duration::from_secs(7))) else {
            panic!("429 is to be tried again")
        };
        assert_eq!(after, Some(Duration::from_secs(7)));
    }
}
