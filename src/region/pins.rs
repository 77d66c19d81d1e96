//! Pins: what keeps the bytes of a message while a former holder still reads them.
//!
//! A holder may still read the bytes when its visibility runs out. Whoever takes the message on
//! writes `{ owner, generation }` of that hold into one of two cells beside the words and then
//! changes the word, setting the cell's pin in the same compare-exchange. A cell without its pin
//! counts for nothing. Race: A holds, B and C both see that A's time is over. Both may write A's
//! name (the same name) into a cell, one of them wins the word, and only the winner's cell has a
//! pin. A, when done, finds its hold gone from the word, looks for its name in a pinned cell, and
//! takes that pin away. Deleted meanwhile: the word is retired, and the last pin frees the run. A
//! dead: repair takes A's hold out of the word, so that nobody names A any more, and then the pins
//! whose cells name it. With both cells in use the message stays with its present holder until a
//! former one is done.
//!
//! Race: D has seen the word, stops, and goes on when the slot has another message whose pin is in
//! that cell. D reads the cell and then the word again: it has changed, so D gives up. Had it not
//! changed, the other's name would be written after D's read, and D's compare-exchange would fail.
//! `[former-named]` is that pair of reads. The cells lie beside the words and not in the slots,
//! since bodies of runs lie over the heads of their later slots.
//!
//! A cell may be *reserved* by one who peeks ([`peek`](super::peek)): then it is his, pinned or
//! not, and nobody names a former holder in it.

use super::arena::{Hold, stamp_sent_ms};
use super::store::Store;
use super::word::{PIN_CELLS, Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::{Ordering, left_out};

/// A cell: `{ 0:3, peek:1, owner:10, generation:18 }`. With `peek` it is reserved.
pub(super) const CELL_MASK: u64 = (1 << CELL_BITS) - 1;
pub(super) const CELL_BITS: usize = 32;
const PEEK: u64 = 1 << 28;
const NAME_MASK: u64 = PEEK | (PEEK - 1);

/// Why a former holder could not be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// The word or a cell has changed: look again.
    Changed,
    /// Both cells are in use.
    Full,
}

/// `{ owner:10, generation:18 }` of the hold in a state word.
pub(super) const fn name_of(word: Word) -> u64 {
    ((word.owner() as u64) << 18) | word.generation()
}

/// What one of the two cells says.
pub(super) const fn name_in(former: u64, cell: usize) -> u64 {
    (former >> (cell * CELL_BITS)) & NAME_MASK
}

/// What a cell says that `owner` has reserved to peek.
pub(super) const fn reservation(owner: u32) -> u64 {
    PEEK | ((owner as u64) << 18)
}

/// Whether a cell is reserved.
pub(super) const fn is_reserved(former: u64, cell: usize) -> bool {
    name_in(former, cell) & PEEK != 0
}

/// Whose name is in a cell.
pub(super) const fn owner_in(former: u64, cell: usize) -> u32 {
    ((name_in(former, cell) >> 18) & 1023) as u32
}

impl Store<'_> {
    /// Ends the reading of a hold and parts it from its owner's life: it stays in flight until its
    /// visibility runs out, also if the owner dies.
    pub fn detach(&self, hold: &Hold, owner: u32) {
        self.end_reading(hold, owner, |seen| {
            Word::held(0, seen.generation(), seen.pins(), false, seen.due_ms())
        });
    }

    /// Ends the reading of a borrowed hold; the message stays in flight. A hold that was not made
    /// borrowed (a receipt's) reads nothing, and leaves its reader alone.
    pub fn unborrow(&self, hold: &Hold, owner: u32) {
        self.end_reading(hold, owner, Word::unborrowed);
    }

    #[inline(always)]
    fn end_reading(&self, hold: &Hold, owner: u32, next: impl Fn(Word) -> Word) {
        if !hold.word.is_borrowed() {
            return;
        }
        let word = &self.words()[hold.index as usize];
        loop {
            let seen = Word(word.load(Ordering::Relaxed));
            let mine = seen.phase() == Phase::Held
                && seen.generation() == hold.word.generation()
                && seen.owner() == owner
                && seen.is_borrowed();
            if !mine {
                return self.unpin(hold, owner);
            }
            let next = next(seen);
            // ORDERING: SeqCst: releases [slot-returned] (the reads come before the next writer's
            // writes, by way of whoever frees the word), and comes before the look at the bound.
            let won = word.compare_exchange(seen.0, next.0, Ordering::SeqCst, Ordering::Relaxed);
            if won.is_ok() {
                return self.look_again(hold.index as usize, next);
            }
        }
    }

    /// The pin, if any, under which `hold` still reads.
    fn pin_of(&self, hold: &Hold) -> u64 {
        let index = hold.index as usize;
        let pins = Word(self.words()[index].load(Ordering::Relaxed)).pins();
        let former = self.notes()[index].former.load(Ordering::Relaxed);
        let pinned =
            |cell: &usize| pins & (1 << cell) != 0 && name_in(former, *cell) == name_of(hold.word);
        (0..PIN_CELLS).find(pinned).map_or(0, |cell| 1 << cell)
    }

    /// The pin under which a hold that was made borrowed still reads, if any.
    pub(super) fn own_pin(&self, hold: &Hold) -> u64 {
        match hold.word.is_borrowed() {
            true => self.pin_of(hold),
            false => 0,
        }
    }

    /// Takes away the pin of a hold that was taken on by somebody else.
    pub(super) fn unpin(&self, hold: &Hold, owner: u32) {
        if !hold.word.is_borrowed() {
            return;
        }
        // ORDERING: Acquire: the cell was written before its pin.
        self.words()[hold.index as usize].load(Ordering::Acquire);
        let pin = self.pin_of(hold);
        if pin != 0 {
            self.drop_pins(hold.index as usize, pin, owner);
        }
    }

    /// Lowers the block's bound so that the next receiver looks: a reader of a held message is
    /// done, and perhaps its expiry waited for that; or repair has met one whose bound may be
    /// missing.
    pub(super) fn look_again(&self, index: usize, word: Word) {
        if word.phase() == Phase::Held {
            let sent_ms = stamp_sent_ms(self.notes()[index].stamp.load(Ordering::Relaxed));
            self.lower_due(index / BLOCK_SLOTS, sent_ms + word.due_ms());
        }
    }

    /// Takes pins away; frees the run if it is retired and these were the last.
    pub(super) fn drop_pins(&self, index: usize, pins: u64, owner: u32) {
        let word = &self.words()[index];
        loop {
            let seen = Word(word.load(Ordering::Relaxed));
            let left = seen.pins() & !pins;
            let last = seen.is_retired() && left == 0;
            let next = if last {
                Word::claimed(owner, seen.generation(), seen.run())
            } else {
                seen.with_pins(left)
            };
            // ORDERING: AcqRel; [slot-returned] this reader is done; Acquire so that who frees has
            // seen all other readers be done.
            let won = word.compare_exchange(seen.0, next.0, Ordering::AcqRel, Ordering::Relaxed);
            if won.is_err() {
                continue;
            }
            self.look_again(index, next);
            if last {
                let run = seen.run() as usize;
                self.free_claimed(index, run);
                self.put_free(index, run);
            }
            return;
        }
    }

    /// Takes a message on from a hold whose time is over. `true`: it is ready, and its ready bit is
    /// the caller's to put. `false`: it changed meanwhile, or two former holders still read it.
    pub fn expire(&self, index: usize, seen: Word) -> bool {
        let mut pins = seen.pins();
        if seen.is_borrowed() {
            let Ok(pin) = self.pin_former(index, seen) else {
                return false;
            };
            pins |= pin;
        }
        let ready = Word::ready(seen.generation(), pins);
        // ORDERING: SeqCst: Release publishes the former holder's cell with its pin; Acquire for
        // [slot-returned]; and before a look at its group, `fifo`'s [turn-seen].
        self.words()[index]
            .compare_exchange(seen.0, ready.0, Ordering::SeqCst, Ordering::Relaxed)
            .is_ok()
    }

    /// Names the holder in `seen` in a cell; the pin that the caller is to set with the word.
    pub(super) fn pin_former(&self, index: usize, seen: Word) -> Result<u64, Unnamed> {
        let former = &self.notes()[index].former;
        // ORDERING: Acquire; [former-named] the names are read before the word is read again. If it
        // is still what was seen, then any name that comes to count later, and any reservation, is
        // written after this read, and makes the compare-exchange below fail.
        let was = former.load(Ordering::Acquire);
        if self.words()[index].load(Ordering::Acquire) != seen.0 {
            return Err(Unnamed::Changed);
        }
        let open = |cell: &usize| seen.pins() & (1 << cell) == 0 && !is_reserved(was, *cell);
        let cell = (0..PIN_CELLS).find(open).ok_or(Unnamed::Full)?;
        let shift = cell * CELL_BITS;
        let named = (was & !(CELL_MASK << shift)) | (name_of(seen) << shift);
        // ORDERING: AcqRel; [former-named]. The word's compare-exchange that follows publishes it.
        let (done, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        if was != named && former.compare_exchange(was, named, done, failed).is_err() {
            return Err(Unnamed::Changed);
        }
        Ok(1 << cell)
    }

    /// Takes pins and reservations of dead owners away, as `dead` tells them by index.
    pub(super) fn drop_dead_pins(&self, index: usize, dead: &dyn Fn(u32) -> bool, owner: u32) {
        let pins = Word(self.words()[index].load(Ordering::Acquire)).pins();
        let former = self.notes()[index].former.load(Ordering::Relaxed);
        let gone = (0..PIN_CELLS).filter(|cell| pins & (1 << cell) != 0);
        let gone = gone.filter(|&cell| dead(owner_in(former, cell)));
        let gone = gone.fold(0, |set, cell| set | (1u64 << cell));
        if gone != 0 {
            self.drop_pins(index, gone, owner);
        }
        // A reservation goes after its pin: until then nobody else uses the cell.
        for cell in 0..PIN_CELLS {
            let theirs = is_reserved(former, cell) && dead(owner_in(former, cell));
            if !left_out!("cells") && theirs {
                self.open_cell(index, cell);
            }
        }
    }
}
