//! The typed rings by themselves, `u64`, capacity 1024: one thread pushing and popping, singly and
//! by tens, and pairs of threads. The comparison with other crates is a package of its own.

// The bench counts with plain atomics; the ban is for the library.
#![allow(clippy::disallowed_types)]

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringmain::ring::{bag, mpmc, spsc};

const CAPACITY: usize = 1024;

/// One value in and out.
fn single(c: &mut Criterion) {
    let mut group = c.benchmark_group("one thread, push and pop");
    group.throughput(Throughput::Elements(1));
    let (mut producer, mut consumer) = spsc(CAPACITY).expect("capacity");
    group.bench_function("spsc", |b| {
        b.iter(|| {
            let _ = producer.push(black_box(7u64));
            consumer.pop()
        });
    });
    let ring = mpmc(CAPACITY).expect("capacity");
    group.bench_function("mpmc", |b| {
        b.iter(|| {
            let _ = ring.push(black_box(7u64));
            ring.pop()
        });
    });
    let bag = bag(CAPACITY).expect("capacity");
    group.bench_function("bag", |b| {
        b.iter(|| {
            let _ = bag.push(black_box(7u64));
            bag.pop()
        });
    });
    group.finish();
}

/// Ten values in and out.
fn tens(c: &mut Criterion) {
    let mut group = c.benchmark_group("one thread, ten and ten");
    group.throughput(Throughput::Elements(10));
    let values = [7u64; 10];
    let mut target = [0; 10];
    let (mut producer, mut consumer) = spsc(CAPACITY).expect("capacity");
    group.bench_function("spsc", |b| {
        b.iter(|| {
            producer.push_batch(black_box(&values)) + consumer.pop_batch(black_box(&mut target))
        });
    });
    let ring = mpmc(CAPACITY).expect("capacity");
    group.bench_function("mpmc", |b| {
        b.iter(|| ring.push_batch(black_box(&values)) + ring.pop_batch(black_box(&mut target)));
    });
    let bag = bag(CAPACITY).expect("capacity");
    group.bench_function("bag", |b| {
        b.iter(|| bag.push_batch(black_box(&values)) + bag.pop_batch(black_box(&mut target)));
    });
    group.finish();
}

/// How long `pairs` producers and consumers take for `count` values; nothing lost or doubled.
fn through<P, C>(count: u64, sides: Vec<(P, C)>, tens: bool) -> Duration
where
    P: FnMut(&[u64]) -> usize + Send,
    C: FnMut(&mut [u64]) -> usize + Send,
{
    let pairs = sides.len() as u64;
    let part = count.div_ceil(pairs * 10) * 10;
    let step = if tens { 10 } else { 1 };
    let left = std::sync::atomic::AtomicI64::new((part * pairs) as i64);
    let start = Instant::now();
    let sum: u64 = thread::scope(|threads| {
        let mut consumers = Vec::new();
        for (producer, (mut push, mut pop)) in sides.into_iter().enumerate() {
            threads.spawn(move || send(&mut push, producer as u64 * part, part, step));
            let left = &left;
            consumers.push(threads.spawn(move || take(&mut pop, left, step as usize)));
        }
        consumers
            .into_iter()
            .map(|consumer| consumer.join().expect("a consumer ends"))
            .sum()
    });
    let took = start.elapsed();
    assert_eq!(sum, part * pairs * (part * pairs - 1) / 2);
    took
}

/// Pushes `count` values from `first` on.
fn send(push: &mut impl FnMut(&[u64]) -> usize, first: u64, count: u64, step: u64) {
    let mut next = first;
    while next < first + count {
        let values: [u64; 10] = std::array::from_fn(|i| next + i as u64);
        let length = step.min(first + count - next) as usize;
        let pushed = push(&values[..length]);
        next += pushed as u64;
        if pushed == 0 {
            thread::yield_now();
        }
    }
}

/// Pops until nothing is left to come; the sum.
fn take(
    pop: &mut impl FnMut(&mut [u64]) -> usize,
    left: &std::sync::atomic::AtomicI64,
    step: usize,
) -> u64 {
    use std::sync::atomic::Ordering::Relaxed;
    let (mut values, mut sum, mut taken) = ([0; 10], 0, 0);
    loop {
        let popped = pop(&mut values[..step]);
        sum += values[..popped].iter().sum::<u64>();
        taken += popped as i64;
        if popped == 0 {
            if left.fetch_sub(taken, Relaxed) <= taken {
                return sum;
            }
            taken = 0;
            thread::yield_now();
        }
    }
}

/// One and two producers and as many consumers.
fn pairs(c: &mut Criterion) {
    for (pairs, tens) in [(1, false), (1, true), (2, false), (2, true)] {
        let each = if tens { "by tens" } else { "one by one" };
        let mut group = c.benchmark_group(format!("{pairs} producers, {pairs} consumers, {each}"));
        group.throughput(Throughput::Elements(1)).sample_size(10);
        if pairs == 1 {
            group.bench_function("spsc", |b| {
                b.iter_custom(|count| {
                    let (mut producer, mut consumer) = spsc(CAPACITY).expect("capacity");
                    let push = move |values: &[u64]| producer.push_batch(values);
                    let pop = move |target: &mut [u64]| consumer.pop_batch(target);
                    through(count, vec![(push, pop)], tens)
                });
            });
        }
        group.bench_function("mpmc", |b| {
            b.iter_custom(|count| {
                let ring = &mpmc(CAPACITY).expect("capacity");
                let push = move |values: &[u64]| match values {
                    [value] => usize::from(ring.push(*value).is_ok()),
                    _ => ring.push_batch(values),
                };
                let pop = move |target: &mut [u64]| match target {
                    [place] => ring.pop().map_or(0, |value| {
                        *place = value;
                        1
                    }),
                    _ => ring.pop_batch(target),
                };
                through(count, vec![(push, pop); pairs], tens)
            });
        });
        group.bench_function("bag", |b| {
            b.iter_custom(|count| {
                let bag = &bag(CAPACITY).expect("capacity");
                let push = move |values: &[u64]| bag.push_batch(values);
                let pop = move |target: &mut [u64]| bag.pop_batch(target);
                through(count, vec![(push, pop); pairs], tens)
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = single, tens, pairs
}
criterion_main!(benches);
