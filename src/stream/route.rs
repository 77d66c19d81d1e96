//! Which shard a record belongs to.

use super::placement::Placement;
use super::shared::{ShardId, Stream};
use crate::error::Error;
use crate::region::Region;
use crate::region::stream::Shard;
use crate::ring::log::Refusal;
use crate::ring::shards::{Shards, Table};
use crate::sync::{AtomicU32, Ordering};
use crate::time::Clock;

/// Parts of all hashes for which a handle remembers the place.
const ROUTES: usize = 256;

/// The place, and one, that a hash of each 256th of all hashes had last; 0: where such hashes are
/// in a stream that nobody has split or merged. Hints: what is in a place is asked there.
#[derive(Debug)]
pub(super) struct Routes([AtomicU32; ROUTES]);

impl Routes {
    pub(super) fn new() -> Self {
        Self(core::array::from_fn(|_| AtomicU32::new(0)))
    }

    #[inline(always)]
    fn of(&self, hash: u128) -> &AtomicU32 {
        &self.0[(hash >> 120) as u8 as usize]
    }
}

/// What a refusal means that no room would mend.
pub(super) fn trouble(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Exhausted => Error::Exhausted,
        Refusal::Full => Error::Full,
        Refusal::Reserved(owner) => Error::ShardReserved { owner },
        _ => Error::Damaged {
            field: "header of a record, or card of a shard",
        },
    }
}

impl<R: Region, C: Clock> Stream<R, C> {
    /// The hash of a partition key, by the stream's [placement](super::StreamOptions::placement).
    #[inline(always)]
    pub fn hash_of(&self, key: &str) -> u128 {
        self.placement().hash_of(key)
    }

    #[inline(always)]
    pub(super) fn placement(&self) -> Placement {
        match self.site.place().uses_md5() {
            false => Placement::Xxh3,
            true => Placement::Md5,
        }
    }

    /// The open shard to which a hash belongs, now.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], [`Error::Damaged`].
    pub fn shard_of(&self, hash: u128) -> Result<ShardId, Error> {
        self.region().check()?;
        Ok(ShardId(self.route(hash)?.id()))
    }

    /// Whether no hash is needed to know the shard.
    #[inline(always)]
    pub(super) fn has_one_shard(&self) -> bool {
        self.site.place().shape.places == 1
    }

    /// The one shard of a stream that can have no other.
    #[inline(always)]
    pub(super) fn only_shard(&self) -> Result<Shard<'_>, Error> {
        self.site.shard(0, 0).ok_or(trouble(Refusal::Damaged))
    }

    /// The shard of a hash.
    #[inline(always)]
    pub(super) fn route(&self, hash: u128) -> Result<Shard<'_>, Error> {
        match self.route_near(hash) {
            Some(shard) => Ok(shard),
            None => self.route_anew(hash),
        }
    }

    /// The shard of a hash, if it is where such hashes were last.
    #[inline(always)]
    pub(super) fn route_near(&self, hash: u128) -> Option<Shard<'_>> {
        // ORDERING: Relaxed; a hint.
        let place = match self.routes.of(hash).load(Ordering::Relaxed) {
            0 => self.first_place(hash),
            place => place as usize - 1,
        };
        self.taker(place, hash)
    }

    /// The place of a hash in a stream that nobody has split or merged.
    #[inline(always)]
    fn first_place(&self, hash: u128) -> usize {
        let shards = self.site.place().shape.shards as u128;
        (((hash >> 64) * shards) >> 64) as usize // as `range_of` divides them
    }

    /// The open shard in a place, if it takes a hash.
    #[inline(always)]
    fn taker(&self, place: usize, hash: u128) -> Option<Shard<'_>> {
        let id = self.site.shard(place, 0)?.head().card.takes(hash)?;
        self.site.shard(place, id)
    }

    #[cold]
    fn route_anew(&self, hash: u128) -> Result<Shard<'_>, Error> {
        let route = self.routes.of(hash);
        if let Some(shard) = self.taker(self.first_place(hash), hash) {
            // ORDERING: Relaxed, here and below; a hint.
            route.store(0, Ordering::Relaxed);
            return Ok(shard);
        }
        let (place, id) = loop {
            let places = self.site.places();
            match Shards(&places).find(hash).map_err(trouble)? {
                Some(found) => break found,
                None => self.complete()?,
            }
        };
        route.store(place as u32 + 1, Ordering::Relaxed);
        self.site.shard(place, id).ok_or(trouble(Refusal::Damaged))
    }

    /// A shard that is there, open or closed.
    #[inline(always)]
    pub(super) fn shard(&self, id: ShardId) -> Result<Shard<'_>, Error> {
        let places = self.site.places();
        let place = Shards(&places).place_of(id.0);
        let known = places.card(place).and_then(|card| card.known());
        let is_there = known.is_some_and(|known| known.id == id.0);
        let shard = self.site.shard(place, id.0).filter(|_| is_there);
        shard.ok_or(Error::NoShard { shard: id.0 })
    }

    /// Goes on with a split or merge whose maker has got no further.
    pub(super) fn complete(&self) -> Result<(), Error> {
        if self.site.complete()?.map_err(trouble)? {
            self.wake_all();
        }
        Ok(())
    }

    /// What follows if a shard takes no records any more: the next [`route`](Self::route) finds
    /// another. An error if it does not.
    #[cold]
    pub(super) fn leave(&self, shard: &Shard<'_>) -> Result<(), Error> {
        self.complete()?;
        let known = shard.head().card.known();
        let is_open = known.is_some_and(|known| known.id == shard.id() && known.is_open);
        match is_open || self.has_one_shard() {
            true => Err(trouble(Refusal::Damaged)),
            false => Ok(()),
        }
    }
}
