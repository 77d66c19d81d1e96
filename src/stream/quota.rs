//! The quotas of a shard, as Kinesis has them: in a second 1000 records and 1 MiB of keys and data
//! are put, and 2 MiB are read. What is read for a registered consumer counts in that consumer's
//! own 2 MiB.
//!
//! The generic cell rate algorithm (ITU-T I.371), for each of the three in a word: the time at
//! which the next would be due if all came evenly. What comes more than a second's worth ahead of
//! it is refused, else it moves the word on. The unit is 2^-20 ms, so that a record is 2^20 units,
//! a byte that is put 1000, and one that is read 500.
//!
//! A read is admitted if the second's worth is not used up, and counts when it is known how long it
//! is: it may be 10 MiB, and then the next is admitted 4 s later.

use super::cursor::Cursor;
use super::shared::Stream;
use crate::error::Error;
use crate::region::Region;
use crate::region::stream::Shard;
use crate::sync::{AtomicU64, Ordering};
use crate::time::Clock;

const MS: u64 = 1 << 20;
/// How far ahead calls may be: a second.
const BURST: u64 = 1000 * MS;
/// What is further ahead is damage, or from before the clock was set back: 16 s.
const AHEAD_MAX: u64 = 16 * BURST;
const RECORD: u64 = MS;
const BYTE_IN: u64 = 1000;
const BYTE_OUT: u64 = 500;

/// Moves a word on by `cost`, unless it is more than `ahead` ahead; how far ahead it is then.
fn move_on(word: &AtomicU64, now: u64, cost: u64, ahead: u64) -> Result<(), u64> {
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let due = match seen.saturating_sub(now) > AHEAD_MAX {
            true => now,
            false => seen.max(now),
        };
        let next = due + cost;
        if next - now > ahead {
            return Err(next - now - ahead);
        }
        match word.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Ok(()),
            Err(now) => seen = now,
        }
    }
}

fn exceeded(shard: &Shard<'_>, ahead: u64) -> Error {
    Error::ProvisionedThroughputExceeded {
        shard: shard.id(),
        wait_ms: ahead.div_ceil(MS),
    }
}

impl<R: Region, C: Clock> Stream<R, C> {
    /// Counts a record that is to be put against the quotas of its shard, if it has any. `bytes`
    /// are those of key and data.
    #[inline(always)]
    pub(super) fn admit(&self, shard: &Shard<'_>, bytes: usize) -> Result<(), Error> {
        match self.site.place().has_quotas() {
            true => self.admit_put(shard, bytes),
            false => Ok(()),
        }
    }

    #[cold]
    fn admit_put(&self, shard: &Shard<'_>, bytes: usize) -> Result<(), Error> {
        let [by_records, by_bytes, _] = &*shard.head().quota;
        let now = self.units();
        move_on(by_records, now, RECORD, BURST).map_err(|ahead| exceeded(shard, ahead))?;
        // One that is longer than a second's worth is put when nothing else was.
        let bytes = (bytes as u64 * BYTE_IN).min(BURST);
        move_on(by_bytes, now, bytes, BURST).map_err(|ahead| {
            by_records.fetch_sub(RECORD, Ordering::Relaxed);
            exceeded(shard, ahead)
        })
    }

    /// The time in units; so far from the last that nothing here runs over.
    fn units(&self) -> u64 {
        self.now_ms().saturating_mul(MS).min(u64::MAX / 2)
    }
}

impl<R: Region, C: Clock> Cursor<'_, R, C> {
    /// An error if the quota of what is read is used up, or if it reads for a consumer no more.
    #[inline(always)]
    pub(super) fn admit(&self) -> Result<(), Error> {
        if let Some(reader) = &self.reader {
            reader.check(self.stream.now_ms())?;
        }
        match self.stream.site.place().has_quotas() {
            true => self.count_read(0),
            false => Ok(()),
        }
    }

    /// Counts what was read, and notes how far a consumer has come.
    #[inline(always)]
    pub(super) fn note_read(&self, bytes: impl FnOnce() -> usize) {
        if let Some(reader) = &self.reader {
            reader.note(self.at);
        }
        if self.stream.site.place().has_quotas() {
            // It was admitted, so there is room for all of it.
            let _ = self.count_read(bytes());
        }
    }

    #[cold]
    fn count_read(&self, bytes: usize) -> Result<(), Error> {
        let [_, _, of_all] = &*self.shard.head().quota;
        let word = self.reader.as_ref().map_or(of_all, |own| own.quota());
        let now = self.stream.units();
        let cost = (bytes as u64).saturating_mul(BYTE_OUT).min(AHEAD_MAX / 2);
        let ahead = if bytes == 0 { BURST } else { AHEAD_MAX };
        move_on(word, now, cost, ahead).map_err(|ahead| exceeded(&self.shard, ahead))
    }
}
