//! Which entry of the table of ids is used next: the ring that they are.
//!
//! All windows are equally long, so the entry at the cursor is the oldest. If its window is over it
//! is used again; if not, the table is *full*. Nothing is looked for, and nothing is forgotten
//! early. Claimed entries are passed by.

use super::ids::{Ids, Mine, NO_SLOT, Phase, State};
use super::layout::Remembered;
use crate::sync::Ordering;

/// What a claimant may do with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Use it.
    Use,
    /// Pass it by: it is somebody's who is at it.
    Pass,
    /// Nothing: its window is not over.
    Wait,
}

/// Where a call claims entries for its ids.
#[derive(Debug)]
pub struct Cursor<'a> {
    pub(super) ids: Ids<'a>,
    /// Who claims.
    pub(super) owner: u32,
    /// A count of the cursor, and which entry it means.
    pub(super) turn: (u64, usize),
}

impl<'a> Ids<'a> {
    /// For the calls of an owner.
    #[inline(always)]
    pub fn cursor(self, owner: u32) -> Cursor<'a> {
        Cursor {
            ids: self,
            owner,
            turn: self.turn(),
        }
    }

    /// The cursor, and which entry it means.
    #[inline(always)]
    pub(super) fn turn(&self) -> (u64, usize) {
        let turn = self.head.ids_cursor.load(Ordering::Acquire);
        let len = self.entries.elements.len().max(1);
        let index = match (u32::try_from(turn), u32::try_from(len)) {
            (Ok(turn), Ok(len)) => (turn % len) as usize, // which is quicker
            _ => (turn % len as u64) as usize,
        };
        (turn, index)
    }

    #[inline(always)]
    fn turn_of(&self, entry: &Remembered, seen: State, now_ms: u64) -> Turn {
        match seen.phase() {
            Phase::Free => Turn::Use,
            Phase::Claimed if !(seen.is_coming() && entry.is_accepted()) => Turn::Pass,
            _ if self.is_over(entry, now_ms) => Turn::Use,
            _ => Turn::Wait,
        }
    }
}

impl<'a> Cursor<'a> {
    /// The next entry of the ring, out of its chain, if its window is over.
    #[inline(always)]
    pub(super) fn claim(&mut self, now_ms: u64) -> Option<Mine<'a>> {
        let (turn, index) = self.turn;
        // Nearly always the cursor is where this call has moved it.
        if let Some(entry) = self.ids.entries.elements.get(index)
            && self.ids.head.ids_cursor.load(Ordering::Acquire) == turn
        {
            let seen = entry.state();
            if self.ids.turn_of(entry, seen, now_ms) == Turn::Use
                && let Some(mine) = self.take(entry, seen)
            {
                return Some(mine);
            }
        }
        self.claim_any(now_ms)
    }

    #[inline(never)]
    fn claim_any(&mut self, now_ms: u64) -> Option<Mine<'a>> {
        for _ in 0..=2 * self.ids.entries.elements.len() {
            self.turn = self.ids.turn();
            let (turn, index) = self.turn;
            let entry = self.ids.entries.elements.get(index)?;
            let seen = entry.state();
            match self.ids.turn_of(entry, seen, now_ms) {
                Turn::Use => {
                    // Else the cursor has moved.
                    if let Some(mine) = self.take(entry, seen) {
                        return Some(mine);
                    }
                }
                Turn::Wait if entry.state() == seen => {
                    if self.ids.head.ids_cursor.load(Ordering::Acquire) == turn {
                        return None;
                    }
                }
                _ => self.move_on(),
            }
        }
        None
    }

    /// Claims the entry whose turn it is, if it is as it was seen, and takes it out of its chain.
    /// Moves the cursor on, whoever claims it.
    #[inline(always)]
    fn take(&mut self, entry: &'a Remembered, seen: State) -> Option<Mine<'a>> {
        let index = self.turn.1;
        let state = seen.then(Phase::Claimed, self.owner, NO_SLOT);
        let won = entry.change(seen, state);
        self.move_on();
        if won && seen.phase() != Phase::Free {
            let hash = entry.hash.load(Ordering::Acquire);
            self.ids.entries.unchain(hash, index);
        }
        won.then_some(Mine {
            index,
            entry,
            state,
        })
    }

    #[inline(always)]
    fn move_on(&mut self) {
        let (turn, index) = self.turn;
        let (done, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        let (cursor, next) = (&self.ids.head.ids_cursor, turn.wrapping_add(1));
        let _ = cursor.compare_exchange(turn, next, done, failed);
        let is_last = index + 1 == self.ids.entries.elements.len();
        self.turn = (next, if is_last { 0 } else { index + 1 });
    }
}
