//! Reservations: one participant has the tail to itself, and appends by stores alone.

use super::reclaim::Run;
use super::word::{Header, Position, State};
use super::{BLOCK, Log, Refusal, advance};
use crate::sync::Ordering;

/// The boundary at the tail, which one participant keeps. Dropped, it stays reserved until its
/// owner is known to be dead: [release](Log::release) it.
#[derive(Debug)]
#[must_use = "nobody else appends meanwhile"]
pub struct Reservation {
    /// The next record's first granule.
    pub at: Position,
    /// Where it was at first.
    begin: Position,
    owner: u32,
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

impl Log<'_> {
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
    ) -> Result<Reservation, Refusal> {
        if granules == 0 || granules.saturating_add(2) > self.shape.segment {
            return Err(Refusal::TooLong);
        }
        let over = last.map(|last| last.0);
        self.take_tail(from, granules + 2, over, &mut before, |at, header, seen| {
            let reserved = Header::reserved(owner, at.lap());
            // ORDERING: AcqRel; [claimed].
            header
                .compare_exchange(seen, reserved.0, Ordering::AcqRel, Ordering::Relaxed)
                .ok()?;
            Some(Reservation {
                at,
                begin: at,
                owner,
            })
        })
    }

    /// Whether so many granules fit behind a reservation in its segment. A reservation leaves the
    /// last granule alone, and keeps one before it.
    #[inline(always)]
    pub fn fits(&self, reservation: &Reservation, granules: u32) -> bool {
        granules != 0 && granules.saturating_add(2) <= self.room(reservation.at)
    }

    /// Makes the next granules a record, which the holder has written; the reservation is behind
    /// it. Nothing happens if they do not [fit](Self::fits).
    ///
    /// # Progress
    ///
    /// Wait-free.
    #[inline(always)]
    pub fn append(&self, reservation: &mut Reservation, granules: u32) {
        let at = reservation.at;
        let end = Position(at.0 + granules as u64);
        if let (true, Some(header), Some(next)) = (
            self.fits(reservation, granules),
            self.header(at),
            self.header(end),
        ) {
            let reserved = Header::reserved(reservation.owner, at.lap());
            // ORDERING: Relaxed; nobody looks there before the header at `at` is committed.
            next.store(reserved.0, Ordering::Relaxed);
            let committed = Header::new(State::Committed, 0, granules, at.lap());
            // ORDERING: Release; [committed].
            header.store(committed.0, Ordering::Release);
            reservation.at = end;
            // Before the commit it is no boundary.
            if at.0 / BLOCK as u64 != end.0 / BLOCK as u64 {
                advance(&self.positions.tail, end);
            }
        }
    }

    /// Gives the tail back.
    pub fn release(&self, reservation: Reservation) -> Released {
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
