//! Levels and positions.

use crate::common::{Dir, body};
use crate::machine::Machine;
use ringmain::{Durability, Error, Heap, Mapped, Queue, QueueOptions};
use std::time::{Duration, Instant};

const EVERY: Durability = Durability::Interval(Duration::from_millis(20));

#[test]
fn positions_move_when_the_disk_has_it() {
    let machine = Machine::new(
        "levels-position",
        1 << 17,
        QueueOptions::new().durability(Durability::BeforeOk),
    );
    let region = machine.open();
    let queue = Queue::open(&region).expect("the queue");
    assert_eq!(queue.durability(), Durability::BeforeOk);
    let process = queue.at(Durability::Process).expect("a level");
    process.send(b"only in memory").expect("room");
    let position = queue.position().expect("a position");
    assert!(queue.durable_position().expect("a position") < position);
    queue.wait_durable(position).expect("the disk");
    assert!(queue.durable_position().expect("a position") >= position);
    queue.send(b"on the disk").expect("room");
    let durable = queue.durable_position().expect("a position");
    assert!(durable > position);
    assert!(queue.sync().expect("the disk") > durable);
    region.sync().expect("the disk");
}

#[test]
fn an_interval_commits_by_itself() {
    let machine = Machine::new(
        "levels-interval",
        1 << 17,
        QueueOptions::new().durability(EVERY),
    );
    let region = machine.open();
    let queue = Queue::open(&region).expect("the queue");
    assert_eq!(queue.durability(), EVERY);
    for round in 0..5 {
        queue.send(&body(round, 100)).expect("room");
        let position = queue.position().expect("a position");
        let deadline = Instant::now() + Duration::from_secs(10);
        while queue.durable_position().expect("a position") < position {
            assert!(Instant::now() < deadline, "nobody commits");
            std::thread::yield_now();
        }
    }
}

#[test]
fn the_last_to_go_commits() {
    let every = Durability::Interval(Duration::from_secs(3600));
    let mut machine = Machine::new(
        "levels-last",
        1 << 17,
        QueueOptions::new().durability(every),
    );
    {
        let region = machine.open();
        let queue = Queue::open(&region).expect("the queue");
        queue.send(b"in an hour").expect("room");
        assert!(queue.durable_position().expect("one") < queue.position().expect("one"));
    }
    machine.stop();
    let region = machine.open();
    let queue = Queue::open(&region).expect("the queue");
    let received = queue.receive().expect("a receive").expect("the message");
    assert_eq!(received.body(), b"in an hour");
}

#[test]
fn threads_that_wait_share_commits() {
    let machine = Machine::new(
        "levels-group",
        1 << 20,
        QueueOptions::new().durability(Durability::BeforeOk),
    );
    let region = machine.open();
    let queue = Queue::open(&region).expect("the queue");
    const THREADS: u64 = 8;
    const EACH: u64 = 50;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let queue = &queue;
            scope.spawn(move || {
                for i in 0..EACH {
                    queue.send(&body(thread * EACH + i, 100)).expect("room");
                }
            });
        }
    });
    let commits = queue.durable_position().expect("a position").as_u64();
    assert!(
        commits < THREADS * EACH,
        "{commits} commits for {} sends",
        THREADS * EACH
    );
    assert_eq!(queue.stat().expect("figures").visible, THREADS * EACH);
}

#[test]
fn levels_that_a_queue_cannot_have() {
    let heap = Heap::new(1 << 16).expect("memory");
    let options = QueueOptions::new().durability(Durability::BeforeOk);
    assert_eq!(Queue::create(&heap, options).err(), Some(Error::NoJournal));
    let queue = Queue::create(&heap, QueueOptions::new()).expect("a queue");
    assert_eq!(queue.at(Durability::BeforeOk).err(), Some(Error::NoJournal));
    assert!(queue.at(Durability::Process).is_ok());
    assert_eq!(queue.sync().err(), Some(Error::NoJournal));
    assert_eq!(queue.position().err(), Some(Error::NoJournal));
    assert_eq!(queue.durable_position().err(), Some(Error::NoJournal));

    let dir = Dir::new("levels-refused");
    let region = Mapped::create(dir.file("q"), 1 << 17).expect("a region");
    for ms in [0, 3_600_001] {
        let interval = Durability::Interval(Duration::from_millis(ms));
        let error = Queue::create(&region, QueueOptions::new().durability(interval)).err();
        let what = "durability interval (ms)";
        let (min, max) = (1, 3_600_000);
        let value = ms;
        assert_eq!(
            error,
            Some(Error::OutOfRange {
                what,
                value,
                min,
                max
            })
        );
    }
    let bare = options.checksum(false);
    assert!(matches!(
        Queue::create(&region, bare),
        Err(Error::OutOfRange { .. })
    ));
    let queue = Queue::create(&region, QueueOptions::new().durability(EVERY)).expect("a queue");
    assert!(queue.at(EVERY).is_ok() && queue.at(Durability::BeforeOk).is_ok());
    let other = Durability::Interval(Duration::from_millis(21));
    assert!(matches!(queue.at(other), Err(Error::OptionsDiffer { .. })));
    assert!(matches!(
        Queue::open_or_create(&region, options),
        Err(Error::OptionsDiffer { .. })
    ));
    let later = queue.position().expect("a position");
    queue.sync().expect("the disk");
    queue.wait_durable(later).expect("the disk");
}
