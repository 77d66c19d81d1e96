//! The writer of a shard, which has it to itself.

use super::put::{Put, StreamEntry, put};
use super::route::trouble;
use super::shared::{ShardId, Stream};
use crate::error::Error;
use crate::region::Region;
use crate::region::stream::{Reserved, StreamShape};
use crate::ring::log::Refusal;
use crate::ring::shards::Shards;
use crate::time::Clock;
use core::fmt;

/// Puts records in one shard, faster than [`Stream::put`]: by stores alone. Meanwhile nobody else
/// puts there; they are refused with [`Error::ShardReserved`], and so is who would split or merge
/// the shard. Readers notice nothing.
///
/// It has the shard's tail from its first put on, until it is [released](Self::release) or dropped;
/// if its process dies, until somebody else puts there. Between two segments others may come first;
/// and while shards are split or merged, and for a record as long as a segment, it puts as
/// [`Stream::put`] does.
///
/// See `Reservation` in the source, `ring::log`, for the protocol.
#[must_use = "it has the shard to itself while it lives"]
pub struct ShardWriter<'s, R: Region, C: Clock> {
    stream: &'s Stream<R, C>,
    reserved: Reserved<'s>,
    /// The first and last hash of the shard, if there may be others.
    range: Option<(u128, u128)>,
}

impl<R: Region, C: Clock> Stream<R, C> {
    /// A writer that has an open shard to itself.
    ///
    /// ```
    /// use ringmain::{Error, Heap, ShardId, Stream, StreamOptions};
    /// let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new())?;
    /// let mut writer = stream.writer(ShardId::from_number(0))?;
    /// writer.put("boiler-7", b"81.5")?;
    /// assert!(matches!(stream.put("boiler-7", b"0"), Err(Error::ShardReserved { .. })));
    /// drop(writer);
    /// stream.put("boiler-7", b"81.7")?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoShard`], [`Error::ShardNotOpen`], [`Error::Forked`].
    pub fn writer(&self, shard: ShardId) -> Result<ShardWriter<'_, R, C>, Error> {
        self.check_change()?;
        let shard = self.shard(shard)?;
        let known = shard.head().card.known();
        let known = known.filter(|known| known.id == shard.id() && known.is_open);
        let known = known.ok_or(Error::ShardNotOpen { shard: shard.id() })?;
        Ok(ShardWriter {
            stream: self,
            reserved: Reserved::new(shard),
            range: (!self.has_one_shard()).then_some(known.range),
        })
    }
}

impl<R: Region, C: Clock> ShardWriter<'_, R, C> {
    /// Puts a record.
    ///
    /// # Errors
    ///
    /// [`Error::HashNotInShard`], [`Error::ShardNotOpen`] if the shard was split or merged, and
    /// those of [`Stream::put`].
    ///
    /// # Progress
    ///
    /// Wait-free, but for the first of each segment, which is lock-free.
    #[inline]
    pub fn put(&mut self, key: &str, data: &[u8]) -> Result<Put, Error> {
        self.append(key, data, None)
    }

    /// Puts a record, by its explicit hash if it has one.
    ///
    /// # Errors
    ///
    /// Those of [`put`](Self::put).
    #[inline]
    pub fn put_entry(&mut self, entry: &StreamEntry<'_>) -> Result<Put, Error> {
        self.append(entry.key, entry.data, entry.hash)
    }

    #[inline(always)]
    fn append(&mut self, key: &str, data: &[u8], hash: Option<u128>) -> Result<Put, Error> {
        let stream = self.stream;
        let len = stream.checked(key, data)?;
        if let Some((first, last)) = self.range {
            let hash = hash.unwrap_or_else(|| stream.hash_of(key));
            if hash < first || hash > last {
                let shard = self.shard().number();
                return Err(Error::HashNotInShard { shard });
            }
        }
        let (granules, now_ms) = (StreamShape::granules_of(len), stream.now_ms());
        if !self.reserved.fits(granules) && !self.reserve(granules, now_ms)? {
            return self.put_shared(key, data, hash);
        }
        stream.admit(self.reserved.shard(), len)?;
        self.reserved.fetch_behind(granules);
        let at = self.reserved.put(key.as_bytes(), data, now_ms);
        let at = at.ok_or(trouble(Refusal::Damaged))?;
        stream.wake(self.reserved.shard());
        stream.make_durable(self.reserved.shard(), at)?;
        Ok(put(self.reserved.shard(), at))
    }

    /// Puts as one of several: which asks the quota.
    #[cold]
    fn put_shared(&self, key: &str, data: &[u8], hash: Option<u128>) -> Result<Put, Error> {
        self.stream.put_entry(&StreamEntry { key, data, hash })
    }

    /// Reserves the tail, with room for so many granules. False if nothing is reserved: no segment
    /// has it beside what a reservation leaves alone, or shards are split or merged.
    #[cold]
    fn reserve(&mut self, granules: u32, now_ms: u64) -> Result<bool, Error> {
        let stream = self.stream;
        let shard = *self.reserved.shard();
        if granules + 2 > shard.shape().ring.segment {
            self.release();
            return Ok(false);
        }
        let owner = stream.region().owner();
        let reserved = &mut self.reserved;
        let mut reserve = |from| reserved.reserve(from, owner, granules, now_ms);
        let taken = match reserve(stream.near(&shard)) {
            Ok(()) => Some(()),
            Err(refusal) => {
                let mut again = || reserve(shard.log().hint());
                stream.again(&shard, granules, now_ms, refusal, &mut again)?
            }
        };
        if taken.is_none() {
            return Err(Error::ShardNotOpen { shard: shard.id() });
        }
        if Shards(&stream.site.places()).is_changing() {
            self.release();
            stream.complete()?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Lets others put, until the next put. In a forked child it does nothing.
    pub fn release(&mut self) {
        if self.stream.region().check().is_ok()
            && let Some(at) = self.reserved.release()
        {
            self.stream.remember(self.reserved.shard(), at);
        }
    }

    /// The shard.
    pub fn shard(&self) -> ShardId {
        ShardId(self.reserved.shard().id())
    }
}

impl<R: Region, C: Clock> Drop for ShardWriter<'_, R, C> {
    fn drop(&mut self) {
        self.release();
    }
}

impl<R: Region, C: Clock> fmt::Debug for ShardWriter<'_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardWriter")
            .field("shard", &self.shard())
            .finish_non_exhaustive()
    }
}
