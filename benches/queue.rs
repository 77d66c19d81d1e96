//! The queue cycle (send, receive, delete) of 100-byte messages in the three homes, one by one and
//! by tens, with the body read by the receiver: `cargo bench --bench queue`.
//!
//! A figure is the time of one message's whole cycle. Single-threaded, so steady enough to compare
//! from day to day; figures across threads and processes, beside other systems, are the `compare`
//! package's.
//! Machine, kernel, compiler and flags are printed first.

use criterion::{Criterion, Throughput};
use ringmain::{Clock, Fixed, Heap, Mapped, Queue, QueueOptions, Region, SystemClock};
use std::hint::black_box;
use std::path::{Path, PathBuf};

const OPTIONS: QueueOptions = QueueOptions::new().typical_body(100);
const BODY: [u8; 100] = [7; 100];

fn by_tens<R: Region, C: Clock>(queue: &Queue<R, C>) {
    let bodies = [&BODY[..]; 10];
    let sent = queue.send_batch(black_box(&bodies)).expect("sent");
    assert_eq!(sent.len(), 10);
    let batch = queue.receive_batch(10).expect("received");
    for received in &batch {
        black_box(received.body());
    }
    batch.delete();
}

fn one_by_one<R: Region, C: Clock>(queue: &Queue<R, C>) {
    queue.send(black_box(&BODY)).expect("sent");
    if let Some(received) = queue.receive().expect("received") {
        black_box(received.body());
        received.delete().expect("deleted");
    }
}

fn cycle<R: Region, C: Clock>(criterion: &mut Criterion, home: &str, queue: &Queue<R, C>) {
    let mut group = criterion.benchmark_group(format!("queue/{home}"));
    group.throughput(Throughput::Elements(10));
    group.bench_function("cycle by tens (10 messages)", |b| b.iter(|| by_tens(queue)));
    group.throughput(Throughput::Elements(1));
    group.bench_function("cycle one by one", |b| b.iter(|| one_by_one(queue)));
    group.finish();
    let stat = queue.stat().expect("stat");
    assert_eq!(
        stat.visible + stat.in_flight,
        0,
        "a message was left behind"
    );
}

fn mapped(criterion: &mut Criterion, home: &str, dir: &Path) {
    let path: PathBuf = dir.join(format!("ringmain-bench-{}.ring", std::process::id()));
    let region = Mapped::create(&path, 1 << 20).expect("region");
    std::fs::remove_file(&path).expect("unlinked; the mapping stays");
    let queue = Queue::create(&region, OPTIONS).expect("queue");
    cycle(criterion, home, &queue);
}

static FIXED: Queue<Fixed<4096, 100, 64>, SystemClock> = Queue::fixed(SystemClock, OPTIONS);

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
    cycle(&mut criterion, "static", &FIXED);
    let region = Heap::new(1 << 20).expect("region");
    cycle(
        &mut criterion,
        "heap",
        &Queue::create(&region, OPTIONS).expect("queue"),
    );
    mapped(&mut criterion, "mapped in /dev/shm", Path::new("/dev/shm"));
    mapped(
        &mut criterion,
        "mapped in the temp dir",
        &std::env::temp_dir(),
    );
    criterion.final_summary();
}
