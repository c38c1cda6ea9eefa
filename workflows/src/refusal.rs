//! The two ways a run fails: refused input, and an id that belongs to another request. Both may be corrected and
//! started again under the same id; every other ending is a value.

use remit_domain::PayoutRequest;
use temporalio_common::{
    data_converters::RawValue,
    error::{ApplicationFailure, IncomingError},
};
use temporalio_workflow::{ActivityExecutionError, WorkflowTermination};

use crate::names;

/// Why a request that names who is paid is refused.
pub const NAME_IN_CLEAR: &str = "a name is not accepted where Temporal keeps payouts in clear; set up codec keys \
     (REMIT_CODEC_KEYS_FILE), or allow it (REMIT_CODEC_NAMES=clear)";

/// Reads the input of a run, whatever a starter in whatever language sent.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn read_input(raw: &RawValue) -> Result<PayoutRequest, String> {
    let payload = match raw.payloads.as_slice() {
        [payload] => payload,
        [] => return Err("the input is missing; expected one JSON object, the payout request".into()),
        more => return Err(format!("{} inputs came; expected one JSON object, the payout request", more.len())),
    };
    let encoding = payload.metadata.get("encoding").map(|e| String::from_utf8_lossy(e)).unwrap_or_default();
    if encoding != "json/plain" {
        return Err(format!("the input is encoded as {encoding:?}; expected one JSON object (json/plain)"));
    }
    let json = serde_json::from_slice(&payload.data).map_err(|e| format!("the input is not JSON: {e}"))?;
    PayoutRequest::parse(&json).map_err(|refusal| refusal.to_string())
}

pub(crate) fn refused(why: String) -> WorkflowTermination {
    failure(why, names::ERROR_REFUSED)
}

pub(crate) fn conflict(key: &str) -> WorkflowTermination {
    failure(
        format!("the id of payout {key} was used before for another request; nothing was started"),
        names::ERROR_CONFLICT,
    )
}

pub(crate) fn not_opened(request: &PayoutRequest) -> WorkflowTermination {
    refused(format!(
        "attempt: {} is not accepted; expected an attempt that `remit payout retry` has opened",
        request.attempt.number()
    ))
}

pub(crate) fn name_in_clear() -> WorkflowTermination {
    refused(format!("destination.beneficiaryName: {NAME_IN_CLEAR}"))
}

/// A short run that could not find out what it was asked; whoever asked may ask again.
pub(crate) fn no_answer(error: &ActivityExecutionError) -> WorkflowTermination {
    match error.cause() {
        Some(IncomingError::Application(cause)) => {
            failure(cause.to_string(), cause.type_name().unwrap_or(names::ERROR_REFUSED))
        }
        Some(_) | None => failure(error.to_string(), names::ERROR_REFUSED),
    }
}

fn failure(why: String, kind: &str) -> WorkflowTermination {
    // A starter's retry policy must not repeat what can only be refused again.
    ApplicationFailure::builder(why).type_name(kind.to_owned()).non_retryable(true).build().into()
}
