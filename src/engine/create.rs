//! Making queues, changing their options, and deleting them.

#[cfg(feature = "fifo")]
use super::handle::EngineFifoQueue;
use super::handle::{Engine, EngineQueue};
use super::meta::{Meta, Target};
use super::shared::Shared;
use super::shared::gone;
use super::spec::QueueSpec;
use crate::error::Error;
#[cfg(feature = "fifo")]
use crate::queue::{FifoOptions, FifoQueue};
use crate::queue::{Queue, QueueOptions};
use crate::region::memory;
use crate::region::named::Named;
use crate::region::policy::DEAD_LETTERS;
use crate::region::shelf::{Held, Home, Shelf, check_name_of};
use crate::region::{Region, Wish};
use crate::time::{Clock, wall_ms};
use crate::trace::event;
use std::sync::Arc;

impl<H: Home> Shared<H> {
    /// The queue that `spec` describes.
    fn create<O>(
        &self,
        name: &str,
        spec: &QueueSpec<O>,
        wish: Wish,
    ) -> Result<Arc<Named<H>>, Error> {
        check_name_of(name, wish.fifo.is_some())?;
        let wish = spec.complete(wish)?;
        self.shelf.turn(|| {
            self.is_not_other(Held::Queue, name)?;
            if self.finish(Held::Queue, name)? {
                let queue = self.attach(name)?;
                self.agree(&queue, spec, &wish)?;
                return Ok(queue);
            }
            let queue = self.make(name, spec, wish)?;
            event!(INFO, "queue created"; queue = name);
            Ok(queue)
        })
    }

    fn make<O>(
        &self,
        name: &str,
        spec: &QueueSpec<O>,
        mut wish: Wish,
    ) -> Result<Arc<Named<H>>, Error> {
        let body_bytes_max = self.shelf.body_bytes_max(spec.bytes, &wish)?;
        let mut dead_letters = None;
        if let Some((target, receives)) = &spec.dead_letters {
            let id = self.target_id(name, body_bytes_max, target)?;
            wish.policy[DEAD_LETTERS] = id;
            dead_letters = Some(Target {
                name: target.clone(),
                id,
                receives: *receives,
            });
        }
        let meta = Meta {
            created_ms: wall_ms(),
            dead_letters,
            tags: spec.tags.clone(),
            redrives: Vec::new(),
        };
        self.set_meta(Held::Queue, name, &meta)?;
        match self.shelf.create(name, spec.bytes, &wish) {
            Ok((region, place)) => self.made(name, region, place),
            Err(error) => {
                let _ = self.shelf.remove(Held::Queue, name); // a card alone goes the next time
                Err(error)
            }
        }
    }

    /// Refuses a spec that contradicts the queue that is there. Tags are none of its options.
    fn agree<O>(&self, queue: &Named<H>, spec: &QueueSpec<O>, wish: &Wish) -> Result<(), Error> {
        let there = self.meta(queue.name())?.dead_letters;
        let there = there.as_ref().map(|target| target.name.as_str());
        let wanted = spec.dead_letters.as_ref().map(|(name, _)| name.as_str());
        if there != wanted {
            let id = |name| self.shelf.look(name).map_or(0, |look| look.id);
            return Err(Error::OptionsDiffer {
                option: "dead_letters (id of the target; 0: none)",
                found: queue.policy()[DEAD_LETTERS],
                given: wanted.map_or(0, id),
            });
        }
        if queue.bytes() != spec.bytes {
            return Err(Error::OptionsDiffer {
                option: "bytes",
                found: queue.bytes(),
                given: spec.bytes,
            });
        }
        let place = queue.place_here();
        memory::agree(wish, place, &queue.store(place))
    }
}

impl<H: Home, C: Clock + Clone> Engine<H, C> {
    /// Makes a queue, or opens the one of that name if it has been made with the same options.
    ///
    /// Of many who create one name at the same time, in whatever processes, one makes the queue,
    /// and all get it. Who dies while making one leaves nothing that the next could not make anew.
    /// Tags are given to a new queue only.
    ///
    /// # Errors
    ///
    /// [`Error::OptionsDiffer`] with the option that differs, region bytes and the policy of dead
    /// letters included; [`Error::Name`], [`Error::OutOfRange`], [`Error::Tag`],
    /// [`Error::TagCount`], [`Error::DeadLetters`]; those of `Mapped::create` and of
    /// [`Queue::create`](crate::Queue::create). Then nothing has changed.
    ///
    /// # Progress
    ///
    /// Waits for other changes of the engine, and for the disk.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Error, Heap, QueueSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// let spec = QueueSpec::new().bytes(1 << 20);
    /// engine.create_queue("orders", &spec)?.send(b"one")?;
    /// let again = engine.create_queue("orders", &spec)?; // the same queue
    /// assert_eq!(again.stat()?.visible, 1);
    /// let other = engine.create_queue("orders", &spec.bytes(2 << 20));
    /// assert!(matches!(other, Err(Error::OptionsDiffer { option: "bytes", .. })));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn create_queue(&self, name: &str, spec: &QueueSpec) -> Result<EngineQueue<H, C>, Error> {
        let queue = self.shared.create(name, spec, spec.options.wish()?)?;
        Queue::open_with(queue, self.clock.clone())
    }

    /// Makes a FIFO queue, or opens the one of that name if it has been made with the same options.
    /// Its name ends in `.fifo`. Otherwise it is as [`create_queue`](Engine::create_queue) says;
    /// its dead letters go to a FIFO queue, in the order of each group.
    ///
    /// # Errors
    ///
    /// Those of [`create_queue`](Engine::create_queue), [`Error::Name`] also for a name without
    /// `.fifo`. Then nothing has changed.
    ///
    /// # Progress
    ///
    /// As [`create_queue`](Engine::create_queue).
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, FifoOptions, Heap, QueueSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// let spec = QueueSpec::fifo(FifoOptions::new().content_dedup(true)).bytes(1 << 20);
    /// engine.create_fifo_queue("dead.fifo", &spec)?;
    /// let spec = spec.dead_letters("dead.fifo", 5);
    /// let orders = engine.create_fifo_queue("orders.fifo", &spec)?;
    /// orders.send("customer-7", None, b"2 books")?;
    /// assert_eq!(engine.queues("")?, ["dead.fifo", "orders.fifo"]);
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    #[cfg(feature = "fifo")]
    pub fn create_fifo_queue(
        &self,
        name: &str,
        spec: &QueueSpec<FifoOptions>,
    ) -> Result<EngineFifoQueue<H, C>, Error> {
        let queue = self.shared.create(name, spec, spec.options.wish()?)?;
        FifoQueue::open_with(queue, self.clock.clone())
    }

    /// Opens a FIFO queue: as [`open_queue`](Engine::open_queue) does a standard one.
    ///
    /// # Errors
    ///
    /// [`Error::Kind`] if it is a standard queue, and those of [`open_queue`](Engine::open_queue).
    ///
    /// # Progress
    ///
    /// As [`open_queue`](Engine::open_queue).
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Error, FifoOptions, Heap, QueueSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// engine.create_fifo_queue("orders.fifo", &QueueSpec::fifo(FifoOptions::new()))?;
    /// assert!(engine.open_fifo_queue("orders.fifo")?.receive()?.is_none());
    /// assert!(matches!(engine.open_queue("orders.fifo"), Err(Error::Kind { .. })));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    #[cfg(feature = "fifo")]
    pub fn open_fifo_queue(&self, name: &str) -> Result<EngineFifoQueue<H, C>, Error> {
        let queue = self.shared.find(name)?;
        FifoQueue::open_with(queue, self.clock.clone())
    }

    /// Opens a queue. Within one engine value and its clones a queue is attached once, however
    /// often it is opened.
    ///
    /// # Errors
    ///
    /// [`Error::NoQueue`], [`Error::Name`], [`Error::Kind`] if it is a FIFO queue,
    /// [`Error::Forked`]; those of `Mapped::open`.
    ///
    /// # Progress
    ///
    /// Lock-free towards other processes, unless the queue is being made or deleted: then it waits
    /// for who does it.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Error, Heap, QueueSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// assert!(matches!(engine.open_queue("orders"), Err(Error::NoQueue)));
    /// engine.create_queue("orders", &QueueSpec::new())?.send(b"one")?;
    /// assert!(engine.open_queue("orders")?.receive()?.is_some());
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn open_queue(&self, name: &str) -> Result<EngineQueue<H, C>, Error> {
        let queue = self.shared.find(name)?;
        Queue::open_with(queue, self.clock.clone())
    }

    /// Changes the options of a queue that may be changed while it lives: `change` gets those that
    /// it has. Every participant, in whatever process, goes by them from its next call on.
    ///
    /// What `change` leaves alone is not written. Of a FIFO queue these are the options that
    /// standard queues have too; its others are fixed.
    ///
    /// # Errors
    ///
    /// [`Error::NoQueue`], [`Error::Name`]; those of
    /// [`Queue::reconfigure`](crate::Queue::reconfigure).
    ///
    /// # Progress
    ///
    /// As [`Queue::reconfigure`](crate::Queue::reconfigure).
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Heap, QueueSpec};
    /// use std::time::Duration;
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// engine.create_queue("orders", &QueueSpec::new())?;
    /// engine.reconfigure("orders", |options| options.visibility(Duration::from_secs(5)))?;
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn reconfigure(
        &self,
        name: &str,
        change: impl FnMut(QueueOptions) -> QueueOptions,
    ) -> Result<(), Error> {
        let queue = self.either(self.shared.find(name)?)?;
        queue.reconfigure(change).map_err(gone)
    }

    /// Deletes a queue with all its messages. Every handle of it, in whatever process, fails with
    /// [`Error::Deleted`] from now on; who waits at it is woken and told. The name may be used
    /// again at once.
    ///
    /// A death in it leaves a queue that is whole, or one that is marked as deleted: the next
    /// operation that meets it finishes the deletion.
    ///
    /// # Errors
    ///
    /// [`Error::NoQueue`], [`Error::Name`]; those of `Mapped::open`.
    ///
    /// # Progress
    ///
    /// Waits for other changes of the engine, and for the disk.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Error, Heap, QueueSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// let orders = engine.create_queue("orders", &QueueSpec::new())?;
    /// engine.delete_queue("orders")?;
    /// assert_eq!(orders.send(b"too late"), Err(Error::Deleted));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn delete_queue(&self, name: &str) -> Result<(), Error> {
        self.shared.delete(name)?;
        event!(INFO, "queue deleted"; queue = name);
        Ok(())
    }
}
