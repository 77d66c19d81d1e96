//! One body of checks, run over each home: a static queue, one on the stack, the heap, and mapped
//! files in the temporary directory and in shared memory. The checks know nothing of the home; the
//! clock is set by hand, so each timeout is exact to the millisecond. Each check begins with an
//! empty queue and ends by showing that every slot has come back.
#![cfg(all(feature = "mapped", not(ringmain_loom)))]

mod common;

#[path = "conformance/attributes.rs"]
mod attributes;
#[path = "conformance/basics.rs"]
mod basics;
#[path = "conformance/batches.rs"]
mod batches;
#[path = "conformance/delays.rs"]
mod delays;
#[path = "conformance/ground.rs"]
mod ground;
#[path = "conformance/homes.rs"]
mod homes;
#[path = "conformance/pins.rs"]
mod pins;
#[path = "conformance/receipts.rs"]
mod receipts;
#[path = "conformance/settings.rs"]
mod settings;
#[path = "conformance/sizes.rs"]
mod sizes;
#[path = "conformance/upkeep.rs"]
mod upkeep;
#[path = "conformance/visibility.rs"]
mod visibility;

macro_rules! over_each_home {
    ($($module:ident: $($check:ident)*;)*) => {
        over_each_home!(@home in_a_static $($module: $($check)*;)*);
        over_each_home!(@home on_the_stack $($module: $($check)*;)*);
        over_each_home!(@home in_the_heap $($module: $($check)*;)*);
        over_each_home!(@home in_a_file $($module: $($check)*;)*);
        over_each_home!(@home in_shared_memory $($module: $($check)*;)*);
    };
    (@home $home:ident $($module:ident: $($check:ident)*;)*) => {
        mod $home {
            $($(
                #[test]
                fn $check() {
                    crate::homes::$home(crate::$module::$check);
                }
            )*)*
        }
    };
}

over_each_home! {
    basics: what_is_sent_is_received_until_deleted order_is_close_to_send_order
        claims_are_sent_by_commit_alone ids_counts_and_times_are_told
        sizes_beyond_the_limits_are_refused a_full_queue_says_so_and_has_room_again
        many_laps_lose_nothing;
    visibility: timeouts_are_exact_to_the_millisecond a_receive_may_have_its_own_timeout
        a_timeout_of_zero_hides_nothing extend_counts_from_now extend_by_zero_shows_at_once
        extend_ends_twelve_hours_after_the_receive release_shows_at_once
        what_ran_out_is_no_longer_in_flight timeouts_out_of_range_are_refused
        a_clock_that_steps_back_changes_nothing a_clock_that_leaps_ends_what_is_due;
    receipts: a_late_delete_is_good_until_received_again a_stale_receipt_deletes_nothing
        deleting_twice_is_no_error a_deleted_message_is_not_extended
        foreign_receipts_are_refused malformed_receipts_are_refused
        forged_receipts_change_nothing receipts_survive_as_text detach_gives_the_receipt;
    batches: batches_have_one_to_ten_entries a_batch_carries_each_entry
        an_entry_fails_alone a_batch_fills_what_room_there_is receipts_fail_alone
        batches_settle_by_handle;
    pins: a_borrowed_body_outlives_its_message two_former_readers_read_at_once
        a_third_reader_waits_for_a_former_one a_body_deleted_by_receipt_is_still_read
        a_body_released_by_receipt_is_still_read former_readers_may_settle_late
        a_refused_release_leaves_the_reader_its_bytes
        purge_leaves_readers_their_bytes;
    sizes: sizes_mix_and_memory_comes_back long_bodies_take_runs
        a_small_buffer_leaves_the_message copies_are_whole runs_fit_where_others_left;
    upkeep: purge_removes_everything_sent retention_drops_what_is_old
        old_messages_do_not_hide_a_new_one stat_tells_what_is_there;
    delays: delays_are_exact_to_the_millisecond a_message_may_have_its_own_delay
        every_way_to_send_is_delayed a_delayed_message_has_no_receipt
        delays_out_of_range_are_refused;
    attributes: attributes_come_as_they_were_sent body_and_attributes_count_together
        a_copy_is_of_the_body_alone batches_of_messages_have_one_to_ten;
    settings: a_change_counts_from_the_next_call_on what_is_fixed_or_out_of_range_is_refused
        ages_are_exact_to_the_millisecond a_full_queue_of_old_messages_takes_new_ones
        a_shorter_retention_counts_for_what_is_there figures_count_what_has_happened;
}

/// Queues in two statics are two queues: the receipt of one is foreign to the other.
#[test]
fn receipts_of_another_static_are_foreign() {
    use ringmain::{Error, Fixed, ManualClock, Queue, QueueOptions};
    static CLOCK: ManualClock = ManualClock::new(5);
    static ONE: Queue<Fixed<4, 8>, &ManualClock> = Queue::fixed(&CLOCK, QueueOptions::new());
    static OTHER: Queue<Fixed<4, 8>, &ManualClock> = Queue::fixed(&CLOCK, QueueOptions::new());
    let id = ONE.send(b"one").expect("room");
    let other_id = OTHER.send(b"other").expect("room");
    let receipt = ONE.receive().expect("works").expect("one").detach();
    let kept = OTHER.receive().expect("works").expect("other");
    assert_eq!(OTHER.delete(&receipt), Err(Error::ForeignReceipt));
    assert_ne!(id, other_id, "ids are unique over queues");
    assert_eq!(kept.body(), b"other");
}

/// The message is visible again at once, so there is nothing to release: that is no other error.
#[test]
fn a_small_buffer_is_told_without_visibility_too() {
    use ringmain::{Error, Heap, ManualClock, Queue, QueueOptions};
    let clock = ManualClock::new(5);
    let options = QueueOptions::new().visibility(std::time::Duration::ZERO);
    let region = Heap::new(1 << 14).expect("memory");
    let queue = Queue::create_with(region, options, &clock).expect("a queue");
    queue.send(b"12345678").expect("room");
    for _ in 0..3 {
        let error = Error::BufferTooSmall { needed: 8, len: 7 };
        assert_eq!(queue.receive_into(&mut [0; 7]), Err(error));
    }
    let copied = queue.receive_into(&mut [0; 8]).expect("a receive");
    assert_eq!(copied.map(|copied| copied.receive_count), Some(4));
}
