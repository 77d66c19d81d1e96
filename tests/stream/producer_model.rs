//! Random histories of a producer, beside others who put, split, merge and read in place, against a
//! plain model: what became of each record, and the order of each key.
//! `RINGMAIN_STREAM_HISTORIES` sets how many, `RINGMAIN_STREAM_SEED` which.

use crate::common::{Numbers, number_of};
use crate::homes::{Home, Tested};
use ringmain::{
    Cursor, Error, ManualClock, Placement, ProducerOptions, PutOutcome, Region, ShardId, Start,
    StreamEntry, StreamOptions, StreamProducer,
};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

const START_MS: u64 = 1_000_000;
const KEYS: u64 = 9;
const SLOTS: usize = 60;
const BYTES: usize = 6000;
const STEPS: u64 = 1200;

/// A record that the producer has accepted.
struct Accepted {
    key: u64,
    data: Vec<u8>,
    hash: Option<u128>,
    at_ms: u64,
    told: bool,
}

/// Where a reader has found what somebody has put.
type Place = (ShardId, u64, u32);

struct History<'s, 'c, R: Region> {
    numbers: Numbers,
    clock: &'c ManualClock,
    now_ms: u64,
    stream: &'s Tested<'c, R>,
    /// Another one who has opened the same stream.
    other: &'s Tested<'c, R>,
    producer: Option<StreamProducer<'s, R, &'c ManualClock>>,
    ttl_ms: u64,
    placement: Placement,
    accepted: Vec<Accepted>,
    cursors: BTreeMap<ShardId, Option<Cursor<'s, R, &'c ManualClock>>>,
    /// The token of what is there.
    found: HashMap<Place, u64>,
    /// What the producer says is there.
    places: Vec<(u64, Place)>,
    /// The latest token of each key and hash, as the reader has found them.
    latest: HashMap<(u64, Option<u128>), u64>,
    refused: u64,
    packed: u64,
}

fn key(n: u64) -> String {
    format!("key {n}")
}

/// Data that name a token, and are of a length that it says.
fn data(token: u64, len: u64) -> Vec<u8> {
    let mut data = vec![token as u8; 8 + len as usize];
    data[..8].copy_from_slice(&token.to_le_bytes());
    data
}

impl<'s, 'c, R: Region> History<'s, 'c, R> {
    fn below(&mut self, end: u64) -> u64 {
        self.numbers.below(end)
    }

    fn step(&mut self) {
        match self.below(100) {
            0..55 => self.put(),
            55..65 => self.pass(),
            65..75 => self.poll(),
            75..80 => self.flush(),
            80..88 => self.take(),
            88..93 => self.disturb(),
            93..96 => self.reshard(),
            _ => self.hold(),
        }
        self.read_all();
    }

    fn put(&mut self) {
        let (token, key_number) = (self.accepted.len() as u64, self.below(KEYS));
        let len = match self.below(20) {
            0 => self.below(1500),
            _ => self.below(60),
        };
        // Keys 6 to 8 have hashes of their own, two of them the same.
        let hash = (key_number >= 6).then(|| u128::MAX / 3 * (u128::from(key_number) % 2));
        let (key, data) = (key(key_number), data(token, len));
        let entry = StreamEntry {
            key: &key,
            data: &data,
            hash,
        };
        let Some(producer) = &mut self.producer else {
            return;
        };
        match producer.put_entry(&entry) {
            Ok(found) => {
                assert_eq!(found.number(), token);
                self.accepted.push(Accepted {
                    key: key_number,
                    data,
                    hash,
                    at_ms: self.now_ms,
                    told: false,
                });
            }
            Err(Error::BufferFull { records, bytes }) => {
                assert_eq!((records, bytes), (SLOTS, BYTES));
                let untold = self.accepted.iter().filter(|record| !record.told).count();
                let len = producer.waiting_bytes() + key.len() + data.len();
                assert!(untold == SLOTS || len > BYTES, "{untold}, {len}");
                self.take();
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn poll(&mut self) {
        let Some(producer) = &mut self.producer else {
            return;
        };
        producer.poll().expect("a poll");
        let due = producer.next_due();
        assert_eq!(due.is_some(), producer.waiting() != 0);
        assert_ne!(due, Some(Duration::ZERO), "what is due was put or refused");
    }

    fn flush(&mut self) {
        if let Some(producer) = &mut self.producer {
            let waiting = producer.flush().expect("a flush");
            assert_eq!(waiting, producer.waiting());
            assert!(waiting == 0 || producer.next_due() > Some(Duration::ZERO));
        }
    }

    fn take(&mut self) {
        while let Some(outcome) = self
            .producer
            .as_mut()
            .and_then(StreamProducer::next_outcome)
        {
            self.told(outcome, false);
        }
    }

    fn told(&mut self, outcome: PutOutcome, is_end: bool) {
        let token = outcome.token.number();
        let record = &mut self.accepted[token as usize];
        assert!(!record.told, "record {token} is told twice");
        record.told = true;
        match outcome.result {
            Ok(put) => {
                assert!(outcome.attempts >= 1);
                let place = (put.shard, put.sequence.as_u64(), outcome.part);
                self.places.push((token, place));
            }
            Err(Error::Full | Error::SegmentInUse { .. }) => self.over(token, is_end),
            Err(Error::ProvisionedThroughputExceeded { .. }) => self.over(token, is_end),
            Err(error) => panic!("{error}"),
        }
    }

    /// A record was refused because its time was over.
    fn over(&mut self, token: u64, is_end: bool) {
        self.refused += 1;
        let over_ms = self.accepted[token as usize].at_ms + self.ttl_ms;
        assert!(is_end || over_ms <= self.now_ms, "given up too early");
    }

    /// Another one puts records of its own.
    fn disturb(&mut self) {
        let data = vec![0xff; 8 + self.below(2900) as usize];
        for _ in 0..self.below(30) {
            let hash = u128::from(self.numbers.next()) << 64;
            let entry = StreamEntry::new("other", &data).hash(hash);
            match self.other.put_entry(&entry) {
                Ok(_) | Err(Error::Full | Error::SegmentInUse { .. }) => {}
                Err(Error::ProvisionedThroughputExceeded { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn reshard(&mut self) {
        let infos = self
            .other
            .shards()
            .map(|shard| self.other.shard_info(shard));
        let mut open: Vec<_> = infos.map(|info| info.expect("a shard")).collect();
        open.retain(|info| info.is_open());
        open.sort_by_key(|info| info.hashes);
        let n = self.below(open.len() as u64) as usize;
        let (first, last) = open[n].hashes;
        let changed = match open.get(n + 1) {
            Some(next) if self.numbers.below(2) == 0 => {
                self.other.merge(open[n].shard, next.shard).map(drop)
            }
            _ => {
                let point = first + (last - first) / 2;
                self.other.split(open[n].shard, point).map(drop)
            }
        };
        match changed {
            Ok(()) | Err(Error::ShardLimit { .. } | Error::SplitPoint) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Somebody reads in place, or writes, while the producer puts.
    fn hold(&mut self) {
        let shards: Vec<_> = self.other.shards().collect();
        let shard = shards[self.below(shards.len() as u64) as usize];
        let Ok(mut cursor) = self.other.cursor(shard, Start::Oldest) else {
            return;
        };
        let held = cursor.read(1);
        self.flush();
        drop(held);
    }

    fn pass(&mut self) {
        let ms = match self.below(12) {
            0 => self.below(4000),
            1 | 2 => self.below(600),
            _ => self.below(40),
        };
        self.now_ms += ms;
        self.clock.set_ms(self.now_ms);
    }

    /// Reads all that is new: nothing was split or merged since the last time, or nothing was put.
    fn read_all(&mut self) {
        for shard in self.stream.shards() {
            let stream = self.stream;
            let begin = || Some(stream.cursor(shard, Start::Oldest).expect("a cursor"));
            let cursor = self.cursors.entry(shard).or_insert_with(begin);
            let Some(reading) = cursor else {
                continue;
            };
            let is_read = loop {
                match reading.read(1000) {
                    Ok(records) if records.is_empty() => break true,
                    Ok(records) => {
                        let range = stream.shard_info(shard).expect("a shard").hashes;
                        for record in &records {
                            self.packed += u64::from(record.is_aggregate());
                            for part in record.parts() {
                                let part = part.expect("sound");
                                let token = part.data()[..8].try_into().expect("8 bytes");
                                let token = u64::from_le_bytes(token);
                                if token == u64::MAX {
                                    continue;
                                }
                                let place = (shard, record.sequence().as_u64(), part.number());
                                let accepted = &self.accepted[token as usize];
                                assert_eq!(part.data(), accepted.data);
                                assert_eq!(part.key(), Ok(&*key(accepted.key)));
                                let of_key = self.placement.hash_of(&key(accepted.key));
                                let hash = accepted.hash.unwrap_or(of_key);
                                assert!((range.0..=range.1).contains(&hash), "a wrong shard");
                                let of = (accepted.key, accepted.hash);
                                let latest = self.latest.insert(of, token);
                                assert!(latest.is_none_or(|latest| latest < token), "{of:?}");
                                let before = self.found.insert(place, token);
                                assert!(before.is_none(), "a place twice");
                            }
                        }
                    }
                    Err(Error::ShardClosed { .. } | Error::NoShard { .. }) => break false,
                    Err(error) => panic!("{error}"),
                }
            };
            if !is_read {
                *cursor = None; // so that its place can be used again
            }
        }
    }

    fn end(mut self) -> (u64, u64, usize) {
        if let Some(producer) = self.producer.take() {
            let mut told = Vec::new();
            producer.close(|outcome| told.push(outcome));
            told.into_iter()
                .for_each(|outcome| self.told(outcome, true));
        }
        self.read_all();
        assert!(
            self.accepted.iter().all(|record| record.told),
            "one is not told"
        );
        // What is there is what was told, each once.
        assert_eq!(self.found.len(), self.places.len());
        for (token, place) in &self.places {
            let found = self.found.get(place);
            assert_eq!(found, Some(token), "{place:?}");
        }
        (self.refused, self.packed, self.places.len())
    }
}

pub fn each_outcome_is_true<R: Region>(home: &Home<'_, R>) {
    let seed = number_of("RINGMAIN_STREAM_SEED", 1);
    let (mut refused, mut packed, mut put) = (0, 0, 0);
    for n in 0..number_of("RINGMAIN_STREAM_HISTORIES", 12) {
        println!("history {}", seed + n);
        let mut numbers = Numbers(seed + n);
        let clock = ManualClock::new(START_MS);
        let placement = match n / 2 % 2 {
            0 => Placement::Xxh3,
            _ => Placement::Md5,
        };
        let stream_options = StreamOptions::new()
            .shards(2)
            .max_shards(7)
            .segment(4096)
            .quota(n % 3 == 2)
            .placement(placement)
            .retention(Duration::from_secs(3));
        let streams = home.streams(220 << 10, stream_options, &clock);
        let linger_ms = numbers.below(200);
        let ttl_ms = 1000 + numbers.below(4000);
        let mut options = ProducerOptions::new()
            .records(SLOTS)
            .bytes(BYTES)
            .linger(Duration::from_millis(linger_ms))
            .batch_records(1 + numbers.below(40) as u32)
            .batch_bytes(1 + numbers.below(4000) as usize)
            .record_ttl(Duration::from_millis(ttl_ms))
            .backoff(Duration::from_millis(20), Duration::from_millis(900));
        if n % 2 == 0 {
            options = options.aggregate(64 + numbers.below(1000) as usize);
        }
        let stream = &streams[0];
        let mut history = History {
            numbers,
            clock: &clock,
            now_ms: START_MS,
            stream,
            other: &streams[streams.len() - 1],
            producer: Some(StreamProducer::new(stream, options).expect("a producer")),
            ttl_ms,
            placement,
            accepted: Vec::new(),
            cursors: BTreeMap::new(),
            found: HashMap::new(),
            places: Vec::new(),
            latest: HashMap::new(),
            refused: 0,
            packed: 0,
        };
        for _ in 0..STEPS {
            history.step();
        }
        let ended = history.end();
        refused += ended.0;
        packed += ended.1;
        put += ended.2;
    }
    assert!(
        refused > 20 && packed > 100 && put > 2000,
        "{refused}, {packed}, {put}"
    );
}
