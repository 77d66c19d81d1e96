//! A feed: what a registered name has of a shard.
//!
//! It is a word for what was read there of a quota, and the *subscription*, a word
//! `{ begun_ms:44, generation:10, owner:10 }`, 0 if there is none. The generation is that of the
//! name's seat, its low bits. Time is passed in.
//!
//! # Protocol
//!
//! Everything is an exchange of the subscription's word.
//!
//! - *Take*: to `{ now, generation, owner }`, from nothing, from that of an earlier generation, and
//!   from one of the same that began five seconds ago or earlier: so the new one takes over. A
//!   younger one refuses it. One of a later generation says that the name is gone. Who has taken
//!   looks at the seat again, and ends what it has taken if the name is gone.
//! - *Renew*: from its own word to the same that begins now.
//! - *End*: from its own word to nothing.
//!
//! A subscription stands as long as the word is its own. It asks before each read, so one that was
//! taken over reads no more than what it had in hand. Two that are alive never have one word: the
//! younger began five seconds later, or the name was registered anew between.
//!
//! # Races
//!
//! - *Two take*: one exchange succeeds, the other finds a young one.
//! - *A take against a removal, and another name in the seat*: what is late is of an earlier
//!   generation, so it is in nobody's way, and it takes nothing from those of the later one.
//! - *Who asks whether it stands, against the same*: if its word is gone it looks at the seat after
//!   that. Who is of a later generation knew the seat's new word before it took, `[fed-anew]`.
//!
//! # Deaths
//!
//! A subscription is its owner's, as a pin is: whoever has proof of the death sets its words to 0.
//!
//! # Edges
//!
//! - `[fed-anew]`: each exchange of the subscription's word releases, who loads it acquires: what
//!   its owner knew of the seat.

use super::seat::{Seat, Word};
use crate::sync::{AtomicU64, Ordering};
use core::fmt;

/// What a name has of a shard.
#[derive(Debug)]
#[repr(C)]
pub struct Feed {
    /// What was read of a quota: the caller's.
    pub quota: AtomicU64,
    /// `{ begun_ms:44, generation:10, owner:10 }`
    pub subscription: AtomicU64,
}

/// For how long after its begin a subscription is not taken over, ms.
pub const HELD_MS: u64 = 5000;

const OWNER_MASK: u64 = (1 << 10) - 1;
const BEGUN_SHIFT: u32 = 20;
const BEGUN_MS_MAX: u64 = (1 << 44) - 1;

/// `{ begun_ms:44, generation:10, owner:10 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken(u64);

impl Taken {
    fn new(begun_ms: u64, generation: u64, owner: u32) -> Self {
        let begun_ms = begun_ms.min(BEGUN_MS_MAX);
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
    /// The name is gone.
    Late,
}

/// A registered name at a feed. Copying it copies references.
#[derive(Clone, Copy)]
pub struct Fed<'a, const N: usize> {
    /// Its seat.
    pub seat: &'a Seat<N>,
    /// As which word it is registered there.
    pub word: Word,
    /// Its feed.
    pub feed: &'a Feed,
}

impl Feed {
    fn load(&self) -> Taken {
        // ORDERING: Acquire; [fed-anew].
        Taken(self.subscription.load(Ordering::Acquire))
    }

    fn exchange(&self, from: Taken, to: Taken) -> Result<(), Taken> {
        // ORDERING: AcqRel and Acquire; [fed-anew].
        self.subscription
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Taken)
    }

    /// Takes away the subscription of an owner that is dead: the caller has proof of it.
    #[cfg(any(feature = "mapped", ringmain_loom))] // elsewhere nobody dies alone
    pub fn repair(&self, owner: u32) {
        let seen = self.load();
        if seen.owner() == owner {
            let _ = self.exchange(seen, Taken(0)); // else somebody has taken it over meanwhile
        }
    }
}

impl<const N: usize> Fed<'_, N> {
    /// Whether the registration still stands.
    #[inline(always)]
    pub fn is_registered(&self) -> bool {
        self.seat.word() == self.word
    }

    /// Takes the subscription. Beside its word: whether it took over another.
    pub fn take(&self, owner: u32, now_ms: u64) -> Result<(Taken, bool), Held> {
        let generation = self.word.generation();
        let mine = Taken::new(now_ms, generation, owner);
        let mut seen = self.feed.load();
        loop {
            let before = seen.before(generation);
            let there = seen.owner() != 0;
            if there && before > OWNER_MASK / 2 && !self.is_registered() {
                return Err(Held::Late);
            }
            // One that begins far ahead is damage, or from before the clock was set back.
            if there && before == 0 && seen.begun_ms().abs_diff(now_ms) < HELD_MS {
                return Err(Held::Young(seen));
            }
            match self.feed.exchange(seen, mine) {
                Ok(()) if self.is_registered() => return Ok((mine, there && before == 0)),
                Ok(()) => {
                    self.end(mine);
                    return Err(Held::Late);
                }
                Err(now) => seen = now,
            }
        }
    }

    /// The subscription that is there, of this registration.
    pub fn taken(&self) -> Option<Taken> {
        let seen = self.feed.load();
        let is_mine = seen.owner() != 0 && seen.before(self.word.generation()) == 0;
        is_mine.then_some(seen)
    }

    /// Whether a subscription still stands.
    #[inline(always)]
    pub fn stands(&self, taken: Taken) -> bool {
        self.feed.load() == taken
    }

    /// Lets a subscription begin anew; `None` if it does not stand any more.
    pub fn renew(&self, taken: Taken, now_ms: u64) -> Option<Taken> {
        let anew = Taken::new(now_ms, self.word.generation(), taken.owner());
        self.feed.exchange(taken, anew).ok().map(|()| anew)
    }

    /// Ends a subscription.
    pub fn end(&self, taken: Taken) {
        let _ = self.feed.exchange(taken, Taken(0)); // else it is another's
    }
}

impl<const N: usize> fmt::Debug for Fed<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fed")
            .field("generation", &self.word.generation())
            .finish_non_exhaustive()
    }
}
