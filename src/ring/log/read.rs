//! Reading: pins, and what is at a position.

use super::word::{Header, Position, State};
use super::{Log, Pin, load};
use crate::sync::{AtomicU64, Ordering, store_load};

/// What a reader finds at a boundary of the segment that it has pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A record of so many granules.
    Record {
        /// How many.
        granules: u32,
        /// The boundary behind it.
        next: Position,
    },
    /// Nothing to read; go on there.
    Skip(Position),
    /// Nothing yet.
    Empty,
    /// Somebody is writing it: who.
    Claimed(u32),
    /// The log is closed here.
    End,
    /// No boundary of this lap.
    Passed,
    /// A length that cannot be.
    Damaged,
}

/// The records of a segment that its reader has pinned, one after the other: from a boundary on,
/// over what is not to be read, as far as they are committed.
#[derive(Debug, Clone)]
pub struct Committed<'a> {
    /// The boundary behind the last one: at the end of a ring it is not brought round.
    at: Position,
    /// The headers from there to the end of the segment.
    headers: &'a [AtomicU64],
}

impl Committed<'_> {
    /// Of none.
    pub const fn none(at: Position) -> Self {
        Self { at, headers: &[] }
    }

    /// The next record, and how many granules it has. `None` as well if a length cannot be.
    ///
    /// # Progress
    ///
    /// Wait-free.
    #[inline(always)]
    pub fn next(&mut self) -> Option<(Position, u32)> {
        loop {
            // ORDERING: Acquire; [committed].
            let seen = Header(self.headers.first()?.load(Ordering::Acquire));
            if !seen.is_over(self.at.lap()) || seen.granules() == 0 {
                return None;
            }
            let (at, granules) = (self.at, seen.granules());
            self.headers = self.headers.get(granules as usize..)?;
            self.at = Position(at.0 + granules as u64);
            if seen.state() == State::Committed {
                return Some((at, granules));
            }
        }
    }

    /// Granules from a boundary before, of the same segment, to this one.
    pub fn since(&self, from: Position) -> u32 {
        (self.at.0 - from.0) as u32
    }
}

/// In a pin: somebody reads. A segment's start is even.
const BUSY: u64 = 1;

impl Pin {
    /// Takes a pin that is nobody's.
    pub fn take(&self, owner: u32) -> bool {
        // ORDERING: AcqRel; what the last owner did with the pin is over.
        self.owner
            .compare_exchange(0, owner as u64, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Gives it back.
    pub fn give_back(&self) {
        // ORDERING: Release; [unpinned].
        self.at.store(0, Ordering::Release);
        self.owner.store(0, Ordering::Release);
    }

    /// Stops reading, for now: the segment may be reclaimed.
    #[inline(always)]
    pub fn rest(&self, segment: Position) {
        // ORDERING: Release; [unpinned].
        self.at.store(segment.0, Ordering::Release);
    }

    /// Goes on reading in the segment in which it rests; false if that was reclaimed.
    #[inline(always)]
    pub fn go_on(&self, segment: Position) -> bool {
        let resting = segment.0;
        // ORDERING: Relaxed; whoever reclaims looks at this word by an exchange, of which one wins.
        self.at
            .compare_exchange(
                resting,
                resting | BUSY,
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// Whether it keeps a segment, after taking it away if it rests there.
    pub(super) fn keeps(&self, segment: Position) -> bool {
        let resting = segment.0;
        // ORDERING: Acquire; [unpinned].
        let mut seen = self.at.load(Ordering::Acquire);
        if seen == resting {
            match self
                .at
                .compare_exchange(resting, 0, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return false,
                Err(now) => seen = now,
            }
        }
        seen == resting | BUSY
    }
}

impl<'a> Log<'a> {
    /// The records from a boundary on in its segment, which the caller has [entered](Self::enter):
    /// none if it is not one of this log's.
    #[inline(always)]
    pub fn committed(&self, at: Position) -> Committed<'a> {
        let first = at.index() as usize;
        let headers = self.headers.get(first..first + self.room(at) as usize);
        Committed {
            at,
            headers: headers.unwrap_or_default(),
        }
    }

    /// Begins to read in the segment that starts at `segment`. Fails if it was taken from the
    /// readers; the pin is nowhere then.
    #[inline]
    pub fn enter(&self, pin: &Pin, segment: Position) -> bool {
        // ORDERING: Release; [unpinned]: it may have been in another segment.
        pin.at.store(segment.0 | BUSY, Ordering::Release);
        store_load();
        // ORDERING: SeqCst, behind a fence; [pinned].
        let floor = Position(self.positions.floor.load(Ordering::SeqCst));
        if self.shape.start(floor) <= segment {
            return true;
        }
        // ORDERING: Release; [unpinned].
        pin.at.store(0, Ordering::Release);
        false
    }

    /// What is at a boundary.
    #[inline(always)]
    pub fn step(&self, at: Position) -> Step {
        let Some(header) = self.header(at) else {
            return Step::Damaged;
        };
        // ORDERING: Acquire; [committed].
        let seen = Header(header.load(Ordering::Acquire));
        if seen.lap() != at.lap() {
            return match seen.lap() < at.lap() {
                true => Step::Empty,
                false => Step::Passed,
            };
        }
        match seen.state() {
            State::Claimed => return Step::Claimed(seen.owner()),
            State::End => return Step::End,
            State::Committed | State::Padding => {}
        }
        let Some(next) = self.behind(at, seen.granules()) else {
            return Step::Damaged;
        };
        match seen.state() {
            State::Committed => Step::Record {
                granules: seen.granules(),
                next,
            },
            _ => Step::Skip(next),
        }
    }

    /// The boundary behind one that is claimed or more; `None` if that cannot be told.
    pub fn over(&self, at: Position) -> Option<Position> {
        // ORDERING: Acquire; [claimed].
        let seen = Header(self.header(at)?.load(Ordering::Acquire));
        match seen.lap() == at.lap() && seen.state() != State::End {
            true => self.behind(at, seen.granules()),
            false => None,
        }
    }

    /// The oldest segment that may be entered: a start of a segment, whatever the word says.
    pub fn floor(&self) -> Position {
        self.shape.start(load(&self.positions.floor))
    }
}
