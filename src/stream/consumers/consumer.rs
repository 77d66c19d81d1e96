//! A registered consumer, as one reads for it.

use super::name::{ConsumerInfo, ConsumerName};
use super::reader::{LASTS_MS, Reader};
use super::subscription::Subscription;
use crate::error::Error;
use crate::region::Region;
use crate::ring::roster::{HELD_MS, Held, Taken, Word};
use crate::stream::{Cursor, Lag, ShardId, Start, Stream, StreamSequence};
use crate::sync::Ordering;
use crate::time::Clock;
use core::fmt;

/// Figures of a registered consumer in a shard ([`StreamConsumer::stat`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStats {
    /// The shard.
    pub shard: ShardId,
    /// Behind the latest record that was read for it; `None` if none was read for it here, and in
    /// streams of files that do not keep it.
    pub position: Option<StreamSequence>,
    /// How far that is behind the latest record; `None` without it, and if all of the shard's
    /// [`readers`](crate::StreamOptions::readers) are taken.
    pub lag: Option<Lag>,
    /// Whether it is subscribed.
    pub subscribed: bool,
}

/// A registered consumer of a stream ([`Stream::consumer`]). It is one registration: when that is
/// removed, it is of no more use, whoever takes the name then.
///
/// A value of this type holds nothing; the consumer stays registered when it goes.
pub struct StreamConsumer<'s, R: Region, C: Clock> {
    stream: &'s Stream<R, C>,
    seat: usize,
    word: Word,
    name: ConsumerName,
    created_ms: u64,
}

impl<'s, R: Region, C: Clock> StreamConsumer<'s, R, C> {
    pub(super) fn new(
        stream: &'s Stream<R, C>,
        seat: usize,
        word: Word,
        name: ConsumerName,
        about: u64,
    ) -> Self {
        Self {
            stream,
            seat,
            word,
            name,
            created_ms: about & ((1 << 44) - 1),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name, and when it was registered.
    ///
    /// # Errors
    ///
    /// [`Error::NoConsumer`] if it was deregistered, [`Error::Forked`].
    pub fn describe(&self) -> Result<ConsumerInfo, Error> {
        self.stream.region().check()?;
        let roster = self.stream.site.places().roster();
        let seat = roster.seats.get(self.seat).ok_or(Error::NoConsumer)?;
        match seat.word() == self.word {
            true => Ok(ConsumerInfo {
                name: self.name,
                created_ms: self.created_ms,
            }),
            false => Err(Error::NoConsumer),
        }
    }

    /// A cursor in a shard that reads for this consumer: as [`Stream::cursor`], but what it reads
    /// counts against the consumer's own quota of the shard, if the stream has quotas, and it ends
    /// when the consumer is deregistered. It takes one of the shard's
    /// [`readers`](crate::StreamOptions::readers).
    ///
    /// # Errors
    ///
    /// [`Error::NoConsumer`], and those of [`Stream::cursor`].
    pub fn cursor(&self, shard: ShardId, start: Start) -> Result<Cursor<'s, R, C>, Error> {
        self.describe()?;
        let mut cursor = self.stream.cursor(shard, start)?;
        let place = cursor.shard.number();
        let places = self.stream.site.places();
        let fed = places.fed(self.seat, self.word, place);
        cursor.reader = Some(Reader {
            fed: fed.ok_or(Error::NoConsumer)?,
            taken: None,
            position: places.position(self.seat, place),
        });
        Ok(cursor)
    }

    /// Figures of this consumer in a shard. To count what it has not read it takes one of the
    /// shard's readers for a moment.
    ///
    /// ```
    /// use ringmain::{Heap, Start, Stream, StreamOptions};
    /// let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new())?;
    /// let audit = stream.register_consumer("audit")?;
    /// let shard = stream.put("boiler-7", b"81.5")?.shard;
    /// let mut subscription = audit.subscribe(shard, Start::Oldest)?;
    /// assert_eq!(subscription.read(10)?.len(), 1);
    /// stream.put("boiler-7", b"81.7")?;
    /// let stats = audit.stat(shard)?;
    /// assert_eq!((stats.subscribed, stats.lag.map(|lag| lag.records)), (true, Some(1)));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoConsumer`], [`Error::NoShard`], [`Error::Forked`], [`Error::Damaged`].
    ///
    /// # Complexity
    ///
    /// Linear in the records that it has not read.
    pub fn stat(&self, shard: ShardId) -> Result<ConsumerStats, Error> {
        self.describe()?;
        let stream = self.stream;
        let here = stream.shard(shard)?;
        let places = stream.site.places();
        let fed = places.fed(self.seat, self.word, here.number());
        let fed = fed.ok_or(Error::NoConsumer)?;
        let lasts = |taken: Taken| stream.now_ms() < taken.begun_ms().saturating_add(LASTS_MS);
        let (mut position, mut lag) = (places.position(self.seat, here.number()), None);
        let at = position.map_or(0, |word| word.load(Ordering::Relaxed));
        let at = StreamSequence::from_u64(at);
        // A place may have had another shard; what is in none of this one is of that.
        let begin = here.head().card.known().map_or(0, |known| known.begin.0);
        if at.as_u64() == 0 || at.as_u64() < begin {
            position = None;
        }
        if position.is_some() {
            match stream.cursor(shard, Start::At(at)) {
                Ok(mut cursor) => lag = Some(cursor.lag()?),
                Err(Error::OutOfRange { .. }) => position = None, // nobody has come there
                Err(Error::Readers { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ConsumerStats {
            shard,
            position: position.map(|_| at),
            lag,
            subscribed: fed.taken().is_some_and(lasts),
        })
    }

    /// Subscribes to a shard: its records come as they are put, for 5 minutes of the region's time.
    ///
    /// A consumer has one subscription to a shard. One that began 5 s ago or earlier is taken over,
    /// and ends with [`SubscriptionEnd::TakenOver`](super::SubscriptionEnd::TakenOver); a younger
    /// one refuses another. One that was dropped, and one whose process has died, is in nobody's
    /// way.
    ///
    /// ```
    /// use ringmain::{Heap, Start, Stream, StreamOptions, SubscriptionEnd};
    /// use std::ops::ControlFlow;
    ///
    /// let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new())?;
    /// let audit = stream.register_consumer("audit")?;
    /// let shard = stream.shard_of(0)?;
    /// std::thread::scope(|scope| {
    ///     let mut subscription = audit.subscribe(shard, Start::Latest)?;
    ///     scope.spawn(|| stream.put("boiler-7", b"81.5"));
    ///     let mut count = 0;
    ///     let end = subscription.run(|records| {
    ///         count += records.len();
    ///         ControlFlow::Break(())
    ///     })?;
    ///     assert_eq!((count, end), (1, SubscriptionEnd::Stopped));
    ///     Ok::<(), ringmain::Error>(())
    /// })?;
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Subscribed`], and those of [`cursor`](Self::cursor).
    ///
    /// # Progress
    ///
    /// As [`Stream::cursor`]; waits for nobody.
    pub fn subscribe(&self, shard: ShardId, start: Start) -> Result<Subscription<'s, R, C>, Error> {
        let stream = self.stream;
        let mut cursor = self.cursor(shard, start)?;
        let reader = cursor.reader.as_mut().ok_or(Error::NoConsumer)?;
        let (fed, owner) = (reader.fed, stream.region().owner());
        let mut taken = fed.take(owner, stream.now_ms());
        if taken.is_err() && stream.region().is_shared() {
            stream.region().tend(); // perhaps the subscriber has died
            taken = fed.take(owner, stream.now_ms());
        }
        let (taken, takes_over) = taken.map_err(|held| match held {
            Held::Late => Error::NoConsumer,
            Held::Young(taken) => Error::Subscribed {
                owner: taken.owner(),
                wait_ms: (taken.begun_ms() + HELD_MS).saturating_sub(stream.now_ms()),
            },
        })?;
        reader.taken = Some(taken);
        let subscription = Subscription::new(cursor);
        if takes_over {
            subscription.wake(); // who is taken over sleeps there, perhaps
        }
        Ok(subscription)
    }
}

impl<R: Region, C: Clock> fmt::Debug for StreamConsumer<'_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamConsumer")
            .field("name", &self.name)
            .field("created_ms", &self.created_ms)
            .finish_non_exhaustive()
    }
}
