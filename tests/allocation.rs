//! The data path makes no allocation: a counting allocator watches each operation, one by one and
//! in batches, by handle and by receipt, in each home. That the counter counts is shown by an
//! allocation made on purpose.
#![cfg(all(feature = "mapped", not(ringmain_loom)))]

mod common;

use common::{Dir, cycle};
use ringmain::{Clock, Fixed, Heap, ManualClock, Mapped, Queue, QueueOptions, Region, SystemClock};
#[cfg(feature = "stream")]
use ringmain::{FullPolicy, Stream, StreamOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
#[cfg(feature = "fifo")]
use {
    ringmain::{Error, FifoEntry, FifoOptions, FifoQueue, FixedFifo, Message},
    std::time::Duration,
};

/// Counts what this thread asks for.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

fn asked() {
    ASKED.with(|asked| asked.set(asked.get() + 1));
}

// SAFETY: hands each call on to the system's allocator unchanged; the counter is a plain cell of
// the thread, without a destructor, so that touching it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        asked();
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        asked();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        asked();
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, len) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        asked();
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often `f` asked the allocator for something, giving back included.
fn asked_by(f: impl FnOnce()) -> u64 {
    let before = ASKED.with(Cell::get);
    f();
    ASKED.with(Cell::get) - before
}

fn asks_for_nothing<R: Region, C: Clock>(queue: &Queue<R, C>) {
    for round in 0..20 {
        let mut right = false;
        let asked = asked_by(|| right = cycle::run(queue));
        assert!(right, "each operation did what it should, round {round}");
        assert_eq!(asked, 0, "calls to the allocator in round {round}");
    }
}

#[test]
fn a_static_queue_allocates_nothing() {
    static CLOCK: ManualClock = ManualClock::new(0);
    static QUEUE: Queue<Fixed<70, 100, 2>, &ManualClock> =
        Queue::fixed(&CLOCK, QueueOptions::new());
    asks_for_nothing(&QUEUE);
}

#[test]
fn a_heap_queue_allocates_once() {
    let region = Heap::new(1 << 18).expect("memory");
    let queue = Queue::create_with(&region, QueueOptions::new(), SystemClock).expect("a queue");
    asks_for_nothing(&queue);
}

#[test]
fn a_mapped_queue_allocates_nothing() {
    for dir in [Dir::new("allocation"), Dir::shm("allocation")] {
        let region = Mapped::create(dir.file("q.ring"), 1 << 18).expect("a region");
        let queue = Queue::create_with(&region, QueueOptions::new(), SystemClock).expect("a queue");
        asks_for_nothing(&queue);
        queue.tend().expect("a look at the others");
        let asked = asked_by(|| {
            queue.tend().map(|_| ()).unwrap_or(());
        });
        assert_eq!(asked, 0, "calls to the allocator by tend");
    }
}

/// Each operation of a FIFO queue's data path once. `true`: each did what it should.
#[cfg(feature = "fifo")]
fn groups<R: Region, C: Clock>(queue: &FifoQueue<R, C>, round: u32) -> Result<bool, Error> {
    const MINUTE: Duration = Duration::from_secs(60);
    let long = [b'x'; 120];
    let mut id = [b'a'; 124];
    id[..4].copy_from_slice(&round.to_be_bytes().map(|byte| b'a' + byte % 26));
    let id = std::str::from_utf8(&id).unwrap_or("id");
    let first = queue.send("group", &id[..40], b"one")?;
    let again = queue.send("other", &id[..40], b"one")?;
    let digest = queue.send(id, id, &long)?; // several slots, and a digest of the id
    let content = queue.send("group", None, &id.as_bytes()[..30])?;
    let message = Message::new("two")
        .group("third")
        .deduplication_id(&id[..50]);
    queue.send_message(&message.integer("number", 7)?)?;
    let entries = [1, 2, 3].map(|len| FifoEntry::new("batch", id).id(&id[..len + 3]));
    let batch = queue.send_batch(&entries)?;
    let mut right = again.sequence == first.sequence && !digest.is_duplicate;
    right &= !content.is_duplicate && batch.iter().all(|sent| sent.is_ok());
    let Some(mut got) = queue.receive()? else {
        return Ok(false);
    };
    right &= got.body() == b"one" && got.group() == Some("group");
    got.extend(MINUTE)?;
    got.release()?;
    let held = queue.receive_batch_for(1, MINUTE)?;
    right &= queue.peek()?.is_some() && held.delete().iter().all(|one| one.is_ok());
    let mut buffer = [0; 200];
    let Some(copied) = queue.receive_into(&mut buffer)? else {
        return Ok(false);
    };
    queue.extend(&copied.receipt, MINUTE)?;
    queue.delete(&copied.receipt)?;
    let mut left = 5;
    while left != 0 {
        let unheard = queue.receive_batch_attempt(10, &id[..9])?;
        let batch = queue.receive_batch_attempt(10, &id[..9])?;
        left -= batch.len();
        right &= unheard.len() == batch.len();
        if batch.is_empty() || batch.delete().iter().any(|one| one.is_err()) {
            return Ok(false);
        }
    }
    let stat = queue.stat()?;
    Ok(right && queue.receive()?.is_none() && stat.slots_free == stat.slots)
}

#[cfg(feature = "fifo")]
#[test]
fn a_fifo_queue_allocates_nothing() {
    const OPTIONS: FifoOptions = FifoOptions::new().content_dedup(true);
    fn asks_for_nothing<R: Region, C: Clock>(queue: &FifoQueue<R, C>) {
        for round in 0..20 {
            let mut right = Ok(false);
            let asked = asked_by(|| right = groups(queue, round));
            assert_eq!(right, Ok(true), "round {round}");
            assert_eq!(asked, 0, "calls to the allocator in round {round}");
        }
    }
    fn asks_for_nothing_in<R: Region>(region: R) {
        let queue = FifoQueue::create_with(region, OPTIONS, SystemClock).expect("a queue");
        asks_for_nothing(&queue);
    }
    static QUEUE: FifoQueue<FixedFifo<70, 400, 256, 2, 2>, SystemClock> =
        FifoQueue::fixed(SystemClock, OPTIONS);
    asks_for_nothing(&QUEUE);
    asks_for_nothing_in(Heap::new(1 << 18).expect("memory"));
    let dir = Dir::shm("allocation");
    asks_for_nothing_in(Mapped::create(dir.file("q.ring"), 1 << 18).expect("a region"));
}

#[cfg(feature = "stream")]
#[test]
fn a_stream_allocates_nothing() {
    fn asks_for_nothing<R: Region>(region: R) {
        // So small that segments are given up all the time.
        let options = StreamOptions::new().full(FullPolicy::Evict);
        let stream = Stream::create_with(region, options, SystemClock).expect("a stream");
        for round in 0..100 {
            let mut right = false;
            let asked = asked_by(|| right = common::log::run(&stream));
            assert!(right, "each operation did what it should, round {round}");
            assert_eq!(asked, 0, "calls to the allocator in round {round}");
        }
        let stat = stream
            .stat(stream.shard_of(0).expect("a shard"))
            .expect("figures");
        assert!(stat.evicted_segments > 10, "{stat:?}");
    }
    asks_for_nothing(Heap::new(1 << 16).expect("memory"));
    let dir = Dir::shm("allocation");
    asks_for_nothing(Mapped::create(dir.file("q.ring"), 1 << 16).expect("a region"));
}

/// What waits for the disk makes system calls, and asks for no memory.
#[cfg(feature = "stream")]
#[test]
fn a_stream_that_survives_the_machine_allocates_nothing() {
    let dir = Dir::shm("allocation");
    let region = Mapped::create(dir.file("kept.ring"), 1 << 17).expect("a region");
    let options = StreamOptions::new()
        .full(FullPolicy::Evict)
        .durability(ringmain::Durability::BeforeOk);
    let stream = Stream::create_with(&region, options, SystemClock).expect("a stream");
    for round in 0..100 {
        let mut right = false;
        let asked = asked_by(|| right = common::log::run(&stream) && stream.sync().is_ok());
        assert!(right, "each operation did what it should, round {round}");
        assert_eq!(asked, 0, "calls to the allocator in round {round}");
    }
    let stat = stream
        .stat(stream.shard_of(0).expect("a shard"))
        .expect("figures");
    assert!(stat.evicted_segments > 3, "{stat:?}");
}

#[cfg(feature = "stream")]
#[test]
fn a_consumer_allocates_nothing() {
    fn asks_for_nothing<R: Region>(region: R) {
        let options = StreamOptions::new().quota(true).full(FullPolicy::Evict);
        let stream = Stream::create_with(region, options, SystemClock).expect("a stream");
        let works = |round: u32| {
            let consumer = stream.register_consumer("audit")?;
            let shard = stream.put("k", &round.to_le_bytes())?.shard;
            let mut subscription = consumer.subscribe(shard, ringmain::Start::Oldest)?;
            let read = subscription.next_records()?.map(|records| records.len());
            subscription.renew()?;
            let count = stream.consumers()?.count();
            stream.deregister_consumer("audit")?;
            let over = subscription.next_records()?.is_none();
            Ok::<bool, ringmain::Error>(read.is_some() && count == 1 && over)
        };
        for round in 0..100 {
            let mut right = Ok(false);
            let asked = asked_by(|| right = works(round));
            assert_eq!(right, Ok(true), "round {round}");
            assert_eq!(asked, 0, "calls to the allocator in round {round}");
        }
    }
    asks_for_nothing(Heap::new(1 << 16).expect("memory"));
    let dir = Dir::shm("allocation");
    asks_for_nothing(Mapped::create(dir.file("q.ring"), 1 << 16).expect("a region"));
}

#[cfg(feature = "stream")]
#[test]
fn a_producer_allocates_nothing() {
    use ringmain::{ProducerOptions, StreamProducer};
    let region = Heap::new(1 << 18).expect("memory");
    let options = StreamOptions::new().full(FullPolicy::Evict).max_shards(3);
    let stream = Stream::create_with(&region, options, SystemClock).expect("a stream");
    for options in [
        ProducerOptions::new().bytes(4096),
        ProducerOptions::new().bytes(4096).aggregate(1000),
    ] {
        let options = options.linger(std::time::Duration::from_secs(1));
        let mut producer = StreamProducer::new(&stream, options).expect("a producer");
        let (mut told, mut refused) = (0, 0);
        let asked = asked_by(|| {
            for n in 0..20_000_u32 {
                let len = n as usize * 7 % 300;
                refused += u32::from(producer.put("boiler-7", &[7; 300][..len]).is_err());
                while let Some(outcome) = producer.next_outcome() {
                    refused += u32::from(outcome.result.is_err());
                    told += 1;
                }
            }
            refused += u32::from(producer.flush().is_err());
        });
        assert_eq!((told > 19_900, refused), (true, 0), "{told}");
        assert_eq!(asked, 0, "calls to the allocator");
    }
}

#[test]
fn an_allocation_made_on_purpose_is_counted() {
    let region = Heap::new(1 << 18).expect("memory");
    let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
    let asked = asked_by(|| {
        assert!(cycle::run(&queue));
        std::hint::black_box(vec![0u8; 100]);
    });
    assert_eq!(asked, 2, "one allocation, and its return");
}
