//! Dead letters and redrive: from one FIFO queue to another, in the order of each group.

use super::queue::FifoQueue;
use crate::error::Error;
use crate::region::{Linked, Region};
use crate::time::Clock;

impl<R: Region, C: Clock> FifoQueue<R, C> {
    /// The same handle, which knows where dead letters go: to `dead`, another FIFO queue, in any
    /// home. `None` makes a handle of the same type that knows of no such queue.
    ///
    /// It is as [`Queue::with_dead_letters`](crate::Queue::with_dead_letters) says; beside that,
    /// dead letters of one group keep their order and their group, their deduplication ids go along
    /// and are not compared with those of the other queue, and their retention begins anew. While
    /// the oldest message of a group cannot be moved, the group is locked.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if `dead` takes shorter bodies than this queue, or is this queue;
    /// [`Error::Deleted`], [`Error::Forked`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{FifoOptions, FifoQueue, Heap};
    ///
    /// let dead = FifoQueue::create(Heap::new(1 << 20)?, FifoOptions::new())?;
    /// let options = FifoOptions::new().max_receives(1);
    /// let orders = FifoQueue::create(Heap::new(1 << 20)?, options)?;
    /// let orders = orders.with_dead_letters(dead.by_ref())?;
    /// orders.send("customer-7", "order-1", b"not to be handled")?;
    /// orders.send("customer-7", "order-2", b"1 pen")?;
    /// orders.receive()?.expect("sent above").release()?;
    /// let next = orders.receive()?.expect("the one behind");
    /// assert_eq!(next.body(), b"1 pen");
    /// let letter = dead.receive()?.expect("moved");
    /// assert_eq!((letter.group(), letter.receive_count()), (Some("customer-7"), 2));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn with_dead_letters<D: Region, E: Clock>(
        self,
        dead: impl Into<Option<FifoQueue<D, E>>>,
    ) -> Result<FifoQueue<Linked<R, D>, C>, Error> {
        let dead = dead.into().map(|dead| dead.queue);
        let queue = self.queue.with_dead_letters(dead)?;
        Ok(FifoQueue { queue })
    }

    /// Moves up to `max` messages that can be received now to another FIFO queue, where they are as
    /// if sent just then, each to the end of its group; the order of each group is kept. See
    /// [`Queue::redrive`](crate::Queue::redrive).
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if `to` is this queue; [`Error::Deleted`], [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free; a scan of the slots in use comes first.
    pub fn redrive<D: Region, E: Clock>(
        &self,
        to: &FifoQueue<D, E>,
        max: u64,
    ) -> Result<u64, Error> {
        self.queue.redrive(&to.queue, max)
    }
}
