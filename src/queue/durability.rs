//! What survives the machine: levels, positions, and waiting for the disk.

use super::standard::Queue;
use crate::error::Error;
use crate::region::store::Store;
use crate::region::{Durability, Position, Region};
use crate::time::Clock;

impl<R: Region, C: Clock> Queue<R, C> {
    /// The level of this handle: that of the queue, or the one that [`at`](Queue::at) gave it.
    pub fn durability(&self) -> Durability {
        Durability::decode(self.durability)
    }

    /// A handle to the same queue with another level, for the calls that need it.
    ///
    /// A queue that was created with [`Durability::Process`] has no journal, and allows that level
    /// alone. The interval of a journal is fixed at creation.
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::OptionsDiffer`] (another interval), [`Error::OutOfRange`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("ringmain-doc-at-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// # let path = dir.join("orders.ring");
    /// use ringmain::{Durability, Mapped, Queue, QueueOptions};
    /// use std::time::Duration;
    ///
    /// let every = Durability::Interval(Duration::from_millis(50));
    /// let region = Mapped::create(&path, 1 << 20)?;
    /// let orders = Queue::create(&region, QueueOptions::new().durability(every))?;
    /// orders.send(b"a reading")?; // on the disk within 50 ms
    /// orders.at(Durability::BeforeOk)?.send(b"an order")?; // on the disk
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn at(&self, level: Durability) -> Result<Queue<&R, &C>, Error> {
        let wanted = level.beside(self.place.durability)?;
        Ok(Queue {
            durability: wanted,
            ..self.by_ref()
        })
    }

    /// The position of what has been done so far, through any handle: once
    /// [`durable_position`](Queue::durable_position) has reached it, all of that is on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::Forked`].
    pub fn position(&self) -> Result<Position, Error> {
        Ok(Position(self.journaled()?.position()))
    }

    /// The position up to which everything is on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::Forked`].
    pub fn durable_position(&self) -> Result<Position, Error> {
        Ok(Position(self.journaled()?.durable_position()))
    }

    /// Waits until everything up to `position` is on the disk. Who waits writes: one of those that
    /// wait does it for all.
    ///
    /// # Errors
    ///
    /// [`Error::NotDurable`]: the disk refused; what was done stays in the queue, survives the
    /// process, and the next commit tries again. [`Error::OutOfRange`]: no such position yet.
    /// [`Error::NoJournal`], [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Blocks: on the disk, and on another participant that is writing. If that one dies, the
    /// kernel lets the next one in; if it is stopped, this waits.
    pub fn wait_durable(&self, position: Position) -> Result<(), Error> {
        let latest = self.journaled()?.position();
        position.check(latest)?;
        self.region.commit(&self.place, position.0)
    }

    /// Makes everything that has been done so far, through any handle, survive the machine.
    ///
    /// # Errors
    ///
    /// As [`wait_durable`](Queue::wait_durable).
    ///
    /// # Progress
    ///
    /// As [`wait_durable`](Queue::wait_durable).
    pub fn sync(&self) -> Result<Position, Error> {
        let position = self.position()?;
        self.region.commit(&self.place, position.0)?;
        Ok(position)
    }

    fn journaled(&self) -> Result<Store<'_>, Error> {
        self.check()?;
        if !self.place.is_journaled() {
            return Err(Error::NoJournal);
        }
        Ok(self.store())
    }

    /// Ends an operation that sent or deleted: at the level before `Ok` it waits for the disk.
    #[inline(always)]
    pub(super) fn make_durable(&self) -> Result<(), Error> {
        if !self.place.is_journaled() {
            return Ok(());
        }
        self.wait_for_disk()
    }

    #[inline(never)]
    fn wait_for_disk(&self) -> Result<(), Error> {
        let store = self.store();
        if self.durability() == Durability::BeforeOk {
            return self.region.commit(&self.place, store.position());
        }
        self.rouse(&store);
        Ok(())
    }

    /// Tells the timed committer, unless somebody has.
    #[inline(always)]
    pub(super) fn rouse(&self, store: &Store<'_>) {
        if self.place.is_journaled() && !store.is_pending() {
            self.region.rouse(&self.place);
        }
    }
}
