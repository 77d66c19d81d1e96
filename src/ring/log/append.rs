//! Appending: claim, commit, abandon, close.

use super::reclaim::Run;
use super::word::{GRANULES_MAX, Header, Position, State};
use super::{BLOCK, Log, Refusal, advance, load};
use crate::sync::{AtomicU64, Ordering};
use core::cmp::Ordering::{Equal, Greater, Less};

/// Granules that one participant may write, and nobody else. Dropped, it stays claimed until its
/// owner is known to be dead: commit or abandon it.
#[derive(Debug)]
#[must_use = "readers wait for it"]
pub struct Claim {
    /// Its first granule.
    pub at: Position,
    /// How many there are.
    pub granules: u32,
    /// The boundary behind it.
    pub end: Position,
}

/// What a boundary was when somebody came to it.
enum Boundary {
    /// Nothing begins there yet; what its header says is old.
    Free(u64),
    /// Something does, and this is the boundary behind it.
    Taken(Position),
    /// The position is more than a lap old.
    Passed,
}

impl Log<'_> {
    /// Claims `granules` granules at the tail for `owner`. `from` is a boundary from which to look
    /// for the tail, for example the end of the caller's last claim.
    ///
    /// `before` is called when the tail is found, before it is claimed, perhaps several times: what
    /// its last call saw is no older than what those of earlier claims did, `[claimed]`. If it says
    /// false, the claim is refused as moved.
    ///
    /// # Progress
    ///
    /// Lock-free.
    #[inline(always)]
    pub fn claim(
        &self,
        from: Position,
        owner: u32,
        granules: u32,
        mut before: impl FnMut() -> bool,
    ) -> Result<Claim, Refusal> {
        match self.claim_near(from, owner, granules, &mut before) {
            Some(claim) => Ok(claim),
            None => self.claim_further(from, owner, granules, &mut before),
        }
    }

    /// [`claim`](Self::claim) in the common case: the tail is in the segment of `from`, and there
    /// is room for the record. `None`, and nothing is claimed, if it is not, whatever the cause.
    ///
    /// # Progress
    ///
    /// Lock-free.
    #[inline(always)]
    pub fn claim_near(
        &self,
        from: Position,
        owner: u32,
        granules: u32,
        mut before: impl FnMut() -> bool,
    ) -> Option<Claim> {
        let mut at = from;
        while granules != 0 && granules < self.room(at) {
            let header = self.header(at)?;
            // ORDERING: Acquire; [claimed].
            let seen = Header(header.load(Ordering::Acquire));
            if seen.lap() < at.lap() {
                if !before() {
                    return None;
                }
                if let Some(claim) = self.win(at, header, seen.0, owner, granules) {
                    return Some(claim);
                }
                // Somebody was faster; look at it again.
            } else if seen.lap() == at.lap()
                && seen.state() != State::End
                && seen.granules() != 0
                && seen.granules() < self.room(at)
            {
                at = Position(at.0 + seen.granules() as u64);
            } else {
                return None;
            }
        }
        None
    }

    /// [`claim`](Self::claim) when the tail is further, or has no room.
    #[cold]
    fn claim_further(
        &self,
        from: Position,
        owner: u32,
        granules: u32,
        before: &mut dyn FnMut() -> bool,
    ) -> Result<Claim, Refusal> {
        if granules == 0 || granules >= self.shape.segment.min(GRANULES_MAX) {
            return Err(Refusal::TooLong);
        }
        self.take_tail(from, granules + 1, None, before, |at, header, seen| {
            self.win(at, header, seen, owner, granules)
        })
    }

    /// Goes to the tail, from `from` on, seals the segment if its room is less than `least`, and
    /// takes it by `win`, which fails if somebody was faster. All that is in `over` is committed.
    pub(super) fn take_tail<T>(
        &self,
        from: Position,
        least: u32,
        over: Option<Run>,
        before: &mut dyn FnMut() -> bool,
        win: impl Fn(Position, &AtomicU64, u64) -> Option<T>,
    ) -> Result<T, Refusal> {
        let mut at = from;
        loop {
            let header = self.header(at).ok_or(Refusal::Damaged)?;
            let seen = match self.boundary(at, header)? {
                Boundary::Free(seen) => seen,
                Boundary::Taken(end) => {
                    at = end;
                    continue;
                }
                Boundary::Passed => {
                    at = self.further(at)?;
                    continue;
                }
            };
            let room = self.room(at);
            if least > room {
                at = self.seal(at, header, seen, room, over)?;
                continue;
            }
            if !before() {
                return Err(Refusal::Moved);
            }
            if let Some(taken) = win(at, header, seen) {
                return Ok(taken);
            }
            // Somebody was faster; look at it again.
        }
    }

    /// Granules from a position to the end of its segment.
    #[inline(always)]
    pub(super) fn room(&self, at: Position) -> u32 {
        self.shape.segment - (at.index() & (self.shape.segment - 1))
    }

    /// Claims a free boundary with room, unless somebody is faster.
    #[inline(always)]
    fn win(
        &self,
        at: Position,
        header: &AtomicU64,
        seen: u64,
        owner: u32,
        granules: u32,
    ) -> Option<Claim> {
        let claimed = Header::new(State::Claimed, owner, granules, at.lap());
        // ORDERING: AcqRel; [claimed].
        header
            .compare_exchange(seen, claimed.0, Ordering::AcqRel, Ordering::Relaxed)
            .ok()?;
        // Inside a segment, since the last granule is not among them.
        let end = Position(at.0 + granules as u64);
        if at.0 / BLOCK as u64 != end.0 / BLOCK as u64 {
            advance(&self.positions.tail, end);
        }
        Some(Claim { at, granules, end })
    }

    /// Makes a claim a record.
    #[inline(always)]
    pub fn commit(&self, claim: Claim) {
        self.finish(&claim, claim.granules, State::Committed);
    }

    /// Makes a claim several records, of these lengths, which are as long as the claim together.
    /// They are there at once.
    pub fn commit_batch(&self, claim: Claim, lengths: impl Iterator<Item = u32>) {
        let mut first = None;
        let mut at = claim.at;
        for granules in lengths {
            if first.is_none() {
                first = Some(granules);
            } else if let Some(header) = self.header(at) {
                let inner = Header::new(State::Committed, 0, granules, at.lap());
                // ORDERING: Relaxed; nobody looks before the first header is committed.
                header.store(inner.0, Ordering::Relaxed);
            }
            at = Position(at.0 + granules as u64);
        }
        debug_assert!(at == claim.end, "lengths of a batch and of its claim");
        self.finish(&claim, first.unwrap_or(claim.granules), State::Committed);
    }

    /// Makes a claim padding.
    pub fn abandon(&self, claim: Claim) {
        self.finish(&claim, claim.granules, State::Padding);
    }

    #[inline(always)]
    fn finish(&self, claim: &Claim, granules: u32, state: State) {
        let header = Header::new(state, 0, granules, claim.at.lap());
        if let Some(word) = self.header(claim.at) {
            // ORDERING: Release; [committed]. No exchange: while its owner lives nobody else
            // changes a claimed header.
            word.store(header.0, Ordering::Release);
        }
    }

    /// Closes the log: where it ends. Each append has come before, or will be refused. Closing it
    /// again finds the same end. `before` is asked as in [`claim`](Self::claim).
    #[cold]
    pub fn close(
        &self,
        from: Position,
        mut before: impl FnMut() -> bool,
    ) -> Result<Position, Refusal> {
        let mut at = from;
        loop {
            let header = self.header(at).ok_or(Refusal::Damaged)?;
            match self.boundary(at, header) {
                Ok(Boundary::Free(_)) if !before() => return Err(Refusal::Moved),
                Ok(Boundary::Free(seen)) => {
                    let end = Header::new(State::End, 0, 1, at.lap());
                    // ORDERING: AcqRel; [claimed].
                    if header
                        .compare_exchange(seen, end.0, Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
                    {
                        advance(&self.positions.tail, at);
                        return Ok(at);
                    }
                }
                Ok(Boundary::Taken(end)) => at = end,
                Ok(Boundary::Passed) => at = self.further(at)?,
                Err(Refusal::Closed(end)) => return Ok(end),
                Err(refusal) => return Err(refusal),
            }
        }
    }

    /// The tail, a moment ago.
    pub fn tail(&self, from: Position) -> Result<Position, Refusal> {
        match self.walk(from) {
            (at, Ok(()) | Err(Refusal::Closed(_) | Refusal::Reserved(_))) => Ok(at),
            (_, Err(refusal)) => Err(refusal),
        }
    }

    /// Who has reserved the tail.
    pub fn reserved(&self, from: Position) -> Result<Option<u32>, Refusal> {
        match self.walk(from).1 {
            Ok(()) | Err(Refusal::Closed(_)) => Ok(None),
            Err(Refusal::Reserved(owner)) => Ok(Some(owner)),
            Err(refusal) => Err(refusal),
        }
    }

    /// Goes to the tail: where that is, and why nobody can claim there.
    fn walk(&self, from: Position) -> (Position, Result<(), Refusal>) {
        let mut at = from;
        loop {
            let Some(header) = self.header(at) else {
                return (at, Err(Refusal::Damaged));
            };
            let further = match self.boundary(at, header) {
                Ok(Boundary::Free(_)) => return (at, Ok(())),
                Ok(Boundary::Taken(end)) => Ok(end),
                Ok(Boundary::Passed) => self.further(at),
                Err(refusal) => Err(refusal),
            };
            match further {
                Ok(further) => at = further,
                Err(refusal) => return (at, Err(refusal)),
            }
        }
    }

    #[inline(always)]
    fn boundary(&self, at: Position, header: &AtomicU64) -> Result<Boundary, Refusal> {
        // ORDERING: Acquire; [claimed].
        let seen = Header(header.load(Ordering::Acquire));
        if seen.lap() < at.lap() {
            return Ok(Boundary::Free(seen.0));
        }
        if seen.lap() > at.lap() {
            return Ok(Boundary::Passed);
        }
        if seen.state() == State::End {
            return Err(Refusal::Closed(at));
        }
        if seen.is_reserved() {
            return Err(Refusal::Reserved(seen.owner()));
        }
        match self.behind(at, seen.granules()) {
            Some(end) => Ok(Boundary::Taken(end)),
            // The tail is here, a lap on, and somebody has given it back.
            None if seen == Header::released(at.lap()) => Ok(Boundary::Passed),
            None => Err(Refusal::Damaged),
        }
    }

    /// A boundary further than one that is a lap old: by the hint, or the oldest segment's start
    /// if all who should have moved the hint have died.
    #[cold]
    fn further(&self, at: Position) -> Result<Position, Refusal> {
        let tail = load(&self.positions.tail).max(load(&self.positions.floor));
        match tail > at && self.shape.has(tail) {
            true => Ok(tail),
            false => Err(Refusal::Damaged),
        }
    }

    /// Makes the rest of a segment padding, if the next one may be written: the boundary behind.
    #[cold]
    fn seal(
        &self,
        at: Position,
        header: &AtomicU64,
        seen: u64,
        room: u32,
        over: Option<Run>,
    ) -> Result<Position, Refusal> {
        let next = self.shape.next(at).ok_or(Refusal::Exhausted)?;
        // ORDERING: Acquire; [freed].
        let freed = load(&self.positions.freed);
        // Who came here has sealed the segment before, whose place was freed then.
        match Position::new(next.lap() - 1, next.index()).cmp(&freed) {
            Less => {}
            Equal => return Err(Refusal::Full),
            Greater => return Err(Refusal::Damaged),
        }
        let padding = Header::new(State::Padding, 0, room, at.lap());
        // ORDERING: AcqRel; [claimed].
        match header.compare_exchange(seen, padding.0, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => {
                advance(&self.positions.tail, next);
                self.settle(2, over);
                Ok(next)
            }
            Err(_) => Ok(at), // somebody was faster; look at it again
        }
    }
}
