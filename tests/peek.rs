//! Those who peek among senders, receivers, deleters and expiries, at random: each body that is
//! read in place stays whole for as long as it is read, everything is received in the end, and no
//! slot is kept. Over one heap queue, and over a file with an attachment for each.
#![cfg(all(feature = "mapped", not(ringmain_loom)))]

mod common;

use common::{Dir, Numbers, body, number_of, seed_of};
use ringmain::SystemClock;
use ringmain::{Error, Heap, Mapped, MessageState, Peeked, Queue, QueueOptions, Region};
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Messages of each sender; `RINGMAIN_PEEK_MESSAGES` changes it.
const EACH: u64 = 6_000;
const SENDERS: u64 = 2;
const HANGS: Duration = Duration::from_secs(60);

const OPTIONS: QueueOptions = QueueOptions::new()
    .typical_body(48)
    .max_body(400)
    .visibility(Duration::from_millis(4));

/// What one who peeks has met.
#[derive(Debug, Default, Clone, Copy)]
struct Met {
    visible: u64,
    held: u64,
    passed: u64,
}

fn each() -> u64 {
    number_of("RINGMAIN_PEEK_MESSAGES", EACH)
}

fn send<R: Region>(queue: &Queue<R>, sender: u64) {
    let mut numbers = Numbers(sender + 1);
    let begun = Instant::now();
    for number in 0..each() {
        let len = 8 + numbers.below(300) as usize;
        let bytes = body((sender << 32) | number, len);
        while let Err(error) = queue.send(&bytes) {
            assert_eq!(error, Error::Full);
            assert!(begun.elapsed() < HANGS, "full for ever");
            std::thread::yield_now();
        }
    }
}

/// Receives and deletes in many ways until all are gone; how many it has deleted for good.
fn work<R: Region>(queue: &Queue<R>, worker: u64, left: &dyn Fn() -> bool) {
    let mut numbers = Numbers(worker + 77);
    let mut held = Vec::new();
    let begun = Instant::now();
    while left() {
        assert!(begun.elapsed() < HANGS, "it does not end");
        let batch = queue.receive_batch(1 + numbers.below(4) as usize);
        let batch = batch.expect("a receive");
        if batch.is_empty() {
            drop(held.pop());
        }
        for received in batch {
            assert!(seed_of(received.body()).is_some(), "received whole");
            let settled = match numbers.below(8) {
                0 => received.release(),
                1 => {
                    held.push(received); // its time runs out while it is read
                    Ok(())
                }
                2 => queue.delete(&received.receipt()), // and is read until here
                3 => queue.delete(&received.detach()),
                _ => received.delete(),
            };
            use Error::{NotInFlight, Pinned, StaleReceipt};
            let late = matches!(settled, Err(NotInFlight | StaleReceipt | Pinned { .. }));
            assert!(settled.is_ok() || late, "{settled:?}");
        }
        if held.len() > 6 {
            let received = held.swap_remove(numbers.below(6) as usize);
            assert!(
                seed_of(received.body()).is_some(),
                "read whole, though late"
            );
            drop(received);
        }
        if numbers.below(16) == 0 {
            std::thread::yield_now();
        }
    }
}

/// Walks without receiving, and keeps some of what it meets for a while.
fn peek<R: Region>(queue: &Queue<R>, peeker: u64, left: &dyn Fn() -> bool) -> Met {
    let mut numbers = Numbers(peeker + 991);
    let mut met = Met::default();
    let mut kept: Vec<(Peeked<'_, R, SystemClock>, u64)> = Vec::new();
    while left() {
        let mut peeks = queue.peeks();
        for peeked in &mut peeks {
            let peeked = peeked.expect("a look");
            let seed = seed_of(peeked.body()).expect("looked at whole");
            match peeked.state() {
                MessageState::Visible => met.visible += 1,
                _ => met.held += 1,
            }
            if numbers.below(8) == 0 {
                kept.push((peeked, seed));
            }
            if kept.len() > 8 {
                let (peeked, seed) = kept.swap_remove(numbers.below(8) as usize);
                assert_eq!(seed_of(peeked.body()), Some(seed), "whole to the end");
            }
        }
        met.passed += peeks.passed();
        // Not for ever: with two who peek and its holder, a message stays where it is.
        if let Some((peeked, seed)) = kept.pop() {
            assert_eq!(seed_of(peeked.body()), Some(seed), "whole to the end");
        }
        std::thread::yield_now();
    }
    for (peeked, seed) in kept {
        assert_eq!(seed_of(peeked.body()), Some(seed), "whole to the end");
    }
    met
}

/// Everybody at once; `open` gives each a handle.
fn everybody<R, Q>(queue: &Queue<R>, open: impl Fn() -> Q + Sync)
where
    R: Region + Sync,
    Q: std::ops::Deref<Target = Queue<R>>,
{
    let all = SENDERS * each();
    let is_left = || {
        let stat = queue.stat().expect("figures");
        stat.sent < all || stat.visible + stat.in_flight != 0
    };
    let barrier = Barrier::new(6);
    let met = std::thread::scope(|scope| {
        for number in 0..2 {
            let (open, barrier, is_left) = (&open, &barrier, &is_left);
            scope.spawn(move || {
                let queue = open();
                barrier.wait();
                send(&queue, number);
            });
            scope.spawn(move || {
                let queue = open();
                barrier.wait();
                work(&queue, number, is_left);
            });
        }
        let peekers: Vec<_> = (0..2)
            .map(|number| {
                let (open, barrier, is_left) = (&open, &barrier, &is_left);
                scope.spawn(move || {
                    let queue = open();
                    barrier.wait();
                    peek(&queue, number, is_left)
                })
            })
            .collect();
        let met = peekers
            .into_iter()
            .map(|peeker| peeker.join().expect("no panic"));
        met.fold(Met::default(), |sum, met| Met {
            visible: sum.visible + met.visible,
            held: sum.held + met.held,
            passed: sum.passed + met.passed,
        })
    });
    assert!(met.visible > 100 && met.held > 100, "{met:?}");
    println!("looked at: {met:?}");
    let stat = queue.stat().expect("figures");
    assert_eq!((stat.sent, stat.damaged), (all, 0));
    assert_eq!(stat.deleted, all);
    assert_eq!(stat.slots_free, stat.slots, "no slot is kept");
}

struct Own<R: Region>(Queue<R>);

impl<R: Region> std::ops::Deref for Own<R> {
    type Target = Queue<R>;

    fn deref(&self) -> &Queue<R> {
        &self.0
    }
}

#[test]
fn peeks_among_everybody_in_one_process() {
    let region = Heap::new(64 << 10).expect("memory");
    let queue = Queue::create(region, OPTIONS.checksum(true)).expect("a queue");
    everybody(&queue, || &queue);
}

#[test]
fn peeks_among_everybody_over_a_file() {
    let dir = Dir::shm("peek");
    let path = dir.file("q.ring");
    let queue = Queue::create(Mapped::create(&path, 96 << 10).expect("a file"), OPTIONS);
    let queue = queue.expect("a queue");
    everybody(&queue, || {
        let region = Mapped::open(&path).expect("the file");
        Own(Queue::open(region).expect("the queue"))
    });
}
