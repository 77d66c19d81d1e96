//! Records that are written and not yet there: their places are known before they are.
//!
//! For who must know after its own death what it has put. It prepares, notes where the records will
//! be, and commits. Whoever comes after it asks [`fate`](Stream::fate) what became of them.

use super::{BATCH_GRANULES, BATCH_MAX, DONE, Put, StreamEntry, put};
use crate::error::Error;
use crate::region::Region;
use crate::region::stream::{Shard, StreamShape, Writing};
use crate::ring::log::Position;
use crate::ring::shards::Shards;
use crate::stream::Stream;
use crate::time::Clock;
use core::fmt;

/// The most shards in which records are prepared at once.
const PARTS_MAX: usize = 64;

/// Records that are written in their shards and not yet there. Dropped, they are given up: readers
/// step over them. What is in one shard is there at once, or never.
#[must_use = "readers wait for them"]
pub struct Prepared<'s, 'e, R: Region, C: Clock> {
    stream: &'s Stream<R, C>,
    entries: &'e [StreamEntry<'e>],
    /// The shard of each record that is taken.
    shards: heapless::Vec<u32, BATCH_MAX>,
    parts: heapless::Vec<(Shard<'s>, Writing), PARTS_MAX>,
}

impl<R: Region, C: Clock> Stream<R, C> {
    /// Writes up to 500 records, as many as one claim in each shard holds (64 KiB, or one record):
    /// readers of those shards do not get beyond them before they are
    /// [committed](Prepared::commit) or dropped.
    ///
    /// `outcome` is told where each record will be, or why it was refused. Of a record that is left
    /// out it is told nothing: try it again when these are committed, with those refused that time
    /// or room will help. No record is taken if one before it in its shard is not, unless that can
    /// never be one ([`Error::PartitionKey`], [`Error::DataTooLong`]). So who goes on with what is
    /// left, in order, keeps the order of each key.
    ///
    /// ```
    /// use ringmain::{Fate, Heap, Stream, StreamEntry, StreamOptions};
    /// let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new())?;
    /// let batch = [StreamEntry::new("a", b"1"), StreamEntry::new("a", b"2")];
    /// let prepared = stream.prepare(&batch, |_, _| {})?;
    /// let first = prepared.parts().next().expect("there is room");
    /// assert_eq!(stream.fate(first)?, Fate::Claimed);
    /// prepared.commit()?;
    /// assert_eq!(stream.fate(first)?, Fate::Record);
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for more than 500 records, [`Error::Forked`], [`Error::Damaged`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn prepare<'s, 'e>(
        &'s self,
        entries: &'e [StreamEntry<'e>],
        mut outcome: impl FnMut(usize, Result<Put, Error>),
    ) -> Result<Prepared<'s, 'e, R, C>, Error> {
        if entries.len() > BATCH_MAX {
            return Err(Error::OutOfRange {
                what: "records of a batch",
                value: entries.len() as u64,
                min: 0,
                max: BATCH_MAX as u64,
            });
        }
        self.check_change()?;
        let mut left = heapless::Vec::<u32, BATCH_MAX>::new();
        for (n, entry) in entries.iter().enumerate() {
            let id = match self.checked(entry.key, entry.data) {
                Ok(_) => self.shard_for(entry)?.id(),
                Err(error) => {
                    outcome(n, Err(error));
                    DONE
                }
            };
            let _ = left.push(id); // no more than it holds
        }
        let mut shards = left.clone();
        shards.fill(DONE);
        let mut prepared = Prepared {
            stream: self,
            entries,
            shards,
            parts: heapless::Vec::new(),
        };
        let mut first = 0;
        while let Some(next) = (first..left.len()).find(|n| left[*n] != DONE)
            && !prepared.parts.is_full()
        {
            first = next;
            if !prepared.add(&mut left, first, &mut outcome) {
                break;
            }
        }
        Ok(prepared)
    }
}

impl<'s, R: Region, C: Clock> Prepared<'s, '_, R, C> {
    /// Writes records of the shard of record `first`, as many as one claim holds. False if that
    /// shard is closed: where its records belong now is to be asked again, before any of a shard
    /// that may be its child is taken.
    fn add(
        &mut self,
        left: &mut [u32],
        first: usize,
        outcome: &mut impl FnMut(usize, Result<Put, Error>),
    ) -> bool {
        let (stream, id) = (self.stream, left[first]);
        let place = Shards(&stream.site.places()).place_of(id);
        let Some(shard) = stream.site.shard(place, id) else {
            return false; // a place of a shard that was routed to
        };
        // A claim that does not fit seals its segment: what it wastes is an eighth at most.
        let max = BATCH_GRANULES.min(stream.segment() / 8);
        let (mut total, mut stopped) = (0, false);
        for (n, entry) in self.entries.iter().enumerate().skip(first) {
            if left[n] != id {
                continue;
            }
            left[n] = DONE;
            let granules = granules(entry);
            stopped |= total != 0 && total + granules > max;
            if stopped {
                continue;
            }
            if let Err(error) = stream.admit(&shard, entry.key.len() + entry.data.len()) {
                outcome(n, Err(error));
                stopped = true;
                continue;
            }
            total += granules;
            self.shards[n] = id;
        }
        if total == 0 {
            return true;
        }
        let refusal = match stream.write_in(&shard, total) {
            Ok(Some(mut writing)) => {
                let mut filling = shard.fill(&mut writing);
                for (n, entry) in self.entries.iter().enumerate() {
                    if self.shards[n] != id {
                        continue;
                    }
                    let at = filling.record(entry.key.as_bytes(), entry.data);
                    outcome(n, Ok(put(&shard, at)));
                }
                let _ = self.parts.push((shard, writing)); // the caller has looked for room
                return true;
            }
            Ok(None) => None,
            Err(error) => Some(error),
        };
        for taken in self.shards.iter_mut().filter(|taken| **taken == id) {
            *taken = DONE;
        }
        match refusal {
            Some(error) => outcome(first, Err(error)),
            None => return false,
        }
        true
    }

    /// Where the first record of each shard will be. What becomes of it becomes of those behind it.
    pub fn parts(&self) -> impl Iterator<Item = Put> {
        let parts = self.parts.iter();
        parts.map(|(shard, writing)| put(shard, writing.claim.at))
    }

    /// Makes them records: those of one shard at once, shard by shard.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`]: they are the parent's, and stay so. [`Error::Truncated`],
    /// [`Error::Deleted`]. [`Error::NotDurable`]: they are records.
    ///
    /// # Progress
    ///
    /// Wait-free, but for the disk where the handle waits for that.
    pub fn commit(mut self) -> Result<(), Error> {
        self.stream.region().check()?;
        let mut last = heapless::Vec::<Put, PARTS_MAX>::new();
        for (shard, writing) in core::mem::take(&mut self.parts) {
            let end = Position(writing.claim.end.0 - 1);
            let all = self.entries.iter().zip(&self.shards);
            let mine = all.filter(|(_, of)| **of == shard.id());
            shard.commit_batch(writing, mine.map(|(entry, _)| granules(entry)));
            self.stream.wake(&shard);
            let _ = last.push(put(&shard, end)); // no more than there are parts
        }
        last.into_iter()
            .try_for_each(|put| self.stream.make_put_durable(put))
    }
}

/// Granules that a record takes.
fn granules(entry: &StreamEntry<'_>) -> u32 {
    StreamShape::granules_of(entry.key.len() + entry.data.len())
}

impl<R: Region, C: Clock> Drop for Prepared<'_, '_, R, C> {
    fn drop(&mut self) {
        // In a forked child they are the parent's.
        if self.stream.region().check().is_err() {
            return;
        }
        for (shard, writing) in core::mem::take(&mut self.parts) {
            shard.log().abandon(writing.claim);
            self.stream.wake(&shard);
        }
    }
}

impl<R: Region, C: Clock> fmt::Debug for Prepared<'_, '_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts()).finish()
    }
}
