//! Runs a ring for a while and checks the sums: nothing lost, nothing doubled.

use std::{
    array::from_fn,
    hint::{black_box, spin_loop},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::peer::{Peer, Receiver, Sender, TEN, Tally};
use crate::{
    machine::Cores,
    sample::{Failure, Job, Measure, Row},
};

/// Messages between two looks at the clock: 1000 take microseconds, the look 20 to 40 ns.
const STRIDE: u64 = 1000;
/// Turns of a wait that spin; after these the thread yields.
const SPINS: u32 = 100;
/// The same where threads share cores.
const SPINS_CROWDED: u32 = 7;
/// Turns after which the spins of a turn, 2 at first, stop doubling.
const DOUBLINGS: u32 = 6;

/// One thread and one to one.
pub fn spsc<P: Peer>(rows: &mut Vec<Row>, capacity: usize, against: &'static [&'static str]) {
    let none = [None, None, None];
    let jobs = two_sides::<P>(capacity)
        .into_iter()
        .map(Some)
        .chain(none)
        .collect();
    rows.push(Row {
        name: P::NAME.into(),
        family: "SPSC",
        against,
        jobs,
    });
}

/// Only the columns of tens of a ring with one producer and one consumer, for its second way of
/// moving tens.
pub fn spsc_tens<P: Peer>(rows: &mut Vec<Row>, capacity: usize, against: &'static [&'static str]) {
    let [_, tens, _, shared_tens] = two_sides::<P>(capacity);
    let jobs = vec![None, Some(tens), None, Some(shared_tens), None, None, None];
    rows.push(Row {
        name: P::NAME.into(),
        family: "SPSC",
        against,
        jobs,
    });
}

/// One thread, one to one, two to two, four to four.
pub fn mpmc<P: Peer>(
    rows: &mut Vec<Row>,
    family: &'static str,
    capacity: usize,
    against: &'static [&'static str],
) {
    let [pair, pair_tens, four, four_tens] = two_sides::<P>(capacity);
    let jobs = vec![
        pair,
        pair_tens,
        four,
        four_tens,
        threads::<P, false>(capacity, 2),
        threads::<P, true>(capacity, 2),
        threads::<P, false>(capacity, 4),
    ];
    let jobs = jobs.into_iter().map(Some).collect();
    rows.push(Row {
        name: P::NAME.into(),
        family,
        against,
        jobs,
    });
}

/// The columns that each ring has.
fn two_sides<P: Peer>(capacity: usize) -> [Job; 4] {
    [
        Box::new(move |time| one_thread::<P, false>(capacity, time)),
        Box::new(move |time| one_thread::<P, true>(capacity, time)),
        threads::<P, false>(capacity, 1),
        threads::<P, true>(capacity, 1),
    ]
}

fn threads<P: Peer, const TENS: bool>(capacity: usize, pairs: usize) -> Job {
    Box::new(move |time| run_threads::<P, TENS>(capacity, pairs, time))
}

/// Compares what went in with what came out.
fn check(sent: Tally, received: Tally) -> Result<(), Failure> {
    if sent == received {
        return Ok(());
    }
    Err(format!("sent {sent:?}, received {received:?}: lost, doubled or damaged").into())
}

/// One thread: push one and pop one, or push ten and pop ten. It is a thread of its own, since what
/// is pinned once stays pinned, and hands that on to all that it starts.
fn one_thread<P: Peer, const TENS: bool>(
    capacity: usize,
    time: Duration,
) -> Result<Measure, Failure> {
    thread::scope(|scope| {
        let worker = scope.spawn(|| run_one::<P, TENS>(capacity, time));
        worker.join().map_err(|_| "the thread panicked")?
    })
}

fn run_one<P: Peer, const TENS: bool>(capacity: usize, time: Duration) -> Result<Measure, Failure> {
    Cores::get().pin(0);
    let (mut senders, mut receivers) = P::open(capacity, 1, 1);
    // The two handles as locals, as a caller would have them.
    let (Some(mut sender), Some(mut receiver)) = (senders.pop(), receivers.pop()) else {
        return Err("the ring has no handles".into());
    };
    let batches = Batches::new(0);
    let (mut sent, mut received) = (Tally::default(), Tally::default());
    let warm_up = (2 * capacity as u64).next_multiple_of(STRIDE);
    let (mut start, mut first) = (Instant::now(), 0);
    while received.count <= warm_up || start.elapsed() < time {
        if received.count == warm_up {
            (start, first) = (Instant::now(), warm_up);
        }
        for turn in 0..if TENS {
            Batches::COUNT
        } else {
            STRIDE as usize
        } {
            if TENS {
                // Twice where a ring hands out contiguous room only and the batch wraps.
                let (mut pushed, mut popped) = (0, 0);
                while pushed < TEN {
                    pushed += sender.push_many(&batches.values[turn][pushed..]);
                }
                sent.add_ten(batches.sums[turn]);
                while popped < TEN {
                    popped += receiver.pop_many(&mut received);
                }
            } else {
                let value = black_box(sent.count);
                if sender.push(value) {
                    sent.add(value);
                }
                if let Some(value) = receiver.pop() {
                    received.add(value);
                }
            }
        }
    }
    let elapsed = start.elapsed();
    check(sent, received)?;
    Ok(Measure::new(received.count - first, elapsed))
}

/// A thousand numbers in tens, ready in memory with their sums, so that a batch costs its sender no
/// more than the push.
struct Batches {
    values: [[u64; TEN]; Self::COUNT],
    sums: [u64; Self::COUNT],
}

impl Batches {
    const COUNT: usize = STRIDE as usize / TEN;

    fn new(first: u64) -> Self {
        let value = |batch, index| black_box(first + (batch * TEN + index) as u64);
        let values: [[u64; TEN]; Self::COUNT] =
            from_fn(|batch| from_fn(|index| value(batch, index)));
        let sums = from_fn(|batch| values[batch].iter().copied().fold(0, u64::wrapping_add));
        Self { values, sums }
    }
}

/// Where the threads of a sample meet.
struct Gate {
    ready: AtomicUsize,
    go: AtomicBool,
    producing: AtomicUsize,
    spins: u32,
}

impl Gate {
    fn new(producers: usize, threads: usize, cores: usize) -> Self {
        Self {
            ready: AtomicUsize::new(0),
            go: AtomicBool::new(false),
            producing: AtomicUsize::new(producers),
            spins: if threads > cores {
                SPINS_CROWDED
            } else {
                SPINS
            },
        }
    }

    /// The wait when full or empty, the same for each ring: spin, then yield.
    #[inline(always)]
    fn pause(&self, turns: &mut u32) {
        *turns += 1;
        if *turns < self.spins {
            for _ in 0..1 << (*turns).min(DOUBLINGS) {
                spin_loop();
            }
        } else {
            thread::yield_now();
        }
    }

    /// A worker's wait for the start.
    fn enter(&self) {
        // ORDERING: Release and Acquire; nobody starts before all are there.
        self.ready.fetch_add(1, Ordering::Release);
        let mut turns = 0;
        while !self.go.load(Ordering::Acquire) {
            self.pause(&mut turns);
        }
    }

    /// Lets `threads` workers go, once they are there, and says when.
    fn open(&self, threads: usize) -> Instant {
        while self.ready.load(Ordering::Acquire) != threads {
            thread::yield_now();
        }
        let start = Instant::now();
        self.go.store(true, Ordering::Release);
        start
    }
}

/// `pairs` producers and `pairs` consumers: producer `i` on core `i`, consumer `i` on the next, so
/// that a pair has two cores, and producers contend across cores.
fn run_threads<P: Peer, const TENS: bool>(
    capacity: usize,
    pairs: usize,
    time: Duration,
) -> Result<Measure, Failure> {
    let cores = Cores::get();
    let gate = Gate::new(pairs, 2 * pairs, cores.count());
    let (senders, receivers) = P::open(capacity, pairs, pairs);
    let gate = &gate;
    thread::scope(|scope| {
        let producers: Vec<_> = senders
            .into_iter()
            .enumerate()
            .map(|(index, mut sender)| {
                scope.spawn(move || {
                    cores.pin(index);
                    gate.enter();
                    let sent = produce::<_, TENS>(&mut sender, gate, (index as u64) << 48, time);
                    // ORDERING: Release; [all-sent] whoever sees the count fall sees the pushes.
                    gate.producing.fetch_sub(1, Ordering::Release);
                    (sent, sender) // the ring is taken down after the clock has stopped
                })
            })
            .collect();
        let consumers: Vec<_> = receivers
            .into_iter()
            .enumerate()
            .map(|(index, mut receiver)| {
                scope.spawn(move || {
                    cores.pin(index + 1);
                    gate.enter();
                    let received = consume::<_, TENS>(&mut receiver, gate);
                    (received, Instant::now(), receiver)
                })
            })
            .collect();
        let start = gate.open(2 * pairs);
        let mut end = start;
        let (mut sent, mut received) = (Tally::default(), Tally::default());
        let mut kept = Vec::new();
        for producer in producers {
            let (tally, sender) = producer.join().map_err(|_| "a producer panicked")?;
            sent = sent.join(tally);
            kept.push(sender);
        }
        for consumer in consumers {
            let (tally, ended, _receiver) = consumer.join().map_err(|_| "a consumer panicked")?;
            received = received.join(tally);
            end = end.max(ended);
        }
        check(sent, received)?;
        Ok(Measure::new(received.count, end - start))
    })
}

/// Pushes numbers from `first` on until the time is up.
fn produce<S: Sender, const TENS: bool>(
    sender: &mut S,
    gate: &Gate,
    first: u64,
    time: Duration,
) -> Tally {
    let batches = Batches::new(first);
    let mut sent = Tally::default();
    let start = Instant::now();
    while start.elapsed() < time {
        for turn in 0..if TENS {
            Batches::COUNT
        } else {
            STRIDE as usize
        } {
            let mut turns = 0;
            if TENS {
                let mut rest = &batches.values[turn][..];
                while !rest.is_empty() {
                    match sender.push_many(rest) {
                        0 => gate.pause(&mut turns),
                        pushed => rest = &rest[pushed..],
                    }
                }
                sent.add_ten(batches.sums[turn]);
            } else {
                let value = black_box(first + sent.count);
                while !sender.push(value) {
                    gate.pause(&mut turns);
                }
                sent.add(value);
            }
        }
    }
    sent
}

/// Pops until the producers have ended and nothing is left.
fn consume<R: Receiver, const TENS: bool>(receiver: &mut R, gate: &Gate) -> Tally {
    let mut received = Tally::default();
    let mut turns = 0;
    loop {
        // ORDERING: Acquire; [all-sent] zero here means that a pop from now on sees each push.
        let ended = turns > 0 && gate.producing.load(Ordering::Acquire) == 0;
        let popped = if TENS {
            receiver.pop_many(&mut received) > 0
        } else if let Some(value) = receiver.pop() {
            received.add(value);
            true
        } else {
            false
        };
        match popped {
            true => turns = 0,
            false if ended => return received,
            false => gate.pause(&mut turns),
        }
    }
}
