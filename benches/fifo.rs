//! FIFO queues by tens: send 10, receive 10, delete 10, of 100-byte messages, in a mapped region
//! and one thread: `cargo bench --bench fifo`.
//!
//! A figure is the time of one message's whole cycle, and of making its id, its body and its entry:
//! some 5 ns. The clock is set by hand and goes on by 1 ms with each ten, so that ids leave the
//! deduplication window as fast as others come: the window has 10 000 ids, or as many as a row
//! says. Rows: explicit ids and the body's SHA-256; 1 to 100 000 groups, each message in the next
//! group; one group for each ten; the same ten one by one; and with 99 % of 10 000 groups locked.
//! Machine, kernel, compiler and flags are printed first.

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use ringmain::{FifoEntry, FifoOptions, FifoQueue, ManualClock, Mapped, Receipt};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

const TEN: usize = 10;
const ID_DIGITS: usize = 12;

type Orders<'c> = FifoQueue<Mapped, &'c ManualClock>;

/// What is sent: ids that are never twice, bodies that differ, groups by turns.
struct Sender {
    ids: [u8; ID_DIGITS * TEN],
    bodies: [[u8; 100]; TEN],
    groups: Vec<String>,
    next: usize,
    /// How many messages of a ten follow each other in one group.
    together: usize,
    explicit: bool,
}

impl Sender {
    fn new(groups: usize, together: usize, explicit: bool) -> Self {
        let mut ids = [b'0'; ID_DIGITS * TEN];
        for (at, id) in ids.as_chunks_mut::<ID_DIGITS>().0.iter_mut().enumerate() {
            id[0] = b'a' + at as u8;
        }
        Self {
            ids,
            bodies: [[7; 100]; TEN],
            groups: (0..groups)
                .map(|group| format!("group-{group:06}"))
                .collect(),
            next: 0,
            together,
            explicit,
        }
    }

    /// The next ten; each id is the one before of its place, and one more.
    fn entries(&mut self) -> [FifoEntry<'_>; TEN] {
        let ids = self.ids.as_chunks_mut::<ID_DIGITS>().0;
        for id in &mut *ids {
            for digit in id[1..].iter_mut().rev() {
                *digit += 1;
                if *digit <= b'9' {
                    break;
                }
                *digit = b'0';
            }
        }
        // By itself, so that no digit is read before it is at rest.
        for (id, body) in ids.iter().zip(&mut self.bodies) {
            body[..ID_DIGITS].copy_from_slice(id);
        }
        let mut entries = [FifoEntry::new("", &[]); TEN];
        let mut ids = std::str::from_utf8(&self.ids).expect("digits");
        let mut left = self.together;
        for (entry, body) in entries.iter_mut().zip(&self.bodies) {
            let (id, rest) = ids.split_at(ID_DIGITS);
            ids = rest;
            *entry = FifoEntry {
                group: &self.groups[self.next],
                id: self.explicit.then_some(id),
                body,
            };
            left -= 1;
            if left == 0 {
                left = self.together;
                self.next += 1;
                if self.next == self.groups.len() {
                    self.next = 0;
                }
            }
        }
        entries
    }

    fn send(&mut self, queue: &Orders<'_>) {
        let entries = self.entries();
        let sent = queue.send_batch(black_box(&entries)).expect("sent");
        assert!(
            sent.iter()
                .all(|sent| matches!(sent, Ok(sent) if !sent.is_duplicate))
        );
    }
}

fn receive_and_delete(queue: &Orders<'_>) {
    let batch = queue.receive_batch(TEN).expect("received");
    assert_eq!(batch.len(), TEN);
    for received in &batch {
        black_box(received.body());
    }
    for outcome in batch.delete() {
        outcome.expect("deleted");
    }
}

fn cycle(queue: &Orders<'_>, clock: &ManualClock, sender: &mut Sender) {
    clock.advance(Duration::from_millis(1));
    sender.send(queue);
    receive_and_delete(queue);
}

/// The same ten, each sent, received and deleted before the next one is sent.
fn cycle_one_by_one(queue: &Orders<'_>, clock: &ManualClock, sender: &mut Sender) {
    clock.advance(Duration::from_millis(1));
    for entry in black_box(sender.entries()) {
        let sent = queue.send(entry.group, entry.id, entry.body);
        assert!(!sent.expect("sent").is_duplicate);
        let received = queue.receive().expect("received").expect("sent");
        black_box(received.body());
        received.delete().expect("deleted");
    }
}

fn queue<'c>(clock: &'c ManualClock, bytes: u64, window: u64, content: bool) -> Orders<'c> {
    let name = format!("ringmain-bench-fifo-{}.ring", std::process::id());
    let path = Path::new("/dev/shm").join(name);
    let region = Mapped::create(&path, bytes).expect("region");
    std::fs::remove_file(&path).expect("unlinked; the mapping stays");
    let options = FifoOptions::new()
        .typical_body(100)
        .content_dedup(content)
        .visibility(Duration::from_secs(12 * 3600))
        .dedup_interval(Duration::from_millis(window / TEN as u64))
        .dedup_ids(window + 2 * TEN as u64);
    let queue = FifoQueue::create_with(region, options, clock).expect("queue");
    queue.leave_tending() // the clock runs ahead: who has died would be asked all the time
}

/// Ids until the window is full, so that each row runs as it would for ever.
fn warm(queue: &Orders<'_>, clock: &ManualClock, sender: &mut Sender, window: u64) {
    for _ in 0..window / TEN as u64 + 10 {
        cycle(queue, clock, sender);
    }
}

/// A row: its queue has room for as many groups, if the window allows.
struct Row {
    name: &'static str,
    groups: usize,
    together: usize,
    explicit: bool,
    window: u64,
}

const WINDOW: u64 = 10_000;

const ROWS: [Row; 7] = [
    row("explicit ids, 1 group", 1, 1, true, WINDOW),
    row("explicit ids, 100 groups", 100, 1, true, WINDOW),
    row("explicit ids, 10 000 groups", 10_000, 1, true, WINDOW),
    row("explicit ids, 100 000 groups", 100_000, 1, true, WINDOW),
    row(
        "explicit ids, 10 000 groups, ten to each",
        10_000,
        TEN,
        true,
        WINDOW,
    ),
    row(
        "explicit ids, 100 groups, a million ids",
        100,
        1,
        true,
        1_000_000,
    ),
    row("content-based, 100 groups", 100, 1, false, WINDOW),
];

const fn row(
    name: &'static str,
    groups: usize,
    together: usize,
    explicit: bool,
    window: u64,
) -> Row {
    Row {
        name,
        groups,
        together,
        explicit,
        window,
    }
}

fn run(group: &mut BenchmarkGroup<'_, WallTime>, row: &Row) {
    let clock = ManualClock::new(1_000_000);
    let bytes = (64 << 20) + row.window * 192 + row.groups as u64 * 700;
    let queue = queue(&clock, bytes, row.window, !row.explicit);
    assert!(queue.capacity() >= row.groups, "an entry for each group");
    let mut sender = Sender::new(row.groups, row.together, row.explicit);
    warm(
        &queue,
        &clock,
        &mut sender,
        row.window.max(row.groups as u64),
    );
    group.bench_function(row.name, |b| {
        b.iter(|| cycle(&queue, &clock, &mut sender));
    });
    let stat = queue.stat().expect("stat");
    assert_eq!(
        stat.visible + stat.in_flight,
        0,
        "a message was left behind"
    );
}

/// Send, receive and delete of one message after the other.
fn one_by_one(group: &mut BenchmarkGroup<'_, WallTime>) {
    const GROUPS: usize = 100;
    let clock = ManualClock::new(1_000_000);
    let queue = queue(&clock, 64 << 20, WINDOW, false);
    let mut sender = Sender::new(GROUPS, 1, true);
    warm(&queue, &clock, &mut sender, WINDOW);
    group.bench_function("explicit ids, 100 groups", |b| {
        b.iter(|| cycle_one_by_one(&queue, &clock, &mut sender));
    });
}

/// Receives of ten that are released again, with `locked` of 10 000 groups locked.
fn locked(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, locked: usize) {
    const GROUPS: usize = 10_000;
    let clock = ManualClock::new(1_000_000);
    let queue = queue(&clock, 256 << 20, 4 * WINDOW, false);
    let mut sender = Sender::new(GROUPS, 1, true);
    for _ in 0..2 * GROUPS / TEN {
        sender.send(&queue);
    }
    // Groups are locked in the order in which they became free; each has one more message.
    let lock = |_| -> Receipt {
        let received = queue.receive().expect("received").expect("a free group");
        received.detach()
    };
    let held: Vec<Receipt> = (0..locked).map(lock).collect();
    group.bench_function(name, |b| {
        b.iter(|| {
            let batch = queue.receive_batch(TEN).expect("received");
            assert_eq!(batch.len(), TEN);
            for outcome in batch.release() {
                outcome.expect("released");
            }
        });
    });
    assert_eq!(queue.stat().expect("stat").in_flight, held.len() as u64);
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
}

fn main() {
    print_machine();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("fifo/cycle by tens");
    group.throughput(Throughput::Elements(TEN as u64));
    for row in &ROWS {
        run(&mut group, row);
    }
    group.finish();
    let mut group = criterion.benchmark_group("fifo/cycle one by one");
    group.throughput(Throughput::Elements(TEN as u64));
    one_by_one(&mut group);
    group.finish();
    let mut group = criterion.benchmark_group("fifo/receive 10 and release");
    group.throughput(Throughput::Elements(TEN as u64));
    locked(&mut group, "no group of 10 000 locked", 0);
    locked(&mut group, "99 % of 10 000 groups locked", 9900);
    group.finish();
    criterion.final_summary();
}
