//! Figures of what has ever happened, exact while nobody competes.

use super::common::body;
use super::ground::{Ground, VISIBILITY};
use ringmain::{Message, Region};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// What has happened since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Since {
    sent: u64,
    received: u64,
    deleted: u64,
    empty: u64,
    expired: u64,
    purged: u64,
}

/// Looks at the figures, each time at what has been added.
struct Watch<'g, 'a, R: Region> {
    on: &'g Ground<'a, R>,
    before: Since,
}

impl<'g, 'a, R: Region> Watch<'g, 'a, R> {
    fn new(on: &'g Ground<'a, R>) -> Self {
        let mut watch = Self {
            on,
            before: Since::default(),
        };
        watch.before = watch.now();
        watch
    }

    fn now(&self) -> Since {
        let stat = self.on.stat();
        assert_eq!(stat.damaged, 0);
        Since {
            sent: stat.sent,
            received: stat.received,
            deleted: stat.deleted,
            empty: stat.empty_receives,
            expired: stat.expired,
            purged: stat.purged,
        }
    }

    /// Since the last look exactly this has happened.
    #[track_caller]
    fn see(&mut self, expected: Since) {
        let (now, before) = (self.now(), self.before);
        let found = Since {
            sent: now.sent - before.sent,
            received: now.received - before.received,
            deleted: now.deleted - before.deleted,
            empty: now.empty - before.empty,
            expired: now.expired - before.expired,
            purged: now.purged - before.purged,
        };
        assert_eq!(found, expected);
        self.before = now;
    }
}

pub fn sends_and_receives_are_counted<R: Region>(on: &Ground<'_, R>) {
    let mut watch = Watch::new(on);
    let none = Since::default();
    watch.see(none);
    for number in 0..5 {
        on.send(&body(number, 9));
    }
    watch.see(Since { sent: 5, ..none });
    let (first, second) = (on.receive(), on.receive());
    watch.see(Since {
        received: 2,
        ..none
    });
    first.delete().expect("a delete");
    second.release().expect("a release");
    watch.see(Since { deleted: 1, ..none });
    let again: Vec<_> = (0..4).map(|_| on.receive()).collect();
    on.nothing();
    on.nothing();
    watch.see(Since {
        received: 4,
        empty: 2,
        ..none
    });
    on.pass(VISIBILITY);
    drop(again);
    let batch = on.queue.receive_batch(10).expect("a batch");
    let len = batch.len() as u64;
    assert!(len > 0);
    watch.see(Since {
        received: len,
        ..none
    });
    assert!(batch.delete().iter().all(|outcome| outcome.is_ok()));
    watch.see(Since {
        deleted: len,
        ..none
    });
    assert_eq!(on.queue.purge(), Ok(4 - len));
    watch.see(Since {
        purged: 4 - len,
        ..none
    });
}

/// Neither is what was refused, given up, or done in vain.
pub fn what_did_not_happen_is_not_counted<R: Region>(on: &Ground<'_, R>) {
    let mut watch = Watch::new(on);
    let none = Since::default();
    for _ in 0..3 {
        on.queue.claim(5).expect("room").abort();
        drop(on.queue.claim(on.queue.max_body()).expect("room"));
    }
    let too_long = vec![0; on.queue.max_body() + 1];
    assert!(on.queue.send(b"").is_err() && on.queue.send(&too_long).is_err());
    let late = Message::new("x").delay(MINUTE * 16);
    assert!(on.queue.send_message(&late).is_err());
    assert!(on.queue.receive_batch(0).is_err() && on.queue.receive_batch(11).is_err());
    watch.see(none);
    on.queue.claim(5).expect("room").commit();
    watch.see(Since { sent: 1, ..none });
    let receipt = on.receive().detach();
    on.queue.extend(&receipt, MINUTE).expect("an extend");
    on.queue.delete(&receipt).expect("a delete");
    assert_eq!(on.queue.delete(&receipt), Ok(()), "a second delete");
    watch.see(Since {
        received: 1,
        deleted: 1,
        ..none
    });
    // A full queue refuses; what it refused was not sent.
    let room = on.slots_free();
    let mut left = room + 5;
    while left > 0 {
        let len = left.min(10);
        let sent = on.queue.send_batch(&vec![b"x"; len as usize]);
        assert_eq!(sent.map(|outcomes| outcomes.len() as u64), Ok(len));
        left -= len;
    }
    watch.see(Since { sent: room, ..none });
    // A stale receipt deletes nothing.
    let first = on.receive();
    on.pass(VISIBILITY);
    let again = on.queue.receive_batch(10).expect("a batch").len() as u64;
    let stale = first.delete().is_err();
    watch.see(Since {
        received: 1 + again,
        deleted: u64::from(!stale),
        ..none
    });
    let left = room - u64::from(!stale);
    assert_eq!(on.queue.purge(), Ok(left));
    watch.see(Since {
        purged: left,
        ..none
    });
}

/// Messages of several slots count once, and so do those with attributes and delays.
pub fn runs_and_batches_are_counted<R: Region>(on: &Ground<'_, R>) {
    let mut watch = Watch::new(on);
    let none = Since::default();
    let max = on.queue.max_body();
    let lens = [1, 112.min(max), 113.min(max), max.min(3000), max / 2];
    for round in 0..4 {
        for len in lens {
            on.send(&body(round, len));
        }
        watch.see(Since { sent: 5, ..none });
        let bodies = lens.map(|len| body(round, len.min(500)));
        let sent = on.queue.send_batch(&bodies).expect("a batch");
        let sent = sent.iter().filter(|outcome| outcome.is_ok()).count() as u64;
        watch.see(Since { sent, ..none });
        let messages = [0, 1].map(|ms| {
            let message = Message::new("x").string("name", "a value");
            message.expect("text").delay(MS * ms)
        });
        let outcomes = on.queue.send_messages(&messages).expect("a batch");
        assert!(outcomes.iter().all(|outcome| outcome.is_ok()));
        watch.see(Since { sent: 2, ..none });
        on.pass(MS);
        let all = 5 + sent + 2;
        for number in 0..all {
            let received = on.receive();
            received.release().expect("a release");
            watch.see(Since {
                received: 1,
                ..none
            });
            let mut buffer = vec![0; max];
            let copied = on.queue.receive_into(&mut buffer).expect("a receive");
            on.queue
                .delete(&copied.expect("a message").receipt)
                .expect("a delete");
            watch.see(Since {
                received: 1,
                deleted: 1,
                ..none
            });
            assert_eq!(on.counts(), (all - 1 - number, 0));
        }
        on.nothing();
        watch.see(Since { empty: 1, ..none });
    }
}

/// A copy into a buffer that is too small is a receive, and nothing else.
pub fn a_small_buffer_counts_as_a_receive<R: Region>(on: &Ground<'_, R>) {
    let mut watch = Watch::new(on);
    on.send(b"12345678");
    assert!(on.queue.receive_into(&mut [0; 7]).is_err());
    on.receive().delete().expect("a delete");
    assert_eq!(on.queue.receive_into(&mut [0; 7]), Ok(None));
    watch.see(Since {
        sent: 1,
        received: 2,
        deleted: 1,
        empty: 1,
        ..Since::default()
    });
}

/// What ends by its age was not deleted; what is purged neither, held, delayed and read or not.
pub fn expiry_and_purge_are_counted<R: Region>(on: &Ground<'_, R>) {
    on.set(|options| options.retention(MINUTE));
    let mut watch = Watch::new(on);
    let none = Since::default();
    for number in 0..6 {
        on.send(&body(number, 60));
    }
    let released = on.receive();
    let late = on.receive();
    on.pass(MINUTE - VISIBILITY / 2);
    let held = on.receive();
    on.pass(VISIBILITY / 2);
    assert!(released.release().is_err(), "its time is over");
    on.pass(MS);
    on.nothing();
    watch.see(Since {
        sent: 6,
        received: 3,
        empty: 1,
        expired: 5,
        ..none
    });
    assert_eq!(late.delete(), Ok(()), "gone already");
    watch.see(none);
    held.release().expect("a release");
    on.nothing();
    watch.see(Since {
        empty: 1,
        expired: 1,
        ..none
    });
    on.settled();
    on.send(b"visible");
    let held = on.receive();
    on.send(b"visible");
    on.send_message(&Message::new("delayed").delay(SECOND));
    assert_eq!(on.queue.purge(), Ok(3));
    watch.see(Since {
        sent: 3,
        received: 1,
        purged: 3,
        ..none
    });
    drop(held);
    watch.see(none);
}

pub fn the_oldest_age_is_told<R: Region>(on: &Ground<'_, R>) {
    let oldest = || on.stat().oldest_age;
    assert_eq!(oldest(), None);
    on.send_message(&Message::new("delayed").delay(SECOND * 3));
    on.pass(SECOND);
    assert_eq!(oldest(), None, "a delayed one does not count");
    on.send(b"first");
    assert_eq!(oldest(), Some(Duration::ZERO));
    on.pass(SECOND);
    on.send(b"second");
    assert_eq!(oldest(), Some(SECOND));
    let first = on.receive();
    assert_eq!(first.body(), b"first");
    assert_eq!(oldest(), Some(Duration::ZERO), "nor does one in flight");
    on.pass(SECOND);
    assert_eq!(oldest(), Some(SECOND * 3), "its delay is over");
    first.release().expect("a release");
    assert_eq!(on.queue.purge(), Ok(3));
    assert_eq!(oldest(), None);
    on.send(b"late");
    drop(on.receive());
    on.pass(VISIBILITY - MS);
    assert_eq!(oldest(), None);
    on.pass(MS);
    assert_eq!(oldest(), Some(VISIBILITY));
    on.receive().delete().expect("a delete");
}
