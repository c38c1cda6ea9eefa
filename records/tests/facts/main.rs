//! What the store promises, shown on SQLite and on a real Postgres alike.

mod approvals;
mod attempts;
mod audit;
mod claims;
mod counting;
mod database;
mod decisions;
mod due;
mod gates;
mod grants;
mod inbox;
mod killed;
mod lists;
mod objects;
mod policy;
mod racing;
mod revisions;
mod routes;
mod support;
mod upgrade;

/// Runs each fact on both databases.
macro_rules! facts {
    ($($about:ident: $($fact:ident),+;)+) => {
        mod on_sqlite {
            use crate::support::Store;
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $fact() {
                let store = Store::sqlite().await;
                crate::$about::$fact(&store).await;
                store.remove().await;
            })+)+
        }
        mod on_postgres {
            use crate::support::Store;
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $fact() {
                let store = Store::postgres().await;
                crate::$about::$fact(&store).await;
                store.remove().await;
            })+)+
        }
    };
}

facts! {
    claims:
        the_same_body_finds_its_own_claim_for_ever,
        another_body_is_a_conflict_for_ever,
        a_hundred_claims_at_once_make_one_payout,
        a_hundred_bodies_at_once_share_one_winner,
        the_first_stored_bytes_win,
        the_outcome_is_written_once,
        two_payouts_for_one_key_are_told_apart,
        one_payout_cannot_belong_to_two_keys,
        a_later_attempt_exists_only_when_a_retry_made_it,
        the_request_is_kept_with_the_first_claim,
        a_claim_says_why_its_gate_was_closed,
        input_the_databases_cannot_hold_is_refused_by_name,
        any_text_and_any_bytes_come_back_as_they_went_in;
    gates:
        a_hundred_racing_for_the_gate_have_one_winner_and_every_loser_learns_it,
        a_taken_gate_tells_for_what_and_since_when,
        a_gate_opens_only_for_the_body_that_claimed_it,
        a_closed_gate_stays_closed_and_says_why,
        a_confirm_is_noted_only_behind_a_taken_gate,
        an_outcome_closes_a_gate_that_was_open;
    database:
        a_call_given_up_half_way_leaves_nothing_half,
        rows_cannot_be_deleted_or_rewritten_even_by_hand,
        the_clock_moves_for_every_process,
        many_processes_may_open_a_new_database_at_once,
        a_database_of_a_newer_build_is_refused_unless_it_only_adds,
        a_database_of_another_program_is_refused,
        a_store_that_was_closed_says_so;
    attempts:
        the_next_attempt_is_for_the_same_request_and_closes_the_gate_before_it,
        exactly_one_of_eight_opens_the_next_attempt,
        an_attempt_that_may_not_follow_changes_nothing,
        a_confirm_and_a_retry_at_once_never_both_win,
        only_the_newest_attempt_can_be_followed,
        a_payout_has_at_most_a_hundred_attempts;
    objects:
        the_first_mapping_stays_for_ever,
        a_noted_payout_is_mapped_in_the_same_breath,
        a_hundred_mapping_one_object_agree;
    inbox:
        an_event_is_kept_once_and_counted,
        a_hundred_storing_one_event_keep_it_once,
        an_event_comes_back_as_it_was_stored,
        a_delivery_is_marked_for_the_right_payout_alone,
        old_events_are_forgotten_but_never_one_a_payout_waits_for,
        one_call_forgets_a_bounded_number,
        events_are_listed_newest_first_without_skipping_or_repeating,
        an_event_the_databases_cannot_hold_is_refused_by_name;
    routes:
        an_event_waits_until_its_object_is_mapped,
        an_event_of_a_mapped_object_is_routed_at_once_and_joins_the_others,
        an_event_that_names_a_claimed_key_is_routed_by_it,
        an_event_that_names_a_key_waits_until_it_is_claimed,
        an_event_that_names_another_payout_is_kept_and_never_delivered,
        an_event_between_two_payouts_belongs_to_neither,
        storing_and_mapping_at_once_lose_no_event,
        a_chain_of_events_at_once_is_found_whole;
    due:
        due_are_those_with_a_payout_that_were_not_delivered_the_oldest_first,
        an_event_is_due_only_when_it_has_not_come_for_a_while,
        an_event_that_nobody_looked_after_finds_its_payout_later,
        what_is_due_is_found_by_an_index;
    lists:
        pages_skip_nothing_and_repeat_nothing_while_rows_are_added,
        each_filter_does_what_it_says;
    upgrade:
        what_the_first_build_wrote_survives;
    decisions:
        a_decision_is_kept_with_its_facts_and_reserves_once,
        a_payout_that_is_not_claimed_so_is_not_decided,
        a_forecast_counts_as_a_decision_does_and_leaves_nothing_behind,
        an_open_reservation_follows_the_newest_decision_but_a_block_leaves_it,
        what_is_settled_is_never_opened_again,
        an_ended_payout_is_settled_with_its_outcome_and_not_decided_again,
        a_decision_is_as_old_as_the_first_that_says_the_same,
        a_hundred_deciding_for_what_fits_seven_times_reserve_seven,
        deciding_and_ending_at_once_leave_nothing_reserved,
        what_is_in_flight_is_what_others_confirm_from_the_same_wallet,
        open_reservations_come_the_oldest_first_in_pages;
    counting:
        what_is_spent_ages_from_its_confirm_and_what_is_open_never_does,
        a_second_confirm_is_the_one_that_counts_and_the_gate_where_none_was_noted,
        a_question_counts_what_matches_in_all_its_dimensions,
        a_payout_is_not_counted_against_itself,
        what_has_no_known_worth_is_counted_as_such,
        sums_go_beyond_what_a_database_counts_to,
        the_past_is_what_was_paid_to_the_counterparty_and_by_the_program,
        a_decision_among_many_is_right_and_quick;
    approvals:
        the_first_word_of_a_person_for_a_group_stands,
        whoever_is_made_void_may_decide_anew,
        a_hundred_words_of_one_person_at_once_are_one,
        an_approval_that_cannot_be_kept_is_refused_by_name;
    revisions:
        a_revision_follows_the_newest_or_is_not_added,
        signatures_stand_beside_a_revision_as_they_came,
        of_a_hundred_at_once_one_is_the_next_revision;
    audit:
        what_happens_is_on_the_record_once,
        what_is_not_written_leaves_no_record,
        records_of_many_at_once_are_one_chain,
        a_checkpoint_is_of_a_head_that_was,
        every_record_flipped_dropped_swapped_or_cut_is_found,
        tampering_in_the_database_is_found;
}
