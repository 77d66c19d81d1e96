//! Streams: putting and reading, with a memcpy beside: `cargo bench --bench stream`.
//!
//! Warm rings in `/dev/shm`, of about a megabyte, which the processor's caches hold, and of 256
//! megabytes, which they don't; one shard, checksums on, the oldest segment given up for the new.
//! Rows: records of 100 bytes and of 1 KiB, put one by one, by a writer that has the shard to
//! itself, and by tens; the same bytes copied into a mapping of as many megabytes, with nothing
//! else; reading in place what is there, from the oldest record to the latest, with checksums
//! compared and without. A figure is the time of one record. Then records of 100 bytes by level of
//! durability, into a ring of 64 megabytes with its mirror, beside the build (`cargo bench --bench
//! stream -- level`): as the ring goes round, whoever gives up its oldest segment writes that to
//! the disk first, so these rows are of disks. The last rows are two processes that
//! put at once, each pinned to a core of its own, into one shard and into one each: records a
//! second of both together, and of one alone, singly and by tens; and two that wait for each
//! other's records: how long from a put until the other has read it. Machine, kernel and flags are
//! printed first.

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use ringmain::{
    Durability, FullPolicy, ManualClock, Mapped, Placement, ShardId, Start, Stream, StreamEntry,
    StreamOptions,
};
use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TEN: usize = 10;
const KEY: &str = "sensor-7";
/// Megabytes of the rings.
const RINGS: [usize; 2] = [1, 256];

fn path(what: &str) -> PathBuf {
    PathBuf::from(format!(
        "/dev/shm/ringmain-bench-{what}-{}",
        std::process::id()
    ))
}

fn options(shards: u32) -> StreamOptions {
    StreamOptions::new().shards(shards).full(FullPolicy::Evict)
}

fn stream(clock: &ManualClock, ring_bytes: usize) -> Stream<Mapped, &ManualClock> {
    let path = path("stream");
    let region = Mapped::create(&path, (ring_bytes + ring_bytes / 4) as u64).expect("region");
    std::fs::remove_file(&path).expect("unlinked");
    let stream = Stream::create_with(region, options(1), clock).expect("stream");
    let data = [7; 1000];
    for _ in 0..5 * ring_bytes / data.len() {
        stream.put(KEY, &data).expect("put");
    }
    stream
}

/// Shared memory of a ring's size, in which every page has been written.
fn mapping(bytes: usize) -> memmap2::MmapMut {
    let path = path("memcpy");
    let file = std::fs::File::create_new(&path).expect("file");
    file.set_len(bytes as u64).expect("size");
    let file = std::fs::File::options().read(true).write(true).open(&path);
    // SAFETY: nobody else knows the file.
    let mut ring = unsafe { memmap2::MmapMut::map_mut(&file.expect("file")) }.expect("mapping");
    std::fs::remove_file(&path).expect("unlinked");
    ring.fill(1);
    ring
}

fn put(group: &mut BenchmarkGroup<'_, WallTime>, bytes: usize, ring: usize) {
    let clock = ManualClock::new(1_000_000);
    let stream = stream(&clock, ring << 20);
    let data = vec![7; bytes];
    let name = |what: &str| format!("{what}, {bytes} B, ring of {ring} MiB");
    group.throughput(Throughput::Elements(1));
    group.bench_function(name("put"), |b| {
        b.iter(|| stream.put(black_box(KEY), black_box(&data)).expect("put"));
    });
    let mut writer = stream.writer(ShardId::from_number(0)).expect("writer");
    group.bench_function(name("put by a writer of its own"), |b| {
        b.iter(|| writer.put(black_box(KEY), black_box(&data)).expect("put"));
    });
    drop(writer);
    let mut memory = mapping(ring << 20);
    let mut at = 0;
    group.bench_function(name("memcpy"), |b| {
        b.iter(|| {
            memory[at..at + bytes].copy_from_slice(black_box(&data));
            at += bytes.next_multiple_of(64);
            if at + bytes > memory.len() {
                at = 0;
            }
        });
    });
    drop(memory);
    group.throughput(Throughput::Elements(TEN as u64));
    let entries = [StreamEntry::new(KEY, &data); TEN];
    group.bench_function(name("put by tens"), |b| {
        b.iter(|| {
            let put = stream.put_batch(black_box(&entries), |_, outcome| {
                black_box(outcome.expect("put"));
            });
            put.expect("put");
        });
    });
    let latest = stream.stat(ShardId::from_number(0)).expect("stat").tail;
    assert!(latest.as_u64() > 4 << 30, "the ring came round");
}

/// Puts into a stream on the disk that survives the machine, by level.
fn put_durably(group: &mut BenchmarkGroup<'_, WallTime>) {
    const BYTES: usize = 100;
    const RING: usize = 64;
    let clock = ManualClock::new(1_000_000);
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-stream");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("directory");
    let region = Mapped::create(dir.join("ring"), (RING + RING / 4) as u64 * (1 << 20));
    let every = Durability::Interval(Duration::from_millis(50));
    let options = options(1).durability(every);
    let stream = Stream::create_with(region.expect("region"), options, &clock).expect("stream");
    let data = [7; BYTES];
    let entries = [StreamEntry::new(KEY, &data); TEN];
    let levels = [
        (Durability::Process, "process"),
        (every, "interval of 50 ms"),
        (Durability::BeforeOk, "before Ok"),
    ];
    for (level, named) in levels {
        let stream = stream.at(level).expect("level");
        let name = |what: &str| format!("{what}, level {named}, {BYTES} B, ring of {RING} MiB");
        group.throughput(Throughput::Elements(1));
        group.bench_function(name("put"), |b| {
            b.iter(|| stream.put(black_box(KEY), black_box(&data)).expect("put"));
        });
        group.throughput(Throughput::Elements(TEN as u64));
        group.bench_function(name("put by tens"), |b| {
            b.iter(|| {
                let put = stream.put_batch(black_box(&entries), |_, outcome| {
                    black_box(outcome.expect("put"));
                });
                put.expect("put");
            });
        });
    }
    stream.sync().expect("the disk");
    let stat = stream.stat(ShardId::from_number(0)).expect("stat");
    assert_eq!(stat.durable, Some(stat.tail), "a level left something out");
    drop(stream);
    std::fs::remove_dir_all(&dir).expect("removed");
}

fn read(group: &mut BenchmarkGroup<'_, WallTime>, bytes: usize, ring: usize) {
    let clock = ManualClock::new(1_000_000);
    let stream = stream(&clock, ring << 20);
    let data = vec![7; bytes];
    for _ in 0..2 * (ring << 20) / bytes {
        stream.put(KEY, &data).expect("put");
    }
    let mut cursor = stream
        .cursor(ShardId::from_number(0), Start::Oldest)
        .expect("cursor");
    let first = cursor.position();
    let records = cursor.lag().expect("lag").records;
    group.throughput(Throughput::Elements(records));
    for (check, how) in [(true, ""), (false, ", checksums not compared")] {
        cursor.verify_checksums(check);
        let name = format!("read in place{how}, {bytes} B, ring of {ring} MiB");
        group.bench_function(name, |b| {
            b.iter(|| {
                cursor.seek(Start::At(first)).expect("sought");
                let mut seen = 0;
                loop {
                    let records = cursor.read(1000).expect("read");
                    if records.is_empty() {
                        break;
                    }
                    for record in &records {
                        seen += black_box(record.data()).len() as u64;
                    }
                }
                assert_eq!(seen, records * bytes as u64);
            });
        });
    }
}

/// A process that puts for a second when it is told to, so many with a call: how many.
fn child(path: &str, key: &str, core: usize, together: usize) {
    pin(core);
    let stream = Stream::open(Mapped::open(path).expect("region")).expect("stream");
    let data = [7; 100];
    let entries = [StreamEntry::new(key, &data); TEN];
    let put = || match together {
        1 => stream.put(key, &data).map(drop),
        _ => {
            let mut refused = Ok(());
            let put = stream.put_batch(&entries, |_, outcome| {
                if let Err(error) = outcome {
                    refused = Err(error);
                }
            });
            put.and(refused) // a batch of one shard is put as a whole, or not
        }
    };
    println!("ready");
    std::io::stdin()
        .read_line(&mut String::new())
        .expect("a line");
    let begun = Instant::now();
    let mut count = 0u64;
    while begun.elapsed() < Duration::from_secs(1) {
        for _ in 0..1000 {
            // The other one may be off its core with a claim in the oldest segment.
            while let Err(error) = put() {
                assert!(matches!(error, ringmain::Error::SegmentInUse { .. }));
                std::thread::yield_now();
            }
        }
        count += 1000 * together as u64;
    }
    println!("{count}");
}

fn pin(core: usize) {
    // SAFETY: a zeroed set is an empty one; it lives through the call.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

/// Records a second of processes that put at once, each with its key, so many with a call.
fn processes(shards: u32, keys: &[&str], together: usize) -> f64 {
    use std::io::{BufRead, BufReader, Write};
    let path = path("processes");
    let region = Mapped::create(&path, (shards as u64) << 21).expect("region");
    Stream::create(region, options(shards)).expect("stream");
    let program = std::env::current_exe().expect("this program");
    let spawn = |(core, key): (usize, &&str)| {
        Command::new(&program)
            .args(["child", path.to_str().expect("text"), key])
            .args([core, together].map(|number| number.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("spawned")
    };
    let mut children: Vec<_> = keys.iter().enumerate().map(spawn).collect();
    let line = |out: &mut BufReader<_>| {
        let mut line = String::new();
        BufRead::read_line(out, &mut line).expect("a line");
        line
    };
    let mut outs: Vec<_> = children
        .iter_mut()
        .map(|child| BufReader::new(child.stdout.take().expect("piped")))
        .collect();
    outs.iter_mut().for_each(|out| drop(line(out)));
    for child in &mut children {
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(b"go\n").expect("told");
    }
    let count = |out| line(out).trim().parse::<f64>().expect("a number");
    let sum = outs.iter_mut().map(count).sum();
    for mut child in children {
        assert!(child.wait().expect("ended").success());
    }
    std::fs::remove_file(&path).expect("removed");
    sum
}

/// Half a round of two processes that wait for each other, each pinned to a core of its own: from a
/// put in one until the other, asleep, has read it. Median, and that of the slowest hundredth.
fn print_ping_pong() {
    const ROUNDS: usize = 20_000;
    let path = path("ping-pong");
    let region = Mapped::create(&path, 4 << 20).expect("region");
    let stream = Stream::create(region, options(2)).expect("stream");
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .args(["answer", path.to_str().expect("text"), "", "1", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawned");
    let mut out = std::io::BufReader::new(child.stdout.take().expect("piped"));
    std::io::BufRead::read_line(&mut out, &mut String::new()).expect("ready");
    pin(0);
    let answers = ShardId::from_number(1);
    let mut cursor = stream.cursor(answers, Start::Latest).expect("cursor");
    let rounds = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        stream.put_entry(&entry_of(0)).expect("put");
        let read = cursor.read_timeout(1, LONG).expect("read").len();
        assert_eq!(read, 1);
        begun.elapsed().as_nanos() as f64 / 2e3
    });
    let mut rounds: Vec<f64> = rounds.collect();
    rounds.sort_by(f64::total_cmp);
    let (median, slow) = (rounds[ROUNDS / 2], rounds[ROUNDS - ROUNDS / 100]);
    println!("stream/from a put to the read of one who sleeps, two processes");
    println!("  median {median:.1} us, slowest hundredth from {slow:.1} us on");
    child.kill().expect("killed");
    child.wait().expect("ended");
    std::fs::remove_file(&path).expect("removed");
}

const LONG: Duration = Duration::from_secs(20);

/// A record of 100 bytes for the first or the second of two shards.
fn entry_of(shard: u128) -> StreamEntry<'static> {
    StreamEntry::new(KEY, &[7; 100]).hash(shard << 127)
}

/// A process that answers each record of the first shard by one in the second.
fn answer(path: &str, core: usize) {
    pin(core);
    let stream = Stream::open(Mapped::open(path).expect("region")).expect("stream");
    let shard = ShardId::from_number(0);
    let mut cursor = stream.cursor(shard, Start::Latest).expect("cursor");
    println!("ready");
    loop {
        let read = cursor.read_timeout(1, LONG).expect("read").len();
        if read == 1 {
            stream.put_entry(&entry_of(1)).expect("put");
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print_processes() {
    // Keys of the first and of the last of two shards.
    let of = |shard: u128| {
        (0..)
            .map(|n| format!("key-{n}"))
            .find(|key| Placement::Xxh3.hash_of(key) >> 127 == shard)
    };
    let (Some(a), Some(b)) = (of(0), of(1)) else {
        return;
    };
    let rows: [(&str, u32, Vec<&str>, usize); 5] = [
        ("one process", 1, vec![&a], 1),
        ("two processes, one shard", 1, vec![&a, &b], 1),
        ("two processes, a shard each", 2, vec![&a, &b], 1),
        ("one process, by tens", 1, vec![&a], TEN),
        ("two processes, one shard, by tens", 1, vec![&a, &b], TEN),
    ];
    // In turn, so that what the machine does meets all rows.
    let mut figures = [const { vec![] }; 5];
    for _ in 0..7 {
        for ((_, shards, keys, together), figures) in rows.iter().zip(&mut figures) {
            figures.push(processes(*shards, keys, *together));
        }
    }
    println!("stream/processes, 100 B, M records/s together, median of 7");
    for ((name, ..), figures) in rows.iter().zip(figures) {
        println!("  {name}: {:.1}", median(figures) / 1e6);
    }
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
    let words: Vec<String> = std::env::args().collect();
    if let [_, word, path, key, core, together] = &words[..] {
        match (word.as_str(), core.parse(), together.parse()) {
            ("child", Ok(core), Ok(together)) => return child(path, key, core, together),
            ("answer", Ok(core), _) => return answer(path, core),
            _ => {}
        }
    }
    print_machine();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("stream");
    for ring in RINGS {
        for bytes in [100, 1024] {
            put(&mut group, bytes, ring);
            read(&mut group, bytes, ring);
        }
    }
    put_durably(&mut group);
    group.finish();
    criterion.final_summary();
    if words.iter().any(|word| word == "--bench") && !words.iter().any(|word| word == "--test") {
        print_ping_pong();
        print_processes();
    }
}
