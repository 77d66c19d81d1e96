//! Registering, finding and deregistering consumers.

use super::consumer::StreamConsumer;
use super::name::{ConsumerInfo, ConsumerName};
use crate::error::Error;
use crate::region::Region;
use crate::ring::roster::Refused;
use crate::ring::shards::Table;
use crate::stream::Stream;
use crate::sync::Ordering;
use crate::time::Clock;

/// What a refusal means in a roster of so many seats.
fn refused(refused: Refused, max: usize) -> Error {
    match refused {
        Refused::There => Error::ConsumerExists,
        Refused::Absent => Error::NoConsumer,
        Refused::Full { .. } => Error::ConsumerLimit { max },
        Refused::Damaged => Error::Damaged {
            field: "roster of consumers",
        },
    }
}

impl<R: Region, C: Clock> Stream<R, C> {
    /// Registers a consumer: 1 to 128 of `A-Za-z0-9_.-`. It has a quota of its own in each shard,
    /// can be subscribed, and stays until it is deregistered, whoever goes.
    ///
    /// Whoever dies in this has registered it or not, and leaves nothing behind.
    ///
    /// ```
    /// use ringmain::{Error, Heap, Start, Stream, StreamOptions};
    /// let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new())?;
    /// let audit = stream.register_consumer("audit")?;
    /// assert_eq!(stream.register_consumer("audit").err(), Some(Error::ConsumerExists));
    /// let put = stream.put("boiler-7", b"81.5")?;
    /// let mut cursor = audit.cursor(put.shard, Start::Oldest)?;
    /// assert_eq!(cursor.read(10)?.len(), 1);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::ConsumerExists`], [`Error::ConsumerLimit`], [`Error::Forked`],
    /// [`Error::Damaged`].
    ///
    /// # Progress
    ///
    /// Lock-free: who has to begin again was overtaken by another registration or removal.
    pub fn register_consumer(&self, name: &str) -> Result<StreamConsumer<'_, R, C>, Error> {
        let name = ConsumerName::new(name)?;
        self.region().check()?;
        let (owner, about) = (self.region().owner(), name.about(self.now_ms()));
        let roster = self.site.places().roster();
        let mut registered = roster.register(owner, &name.words(), about);
        if registered == Err(Refused::Full { claimed: true }) && self.region().is_shared() {
            self.region().tend(); // perhaps who has claimed a seat has died
            registered = roster.register(owner, &name.words(), about);
        }
        let max = self.site.place().shape.consumers;
        let (seat, word) = registered.map_err(|error| refused(error, max))?;
        // What another one has read that had the seat before.
        let places = self.site.places();
        for place in 0..places.places() {
            if let Some(fed) = places.fed(seat, word, place) {
                fed.feed.quota.store(0, Ordering::Relaxed);
            }
            if let Some(position) = places.position(seat, place) {
                position.store(0, Ordering::Relaxed);
            }
        }
        self.make_change_durable()?;
        Ok(StreamConsumer::new(self, seat, word, name, about))
    }

    /// Removes a consumer. Its cursors and subscriptions, in whatever process, end with
    /// [`Error::NoConsumer`] at their next read, and those who wait there are woken. The name may
    /// be registered again at once.
    ///
    /// Whoever dies in this has removed it or not.
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::NoConsumer`], [`Error::Forked`], [`Error::Damaged`].
    ///
    /// # Progress
    ///
    /// Lock-free, as [`register_consumer`](Stream::register_consumer).
    pub fn deregister_consumer(&self, name: &str) -> Result<(), Error> {
        let name = ConsumerName::new(name)?;
        self.region().check()?;
        let removed = self.site.places().roster().remove(&name.words());
        removed.map_err(|error| refused(error, self.site.place().shape.consumers))?;
        self.wake_all();
        self.make_change_durable()
    }

    /// The registered consumer of a name.
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::NoConsumer`], [`Error::Forked`], [`Error::Damaged`].
    ///
    /// # Progress
    ///
    /// Lock-free: a scan of all seats.
    pub fn consumer(&self, name: &str) -> Result<StreamConsumer<'_, R, C>, Error> {
        let name = ConsumerName::new(name)?;
        self.region().check()?;
        let refused = |error| refused(error, self.site.place().shape.consumers);
        let roster = self.site.places().roster();
        loop {
            let (seat, word) = roster.find(&name.words()).map_err(refused)?;
            // It is another's if it was deregistered meanwhile.
            if let Some((now, _, about)) = roster.seats.get(seat).and_then(|seat| seat.read())
                && now == word
            {
                return Ok(StreamConsumer::new(self, seat, word, name, about));
            }
        }
    }

    /// The registered consumers, in no order: as they are, one after the other.
    ///
    /// ```
    /// use ringmain::{Heap, Stream, StreamOptions};
    /// let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new().consumers(2))?;
    /// stream.register_consumer("audit")?;
    /// for consumer in stream.consumers()? {
    ///     let consumer = consumer?;
    ///     println!("{}, since {}", consumer.name, consumer.created_ms);
    /// }
    /// stream.deregister_consumer("audit")?;
    /// assert_eq!(stream.consumers()?.count(), 0);
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], [`Error::Damaged`]; each by itself: [`Error::Damaged`].
    pub fn consumers(
        &self,
    ) -> Result<impl Iterator<Item = Result<ConsumerInfo, Error>> + use<'_, R, C>, Error> {
        self.region().check()?;
        let seats = self.site.places().roster().settled();
        let seats = seats.map_err(|error| refused(error, self.site.place().shape.consumers))?;
        let read = |(_, words, about)| ConsumerInfo::of(&words, about);
        Ok(seats.iter().filter_map(move |seat| seat.read().map(read)))
    }
}
