//! Sizes, attributes, the bound on messages in flight, and the quota.

use super::common::body;
use super::homes::{Ground, OPTIONS, VISIBILITY, delete};
use ringmain::{Error, FifoEntry, FifoOptions, FifoQueue, Heap, Message, Queue, QueueOptions};
use ringmain::{Region, Value};
use std::cell::Cell;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

pub fn long_ids_and_bodies_come_back<R: Region>(on: &Ground<'_, R>) {
    let (group, id) = ("g".repeat(128), "i".repeat(126));
    let lens = [1, 96, 97, 110, 111, 112, 300, 4_000, 20_000];
    for (number, len) in lens.into_iter().enumerate() {
        let id = format!("{id}{number:02}");
        let body = body(number as u64, len);
        on.queue.send(&group, &*id, &body).expect("room");
        on.queue.send("g", &id[120..], &body).expect("room");
    }
    for (number, len) in lens.into_iter().enumerate() {
        let batch = on
            .queue
            .receive_batch_for(2, VISIBILITY)
            .expect("a receive");
        // Both are of the group that came first, or each of another one.
        for got in &batch {
            assert_eq!(got.attributes().iter().count(), 0);
        }
        drop(batch);
        on.pass(VISIBILITY);
        for _ in 0..2 {
            let got = on.receive(1).remove(0);
            assert_eq!(got.body(), body(number as u64, len));
            let tail = format!("{number:02}");
            assert!(got.deduplication_id().is_some_and(|id| id.ends_with(&tail)));
            assert!(got.group() == Some(&group) || got.group() == Some("g"));
            delete(vec![got]);
        }
    }
}

pub fn the_longest_body_is_told<R: Region>(on: &Ground<'_, R>) {
    on.with(OPTIONS.max_body(5_000), |on| {
        let names = "n".repeat(128);
        let longest = body(1, 5_000);
        on.queue.send(&names, &*names, &longest).expect("room");
        let longer = body(2, 5_001);
        let error = Error::BodyTooLong {
            len: 5_001,
            max: 5_000,
        };
        assert_eq!(on.queue.send("g", "2", &longer), Err(error));
        assert_eq!(on.queue.send("g", "2", b""), Err(Error::BodyEmpty));
        let received = on.receive(1);
        assert_eq!(received[0].body(), longest);
        assert_eq!(received[0].group(), Some(&*names));
        assert_eq!(received[0].deduplication_id(), Some(&*names));
        delete(received);
        assert!(!on.send("g", "2").is_duplicate, "what failed is not known");
    });
}

pub fn attributes_come_back<R: Region>(on: &Ground<'_, R>) {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let long = "i".repeat(128);
    let mut message = Message::new("body").group("g").deduplication_id(&long);
    for (at, name) in names.into_iter().enumerate() {
        message = match at % 3 {
            0 => message.string(name, "text"),
            1 => message.number(name, "-1.5e3"),
            _ => message.binary(name, &[0xff, 0]),
        }
        .expect("an attribute");
    }
    let sent = on.queue.send_message(&message).expect("room");
    let got = on.receive_these(1, &["body"]).remove(0);
    assert!(got.attributes().iter().eq(message.attributes()));
    assert_eq!(got.attribute("b"), Some(Value::Number("-1.5e3")));
    assert_eq!(
        (got.id(), got.sequence_number()),
        (sent.id, Some(sent.sequence))
    );
    assert_eq!(got.deduplication_id(), Some(&*long));
    delete(vec![got]);
    on.with(OPTIONS.max_body(100), |on| {
        let fits = |len: usize| {
            let text = "x".repeat(len);
            let id = len.to_string();
            let message = Message::new("1").group(&long).deduplication_id(&id);
            let message = message.string("ab", &text).expect("an attribute");
            on.queue.send_message(&message).map(|_| ())
        };
        // 1 of body, 2 of name, 6 of type: the group's 128 do not count.
        assert_eq!(fits(91), Ok(()));
        let error = Error::BodyTooLong { len: 101, max: 100 };
        assert_eq!(fits(92), Err(error));
    });
}

pub fn as_many_are_in_flight_as_may_be<R: Region>(on: &Ground<'_, R>) {
    on.with(OPTIONS.max_in_flight(12), |on| {
        for number in 0..30 {
            on.send(&format!("g{}", number % 3), &number.to_string());
        }
        let first = on.receive(10);
        assert_eq!(first.len(), 10);
        let mut second = on.receive(10);
        assert_eq!(second.len(), 2, "as many as there is room for");
        for _ in 0..3 {
            assert!(on.receive(10).is_empty(), "and no error");
            assert!(on.queue.receive().expect("no error").is_none());
        }
        assert_eq!(on.stat().in_flight, 12);
        delete(vec![second.pop().expect("the second")]);
        delete(vec![second.pop().expect("the first")]);
        assert_eq!(on.receive(10).len(), 2);
        delete(first);
    });
}

pub fn the_quota_is_300_calls<R: Region>(on: &Ground<'_, R>) {
    on.with(OPTIONS.quota(true).dedup_ids(2000), |on| {
        let throttled = |wait_ms| Error::Throttled { max: 300, wait_ms };
        let number = Cell::new(0);
        let send = || {
            number.set(number.get() + 1);
            let id = number.get().to_string();
            on.queue.send("g", &*id, b"x").map(|_| ())
        };
        for _ in 0..300 {
            send().expect("within the quota");
        }
        // A 300th of a second later there is room for one more.
        assert_eq!(send(), Err(throttled(4)));
        on.pass(3 * MS);
        assert_eq!(send(), Err(throttled(1)));
        on.pass(MS);
        assert_eq!(send(), Ok(()));
        assert!(matches!(send(), Err(Error::Throttled { .. })));
        on.pass(10 * SECOND);
        let again = || on.queue.send("g", "1", b"x").map(|sent| sent.is_duplicate);
        for _ in 0..300 {
            assert_eq!(
                again(),
                Ok(true),
                "as many, and not more for the rest before"
            );
        }
        let said = again().expect_err("no more").to_string();
        assert!(said.contains("300") && said.contains("4 ms"), "{said}");
        // A batch is one call, and each kind of call has its own quota.
        on.pass(4 * MS);
        let entries: Vec<_> = (0..10).map(|_| FifoEntry::new("g", "y").id("y")).collect();
        on.queue.send_batch(&entries).expect("one call");
        assert_eq!(on.queue.send_batch(&entries), Err(throttled(3)));
        for _ in 0..300 {
            let got = on.queue.receive().expect("within the quota");
            let receipt = got.expect("a message").detach();
            on.queue.delete(&receipt).expect("within the quota");
        }
        assert_eq!(on.queue.receive().map(|_| ()), Err(throttled(4)));
        on.pass(4 * MS);
        let got = on.queue.receive().expect("one more").expect("a message");
        assert_eq!(on.queue.delete(&got.receipt()), Ok(()));
        assert_eq!(on.queue.delete(&got.receipt()), Err(throttled(3)));
    });
}

/// The quota counts deletes by handle as well, and a batch of them is one.
pub fn the_quota_counts_each_way<R: Region>(on: &Ground<'_, R>) {
    on.with(OPTIONS.quota(true).dedup_ids(2000), |on| {
        for number in 0..20 {
            on.send(&format!("g{number}"), &number.to_string());
        }
        let first = on.queue.receive_batch(10).expect("a receive");
        assert!(first.delete().iter().all(|one| one.is_ok()));
        let mut received = on.receive(10);
        let receipt = received[0].receipt();
        for _ in 0..298 {
            on.queue.delete(&receipt).expect("gone or not: a call");
        }
        let throttled = Error::Throttled {
            max: 300,
            wait_ms: 4,
        };
        received.remove(0).delete().expect("the 300th");
        let late = received.remove(0);
        let receipt = late.receipt();
        assert_eq!(late.delete(), Err(throttled.clone()));
        on.pass(4 * MS);
        on.queue.delete(&receipt).expect("it is still in flight");
        on.pass(VISIBILITY);
        // Those of a refused batch are in flight, and nobody reads them any more: else they could
        // not be received a third time.
        for left in [8, 7, 6] {
            let batch = on.queue.receive_batch(10).expect("a receive");
            let receipts: Vec<_> = batch.iter().map(|got| got.receipt()).collect();
            for _ in 0..300 {
                on.queue.delete(&receipts[0]).expect("a call");
            }
            let outcomes = batch.delete();
            assert_eq!(outcomes.len(), left);
            assert!(outcomes.iter().all(|one| *one == Err(throttled.clone())));
            on.pass(VISIBILITY);
        }
        let received = on.receive(10);
        assert_eq!(received.len(), 5);
        delete(received);
    });
}

pub fn sequence_numbers_grow<R: Region>(on: &Ground<'_, R>) {
    let mut last = None;
    for round in 0..3 {
        for group in ["a", "b", "c", "a"] {
            let id = format!("{round}{group}{}", last.is_some());
            let sent = on.queue.send(group, &*id, b"1").expect("room");
            let again = on.queue.send(group, &*id, b"1").expect("accepted");
            assert!(again.is_duplicate && again.sequence == sent.sequence);
            if !sent.is_duplicate {
                assert!(Some(sent.sequence) > last, "over groups");
                last = Some(sent.sequence);
            }
        }
        loop {
            let received = on.receive(10);
            if received.is_empty() {
                break;
            }
            delete(received);
        }
    }
    let last = last.expect("sent");
    assert_eq!(last.to_string().len(), 20);
    assert_eq!(last.to_string().parse(), Ok(last.as_u128()));
}

#[test]
fn a_standard_queue_has_no_groups() {
    let region = Heap::new(1 << 18).expect("memory");
    let queue = Queue::create(region, QueueOptions::new()).expect("a queue");
    let message = || Message::new("x");
    for message in [message().group("g"), message().deduplication_id("1")] {
        let refused = queue.send_message(&message);
        assert!(matches!(refused, Err(Error::Group { .. })), "{refused:?}");
    }
    queue.send(b"plain").expect("room");
    let got = queue.receive().expect("a receive").expect("a message");
    assert_eq!((got.group(), got.deduplication_id()), (None, None));
    assert_eq!(got.sequence_number(), None);
}

#[test]
fn a_region_that_is_too_small_is_told() {
    let options = FifoOptions::new().dedup_ids(1000);
    let create = |len: u64| {
        let region = Heap::new(len as usize).expect("memory");
        FifoQueue::create(region, options).map(|queue| {
            queue.send("g", "1", b"x").expect("room for one");
            let got = queue.receive().expect("a receive").expect("a message");
            assert_eq!(got.body(), b"x");
        })
    };
    let Err(Error::RegionTooSmall { len, needed }) = create(64 << 10) else {
        panic!("1000 ids take more");
    };
    assert!(len <= 64 << 10 && needed > 128_000, "{needed}");
    assert_eq!(create(needed), Ok(()));
    let refused = create(needed - 128);
    assert!(
        matches!(refused, Err(Error::RegionTooSmall { .. })),
        "{refused:?}"
    );
}
