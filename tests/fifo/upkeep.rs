//! Retention, purges, looks without a receive, figures.

use super::homes::{Ground, OPTIONS, VISIBILITY, bodies_of, delete};
use ringmain::{Error, MessageState, Region};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

pub fn retention_frees_the_group<R: Region>(on: &Ground<'_, R>) {
    on.with(OPTIONS.retention(2 * MINUTE), |on| {
        on.send("g", "1");
        on.pass(MINUTE);
        on.send("g", "2");
        on.send("h", "3");
        on.pass(MINUTE);
        // As old as may be, and then older.
        let first = on.receive_these(1, &["1"]).remove(0);
        first.release().expect("in flight");
        on.pass(MS);
        delete(on.receive_these(10, &["3", "2"]));
        let stat = on.stat();
        assert_eq!((stat.expired, stat.deleted), (1, 2));
        assert_eq!(stat.slots_free, stat.slots);
    });
    on.with(OPTIONS.retention(MINUTE), |on| {
        // One that is in flight may become as old as it likes.
        on.send("g", "1");
        on.send("g", "2");
        let held = on.receive_these(1, &["1"]).remove(0);
        let receipt = held.receipt();
        on.queue.extend(&receipt, 2 * MINUTE).expect("in flight");
        on.pass(MINUTE + MS);
        on.receive_these(10, &[]);
        on.send("g", "3");
        on.queue.release(&receipt).expect("in flight");
        delete(on.receive_these(10, &["3"]));
        assert_eq!(on.stat().expired, 2);
        drop(held);
    });
}

pub fn an_id_outlives_its_message<R: Region>(on: &Ground<'_, R>) {
    let options = OPTIONS.retention(MINUTE).dedup_interval(3 * MINUTE);
    on.with(options, |on| {
        on.send("g", "1");
        on.pass(MINUTE + MS);
        on.receive_these(10, &[]);
        assert_eq!(on.stat().expired, 1);
        assert!(on.send("g", "1").is_duplicate);
        on.receive_these(10, &[]);
    });
}

pub fn purge_takes_all_once_a_minute<R: Region>(on: &Ground<'_, R>) {
    let delayed = OPTIONS.delay(MINUTE / 2).content_dedup(true);
    on.with(delayed, |on| {
        for number in 0..10 {
            on.send(&format!("g{}", number % 3), &number.to_string());
        }
        on.pass(MINUTE / 2);
        let mut held = on.receive(5);
        let detached = held.remove(0).detach();
        held.remove(0).release().expect("in flight");
        for number in 10..15 {
            on.send(&format!("g{}", number % 3), &number.to_string());
        }
        assert_eq!(on.queue.purge(), Ok(15), "in flight and delayed too");
        on.receive_these(10, &[]);
        let stat = on.stat();
        assert_eq!((stat.visible, stat.in_flight, stat.delayed), (0, 0, 0));
        assert_eq!((stat.purged, stat.sent), (15, 15));
        assert_eq!(on.queue.delete(&detached), Ok(()));
        assert_eq!(on.queue.extend(&detached, MS), Err(Error::NotInFlight));
        assert_eq!(on.queue.release(&detached), Err(Error::NotInFlight));
        assert_eq!(bodies_of(&held).len(), 3, "read in place: as they were");
        drop(held);
        // Nothing is remembered, and no group is locked.
        for number in 0..15 {
            let sent = on.send(&format!("g{}", number % 3), &number.to_string());
            assert!(!sent.is_duplicate);
        }
        let wait_ms = 60_000;
        assert_eq!(on.queue.purge(), Err(Error::PurgedRecently { wait_ms }));
        on.pass(MINUTE - MS);
        let wait_ms = 1;
        assert_eq!(on.queue.purge(), Err(Error::PurgedRecently { wait_ms }));
        assert_eq!(on.receive(10).len(), 10);
        on.pass(MS);
        assert_eq!(on.queue.purge(), Ok(15));
    });
}

pub fn a_peek_changes_nothing<R: Region>(on: &Ground<'_, R>) {
    assert!(on.queue.peek().expect("a look").is_none());
    let sent = on.send("g", "1");
    on.send("g", "2");
    on.send("h", "3");
    for _ in 0..3 {
        let peeked = on.queue.peek().expect("a look").expect("a message");
        assert_eq!((peeked.body(), peeked.id()), (&b"1"[..], sent.id));
        assert_eq!((peeked.receive_count(), peeked.attributes().len()), (0, 0));
    }
    let held = on.receive_these(1, &["1"]);
    let states = || {
        let peeks = on.queue.peeks().map(|peeked| {
            let peeked = peeked.expect("a look");
            (peeked.body().to_vec(), peeked.state())
        });
        let mut states: Vec<_> = peeks.collect();
        states.sort_by(|a, b| a.0.cmp(&b.0));
        states
            .into_iter()
            .map(|(_, state)| state)
            .collect::<Vec<_>>()
    };
    let visible = MessageState::Visible;
    let found = states();
    assert!(matches!(found[0], MessageState::InFlight { .. }));
    assert_eq!(found[1..], [visible, visible]);
    delete(held);
    assert_eq!(states(), [visible, visible]);
    delete(on.receive_these(10, &["3", "2"]));
}

/// Who looks at a message holds up neither its group nor its delete; its slots come back later.
pub fn a_look_outlives_its_message<R: Region>(on: &Ground<'_, R>) {
    let long = [b'l'; 700]; // several slots
    on.queue.send("g", "1", &long).expect("room");
    on.send("g", "2");
    let first = on.queue.peek().expect("a look").expect("a message");
    let again = on.queue.peek().expect("a look").expect("a message");
    assert_eq!(first.id(), again.id());
    delete(on.receive(1));
    delete(on.receive_these(10, &["2"]));
    on.send("g", "3");
    assert_eq!((first.body(), again.body()), (&long[..], &long[..]));
    let stat = on.stat();
    assert_eq!((stat.visible, stat.in_flight), (1, 0));
    assert!(stat.slots_free < stat.slots - 1, "the bytes are still read");
    let ids = || {
        on.queue
            .peeks()
            .map(|one| one.expect("a look").body().to_vec())
    };
    assert_eq!(ids().collect::<Vec<_>>(), [b"3"]);
    drop(first);
    assert_eq!(again.body(), long);
    drop(again);
    delete(on.receive_these(10, &["3"]));
    let stat = on.stat();
    assert_eq!(stat.slots_free, stat.slots);
}

/// The same of one who has received it, and whose time is over.
pub fn a_late_reader_keeps_the_bytes<R: Region>(on: &Ground<'_, R>) {
    on.send("g", "1");
    on.send("g", "2");
    let late = on.receive_these(1, &["1"]).remove(0);
    on.pass(VISIBILITY);
    delete(on.receive_these(10, &["1", "2"]));
    on.send("g", "3");
    assert_eq!(late.body(), b"1");
    assert_eq!(late.delete(), Ok(()), "it is gone");
    delete(on.receive_these(10, &["3"]));
}

pub fn figures_are_right<R: Region>(on: &Ground<'_, R>) {
    let start = on.stat();
    assert_eq!((start.sent, start.oldest_age), (0, None));
    for number in 0..9 {
        on.send(&format!("g{}", number % 3), &number.to_string());
        on.pass(MS);
    }
    assert!(on.send("g0", "0").is_duplicate);
    let stat = on.stat();
    assert_eq!((stat.sent, stat.visible, stat.in_flight), (9, 9, 0));
    assert_eq!(stat.oldest_age, Some(9 * MS));
    assert_eq!(stat.slots_free, stat.slots - 9);
    let held = on.receive_these(4, &["0", "3", "6", "1"]);
    let stat = on.stat();
    assert_eq!((stat.visible, stat.in_flight, stat.received), (5, 4, 4));
    delete(held);
    on.receive_these(10, &["2", "5", "8", "4", "7"]);
    on.receive_these(10, &[]);
    let stat = on.stat();
    assert_eq!((stat.deleted, stat.empty_receives), (4, 1));
    assert_eq!((stat.sent, stat.received), (9, 9));
    assert_eq!(stat.attachments, start.attachments);
    on.queue.tend().expect("a look at the others");
    on.pass(VISIBILITY);
    assert_eq!(on.stat().visible, 5, "also before anybody receives");
}
