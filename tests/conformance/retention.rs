//! Retention, exact to the millisecond: what is too old goes, by whoever looks next.

use super::common::body;
use super::ground::{Ground, VISIBILITY};
use ringmain::{Error, Message, Region};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAYS_14: Duration = Duration::from_secs(14 * 86_400);
const HOURS_12: Duration = Duration::from_secs(12 * 3600);

fn fill<R: Region>(on: &Ground<'_, R>) -> u64 {
    let room = on.slots_free();
    for number in 0..room {
        on.send(&number.to_le_bytes());
    }
    assert_eq!(on.queue.send(b"more"), Err(Error::Full));
    room
}

pub fn retention_is_exact_to_the_millisecond<R: Region>(on: &Ground<'_, R>) {
    for retention in [MINUTE, MINUTE + MS, MINUTE * 10, DAYS_14] {
        on.set(|options| options.retention(retention));
        assert_eq!(on.stat().retention, retention);
        let before = on.stat().expired;
        on.send(b"as old as may be");
        on.pass(retention);
        let received = on.receive();
        assert_eq!(received.body(), b"as old as may be");
        assert_eq!(
            Duration::from_millis(received.received_ms() - received.sent_ms()),
            retention
        );
        received.release().expect("a release");
        assert_eq!(on.stat().expired, before);
        on.pass(MS);
        on.nothing();
        assert_eq!(on.stat().expired, before + 1);
        on.settled();
    }
}

/// An empty-looking queue gives the slots back although nobody asks for these messages.
pub fn a_receive_drops_all_that_are_too_old<R: Region>(on: &Ground<'_, R>) {
    on.set(|options| options.retention(MINUTE));
    let before = on.stat().expired;
    let room = fill(on);
    on.pass(MINUTE);
    assert_eq!(on.counts(), (room, 0));
    on.pass(MS);
    on.nothing();
    assert_eq!(on.stat().expired, before + room);
    on.settled();
    // Runs, and messages of different ages: the younger ones stay.
    let long = body(1, on.queue.max_body().min(1000));
    on.send(&long);
    on.pass(MS);
    let young = on.send(&long);
    on.pass(MINUTE);
    let received = on.receive();
    assert_eq!((received.id(), on.counts()), (young, (0, 1)));
    assert_eq!(on.stat().expired, before + room + 1);
    received.delete().expect("a delete");
}

pub fn a_send_into_a_full_queue_drops_what_is_too_old<R: Region>(on: &Ground<'_, R>) {
    on.set(|options| options.retention(MINUTE));
    let long = body(2, on.queue.max_body());
    for way in 0..6 {
        let before = on.stat().expired;
        let room = fill(on);
        on.pass(MINUTE);
        assert_eq!(on.queue.send(b"young"), Err(Error::Full));
        on.pass(MS);
        let sent = match way {
            0 => on.queue.send(b"young").map(|_| 1),
            1 => on.queue.send(&long).map(|_| 1),
            2 => on.queue.claim(long.len()).map(|claim| {
                claim.commit();
                1
            }),
            3 => on.queue.send_message(&Message::new("young")).map(|_| 1),
            4 => on
                .queue
                .send_batch(&[b"young"; 10])
                .map(|sent| sent.len() as u64),
            _ => on
                .queue
                .send_messages(&[b"young"; 10].map(Message::new))
                .map(|_| 10),
        };
        let sent = sent.expect("room where old ones were");
        assert_eq!(on.stat().expired, before + room, "way {way}");
        assert_eq!(on.counts(), (sent, 0), "way {way}");
        assert_eq!(on.queue.purge(), Ok(sent));
    }
}

pub fn a_held_message_is_finished_by_its_holder<R: Region>(on: &Ground<'_, R>) {
    on.set(|options| options.retention(MINUTE).visibility(HOURS_12));
    let before = on.stat().expired;
    on.send(b"held");
    let mut received = on.receive();
    on.pass(HOURS_12 / 2);
    on.nothing();
    assert_eq!((on.counts(), on.stat().expired), ((0, 1), before));
    received.extend(MINUTE).expect("an extend");
    on.pass(MINUTE - MS);
    on.nothing();
    assert_eq!(received.body(), b"held");
    received.delete().expect("a delete");
    assert_eq!(on.stat().expired, before);
    on.settled();

    // Once its time is over it is nobody's, and goes; the late delete finds it gone.
    on.send(b"late");
    let received = on.receive();
    on.pass(HOURS_12 - MS);
    on.nothing();
    assert_eq!(on.counts(), (0, 1));
    on.pass(MS);
    on.nothing();
    assert_eq!(on.stat().expired, before + 1);
    assert_eq!(
        received.body(),
        b"late",
        "its bytes stay while they are read"
    );
    assert_eq!(received.delete(), Ok(()));
    on.settled();
}

pub fn a_released_message_that_is_too_old_goes<R: Region>(on: &Ground<'_, R>) {
    on.set(|options| options.retention(MINUTE).visibility(HOURS_12));
    let before = on.stat().expired;
    for way in 0..4 {
        on.send(b"released");
        let mut received = on.receive();
        on.pass(MINUTE + MS);
        on.nothing();
        match way {
            0 => received.release().expect("a release"),
            1 => on.queue.release(&received.detach()).expect("a release"),
            2 => {
                received.extend(Duration::ZERO).expect("an extend");
                drop(received);
            }
            _ => {
                let receipt = received.detach();
                on.queue
                    .extend(&receipt, Duration::ZERO)
                    .expect("an extend");
            }
        }
        on.nothing();
        assert_eq!(on.stat().expired, before + 1 + way, "way {way}");
        on.settled();
    }
}

/// By a sender that finds the queue full, too, though nobody received since the release.
pub fn a_full_queue_drops_what_was_released<R: Region>(on: &Ground<'_, R>) {
    on.set(|options| options.retention(MINUTE).visibility(HOURS_12));
    let before = on.stat().expired;
    let room = fill(on);
    let held: Vec<_> = (0..room).map(|_| on.receive().detach()).collect();
    on.pass(MINUTE + MS);
    on.nothing();
    assert_eq!(on.queue.send(b"young"), Err(Error::Full), "all are held");
    for receipt in &held[..5] {
        on.queue.release(receipt).expect("a release");
    }
    on.send(b"young");
    assert_eq!(on.stat().expired, before + 5);
    on.queue.purge().expect("a purge");
}

/// The age counts from the send, whatever the delay; it may end before the delay does.
pub fn age_counts_from_the_send<R: Region>(on: &Ground<'_, R>) {
    on.set(|options| options.retention(MINUTE));
    let before = on.stat().expired;
    on.send_message(&Message::new("delayed").delay(MINUTE));
    on.pass(MINUTE);
    on.receive().release().expect("a release");
    on.pass(MS);
    on.nothing();
    assert_eq!(on.stat().expired, before + 1);
    on.send_message(&Message::new("delayed for too long").delay(MINUTE + MS));
    on.pass(MINUTE + MS);
    on.nothing();
    assert_eq!(on.stat().expired, before + 2);
    on.settled();
    // Nor does a receive make it younger.
    on.send(b"received");
    on.pass(MINUTE - VISIBILITY);
    drop(on.receive());
    on.pass(VISIBILITY);
    let again = on.receive();
    assert_eq!(again.receive_count(), 2);
    drop(again);
    on.pass(VISIBILITY);
    on.nothing();
    assert_eq!(on.stat().expired, before + 3);
}

pub fn another_retention_is_for_what_is_there<R: Region>(on: &Ground<'_, R>) {
    let before = on.stat().expired;
    on.set(|options| options.retention(DAYS_14));
    let room = fill(on);
    on.pass(MINUTE);
    assert_eq!(on.queue.send(b"young"), Err(Error::Full));
    on.set(|options| options.retention(MINUTE));
    assert_eq!(on.queue.send(b"young"), Err(Error::Full), "not too old yet");
    on.receive().delete().expect("a delete");
    on.pass(MS);
    on.send(b"young");
    on.nothing_but(b"young");
    assert_eq!(on.stat().expired, before + room - 1);
    // Shortened, it drops at once what is now too old; lengthened, it keeps.
    on.set(|options| options.retention(MINUTE * 3));
    on.send(b"old");
    on.pass(MINUTE * 2);
    on.set(|options| options.retention(MINUTE * 2 + MS));
    on.pass(MS);
    on.receive().release().expect("still there");
    on.set(|options| options.retention(MINUTE * 2));
    on.nothing();
    assert_eq!(on.stat().expired, before + room);
    on.send(b"kept");
    on.pass(MINUTE);
    on.set(|options| options.retention(DAYS_14));
    on.pass(DAYS_14 - MINUTE);
    on.nothing_but(b"kept");
}
