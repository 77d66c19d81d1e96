//! FIFO queues as who links the library sees them: one body of checks, run over each home.
#![cfg(all(feature = "mapped", feature = "fifo", not(ringmain_loom)))]

mod common;
#[macro_use]
#[path = "common/over_each_home.rs"]
mod over_each_home;

#[path = "fifo/attempts.rs"]
mod attempts;
#[path = "fifo/basics.rs"]
mod basics;
#[path = "fifo/batches.rs"]
mod batches;
#[path = "fifo/dead.rs"]
mod dead;
#[path = "fifo/dedup.rs"]
mod dedup;
#[path = "fifo/fixed.rs"]
mod fixed;
#[path = "fifo/homes.rs"]
mod homes;
#[path = "fifo/limits.rs"]
mod limits;
#[path = "fifo/model.rs"]
mod model;
#[path = "fifo/reference.rs"]
mod reference;
#[path = "fifo/settings.rs"]
mod settings;
#[path = "fifo/upkeep.rs"]
mod upkeep;
#[path = "fifo/visibility.rs"]
mod visibility;
#[path = "fifo/waits.rs"]
mod waits;

over_each_home! {
    [in_a_value in_borrowed_bytes in_the_heap in_a_file in_shared_memory]
    attempts: a_repetition_gives_the_same a_repetition_begins_the_timeout_anew
        a_repetition_ends_at_what_is_gone an_attempt_is_kept_for_five_minutes
        attempt_ids_keep_the_rules a_purge_ends_attempts repetitions_count three_readers_are_told;
    basics: a_group_is_received_in_order a_locked_group_gives_nothing
        a_batch_drains_a_group_before_the_next duplicates_are_accepted_and_not_delivered
        what_comes_back_is_the_oldest_again expired_receipts_are_refused
        purge_clears_messages_and_window figures_count_what_was_accepted everything_comes_back
        groups_are_counted
        what_is_looked_at_has_its_place;
    dedup: ids_keep_the_rules ids_differ_by_any_byte the_body_is_its_id the_scope_is_the_group
        the_interval_is_exact;
    batches: a_batch_has_1_to_10_entries what_names_nothing_refuses_all
        receipts_are_settled_one_by_one a_foreign_receipt_is_refused;
    visibility: an_extension_holds_the_lock an_extension_has_bounds a_timeout_of_its_own
        parts_are_settled_in_any_order each_has_a_time_of_its_own groups_are_served_in_turn
        a_copy_is_settled_by_receipt a_delay_is_the_queues a_group_waits_behind_a_delay
        a_delay_holds_nobody_up_before_it;
    limits: as_many_are_in_flight_as_may_be the_quota_is_300_calls the_quota_counts_each_way
        sequence_numbers_grow;
    settings: some_may_be_changed;
    upkeep: retention_frees_the_group an_id_outlives_its_message purge_takes_all_once_a_minute
        a_peek_changes_nothing a_late_reader_keeps_the_bytes figures_are_right;
}

/// Where the options say how much there is of everything, and no type does.
mod of_any_size {
    over_each_home! {
        [in_borrowed_bytes in_the_heap in_a_file in_shared_memory]
        attempts: a_full_table_of_attempts_refuses;
        dedup: a_full_table_refuses_and_forgets_nothing a_duplicate_needs_no_room;
        batches: an_entry_fails_alone;
        limits: long_ids_and_bodies_come_back the_longest_body_is_told attributes_come_back;
        settings: options_are_told;
        upkeep: a_look_outlives_its_message;
    }
}
