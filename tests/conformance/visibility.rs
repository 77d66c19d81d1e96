//! Visibility timeouts, exact to the millisecond.

use super::ground::{Ground, VISIBILITY};
use ringmain::{Error, Region};
use std::time::Duration;

const HOURS_12: Duration = Duration::from_secs(12 * 3600);
const MS: Duration = Duration::from_millis(1);

/// Nothing is visible until one millisecond is left of `time`; then it is.
fn hidden_for<R: Region>(on: &Ground<'_, R>, time: Duration) {
    on.nothing();
    on.pass(time - MS);
    on.nothing();
    assert_eq!(on.counts(), (0, 1));
    on.pass(MS);
    assert_eq!(on.counts(), (1, 0));
}

fn delete_what_is_there<R: Region>(on: &Ground<'_, R>, count: u32) {
    let received = on.receive();
    assert_eq!(received.receive_count(), count);
    received.delete().expect("a delete");
}

pub fn timeouts_are_exact_to_the_millisecond<R: Region>(on: &Ground<'_, R>) {
    on.send(b"again and again");
    for count in 1..5 {
        let received = on.receive();
        assert_eq!(received.receive_count(), count);
        drop(received);
        hidden_for(on, VISIBILITY);
    }
    delete_what_is_there(on, 5);
}

pub fn a_receive_may_have_its_own_timeout<R: Region>(on: &Ground<'_, R>) {
    on.send(b"own");
    for (count, ms) in [(1, 1), (2, 2), (3, 999), (4, 43_200_000)] {
        let time = Duration::from_millis(ms);
        let batch = on.queue.receive_batch_for(10, time).expect("a batch");
        assert_eq!((batch.len(), batch[0].receive_count()), (1, count));
        drop(batch);
        hidden_for(on, time);
    }
    delete_what_is_there(on, 5);
}

pub fn a_timeout_of_zero_hides_nothing<R: Region>(on: &Ground<'_, R>) {
    on.send(b"peek");
    for count in 1..6 {
        let batch = on
            .queue
            .receive_batch_for(10, Duration::ZERO)
            .expect("a batch");
        assert_eq!(batch.len(), 1, "once in a batch");
        assert_eq!(batch[0].receive_count(), count);
        drop(batch);
        assert_eq!(on.counts(), (1, 0));
    }
    delete_what_is_there(on, 6);
}

pub fn extend_counts_from_now<R: Region>(on: &Ground<'_, R>) {
    on.send(b"longer");
    let mut received = on.receive();
    on.pass(VISIBILITY - MS);
    received.extend(Duration::from_secs(5)).expect("an extend");
    hidden_for(on, Duration::from_secs(5));
    drop(received);

    // Shorter, too, and by receipt.
    let receipt = on.receive().detach();
    on.pass_ms(10);
    on.queue
        .extend(&receipt, Duration::from_millis(20))
        .expect("an extend");
    hidden_for(on, Duration::from_millis(20));
    delete_what_is_there(on, 3);
}

pub fn extend_by_zero_shows_at_once<R: Region>(on: &Ground<'_, R>) {
    on.send(b"shown");
    let mut received = on.receive();
    received.extend(Duration::ZERO).expect("an extend");
    assert_eq!(on.counts(), (1, 0));
    let receipt = on.receive().detach();
    on.queue
        .extend(&receipt, Duration::ZERO)
        .expect("an extend");
    assert_eq!(on.counts(), (1, 0));
    assert_eq!(received.body(), b"shown");
    drop(received);
    delete_what_is_there(on, 3);
}

pub fn extend_ends_twelve_hours_after_the_receive<R: Region>(on: &Ground<'_, R>) {
    on.send(b"at most 12 h");
    let mut received = on.receive();
    received.extend(HOURS_12).expect("12 h at once");
    on.pass(Duration::from_secs(3600));
    let eleven = HOURS_12 - Duration::from_secs(3600);
    let refused = received
        .extend(eleven + MS)
        .expect_err("a millisecond too long");
    assert!(
        matches!(
            refused,
            Error::OutOfRange {
                max: 39_600_000,
                ..
            }
        ),
        "{refused:?}"
    );
    let refused = on.queue.extend(&received.receipt(), eleven + MS);
    assert!(matches!(refused, Err(Error::OutOfRange { .. })));
    received.extend(eleven).expect("exactly 12 h");
    drop(received);
    hidden_for(on, eleven);
    delete_what_is_there(on, 2);
}

pub fn release_shows_at_once<R: Region>(on: &Ground<'_, R>) {
    on.send(b"back");
    on.receive().release().expect("a release");
    assert_eq!(on.counts(), (1, 0));
    let receipt = on.receive().detach();
    on.queue.release(&receipt).expect("a release");
    assert_eq!(on.counts(), (1, 0));
    assert_eq!(on.queue.release(&receipt), Err(Error::NotInFlight));
    delete_what_is_there(on, 3);
}

pub fn what_ran_out_is_no_longer_in_flight<R: Region>(on: &Ground<'_, R>) {
    // Whether or not anybody has looked since: the clock decides.
    for looked in [false, true] {
        on.send(b"late");
        let mut received = on.receive();
        let receipt = received.receipt();
        on.pass(VISIBILITY);
        if looked {
            on.send(b"other");
            let (first, second) = (on.receive(), on.receive());
            for message in [first, second] {
                if message.body() == b"late" {
                    message.release().expect("a release");
                } else {
                    message.delete().expect("a delete");
                }
            }
        }
        let expected = if looked {
            Error::StaleReceipt
        } else {
            Error::NotInFlight
        };
        let minute = Duration::from_secs(60);
        assert_eq!(
            received.extend(minute),
            Err(expected.clone()),
            "looked: {looked}"
        );
        assert_eq!(
            on.queue.extend(&receipt, minute),
            Err(expected.clone()),
            "looked: {looked}"
        );
        assert_eq!(
            on.queue.release(&receipt),
            Err(expected.clone()),
            "looked: {looked}"
        );
        assert_eq!(received.release(), Err(expected), "looked: {looked}");
        assert_eq!(on.counts(), (1, 0));
        on.receive().delete().expect("a delete");
        on.settled();
    }
}

pub fn timeouts_out_of_range_are_refused<R: Region>(on: &Ground<'_, R>) {
    on.send(b"kept");
    let mut received = on.receive();
    for time in [HOURS_12 + MS, Duration::from_secs(u64::MAX), Duration::MAX] {
        let refused = received.extend(time).expect_err("too long");
        assert!(refused.to_string().contains("43200000"), "{refused}");
        assert!(on.queue.extend(&received.receipt(), time).is_err());
        assert!(on.queue.receive_batch_for(1, time).is_err());
    }
    assert_eq!(on.counts(), (0, 1));
    drop(received);
    hidden_for(on, VISIBILITY);
    delete_what_is_there(on, 2);
}

pub fn a_clock_that_steps_back_changes_nothing<R: Region>(on: &Ground<'_, R>) {
    on.send(b"steady");
    let first = on.receive();
    let start = ringmain::Clock::now_ms(on.clock);
    on.pass_ms(10_000);
    on.nothing(); // the queue has seen this time
    on.clock.set_ms(start.saturating_sub(500_000));
    on.nothing();
    on.send(b"sent in the past");
    let past = on.receive();
    assert_eq!(past.body(), b"sent in the past");
    assert_eq!(
        past.sent_ms(),
        first.sent_ms() + 10_000,
        "time does not run backwards"
    );
    past.delete().expect("a delete");
    on.clock.set_ms(start);
    drop(first);
    hidden_for(on, VISIBILITY);
    delete_what_is_there(on, 2);
}

pub fn a_clock_that_leaps_ends_what_is_due<R: Region>(on: &Ground<'_, R>) {
    on.send(b"one");
    on.send(b"two");
    drop(on.queue.receive_batch_for(1, HOURS_12).expect("a batch"));
    drop(on.receive());
    on.pass(HOURS_12 - MS);
    assert_eq!(on.counts(), (1, 1));
    let short = on.receive();
    assert_eq!((short.body(), short.receive_count()), (&b"two"[..], 2));
    short.delete().expect("a delete");
    on.pass(MS);
    delete_what_is_there(on, 2);
}
