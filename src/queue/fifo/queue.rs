//! The FIFO queue: how one is made, and what it has in common with standard ones.

use super::options::FifoOptions;
use super::quota::Call;
use crate::error::Error;
#[cfg(feature = "std")]
use crate::queue::LatencyHistogram;
use crate::queue::batch::{Batch, Outcomes};
use crate::queue::options::visibility_ms;
use crate::queue::received::{Copied, Received};
use crate::queue::stat::QueueStats;
use crate::queue::{Peek, PeekCursor, Peeked, Peeks, Queue, Receipt};
use crate::region::{Intent, Region, Tended};
use crate::time::{Clock, DefaultClock};
use core::time::Duration;

/// A FIFO queue: exact order in each group, parallel groups, each deduplication id accepted once.
///
/// A message is sent to a *group*. The messages of a group are received in the order in which they
/// were sent. While any of them is in flight, the group is *locked*: nobody receives more of it,
/// until they are deleted or visible again; what comes back is again the oldest of its group. Any
/// number of groups may be locked, and a receiver finds the next free one at constant cost: the one
/// that has been free for longest. One receive may return several messages, all that it can of one
/// group before it goes on to the next.
///
/// A message has a *deduplication id*, given by the sender, or the SHA-256 of its body
/// ([`FifoOptions::content_dedup`]). Within the interval, 5 min by default, a second message with
/// that id is accepted and not delivered; the sender gets the first one's id and sequence number.
/// Ids are remembered in the queue's memory, so also over a restart of a mapped queue; when as many
/// are remembered as there may be, a send is refused. None is forgotten early but by a purge.
///
/// Otherwise it is as [`Queue`] is: the same homes (in a `static` by
/// [`FixedFifo`](crate::FixedFifo)), handles by `&self`, visibility timeouts, receipts.
///
/// | operation | progress | when the caller dies in it |
/// |---|---|---|
/// | `send`, `send_message`, and batches | lock-free; over 64 slots obstruction-free | sent or not; part of a batch |
/// | `receive`, `receive_batch`, `receive_into` | lock-free | the messages come back, in order |
/// | `delete`, `extend`, `release`, and batches | lock-free | done or not done |
/// | `receive_batch_attempt` | lock-free | the messages come back, in order |
/// | `receive_timeout`, `receive_async` | wait for a free group | the messages come back, in order |
/// | `peek`, `peeks`, `peek_at` | lock-free | nothing is left |
/// | `purge`, `stat`, `tend` | lock-free, a scan | a part is done |
///
/// # Examples
///
/// ```
/// use ringmain::{FifoOptions, FifoQueue, Heap};
///
/// let orders = FifoQueue::create(Heap::new(1 << 20)?, FifoOptions::new())?;
/// orders.send("customer-7", "order-1", b"2 books")?;
/// orders.send("customer-7", "order-2", b"1 pen")?;
/// assert!(orders.send("customer-7", "order-1", b"2 books")?.is_duplicate);
///
/// let order = orders.receive()?.expect("sent above");
/// assert_eq!((order.group(), order.body()), (Some("customer-7"), &b"2 books"[..]));
/// assert!(orders.receive()?.is_none(), "the group is locked");
/// order.delete()?;
/// assert_eq!(orders.receive()?.map(|order| order.body().to_vec()), Some(b"1 pen".to_vec()));
/// # Ok::<(), ringmain::Error>(())
/// ```
#[derive(Debug)]
pub struct FifoQueue<R: Region, C: Clock = DefaultClock> {
    /// The queue's memory by a handle that says of itself that it is a FIFO queue's.
    pub(in crate::queue) queue: Queue<R, C>,
}

#[cfg(feature = "std")]
impl<R: Region, C: Clock> Queue<R, C> {
    /// The options of the FIFO queue whose handle this is, if it is one.
    pub(crate) fn fifo_options(&self) -> Option<FifoOptions> {
        let numbers = self.store().head().policy.numbers();
        let options = || FifoOptions::of(&self.place, numbers);
        self.place.is_fifo().then(options)
    }
}

#[cfg(feature = "std")]
impl<R: Region> FifoQueue<R> {
    /// Makes a FIFO queue in a region.
    ///
    /// # Errors
    ///
    /// [`Error::Occupied`] if there is a queue, [`Error::RegionTooSmall`], [`Error::OutOfRange`],
    /// [`Error::NoJournal`] (with a journal, in a home that has none).
    pub fn create(region: R, options: FifoOptions) -> Result<Self, Error> {
        Self::create_with(region, options, DefaultClock::default())
    }

    /// Opens the FIFO queue of a region.
    ///
    /// # Errors
    ///
    /// [`Error::Vacant`] if there is none, [`Error::Kind`] if it is a standard queue,
    /// [`Error::Damaged`].
    pub fn open(region: R) -> Result<Self, Error> {
        Self::open_with(region, DefaultClock::default())
    }

    /// Opens the FIFO queue of a region, or makes one.
    ///
    /// # Errors
    ///
    /// [`Error::OptionsDiffer`] if it exists with other options, and those of
    /// [`create`](FifoQueue::create) and [`open`](FifoQueue::open).
    pub fn open_or_create(region: R, options: FifoOptions) -> Result<Self, Error> {
        Self::open_or_create_with(region, options, DefaultClock::default())
    }
}

impl<R: Region, C: Clock> FifoQueue<R, C> {
    /// [`create`](FifoQueue::create) with another clock.
    ///
    /// # Errors
    ///
    /// Those of [`create`](FifoQueue::create).
    pub fn create_with(region: R, options: FifoOptions, clock: C) -> Result<Self, Error> {
        Self::with(region, Intent::Create, options, clock)
    }

    /// [`open`](FifoQueue::open) with another clock.
    ///
    /// # Errors
    ///
    /// Those of [`open`](FifoQueue::open).
    pub fn open_with(region: R, clock: C) -> Result<Self, Error> {
        Self::with(region, Intent::Open, FifoOptions::new(), clock)
    }

    /// [`open_or_create`](FifoQueue::open_or_create) with another clock.
    ///
    /// # Errors
    ///
    /// Those of [`open_or_create`](FifoQueue::open_or_create).
    pub fn open_or_create_with(region: R, options: FifoOptions, clock: C) -> Result<Self, Error> {
        Self::with(region, Intent::OpenOrCreate, options, clock)
    }

    fn with(region: R, intent: Intent, options: FifoOptions, clock: C) -> Result<Self, Error> {
        let queue = Queue::wished(region, intent, &options.wish()?, clock)?;
        Ok(Self { queue })
    }

    /// A handle to the same queue that borrows this one's region and clock.
    pub fn by_ref(&self) -> FifoQueue<&R, &C> {
        FifoQueue {
            queue: self.queue.by_ref(),
        }
    }

    /// The region that the queue is in.
    pub fn region(&self) -> &R {
        self.queue.region()
    }

    /// Receives the oldest message of the group that has been free for longest, if any is.
    ///
    /// # Errors
    ///
    /// [`Error::Throttled`], [`Error::Forked`], [`Error::Deleted`]. As many messages in flight as
    /// there may be are no error: nothing is received.
    ///
    /// # Progress
    ///
    /// Lock-free. No allocation; no system call, but that in shared memory it asks once in 8 ms who
    /// has died.
    pub fn receive(&self) -> Result<Option<Received<'_, R, C>>, Error> {
        self.queue.admit_call_now(Call::Receive)?;
        self.queue.receive_from_group()
    }

    /// Receives up to `max` (1 to 10) messages, those of one group in order, and all that there are
    /// of it before those of the next; maybe none.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`], and those of [`receive`](FifoQueue::receive).
    ///
    /// # Progress
    ///
    /// As [`receive`](FifoQueue::receive).
    #[inline]
    pub fn receive_batch(&self, max: usize) -> Result<Batch<'_, R, C>, Error> {
        self.queue.admit_call_now(Call::Receive)?;
        self.queue.receive_groups(max, None)
    }

    /// [`receive_batch`](FifoQueue::receive_batch) with a visibility timeout of its own, 0 s to
    /// 12 h.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], and those of [`receive_batch`](FifoQueue::receive_batch).
    pub fn receive_batch_for(
        &self,
        max: usize,
        visibility: Duration,
    ) -> Result<Batch<'_, R, C>, Error> {
        visibility_ms(visibility)?;
        self.queue.admit_call_now(Call::Receive)?;
        self.queue.receive_batch_for(max, visibility)
    }

    /// Receives one message into `buffer`: see [`Queue::receive_into`].
    ///
    /// # Errors
    ///
    /// [`Error::BufferTooSmall`]: the message is visible again, with this receive counted. Those of
    /// [`receive`](FifoQueue::receive).
    pub fn receive_into(&self, buffer: &mut [u8]) -> Result<Option<Copied>, Error> {
        self.queue.admit_call_now(Call::Receive)?;
        self.queue.receive_into(buffer)
    }

    /// [`receive`](FifoQueue::receive) that waits up to `timeout` (0 to 20 s) for a free group. It
    /// sleeps meanwhile; see [`Queue::receive_timeout`].
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], and those of [`receive`](FifoQueue::receive).
    ///
    /// # Progress
    ///
    /// Waits for a free group, for nothing else.
    #[cfg(feature = "std")]
    pub fn receive_timeout(&self, timeout: Duration) -> Result<Option<Received<'_, R, C>>, Error> {
        Ok(self.receive_batch_timeout(1, timeout)?.pop())
    }

    /// [`receive_batch`](FifoQueue::receive_batch) that waits up to `timeout` (0 to 20 s) for the
    /// first message.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], and those of [`receive_batch`](FifoQueue::receive_batch).
    #[cfg(feature = "std")]
    pub fn receive_batch_timeout(
        &self,
        max: usize,
        timeout: Duration,
    ) -> Result<Batch<'_, R, C>, Error> {
        self.queue.admit_call_now(Call::Receive)?;
        self.queue.receive_batch_timeout(max, timeout)
    }

    /// Waits for one message as a future: see [`Queue::receive_async`].
    ///
    /// # Errors
    ///
    /// Those of [`Queue::receive_async`], and [`Error::Throttled`].
    #[cfg(feature = "async")]
    pub fn receive_async(&self) -> crate::queue::ReceiveFuture<'_, R, C> {
        self.queue.receive_async()
    }

    /// Waits for up to `max` (1 to 10) messages as a future.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::receive_batch_async`].
    #[cfg(feature = "async")]
    pub fn receive_batch_async(&self, max: usize) -> crate::queue::ReceiveBatchFuture<'_, R, C> {
        self.queue.receive_batch_async(max)
    }

    /// Deletes the message of a receive. If it is gone already, that is `Ok`.
    ///
    /// # Errors
    ///
    /// [`Error::ExpiredReceipt`] (its visibility timeout has run out), [`Error::StaleReceipt`]
    /// (received again), [`Error::ForeignReceipt`], [`Error::MalformedReceipt`],
    /// [`Error::Pinned`], [`Error::Throttled`], [`Error::Forked`]: then nothing is deleted.
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn delete(&self, receipt: &Receipt) -> Result<(), Error> {
        self.queue.admit_call_now(Call::Delete)?;
        self.queue.delete(receipt)
    }

    /// [`delete`](FifoQueue::delete) for 1 to 10 receipts, each with its own outcome.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`], [`Error::Throttled`], [`Error::Forked`]: then nothing is done.
    pub fn delete_batch(&self, receipts: &[Receipt]) -> Result<Outcomes<()>, Error> {
        self.queue.admit_call_now(Call::Delete)?;
        self.queue.delete_batch(receipts)
    }

    /// Sets a new visibility timeout for the message of a receive, counted from now: 0 s to 12 h,
    /// and at most 12 h after the receive. The group stays locked as long.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::NotInFlight`], [`Error::StaleReceipt`],
    /// [`Error::ForeignReceipt`], [`Error::MalformedReceipt`], [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), Error> {
        self.queue.extend(receipt, visibility)
    }

    /// [`extend`](FifoQueue::extend) for 1 to 10 receipts, each with its own outcome.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`], [`Error::Forked`]: then nothing is done.
    pub fn extend_batch(
        &self,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Result<Outcomes<()>, Error> {
        self.queue.extend_batch(receipts, visibility)
    }

    /// Makes the message of a receive visible at once, in its old place in its group.
    ///
    /// # Errors
    ///
    /// [`Error::NotInFlight`], [`Error::StaleReceipt`], [`Error::ForeignReceipt`],
    /// [`Error::MalformedReceipt`], [`Error::Pinned`], [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn release(&self, receipt: &Receipt) -> Result<(), Error> {
        self.queue.release(receipt)
    }

    /// [`release`](FifoQueue::release) for 1 to 10 receipts, each with its own outcome.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`], [`Error::Forked`]: then nothing is done.
    pub fn release_batch(&self, receipts: &[Receipt]) -> Result<Outcomes<()>, Error> {
        self.queue.release_batch(receipts)
    }

    /// Removes every message that was sent before this call, and forgets their deduplication ids:
    /// see [`Queue::purge`]. What is being sent at the same time may be removed as well.
    ///
    /// # Errors
    ///
    /// [`Error::PurgedRecently`], [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn purge(&self) -> Result<u64, Error> {
        self.queue.purge()
    }

    /// Looks at a message that is there: see [`Queue::peek`].
    ///
    /// # Errors
    ///
    /// Those of [`Queue::peek`].
    pub fn peek(&self) -> Result<Option<Peeked<'_, R, C>>, Error> {
        self.queue.peek()
    }

    /// Looks at all messages, one after the other, in no order: see [`Queue::peeks`].
    pub fn peeks(&self) -> Peeks<'_, R, C> {
        self.queue.peeks()
    }

    /// Looks at the message where the cursor is: see [`Queue::peek_at`].
    ///
    /// # Errors
    ///
    /// Those of [`Queue::peek_at`].
    pub fn peek_at(&self, cursor: &mut PeekCursor) -> Result<Peek<'_, R, C>, Error> {
        self.queue.peek_at(cursor)
    }

    /// The queue's figures.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    ///
    /// # Complexity
    ///
    /// Linear in the slots that have been used.
    pub fn stat(&self) -> Result<QueueStats, Error> {
        self.queue.stat()
    }

    /// The times from send to receive, as a histogram: see [`Queue::latency`].
    ///
    /// # Errors
    ///
    /// Those of [`Queue::latency`].
    #[cfg(feature = "std")]
    pub fn latency(&self) -> Result<LatencyHistogram, Error> {
        self.queue.latency()
    }

    /// Asks the kernel who has died, and makes what they held visible again: see [`Queue::tend`].
    ///
    /// # Errors
    ///
    /// Those of [`Queue::tend`].
    pub fn tend(&self) -> Result<Tended, Error> {
        self.queue.tend()
    }

    /// The same handle, whose receives never ask who has died: see [`Queue::leave_tending`].
    #[must_use]
    pub fn leave_tending(mut self) -> Self {
        self.queue = self.queue.leave_tending();
        self
    }

    /// What the queue was created with, as changed since.
    pub fn options(&self) -> FifoOptions {
        let store = self.queue.store();
        FifoOptions::of(&self.queue.place, store.head().policy.numbers())
    }

    /// The region's time, ms.
    #[cfg(feature = "cli")]
    pub(crate) fn time_ms(&self) -> u64 {
        self.queue.time_ms()
    }

    /// Changes what may be changed while the queue lives: see [`Queue::reconfigure`]. What concerns
    /// deduplication, and the quota, is fixed.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::reconfigure`].
    pub fn reconfigure(
        &self,
        mut change: impl FnMut(FifoOptions) -> FifoOptions,
    ) -> Result<(), Error> {
        let fixed = self.options();
        let mut agreed = Ok(());
        self.queue.reconfigure(|queue| {
            let wanted = change(fixed.with_queue(queue));
            agreed = wanted.agree(&fixed);
            match agreed {
                Ok(()) => wanted.queue,
                Err(_) => queue,
            }
        })?;
        agreed
    }

    /// The longest body that the queue takes, bytes.
    pub fn max_body(&self) -> usize {
        self.queue.max_body()
    }

    /// How many slots the queue has. A message takes one, or several if it is longer than the
    /// typical one.
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }
}
