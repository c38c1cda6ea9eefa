//! The scenarios: each end, and each branch on the way to one.

use remit::dev::{Begin, Options};
use remit_client::Whereabouts;
use remit_dfns::DecisionValue;
use remit_domain::Ending;
use serde_json::json;

use super::{
    Scenario,
    courses::{self, USUAL, ends, ends_despite, quickly},
};
use crate::{give_up, go_on, instructions_after};

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "completed-by-nudge",
        why: "the main path: the webhook finds the deposit address",
        system: courses::truly_with_late_instructions,
        drive: |world, id| Box::pin(courses::completed_by_nudge(world, id)),
    },
    Scenario {
        name: "completed-by-poll",
        why: "no webhook arrives: the poll finds the deposit address",
        system: || Options { relay: Begin::Later, organisation: instructions_after(1_200), ..quickly() },
        drive: |world, id| Box::pin(ends(world, id, USUAL, Ending::Completed)),
    },
    Scenario {
        name: "completed-without-an-offer",
        why: "the quote holds no offer, and the payout is made all the same",
        system: quickly,
        drive: |world, id| Box::pin(ends(world, id, "1000000096", Ending::Completed)),
    },
    Scenario {
        name: "completed-through-an-unknown-word",
        why: "a status nobody documents on the way to the bank",
        system: quickly,
        drive: |world, id| Box::pin(ends(world, id, "1000000098", Ending::Completed)),
    },
    Scenario {
        name: "completed-after-five-days",
        why: "the bank takes five days: limits pass, attention is raised, the wait goes on",
        system: Options::default,
        drive: |world, id| Box::pin(courses::completed_after_five_days(world, id)),
    },
    Scenario {
        name: "completed-despite-garbage",
        why: "signals that are unreadable, for another payout or unknown",
        system: || Options { organisation: instructions_after(1_500), ..quickly() },
        drive: |world, id| Box::pin(courses::completed_despite_garbage(world, id)),
    },
    Scenario {
        name: "completed-with-events-twice",
        why: "each event is told twice, some before it is so",
        system: courses::pushed,
        drive: |world, id| Box::pin(courses::completed_with_events(world, id, 2)),
    },
    Scenario {
        name: "completed-with-events-thrice",
        why: "each event is told three times, some before it is so",
        system: courses::pushed,
        drive: |world, id| Box::pin(courses::completed_with_events(world, id, 3)),
    },
    Scenario {
        name: "completed-create-answer-lost",
        why: "the answer to the create is lost after it acted",
        system: quickly,
        drive: |world, id| {
            let lost = json!({"kind": "cutConnection", "on": "POST /payouts", "when": "afterEffect"});
            Box::pin(ends_despite(world, id, lost, Ending::Completed))
        },
    },
    Scenario {
        name: "completed-confirm-answer-lost",
        why: "the answer to Confirm is lost after it acted",
        system: quickly,
        drive: |world, id| {
            let lost = json!({"kind": "cutConnection", "on": "POST /payouts/*/action", "when": "afterEffect"});
            Box::pin(ends_despite(world, id, lost, Ending::Completed))
        },
    },
    Scenario {
        name: "completed-with-records-away",
        why: "the records are locked at the claim, which goes through the task queue instead",
        system: quickly,
        drive: |world, id| Box::pin(courses::completed_with_records_away(world, id)),
    },
    Scenario {
        name: "completed-taken-up-before-confirm",
        why: "the run was terminated while it waited for the deposit address: the second takes the payout up",
        system: quickly,
        drive: |world, id| Box::pin(courses::taken_up_before_confirm(world, id)),
    },
    Scenario {
        name: "completed-taken-up-after-confirm",
        why: "the run was terminated after Confirm: the second follows, and confirms nothing",
        system: Options::default,
        drive: |world, id| Box::pin(courses::taken_up_after_confirm(world, id)),
    },
    Scenario {
        name: "completed-before-it-began",
        why: "a run for a payout that is over already: it gives the outcome on record",
        system: quickly,
        drive: |world, id| Box::pin(courses::completed_before_it_began(world, id)),
    },
    Scenario {
        name: "completed-after-approval",
        why: "a policy of the provider holds the transfer, a person approves",
        system: quickly,
        drive: |world, id| Box::pin(courses::held(world, id, DecisionValue::Approved, Ending::Completed)),
    },
    Scenario {
        name: "rejected-by-denial",
        why: "a policy of the provider holds the transfer, a person denies",
        system: quickly,
        drive: |world, id| Box::pin(courses::held(world, id, DecisionValue::Denied, Ending::Rejected)),
    },
    Scenario {
        name: "rejected-by-policy",
        why: "a policy of the provider blocks the transfer",
        system: quickly,
        drive: |world, id| Box::pin(courses::rejected_by_policy(world, id)),
    },
    Scenario {
        name: "expired-while-held-then-arrived",
        why: "nobody decides over the held transfer within four hours, and then it is approved all the same",
        system: Options::default,
        drive: |world, id| Box::pin(courses::held_too_long(world, id, DecisionValue::Approved)),
    },
    Scenario {
        name: "expired-while-held-then-denied",
        why: "nobody decides over the held transfer within four hours, and then it is denied",
        system: Options::default,
        drive: |world, id| Box::pin(courses::held_too_long(world, id, DecisionValue::Denied)),
    },
    Scenario {
        name: "canceled-while-waiting",
        why: "an operator calls it off while it waits for its deposit address",
        system: quickly,
        drive: |world, id| Box::pin(courses::called_off(world, id)),
    },
    Scenario {
        name: "canceled-in-temporal",
        why: "Temporal's own cancel request, which means the same",
        system: quickly,
        drive: |world, id| Box::pin(courses::called_off_in_temporal(world, id)),
    },
    Scenario {
        name: "canceled-while-held-back",
        why: "an operator holds it back, then calls it off: the provider cancels it too",
        system: quickly,
        drive: |world, id| Box::pin(courses::held_back(world, id, false)),
    },
    Scenario {
        name: "completed-after-release",
        why: "an operator holds it back, then lets it go on",
        system: quickly,
        drive: |world, id| Box::pin(courses::held_back(world, id, true)),
    },
    Scenario {
        name: "expired-while-held-back",
        why: "an operator holds it back and nobody releases it",
        system: quickly,
        drive: |world, id| Box::pin(courses::held_back_too_long(world, id)),
    },
    Scenario {
        name: "completed-after-doubt",
        why: "the deposit address changes between our check and Confirm; a person reads again and lets it go on",
        system: quickly,
        drive: |world, id| {
            let changes = json!({"kind": "addressChangesAtConfirm", "times": 1_000});
            Box::pin(courses::resolved(world, id, changes, go_on(), Ending::Completed))
        },
    },
    Scenario {
        name: "canceled-given-up",
        why: "the deposit address changes between our check and Confirm; a person gives it up, nothing was sent",
        system: quickly,
        drive: |world, id| {
            let changes = json!({"kind": "addressChangesAtConfirm", "times": 1_000});
            Box::pin(courses::resolved(world, id, changes, give_up(Whereabouts::NotSent), Ending::Canceled))
        },
    },
    Scenario {
        name: "canceled-behind-a-taken-gate",
        why: "the deposit address changes while nobody knows whether Confirm went out; it is cancelled at the provider",
        system: quickly,
        drive: |world, id| Box::pin(courses::canceled_behind_a_taken_gate(world, id)),
    },
    Scenario {
        name: "completed-after-confirm-refused",
        why: "the provider refuses Confirm and goes on waiting for it; a person lets it be tried again",
        system: quickly,
        drive: |world, id| {
            let refuses = json!({"kind": "status", "status": 400, "on": "POST /payouts/*/action", "times": 100});
            Box::pin(courses::resolved(world, id, refuses, go_on(), Ending::Completed))
        },
    },
    Scenario {
        name: "expired-in-doubt",
        why: "in doubt before Confirm, and nobody decides: the gate closes when the time to confirm is over",
        system: quickly,
        drive: |world, id| Box::pin(courses::in_doubt_too_long(world, id)),
    },
    Scenario {
        name: "failed-written-off",
        why: "broadcast and never confirmed: attention after four hours and five days, a person after thirty",
        system: Options::default,
        drive: |world, id| Box::pin(courses::written_off(world, id)),
    },
    Scenario {
        name: "canceled-by-guard-at-start",
        why: "the quote does not keep the request's limits: nothing is created",
        system: quickly,
        drive: |world, id| Box::pin(courses::guarded(world, id, json!({"feesAtMostBps": 1}), Ending::Canceled)),
    },
    Scenario {
        name: "canceled-by-guard-at-confirm",
        why: "the fresh quote just before Confirm does not keep the request's limits",
        system: quickly,
        drive: |world, id| Box::pin(courses::guarded_at_confirm(world, id)),
    },
    Scenario {
        name: "completed-with-guards",
        why: "limits that both quotes keep",
        system: quickly,
        drive: |world, id| {
            let guards = json!({"feesAtMostBps": 500, "quoteAtMostSeconds": 600, "onBreach": "ask"});
            Box::pin(courses::guarded(world, id, guards, Ending::Completed))
        },
    },
    Scenario {
        name: "completed-after-retry",
        why: "the second attempt at a payout whose first was called off",
        system: quickly,
        drive: |world, id| Box::pin(courses::second_attempt(world, id)),
    },
    Scenario {
        name: "failed-quote-refused",
        why: "the provider does not quote the payout: nothing is created",
        system: quickly,
        drive: |world, id| {
            let refuses = json!({"kind": "status", "status": 400, "on": "POST /payouts/quote", "times": 100});
            Box::pin(ends_despite(world, id, refuses, Ending::Failed))
        },
    },
    Scenario {
        name: "failed-create-refused",
        why: "the provider refuses to create the payout",
        system: quickly,
        drive: |world, id| {
            let refuses = json!({"kind": "status", "status": 400, "on": "POST /payouts", "times": 100});
            Box::pin(ends_despite(world, id, refuses, Ending::Failed))
        },
    },
    Scenario {
        name: "failed-at-the-bank",
        why: "the bank refuses after the deposit: the money is with the provider",
        system: quickly,
        drive: |world, id| Box::pin(ends(world, id, "1000000090", Ending::Failed)),
    },
    Scenario {
        name: "failed-before-instructions",
        why: "the provider fails before it gives a deposit address: nothing moved",
        system: quickly,
        drive: |world, id| Box::pin(ends(world, id, "1000000091", Ending::Failed)),
    },
    Scenario {
        name: "failed-on-chain",
        why: "the transfer fails on chain",
        system: quickly,
        drive: |world, id| Box::pin(ends(world, id, "1000000093", Ending::Failed)),
    },
    Scenario {
        name: "failed-after-deposit",
        why: "the deposit is confirmed on chain, then the payout fails",
        system: quickly,
        drive: |world, id| Box::pin(ends(world, id, "1000000095", Ending::Failed)),
    },
    Scenario {
        name: "expired-without-instructions",
        why: "no deposit address within 24 h: the gate closes, the provider's expiry is watched",
        system: Options::default,
        drive: |world, id| Box::pin(courses::expired_without_instructions(world, id)),
    },
    Scenario {
        name: "canceled-at-the-provider",
        why: "somebody cancels the payout at the provider before it is confirmed",
        system: || Options { relay: Begin::Later, ..Options::default() },
        drive: |world, id| Box::pin(courses::canceled_at_the_provider(world, id)),
    },
    Scenario {
        name: "refused-input",
        why: "a run whose input is no payout fails, and says why",
        system: quickly,
        drive: |world, id| Box::pin(courses::refused_input(world, id)),
    },
    Scenario {
        name: "refused-conflict",
        why: "a run whose id belongs to another request fails",
        system: quickly,
        drive: |world, id| Box::pin(courses::refused_conflict(world, id)),
    },
    Scenario {
        name: "policy-completed-by-nudge",
        why: "the main path under a policy that allows it: one more activity decides before anything is created",
        system: courses::truly_with_late_instructions,
        drive: |world, id| Box::pin(courses::completed_by_nudge(world, id)),
    },
    Scenario {
        name: "policy-completed-after-approval",
        why: "our policy asks for an approval before anything is created, and somebody signs it",
        system: courses::standard,
        drive: |world, id| Box::pin(courses::asked_first(world, id, Some(true), Ending::Completed)),
    },
    Scenario {
        name: "policy-denied-by-a-person",
        why: "our policy asks for an approval before anything is created, and somebody says no",
        system: courses::standard,
        drive: |world, id| Box::pin(courses::asked_first(world, id, Some(false), Ending::Denied)),
    },
    Scenario {
        name: "policy-denied-in-silence",
        why: "our policy asks for an approval before anything is created, and nobody answers in time",
        system: courses::standard,
        drive: |world, id| Box::pin(courses::asked_first(world, id, None, Ending::Denied)),
    },
    Scenario {
        name: "policy-canceled-while-asked",
        why: "an operator calls it off while it waits for an approval",
        system: courses::standard,
        drive: |world, id| Box::pin(courses::called_off_while_asked(world, id)),
    },
    Scenario {
        name: "policy-blocked-at-start",
        why: "our policy forbids it: nothing is created",
        system: courses::standard,
        drive: |world, id| Box::pin(ends(world, id, "4000000000", Ending::Blocked)),
    },
    Scenario {
        name: "policy-blocked-at-confirm",
        why: "our policy forbids it by the time of Confirm: the provider cancels it",
        system: courses::standard_with_late_instructions,
        drive: |world, id| {
            Box::pin(courses::stricter_at_confirm(world, id, ("3000 USD", "500 USD"), None, Ending::Blocked))
        },
    },
    Scenario {
        name: "policy-completed-approved-at-confirm",
        why: "our policy asks for an approval only by the time of Confirm, and somebody signs it",
        system: courses::standard_with_late_instructions,
        drive: |world, id| {
            Box::pin(courses::stricter_at_confirm(world, id, ("1500 USD", "500 USD"), Some(true), Ending::Completed))
        },
    },
    Scenario {
        name: "policy-denied-at-confirm",
        why: "our policy asks for an approval only by the time of Confirm, and somebody says no: the provider cancels it",
        system: courses::standard_with_late_instructions,
        drive: |world, id| {
            Box::pin(courses::stricter_at_confirm(world, id, ("1500 USD", "500 USD"), Some(false), Ending::Denied))
        },
    },
    Scenario {
        name: "policy-completed-after-signed-release",
        why: "an operator holds it back, and somebody whom the policy names lets it go on, signed",
        system: courses::standard_with_late_instructions,
        drive: |world, id| Box::pin(courses::released_signed(world, id)),
    },
    Scenario {
        name: "policy-completed-after-refill",
        why: "too little in the wallet just before Confirm: a person refills it and lets it go on",
        system: || Options { organisation: instructions_after(86_000_000), ..quickly() },
        drive: |world, id| Box::pin(courses::refilled(world, id)),
    },
];
