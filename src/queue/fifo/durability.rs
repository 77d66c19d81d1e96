//! What survives the machine: see `queue::durability`.

use super::queue::FifoQueue;
use crate::error::Error;
use crate::region::{Durability, Position, Region};
use crate::time::Clock;

impl<R: Region, C: Clock> FifoQueue<R, C> {
    /// The level of this handle: that of the queue, or the one that [`at`](FifoQueue::at) gave it.
    pub fn durability(&self) -> Durability {
        self.queue.durability()
    }

    /// A handle to the same queue with another level, for the calls that need it: see
    /// [`Queue::at`](crate::Queue::at). Messages, their order, and deduplication ids are durable
    /// together.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::at`](crate::Queue::at).
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("ringmain-doc-fifo-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// # let path = dir.join("orders.ring");
    /// use ringmain::{Durability, FifoOptions, FifoQueue, Mapped};
    /// use std::time::Duration;
    ///
    /// let every = Durability::Interval(Duration::from_millis(50));
    /// let region = Mapped::create(&path, 1 << 20)?;
    /// let orders = FifoQueue::create(&region, FifoOptions::new().durability(every))?;
    /// orders.send("customer-7", "order-1", b"2 books")?; // on the disk within 50 ms
    /// orders.at(Durability::BeforeOk)?.send("customer-7", "order-2", b"1 pen")?; // on the disk
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn at(&self, level: Durability) -> Result<FifoQueue<&R, &C>, Error> {
        let queue = self.queue.at(level)?;
        Ok(FifoQueue { queue })
    }

    /// The position of what has been done so far: see [`Queue::position`](crate::Queue::position).
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::Forked`].
    pub fn position(&self) -> Result<Position, Error> {
        self.queue.position()
    }

    /// The position up to which everything is on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::Forked`].
    pub fn durable_position(&self) -> Result<Position, Error> {
        self.queue.durable_position()
    }

    /// Waits until everything up to `position` is on the disk: see
    /// [`Queue::wait_durable`](crate::Queue::wait_durable).
    ///
    /// # Errors
    ///
    /// Those of [`Queue::wait_durable`](crate::Queue::wait_durable).
    ///
    /// # Progress
    ///
    /// As [`Queue::wait_durable`](crate::Queue::wait_durable).
    pub fn wait_durable(&self, position: Position) -> Result<(), Error> {
        self.queue.wait_durable(position)
    }

    /// Makes everything that has been done so far, through any handle, survive the machine.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::wait_durable`](crate::Queue::wait_durable).
    ///
    /// # Progress
    ///
    /// As [`Queue::wait_durable`](crate::Queue::wait_durable).
    pub fn sync(&self) -> Result<Position, Error> {
        self.queue.sync()
    }
}
