//! The bag: blocks of two slots under the checker, swept over laps; a stopped claimant.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use ringmain::ring::bag;

use crate::twin::{check, must_fail};

#[test]
fn nothing_is_lost_or_doubled_over_laps() {
    check(|| {
        let bag = Arc::new(bag(3).expect("small"));
        let pusher = bag.clone();
        let sender = thread::spawn(move || {
            for value in [1, 2, 4, 8] {
                while pusher.push(value).is_err() {
                    thread::yield_now();
                }
            }
        });
        let mut seen = 0;
        while seen != 15 {
            match bag.pop() {
                Some(value) => {
                    assert_eq!(seen & value, 0, "doubled");
                    seen |= value;
                }
                None => thread::yield_now(),
            }
        }
        sender.join().expect("the sender ends");
        assert!(bag.is_empty());
    });
}

#[test]
fn two_batches_and_two_readers_share_a_block() {
    check(|| {
        let bag = Arc::new(bag(4).expect("small"));
        let (pusher, popper) = (bag.clone(), bag.clone());
        let sender = thread::spawn(move || assert_eq!(pusher.push_batch(&[4, 8]), 2));
        let reader = thread::spawn(move || popper.pop().unwrap_or(0));
        assert_eq!(bag.push_batch(&[1, 2]), 2);
        let mut target = [0; 4];
        let taken = bag.pop_batch(&mut target);
        let mut sum: u32 = target[..taken].iter().sum();
        sum += reader.join().expect("it ends");
        sender.join().expect("it ends");
        let taken = bag.pop_batch(&mut target);
        assert_eq!(sum + target[..taken].iter().sum::<u32>(), 15);
    });
}

#[test]
fn a_claimant_that_dies_at_any_step_stops_nobody() {
    for dies_after in 0..3 {
        check(move || {
            let bag = Arc::new(bag(3).expect("small"));
            let dying = bag.clone();
            let victim = thread::spawn(move || match dies_after {
                0 => {}
                1 => std::mem::forget(dying.claim().expect("room")),
                _ => dying.claim().expect("room").commit(16),
            });
            let mut seen = 0;
            for value in [1, 2, 4] {
                assert!(bag.push(value).is_ok(), "two slots are there for one value");
                seen += bag.pop().expect("one value or two are there");
            }
            victim.join().expect("it ends");
            while let Some(value) = bag.pop() {
                seen += value;
            }
            assert_eq!(seen, if dies_after == 2 { 23 } else { 7 });
        });
    }
}

/// One slot in a block: claimed by a bit of `taken`, published by a bit of `ready`, and back.
fn one_bit(publish: Ordering, give_back: Ordering) {
    struct Block {
        taken: AtomicU64,
        ready: AtomicU64,
        slot: UnsafeCell<u32>,
    }
    // SAFETY: what the model is to find out; loom watches each access.
    unsafe impl Sync for Block {}
    // SAFETY: as above.
    unsafe impl Send for Block {}
    let (taken, ready) = (AtomicU64::new(0), AtomicU64::new(0));
    let block = Arc::new(Block {
        taken,
        ready,
        slot: UnsafeCell::new(0),
    });
    let claim = |word: &AtomicU64, from: u64| {
        word.compare_exchange(from, 1 - from, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    };
    let pushers = block.clone();
    let pusher = thread::spawn(move || {
        for value in [1, 2] {
            while !claim(&pushers.taken, 0) {
                thread::yield_now();
            }
            // SAFETY: claimed.
            pushers.slot.with_mut(|slot| unsafe { *slot = value });
            pushers.ready.fetch_or(1, publish);
        }
    });
    for value in [1, 2] {
        while !claim(&block.ready, 1) {
            thread::yield_now();
        }
        // SAFETY: claimed.
        assert_eq!(block.slot.with(|slot| unsafe { *slot }), value);
        block.taken.fetch_and(0, give_back);
    }
    pusher.join().expect("the pusher ends");
}

#[test]
fn twins_with_weak_bits_fail() {
    check(|| one_bit(Ordering::Release, Ordering::Release));
    must_fail("bag, ready set relaxed", || {
        one_bit(Ordering::Relaxed, Ordering::Release)
    });
    must_fail("bag, taken cleared relaxed", || {
        one_bit(Ordering::Release, Ordering::Relaxed)
    });
}
