//! The producer: how one is made, and what its owner calls.

use super::backoff::Jitter;
use super::options::{ProducerOptions, Settings};
use super::outcome::{PutOutcome, PutToken};
use super::slot::{Buffer, Memory, ProducerSlot};
use crate::error::Error;
use crate::region::Region;
use crate::stream::put::StreamEntry;
use crate::stream::shared::Stream;
use crate::sync::Ordering;
use crate::time::{Clock, DefaultClock};
use core::fmt;
use core::time::Duration;

/// Buffers records of a stream, puts them in batches, tries refused ones again, and tells of each
/// what became of it.
///
/// Each record that [`put`](Self::put) accepts has a [`PutToken`], and its outcome is told once, by
/// [`next_outcome`](Self::next_outcome). Records of a key, and those of an explicit hash, keep
/// their order, also when some of them are refused and tried again, and over splits and merges.
///
/// It does nothing by itself. `put` puts what is due; without calls of `put`,
/// [`poll`](Self::poll) does, and [`next_due`](Self::next_due) says when. Nothing is allocated
/// after it is made. Several threads have a producer each.
///
/// A record that waits is in this value alone: who dies loses it. Dropped, it puts what waits,
/// once, and nobody is told what was refused: [`close`](Self::close) tells.
///
/// # Examples
///
/// ```
/// use ringmain::{Heap, ProducerOptions, Stream, StreamOptions, StreamProducer};
///
/// let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new().shards(4))?;
/// let mut producer = StreamProducer::new(&stream, ProducerOptions::new())?;
/// for n in 0..1000 {
///     producer.put("boiler-7", format!("{n}").as_bytes())?;
///     while let Some(outcome) = producer.next_outcome() {
///         if let Err(error) = outcome.result {
///             println!("record {} was not put: {error}", outcome.token);
///         }
///     }
/// }
/// let mut put = 0;
/// producer.close(|outcome| put += u32::from(outcome.result.is_ok()));
/// assert_eq!(put, 0); // two batches of 500 were full, and their outcomes are taken
/// # Ok::<(), ringmain::Error>(())
/// ```
pub struct StreamProducer<'s, R: Region, C: Clock = DefaultClock> {
    pub(super) stream: &'s Stream<R, C>,
    pub(super) settings: Settings,
    pub(super) buffer: Buffer<'s>,
    pub(super) jitter: Jitter,
    /// The version of the shards for which the lanes are right.
    pub(super) version: Option<u64>,
    /// Nothing is due before this time, ms.
    pub(super) due_ms: u64,
    next_token: u64,
}

impl<'s, R: Region, C: Clock> StreamProducer<'s, R, C> {
    /// A producer, in memory that is allocated now.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Forked`].
    #[cfg(feature = "alloc")]
    pub fn new(stream: &'s Stream<R, C>, options: ProducerOptions) -> Result<Self, Error> {
        let (records, bytes) = (options.get_records(), options.get_bytes());
        // Before it is allocated.
        options.settings(records, bytes, stream.site.place().shape.places)?;
        let slots = alloc::vec![ProducerSlot::EMPTY; records];
        let (slots, bytes) = (
            Memory::Own(slots.into()),
            Memory::Own(alloc::vec![0; bytes].into()),
        );
        Self::with(stream, options, slots, bytes)
    }

    /// A producer in memory of the caller's: a slot for each record that waits or whose outcome is
    /// not taken, at least as many as the stream has places for shards
    /// ([`max_shards`](crate::StreamOptions::max_shards)); and room for keys and data that wait.
    ///
    /// ```
    /// use ringmain::{Heap, ProducerOptions, ProducerSlot, Stream, StreamOptions, StreamProducer};
    /// let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new())?;
    /// let (mut slots, mut bytes) = ([ProducerSlot::EMPTY; 32], [0; 2048]);
    /// let options = ProducerOptions::new();
    /// let mut producer = StreamProducer::with_memory(&stream, options, &mut slots, &mut bytes)?;
    /// producer.put("boiler-7", b"81.5")?;
    /// assert_eq!(producer.flush()?, 0);
    /// assert!(producer.next_outcome().is_some_and(|outcome| outcome.result.is_ok()));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `new`.
    pub fn with_memory(
        stream: &'s Stream<R, C>,
        options: ProducerOptions,
        slots: &'s mut [ProducerSlot],
        bytes: &'s mut [u8],
    ) -> Result<Self, Error> {
        Self::with(stream, options, Memory::Given(slots), Memory::Given(bytes))
    }

    fn with(
        stream: &'s Stream<R, C>,
        options: ProducerOptions,
        slots: Memory<'s, ProducerSlot>,
        bytes: Memory<'s, u8>,
    ) -> Result<Self, Error> {
        stream.check_change()?;
        let places = stream.site.place().shape.places;
        let settings = options.settings(slots.len(), bytes.len(), places)?;
        // ORDERING: Relaxed; written before the stream was published.
        let nonce = stream.site.head().config.nonce.load(Ordering::Relaxed);
        let owner = u64::from(stream.region().owner());
        Ok(Self {
            stream,
            settings,
            buffer: Buffer::new(slots, bytes),
            jitter: Jitter::new(nonce ^ owner << 48 ^ stream.now_ms()),
            version: None,
            due_ms: u64::MAX,
            next_token: 0,
        })
    }

    /// The stream.
    pub fn stream(&self) -> &'s Stream<R, C> {
        self.stream
    }

    /// Accepts a record, to be put in the shard of its partition key; puts what is due.
    ///
    /// # Errors
    ///
    /// [`Error::BufferFull`]: as many records or bytes wait as there is room for, or outcomes are
    /// not taken; and what could be put meanwhile was. [`Error::PartitionKey`],
    /// [`Error::DataTooLong`], [`Error::Forked`], [`Error::Damaged`]. The record was not accepted
    /// then, and no outcome of it is told.
    ///
    /// # Progress
    ///
    /// Lock-free; it waits for nothing.
    ///
    /// # Complexity
    ///
    /// Constant, but for what is due: that is linear in what is put. After records have gone out of
    /// turn, what waits may have to be moved together; after a split or merge it is sorted anew.
    #[inline]
    pub fn put(&mut self, key: &str, data: &[u8]) -> Result<PutToken, Error> {
        self.put_entry(&StreamEntry {
            key,
            data,
            hash: None,
        })
    }

    /// [`put`](Self::put), in the shard of its explicit hash if it has one.
    ///
    /// # Errors
    ///
    /// Those of [`put`](Self::put).
    pub fn put_entry(&mut self, entry: &StreamEntry<'_>) -> Result<PutToken, Error> {
        let (stream, len) = (self.stream, entry.key.len() + entry.data.len());
        stream.check(entry.key)?;
        let room = self.buffer.capacity().saturating_sub(entry.key.len());
        let max = stream.data_bytes_max().min(room);
        if entry.data.len() > max {
            let len = entry.data.len();
            return Err(Error::DataTooLong { len, max });
        }
        if !self.buffer.has_room(len) {
            self.flush()?;
            if !self.buffer.has_room(len) {
                return Err(Error::BufferFull {
                    records: self.buffer.slots(),
                    bytes: self.buffer.capacity(),
                });
            }
        }
        let hash = match entry.hash {
            _ if stream.has_one_shard() => 0,
            Some(hash) => hash,
            None => stream.hash_of(entry.key),
        };
        let place = self.place_for(hash)?;
        let (token, now_ms) = (self.next_token, stream.now_ms());
        self.next_token += 1;
        let (key, data) = (entry.key.as_bytes(), entry.data);
        let slot = self.buffer.accept(token, hash, key, data, now_ms);
        self.buffer.line_up(slot, place);
        self.due_ms = self.due_ms.min(self.due_of(place).unwrap_or(u64::MAX));
        // Their outcomes will need slots beside those that come meanwhile.
        let is_half = self.waiting() == self.buffer.slots().div_ceil(2);
        if self.due_ms <= now_ms || is_half {
            // It is accepted; whatever is wrong, the next call says so again.
            let _ = self.put_due(now_ms, is_half);
        }
        Ok(PutToken(token))
    }

    /// Puts what is due: batches that are full, records that have lingered, and refused ones whose
    /// wait is over.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], [`Error::Truncated`], [`Error::Deleted`], [`Error::Damaged`]: what waits
    /// goes on waiting.
    ///
    /// # Progress
    ///
    /// Lock-free; it waits for nothing.
    ///
    /// # Complexity
    ///
    /// Linear in what is put, and in the places for shards.
    pub fn poll(&mut self) -> Result<(), Error> {
        self.stream.region().check()?;
        self.put_due(self.stream.now_ms(), false)
    }

    /// Puts what waits, but for shards that have refused records and are to be left alone for some
    /// time. How many records wait still.
    ///
    /// # Errors
    ///
    /// Those of [`poll`](Self::poll).
    ///
    /// # Progress
    ///
    /// As [`poll`](Self::poll).
    pub fn flush(&mut self) -> Result<usize, Error> {
        self.stream.region().check()?;
        self.put_due(self.stream.now_ms(), true)?;
        Ok(self.waiting())
    }

    /// In how much time something will be due, or less; `None` if nothing waits.
    pub fn next_due(&self) -> Option<Duration> {
        let ms = self.due_ms.saturating_sub(self.stream.now_ms());
        (self.waiting() != 0).then(|| Duration::from_millis(ms))
    }

    /// What became of a record: the next one of which it is known. Each outcome is told once, and
    /// keeps a slot until then.
    pub fn next_outcome(&mut self) -> Option<PutOutcome> {
        self.buffer.take_outcome()
    }

    /// How many records wait.
    pub fn waiting(&self) -> usize {
        self.buffer.waiting()
    }

    /// How many bytes of keys and data wait.
    pub fn waiting_bytes(&self) -> usize {
        self.buffer.waiting_bytes()
    }

    /// Puts what waits, each shard once more, whenever it has refused something; and tells each
    /// outcome that was not taken, also of what was refused now.
    /// `flush_timeout` before it gives refused records time.
    ///
    /// # Progress
    ///
    /// As [`poll`](Self::poll).
    pub fn close(mut self, mut told: impl FnMut(PutOutcome)) {
        self.end();
        while let Some(outcome) = self.next_outcome() {
            told(outcome);
        }
    }
}

impl<R: Region, C: Clock> Drop for StreamProducer<'_, R, C> {
    fn drop(&mut self) {
        // In a forked child what waits is the parent's.
        if self.waiting() != 0 && self.stream.region().check().is_ok() {
            self.end();
        }
    }
}

impl<R: Region, C: Clock> fmt::Debug for StreamProducer<'_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamProducer")
            .field("waiting", &self.waiting())
            .field("waiting_bytes", &self.waiting_bytes())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
