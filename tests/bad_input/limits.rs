//! Numbers out of their ranges. (Bodies, batches and receipts: see the conformance checks.)

use crate::common::Dir;
use ringmain::{Error, Heap, Mapped, Message, Queue, QueueOptions, Value};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// The error's words have each of these numbers.
fn says(error: &Error, numbers: &[u64]) {
    let said = error.to_string();
    for number in numbers {
        assert!(
            said.contains(&number.to_string()),
            "{number} is not in: {said}"
        );
    }
}

#[test]
fn sizes_of_files_are_checked_before_anything_is_made() {
    for dir in [Dir::new("sizes"), Dir::shm("sizes")] {
        let path = dir.file("q.ring");
        for len in [0, 1, 4096, 20_480, 24_575] {
            let error = Mapped::create(&path, len).expect_err("too small");
            assert_eq!(
                error,
                Error::RegionTooSmall {
                    len,
                    needed: 24_576
                }
            );
            says(&error, &[len, 24_576]);
            assert_eq!(Mapped::open_or_create(&path, len).map(|_| ()), Err(error));
        }
        for len in [(1 << 46) + 1, 1 << 62, 1 << 63, u64::MAX] {
            let error = Mapped::create(&path, len).expect_err("too large");
            assert_eq!(error, Error::RegionTooLarge { len, max: 1 << 46 });
            says(&error, &[len, 1 << 46]);
            assert_eq!(Mapped::open_or_create(&path, len).map(|_| ()), Err(error));
        }
        assert!(dir.names().is_empty(), "nothing stays behind");
        let region = Mapped::create(&path, 24_576).expect("the least size");
        let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
        queue.send(b"fits").expect("room");
    }
}

#[test]
fn sizes_of_memory_are_checked() {
    for len in [0, 1, 127, 1000] {
        let made = Heap::new(len).and_then(|heap| Queue::create(heap, QueueOptions::new()));
        let error = made.expect_err("too small");
        assert!(
            matches!(error, Error::RegionTooSmall { .. }),
            "{len}: {error:?}"
        );
        says(&error, &[len as u64]);
    }
    for len in [
        usize::MAX,
        usize::MAX - 4096,
        isize::MAX as usize,
        isize::MAX as usize + 1,
    ] {
        let error = Heap::new(len).map(|_| ()).expect_err("too large");
        assert!(matches!(error, Error::RegionTooLarge { .. }), "{error:?}");
        says(&error, &[len as u64]);
    }
}

#[test]
fn options_are_checked_before_anything_is_made() {
    let options = QueueOptions::new();
    let days_14 = Duration::from_secs(14 * 86_400);
    let hours_12 = Duration::from_secs(12 * 3600);
    let bad: [(QueueOptions, u64); 10] = [
        (options.visibility(hours_12 + MS), 43_200_000),
        (options.visibility(Duration::MAX), 43_200_000),
        (options.retention(Duration::from_secs(60) - MS), 60_000),
        (options.retention(Duration::ZERO), 60_000),
        (options.retention(days_14 + MS), 1_209_600_000),
        (options.typical_body(0), 1),
        (options.typical_body((1 << 20) + 1), 1 << 20),
        (options.typical_body(usize::MAX), 1 << 20),
        (options.max_body(0), 1),
        (options.max_body(usize::MAX), 1 << 30),
    ];
    let dir = Dir::new("options");
    let mapped = Mapped::create(dir.file("q.ring"), 1 << 20).expect("a region");
    let heap = Heap::new(1 << 20).expect("memory");
    for (options, limit) in bad {
        let error = Queue::create(&heap, options).expect_err("out of range");
        assert!(matches!(error, Error::OutOfRange { .. }), "{error:?}");
        says(&error, &[limit]);
        assert_eq!(
            Queue::create(&mapped, options).map(|_| ()),
            Err(error.clone())
        );
        assert_eq!(
            Queue::open_or_create(&mapped, options).map(|_| ()),
            Err(error)
        );
        assert_eq!(Queue::open(&mapped).map(|_| ()), Err(Error::Vacant));
        assert_eq!(Queue::open(&heap).map(|_| ()), Err(Error::Vacant));
    }
    for options in [options.max_body(2 << 20), options.typical_body(1 << 20)] {
        let error = Queue::create(&heap, options).expect_err("no room for it");
        assert!(
            matches!(error, Error::RegionTooSmall { len: 1_048_576, .. }),
            "{error:?}"
        );
        assert!(Queue::create(&mapped, options).is_err());
        assert_eq!(Queue::open(&mapped).map(|_| ()), Err(Error::Vacant));
    }
    let edge = options
        .visibility(hours_12)
        .retention(days_14)
        .max_body(1000)
        .typical_body(1);
    assert!(Queue::create(&heap, edge).is_ok() && Queue::create(&mapped, edge).is_ok());
}

#[test]
fn waits_are_checked() {
    let heap = Heap::new(1 << 16).expect("memory");
    let queue = Queue::create(&heap, QueueOptions::new()).expect("a queue");
    queue.send(b"kept").expect("room");
    for time in [
        Duration::from_secs(20) + MS,
        Duration::from_secs(u64::MAX),
        Duration::MAX,
    ] {
        let error = queue
            .receive_timeout(time)
            .map(|_| ())
            .expect_err("too long");
        assert!(
            matches!(error, Error::OutOfRange { max: 20_000, .. }),
            "{error:?}"
        );
        says(&error, &[20_000]);
        assert!(queue.receive_batch_timeout(1, time).is_err());
    }
    for max in [0, 11, usize::MAX] {
        let error = queue.receive_batch_timeout(max, Duration::ZERO).map(|_| ());
        assert_eq!(error, Err(Error::BatchSize { len: max }));
    }
    assert_eq!(queue.stat().expect("figures").visible, 1);
    let received = queue
        .receive_timeout(Duration::from_secs(20))
        .expect("a wait");
    received.expect("the message").delete().expect("a delete");
    assert!(
        queue
            .receive_timeout(Duration::ZERO)
            .expect("no wait")
            .is_none()
    );
    assert!(queue.receive_timeout(MS * 30).expect("a wait").is_none());
}

fn queue_of(max_body: usize) -> Queue<Heap> {
    let heap = Heap::new(4 << 20).expect("memory");
    Queue::create(heap, QueueOptions::new().max_body(max_body)).expect("a queue")
}

fn refused<T>(outcome: Result<T, Error>) -> Error {
    outcome.map(|_| ()).expect_err("beyond a limit")
}

#[test]
fn settings_keep_both_bounds() {
    let queue = queue_of(1000);
    let options = queue.options();
    let (zero, minute) = (Duration::ZERO, Duration::from_secs(60));
    let (days_14, hours_12) = (minute * 60 * 24 * 14, minute * 60 * 12);
    let good = [
        options.visibility(zero),
        options.visibility(hours_12),
        options.retention(minute),
        options.retention(days_14),
        options.delay(zero),
        options.delay(minute * 15),
    ];
    for options in good {
        let heap = Heap::new(1 << 20).expect("memory");
        Queue::create(heap, options).expect("a queue at its bound");
        queue
            .reconfigure(|_| options)
            .expect("settings at their bound");
        assert_eq!(queue.options(), options);
    }
    queue.reconfigure(|_| options).expect("as they were");
    let bad = [
        (options.visibility(hours_12 + MS), [0, 43_200_000]),
        (options.retention(minute - MS), [60_000, 1_209_600_000]),
        (options.retention(days_14 + MS), [60_000, 1_209_600_000]),
        (options.delay(minute * 15 + MS), [0, 900_000]),
    ];
    for (beyond, range) in bad {
        let heap = Heap::new(1 << 20).expect("memory");
        let error = refused(Queue::create(heap, beyond));
        says(&error, &range);
        assert_eq!(queue.reconfigure(|_| beyond), Err(error));
        assert_eq!(queue.options(), options);
    }
    // For a receive and for an extension as for the queue; for a message as for the queue.
    queue.send(b"x").expect("room");
    let error = refused(queue.receive_batch_for(1, hours_12 + MS));
    says(&error, &[0, 43_200_000]);
    drop(queue.receive_batch_for(1, zero).expect("a receive"));
    let mut batch = queue.receive_batch_for(1, hours_12).expect("a receive");
    says(&refused(batch[0].extend(hours_12 + MS)), &[0]);
    batch[0].extend(zero).expect("an extend");
    let late = Message::new("x").delay(minute * 15 + MS);
    says(&refused(queue.send_message(&late)), &[0, 900_000]);
    for delay in [zero, minute * 15] {
        queue
            .send_message(&Message::new("x").delay(delay))
            .expect("room");
    }
}

/// Bounds that count messages and receives, at creation and later.
#[test]
fn counts_keep_both_bounds() {
    let queue = queue_of(1000);
    let options = queue.options();
    let most = u32::MAX >> 1;
    let good = [
        options.max_in_flight(1),
        options.max_in_flight(most),
        options.max_receives(1),
        options.max_receives(1000),
        options.no_max_receives(),
    ];
    for options in good {
        let heap = Heap::new(1 << 20).expect("memory");
        Queue::create(heap, options).expect("a queue at its bound");
        queue
            .reconfigure(|_| options)
            .expect("a count at its bound");
        assert_eq!(queue.options(), options);
    }
    let before = queue.options();
    let bad = [
        (options.max_in_flight(0), [1, u64::from(most)]),
        (options.max_in_flight(most + 1), [1, u64::from(most)]),
        (options.max_receives(0), [1, 1000]),
        (options.max_receives(1001), [1, 1000]),
    ];
    for (beyond, range) in bad {
        let heap = Heap::new(1 << 20).expect("memory");
        let error = refused(Queue::create(heap, beyond));
        says(&error, &range);
        assert_eq!(queue.reconfigure(|_| beyond), Err(error));
        assert_eq!(queue.options(), before);
    }
}

/// Receipts are settled in batches of 1 to 10, and no extension goes beyond 12 h of the receive.
#[test]
fn settling_keeps_both_bounds() {
    let clock = ringmain::ManualClock::new(1000);
    let heap = Heap::new(1 << 16).expect("memory");
    let queue = Queue::create_with(heap, QueueOptions::new(), &clock).expect("a queue");
    for _ in 0..11 {
        queue.send(b"x").expect("room");
    }
    let receive = || queue.receive().expect("a receive").expect("a message");
    let receipts: Vec<_> = (0..11).map(|_| receive().detach()).collect();
    for len in [0, 11] {
        let some = &receipts[..len];
        for error in [
            refused(queue.extend_batch(some, MS)),
            refused(queue.release_batch(some)),
            refused(queue.delete_batch(some)),
        ] {
            assert_eq!(error, Error::BatchSize { len });
            says(&error, &[len as u64, 1, 10]);
        }
    }
    let hours_12 = Duration::from_secs(12 * 3600);
    clock.advance(MS);
    for receipt in &receipts[..2] {
        let error = refused(queue.extend(receipt, hours_12));
        says(&error, &[0, 43_199_999]);
        queue.extend(receipt, hours_12 - MS).expect("12 h in all");
    }
    for len in [1, 10] {
        let some = &receipts[..len];
        for outcomes in [
            queue.extend_batch(some, MS * 9).expect("a batch"),
            queue.delete_batch(some).expect("a batch"),
        ] {
            assert_eq!(outcomes.len(), len);
        }
    }
    assert_eq!(queue.stat().expect("figures").deleted, 10);
}

#[test]
fn bodies_and_batches_keep_both_bounds() {
    let queue = queue_of(1000);
    let long = [7; 1001];
    says(&refused(queue.send(b"")), &[1]);
    says(&refused(queue.send(&long)), &[1001, 1000]);
    says(&refused(queue.send_message(&Message::new(""))), &[1]);
    says(
        &refused(queue.send_message(&Message::new(&long))),
        &[1001, 1000],
    );
    queue.send(b"1").expect("one byte");
    queue.send(&long[1..]).expect("as long as may be");
    for len in [0, 11] {
        let batch = vec![Message::new("x"); len];
        for error in [
            refused(queue.send_batch(&vec![b"x"; len])),
            refused(queue.send_messages(&batch)),
            refused(queue.receive_batch(len)),
        ] {
            assert_eq!(error, Error::BatchSize { len });
            says(&error, &[len as u64, 1, 10]);
        }
    }
    for len in [1, 10] {
        let batch = vec![Message::new("x"); len];
        let sent = queue.send_messages(&batch).expect("a batch");
        assert!(sent.len() == len && sent.iter().all(|outcome| outcome.is_ok()));
        assert!(!queue.receive_batch(len).expect("a batch").is_empty());
    }
}

/// A batch has at most 256 KiB in all, attributes included.
#[test]
fn batches_keep_their_sum() {
    const MAX: usize = 256 << 10;
    let queue = queue_of(MAX);
    let long = vec![7; MAX];
    let (half, most) = (&long[..MAX / 2], &long[..MAX / 2 - 8]);
    let with = |body| Message::new(body).integer("n", 5).expect("a number");
    let sent = queue.send_messages(&[Message::new(half), with(most)]);
    assert!(sent.expect("a batch").iter().all(|outcome| outcome.is_ok()));
    let error = refused(queue.send_messages(&[Message::new(&long[..MAX / 2 + 1]), with(most)]));
    assert_eq!(
        error,
        Error::BatchTooLong {
            len: MAX + 1,
            max: MAX
        }
    );
    says(&error, &[MAX as u64, MAX as u64 + 1]);
    assert_eq!(refused(queue.send_batch(&[half, half, &[1]])), error);
    assert_eq!(
        queue.stat().expect("figures").visible,
        2,
        "nothing of it was sent"
    );
    assert!(queue.send_batch(&[half, half]).expect("a batch")[1].is_ok());
}

#[test]
fn attributes_keep_their_bounds() {
    let names: Vec<String> = (0..11).map(|number| format!("name-{number}")).collect();
    let with = |count: usize| {
        let mut names = names[..count].iter();
        names.try_fold(Message::new("x"), |message, name| message.integer(name, 1))
    };
    let queue = queue_of(1000);
    for count in [0, 10] {
        queue
            .send_message(&with(count).expect("room"))
            .expect("room");
        let received = queue.receive().expect("a receive").expect("a message");
        assert_eq!(received.attributes().len(), count);
        received.delete().expect("a delete");
    }
    says(&refused(with(11)), &[11, 10]);
    let long = "n".repeat(257);
    says(&refused(Message::new("x").integer("", 1)), &[1, 256]);
    says(&refused(Message::new("x").integer(&long, 1)), &[1, 256]);
    // The body and the attributes count together: 1 + 256 + 6 + 737.
    let (name, value) = (&long[1..], "v".repeat(737));
    let exact = Message::new("x").string(name, &value).expect("text");
    queue.send_message(&exact).expect("as long as may be");
    let received = queue.receive().expect("a receive").expect("a message");
    assert_eq!(received.attribute(name), Some(Value::String(&value)));
    received.delete().expect("a delete");
    let beyond = Message::new("xy").string(name, &value).expect("text");
    let error = refused(queue.send_message(&beyond));
    assert_eq!(
        error,
        Error::BodyTooLong {
            len: 1001,
            max: 1000
        }
    );
    says(&error, &[1001, 1000]);
}
