//! Settings that change while the queue lives, ages, and the figures of what has happened.

use super::common::body;
use super::ground::{Ground, VISIBILITY};
use ringmain::{Error, Message, QueueStats, Region};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn stat<R: Region>(on: &Ground<'_, R>) -> QueueStats {
    on.queue.stat().expect("figures")
}

pub fn a_change_counts_from_the_next_call_on<R: Region>(on: &Ground<'_, R>) {
    let options = on.queue.options();
    on.send(b"first");
    let first = on.receive().detach();
    on.queue
        .reconfigure(options.visibility(SECOND))
        .expect("a change");
    assert_eq!(
        (stat(on).visibility, on.queue.options()),
        (SECOND, options.visibility(SECOND))
    );
    on.send(b"second");
    drop(on.receive());
    on.pass(SECOND);
    assert_eq!(on.receive().body(), b"second"); // the first has the old timeout
    on.queue.delete(&first).expect("a delete");
    on.pass(SECOND);
    on.receive().delete().expect("a delete");
    on.queue.reconfigure(options).expect("as it was");
    on.settled();
}

pub fn what_is_fixed_or_out_of_range_is_refused<R: Region>(on: &Ground<'_, R>) {
    let options = on.queue.options();
    let max = on.queue.max_body();
    let other = on.queue.reconfigure(options.max_body(max + 1));
    assert!(
        matches!(other, Err(Error::OptionsDiffer { .. })),
        "{other:?}"
    );
    let hours_12 = Duration::from_secs(12 * 3600);
    let days_14 = Duration::from_secs(14 * 86_400);
    let ranges = [
        (options.visibility(hours_12 + MS), "43200000"),
        (options.retention(MINUTE - MS), "60000"),
        (options.retention(days_14 + MS), "1209600000"),
    ];
    for (refused, bound) in ranges {
        let error = on.queue.reconfigure(refused).expect_err("out of range");
        assert!(error.to_string().contains(bound), "{error}");
        assert_eq!(on.queue.options(), options, "nothing has changed");
    }
    for bounds in [
        options.visibility(hours_12).retention(MINUTE),
        options.visibility(Duration::ZERO).retention(days_14),
    ] {
        on.queue.reconfigure(bounds).expect("in range");
        assert_eq!(on.queue.options(), bounds);
    }
    on.queue.reconfigure(options).expect("as it was");
}

pub fn ages_are_exact_to_the_millisecond<R: Region>(on: &Ground<'_, R>) {
    let options = on.queue.options();
    on.queue
        .reconfigure(options.retention(MINUTE))
        .expect("a minute");
    let before = stat(on).expired;
    for number in 0..20 {
        on.send(&body(number, on.queue.max_body().min(300)));
    }
    on.pass(MINUTE);
    assert_eq!(stat(on).oldest_age, Some(MINUTE));
    let held = on.receive();
    on.pass(MS);
    // Nobody asks for the old ones by name: any receive drops them all.
    on.nothing();
    assert_eq!(stat(on).expired, before + 19);
    held.delete().expect("its holder may finish it");
    on.settled();
    on.queue.reconfigure(options).expect("as it was");
}

pub fn a_full_queue_of_old_messages_takes_new_ones<R: Region>(on: &Ground<'_, R>) {
    let options = on.queue.options();
    on.queue
        .reconfigure(options.retention(MINUTE))
        .expect("a minute");
    let capacity = on.queue.capacity();
    for _ in 0..capacity {
        on.send(b"old");
    }
    on.pass(MINUTE);
    assert_eq!(on.queue.send(b"new"), Err(Error::Full));
    on.pass(MS);
    on.send(b"new");
    assert_eq!(on.receive().body(), b"new");
    on.pass(VISIBILITY);
    on.receive().delete().expect("a delete");
    on.settled();
    on.queue.reconfigure(options).expect("as it was");
}

pub fn a_shorter_retention_counts_for_what_is_there<R: Region>(on: &Ground<'_, R>) {
    let options = on.queue.options();
    on.send(b"two minutes old");
    on.pass(2 * MINUTE);
    on.send(b"new");
    on.queue
        .reconfigure(options.retention(MINUTE))
        .expect("a minute");
    assert_eq!(on.receive().body(), b"new");
    on.nothing();
    assert_eq!(on.queue.purge(), Ok(1), "only the new one is left");
    on.queue.reconfigure(options).expect("as it was");
    on.settled();
}

pub fn figures_count_what_has_happened<R: Region>(on: &Ground<'_, R>) {
    let before = stat(on);
    let since = || {
        let now = stat(on);
        let [sent, received, deleted, purged] = [
            now.sent - before.sent,
            now.received - before.received,
            now.deleted - before.deleted,
            now.purged - before.purged,
        ];
        (sent, received, deleted, purged)
    };
    let long = on.queue.max_body().min(300);
    for number in 0..12 {
        on.send(&body(number, if number % 3 == 0 { long } else { 20 }));
    }
    drop(on.queue.claim(20).expect("room")); // sends nothing
    on.queue
        .send_message(&Message::new("later").delay(SECOND))
        .expect("room");
    assert_eq!(since(), (13, 0, 0, 0));
    for _ in 0..3 {
        on.receive().release().expect("a release");
    }
    assert_eq!(since(), (13, 3, 0, 0), "each receive counts");
    let batch = on.queue.receive_batch(5).expect("a receive");
    let taken = batch.len() as u64;
    assert!(batch.delete().iter().all(Result::is_ok));
    assert_eq!(since(), (13, 3 + taken, taken, 0));
    for lap in 0..300 {
        on.send(&body(lap, 20));
        let received = on.receive();
        received.delete().expect("a delete");
    }
    let laps = (313, 303 + taken, 300 + taken, 0);
    assert_eq!(since(), laps, "slots are used again");
    let left = on.queue.purge().expect("a purge");
    assert_eq!(left, 13 - taken);
    assert_eq!(since(), (313, 303 + taken, 300 + taken, left));
    let empty = stat(on).empty_receives;
    on.nothing();
    assert_eq!(stat(on).empty_receives, empty + 1);
    on.settled();
}
