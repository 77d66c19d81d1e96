//! A shard whose tail is reserved, with all that a put needs of it at hand.

use super::layout::{BLOCK_GRANULES, GRANULE_BYTES, StreamShape, TIME_MS_MAX};
use super::memory::STORED_HEAD_BYTES;
use super::record::{Digest, note, write};
use super::site::Shard;
use crate::region::store::fetch;
use crate::ring::log::{Log, Position, Refusal, Released, Reservation};
use crate::sync::{AtomicU64, Ordering};

/// A shard in which one participant appends, by stores alone.
#[derive(Debug)]
pub struct Reserved<'a> {
    shard: Shard<'a>,
    log: Log<'a>,
    index: &'a [AtomicU64],
    /// The first of the shard's granules.
    granules: *mut u8,
    has_checksums: bool,
    /// The time of the latest record, ms.
    latest_ms: u64,
    /// `None` between segments, and before the first put.
    reservation: Option<Reservation>,
    /// The last one.
    last: Option<Released>,
}

// SAFETY: the pointer is to where the shard lies, and used as the shard itself, which can be sent.
unsafe impl Send for Reserved<'_> {}
// SAFETY: as above; nothing is written through a shared reference.
unsafe impl Sync for Reserved<'_> {}

impl<'a> Reserved<'a> {
    /// A shard, of which nothing is reserved yet.
    pub fn new(shard: Shard<'a>) -> Self {
        let log = shard.log();
        let granules = shard.address(0, log.shape.granules);
        Self {
            shard,
            log,
            index: shard.index(),
            granules,
            has_checksums: shard.place().has_checksums(),
            latest_ms: 0,
            reservation: None,
            last: None,
        }
    }

    /// The shard.
    #[inline(always)]
    pub fn shard(&self) -> &Shard<'a> {
        &self.shard
    }

    /// Whether the tail is reserved, with room for so many granules.
    #[inline(always)]
    pub fn fits(&self, granules: u32) -> bool {
        let reservation = self.reservation.as_ref();
        reservation.is_some_and(|reservation| self.log.fits(reservation, granules))
    }

    /// Reserves the tail: what was reserved before is given back. Else `from` is a boundary from
    /// which to look for it.
    #[cold]
    pub fn reserve(
        &mut self,
        from: Position,
        owner: u32,
        granules: u32,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        let from = self.release().unwrap_or(from);
        let (shard, mut latest_ms) = (&self.shard, 0);
        let before = || shard.may_append(now_ms, &mut latest_ms);
        let reservation = self.log.reserve(from, owner, granules, self.last, before)?;
        (self.reservation, self.latest_ms) = (Some(reservation), latest_ms);
        Ok(())
    }

    /// Gives the tail back: where it was.
    pub fn release(&mut self) -> Option<Position> {
        let released = self.log.release(self.reservation.take()?);
        self.last = Some(released);
        Some(released.at())
    }

    /// Puts a record at the tail: where. `None` if the tail is not reserved, or has no room.
    #[inline(always)]
    pub fn put(
        &mut self,
        key: &[u8],
        data: &[u8],
        digest: Digest,
        now_ms: u64,
    ) -> Option<Position> {
        let len = key.len() + data.len();
        let granules = StreamShape::granules_of(len);
        let reservation = self.reservation.as_mut()?;
        if !self.log.fits(reservation, granules) {
            return None;
        }
        let at = reservation.at;
        if now_ms > self.latest_ms {
            self.latest_ms = now_ms.min(TIME_MS_MAX);
            // ORDERING: Relaxed; [committed] and [claimed] order it before later claims.
            let latest = &self.shard.head().writers.latest_ms;
            latest.fetch_max(self.latest_ms, Ordering::Relaxed);
        }
        debug_assert!(len + STORED_HEAD_BYTES <= granules as usize * GRANULE_BYTES);
        // SAFETY: the granules fit into the segment of the reserved boundary, which is one of this
        // shard's. While it is reserved nobody else reads or writes what is behind it there.
        let bytes = unsafe {
            let first = self.granules.add(at.index() as usize * GRANULE_BYTES);
            core::slice::from_raw_parts_mut(first, granules as usize * GRANULE_BYTES)
        };
        let sum = self.has_checksums.then_some(digest);
        write(bytes, at, self.latest_ms, key, data, sum);
        self.log.append(reservation, granules);
        if let Some(word) = self.index.get((at.index() / BLOCK_GRANULES) as usize) {
            note(word, at, self.latest_ms);
        }
        // Those of the next record, which begin inside the segment.
        let next = reservation.at.index() as usize * GRANULE_BYTES;
        let next = self.granules.wrapping_add(next);
        fetch(next);
        fetch(next.wrapping_add(GRANULE_BYTES));
        if granules > 2 {
            fetch(next.wrapping_add(2 * GRANULE_BYTES));
            fetch(next.wrapping_add(3 * GRANULE_BYTES));
        }
        Some(at)
    }
}
