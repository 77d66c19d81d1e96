//! Where an engine keeps its queues, by name: a directory, or the memory of the process.
//!
//! A [`Shelf`] keeps three things under a name: a region with one queue, and a small card beside
//! it. What is changed here is changed in a *turn*: nobody else, in any process, has a turn at the
//! same time. What is read may be read at any time. `mapped::directory` tells what a death leaves.

use super::heap::Heap;
use super::home::{FifoWish, Intent, Region, Wish};
use super::layout::DURABILITY_PROCESS;
use super::memory::{self, Place};
use super::policy::{PolicyNumbers, SETTINGS};
use crate::error::Error;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

/// The longest name of a queue, characters.
pub const NAME_CHARS_MAX: usize = 80;

/// The end of the names of FIFO queues, and of no others.
const FIFO_END: &str = ".fifo";

/// Whether this is the name of a FIFO queue.
pub fn is_fifo_name(name: &str) -> bool {
    name.ends_with(FIFO_END)
}

/// Refuses what is no name: 1 to 80 of `A-Za-z0-9_-`, and `.fifo` behind them for a FIFO queue,
/// which counts.
pub fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let own = name.strip_suffix(FIFO_END).unwrap_or(name);
    if let Some(at) = own.bytes().position(|byte| !allowed(byte)) {
        let rule = "a name consists of letters, digits, '-' and '_'";
        return Err(Error::Name { rule, at });
    }
    if own.is_empty() || name.len() > NAME_CHARS_MAX {
        let rule = "a name has 1 to 80 characters";
        let at = own.len().min(NAME_CHARS_MAX);
        return Err(Error::Name { rule, at });
    }
    Ok(())
}

/// Refuses what is no name, and a name of the other kind of queue.
pub fn check_name_of(name: &str, is_fifo: bool) -> Result<(), Error> {
    check_name(name)?;
    match (is_fifo, is_fifo_name(name)) {
        (true, false) => Err(Error::Name {
            rule: "the name of a FIFO queue ends in .fifo",
            at: name.len(),
        }),
        (false, true) => Err(Error::Name {
            rule: "a name that ends in .fifo is that of a FIFO queue",
            at: name.len() - FIFO_END.len(),
        }),
        _ => Ok(()),
    }
}

/// What lies under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No region.
    Absent,
    /// A region without a queue: its creator is at work, or has died.
    Vacant,
    /// A queue that is marked as deleted: who does it is at work, or has died.
    Deleted,
    /// A queue.
    Ready {
        /// Its setting `DEAD_LETTERS`.
        dead_letters: u64,
    },
}

/// What is to be known of a queue without taking part in it.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// What lies there; not [`State::Absent`].
    pub state: State,
    /// Low 44 bits of the queue's nonce; 0 if there is no queue.
    pub id: u64,
    /// Its settings; zero if there is no queue.
    pub policy: PolicyNumbers,
    /// Its longest body, bytes.
    pub body_bytes_max: usize,
}

/// A place for queues, by name. Names were checked before.
pub trait Shelf: core::fmt::Debug + Send + Sync + 'static {
    /// What is kept.
    type Region: Region;

    /// An error if this process may not use it: a forked child.
    fn check(&self) -> Result<(), Error>;

    /// Does `act` while nobody else has a turn.
    fn turn<T>(&self, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error>;

    /// The names under which a region lies, sorted.
    fn names(&self) -> Result<Vec<String>, Error>;

    /// What lies under a name.
    fn state(&self, name: &str) -> Result<State, Error>;

    /// Takes part in the region of this name.
    fn open(&self, name: &str) -> Result<Self::Region, Error>;

    /// The longest body that a queue of this wish would take, bytes.
    fn body_bytes_max(&self, bytes: u64, wish: &Wish) -> Result<usize, Error>;

    /// In a turn: makes a region of `bytes` bytes with a queue in it. Nothing is left of a failure.
    fn create(&self, name: &str, bytes: u64, wish: &Wish) -> Result<(Self::Region, Place), Error>;

    /// In a turn: removes whatever lies under a name.
    fn remove(&self, name: &str) -> Result<(), Error>;

    /// The card beside a region.
    fn card(&self, name: &str) -> Result<Option<Vec<u8>>, Error>;

    /// In a turn: sets it.
    fn set_card(&self, name: &str, card: &[u8]) -> Result<(), Error>;

    /// How long a region is, bytes.
    fn bytes(region: &Self::Region) -> u64;

    /// In a turn: removes what deaths have left that belongs to no queue.
    fn clean(&self) -> Result<(), Error>;

    /// The names of all files, sorted; those that a directory would have.
    fn files(&self) -> Result<Vec<String>, Error>;

    /// Takes a duty on, if nobody living has it: there is one of each number. Ends with
    /// [`resign`](Shelf::resign), or with the life of this process.
    fn take_on(&self, duty: u64) -> Result<bool, Error>;

    /// Gives a duty back that this shelf has taken on.
    fn resign(&self, duty: u64);

    /// Checks a region without taking part in it: nothing is changed.
    fn look(&self, name: &str) -> Result<Look, Error>;
}

/// A kind of memory in which an [`Engine`](crate::Engine) keeps queues:
/// [`Mapped`](crate::Mapped), or [`Heap`]. Nothing else is one.
pub trait Home: sealed::Sealed + Sized + Send + Sync + 'static {
    /// The memory of one queue.
    #[doc(hidden)]
    type Region: Region + core::fmt::Debug + Send + Sync + 'static;

    /// Where the queues are kept.
    #[doc(hidden)]
    type Shelf: Shelf<Region = Self::Region>;
}

mod sealed {
    /// Keeps the list of homes closed.
    pub trait Sealed {}

    impl Sealed for super::Heap {}
    #[cfg(feature = "mapped")]
    impl Sealed for crate::region::Mapped {}
}

impl Home for Heap {
    type Region = Arc<Heap>;
    type Shelf = Rack;
}

#[cfg(feature = "mapped")]
impl Home for super::Mapped {
    type Region = super::Mapped;
    type Shelf = super::mapped::Directory;
}

/// The lock, whatever has become of who had it: what it guards is whole at each step.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The shelf in memory. It ends with the last who uses it.
#[derive(Debug, Default)]
pub struct Rack {
    turn: Mutex<()>,
    kept: Mutex<BTreeMap<String, Kept>>,
    duties: Mutex<BTreeSet<u64>>,
}

#[derive(Debug, Default)]
struct Kept {
    region: Option<Arc<Heap>>,
    card: Option<Vec<u8>>,
}

impl Shelf for Rack {
    type Region = Arc<Heap>;

    fn check(&self) -> Result<(), Error> {
        Ok(()) // a forked child has memory of its own
    }

    fn turn<T>(&self, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let _turn = lock(&self.turn);
        act()
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let kept = lock(&self.kept);
        let there = kept.iter().filter(|(_, kept)| kept.region.is_some());
        Ok(there.map(|(name, _)| name.clone()).collect())
    }

    fn state(&self, name: &str) -> Result<State, Error> {
        match self.look(name) {
            Ok(look) => Ok(look.state),
            Err(Error::NotFound) => Ok(State::Absent),
            Err(error) => Err(error),
        }
    }

    fn open(&self, name: &str) -> Result<Arc<Heap>, Error> {
        let kept = lock(&self.kept);
        let region = kept.get(name).and_then(|kept| kept.region.clone());
        region.ok_or(Error::NotFound)
    }

    fn body_bytes_max(&self, bytes: u64, wish: &Wish) -> Result<usize, Error> {
        let (shape, _) = memory::fit(wish, bytes_of(bytes)?, false)?;
        Ok(shape.body_bytes_max)
    }

    fn create(&self, name: &str, bytes: u64, wish: &Wish) -> Result<(Arc<Heap>, Place), Error> {
        let region = Arc::new(Heap::new(bytes_of(bytes)?)?);
        let place = region.place(Intent::Create, wish)?;
        let mut kept = lock(&self.kept);
        kept.entry(name.into()).or_default().region = Some(Arc::clone(&region));
        Ok((region, place))
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        lock(&self.kept).remove(name);
        Ok(())
    }

    fn card(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let kept = lock(&self.kept);
        Ok(kept.get(name).and_then(|kept| kept.card.clone()))
    }

    fn set_card(&self, name: &str, card: &[u8]) -> Result<(), Error> {
        let mut kept = lock(&self.kept);
        kept.entry(name.into()).or_default().card = Some(card.to_vec());
        Ok(())
    }

    fn bytes(region: &Arc<Heap>) -> u64 {
        region.len() as u64
    }

    fn clean(&self) -> Result<(), Error> {
        lock(&self.kept).retain(|_, kept| kept.region.is_some());
        Ok(())
    }

    fn files(&self) -> Result<Vec<String>, Error> {
        let kept = lock(&self.kept);
        let mut files = Vec::new();
        for (name, kept) in kept.iter() {
            files.extend(kept.card.is_some().then(|| format!("{name}.meta")));
            files.extend(kept.region.is_some().then(|| format!("{name}.queue")));
        }
        Ok(files)
    }

    fn take_on(&self, duty: u64) -> Result<bool, Error> {
        Ok(lock(&self.duties).insert(duty))
    }

    fn resign(&self, duty: u64) {
        lock(&self.duties).remove(&duty);
    }

    fn look(&self, name: &str) -> Result<Look, Error> {
        let region = self.open(name)?;
        let place = region.place(Intent::Open, &Wish::open(name))?;
        let head = region.store(&place).head();
        let policy = head.policy.numbers();
        Ok(Look {
            state: State::of(&policy),
            id: head.id(),
            policy,
            body_bytes_max: place.shape.body_bytes_max,
        })
    }
}

impl Wish {
    /// The wish of who opens what is there: nobody looks at it.
    pub const NONE: Self = Self {
        body_bytes_typical: 1,
        body_bytes_max: None,
        checksum: None,
        policy: [0; SETTINGS],
        durability: DURABILITY_PROCESS,
        fifo: None,
    };

    /// The wish of who opens the queue of this name: its kind alone is looked at.
    pub fn open(name: &str) -> Self {
        let fifo = FifoWish {
            ids: None,
            attempts: None,
            interval_ms: 0,
            flags: 0,
        };
        Self {
            fifo: (cfg!(feature = "fifo") && is_fifo_name(name)).then_some(fifo),
            ..Self::NONE
        }
    }
}

fn bytes_of(bytes: u64) -> Result<usize, Error> {
    usize::try_from(bytes).map_err(|_| Error::RegionTooLarge {
        len: bytes,
        max: isize::MAX as u64 - 4096,
    })
}
