//! What the groups of a queue are up to, and how many ids it remembers.

use super::queue::FifoQueue;
use crate::error::Error;
use crate::region::Region;
use crate::region::fifo::free::Standing;
use crate::time::Clock;

/// Figures that only a FIFO queue has: a scan, so approximate while others are at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FifoStats {
    /// Groups that can be received from now.
    pub ready: u64,
    /// Groups that are locked: one of their messages, or more, is in flight.
    pub locked: u64,
    /// Groups whose oldest message is delayed, so that nothing of them can be received.
    pub delayed: u64,
    /// Deduplication ids that are remembered.
    pub remembered_ids: u64,
    /// The most that are remembered.
    pub remembered_ids_max: u64,
}

impl<R: Region, C: Clock> FifoQueue<R, C> {
    /// How many groups are ready and how many are locked, and how many ids are remembered.
    ///
    /// ```
    /// # use ringmain::{FifoOptions, FifoQueue, Heap};
    /// # let orders = FifoQueue::create(Heap::new(1 << 20)?, FifoOptions::new())?;
    /// orders.send("customer-7", "order-1", b"2 books")?;
    /// orders.send("customer-8", "order-2", b"1 pen")?;
    /// let order = orders.receive()?;
    /// let groups = orders.groups()?;
    /// assert_eq!((groups.ready, groups.locked, groups.remembered_ids), (1, 1, 2));
    /// # drop(order);
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    ///
    /// # Complexity
    ///
    /// Linear in the slots and in the ids that may be remembered.
    pub fn groups(&self) -> Result<FifoStats, Error> {
        self.queue.check()?;
        let store = self.queue.store();
        let (now_ms, owner) = (self.queue.now_ms(&store), self.region().owner());
        let mut stats = FifoStats {
            remembered_ids: store.ids_table().remembered(now_ms),
            remembered_ids_max: store.shape().fifo.ids as u64,
            ..FifoStats::default()
        };
        for group in 0..store.shape().fifo.groups {
            match store.standing(group, now_ms, owner) {
                Standing::Ready => stats.ready += 1,
                Standing::Locked => stats.locked += 1,
                Standing::Delayed => stats.delayed += 1,
                Standing::Empty => {}
            }
        }
        Ok(stats)
    }
}
