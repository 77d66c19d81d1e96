//! The state word of a slot: one 64-bit word that packs all that must change together.
//!
//! ```text
//!  63 62   61        60 59   58      49   48            31   30                    0
//! +------+----------+-------+-----------+------------------+-----------------------+
//! |phase | borrowed | pins  |   owner   |    generation    |  due_ms | run | back   |
//! +------+----------+-------+-----------+------------------+-----------------------+
//! ```
//!
//! - *Free*: `{ generation }`. Nobody's.
//! - *Claimed*: `{ owner, generation, run }`. The owner writes it, frees it or repairs it; `run` is
//!   its length in slots. With owner 0 and pins it is *retired*: deleted, and kept only because a
//!   former holder still reads its bytes. With owner [`INTERIOR`] it is a later slot of a run, and
//!   the low bits say how far back the run begins. In a FIFO queue a deleted message is a
//!   *tombstone* until it is out of its group's list, see [`fifo`](super::fifo): retired, with a
//!   bit more. Where it may be the only one of its group it *names its deleter*: `{ owner,
//!   generation, linked, run }`, see [`only`](super::fifo::only).
//!   A send of which others have had to take care is *helped*: a claim of the helper's, with a bit
//!   for that, see [`fifo::send`](super::fifo::send).
//!   Two kinds of claim have the bit *moving* (where a hold has *borrowed*), see
//!   [`moving`](super::moving): an *arrival* `{ owner, generation, run }` is complete and waits for
//!   its message to leave another queue; with owner 0 its owner is dead. A *departed* message
//!   `{ pins, tag, generation, 1, slot }` counts for nothing here: it is in that slot of a queue
//!   with that tag, or about to be.
//! - *Ready*: `{ pins, generation }`. Somebody may receive it.
//! - *Held*: `{ borrowed, pins, owner, generation, due_ms }`. In flight until `due_ms` (counted
//!   from the message's send time, so that 31 bits do: 24.8 days).
//!
//! `generation` grows by one with each send into the slot, each receive from it, and each time its
//! message is freed; within one message it stops at the greatest receive count, 262 143, after
//! which receipts of that message no longer tell its receives apart. The message's
//! send generation stands in the slot's head, so the difference is the receive count, and a receipt
//! of an earlier receive or of an earlier message does not match.

/// What a slot is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Nobody's.
    Free = 0,
    /// Being written, freed or repaired; or retired; or a later slot of a run.
    Claimed = 1,
    /// Waits for a receiver.
    Ready = 2,
    /// In flight.
    Held = 3,
}

/// Bits of a generation.
pub const GENERATION_BITS: u32 = 18;
/// Generations count modulo this.
pub const GENERATIONS: u64 = 1 << GENERATION_BITS;
/// The greatest due time after the send time, ms.
pub const DUE_MAX_MS: u64 = (1 << 31) - 1;
/// Owner of a slot that belongs to the run before it.
pub const INTERIOR: u32 = 1023;
/// The greatest owner index that an attachment may have.
#[cfg(any(feature = "mapped", test))]
pub const OWNER_MAX: u32 = 1022;
/// How many former holders may still read a message that was taken on.
pub const PIN_CELLS: usize = 2;

const LOW_MASK: u64 = DUE_MAX_MS;
const GENERATION_SHIFT: u32 = 31;
const OWNER_SHIFT: u32 = 49;
const PINS_SHIFT: u32 = 59;
const BORROWED: u64 = 1 << 61;
/// Of a claim: it is part of a move.
const MOVING: u64 = BORROWED;
/// Of a moving claim: the message is elsewhere.
const DEPARTED: u64 = 1 << 30;
/// Of a deleted message: it is still in its group's list.
const LINKED: u64 = 1 << 30;
/// Of a claim in a FIFO queue: its owner does not complete the send, but helps with it.
const HELPED: u64 = 1 << 29;
/// Slots of a queue to which messages are moved.
pub const TARGET_SLOTS_MAX: usize = DEPARTED as usize;
const PHASE_SHIFT: u32 = 62;

/// A state word, unpacked by its methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Word(pub u64);

impl Word {
    #[inline(always)]
    const fn pack(phase: Phase, owner: u32, generation: u64, low: u64) -> Self {
        Self(
            ((phase as u64) << PHASE_SHIFT)
                | (((owner & 1023) as u64) << OWNER_SHIFT)
                | ((generation & (GENERATIONS - 1)) << GENERATION_SHIFT)
                | (low & LOW_MASK),
        )
    }

    /// `{ Free, generation }`
    #[inline(always)]
    pub const fn free(generation: u64) -> Self {
        Self::pack(Phase::Free, 0, generation, 0)
    }

    /// `{ Claimed, owner, generation, run }`
    #[inline(always)]
    pub const fn claimed(owner: u32, generation: u64, run: u64) -> Self {
        Self::pack(Phase::Claimed, owner, generation, run)
    }

    /// The same claim, whose send `owner` helps with.
    #[inline(always)]
    pub const fn helped_by(self, owner: u32) -> Self {
        Self::pack(
            Phase::Claimed,
            owner,
            self.generation(),
            HELPED | self.run(),
        )
    }

    /// `{ Claimed, INTERIOR, generation, back }`
    #[inline(always)]
    pub const fn interior(generation: u64, back: u64) -> Self {
        Self::pack(Phase::Claimed, INTERIOR, generation, back)
    }

    /// `{ Claimed, 0, pins, generation, run }`: deleted, but still read by a former holder.
    #[inline(always)]
    pub const fn retired(generation: u64, pins: u64, run: u64) -> Self {
        Self::pack(Phase::Claimed, 0, generation, run).with_pins(pins)
    }

    /// `{ Claimed, 0, pins, generation, linked, run }`: deleted, but still in its group's list.
    #[inline(always)]
    pub const fn tombstone(generation: u64, pins: u64, run: u64) -> Self {
        Self::pack(Phase::Claimed, 0, generation, LINKED | run).with_pins(pins)
    }

    /// `{ Claimed, owner, generation, linked, run }`: a tombstone without pins, with the name of
    /// its deleter, who [can be named](Self::can_be_named).
    #[inline(always)]
    pub const fn named_by(self, owner: u32) -> Self {
        Self(self.0 | ((owner & 1023) as u64) << OWNER_SHIFT)
    }

    /// Whether this is the index of somebody who may be attached.
    #[inline(always)]
    pub const fn can_be_named(owner: u32) -> bool {
        owner.wrapping_sub(1) < INTERIOR - 1
    }

    /// `{ Claimed, moving, owner, generation, run }`: complete, and not yet a message.
    #[inline(always)]
    pub const fn arrival(owner: u32, generation: u64, run: u64) -> Self {
        Self(Self::pack(Phase::Claimed, owner, generation, run & !DEPARTED).0 | MOVING)
    }

    /// `{ Claimed, moving, pins, tag, generation, 1, slot }`: gone to another queue.
    #[inline(always)]
    pub const fn departed(tag: u32, generation: u64, pins: u64, slot: u64) -> Self {
        let low = DEPARTED | (slot & (DEPARTED - 1));
        let word = Self::pack(Phase::Claimed, tag, generation, low).with_pins(pins);
        Self(word.0 | MOVING)
    }

    /// `{ Ready, pins, generation }`
    #[inline(always)]
    pub const fn ready(generation: u64, pins: u64) -> Self {
        Self::pack(Phase::Ready, 0, generation, 0).with_pins(pins)
    }

    /// `{ Held, borrowed, pins, owner, generation, due_ms }`
    #[inline(always)]
    pub const fn held(owner: u32, generation: u64, pins: u64, borrowed: bool, due_ms: u64) -> Self {
        let due_ms = if due_ms > DUE_MAX_MS {
            DUE_MAX_MS
        } else {
            due_ms
        };
        let word = Self::pack(Phase::Held, owner, generation, due_ms).with_pins(pins);
        if borrowed {
            Self(word.0 | BORROWED)
        } else {
            word
        }
    }

    /// The phase.
    #[inline(always)]
    pub const fn phase(self) -> Phase {
        match self.0 >> PHASE_SHIFT {
            0 => Phase::Free,
            1 => Phase::Claimed,
            2 => Phase::Ready,
            _ => Phase::Held,
        }
    }

    /// The generation, modulo [`GENERATIONS`].
    #[inline(always)]
    pub const fn generation(self) -> u64 {
        (self.0 >> GENERATION_SHIFT) & (GENERATIONS - 1)
    }

    /// The owner's index; 0 is nobody.
    #[inline(always)]
    pub const fn owner(self) -> u32 {
        ((self.0 >> OWNER_SHIFT) & 1023) as u32
    }

    /// Which cells of former holders count.
    #[inline(always)]
    pub const fn pins(self) -> u64 {
        (self.0 >> PINS_SHIFT) & 3
    }

    /// Whether the present holder reads the bytes in place.
    #[inline(always)]
    pub const fn is_borrowed(self) -> bool {
        self.0 & BORROWED != 0
    }

    /// Due time, ms after the send time (Held).
    #[inline(always)]
    pub const fn due_ms(self) -> u64 {
        self.0 & LOW_MASK
    }

    /// Length of the run in slots (Claimed).
    #[inline(always)]
    pub const fn run(self) -> u64 {
        self.0 & LOW_MASK & !HELPED
    }

    /// Whether this is a claim of which a message is to come: somebody's, and no part of a move.
    #[inline(always)]
    pub const fn is_coming(self) -> bool {
        matches!(self.phase(), Phase::Claimed)
            && self.owner() != 0
            && self.owner() != INTERIOR
            && self.0 & (MOVING | LINKED) == 0
    }

    /// Whether this is one of which a message of this generation is to come.
    #[inline(always)]
    pub const fn is_coming_as(self, generation: u64) -> bool {
        self.is_coming() && (self.generation() + 1) & (GENERATIONS - 1) == generation
    }

    /// Whether another one than the sender helps with the send.
    pub const fn is_helped(self) -> bool {
        self.is_coming() && self.0 & HELPED != 0
    }

    /// How many slots back the run begins (interior).
    #[inline(always)]
    pub const fn back(self) -> u64 {
        self.0 & LOW_MASK
    }

    /// The same word with other pins.
    #[inline(always)]
    pub const fn with_pins(self, pins: u64) -> Self {
        Self((self.0 & !(3 << PINS_SHIFT)) | ((pins & 3) << PINS_SHIFT))
    }

    /// The same word with another due time.
    #[inline(always)]
    pub const fn with_due_ms(self, due_ms: u64) -> Self {
        let due_ms = if due_ms > DUE_MAX_MS {
            DUE_MAX_MS
        } else {
            due_ms
        };
        Self((self.0 & !LOW_MASK) | due_ms)
    }

    /// The same word, no longer read in place by its holder.
    #[inline(always)]
    pub const fn unborrowed(self) -> Self {
        Self(self.0 & !BORROWED)
    }

    /// Whether this is a later slot of a run.
    #[inline(always)]
    pub const fn is_interior(self) -> bool {
        matches!(self.phase(), Phase::Claimed) && self.owner() == INTERIOR
    }

    /// Whether this is a deleted message that former holders still read.
    #[inline(always)]
    pub const fn is_retired(self) -> bool {
        self.is_nobodys() && self.0 & LINKED == 0
    }

    /// Whether this is a deleted message that is still in its group's list, or about to be freed,
    /// whether it names its deleter or not. No run is so long that a later slot of it looks so.
    #[inline(always)]
    pub const fn is_tombstone(self) -> bool {
        let kind = 3 << PHASE_SHIFT | MOVING | LINKED;
        self.0 & kind == (Phase::Claimed as u64) << PHASE_SHIFT | LINKED
    }

    /// Whether this is a tombstone that names its deleter.
    #[inline(always)]
    pub const fn names_deleter(self) -> bool {
        self.is_tombstone() && self.owner() != 0
    }

    /// The same tombstone, which names nobody.
    #[inline(always)]
    pub const fn nameless(self) -> Self {
        Self(self.0 & !(1023 << OWNER_SHIFT))
    }

    /// Whether both are the same tombstone, whatever pins and names they have.
    pub const fn is_same_tombstone(self, other: Self) -> bool {
        self.is_tombstone() && self.nameless().with_pins(0).0 == other.nameless().with_pins(0).0
    }

    /// Length of a tombstone's run in slots.
    #[inline(always)]
    pub const fn tombstone_run(self) -> u64 {
        self.0 & (LINKED - 1)
    }

    const fn is_nobodys(self) -> bool {
        matches!(self.phase(), Phase::Claimed) && self.owner() == 0 && !self.is_moving()
    }

    const fn is_moving(self) -> bool {
        matches!(self.phase(), Phase::Claimed) && self.0 & MOVING != 0
    }

    /// Whether this is a complete copy that is not yet a message.
    #[inline(always)]
    pub const fn is_arrival(self) -> bool {
        self.is_moving() && self.0 & DEPARTED == 0
    }

    /// Whether the message has gone to another queue.
    #[inline(always)]
    pub const fn is_departed(self) -> bool {
        self.is_moving() && self.0 & DEPARTED != 0
    }

    /// To which slot it has gone (departed).
    #[inline(always)]
    pub const fn target(self) -> usize {
        (self.0 & (DEPARTED - 1)) as usize
    }

    /// The tag of the queue to which it has gone (departed).
    #[inline(always)]
    pub const fn tag(self) -> u32 {
        self.owner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_overlap() {
        let word = Word::held(OWNER_MAX, GENERATIONS - 1, 3, true, DUE_MAX_MS);
        assert_eq!(word.0, !(1 << OWNER_SHIFT));
        let word = Word::held(5, 77, 2, false, 30_000);
        assert_eq!(
            (word.phase(), word.owner(), word.generation()),
            (Phase::Held, 5, 77)
        );
        assert_eq!(
            (word.pins(), word.is_borrowed(), word.due_ms()),
            (2, false, 30_000)
        );
        assert_eq!(word.with_due_ms(u64::MAX).due_ms(), DUE_MAX_MS);
        assert_eq!(Word(0), Word::free(0));
        assert!(Word::interior(3, 9).is_interior() && !Word::claimed(4, 3, 9).is_interior());
        assert!(Word::retired(3, 1, 9).is_retired());
        let tombstone = Word::tombstone(3, 1, 9);
        assert!(tombstone.is_tombstone() && !tombstone.is_retired() && !tombstone.is_departed());
        assert_eq!((tombstone.tombstone_run(), tombstone.pins()), (9, 1));
        assert!(!Word::retired(3, 1, 9).is_tombstone());
        assert!(!tombstone.names_deleter() && tombstone.nameless() == tombstone);
        let arrival = Word::arrival(0, 3, 9);
        assert!(arrival.is_arrival() && !arrival.is_departed() && !arrival.is_retired());
        assert_eq!((arrival.run(), arrival.generation()), (9, 3));
        let last = TARGET_SLOTS_MAX as u64 - 1;
        let departed = Word::departed(0, 3, 2, last);
        assert!(departed.is_departed() && !departed.is_arrival() && !departed.is_retired());
        assert_eq!((departed.target() as u64, departed.pins()), (last, 2));
        assert_eq!(departed.with_pins(1).pins(), 1);
        assert!(!Word::held(1, 3, 0, true, 1 << 30).is_departed());
    }

    #[test]
    fn a_claim_is_helped() {
        let claim = Word::claimed(5, GENERATIONS - 1, 9);
        let helped = claim.helped_by(6);
        assert!(claim.is_coming() && !claim.is_helped());
        assert!(helped.is_coming() && helped.is_helped() && helped != claim.helped_by(5));
        assert_ne!(claim.helped_by(5), claim);
        for word in [claim, helped] {
            assert!(word.is_coming_as(0) && !word.is_coming_as(GENERATIONS - 1));
            assert_eq!((word.run(), word.generation()), (9, GENERATIONS - 1));
            assert!(!word.is_tombstone() && !word.is_retired() && !word.is_departed());
        }
        assert_eq!((helped.owner(), helped.helped_by(7).owner()), (6, 7));
        let others = [
            Word::free(3),
            Word::interior(3, 9),
            Word::retired(3, 1, 9),
            Word::tombstone(3, 0, 9),
            Word::tombstone(3, 0, 9).named_by(5),
            Word::arrival(5, 3, 9),
            Word::departed(5, 3, 0, 9),
            Word::ready(3, 0),
            Word::held(5, 3, 0, false, 9),
        ];
        assert!(!others.into_iter().any(Word::is_coming));
    }

    #[test]
    fn a_tombstone_names_its_deleter() {
        for owner in [1, 5, OWNER_MAX] {
            let named = Word::tombstone(7, 0, 9).named_by(owner);
            assert!(named.is_tombstone() && named.names_deleter());
            assert!(!named.is_retired() && !named.is_interior());
            assert!(!named.is_arrival() && !named.is_departed());
            let (nameless, run) = (Word::tombstone(7, 0, 9), named.tombstone_run());
            assert_eq!((named.owner(), named.generation(), run), (owner, 7, 9));
            assert_eq!((named.pins(), named.nameless()), (0, nameless));
            assert!(named.is_same_tombstone(nameless) && nameless.is_same_tombstone(named));
            assert!(Word::tombstone(7, 2, 9).is_same_tombstone(named));
            assert!(!named.is_same_tombstone(Word::tombstone(8, 0, 9).named_by(owner)));
            // Other claims of this owner are none.
            for claim in [Word::claimed(owner, 7, 9), Word::arrival(owner, 7, 9)] {
                assert!(!claim.is_tombstone() && !claim.is_same_tombstone(named));
            }
            assert!(!Word::departed(owner, 7, 0, 9).is_tombstone());
        }
        assert!([1, 5, OWNER_MAX].map(Word::can_be_named) == [true; 3]);
        assert!([0, INTERIOR, u32::MAX].map(Word::can_be_named) == [false; 3]);
        let longest = Word::interior(3, TARGET_SLOTS_MAX as u64 - 1);
        assert!(longest.is_interior() && !longest.is_tombstone());
        assert!(!Word::held(1, 3, 0, false, 1 << 30).is_tombstone());
        assert!(!Word::held(1, 3, 0, true, 1 << 30).is_tombstone());
    }
}
