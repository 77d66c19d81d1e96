//! Producers in threads of their own, while another thread splits and merges what they put in:
//! each record is there once, and each key in order, for who reads parents before children.
//! `RINGMAIN_STREAM_SECONDS` sets for how long (default 6, of which this takes a third).
#![allow(clippy::disallowed_types)] // the atomics of the test's own threads

use crate::common::{Numbers, number_of};
use ringmain::{
    Error, Heap, ProducerOptions, PutOutcome, ShardId, Start, Stream, StreamOptions, StreamProducer,
};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const KEYS: u64 = 30;
const PRODUCERS: u64 = 2;
const CHANGES: usize = 300;
const RECORDS_A_CHANGE: u64 = 200;

/// Produces until it is told to stop: how many records were put. It goes no further than so many
/// records for each change of shards, so that none of them is full before its time has come.
fn produce(
    stream: &Stream<&Heap>,
    number: u64,
    (stop, changes): (&AtomicBool, &AtomicUsize),
) -> u64 {
    let mut options = ProducerOptions::new()
        .batch_records(40)
        .linger(Duration::from_millis(2));
    if number == 0 {
        options = options.aggregate(2000);
    }
    let mut producer = StreamProducer::new(stream, options).expect("a producer");
    let (mut accepted, mut told) = (0, 0);
    let mut check = |outcome: PutOutcome| {
        assert!(outcome.result.is_ok(), "{outcome:?}");
        told += 1;
    };
    while !stop.load(Ordering::Relaxed) {
        let most = RECORDS_A_CHANGE * (changes.load(Ordering::Relaxed) as u64 + 1);
        let end = most.min(accepted + 100);
        while accepted < end {
            let key = format!("{number}-{}", accepted % KEYS);
            let data = accepted.to_le_bytes();
            assert_eq!(producer.put(&key, &data).expect("room").number(), accepted);
            accepted += 1;
        }
        while let Some(outcome) = producer.next_outcome() {
            check(outcome);
        }
        producer.poll().expect("put");
        std::thread::sleep(Duration::from_micros(200)); // so that the region is not full at once
    }
    producer.close(&mut check);
    assert_eq!(told, accepted, "each outcome is told once");
    accepted
}

/// Splits and merges until it is told to stop, or there is no place left: how often.
fn reshard(stream: &Stream<&Heap>, (stop, count): (&AtomicBool, &AtomicUsize)) -> usize {
    let (mut numbers, mut changes) = (Numbers(5), 0);
    while !stop.load(Ordering::Relaxed) && changes < CHANGES {
        let mut open: Vec<_> = stream
            .shards()
            .filter_map(|shard| stream.shard_info(shard).ok())
            .filter(|info| info.is_open())
            .collect();
        open.sort_by_key(|info| info.hashes);
        let n = numbers.below(open.len() as u64) as usize;
        let (first, last) = open[n].hashes;
        let changed = match open.get(n + 1) {
            Some(next) if open.len() > 3 => stream.merge(open[n].shard, next.shard).map(drop),
            _ => {
                let point = first + (last - first) / 3;
                stream.split(open[n].shard, point).map(drop)
            }
        };
        match changed {
            Ok(()) => {
                changes += 1;
                count.store(changes, Ordering::Relaxed);
            }
            Err(Error::ShardLimit { .. }) => break,
            Err(Error::SplitPoint) => {}
            Err(error) => panic!("{error}"),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    changes
}

/// Reads each shard to its end, after its parents: the next number of each producer's key.
fn read(stream: &Stream<&Heap>) -> HashMap<(u64, u64), u64> {
    let (mut next, mut done) = (HashMap::new(), HashSet::<ShardId>::new());
    let shards: Vec<_> = stream.shards().collect();
    let infos: Vec<_> = shards
        .iter()
        .map(|shard| stream.shard_info(*shard))
        .collect();
    while done.len() < infos.len() {
        for info in infos.iter().map(|info| info.as_ref().expect("a shard")) {
            let parents = [info.parent, info.adjacent_parent];
            let are_read = parents.iter().flatten().all(|parent| done.contains(parent));
            if !are_read || !done.insert(info.shard) {
                continue;
            }
            let mut cursor = stream.cursor(info.shard, Start::Oldest).expect("a cursor");
            while let Ok(records) = cursor.read(1000) {
                if records.is_empty() {
                    break;
                }
                for part in records.iter().flat_map(|record| record.parts()) {
                    let part = part.expect("sound");
                    let (producer, key) = part.key().unwrap().split_once('-').unwrap();
                    let (producer, key) = (producer.parse().unwrap(), key.parse().unwrap());
                    let number = u64::from_le_bytes(part.data().try_into().expect("8 bytes"));
                    let next = next.entry((producer, key)).or_insert(key);
                    assert_eq!(number, *next, "key {key} of {producer} in {}", info.shard);
                    *next += KEYS;
                    let hash = stream.hash_of(part.key().unwrap());
                    assert!((info.hashes.0..=info.hashes.1).contains(&hash));
                }
            }
        }
    }
    next
}

#[test]
fn producers_keep_the_order_of_keys_over_splits() {
    let region = Heap::new(256 << 20).expect("memory");
    let options = StreamOptions::new()
        .max_shards(2 * CHANGES as u32)
        .segment(16 << 10);
    let stream = Stream::create(&region, options).expect("a stream");
    let (stop, changes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let state = (&stop, &changes);
    let time = Duration::from_secs(number_of("RINGMAIN_STREAM_SECONDS", 6)) / 3;
    let (accepted, changes) = std::thread::scope(|scope| {
        let producers = [0, 1].map(|n| {
            let stream = &stream;
            scope.spawn(move || produce(stream, n, state))
        });
        let resharder = scope.spawn(|| reshard(&stream, state));
        let end = Instant::now() + time;
        while Instant::now() < end && !resharder.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        stop.store(true, Ordering::Relaxed);
        let changes = resharder.join().expect("no panic");
        (
            producers.map(|thread| thread.join().expect("no panic")),
            changes,
        )
    });
    println!("{accepted:?} records, {changes} changes");
    assert!(changes > 20);
    let next = read(&stream);
    assert_eq!(next.len() as u64, KEYS * PRODUCERS);
    for ((producer, _), next) in next {
        let accepted = accepted[producer as usize];
        assert!(
            (accepted..accepted + KEYS).contains(&next),
            "{next} of {accepted}"
        );
    }
}
