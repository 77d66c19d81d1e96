//! The MPMC ring: claims by ticket, batches by one compare-exchange, holes.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ringmain::ring::mpmc;

use crate::twin::{check, must_fail};

#[test]
fn two_producers_and_two_consumers_lose_and_double_nothing() {
    check(|| {
        let ring = Arc::new(mpmc(2).expect("small"));
        let (pusher, popper) = (ring.clone(), ring.clone());
        let first = thread::spawn(move || pusher.push(1).is_ok());
        let second = thread::spawn(move || popper.pop().unwrap_or(0));
        let pushed = if ring.push(2).is_ok() { 2 } else { 0 };
        let mut sum = ring.pop().unwrap_or(0);
        sum += second.join().expect("it ends");
        let expected = pushed + u32::from(first.join().expect("it ends"));
        while let Some(value) = ring.pop() {
            sum += value;
        }
        assert_eq!((sum, expected), (3, 3));
    });
}

#[test]
fn a_batch_stays_together_over_the_wrap() {
    check(|| {
        let ring = Arc::new(mpmc(3).expect("small"));
        ring.push(0).expect("room");
        ring.push(0).expect("room");
        let pusher = ring.clone();
        let sender = thread::spawn(move || {
            let mut rest: &[u32] = &[1, 2];
            while !rest.is_empty() {
                let pushed = pusher.push_batch(rest);
                rest = &rest[pushed..];
                if pushed == 0 {
                    thread::yield_now();
                }
            }
        });
        let mut target = [0; 2];
        assert_eq!(ring.pop_batch(&mut target), 2);
        let mut expected = 1;
        while expected < 3 {
            match ring.pop() {
                Some(value) => {
                    assert_eq!(value, expected);
                    expected += 1;
                }
                None => thread::yield_now(),
            }
        }
        sender.join().expect("the sender ends");
    });
}

#[test]
fn two_batches_do_not_mix() {
    check(|| {
        let ring = Arc::new(mpmc(4).expect("small"));
        let other = ring.clone();
        let second = thread::spawn(move || assert_eq!(other.push_batch(&[11, 12]), 2));
        assert_eq!(ring.push_batch(&[1, 2]), 2);
        second.join().expect("it ends");
        let mut target = [0; 4];
        assert_eq!(ring.pop_batch(&mut target), 4);
        assert!(
            target == [1, 2, 11, 12] || target == [11, 12, 1, 2],
            "{target:?}"
        );
    });
}

#[test]
fn a_dropped_claim_is_stepped_over_by_two_readers() {
    check(|| {
        let ring = Arc::new(mpmc(2).expect("small"));
        let (dropper, popper) = (ring.clone(), ring.clone());
        let claim = thread::spawn(move || drop(dropper.claim().expect("room")));
        let reader = thread::spawn(move || popper.pop().unwrap_or(0));
        ring.push(7).expect("room");
        let mine = ring.pop().unwrap_or(0);
        claim.join().expect("it ends");
        let rest = reader.join().expect("it ends") + mine + ring.pop().unwrap_or(0);
        assert_eq!((rest, ring.len()), (7, 0));
    });
}

/// Two slots, both filled in lap 0. One reader takes each, and a batch of two claims both for the
/// next lap after it has looked at `looked_at` of their stamps, the last first.
fn batch_claim(looked_at: usize, publish: Ordering) {
    struct Cell {
        stamp: AtomicUsize,
        slot: UnsafeCell<u32>,
    }
    // SAFETY: what the model is to find out; loom watches each access.
    unsafe impl Sync for Cell {}
    // SAFETY: as above.
    unsafe impl Send for Cell {}
    let cell = |value| Cell {
        stamp: AtomicUsize::new(1),
        slot: UnsafeCell::new(value),
    };
    let cells = Arc::new([cell(1), cell(2)]);
    let head = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (cells, head) = (cells.clone(), head.clone());
            thread::spawn(move || {
                let cell = &cells[head.fetch_add(1, Ordering::Relaxed)];
                // SAFETY: claimed by this reader.
                assert_ne!(cell.slot.with(|slot| unsafe { *slot }), 0);
                cell.stamp.store(2, publish);
            })
        })
        .collect();
    let free = |cell: &Cell| cell.stamp.load(Ordering::Acquire) == 2;
    if cells.iter().rev().take(looked_at).all(free) {
        for cell in cells.iter() {
            // SAFETY: claimed by this batch.
            cell.slot.with_mut(|slot| unsafe { *slot = 9 });
        }
    }
    for reader in readers {
        reader.join().expect("it ends");
    }
}

#[test]
fn twins_that_look_too_little_fail() {
    check(|| batch_claim(2, Ordering::Release));
    must_fail("mpmc, batch looks at its last slot only", || {
        batch_claim(1, Ordering::Release)
    });
    must_fail("mpmc, stamp given back relaxed", || {
        batch_claim(2, Ordering::Relaxed)
    });
}
