//! The ring between one producer and one consumer.

use std::sync::atomic::Ordering;
use std::thread;

use ringmain::ring::{Full, Spsc, spsc};

use crate::{Counted, count, counted};

#[test]
fn spsc_fills_and_empties_at_every_small_capacity() {
    for capacity in 1..=9 {
        let (mut producer, mut consumer) = spsc(capacity).expect("a small ring");
        let (mut next_in, mut next_out) = (0, 0);
        for lap in 0..50 {
            while producer.push(next_in).is_ok() {
                next_in += 1;
            }
            assert!(producer.is_full() && consumer.is_full());
            assert_eq!(producer.push(99), Err(Full(99)));
            assert_eq!(producer.len(), capacity);
            for _ in 0..(lap % capacity) + 1 {
                assert_eq!(consumer.pop(), Some(next_out));
                next_out += 1;
            }
            assert_eq!(consumer.len() as u32, next_in - next_out);
        }
        while let Some(value) = consumer.pop() {
            assert_eq!(value, next_out);
            next_out += 1;
        }
        assert_eq!(next_in, next_out);
        assert!(producer.is_empty() && consumer.is_empty());
    }
}

#[test]
fn spsc_batches_of_all_lengths_keep_order_over_the_wrap() {
    for capacity in [1, 2, 3, 5, 7, 8, 64, 100] {
        let (mut producer, mut consumer) = spsc(capacity).expect("a small ring");
        let (mut next_in, mut next_out) = (0u32, 0u32);
        for step in 0..2000usize {
            let mixed = step.wrapping_mul(2_654_435_761) >> 5;
            let values: Vec<u32> = (next_in..).take(mixed % (capacity + 3)).collect();
            next_in += producer.push_batch(&values) as u32;
            let mut target = vec![0; (mixed >> 9) % (capacity + 3)];
            let taken = consumer.pop_batch(&mut target);
            for value in &target[..taken] {
                assert_eq!(*value, next_out);
                next_out += 1;
            }
            assert_eq!(producer.len() as u32, next_in - next_out);
        }
        assert!(next_out > 100);
    }
}

#[test]
fn spsc_threads_lose_and_double_nothing() {
    for capacity in [1, 3, 64, 1000] {
        let all = count();
        let count = if capacity == 1 { all / 100 } else { all };
        let (mut producer, mut consumer) = spsc(capacity).expect("a small ring");
        let sender = thread::spawn(move || {
            for value in 0..count {
                while producer.push(value).is_err() {
                    thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        while expected < count {
            match consumer.pop() {
                Some(value) => {
                    assert_eq!(value, expected);
                    expected += 1;
                }
                None => thread::yield_now(),
            }
        }
        sender.join().expect("the sender ends");
        assert_eq!(consumer.pop(), None);
        assert!(consumer.is_closed());
    }
}

#[test]
fn spsc_threads_by_claims_reads_and_iterators() {
    static RING: Spsc<u64, 37> = Spsc::new();
    let (mut producer, mut consumer) = RING.try_split().expect("nobody else has it");
    assert!(RING.try_split().is_none());
    let sender = thread::spawn(move || {
        let mut next = 0;
        while next < count() {
            let length = (next % 11 + 1).min(count() - next);
            let added = match next % 3 {
                0 => producer.push_from(&mut (next..next + length)) as u64,
                1 => match producer.claim(length as usize) {
                    Ok(mut claim) => {
                        for value in next..next + length {
                            claim.push(value).expect("claimed");
                        }
                        claim.commit() as u64
                    }
                    Err(Full(())) => 0,
                },
                _ => match producer.claim(length as usize) {
                    Ok(mut claim) => {
                        let values: Vec<u64> = (next..next + length).collect();
                        assert_eq!(claim.copy_from_slice(&values), values.len());
                        let (first, second) = claim.as_mut_slices();
                        assert_eq!((first.len() + second.len()) as u64, length);
                        assert_eq!(first.first(), Some(&next));
                        claim.commit() as u64
                    }
                    Err(Full(())) => 0,
                },
            };
            next += added;
            if added == 0 {
                thread::yield_now();
            }
        }
    });
    let mut expected = 0;
    while expected < count() {
        let before = expected;
        if expected % 2 == 0 {
            let read = consumer.read(9);
            let (first, second) = read.as_slices();
            for value in first.iter().chain(second) {
                assert_eq!(*value, expected);
                expected += 1;
            }
            let length = read.len();
            assert_eq!(read.commit(length), length);
        } else {
            for value in consumer.drain(4) {
                assert_eq!(value, expected);
                expected += 1;
            }
        }
        if expected == before {
            thread::yield_now();
        }
    }
    sender.join().expect("the sender ends");
    drop(consumer);
    assert!(RING.try_split().is_some());
}

#[test]
fn spsc_claims_and_reads_that_are_dropped_change_nothing() {
    let (drops, new) = counted();
    let (mut producer, mut consumer) = spsc(4).expect("a small ring");
    let mut claim = producer.claim(3).expect("room");
    assert!(claim.push(new()).is_ok() && claim.push(new()).is_ok());
    drop(claim);
    assert_eq!(drops.load(Ordering::Relaxed), 2);
    assert!(consumer.pop().is_none());
    assert!(producer.claim(5).is_err());
    assert_eq!(producer.push_from(&mut (0..9).map(|_| new())), 4);
    drop(consumer.read(3));
    assert_eq!((consumer.len(), drops.load(Ordering::Relaxed)), (4, 2));
    assert_eq!(consumer.read(3).commit(2), 2);
    assert_eq!((consumer.len(), drops.load(Ordering::Relaxed)), (2, 4));
    assert!(consumer.peek().is_some());
    drop(producer);
    assert!(consumer.is_closed());
    drop(consumer);
    assert_eq!(drops.load(Ordering::Relaxed), 6);
}

#[test]
fn spsc_split_again_keeps_what_is_there() {
    let (drops, new) = counted();
    let mut ring = Spsc::<Counted, 3>::new();
    for round in 0..5 {
        let (mut producer, mut consumer) = ring.split();
        while producer.push(new()).is_ok() {}
        assert_eq!(consumer.len(), 3);
        drop(consumer.pop());
        if round % 2 == 0 {
            std::mem::forget((producer, consumer));
        }
    }
    let made = 3 + 4 + 5;
    let before = drops.load(Ordering::Relaxed);
    drop(ring);
    let after = drops.load(Ordering::Relaxed);
    assert_eq!(after - before, 2);
    assert!(after >= made - 3);
}
