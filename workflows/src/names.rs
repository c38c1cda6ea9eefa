//! Every string that outlives a process: it stands in histories, in schedules, in other people's code.
//! Never changed, only added to. A snapshot test makes any change visible.

/// Workflow type: one payout.
pub const PAYOUT: &str = "payout";

/// Workflow type: opens the next attempt at a payout, once it is proven that the last one cannot pay any more.
pub const PAYOUT_RETRY: &str = "payout_retry";

/// Workflow type: says how a payout would go as things are. Changes nothing.
pub const PAYOUT_CHECK: &str = "payout_check";

/// Task queue for decisions and records.
pub const QUEUE: &str = "remit";
/// Task queue for calls to the provider: its rate is shared by all workers.
pub const PROVIDER_QUEUE: &str = "remit-provider";

/// Signal: something happened at the provider. A nudge to read, never the reading.
pub const PROVIDER_EVENT: &str = "provider_event";
/// Query: where the payout is.
pub const STATUS: &str = "status";

/// Update: calls the payout off, while nothing has been confirmed.
pub const CANCEL: &str = "cancel";
/// Update: holds the payout back before Confirm.
pub const HOLD: &str = "hold";
/// Update: lets a payout that was held back go on.
pub const RELEASE: &str = "release";
/// Update: a person's decision about a payout in doubt.
pub const RESOLVE: &str = "resolve";

/// Update: a signed statement of a person whose approval the policy asks for.
pub const APPROVAL: &str = "approval";

/// Activity: claims the payout's key for this request, for ever.
pub const CLAIM_PAYOUT: &str = "claim_payout";
/// Activity: decides by the policy in force whether the payout may go on, and reserves what it is worth.
pub const DECIDE_PAYOUT: &str = "decide_payout";
/// Activity: verifies a signed approval, writes it down, and tells whether all that are wanted are there.
pub const RECORD_APPROVAL: &str = "record_approval";
/// Activity: verifies that whoever gives an order may.
pub const CHECK_ORDER: &str = "check_order";
/// Activity: asks the provider what the beneficiary would get.
pub const QUOTE_PAYOUT: &str = "quote_payout";
/// Activity: creates the payout at the provider, or finds the one created before.
pub const CREATE_PAYOUT: &str = "create_payout";
/// Activity: reads the payout at the provider, again and again until it is what is waited for.
pub const READ_PAYOUT: &str = "read_payout";
/// Activity: takes the gate and confirms, once.
pub const CONFIRM_PAYOUT: &str = "confirm_payout";
/// Activity: cancels at the provider a payout whose gate is closed, where the provider allows it.
pub const CANCEL_PAYOUT: &str = "cancel_payout";
/// Activity: proves that an attempt cannot pay any more, and opens the next one.
pub const OPEN_ATTEMPT: &str = "open_attempt";
/// Activity: closes the gate, so that nothing can be confirmed any more.
pub const CLOSE_GATE: &str = "close_gate";
/// Activity: writes the outcome down, once.
pub const RECORD_OUTCOME: &str = "record_outcome";
/// Activity: says how a payout would go as things are. Changes nothing.
pub const CHECK_PAYOUT: &str = "check_payout";

/// Failure of a workflow: the input was refused. It may be corrected and started again under its id.
pub const ERROR_REFUSED: &str = "remit.refused";
/// Failure of a workflow: the id belongs to another request already.
pub const ERROR_CONFLICT: &str = "remit.conflict";
/// Failure of an activity: the provider did not act and may if asked again.
pub const ERROR_TRY_AGAIN: &str = "provider.try_again";
/// Failure of an activity: the provider may have acted; only the same request may be sent again.
pub const ERROR_OUTCOME_UNKNOWN: &str = "provider.outcome_unknown";
/// Failure of an activity: the provider does not accept our credentials; an operator has to act.
pub const ERROR_UNAUTHORIZED: &str = "provider.unauthorized";
/// Failure of an activity: we and the provider misread each other; a person looks.
pub const ERROR_MISUNDERSTOOD: &str = "provider.misunderstood";
/// Failure of an activity: no policy is in force that can be trusted; an operator has to act.
pub const ERROR_POLICY: &str = "policy.unusable";
/// Failure of an activity: a list that payouts are screened against gives no answer.
pub const ERROR_SCREENING: &str = "screening.no_answer";
/// Failure of an activity that is no failure: not yet what is waited for, ask again later.
pub const ERROR_NOT_YET: &str = "provider.not_yet";
/// Failure of an activity: the records cannot be reached.
pub const ERROR_RECORDS: &str = "records.unavailable";
/// Failure of an activity: the records do not allow what was asked.
pub const ERROR_NOT_ALLOWED: &str = "records.not_allowed";

/// Search attribute (Keyword): [`remit_domain::Stage`].
pub const SEARCH_STAGE: &str = "RemitStage";
/// Search attribute (Keyword): the caller's program.
pub const SEARCH_PROGRAM: &str = "RemitProgram";
/// Search attribute (Keyword): the paying wallet.
pub const SEARCH_WALLET: &str = "RemitWallet";
/// Search attribute (Keyword): the token, by standard and address.
pub const SEARCH_ASSET: &str = "RemitAsset";
/// Search attribute (Keyword): what the payout waits for, when that is somebody.
pub const SEARCH_WAITS_FOR: &str = "RemitWaitsFor";

#[cfg(test)]
mod tests {
    #[test]
    fn durable_names_do_not_change() {
        let source = include_str!("names.rs");
        let names: Vec<&str> = source.lines().filter(|line| line.starts_with("pub const")).collect();
        assert!(names.len() > 25);
        insta::assert_snapshot!(names.join("\n"));
    }
}
