//! Where an engine keeps its queues, by name: a directory, or the memory of the process.
//!
//! A [`Shelf`] keeps two things under a name: a region with one queue or one stream, and a small
//! card beside it. Queues and streams have names of their own each; that no name is given to one of
//! each is the engine's to see to. What is changed here is changed in a *turn*: nobody else, in any
//! process, has a turn at the same time. What is read may be read at any time. `mapped::directory`
//! tells what a death leaves.

use super::heap::Heap;
use super::home::{FifoWish, Intent, Region, Wish};
use super::layout::{DURABILITY_PROCESS, KIND_FIFO, KIND_QUEUE};
use super::memory::{self, Place};
use super::policy::{PolicyNumbers, SETTINGS};
#[cfg(feature = "stream")]
use super::stream::{self, StreamWish};
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

/// The longest name of a stream, characters: that of Kinesis.
pub const STREAM_NAME_CHARS_MAX: usize = 128;

/// Refuses what is no name of a stream: 1 to 128 of `A-Za-z0-9_.-`.
pub fn check_stream_name(name: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if let Some(at) = name.bytes().position(|byte| !allowed(byte)) {
        let rule = "a stream's name consists of letters, digits, '-', '_' and '.'";
        return Err(Error::Name { rule, at });
    }
    if name.is_empty() || name.len() > STREAM_NAME_CHARS_MAX {
        let rule = "a stream's name has 1 to 128 characters";
        let at = name.len().min(STREAM_NAME_CHARS_MAX);
        return Err(Error::Name { rule, at });
    }
    Ok(())
}

/// What a shelf keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// A queue of either kind.
    Queue,
    /// A stream.
    Stream,
}

impl Held {
    /// All.
    pub const ALL: [Self; 2] = [Self::Queue, Self::Stream];

    /// What else there is.
    pub const fn other(self) -> Self {
        match self {
            Self::Queue => Self::Stream,
            Self::Stream => Self::Queue,
        }
    }

    /// Refuses what is no name of such a thing.
    pub fn check_name(self, name: &str) -> Result<(), Error> {
        match self {
            Self::Queue => check_name(name),
            Self::Stream => check_stream_name(name),
        }
    }

    /// The kind of a region's section that has it under this name.
    pub fn kind(self, name: &str) -> u64 {
        match self {
            Self::Queue if is_fifo_name(name) => KIND_FIFO,
            Self::Queue => KIND_QUEUE,
            Self::Stream => 3, // `KIND_STREAM`, whatever the features
        }
    }
}

#[cfg(feature = "stream")]
const _: () = assert!(stream::KIND_STREAM == 3);

/// What lies under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No region.
    Absent,
    /// A region with nothing in it: its creator is at work, or has died.
    Vacant,
    /// A queue or a stream that is marked as deleted: who does it is at work, or has died.
    Deleted,
    /// A queue or a stream.
    Ready {
        /// The queue's setting `DEAD_LETTERS`; 0 for a stream.
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

/// A place for queues and streams, by name. Names were checked before.
pub trait Shelf: core::fmt::Debug + Send + Sync + 'static {
    /// What is kept.
    type Region: Region;

    /// An error if this process may not use it: a forked child.
    fn check(&self) -> Result<(), Error>;

    /// Does `act` while nobody else has a turn.
    fn turn<T>(&self, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error>;

    /// The names under which a region lies, sorted.
    fn names(&self, held: Held) -> Result<Vec<String>, Error>;

    /// What lies under a name.
    fn state(&self, held: Held, name: &str) -> Result<State, Error>;

    /// Takes part in the region of this name.
    fn open(&self, held: Held, name: &str) -> Result<Self::Region, Error>;

    /// The longest body that a queue of this wish would take, bytes.
    fn body_bytes_max(&self, bytes: u64, wish: &Wish) -> Result<usize, Error>;

    /// In a turn: makes a region of `bytes` bytes with a queue in it. Nothing is left of a failure.
    fn create(&self, name: &str, bytes: u64, wish: &Wish) -> Result<(Self::Region, Place), Error>;

    /// The same with a stream in it.
    #[cfg(feature = "stream")]
    fn create_stream(
        &self,
        name: &str,
        bytes: u64,
        wish: &StreamWish,
    ) -> Result<Self::Region, Error>;

    /// In a turn: removes whatever lies under a name.
    fn remove(&self, held: Held, name: &str) -> Result<(), Error>;

    /// The card beside a region.
    fn card(&self, held: Held, name: &str) -> Result<Option<Vec<u8>>, Error>;

    /// In a turn: sets it.
    fn set_card(&self, held: Held, name: &str, card: &[u8]) -> Result<(), Error>;

    /// How long a region is, bytes.
    fn bytes(region: &Self::Region) -> u64;

    /// In a turn: removes what deaths have left that belongs to nothing.
    fn clean(&self) -> Result<(), Error>;

    /// The names of all files, sorted; those that a directory would have.
    fn files(&self) -> Result<Vec<String>, Error>;

    /// Takes a duty on, if nobody living has it: there is one of each number. Ends with
    /// [`resign`](Shelf::resign), or with the life of this process.
    fn take_on(&self, duty: u64) -> Result<bool, Error>;

    /// Gives a duty back that this shelf has taken on.
    fn resign(&self, duty: u64);

    /// Checks a queue's region without taking part in it: nothing is changed.
    fn look(&self, name: &str) -> Result<Look, Error>;

    /// Checks a stream's region in the same way; its state is not [`State::Absent`].
    #[cfg(feature = "stream")]
    fn look_at_stream(&self, name: &str) -> Result<State, Error>;
}

/// A kind of memory in which an [`Engine`](crate::Engine) keeps queues and streams:
/// [`Mapped`](crate::Mapped), or [`Heap`]. Nothing else is one.
pub trait Home: sealed::Sealed + Sized + Send + Sync + 'static {
    /// The memory of one of them.
    #[doc(hidden)]
    type Region: Region + core::fmt::Debug + Send + Sync + 'static;

    /// Where they are kept.
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
    kept: Mutex<BTreeMap<(Held, String), Kept>>,
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

    fn names(&self, held: Held) -> Result<Vec<String>, Error> {
        let kept = lock(&self.kept);
        let there = kept.iter().filter(|((of, _), kept)| {
            let is_there = kept.region.is_some();
            is_there && *of == held
        });
        Ok(there.map(|((_, name), _)| name.clone()).collect())
    }

    fn state(&self, held: Held, name: &str) -> Result<State, Error> {
        let state = match held {
            Held::Queue => self.look(name).map(|look| look.state),
            #[cfg(feature = "stream")]
            Held::Stream => self.look_at_stream(name),
            #[cfg(not(feature = "stream"))]
            Held::Stream => Ok(State::Absent),
        };
        match state {
            Err(Error::NotFound) => Ok(State::Absent),
            other => other,
        }
    }

    fn open(&self, held: Held, name: &str) -> Result<Arc<Heap>, Error> {
        let kept = lock(&self.kept);
        let kept = kept.get(&(held, name.to_owned()));
        let region = kept.and_then(|kept| kept.region.clone());
        region.ok_or(Error::NotFound)
    }

    fn body_bytes_max(&self, bytes: u64, wish: &Wish) -> Result<usize, Error> {
        let (shape, _) = memory::fit(wish, bytes_of(bytes)?, false)?;
        Ok(shape.body_bytes_max)
    }

    fn create(&self, name: &str, bytes: u64, wish: &Wish) -> Result<(Arc<Heap>, Place), Error> {
        let region = Arc::new(Heap::new(bytes_of(bytes)?)?);
        let place = region.place(Intent::Create, wish)?;
        self.keep(Held::Queue, name, &region);
        Ok((region, place))
    }

    #[cfg(feature = "stream")]
    fn create_stream(&self, name: &str, bytes: u64, wish: &StreamWish) -> Result<Arc<Heap>, Error> {
        let region = Arc::new(Heap::new(bytes_of(bytes)?)?);
        region.stream_place(Intent::Create, wish)?;
        self.keep(Held::Stream, name, &region);
        Ok(region)
    }

    fn remove(&self, held: Held, name: &str) -> Result<(), Error> {
        lock(&self.kept).remove(&(held, name.to_owned()));
        Ok(())
    }

    fn card(&self, held: Held, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let kept = lock(&self.kept);
        let kept = kept.get(&(held, name.to_owned()));
        Ok(kept.and_then(|kept| kept.card.clone()))
    }

    fn set_card(&self, held: Held, name: &str, card: &[u8]) -> Result<(), Error> {
        let mut kept = lock(&self.kept);
        kept.entry((held, name.into())).or_default().card = Some(card.to_vec());
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
        for ((held, name), kept) in kept.iter() {
            let [region, card] = match held {
                Held::Queue => [".queue", ".meta"],
                Held::Stream => [".stream", ".stream.meta"],
            };
            files.extend(kept.card.is_some().then(|| format!("{name}{card}")));
            files.extend(kept.region.is_some().then(|| format!("{name}{region}")));
        }
        files.sort();
        Ok(files)
    }

    fn take_on(&self, duty: u64) -> Result<bool, Error> {
        Ok(lock(&self.duties).insert(duty))
    }

    fn resign(&self, duty: u64) {
        lock(&self.duties).remove(&duty);
    }

    fn look(&self, name: &str) -> Result<Look, Error> {
        let region = self.open(Held::Queue, name)?;
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

    #[cfg(feature = "stream")]
    fn look_at_stream(&self, name: &str) -> Result<State, Error> {
        let region = self.open(Held::Stream, name)?;
        Ok(State::of_stream(stream::is_deleted(&region)?))
    }
}

impl Rack {
    fn keep(&self, held: Held, name: &str, region: &Arc<Heap>) {
        let mut kept = lock(&self.kept);
        let kept = kept.entry((held, name.into())).or_default();
        kept.region = Some(Arc::clone(region));
    }
}

#[cfg(feature = "stream")]
impl State {
    /// Of a stream.
    pub fn of_stream(is_deleted: bool) -> Self {
        match is_deleted {
            true => Self::Deleted,
            false => Self::Ready { dead_letters: 0 },
        }
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
