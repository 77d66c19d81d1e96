//! Reservations: one participant has the tail to itself, and appends by stores alone.

use super::reclaim::Run;
use super::word::{Header, Position, State};
use super::{BLOCK, Log, Refusal, advance};
use crate::sync::{AtomicU64, Ordering};

/// The boundary at the tail, which one participant keeps. Dropped, it stays reserved until its
/// owner is known to be dead: [release](Log::release) it.
#[derive(Debug)]
#[must_use = "nobody else appends meanwhile"]
pub struct Reservation<'a> {
    /// The next record's first granule.
    pub at: Position,
    /// Where it was at first.
    begin: Position,
    /// The headers from there to the end of the segment: at least two.
    headers: &'a [AtomicU64],
    /// That of the reserved boundary.
    reserved: Header,
}

impl Reservation<'_> {
    /// Whether so many granules fit behind it in its segment. It leaves the last granule alone, and
    /// keeps one before it.
    #[inline(always)]
    pub fn fits(&self, granules: u32) -> bool {
        granules != 0 && self.headers.len().saturating_sub(2) >= granules as usize
    }
}

/// What a reservation was.
#[derive(Debug, Clone, Copy)]
pub struct Released(Run);

impl Released {
    /// Where the tail was given back.
    pub const fn at(&self) -> Position {
        self.0.end
    }
}

impl<'a> Log<'a> {
    /// Reserves the tail for `owner`, in a segment with room for so many granules. `from` and
    /// `before` are those of [`claim`](Self::claim); `last` is the reservation that the caller had
    /// there.
    ///
    /// # Progress
    ///
    /// Lock-free.
    #[cold]
    pub fn reserve(
        &self,
        from: Position,
        owner: u32,
        granules: u32,
        last: Option<Released>,
        mut before: impl FnMut() -> bool,
    ) -> Result<Reservation<'a>, Refusal> {
        if granules == 0 || granules.saturating_add(2) > self.shape.segment {
            return Err(Refusal::TooLong);
        }
        let over = last.map(|last| last.0);
        self.take_tail(from, granules + 2, over, &mut before, |at, header, seen| {
            let first = at.index() as usize;
            let headers = self.headers.get(first..first + self.room(at) as usize)?;
            let reserved = Header::reserved(owner, at.lap());
            // ORDERING: AcqRel; [claimed].
            header
                .compare_exchange(seen, reserved.0, Ordering::AcqRel, Ordering::Relaxed)
                .ok()?;
            Some(Reservation {
                at,
                begin: at,
                headers,
                reserved,
            })
        })
    }

    /// Makes the next granules a record, whose bytes `write` writes, given where it is; the
    /// reservation is behind it. `None`, and nothing is written, if they do not
    /// [fit](Reservation::fits).
    ///
    /// # Progress
    ///
    /// Wait-free.
    #[inline(always)]
    pub fn append(
        &self,
        reservation: &mut Reservation<'_>,
        granules: u32,
        write: impl FnOnce(Position),
    ) -> Option<Position> {
        let (at, headers) = (reservation.at, reservation.headers);
        // As `fits` says.
        let (record, behind) = headers.split_at_checked(granules as usize)?;
        let ([header, ..], [next, _, ..]) = (record, behind) else {
            return None;
        };
        write(at);
        // ORDERING: Relaxed; nobody looks there before the header at `at` is committed.
        next.store(reservation.reserved.0, Ordering::Relaxed);
        let committed = Header::new(State::Committed, 0, granules, at.lap());
        // ORDERING: Release; [committed].
        header.store(committed.0, Ordering::Release);
        let end = Position(at.0 + granules as u64);
        (reservation.at, reservation.headers) = (end, behind);
        // Before the commit it is no boundary.
        if at.0 / BLOCK as u64 != end.0 / BLOCK as u64 {
            advance(&self.positions.tail, end);
        }
        Some(at)
    }

    /// Gives the tail back.
    pub fn release(&self, reservation: Reservation<'_>) -> Released {
        let Reservation { at, begin, .. } = reservation;
        // Free again: as if it had not been reserved.
        let free = Header::released(at.lap() - 1);
        if let Some(word) = self.header(at) {
            // ORDERING: Release; [claimed].
            word.store(free.0, Ordering::Release);
        }
        Released(Run { begin, end: at })
    }
}
