//! Waiting for records as futures, on an executor of a few lines: each change of a shard wakes
//! those who wait there, by whatever way it comes, and a dropped future leaves nothing.

use crate::common::executor::{self, Woken, poll};
use crate::common::{Dir, child, number_of};
use crate::waiting::{Ready, as_child, created, latest, opened, options};
use ringmain::{
    Clock, Cursor, Error, Heap, Mapped, Queue, QueueOptions, Region, ShardId, Start, Stream,
    StreamEntry, StreamOptions, SubscriptionEnd, wait_any_async,
};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

/// Who is not woken looks for itself, later than this.
const SOON: Duration = Duration::from_secs(3);
/// Nothing here waits this long, unless a wake-up was lost.
const PATIENCE: Duration = Duration::from_secs(20);

fn block_on<F: Future>(future: F) -> F::Output {
    executor::block_on(future, PATIENCE)
}

fn put_in<R: Region, C: Clock>(stream: &Stream<R, C>, shard: u32, data: &[u8]) {
    let info = stream.shard_info(ShardId::from_number(shard));
    let hash = info.expect("a shard").hashes.0;
    let entry = StreamEntry::new("a", data).hash(hash);
    stream.put_entry(&entry).expect("room");
}

fn play<R: Region, C: Clock>(
    stream: &Stream<R, C>,
    cursor: &mut Cursor<'_, R, C>,
    to: u32,
    begins: bool,
) {
    for round in 0..number_of("RINGMAIN_STREAM_ROUNDS", 5000) {
        if begins {
            put_in(stream, to, &round.to_le_bytes());
        }
        let begun = Instant::now();
        let records = block_on(cursor.read_async(1)).expect("a read").len();
        assert_eq!(records, 1, "round {round}");
        assert!(begun.elapsed() < SOON, "asleep too long, round {round}");
        if !begins {
            put_in(stream, to, &round.to_le_bytes());
        }
    }
}

/// Two futures that wait for each other, each with a stream of its own.
fn no_wake_up_is_lost<R: Region + Sync>(streams: &[Stream<R>; 2]) {
    let [a, b] = streams;
    let (mut first, mut second) = (latest(a, 0), latest(b, 1));
    thread::scope(|scope| {
        scope.spawn(move || play(b, &mut second, 0, false));
        scope.spawn(move || play(a, &mut first, 1, true));
    });
}

#[test]
fn no_wake_up_is_lost_in_the_heap() {
    let region = Arc::new(Heap::new(1 << 20).expect("memory"));
    let one = Stream::create(Arc::clone(&region), options()).expect("a stream");
    let other = Stream::open(region).expect("the stream");
    no_wake_up_is_lost(&[one, other]);
}

/// Over two attachments, so that each wake-up goes by the kernel.
#[test]
fn no_wake_up_is_lost_in_a_file() {
    let dir = Dir::shm("stream-futures");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, 1 << 20).expect("a region");
    let one = Stream::create(region, options()).expect("a stream");
    no_wake_up_is_lost(&[one, opened(&path)]);
}

#[test]
fn a_record_wakes_each_future_of_its_shard_alone() {
    let region = Heap::new(1 << 20).expect("memory");
    let stream = Stream::create(region, options()).expect("a stream");
    let (mut one, mut two, mut other) =
        (latest(&stream, 0), latest(&stream, 0), latest(&stream, 1));
    let woken = [Woken::new(), Woken::new(), Woken::new()];
    let mut futures = [&mut one, &mut two, &mut other].map(|cursor| Box::pin(cursor.read_async(9)));
    for (future, woken) in futures.iter_mut().zip(&woken) {
        assert!(poll(future.as_mut(), woken).is_pending());
    }
    for _ in 0..3 {
        put_in(&stream, 0, b"for two");
        assert_eq!(woken.each_ref().map(|woken| woken.count()), [1, 1, 0]);
    }
    let mut futures = futures.into_iter().zip(&woken);
    for (mut future, woken) in futures.by_ref().take(2) {
        let Poll::Ready(Ok(records)) = poll(future.as_mut(), woken) else {
            panic!("it was woken");
        };
        assert_eq!(records.len(), 3);
    }
    let (mut future, woken) = futures.next().expect("the third");
    assert!(poll(future.as_mut(), woken).is_pending());
}

#[test]
fn a_dropped_future_leaves_nothing() {
    let stream = Stream::create(Heap::new(1 << 20).expect("memory"), options());
    let stream = stream.expect("a stream");
    let woken = Woken::new();
    for _ in 0..3 {
        let mut cursors: Vec<_> = (0..63).map(|_| latest(&stream, 0)).collect();
        let mut last = latest(&stream, 1);
        let all = cursors.iter_mut().map(|cursor| cursor.read_async(1));
        let mut all: Vec<_> = all.map(Box::pin).collect();
        for future in &mut all {
            assert!(poll(future.as_mut(), &woken).is_pending());
        }
        assert!(poll(pin!(last.read_async(1)), &woken).is_pending());
        {
            let mut taken = Box::pin(last.read_async(1));
            assert!(poll(taken.as_mut(), &woken).is_pending());
            let mut more = latest(&stream, 1);
            let refused = block_on(more.read_async(1)).err();
            assert_eq!(refused, Some(Error::Waiters { max: 64 }));
        }
        put_in(&stream, 1, b"for one that is gone");
        assert_eq!(last.read(9).expect("a read").len(), 1, "it is where it was");
    }
    assert_eq!(woken.count(), 0);
    let refused = block_on(latest(&stream, 0).read_async(0)).err();
    assert!(matches!(refused, Some(Error::OutOfRange { value: 0, .. })));
}

#[test]
fn cursors_and_queues_are_waited_for_together() {
    let dir = Dir::shm("stream-any");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, 1 << 20).expect("a region");
    let here = Stream::create(region, options()).expect("a stream");
    let there = opened(&path);
    let heap = Stream::create(Heap::new(1 << 20).expect("memory"), options()).expect("a stream");
    let queue = Queue::create(Heap::new(1 << 16).expect("memory"), QueueOptions::new());
    let queue = queue.expect("a queue");
    let (mut a, mut b, mut c) = (latest(&here, 0), latest(&here, 1), latest(&heap, 1));
    for round in 0..40_u64 {
        let found = thread::scope(|scope| {
            let all: [&dyn ringmain::Waitable; 4] = [&a, &b, &c, &queue];
            let waiter = scope.spawn(move || block_on(wait_any_async(&all)));
            thread::sleep(Duration::from_millis(3 * (round % 5)));
            match round % 6 {
                0 => put_in(&here, 0, b"x"),
                1 => put_in(&here, 1, b"x"),
                2 => put_in(&heap, 1, b"x"),
                3 => queue.send(b"x").map(|_| ()).expect("sent"),
                shard => put_in(&there, shard as u32 - 4, b"x"),
            }
            waiter.join().expect("ends").expect("found")
        });
        assert_eq!(found as u64, round % 6 % 4);
        let read = match found {
            0 => a.read(9).expect("a read").len(),
            1 => b.read(9).expect("a read").len(),
            2 => c.read(9).expect("a read").len(),
            _ => {
                let received = queue.receive().expect("received").expect("a message");
                received.delete().map(|()| 1).expect("deleted")
            }
        };
        assert_eq!(read, 1);
    }
}

#[test]
fn deaths_wake_futures() {
    const TEST: &str = "futures::deaths_wake_futures";
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let dir = Dir::shm("stream-future");
    let (path, stream) = created(&dir);
    for role in ["dies before it wakes", "claims", "dies before it wakes"] {
        let mut cursor = latest(&stream, 0);
        let mut victim = Ready::start(TEST, role, &path);
        if role == "claims" {
            stream.put("a", b"behind it").expect("room");
        }
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let records = block_on(cursor.read_async(1)).expect("a read");
                assert_eq!(records.len(), 1);
                Instant::now()
            });
            thread::sleep(Duration::from_millis(60));
            let begun = Instant::now();
            match role {
                "claims" => victim.kill(),
                _ => victim.go(),
            }
            let took = reader.join().expect("ends") - begun;
            assert!(took < SOON, "{role}: {took:?}");
        });
    }
}

#[test]
fn a_claim_that_is_given_up_wakes_a_future() {
    let stream = Stream::create(Heap::new(1 << 20).expect("memory"), StreamOptions::new());
    let stream = stream.expect("a stream");
    let mut cursor = latest(&stream, 0);
    let (claim, woken) = (stream.claim("a", 5).expect("room"), Woken::new());
    let mut future = Box::pin(cursor.read_async(1));
    assert!(poll(future.as_mut(), &woken).is_pending());
    drop(claim);
    assert_eq!(woken.count(), 1);
    assert!(
        poll(future.as_mut(), &woken).is_pending(),
        "padding is nothing"
    );
    stream.put("a", b"1").expect("room");
    assert_eq!(woken.count(), 2);
    assert!(poll(future.as_mut(), &woken).is_ready());
}

/// What comes to a subscription, and each end of one, wakes its future, over processes too.
#[test]
fn a_subscription_is_a_row_of_futures() {
    let dir = Dir::shm("stream-subscription");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, 1 << 20).expect("a region");
    let here = Stream::create(region, options()).expect("a stream");
    let there = opened(&path);
    let consumer = here.register_consumer("audit").expect("a seat");
    let mut subscription = consumer
        .subscribe(ShardId::from_number(0), Start::Latest)
        .expect("free");
    for act in ["put", "put", "remove"] {
        let count = thread::scope(|scope| {
            let there = &there;
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(60));
                match act {
                    "put" => put_in(there, 0, b"x"),
                    _ => there.deregister_consumer("audit").expect("removed"),
                }
            });
            let records = block_on(subscription.next_records_async()).expect("a read");
            records.map(|records| records.len())
        });
        assert_eq!(count, (act == "put").then_some(1), "{act}");
    }
    assert_eq!(subscription.end(), Some(SubscriptionEnd::Deregistered));
    let ended = block_on(subscription.next_records_async());
    assert!(ended.expect("it has ended").is_none());
    // One that is taken over, and one whose time is over, find it when they are polled.
    let clock = ringmain::ManualClock::new(1_000_000);
    let heap = Stream::create_with(Heap::new(1 << 20).expect("memory"), options(), &clock);
    let heap = heap.expect("a stream");
    let consumer = heap.register_consumer("audit").expect("a seat");
    let subscribe = || consumer.subscribe(ShardId::from_number(0), Start::Latest);
    let (mut first, woken) = (subscribe().expect("free"), Woken::new());
    let mut future = Box::pin(first.next_records_async());
    assert!(poll(future.as_mut(), &woken).is_pending());
    clock.advance(Duration::from_secs(5));
    let mut second = subscribe().expect("taken over");
    assert_eq!(woken.count(), 1);
    assert!(matches!(
        poll(future.as_mut(), &woken),
        Poll::Ready(Ok(None))
    ));
    drop(future);
    assert_eq!(first.end(), Some(SubscriptionEnd::TakenOver));
    clock.advance(Duration::from_secs(300));
    let ended = block_on(second.next_records_async());
    assert!(ended.expect("an end").is_none());
    assert_eq!(second.end(), Some(SubscriptionEnd::Expired));
}
