//! A process that splits and merges is killed at any moment and begun anew, and so are writers; a
//! reader that follows the shards reads what was acknowledged, once, and each key in order; and the
//! open shards are all hashes whenever somebody asks. `RINGMAIN_STREAM_SECONDS` sets for how long
//! (default 6), `RINGMAIN_STREAM_SEED` when they are killed.

use crate::common::{Dir, Numbers, child, number_of};
use ringmain::{Cursor, DefaultClock, Error, Mapped, ShardId, Start, Stream, StreamOptions};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Write;
use std::process::Child;
use std::time::{Duration, Instant};

const KEYS: u64 = 40;

fn opened(path: &str) -> Stream<Mapped> {
    Stream::open(Mapped::open(path).expect("the region")).expect("the stream")
}

/// Puts records until it is killed: `{ life, counter }` each. How many were acknowledged is in a
/// file, one byte each.
fn write(argument: &str) {
    let (path, life) = argument.split_once('|').expect("two arguments");
    let stream = opened(path);
    let mut acknowledged = fs::File::create(format!("{path}.{life}")).expect("a file");
    let life: u64 = life.parse().expect("a number");
    for n in 0_u64.. {
        let key = format!("{}-{life}", n % KEYS);
        let data = [life.to_le_bytes(), n.to_le_bytes()].concat();
        while let Err(error) = stream.put(&key, &data) {
            // Nothing in it is old enough yet.
            assert_eq!(error, Error::Full);
            std::thread::sleep(Duration::from_millis(1));
        }
        acknowledged.write_all(&[1]).expect("a write");
        if n % 64 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Splits and merges until it is killed.
fn reshard(argument: &str) {
    let (path, life) = argument.split_once('|').expect("two arguments");
    let stream = opened(path);
    let mut numbers = Numbers(life.parse().expect("a number"));
    loop {
        let mut open: Vec<_> = stream
            .shards()
            .filter_map(|shard| stream.shard_info(shard).ok())
            .filter(|info| info.is_open())
            .collect();
        open.sort_by_key(|info| info.hashes);
        let n = numbers.below(open.len() as u64) as usize;
        let (first, last) = open[n].hashes;
        let changed = match open.get(n + 1) {
            Some(next) if open.len() > 2 => {
                let merged = stream.merge(open[n].shard, next.shard);
                merged.map(drop)
            }
            _ => stream
                .split(open[n].shard, first + (last - first) / 3)
                .map(drop),
        };
        match changed {
            // The places of old shards are taken when the retention is over.
            Ok(()) | Err(Error::ShardLimit { .. }) => {}
            Err(Error::SplitPoint | Error::Resharding { .. } | Error::ShardNotOpen { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Reads each shard to its end, after its parents.
struct Follower<'s> {
    stream: &'s Stream<Mapped>,
    cursors: HashMap<ShardId, Cursor<'s, Mapped, DefaultClock>>,
    done: HashSet<ShardId>,
    /// The next of each life and key.
    next: HashMap<(u64, u64), u64>,
    count: HashMap<u64, u64>,
}

impl Follower<'_> {
    fn follow(&mut self) {
        for shard in self.stream.shards() {
            if self.done.contains(&shard) {
                continue;
            }
            if !self.cursors.contains_key(&shard) {
                let Ok(info) = self.stream.shard_info(shard) else {
                    continue;
                };
                let parents = [info.parent, info.adjacent_parent];
                if !parents
                    .into_iter()
                    .flatten()
                    .all(|p| self.done.contains(&p))
                {
                    continue;
                }
                let cursor = self.stream.cursor(shard, Start::Oldest);
                self.cursors.insert(shard, cursor.expect("a cursor"));
            }
            self.read(shard);
        }
    }

    fn read(&mut self, shard: ShardId) {
        let cursor = self.cursors.get_mut(&shard).expect("begun");
        loop {
            let records = match cursor.read(100) {
                Ok(records) => records,
                Err(Error::ShardClosed { .. }) => {
                    self.done.insert(shard);
                    break;
                }
                Err(error) => panic!("{shard}: {error}"),
            };
            if records.is_empty() {
                return;
            }
            for record in &records {
                let half = |n: usize| record.data()[n..n + 8].try_into().expect("8 bytes");
                let (life, n) = (u64::from_le_bytes(half(0)), u64::from_le_bytes(half(8)));
                let key = format!("{}-{life}", n % KEYS);
                assert_eq!(record.key(), Ok(&*key));
                let next = self.next.entry((life, n % KEYS)).or_insert(n % KEYS);
                assert_eq!(n, *next, "of life {life}, in {shard}");
                *next += KEYS;
                *self.count.entry(life).or_default() += 1;
            }
        }
        self.cursors.remove(&shard);
    }
}

fn killed(mut child: Child) {
    child.kill().expect("a kill");
    child.wait().expect("its end");
}

/// The open shards are all hashes, each once: asked when nobody changes them.
fn is_whole(stream: &Stream<Mapped>) -> bool {
    let info = |shard| stream.shard_info(shard).ok().filter(|info| info.is_open());
    let mut open: Vec<_> = stream.shards().filter_map(info).map(|i| i.hashes).collect();
    open.sort_unstable();
    let ends = open.first().zip(open.last());
    ends.is_some_and(|(first, last)| (first.0, last.1) == (0, u128::MAX))
        && open.windows(2).all(|two| two[0].1 + 1 == two[1].0)
}

#[test]
fn a_killed_resharder_leaves_whole_shards() {
    const TEST: &str = "resharders::a_killed_resharder_leaves_whole_shards";
    match child::role().as_deref() {
        Some("writer") => return write(&child::argument()),
        Some(_) => return reshard(&child::argument()),
        None => {}
    }
    let seed = number_of("RINGMAIN_STREAM_SEED", std::process::id().into());
    println!("seed {seed}");
    let dir = Dir::shm("stream-resharders");
    let path = dir.file("q.ring");
    let path = path.to_str().expect("UTF-8");
    let region = Mapped::create(path, 128 << 20).expect("a region");
    let options = StreamOptions::new()
        .max_shards(100)
        .retention(Duration::from_secs(4));
    let stream = Stream::create(region, options).expect("a stream");
    let (mut numbers, mut lives) = (Numbers(seed), 0);
    let mut begin = |role: &str| {
        lives += 1;
        let argument = format!("{path}|{lives}");
        let child = child::command(TEST, role, &argument).spawn();
        (child.expect("a child"), lives)
    };
    let mut follower = Follower {
        stream: &stream,
        cursors: HashMap::new(),
        done: HashSet::new(),
        next: HashMap::new(),
        count: HashMap::new(),
    };
    let end = Instant::now() + Duration::from_secs(number_of("RINGMAIN_STREAM_SECONDS", 6));
    let mut writers = vec![begin("writer"), begin("writer")];
    let (mut resharder, mut all_lives) = (begin("resharder"), vec![1, 2]);
    let mut changes = 0;
    while Instant::now() < end {
        let until = Instant::now() + Duration::from_millis(20 + numbers.below(80));
        while Instant::now() < until {
            follower.follow();
            std::thread::sleep(Duration::from_millis(1));
        }
        match numbers.below(3) {
            0 => {
                let next = begin("writer");
                all_lives.push(next.1);
                let writer = &mut writers[numbers.below(2) as usize];
                assert!(writer.0.try_wait().expect("its state").is_none());
                killed(std::mem::replace(writer, next).0);
            }
            _ => {
                assert!(resharder.0.try_wait().expect("its state").is_none());
                resharder.0.kill().expect("a kill");
                resharder.0.wait().expect("its end");
                stream.tend().expect("tended");
                assert!(is_whole(&stream), "after a death");
                resharder = begin("resharder");
                changes += 1;
            }
        }
    }
    killed(resharder.0);
    writers.into_iter().for_each(|writer| killed(writer.0));
    stream.tend().expect("tended");
    assert!(is_whole(&stream));
    let acknowledged = |life| fs::metadata(format!("{path}.{life}")).map_or(0, |file| file.len());
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        follower.follow();
        let missing = |life: &&u64| follower.count.get(*life).unwrap_or(&0) < &acknowledged(**life);
        match all_lives.iter().find(missing) {
            None => break,
            Some(life) => assert!(Instant::now() < until, "records of life {life} are missing"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let done = follower.done.len();
    println!("{done} shards were closed, {changes} times their maker was killed");
    assert!(done > 20 && changes > 5, "{done} shards, {changes} deaths");
}
