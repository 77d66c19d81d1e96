//! What a read gives: records in place, under a pin.

use super::shared::{ShardId, Stream, StreamSequence};
use crate::error::Error;
use crate::region::Region;
use crate::region::stream::{Held, Reading, Shard, Stored};
use crate::ring::log::Position;
use crate::time::Clock;
use core::fmt;

/// Records that were read, in place: their segment is not written anew while this value lives, so
/// keep it short.
#[must_use]
pub struct Records<'c, R: Region, C: Clock> {
    pub(super) stream: &'c Stream<R, C>,
    pub(super) shard: Shard<'c>,
    pub(super) held: Held<'c>,
    pub(super) from: Position,
    pub(super) len: usize,
}

impl<R: Region, C: Clock> Records<'_, R, C> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none: nothing was there to be read yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The records, oldest first.
    pub fn iter(&self) -> RecordsIter<'_> {
        RecordsIter {
            shard: ShardId(self.shard.id()),
            reading: self.held.read(self.from),
            left: self.len,
        }
    }
}

impl<R: Region, C: Clock> Drop for Records<'_, R, C> {
    fn drop(&mut self) {
        // In a forked child the pin is the parent's.
        if self.len != 0 && self.stream.region().check().is_ok() {
            self.held.rest();
        }
    }
}

impl<R: Region, C: Clock> fmt::Debug for Records<'_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'r, R: Region, C: Clock> IntoIterator for &'r Records<'_, R, C> {
    type Item = Record<'r>;
    type IntoIter = RecordsIter<'r>;

    fn into_iter(self) -> RecordsIter<'r> {
        self.iter()
    }
}

/// The records of a read, oldest first.
#[derive(Debug, Clone)]
pub struct RecordsIter<'r> {
    shard: ShardId,
    reading: Reading<'r>,
    left: usize,
}

impl<'r> Iterator for RecordsIter<'r> {
    type Item = Record<'r>;

    #[inline]
    fn next(&mut self) -> Option<Record<'r>> {
        self.left = self.left.checked_sub(1)?;
        // Its bytes were checked when it was read.
        let (at, stored) = self.reading.next(false)?;
        Some(Record {
            stored: stored?,
            at,
            shard: self.shard,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

/// A record, in place.
#[derive(Clone, Copy)]
pub struct Record<'r> {
    stored: Stored<'r>,
    at: Position,
    shard: ShardId,
}

impl<'r> Record<'r> {
    /// The partition key.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] if its bytes are no text.
    pub fn key(&self) -> Result<&'r str, Error> {
        core::str::from_utf8(self.stored.key).map_err(|_| Error::Damaged {
            field: "partition key",
        })
    }

    /// The bytes of the partition key.
    #[inline(always)]
    pub fn key_bytes(&self) -> &'r [u8] {
        self.stored.key
    }

    /// The data.
    #[inline(always)]
    pub fn data(&self) -> &'r [u8] {
        self.stored.data
    }

    /// Its place in its shard.
    #[inline(always)]
    pub fn sequence(&self) -> StreamSequence {
        StreamSequence(self.at)
    }

    /// Its shard.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// When it arrived, in the region's time, ms. It does not go back in a shard.
    #[inline(always)]
    pub fn arrived_ms(&self) -> u64 {
        self.stored.time_ms
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("sequence", &self.sequence().as_u64())
            .field("key", &self.key())
            .field("data_len", &self.stored.data.len())
            .field("arrived_ms", &self.stored.time_ms)
            .finish()
    }
}
