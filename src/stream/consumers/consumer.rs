//! A registered consumer, as one reads for it.

use super::name::{ConsumerInfo, ConsumerName};
use super::reader::Reader;
use super::subscription::Subscription;
use crate::error::Error;
use crate::region::Region;
use crate::ring::roster::{HELD_MS, Held, Word};
use crate::stream::{Cursor, ShardId, Start, Stream};
use crate::time::Clock;
use core::fmt;

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
        let fed = self.stream.site.places().fed(self.seat, self.word, place);
        let fed = fed.ok_or(Error::NoConsumer)?;
        cursor.reader = Some(Reader { fed, taken: None });
        Ok(cursor)
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
