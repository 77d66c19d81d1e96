//! Split and merge, and what is known of a shard.

use super::route::trouble;
use super::shared::{ShardId, Stream, StreamSequence};
use crate::error::Error;
use crate::region::Region;
use crate::ring::log::{Refusal, Step};
use crate::ring::shards::{Refused, Shards, Table};
use crate::sync::Ordering;
use crate::time::Clock;

/// What a shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardInfo {
    /// Which one.
    pub shard: ShardId,
    /// The first and the last hash of its range.
    pub hashes: (u128, u128),
    /// Where its records begin, or began.
    pub starting: StreamSequence,
    /// Where they end: behind the last one; `None` as long as it is open.
    pub ending: Option<StreamSequence>,
    /// The shard that was split to make it, or the one with the lower hashes of two that were
    /// merged. It may be gone by now.
    pub parent: Option<ShardId>,
    /// The other one of two that were merged.
    pub adjacent_parent: Option<ShardId>,
    /// The shards that have its hashes since it was closed: of a split the one with the lower
    /// hashes first.
    pub children: [Option<ShardId>; 2],
}

impl ShardInfo {
    /// Whether records are put there.
    pub const fn is_open(&self) -> bool {
        self.ending.is_none()
    }
}

impl<R: Region, C: Clock> Stream<R, C> {
    /// The shards that are there, open and closed, in no order. A closed one goes when all its
    /// records are older than the retention and its place is needed.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> + use<'_, R, C> {
        let places = self.site.places();
        let known = move |place| places.card(place)?.known();
        let ids = (0..places.places()).filter_map(known);
        ids.map(|known| ShardId(known.id))
    }

    /// What a shard is: its range, its parents and its children.
    ///
    /// # Errors
    ///
    /// [`Error::NoShard`], [`Error::Forked`], [`Error::Damaged`].
    pub fn shard_info(&self, id: ShardId) -> Result<ShardInfo, Error> {
        self.region().check()?;
        let shard = self.shard(id)?;
        let gone = Error::NoShard { shard: id.0 };
        let known = shard.head().card.known().ok_or(gone.clone())?;
        let log = shard.log();
        let tail = log.tail(log.hint()).map_err(trouble)?;
        let is_closed = !known.is_open && log.step(tail) == Step::End;
        if known.id != id.0 || !shard.is_there() {
            return Err(gone);
        }
        let [parent, adjacent_parent] = known.parents.map(|id| id.map(ShardId));
        Ok(ShardInfo {
            shard: id,
            hashes: known.range,
            starting: StreamSequence(known.begin),
            ending: is_closed.then_some(StreamSequence(tail)),
            parent,
            adjacent_parent,
            children: known.children.map(|id| id.map(ShardId)),
        })
    }

    /// Closes a shard and opens two children: `point` is the first hash of the second one. Records
    /// of a key keep their order, if the parent is read to its end before its children.
    ///
    /// ```
    /// use ringmain::{Error, Heap, Start, Stream, StreamOptions};
    /// let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new().max_shards(3))?;
    /// let parent = stream.put("boiler-7", b"81.5")?.shard;
    /// let (first, last) = stream.shard_info(parent)?.hashes;
    /// let children = stream.split(parent, first + (last - first) / 2)?;
    /// assert!(children.contains(&stream.put("boiler-7", b"81.7")?.shard));
    ///
    /// let mut cursor = stream.cursor(parent, Start::Oldest)?;
    /// assert_eq!(cursor.read(10)?.len(), 1);
    /// let ended = Error::ShardClosed { children: children.map(|child| Some(child.number())) };
    /// assert_eq!(cursor.read(10).err(), Some(ended));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::SplitPoint`], [`Error::ShardNotOpen`], [`Error::ShardLimit`],
    /// [`Error::Resharding`], [`Error::ShardReserved`], [`Error::NoShard`], [`Error::Forked`],
    /// [`Error::Damaged`].
    ///
    /// # Progress
    ///
    /// Refused while another participant prepares a split or merge, and bounded by the number of
    /// places; whoever puts or reads meanwhile goes on.
    pub fn split(&self, shard: ShardId, point: u128) -> Result<[ShardId; 2], Error> {
        self.shard(shard)?;
        let children =
            self.change(|shards, owner, is_over| shards.split(owner, shard.0, point, is_over))?;
        Ok(children.map(ShardId))
    }

    /// Closes two open shards that are neighbours, in either order, and opens one child with the
    /// range of both.
    ///
    /// # Errors
    ///
    /// [`Error::NotAdjacent`], and those of [`split`](Self::split).
    ///
    /// # Progress
    ///
    /// As [`split`](Self::split).
    pub fn merge(&self, one: ShardId, other: ShardId) -> Result<ShardId, Error> {
        self.shard(one)?;
        self.shard(other)?;
        let merged =
            self.change(|shards, owner, is_over| shards.merge(owner, one.0, other.0, is_over));
        merged.map(ShardId)
    }

    fn change<T>(
        &self,
        make: impl Fn(
            Shards<'_, crate::region::stream::Places<'_>>,
            u32,
            &dyn Fn(usize) -> bool,
        ) -> Result<T, Refused>,
    ) -> Result<T, Error> {
        self.check_change()?;
        let places = self.site.places();
        let owner = self.region().owner();
        let now_ms = self.now_ms();
        let age = self.site.place().retention_ms;
        let is_over = |place: usize| {
            let shard = self.site.shard(place, 0);
            shard.is_some_and(|shard| {
                let latest_ms = shard.head().writers.latest_ms.load(Ordering::Relaxed);
                latest_ms.saturating_add(age) < now_ms
            })
        };
        let mut asked = false;
        loop {
            let refused = match make(Shards(&places), owner, &is_over) {
                Ok(made) => {
                    // Somebody has reserved a parent for a moment, perhaps its last one.
                    if self.complete().is_err() && self.region().is_shared() {
                        self.region().tend();
                        self.complete()?;
                    }
                    self.wake_all();
                    self.make_change_durable()?;
                    return Ok(made);
                }
                Err(refused) => refused,
            };
            return Err(match refused {
                Refused::Busy(_) | Refused::NoPlace | Refused::Reserved(_)
                    if !asked && self.region().is_shared() =>
                {
                    self.region().tend(); // perhaps who is in the way has died
                    asked = true;
                    continue;
                }
                Refused::Busy(owner) => Error::Resharding { owner },
                Refused::Reserved(owner) => Error::ShardReserved { owner },
                Refused::NotOpen(shard) => Error::ShardNotOpen { shard },
                Refused::Point => Error::SplitPoint,
                Refused::Apart => Error::NotAdjacent,
                Refused::NoPlace => Error::ShardLimit {
                    max: places.places() as u32,
                },
                Refused::Damaged => trouble(Refusal::Damaged),
            });
        }
    }
}
