//! Which entry of the table of ids is used next: the ring that they are.
//!
//! All windows are equally long, so the entry at the cursor is the oldest. If its window is over it
//! is used again; if not, the table is *full*. Nothing is looked for, and nothing is forgotten
//! early. Claimed entries are passed by.
//!
//! # The cursor of a call
//!
//! A call claims one entry behind the other, and moves the cursor, which is everybody's, once: at
//! its end, or when the entry whose turn it is cannot be had at once. Before each claim it sees the
//! cursor where it was when the call began, and is less than [`AHEAD`] entries further. The cursor
//! only moves on: so however late a claim is, it is of none of the entries that are `AHEAD` or more
//! behind the cursor in this lap. Those before may wait because they were claimed in this lap, and
//! are passed by for one whose window is over. If the table is full, the entry `AHEAD` behind the
//! cursor waits as well.
//!
//! Two calls at once: A has claimed two entries, and the cursor is before them. B finds that they
//! wait, or are claimed, moves the cursor behind them, and claims the third. A sees that the cursor
//! has moved, and goes on from there. From then on each moves it behind every entry that it claims:
//! so they do not have to pass by each other's again and again.
//!
//! # Deaths
//!
//! Who dies before it has moved the cursor leaves entries behind it that are claimed, or in use.
//! The next call passes them by, as it does those of a call that goes on. Repair frees what was
//! claimed and came into no chain (see [`ids`](super::ids)); that is passed by for a lap at most.

use super::entry::bits;
use super::ids::{Ids, Mine, NO_SLOT, Phase, State};
use super::layout::Remembered;
use crate::sync::Ordering;

/// How far a call comes before it moves the cursor, entries: as many as a batch has messages, but
/// few where all orders of steps are tried.
pub(super) const AHEAD: usize = if cfg!(ringmain_loom) { 2 } else { 10 };

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

/// Where a call claims entries for its ids. At the end the cursor is to be
/// [moved on](Cursor::move_on).
#[derive(Debug)]
pub struct Cursor<'a> {
    pub(super) ids: Ids<'a>,
    /// Who claims.
    pub(super) owner: u32,
    /// What the state of an entry has of that while it is claimed.
    pub(super) claimed: u64,
    /// The cursor when it was looked at, or moved by this call: a count.
    began: u64,
    /// How far this call may come before it moves it: 0 once it has met with others.
    ahead: u64,
    /// The count to which this call has come, and which entry it means.
    pub(super) turn: (u64, usize),
}

impl<'a> Ids<'a> {
    /// For the calls of an owner.
    #[inline(always)]
    pub fn cursor(self, owner: u32) -> Cursor<'a> {
        let turn = self.turn();
        Cursor {
            ids: self,
            owner,
            claimed: bits(Phase::Claimed, owner),
            began: turn.0,
            ahead: AHEAD as u64,
            turn,
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
            Phase::Claimed => Turn::Pass,
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
        // Nearly always nobody else has moved the cursor.
        if let Some(entry) = self.ids.entries.elements.get(index)
            && self.stands()
            && turn.wrapping_sub(self.began) < self.ahead
        {
            let seen = entry.state();
            if self.ids.turn_of(entry, seen, now_ms) == Turn::Use
                && let Some(mine) = self.take(index, entry, seen)
            {
                return Some(mine);
            }
        }
        self.claim_any(now_ms)
    }

    #[inline(never)]
    fn claim_any(&mut self, now_ms: u64) -> Option<Mine<'a>> {
        let len = self.ids.entries.elements.len();
        let ahead = AHEAD.min(len.saturating_sub(1));
        self.ahead = 0;
        self.move_on();
        self.begin();
        let mut waiting = 0;
        for _ in 0..=2 * len {
            let entry = self.ids.entries.elements.get(self.turn.1)?;
            let seen = entry.state();
            match self.ids.turn_of(entry, seen, now_ms) {
                // One that is free, and not over, says nothing of those before it.
                Turn::Use if waiting == 0 || self.ids.is_over(entry, now_ms) => {
                    if self.move_on()
                        && let Some(mine) = self.take(self.turn.1, entry, seen)
                    {
                        self.move_on();
                        return Some(mine);
                    }
                    self.begin();
                    waiting = 0;
                }
                Turn::Wait if entry.state() != seen => {}
                Turn::Wait if waiting < ahead => {
                    waiting += 1;
                    self.step();
                }
                Turn::Wait if self.stands() => break,
                Turn::Wait => {
                    self.begin();
                    waiting = 0;
                }
                _ => self.step(),
            }
        }
        self.begin(); // what was passed by in vain may be over soon
        None
    }

    /// Claims the entry whose turn it is, if it is as it was seen, in its next term: by that it is
    /// out of its chain. Goes on to the next one, whoever claims it.
    #[inline(always)]
    fn take(&mut self, index: usize, entry: &'a Remembered, seen: State) -> Option<Mine<'a>> {
        let is_last = seen.phase() == Phase::Free || self.ids.entries.is_last(entry);
        self.step();
        if !is_last {
            return self.take_out(entry, index, seen);
        }
        let state = seen.anew_as(self.claimed, NO_SLOT);
        entry.change(seen, state).then_some(Mine {
            index: index as u32,
            entry,
            state,
        })
    }

    /// The same of one that others follow: its next term begins when it is out of its chain.
    #[inline(never)]
    fn take_out(&self, entry: &'a Remembered, index: usize, seen: State) -> Option<Mine<'a>> {
        let claimed = seen.then_as(self.claimed, NO_SLOT);
        if !entry.change(seen, claimed) {
            return None;
        }
        let hash = entry.hash.load(Ordering::Acquire);
        self.ids.entries.unchain(hash, index);
        let state = claimed.anew_as(self.claimed, NO_SLOT);
        entry.change(claimed, state); // ours, so it cannot fail
        Some(Mine {
            index: index as u32,
            entry,
            state,
        })
    }

    /// Whether the cursor is where this call has seen it, or moved it to.
    #[inline(always)]
    fn stands(&self) -> bool {
        self.ids.head.ids_cursor.load(Ordering::Acquire) == self.began
    }

    /// Begins anew where the cursor is.
    fn begin(&mut self) {
        self.turn = self.ids.turn();
        self.began = self.turn.0;
    }

    #[inline(always)]
    fn step(&mut self) {
        let (turn, index) = self.turn;
        let is_last = index + 1 == self.ids.entries.elements.len();
        self.turn = (turn.wrapping_add(1), if is_last { 0 } else { index + 1 });
    }

    /// Moves the cursor to where this call has come, unless others have moved it; whether it is
    /// there.
    #[inline(always)]
    pub fn move_on(&mut self) -> bool {
        let (from, to) = (self.began, self.turn.0);
        self.began = to;
        // ORDERING: AcqRel; who sees it there sees what was claimed before.
        let (done, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        let cursor = &self.ids.head.ids_cursor;
        from == to || cursor.compare_exchange(from, to, done, failed).is_ok()
    }
}
