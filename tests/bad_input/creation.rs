//! Many who create one file at once, and some who die over it.

use crate::common::{Dir, Numbers, child};
use ringmain::{Error, Mapped, Queue, QueueOptions};
use std::path::PathBuf;
use std::process::Child;
use std::sync::Barrier;
use std::time::Duration;

const LEN: u64 = 64 << 10;
const WON: i32 = 10;
const LOST: i32 = 11;

#[test]
fn of_many_threads_one_creates() {
    for dir in [Dir::new("threads"), Dir::shm("threads")] {
        for round in 0..20 {
            let path = dir.file(&format!("{round}.ring"));
            let start = Barrier::new(8);
            let results: Vec<Result<(), Error>> = std::thread::scope(|scope| {
                let create = || {
                    start.wait();
                    Mapped::create(&path, LEN).map(|_| ())
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().expect("no panic"))
                    .collect()
            });
            assert_eq!(
                results.iter().filter(|result| result.is_ok()).count(),
                1,
                "{results:?}"
            );
            assert!(
                results
                    .iter()
                    .all(|r| r.is_ok() || *r == Err(Error::Exists)),
                "{results:?}"
            );
        }
        assert_eq!(dir.names().len(), 20, "nothing half-made stays behind");
    }
}

#[test]
fn many_threads_open_or_create_one_queue() {
    for dir in [Dir::new("open"), Dir::shm("open")] {
        for round in 0..10 {
            let path = dir.file(&format!("{round}.ring"));
            let start = Barrier::new(8);
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        start.wait();
                        let region = Mapped::open_or_create(&path, LEN).expect("one region");
                        let queue = Queue::open_or_create(&region, QueueOptions::new());
                        queue.expect("one queue").send(b"me too").expect("room");
                    });
                }
            });
            let region = Mapped::open(&path).expect("a region");
            let queue = Queue::open(&region).expect("a queue");
            assert_eq!(queue.stat().expect("figures").visible, 8);
        }
        assert_eq!(dir.names().len(), 10);
    }
}

fn children(test: &str, role: &str, dir: &Dir, count: usize) -> Vec<Child> {
    let argument = dir.path().to_str().expect("UTF-8");
    let start = |_| {
        child::command(test, role, argument)
            .spawn()
            .expect("a child")
    };
    (0..count).map(start).collect()
}

#[test]
fn of_many_processes_one_creates() {
    const TEST: &str = "creation::of_many_processes_one_creates";
    if let Some(role) = child::role() {
        let path = PathBuf::from(child::argument()).join("q.ring");
        if role == "opener" {
            let region = Mapped::open_or_create(path, LEN).expect("one region");
            let queue = Queue::open_or_create(&region, QueueOptions::new()).expect("one queue");
            queue.send(b"me too").expect("room");
            return;
        }
        std::process::exit(match Mapped::create(path, LEN) {
            Ok(_) => WON,
            Err(Error::Exists) => LOST,
            Err(error) => panic!("{error}"),
        });
    }
    for dir in [Dir::new("processes"), Dir::shm("processes")] {
        let mut codes: Vec<_> = children(TEST, "creator", &dir, 4)
            .iter_mut()
            .map(|child| child.wait().expect("an end").code())
            .collect();
        codes.sort_unstable();
        assert_eq!(codes, [Some(WON), Some(LOST), Some(LOST), Some(LOST)]);
        assert_eq!(dir.names(), ["q.ring"]);
        std::fs::remove_file(dir.file("q.ring")).expect("a file");

        for mut child in children(TEST, "opener", &dir, 4) {
            assert!(child.wait().expect("an end").success());
        }
        let region = Mapped::open(dir.file("q.ring")).expect("a region");
        let queue = Queue::open(&region).expect("a queue");
        assert_eq!(queue.stat().expect("figures").visible, 4);
        assert_eq!(dir.names(), ["q.ring"]);
    }
}

/// Creators are killed at random moments: each file that has a name is whole.
#[test]
fn a_death_in_creation_leaves_nothing_half_made() {
    const TEST: &str = "creation::a_death_in_creation_leaves_nothing_half_made";
    if child::role().is_some() {
        let dir = PathBuf::from(child::argument());
        for number in 0u64.. {
            let path = dir.join(format!("{}-{number}.ring", std::process::id()));
            let region = Mapped::create(path, LEN).expect("a region");
            Queue::create(&region, QueueOptions::new()).expect("a queue");
        }
    }
    let mut numbers = Numbers(3);
    for dir in [Dir::new("deaths"), Dir::shm("deaths")] {
        for _ in 0..6 {
            let mut creators = children(TEST, "creator", &dir, 2);
            std::thread::sleep(Duration::from_millis(20 + numbers.below(60))); // when they die
            for child in &mut creators {
                assert_eq!(
                    child.try_wait().expect("a child"),
                    None,
                    "it lives until then"
                );
                child.kill().expect("SIGKILL");
                child.wait().expect("an end");
            }
        }
        let names = dir.names();
        assert!(!names.is_empty(), "some were created");
        for name in names {
            let region = Mapped::open(dir.file(&name)).expect("whole, or not there");
            let queue = Queue::open_or_create(&region, QueueOptions::new());
            let queue = queue.expect("a queue, or room for one");
            queue.send(b"works").expect("room");
            let received = queue.receive().expect("a receive").expect("a message");
            received.delete().expect("a delete");
        }
    }
}
