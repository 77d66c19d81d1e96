//! Subscriptions: how long they last, who takes whom over, and what wakes and ends them.

use crate::homes::{Home, Tested};
use ringmain::{
    Error, ManualClock, Region, ShardId, Start, Stream, StreamOptions, SubscriptionEnd, wait_any,
};
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

const START_MS: u64 = 1_000_000;
const BYTES: usize = 1 << 20;
const ZERO: ShardId = ShardId::from_number(0);
/// Long enough for a thread to fall asleep.
const ASLEEP: Duration = Duration::from_millis(60);
/// Nothing here waits this long, unless a wake-up was lost.
const PATIENCE: Duration = Duration::from_secs(8);

fn streams<'c, R: Region>(
    home: &Home<'_, R>,
    options: StreamOptions,
    clock: &'c ManualClock,
) -> Vec<Tested<'c, R>> {
    let streams = home.streams(BYTES, options, clock);
    streams[0].register_consumer("audit").expect("a seat");
    streams
}

pub fn a_young_one_is_not_taken_over<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let streams = streams(home, StreamOptions::new().shards(2), &clock);
    let (here, there) = (&streams[0], streams.last().expect("a stream"));
    let [mine, same] = [here, there].map(|stream| stream.consumer("audit").expect("registered"));
    let subscribe = || same.subscribe(ZERO, Start::Oldest);
    let mut first = mine.subscribe(ZERO, Start::Oldest).expect("free");
    // Other shards and consumers have theirs.
    let other = there.register_consumer("index").expect("a seat");
    let _others = other.subscribe(ZERO, Start::Oldest).expect("free");
    let one = ShardId::from_number(1);
    let _elsewhere = same.subscribe(one, Start::Oldest).expect("free");
    for age_ms in [0, 1, 4998] {
        clock.set_ms(START_MS + age_ms);
        match subscribe().map(drop) {
            Err(Error::Subscribed { wait_ms, .. }) => assert_eq!(wait_ms, 5000 - age_ms),
            other => panic!("{other:?}"),
        }
    }
    here.put("a", b"data").expect("room");
    let entry = ringmain::StreamEntry::new("a", b"data").hash(0);
    here.put_entry(&entry).expect("room");
    let read = first.next_records().expect("it stands").expect("records");
    assert!(!read.is_empty());
    drop(read);
    clock.set_ms(START_MS + 5000);
    let mut second = subscribe().expect("taken over");
    assert_eq!(first.next_records().expect("ended").map(drop), None);
    assert_eq!(first.end(), Some(SubscriptionEnd::TakenOver));
    assert_eq!(first.renew(), Err(Error::SubscriptionTaken));
    drop(first); // that harms nobody
    assert!(second.next_records().expect("it stands").is_some());
    drop(second);
    // One that was dropped is in nobody's way.
    drop(subscribe().expect("free"));
    drop(subscribe().expect("free"));
}

pub fn it_lasts_five_minutes<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let streams = streams(home, StreamOptions::new(), &clock);
    let stream = &streams[0];
    let consumer = stream.consumer("audit").expect("registered");
    let mut subscription = consumer.subscribe(ZERO, Start::Oldest).expect("free");
    assert_eq!(subscription.left(), Duration::from_secs(300));
    let put = |n: u8| stream.put("a", &[n]).expect("room");
    put(1);
    clock.set_ms(START_MS + 299_999);
    assert_eq!(subscription.left(), Duration::from_millis(1));
    assert!(subscription.next_records().expect("a read").is_some());
    put(2);
    clock.set_ms(START_MS + 300_000);
    assert_eq!(subscription.left(), Duration::ZERO);
    assert_eq!(
        subscription.read(10).map(drop),
        Err(Error::SubscriptionExpired)
    );
    for _ in 0..2 {
        assert!(subscription.next_records().expect("an end").is_none());
        assert_eq!(subscription.end(), Some(SubscriptionEnd::Expired));
    }
    // It goes on where it stood.
    subscription.renew().expect("nobody else has it");
    assert_eq!(
        (subscription.end(), subscription.left()),
        (None, Duration::from_secs(300))
    );
    let records = subscription.next_records().expect("a read");
    let data: Vec<u8> = records
        .iter()
        .flatten()
        .flat_map(|r| r.data()[..].to_vec())
        .collect();
    assert_eq!(data, [2]);
    drop(records);
    // Renewed in time, it does not end; and it is young again.
    clock.set_ms(START_MS + 500_000);
    subscription.renew().expect("its own");
    clock.set_ms(START_MS + 504_000);
    let refused = consumer.subscribe(ZERO, Start::Oldest).map(drop);
    assert!(matches!(
        refused,
        Err(Error::Subscribed { wait_ms: 1000, .. })
    ));
    clock.set_ms(START_MS + 799_999);
    assert!(subscription.read(10).expect("nothing yet").is_empty());
    put(3);
    assert!(subscription.next_records().expect("a read").is_some());
}

pub fn a_closed_shard_tells_its_children<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let streams = streams(home, StreamOptions::new().max_shards(4), &clock);
    let stream = &streams[0];
    let consumer = stream.consumer("audit").expect("registered");
    let mut subscription = consumer.subscribe(ZERO, Start::Oldest).expect("free");
    stream.put("a", b"data").expect("room");
    let children = stream.split(ZERO, 1 << 127).expect("split");
    let mut count = 0;
    let end = subscription.run(|records| {
        count += records.len();
        ControlFlow::Continue(())
    });
    let children = children.map(Some);
    assert_eq!(end, Ok(SubscriptionEnd::ShardClosed { children }));
    assert_eq!(count, 1, "all its records before");
    for child in children.into_iter().flatten() {
        let subscribed = consumer.subscribe(child, Start::Oldest);
        assert_eq!(subscribed.expect("free").shard(), child);
    }
}

/// Each of these wakes a subscriber that sleeps: what it returns then.
pub fn each_end_wakes<R: Region + Sync>(home: &Home<'_, R>) {
    let ends: [(&str, SubscriptionEnd); 4] = [
        ("put", SubscriptionEnd::Stopped),
        ("taken over", SubscriptionEnd::TakenOver),
        ("removed", SubscriptionEnd::Deregistered),
        ("expired", SubscriptionEnd::Expired),
    ];
    for (name, expected) in ends {
        let clock = ManualClock::new(START_MS);
        let streams = streams(home, StreamOptions::new().max_shards(3), &clock);
        let (here, there) = (&streams[0], streams.last().expect("a stream"));
        let consumer = here.consumer("audit").expect("registered");
        let mut subscription = consumer.subscribe(ZERO, Start::Latest).expect("free");
        thread::scope(|scope| {
            let subscriber = scope.spawn(move || {
                let begun = Instant::now();
                let end = subscription.run(|_| ControlFlow::Break(()));
                (end, begun.elapsed())
            });
            thread::sleep(ASLEEP);
            let _taking = match name {
                "taken over" => {
                    clock.advance(Duration::from_secs(5));
                    let same = there.consumer("audit").expect("registered");
                    Some(same.subscribe(ZERO, Start::Latest).expect("taken over"))
                }
                "removed" => {
                    there.deregister_consumer("audit").expect("removed");
                    None
                }
                "expired" => {
                    clock.advance(Duration::from_secs(300));
                    // A manual clock wakes nobody, and a record does.
                    there.put("a", b"data").expect("room");
                    None
                }
                _ => {
                    there.put("a", b"data").expect("room");
                    None
                }
            };
            let (end, took) = subscriber.join().expect("ends");
            assert_eq!(end, Ok(expected), "{name}");
            assert!(took < PATIENCE, "{name}: {took:?}");
        });
    }
}

/// One waits for subscriptions as for cursors.
pub fn one_of_several_subscriptions<R: Region + Sync>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let streams = streams(home, StreamOptions::new().shards(2), &clock);
    let stream = &streams[0];
    let consumer = stream.consumer("audit").expect("registered");
    let ids = [0, 1].map(ShardId::from_number);
    let [mut low, mut high] =
        ids.map(|shard| consumer.subscribe(shard, Start::Oldest).expect("free"));
    let none = wait_any(&[&low, &high], Duration::from_millis(20));
    assert_eq!(none, Ok(None));
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(ASLEEP);
            let entry = ringmain::StreamEntry::new("a", b"data").hash(u128::MAX);
            stream.put_entry(&entry).expect("room");
        });
        let found = wait_any(&[&low, &high], Duration::from_secs(20));
        assert_eq!(found, Ok(Some(1)));
    });
    assert!(high.next_records().expect("a read").is_some());
    stream.deregister_consumer("audit").expect("removed");
    assert!(wait_any(&[&low, &high], Duration::from_secs(20)).is_ok_and(|found| found.is_some()));
    assert!(low.next_records().expect("an end").is_none());
    assert_eq!(low.end(), Some(SubscriptionEnd::Deregistered));
}

/// What is pushed keeps the consumer's quota: it sleeps until that allows more.
#[test]
fn a_subscriber_keeps_the_quota() {
    let region = ringmain::Heap::new(32 << 20).expect("memory");
    let options = StreamOptions::new()
        .quota(true)
        .segment(256 << 10)
        .max_data(100_000);
    let stream = Stream::create(region, options).expect("a stream");
    let consumer = stream.register_consumer("audit").expect("a seat");
    let mut subscription = consumer.subscribe(ZERO, Start::Oldest).expect("free");
    let data = vec![1; 99_999];
    let mut put = 0;
    while put < 30 {
        match stream.put("a", &data) {
            Ok(_) => put += 1,
            Err(Error::ProvisionedThroughputExceeded { wait_ms, .. }) => {
                thread::sleep(Duration::from_millis(wait_ms));
            }
            Err(error) => panic!("{error}"),
        }
    }
    let (begun, mut count) = (Instant::now(), 0);
    let end = subscription.run(|records| {
        count += records.len();
        match count {
            30 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    assert_eq!(end, Ok(SubscriptionEnd::Stopped));
    // 3 MB: more than a second's worth, which is there at once, and less than two.
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(200), "{took:?}");
}
