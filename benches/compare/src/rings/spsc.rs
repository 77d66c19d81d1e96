//! Peers with one producer and one consumer.

use std::num::NonZeroUsize;

use super::{
    drive,
    peer::{Peer, Receiver, Sender, TEN, Tally},
};
use crate::sample::Row;

/// Adds them all.
pub fn add(rows: &mut Vec<Row>, capacity: usize) {
    drive::spsc::<Rtrb>(rows, capacity, &[]);
    drive::spsc_tens::<RtrbChunks>(rows, capacity, &[]);
    drive::spsc::<Gil>(rows, capacity, &[]);
    drive::spsc::<Nexus>(rows, capacity, &[]);
    drive::spsc::<Ringbuf>(rows, capacity, &[]);
    match capacity {
        1024 => drive::spsc::<Heapless<1024>>(rows, capacity, &[]),
        65_536 => drive::spsc::<Heapless<65_536>>(rows, capacity, &[]),
        _ => {}
    }
    drive::spsc::<Disruptor>(rows, capacity, &[]);
}

struct Rtrb;

impl Sender for rtrb::Producer<u64> {
    #[inline(always)]
    fn push(&mut self, value: u64) -> bool {
        self.push(value).is_ok()
    }

    #[inline(always)]
    fn push_many(&mut self, values: &[u64]) -> usize {
        self.push_partial_slice(values).0.len()
    }
}

impl Receiver for rtrb::Consumer<u64> {
    #[inline(always)]
    fn pop(&mut self) -> Option<u64> {
        self.pop().ok()
    }

    #[inline(always)]
    fn pop_many(&mut self, tally: &mut Tally) -> usize {
        let mut values = [0; TEN];
        tally.add_all(self.pop_partial_slice(&mut values).0)
    }
}

impl Peer for Rtrb {
    const NAME: &'static str = "rtrb 0.4.1";
    type Sender = rtrb::Producer<u64>;
    type Receiver = rtrb::Consumer<u64>;

    fn open(capacity: usize, _: usize, _: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let (sender, receiver) = rtrb::RingBuffer::new(capacity);
        (vec![sender], vec![receiver])
    }
}

/// Tens are looked at where they lie.
struct RtrbChunks;
struct RtrbInPlace(rtrb::Consumer<u64>);

impl Receiver for RtrbInPlace {
    #[inline(always)]
    fn pop(&mut self) -> Option<u64> {
        self.0.pop().ok()
    }

    #[inline(always)]
    fn pop_many(&mut self, tally: &mut Tally) -> usize {
        let chunk = match self.0.read_chunk(TEN) {
            Err(rtrb::chunks::ChunkError::TooFewSlots(0)) => return 0,
            Err(rtrb::chunks::ChunkError::TooFewSlots(count)) => self.0.read_chunk(count),
            full => full,
        };
        let Ok(chunk) = chunk else { return 0 };
        let (first, second) = chunk.as_slices();
        tally.add_all(first);
        tally.add_all(second);
        let count = chunk.len();
        chunk.commit_all();
        count
    }
}

impl Peer for RtrbChunks {
    const NAME: &'static str = "rtrb 0.4.1, tens read in place";
    type Sender = rtrb::Producer<u64>;
    type Receiver = RtrbInPlace;

    fn open(capacity: usize, _: usize, _: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let (sender, receiver) = rtrb::RingBuffer::new(capacity);
        (vec![sender], vec![RtrbInPlace(receiver)])
    }
}

struct Gil;

impl Sender for gil::spsc::Sender<u64> {
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

impl Receiver for gil::spsc::Receiver<u64> {
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

impl Peer for Gil {
    const NAME: &'static str = "gil 0.9.0 spsc";
    type Sender = gil::spsc::Sender<u64>;
    type Receiver = gil::spsc::Receiver<u64>;

    fn open(capacity: usize, _: usize, _: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        let (sender, receiver) = gil::spsc::channel(capacity);
        (vec![sender], vec![receiver])
    }
}

struct Nexus;

impl Sender for nexus_queue::spsc::Producer<u64> {
    #[inline(always)]
    fn push(&mut self, value: u64) -> bool {
        (*self).push(value).is_ok()
    }
}

impl Receiver for nexus_queue::spsc::Consumer<u64> {
    #[inline(always)]
    fn pop(&mut self) -> Option<u64> {
        (*self).pop()
    }
}

impl Peer for Nexus {
    const NAME: &'static str = "nexus-queue 1.3.1 `*`";
    type Sender = nexus_queue::spsc::Producer<u64>;
    type Receiver = nexus_queue::spsc::Consumer<u64>;

    fn open(capacity: usize, _: usize, _: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let (sender, receiver) = nexus_queue::spsc::ring_buffer(capacity);
        (vec![sender], vec![receiver])
    }
}

struct Ringbuf;
struct RingbufSender(ringbuf::HeapProd<u64>);
struct RingbufReceiver(ringbuf::HeapCons<u64>);

impl Sender for RingbufSender {
    #[inline(always)]
    fn push(&mut self, value: u64) -> bool {
        ringbuf::traits::Producer::try_push(&mut self.0, value).is_ok()
    }

    #[inline(always)]
    fn push_many(&mut self, values: &[u64]) -> usize {
        ringbuf::traits::Producer::push_slice(&mut self.0, values)
    }
}

impl Receiver for RingbufReceiver {
    #[inline(always)]
    fn pop(&mut self) -> Option<u64> {
        ringbuf::traits::Consumer::try_pop(&mut self.0)
    }

    #[inline(always)]
    fn pop_many(&mut self, tally: &mut Tally) -> usize {
        let mut values = [0; TEN];
        let count = ringbuf::traits::Consumer::pop_slice(&mut self.0, &mut values);
        tally.add_all(&values[..count])
    }
}

impl Peer for Ringbuf {
    const NAME: &'static str = "ringbuf 0.6.0";
    type Sender = RingbufSender;
    type Receiver = RingbufReceiver;

    fn open(capacity: usize, _: usize, _: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let (sender, receiver) = ringbuf::traits::Split::split(ringbuf::HeapRb::new(capacity));
        (vec![RingbufSender(sender)], vec![RingbufReceiver(receiver)])
    }
}

/// Its capacity is part of the type, and one less than `N`.
struct Heapless<const N: usize>;

impl Sender for heapless::spsc::Producer<'static, u64> {
    #[inline(always)]
    fn push(&mut self, value: u64) -> bool {
        self.enqueue(value).is_ok()
    }
}

impl Receiver for heapless::spsc::Consumer<'static, u64> {
    #[inline(always)]
    fn pop(&mut self) -> Option<u64> {
        self.dequeue()
    }
}

impl<const N: usize> Peer for Heapless<N> {
    const NAME: &'static str = "heapless 0.9.3 spsc `*`";
    type Sender = heapless::spsc::Producer<'static, u64>;
    type Receiver = heapless::spsc::Consumer<'static, u64>;

    /// Leaks one queue a sample: its sides borrow it.
    fn open(_: usize, _: usize, _: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let queue: &'static mut heapless::spsc::Queue<u64, N> =
            Box::leak(Box::new(heapless::spsc::Queue::new()));
        let (sender, receiver) = queue.split();
        (vec![sender], vec![receiver])
    }
}

struct Disruptor;
type DisruptorSender = disruptor::SingleProducer<u64, disruptor::SingleConsumerBarrier>;
type DisruptorReceiver = disruptor::EventPoller<u64, disruptor::SingleProducerBarrier>;

impl Sender for DisruptorSender {
    #[inline(always)]
    fn push(&mut self, value: u64) -> bool {
        disruptor::Producer::try_publish(self, |slot| *slot = value).is_ok()
    }

    #[inline(always)]
    fn push_many(&mut self, values: &[u64]) -> usize {
        let published = disruptor::Producer::try_batch_publish(self, values.len(), |slots| {
            for (slot, &value) in slots.zip(values) {
                *slot = value;
            }
        });
        if published.is_ok() { values.len() } else { 0 }
    }
}

impl Receiver for DisruptorReceiver {
    #[inline(always)]
    fn pop(&mut self) -> Option<u64> {
        let mut events = self.take(1).ok()?;
        (&mut events).next().copied()
    }

    #[inline(always)]
    fn pop_many(&mut self, tally: &mut Tally) -> usize {
        let Ok(mut events) = self.take(TEN as u64) else {
            return 0;
        };
        let mut count = 0;
        for &value in &mut events {
            tally.add(value);
            count += 1;
        }
        count
    }
}

impl Peer for Disruptor {
    const NAME: &'static str = "disruptor 4.4.0";
    type Sender = DisruptorSender;
    type Receiver = DisruptorReceiver;

    fn open(capacity: usize, _: usize, _: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let builder = disruptor::build_single_producer(capacity, || 0, disruptor::BusySpin);
        let (receiver, builder) = builder.new_event_poller();
        (vec![builder.build()], vec![receiver])
    }
}
