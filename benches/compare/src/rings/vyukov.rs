//! Peers with many producers and consumers that stop when a claimant is stopped in mid-operation:
//! rings with a sequence number in each slot (Vyukov's and its kin), and channels with a lock.

use std::num::NonZeroUsize;

use super::{
    drive,
    peer::{Peer, Receiver, Sender, TEN, Tally, clones},
};
use crate::sample::Row;

/// Adds them all.
pub fn add(rows: &mut Vec<Row>, capacity: usize) {
    const MPMC: &str = "MPMC";
    drive::mpmc::<Gil>(rows, MPMC, capacity, &[]);
    drive::mpmc::<GilSharded>(rows, "sharded", capacity, &[]);
    drive::mpmc::<array_queue::Array>(rows, MPMC, capacity, &[]);
    drive::mpmc::<Channel>(rows, MPMC, capacity, &[]);
    drive::mpmc::<Crossfire>(rows, MPMC, capacity, &[]);
    drive::mpmc::<Kanal>(rows, MPMC, capacity, &[]);
    drive::mpmc::<concurrent::Concurrent>(rows, MPMC, capacity, &[]);
    drive::mpmc::<parkring_vyukov::Parkring>(rows, MPMC, capacity, &[]);
    match capacity {
        1024 => drive::mpmc::<heapless_1024::Heapless>(rows, MPMC, capacity, &[]),
        65_536 => drive::mpmc::<heapless_65536::Heapless>(rows, MPMC, capacity, &[]),
        _ => {}
    }
}

struct Gil;

impl Sender for gil::mpmc::Sender<u64> {
    #[inline(always)]
    fn push(&mut self, value: u64) -> bool {
        self.try_send(value).is_ok()
    }
}

impl Receiver for gil::mpmc::Receiver<u64> {
    #[inline(always)]
    fn pop(&mut self) -> Option<u64> {
        self.try_recv()
    }
}

impl Peer for Gil {
    const NAME: &'static str = "gil 0.9.0 mpmc `*`";
    type Sender = gil::mpmc::Sender<u64>;
    type Receiver = gil::mpmc::Receiver<u64>;

    fn open(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        let (sender, receiver) = gil::mpmc::channel(capacity);
        (clones(sender, senders), clones(receiver, receivers))
    }
}

/// The capacity is shared out among as many shards as there are senders.
struct GilSharded;

impl Sender for gil::mpmc::sharded::Sender<u64> {
    #[inline(always)]
    fn push(&mut self, value: u64) -> bool {
        self.try_send(value).is_ok()
    }

    #[inline(always)]
    fn push_many(&mut self, values: &[u64]) -> usize {
        let room = self.write_buffer();
        let count = room.len().min(values.len());
        for (slot, &value) in room.iter_mut().zip(values) {
            slot.write(value);
        }
        // SAFETY: the first `count` slots of the buffer just handed out were written above.
        unsafe { self.commit(count) };
        count
    }
}

impl Receiver for gil::mpmc::sharded::Receiver<u64> {
    #[inline(always)]
    fn pop(&mut self) -> Option<u64> {
        self.try_recv()
    }

    #[inline(always)]
    fn pop_many(&mut self, tally: &mut Tally) -> usize {
        let mut guard = self.read_guard();
        let count = guard.len().min(TEN);
        tally.add_all(&guard.as_slice()[..count]);
        guard.advance(count);
        count
    }
}

impl Peer for GilSharded {
    const NAME: &'static str = "gil 0.9.0 mpmc::sharded";
    type Sender = gil::mpmc::sharded::Sender<u64>;
    type Receiver = gil::mpmc::sharded::Receiver<u64>;

    fn open(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let shards = NonZeroUsize::new(senders.max(receivers).next_power_of_two());
        let shards = shards.unwrap_or(NonZeroUsize::MIN);
        let each = NonZeroUsize::new(capacity / shards).unwrap_or(NonZeroUsize::MIN);
        let (sender, receiver) = gil::mpmc::sharded::channel(shards, each);
        let more_senders: Vec<_> = (1..senders).map_while(|_| sender.try_clone()).collect();
        let more_receivers: Vec<_> = (1..receivers).map_while(|_| receiver.try_clone()).collect();
        let senders = [sender].into_iter().chain(more_senders).collect();
        (
            senders,
            [receiver].into_iter().chain(more_receivers).collect(),
        )
    }
}

struct Channel;

impl Sender for crossbeam_channel::Sender<u64> {
    #[inline(always)]
    fn push(&mut self, value: u64) -> bool {
        self.try_send(value).is_ok()
    }
}

impl Receiver for crossbeam_channel::Receiver<u64> {
    #[inline(always)]
    fn pop(&mut self) -> Option<u64> {
        self.try_recv().ok()
    }
}

impl Peer for Channel {
    const NAME: &'static str = "crossbeam-channel 0.5.17 `*`";
    type Sender = crossbeam_channel::Sender<u64>;
    type Receiver = crossbeam_channel::Receiver<u64>;

    fn open(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let (sender, receiver) = crossbeam_channel::bounded(capacity);
        (clones(sender, senders), clones(receiver, receivers))
    }
}

struct Crossfire;
type CrossfireSender = crossfire::MTx<crossfire::mpmc::Array<u64>>;
type CrossfireReceiver = crossfire::MRx<crossfire::mpmc::Array<u64>>;

impl Sender for CrossfireSender {
    #[inline(always)]
    fn push(&mut self, value: u64) -> bool {
        self.try_send(value).is_ok()
    }
}

impl Receiver for CrossfireReceiver {
    #[inline(always)]
    fn pop(&mut self) -> Option<u64> {
        self.try_recv().ok()
    }
}

impl Peer for Crossfire {
    const NAME: &'static str = "crossfire 3.1.22 `*`";
    type Sender = CrossfireSender;
    type Receiver = CrossfireReceiver;

    fn open(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let (sender, receiver) = crossfire::mpmc::bounded_blocking(capacity);
        (clones(sender, senders), clones(receiver, receivers))
    }
}

struct Kanal;

/// Its batch receive fills a vector, which is kept.
struct KanalReceiver {
    side: kanal::Receiver<u64>,
    taken: Vec<u64>,
}

impl Sender for kanal::Sender<u64> {
    #[inline(always)]
    fn push(&mut self, value: u64) -> bool {
        self.try_send(value).unwrap_or(false)
    }
}

impl Receiver for KanalReceiver {
    #[inline(always)]
    fn pop(&mut self) -> Option<u64> {
        self.side.try_recv().ok().flatten()
    }

    #[inline(always)]
    fn pop_many(&mut self, tally: &mut Tally) -> usize {
        self.taken.clear();
        let _ = self.side.drain_into(&mut self.taken);
        tally.add_all(&self.taken)
    }
}

impl Peer for Kanal {
    const NAME: &'static str = "kanal 0.1.1";
    type Sender = kanal::Sender<u64>;
    type Receiver = KanalReceiver;

    fn open(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let (sender, receiver) = kanal::bounded(capacity);
        let receivers = clones(receiver, receivers)
            .into_iter()
            .map(|side| KanalReceiver {
                side,
                taken: Vec::with_capacity(capacity),
            })
            .collect();
        (clones(sender, senders), receivers)
    }
}

mod array_queue {
    use crossbeam_queue::ArrayQueue;

    crate::shared_peer!(
        Array,
        "crossbeam ArrayQueue 0.3.14 `*`",
        ArrayQueue<u64>,
        |capacity| ArrayQueue::new(capacity),
        |queue, value| queue.push(value).is_ok(),
        |queue| queue.pop()
    );
}

mod concurrent {
    use concurrent_queue::ConcurrentQueue;

    crate::shared_peer!(
        Concurrent,
        "concurrent-queue 2.5.0 `*`",
        ConcurrentQueue<u64>,
        |capacity| ConcurrentQueue::bounded(capacity),
        |queue, value| queue.push(value).is_ok(),
        |queue| queue.pop().ok()
    );
}

mod parkring_vyukov {
    use parkring::LockFreeQueue;

    crate::shared_peer!(
        Parkring,
        "parkring 1.0.0 LockFreeQueue `*`",
        LockFreeQueue<u64>,
        |capacity| LockFreeQueue::new(capacity),
        |queue, value| queue.try_push(value).is_ok(),
        |queue| queue.try_pop().ok()
    );
}

mod heapless_1024 {
    #![expect(
        deprecated,
        reason = "measured as what it is: deprecated for not being lock-free"
    )]

    crate::shared_peer!(
        Heapless, "heapless 0.9.3 mpmc (deprecated) `*`", heapless::mpmc::Queue<u64, 1024>,
        |_capacity| heapless::mpmc::Queue::new(),
        |queue, value| queue.enqueue(value).is_ok(), |queue| queue.dequeue()
    );
}

mod heapless_65536 {
    #![expect(
        deprecated,
        reason = "measured as what it is: deprecated for not being lock-free"
    )]

    crate::shared_peer!(
        Heapless, "heapless 0.9.3 mpmc (deprecated) `*`", heapless::mpmc::Queue<u64, 65_536>,
        |_capacity| heapless::mpmc::Queue::new(),
        |queue, value| queue.enqueue(value).is_ok(), |queue| queue.dequeue()
    );
}
