//! Messages with attributes: read in place as they were sent, counted with the body.

use super::common::{SLOT_HEAD_BYTES, body, seed_of};
use super::ground::{Got, Ground, VISIBILITY};
use ringmain::{Error, Message, Region, Value};
use std::time::Duration;

const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
/// The names of the types have six characters each.
const TYPE_BYTES: usize = 6;

/// The `number`th value, of a type that depends on it.
fn value(number: usize, bytes: &[u8]) -> Value<'_> {
    let text = || std::str::from_utf8(bytes).expect("digits");
    match number % 3 {
        0 => Value::String(text()),
        1 if bytes.len() <= 38 => Value::Number(text()),
        _ => Value::Binary(bytes),
    }
}

/// Digits, of which no two lengths begin alike.
fn digits(len: usize) -> Vec<u8> {
    (0..len).map(|at| b'1' + ((at + len) % 9) as u8).collect()
}

/// A message with the first `values.len()` names.
fn message<'a>(body: &'a [u8], values: &'a [Vec<u8>]) -> Message<'a> {
    let named = NAMES.iter().zip(values).enumerate();
    named.fold(Message::new(body), |message, (number, (name, bytes))| {
        let added = message.attribute(name, value(number, bytes));
        added.expect("an attribute")
    })
}

/// What was received is what was sent, whichever way it is looked at.
#[track_caller]
fn same<R: Region>(received: &Got<'_, R>, message: &Message<'_>) {
    assert_eq!(received.body(), message.body());
    let attributes = received.attributes();
    assert!(attributes.iter().eq(message.attributes()), "{attributes:?}");
    assert!(attributes.is_sound());
    assert_eq!(attributes.len(), message.attributes().len());
    for (name, value) in message.attributes() {
        assert_eq!(received.attribute(name), Some(value));
    }
    assert_eq!(received.attribute("none"), None);
}

/// Slots that a message takes.
fn run<R: Region>(on: &Ground<'_, R>, message: &Message<'_>) -> u64 {
    let stored = message.body().len() + message.attributes_len();
    ((stored + SLOT_HEAD_BYTES) as u64).div_ceil(on.stat().slot_bytes)
}

pub fn attributes_are_read_as_they_were_sent<R: Region>(on: &Ground<'_, R>) {
    let max = on.queue.max_body();
    let mut runs = [0; 4];
    for count in [0, 1, 2, 9, 10] {
        for (body_len, value_len) in [(1, 1), (8, 1), (11, 1), (12, 1), (40, 2), (9, 60), (900, 7)]
        {
            let bytes = body(body_len as u64, body_len);
            let values: Vec<Vec<u8>> = (0..count)
                .map(|more| digits(value_len + more % 2))
                .collect();
            let message = message(&bytes, &values);
            if message.size() > max {
                continue;
            }
            let (free, run) = (on.slots_free(), run(on, &message));
            on.send_message(&message);
            assert_eq!(
                on.slots_free(),
                free - run,
                "{count}, {body_len}, {value_len}"
            );
            runs[(run as usize).min(runs.len() - 1)] += 1;
            let received = on.receive();
            same(&received, &message);
            received.delete().expect("a delete");
            on.settled();
        }
    }
    assert!(runs[1] > 0 && runs[2] > 0, "one slot and several: {runs:?}");
}

/// Long runs: most of the message is body, or most of it attributes.
pub fn long_attributes_take_runs<R: Region>(on: &Ground<'_, R>) {
    let max = on.queue.max_body() - 20; // what is stored may be a little longer than what counts
    for share in [1, max / 3, max / 2, max * 9 / 10] {
        let count = ((max - share) / (1 + TYPE_BYTES + 1)).min(10);
        let bytes = body(share as u64, share);
        let left = max - share - count * (1 + TYPE_BYTES);
        let values: Vec<Vec<u8>> = (0..count).map(|_| digits(left / count)).collect();
        let message = message(&bytes, &values);
        assert!(message.size() <= max && message.size() + 10 > max);
        let free = on.slots_free();
        on.send_message(&message);
        assert_eq!(on.slots_free(), free - run(on, &message));
        let received = on.receive();
        same(&received, &message);
        received.delete().expect("a delete");
    }
}

pub fn body_and_attributes_count_together<R: Region>(on: &Ground<'_, R>) {
    let max = on.queue.max_body();
    let error = Error::BodyTooLong { len: max + 1, max };
    for count in [0, 1, 10] {
        let values: Vec<Vec<u8>> = (0..count).map(|_| digits(1)).collect();
        let bytes = body(7, max - count * (1 + TYPE_BYTES + 1) + 1);
        let exact = message(&bytes[1..], &values);
        assert_eq!(exact.size(), max);
        if run(on, &exact) > on.stat().slots {
            // Each attribute takes two bytes more than it counts: more than all of the memory.
            assert_eq!(on.queue.send_message(&exact), Err(Error::Full));
        } else {
            on.send_message(&exact);
            let received = on.receive();
            same(&received, &exact);
            received.delete().expect("a delete");
        }
        // One byte more: of the body, and of an attribute.
        let long = message(&bytes, &values);
        assert_eq!(on.queue.send_message(&long), Err(error.clone()));
        let outcomes = on.queue.send_messages(&[long]).expect("a batch");
        assert_eq!(outcomes[0], Err(error.clone()));
        if count != 0 {
            let mut values = values.clone();
            values[count - 1] = digits(2);
            let long = message(&bytes[1..], &values);
            assert_eq!(on.queue.send_message(&long), Err(error.clone()));
        }
        on.settled();
    }
    let said = error.to_string();
    assert!(
        said.contains(&max.to_string()) && said.contains(&(max + 1).to_string()),
        "{said}"
    );
    let empty = Message::new("").integer("a", 1).expect("a number");
    assert_eq!(on.queue.send_message(&empty), Err(Error::BodyEmpty));
}

pub fn each_entry_has_its_own_attributes<R: Region>(on: &Ground<'_, R>) {
    let max = on.queue.max_body();
    let too_long = digits(max);
    let bodies: Vec<Vec<u8>> = (0..10).map(|i| body(i, 9)).collect();
    let values: Vec<Vec<Vec<u8>>> = (0..10)
        .map(|count| {
            (0..count)
                .map(|more| digits(1 + (count + more) % 2))
                .collect()
        })
        .collect();
    let mut messages: Vec<Message<'_>> = bodies
        .iter()
        .zip(&values)
        .map(|(body, values)| message(body, values))
        .collect();
    messages[3] = Message::new("x").binary("a", &too_long).expect("bytes");
    messages[6] = Message::new("").string("a", "empty").expect("text");
    let outcomes = on.queue.send_messages(&messages).expect("a batch");
    let ids: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.clone().ok())
        .collect();
    assert_eq!(outcomes[3], Err(Error::BodyTooLong { len: max + 8, max }));
    assert_eq!(outcomes[6], Err(Error::BodyEmpty));
    let mut left = 8;
    while left > 0 {
        let batch = on.queue.receive_batch(10).expect("a batch");
        assert!(!batch.is_empty(), "{left} are visible");
        left -= batch.len();
        for received in &batch {
            let sent = ids.iter().position(|id| *id == Some(received.id()));
            same(received, &messages[sent.expect("one that was sent")]);
        }
        assert!(batch.delete().iter().all(|outcome| outcome.is_ok()));
    }
    on.settled();
    for len in [0, 11] {
        let error = Err(Error::BatchSize { len });
        let batch = vec![Message::new("x"); len];
        assert_eq!(on.queue.send_messages(&batch).map(|_| ()), error);
    }
}

pub fn receive_into_copies_the_body_alone<R: Region>(on: &Ground<'_, R>) {
    let bytes = body(5, 16);
    let message = Message::new(&bytes)
        .string("name", "a value")
        .expect("text");
    on.send_message(&message);
    let error = Error::BufferTooSmall {
        needed: 16,
        len: 15,
    };
    assert_eq!(on.queue.receive_into(&mut [0; 15]), Err(error));
    let mut buffer = [0xaa; 64];
    let copied = on.queue.receive_into(&mut buffer).expect("a receive");
    let copied = copied.expect("a message");
    assert_eq!((copied.len, seed_of(&buffer[..16])), (16, Some(5)));
    assert_eq!(buffer[16..], [0xaa; 48], "no byte of the attributes");
    on.queue.release(&copied.receipt).expect("a release");
    let received = on.receive();
    same(&received, &message);
    on.queue.delete(&received.receipt()).expect("a delete");
    same(&received, &message); // deleted, and still read
}

pub fn attributes_survive_redelivery<R: Region>(on: &Ground<'_, R>) {
    let values: Vec<Vec<u8>> = (0..8).map(|_| digits(1)).collect();
    let bytes = body(3, 9);
    let message = message(&bytes, &values);
    let delay = Duration::from_millis(20);
    on.send_message(&message.clone().delay(delay));
    on.pass(delay);
    for count in 1..8 {
        let received = on.receive();
        assert_eq!(received.receive_count(), count);
        same(&received, &message);
        if count % 2 == 0 {
            received.release().expect("a release");
        } else {
            let former = received;
            on.pass(VISIBILITY);
            same(&former, &message); // late, and still read
        }
    }
    let received = on.receive();
    same(&received, &message);
    received.delete().expect("a delete");
}

/// Slots are used again: no message has the attributes of the one before it.
pub fn no_attributes_stay_behind<R: Region>(on: &Ground<'_, R>) {
    let capacity = on.queue.capacity() as u64;
    let text = "of the message before";
    for number in 0..capacity {
        let bytes = number.to_le_bytes();
        on.send_message(&Message::new(&bytes).string("old", text).expect("text"));
    }
    assert_eq!(on.slots_free(), 0);
    for _ in 0..capacity {
        on.receive().delete().expect("a delete");
    }
    for number in 0..capacity {
        let bytes = number.to_le_bytes();
        match number % 4 {
            0 => drop(on.send(&bytes)),
            1 => drop(on.send_message(&Message::new(&bytes))),
            2 => drop(on.send_message(&Message::new(&bytes).integer("new", 1).expect("a number"))),
            _ => {
                let mut claim = on.queue.claim(8).expect("room");
                claim.copy_from_slice(&bytes);
                claim.commit();
            }
        }
    }
    for _ in 0..capacity {
        let received = on.receive();
        let number = u64::from_le_bytes(received.body().try_into().expect("8 bytes"));
        let new = (number % 4 == 2).then_some(Value::Number("1"));
        assert_eq!(received.attribute("new"), new);
        assert_eq!(received.attributes().len(), usize::from(new.is_some()));
        received.delete().expect("a delete");
    }
}
