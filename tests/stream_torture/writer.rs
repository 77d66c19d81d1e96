//! A writer: puts records one by one, in batches and in place, until it is killed.

use super::board::{Board, Count, READERS, SHARDS};
use super::common::{Numbers, body};
use super::os;
use super::reader::granule;
use ringmain::{Error, Mapped, Put, Stream, StreamEntry};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

/// Bytes of a segment, and of a shard.
pub const SEGMENT: usize = 16 << 10;
pub const RING: u64 = 512 << 10;
/// Bytes that writers may be ahead of the slowest reader, if they wait for it.
const AHEAD: u64 = RING / 2;
/// Records of a batch of one shard: fewer than a half of a segment.
const BATCH: u64 = 4;
const _: () = assert!(BATCH as usize * 31 * 64 <= SEGMENT / 2);
/// Nobody is refused for so long.
const PATIENCE_NS: u64 = 20_000_000_000;

/// The seed of a record's bytes names it.
pub fn seed(life: usize, number: u64) -> u64 {
    (life as u64) << 32 | number
}

/// Bytes of a record's data.
pub fn len(seed: u64) -> usize {
    let chance = Numbers(seed).next();
    match chance % 16 {
        0 => 8 + (chance >> 8) as usize % 1900,
        _ => 8 + (chance >> 8) as usize % 300,
    }
}

pub fn key(shard: usize) -> String {
    format!("shard-{shard}")
}

/// A hash of a shard.
fn hash(shard: usize) -> u128 {
    (u128::MAX / SHARDS as u128) * shard as u128 + 1000
}

struct Writer<'w> {
    board: &'static Board,
    stream: &'w Stream<Mapped>,
    life: usize,
    numbers: Numbers,
    /// How many records it has put in each shard.
    next: [u64; SHARDS],
}

pub fn write(board: &'static Board, path: &Path, life: usize, seed: u64) -> i32 {
    let stream = board.inside(0, || {
        Stream::open(Mapped::open(path).expect("the region")).expect("the stream")
    });
    let mut writer = Writer {
        board,
        stream: &stream,
        life,
        numbers: Numbers(seed),
        next: [0; SHARDS],
    };
    let mut refused_ns = None;
    let mut calls = 0_u64;
    while !board.stops() {
        calls += 1;
        let shard = writer.numbers.below(SHARDS as u64) as usize;
        if board.throttled.load(SeqCst) != 0 {
            while writer.is_ahead(shard) && !board.stops() {
                std::thread::sleep(std::time::Duration::from_micros(100));
            }
        } else if calls.is_multiple_of(16) {
            // In bursts, so that readers are sometimes overtaken.
            let ms = writer.numbers.below(4);
            std::thread::sleep(std::time::Duration::from_millis(ms));
        }
        let put = match writer.numbers.below(4) {
            0 => writer.batch(shard),
            1 => writer.claim(shard),
            _ => writer.put(shard),
        };
        match put {
            Ok(()) => refused_ns = None,
            // A reader is in the way; or was, and is dead.
            Err(Error::SegmentInUse { .. }) => {
                let since_ns = *refused_ns.get_or_insert_with(os::now_ns);
                if os::now_ns() - since_ns > PATIENCE_NS {
                    board.fault(Count::Stuck, "a writer is refused all the time");
                    return 0;
                }
                std::thread::yield_now();
            }
            Err(error) => {
                board.fault(Count::Stuck, &format!("a put: {error}"));
                return 0;
            }
        }
    }
    0
}

impl Writer<'_> {
    /// Whether it should wait for a reader.
    fn is_ahead(&self, shard: usize) -> bool {
        let tail = granule(self.board.tails[shard].load(SeqCst));
        let at = |reader: usize| granule(self.board.progress[reader][shard].place.load(SeqCst));
        let slowest = (0..READERS).map(at).min().unwrap_or(0);
        // The first records are of lap 1.
        tail.saturating_sub(slowest.max(granule(1 << 30))) * 64 > AHEAD
    }

    fn record(&self, shard: usize, ahead: u64) -> Vec<u8> {
        let seed = seed(self.life, self.next[shard] + ahead);
        body(seed, len(seed))
    }

    fn begin(&self, shard: usize, count: u64) {
        let written = &self.board.written[self.life][shard];
        written.begun.fetch_max(self.next[shard] + count, SeqCst);
    }

    fn told(&mut self, shard: usize, put: Put) {
        self.next[shard] += 1;
        let written = &self.board.written[self.life][shard];
        written.told.store(self.next[shard], SeqCst);
        self.board.tails[shard].fetch_max(put.sequence.as_u64(), SeqCst);
        if put.shard.number() as usize != shard {
            self.board
                .fault(Count::Damaged, "a put names another shard");
        }
    }

    fn put(&mut self, shard: usize) -> Result<(), Error> {
        let (key, data) = (key(shard), self.record(shard, 0));
        self.begin(shard, 1);
        let entry = StreamEntry::new(&key, &data).hash(hash(shard));
        let put = self.board.inside(0, || self.stream.put_entry(&entry))?;
        self.told(shard, put);
        Ok(())
    }

    /// A few records of two shards.
    fn batch(&mut self, first: usize) -> Result<(), Error> {
        let shards = [first, (first + 1) % SHARDS];
        let count = 1 + self.numbers.below(BATCH);
        let of = |shard: usize| (0..count).map(move |n| (shard, n));
        let both: Vec<_> = shards.into_iter().flat_map(of).collect();
        let record = |&(shard, n): &(usize, u64)| (key(shard), self.record(shard, n));
        let records: Vec<_> = both.iter().map(record).collect();
        let entry = |(&(shard, _), (key, data)): (&(usize, u64), &'_ (String, Vec<u8>))| {
            (shard, key.clone(), data.clone())
        };
        let records: Vec<_> = both.iter().zip(&records).map(entry).collect();
        let entries: Vec<_> = records
            .iter()
            .map(|(shard, key, data)| StreamEntry::new(key, data).hash(hash(*shard)))
            .collect();
        shards.iter().for_each(|shard| self.begin(*shard, count));
        let mut outcomes: Vec<Option<Result<Put, Error>>> = vec![None; entries.len()];
        self.board.inside(0, || {
            self.stream.put_batch(&entries, |place, outcome| {
                outcomes[place] = Some(outcome);
            })
        })?;
        let mut refused = None;
        for ((shard, _), outcome) in both.into_iter().zip(outcomes) {
            match outcome.expect("an outcome of each") {
                Ok(put) => self.told(shard, put),
                Err(error) => refused = Some(error),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// In place; one in four is given up.
    fn claim(&mut self, _: usize) -> Result<(), Error> {
        // A claim goes by its key.
        let key = key(self.numbers.below(SHARDS as u64) as usize);
        let own = self.stream.hash_of(&key) >> 64;
        let shard = ((own * SHARDS as u128) >> 64) as usize;
        let data = self.record(shard, 0);
        self.begin(shard, 1);
        let gives_up = self.numbers.below(4) == 0;
        let put = self.board.inside(0, || {
            let mut claim = self.stream.claim(&key, data.len())?;
            let (first, last) = data.split_at(data.len() / 2);
            claim[..first.len()].copy_from_slice(first);
            if gives_up {
                return Ok(None);
            }
            std::thread::yield_now();
            claim[first.len()..].copy_from_slice(last);
            claim.commit().map(Some)
        })?;
        if let Some(put) = put {
            self.told(shard, put);
        }
        Ok(())
    }
}
