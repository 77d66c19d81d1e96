//! Delays: of the queue and of a message, exact to the millisecond.

use super::common::body;
use super::ground::{Ground, VISIBILITY};
use ringmain::{Error, Message, Receipt, Region};
use std::time::Duration;

const MINUTES_15: Duration = Duration::from_secs(900);
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn delayed_by(delay: Duration) -> Message<'static> {
    Message::new("later").delay(delay)
}

/// All `count` messages are hidden until one millisecond is left of `time`; then they are there.
#[track_caller]
fn hidden_for<R: Region>(on: &Ground<'_, R>, time: Duration, count: u64) {
    on.nothing();
    on.pass(time - MS);
    on.nothing();
    assert_eq!((on.counts(), on.delayed()), ((0, 0), count));
    on.pass(MS);
    assert_eq!((on.counts(), on.delayed()), ((count, 0), 0));
}

/// Takes out the messages that are there, each received for the first time.
#[track_caller]
fn delete_all<R: Region>(on: &Ground<'_, R>, count: u64) {
    for _ in 0..count {
        let received = on.receive();
        assert_eq!(received.receive_count(), 1);
        received.delete().expect("a delete");
    }
    on.nothing();
}

pub fn delays_are_exact_to_the_millisecond<R: Region>(on: &Ground<'_, R>) {
    for ms in [1, 2, 3, 999, 30_000, 899_999, 900_000] {
        let delay = Duration::from_millis(ms);
        let id = on.send_message(&delayed_by(delay));
        hidden_for(on, delay, 1);
        let received = on.receive();
        assert_eq!((received.id(), received.receive_count()), (id, 1));
        assert_eq!(received.received_ms(), received.sent_ms() + ms);
        assert_eq!(received.first_received_ms(), received.received_ms());
        received.release().expect("a release");
        on.pass_ms(5);
        let again = on.receive();
        assert_eq!((again.receive_count(), again.body()), (2, &b"later"[..]));
        assert_eq!(again.first_received_ms(), again.received_ms() - 5);
        again.delete().expect("a delete");
        on.settled();
    }
    on.send_message(&delayed_by(Duration::ZERO));
    assert_eq!((on.counts(), on.delayed()), ((1, 0), 0));
    delete_all(on, 1);
}

pub fn delays_out_of_range_are_refused<R: Region>(on: &Ground<'_, R>) {
    for delay in [MINUTES_15 + MS, Duration::from_secs(86_400), Duration::MAX] {
        let refused = on.queue.send_message(&delayed_by(delay));
        let refused = refused.expect_err("too long");
        assert!(
            matches!(
                refused,
                Error::OutOfRange {
                    min: 0,
                    max: 900_000,
                    ..
                }
            ),
            "{refused:?}"
        );
        let said = refused.to_string();
        assert!(
            said.contains("delay") && said.contains("0 to 900000"),
            "{said}"
        );
        let options = on.queue.options();
        assert_eq!(on.queue.reconfigure(|now| now.delay(delay)), Err(refused));
        assert_eq!(on.queue.options(), options);
        on.settled();
    }
    for delay in [MINUTES_15, Duration::ZERO] {
        on.set(|options| options.delay(delay));
        assert_eq!(on.stat().delay, delay);
    }
}

pub fn a_queues_delay_is_for_each_message<R: Region>(on: &Ground<'_, R>) {
    for delay in [MS, SECOND * 5, MINUTES_15] {
        on.set(|options| options.delay(delay));
        on.send(b"copied");
        let sent = on.queue.send_batch(&["a", "bc", "def"]).expect("a batch");
        assert!(sent.iter().all(|outcome| outcome.is_ok()));
        on.queue.claim(5).expect("room").commit();
        on.send_message(&Message::new("with").integer("number", 1).expect("a number"));
        let messages = [Message::new("x"), Message::new("y")];
        let sent = on.queue.send_messages(&messages).expect("a batch");
        assert!(sent.iter().all(|outcome| outcome.is_ok()));
        hidden_for(on, delay, 8);
        delete_all(on, 8);
        on.settled();
    }
}

pub fn a_messages_delay_goes_before_the_queues<R: Region>(on: &Ground<'_, R>) {
    on.set(|options| options.delay(SECOND * 5));
    on.send_message(&delayed_by(Duration::ZERO));
    assert_eq!((on.counts(), on.delayed()), ((1, 0), 0));
    delete_all(on, 1);
    for delay in [MS, SECOND * 5 - MS, SECOND * 5 + MS, MINUTES_15] {
        on.send_message(&delayed_by(delay));
        hidden_for(on, delay, 1);
        delete_all(on, 1);
    }
}

/// What is delayed already keeps its delay.
pub fn a_new_delay_is_for_new_messages<R: Region>(on: &Ground<'_, R>) {
    on.set(|options| options.delay(SECOND * 5));
    on.send(b"old");
    on.set(|options| options.delay(SECOND));
    on.pass(SECOND);
    on.nothing();
    on.send(b"new");
    on.pass(SECOND);
    let new = on.receive();
    assert_eq!(new.body(), b"new");
    new.delete().expect("a delete");
    on.set(|options| options.delay(Duration::ZERO));
    hidden_for(on, SECOND * 3, 1);
    delete_all(on, 1);
}

pub fn batches_carry_each_delay<R: Region>(on: &Ground<'_, R>) {
    on.set(|options| options.delay(MS * 7));
    let mut messages: Vec<Message<'_>> = (0..9).map(|ms| delayed_by(MS * ms)).collect();
    messages.push(Message::new("the queue's"));
    messages[4] = delayed_by(MINUTES_15 + MS);
    let outcomes = on.queue.send_messages(&messages).expect("a batch");
    for (entry, outcome) in outcomes.iter().enumerate() {
        let refused = matches!(outcome, Err(Error::OutOfRange { max: 900_000, .. }));
        assert_eq!((outcome.is_ok(), refused), (entry != 4, entry == 4));
    }
    let mut left = 9;
    for ms in 0..9 {
        let there = match ms {
            4 => 0,
            7 => 2,
            _ => 1,
        };
        left -= there;
        assert_eq!((on.counts(), on.delayed()), ((there, 0), left), "{ms} ms");
        delete_all(on, there);
        on.pass(MS);
    }
}

/// The delay counts from the commit, and is what the queue has then.
pub fn claims_are_delayed_from_their_commit<R: Region>(on: &Ground<'_, R>) {
    let mut claim = on.queue.claim(5).expect("room");
    claim.copy_from_slice(b"fives");
    on.set(|options| options.delay(SECOND));
    on.pass(SECOND * 3);
    claim.commit();
    hidden_for(on, SECOND, 1);
    let received = on.receive();
    assert_eq!(received.received_ms(), received.sent_ms() + 1000);
    assert_eq!(received.body(), b"fives");
    received.delete().expect("a delete");
}

pub fn delayed_messages_are_purged<R: Region>(on: &Ground<'_, R>) {
    let before = on.stat().purged;
    on.send_message(&delayed_by(SECOND));
    on.send(b"there");
    let long = body(1, on.queue.max_body() / 2);
    on.send_message(&Message::new(&long).delay(MINUTES_15));
    assert_eq!((on.counts(), on.delayed()), ((1, 0), 2));
    assert_eq!(on.queue.purge(), Ok(3));
    assert_eq!(on.stat().purged, before + 3);
    on.settled();
    on.pass(MINUTES_15);
    on.nothing();
}

/// A receipt as if the message had been received no times: nothing may be done by it.
pub fn receipts_forged_for_delayed_messages_are_refused<R: Region>(on: &Ground<'_, R>) {
    let id = on.send_message(&delayed_by(SECOND));
    let stamp = id.as_u128() as u64;
    for receive in [stamp, stamp + 500, stamp & !((1 << 44) - 1)] {
        let forged: Receipt = format!("{id}{receive:016x}").parse().expect("digits");
        assert_eq!(forged.id(), id);
        assert_eq!(on.queue.delete(&forged), Err(Error::MalformedReceipt));
        assert_eq!(
            on.queue.extend(&forged, SECOND),
            Err(Error::MalformedReceipt)
        );
        assert_eq!(on.queue.release(&forged), Err(Error::MalformedReceipt));
        let receipts = [forged; 2];
        let outcomes = on.queue.delete_batch(&receipts).expect("a batch");
        assert!(
            outcomes
                .iter()
                .all(|outcome| *outcome == Err(Error::MalformedReceipt))
        );
    }
    // Nor by one for a receive that is yet to come.
    let next = (stamp >> 44) + 1;
    let next = (next & ((1 << 18) - 1)) << 44 | stamp & ((1 << 44) - 1);
    let forged: Receipt = format!("{id}{next:016x}").parse().expect("digits");
    assert_eq!(on.queue.delete(&forged), Err(Error::StaleReceipt));
    assert_eq!(on.queue.extend(&forged, SECOND), Err(Error::StaleReceipt));
    assert_eq!(on.queue.release(&forged), Err(Error::StaleReceipt));
    hidden_for(on, SECOND, 1);
    delete_all(on, 1);
}

/// A queue full of delayed messages is full; they come in the order in which they are due.
pub fn delays_of_a_full_queue_end_one_by_one<R: Region>(on: &Ground<'_, R>) {
    let capacity = on.queue.capacity() as u64;
    for number in 0..capacity {
        let ms = 1 + number * 7919 % capacity; // a prime number: each delay once
        let text = ms.to_le_bytes();
        on.send_message(&Message::new(&text).delay(MS * ms as u32));
    }
    assert_eq!((on.delayed(), on.slots_free()), (capacity, 0));
    assert_eq!(on.queue.send(b"more"), Err(Error::Full));
    for ms in 1..=capacity {
        on.pass(MS);
        let received = on.receive();
        assert_eq!(received.body(), ms.to_le_bytes());
        received.delete().expect("a delete");
        on.nothing();
    }
}

/// Long bodies, which take several slots, are delayed as short ones are; and once received, a
/// message that was delayed is as any other.
pub fn long_bodies_are_delayed<R: Region>(on: &Ground<'_, R>) {
    let max = on.queue.max_body();
    for len in [1, 112, 113, 300, 9_000, max] {
        let bytes = body(len as u64, len.min(max));
        on.send_message(&Message::new(&bytes).delay(SECOND));
        hidden_for(on, SECOND, 1);
        let mut received = on.receive();
        assert_eq!(received.body(), &bytes[..]);
        received.extend(SECOND * 2).expect("an extend");
        drop(received);
        on.pass(SECOND * 2 - MS);
        on.nothing();
        assert_eq!(
            (on.counts(), on.delayed()),
            ((0, 1), 0),
            "not delayed again"
        );
        on.pass(MS);
        let again = on.receive();
        assert_eq!((again.receive_count(), again.body()), (2, &bytes[..]));
        on.pass(VISIBILITY);
        again.delete().expect("a late delete");
        on.settled();
    }
}
