//! The engine: how one is opened, and what it does for all its queues.

use super::shared::Shared;
use crate::error::Error;
#[cfg(feature = "fifo")]
use crate::queue::FifoQueue;
use crate::queue::Queue;
#[cfg(feature = "mapped")]
use crate::region::Mapped;
use crate::region::named::Named;
use crate::region::shelf::{Home, Rack, Shelf};
#[cfg(feature = "stream")]
use crate::region::stream::NamedStream;
use crate::region::{Heap, Intent, Tended, Wish};
#[cfg(feature = "stream")]
use crate::stream::Stream;
use crate::time::{Clock, SystemClock};
use core::fmt;
#[cfg(feature = "mapped")]
use std::path::Path;
use std::sync::Arc;

/// The home of an engine unless another is named.
#[cfg(feature = "mapped")]
pub type DefaultHome = Mapped;

/// The home of an engine unless another is named.
#[cfg(not(feature = "mapped"))]
pub type DefaultHome = Heap;

/// A queue of an engine: a plain [`Queue`], whose region knows its name.
pub type EngineQueue<H = DefaultHome, C = SystemClock> = Queue<Arc<Named<H>>, C>;

/// A FIFO queue of an engine: a plain [`FifoQueue`], whose region knows its name.
#[cfg(feature = "fifo")]
pub type EngineFifoQueue<H = DefaultHome, C = SystemClock> = FifoQueue<Arc<Named<H>>, C>;

/// A stream of an engine: a plain [`Stream`], whose region knows its name.
#[cfg(feature = "stream")]
pub type EngineStream<H = DefaultHome, C = SystemClock> = Stream<Arc<NamedStream<H>>, C>;

/// Queues and streams by name: in a directory, for the processes of one machine and their restarts
/// (`Engine<Mapped>`), or in memory, for the threads of one process (`Engine<Heap>`).
///
/// An engine makes, finds, describes and deletes queues and streams, and knows where the dead
/// letters of each queue go. A queue is a FIFO queue if its name ends in `.fifo`, and only then:
/// the calls that make and open one are its own, all others serve both kinds. Streams have calls of
/// their own, but for tags, tending and verification; a queue and a stream do not have one name. It
/// has no thread and no server: each process opens the directory and uses its files. Any of them
/// may die at any instruction; the others go on, and finish what it has left.
///
/// Clones are cheap and are the same engine. A queue that was opened lives on without it, and so
/// does an engine in memory for as long as somebody has one of its queues.
///
/// # Examples
///
/// ```
/// # let dir = std::env::temp_dir().join(format!("ringmain-doc-engine-{}", std::process::id()));
/// # #[cfg(feature = "mapped")] {
/// use ringmain::{Engine, QueueSpec};
///
/// let engine = Engine::open_or_create(&dir)?;
/// engine.create_queue("orders-dead", &QueueSpec::new())?;
/// let spec = QueueSpec::new().dead_letters("orders-dead", 5).tag("team", "orders");
/// let orders = engine.create_queue("orders", &spec)?;
/// orders.send(b"two apples")?;
///
/// // Perhaps in another process:
/// let orders = engine.open_queue("orders")?;
/// if let Some(order) = orders.receive()? {
///     order.delete()?;
/// }
/// assert_eq!(engine.queues("orders")?, ["orders", "orders-dead"]);
/// # std::fs::remove_dir_all(&dir).unwrap();
/// # }
/// # Ok::<(), ringmain::Error>(())
/// ```
pub struct Engine<H: Home = DefaultHome, C: Clock = SystemClock> {
    pub(super) shared: Arc<Shared<H>>,
    pub(super) clock: C,
}

impl<H: Home, C: Clock + Clone> Clone for Engine<H, C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            clock: self.clock.clone(),
        }
    }
}

impl<H: Home, C: Clock> fmt::Debug for Engine<H, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("shelf", &self.shared.shelf)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "mapped")]
impl Engine {
    /// Opens the engine of a directory; makes it, and the directory, if it is not there.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Engine::open) and [`create`](Engine::create).
    pub fn open_or_create(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_or_create_with(dir, SystemClock)
    }

    /// Opens the engine of a directory.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Permission`]; [`Error::NotAnEngine`]: it has no marker;
    /// [`Error::MetadataVersion`]: the marker is one of a newer library;
    /// [`Error::MetadataDamaged`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Error};
    ///
    /// let nowhere = std::env::temp_dir().join("ringmain-doc-no-engine");
    /// assert!(matches!(Engine::open(nowhere), Err(Error::NotFound)));
    /// ```
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(dir, SystemClock)
    }

    /// Makes an engine in a directory that is empty or not there: the last part of the path is
    /// made, for its owner alone (mode 0700).
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] if there is one; [`Error::NotAnEngine`] if something else is in the
    /// directory, or it is none; [`Error::NotFound`], [`Error::Permission`], [`Error::ReadOnly`],
    /// [`Error::NoSpace`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = format!("ringmain-doc-create-{}", std::process::id());
    /// # let dir = std::env::temp_dir().join(dir);
    /// use ringmain::{Engine, Error};
    ///
    /// let engine = Engine::create(&dir)?;
    /// assert!(matches!(Engine::create(&dir), Err(Error::Exists)));
    /// assert_eq!(Engine::open(&dir)?.nonce(), engine.nonce());
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn create(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::create_with(dir, SystemClock)
    }
}

#[cfg(feature = "mapped")]
impl<C: Clock> Engine<Mapped, C> {
    /// [`open_or_create`](Engine::open_or_create) with another clock for its queues.
    ///
    /// # Errors
    ///
    /// Those of [`open_or_create`](Engine::open_or_create).
    pub fn open_or_create_with(dir: impl AsRef<Path>, clock: C) -> Result<Self, Error> {
        let shelf = crate::region::mapped::Directory::open_or_create(dir.as_ref())?;
        Ok(Self::over(shelf, clock))
    }

    /// [`open`](Engine::open) with another clock for its queues.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Engine::open).
    pub fn open_with(dir: impl AsRef<Path>, clock: C) -> Result<Self, Error> {
        let shelf = crate::region::mapped::Directory::open(dir.as_ref())?;
        Ok(Self::over(shelf, clock))
    }

    /// [`create`](Engine::create) with another clock for its queues.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Engine::create).
    pub fn create_with(dir: impl AsRef<Path>, clock: C) -> Result<Self, Error> {
        let shelf = crate::region::mapped::Directory::create(dir.as_ref())?;
        Ok(Self::over(shelf, clock))
    }

    /// The directory, links followed.
    pub fn path(&self) -> &Path {
        self.shared.shelf.path()
    }

    /// The random number that names this engine, as its marker has it.
    pub fn nonce(&self) -> u64 {
        self.shared.shelf.nonce()
    }
}

impl Engine<Heap> {
    /// An engine in the memory of this process.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Heap, QueueSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// let jobs = engine.create_queue("jobs", &QueueSpec::new().bytes(1 << 20))?;
    /// jobs.send(b"resize 17.png")?;
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn in_memory() -> Self {
        Self::in_memory_with(SystemClock)
    }
}

impl<C: Clock> Engine<Heap, C> {
    /// [`in_memory`](Engine::in_memory) with another clock for its queues.
    pub fn in_memory_with(clock: C) -> Self {
        Self::over(Rack::default(), clock)
    }
}

impl<H: Home, C: Clock> Engine<H, C> {
    fn over(shelf: H::Shelf, clock: C) -> Self {
        Self {
            shared: Shared::new(shelf),
            clock,
        }
    }

    /// The names of the queues that begin with `prefix`, sorted.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], and what the operating system says.
    ///
    /// # Complexity
    ///
    /// Linear in the queues of that prefix; a few small reads each.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Heap, QueueSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// for name in ["orders", "mail", "orders-dead"] {
    ///     engine.create_queue(name, &QueueSpec::new())?;
    /// }
    /// assert_eq!(engine.queues("orders")?, ["orders", "orders-dead"]);
    /// assert_eq!(engine.queues("")?.len(), 3);
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn queues(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.shared.names(prefix)
    }
}

impl<H: Home, C: Clock + Clone> Engine<H, C> {
    /// A handle of a queue, of whichever kind it is, for what both kinds have.
    pub(super) fn either(&self, named: Arc<Named<H>>) -> Result<Queue<Arc<Named<H>>, &C>, Error> {
        let wish = Wish::open(named.name());
        Queue::wished(named, Intent::Open, &wish, &self.clock)
    }

    /// Tends every queue and stream that this engine has open ([`Queue::tend`], `Stream::tend`),
    /// and finishes what those who died have left of creations, deletions, changes and moves.
    /// Nobody has to call it: what an operation meets it finishes itself.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], [`Error::Truncated`], and what the operating system says. What could be
    /// done is done all the same.
    ///
    /// # Progress
    ///
    /// Waits for other changes of the engine.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Heap};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// assert_eq!(engine.tend()?.dead, 0); // perhaps on a timer of yours
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn tend(&self) -> Result<Tended, Error> {
        let mut sum = Tended::default();
        let mut outcome = self.shared.shelf.turn(|| self.shared.settle());
        for named in self.shared.opened() {
            let queue = self.either(Arc::clone(&named));
            let tended = queue.and_then(|queue| queue.tend());
            match tended {
                Ok(tended) => {
                    outcome = outcome.and(self.finish_moves_if_any(&named));
                    sum.dead += tended.dead;
                    sum.returned += tended.returned;
                }
                Err(Error::Deleted) => {} // its handles are told
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        #[cfg(feature = "stream")]
        for named in self.shared.opened_streams() {
            let stream = Stream::open_with(named, &self.clock);
            match stream.and_then(|stream| stream.tend()) {
                Ok(tended) => {
                    sum.dead += tended.dead;
                    sum.returned += tended.returned;
                }
                Err(Error::Deleted) => {} // as above
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome.map(|()| sum)
    }
}
