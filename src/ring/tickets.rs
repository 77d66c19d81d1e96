//! Tickets: who became ready first is served first.
//!
//! A bounded queue of indices in exact order, in which a participant that stops or dies holds up
//! nobody. Cells are filled before the position moves (Tsigas and Zhang 2001), and consumers look
//! at the first ticket instead of taking it.
//!
//! # States
//!
//! `first` and `last` count positions for ever; position *p* lives in cell *p* modulo the number of
//! cells. A cell is `{ tag:32, index + 1:32 }`, where the tag is the low half of the position that
//! it was filled for. Seen from position *p* its cell is *filled* if it has the tag of *p* and an
//! index, and *old* otherwise: never used, or of a lap before. A cell keeps what it holds when its
//! ticket is passed: the tag says that it is old. Zero memory is the empty queue at position 0.
//!
//! The positions up to the *end* are filled, without a hole, and none from there on. `last` is at
//! most the end: what lies between is pushed, and its pushers have yet to *count* it, that is to
//! move `last`. So `first <= last <= end <= first + cells`.
//!
//! # Transitions
//!
//! - *Claim*: from `last` on, or from where the same pusher has claimed before. Read `first`, the
//!   cell, and `last`. If `last` is beyond the position, begin there; if the position is a lap from
//!   `first`, the queue is full; if the cell is filled, go to the next one. Else the cell is of the
//!   lap just passed: one compare-exchange from what was read to `{ tag, index + 1 }`.
//! - *Count*: move `last` to a position before which all cells were seen to be filled. A *push* is
//!   a claim and its count; several pushes are as many claims and one count. Who dies before it
//!   counts leaves that to the next one, whoever pushes, peeks or asks for the length.
//! - *Peek*: read `first` and its cell. If it is filled, help `last` beyond it; that is the ticket.
//!   If it is old, and `first` still stands, there is none. *Peek further*: the same at a later
//!   position, for one who goes on before it has passed what it has looked at.
//! - *Pass*: move `first` from the ticket's position to the next. Whoever comes second fails. *Pass
//!   a row*: from wherever `first` is in the row to behind it; the tickets that others have passed
//!   before are not passed by this call.
//!
//! # Races
//!
//! - *Two pushers at one cell.* A and B read the same old cell. A's exchange wins; B's fails, finds
//!   the cell filled, and goes to the next. A's ticket is before B's.
//! - *A pusher dies before its exchange.* Nothing has happened. *After it:* the ticket is there;
//!   the next pusher, or the consumer that peeks it, moves `last` on.
//! - *A late counter.* A has claimed *p* and sleeps; others move on by many laps. A's move of
//!   `last` is one forward, from where it is seen, or none: `last` never comes back.
//! - *A pusher that sleeps a lap.* A has read the old cell of *p*; others fill and pass *p*, and
//!   fill the cell a lap later. A's exchange expects the tag of a lap before *p* and fails. If A
//!   sleeps before it reads the cell, then it reads one that is neither of *p* nor older; but such
//!   a one is filled only when `first`, and so `last`, is beyond *p*, and A looks at `last` after
//!   the cell: A begins again.
//! - *A pusher with an old `first`.* That there was room stays true, since `first` only grows. What
//!   it says of fullness was true when it was read: all cells from there on were filled. It may
//!   have grown beyond the position: then `last` has moved too, and the pusher begins again.
//! - *Two consumers with one ticket.* Both act on its index; the actions are guarded by the
//!   caller's own words. One pass wins. A consumer that dies between peek and pass leaves the
//!   ticket, or its row, to the next, who finds its work taken, or to be done, and passes it. If B
//!   has passed some of A's row, A's pass begins behind those, and says so.
//! - *A consumer with an old `first`.* It finds its cell filled, and the ticket passed in the
//!   meantime: its pass fails. Or it finds the cell of a later lap: `first` has moved, and it looks
//!   again. If it finds it old: `first` cannot pass a position that is not filled, so it was first
//!   and there was none.
//! - *The tag comes round* after 2^32 positions. A pusher would have to sleep for exactly as many,
//!   between reading a cell and its exchange, and find the same index there. No consumer is fooled.
//!
//! # Edges
//!
//! - `[ticket-pushed]`: the claim releases, peek acquires: who sees a ticket sees what its pusher
//!   did before. So "settle the message, push" against "peek, look at the message" needs no more.
//! - `[ticket-passed]`: pass releases, pushers and peekers acquire `first`: who finds a ticket
//!   passed by its position sees what the passer did before, and `last` beyond it.
//! - `[ticket-counted]`: the move of `last` releases, pushers and peekers acquire it: who finds
//!   `last` beyond a position finds its cell filled, and `first` less than a lap behind.
//!
//! All of them are `SeqCst`: the claim, a pass that wins, and the loads of a peek that finds
//! nothing have one order. So of "push, then look at a flag" and "set the flag by a `SeqCst`
//! read-modify-write, then peek" one sees the other. A push that finds a full queue, and a pass
//! that fails, publish nothing.
//!
//! # Damage
//!
//! Nothing from memory is believed. A round is repeated only if a position was seen to change or an
//! exchange was lost, so words that nobody changes cannot hold anyone. Positions that cannot be
//! (`first` beyond `last`, or more than a lap behind it) read as full to a pusher and as empty to a
//! consumer, as does a first cell that is not filled. [`mend`](Tickets::mend) puts that right:
//! which tickets there are then is another matter, but all calls work again.

use crate::sync::{AtomicU64, Ordering};

/// A bounded queue of indices in which nobody who stops holds up the others.
#[derive(Debug, Clone, Copy)]
pub struct Tickets<'a> {
    /// Position of the first ticket.
    pub first: &'a AtomicU64,
    /// Position after the last one.
    pub last: &'a AtomicU64,
    /// A power of two of cells, at most 2^31.
    pub cells: &'a [AtomicU64],
}

/// A ticket as it was first in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Its position: one more than that of the ticket before.
    pub position: u64,
    /// What was pushed.
    pub index: u32,
}

/// `{ tag:32, index + 1:32 }`
const fn filled(position: u64, index: u32) -> u64 {
    position << 32 | (index as u64 + 1)
}

/// Whether a position is behind another one.
const fn is_beyond(position: u64, other: u64) -> bool {
    position.wrapping_sub(other).cast_signed() > 0
}

/// The index in a cell, if it is filled for this position.
const fn index_of(cell: u64, position: u64) -> Option<u32> {
    if (cell >> 32) as u32 != position as u32 {
        return None;
    }
    (cell as u32).checked_sub(1)
}

impl Tickets<'_> {
    /// Puts `index` behind all others: the ticket's position. `None` if the queue is full;
    /// `u32::MAX` is no index and never finds room. When it returns, [`len`](Self::len) counts it.
    ///
    /// # Progress
    ///
    /// Lock-free: another round means that another one's ticket was pushed or passed. A pusher that
    /// stops holds up nobody.
    pub fn push(&self, index: u32) -> Option<u64> {
        let mut from = self.last_position();
        let position = self.claim(&mut from, index);
        self.count(from);
        position
    }

    /// The first half of a push, after which the ticket is there: anybody may do the other half,
    /// [`count`](Self::count). `from` is where to begin: [`last_position`](Self::last_position), or
    /// what the call before has left there. It becomes the position behind the ticket.
    ///
    /// # Progress
    ///
    /// As [`push`](Self::push).
    #[inline(always)]
    pub fn claim(&self, from: &mut u64, index: u32) -> Option<u64> {
        if index == u32::MAX {
            return None;
        }
        loop {
            let position = *from;
            let cell = self.cell(position)?;
            // ORDERING: SeqCst; [ticket-passed] acquires: if it is beyond `position`, the load
            // below sees that `last` is as well.
            let first = self.first.load(Ordering::SeqCst);
            // ORDERING: SeqCst; [ticket-pushed] acquires: if the cell is of a later lap, the load
            // below sees that `last` is beyond `position`.
            let seen = cell.load(Ordering::SeqCst);
            // ORDERING: SeqCst; [ticket-counted] acquires: the cell of a lap before is seen, and
            // the pass of its ticket.
            let last = self.last.load(Ordering::SeqCst);
            if is_beyond(last, position) {
                *from = last;
                continue;
            }
            if position.wrapping_sub(first) >= self.cells.len() as u64 {
                return None;
            }
            if index_of(seen, position).is_none() {
                let new = filled(position, index);
                // ORDERING: SeqCst; [ticket-pushed] the store half releases what the pusher did.
                // The load half acquires nothing that was not seen above.
                let claim = cell.compare_exchange(seen, new, Ordering::SeqCst, Ordering::SeqCst);
                if claim.is_err() {
                    continue;
                }
                *from = position.wrapping_add(1);
                return Some(position);
            }
            *from = position.wrapping_add(1);
        }
    }

    /// Moves `last` on to `end`, before which the caller has seen all cells filled, if it is not
    /// there.
    ///
    /// # Progress
    ///
    /// Lock-free: another round means that another one has counted.
    pub fn count(&self, end: u64) {
        let mut seen = self.last.load(Ordering::SeqCst);
        while is_beyond(end, seen) {
            // ORDERING: SeqCst; [ticket-counted] the store half releases that the cells are filled.
            // The load half acquires what others have counted meanwhile.
            let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
            match self.last.compare_exchange(seen, end, done, failed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Where to begin a row of claims: the position behind the tickets that are counted.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn last_position(&self) -> u64 {
        // ORDERING: SeqCst; [ticket-counted] acquires.
        self.last.load(Ordering::SeqCst)
    }

    /// Counts what is pushed and not counted.
    fn count_all(&self) {
        let last = self.last.load(Ordering::SeqCst);
        let mut end = last;
        while end.wrapping_sub(last) < self.cells.len() as u64
            && let Some(cell) = self.cell(end)
            // ORDERING: SeqCst; [ticket-pushed] acquires.
            && index_of(cell.load(Ordering::SeqCst), end).is_some()
        {
            end = end.wrapping_add(1);
        }
        // Damage may have put `first` where no ticket is: then nothing is counted.
        let first = self.first.load(Ordering::SeqCst);
        if end != last && last.wrapping_sub(first) <= self.cells.len() as u64 {
            self.count(end);
        }
    }

    /// The first ticket, which stays where it is; `None` if there is none.
    ///
    /// Others may see the same ticket, and may have passed it when this returns.
    ///
    /// # Progress
    ///
    /// Lock-free: another round means that another one passed a ticket.
    pub fn peek(&self) -> Option<Ticket> {
        // ORDERING: SeqCst; [ticket-passed] acquires.
        let mut first = self.first.load(Ordering::SeqCst);
        loop {
            // ORDERING: SeqCst; [ticket-pushed] acquires.
            let seen = self.cell(first)?.load(Ordering::SeqCst);
            if let Some(index) = index_of(seen, first)
                && self.is_counted(first)
            {
                let position = first;
                return Some(Ticket { position, index });
            }
            // ORDERING: SeqCst; as above. A cell or a `last` of a later lap came after a pass.
            let now = self.first.load(Ordering::SeqCst);
            if now == first {
                return None;
            }
            first = now;
        }
    }

    /// The ticket at a later position than the first, for one who has looked at those before it and
    /// passes them later. `None`: there is none, or it is passed, or not counted; look by
    /// [`peek`](Self::peek).
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn peek_at(&self, position: u64) -> Option<Ticket> {
        // ORDERING: SeqCst; [ticket-pushed] acquires.
        let seen = self.cell(position)?.load(Ordering::SeqCst);
        let index = index_of(seen, position)?;
        // ORDERING: SeqCst; [ticket-passed] acquires.
        let first = self.first.load(Ordering::SeqCst);
        let stands = position.wrapping_sub(first) < self.cells.len() as u64;
        (stands && self.is_counted(position)).then_some(Ticket { position, index })
    }

    /// Whether `last` is beyond a filled position, after helping it over that one.
    fn is_counted(&self, position: u64) -> bool {
        // ORDERING: SeqCst; [ticket-counted] acquires: a pass then releases that `last` is beyond.
        let mut last = self.last.load(Ordering::SeqCst);
        if last == position {
            self.count(position.wrapping_add(1));
            last = self.last.load(Ordering::SeqCst);
        }
        (1..=self.cells.len() as u64).contains(&last.wrapping_sub(position))
    }

    /// Moves on from a ticket that [`peek`](Self::peek) returned: whether this call did so.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn pass(&self, ticket: &Ticket) -> bool {
        self.pass_row(ticket.position, ticket.position).is_some()
    }

    /// Moves on from all tickets from position `from` to `to`, which the caller has peeked: the
    /// position of the first that this call has passed. `None`: others have passed them all.
    ///
    /// # Progress
    ///
    /// Lock-free: another round means that another one passed one of them.
    pub fn pass_row(&self, from: u64, to: u64) -> Option<u64> {
        let end = to.wrapping_add(1);
        let mut seen = from;
        let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
        // ORDERING: SeqCst; [ticket-passed] the store half releases what the passer did, and that
        // `last` is beyond the tickets. A failure acquires as a peek does.
        while let Err(now) = self.first.compare_exchange(seen, end, done, failed) {
            // One who passes goes forward; anything else is damage.
            if !is_beyond(now, seen) || !is_beyond(end, now) {
                return None;
            }
            seen = now;
        }
        Some(seen)
    }

    /// Whether the ticket at `position` is one for `index`, and not passed by.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn stands(&self, position: u64, index: u32) -> bool {
        // ORDERING: SeqCst; [ticket-passed] acquires.
        let first = self.first.load(Ordering::SeqCst);
        position.wrapping_sub(first) < self.cells.len() as u64
            && self.cell(position).is_some_and(|cell| {
                // ORDERING: SeqCst; [ticket-pushed] acquires.
                cell.load(Ordering::SeqCst) == filled(position, index)
            })
    }

    /// The position of the first ticket, or of the next to be pushed if there is none: all before
    /// it were passed.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn first_position(&self) -> u64 {
        // ORDERING: SeqCst; [ticket-passed] acquires.
        self.first.load(Ordering::SeqCst)
    }

    /// How many tickets there are. 0 if the positions are damaged.
    ///
    /// # Progress
    ///
    /// Lock-free: another round means that another one passed a ticket.
    pub fn len(&self) -> usize {
        self.count_all();
        let mut first = self.first_position();
        loop {
            // ORDERING: SeqCst; between two looks at `first` that agree.
            let last = self.last.load(Ordering::SeqCst);
            let now = self.first_position();
            if now == first {
                let len = last.wrapping_sub(first);
                return if len <= self.cells.len() as u64 {
                    len as usize
                } else {
                    0
                };
            }
            first = now;
        }
    }

    /// Whether [`peek`](Self::peek) finds nothing.
    ///
    /// # Progress
    ///
    /// As [`peek`](Self::peek).
    pub fn is_empty(&self) -> bool {
        self.peek().is_none()
    }

    /// Makes positions possible again that cannot be, and moves `first` beyond cells that should be
    /// filled and are not. Nothing but damage makes them so: whether it did anything. Tickets are
    /// lost or come again by it.
    ///
    /// # Progress
    ///
    /// Wait-free: at most as many steps as there are cells.
    pub fn mend(&self) -> bool {
        let mut mended = false;
        for _ in 0..=self.cells.len() {
            // ORDERING: SeqCst, each: `first` is the same before and after, so it was so when
            // `last` was read, and when the cell was. Then `last` is at most a lap ahead, and all
            // cells before it are filled.
            let first = self.first.load(Ordering::SeqCst);
            let last = self.last.load(Ordering::SeqCst);
            let Some(cell) = self.cell(first) else {
                return mended;
            };
            let seen = index_of(cell.load(Ordering::SeqCst), first);
            let ahead = last.wrapping_sub(first);
            if self.first.load(Ordering::SeqCst) != first || ahead == 0 {
                return mended;
            }
            let (word, from, to) = match ahead <= self.cells.len() as u64 {
                true if seen.is_some() => return mended,
                true => (self.first, first, first.wrapping_add(1)),
                false => (self.last, last, first),
            };
            let moved = word.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed);
            mended |= moved.is_ok();
        }
        mended
    }

    /// The cell of a position; none if there are no cells.
    fn cell(&self, position: u64) -> Option<&AtomicU64> {
        let mask = self.cells.len().wrapping_sub(1);
        self.cells.get(position as usize & mask)
    }
}

#[cfg(all(test, feature = "std", not(ringmain_loom)))]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    struct Memory {
        first: AtomicU64,
        last: AtomicU64,
        cells: Vec<AtomicU64>,
    }

    impl Memory {
        fn at(first: u64, last: u64, cells: usize) -> Self {
            Self {
                first: AtomicU64::new(first),
                last: AtomicU64::new(last),
                cells: (0..cells).map(|_| AtomicU64::new(0)).collect(),
            }
        }

        fn tickets(&self) -> Tickets<'_> {
            Tickets {
                first: &self.first,
                last: &self.last,
                cells: &self.cells,
            }
        }
    }

    /// Xorshift: a row of numbers that is the same each time.
    fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    /// Random operations beside a plain queue, begun at `start`.
    fn beside_a_plain_queue(memory: &Memory, start: u64) {
        let tickets = memory.tickets();
        let (mut plain, mut next) = (VecDeque::new(), start);
        let mut state = start | 1;
        for _ in 0..2000 {
            let number = random(&mut state);
            let index = (number >> 8) as u32 % 1000;
            if number & 1 == 0 {
                let room = plain.len() < memory.cells.len();
                assert_eq!(tickets.push(index), room.then_some(next));
                if room {
                    plain.push_back(Ticket {
                        position: next,
                        index,
                    });
                    next += 1;
                }
            } else {
                let ticket = tickets.peek();
                assert_eq!(ticket, plain.pop_front());
                if let Some(ticket) = ticket {
                    assert!(tickets.stands(ticket.position, ticket.index));
                    assert!(!tickets.stands(ticket.position, ticket.index + 1));
                    assert!(tickets.pass(&ticket) && !tickets.pass(&ticket));
                    assert!(!tickets.stands(ticket.position, ticket.index));
                    assert_eq!(tickets.first_position(), ticket.position + 1);
                }
            }
            assert_eq!(tickets.len(), plain.len());
            assert_eq!(tickets.is_empty(), plain.is_empty());
            assert!(!tickets.mend(), "nothing is damaged");
        }
    }

    #[test]
    fn it_is_a_queue() {
        for cells in [1, 2, 4, 64] {
            beside_a_plain_queue(&Memory::at(0, 0, cells), 0);
            // Also where the tag comes round.
            let start = (5 << 32) - 500;
            beside_a_plain_queue(&Memory::at(start, start, cells), start);
        }
    }

    #[test]
    fn both_positions_may_be_set_anew_together() {
        let memory = Memory::at(0, 0, 8);
        for start in [0, 5000, 20_000, 10_000, 1 << 40] {
            memory.first.store(start, Ordering::Relaxed);
            memory.last.store(start, Ordering::Relaxed);
            memory.cells[start as usize % 8].store(0, Ordering::Relaxed);
            // Over the old cells, none of which is of these positions.
            beside_a_plain_queue(&memory, start);
        }
    }

    #[test]
    fn damage_is_mended() {
        let near = |n: u64| [n.wrapping_sub(1), n, n + 1, n + 3, n + 4, n + 9];
        let firsts = near(100).into_iter().chain([0, 1 << 40, u64::MAX]);
        for first in firsts {
            for last in near(100).into_iter().chain([0, 1 << 40, u64::MAX]) {
                for holes in 0..16u32 {
                    let memory = Memory::at(first, last, 4);
                    for position in 100..104u64 {
                        let whole = holes & 1 << (position - 100) == 0;
                        let cell = if whole { filled(position, 7) } else { 0 };
                        memory.cells[position as usize % 4].store(cell, Ordering::Relaxed);
                    }
                    let tickets = memory.tickets();
                    let sound = first == last;
                    assert!(!(sound && tickets.mend()));
                    tickets.mend();
                    assert!(!tickets.mend(), "once is enough: {first} {last} {holes}");
                    // What is there goes, and what is pushed comes.
                    let mut left = 2 * memory.cells.len();
                    while let Some(ticket) = tickets.peek() {
                        assert!(tickets.pass(&ticket) && left > 0);
                        left -= 1;
                        tickets.mend();
                    }
                    tickets.mend();
                    assert!(tickets.push(9).is_some(), "{first} {last} {holes}");
                    assert_eq!(tickets.peek().map(|ticket| ticket.index), Some(9));
                }
            }
        }
    }

    #[test]
    fn a_pusher_that_stops_after_its_claim_is_helped() {
        let memory = Memory::at(0, 0, 2);
        let tickets = memory.tickets();
        let claim = |index| tickets.claim(&mut tickets.last_position(), index);
        assert_eq!((claim(7), tickets.last_position()), (Some(0), 0));
        let ticket = tickets.peek().expect("it is there");
        assert_eq!((ticket.index, tickets.last_position()), (7, 1));
        assert_eq!((claim(8), tickets.last_position()), (Some(1), 1));
        assert_eq!((tickets.push(9), tickets.len()), (None, 2));
        assert!(tickets.pass(&ticket));
        assert_eq!(tickets.push(9), Some(2));
        assert_eq!(tickets.peek().map(|t| t.index), Some(8));
    }

    #[test]
    fn the_last_index_is_none() {
        let memory = Memory::at(0, 0, 2);
        assert_eq!(memory.tickets().push(u32::MAX), None);
        assert_eq!(memory.tickets().push(u32::MAX - 1), Some(0));
        assert_eq!(memory.tickets().peek().map(|t| t.index), Some(u32::MAX - 1));
    }

    #[test]
    fn wild_words_end_every_call() {
        let words = [0, 1, 3, 4, 5, 1 << 31, 1 << 32, u64::MAX - 1, u64::MAX];
        for (first, last) in words.iter().flat_map(|&f| words.map(|l| (f, l))) {
            for pattern in 0..4u64 {
                let memory = Memory::at(first, last, 4);
                for (i, cell) in memory.cells.iter().enumerate() {
                    let near = first & !3 | i as u64;
                    let word = [0, u64::MAX, filled(near, 7), filled(last & !3, 7)];
                    cell.store(word[pattern as usize], Ordering::Relaxed);
                }
                let tickets = memory.tickets();
                let possible = last.wrapping_sub(first) <= 4;
                for _ in 0..6 {
                    assert!(tickets.len() <= 4);
                    let pushed = tickets.push(7);
                    assert!(possible || pushed.is_none(), "{first} {last}");
                    if let Some(ticket) = tickets.peek() {
                        assert!(possible || pattern > 0, "{first} {last}");
                        assert!(tickets.pass(&ticket));
                    }
                }
            }
        }
        let none = Memory::at(3, 9, 0);
        assert_eq!(
            (none.tickets().push(1), none.tickets().peek()),
            (None, None)
        );
    }
}
