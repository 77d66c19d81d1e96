//! Registered consumers in memory: the roster, and what each has of each shard. `ring::roster`
//! tells the protocols.

use super::layout::StreamHead;
use super::site::Places;
use crate::ring::roster::{Fed, Feed, Roster, Seat, Word};
use crate::sync::AtomicU64;

/// The longest name of a consumer, bytes: that of Kinesis.
pub const NAME_BYTES_MAX: usize = 128;
/// Words of a name; what is behind its end is 0.
pub const NAME_WORDS: usize = NAME_BYTES_MAX / 8;

/// A consumer's seat. `about` is `{ 0:12, len:8, created_ms:44 }`.
pub type ConsumerSeat = Seat<NAME_WORDS>;

const _: () = assert!(size_of::<ConsumerSeat>() == 144 && size_of::<Feed>() == 16);

impl<'a> Places<'a> {
    /// The roster of consumers.
    pub fn roster(&self) -> Roster<'a, NAME_WORDS> {
        let place = self.place();
        // SAFETY: by the promise of `new`; the head is first, the seats are where the offset says,
        // as many, and both consist of atomics.
        unsafe {
            let head = &*(place.base as *const StreamHead);
            let seats = place.base.add(place.offsets.seats) as *const ConsumerSeat;
            Roster {
                change: &head.notes.roster,
                seats: core::slice::from_raw_parts(seats, place.shape.consumers),
            }
        }
    }

    /// All feeds, those of the first seat first.
    fn feeds(&self) -> &'a [Feed] {
        let (place, shape) = (self.place(), &self.place().shape);
        // SAFETY: as above.
        unsafe {
            let feeds = place.base.add(place.offsets.feeds) as *const Feed;
            core::slice::from_raw_parts(feeds, shape.consumers * shape.places)
        }
    }

    /// The consumer in a seat, registered as this word, at a place for a shard.
    pub fn fed(&self, seat: usize, word: Word, place: usize) -> Option<Fed<'a, NAME_WORDS>> {
        let places = self.place().shape.places;
        let feed = seat * places + place;
        Some(Fed {
            seat: self.roster().seats.get(seat)?,
            word,
            feed: self.feeds().get(feed).filter(|_| place < places)?,
        })
    }

    /// Where the consumer in a seat has come to at a place for a shard, if that is kept.
    pub fn position(&self, seat: usize, place: usize) -> Option<&'a AtomicU64> {
        let here = self.place();
        let places = here.shape.places;
        // SAFETY: as above.
        let all = unsafe {
            let first = here.base.add(here.offsets.positions) as *const AtomicU64;
            core::slice::from_raw_parts(first, here.shape.position_words())
        };
        all.get(seat * places + place).filter(|_| place < places)
    }

    /// Takes back what a dead owner has begun and left among consumers: the caller has proof of its
    /// death.
    #[cfg(feature = "mapped")]
    pub fn repair_consumers(&self, owner: u32) {
        self.roster().repair(owner);
        self.feeds().iter().for_each(|feed| feed.repair(owner));
    }
}
