//! Peeking: reading a message without receiving it.
//!
//! Who peeks must keep the bytes from being reused while it reads, and must leave everything else
//! as it is: whoever receives, settles, expires, drops or purges the message does so meanwhile. A
//! pin does that ([`pins`](super::pins)): the word keeps its phase, generation, owner and due time,
//! and a delete under a pin retires the run, which the last pin frees.
//!
//! # Cells
//!
//! ```text
//!            reserve                   pin                    unpin, open
//!   open -------------> reserved -------------> reserved ------------------> open
//!                       (no pin)                (pinned)
//! ```
//!
//! The pin of a former holder is found by its name, `{ owner, generation }`, and all who write that
//! name for the same word write the same one. One who peeks has no generation of its own, and two
//! who peek at the same word have different names. So a peek first *reserves* a cell: it writes `{
//! peek, owner }` there, by a compare-exchange on both cells. From then until it opens the cell
//! again nobody else names anybody in it, nor sets or clears its pin; so the pin of that cell is
//! this peek's, and it is dropped by the cell's number, not by its name. Two peeks of one owner
//! have a cell each, with the same words in both. The flag `peek` tells the name from a holder's.
//!
//! # Races
//!
//! - A peeks, B names the former holder H in the same cell for word `w` and is about to change `w`.
//!   If B's name were overwritten, B's compare-exchange would pin a cell that names A, and H would
//!   not find its pin. So A reads the cells, then the word again, and takes no cell that names the
//!   borrowed holder of that word. Endings: B wrote first, and A sees H's name: it takes the other
//!   cell, or passes the message by. A's word is another than `w`: then it is a later one, since
//!   who wrote the name had seen `w` (`[former-named]`), and `w` does not come back, so B's
//!   compare-exchange on it fails. A wrote first: B's write to the cells fails, and B looks again.
//!   A word could come back only at the greatest generation, where it stands still: a message that
//!   was received as often as can be counted is passed by.
//! - A has reserved, B deletes, C sends into the slot: A pins the new message, or finds none. A
//!   cell belongs to the slot, not to a message.
//! - A has pinned: a receive, release or extension keeps the pin; a delete, purge or drop retires
//!   the run, and A, when it is done, frees it. A's compare-exchange may make another's fail once,
//!   who then looks again.
//! - Both cells in use: a peek passes the message by and says so. A holder that is to be named
//!   finds no cell as if two former holders read: its message stays with it until one of them is
//!   done. A peek that stops for ever costs that one message its cell, as a former holder that
//!   stops does.
//! - A dies: reserved, pinned, or unpinned and not yet open. Repair drops the pin if there is one,
//!   then opens the cell. It knows by the registry that nobody else repairs after A. A cell may be
//!   reserved without a pin, so repair has to look at the cells of slots whose words show nothing;
//!   in queues in which somebody has peeked only, `[peeked]`.
//!
//! # Edges
//!
//! `[slot-filled]`, `[slot-returned]`, `[former-named]` as for holders; `[peeked]`: the queue's
//! flag is set before the first reservation, and read before the cells.

use super::arena::{Hold, NO_GROUP, stamp_generation};
use super::pins::{CELL_BITS, CELL_MASK, is_reserved, name_in, name_of, reservation};
use super::store::Store;
use super::word::{GENERATIONS, PIN_CELLS, Phase, Word};
use crate::sync::Ordering;

/// How often a peek looks again at a message that changes under it, before it passes it by.
const TRIES: usize = 16;

/// The pin of a peek. Not dropped by itself: end it.
#[derive(Debug)]
#[must_use]
pub struct Pin {
    /// The message: its slot, its word as the peek found it, its stamp. Not a receive.
    pub hold: Hold,
    cell: usize,
}

/// What a peek found in a slot.
#[derive(Debug)]
pub enum Found {
    /// No message.
    Nothing,
    /// A message that stays as it is until the pin is ended.
    Message(Pin),
    /// A message, by its stamp, without room for another reader.
    Busy(u64),
}

impl Store<'_> {
    /// Pins the message of a slot, if there is one, so that its bytes can be read.
    ///
    /// # Progress
    ///
    /// Wait-free: a message that others change at each try is passed by.
    pub fn peek(&self, index: usize, owner: u32) -> Found {
        let Some(word) = self.words().get(index) else {
            return Found::Nothing;
        };
        for _ in 0..TRIES {
            let seen = Word(word.load(Ordering::Acquire));
            if !matches!(seen.phase(), Phase::Ready | Phase::Held) {
                return Found::Nothing;
            }
            match self.reserve(index, seen, owner) {
                Ok(Some(cell)) => return self.pin_reserved(index, cell, seen),
                Ok(None) => {}
                Err(stamp) => return Found::Busy(stamp),
            }
        }
        Found::Busy(self.notes()[index].stamp.load(Ordering::Relaxed))
    }

    /// Reserves a cell of a slot whose word is `seen`. `None`: something has changed, look again.
    ///
    /// # Errors
    ///
    /// There is no cell; the message's stamp.
    pub fn reserve(&self, index: usize, seen: Word, owner: u32) -> Result<Option<usize>, u64> {
        let note = &self.notes()[index];
        let peeked = &self.head().seldom.peeked;
        if peeked.load(Ordering::Relaxed) == 0 {
            // ORDERING: Release; [peeked], and the compare-exchange below comes after it.
            peeked.store(1, Ordering::Release);
        }
        // ORDERING: Acquire; [former-named] the cells are read before the word is read again.
        let was = note.former.load(Ordering::Acquire);
        let stamp = note.stamp.load(Ordering::Relaxed);
        if self.words()[index].load(Ordering::Acquire) != seen.0 {
            return Ok(None);
        }
        let last = stamp_generation(stamp).wrapping_sub(1) & (GENERATIONS - 1);
        if seen.generation() == last {
            return Err(stamp); // the word might come back: see the module's text
        }
        // Somebody may be about to pin this name.
        let holder = seen.is_borrowed().then(|| name_of(seen));
        let open = |cell: &usize| {
            seen.pins() & (1 << cell) == 0
                && !is_reserved(was, *cell)
                && Some(name_in(was, *cell)) != holder
        };
        let cell = (0..PIN_CELLS).find(open).ok_or(stamp)?;
        let shift = cell * CELL_BITS;
        let next = (was & !(CELL_MASK << shift)) | (reservation(owner) << shift);
        // ORDERING: AcqRel; [former-named], [peeked].
        let (done, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        let won = note.former.compare_exchange(was, next, done, failed);
        Ok(won.is_ok().then_some(cell))
    }

    /// Sets the pin of a reserved cell; opens the cell again if there is no message any more.
    pub fn pin_reserved(&self, index: usize, cell: usize, seen: Word) -> Found {
        let mut seen = seen;
        let pin = 1 << cell;
        for _ in 0..TRIES {
            let live = matches!(seen.phase(), Phase::Ready | Phase::Held);
            if !live || seen.pins() & pin != 0 {
                break; // gone; a pin in a cell that is reserved stands in damaged memory only
            }
            let next = seen.with_pins(seen.pins() | pin);
            // ORDERING: AcqRel: Release publishes the cell with its pin; Acquire: [slot-filled],
            // head and bytes belong to this word. A failure acquires the same for the next try.
            let word = &self.words()[index];
            match word.compare_exchange(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    let hold = Hold {
                        index: index as u32,
                        group: NO_GROUP,
                        word: seen,
                        stamp: self.notes()[index].stamp.load(Ordering::Relaxed),
                    };
                    return Found::Message(Pin { hold, cell });
                }
                Err(now) => seen = Word(now),
            }
        }
        self.open_cell(index, cell);
        let live = matches!(seen.phase(), Phase::Ready | Phase::Held);
        let stamp = self.notes()[index].stamp.load(Ordering::Relaxed);
        if live {
            Found::Busy(stamp)
        } else {
            Found::Nothing
        }
    }

    /// Ends a peek: nothing of the message is read from here on, and this is not called again.
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn end_peek(&self, pin: &Pin, owner: u32) {
        let index = pin.hold.index as usize;
        self.drop_pins(index, 1 << pin.cell, owner);
        self.open_cell(index, pin.cell);
    }

    /// Opens a reserved cell, whose pin is not set any more.
    pub(super) fn open_cell(&self, index: usize, cell: usize) {
        let mask = CELL_MASK << (cell * CELL_BITS);
        // ORDERING: AcqRel: who takes the cell next comes after the drop of the pin.
        self.notes()[index]
            .former
            .fetch_and(!mask, Ordering::AcqRel);
    }
}
