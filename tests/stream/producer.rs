//! Producers: when records are put, what becomes of refused ones, and what an aggregate holds; on a
//! clock that is set by hand.

use crate::homes::{Home, Tested};
use ringmain::{
    Error, FullPolicy, ManualClock, ProducerOptions, ProducerSlot, PutOutcome, Region, ShardId,
    Start, Stream, StreamEntry, StreamOptions, StreamProducer,
};
use std::time::Duration;

const START_MS: u64 = 1_000_000;
const MS: Duration = Duration::from_millis(1);

type Producing<'s, 'c, R> = StreamProducer<'s, R, &'c ManualClock>;

/// What users have put in a shard from a cursor's beginning on: key, data, and whether they were
/// packed.
fn read<R: Region>(stream: &Tested<'_, R>, shard: ShardId) -> Vec<(String, Vec<u8>, bool)> {
    let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
    let mut found = Vec::new();
    loop {
        let records = match cursor.read(1000) {
            Ok(records) => records,
            Err(Error::ShardClosed { .. }) => return found,
            Err(error) => panic!("{error}"),
        };
        if records.is_empty() {
            return found;
        }
        for record in &records {
            for part in record.parts() {
                let part = part.expect("sound");
                let key = part.key().expect("text").to_owned();
                found.push((key, part.data().to_vec(), record.is_aggregate()));
            }
        }
    }
}

fn data_of<R: Region>(stream: &Tested<'_, R>, shard: ShardId) -> Vec<Vec<u8>> {
    read(stream, shard)
        .into_iter()
        .map(|(_, data, _)| data)
        .collect()
}

fn outcomes<R: Region>(producer: &mut Producing<'_, '_, R>) -> Vec<PutOutcome> {
    std::iter::from_fn(|| producer.next_outcome()).collect()
}

fn first<R: Region>(stream: &Tested<'_, R>) -> ShardId {
    stream.shard_of(0).expect("a shard")
}

pub fn records_linger<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(4 << 20, StreamOptions::new().shards(2), &clock);
    let options = ProducerOptions::new().linger(20 * MS);
    let mut producer = StreamProducer::new(&stream, options).expect("a producer");
    assert_eq!(producer.next_due(), None);
    let low = StreamEntry::new("low", b"1").hash(0);
    let high = StreamEntry::new("high", b"2").hash(u128::MAX);
    assert_eq!(producer.put_entry(&low).expect("room").number(), 0);
    clock.advance(5 * MS);
    assert_eq!(producer.put_entry(&high).expect("room").number(), 1);
    assert_eq!(producer.next_due(), Some(15 * MS));
    clock.advance(14 * MS);
    producer.poll().expect("a poll");
    assert_eq!((producer.waiting(), producer.waiting_bytes()), (2, 9));
    assert_eq!(producer.next_outcome(), None);
    // Each shard for itself.
    clock.advance(MS);
    producer.poll().expect("a poll");
    assert_eq!(producer.waiting(), 1);
    assert_eq!(producer.next_due(), Some(5 * MS));
    let told = outcomes(&mut producer);
    assert_eq!(
        (told.len(), told[0].token.number(), told[0].attempts),
        (1, 0, 1)
    );
    // A put does what is due.
    clock.advance(5 * MS);
    producer.put_entry(&low).expect("room");
    let told = outcomes(&mut producer);
    assert_eq!((told.len(), told[0].token.number()), (1, 1));
    assert_eq!(
        data_of(&stream, told[0].result.clone().expect("put").shard),
        [b"2"]
    );
    // A flush does not wait.
    assert_eq!(producer.flush(), Ok(0));
    assert_eq!(producer.next_due(), None);
    let tail = stream.stat(first(&stream)).expect("figures").tail;
    producer.poll().expect("a poll");
    assert_eq!(stream.stat(first(&stream)).expect("figures").tail, tail);
}

pub fn a_full_batch_is_put<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(4 << 20, StreamOptions::new(), &clock);
    let options = ProducerOptions::new().batch_records(10).batch_bytes(1000);
    let mut producer = StreamProducer::new(&stream, options).expect("a producer");
    for n in 0..25 {
        producer.put("a", &[n]).expect("room");
        assert_eq!(producer.waiting(), (usize::from(n) + 1) % 10);
    }
    producer.put("a", &[7; 988]).expect("room");
    assert_eq!(producer.waiting(), 6);
    producer.put("a", &[8]).expect("room");
    assert_eq!(producer.waiting(), 0, "1002 bytes");
    assert_eq!(outcomes(&mut producer).len(), 27);
    let none = ProducerOptions::new().linger(Duration::ZERO);
    let mut producer = StreamProducer::new(&stream, none).expect("a producer");
    producer.put("a", b"at once").expect("room");
    assert_eq!(producer.waiting(), 0);
}

/// However the records are divided: half of the slots are enough for what waits.
pub fn who_takes_outcomes_is_not_refused<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new().shards(16).full(FullPolicy::Evict);
    let stream = home.stream(4 << 20, options, &clock);
    let options = ProducerOptions::new().records(64);
    let mut producer = StreamProducer::new(&stream, options).expect("a producer");
    let mut told = 0;
    for n in 0..2000_u32 {
        producer.put(&format!("key {n}"), b"data").expect("room");
        assert!(producer.waiting() < 32);
        told += outcomes(&mut producer).len();
    }
    assert!(told > 1960);
}

pub fn small_records_share_one<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(16 << 20, StreamOptions::new().shards(2), &clock);
    let options = ProducerOptions::new().aggregate(4096).bytes(1 << 20);
    let mut producer = StreamProducer::new(&stream, options).expect("a producer");
    let long = vec![9; 5000];
    let mut expected = Vec::new();
    for n in 0..200_u32 {
        let key = format!("key {}", n % 3);
        let data = match n {
            100 => long.clone(),
            _ => n.to_le_bytes().to_vec(),
        };
        producer
            .put_entry(&StreamEntry::new(&key, &data).hash(1))
            .expect("room");
        expected.push((key, data, n != 100));
    }
    producer
        .put_entry(&StreamEntry::new("alone", b"1").hash(u128::MAX))
        .expect("room");
    assert_eq!(producer.flush(), Ok(0));
    assert_eq!(read(&stream, first(&stream)), expected);
    let high = stream.shard_of(u128::MAX).expect("a shard");
    assert_eq!(
        read(&stream, high),
        [("alone".to_owned(), b"1".to_vec(), false)]
    );
    // Where each is, and as which part.
    let told = outcomes(&mut producer);
    let place = |outcome: &PutOutcome| outcome.result.clone().expect("put").sequence;
    let mut cursor = stream
        .cursor(first(&stream), Start::Oldest)
        .expect("a cursor");
    let records = cursor.read(1000).expect("records");
    assert_eq!(records.len(), 3, "two aggregates, and one that is too long");
    let mut of_low = told.iter().filter(|outcome| outcome.token.number() < 200);
    for record in &records {
        assert_eq!(record.key().map(str::is_empty), Ok(record.is_aggregate()));
        for part in record.parts() {
            let outcome = of_low.next().expect("an outcome");
            let found = (record.sequence(), part.expect("sound").number());
            assert_eq!(found, (place(outcome), outcome.part));
        }
    }
    assert_eq!(of_low.next(), None);
}

/// A small record would pass the quota where a long one of its key does not.
pub fn nobody_overtakes_its_key<R: Region>(home: &Home<'_, R>) {
    for aggregate in [false, true] {
        let clock = ManualClock::new(START_MS);
        let options = StreamOptions::new().quota(true).segment(4 << 20);
        let stream = home.stream(64 << 20, options, &clock);
        let mut options = ProducerOptions::new().batch_bytes(10 << 20).bytes(8 << 20);
        if aggregate {
            options = options.aggregate(1000);
        }
        let mut producer = StreamProducer::new(&stream, options).expect("a producer");
        for n in 0..6 {
            producer.put("a", &vec![n; 600_000]).expect("room");
            producer.put("a", &[n]).expect("room");
        }
        let mut waits = 0;
        while producer.flush().expect("a flush") != 0 {
            let due = producer.next_due().expect("some wait");
            assert!(due >= MS);
            clock.advance(due);
            waits += 1;
        }
        assert!(waits >= 4, "{waits}");
        let mut cursor = stream
            .cursor(first(&stream), Start::Oldest)
            .expect("a cursor");
        let mut found = Vec::new();
        while found.len() < 12 {
            clock.advance(Duration::from_secs(1)); // reads have a quota too
            let records = cursor.read(1).expect("a record");
            for part in records.iter().flat_map(|record| record.parts()) {
                found.push(part.expect("sound").data()[0]);
            }
        }
        let expected: Vec<_> = (0..6).flat_map(|n| [n, n]).collect();
        assert_eq!(found, expected);
        assert!(
            outcomes(&mut producer)
                .iter()
                .all(|outcome| outcome.result.is_ok())
        );
    }
}

pub fn a_second_has_1000_aggregates<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(16 << 20, StreamOptions::new().quota(true), &clock);
    let put = |options: ProducerOptions| {
        let options = options.records(6000).batch_records(500);
        let mut producer = StreamProducer::new(&stream, options).expect("a producer");
        for _ in 0..5000 {
            producer.put("a", b"1").expect("room");
        }
        let waiting = producer.flush().expect("a flush");
        clock.advance(Duration::from_secs(1));
        drop(producer); // puts what a second allows
        waiting
    };
    assert_eq!(put(ProducerOptions::new()), 4000);
    clock.advance(Duration::from_secs(5));
    assert_eq!(put(ProducerOptions::new().aggregate(10_000)), 0);
}

pub fn refused_records_are_tried_again<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let kept = StreamOptions::new().retention(Duration::from_secs(10));
    let stream = home.stream(128 << 10, kept, &clock);
    while stream.put("other", &[7; 1000]).is_ok() {}
    let backoff = (100 * MS, 2000 * MS);
    let options = ProducerOptions::new().backoff(backoff.0, backoff.1);
    let mut producer = StreamProducer::new(&stream, options).expect("a producer");
    for n in 0..100 {
        producer.put("a", &[n; 300]).expect("room");
    }
    let (mut tries, mut waited, mut all) = (0, Duration::ZERO, Vec::new());
    loop {
        // There is room for a few at first, and for all when the old ones are over.
        let waiting = producer.flush().expect("a flush");
        all.extend(outcomes(&mut producer));
        if waiting == 0 {
            break;
        }
        let due = producer.next_due().expect("some wait");
        assert!(due >= MS && due <= backoff.1.min(backoff.0 * 2_u32.pow(tries.min(9))));
        clock.advance(due - MS);
        producer.poll().expect("a poll");
        assert_eq!(producer.waiting(), waiting, "it is left alone");
        clock.advance(MS);
        (tries, waited) = (tries + 1, waited + due);
    }
    assert!(
        tries > 4 && waited > Duration::from_secs(8),
        "{tries}, {waited:?}"
    );
    assert!(all.iter().all(|outcome| outcome.result.is_ok()));
    let tokens: Vec<_> = all.iter().map(|outcome| outcome.token.number()).collect();
    assert_eq!(tokens, (0..100).collect::<Vec<_>>());
    assert_eq!(
        all.last().map(|outcome| outcome.attempts),
        Some(1),
        "it waited behind others"
    );
    let most = all.iter().map(|outcome| outcome.attempts).max();
    assert_eq!(most, Some(tries + 1));
}

pub fn a_time_is_over_after_a_last_try<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(128 << 10, StreamOptions::new(), &clock);
    while stream.put("other", &[7; 1000]).is_ok() {}
    while stream.put("other", b"").is_ok() {}
    let ttl = Duration::from_secs(3);
    let options = ProducerOptions::new()
        .record_ttl(ttl)
        .linger(Duration::ZERO);
    let mut producer = StreamProducer::new(&stream, options).expect("a producer");
    producer.put("a", b"1").expect("room");
    clock.advance(Duration::from_secs(1));
    producer.put("a", b"2").expect("room");
    let mut over = Vec::new();
    while let Some(due) = producer.next_due() {
        clock.advance(due);
        producer.poll().expect("a poll");
        let now = stream.time_ms();
        over.extend(
            outcomes(&mut producer)
                .into_iter()
                .map(|outcome| (now, outcome)),
        );
    }
    let base = stream.time_ms() - (START_MS + 4000);
    for (n, (now, outcome)) in (0..).zip(&over) {
        assert_eq!(*now, base + START_MS + 3000 + n * 1000);
        assert_eq!(
            (outcome.token.number(), &outcome.result),
            (n, &Err(Error::Full))
        );
    }
    assert_eq!(over.len(), 2);
    assert!(
        over[0].1.attempts > 2 && over[1].1.attempts >= 1,
        "{over:?}"
    );
}

pub fn a_full_producer_loses_nothing<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(1 << 20, StreamOptions::new(), &clock);
    let (mut slots, mut bytes) = (vec![ProducerSlot::EMPTY; 10], vec![0xaa; 2000]);
    let options = ProducerOptions::new();
    let mut producer =
        StreamProducer::with_memory(&stream, options, &mut slots, &mut bytes).expect("a producer");
    let full = Error::BufferFull {
        records: 10,
        bytes: 2000,
    };
    // What waits makes room for what comes; outcomes that are not taken do not.
    for n in 0..10 {
        producer.put("a", &[n]).expect("room");
    }
    assert_eq!(producer.put("a", b"10"), Err(full.clone()));
    assert_eq!((producer.waiting(), outcomes(&mut producer).len()), (0, 10));
    for n in 10..13 {
        producer.put("a", &[n; 999]).expect("room");
    }
    assert_eq!(producer.waiting(), 1);
    let too_long = Error::DataTooLong {
        len: 2000,
        max: 1999,
    };
    assert_eq!(producer.put("a", &[0; 2000]), Err(too_long));
    producer.put("a", &[13; 1999]).expect("room");
    assert_eq!(
        producer.put("", b"1"),
        Err(Error::PartitionKey { characters: 0 })
    );
    let mut tokens = Vec::new();
    producer.close(|outcome| tokens.push((outcome.token.number(), outcome.result.is_ok())));
    assert_eq!(tokens, [10, 11, 12, 13].map(|n| (n, true)));
    let found = data_of(&stream, first(&stream));
    let lens: Vec<_> = found.iter().map(|data| (data[0], data.len())).collect();
    let mut expected: Vec<_> = (0..10).map(|n| (n, 1)).collect();
    expected.extend([(10, 999), (11, 999), (12, 999), (13, 1999)]);
    assert_eq!(lens, expected);
}

pub fn an_end_is_a_last_try<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(128 << 10, StreamOptions::new(), &clock);
    let mut dropped = StreamProducer::new(&stream, ProducerOptions::new()).expect("a producer");
    dropped.put("a", b"dropped").expect("room");
    drop(dropped);
    assert_eq!(data_of(&stream, first(&stream)), [b"dropped"]);
    let options = ProducerOptions::new().linger(Duration::ZERO);
    let mut closed = StreamProducer::new(&stream, options).expect("a producer");
    while stream.put("other", &[7; 1000]).is_ok() {}
    while stream.put("other", b"").is_ok() {}
    for n in 0..3 {
        closed.put("a", &[n]).expect("room");
    }
    let mut told = Vec::new();
    closed.close(|outcome| told.push((outcome.token.number(), outcome.result)));
    assert_eq!(told, [0, 1, 2].map(|n| (n, Err(Error::Full))));
}

pub fn a_split_sorts_anew<R: Region>(home: &Home<'_, R>) {
    for aggregate in [false, true] {
        let clock = ManualClock::new(START_MS);
        let streams = home.streams(8 << 20, StreamOptions::new().max_shards(6), &clock);
        let (stream, other) = (&streams[0], &streams[streams.len() - 1]);
        let mut options = ProducerOptions::new();
        if aggregate {
            options = options.aggregate(10_000);
        }
        let mut producer = StreamProducer::new(stream, options).expect("a producer");
        let low = |n: u8| {
            (
                n,
                StreamEntry::new("low", [b"0", b"1", b"2", b"3"][n as usize]).hash(5),
            )
        };
        let high = StreamEntry::new("high", b"0").hash(u128::MAX);
        producer.put_entry(&low(0).1).expect("room");
        producer.put_entry(&high).expect("room");
        let parent = first(stream);
        let [left, right] = other.split(parent, 1 << 127).expect("a split");
        // Nobody has told the producer: it finds the shard closed, or the version another one.
        if aggregate {
            assert_eq!(producer.flush(), Ok(0));
        }
        producer.put_entry(&low(1).1).expect("room");
        assert_eq!(producer.flush(), Ok(0));
        assert!(data_of(stream, parent).is_empty());
        assert_eq!(data_of(stream, left), [b"0", b"1"]);
        assert_eq!(data_of(stream, right), [b"0"]);
        producer.put_entry(&low(2).1).expect("room");
        producer.put_entry(&high).expect("room");
        let merged = other.merge(left, right).expect("a merge");
        producer.put_entry(&low(3).1).expect("room");
        assert_eq!(producer.flush(), Ok(0));
        assert_eq!(data_of(stream, merged), [b"2", b"0", b"3"]);
        assert_eq!(read(stream, merged)[0].2, aggregate);
        assert!(
            outcomes(&mut producer)
                .iter()
                .all(|outcome| outcome.result.is_ok())
        );
    }
}

pub fn producers_have_bounds<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(4 << 20, StreamOptions::new().max_shards(4), &clock);
    let new = ProducerOptions::new;
    let day = Duration::from_secs(86_400);
    let bad = [
        ("records of a producer", new().records(3)),
        ("records of a producer", new().records((1 << 20) + 1)),
        ("bytes of a producer", new().bytes(1023)),
        ("bytes of a producer", new().bytes((1 << 30) + 1)),
        ("linger (ms)", new().linger(day)),
        ("batch_records", new().batch_records(0)),
        ("batch_records", new().batch_records(501)),
        ("batch_bytes", new().batch_bytes(0)),
        ("batch_bytes", new().batch_bytes((10 << 20) + 1)),
        ("aggregate (bytes)", new().aggregate(63)),
        ("aggregate (bytes)", new().aggregate(65_001)),
        ("record_ttl (ms)", new().record_ttl(Duration::ZERO)),
        ("record_ttl (ms)", new().record_ttl(day + MS)),
        ("backoff (ms)", new().backoff(Duration::ZERO, MS)),
        ("backoff (ms)", new().backoff(2 * MS, MS)),
        ("longest backoff (ms)", new().backoff(MS, day)),
    ];
    for (field, options) in bad {
        match StreamProducer::new(&stream, options).map(drop) {
            Err(Error::OutOfRange { what, .. }) => assert_eq!(what, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    let good = new()
        .records(4)
        .bytes(1024)
        .linger(day / 24)
        .batch_records(1)
        .aggregate(64);
    drop(StreamProducer::new(&stream, good).expect("a producer"));
    let (mut slots, mut bytes) = ([ProducerSlot::EMPTY; 3], [0; 1024]);
    let refused = StreamProducer::with_memory(&stream, new(), &mut slots, &mut bytes);
    assert!(matches!(
        refused.map(drop),
        Err(Error::OutOfRange {
            value: 3,
            min: 4,
            ..
        })
    ));
}

/// In real time: who waits sleeps until something is due.
#[test]
fn waits_end_when_something_is_due() {
    use std::time::Instant;
    let region = ringmain::Heap::new(1 << 20).expect("memory");
    let options = StreamOptions::new().full(FullPolicy::Evict).quota(true);
    let stream = Stream::create(&region, options).expect("a stream");
    let options = ProducerOptions::new().linger(200 * MS);
    let mut producer = StreamProducer::new(&stream, options).expect("a producer");
    let began = Instant::now();
    producer.poll_timeout(30 * MS).expect("nothing");
    assert!(began.elapsed() >= 30 * MS);
    producer.put("a", b"1").expect("room");
    let began = Instant::now();
    producer.poll_timeout(20 * MS).expect("too early");
    assert_eq!(producer.waiting(), 1);
    while producer.waiting() != 0 {
        producer
            .poll_timeout(Duration::from_secs(20))
            .expect("a poll");
    }
    let took = began.elapsed();
    assert!((150 * MS..5000 * MS).contains(&took), "{took:?}");
    // 1000 at once, and the others as the quota lets them.
    for n in 0..1200 {
        producer
            .put("a", b"1")
            .unwrap_or_else(|error| panic!("{n}: {error}"));
    }
    assert!(producer.flush().expect("a flush") > 100);
    assert_ne!(producer.flush_timeout(MS), Ok(0));
    assert_eq!(producer.flush_timeout(Duration::from_secs(20)), Ok(0));
    let long = Duration::from_secs(21);
    assert!(matches!(
        producer.flush_timeout(long),
        Err(Error::OutOfRange { .. })
    ));
    assert!(matches!(
        producer.poll_timeout(long),
        Err(Error::OutOfRange { .. })
    ));
}
