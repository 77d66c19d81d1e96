//! Registered consumers: names, limits and quotas, against a plain set; and over deaths.

use crate::common::{Dir, Numbers, child};
use crate::homes::{Home, Tested};
use ringmain::{Error, ManualClock, Mapped, Region, Start, Stream, StreamEntry, StreamOptions};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

const START_MS: u64 = 1_000_000;
const BYTES: usize = 1 << 20;

/// The names that are registered, and since when.
fn listed<R: Region>(stream: &Tested<'_, R>) -> BTreeMap<String, u64> {
    let consumers = stream.consumers().expect("a roster");
    let told = consumers.map(|consumer| {
        let consumer = consumer.expect("a sound seat");
        (consumer.name.to_string(), consumer.created_ms)
    });
    let all: Vec<_> = told.collect();
    let count = all.len();
    let names: BTreeMap<_, _> = all.into_iter().collect();
    assert_eq!(names.len(), count, "a name is there twice");
    names
}

pub fn names_are_those_of_kinesis<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(BYTES, StreamOptions::new(), &clock);
    let every: String = (0..128u8).map(char::from).collect();
    let allowed: String = every
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "_.-".contains(*c))
        .collect();
    assert_eq!(allowed.len(), 65);
    let longest = format!("{allowed}{}", &allowed[..63]);
    for name in ["a", ".", "-", "_", "12345678", "123456789", &longest] {
        let consumer = stream.register_consumer(name).expect(name);
        assert_eq!(consumer.name(), name);
        let told = consumer.describe().expect("registered");
        assert!(told.name == name && told.created_ms == stream.time_ms());
        assert_eq!(stream.consumer(name).expect(name).describe(), Ok(told));
    }
    let refused = |name: &str| {
        let registered = stream.register_consumer(name).map(drop);
        assert_eq!(stream.consumer(name).map(drop), registered);
        assert_eq!(stream.deregister_consumer(name), registered);
        match registered {
            Err(Error::Name { at, .. }) => at,
            other => panic!("{name:?}: {other:?}"),
        }
    };
    assert_eq!(refused(""), 0);
    assert_eq!(refused(&format!("{longest}x")), 128);
    assert_eq!(refused("aä"), 1);
    assert_eq!(refused("a\0"), 1);
    for c in every.chars().filter(|c| !allowed.contains(*c)) {
        assert_eq!(refused(&format!("name{c}")), 4, "{c:?}");
    }
    assert_eq!(listed(&stream).len(), 7);
}

pub fn as_many_as_there_may_be<R: Region>(home: &Home<'_, R>) {
    for max in [0, 1, 3, 64] {
        let clock = ManualClock::new(START_MS);
        let options = StreamOptions::new().consumers(max);
        let streams = home.streams(BYTES, options, &clock);
        assert_eq!(streams[0].options().get_consumers(), max);
        let stream = |n: u32| &streams[n as usize % streams.len()];
        for round in 0..2 {
            for n in 0..max {
                let name = format!("{round}.{n}");
                stream(n).register_consumer(&name).expect("a seat");
                let again = stream(n + 1).register_consumer(&name).map(drop);
                assert_eq!(again, Err(Error::ConsumerExists));
            }
            let refused = stream(round).register_consumer("more").map(drop);
            let max_seats = max as usize;
            assert_eq!(refused, Err(Error::ConsumerLimit { max: max_seats }));
            assert_eq!(listed(stream(round)).len(), max_seats);
            for n in 0..max {
                let name = format!("{round}.{n}");
                stream(n + 1).deregister_consumer(&name).expect("removed");
                let gone = stream(n).deregister_consumer(&name);
                assert_eq!(gone, Err(Error::NoConsumer));
            }
        }
    }
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(BYTES, StreamOptions::new(), &clock);
    assert_eq!(stream.options().get_consumers(), 20, "that of Kinesis");
}

/// Who has a consumer by hand is told that it was removed, also if the name is there again.
pub fn a_consumer_is_one_registration<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new().consumers(1);
    let streams = home.streams(BYTES, options, &clock);
    let (here, there) = (&streams[0], streams.last().expect("a stream"));
    let put = here.put("a", b"data").expect("room");
    let old = here.register_consumer("audit").expect("a seat");
    let mut cursor = old.cursor(put.shard, Start::Oldest).expect("a cursor");
    assert_eq!(cursor.read(10).expect("a read").len(), 1);
    there.deregister_consumer("audit").expect("removed");
    clock.advance(Duration::from_millis(7));
    let new = there.register_consumer("audit").expect("a seat");
    assert_eq!(old.describe(), Err(Error::NoConsumer));
    assert_eq!(cursor.read(10).map(drop), Err(Error::NoConsumer));
    let refused = old.cursor(put.shard, Start::Oldest).map(drop);
    assert_eq!(refused, Err(Error::NoConsumer));
    let refused = old.subscribe(put.shard, Start::Oldest).map(drop);
    assert_eq!(refused, Err(Error::NoConsumer));
    let told = new.describe().expect("registered");
    assert_eq!(told.created_ms, here.time_ms());
    let mut cursor = new.cursor(put.shard, Start::Oldest).expect("a cursor");
    assert_eq!(cursor.read(10).expect("a read").len(), 1);
}

/// Random calls agree with a plain map.
pub fn roster_and_map_agree<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let max = 5;
    let options = StreamOptions::new().consumers(max);
    let streams = home.streams(BYTES, options, &clock);
    let mut numbers = Numbers(7);
    let mut map = BTreeMap::new();
    for _ in 0..5000 {
        clock.advance(Duration::from_millis(1));
        let stream = &streams[numbers.below(streams.len() as u64) as usize];
        let name = format!("consumer-{}", numbers.below(8));
        match numbers.below(5) {
            0 | 1 => {
                let expected = match map.len() {
                    _ if map.contains_key(&name) => Err(Error::ConsumerExists),
                    5 => Err(Error::ConsumerLimit { max: 5 }),
                    _ => Ok(()),
                };
                let registered = stream.register_consumer(&name).map(drop);
                assert_eq!(registered, expected);
                if expected.is_ok() {
                    map.insert(name, stream.time_ms());
                }
            }
            2 => {
                let expected = map.remove(&name).map(drop).ok_or(Error::NoConsumer);
                assert_eq!(stream.deregister_consumer(&name), expected);
            }
            3 => {
                let found = stream.consumer(&name);
                let since = found.and_then(|found| Ok(found.describe()?.created_ms));
                let expected = map.get(&name).copied().ok_or(Error::NoConsumer);
                assert_eq!(since, expected);
            }
            _ => assert_eq!(listed(stream), map),
        }
    }
}

/// Several threads fight for few names: each is had by one at a time.
pub fn a_name_has_one_holder<R: Region + Sync>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new().consumers(3);
    let streams = home.streams(BYTES, options, &clock);
    let names = ["red", "blue"];
    let holders = names.map(|_| std::sync::Mutex::new(()));
    thread::scope(|scope| {
        for n in 0..4 {
            let (streams, holders) = (&streams, &holders);
            scope.spawn(move || {
                let mut numbers = Numbers(n);
                let stream = &streams[n as usize % streams.len()];
                let mut had = 0;
                while had < 200 {
                    let which = numbers.below(2) as usize;
                    match stream.register_consumer(names[which]) {
                        Ok(consumer) => {
                            // Nobody else has it until it is removed.
                            let held = holders[which].try_lock().expect("a second holder");
                            assert!(consumer.describe().is_ok());
                            drop(held);
                            let removed = stream.deregister_consumer(names[which]);
                            assert_eq!(removed, Ok(()));
                            had += 1;
                        }
                        // Two of the seats may be claimed by others who look.
                        Err(Error::ConsumerExists | Error::ConsumerLimit { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    assert_eq!(listed(&streams[0]).len(), 0);
    for name in ["a", "b", "c"] {
        streams[0].register_consumer(name).expect("no seat is lost");
    }
}

fn put<R: Region>(stream: &Tested<'_, R>, hash: u128, len: usize) {
    let data = vec![7; len - 1];
    let entry = StreamEntry::new("a", &data).hash(hash);
    stream.put_entry(&entry).expect("within the quota");
}

/// How long to wait, if a read was refused by a quota.
fn wait_ms<T>(outcome: Result<T, Error>) -> Option<u64> {
    match outcome {
        Ok(_) => None,
        Err(Error::ProvisionedThroughputExceeded { wait_ms, .. }) => Some(wait_ms),
        Err(error) => panic!("{error}"),
    }
}

pub fn each_has_a_quota_of_its_own<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new()
        .quota(true)
        .shards(2)
        .segment(1 << 20)
        .max_data(300_000);
    let streams = home.streams(64 << 20, options, &clock);
    let stream = &streams[0];
    for _ in 0..5 {
        for hash in [0, u128::MAX] {
            (0..4).for_each(|_| put(stream, hash, 256 << 10));
        }
        clock.advance(Duration::from_secs(1));
    }
    let [low, high] = [0, u128::MAX].map(|hash| stream.shard_of(hash).expect("a shard"));
    let names = ["audit", "index"];
    for name in names {
        stream.register_consumer(name).expect("a seat");
    }
    // Eight records of 256 KiB are a second's worth; the next one is read, and counts 125 ms.
    let reads_9 = |cursor: &mut ringmain::Cursor<'_, R, &ManualClock>| {
        for n in 0..9 {
            assert_eq!(wait_ms(cursor.read(1).map(drop)), None, "read {n}");
        }
        assert_eq!(wait_ms(cursor.read(1).map(drop)), Some(125));
    };
    let mut shared = stream.cursor(low, Start::Oldest).expect("a cursor");
    reads_9(&mut shared);
    let mut again = stream.cursor(low, Start::Oldest).expect("a cursor");
    assert_eq!(wait_ms(again.read(1).map(drop)), Some(125), "shared");
    for (n, name) in names.into_iter().enumerate() {
        let stream = &streams[n % streams.len()];
        let consumer = stream.consumer(name).expect("registered");
        for shard in [low, high] {
            let mut own = consumer.cursor(shard, Start::Oldest).expect("a cursor");
            reads_9(&mut own);
            // All of the consumer's cursors share it, wherever they are.
            let other = streams.last().expect("a stream");
            let same = other.consumer(name).expect("registered");
            let mut second = same.cursor(shard, Start::Oldest).expect("a cursor");
            assert_eq!(wait_ms(second.read(1).map(drop)), Some(125), "{name}");
            let mut pushed = same.subscribe(shard, Start::Oldest).expect("free");
            let position = pushed.position();
            pushed.renew().expect("its own");
            assert_eq!(pushed.position(), position);
        }
    }
    // One that is registered anew has read nothing.
    stream.deregister_consumer("audit").expect("removed");
    stream.register_consumer("fresh").expect("the same seat");
    let fresh = stream.consumer("fresh").expect("registered");
    reads_9(&mut fresh.cursor(low, Start::Oldest).expect("a cursor"));
    clock.advance(Duration::from_millis(125));
    assert_eq!(wait_ms(shared.read(1).map(drop)), None);
    assert_eq!(wait_ms(again.read(1).map(drop)), Some(125));
}

/// Without quotas a consumer has none either.
pub fn without_quotas_it_has_none<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(16 << 20, StreamOptions::new(), &clock);
    let shard = stream.shard_of(0).expect("a shard");
    for _ in 0..40 {
        put(&stream, 0, 200 << 10);
    }
    let consumer = stream.register_consumer("audit").expect("a seat");
    let mut cursor = consumer.cursor(shard, Start::Oldest).expect("a cursor");
    let mut read = 0;
    while read < 40 {
        read += cursor.read(100).expect("no quota").len();
    }
}

fn opened(path: &str) -> Stream<Mapped> {
    Stream::open(Mapped::open(path).expect("the region")).expect("the stream")
}

/// Registers consumers and subscribes, until it is killed.
fn subscribe(path: &str) {
    let stream = opened(path);
    let consumer = stream.register_consumer("mortal").expect("a seat");
    let shard = stream.shard_of(0).expect("a shard");
    let _subscription = consumer.subscribe(shard, Start::Oldest).expect("free");
    std::fs::write(format!("{path}.subscribed"), [1]).expect("a file");
    loop {
        thread::sleep(Duration::from_secs(60));
    }
}

/// A consumer outlives whoever registered it; a dead one's subscription is free at once.
#[test]
fn a_consumer_outlives_its_maker() {
    const TEST: &str = "consumers::a_consumer_outlives_its_maker";
    if let Some(role) = child::role() {
        assert_eq!(role, "subscribe");
        return subscribe(&child::argument());
    }
    let dir = Dir::shm("stream-consumer");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, 1 << 20).expect("a region");
    let stream = Stream::create(region, StreamOptions::new()).expect("a stream");
    stream.register_consumer("first").expect("a seat");
    let path = path.to_str().expect("text");
    let mut command = child::command(TEST, "subscribe", path);
    let mut child = command.spawn().expect("a child");
    while !std::path::Path::new(&format!("{path}.subscribed")).exists() {
        thread::sleep(Duration::from_millis(1));
    }
    let shard = stream.shard_of(0).expect("a shard");
    let mortal = stream.consumer("mortal").expect("registered");
    let refused = mortal.subscribe(shard, Start::Oldest).map(drop);
    let Err(Error::Subscribed { wait_ms, .. }) = refused else {
        panic!("it lives: {refused:?}");
    };
    assert!((1..=5000).contains(&wait_ms), "{wait_ms}");
    child.kill().expect("a kill");
    child.wait().expect("its end");
    let mut subscription = mortal.subscribe(shard, Start::Oldest).expect("free");
    stream.put("a", b"data").expect("room");
    let records = subscription.next_records().expect("a read");
    assert_eq!(records.map(|records| records.len()), Some(1));
    drop(subscription);
    drop(stream);
    // Nobody has it open any more.
    let stream = opened(path);
    let names = stream.consumers().expect("a roster");
    let names: Vec<_> = names.map(|told| told.expect("sound").name).collect();
    assert_eq!(names, ["first", "mortal"]);
}

/// Of each consumer it is told where its reads have ended, how far behind that is, and whether it
/// is subscribed: to all who look.
pub fn where_it_stands_is_told<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new().max_shards(3).segment(4096);
    let streams = home.streams(BYTES, options, &clock);
    let [stream, other] = [streams.first().expect("one"), streams.last().expect("one")];
    let audit = stream.register_consumer("audit").expect("a seat");
    let told = |shard| {
        let audit = other.consumer("audit").expect("registered");
        audit.stat(shard)
    };
    let puts: Vec<_> = (0..5)
        .map(|_| stream.put("a", b"data").expect("room"))
        .collect();
    let shard = puts[0].shard;
    let none = told(shard).expect("figures");
    assert_eq!((none.shard, none.position, none.lag), (shard, None, None));
    assert!(!none.subscribed);

    // What others read is not its own.
    let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
    assert_eq!(cursor.read(4).expect("a read").len(), 4);
    assert_eq!(told(shard).expect("figures"), none);
    let mut subscription = audit.subscribe(shard, Start::Oldest).expect("one");
    assert!(told(shard).expect("figures").subscribed);
    assert_eq!(subscription.read(2).expect("a read").len(), 2);
    clock.advance(Duration::from_millis(700));
    let stats = told(shard).expect("figures");
    assert_eq!(stats.position, Some(puts[2].sequence));
    let lag = stats.lag.expect("it has read");
    assert_eq!((lag.records, lag.bytes, lag.ms), (3, 192, 700));
    clock.advance(Duration::from_secs(300));
    assert!(!told(shard).expect("figures").subscribed, "it is over");
    subscription.renew().expect("it stands");
    assert!(told(shard).expect("figures").subscribed);
    assert_eq!(subscription.read(10).expect("a read").len(), 3);
    let lag = told(shard).expect("figures").lag.expect("it has read");
    assert_eq!((lag.records, lag.bytes, lag.ms), (0, 0, 0));
    drop(subscription);
    assert!(!told(shard).expect("figures").subscribed, "it was dropped");

    // A child is another shard, and one that has the place of an older one too.
    let [low, high] = stream.split(shard, 1 << 127).expect("a split");
    for child in [low, high] {
        assert_eq!(told(child).expect("figures").position, None);
    }
    clock.advance(Duration::from_secs(100_000));
    let gone = other.consumer("audit").expect("registered");
    drop(cursor);
    let child = stream
        .merge(low, high)
        .expect("the parent's records are over");
    assert_eq!(told(child).expect("figures").position, None);
    assert!(matches!(gone.stat(shard), Err(Error::NoShard { .. })));

    // Who gets the seat next begins anew.
    let put = stream.put("a", b"data").expect("room");
    let mut cursor = audit.cursor(put.shard, Start::Oldest).expect("a cursor");
    assert_eq!(cursor.read(1).expect("a read").len(), 1);
    assert!(told(put.shard).expect("figures").position.is_some());
    stream.deregister_consumer("audit").expect("it is there");
    assert_eq!(audit.stat(put.shard), Err(Error::NoConsumer));
    stream.register_consumer("audit").expect("a seat");
    assert_eq!(told(put.shard).expect("figures").position, None);
}
