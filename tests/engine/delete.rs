//! Deleting: handles fail, who waits is told, names are free at once; many threads at one name.

use crate::common::{Dir, Numbers};
use crate::{over_both, small};
use ringmain::{Durability, Engine, Error, Home, ManualClock, QueueOptions};
use std::sync::Barrier;
use std::time::{Duration, Instant};

over_both! {
    handles_of_a_deleted_queue_fail
    a_name_is_free_at_once
    who_waits_is_told
    many_create_one_queue
    many_create_and_delete_one_name
}

fn handles_of_a_deleted_queue_fail<H: Home>(engine: &Engine<H>) {
    let queue = engine.create_queue("q", &small()).expect("a queue");
    queue.send(b"one").expect("room");
    queue.send(b"two").expect("room");
    let held = queue.receive().expect("received").expect("a message");
    engine.delete_queue("q").expect("deleted");
    let outcomes = [
        queue.send(b"three").map(|_| ()),
        queue.receive().map(|_| ()),
        queue.receive_timeout(Duration::from_secs(20)).map(|_| ()),
        queue.claim(3).map(|_| ()),
        queue.stat().map(|_| ()),
        queue.purge().map(|_| ()),
        queue.tend().map(|_| ()),
        queue.reconfigure(|options| options),
        held.delete().map(|_| ()),
    ];
    for (at, outcome) in outcomes.iter().enumerate() {
        assert_eq!(*outcome, Err(Error::Deleted), "call {at}");
    }
    assert_eq!(engine.delete_queue("q"), Err(Error::NoQueue));
    assert_eq!(engine.queues("").expect("names"), [""; 0]);
}

fn a_name_is_free_at_once<H: Home>(engine: &Engine<H>) {
    let old = engine
        .create_queue("q", &small().tag("age", "old"))
        .expect("a queue");
    old.send(b"old").expect("room");
    engine.delete_queue("q").expect("deleted");
    let new = engine
        .create_queue("q", &small().bytes(128 << 10))
        .expect("another one");
    new.send(b"new").expect("room");
    assert_eq!(old.receive().map(|_| ()), Err(Error::Deleted));
    let received = new.receive().expect("received").expect("a message");
    assert_eq!(received.body(), b"new");
    assert_eq!(new.stat().expect("figures").in_flight, 1);
    assert!(engine.describe("q").expect("it").tags.is_empty());
}

fn who_waits_is_told<H: Home>(engine: &Engine<H>) {
    let queue = engine.create_queue("q", &small()).expect("a queue");
    for round in 0..20 {
        let other = engine.create_queue("q", &small()).expect("a queue");
        std::thread::scope(|scope| {
            let waits = || {
                let begun = Instant::now();
                let received = other.receive_timeout(Duration::from_secs(20)).map(|_| ());
                assert_eq!(received, Err(Error::Deleted));
                assert!(
                    begun.elapsed() < Duration::from_secs(10),
                    "told, and not timed out"
                );
            };
            for _ in 0..3 {
                scope.spawn(waits);
            }
            std::thread::sleep(Duration::from_micros(200 * round)); // before and after they sleep
            engine.delete_queue("q").expect("deleted");
        });
    }
    assert_eq!(queue.receive().map(|_| ()), Err(Error::Deleted));
}

fn many_create_one_queue<H: Home>(engine: &Engine<H>) {
    for round in 0..10 {
        let name = format!("q{round}");
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    let queue = engine.create_queue(&name, &small()).expect("one queue");
                    queue.send(b"me too").expect("room");
                });
            }
        });
        let stats = engine.describe(&name).expect("it").stats;
        assert_eq!((stats.visible, stats.attachments), (8, 1));
    }
}

fn many_create_and_delete_one_name<H: Home>(engine: &Engine<H>) {
    std::thread::scope(|scope| {
        for seed in 0..6 {
            scope.spawn(move || turmoil(engine, seed, 60));
        }
    });
    for name in engine.queues("").expect("names") {
        engine
            .create_queue(&name, &small())
            .expect("the one that is there");
    }
}

#[test]
fn a_timed_committer_ends_with_its_queue() {
    let (dir, engine) = crate::in_shm("committer");
    let every = Durability::Interval(Duration::from_millis(1));
    let spec = crate::with(QueueOptions::new().durability(every));
    for _ in 0..5 {
        let queue = engine.create_queue("q", &spec).expect("a queue");
        queue.send(b"one").expect("room");
        assert_eq!(dir.names().len(), 4, "marker, region, journal, metadata");
        engine.delete_queue("q").expect("deleted");
        assert_eq!(dir.names(), ["ringmain.engine"]);
        assert_eq!(queue.sync().map(|_| ()), Err(Error::Deleted));
    }
}

#[test]
fn an_engine_has_the_clock_that_it_is_given() {
    let clock = ManualClock::new(1000);
    let engine = Engine::in_memory_with(&clock);
    let queue = engine.create_queue("q", &small()).expect("a queue");
    queue.send(b"one").expect("room");
    drop(queue.receive().expect("received").expect("a message"));
    clock.advance(Duration::from_secs(31));
    assert!(queue.receive().expect("received").is_some());
    let dir = Dir::new("clock");
    let engine = Engine::create_with(dir.file("engine"), &clock).expect("an engine");
    engine.create_queue("q", &small()).expect("a queue");
    let other = Engine::open_with(dir.file("engine"), &clock).expect("the same");
    assert_eq!(other.nonce(), engine.nonce());
    assert_eq!(
        other.path(),
        dir.file("engine").canonicalize().expect("a path")
    );
    assert_eq!(other.queues("").expect("names"), ["q"]);
}

/// Makes, uses and deletes a few queues that others make, use and delete as well.
pub fn turmoil<H: Home>(engine: &Engine<H>, seed: u64, rounds: u64) {
    let mut numbers = Numbers(seed);
    for _ in 0..rounds {
        let name = ["a", "b", "c"][numbers.below(3) as usize];
        let done = match numbers.below(6) {
            0 => engine.delete_queue(name),
            1 => engine
                .open_queue(name)
                .and_then(|queue| queue.send(b"opened").map(|_| ())),
            2 => engine.tag(name, "key", "value"),
            3 => engine.describe(name).map(|_| ()),
            _ => {
                let queue = engine.create_queue(name, &small()).expect("one or another");
                let sent = queue.send(b"created").map(|_| ());
                sent.and_then(|()| queue.receive().map(|_| ()))
            }
        };
        assert!(
            matches!(
                done,
                Ok(()) | Err(Error::Deleted | Error::NoQueue | Error::Full)
            ),
            "{done:?}"
        );
    }
}
