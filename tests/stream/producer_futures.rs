//! Producers on an executor: what waits is put when it is due, by a timer that the test has; and a
//! dropped future loses nothing and doubles nothing.

use ringmain::{
    Error, FullPolicy, Heap, ManualClock, ProducerOptions, PutOutcome, ShardId, Start, Stream,
    StreamEntry, StreamOptions, StreamProducer,
};
use std::cell::Cell;
use std::future::{Future, poll_fn, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

type Producing<'s, 'c> = StreamProducer<'s, Heap, &'c ManualClock>;

/// What a shard's quota lets through in a second, at once.
const QUOTA: u64 = 1000;

fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The result of a future that waits for nothing but a sleep that is ready at once.
fn done<T>(future: impl Future<Output = T>) -> T {
    match poll(pin!(future)) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits for something else than the time"),
    }
}

fn stream(clock: &ManualClock) -> Stream<Heap, &ManualClock> {
    let options = StreamOptions::new().full(FullPolicy::Evict).quota(true);
    let region = Heap::new(4 << 20).expect("memory");
    Stream::create_with(region, options, clock).expect("a stream")
}

fn outcomes(producer: &mut Producing<'_, '_>) -> Vec<PutOutcome> {
    std::iter::from_fn(|| producer.next_outcome()).collect()
}

/// The numbers that were put, in the order of the shard.
fn numbers(stream: &Stream<Heap, &ManualClock>, clock: &ManualClock) -> Vec<u64> {
    let shard = ShardId::from_number(0);
    let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
    let mut all = Vec::new();
    loop {
        clock.advance(Duration::from_secs(1)); // reads have a quota too
        let records = cursor.read(500).expect("records");
        if records.is_empty() {
            return all;
        }
        let number = |data: &[u8]| u64::from_le_bytes(data.try_into().expect("a number"));
        all.extend(records.iter().map(|record| number(record.data())));
    }
}

/// Half as many again as the quota lets through: they come in order, each once, and in the time
/// that the quota wants, by sleeps of what `next_due` says.
#[test]
fn what_is_refused_is_put_when_it_is_due() {
    let clock = ManualClock::new(1_000_000);
    let stream = stream(&clock);
    let options = ProducerOptions::new().records(2000).bytes(1 << 20);
    let mut producer = StreamProducer::new(&stream, options).expect("a producer");
    let count = QUOTA * 3 / 2;
    for n in 0..count {
        producer.put("a", &n.to_le_bytes()).expect("room");
    }
    let slept = Cell::new(Duration::ZERO);
    let sleep = |due: Duration| {
        slept.set(slept.get() + due);
        clock.advance(due);
        ready(())
    };
    done(producer.flush_async(sleep)).expect("all of them");
    assert_eq!(producer.waiting(), 0);
    let told = outcomes(&mut producer);
    assert_eq!(told.len() as u64, count);
    assert!(told.iter().all(|outcome| outcome.result.is_ok()));
    assert!(
        told.iter().any(|outcome| outcome.attempts > 1),
        "none was refused"
    );
    let took = slept.get();
    assert!((400..5000).contains(&took.as_millis()), "{took:?}");
    drop(producer);
    assert_eq!(numbers(&stream, &clock), (0..count).collect::<Vec<_>>());
}

/// Room for a few records: who puts waits for it, and needs no other call.
#[test]
fn a_full_buffer_is_waited_for() {
    let clock = ManualClock::new(1_000_000);
    let stream = stream(&clock);
    let options = ProducerOptions::new().records(16).bytes(4096);
    let mut producer = StreamProducer::new(&stream, options).expect("a producer");
    let sleep = |due: Duration| {
        clock.advance(due);
        ready(())
    };
    let (count, mut told) = (QUOTA * 3 / 2, 0);
    let mut check = |outcome: PutOutcome| {
        assert_eq!(outcome.token.number(), told, "in order");
        outcome.result.expect("put");
        told += 1;
    };
    for n in 0..count {
        let data = n.to_le_bytes();
        let entry = StreamEntry::new("a", &data);
        let put = producer.put_async(&entry, sleep, &mut check);
        assert_eq!(done(put).expect("room, in time").number(), n);
    }
    done(producer.flush_async(sleep)).expect("the rest");
    outcomes(&mut producer).into_iter().for_each(check);
    assert_eq!(told, count);
    drop(producer);
    assert_eq!(numbers(&stream, &clock), (0..count).collect::<Vec<_>>());
}

/// What can never be a record is told at once.
#[test]
fn what_is_no_record_is_not_waited_for() {
    let clock = ManualClock::new(1_000_000);
    let stream = stream(&clock);
    let options = ProducerOptions::new().records(4).bytes(4096);
    let mut producer = StreamProducer::new(&stream, options).expect("a producer");
    let never = |_| poll_fn(|_| Poll::<()>::Pending);
    let data = [0; 8000];
    let long = StreamEntry::new("a", &data);
    let long = done(producer.put_async(&long, never, |_| {}));
    assert!(matches!(long, Err(Error::DataTooLong { .. })), "{long:?}");
    let nameless = StreamEntry::new("", b"1");
    let nameless = done(producer.put_async(&nameless, never, |_| {}));
    assert!(
        matches!(nameless, Err(Error::PartitionKey { .. })),
        "{nameless:?}"
    );
    done(producer.flush_async(never)).expect("nothing waits");
}

/// A future that is dropped while it sleeps: what waits goes on waiting, and is put once.
#[test]
fn a_dropped_future_loses_nothing() {
    let clock = ManualClock::new(1_000_000);
    let stream = stream(&clock);
    let options = ProducerOptions::new().records(2000).bytes(1 << 20);
    let mut producer = StreamProducer::new(&stream, options).expect("a producer");
    let count = QUOTA * 3 / 2;
    for n in 0..count {
        producer.put("a", &n.to_le_bytes()).expect("room");
    }
    let mut drops = 0;
    // Each future sees one sleep begin, and is dropped in it.
    loop {
        let never = |due: Duration| {
            clock.advance(due);
            poll_fn(|_| Poll::<()>::Pending)
        };
        if poll(pin!(producer.flush_async(never))).is_ready() {
            break;
        }
        drops += 1;
    }
    assert!(drops > 1, "nothing was waited for");
    let told = outcomes(&mut producer);
    assert!(told.iter().all(|outcome| outcome.result.is_ok()));
    assert_eq!(told.len() as u64, count);
    drop(producer);
    assert_eq!(numbers(&stream, &clock), (0..count).collect::<Vec<_>>());
}
