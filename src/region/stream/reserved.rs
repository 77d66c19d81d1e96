//! A shard whose tail is reserved, with all that a put needs of it at hand.

use super::layout::{BLOCK_GRANULES, GRANULE_BYTES, StreamShape, TIME_MS_MAX};
use super::memory::STORED_HEAD_BYTES;
use super::record::{WRITE_AHEAD, fetch_record, note, write};
use super::site::Shard;
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
    /// The time of the latest record, ms.
    latest_ms: u64,
    /// The block in whose word of the index a record was entered last.
    noted: u64,
    /// `None` between segments, and before the first put.
    reservation: Option<Reservation<'a>>,
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
            latest_ms: 0,
            noted: u64::MAX,
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
        reservation.is_some_and(|reservation| reservation.fits(granules))
    }

    /// Asks the processor for a record some way behind the next one, which has so many granules, as
    /// if it were as long.
    #[inline(always)]
    pub fn fetch_behind(&self, granules: u32) {
        if let Some(reservation) = &self.reservation {
            let at = reservation.at.index() as usize + granules as usize;
            let first = self.granules.wrapping_add(at * GRANULE_BYTES + WRITE_AHEAD);
            fetch_record(first, granules);
        }
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
        self.noted = u64::MAX;
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
    pub fn put(&mut self, key: &[u8], data: &[u8], now_ms: u64) -> Option<Position> {
        let len = key.len() + data.len();
        let granules = StreamShape::granules_of(len);
        let reservation = self.reservation.as_mut()?;
        if now_ms > self.latest_ms {
            self.latest_ms = now_ms.min(TIME_MS_MAX);
            // ORDERING: Relaxed; [committed] and [claimed] order it before later claims.
            let latest = &self.shard.head().writers.latest_ms;
            latest.fetch_max(self.latest_ms, Ordering::Relaxed);
        }
        debug_assert!(len + STORED_HEAD_BYTES <= granules as usize * GRANULE_BYTES);
        let (granules_at, time_ms) = (self.granules, self.latest_ms);
        let place = self.shard.place();
        let at = self.log.append(reservation, granules, |at| {
            // SAFETY: the granules fit into the segment of the reserved boundary, which is one of
            // this shard's. While it is reserved nobody else reads or writes what is behind it
            // there.
            let bytes = unsafe {
                let first = granules_at.add(at.index() as usize * GRANULE_BYTES);
                core::slice::from_raw_parts_mut(first, granules as usize * GRANULE_BYTES)
            };
            write(bytes, at, time_ms, key, data, || place.digest(key, data));
        })?;
        let block = at.0 / BLOCK_GRANULES as u64;
        if block != self.noted {
            self.noted = block;
            if let Some(word) = self.index.get((at.index() / BLOCK_GRANULES) as usize) {
                note(word, at, self.latest_ms);
            }
        }
        Some(at)
    }
}
