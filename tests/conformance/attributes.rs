//! Attributes beside bodies.

use super::common::body;
use super::ground::{Ground, VISIBILITY};
use ringmain::{Error, Message, Region, Value};

const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// The body's room is enough for a few attributes in each home; else the check says nothing.
fn has_room<R: Region>(on: &Ground<'_, R>, message: &Message<'_>) -> bool {
    message.size() <= on.queue.max_body()
}

pub fn attributes_come_as_they_were_sent<R: Region>(on: &Ground<'_, R>) {
    for len in [8, 40, 300, 2000] {
        let bytes = body(len as u64, len);
        for count in [0, 1, 3, 10] {
            let mut message = Message::new(&bytes);
            for (number, name) in NAMES.iter().enumerate().take(count) {
                message = match number % 3 {
                    0 => message.string(name, "text"),
                    1 => message.number(name, "-1.5e3"),
                    _ => message.binary(name, &[0, 255]),
                }
                .expect("by the rules");
            }
            if !has_room(on, &message) {
                assert!(matches!(
                    on.queue.send_message(&message),
                    Err(Error::BodyTooLong { .. })
                ));
                continue;
            }
            on.queue.send_message(&message).expect("room");
            let same = |received: &super::ground::Got<'_, R>| {
                assert_eq!(received.body(), bytes);
                assert_eq!(received.attributes().len(), count);
                assert!(received.attributes().iter().eq(message.attributes()));
            };
            let received = on.receive();
            same(&received);
            received.release().expect("a release");
            drop(on.receive());
            on.pass(VISIBILITY);
            let again = on.receive();
            assert_eq!(again.receive_count(), 3);
            same(&again);
            let expected = [None, Some(Value::String("text"))][usize::from(count != 0)];
            assert_eq!(again.attribute("a"), expected);
            assert_eq!(again.attribute("none of this name"), None);
            again.delete().expect("a delete");
        }
    }
    on.settled();
}

pub fn body_and_attributes_count_together<R: Region>(on: &Ground<'_, R>) {
    let max = on.queue.max_body();
    let bytes = vec![7; max];
    let attributed = |len: usize| Message::new(&bytes[..len]).string("n", "v");
    let beside = attributed(1).expect("by the rules").size() - 1;
    let fits = attributed(max - beside).expect("by the rules");
    assert_eq!(fits.size(), max);
    on.queue.send_message(&fits).expect("as long as may be");
    let received = on.receive();
    assert_eq!(received.body().len(), max - beside);
    assert_eq!(received.attribute("n"), Some(Value::String("v")));
    received.delete().expect("a delete");
    let longer = attributed(max - beside + 1).expect("by the rules");
    let refused = Error::BodyTooLong { len: max + 1, max };
    assert_eq!(on.queue.send_message(&longer), Err(refused.clone()));
    let empty = Message::new("").string("n", "v").expect("by the rules");
    assert_eq!(on.queue.send_message(&empty), Err(Error::BodyEmpty));
    let outcomes = on.queue.send_messages(&[longer, Message::new("short")]);
    let outcomes = outcomes.expect("entry by entry");
    assert_eq!(outcomes[0], Err(refused));
    assert!(outcomes[1].is_ok());
    on.receive().delete().expect("a delete");
    on.settled();
}

pub fn a_copy_is_of_the_body_alone<R: Region>(on: &Ground<'_, R>) {
    let message = Message::new("body").string("n", "v").expect("by the rules");
    on.queue.send_message(&message).expect("room");
    let mut buffer = [0; 4];
    let copied = on.queue.receive_into(&mut buffer).expect("a receive");
    let copied = copied.expect("a message");
    assert_eq!((copied.len, &buffer), (4, b"body"));
    on.queue.delete(&copied.receipt).expect("a delete");
    on.settled();
}

pub fn batches_of_messages_have_one_to_ten<R: Region>(on: &Ground<'_, R>) {
    let one = Message::new("x");
    for len in [0, 11] {
        let messages = vec![one.clone(); len];
        let refused = on.queue.send_messages(&messages).map(|_| ());
        assert_eq!(refused, Err(Error::BatchSize { len }));
    }
    for len in [1, 10] {
        let sent = on.queue.send_messages(&vec![one.clone(); len]);
        assert!(sent.expect("a batch").iter().all(Result::is_ok));
        let batch = on.queue.receive_batch(10).expect("a receive");
        assert_eq!(batch.len(), len);
        batch.delete();
    }
    on.settled();
}
