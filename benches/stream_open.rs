//! Seeking in a long stream, and opening it after a kill: `cargo bench --bench stream_open -- 10`
//! for ten gigabytes (default: one). The stream is filled once all round, in a file in the
//! directory for temporary files, or in `--dir`; so that much disk is taken meanwhile. Then
//! cursors are made at random times, at random places, at the oldest record and at the latest; and
//! a writer is killed amid a put, the region and the stream are opened, tended once, put into and
//! read from.
//!
//! Each seek is checked: the record it comes to is the first of that time.

use ringmain::{FullPolicy, ManualClock, Mapped, ShardId, Start, Stream, StreamOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SEEKS: u64 = 1000;
const ROUNDS: usize = 9;
/// What all steps of an opening may take together.
const LIMIT: Duration = Duration::from_millis(50);
/// Records of one time.
const A_MS: u64 = 16;
const DATA: usize = 1000;
const ROLE: &str = "RINGMAIN_STREAM_OPEN_PATH";
const SHARD: ShardId = ShardId::from_number(0);

type Log<'r> = Stream<&'r Mapped, &'r ManualClock>;

fn open<'r>(region: &'r Mapped, clock: &'r ManualClock) -> Log<'r> {
    let stream = Stream::open_with(region, clock);
    stream.expect("the stream")
}

/// The child: claims, says so, and waits to be killed.
fn claims(path: &Path) {
    let region = Mapped::open(path).expect("the region");
    let clock = ManualClock::new(0);
    let stream = open(&region, &clock);
    let claim = stream.claim("a", DATA).expect("room");
    println!("ready");
    let _held = claim;
    loop {
        std::thread::park();
    }
}

fn killed(path: &Path) {
    let exe = std::env::current_exe().expect("this program");
    let mut child = Command::new(exe)
        .env(ROLE, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut lines = BufReader::new(child.stdout.take().expect("its words")).lines();
    assert_eq!(lines.next().expect("a line").expect("a line"), "ready");
    child.kill().expect("SIGKILL");
    child.wait().expect("an end");
}

/// Fills a stream all round.
fn fill(stream: &Log<'_>, clock: &ManualClock) {
    let (data, mut puts) = ([7; DATA], 0_u64);
    let capacity = stream.stat(SHARD).expect("figures").capacity_bytes;
    let begun = Instant::now();
    // Once round, and a bit more.
    while stream.stat(SHARD).expect("figures").evicted_segments < 2 {
        for _ in 0..100_000 {
            stream.put("a", &data).expect("room");
            puts += 1;
            if puts.is_multiple_of(A_MS) {
                clock.advance(Duration::from_millis(1));
            }
        }
    }
    let secs = begun.elapsed().as_secs_f64();
    println!("{puts} records, {capacity} bytes of a shard, filled once round in {secs:.1} s");
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Makes cursors; prints how long that took.
fn seeks(stream: &Log<'_>, name: &str, mut start: impl FnMut(u64) -> (Start, u64)) {
    let mut times = Vec::new();
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..SEEKS {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let (start, wanted_ms) = start(chance >> 16);
        let begun = Instant::now();
        let mut cursor = stream.cursor(SHARD, start).expect("a cursor");
        times.push(begun.elapsed());
        let records = cursor.read(1).expect("read");
        if wanted_ms != 0 {
            let first = records.iter().next().expect("a record");
            assert_eq!(first.arrived_ms(), wanted_ms, "the first of that time");
        }
    }
    times.sort_unstable();
    let worst = us(times[times.len() - 1]);
    let median = us(times[times.len() / 2]);
    println!("{name:<24} {median:>9.2} {worst:>9.2}");
}

/// Opens after a kill; how long each step took.
fn way_back(path: &Path, clock: &ManualClock) -> [Duration; 5] {
    let mut times = [Duration::ZERO; 5];
    let mut last = Instant::now();
    let mut lap = |step: usize| {
        let now = Instant::now();
        times[step] = now - last;
        last = now;
    };
    let region = Mapped::open(path).expect("the region");
    lap(0);
    let stream = open(&region, clock);
    lap(1);
    let tended = stream.tend().expect("tended");
    lap(2);
    let put = stream.put("a", b"the next").expect("room");
    lap(3);
    let mut cursor = stream
        .cursor(SHARD, Start::At(put.sequence))
        .expect("a cursor");
    let read = cursor.read(10).expect("read").len();
    lap(4);
    assert_eq!(
        (tended.dead, read),
        (1, 1),
        "one has died, one record is read"
    );
    times
}

fn main() {
    if let Some(path) = std::env::var_os(ROLE) {
        return claims(Path::new(&path));
    }
    let (mut gigabytes, mut dir) = (1, std::env::temp_dir());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--dir" => dir = PathBuf::from(arguments.next().expect("a directory")),
            number => gigabytes = number.parse().unwrap_or(gigabytes),
        }
    }
    let path = dir.join(format!("ringmain-stream-open-{}.ring", std::process::id()));
    let within = measure(&path, gigabytes * 1_000_000_000);
    std::fs::remove_file(&path).expect("the file is there");
    if !within {
        println!("\nover {} ms", LIMIT.as_millis());
        std::process::exit(1);
    }
}

/// Whether an opening was within the limit.
fn measure(path: &Path, bytes: u64) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("kernel: {}; the bench profile", release.trim());
    let region = Mapped::create(path, bytes).expect("room for the region");
    let clock = ManualClock::new(1_000_000);
    let options = StreamOptions::new()
        .full(FullPolicy::Evict)
        .retention(Duration::from_secs(365 * 86_400));
    let stream = Stream::create_with(&region, options, &clock).expect("a stream");
    fill(&stream, &clock);
    let oldest = {
        let mut cursor = stream.cursor(SHARD, Start::Oldest).expect("a cursor");
        let records = cursor.read(1).expect("read");
        let first = records.iter().next().expect("a record");
        (first.arrived_ms(), first.sequence().as_u64())
    };
    let stat = stream.stat(SHARD).expect("figures");
    // The first time may have lost a part of its records, and the last one is not full yet.
    let (from, until) = (oldest.0 + 1, stat.latest_ms);
    println!("\na cursor, us                median     worst");
    seeks(&stream, "at a time", |chance| {
        let ms = from + chance % (until - from);
        (Start::Time(ms), ms)
    });
    seeks(&stream, "at the oldest", |_| (Start::Oldest, oldest.0));
    seeks(&stream, "at the latest", |_| (Start::Latest, 0));
    drop(region);

    println!("\nafter a kill, ms: region, stream, tend, put, read; the whole");
    let mut whole = Vec::new();
    for _ in 0..ROUNDS {
        killed(path);
        let times = way_back(path, &clock);
        let sum: Duration = times.iter().sum();
        let steps = times.map(|time| format!("{:.3}", time.as_secs_f64() * 1e3));
        println!("{}; {:.3}", steps.join(", "), sum.as_secs_f64() * 1e3);
        whole.push(sum);
    }
    whole.sort_unstable();
    let [median, worst] = [whole[ROUNDS / 2], whole[ROUNDS - 1]].map(|time| us(time) / 1e3);
    println!("median {median:.3}, worst {worst:.3}");
    whole[ROUNDS / 2] <= LIMIT
}
