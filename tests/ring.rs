//! The typed rings under threads: nothing lost, nothing doubled, order kept where it is promised,
//! each value dropped once, and the edges of capacity.
//!
//! `RINGMAIN_RING_VALUES` sets how many values a test moves.

#![cfg(feature = "alloc")]
// The tests count with plain atomics; the ban is for the library.
#![allow(clippy::disallowed_types)]

mod common;
#[path = "ring/spsc.rs"]
mod spsc_ring;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;

use ringmain::ring::{Bag, CapacityError, Full, Mpmc, bag, mpmc, spsc};

/// Values a test moves: enough for many laps, few enough for a slow machine.
fn count() -> u64 {
    static COUNT: LazyLock<u64> = LazyLock::new(|| {
        let few = cfg!(debug_assertions);
        common::number_of("RINGMAIN_RING_VALUES", if few { 60_000 } else { 600_000 })
    });
    *COUNT
}

/// Sum of 0..count.
fn sum(count: u64) -> u64 {
    count * (count - 1) / 2
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A counter and a maker of values that it counts.
fn counted() -> (Arc<AtomicUsize>, impl Fn() -> Counted) {
    let drops = Arc::new(AtomicUsize::new(0));
    let source = drops.clone();
    (drops, move || Counted(source.clone()))
}

#[test]
fn capacities_out_of_range_are_refused() {
    assert_eq!(spsc::<u8>(0).err(), Some(CapacityError::Zero));
    assert_eq!(mpmc::<u8>(0).err(), Some(CapacityError::Zero));
    assert_eq!(bag::<u8>(0).err(), Some(CapacityError::Zero));
    for capacity in [usize::MAX, usize::MAX / 2] {
        assert!(matches!(
            spsc::<u8>(capacity),
            Err(CapacityError::TooLarge { .. })
        ));
        assert!(matches!(
            mpmc::<u8>(capacity),
            Err(CapacityError::TooLarge { .. })
        ));
        assert!(matches!(
            bag::<u8>(capacity),
            Err(CapacityError::TooLarge { .. })
        ));
    }
    let capacity = usize::MAX / 8;
    assert_eq!(
        spsc::<u64>(capacity).err(),
        Some(CapacityError::NoMemory { capacity })
    );
    assert_eq!(
        mpmc::<u64>(capacity).err(),
        Some(CapacityError::NoMemory { capacity })
    );
    assert_eq!(
        bag::<u64>(capacity).err(),
        Some(CapacityError::NoMemory { capacity })
    );
    assert!(CapacityError::Zero.to_string().contains("the least is 1"));
}

/// Four producers and four consumers, singles and batches mixed; checks sum, and returns each
/// consumer's values.
fn storm(
    push: impl Fn(&[u64]) -> usize + Sync,
    pop: impl Fn(&mut [u64]) -> usize + Sync,
) -> Vec<Vec<u64>> {
    let (taken, part) = (AtomicUsize::new(0), count() / 4);
    let lists = thread::scope(|threads| {
        for producer in 0..4 {
            let push = &push;
            threads.spawn(move || {
                let mut next = producer * part;
                let end = next + part;
                while next < end {
                    let length = (next % 13 + 1).min(end - next);
                    let values: Vec<u64> = (next..next + length).collect();
                    let pushed = push(&values);
                    next += pushed as u64;
                    if pushed == 0 {
                        thread::yield_now();
                    }
                }
            });
        }
        let consumer = || {
            let mut list = Vec::new();
            let mut values = [0; 10];
            while (taken.load(Ordering::Relaxed) as u64) < 4 * part {
                let length = list.len() % values.len() + 1;
                let popped = pop(&mut values[..length]);
                list.extend_from_slice(&values[..popped]);
                taken.fetch_add(popped, Ordering::Relaxed);
                if popped == 0 {
                    thread::yield_now();
                }
            }
            list
        };
        let consumers: Vec<_> = (0..4).map(|_| threads.spawn(consumer)).collect();
        consumers
            .into_iter()
            .map(|c| c.join().expect("a consumer ends"))
            .collect::<Vec<_>>()
    });
    let mut all: Vec<u64> = lists.concat();
    assert_eq!(all.iter().sum::<u64>(), sum(4 * part));
    all.sort_unstable();
    assert!(
        all.iter().copied().eq(0..4 * part),
        "each value exactly once"
    );
    lists
}

/// Each consumer sees each producer's values in the order of their pushes.
fn assert_ordered(lists: &[Vec<u64>]) {
    for list in lists {
        let mut last = [None; 4];
        for value in list {
            let producer = (value / (count() / 4)) as usize;
            assert!(
                last[producer] < Some(*value),
                "{value} after {:?}",
                last[producer]
            );
            last[producer] = Some(*value);
        }
    }
}

#[test]
fn mpmc_storms_at_odd_capacities_keep_each_producers_order() {
    for capacity in [3, 64, 77, 1000] {
        let ring = mpmc(capacity).expect("a small ring");
        let single = |values: &[u64]| usize::from(ring.push(values[0]).is_ok());
        let batch = |values: &[u64]| ring.push_batch(values);
        let from = |values: &[u64]| ring.push_from(&mut values.iter().copied());
        let pop = |target: &mut [u64]| match target.len() {
            1 => ring.pop().map(|value| target[0] = value).map_or(0, |()| 1),
            _ => ring.pop_batch(target),
        };
        assert_ordered(&storm(single, pop));
        assert_ordered(&storm(batch, pop));
        assert_ordered(&storm(from, pop));
        assert!(ring.is_empty());
    }
}

#[test]
fn bag_storms_lose_and_double_nothing() {
    for capacity in [3, 64, 100, 1000] {
        let bag = bag(capacity).expect("a small bag");
        let single = |values: &[u64]| usize::from(bag.push(values[0]).is_ok());
        let batch = |values: &[u64]| bag.push_batch(values);
        let from = |values: &[u64]| bag.push_from(&mut values.iter().copied());
        let pop = |target: &mut [u64]| match target.len() {
            1 => bag.pop().map(|value| target[0] = value).map_or(0, |()| 1),
            _ => bag.pop_batch(target),
        };
        storm(single, pop);
        storm(batch, pop);
        storm(from, pop);
        assert!(bag.is_empty());
    }
}

#[test]
fn mpmc_fills_and_empties_at_every_small_capacity() {
    for capacity in 1..=9 {
        let ring = mpmc(capacity).expect("a small ring");
        let (mut next_in, mut next_out) = (0, 0);
        for lap in 0..40 {
            if lap % 2 == 0 {
                while ring.push(next_in).is_ok() {
                    next_in += 1;
                }
            } else {
                let values: Vec<u32> = (next_in..).take(capacity + 1).collect();
                next_in += ring.push_batch(&values) as u32;
            }
            assert!(ring.is_full());
            assert_eq!((ring.len(), ring.push(99)), (capacity, Err(Full(99))));
            let mut target = vec![0; lap % capacity + 1];
            assert_eq!(ring.pop_batch(&mut target), target.len());
            for value in target {
                assert_eq!(value, next_out);
                next_out += 1;
            }
        }
        while let Some(value) = ring.pop() {
            assert_eq!(value, next_out);
            next_out += 1;
        }
        assert_eq!(
            (next_in, ring.len(), ring.pop_batch(&mut [])),
            (next_out, 0, 0)
        );
    }
}

#[test]
fn mpmc_claims_that_are_dropped_are_stepped_over() {
    let (drops, new) = counted();
    let ring = Mpmc::<Counted, 5>::new();
    for _ in 0..20 {
        drop(ring.claim().expect("room"));
        ring.claim().expect("room").commit(new());
        drop(ring.claim().expect("room"));
        assert!(ring.pop().is_some());
        assert!(ring.pop().is_none());
        assert!(ring.is_empty());
    }
    assert_eq!(drops.load(Ordering::Relaxed), 20);
    std::mem::forget(ring.claim());
    assert!(ring.push(new()).is_ok() && ring.pop().is_none());
    drop(ring);
    assert_eq!(drops.load(Ordering::Relaxed), 21);
}

/// Announces more than it has.
struct Short(u32);

impl Iterator for Short {
    type Item = u32;
    fn next(&mut self) -> Option<u32> {
        self.0 = self.0.checked_sub(1)?;
        Some(self.0)
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        (4, Some(4))
    }
}

impl ExactSizeIterator for Short {}

#[test]
fn iterators_that_end_early_leave_nothing_behind() {
    let (ring, bag) = (Mpmc::<u32, 8>::new(), Bag::<u32, 1>::new());
    for _ in 0..10 {
        assert_eq!(ring.push_from(&mut Short(2)), 2);
        assert_eq!(
            (ring.pop(), ring.pop(), ring.pop()),
            (Some(1), Some(0), None)
        );
        assert_eq!(bag.push_from(&mut Short(2)), 2);
        assert_eq!((bag.pop(), bag.pop(), bag.pop()), (Some(1), Some(0), None));
    }
    assert!(ring.is_empty() && bag.is_empty());
}

#[test]
fn rings_drop_what_is_left_once() {
    let (drops, new) = counted();
    let (ring, bag) = (mpmc(10).expect("small"), bag(100).expect("small"));
    let (mut producer, consumer) = spsc(10).expect("small");
    for _ in 0..10 {
        assert!(ring.push(new()).is_ok() && bag.push(new()).is_ok());
        assert!(producer.push(new()).is_ok());
    }
    assert_eq!(
        (ring.pop_many::<4>().len(), bag.pop_many::<3>().len()),
        (4, 3)
    );
    assert_eq!(drops.load(Ordering::Relaxed), 7);
    drop((ring, bag, consumer));
    assert_eq!(drops.load(Ordering::Relaxed), 20);
    assert!(producer.is_closed());
    drop(producer);
    assert_eq!(drops.load(Ordering::Relaxed), 30);
}

#[test]
fn a_stopped_claimant_stops_nobody_in_a_bag() {
    let bag = Bag::<u64, 2>::new();
    let stopped: Vec<_> = (0..5).map(|_| bag.claim().expect("room")).collect();
    let lists = storm(
        |values| bag.push_batch(values),
        |target| bag.pop_batch(target),
    );
    assert_eq!(lists.concat().len() as u64, count() / 4 * 4);
    assert_eq!(bag.len(), 0);
    drop(stopped);
    while bag.push(0).is_ok() {}
    assert_eq!((bag.len(), bag.is_full()), (128, true));
}

#[test]
fn a_bag_starves_no_slot_over_laps() {
    for capacity in [5, 64, 130] {
        let bag = bag(capacity).expect("a small bag");
        let mut next = 0;
        while bag.push(next).is_ok() {
            next += 1;
        }
        assert_eq!((next as usize, bag.len()), (capacity, capacity));
        // Each value comes out within two laps of going in, while one goes in for each that comes.
        for _ in 0..10 * capacity {
            let value = bag.pop().expect("full");
            assert!(
                next - value <= 2 * capacity as u64,
                "{value} is late at {next}"
            );
            assert_eq!(bag.push(next), Ok(()));
            next += 1;
        }
    }
}
