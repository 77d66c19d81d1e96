//! One body of checks, run over each home: a static queue, one on the stack, the heap, and mapped
//! files in the temporary directory and in shared memory. The checks know nothing of the home; the
//! clock is set by hand, so each timeout is exact to the millisecond. Each check begins with an
//! empty queue and ends by showing that every slot has come back.
#![cfg(all(feature = "mapped", not(ringmain_loom)))]

mod common;
#[macro_use]
#[path = "common/over_each_home.rs"]
mod over_each_home;

#[path = "conformance/attributes.rs"]
mod attributes;
#[path = "conformance/basics.rs"]
mod basics;
#[path = "conformance/batches.rs"]
mod batches;
#[path = "conformance/delays.rs"]
mod delays;
#[path = "conformance/figures.rs"]
mod figures;
#[path = "conformance/ground.rs"]
mod ground;
#[path = "conformance/homes.rs"]
mod homes;
#[path = "conformance/latency.rs"]
mod latency;
#[path = "conformance/peeks.rs"]
mod peeks;
#[path = "conformance/pins.rs"]
mod pins;
#[path = "conformance/receipts.rs"]
mod receipts;
#[path = "conformance/retention.rs"]
mod retention;
#[path = "conformance/settings.rs"]
mod settings;
#[path = "conformance/sizes.rs"]
mod sizes;
#[path = "conformance/upkeep.rs"]
mod upkeep;
#[path = "conformance/visibility.rs"]
mod visibility;

over_each_home! {
    [in_a_static on_the_stack in_the_heap in_a_file in_shared_memory]
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
    peeks: a_peek_changes_nothing a_walk_meets_each_message_once
        a_peeked_body_outlives_its_message two_peek_at_once_and_a_third_passes_by
        a_peek_passes_a_message_by_that_is_read_twice a_holder_waits_for_two_who_peek
        what_is_too_old_is_not_peeked a_walk_is_bounded_in_each_step purges_come_once_a_minute
        a_clock_set_back_lets_purge;
    sizes: sizes_mix_and_memory_comes_back long_bodies_take_runs
        a_small_buffer_leaves_the_message copies_are_whole runs_fit_where_others_left;
    upkeep: purge_removes_everything_sent retention_drops_what_is_old
        old_messages_do_not_hide_a_new_one stat_tells_what_is_there;
    delays: delays_are_exact_to_the_millisecond delays_out_of_range_are_refused
        a_queues_delay_is_for_each_message a_messages_delay_goes_before_the_queues
        a_new_delay_is_for_new_messages batches_carry_each_delay
        claims_are_delayed_from_their_commit delayed_messages_are_purged
        receipts_forged_for_delayed_messages_are_refused delays_of_a_full_queue_end_one_by_one
        long_bodies_are_delayed;
    attributes: attributes_are_read_as_they_were_sent long_attributes_take_runs
        body_and_attributes_count_together each_entry_has_its_own_attributes
        receive_into_copies_the_body_alone attributes_survive_redelivery no_attributes_stay_behind;
    retention: retention_is_exact_to_the_millisecond a_receive_drops_all_that_are_too_old
        a_send_into_a_full_queue_drops_what_is_too_old a_held_message_is_finished_by_its_holder
        a_released_message_that_is_too_old_goes a_full_queue_drops_what_was_released
        age_counts_from_the_send another_retention_is_for_what_is_there;
    settings: options_are_told both_ends_of_each_range_may_be_set
        a_new_visibility_is_for_later_receives
        changes_at_once_do_not_undo_each_other options_are_read_by_name
        fixed_options_are_not_changed settings_out_of_range_change_nothing;
    figures: sends_and_receives_are_counted what_did_not_happen_is_not_counted
        runs_and_batches_are_counted a_small_buffer_counts_as_a_receive
        expiry_and_purge_are_counted the_oldest_age_is_told;
    latency: each_receive_has_a_bucket batches_count_each_of_their_messages
        what_nobody_gets_has_no_latency;
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

/// What one handle sets, another goes by.
fn both_go_by_new_settings<R: ringmain::Region>(
    first: &ringmain::Queue<R, &ringmain::ManualClock>,
    second: &ringmain::Queue<R, &ringmain::ManualClock>,
    clock: &ringmain::ManualClock,
) {
    use std::time::Duration;
    assert_eq!(second.options(), first.options());
    let (second_s, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    let options = first.options().visibility(second_s).delay(second_s);
    let changed = first.reconfigure(|options| options.visibility(second_s).delay(second_s));
    changed.expect("other settings");
    assert_eq!(second.options(), options);
    second.send(b"delayed").expect("room");
    assert!(second.receive().expect("a receive").is_none());
    clock.advance(second_s);
    drop(second.receive().expect("a receive").expect("a message"));
    clock.advance(second_s);
    drop(first.receive().expect("a receive").expect("it came back"));
    let options = second.options().retention(minute).visibility(minute);
    let changed = second.reconfigure(|options| options.retention(minute).visibility(minute));
    changed.expect("other settings");
    clock.advance(minute - second_s * 2);
    let received = first.receive().expect("a receive").expect("it came back");
    clock.advance(minute);
    assert!(first.receive().expect("a receive").is_none());
    assert_eq!(second.stat().expect("figures").expired, 1);
    assert_eq!(received.delete(), Ok(()), "gone already");
    assert_eq!((first.options(), second.options()), (options, options));
}

#[test]
fn another_handle_goes_by_new_settings() {
    use ringmain::{Fixed, Heap, ManualClock, Queue, QueueOptions};
    let clock = ManualClock::new(1_000_000);
    let region = Heap::new(256 << 10).expect("memory");
    let first = Queue::create_with(&region, QueueOptions::new(), &clock).expect("a queue");
    let second = Queue::open_with(&region, &clock).expect("the same queue");
    both_go_by_new_settings(&first, &second, &clock);
    // A queue that comes with its memory has one handle, which is shared.
    let only: Queue<Fixed<100, 96, 2>, _> = Queue::fixed(&clock, QueueOptions::new());
    both_go_by_new_settings(&only, &only, &clock);
}

/// Another attachment, too, and who opens the file later.
#[test]
fn another_attachment_goes_by_new_settings() {
    use ringmain::{ManualClock, Mapped, Queue, QueueOptions};
    let dir = common::Dir::shm("conformance");
    let (path, clock) = (dir.file("q.ring"), ManualClock::new(1_000_000));
    let region = Mapped::create(&path, 256 << 10).expect("a region");
    let first = Queue::create_with(&region, QueueOptions::new(), &clock).expect("a queue");
    let second = Mapped::open(&path).expect("a region");
    let second = Queue::open_with(&second, &clock).expect("the same queue");
    both_go_by_new_settings(&first, &second, &clock);
    let third = Mapped::open(&path).expect("a region");
    let third = Queue::open_with(&third, &clock).expect("the same queue");
    assert_eq!(third.options(), first.options());
}

/// More old messages than one call looks at: those that a receive meets are dropped, and do not
/// count as received.
#[test]
fn what_is_set_aside_was_not_received() {
    use ringmain::{Heap, ManualClock, Queue, QueueOptions};
    use std::time::Duration;
    let clock = ManualClock::new(1_000_000);
    let minute = Duration::from_secs(60);
    let options = QueueOptions::new().typical_body(48).retention(minute);
    let region = Heap::new(1 << 20).expect("memory");
    let queue = Queue::create_with(region, options, &clock).expect("a queue");
    let capacity = queue.capacity() as u64;
    assert!(capacity > 65 * 64, "more than 64 blocks");
    for number in 0..capacity {
        queue.send(&number.to_le_bytes()).expect("room");
    }
    clock.advance(minute + Duration::from_millis(1));
    assert!(queue.receive().expect("a receive").is_none());
    let stat = queue.stat().expect("figures");
    assert_eq!((stat.sent, stat.received, stat.deleted), (capacity, 0, 0));
    assert_eq!((stat.expired, stat.slots_free), (capacity, capacity));
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
