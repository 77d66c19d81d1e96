//! Deaths at any moment of a send, a receive or a delete: nothing is lost, and nothing stays
//! behind. And collectors that come by all the time while others send.

use super::{bodies, files, heap, large, large_with};
use crate::common::{Dir, Numbers, body, child, number_of, seed_of};
use ringmain::{LargeOptions, LargeQueue, ManualClock, Mapped, Queue, QueueOptions};
use std::collections::HashSet;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const VISIBILITY: Duration = Duration::from_secs(600);
/// What goes into the queue itself.
const THRESHOLD: usize = 2000;

fn open(dir: &Dir) -> Mapped {
    Mapped::open_or_create(dir.file("q.ring"), 1 << 20).expect("a region")
}

fn queue(region: &Mapped) -> Queue<&Mapped> {
    let options = QueueOptions::new().visibility(VISIBILITY).max_body(4000);
    Queue::open_or_create(region, options).expect("a queue")
}

fn options() -> LargeOptions {
    LargeOptions::new().threshold(THRESHOLD)
}

/// Gives a body in small pieces, and lets others go first before each.
struct Slow<'b>(&'b [u8]);

impl std::io::Read for Slow<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        std::thread::yield_now();
        let piece = bytes.len().min(500);
        self.0.read(&mut bytes[..piece])
    }
}

/// Sends, receives and deletes, and writes down what it knows, until it is killed.
fn live(dir: &std::path::Path, from: u64) {
    let region = Mapped::open(dir.join("q.ring")).expect("a region");
    let queue = queue(&region);
    let large = LargeQueue::with_options(&queue, dir.join("bodies"), options());
    let large = large.expect("a side store");
    let mut log = std::fs::File::options()
        .append(true)
        .create(true)
        .open(dir.join("log"))
        .expect("a log");
    // A line is one write: it is there as a whole when the next call begins, or not at all.
    let mut note = |what: char, seed: u64| {
        let line = format!("{what} {seed}\n");
        log.write_all(line.as_bytes()).expect("written");
    };
    let mut numbers = Numbers(from);
    for seed in from.. {
        let len = 16 + numbers.below(60_000) as usize;
        let sent = body(seed, len);
        let sent = match numbers.below(3) {
            0 => large.send(&sent),
            1 => large.send_reader(&mut Slow(&sent), Some(len as u64)),
            _ => large.send_reader(&mut Slow(&sent), None),
        };
        if sent.is_ok() {
            note('s', seed);
        }
        let many = queue.stat().expect("figures").visible > 12;
        for _ in 0..1 + u64::from(many) * 6 {
            let Some(received) = large.receive().expect("received") else {
                break;
            };
            let bytes = received.read_to_vec(100_000).expect("a whole body");
            let seed = seed_of(&bytes).expect("as it was sent");
            note('d', seed);
            if numbers.below(2) == 0 {
                received.delete().expect("deleted");
            } else {
                large.delete(&received.detach()).expect("deleted");
            }
        }
    }
}

/// The seeds that were sent for certain, and those that may have been deleted.
fn read_log(dir: &Dir) -> (HashSet<u64>, HashSet<u64>) {
    let text = std::fs::read_to_string(dir.file("log")).unwrap_or_default();
    let (mut sent, mut deleted) = (HashSet::new(), HashSet::new());
    for line in text.lines() {
        let seed = line[2..].parse().expect("a seed");
        match &line[..1] {
            "s" => sent.insert(seed),
            _ => deleted.insert(seed),
        };
    }
    (sent, deleted)
}

/// Everything that was sent and not deleted is there, whole and once; and no body without it.
fn check(dir: &Dir, large: &LargeQueue<'_, &Mapped>, empties: bool) {
    let found = large.collect().expect("collected");
    let mut held = Vec::new();
    while let Some(received) = large.receive().expect("received") {
        held.push(received);
    }
    let bodies = held.iter().filter(|received| received.is_large()).count();
    assert_eq!((found.live, files(dir)), (bodies as u64, bodies), "orphans");
    let mut there = HashSet::new();
    for received in held {
        let bytes = received.read_to_vec(100_000).expect("a whole body");
        let seed = seed_of(&bytes).expect("as it was sent");
        assert!(there.insert(seed), "{seed} is there twice");
        if empties {
            received.delete().expect("deleted");
        } else {
            received.release().expect("released");
        }
    }
    let (sent, deleted) = read_log(dir);
    let lost: Vec<_> = sent
        .difference(&deleted)
        .filter(|seed| !there.contains(seed))
        .collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    if empties {
        super::is_empty(large.queue(), dir);
    }
}

#[test]
fn whoever_is_killed_loses_nothing_and_leaves_nothing() {
    let test = "deaths::whoever_is_killed_loses_nothing_and_leaves_nothing";
    if child::role().is_some() {
        let argument = child::argument();
        let (dir, from) = argument.split_once('|').expect("two parts");
        live(std::path::Path::new(dir), from.parse().expect("a seed"));
        return;
    }
    let dir = Dir::new("large-kill");
    let region = open(&dir);
    let queue = queue(&region);
    let large = large_with(&queue, &dir, options());
    let mut numbers = Numbers(number_of("RINGMAIN_LARGE_SEED", 11));
    let (mut sends, mut removed) = (0, 0);
    for round in 0..number_of("RINGMAIN_LARGE_DEATHS", 40) {
        let mut children: Vec<_> = (1..=2u64)
            .map(|who| {
                let from = (round * 2 + who) << 32;
                let argument = format!("{}|{from}", dir.path().display());
                child::command(test, "live", &argument)
                    .spawn()
                    .expect("a child")
            })
            .collect();
        // They work when the log grows; a collector comes by meanwhile.
        let before = read_log(&dir).0.len();
        while read_log(&dir).0.len() < before + 3 {
            large.collect().expect("collected");
        }
        std::thread::sleep(Duration::from_micros(numbers.below(20_000)));
        for child in &mut children {
            child.kill().expect("killed");
        }
        for mut child in children {
            child.wait().expect("dead");
        }
        removed += large.collect().expect("collected").removed;
        check(&dir, &large, false);
        sends = read_log(&dir).0.len();
    }
    check(&dir, &large, true);
    println!("{sends} sent; {removed} bodies that deaths had left");
}

#[test]
fn collectors_in_a_loop_take_no_living_body() {
    const EACH: u64 = 150;
    let dir = Dir::new("large-loop");
    let region = open(&dir);
    let queue = queue(&region);
    let large = large_with(&queue, &dir, options());
    let (done, got) = (AtomicBool::new(false), Mutex::new(HashSet::new()));
    let (rounds, lived) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..3u64)
            .map(|who| {
                let large = &large;
                scope.spawn(move || {
                    let mut numbers = Numbers(who);
                    for seed in who * EACH..(who + 1) * EACH {
                        let len = THRESHOLD + 1 + numbers.below(20_000) as usize;
                        let sent = body(seed, len);
                        while large.send(&sent).is_err() {
                            std::thread::yield_now(); // full
                        }
                        // And one that ends in the middle.
                        let short = large.send_reader(&mut &sent[..], Some(len as u64 + 1));
                        assert!(short.is_err());
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                while got.lock().expect("no panic").len() < 3 * EACH as usize {
                    let Some(received) = large.receive().expect("received") else {
                        std::thread::yield_now();
                        continue;
                    };
                    let bytes = received.read_to_vec(100_000).expect("a whole body");
                    let seed = seed_of(&bytes).expect("as it was sent");
                    received.delete().expect("deleted");
                    assert!(got.lock().expect("no panic").insert(seed), "{seed} twice");
                }
                done.store(true, Ordering::SeqCst);
            });
        }
        scope.spawn(|| {
            let other = LargeQueue::with_options(&queue, bodies(&dir), options());
            let other = other.expect("a side store");
            while !done.load(Ordering::SeqCst) {
                let found = other.collect().expect("collected");
                lived.fetch_add(found.live, Ordering::SeqCst);
                rounds.fetch_add(1, Ordering::SeqCst);
            }
        });
        for sender in senders {
            sender.join().expect("no panic");
        }
    });
    assert!(rounds.load(Ordering::SeqCst) > 0 && lived.load(Ordering::SeqCst) > 0);
    super::is_empty(&queue, &dir);
}

/// A sender that panics while it reads the body gives everything back.
#[test]
fn a_reader_that_panics_leaves_nothing() {
    struct Panics(usize);
    impl std::io::Read for Panics {
        fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
            assert!(self.0 != 0, "as it is meant to");
            self.0 -= 1;
            Ok(bytes.len())
        }
    }
    let (dir, clock) = (Dir::new("large-panic"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    let sent = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        large.send_reader(&mut Panics(3), Some(1 << 20))
    }));
    assert!(sent.is_err());
    super::is_empty(&queue, &dir);
}
