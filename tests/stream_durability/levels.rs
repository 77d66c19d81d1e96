//! Levels and positions.

use crate::common::body;
use crate::machine::{Machine, all};
use ringmain::{
    Capacity, Clock, Durability, Error, Heap, ManualClock, Mapped, ProducerOptions, ShardId,
    Stream, StreamEntry, StreamOptions, StreamProducer, SystemClock,
};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const EVERY: Durability = Durability::Interval(Duration::from_millis(20));

fn options(level: Durability) -> StreamOptions {
    StreamOptions::new()
        .shards(2)
        .max_shards(8)
        .durability(level)
}

#[test]
fn positions_move_when_the_disk_has_it() {
    let machine = Machine::new("kept-position", 1 << 20, options(Durability::BeforeOk));
    let region = machine.open();
    let stream = Stream::open(&region).expect("the stream");
    assert_eq!(stream.durability(), Durability::BeforeOk);
    assert_eq!(stream.options().get_durability(), Durability::BeforeOk);
    let process = stream.at(Durability::Process).expect("a level");
    let put = process.put("a", b"only in memory").expect("room");
    let durable = stream.stat(put.shard).expect("figures").durable;
    assert!(durable.expect("a mirror") <= put.sequence);
    let position = stream.position().expect("a position");
    assert!(stream.durable_position().expect("a position") < position);
    stream.wait_durable(position).expect("the disk");
    assert!(stream.durable_position().expect("a position") >= position);
    let durable = stream.stat(put.shard).expect("figures").durable;
    assert!(durable.expect("a mirror") > put.sequence);
    let put = stream.put("a", b"on the disk").expect("room");
    let durable = stream.stat(put.shard).expect("figures").durable;
    assert!(durable.expect("a mirror") > put.sequence);
    assert!(stream.sync().expect("the disk") > position);
    region.sync().expect("the disk");
}

/// Who opened the region for reading writes no record, and to the mirror like anybody.
#[test]
fn who_only_reads_may_wait_for_the_disk() {
    for level in [EVERY, Durability::BeforeOk] {
        let machine = Machine::new("kept-reading", 1 << 20, options(level));
        let region = machine.open();
        let stream = Stream::open(&region).expect("the stream");
        let process = stream.at(Durability::Process).expect("a level");
        let put = process.put("a", b"only in memory").expect("room");
        let reading = Mapped::open_for_reading(machine.path()).expect("the region");
        let reader = Stream::open(&reading).expect("the stream");
        assert_eq!(reader.put("a", b"no"), Err(Error::OpenedForReading));
        let position = reader.position().expect("a position");
        reader.wait_durable(position).expect("the disk");
        assert!(stream.durable_position().expect("a position") >= position);
        let durable = stream.stat(put.shard).expect("figures").durable;
        assert!(durable.expect("a mirror") > put.sequence);
        reader.register_consumer("dashboards").expect("a seat");
        assert!(reader.sync().expect("the disk") >= position);
        // Its end commits what is left.
        process.put("a", b"only in memory, again").expect("room");
        drop(reading);
        assert_eq!(stream.consumers().expect("a roster").count(), 1);
    }
}

#[test]
fn an_interval_commits_by_itself() {
    let machine = Machine::new("kept-interval", 1 << 20, options(EVERY));
    let region = machine.open();
    let stream = Stream::open(&region).expect("the stream");
    assert_eq!(stream.durability(), EVERY);
    for round in 0..5 {
        stream.put("a", &body(round, 100)).expect("room");
        let position = stream.position().expect("a position");
        let deadline = Instant::now() + Duration::from_secs(10);
        while stream.durable_position().expect("a position") < position {
            assert!(Instant::now() < deadline, "nobody commits");
            std::thread::yield_now();
        }
    }
}

#[test]
fn the_last_to_go_commits() {
    let every = Durability::Interval(Duration::from_secs(3600));
    let mut machine = Machine::new("kept-last", 1 << 20, options(every));
    {
        let region = machine.open();
        let stream = Stream::open(&region).expect("the stream");
        stream.put("a", b"in an hour").expect("room");
        assert!(stream.durable_position().expect("one") < stream.position().expect("one"));
    }
    machine.stop();
    let region = machine.open();
    let stream = Stream::open(&region).expect("the stream");
    let found = all(&stream);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].3, b"in an hour");
}

/// Whatever puts: when it has returned, and the machine stops, its records are there.
#[test]
fn each_way_in_waits_for_the_disk() {
    let machine = Machine::new("kept-ways", 1 << 20, options(Durability::BeforeOk));
    let region = machine.open();
    let stream = Stream::open(&region).expect("the stream");
    let mut expected = 0;
    let mut check = |what: &str, records: usize| {
        expected += records;
        let mut copy = machine.copy("kept-ways-copy");
        copy.stop();
        let region = copy.open();
        let again = Stream::open(&region).expect("the stream");
        assert_eq!(all(&again), all(&stream), "{what}");
        assert_eq!(all(&again).len(), expected, "{what}");
    };
    stream.put("a", b"1").expect("room");
    check("put", 1);
    let batch: Vec<(String, Vec<u8>)> = (0..100)
        .map(|n| (format!("key-{n}"), body(n, n as usize)))
        .collect();
    let entries: Vec<_> = batch
        .iter()
        .map(|(key, data)| StreamEntry::new(key, data))
        .collect();
    let mut told = 0;
    stream
        .put_batch(&entries, |_, outcome| {
            told += outcome.map(|_| 1).expect("room")
        })
        .expect("a batch");
    assert_eq!(told, 100);
    check("put_batch", 100);
    let mut claim = stream.claim("b", 5).expect("room");
    claim.copy_from_slice(b"claim");
    claim.commit().expect("the disk");
    check("claim", 1);
    drop(stream.claim("b", 500).expect("room"));
    stream.put("b", b"behind what was given up").expect("room");
    check("a claim that was dropped", 1);
    let mut told = 0;
    let prepared = stream
        .prepare(&entries, |_, outcome| {
            told += outcome.map(|_| 1).expect("room")
        })
        .expect("room");
    prepared.commit().expect("the disk");
    assert!(told > 10);
    check("prepare", told);
    let shard = stream.shard_of(0).expect("a shard");
    let mut writer = stream.writer(shard).expect("a writer");
    let in_shard = (0..100).map(|n| format!("w-{n}"));
    let key = in_shard
        .into_iter()
        .find(|key| stream.shard_of(stream.hash_of(key)).expect("one") == shard);
    let key = key.expect("a key of that shard");
    writer.put(&key, b"writer").expect("room");
    check("a writer, whose tail is reserved", 1);
    drop(writer);
    let mut producer =
        StreamProducer::new(&stream, ProducerOptions::new().aggregate(1000)).expect("memory");
    for n in 0..10 {
        producer.put("p", &body(n, 10)).expect("room");
    }
    producer.flush().expect("the disk");
    while let Some(outcome) = producer.next_outcome() {
        outcome.result.expect("the disk");
    }
    check("a producer", 1);
    producer.close(|_| {});
}

/// Splits, merges and registrations are there again too.
#[test]
fn shards_and_consumers_are_kept() {
    let mut machine = Machine::new("kept-shards", 1 << 20, options(Durability::BeforeOk));
    let infos = {
        let region = machine.open();
        let stream = Stream::open(&region).expect("the stream");
        for n in 0..50 {
            stream.put(&format!("key-{n}"), &body(n, 60)).expect("room");
        }
        let first = ShardId::from_number(0);
        let point = stream.shard_info(first).expect("one").hashes.1 / 2;
        let [low, high] = stream.split(first, point).expect("a place");
        for n in 0..50 {
            stream.put(&format!("key-{n}"), &body(n, 61)).expect("room");
        }
        stream.merge(low, high).expect("a place");
        for n in 0..50 {
            stream.put(&format!("key-{n}"), &body(n, 62)).expect("room");
        }
        stream.register_consumer("audit").expect("a seat");
        stream.register_consumer("gone").expect("a seat");
        stream.deregister_consumer("gone").expect("it");
        let mut shards: Vec<_> = stream.shards().collect();
        shards.sort();
        let info = |shard: &ShardId| stream.shard_info(*shard).expect("one");
        let infos: Vec<_> = shards.iter().map(info).collect();
        (infos, all(&stream))
    };
    machine.stop();
    let region = machine.open();
    let stream = Stream::open(&region).expect("the stream");
    let mut shards: Vec<_> = stream.shards().collect();
    shards.sort();
    let info = |shard: &ShardId| stream.shard_info(*shard).expect("one");
    let found: Vec<_> = shards.iter().map(info).collect();
    assert_eq!((found, all(&stream)), infos);
    let names: Vec<_> = stream
        .consumers()
        .expect("a roster")
        .map(|consumer| consumer.expect("one").name.to_string())
        .collect();
    assert_eq!(names, ["audit"]);
    // And it goes on.
    let open = stream.shard_of(0).expect("a shard");
    let point = stream.shard_info(open).expect("one").hashes.1 / 2;
    let [low, _] = stream.split(open, point).expect("a place");
    assert!(
        !infos.0.iter().any(|info| info.shard == low),
        "a number of its own"
    );
    stream.put("key-1", b"on").expect("room");
    stream.register_consumer("gone").expect("a seat");
}

#[test]
fn demand_is_kept() {
    let options = StreamOptions::new()
        .capacity(Capacity::OnDemand)
        .shards(1)
        .max_shards(4)
        .durability(Durability::BeforeOk);
    let mut machine = Machine::new("kept-demand", 4 << 20, options);
    let peak = {
        let clock = ManualClock::new(SystemClock.now_ms());
        let region = machine.open();
        let stream = Stream::open_with(&region, &clock).expect("the stream");
        stream.tend().expect("measured");
        let process = stream.at(Durability::Process).expect("a level");
        for n in 0..3000 {
            process.put(&format!("k{n}"), b"x").expect("room");
        }
        clock.advance(Duration::from_millis(1100));
        stream.tend().expect("measured");
        stream.sync().expect("the disk");
        stream.demand().expect("one").peak_records
    };
    assert!(peak >= 1000, "{peak}");
    machine.stop();
    let region = machine.open();
    let stream = Stream::open(&region).expect("the stream");
    assert_eq!(stream.demand().expect("one").peak_records, peak);
}

#[test]
fn threads_that_wait_share_commits() {
    let machine = Machine::new("kept-group", 8 << 20, options(Durability::BeforeOk));
    let region = machine.open();
    let stream = Stream::open(&region).expect("the stream");
    let before = stream.position().expect("one").as_u64();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let stream = &stream;
            scope.spawn(move || {
                for n in 0..50 {
                    stream
                        .put(&format!("{thread}"), &body(n, 50))
                        .expect("room");
                }
            });
        }
    });
    let commits = stream.position().expect("one").as_u64() - before;
    assert!(commits < 400, "{commits} commits for 400 puts");
    assert_eq!(all(&stream).len(), 400);
}

#[test]
fn a_level_needs_a_mirror() {
    let heap = Heap::new(1 << 20).expect("memory");
    let made = Stream::create(&heap, options(Durability::BeforeOk));
    assert_eq!(made.err(), Some(Error::NoJournal));
    let machine = Machine::new("kept-none", 1 << 20, options(Durability::Process));
    assert_eq!(machine.names(), ["s.ring"], "no mirror");
    let region = machine.open();
    let stream = Stream::open(&region).expect("the stream");
    assert_eq!(stream.position().err(), Some(Error::NoJournal));
    assert_eq!(stream.sync().err(), Some(Error::NoJournal));
    assert_eq!(
        stream.at(Durability::BeforeOk).err(),
        Some(Error::NoJournal)
    );
    assert_eq!(
        stream.stat(ShardId::from_number(0)).expect("one").durable,
        None
    );
    let again = Stream::open_or_create(&region, options(Durability::BeforeOk));
    assert!(matches!(again.err(), Some(Error::OptionsDiffer { .. })));
    let kept = Machine::new("kept-every", 1 << 20, options(EVERY));
    let region: Mapped = kept.open();
    let stream = Stream::open(&region).expect("the stream");
    let other = Durability::Interval(Duration::from_millis(21));
    assert!(matches!(
        stream.at(other).err(),
        Some(Error::OptionsDiffer { .. })
    ));
    let none = Durability::Interval(Duration::ZERO);
    assert!(matches!(
        stream.at(none).err(),
        Some(Error::OutOfRange { .. })
    ));
}

/// A claim of the same thread is in the way: it is said, and nothing is lost.
#[test]
fn a_claim_in_the_way_is_told() {
    let machine = Machine::new("kept-claim", 1 << 20, options(Durability::BeforeOk));
    let region = machine.open();
    let stream = Stream::open(&region).expect("the stream");
    let claim = stream.claim("a", 3).expect("room");
    let put = stream.put("a", b"behind it");
    assert_eq!(
        put.err(),
        Some(Error::NotDurable {
            errno: libc::ETIMEDOUT
        })
    );
    let other = (0..100).map(|n| format!("o{n}")).find(|key| {
        let of = |key: &str| stream.shard_of(stream.hash_of(key)).expect("one");
        of(key) != of("a")
    });
    stream
        .put(&other.expect("another shard"), b"is in nobody's way")
        .expect("the disk");
    drop(claim);
    stream.sync().expect("the disk");
    assert_eq!(all(&stream).len(), 2);
}

/// A claim of somebody slow is in the way for as long as it takes, and what is behind it is durable
/// when both are.
#[test]
fn a_put_behind_a_claim_waits_for_it() {
    let machine = Machine::new("kept-slow", 1 << 20, options(Durability::BeforeOk));
    let (region, other) = (machine.open(), machine.open());
    let stream = Stream::open(&region).expect("the stream");
    let slow = Stream::open(&other).expect("the stream");
    let slow = slow.at(Durability::Process).expect("a level");
    let mut claim = slow.claim("a", 4).expect("room");
    let committed = OnceLock::new();
    std::thread::scope(|scope| {
        let behind = scope.spawn(|| {
            let put = stream.put("a", b"behind it").expect("the disk");
            assert!(
                committed.get().is_some(),
                "durable before what is before it"
            );
            put
        });
        // Until it waits: its record is there, and not on the disk.
        while stream.position().expect("one").as_u64() < 3 {
            std::thread::yield_now();
        }
        claim.copy_from_slice(b"slow");
        committed.set(()).expect("once");
        claim.commit().expect("a record");
        let put = behind.join().expect("no panic");
        let durable = stream.stat(put.shard).expect("figures").durable;
        assert!(durable.expect("a mirror") > put.sequence);
    });
    let mut copy = machine.copy("kept-slow-copy");
    copy.stop();
    let region = copy.open();
    let again = Stream::open(&region).expect("the stream");
    let data: Vec<_> = all(&again).into_iter().map(|read| read.3).collect();
    assert_eq!(data, [&b"slow"[..], b"behind it"]);
}
