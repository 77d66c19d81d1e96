//! The log of a shard: records in one order, appended by several, read in place by any number.
//!
//! A ring of segments, each of them a row of *granules* of bytes. Each granule has a *header*, a
//! word that lies beside the bytes and never under them. A record is a run of granules inside one
//! segment; the header of its first granule speaks for it. What is in the others' headers is old,
//! and nobody looks at it.
//!
//! # Words
//!
//! A *position* is `{ lap:33, index:30 }`: which granule, and how often the ring has come round.
//! Positions grow for ever; the first is that of lap 1. A *header* is
//! `{ state:2, owner:10, granules:19, lap:33 }`. A header of an earlier lap than a position's says
//! that there is nothing yet; zero memory is an empty log.
//!
//! Where a record ends there is a *boundary*: the next one begins there or nothing has yet. The
//! last boundary is the *tail*, and the headers alone say which one that is.
//!
//! # States of a boundary
//!
//! - *free*: its header is of an earlier lap.
//! - *claimed*: somebody who is named writes so many granules.
//! - *reserved*: somebody who is named has the tail: claimed, with no length. Nothing is behind it.
//! - *committed*: a record, for ever.
//! - *padding*: nothing to read: the rest of a segment, or what a claimant has left undone.
//! - *end*: the log is closed here, for ever.
//!
//! # Transitions
//!
//! - *Claim*: free to claimed, by one compare-exchange from the old word to `{ owner, granules }`.
//!   There is no moment at which space is taken and nobody knows by whom or how much, so the next
//!   claimant goes on behind it at once.
//! - *Commit*: claimed to committed, by a store of the claimant alone. A batch is one claim: inner
//!   headers are written before, and then the first one is committed with its own length, so all of
//!   a batch is there or nothing.
//! - *Abandon*: claimed to padding, by the claimant; or by a compare-exchange of whoever has proof
//!   that the claimant is dead. One who is slow keeps its claim.
//! - *Seal*: free to padding up to the segment's end, by who finds no room for its record there. A
//!   claim leaves the last granule of a segment alone, so each boundary inside a segment has room
//!   for a seal or an end.
//! - *Close*: free to end. Each append comes before it or is refused.
//! - *Reserve*: free to reserved, by one compare-exchange. Only its holder goes on from there.
//! - *Append*: reserved to committed, by the holder's store, which has made the boundary behind the
//!   record reserved before, by another. No exchange: nobody else changes either of the two.
//!   Records of a reservation leave the last two granules of a segment alone; then it is released,
//!   and the next segment is reserved.
//! - *Release*: reserved to free, by the holder: the header gets a word of the lap before, with no
//!   length.
//! - *Reopen*: end to padding up to the segment's end, by who alone may use the log anew, and when
//!   nobody reads in it any more. It goes on with the next segment, as if it began there.
//!
//! # The ring
//!
//! Three positions, each the start of a segment, that only grow:
//!
//! - `floor`: the oldest segment that readers may enter.
//! - `freed`: segments before it may be overwritten; at most one segment behind `floor`. A segment
//!   is sealed only if the next one's place is freed, so who stands at a boundary never has to ask,
//!   `[room]`.
//! - `settled`: in segments before it nothing is claimed any more.
//!
//! `tail` is a hint: some boundary not far behind the tail. Claimants move it on once in
//! [`BLOCK`] granules, before they commit. So it can be behind by those who are at work alone.
//!
//! *Reclaim* takes the oldest segment from the readers and gives it to the writers: `floor` moves
//! on; then the pins are looked at; then, if no pin is in the way and the segment is settled,
//! `freed` moves on. Each step can be done by anybody, again, and after a death.
//!
//! # Pins
//!
//! A reader has a pin, a word `{ segment:63, busy:1 }` of its own, 0 if it is nowhere. Before it
//! reads in a segment it *enters*: stores the segment, busy; and then looks whether `floor` has
//! passed it. Whoever reclaims moves `floor` and then looks at the pins. One of the two sees the
//! other, `[pinned]`. When it stops reading it *rests*: the same segment, not busy. To go on it
//! makes that busy by a compare-exchange. Whoever reclaims takes a resting pin away by a
//! compare-exchange to 0: so an idle reader is in nobody's way, and learns of it when it goes on.
//!
//! # Races
//!
//! - *Two claimants at one boundary.* One exchange wins; the other finds it claimed, and goes on
//!   behind it.
//! - *A claimant that sleeps a lap*, or many, between its look and its exchange. The log cannot
//!   pass a boundary without writing its header with the lap of then, and laps only grow: the
//!   exchange fails. What the bytes of records look like does not matter, since no header lies
//!   among them.
//!   By a release a header goes back a lap, but then the boundary has not been passed: if the
//!   exchange succeeds, so it may.
//! - *A claimant with an old boundary.* Its header is of a later lap than the boundary: it begins
//!   again at `tail`, or at `floor`, whichever is further.
//! - *A boundary of the lap before, where the tail was given back.* Its header is of that lap, with
//!   no length, as no other's is: the log has passed it, as if the header were of a later lap.
//! - *Two who reclaim.* All they do is make positions grow to the same values and take the same
//!   resting pins.
//! - *A late move of a position* expects a smaller value, and fails.
//!
//! # Deaths
//!
//! Before its claim a participant has nothing. After it, its owner stands in the header, and
//! [`repair`](Log::repair) makes padding of it: it looks from `settled` to the tail. The hint
//! `tail` may stay behind, until the next claimant moves it. A dead reader's pin goes by its owner.
//!
//! A holder may die when it has made the boundary behind a record reserved, and not the record
//! committed. That word lies somewhere behind, where none will look for it. So repair makes padding
//! of a dead holder's boundary and of all that its next record could have had, up to the last
//! granule, whose header a reservation never writes; and moves the hint `tail` behind that.
//!
//! # Edges
//!
//! - `[claimed]`: claim, seal, close, reserve and release release, whoever steps over a header
//!   acquires it. So a claimant knows what all claimants before it knew; among that, which segments
//!   are freed.
//! - `[committed]`: commit releases, readers acquire: they see the record whole.
//! - `[settled]`: moves of `settled` release and acquire; with `[committed]`: what was written in
//!   a segment was written before it was freed.
//! - `[unpinned]`: whatever a reader stores in its pin releases, whoever reclaims acquires: what it
//!   has read it has read before the segment is freed.
//! - `[freed]`: the move of `freed` releases, who seals acquires: nothing is written before.
//! - `[pinned]`: `SeqCst` fences, of "store the pin, look at `floor`" and "move `floor`, look at
//!   the pins".
//!
//! # Progress
//!
//! Claim, commit, seal and close are lock-free: who has to begin again has been overtaken by one
//! who got further. While the tail is reserved they are refused, and its holder is named. A step of
//! a reader is wait-free; a claimed record holds up readers until it is committed, or its claimant
//! is known to be dead. Reclaiming waits for nobody: it says what is in its way.
//!
//! # Damage
//!
//! No word is believed: lengths are checked against the segment, positions against the ring. What
//! cannot be is [`Refusal::Damaged`], and each walk visits each granule at most twice.

mod append;
mod read;
mod reclaim;
mod reserve;
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
mod restore;
mod word;

pub use append::Claim;
pub use read::{Committed, Step};
pub use reclaim::Kept;
pub use reserve::{Released, Reservation};
#[cfg(ringmain_loom)]
pub use word::{Header, State};
pub use word::{INDEX_BITS, LAP_MAX, Position};

use crate::sync::{AtomicU64, Ordering};

/// Granules after which the tail's hint is moved on.
pub const BLOCK: u32 = 64;

/// What fixes a log's layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Granules of a segment: a power of two, at least 2.
    pub segment: u32,
    /// Granules of the ring: a multiple of the segment's, at least twice as many.
    pub granules: u32,
}

/// The positions of a log.
#[derive(Debug)]
#[repr(C)]
pub struct Positions {
    /// A boundary not far behind the tail.
    pub tail: AtomicU64,
    /// The oldest segment that readers may enter.
    pub floor: AtomicU64,
    /// Segments before this one may be overwritten.
    pub freed: AtomicU64,
    /// In segments before this one nothing is claimed any more.
    pub settled: AtomicU64,
}

/// A reader's pin.
#[derive(Debug)]
#[repr(C)]
pub struct Pin {
    /// Whose it is; 0: nobody's.
    pub owner: AtomicU64,
    /// `{ segment:63, busy:1 }`; 0: nowhere.
    pub at: AtomicU64,
}

/// A log over borrowed words. The bytes of its granules are the caller's.
#[derive(Debug, Clone, Copy)]
pub struct Log<'a> {
    /// The layout.
    pub shape: Shape,
    /// Where it begins and ends.
    pub positions: &'a Positions,
    /// One word a granule.
    pub headers: &'a [AtomicU64],
    /// One for each reader at a time.
    pub pins: &'a [Pin],
}

/// Why nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The next segment's place is not freed.
    Full,
    /// The log was closed, there.
    Closed(Position),
    /// The record has more granules than fit in a segment beside its last.
    TooLong,
    /// The caller's `before` said so.
    Moved,
    /// Somebody has reserved the tail: who.
    Reserved(u32),
    /// The last lap is over.
    Exhausted,
    /// A word is impossible.
    Damaged,
}

/// A position of `positions`, as it is now.
#[inline(always)]
fn load(word: &AtomicU64) -> Position {
    // ORDERING: Acquire; whoever moved it there knew of what lies before.
    Position(word.load(Ordering::Acquire))
}

/// Makes a position grow to `to`, unless it is there or further. Whether this call did.
#[inline(always)]
fn advance(word: &AtomicU64, to: Position) -> bool {
    let mut seen = word.load(Ordering::Relaxed);
    while seen < to.0 {
        // ORDERING: AcqRel; [claimed], [settled], [freed]: whoever loads it knows what this
        // participant does, and what those knew who moved it before.
        match word.compare_exchange_weak(seen, to.0, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(now) => seen = now,
        }
    }
    false
}

impl Log<'_> {
    /// A boundary not far behind the tail.
    #[inline(always)]
    pub fn hint(&self) -> Position {
        load(&self.positions.tail)
    }

    /// The header at a position.
    #[inline(always)]
    fn header(&self, at: Position) -> Option<&AtomicU64> {
        self.headers.get(at.index() as usize)
    }

    /// The position `granules` further, if these lie in one segment.
    #[inline(always)]
    fn behind(&self, at: Position, granules: u32) -> Option<Position> {
        let room = self.shape.segment - (at.index() & (self.shape.segment - 1));
        if granules == 0 || granules > room {
            return None;
        }
        self.shape.plus(at, granules)
    }
}

impl Shape {
    /// The position `granules` further, at most one lap; `None` behind the last lap.
    #[inline(always)]
    pub const fn plus(&self, at: Position, granules: u32) -> Option<Position> {
        let index = at.index() + granules;
        if index < self.granules {
            return Some(Position(at.0 + granules as u64));
        }
        if at.lap() >= LAP_MAX {
            return None;
        }
        Some(Position::new(at.lap() + 1, index - self.granules))
    }

    /// The start of the segment in which a position is.
    #[inline(always)]
    pub const fn start(&self, at: Position) -> Position {
        Position(at.0 & !(self.segment as u64 - 1))
    }

    /// The start of the next segment.
    #[inline(always)]
    pub const fn next(&self, at: Position) -> Option<Position> {
        self.plus(self.start(at), self.segment)
    }

    /// Granules from one position to a later one; 0 if it is not later.
    pub const fn distance(&self, from: Position, to: Position) -> u64 {
        let laps = to.lap().saturating_sub(from.lap());
        let ahead = laps.saturating_mul(self.granules as u64) + to.index() as u64;
        match to.0 > from.0 {
            true => ahead.saturating_sub(from.index() as u64),
            false => 0,
        }
    }

    /// Whether a position is one of this log's.
    pub const fn has(&self, at: Position) -> bool {
        at.lap() >= 1 && at.index() < self.granules
    }
}
