//! The SPSC ring: what one side publishes the other sees, over the wrap, singly and in batches.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ringmain::ring::spsc;

use crate::twin::{check, must_fail};

#[test]
fn values_cross_in_order_over_the_wrap() {
    check(|| {
        let (mut producer, mut consumer) = spsc(2).expect("small");
        let sender = thread::spawn(move || {
            for value in [1, 2, 3] {
                while producer.push(value).is_err() {
                    thread::yield_now();
                }
            }
        });
        for expected in [1, 2, 3] {
            loop {
                match consumer.pop() {
                    Some(value) => break assert_eq!(value, expected),
                    None => thread::yield_now(),
                }
            }
        }
        sender.join().expect("the sender ends");
        assert!(consumer.is_closed() && consumer.pop().is_none());
    });
}

#[test]
fn batches_cross_whole() {
    check(|| {
        let (mut producer, mut consumer) = spsc(3).expect("small");
        let sender = thread::spawn(move || {
            assert_eq!(producer.push_batch(&[1, 2]), 2);
            let mut rest: &[i32] = &[3, 4];
            while !rest.is_empty() {
                let pushed = producer.push_batch(rest);
                rest = &rest[pushed..];
                if pushed == 0 {
                    thread::yield_now();
                }
            }
        });
        let (mut expected, mut target) = (1, [0; 2]);
        while expected < 5 {
            let taken = consumer.pop_batch(&mut target);
            for value in &target[..taken] {
                assert_eq!(*value, expected);
                expected += 1;
            }
            if taken == 0 {
                thread::yield_now();
            }
        }
        sender.join().expect("the sender ends");
    });
}

#[test]
fn a_claim_shows_nothing_before_its_commit() {
    check(|| {
        let (mut producer, mut consumer) = spsc(2).expect("small");
        let sender = thread::spawn(move || {
            // A producer that dies here has changed nothing.
            let mut dropped = producer.claim(1).expect("room");
            dropped.push(9).expect("claimed");
            drop(dropped);
            let mut claim = producer.claim(2).expect("room");
            claim.push(1).expect("claimed");
            claim.push(2).expect("claimed");
            assert_eq!(claim.commit(), 2);
        });
        let first = consumer.pop();
        assert!(first.is_none() || first == Some(1));
        if first.is_some() {
            assert_eq!(consumer.len(), 1, "both or none");
        }
        sender.join().expect("the sender ends");
        while consumer.pop().is_some() {}
    });
}

#[test]
fn the_last_handle_frees_what_is_left() {
    check(|| {
        let (mut producer, consumer) = spsc(2).expect("small");
        let value = Arc::new(());
        producer.push(value.clone()).expect("room");
        let other = thread::spawn(move || drop(consumer));
        drop(producer);
        other.join().expect("it ends");
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

/// The protocol in one slot: the producer fills it and moves `tail`, the consumer empties it and
/// moves `head`.
fn one_slot(publish: Ordering, give_back: Ordering) {
    struct Ring {
        slot: UnsafeCell<u32>,
        tail: AtomicUsize,
        head: AtomicUsize,
    }
    // SAFETY: what the model is to find out; loom watches each access.
    unsafe impl Sync for Ring {}
    // SAFETY: as above.
    unsafe impl Send for Ring {}
    let ring = Arc::new(Ring {
        slot: UnsafeCell::new(0),
        tail: AtomicUsize::new(0),
        head: AtomicUsize::new(0),
    });
    let producers = ring.clone();
    let sender = thread::spawn(move || {
        for round in 0..2 {
            while producers.head.load(Ordering::Acquire) != round {
                thread::yield_now();
            }
            // SAFETY: the slot is the producer's while `tail` is at `head`.
            producers
                .slot
                .with_mut(|slot| unsafe { *slot = round as u32 + 1 });
            producers.tail.store(round + 1, publish);
        }
    });
    for round in 0..2 {
        while ring.tail.load(Ordering::Acquire) != round + 1 {
            thread::yield_now();
        }
        // SAFETY: the slot is the consumer's while `tail` is ahead of `head`.
        assert_eq!(ring.slot.with(|slot| unsafe { *slot }), round as u32 + 1);
        ring.head.store(round + 1, give_back);
    }
    sender.join().expect("the sender ends");
}

#[test]
fn twins_with_weak_stores_fail() {
    check(|| one_slot(Ordering::Release, Ordering::Release));
    must_fail("spsc, tail published relaxed", || {
        one_slot(Ordering::Relaxed, Ordering::Release)
    });
    must_fail("spsc, head given back relaxed", || {
        one_slot(Ordering::Release, Ordering::Relaxed)
    });
}
