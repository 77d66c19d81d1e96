//! Locks and what ends them; delays.

use super::homes::{Ground, OPTIONS, VISIBILITY, delete};
use ringmain::{Error, Region};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOURS_12: Duration = Duration::from_secs(12 * 3600);

pub fn an_extension_holds_the_lock<R: Region>(on: &Ground<'_, R>) {
    on.send("g", "1");
    on.send("g", "2");
    let mut got = on.receive_these(1, &["1"]).remove(0);
    on.pass(VISIBILITY - MS);
    got.extend(2 * VISIBILITY).expect("in flight");
    on.pass(2 * VISIBILITY - MS);
    on.receive_these(10, &[]);
    on.pass(MS);
    assert_eq!(got.extend(SECOND), Err(Error::NotInFlight));
    assert_eq!(got.release(), Err(Error::NotInFlight));
    let received = on.receive_these(10, &["1", "2"]);
    assert_eq!(received[0].receive_count(), 2);
    delete(received);
}

pub fn an_extension_has_bounds<R: Region>(on: &Ground<'_, R>) {
    on.send("g", "1");
    let mut got = on.receive_these(1, &["1"]).remove(0);
    assert_eq!(got.extend(HOURS_12), Ok(()));
    on.pass(SECOND);
    let max = 12 * 3_600_000 - 1000;
    for (by, refused) in [(HOURS_12 - SECOND, false), (HOURS_12 - SECOND + MS, true)] {
        match got.extend(by) {
            Ok(()) => assert!(!refused),
            Err(Error::OutOfRange { max: found, .. }) => assert!(refused && found == max),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(got.extend(HOURS_12 + MS).is_err());
    got.extend(Duration::ZERO).expect("visible at once");
    assert_eq!(got.delete(), Err(Error::ExpiredReceipt));
    delete(on.receive_these(1, &["1"]));
}

pub fn a_timeout_of_its_own<R: Region>(on: &Ground<'_, R>) {
    for id in ["1", "2", "3"] {
        on.send("g", id);
    }
    let short = |max, bodies: &[&str], by| {
        let batch = on.queue.receive_batch_for(max, by).expect("a receive");
        let found: Vec<_> = batch.iter().map(|got| got.body().to_vec()).collect();
        let wanted: Vec<_> = bodies.iter().map(|body| body.as_bytes().to_vec()).collect();
        assert_eq!(found, wanted);
        batch
            .into_iter()
            .map(|got| got.detach())
            .collect::<Vec<_>>()
    };
    // With none each message comes once in a call, and again in the next one.
    for _ in 0..3 {
        let receipts = short(10, &["1", "2", "3"], Duration::ZERO);
        for receipt in receipts {
            assert_eq!(on.queue.delete(&receipt), Err(Error::ExpiredReceipt));
        }
    }
    short(2, &["1", "2"], SECOND);
    on.pass(SECOND - MS);
    short(10, &[], SECOND);
    on.pass(MS);
    short(1, &["1"], HOURS_12);
    on.pass(HOURS_12 - MS);
    short(10, &[], SECOND);
    on.pass(MS);
    let refused = on.queue.receive_batch_for(1, HOURS_12 + MS).map(|_| ());
    assert!(matches!(refused, Err(Error::OutOfRange { .. })));
    delete(on.receive_these(10, &["1", "2", "3"]));
}

pub fn parts_are_settled_in_any_order<R: Region>(on: &Ground<'_, R>) {
    let ids = ["1", "2", "3", "4", "5"];
    for (first, second) in [(0, 1), (1, 0), (3, 1), (2, 3)] {
        for id in ids {
            on.send("g", id);
        }
        let received = on.receive_these(4, &ids[..4]);
        let receipts: Vec<_> = received.into_iter().map(|got| got.detach()).collect();
        on.queue.delete(&receipts[first]).expect("a delete");
        on.receive_these(10, &[]);
        on.queue.release(&receipts[second]).expect("a release");
        on.receive_these(10, &[]);
        let rest: Vec<_> = (0..4).filter(|at| ![first, second].contains(at)).collect();
        on.queue.release(&receipts[rest[1]]).expect("a release");
        on.receive_these(10, &[]);
        on.queue.delete(&receipts[rest[0]]).expect("a delete");
        let left: Vec<_> = (0..5)
            .filter(|&at| at != first && at != rest[0])
            .map(|at| ids[at])
            .collect();
        delete(on.receive_these(10, &left));
        on.pass(Duration::from_secs(300));
    }
}

pub fn each_has_a_time_of_its_own<R: Region>(on: &Ground<'_, R>) {
    for id in ["1", "2", "3"] {
        on.send("g", id);
    }
    let mut received = on.receive_these(2, &["1", "2"]);
    received[0].extend(SECOND).expect("in flight");
    on.pass(SECOND);
    on.receive_these(10, &[]); // the second one locks
    assert_eq!(on.stat().visible, 2);
    received[1].extend(SECOND).expect("in flight");
    on.pass(SECOND - MS);
    on.receive_these(10, &[]);
    on.pass(MS);
    let again = on.receive_these(10, &["1", "2", "3"]);
    let counts: Vec<_> = again.iter().map(|got| got.receive_count()).collect();
    assert_eq!(counts, [2, 2, 1]);
    delete(again);
    assert_eq!(received.remove(0).delete(), Ok(()), "gone already");
}

pub fn groups_are_served_in_turn<R: Region>(on: &Ground<'_, R>) {
    for round in 0..3 {
        for group in ["a", "b", "c"] {
            on.send(group, &format!("{group}{round}"));
        }
    }
    for round in 0..3 {
        for group in ["a", "b", "c"] {
            delete(on.receive_these(1, &[&format!("{group}{round}")]));
        }
    }
}

pub fn a_copy_is_settled_by_receipt<R: Region>(on: &Ground<'_, R>) {
    on.send("g", "12345");
    on.send("g", "6");
    let mut buffer = [0; 4];
    let error = Error::BufferTooSmall { needed: 5, len: 4 };
    assert_eq!(on.queue.receive_into(&mut buffer), Err(error));
    let mut buffer = [0; 8];
    let copied = on.queue.receive_into(&mut buffer).expect("a receive");
    let copied = copied.expect("it is visible again");
    assert_eq!(
        (&buffer[..copied.len], copied.receive_count),
        (&b"12345"[..], 2)
    );
    assert_eq!(on.queue.receive_into(&mut buffer), Ok(None));
    on.queue.delete(&copied.receipt).expect("a delete");
    delete(on.receive_these(10, &["6"]));
}

pub fn a_delay_is_the_queues<R: Region>(on: &Ground<'_, R>) {
    let delay = Duration::from_secs(10);
    on.with(OPTIONS.delay(delay), |on| {
        on.send("a", "a1");
        on.pass(SECOND);
        on.send("a", "a2");
        on.send("b", "b1");
        on.pass(delay - SECOND - MS);
        on.receive_these(10, &[]);
        assert_eq!(on.stat().delayed, 3);
        on.pass(MS);
        let first = on.receive_these(10, &["a1"]);
        on.pass(SECOND);
        let other = on.receive_these(10, &["b1"]);
        delete(first);
        delete(on.receive_these(10, &["a2"]));
        delete(other);
    });
}

pub fn a_group_waits_behind_a_delay<R: Region>(on: &Ground<'_, R>) {
    let delay = Duration::from_secs(10);
    let set = |delay| {
        let changed = on.queue.reconfigure(|options| options.delay(delay));
        changed.expect("a delay");
    };
    set(delay);
    on.send("a", "a1");
    set(Duration::ZERO);
    on.send("a", "a2");
    on.send("b", "b1");
    delete(on.receive_these(10, &["b1"]));
    on.pass(delay - MS);
    on.receive_these(10, &[]);
    on.pass(MS);
    delete(on.receive_these(10, &["a1", "a2"]));
}

/// One that is delayed is not in flight: it holds up who is behind it, not who is before it.
pub fn a_delay_holds_nobody_up_before_it<R: Region>(on: &Ground<'_, R>) {
    on.send("a", "1");
    on.send("a", "2");
    delete(on.receive_these(2, &["1", "2"])); // two of one group
    on.send("a", "3");
    let delay = Duration::from_secs(10);
    let changed = on.queue.reconfigure(|options| options.delay(delay));
    changed.expect("a delay");
    on.send("a", "4");
    delete(on.receive_these(10, &["3"]));
    on.receive_these(10, &[]);
    on.pass(delay);
    delete(on.receive_these(10, &["4"]));
}
