//! A subscription: a consumer's records of a shard, as they come.

use super::reader::Reader;
use crate::error::Error;
use crate::region::Region;
use crate::stream::{Cursor, Records, ShardId, Start, StreamSequence};
use crate::time::Clock;
use core::fmt;
#[cfg(feature = "std")]
use core::ops::ControlFlow;
use core::time::Duration;

/// The most records that come at once.
#[cfg(any(feature = "std", feature = "async"))]
pub(super) const RECORDS_MAX: usize = 10_000;

/// Why a subscription gives no more records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscriptionEnd {
    /// Its 5 minutes are over: [`renew`](Subscription::renew) it.
    Expired,
    /// Another subscription of the same consumer has taken it over.
    TakenOver,
    /// The consumer was deregistered.
    Deregistered,
    /// The shard was split or merged, and all its records have come.
    ShardClosed {
        /// The shards that go on: two after a split, the one with the lower hashes first; one after
        /// a merge.
        children: [Option<ShardId>; 2],
    },
    /// Whoever takes the records wants no more ([`run`](Subscription::run)); it has not ended.
    Stopped,
}

/// A consumer's subscription to a shard ([`StreamConsumer::subscribe`](super::StreamConsumer)): its
/// records come in order, each once, as they are put. Dropping it ends it.
///
/// It lasts 5 minutes. Where it stands is kept by whoever subscribes: [`renew`](Self::renew) goes
/// on there; after a restart [`Start::After`] the last record does.
pub struct Subscription<'s, R: Region, C: Clock> {
    pub(super) cursor: Cursor<'s, R, C>,
    pub(super) end: Option<SubscriptionEnd>,
}

impl<'s, R: Region, C: Clock> Subscription<'s, R, C> {
    pub(super) fn new(cursor: Cursor<'s, R, C>) -> Self {
        Self { cursor, end: None }
    }

    fn reader(&self) -> Option<&Reader<'s>> {
        self.cursor.reader.as_ref()
    }

    /// Wakes all who wait at the shard.
    pub(super) fn wake(&self) {
        self.cursor.stream.wake(&self.cursor.shard);
    }

    /// The shard.
    pub fn shard(&self) -> ShardId {
        self.cursor.shard()
    }

    /// The place of the next record.
    pub fn position(&self) -> StreamSequence {
        self.cursor.position()
    }

    /// Why it gives no more records; `None` while it may.
    pub fn end(&self) -> Option<SubscriptionEnd> {
        self.end
    }

    /// How long it still lasts.
    pub fn left(&self) -> Duration {
        let now_ms = self.cursor.stream.now_ms();
        let left = |reader: &Reader<'s>| Some(reader.left_ms(reader.taken?, now_ms));
        Duration::from_millis(self.reader().and_then(left).unwrap_or(0))
    }

    /// Lets its 5 minutes begin anew, also if they were over. It goes on where it stands.
    ///
    /// # Errors
    ///
    /// [`Error::SubscriptionTaken`], [`Error::NoConsumer`], [`Error::Forked`].
    pub fn renew(&mut self) -> Result<(), Error> {
        let stream = self.cursor.stream;
        stream.region().check()?;
        let now_ms = stream.now_ms();
        let reader = self.cursor.reader.as_mut().ok_or(Error::NoConsumer)?;
        if !reader.fed.is_registered() {
            return Err(Error::NoConsumer);
        }
        let anew = reader
            .taken
            .and_then(|taken| reader.fed.renew(taken, now_ms));
        reader.taken = Some(anew.ok_or_else(|| reader.gone())?);
        if self.end == Some(SubscriptionEnd::Expired) {
            self.end = None;
        }
        Ok(())
    }

    /// Goes to another place of the shard.
    ///
    /// # Errors
    ///
    /// Those of [`Cursor::seek`].
    pub fn seek(&mut self, start: Start) -> Result<(), Error> {
        self.cursor.seek(start)
    }

    /// Reads up to `max` records that are there, in place: as [`Cursor::read`], without waiting.
    ///
    /// # Errors
    ///
    /// [`Error::SubscriptionExpired`], [`Error::SubscriptionTaken`], [`Error::NoConsumer`],
    /// [`Error::ShardClosed`]: it has ended, as [`end`](Self::end) says too. Those of
    /// [`Cursor::read`].
    pub fn read(&mut self, max: usize) -> Result<Records<'_, R, C>, Error> {
        let Self { cursor, end } = self;
        let read = cursor.read(max);
        read.inspect_err(|error| *end = SubscriptionEnd::of(error).or(*end))
    }
}

impl SubscriptionEnd {
    /// The end that an error of a read means.
    fn of(error: &Error) -> Option<Self> {
        match error {
            Error::SubscriptionExpired => Some(Self::Expired),
            Error::SubscriptionTaken => Some(Self::TakenOver),
            Error::NoConsumer => Some(Self::Deregistered),
            Error::ShardClosed { children } => Some(Self::ShardClosed {
                children: children.map(|child| child.map(ShardId)),
            }),
            _ => None,
        }
    }

    /// Notes an end in place of its error: `None` then.
    #[cfg(any(feature = "std", feature = "async"))]
    pub(super) fn note<T>(
        end: &mut Option<Self>,
        read: Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match read {
            Ok(records) => Ok(Some(records)),
            Err(error) => {
                *end = Some(Self::of(&error).ok_or(error)?);
                Ok(None)
            }
        }
    }
}

#[cfg(feature = "std")]
impl<R: Region, C: Clock> Subscription<'_, R, C> {
    /// The next records, in place; waits for them as long as it lasts. `None`: it has ended, and
    /// [`end`](Self::end) says why.
    ///
    /// A record that is put wakes it, and so do a take-over, the consumer's removal, a split or
    /// merge of the shard, and a death. If the consumer's quota is used up, it sleeps until that
    /// allows more.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`], [`Error::RecordDamaged`]: the next call goes on behind that.
    /// [`Error::ProvisionedThroughputExceeded`]: another cursor of the consumer has just read here.
    /// [`Error::NoShard`]: the shard was closed, and all its records are gone. [`Error::Forked`],
    /// [`Error::Damaged`].
    ///
    /// # Progress
    ///
    /// Waits for a record, or for the quota; for nothing else.
    pub fn next_records(&mut self) -> Result<Option<Records<'_, R, C>>, Error> {
        if self.end.is_some() {
            return Ok(None);
        }
        self.arrive()?;
        SubscriptionEnd::note(&mut self.end, self.cursor.read(RECORDS_MAX))
    }

    /// Calls `deliver` with records as they come, until it breaks, or until the end: which one.
    /// Then it may be called again.
    ///
    /// # Errors
    ///
    /// Those of [`next_records`](Self::next_records); it may be called again.
    ///
    /// # Progress
    ///
    /// As [`next_records`](Self::next_records).
    pub fn run(
        &mut self,
        mut deliver: impl FnMut(&Records<'_, R, C>) -> ControlFlow<()>,
    ) -> Result<SubscriptionEnd, Error> {
        loop {
            match self.next_records() {
                Ok(Some(records)) if deliver(&records).is_break() => {
                    return Ok(SubscriptionEnd::Stopped);
                }
                Ok(_) | Err(Error::ProvisionedThroughputExceeded { .. }) => {} // it sleeps next
                Err(error) => return Err(error),
            }
            if let Some(end) = self.end {
                return Ok(end);
            }
        }
    }

    /// Waits until a read has something to give or to tell.
    fn arrive(&self) -> Result<(), Error> {
        loop {
            while !self.cursor.look()? {
                self.cursor.wait(self.left())?;
            }
            match self.cursor.admit() {
                Err(Error::ProvisionedThroughputExceeded { wait_ms, .. }) => {
                    std::thread::sleep(Duration::from_millis(wait_ms));
                }
                _ => return Ok(()), // the read says what else there is
            }
        }
    }
}

impl<R: Region, C: Clock> Drop for Subscription<'_, R, C> {
    fn drop(&mut self) {
        // In a forked child it is the parent's.
        if self.cursor.stream.region().check().is_ok()
            && let Some(reader) = self.reader()
            && let Some(taken) = reader.taken
        {
            reader.fed.end(taken);
        }
    }
}

impl<R: Region, C: Clock> fmt::Debug for Subscription<'_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("cursor", &self.cursor)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
