//! The homes: each gives a check a FIFO queue of the same options.

use super::common::Dir;
use ringmain::{
    Borrowed, FifoOptions, FifoQueue, FifoSent, FixedFifo, Heap, ManualClock, Mapped, QueueStats,
    Received, Region,
};
use std::cell::Cell;
use std::time::Duration;

/// The visibility timeout of each queue under test.
pub const VISIBILITY: Duration = Duration::from_secs(30);
/// Bytes of each region.
const BYTES: usize = 512 << 10;

/// Memory that comes with its queue: seven blocks, the last not whole, and 128 attempts.
pub type Whole = FixedFifo<400, 128, 512, 7, 16>;

/// A queue under test.
type Queue<'c, R> = FifoQueue<R, &'c ManualClock>;

/// A received message of a queue under test.
pub type Got<'a, R> = Received<'a, R, &'a ManualClock>;

/// An empty queue and its clock.
pub struct Ground<'a, R: Region> {
    pub queue: &'a FifoQueue<R, &'a ManualClock>,
    pub clock: &'a ManualClock,
    /// Makes another queue of the same home.
    make: &'a Make<'a, R>,
}

/// Makes a queue of a home.
type Make<'a, R> = dyn for<'c> Fn(FifoOptions, &'c ManualClock) -> Queue<'c, R> + 'a;

impl<'a, R: Region> Ground<'a, R> {
    /// Sends a message whose body is its deduplication id.
    #[track_caller]
    pub fn send(&self, group: &str, id: &str) -> FifoSent {
        let sent = self.queue.send(group, id, id.as_bytes());
        sent.expect("room for a message")
    }

    /// Receives up to `max`: their groups and bodies.
    #[track_caller]
    pub fn receive(&self, max: usize) -> Vec<Got<'a, R>> {
        let batch = self.queue.receive_batch(max).expect("a receive");
        batch.into_iter().collect()
    }

    /// Receives up to `max`, which must be these bodies in this order.
    #[track_caller]
    pub fn receive_these(&self, max: usize, bodies: &[&str]) -> Vec<Got<'a, R>> {
        let received = self.receive(max);
        assert_eq!(bodies_of(&received), bodies);
        received
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    #[track_caller]
    pub fn stat(&self) -> QueueStats {
        self.queue.stat().expect("figures")
    }

    /// Another queue of the same home, with other options.
    #[track_caller]
    pub fn with(&self, options: FifoOptions, check: impl Fn(&Ground<'_, R>)) {
        checked(options, self.make, check);
    }
}

/// The bodies of received messages, as text.
pub fn bodies_of<R: Region>(received: &[Got<'_, R>]) -> Vec<String> {
    let text = |got: &Got<'_, R>| String::from_utf8_lossy(got.body()).into_owned();
    received.iter().map(text).collect()
}

/// Deletes them all.
#[track_caller]
pub fn delete<R: Region>(received: Vec<Got<'_, R>>) {
    for got in received {
        got.delete().expect("a delete");
    }
}

/// What the queues under test have, unless a check asks for other options.
pub const OPTIONS: FifoOptions = FifoOptions::new().visibility(VISIBILITY).dedup_ids(512);

fn checked<R: Region>(options: FifoOptions, make: &Make<'_, R>, check: impl Fn(&Ground<'_, R>)) {
    let clock = ManualClock::new(1_000_000);
    let queue = make(options, &clock);
    let ground = Ground {
        queue: &queue,
        clock: &clock,
        make,
    };
    check(&ground);
    settled(&ground);
}

/// Empties the queue; then every slot is free.
fn settled<R: Region>(ground: &Ground<'_, R>) {
    ground.clock.advance(Duration::from_secs(12 * 3600));
    loop {
        let received = ground.receive(10);
        if received.is_empty() {
            break;
        }
        delete(received);
    }
    let stat = ground.queue.stat().expect("figures");
    assert_eq!(stat.visible + stat.in_flight + stat.delayed, 0, "{stat:?}");
    assert_eq!(stat.slots_free, stat.slots, "slots have leaked");
}

/// A check of queues in regions that `region` makes.
fn in_regions<R: Region>(region: impl Fn() -> R, check: fn(&Ground<'_, R>)) {
    fn made<R: Region>(region: R, options: FifoOptions, clock: &ManualClock) -> Queue<'_, R> {
        FifoQueue::create_with(region, options, clock).expect("a queue")
    }
    checked(
        OPTIONS,
        &|options, clock| made(region(), options, clock),
        check,
    );
}

pub fn in_a_value(check: fn(&Ground<'_, Whole>)) {
    checked(
        OPTIONS,
        &|options, clock| FifoQueue::fixed(clock, options),
        check,
    );
}

pub fn in_borrowed_bytes(check: fn(&Ground<'_, Borrowed<'static>>)) {
    let dirty = || Borrowed::new(vec![0xa5; BYTES].leak());
    in_regions(dirty, check);
}

pub fn in_the_heap(check: fn(&Ground<'_, Heap>)) {
    in_regions(|| Heap::new(BYTES).expect("memory"), check);
}

fn mapped(dir: &Dir, check: fn(&Ground<'_, Mapped>)) {
    let count = Cell::new(0);
    let another = || {
        count.set(count.get() + 1);
        let path = dir.file(&format!("{}.ring", count.get()));
        Mapped::create(path, BYTES as u64).expect("a region")
    };
    in_regions(another, check);
}

pub fn in_a_file(check: fn(&Ground<'_, Mapped>)) {
    mapped(&Dir::new("fifo"), check);
}

pub fn in_shared_memory(check: fn(&Ground<'_, Mapped>)) {
    mapped(&Dir::shm("fifo"), check);
}
