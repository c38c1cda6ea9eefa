//! What the store promises, shown on SQLite and on a real Postgres alike.

mod claims;
mod database;
mod gates;
mod killed;
mod support;

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
        a_database_of_a_newer_build_is_refused,
        a_database_of_another_program_is_refused,
        a_store_that_was_closed_says_so;
}
