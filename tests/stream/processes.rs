//! Writers that are killed at any moment and begun anew, each a process, and readers beside them:
//! what a writer has acknowledged is read exactly once and in order; what it has claimed holds
//! nobody up for long. `RINGMAIN_STREAM_SECONDS` sets for how long writers are killed (default 6),
//! `RINGMAIN_STREAM_SEED` when.

use crate::common::{Dir, Numbers, body, child, number_of, seed_of};
use ringmain::{Error, FullPolicy, Mapped, Start, Stream, StreamEntry, StreamOptions};
use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// By then the kernel has confirmed a death, and somebody has asked.
const SOON: Duration = Duration::from_secs(5);

fn opened(path: &str) -> Stream<Mapped> {
    Stream::open(Mapped::open(path).expect("the region")).expect("the stream")
}

fn for_reading(path: &str) -> Stream<Mapped> {
    let region = Mapped::open_for_reading(path).expect("the region");
    Stream::open(region).expect("the stream")
}

/// Tries again while another one's writer has the shard.
fn waited<T>(mut attempt: impl FnMut() -> Result<T, Error>) -> T {
    loop {
        match attempt() {
            Err(Error::ShardReserved { .. }) => std::thread::yield_now(),
            outcome => return outcome.expect("room"),
        }
    }
}

/// Puts records until it is killed. What was put is written down: `{ life:32, counter:32 }` each.
fn write(argument: &str) {
    let (path, life) = argument.split_once('|').expect("two arguments");
    let life: u64 = life.parse().expect("a number");
    let stream = opened(path);
    let mut acknowledged = fs::File::create(format!("{path}.{life}")).expect("a file");
    let len = |n: u64| 8 + (n * 37 % 200) as usize;
    let seed = |n: u64| life << 32 | n;
    for n in (0..).step_by(2) {
        let both = [n, n + 1].map(|n| body(seed(n), len(n)));
        match n % 6 {
            0 => {
                let batch = both.each_ref().map(|data| StreamEntry::new("a", data));
                waited(|| {
                    let mut all = Ok(());
                    stream.put_batch(&batch, |_, outcome| {
                        all = all.clone().and(outcome.map(drop)); // one claim: all or none
                    })?;
                    all
                });
            }
            2 => {
                for data in &both {
                    let mut claim = waited(|| stream.claim("a", data.len()));
                    std::thread::yield_now();
                    claim.copy_from_slice(data);
                    claim.commit().expect("committed");
                }
            }
            4 => {
                // The others have writers too; who finds the shard reserved puts when it is not.
                let shard = stream.shards().next().expect("a shard");
                let mut writer = stream.writer(shard).expect("a writer");
                for data in &both {
                    waited(|| writer.put("a", data));
                }
            }
            _ => {
                for data in &both {
                    waited(|| stream.put("a", data));
                }
            }
        }
        let both = [seed(n).to_le_bytes(), seed(n + 1).to_le_bytes()].concat();
        acknowledged.write_all(&both).expect("a write");
        if n % 16 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Reads in place until it is killed.
fn hold(path: &str) {
    let stream = for_reading(path);
    let mut cursor = stream
        .cursor(stream.shard_of(0).expect("a shard"), Start::Oldest)
        .expect("a cursor");
    let records = cursor.read(1).expect("a read");
    fs::write(format!("{path}.held"), [1]).expect("a file");
    loop {
        assert_eq!(records.len(), 1);
        std::thread::sleep(Duration::from_secs(60));
    }
}

fn killed(mut child: Child) {
    child.kill().expect("a kill");
    child.wait().expect("its end");
}

/// What the lives of writers have acknowledged: how many records each.
fn acknowledged(path: &str, lives: u64) -> HashMap<u64, u64> {
    let of = |life| fs::metadata(format!("{path}.{life}")).map_or(0, |file| file.len() / 8);
    (1..=lives).map(|life| (life, of(life))).collect()
}

/// Reads until all that was acknowledged is read, once it is known how much that is.
fn read(stream: &Stream<Mapped>, path: &str, lives: impl Fn() -> Option<u64>) {
    let shard = stream.shard_of(0).expect("a shard");
    let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
    let mut next: HashMap<u64, u64> = HashMap::new();
    let (mut last, mut until) = (0, None);
    loop {
        let records = cursor.read(100).expect("nothing is lost");
        for record in &records {
            let sequence = record.sequence().as_u64();
            assert!(sequence > last);
            last = sequence;
            let seed = seed_of(record.data()).expect("a whole record");
            let next = next.entry(seed >> 32).or_default();
            assert_eq!(seed & 0xffff_ffff, *next, "of life {}", seed >> 32);
            *next += 1;
        }
        if !records.is_empty() {
            continue;
        }
        std::thread::sleep(Duration::from_millis(1));
        if let Some(lives) = lives() {
            let until = *until.get_or_insert_with(|| Instant::now() + SOON);
            let missing: Vec<_> = acknowledged(path, lives)
                .into_iter()
                .filter(|(life, count)| next.get(life).is_none_or(|next| next < count))
                .filter(|(_, count)| *count > 0)
                .collect();
            if missing.is_empty() {
                return;
            }
            assert!(Instant::now() < until, "not read: {missing:?}, {next:?}");
        }
    }
}

#[test]
fn what_was_acknowledged_outlives_its_writer() {
    const TEST: &str = "processes::what_was_acknowledged_outlives_its_writer";
    if child::role().is_some() {
        return write(&child::argument());
    }
    let seed = number_of("RINGMAIN_STREAM_SEED", std::process::id().into());
    println!("seed {seed}");
    let dir = Dir::shm("stream-processes");
    let path = dir.file("q.ring");
    let path = path.to_str().expect("UTF-8");
    let region = Mapped::create(path, 64 << 20).expect("a region");
    let stream = Stream::create(region, StreamOptions::new()).expect("a stream");
    let (mut numbers, lives) = (Numbers(seed), Cell::new(0));
    let begin = || {
        lives.set(lives.get() + 1);
        let argument = format!("{path}|{}", lives.get());
        child::command(TEST, "writer", &argument)
            .spawn()
            .expect("a child")
    };
    let all = std::sync::OnceLock::new();
    std::thread::scope(|scope| {
        let all = &all;
        for open in [opened, for_reading] {
            scope.spawn(move || read(&open(path), path, || all.get().copied()));
        }
        let end = Instant::now() + Duration::from_secs(number_of("RINGMAIN_STREAM_SECONDS", 6));
        let mut writers = [begin(), begin()];
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(30 + numbers.below(150)));
            let writer = &mut writers[numbers.below(2) as usize];
            assert!(
                writer.try_wait().expect("its state").is_none(),
                "it ended by itself"
            );
            killed(std::mem::replace(writer, begin()));
        }
        writers.into_iter().for_each(killed);
        all.set(lives.get()).expect("once");
    });
    let lives = lives.get();
    let acknowledged: u64 = acknowledged(path, lives).values().sum();
    assert!(
        acknowledged > 200,
        "{acknowledged} records of {lives} lives"
    );
    // Whoever comes next finds room behind what the dead have left.
    stream.put("a", b"last").expect("room");
}

#[test]
fn a_dead_reader_holds_nothing() {
    const TEST: &str = "processes::a_dead_reader_holds_nothing";
    if child::role().is_some() {
        return hold(&child::argument());
    }
    let dir = Dir::shm("stream-reader");
    let path = dir.file("q.ring");
    let path = path.to_str().expect("UTF-8");
    let region = Mapped::create(path, 128 << 10).expect("a region");
    let options = StreamOptions::new().full(FullPolicy::Evict).readers(1);
    let stream = Stream::create(region, options).expect("a stream");
    stream.put("a", b"first").expect("room");
    let reader = child::command(TEST, "reader", path)
        .spawn()
        .expect("a child");
    let end = Instant::now() + Duration::from_secs(60);
    while !Path::new(&format!("{path}.held")).exists() {
        assert!(Instant::now() < end, "the reader does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    let refused = (0..100_000).find_map(|_| stream.put("a", &[1; 100]).err());
    let in_use = matches!(refused, Some(Error::SegmentInUse { reading: true, .. }));
    assert!(in_use, "{refused:?}");
    assert!(stream.put("a", &[1; 100]).is_err());
    killed(reader);
    let end = Instant::now() + SOON;
    while let Err(error) = stream.put("a", &[1; 100]) {
        assert!(Instant::now() < end, "{error}");
        std::thread::sleep(Duration::from_millis(1));
    }
    let shard = stream.shard_of(0).expect("a shard");
    assert!(
        stream.cursor(shard, Start::Oldest).is_ok(),
        "its pin is free"
    );
}
