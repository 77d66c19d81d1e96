//! What a child does: a random history on a stream that survives the machine, each step told before
//! and after.
#![allow(clippy::disallowed_types)] // when a clock began; the rule is for the library

use super::tale::{NAMES, Note, Told};
use crate::common::Numbers;
use crate::plan::{Level, Plan, spell};
use crate::tale::{NOW, Note as _, body, seed, seed_of};
use ringmain::{
    Clock, DefaultClock, Durability, Error, FullPolicy, Mapped, Put, Region, ShardId, Start,
    Stream, StreamEntry, StreamOptions,
};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When [`Fast`] began, by the machine's clock.
static BEGAN_MS: AtomicU64 = AtomicU64::new(0);
/// For how long it is fast, ms.
const FAST_MS: u64 = 5000;

/// A clock that runs fifty times as fast from its begin on, so that what is kept for a second is
/// over in a moment. Children have their parent's.
#[derive(Debug, Clone, Copy)]
pub struct Fast;

impl Clock for Fast {
    fn now_ms(&self) -> u64 {
        let now_ms = DefaultClock::default().now_ms();
        let since_ms = now_ms.saturating_sub(BEGAN_MS.load(Ordering::Relaxed));
        now_ms + 49 * since_ms.min(FAST_MS)
    }
}

impl Fast {
    /// Lets it begin anew, for children that are forked after this.
    pub fn begin() {
        BEGAN_MS.store(DefaultClock::default().now_ms(), Ordering::Relaxed);
    }
}

/// A clock that stands still when the machine was started. As long as a history is shorter by
/// [`Fast`] than that is long ago, nothing that it has put is too old to be read.
#[derive(Debug, Clone, Copy)]
pub struct Still;

impl Clock for Still {
    fn now_ms(&self) -> u64 {
        0
    }
}

/// A stream's size and what is put there.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    pub region: u64,
    pub shards: u32,
    /// Places: more than shards, if they are split and merged.
    pub places: u32,
    pub segment: usize,
    pub longest: u64,
    pub evicts: bool,
    pub retention: Duration,
}

const DAY: Duration = Duration::from_secs(86_400);
/// How long a history of three boots is at most by [`Fast`], ms.
const HISTORY_MS: u64 = 1_200_000;

/// The forms that can be checked: without those whose records are kept for a moment, if the machine
/// was started just now.
pub fn forms() -> Vec<Form> {
    let is_young = DefaultClock::default().now_ms() < HISTORY_MS;
    let fits = |form: &&Form| !is_young || form.retention == DAY;
    FORMS.iter().filter(fits).copied().collect()
}

/// The forms: one shard that goes round and round; records longer than a block; shards that are
/// split and merged, and whose places are used again; shards that are full.
const FORMS: [Form; 4] = [
    Form {
        region: 128 << 10,
        shards: 1,
        places: 1,
        segment: 4096,
        longest: 1500,
        evicts: true,
        retention: DAY,
    },
    Form {
        region: 320 << 10,
        shards: 2,
        places: 2,
        segment: 16_384,
        longest: 9000,
        evicts: true,
        retention: DAY,
    },
    Form {
        region: 320 << 10,
        shards: 2,
        places: 6,
        segment: 4096,
        longest: 600,
        evicts: true,
        retention: Duration::from_secs(1),
    },
    Form {
        region: 192 << 10,
        shards: 1,
        places: 2,
        segment: 8192,
        longest: 3000,
        evicts: false,
        retention: Duration::from_secs(1),
    },
];

impl Form {
    pub fn options(&self, level: Level) -> StreamOptions {
        StreamOptions::new()
            .shards(self.shards)
            .max_shards(self.places)
            .segment(self.segment)
            .readers(4)
            .consumers(NAMES as u32)
            .full(match self.evicts {
                true => FullPolicy::Evict,
                false => FullPolicy::Reject,
            })
            .retention(self.retention)
            .durability(level.durability())
    }
}

/// Makes the stream of a history.
pub fn make(path: &Path, level: Level, form: Form) {
    let region = Mapped::create(path, form.region).expect("a region");
    Stream::create(&region, form.options(level)).expect("a stream");
}

/// The child: exits with 0 if all went as it should.
pub fn run(plan: &Plan<Form>) -> i32 {
    if plan.look {
        let region = Mapped::open(&plan.path).expect("the region");
        let stream = Stream::open_with(&region, Still).expect("the stream");
        for some in read(&stream).expect("whole records").chunks(200) {
            Note::Seen(some.to_vec()).tell();
        }
        Note::Looked(names(&stream)).tell();
    }
    plan.by_threads(|who| Worker::new(plan, who).work());
    0
}

/// All records of all shards; an error names what is not whole.
pub fn read<R: Region, C: Clock>(stream: &Stream<R, C>) -> Result<Vec<Told>, String> {
    let mut all = Vec::new();
    for shard in stream.shards() {
        let mut cursor = stream
            .cursor(shard, Start::Oldest)
            .map_err(|error| format!("{shard}: {error}"))?;
        loop {
            let records = match cursor.read(1000) {
                Ok(records) => records,
                Err(Error::ShardClosed { .. }) => break,
                Err(error) => return Err(format!("{shard}: {error}")),
            };
            if records.is_empty() {
                break;
            }
            for record in &records {
                let at = record.sequence().as_u64();
                let seed = seed_of(record.data())
                    .filter(|seed| record.key().is_ok_and(|key| key == key_of(*seed)))
                    .ok_or(format!("{shard} {at:x} is not whole"))?;
                all.push((u64::from(shard.number()), at, seed));
            }
        }
    }
    Ok(all)
}

/// The consumers that are there, as numbers.
pub fn names<R: Region, C: Clock>(stream: &Stream<R, C>) -> Vec<u64> {
    let consumers = stream.consumers().expect("a roster");
    let number = |name: &str| name.strip_prefix("consumer-")?.parse().ok();
    consumers
        .map(|consumer| number(&consumer.expect("one").name).expect("one of ours"))
        .collect()
}

pub fn key_of(seed: u64) -> String {
    format!("key-{}", seed >> 24)
}

struct Worker<'p> {
    plan: &'p Plan<Form>,
    who: u64,
    numbers: Numbers,
    put: u64,
}

impl<'p> Worker<'p> {
    fn new(plan: &'p Plan<Form>, who: u64) -> Self {
        Self {
            plan,
            who,
            numbers: plan.numbers(who),
            put: 0,
        }
    }

    fn work(&mut self) {
        let mut left = self.plan.steps;
        while let Some(some) = spell(&mut left, &mut self.numbers) {
            let region = Mapped::open(&self.plan.path).expect("the region");
            let stream = Stream::open_with(&region, Fast).expect("the stream");
            for _ in 0..some {
                if self.plan.is_at_process(&mut self.numbers) {
                    self.step(&stream.at(Durability::Process).expect("a level"));
                } else {
                    self.step(&stream);
                }
            }
        }
    }

    fn step<R: Region, C: Clock>(&mut self, stream: &Stream<R, C>) {
        match self.numbers.below(100) {
            0..50 => self.put_one(stream),
            50..62 => self.put_batch(stream),
            62..68 => self.claim(stream),
            68..72 => self.prepare(stream),
            72..78 => self.write(stream),
            78..80 => self.reshard(stream),
            80..83 if self.who == 0 => self.rename(stream),
            83..90 => Note::Durable(stream.durable_position().expect("one").as_u64()).tell(),
            90..92 => drop(stream.tend().expect("tended")),
            _ => match stream.sync() {
                Ok(position) => Note::Durable(position.as_u64()).tell(),
                Err(Error::NotDurable { .. }) => {}
                Err(other) => panic!("{other}"),
            },
        }
    }

    fn next_seed(&mut self) -> u64 {
        let len = match self.numbers.below(12) {
            0 => self.numbers.below(self.plan.form.longest),
            _ => self.numbers.below(200),
        };
        self.put += 1;
        seed(self.plan.number(self.who, self.put), len.max(8) as usize)
    }

    fn next_hash(&mut self) -> u128 {
        u128::from(self.numbers.next()) << 64 | u128::from(self.numbers.next())
    }

    /// The position that makes durable what has just been done.
    fn position<R: Region, C: Clock>(stream: &Stream<R, C>) -> u64 {
        match stream.durability() {
            Durability::BeforeOk => NOW,
            _ => stream.position().expect("a position").as_u64(),
        }
    }

    fn tell<R: Region, C: Clock>(stream: &Stream<R, C>, seed: u64, outcome: Result<Put, Error>) {
        if let Some(put) = accepted(outcome) {
            Note::Put(Self::position(stream), vec![told(put, seed)]).tell();
        }
    }

    fn put_one<R: Region, C: Clock>(&mut self, stream: &Stream<R, C>) {
        let (seed, hash) = (self.next_seed(), self.next_hash());
        Note::Putting(vec![seed]).tell();
        let (key, data) = (key_of(seed), body(seed));
        let outcome = stream.put_entry(&StreamEntry::new(&key, &data).hash(hash));
        Self::tell(stream, seed, outcome);
    }

    fn some(&mut self, most: u64) -> Vec<(u64, u128, String, Vec<u8>)> {
        let count = 1 + self.numbers.below(most);
        let some = (0..count).map(|_| {
            let (seed, hash) = (self.next_seed(), self.next_hash());
            (seed, hash, key_of(seed), body(seed))
        });
        let some: Vec<_> = some.collect();
        Note::Putting(some.iter().map(|(seed, ..)| *seed).collect()).tell();
        some
    }

    fn put_batch<R: Region, C: Clock>(&mut self, stream: &Stream<R, C>) {
        let some = self.some(12);
        let entries: Vec<StreamEntry<'_>> = some
            .iter()
            .map(|(_, hash, key, data)| StreamEntry::new(key, data).hash(*hash))
            .collect();
        let mut done = Vec::new();
        let put = stream.put_batch(&entries, |n, outcome| {
            done.extend(accepted(outcome).map(|put| told(put, some[n].0)));
        });
        put.expect("a batch");
        if !done.is_empty() {
            Note::Put(Self::position(stream), done).tell();
        }
    }

    fn claim<R: Region, C: Clock>(&mut self, stream: &Stream<R, C>) {
        let seed = self.next_seed();
        Note::Putting(vec![seed]).tell();
        let data = body(seed);
        match stream.claim(&key_of(seed), data.len()) {
            Ok(mut claim) => {
                claim.copy_from_slice(&data);
                if self.numbers.below(3) != 0 {
                    Self::tell(stream, seed, claim.commit());
                }
            }
            Err(error) => drop(accepted(Err(error))),
        }
    }

    fn prepare<R: Region, C: Clock>(&mut self, stream: &Stream<R, C>) {
        let some = self.some(12);
        let entries: Vec<StreamEntry<'_>> = some
            .iter()
            .map(|(_, hash, key, data)| StreamEntry::new(key, data).hash(*hash))
            .collect();
        let mut done = Vec::new();
        let prepared = stream.prepare(&entries, |n, outcome| {
            done.extend(accepted(outcome).map(|put| told(put, some[n].0)));
        });
        let prepared = prepared.expect("prepared");
        if self.numbers.below(4) == 0 {
            return;
        }
        let position = match prepared.commit() {
            Ok(()) => Self::position(stream),
            Err(Error::NotDurable { .. }) => stream.position().expect("one").as_u64(),
            Err(other) => panic!("{other}"),
        };
        if !done.is_empty() {
            Note::Put(position, done).tell();
        }
    }

    /// Some records by a writer that has a shard to itself.
    fn write<R: Region, C: Clock>(&mut self, stream: &Stream<R, C>) {
        let hash = self.next_hash();
        let shard = stream.shard_of(hash).expect("a shard");
        let Ok(mut writer) = stream.writer(shard) else {
            return; // split meanwhile
        };
        for _ in 0..self.numbers.below(4) {
            let seed = self.next_seed();
            Note::Putting(vec![seed]).tell();
            let (key, data) = (key_of(seed), body(seed));
            let outcome = writer.put_entry(&StreamEntry::new(&key, &data).hash(hash));
            match outcome {
                Err(Error::HashNotInShard { .. } | Error::ShardNotOpen { .. }) => return,
                outcome => Self::tell(stream, seed, outcome),
            }
        }
    }

    fn reshard<R: Region, C: Clock>(&mut self, stream: &Stream<R, C>) {
        if self.plan.form.places == self.plan.form.shards {
            return;
        }
        let open: Vec<_> = stream
            .shards()
            .filter_map(|shard| stream.shard_info(shard).ok())
            .filter(ringmain::ShardInfo::is_open)
            .collect();
        let made: Result<Vec<ShardId>, Error> = if open.len() < 3 && self.numbers.below(3) != 0 {
            let info = open[self.numbers.below(open.len() as u64) as usize];
            let (first, last) = info.hashes;
            let made = stream.split(info.shard, first + (last - first) / 2 + 1);
            made.map(|made| made.to_vec())
        } else {
            let neighbours = open.iter().find_map(|low| {
                let next = low.hashes.1.checked_add(1)?;
                let high = open.iter().find(|high| high.hashes.0 == next)?;
                Some((low.shard, high.shard))
            });
            let Some((low, high)) = neighbours else {
                return;
            };
            stream.merge(low, high).map(|made| vec![made])
        };
        match made {
            Ok(made) => {
                let made = made.iter().map(|shard| u64::from(shard.number()));
                Note::Opened(Self::position(stream), made.collect()).tell();
            }
            Err(
                Error::NotDurable { .. }
                | Error::ShardLimit { .. }
                | Error::Resharding { .. }
                | Error::ShardReserved { .. }
                | Error::ShardNotOpen { .. }
                | Error::NoShard { .. }
                | Error::SplitPoint
                | Error::NotAdjacent,
            ) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn rename<R: Region, C: Clock>(&mut self, stream: &Stream<R, C>) {
        let name = self.numbers.below(NAMES as u64);
        let text = format!("consumer-{name}");
        let is = !names(stream).contains(&name);
        Note::Naming(name).tell();
        let done = match is {
            true => stream.register_consumer(&text).map(drop),
            false => stream.deregister_consumer(&text),
        };
        let position = match done {
            Ok(()) => Self::position(stream),
            Err(Error::NotDurable { .. }) => stream.position().expect("one").as_u64(),
            Err(other) => panic!("{other}"),
        };
        Note::Named(position, name, is).tell();
    }
}

fn told(put: Put, seed: u64) -> Told {
    (u64::from(put.shard.number()), put.sequence.as_u64(), seed)
}

/// Where it is, unless it was refused, or is not known to be on the disk: then nobody knows where.
fn accepted(outcome: Result<Put, Error>) -> Option<Put> {
    match outcome {
        Ok(put) => Some(put),
        Err(
            Error::NotDurable { .. }
            | Error::Full
            | Error::SegmentInUse { .. }
            | Error::ShardReserved { .. },
        ) => None,
        Err(other) => panic!("{other}"),
    }
}
