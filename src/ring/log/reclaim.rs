//! The ring: which segments are over, and what the dead have left.

use super::word::{Header, Position, State};
use super::{Log, advance, load};
use crate::sync::{Ordering, store_load};

/// Why the oldest segment cannot be written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is the one that is being written.
    Open,
    /// Somebody has claimed something in it: who.
    Claimed(u32),
    /// Somebody reads in it: who.
    Pinned(u32),
    /// A word is impossible.
    Damaged,
}

/// Records of one segment that one participant has committed, one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) begin: Position,
    pub(super) end: Position,
}

impl Log<'_> {
    /// Takes the oldest segment from the readers and gives it to the writers. `oldest` is the one
    /// that the caller has judged: if another one has become the oldest, nothing happens. Whether
    /// this call was the one that gave it.
    ///
    /// A segment that somebody reads is taken from all who would enter it; the next call goes on.
    pub fn reclaim(&self, oldest: Position) -> Result<bool, Kept> {
        if load(&self.positions.freed) != oldest {
            return Ok(false);
        }
        let next = self.shape.next(oldest).ok_or(Kept::Damaged)?;
        self.settle(u32::MAX, None);
        if load(&self.positions.settled) < next {
            return Err(self.unsettled(oldest));
        }
        advance(&self.positions.floor, next);
        // ORDERING: [pinned].
        store_load();
        self.unpinned(oldest)?;
        Ok(advance(&self.positions.freed, next))
    }

    /// Begins a closed log anew, behind all that was in it: where that is. One that nobody has
    /// closed has to be empty. The caller has seen to it that nobody else appends, closes or
    /// reopens it, and that no reader enters it who does not ask the caller afterwards.
    #[cold]
    pub fn reopen(&self) -> Result<Position, Kept> {
        let end = match self.tail(self.hint()) {
            Ok(tail) => tail,
            Err(_) => return Err(Kept::Damaged),
        };
        let start = self.shape.start(end);
        let mut left = self.shape.granules / self.shape.segment;
        while self.oldest() < start {
            if left == 0 {
                return Err(Kept::Damaged);
            }
            self.reclaim(self.oldest())?;
            left -= 1;
        }
        let header = self.header(end).ok_or(Kept::Damaged)?;
        // ORDERING: Acquire; [claimed].
        let seen = Header(header.load(Ordering::Acquire));
        if seen.lap() != end.lap() {
            // Open: as it was made, or as an earlier call has left it.
            return match end == start && self.floor() == start {
                true => Ok(start),
                false => Err(Kept::Open),
            };
        }
        let next = self.shape.next(end).ok_or(Kept::Damaged)?;
        match self.first_open(start, None)? {
            Some(at) if at == end => {}
            _ => return Err(self.unsettled(start)),
        }
        advance(&self.positions.floor, next);
        // ORDERING: [pinned].
        store_load();
        self.unpinned(start)?;
        let padding = Header::new(State::Padding, 0, self.room(end), end.lap());
        // ORDERING: Release; [claimed], [renamed].
        header.store(padding.0, Ordering::Release);
        advance(&self.positions.tail, next);
        advance(&self.positions.settled, next);
        advance(&self.positions.freed, next);
        Ok(next)
    }

    /// Takes resting pins from a segment; an error if somebody reads there.
    fn unpinned(&self, segment: Position) -> Result<(), Kept> {
        for pin in self.pins {
            if pin.keeps(segment) {
                return Err(Kept::Pinned(pin.owner.load(Ordering::Relaxed) as u32));
            }
        }
        Ok(())
    }

    /// The oldest segment whose place is not freed.
    pub fn oldest(&self) -> Position {
        load(&self.positions.freed)
    }

    /// Moves `settled` on over at most so many segments. All that is in `over` is committed.
    pub(super) fn settle(&self, segments: u32, over: Option<Run>) {
        let mut start = load(&self.positions.settled);
        for _ in 0..segments {
            let Some(next) = self.shape.next(start) else {
                return;
            };
            if self.first_open(self.shape.start(start), over) != Ok(None) {
                return;
            }
            advance(&self.positions.settled, next);
            start = next;
        }
    }

    /// The first boundary of the segment at `start` that is not over for good; `None` if all are.
    /// Those of `over`, in one segment, need no look.
    fn first_open(&self, start: Position, over: Option<Run>) -> Result<Option<Position>, Kept> {
        let (first, lap) = (start.index() as usize, start.lap());
        let segment = self.headers.get(first..first + self.shape.segment as usize);
        let mut headers = segment.ok_or(Kept::Damaged)?;
        let mut at = start;
        while let Some(header) = headers.first() {
            let granules = match over {
                Some(run) if run.begin == at && run.end > at => (run.end.0 - at.0) as u32,
                _ => {
                    // ORDERING: Acquire; [committed], for whoever writes here next.
                    let seen = Header(header.load(Ordering::Acquire));
                    if !seen.is_over(lap) {
                        return Ok(Some(at));
                    }
                    seen.granules()
                }
            };
            let behind = headers.get(granules as usize..).filter(|_| granules != 0);
            headers = behind.ok_or(Kept::Damaged)?;
            at = Position(at.0 + u64::from(granules));
        }
        Ok(None)
    }

    fn unsettled(&self, start: Position) -> Kept {
        let at = match self.first_open(self.shape.start(start), None) {
            Ok(Some(at)) => at,
            Ok(None) => return Kept::Open, // settled meanwhile
            Err(kept) => return kept,
        };
        let seen = self.header(at).map(|word| word.load(Ordering::Relaxed));
        match seen.map(Header) {
            Some(seen) if seen.lap() == at.lap() && seen.state() == State::Claimed => {
                Kept::Claimed(seen.owner())
            }
            _ => Kept::Open,
        }
    }

    /// Makes padding of what somebody had claimed who is dead, and takes its pins away: how many
    /// claims there were. The caller has proof of the death.
    #[cfg(any(feature = "mapped", ringmain_loom))] // elsewhere nobody dies alone
    pub fn repair(&self, owner: u32) -> u32 {
        for pin in self.pins {
            let theirs = pin.owner.load(Ordering::Acquire) == owner as u64;
            if !crate::sync::left_out!("cursors") && theirs {
                pin.give_back();
            }
        }
        let mut found = 0;
        let mut at = load(&self.positions.settled);
        while let Some(word) = self.header(at) {
            // ORDERING: Acquire; [claimed].
            let seen = Header(word.load(Ordering::Acquire));
            if seen.lap() > at.lap() {
                // What lies here is settled by now, and overwritten.
                let settled = load(&self.positions.settled);
                if settled <= at {
                    break;
                }
                at = settled;
                continue;
            }
            if seen.lap() < at.lap() || seen.state() == State::End {
                advance(&self.positions.tail, at);
                break;
            }
            // Behind a reserved boundary may be what its holder has begun: all that it could reach.
            let granules = match seen.is_reserved() {
                true => self.room(at) - 1,
                false => seen.granules(),
            };
            let Some(next) = self.behind(at, granules) else {
                break;
            };
            let theirs = seen.state() == State::Claimed && seen.owner() == owner;
            let left = match seen.is_reserved() {
                true => crate::sync::left_out!("reserved"),
                false => crate::sync::left_out!("records"),
            };
            if theirs && !left {
                let padding = Header::new(State::Padding, 0, granules, at.lap());
                // ORDERING: AcqRel; [committed]. Fails if another repairer was faster.
                let padded =
                    word.compare_exchange(seen.0, padding.0, Ordering::AcqRel, Ordering::Relaxed);
                found += padded.is_ok() as u32;
            } else if seen.is_reserved() {
                break; // another's: it is the tail
            }
            at = next;
        }
        found
    }
}
