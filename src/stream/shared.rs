//! The stream: how one is made, and what all its operations share.

use super::options::StreamOptions;
use super::route::Routes;
use crate::error::Error;
use crate::region::stream::{KEY_BYTES_MAX, Shard, Site};
use crate::region::{Intent, Region, Tended};
use crate::ring::log::{Kept, Position};
use crate::sync::{AtomicU64, Ordering, Padded};
use crate::time::{Clock, DefaultClock};
use core::fmt;

/// A busy participant asks the kernel at most this often who has died, ms.
pub(super) const TEND_EVERY_MS: u64 = 8;
/// Places of shards for which a handle remembers where it has appended last.
const HINTS: usize = 8;

/// A stream: records by partition key, kept for a while, read and replayed by any number.
///
/// The hash of a record's partition key names its shard; the records of a shard have one order, and
/// so do those of a key. A record does not change and cannot be deleted: it goes by age
/// ([`retention`](StreamOptions::retention)), or to make room
/// ([`FullPolicy::Evict`](super::FullPolicy::Evict)). All methods take `&self`; a stream is shared
/// between threads by reference, and between processes by opening the same file.
///
/// | operation | progress | when the caller dies in it |
/// |---|---|---|
/// | `put`, `put_batch` | lock-free | the records are there or not; of a batch all of a shard's |
/// | `claim`, `commit` | lock-free | not there before `commit` |
/// | `cursor`, `read` | lock-free; wait for nobody | nothing is left |
/// | `split`, `merge` | one at a time; hold up no record | done, or not begun |
/// | `register_consumer`, `deregister_consumer` | lock-free | done, or not begun |
/// | `tend`, `stat` | a scan | a part is done |
///
/// A claimed record holds up readers of its shard, and nobody else, until it is committed; or, if
/// the claimant has died, until the kernel confirms that.
///
/// # Examples
///
/// ```
/// use ringmain::{Heap, Start, Stream, StreamOptions};
///
/// let region = Heap::new(1 << 20)?;
/// let readings = Stream::create(&region, StreamOptions::new().shards(2))?;
/// let put = readings.put("boiler-7", b"81.5")?;
///
/// let mut cursor = readings.cursor(put.shard, Start::Oldest)?;
/// for record in &cursor.read(100)? {
///     assert_eq!((record.key()?, record.data()), ("boiler-7", &b"81.5"[..]));
/// }
/// # Ok::<(), ringmain::Error>(())
/// ```
pub struct Stream<R: Region, C: Clock = DefaultClock> {
    pub(super) site: Site<R>,
    clock: C,
    hints: [Padded<AtomicU64>; HINTS],
    pub(super) routes: Routes,
    /// That of this handle, as the stream's configuration has it.
    #[cfg(feature = "mapped")]
    pub(super) durability: u64,
}

/// A shard, by its number. No number is used twice in a stream: a child of a split or a merge has
/// one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub(crate) u32);

impl ShardId {
    /// The shard of this number.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The shards that a stream is made with have the numbers from 0 on.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ShardId {
    /// As Kinesis writes it: `shardId-000000000000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shardId-{:012}", self.0)
    }
}

/// The place of a record in the order of its shard: it grows with each record, and not by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamSequence(pub(crate) Position);

impl StreamSequence {
    /// As a number.
    pub const fn as_u64(self) -> u64 {
        self.0.0
    }

    /// From a number that [`as_u64`](Self::as_u64) gave.
    pub const fn from_u64(number: u64) -> Self {
        Self(Position(number))
    }
}

impl fmt::Display for StreamSequence {
    /// 20 digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}", self.as_u64())
    }
}

#[cfg(feature = "std")]
impl<R: Region> Stream<R> {
    /// Makes a stream in a region.
    ///
    /// # Errors
    ///
    /// [`Error::Occupied`] if there is something, [`Error::RegionTooSmall`], [`Error::OutOfRange`],
    /// [`Error::Unsupported`] (a static region).
    pub fn create(region: R, options: StreamOptions) -> Result<Self, Error> {
        Self::create_with(region, options, DefaultClock::default())
    }

    /// Opens the stream of a region.
    ///
    /// # Errors
    ///
    /// [`Error::Vacant`] if there is none, [`Error::Kind`], [`Error::Damaged`].
    pub fn open(region: R) -> Result<Self, Error> {
        Self::open_with(region, DefaultClock::default())
    }

    /// Opens the stream of a region, or makes one.
    ///
    /// # Errors
    ///
    /// [`Error::OptionsDiffer`] if it exists with other options, and those of
    /// [`create`](Stream::create) and [`open`](Stream::open).
    pub fn open_or_create(region: R, options: StreamOptions) -> Result<Self, Error> {
        Self::open_or_create_with(region, options, DefaultClock::default())
    }
}

impl<R: Region, C: Clock> Stream<R, C> {
    /// [`create`](Stream::create) with another clock.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Stream::create).
    pub fn create_with(region: R, options: StreamOptions, clock: C) -> Result<Self, Error> {
        Self::with(region, Intent::Create, options, clock)
    }

    /// [`open`](Stream::open) with another clock.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Stream::open).
    pub fn open_with(region: R, clock: C) -> Result<Self, Error> {
        Self::with(region, Intent::Open, StreamOptions::new(), clock)
    }

    /// [`open_or_create`](Stream::open_or_create) with another clock.
    ///
    /// # Errors
    ///
    /// Those of [`open_or_create`](Stream::open_or_create).
    pub fn open_or_create_with(region: R, options: StreamOptions, clock: C) -> Result<Self, Error> {
        Self::with(region, Intent::OpenOrCreate, options, clock)
    }

    fn with(region: R, intent: Intent, options: StreamOptions, clock: C) -> Result<Self, Error> {
        let site = Site::new(region, intent, &options.wish()?)?;
        Ok(Self::over(site, clock))
    }

    fn over(site: Site<R>, clock: C) -> Self {
        let hint = || Padded(AtomicU64::new(0));
        Self {
            #[cfg(feature = "mapped")]
            durability: site.place().durability,
            site,
            clock,
            hints: core::array::from_fn(|_| hint()),
            routes: Routes::new(),
        }
    }

    /// A handle to the same stream, with this durability, that borrows this one.
    #[cfg(feature = "mapped")]
    pub(super) fn by_ref(&self, durability: u64) -> Stream<&R, &C> {
        Stream {
            durability,
            ..Stream::over(self.site.by_ref(), &self.clock)
        }
    }

    /// The region.
    pub fn region(&self) -> &R {
        self.site.region()
    }

    /// The longest data of a record, bytes.
    pub fn data_bytes_max(&self) -> usize {
        self.site.place().shape.data_bytes_max
    }

    /// The region's time, ms.
    #[inline(always)]
    pub(super) fn now_ms(&self) -> u64 {
        let base = self.site.region().time_base_ms();
        self.clock.now_ms().saturating_add(base)
    }

    /// An error if this participant may not go on, or the key is none.
    #[inline(always)]
    pub(super) fn check(&self, key: &str) -> Result<(), Error> {
        self.check_change()?;
        // As many bytes are at least as many characters: seldom counted.
        if key.is_empty() || (key.len() > 256 && key.chars().count() > 256) {
            return Err(Error::PartitionKey {
                characters: key.chars().count(),
            });
        }
        debug_assert!(key.len() <= KEY_BYTES_MAX);
        Ok(())
    }

    /// An error if this participant may not go on, or may only read.
    #[inline(always)]
    pub(super) fn check_change(&self) -> Result<(), Error> {
        self.site.region().check()?;
        match self.site.place().is_for_reading() {
            false => Ok(()),
            true => Err(Error::OpenedForReading),
        }
    }

    /// A boundary near the tail of a shard, from which to look for it.
    #[inline(always)]
    pub(super) fn near(&self, shard: &Shard<'_>) -> Position {
        let hint = self.hints.get(shard.number());
        // ORDERING: Acquire; any boundary that there ever was will do, but one of a later shard of
        // this place comes with that shard's name: [renamed].
        match hint.map_or(0, |hint| hint.load(Ordering::Acquire)) {
            0 => shard.log().hint(),
            at => Position(at),
        }
    }

    /// Remembers a boundary.
    #[inline(always)]
    pub(super) fn remember(&self, shard: &Shard<'_>, at: Position) {
        if let Some(hint) = self.hints.get(shard.number()) {
            // ORDERING: Release; as in `near`.
            hint.store(at.0, Ordering::Release);
        }
    }

    /// Whether all that is in a segment is older than the retention, or will be never read.
    pub(super) fn is_over(&self, shard: &Shard<'_>, segment: Position, now_ms: u64) -> bool {
        let age = self.site.place().retention_ms;
        let closed = shard.closed_ms(segment);
        closed.is_some_and(|ms| ms.saturating_add(age) < now_ms)
    }

    /// Makes room in a shard that was full while this segment was the oldest, if that is allowed.
    #[cold]
    pub(super) fn make_room(
        &self,
        shard: &Shard<'_>,
        oldest: Position,
        now_ms: u64,
    ) -> Result<(), Error> {
        let log = shard.log();
        if !shard.is_there() {
            return Ok(()); // what is oldest may be another's; the next claim finds it moved
        }
        let is_over = self.is_over(shard, oldest, now_ms);
        if log.oldest() != oldest {
            return Ok(()); // another one has made room, and what was judged may be a later segment
        }
        if !is_over && !self.site.place().evicts() {
            return Err(Error::Full);
        }
        // What is too old nobody misses: no need to wait for who writes to the disk.
        if !is_over {
            self.keep_oldest(shard, oldest);
        }
        let (mut asked, mut settled) = (false, false);
        let mine = loop {
            let (owner, reading) = match log.reclaim(oldest) {
                Ok(mine) => break mine,
                Err(Kept::Pinned(owner)) => (owner, true),
                Err(Kept::Claimed(owner)) => (owner, false),
                Err(Kept::Open) if settled => return Err(Error::Full),
                Err(Kept::Open) => {
                    settled = true; // it was settled meanwhile: the writers are beyond it
                    continue;
                }
                Err(Kept::Damaged) => {
                    return Err(Error::Damaged {
                        field: "header of a record",
                    });
                }
            };
            // Perhaps whoever is in the way has died.
            if asked || !self.ask(now_ms) {
                return Err(Error::SegmentInUse { owner, reading });
            }
            asked = true;
        };
        if mine && !is_over {
            let evicted = &shard.head().writers.evicted;
            evicted.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Asks the kernel who has died, unless somebody has just done so. Whether it was asked.
    #[cold]
    pub(super) fn ask(&self, now_ms: u64) -> bool {
        if !self.site.region().is_shared() {
            return false;
        }
        let tended = &self.site.head().notes.tended_ms;
        let last = tended.load(Ordering::Relaxed);
        if now_ms < last.saturating_add(TEND_EVERY_MS) && now_ms >= last {
            return false;
        }
        tended.store(now_ms, Ordering::Relaxed);
        self.site.region().tend();
        true
    }

    /// Asks the kernel who has died, and takes back what they had claimed and pinned; and gives
    /// segments free whose records are all older than the retention. Splits shards of a stream with
    /// [`Capacity::OnDemand`](super::Capacity::OnDemand), if they are too few for what comes in.
    ///
    /// Puts and reads do the same where they are held up by it.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], [`Error::Truncated`].
    pub fn tend(&self) -> Result<Tended, Error> {
        self.site.region().check()?;
        let tended = self.site.region().tend();
        let now_ms = self.now_ms();
        self.complete()?;
        for id in self.shards() {
            let Ok(shard) = self.shard(id) else {
                continue; // gone meanwhile
            };
            let log = shard.log();
            let mut left = log.shape.granules / log.shape.segment;
            while left > 0 && self.is_over(&shard, log.oldest(), now_ms) {
                if log.reclaim(log.oldest()).is_err() {
                    break;
                }
                left -= 1;
            }
        }
        if !self.site.place().is_for_reading() {
            self.serve_demand(now_ms)?;
        }
        self.site.region().check()?;
        Ok(tended)
    }
}

impl<R: Region + fmt::Debug, C: Clock> fmt::Debug for Stream<R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("region", self.site.region())
            .field("shape", &self.site.place().shape)
            .finish_non_exhaustive()
    }
}
