//! Streams, in each home: `cargo test --test stream`.
#![cfg(all(
    feature = "stream",
    feature = "fifo",
    feature = "mapped",
    not(ringmain_loom)
))]

#[path = "../common/mod.rs"]
mod common;
#[macro_use]
#[path = "../common/over_each_home.rs"]
mod over_each_home;

mod basics;
mod consumer_damage;
mod consumer_lives;
mod consumers;
mod cursors;
mod damage;
mod demand;
#[cfg(feature = "async")]
mod futures;
mod homes;
mod limits;
mod model;
mod placement;
mod processes;
mod producer;
#[cfg(feature = "async")]
mod producer_futures;
mod producer_model;
mod producer_threads;
mod quotas;
mod reading;
mod reference;
mod reshard;
mod resharders;
mod subscriptions;
mod threads;
mod waiting;
mod writers;

over_each_home! {
    [in_borrowed_bytes in_the_heap in_a_file in_shared_memory in_a_region_opened_twice]
    consumers: names_are_those_of_kinesis as_many_as_there_may_be a_consumer_is_one_registration
        roster_and_map_agree a_name_has_one_holder each_has_a_quota_of_its_own
        without_quotas_it_has_none where_it_stands_is_told;
    subscriptions: a_young_one_is_not_taken_over it_lasts_five_minutes
        a_closed_shard_tells_its_children each_end_wakes one_of_several_subscriptions;
    cursors: each_place_is_found the_latest_is_what_comes what_is_read_in_place_stays
        what_is_being_written_stays an_idle_cursor_is_in_nobodys_way a_lag_loses_nothing
        what_is_lost_is_told_once a_claim_hides_no_place a_claim_sends_nobody_back
        given_up_room_ends_nothing;
    demand: a_peak_is_doubled a_second_is_found_in_an_hour a_month_goes_by provisioned_shards_stay
        a_stream_on_demand_begins_with_four;
    limits: keys_have_1_to_256_characters data_has_0_to_max_bytes the_longest_data_is_told
        batches_have_1_to_500_records batches_have_10_mib a_refused_record_hurts_no_other
        options_have_bounds a_small_region_says_what_is_needed readers_are_limited
        a_shard_is_of_its_stream options_that_differ_are_told the_same_options_open_again
        a_queue_is_no_stream;
    model: stream_and_model_agree;
    placement: each_way_of_putting_places_alike what_places_is_kept;
    writers: a_writer_has_the_shard_to_itself a_writer_goes_round
        a_tail_that_was_given_back_is_found a_full_shard_refuses_a_writer
        a_writer_puts_what_is_as_long_as_a_segment a_writer_is_of_its_shard;
    reshard: a_split_is_exact a_merge_is_exact a_split_that_cannot_be_is_refused
        a_place_is_used_again a_claim_stays_in_its_shard a_child_is_no_older_than_its_parents
        each_key_keeps_its_order;
    quotas: a_second_has_1000_records a_second_has_1_mib a_second_has_2_mib_read
        without_the_option_there_is_none;
    producer: records_linger a_full_batch_is_put who_takes_outcomes_is_not_refused
        small_records_share_one nobody_overtakes_its_key
        a_second_has_1000_aggregates refused_records_are_tried_again
        a_time_is_over_after_a_last_try a_full_producer_loses_nothing an_end_is_a_last_try
        a_split_sorts_anew producers_have_bounds;
    producer_model: each_outcome_is_true;
    waiting: a_wait_ends_by_itself each_change_wakes all_who_wait_are_woken
        a_closed_shard_wakes one_of_several_is_named;
}
