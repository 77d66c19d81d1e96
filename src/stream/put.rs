//! Putting records: copied, in batches, or written in place.

mod prepare;

pub use prepare::Prepared;

use super::route::trouble;
use super::shared::{ShardId, Stream, StreamSequence};
use crate::error::Error;
use crate::region::Region;
use crate::region::stream::{Shard, StreamShape, Writing};
use crate::ring::log::{Log, Position, Refusal};
use crate::ring::shards::Shards;
use crate::time::Clock;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// The most records of a batch.
const BATCH_MAX: usize = 500;
/// The most bytes of keys and data of a batch: 10 MiB.
const BATCH_BYTES_MAX: usize = 10 << 20;
/// Granules that a batch claims at once, unless one record has more: 64 KiB.
const BATCH_GRANULES: u32 = 1024;
/// Of a record of a batch: refused, or done.
const DONE: u32 = u32::MAX;

/// What is to be done with a record of a batch.
struct Task {
    /// Its shard.
    shard: u32,
    /// Granules that it takes.
    granules: u32,
}

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    /// Its shard.
    pub shard: ShardId,
    /// Its place in the shard.
    pub sequence: StreamSequence,
}

/// A record to be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct StreamEntry<'a> {
    /// The partition key: 1 to 256 characters.
    pub key: &'a str,
    /// The data.
    pub data: &'a [u8],
    /// The hash that chooses the shard; `None`: that of the key.
    pub hash: Option<u128>,
}

impl<'a> StreamEntry<'a> {
    /// A record with a partition key.
    pub fn new(key: &'a str, data: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            key,
            data: data.as_ref(),
            hash: None,
        }
    }

    /// The same, in the shard of this hash.
    pub const fn hash(mut self, hash: u128) -> Self {
        self.hash = Some(hash);
        self
    }
}

impl<R: Region, C: Clock> Stream<R, C> {
    /// Puts a record, in the shard of its partition key.
    ///
    /// # Errors
    ///
    /// [`Error::PartitionKey`], [`Error::DataTooLong`], [`Error::Full`],
    /// [`Error::SegmentInUse`], [`Error::ShardReserved`],
    /// [`Error::ProvisionedThroughputExceeded`], [`Error::Forked`], [`Error::Damaged`],
    /// [`Error::Exhausted`].
    ///
    /// [`Error::NotDurable`], where the handle waits for the disk ([`Durability::BeforeOk`]): the
    /// record is there, readers get it, and the next commit tries again. To put it once more would
    /// double it; `sync` or `wait_durable` tells when it is on the disk. With `ETIMEDOUT` a record
    /// before it in its shard was claimed by somebody alive who has not committed it in 2 s: none
    /// is durable before those that come before it.
    ///
    /// # Progress
    ///
    /// Lock-free; but a handle that waits for the disk blocks as `wait_durable` does.
    ///
    /// [`Durability::BeforeOk`]: crate::Durability::BeforeOk
    /// [`Durability::BeforeOk`]: crate::region::Durability::BeforeOk
    #[inline]
    pub fn put(&self, key: &str, data: &[u8]) -> Result<Put, Error> {
        self.put_entry(&StreamEntry {
            key,
            data,
            hash: None,
        })
    }

    /// Puts a record, in the shard of its explicit hash if it has one.
    ///
    /// # Errors
    ///
    /// Those of [`put`](Stream::put).
    #[inline]
    pub fn put_entry(&self, entry: &StreamEntry<'_>) -> Result<Put, Error> {
        let len = self.checked(entry.key, entry.data)?;
        let (key, data) = (entry.key.as_bytes(), entry.data);
        // Before the claim: nobody waits for it.
        let digest = self.site.place().digest(key, data);
        match self.write_near(entry, len) {
            Some((shard, log, writing)) => {
                let at = writing.claim.at;
                shard.put(&log, writing, key, data, digest);
                self.wake(&shard);
                Ok(put(&shard, at))
            }
            None => self.put_further(entry, len),
        }
    }

    /// Puts a record when the tail is further from where it was last, or room has to be made, or
    /// there are quotas or a mirror, or shards have changed.
    #[cold]
    fn put_further(&self, entry: &StreamEntry<'_>, len: usize) -> Result<Put, Error> {
        let (key, data) = (entry.key.as_bytes(), entry.data);
        let digest = self.site.place().digest(key, data);
        let (writing, shard) = self.write(entry, len)?;
        let at = writing.claim.at;
        shard.put(&shard.log(), writing, key, data, digest);
        self.wake(&shard);
        self.make_durable(&shard, at)?;
        Ok(put(&shard, at))
    }

    /// Puts up to 500 records, 10 MiB in all, each in its shard; `outcome` is told what became of
    /// each, by its place in the batch, shard by shard. Records of one shard keep their order, and
    /// up to 64 KiB of them are there at once.
    ///
    /// ```
    /// use ringmain::{Heap, Stream, StreamEntry, StreamOptions};
    /// let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new().shards(4))?;
    /// let batch = [StreamEntry::new("a", b"1"), StreamEntry::new("b", b"2")];
    /// let mut refused = 0;
    /// stream.put_batch(&batch, |_, outcome| refused += u32::from(outcome.is_err()))?;
    /// assert_eq!(refused, 0);
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for no record or more than 500, [`Error::BatchTooLong`],
    /// [`Error::Forked`]; nothing was put then.
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn put_batch(
        &self,
        entries: &[StreamEntry<'_>],
        mut outcome: impl FnMut(usize, Result<Put, Error>),
    ) -> Result<(), Error> {
        match self.waits_for_disk() {
            true => self.put_kept(entries, &mut outcome),
            false => self.put_all(entries, outcome),
        }
    }

    /// [`put_batch`](Self::put_batch) that tells of what is put when all of it is on the disk.
    #[inline(never)]
    fn put_kept(
        &self,
        entries: &[StreamEntry<'_>],
        outcome: &mut dyn FnMut(usize, Result<Put, Error>),
    ) -> Result<(), Error> {
        let mut done = heapless::Vec::<(usize, Put), BATCH_MAX>::new();
        self.put_all(entries, |n, result| match result {
            Ok(put) => drop(done.push((n, put))), // no more than it holds
            Err(error) => outcome(n, Err(error)),
        })?;
        for (n, put) in done {
            outcome(n, self.make_put_durable(put).map(|()| put));
        }
        Ok(())
    }

    #[inline(always)]
    fn put_all(
        &self,
        entries: &[StreamEntry<'_>],
        mut outcome: impl FnMut(usize, Result<Put, Error>),
    ) -> Result<(), Error> {
        if entries.is_empty() || entries.len() > BATCH_MAX {
            return Err(Error::OutOfRange {
                what: "records of a batch",
                value: entries.len() as u64,
                min: 1,
                max: BATCH_MAX as u64,
            });
        }
        let bytes = |entry: &StreamEntry<'_>| entry.key.len().saturating_add(entry.data.len());
        let len = entries.iter().map(bytes).fold(0, usize::saturating_add);
        if len > BATCH_BYTES_MAX {
            return Err(Error::BatchTooLong {
                len,
                max: BATCH_BYTES_MAX,
            });
        }
        self.check_change()?;
        let mut tasks = heapless::Vec::<Task, BATCH_MAX>::new();
        for (n, entry) in entries.iter().enumerate() {
            let mut task = Task {
                shard: DONE,
                granules: 0,
            };
            match self.checked(entry.key, entry.data) {
                Ok(len) => {
                    task.granules = StreamShape::granules_of(len);
                    task.shard = self.assign(entry, n, &mut outcome);
                }
                Err(error) => outcome(n, Err(error)),
            }
            let _ = tasks.push(task); // no more than it holds
        }
        let mut first = 0;
        while let Some(next) = (first..tasks.len()).find(|n| tasks[*n].shard != DONE) {
            first = next;
            self.put_some(entries, &mut tasks, first, &mut outcome);
        }
        Ok(())
    }

    /// Puts the record `first` of a batch and those behind it that go to the same shard, as many as
    /// are claimed at once.
    #[inline]
    fn put_some(
        &self,
        entries: &[StreamEntry<'_>],
        tasks: &mut [Task],
        first: usize,
        outcome: &mut impl FnMut(usize, Result<Put, Error>),
    ) {
        let id = tasks[first].shard;
        // A claim that does not fit seals its segment: what it wastes is an eighth at most.
        let max = BATCH_GRANULES.min(self.segment() / 8);
        let (mut total, mut end) = (0, first);
        for (n, task) in tasks.iter().enumerate().skip(first) {
            if task.shard != id {
                continue;
            }
            if total != 0 && total + task.granules > max {
                break;
            }
            (total, end) = (total + task.granules, n + 1);
        }
        let mine = || {
            let tasks = tasks[first..end].iter().enumerate();
            let mine = tasks.filter(|(_, task)| task.shard == id);
            mine.map(|(n, task)| (first + n, task.granules))
        };
        let place = Shards(&self.site.places()).place_of(id);
        let Some(shard) = self.site.shard(place, id) else {
            return; // a place of a shard that was routed to
        };
        match self.write_in(&shard, total) {
            Ok(Some(mut writing)) => {
                let mut filling = shard.fill(&mut writing);
                for (n, _) in mine() {
                    filling.record(entries[n].key.as_bytes(), entries[n].data);
                }
                let mut at = writing.claim.at;
                shard.commit_batch(writing, mine().map(|(_, granules)| granules));
                self.wake(&shard);
                self.rouse_committer();
                for (n, granules) in mine() {
                    outcome(n, Ok(put(&shard, at)));
                    at = Position(at.0 + u64::from(granules));
                }
            }
            // It was split or merged.
            Ok(None) => {
                for n in first..end {
                    if tasks[n].shard != id {
                        continue;
                    }
                    tasks[n].shard = self.assign(&entries[n], n, outcome);
                    if tasks[n].shard == id {
                        tasks[n].shard = DONE; // it is not open, and says that it is
                        outcome(n, Err(trouble(Refusal::Damaged)));
                    }
                }
                return;
            }
            Err(error) => mine().for_each(|(n, _)| outcome(n, Err(error.clone()))),
        }
        for task in &mut tasks[first..end] {
            if task.shard == id {
                task.shard = DONE;
            }
        }
    }

    /// Chooses the shard of a record of a batch.
    #[inline(always)]
    fn assign(
        &self,
        entry: &StreamEntry<'_>,
        n: usize,
        outcome: &mut impl FnMut(usize, Result<Put, Error>),
    ) -> u32 {
        let len = entry.key.len() + entry.data.len();
        let shard = self.shard_for(entry);
        match shard.and_then(|shard| self.admit(&shard, len).map(|()| shard)) {
            Ok(shard) => shard.id(),
            Err(error) => {
                outcome(n, Err(error));
                DONE
            }
        }
    }

    /// Claims room for a record with so many bytes of data, to be written in place. Readers of the
    /// shard do not get beyond it before it is [committed](PutClaim::commit) or dropped.
    ///
    /// ```
    /// use ringmain::{Heap, Stream, StreamOptions};
    /// let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new())?;
    /// let mut claim = stream.claim("camera-3", 4)?;
    /// claim.copy_from_slice(b"jpeg");
    /// claim.commit()?;
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`put`](Stream::put).
    pub fn claim(&self, key: &str, data_len: usize) -> Result<PutClaim<'_, R, C>, Error> {
        self.check(key)?;
        self.check_data(data_len)?;
        let entry = StreamEntry::new(key, &[]);
        let (mut writing, shard) = self.write(&entry, key.len() + data_len)?;
        let at = writing.claim.at;
        shard.fill_key(&mut writing, key.as_bytes());
        Ok(PutClaim {
            stream: self,
            shard,
            writing: Some(writing),
            at,
            key_len: key.len(),
            data_len,
        })
    }

    /// The bytes of a record's key and data, if it is one.
    #[inline(always)]
    pub(super) fn checked(&self, key: &str, data: &[u8]) -> Result<usize, Error> {
        self.check(key)?;
        self.check_data(data.len())?;
        Ok(key.len() + data.len())
    }

    /// The shard of a record, now.
    #[inline(always)]
    fn shard_for(&self, entry: &StreamEntry<'_>) -> Result<Shard<'_>, Error> {
        match entry.hash {
            _ if self.has_one_shard() => self.only_shard(),
            Some(hash) => self.route(hash),
            None => self.route(self.hash_of(entry.key)),
        }
    }

    #[inline(always)]
    fn check_data(&self, len: usize) -> Result<(), Error> {
        let max = self.data_bytes_max();
        match len <= max {
            true => Ok(()),
            false => Err(Error::DataTooLong { len, max }),
        }
    }

    fn segment(&self) -> u32 {
        self.site.place().shape.ring.segment
    }

    /// [`write`](Self::write) in the common case. No error is made on this way: an error in its
    /// result would have the processor put the rest together from parts.
    #[inline(always)]
    fn write_near(
        &self,
        entry: &StreamEntry<'_>,
        len: usize,
    ) -> Option<(Shard<'_>, Log<'_>, Writing)> {
        let place = self.site.place();
        if place.has_quotas() || place.is_kept() {
            return None;
        }
        let shard = match entry.hash {
            _ if self.has_one_shard() => self.site.shard(0, 0),
            Some(hash) => self.route_near(hash),
            None => self.route_near(self.hash_of(entry.key)),
        }?;
        let (log, from) = (shard.log(), self.near(&shard));
        let (owner, granules) = (self.region().owner(), StreamShape::granules_of(len));
        let writing = shard.claim_near(&log, from, owner, granules, self.now_ms())?;
        self.remember(&shard, writing.claim.end);
        Some((shard, log, writing))
    }

    /// Claims room in the shard of a record, which has so many bytes of key and data.
    #[inline(always)]
    fn write(&self, entry: &StreamEntry<'_>, len: usize) -> Result<(Writing, Shard<'_>), Error> {
        let granules = StreamShape::granules_of(len);
        loop {
            let shard = self.shard_for(entry)?;
            self.admit(&shard, len)?;
            if let Some(writing) = self.write_in(&shard, granules)? {
                return Ok((writing, shard));
            }
        }
    }

    /// Claims so many granules of a shard; `None` if it takes no records any more.
    #[inline(always)]
    pub(super) fn write_in(
        &self,
        shard: &Shard<'_>,
        granules: u32,
    ) -> Result<Option<Writing>, Error> {
        let now_ms = self.now_ms();
        let from = self.near(shard);
        let owner = self.region().owner();
        let writing = match shard.claim(from, owner, granules, now_ms) {
            Ok(writing) => writing,
            Err(refusal) => {
                let mut claim = || shard.claim(shard.log().hint(), owner, granules, now_ms);
                match self.again(shard, granules, now_ms, refusal, &mut claim)? {
                    Some(writing) => writing,
                    None => return Ok(None),
                }
            }
        };
        self.remember(shard, writing.claim.end);
        Ok(Some(writing))
    }

    /// What follows a refusal: makes room, as often as others take it, and tries again. `None` if
    /// the shard takes no records any more.
    #[cold]
    pub(super) fn again<T>(
        &self,
        shard: &Shard<'_>,
        granules: u32,
        now_ms: u64,
        mut refusal: Refusal,
        attempt: &mut dyn FnMut() -> Result<T, Refusal>,
    ) -> Result<Option<T>, Error> {
        // Which segment was the oldest before the shard was found full: others may make room.
        let mut oldest = None;
        let mut asked = false;
        loop {
            match refusal {
                // What is full is the log of another shard that has the place by now.
                Refusal::Full if !shard.is_there() => {
                    self.leave(shard)?;
                    return Ok(None);
                }
                Refusal::Full => {
                    if let Some(oldest) = oldest {
                        self.make_room(shard, oldest, now_ms)?;
                    }
                }
                Refusal::Closed(_) | Refusal::Moved => {
                    self.leave(shard)?;
                    return Ok(None);
                }
                Refusal::TooLong => {
                    return Err(Error::DataTooLong {
                        len: granules as usize * 64,
                        max: self.data_bytes_max(),
                    });
                }
                // Perhaps its holder has died.
                Refusal::Reserved(_) if !asked && self.region().is_shared() => {
                    asked = true;
                    self.region().tend();
                }
                Refusal::Reserved(_) | Refusal::Exhausted | Refusal::Damaged => {
                    return Err(trouble(refusal));
                }
            }
            oldest = Some(shard.log().oldest());
            match attempt() {
                Ok(done) => return Ok(Some(done)),
                Err(next) => refusal = next,
            }
        }
    }
}

#[inline(always)]
pub(super) fn put(shard: &Shard<'_>, at: Position) -> Put {
    Put {
        shard: ShardId(shard.id()),
        sequence: StreamSequence(at),
    }
}

/// A record that is written in place: derefs to its data, whose bytes are whatever was there.
/// Dropped, it is given up: readers step over it. In a forked child it is still the parent's: do
/// not write to its bytes there.
#[must_use = "readers wait for it"]
pub struct PutClaim<'s, R: Region, C: Clock> {
    stream: &'s Stream<R, C>,
    shard: Shard<'s>,
    /// `None` once it is committed.
    writing: Option<Writing>,
    at: Position,
    key_len: usize,
    data_len: usize,
}

impl<R: Region, C: Clock> PutClaim<'_, R, C> {
    /// Makes it a record.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`]: the claim is the parent's, and stays so. [`Error::Truncated`].
    /// [`Error::NotDurable`]: it is a record; as with [`put`](Stream::put).
    ///
    /// # Progress
    ///
    /// Wait-free; but where the handle waits for the disk it blocks for that.
    pub fn commit(mut self) -> Result<Put, Error> {
        self.stream.region().check()?;
        if let Some(mut writing) = self.writing.take() {
            let (key_len, data_len) = (self.key_len, self.data_len);
            self.shard.seal(&mut writing, key_len, data_len);
            self.shard.commit(writing);
            self.stream.wake(&self.shard);
            self.stream.make_durable(&self.shard, self.at)?;
        }
        Ok(put(&self.shard, self.at))
    }
}

impl<R: Region, C: Clock> Deref for PutClaim<'_, R, C> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.writing {
            Some(writing) => self.shard.data(writing, self.key_len, self.data_len),
            None => &[],
        }
    }
}

impl<R: Region, C: Clock> DerefMut for PutClaim<'_, R, C> {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.writing {
            Some(writing) => self.shard.data_mut(writing, self.key_len, self.data_len),
            None => &mut [],
        }
    }
}

impl<R: Region, C: Clock> Drop for PutClaim<'_, R, C> {
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take()
            && self.stream.region().check().is_ok()
        {
            self.shard.log().abandon(writing.claim);
            self.stream.wake(&self.shard);
        }
    }
}

impl<R: Region, C: Clock> fmt::Debug for PutClaim<'_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutClaim")
            .field("put", &put(&self.shard, self.at))
            .field("data_len", &self.data_len)
            .finish_non_exhaustive()
    }
}
