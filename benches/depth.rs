//! What a queue cycle (send, receive, delete) costs when many messages wait, are in flight or are
//! delayed: `cargo bench --bench depth`.
//!
//! A queue at rest with that many messages in one state is filled once; then cycles of 100-byte
//! messages by tens run on top of it. *Waiting*: each cycle sends ten behind them and receives ten
//! others before them. *In flight* and *delayed*: the ten that are sent are received, and nothing
//! of the rest is due meanwhile. An *empty* receive, the row that summaries are for, finds nothing
//! among them. The last column of a row is what to look at: the cost against the smallest depth.
//!
//! Heap memory, since ten million messages take gigabytes; `--quick` leaves out ten million.
//! Machine, kernel, compiler and flags are printed first.

use ringmain::{Heap, ManualClock, Queue, QueueOptions};
use std::hint::black_box;
use std::time::{Duration, Instant};

const BODY: [u8; 100] = [7; 100];
const SLOT: usize = 128 + 8 + 32;
const ROUNDS: usize = 15;
const CYCLES: usize = 2000;

type Deep<'c> = Queue<Heap, &'c ManualClock>;

/// What the messages at rest are doing.
#[derive(Clone, Copy, PartialEq)]
enum Rest {
    Waiting,
    InFlight,
    Delayed,
}

fn queue(clock: &ManualClock, rest: Rest, depth: usize) -> Deep<'_> {
    // A quarter more slots than messages, so that senders have to look for free ones.
    let slots = depth + depth / 4 + 4096;
    let region = Heap::new(slots * (SLOT + 2) + (1 << 16)).expect("memory");
    let options = QueueOptions::new()
        .typical_body(100)
        .max_in_flight(u32::MAX >> 1)
        .visibility(Duration::from_secs(12 * 3600));
    let queue = Queue::create_with(region, options, clock).expect("a queue");
    if rest == Rest::Delayed {
        let delay = Duration::from_secs(900);
        let delayed = queue.reconfigure(|options| options.delay(delay));
        delayed.expect("a delay");
    }
    for _ in 0..depth / 10 {
        let sent = queue.send_batch(&[&BODY[..]; 10]).expect("sent");
        assert!(sent.iter().all(Result::is_ok), "the queue is full");
        if rest == Rest::InFlight {
            for received in queue.receive_batch(10).expect("received") {
                received.detach();
            }
        }
    }
    queue
        .reconfigure(|options| options.delay(Duration::ZERO))
        .expect("no delay");
    queue
}

fn cycle(queue: &Deep<'_>) {
    let sent = queue.send_batch(black_box(&[&BODY[..]; 10])).expect("sent");
    black_box(sent);
    let mut left = 10;
    while left != 0 {
        // A receive looks at a few blocks only, once it has something.
        let batch = queue.receive_batch(left).expect("received");
        assert!(!batch.is_empty(), "a message is hidden");
        left -= batch.len();
        for received in &batch {
            black_box(received.body());
        }
        batch.delete();
    }
}

/// Nanoseconds of one of `times` calls: the median of the rounds.
fn median(times: usize, mut call: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            (0..times).for_each(|_| call());
            begun.elapsed().as_nanos() as f64 / times as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// A message's share of a cycle, and an empty receive, ns.
fn measure(rest: Rest, depth: usize) -> (f64, Option<f64>) {
    let clock = ManualClock::new(1_000_000);
    let queue = queue(&clock, rest, depth);
    (0..CYCLES).for_each(|_| cycle(&queue)); // until the cursors have found their way
    let message = median(CYCLES, || cycle(&queue)) / 10.0;
    let empty = (rest != Rest::Waiting).then(|| {
        median(CYCLES, || {
            assert!(black_box(queue.receive()).expect("a receive").is_none());
        })
    });
    (message, empty)
}

fn print_machine() {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name\t: "));
    println!("machine: {}", model.unwrap_or("unknown"));
    println!("kernel: {}", read("/proc/sys/kernel/osrelease").trim());
    println!("flags: bench profile, fat LTO, one codegen unit, default target-cpu");
    println!("{ROUNDS} rounds of {CYCLES} cycles by tens, medians, ns a message\n");
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    print_machine();
    println!("| at rest | messages | cycle | of the least | empty receive |");
    println!("|---|--:|--:|--:|--:|");
    let rows = [
        (Rest::Waiting, "waiting", 10_000_000),
        (Rest::InFlight, "in flight", 1_000_000),
        (Rest::Delayed, "delayed", 1_000_000),
    ];
    for (rest, name, greatest) in rows {
        let mut least = f64::INFINITY;
        for depth in [1000, 100_000, 1_000_000, 10_000_000] {
            if depth > greatest || (quick && depth > 1_000_000) {
                continue;
            }
            let (message, empty) = measure(rest, depth);
            least = least.min(message);
            let empty = empty.map_or(String::new(), |ns| format!("{ns:.0} ns"));
            let ratio = message / least;
            println!("| {name} | {depth} | {message:.1} ns | {ratio:.2} | {empty} |");
        }
    }
}
