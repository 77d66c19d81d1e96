//! Moves: how a message goes from one queue to another, in another region perhaps, so that it is in
//! exactly one of them wherever the mover dies.
//!
//! # Protocol
//!
//! The *source* slot S is held by the mover like any received message. In the *target* queue it
//! claims a run T, copies, and *seals*: T is an *arrival*, complete, with its origin `{ nonce, S }`
//! in the note. Then one compare-exchange takes S from Held to *departed*, naming T: that is the
//! move, `[departure]`. What follows is decided, and anybody may do it: T *lands* (arrival to
//! Ready), then S *leaves* (departed to free, or retired under pins).
//!
//! ```text
//!   S   Held ------------- departure ----> departed ----------------- leave ----> Free
//!        | expiry, purge, other's receive      |
//!        v (the departure fails)               |
//!   T   Claimed -- seal --> arrival -----------+----- land ---------------------> Ready
//!                            |    owner dead
//!                            +--------------> orphan { arrival, owner 0 } --+
//!                            |                                              |
//!                            +-- given up (departure failed) --> Free <-----+ S not departed to T
//! ```
//!
//! Invariants:
//!
//! - While S is departed, its message is in T: as an arrival, or landed and perhaps gone since.
//! - A departed S is not freed before T has landed.
//! - An arrival is given up by its owner, or, once that is dead, by who sees that S has not
//!   departed to it.
//!
//! # Deaths
//!
//! Before the departure: S is a dead one's hold, which repair returns; T is a dead one's arrival,
//! which repair makes an orphan, since only who sees both queues can tell whether S departed.
//! After it: S is departed and belongs to nobody, so repair leaves it alone; T is an arrival or an
//! orphan. [`finish_departed`](Store::finish_departed) lands T and lets S leave;
//! [`settle_orphans`](Store::settle_orphans) frees the orphans whose source has not departed.
//! Both are idempotent, may run side by side and beside living movers, and may die.
//!
//! Race: a finisher sees S departed, looks at T, and T is no arrival of S. S departed after T was
//! sealed (`[sealed-first]`), so T has landed, and S may leave. While S is departed nobody else
//! moves on behalf of the same slot S; so if T is an arrival with this origin, it is this one.
//!
//! Race: two finishers land T. One compare-exchange wins, the other finds it landed. One that
//! stopped before its compare-exchange fails, since generations of T have grown.
//!
//! Race: an orphan T is looked at, whose S is Held by another mover by now, which goes on to depart
//! to another place T'. S names T', so T is free either way.
//!
//! The tag in S's word is ten bits of the target's name. Who knows only a tag has to look at *all*
//! queues with that tag to which S may have gone, and if one of them cannot be looked at, must not
//! let S leave.
//!
//! # Edges
//!
//! - `[sealed-first]`: sealing releases, the departure releases; who acquires a departed S sees T
//!   sealed or later.
//! - `[landed]`: landing releases what sealing had written, holding acquires: `[slot-filled]`.
//! - Death itself is an edge: what a dead mover did is seen by whoever has proof of its death.

use super::arena::{Claimed, Hold, stamp, stamp_generation, stamp_sent_ms};
use super::policy::RETENTION_MS;
use super::repair::extent;
use super::store::Store;
use super::tally::origin;
pub use super::tally::origin_slot;
use super::word::{GENERATIONS, INTERIOR, Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::Ordering;

/// Ten bits of a queue's name, never that of an interior slot.
pub const fn tag_of(nonce: u64) -> u32 {
    (nonce % INTERIOR as u64) as u32
}

/// What a copy is sealed with.
#[derive(Debug, Clone, Copy)]
pub struct Cargo {
    /// `{ checksum:32, has_attributes:1, len:31 }`
    pub size: u64,
    /// Of the attributes.
    pub attributes: u64,
    /// See [`Claimed::moved_stamp`].
    pub stamp: u64,
    /// When the message was received first, ms.
    pub first_ms: u64,
    /// The source queue's nonce.
    pub nonce: u64,
    /// The source slot.
    pub slot: usize,
}

/// A sealed copy. Its owner lets it land or breaks it up.
#[derive(Debug)]
#[must_use]
pub struct Arrival {
    /// First slot.
    pub index: usize,
    run: usize,
}

/// What a departed message needs: see [`Store::finish_departed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landing {
    /// It landed by this call.
    Landed,
    /// It had landed.
    Before,
    /// A queue that it may have gone to could not be looked at.
    Unknown,
}

impl Claimed {
    /// The stamp of a message that has been received `receives` times elsewhere: its send lies so
    /// many generations back.
    pub const fn moved_stamp(&self, sent_ms: u64, receives: u64) -> u64 {
        stamp(sent_ms, self.next_generation().wrapping_sub(receives))
    }
}

impl Store<'_> {
    /// Seals a claimed run that has been filled.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn seal(&self, claimed: Claimed, cargo: &Cargo) -> Arrival {
        let (index, run) = (claimed.index as usize, claimed.run as usize);
        let word = &self.words()[index];
        let seen = Word(word.load(Ordering::Relaxed));
        let (head, note) = (self.slot(index), &self.notes()[index]);
        self.put_origin(note, seen.generation(), origin(cargo.nonce, cargo.slot));
        let first = stamp(cargo.first_ms, stamp_generation(cargo.stamp));
        note.stamp.store(cargo.stamp, Ordering::Relaxed);
        note.first.store(first, Ordering::Relaxed);
        head.size.store(cargo.size, Ordering::Relaxed);
        head.attributes.store(cargo.attributes, Ordering::Relaxed);
        let arrival = Word::arrival(seen.owner(), seen.generation(), run as u64);
        // ORDERING: Release; [sealed-first].
        word.store(arrival.0, Ordering::Release);
        Arrival { index, run }
    }

    /// Gives a sealed copy up, whose message has not departed.
    pub fn break_up(&self, arrival: Arrival) {
        self.give_up(arrival.index, arrival.run);
        self.put_free(arrival.index, arrival.run);
    }

    /// Takes the message of a hold out of this queue: from here on it is the one in slot `target`
    /// of the queue with this tag. Gives its word; `None`: the hold is not this owner's any more.
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn depart(&self, hold: &Hold, tag: u32, target: usize) -> Option<Word> {
        let index = hold.index as usize;
        let word = &self.words()[index];
        let moved = &self.head().counters.moved;
        // ORDERING: Relaxed; [moved-first] before it goes: the departure releases it, so who finds
        // that the message is not here any more finds that messages have moved.
        moved.fetch_add(1, Ordering::Relaxed);
        let mut seen = Word(word.load(Ordering::Acquire));
        loop {
            let stamp = self.notes()[index].stamp.load(Ordering::Relaxed);
            let mine = seen.phase() == Phase::Held
                && seen.generation() == hold.word.generation()
                && seen.owner() == hold.word.owner()
                && stamp == hold.stamp;
            if !mine {
                moved.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            let next = Word::departed(tag, seen.generation(), seen.pins(), target as u64);
            // ORDERING: AcqRel: Release for [sealed-first].
            match word.compare_exchange(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(next),
                Err(now) => seen = Word(now), // a former reader is done, or it is lost
            }
        }
    }

    /// Lets the arrival in slot `index` land, if one is there that came from slot `slot` of the
    /// queue with this nonce. Whether it landed by this call.
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn land(&self, index: usize, nonce: u64, slot: usize) -> bool {
        let Some(word) = self.words().get(index) else {
            return false;
        };
        // ORDERING: Acquire: the note belongs to this word; if that changes, the exchange fails.
        let mut seen = Word(word.load(Ordering::Acquire));
        while seen.is_arrival() && self.origin_at(index, nonce) == Some(slot) {
            if self.land_word(index, seen) {
                return true;
            }
            seen = Word(word.load(Ordering::Acquire)); // an orphan now, or landed by somebody else
        }
        false
    }

    /// Puts the bits and bounds of a message that has just landed.
    fn announce_landed(&self, index: usize, ready: Word) {
        #[cfg(feature = "mapped")]
        self.mark(index);
        let block = index / BLOCK_SLOTS;
        let stamp = self.notes()[index].stamp.load(Ordering::Relaxed);
        if !self.shape().fifo.is_fifo() {
            self.put_ready(block, 1 << (index % BLOCK_SLOTS)); // there it is put in order
        }
        let retention_ms = self.head().policy.get(RETENTION_MS);
        self.lower_aged(block, stamp_sent_ms(stamp) + retention_ms + 1);
        // Receives elsewhere are not this queue's.
        let receives = ready.generation().wrapping_sub(stamp_generation(stamp));
        let counters = &self.head().counters;
        counters
            .received
            .fetch_sub(receives & (GENERATIONS - 1), Ordering::Relaxed);
    }

    /// The slot of the queue with this nonce from which the message in slot `index` came.
    fn origin_at(&self, index: usize, nonce: u64) -> Option<usize> {
        let tally = self.notes()[index].tally.load(Ordering::Relaxed);
        origin_slot(tally, nonce)
    }

    /// Frees the slot of a departed message that has landed. Whether this call did it.
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn leave(&self, index: usize, departed: Word, owner: u32) -> bool {
        let word = &self.words()[index];
        let run = self.measured_run(index);
        let mut seen = departed;
        loop {
            if seen.with_pins(0) != departed.with_pins(0) {
                return false;
            }
            let pins = seen.pins();
            let next = if self.shape().fifo.is_fifo() {
                #[cfg(feature = "mapped")]
                self.mark_id(index);
                Word::tombstone(seen.generation(), pins, run as u64)
            } else if pins == 0 {
                Word::claimed(owner, seen.generation(), run as u64)
            } else {
                Word::retired(seen.generation(), pins, run as u64)
            };
            // ORDERING: SeqCst: Release for [slot-freed]; Acquire: former readers are done; and
            // `fifo`'s [freed-seen].
            match word.compare_exchange(seen.0, next.0, Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => seen = Word(now),
            }
        }
        #[cfg(feature = "mapped")]
        self.mark(index);
        let received = &self.head().counters.received;
        received.fetch_sub(1, Ordering::Relaxed); // the mover's own
        if self.shape().fifo.is_fifo() {
            self.leave_group(index, owner);
        } else if seen.pins() == 0 {
            self.free_claimed(index, run);
            self.put_free(index, run);
        }
        true
    }

    /// Finishes the moves of all departed messages. `land` is asked to land each, by the tag of its
    /// queue, the slot there, and the slot here. Returns how many have left by this call.
    ///
    /// # Progress
    ///
    /// Lock-free; a scan of the words that have been in use.
    pub fn finish_departed(
        &self,
        owner: u32,
        land: &mut dyn FnMut(u32, usize, usize) -> Landing,
    ) -> u32 {
        let mut left = 0;
        for index in self.used_slots() {
            // ORDERING: Acquire; [sealed-first].
            let seen = Word(self.words()[index].load(Ordering::Acquire));
            if seen.is_departed() && land(seen.tag(), seen.target(), index) != Landing::Unknown {
                left += u32::from(self.leave(index, seen, owner));
            }
        }
        left
    }

    /// Frees the orphans that came from the queue `source`, whose nonce this is, and have not
    /// departed there. Call it after the departed ones of that queue are finished. Returns how many
    /// it freed.
    ///
    /// # Progress
    ///
    /// Lock-free; a scan of the words that have been in use.
    pub fn settle_orphans(&self, owner: u32, tag: u32, nonce: u64, source: &Store<'_>) -> u32 {
        let mut freed = 0;
        for index in self.used_slots() {
            let word = &self.words()[index];
            // ORDERING: Acquire; death is the edge to what its owner did.
            let seen = Word(word.load(Ordering::Acquire));
            if !seen.is_arrival() || seen.owner() != 0 {
                continue;
            }
            let Some(from) = self.origin_at(index, nonce) else {
                continue; // another queue's
            };
            // ORDERING: Acquire; a departure to this slot is seen, or has been finished by now;
            // then the word here has changed.
            let there = source.words().get(from).map(|s| s.load(Ordering::Acquire));
            let departed = there
                .map(Word)
                .is_some_and(|s| s.is_departed() && s.tag() == tag && s.target() == index);
            if departed {
                continue; // it has departed since; whoever finishes it lands this one
            }
            let run = self.measured_run(index);
            let mine = Word::claimed(owner, seen.generation(), run as u64);
            // ORDERING: AcqRel; only one goes on from here.
            let won = word.compare_exchange(seen.0, mine.0, Ordering::AcqRel, Ordering::Relaxed);
            if won.is_ok() {
                self.give_up(index, run);
                self.put_free(index, run);
                freed += 1;
            }
        }
        freed
    }

    /// Lets the orphans land whose source queue does not exist any more, as `is_known` tells of an
    /// origin: they may be the only copies. Returns how many.
    #[cfg(feature = "std")]
    pub fn adopt_orphans(&self, is_known: &dyn Fn(u64) -> bool) -> u32 {
        let mut landed = 0;
        for index in self.used_slots() {
            // ORDERING: Acquire, as in `land`.
            let seen = Word(self.words()[index].load(Ordering::Acquire));
            let origin = self.notes()[index].tally.load(Ordering::Relaxed);
            if seen.is_arrival() && seen.owner() == 0 && !is_known(origin) {
                landed += u32::from(self.land_word(index, seen));
            }
        }
        landed
    }

    /// One step of [`land`](Store::land).
    fn land_word(&self, index: usize, seen: Word) -> bool {
        let ready = Word::ready(seen.generation() + 1, 0);
        let word = &self.words()[index];
        // ORDERING: AcqRel; [landed].
        let won = word.compare_exchange(seen.0, ready.0, Ordering::AcqRel, Ordering::Relaxed);
        if won.is_ok() {
            self.announce_landed(index, ready);
        }
        won.is_ok()
    }

    /// Makes an arrival whose owner is dead an orphan.
    pub(super) fn orphan(&self, index: usize, seen: Word) {
        let orphan = Word::arrival(0, seen.generation(), seen.run());
        // ORDERING: AcqRel: fails if it has landed.
        let (done, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        let _ = self.words()[index].compare_exchange(seen.0, orphan.0, done, failed);
    }

    /// Whether a move waits here for somebody to finish it, as far as this queue can tell.
    pub fn has_unfinished_moves(&self) -> bool {
        self.used_slots().any(|index| {
            let seen = Word(self.words()[index].load(Ordering::Relaxed));
            seen.is_departed() || (seen.is_arrival() && seen.owner() == 0)
        })
    }

    fn used_slots(&self) -> core::ops::Range<usize> {
        0..(extent(self) * BLOCK_SLOTS).min(self.words().len())
    }
}
