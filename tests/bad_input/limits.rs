//! Numbers out of their ranges. (Bodies, batches and receipts: see the conformance checks.)

use crate::common::Dir;
use ringmain::{Error, Heap, Mapped, Queue, QueueOptions};
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
