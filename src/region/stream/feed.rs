//! Registered consumers in memory: their seats, and what each has of each shard.
//!
//! A consumer has a *feed* at each place for a shard: what it has read there of its quota, and its
//! *subscription*, a word `{ begun_ms:44, generation:10, owner:10 }`, 0 if there is none. The
//! generation is that of the consumer's seat, its low bits.
//!
//! # Protocol
//!
//! Everything is an exchange of the subscription's word.
//!
//! - *Take*: to `{ now, generation, owner }`, from nothing, from that of an earlier generation, and
//!   from one of the same that began five seconds ago or earlier: so the new one takes over. A
//!   younger one refuses it. One of a later generation says that the consumer is gone.
//! - *Renew*: from its own word to the same that begins now.
//! - *End*: from its own word to nothing.
//!
//! A subscription stands as long as the word is its own. It asks before each read, so one that was
//! taken over reads no more than what it had in hand. Two that are alive never have one word: the
//! younger began five seconds later, or the consumer was registered anew between.
//!
//! # Races
//!
//! - *Two take*: one exchange succeeds, the other finds a young one.
//! - *A take against the consumer's removal, and another name in its seat*: who has taken looks at
//!   the seat again. If it is late, its word is of an earlier generation, and in nobody's way; and
//!   it takes nothing from those of the later one.
//! - *Who asks whether it stands, against the same*: if its word is gone it looks at the seat after
//!   that. Who is of a later generation knew the seat's new word before it took.
//!
//! # Deaths
//!
//! A subscription is its owner's, as a pin is: whoever has proof of the death sets its words to 0.
//! A consumer's seat is `ring::roster`'s matter.

use super::layout::StreamHead;
use super::site::Places;
use crate::ring::roster::{Roster, Seat, Word};
use crate::sync::{AtomicU64, Ordering};
use core::fmt;

/// The longest name of a consumer, bytes: that of Kinesis.
pub const NAME_BYTES_MAX: usize = 128;
/// Words of a name; what is behind its end is 0.
pub const NAME_WORDS: usize = NAME_BYTES_MAX / 8;

/// A consumer's seat. `about` is `{ 0:12, len:8, created_ms:44 }`.
pub type ConsumerSeat = Seat<NAME_WORDS>;

/// What a consumer has of a shard.
#[derive(Debug)]
#[repr(C)]
pub struct Feed {
    /// What it has read: see `stream::quota`.
    pub quota: AtomicU64,
    /// `{ begun_ms:44, generation:10, owner:10 }`
    pub subscription: AtomicU64,
}

const _: () = assert!(size_of::<ConsumerSeat>() == 144 && size_of::<Feed>() == 16);

/// For how long after its begin a subscription is not taken over, ms.
pub const HELD_MS: u64 = 5000;

const OWNER_MASK: u64 = (1 << 10) - 1;
const BEGUN_SHIFT: u32 = 20;

/// `{ begun_ms:44, generation:10, owner:10 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken(u64);

impl Taken {
    fn new(begun_ms: u64, generation: u64, owner: u32) -> Self {
        let begun_ms = begun_ms.min(super::TIME_MS_MAX);
        let (generation, owner) = (generation & OWNER_MASK, u64::from(owner) & OWNER_MASK);
        Self(begun_ms << BEGUN_SHIFT | generation << 10 | owner)
    }

    /// When it began, ms.
    pub const fn begun_ms(self) -> u64 {
        self.0 >> BEGUN_SHIFT
    }

    /// Whose it is; 0: nobody's.
    pub const fn owner(self) -> u32 {
        (self.0 & OWNER_MASK) as u32
    }

    /// How many generations it is before that one, modulo 1024.
    const fn before(self, generation: u64) -> u64 {
        generation.wrapping_sub(self.0 >> 10) & OWNER_MASK
    }
}

/// Why a subscription is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// A young one is there.
    Young(Taken),
    /// The consumer is gone: there is one of a later generation.
    Late,
}

/// A registered consumer at a place for a shard. Copying it copies references.
#[derive(Clone, Copy)]
pub struct Fed<'a> {
    seat: &'a ConsumerSeat,
    word: Word,
    feed: &'a Feed,
}

impl<'a> Fed<'a> {
    /// Whether the registration still stands.
    #[inline(always)]
    pub fn is_registered(&self) -> bool {
        self.seat.word() == self.word
    }

    /// What was read of the quota.
    pub fn quota(&self) -> &'a AtomicU64 {
        &self.feed.quota
    }

    fn exchange(&self, from: Taken, to: Taken) -> Result<(), Taken> {
        // ORDERING: AcqRel, here and in the loads; the word publishes nothing but itself.
        let word = &self.feed.subscription;
        word.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Taken)
    }

    /// Takes the subscription. Beside its word: the one that it took over.
    pub fn take(&self, owner: u32, now_ms: u64) -> Result<(Taken, Option<Taken>), Held> {
        let generation = self.word.generation();
        let mine = Taken::new(now_ms, generation, owner);
        let mut seen = Taken(self.feed.subscription.load(Ordering::Acquire));
        loop {
            let before = seen.before(generation);
            if seen.owner() != 0 && before > OWNER_MASK / 2 && !self.is_registered() {
                return Err(Held::Late);
            }
            let there = seen.owner() != 0 && before == 0;
            // One that begins far ahead is damage, or from before the clock was set back.
            if there && seen.begun_ms().abs_diff(now_ms) < HELD_MS {
                return Err(Held::Young(seen));
            }
            match self.exchange(seen, mine) {
                Ok(()) => return Ok((mine, there.then_some(seen))),
                Err(now) => seen = now,
            }
        }
    }

    /// Whether a subscription still stands.
    #[inline(always)]
    pub fn stands(&self, taken: Taken) -> bool {
        self.feed.subscription.load(Ordering::Acquire) == taken.0
    }

    /// Lets a subscription begin anew; `None` if it does not stand any more.
    pub fn renew(&self, taken: Taken, now_ms: u64) -> Option<Taken> {
        let anew = Taken::new(now_ms, self.word.generation(), taken.owner());
        self.exchange(taken, anew).ok().map(|()| anew)
    }

    /// Ends a subscription.
    pub fn end(&self, taken: Taken) {
        let _ = self.exchange(taken, Taken(0)); // else another one's
    }
}

impl fmt::Debug for Fed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fed")
            .field("generation", &self.word.generation())
            .finish_non_exhaustive()
    }
}

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
    pub fn fed(&self, seat: usize, word: Word, place: usize) -> Option<Fed<'a>> {
        let places = self.place().shape.places;
        let feed = seat * places + place;
        Some(Fed {
            seat: self.roster().seats.get(seat)?,
            word,
            feed: self.feeds().get(feed).filter(|_| place < places)?,
        })
    }

    /// Takes back what a dead owner has begun and left among consumers: the caller has proof of its
    /// death.
    #[cfg(feature = "mapped")]
    pub fn repair_consumers(&self, owner: u32) {
        self.roster().repair(owner);
        for feed in self.feeds() {
            let seen = feed.subscription.load(Ordering::Acquire);
            if Taken(seen).owner() == owner {
                let word = &feed.subscription;
                // It fails if somebody has taken it over meanwhile.
                let _ = word.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }
}
