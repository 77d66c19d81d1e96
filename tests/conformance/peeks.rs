//! Looking at messages without receiving them; and purges, which come once a minute.

use super::common::body;
use super::ground::{Ground, VISIBILITY};
use ringmain::{Clock, Error, Message, MessageId, MessageState, Peek, PeekCursor, Region, Value};
use std::collections::HashMap;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// Messages: the body, what it is doing, and how often it was received.
type Met = HashMap<MessageId, (Vec<u8>, MessageState, u32)>;

/// Every message that a walk meets, and how many it passed by.
fn walk<R: Region>(on: &Ground<'_, R>) -> (Met, u64) {
    let mut met = HashMap::new();
    let mut peeks = on.queue.peeks();
    for peeked in &mut peeks {
        let peeked = peeked.expect("a look");
        let seen = (
            peeked.body().to_vec(),
            peeked.state(),
            peeked.receive_count(),
        );
        let before = met.insert(peeked.id(), seen);
        assert!(before.is_none(), "{peeked:?} was met twice");
    }
    (met, peeks.passed())
}

pub fn a_peek_changes_nothing<R: Region>(on: &Ground<'_, R>) {
    assert!(on.queue.peek().expect("a look").is_none());
    let message = Message::new("a task").string("kind", "resize");
    let first = on.send_message(&message.expect("by the rules"));
    let second = on.send(b"second");
    let before = on.stat();
    for _ in 0..5 {
        let peeked = on.queue.peek().expect("a look").expect("it waits");
        assert_eq!((peeked.id(), peeked.body()), (first, &b"a task"[..]));
        assert_eq!(peeked.attribute("kind"), Some(Value::String("resize")));
        assert_eq!(peeked.attributes().iter().count(), 1);
        assert_eq!(
            (peeked.receive_count(), peeked.first_received_ms()),
            (0, None)
        );
        assert_eq!(peeked.state(), MessageState::Visible);
        on.pass(MS);
    }
    let after = on.stat();
    assert_eq!(after.oldest_age, before.oldest_age.map(|age| age + 5 * MS));
    let oldest_age = before.oldest_age;
    assert_eq!(aged(after, oldest_age), aged(before, oldest_age));
    let received = on.receive();
    assert_eq!((received.id(), received.receive_count()), (first, 1));
    let (met, passed) = walk(on);
    assert_eq!((met.len(), passed), (2, 0));
    let until_ms = received.received_ms() + VISIBILITY.as_millis() as u64;
    let in_flight = MessageState::InFlight { until_ms };
    assert_eq!(met[&first], (b"a task".to_vec(), in_flight, 1));
    assert_eq!(met[&second], (b"second".to_vec(), MessageState::Visible, 0));
    received.delete().expect("nobody else has received it");
    on.nothing_but(b"second");
}

/// The figures with this age.
fn aged(mut stat: ringmain::QueueStats, age: Option<Duration>) -> ringmain::QueueStats {
    stat.oldest_age = age;
    stat
}

pub fn a_walk_meets_each_message_once<R: Region>(on: &Ground<'_, R>) {
    let ids: Vec<_> = (0..12).map(|n| on.send(&body(n, 80))).collect();
    let delayed = Message::new("later").delay(Duration::from_secs(5));
    let delayed = on.send_message(&delayed);
    let first = on.receive();
    let detached = on.receive().detach();
    for _ in 0..2 {
        let (met, passed) = walk(on);
        assert_eq!((met.len(), passed), (13, 0));
        assert_eq!(met[&first.id()].2, 1);
        assert!(matches!(
            met[&detached.id()].1,
            MessageState::InFlight { .. }
        ));
        assert!(matches!(met[&delayed].1, MessageState::Delayed { .. }));
        for (id, seed) in ids.iter().zip(0..) {
            assert_eq!(met[id].0, body(seed, 80));
        }
    }
    on.pass(VISIBILITY);
    let (met, _) = walk(on);
    let visible = met.values().filter(|seen| seen.1 == MessageState::Visible);
    assert_eq!(
        visible.count(),
        13,
        "each time is over, though nobody has received since"
    );
    drop(first);
    for _ in 0..13 {
        on.receive().delete().expect("a delete");
    }
    let (met, passed) = walk(on);
    assert_eq!((met.len(), passed), (0, 0));
}

pub fn a_peeked_body_outlives_its_message<R: Region>(on: &Ground<'_, R>) {
    for way in 0..4 {
        let bytes = body(100 + way, 88);
        on.send(&bytes);
        let peeked = on.queue.peek().expect("a look").expect("it waits");
        let slots = on.slots_free();
        match way {
            0 => on.receive().delete().expect("a delete"),
            1 => {
                let receipt = on.receive().detach();
                on.queue.delete(&receipt).expect("a delete");
            }
            2 => {
                let held = on.receive();
                on.pass(VISIBILITY);
                let again = on.receive();
                drop(held);
                again.delete().expect("a delete");
            }
            _ => {
                on.receive().release().expect("a release");
                let (peeked_again, passed) = walk(on);
                assert_eq!((peeked_again.len(), passed), (1, 0));
                on.receive().delete().expect("a delete");
            }
        }
        assert_eq!(on.slots_free(), slots, "who peeks keeps the slot");
        let room = on.slots_free();
        for number in 0..room {
            on.send(&body(number + 1000, 88));
        }
        assert_eq!(on.queue.send(b"more"), Err(Error::Full));
        assert_eq!(peeked.body(), &bytes[..], "way {way}");
        for _ in 0..room {
            on.receive().delete().expect("a delete");
        }
        assert_eq!(peeked.body(), &bytes[..], "way {way}");
        drop(peeked);
        assert_eq!(on.slots_free(), slots + 1);
    }
}

pub fn two_peek_at_once_and_a_third_passes_by<R: Region>(on: &Ground<'_, R>) {
    let id = on.send(b"looked at");
    let first = on.queue.peek().expect("a look").expect("it waits");
    let second = on.queue.peek().expect("a look").expect("it waits");
    assert_eq!((first.id(), second.id()), (id, id));
    let mut cursor = PeekCursor::new();
    let third = on.queue.peek_at(&mut cursor).expect("a look");
    assert!(matches!(third, Peek::Busy(busy) if busy == id), "{third:?}");
    assert_eq!(walk(on), (HashMap::new(), 1));
    assert!(on.queue.peek().expect("a look").is_none());
    drop(first);
    assert_eq!(walk(on).0.len(), 1);
    on.receive().delete().expect("a delete");
    assert_eq!(second.body(), b"looked at");
    drop(second);
}

pub fn a_peek_passes_a_message_by_that_is_read_twice<R: Region>(on: &Ground<'_, R>) {
    on.send(b"read");
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let reader = on.receive();
            on.pass(VISIBILITY);
            reader
        })
        .collect();
    assert_eq!(walk(on), (HashMap::new(), 1));
    for reader in readers {
        drop(reader);
    }
    on.pass_ms(10);
    assert_eq!(walk(on).0.len(), 1);
    on.receive().delete().expect("a delete");
}

/// Two who peek fill both cells: then the message stays with a holder that reads in place.
pub fn a_holder_waits_for_two_who_peek<R: Region>(on: &Ground<'_, R>) {
    on.send(b"held");
    let holder = on.receive();
    let mut peeks = on.queue.peeks();
    let first = peeks.next().expect("a message").expect("a look");
    let second = on.queue.peeks().next().expect("a message").expect("a look");
    assert_eq!((first.body(), second.body()), (&b"held"[..], &b"held"[..]));
    on.pass(VISIBILITY);
    on.nothing();
    let pinned = Err(Error::Pinned { max: 2 });
    assert_eq!(on.queue.delete(&holder.receipt()), pinned);
    assert_eq!(holder.body(), b"held");
    drop(first);
    on.pass_ms(10);
    let again = on.receive();
    assert_eq!(again.receive_count(), 2);
    assert_eq!(again.delete(), Ok(()));
    assert_eq!((holder.body(), second.body()), (&b"held"[..], &b"held"[..]));
    drop(second);
    assert_eq!(holder.delete(), Ok(()), "gone already");
}

pub fn what_is_too_old_is_not_peeked<R: Region>(on: &Ground<'_, R>) {
    on.send(b"old");
    let held = on.receive();
    on.send(b"old too");
    let retention = on.queue.options().get_retention();
    on.set(|options| options.retention(Duration::from_secs(60)));
    held.release().expect("a release");
    on.pass(Duration::from_secs(60));
    assert_eq!(walk(on).0.len(), 2, "just young enough");
    on.pass(MS);
    assert_eq!(walk(on), (HashMap::new(), 0));
    on.nothing();
    on.set(|options| options.retention(retention));
}

pub fn a_walk_is_bounded_in_each_step<R: Region>(on: &Ground<'_, R>) {
    let capacity = on.queue.capacity();
    for number in 0..capacity as u64 {
        on.send(&body(number, 8));
    }
    let mut cursor = PeekCursor::new();
    let (mut met, mut steps) = (0, 0);
    loop {
        steps += 1;
        match on.queue.peek_at(&mut cursor).expect("a look") {
            Peek::Message(_) => met += 1,
            Peek::Onward => {}
            Peek::End => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((met, steps), (capacity, capacity + 1));
    assert!(
        matches!(on.queue.peek_at(&mut cursor), Ok(Peek::End)),
        "it stays at the end"
    );
    while let Some(received) = on.queue.receive().expect("a receive") {
        received.delete().expect("a delete");
    }
    let mut cursor = PeekCursor::new();
    let mut steps = 0;
    while !matches!(on.queue.peek_at(&mut cursor).expect("a look"), Peek::End) {
        steps += 1;
    }
    assert_eq!(
        steps,
        capacity.saturating_sub(1) / 1024,
        "1024 slots a step"
    );
}

pub fn purges_come_once_a_minute<R: Region>(on: &Ground<'_, R>) {
    let recently = |wait_ms| Err(Error::PurgedRecently { wait_ms });
    assert_eq!(on.queue.purge(), Ok(0));
    on.send(b"sent after it");
    assert_eq!(on.queue.purge(), recently(60_000));
    on.pass_ms(59_999);
    assert_eq!(on.queue.purge(), recently(1));
    assert_eq!(
        on.counts(),
        (1, 0),
        "a purge that is refused removes nothing"
    );
    on.pass_ms(1);
    assert_eq!(on.queue.purge(), Ok(1));
    assert_eq!(on.queue.purge(), recently(60_000));
}

/// A clock that is set back by a minute or more does not keep anybody from purging.
pub fn a_clock_set_back_lets_purge<R: Region>(on: &Ground<'_, R>) {
    let now_ms = on.clock.now_ms();
    on.pass(Duration::from_secs(600));
    assert_eq!(on.queue.purge(), Ok(0));
    on.clock.set_ms(now_ms + 600_000 - 30_000);
    assert_eq!(
        on.queue.purge(),
        Err(Error::PurgedRecently { wait_ms: 90_000 })
    );
    on.clock.set_ms(now_ms);
    on.send(b"one");
    assert_eq!(on.queue.purge(), Ok(1));
    assert_eq!(
        on.queue.purge(),
        Err(Error::PurgedRecently { wait_ms: 60_000 })
    );
    on.clock.set_ms(now_ms + 600_000);
}
