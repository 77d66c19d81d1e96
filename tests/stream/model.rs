//! Random histories on a clock that is set by hand, held against a plain model, over rings so small
//! that they wrap many times. `RINGMAIN_STREAM_OPERATIONS` sets how many operations each history
//! has (default 2500).

use crate::common::{Numbers, body, number_of};
use crate::homes::{Home, Tested};
use crate::reference::{Held, Kept, Ring, Row};
use ringmain::{
    Cursor, Error, FullPolicy, ManualClock, Placement, PutClaim, Region, ShardId, Start,
    StreamEntry, StreamOptions, StreamSequence,
};
use std::time::Duration;

const START_MS: u64 = 1_000_000;
const SHARDS: usize = 2;

/// A cursor, and from which number on the model reads for it.
struct Reader<'s, R: Region> {
    cursor: Cursor<'s, R, &'s ManualClock>,
    shard: usize,
    from: u64,
    read: u64,
}

/// A claim that is not finished.
struct Claimed<'s, R: Region> {
    claim: PutClaim<'s, R, &'s ManualClock>,
    shard: usize,
    held: Held,
    record: Kept,
}

struct Drive<'s, R: Region> {
    streams: &'s [Tested<'s, R>],
    clock: &'s ManualClock,
    numbers: Numbers,
    rows: Vec<Row>,
    readers: Vec<Reader<'s, R>>,
    claimed: Vec<Claimed<'s, R>>,
    ring: Ring,
    /// What the region's time is ahead of the clock.
    base_ms: u64,
    now_ms: u64,
    age_ms: u64,
    evicts: bool,
    placement: Placement,
    count: u64,
    /// How often a read has said that records were lost, and a put that there is no room.
    lost: u64,
    full: u64,
}

fn granules_of(key: &str, data: &[u8]) -> u64 {
    (16 + key.len() + data.len()).div_ceil(64) as u64
}

impl<'s, R: Region> Drive<'s, R> {
    fn below(&mut self, end: u64) -> u64 {
        self.numbers.below(end)
    }

    fn stream(&mut self) -> &'s Tested<'s, R> {
        let n = self.below(self.streams.len() as u64);
        &self.streams[n as usize]
    }

    fn key(&mut self) -> String {
        match self.below(8) {
            0 => "ä€𝄞".repeat(1 + self.below(85) as usize),
            n => format!("key-{n}"),
        }
    }

    fn data(&mut self) -> Vec<u8> {
        self.count += 1;
        let max = self.streams[0].data_bytes_max() as u64;
        let len = match self.below(20) {
            0 => max,
            1 | 2 => self.below(max + 1),
            3 => 0,
            _ => self.below(250),
        };
        body(self.count, len as usize)
    }

    /// What the tail of a shard is; it only grows.
    fn tail(&mut self, shard: usize) -> u64 {
        let id = self.streams[0].shards().nth(shard).expect("a shard");
        let tail = self.streams[0].stat(id).expect("figures").tail.as_u64();
        assert!(tail >= self.rows[shard].tail, "the tail goes back");
        self.rows[shard].tail = tail;
        tail
    }

    fn id(&self, shard: usize) -> ShardId {
        self.streams[0].shards().nth(shard).expect("a shard")
    }

    /// A first record tells the region's time.
    fn first(&mut self) {
        let first = StreamEntry::new("first", b"").hash(0);
        let put = self.streams[0].put_entry(&first).expect("room");
        let stat = self.streams[0].stat(put.shard).expect("figures");
        self.base_ms = stat.latest_ms - START_MS;
        self.now_ms = stat.latest_ms;
        let time_ms = self.time(0);
        let record = Kept {
            sequence: put.sequence.as_u64(),
            key: "first".into(),
            data: Vec::new(),
            time_ms,
        };
        self.accepted(0, record.sequence, 0, record);
    }

    fn step(&mut self) {
        match self.below(100) {
            0..28 => self.put(),
            28..34 => self.batch(),
            34..41 => self.claim(),
            41..50 => self.finish(),
            50..58 => self.begin(),
            58..88 => self.read(),
            88..97 => self.pass(),
            _ => self.tend(),
        }
        self.compare();
    }

    /// A record, and where it is to go.
    fn record(&mut self) -> (String, Vec<u8>, Option<u128>, usize) {
        let (key, data) = (self.key(), self.data());
        let hash = (self.below(3) == 0).then(|| {
            let high = self.numbers.next();
            u128::from(high) << 64 | u128::from(self.numbers.next())
        });
        let of = hash.unwrap_or(self.placement.hash_of(&key));
        let shard = match of >> 127 {
            0 => 0,
            _ => 1,
        };
        (key, data, hash, shard)
    }

    /// The time that a record gets now.
    fn time(&mut self, shard: usize) -> u64 {
        let row = &mut self.rows[shard];
        row.latest_ms = row.latest_ms.max(self.now_ms);
        row.latest_ms
    }

    /// Whether the refusal is right.
    fn refused(&mut self, shard: usize, granules: u64, error: &Error) {
        let stat = self.streams[0].stat(self.id(shard)).expect("figures");
        let row = &self.rows[shard];
        let oldest = stat.oldest.as_u64();
        let behind = self.ring.next(oldest);
        match error {
            Error::Full => {
                self.full += 1;
                assert!(!self.evicts, "an evicting stream is full");
                assert!(self.ring.is_full(&stat, granules), "{granules}: {stat:?}");
                // What comes behind the oldest segment tells when that is over.
                let closed = row.closed_ms(behind).unwrap_or(row.latest_ms);
                let is_over = closed + self.age_ms < self.now_ms;
                assert!(!is_over, "the oldest segment is over");
            }
            Error::SegmentInUse { reading, .. } => {
                assert!(!reading && row.is_held(oldest, behind - 1), "{row:?}");
                assert!(self.ring.is_full(&stat, granules), "{granules}: {stat:?}");
            }
            other => panic!("{other}"),
        }
    }

    fn accepted(&mut self, shard: usize, sequence: u64, before: u64, record: Kept) {
        let tail = self.tail(shard);
        assert!((before..tail).contains(&sequence));
        self.rows[shard].put(record);
    }

    fn put(&mut self) {
        let (key, data, hash, shard) = self.record();
        let before = self.tail(shard);
        let stream = self.stream();
        let entry = StreamEntry {
            key: &key,
            data: &data,
            hash,
        };
        let outcome = match hash {
            Some(_) => stream.put_entry(&entry),
            None => stream.put(&key, &data),
        };
        match outcome {
            Ok(put) => {
                assert_eq!(put.shard.number() as usize, shard);
                let (sequence, time_ms) = (put.sequence.as_u64(), self.time(shard));
                let record = Kept {
                    sequence,
                    key,
                    data,
                    time_ms,
                };
                self.accepted(shard, sequence, before, record);
            }
            Err(error) => self.refused(shard, granules_of(&key, &data), &error),
        }
    }

    fn batch(&mut self) {
        let count = 1 + self.below(30);
        let mut records: Vec<_> = (0..count).map(|_| self.record()).collect();
        let bad = self.below(count * 3) as usize;
        if let Some(record) = records.get_mut(bad) {
            record.0.clear();
        }
        let entries: Vec<_> = records
            .iter()
            .map(|(key, data, hash, _)| StreamEntry {
                key,
                data,
                hash: *hash,
            })
            .collect();
        let mut outcomes = vec![None; records.len()];
        let tell =
            |n: usize, outcome| assert!(Option::replace(&mut outcomes[n], outcome).is_none());
        self.stream().put_batch(&entries, tell).expect("a batch");
        let mut last = [0, 1].map(|shard| self.rows[shard].tail);
        for (n, outcome) in outcomes.into_iter().enumerate() {
            let (key, data, _, shard) = records[n].clone();
            match outcome.expect("each is told") {
                Ok(put) => {
                    assert!(n != bad && put.shard.number() as usize == shard);
                    let sequence = put.sequence.as_u64();
                    let time_ms = self.time(shard);
                    let record = Kept {
                        sequence,
                        key,
                        data,
                        time_ms,
                    };
                    self.accepted(shard, sequence, last[shard], record);
                    last[shard] = sequence + 1;
                }
                Err(Error::PartitionKey { characters: 0 }) => assert_eq!(n, bad),
                Err(error) => {
                    let most = granules_of(&key, &data).max(self.ring.segment / 2);
                    self.refused(shard, most, &error);
                }
            }
        }
    }

    fn claim(&mut self) {
        if self.claimed.len() == 3 {
            return self.finish();
        }
        let (key, data, _, _) = self.record();
        let shard = (self.placement.hash_of(&key) >> 127) as usize;
        let from = self.tail(shard);
        match self.stream().claim(&key, data.len()) {
            Ok(mut claim) => {
                assert_eq!(claim.len(), data.len());
                claim.copy_from_slice(&data);
                let (to, time_ms) = (self.tail(shard), self.time(shard));
                let held = Held { from, to };
                self.rows[shard].held.push(held);
                let sequence = 0;
                let record = Kept {
                    sequence,
                    key,
                    data,
                    time_ms,
                };
                self.claimed.push(Claimed {
                    claim,
                    shard,
                    held,
                    record,
                });
            }
            Err(error) => self.refused(shard, granules_of(&key, &data), &error),
        }
    }

    fn finish(&mut self) {
        if self.claimed.is_empty() {
            return;
        }
        let at = self.below(self.claimed.len() as u64) as usize;
        let Claimed {
            claim,
            shard,
            held,
            mut record,
        } = self.claimed.swap_remove(at);
        let row = &mut self.rows[shard];
        row.held.retain(|other| other.from != held.from);
        match self.numbers.below(3) {
            0 => drop(claim),
            _ => {
                assert_eq!(*claim, record.data);
                record.sequence = claim.commit().unwrap().sequence.as_u64();
                assert!((held.from..held.to).contains(&record.sequence));
                row.put(record);
            }
        }
    }

    fn begin(&mut self) {
        let shard = self.below(SHARDS as u64) as usize;
        let (tail, id) = (self.tail(shard), self.id(shard));
        let row = &self.rows[shard];
        let oldest = row.kept.first().map_or(tail, |r| r.sequence);
        let some = match row.kept.len() as u64 {
            0 => (tail, self.now_ms),
            len => {
                let record = &row.kept[self.numbers.below(len) as usize];
                (record.sequence, record.time_ms)
            }
        };
        let near = match some.0 + self.below(4) {
            near if self.ring.has(near) => near,
            _ => some.0,
        };
        let sequence = [some.0, near, tail][self.below(3) as usize].min(tail);
        let ms = (some.1 + self.below(3)).saturating_sub(1);
        let number = StreamSequence::from_u64(sequence);
        let start = match self.below(6) {
            0 => Start::Oldest,
            1 => Start::Latest,
            2 => Start::At(number),
            3 => Start::After(number),
            4 => Start::Time(ms),
            _ => Start::At(StreamSequence::from_u64(oldest)),
        };
        let age = self.now_ms.saturating_sub(self.age_ms);
        // Whether a record is one of those that are read from there on.
        let of = |r: &Kept| match start {
            Start::Oldest => r.time_ms >= age,
            Start::Latest => false,
            Start::At(number) => r.sequence >= number.as_u64(),
            Start::After(number) => r.sequence > number.as_u64(),
            Start::Time(ms) => r.time_ms >= ms,
        };
        let same = self.readers.iter_mut().position(|r| r.shard == shard);
        let at = match (same, self.readers.len()) {
            (Some(at), 4..) => {
                let sought = self.readers[at].cursor.seek(start);
                assert!(self.sought(shard, start, tail, sought));
                at
            }
            (_, 6..) => return,
            _ => {
                let cursor = match self.stream().cursor(id, start) {
                    Ok(cursor) => cursor,
                    Err(error) => {
                        self.sought(shard, start, tail, Err(error));
                        return;
                    }
                };
                self.readers.push(Reader {
                    cursor,
                    shard,
                    from: 0,
                    read: 0,
                });
                self.readers.len() - 1
            }
        };
        if start == Start::After(StreamSequence::from_u64(tail)) {
            return; // refused: it is where it was
        }
        let reader = &mut self.readers[at];
        reader.from = reader.cursor.position().as_u64();
        let row = &self.rows[shard];
        let (before, behind) = row
            .kept
            .split_at(row.kept.len() - row.from(reader.from).len());
        assert!(!before.iter().any(of), "{start:?} passes a record");
        // What was claimed earlier than what is asked for is in the way.
        let exact = row.held.is_empty();
        assert!(!exact || behind.iter().all(of), "{start:?} is too early");
    }

    /// Whether a place was found, as it should be.
    fn sought(&self, _shard: usize, start: Start, tail: u64, sought: Result<(), Error>) -> bool {
        let none = start == Start::After(StreamSequence::from_u64(tail));
        match sought {
            Ok(()) => assert!(!none),
            Err(Error::OutOfRange { .. }) => assert!(none, "{start:?}"),
            Err(other) => panic!("{start:?}: {other}"),
        }
        true
    }

    fn read(&mut self) {
        if self.readers.is_empty() {
            return self.begin();
        }
        let at = self.below(self.readers.len() as u64) as usize;
        let max = 1 + self.below(40) as usize;
        let (now_ms, age_ms) = (self.now_ms, self.age_ms);
        let shard = self.readers[at].shard;
        let stat = self.streams[0].stat(self.id(shard)).expect("figures");
        let (reader, row) = (&mut self.readers[at], &self.rows[shard]);
        let position = reader.cursor.position().as_u64();
        assert!(position >= reader.from);
        let next = row.from(reader.from);
        if row.held.is_empty() {
            let lag = reader.cursor.lag().expect("a lag");
            assert_eq!(lag.records, next.len() as u64);
        }
        let outcome = reader.cursor.read(max).map(|records| {
            let mut last = None;
            for (record, expected) in records.iter().zip(next) {
                let found = Kept {
                    sequence: record.sequence().as_u64(),
                    key: record.key().expect("text").to_owned(),
                    data: record.data().to_vec(),
                    time_ms: record.arrived_ms(),
                };
                assert_eq!(&found, expected, "from {position:#x}, {row:?}");
                assert!(found.time_ms + age_ms >= now_ms, "read too late");
                assert_eq!(record.shard().number() as usize, shard);
                last = Some(found.sequence);
            }
            assert!(records.len() <= max.min(next.len()));
            assert_eq!(records.iter().count(), records.len());
            (records.len(), last)
        });
        match outcome {
            Ok((count, last)) => {
                reader.from = last.map_or(reader.from, |last| last + 1);
                reader.read += count as u64;
                let to = next.first().map_or(u64::MAX, |r| r.sequence);
                let waits = next.is_empty() || row.is_held(position, to);
                assert!(
                    count > 0 || waits,
                    "nothing came from {position:#x} on: {row:?}"
                );
            }
            Err(Error::Lost { bytes }) => {
                self.lost += 1;
                assert!(bytes > 0 && bytes % 64 == 0);
                let is_kept = |r: &&Kept| r.time_ms + age_ms >= now_ms;
                let is_first_old = next.first().is_some_and(|r| !is_kept(&r));
                assert!(position < stat.oldest.as_u64() || is_first_old);
                let to = reader.cursor.position().as_u64();
                assert!(to > position && to >= stat.oldest.as_u64());
                let missed = &next[..next.len() - row.from(to).len()];
                assert!(!missed.iter().any(|r| is_kept(&r)), "missed: {missed:?}");
                // If the oldest is too old as well, the next read says so. It may stand at what
                // is being written.
                let stays = row.from(to).first();
                let is_oldest = to == stat.oldest.as_u64();
                let stands = |r: &Kept| is_kept(&r) || row.is_held(to, r.sequence);
                assert!(is_oldest || stays.is_none_or(stands), "{stays:?}");
                reader.from = to;
            }
            Err(other) => panic!("{other}"),
        }
        if self.below(20) == 0 {
            self.readers.swap_remove(at);
        }
    }

    fn pass(&mut self) {
        let ms = match self.below(12) {
            0 => self.age_ms + self.below(100),
            1 | 2 => self.below(self.age_ms),
            3..6 => 0,
            _ => self.below(30),
        };
        self.now_ms += ms;
        if ms == 0 && self.below(4) == 0 {
            self.now_ms -= 40; // a step back
        }
        self.clock.set_ms(self.now_ms - self.base_ms);
    }

    fn tend(&mut self) {
        self.stream().tend().expect("a look at the others");
        for shard in 0..SHARDS {
            let stat = self.streams[0].stat(self.id(shard)).expect("figures");
            let behind = self.ring.next(stat.oldest.as_u64());
            let row = &self.rows[shard];
            let closed = row.closed_ms(behind);
            let is_over = closed.is_some_and(|ms| ms + self.age_ms < self.now_ms);
            assert!(!is_over || !row.held.is_empty(), "{stat:?}");
        }
    }

    fn compare(&mut self) {
        for shard in 0..SHARDS {
            let stat = self.streams[0].stat(self.id(shard)).expect("figures");
            let age = (!self.evicts).then_some(self.age_ms);
            let row = &mut self.rows[shard];
            row.forget(stat.oldest.as_u64(), self.now_ms, age);
            let readers = self.readers.iter().filter(|r| r.shard == shard).count();
            assert_eq!(stat.readers as usize, readers);
            assert_eq!(stat.latest_ms, row.latest_ms);
            assert!(self.evicts || stat.evicted_segments == 0);
            let last = row.kept.last();
            assert!(last.is_none_or(|r| r.sequence < stat.tail.as_u64()));
        }
    }
}

fn history<R: Region>(home: &Home<'_, R>, seed: u64, evicts: bool, operations: u64) {
    let clock = ManualClock::new(START_MS);
    let age_ms = 1000 + 1000 * (seed % 3);
    let segment: u64 = 64 << (seed % 3);
    let placement = match seed % 2 {
        0 => Placement::Xxh3,
        _ => Placement::Md5,
    };
    let options = StreamOptions::new()
        .placement(placement)
        .shards(SHARDS as u32)
        .segment(segment as usize * 64)
        .retention(Duration::from_millis(age_ms))
        .readers(8)
        .consumers(seed as u32 % 3)
        .checksum(!seed.is_multiple_of(4))
        .full(match evicts {
            true => FullPolicy::Evict,
            false => FullPolicy::Reject,
        });
    let segments = 2 + seed as usize % 5;
    let bytes = 2560 + SHARDS * segments * segment as usize * 73;
    let streams = home.streams(bytes, options, &clock);
    let stat = streams[0].stat(streams[0].shards().next().expect("one"));
    let granules = stat.expect("figures").capacity_bytes / 64;
    let mut drive = Drive {
        streams: &streams,
        clock: &clock,
        numbers: Numbers(seed),
        rows: (0..SHARDS).map(|_| Row::default()).collect(),
        readers: Vec::new(),
        claimed: Vec::new(),
        ring: Ring { segment, granules },
        base_ms: 0,
        now_ms: START_MS,
        age_ms,
        evicts,
        placement,
        count: 0,
        lost: 0,
        full: 0,
    };
    drive.first();
    for number in 0..operations {
        let step = std::panic::AssertUnwindSafe(|| drive.step());
        if let Err(panic) = std::panic::catch_unwind(step) {
            eprintln!("seed {seed}, evicts {evicts}, operation {number}");
            std::panic::resume_unwind(panic);
        }
    }
    let laps = drive.rows.iter().map(|row| row.tail >> 30).min();
    let (lost, full) = (drive.lost, drive.full);
    assert!(operations < 2000 || laps > Some(3), "laps: {laps:?}");
    assert!(operations < 2000 || (lost > 0 && (evicts || full > 0)));
}

pub fn stream_and_model_agree<R: Region>(home: &Home<'_, R>) {
    let operations = number_of("RINGMAIN_STREAM_OPERATIONS", 2500);
    for seed in 0..8 {
        history(home, seed, false, operations);
        history(home, seed, true, operations);
    }
}
