//! Marks: which slots have changed since the journal was last told, and who reads them for it.
//!
//! A journaled queue keeps three bits a slot on its block's line.
//!
//! - *dirty*: a message came to this slot or went from it, and no commit has looked since.
//! - *unsynced*: a commit has looked, and its write is not known to be on the disk.
//! - *copying*: the committer reads the bytes of this slot now, so nobody may claim it.
//!
//! # Transitions
//!
//! ```text
//!            mark               take                 settle (after the sync)
//!   (clean) ------> dirty ------------> unsynced ---------------------------> (clean)
//!                     ^                    |
//!                     +--------------------+  restore: the committer died, or its disk failed
//! ```
//!
//! `mark` follows the word: it comes after a publication or a removal, and before the operation
//! returns. What a commit writes is not the change but the state that it finds, so marks that come
//! together, too late or twice do no harm. There is one committer at a time, under a lock that the
//! kernel frees at its death; so only the *next* committer, or a repair that holds that lock,
//! restores what a dead one left.
//!
//! # Reading bytes that somebody might overwrite
//!
//! The committer sets *copying* and then reads the word. If it says Ready or Held, the bytes are
//! whole, and stay so: to overwrite them a sender has to claim the slot, and after winning the word
//! it looks at *copying*. One of the two sees the other, `[copy-seen]`. A sender that sees the bit
//! gives the slot back and takes another one. A later slot of a run is covered by its own bit,
//! which is set before the first word is read once more.
//!
//! Who gives way frees the word, then looks at *copying* again by a read-modify-write; the
//! committer clears the bit and then looks at the word. Whichever comes second puts the free bit,
//! `[copy-ended]`.
//!
//! A committer that stops keeps the slots of one block from senders; they go on with others.
//!
//! # Positions
//!
//! A commit has a number. It first moves `begun` on to that number and then takes the marks. Who
//! has marked reads `begun` by a read-modify-write: what it marked is in commit `begun + 1` at the
//! latest, `[marked-before-begun]`.

use super::layout::{HAS_ATTRIBUTES, LEN_MASK};
use super::repair::extent;
use super::store::Store;
use super::word::{Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::{Ordering, store_load_after_rmw};

/// A message as the committer finds it. Its bytes do not change while it is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The state word: Ready or Held.
    pub word: Word,
    /// The message's stamp.
    pub stamp: u64,
    /// `{ checksum:32, has_attributes:1, len:31 }`
    pub size: u64,
    /// `{ count:32, len:32 }` of the attributes.
    pub attributes: u64,
}

impl Look {
    /// Bytes that are stored: the body and the attributes.
    pub const fn len(&self) -> usize {
        (self.size & LEN_MASK) as usize
    }
}

/// Whether a slot has a message as far as the disk is concerned: one that has departed is there
/// until it has landed elsewhere.
const fn is_there(word: Word) -> bool {
    matches!(word.phase(), Phase::Ready | Phase::Held) || word.is_departed()
}

/// The bits of slots `from..to` that lie in block `block`.
const fn bits_between(from: usize, to: usize, block: usize) -> u64 {
    let first = block * BLOCK_SLOTS;
    let low = from.saturating_sub(first);
    let high = to.saturating_sub(first);
    let high = if high > BLOCK_SLOTS {
        BLOCK_SLOTS
    } else {
        high
    };
    if low >= high {
        return 0;
    }
    (u64::MAX >> (64 - (high - low))) << low
}

impl Store<'_> {
    /// Notes that the message of slot `index` came or went. Call it after its word has changed.
    #[inline(always)]
    pub(super) fn mark(&self, index: usize) {
        if self.journaled() {
            self.mark_dirty(index);
        }
    }

    #[inline(never)]
    fn mark_dirty(&self, index: usize) {
        let dirty = &self.blocks()[index / BLOCK_SLOTS].dirty;
        // ORDERING: SeqCst: Release, so that who takes the mark sees the word that it is about; and
        // before the look at [pending].
        dirty.fetch_or(1 << (index % BLOCK_SLOTS), Ordering::SeqCst);
    }

    /// Whether a commit has to look at a slot, or its write is not known to be on the disk.
    pub(super) fn is_marked(&self, index: usize) -> bool {
        let Some(block) = self.blocks().get(index / BLOCK_SLOTS) else {
            return false;
        };
        // ORDERING: Acquire; a mark that was taken is seen in the one word or in the other, since
        // it is in the second before it goes from the first.
        let dirty = block.dirty.load(Ordering::Acquire);
        let marks = dirty | block.unsynced.load(Ordering::Acquire);
        marks & 1 << (index % BLOCK_SLOTS) != 0
    }

    /// Marks every slot that has been in use: the next commit writes whatever is in them. One who
    /// took a message out may have stopped before it marked the slot.
    pub fn mark_all(&self) {
        if self.journaled() {
            for (index, block) in self.blocks()[..extent(self)].iter().enumerate() {
                // ORDERING: as in `mark`.
                block
                    .dirty
                    .fetch_or(self.shape().valid(index), Ordering::SeqCst);
            }
        }
    }

    /// The number of the commit after which everything that the caller has marked is durable.
    pub fn position(&self) -> u64 {
        // ORDERING: AcqRel; [marked-before-begun] a read-modify-write, so that the committer that
        // moves `begun` on next acquires what was marked before.
        self.head()
            .seldom
            .begun
            .fetch_add(0, Ordering::AcqRel)
            .wrapping_add(1)
    }

    /// The greatest commit that is on the disk.
    pub fn durable_position(&self) -> u64 {
        self.head().seldom.durable.load(Ordering::Acquire)
    }

    /// Whether the timed committer has been told that something is marked.
    #[inline(always)]
    pub fn is_pending(&self) -> bool {
        store_load_after_rmw();
        // ORDERING: SeqCst; [pending] read after the mark, by a read-modify-write; the committer
        // clears it before it takes the marks.
        self.head().seldom.pending.load(Ordering::SeqCst) != 0
    }

    /// Whether the committer reads one of the slots that the caller has just won.
    #[inline(always)]
    pub(super) fn is_copied(&self, index: usize, run: usize) -> bool {
        self.journaled() && self.has_copied(index, run)
    }

    #[inline(never)]
    fn has_copied(&self, index: usize, run: usize) -> bool {
        store_load_after_rmw();
        let (first, last) = (index / BLOCK_SLOTS, (index + run - 1) / BLOCK_SLOTS);
        (first..=last).any(|block| {
            // ORDERING: SeqCst; [copy-seen] read after the word was won by a SeqCst
            // compare-exchange. It acquires the end of a copy.
            let copying = self.blocks()[block].copying.load(Ordering::SeqCst);
            copying & bits_between(index, index + run, block) != 0
        })
    }

    /// Gives back a run that was won while the committer reads some of it.
    #[cold]
    pub(super) fn give_way(&self, index: usize, run: usize) {
        self.give_up(index, run);
        for at in index / BLOCK_SLOTS..=(index + run - 1) / BLOCK_SLOTS {
            let slots = bits_between(index, index + run, at) & self.shape().valid(at);
            let block = &self.blocks()[at];
            // ORDERING: AcqRel; [copy-ended] a read-modify-write: if it still finds the bit, the
            // committer that clears it sees the word that was freed.
            let copying = block.copying.fetch_or(0, Ordering::AcqRel);
            let ours = slots & !copying;
            if ours != 0 {
                self.put_free_bits(at, ours);
            }
        }
    }

    /// Begins a commit; its number. The caller is the committer, here and below.
    pub fn begin_commit(&self) -> u64 {
        // ORDERING: AcqRel; [marked-before-begun].
        self.head()
            .seldom
            .begun
            .fetch_add(1, Ordering::AcqRel)
            .wrapping_add(1)
    }

    /// Ends a commit: everything up to it is on the disk.
    pub fn end_commit(&self, number: u64) {
        self.head().seldom.durable.store(number, Ordering::Release);
    }

    /// Makes what a committer left, that died or could not write, dirty again.
    pub fn restore_marks(&self, blocks: usize) {
        self.restore_id_marks();
        for index in 0..blocks.min(self.blocks().len()) {
            let block = &self.blocks()[index];
            let left = block.unsynced.load(Ordering::Acquire);
            if left != 0 {
                block.dirty.fetch_or(left, Ordering::AcqRel);
                block.unsynced.fetch_and(!left, Ordering::AcqRel);
            }
            let copying = block.copying.load(Ordering::Acquire);
            if copying != 0 {
                self.end_copying(index, copying);
            }
        }
    }

    /// Takes the dirty marks of a block; they are unsynced from here on.
    pub fn take_marks(&self, block: usize) -> u64 {
        let block = &self.blocks()[block];
        store_load_after_rmw();
        // ORDERING: SeqCst; [pending] read after the timed committer has cleared that word by a
        // SeqCst read-modify-write.
        let slots = block.dirty.load(Ordering::SeqCst);
        if slots != 0 {
            // A death in between leaves both: restored, that is one.
            block.unsynced.fetch_or(slots, Ordering::AcqRel);
            // ORDERING: Acquire: the words that these marks are about.
            block.dirty.fetch_and(!slots, Ordering::AcqRel);
        }
        slots
    }

    /// Ends the unsynced state of slots whose record is on the disk.
    pub fn settle_marks(&self, block: usize, slots: u64) {
        self.blocks()[block]
            .unsynced
            .fetch_and(!slots, Ordering::AcqRel);
    }

    /// Slots of a block that have a message: what a sweep of the journal writes anew.
    pub fn live_slots(&self, block: usize) -> u64 {
        let mut live = 0;
        let mut slots = self.shape().valid(block);
        while slots != 0 {
            let bit = slots.trailing_zeros() as usize;
            slots &= slots - 1;
            // ORDERING: Acquire, as `look`: a slot without a message is told of by this.
            let word = Word(self.words()[block * BLOCK_SLOTS + bit].load(Ordering::Acquire));
            if is_there(word) {
                live |= 1 << bit;
            }
        }
        live
    }

    /// Shows `found` each of the slots: its message, or `None` if it has none. `found` says whether
    /// it had room for it; the slots from the first without room on are returned.
    pub fn copy_slots(
        &self,
        block: usize,
        slots: u64,
        mut found: impl FnMut(usize, Option<Look>) -> bool,
    ) -> u64 {
        // A slot without a message has no bytes to be read, so it is not kept from senders.
        let live = slots & self.live_slots(block);
        // ORDERING: SeqCst; [copy-seen] set before the words are read.
        self.blocks()[block]
            .copying
            .fetch_or(live, Ordering::SeqCst);
        store_load_after_rmw();
        let mut left = slots;
        while left != 0 {
            let bit = left & left.wrapping_neg();
            let index = block * BLOCK_SLOTS + left.trailing_zeros() as usize;
            let room = if live & bit != 0 {
                self.look_at(index, live, &mut found)
            } else {
                found(index, None)
            };
            if !room {
                break;
            }
            left ^= bit;
        }
        self.end_copying(block, live);
        left
    }

    fn look_at(
        &self,
        index: usize,
        copying: u64,
        found: &mut impl FnMut(usize, Option<Look>) -> bool,
    ) -> bool {
        let Some(look) = self.look(index) else {
            return found(index, None);
        };
        let run = self.shape().run(look.len());
        if run == 1 {
            return found(index, Some(look));
        }
        self.cover(index, run, copying);
        // Covered, so if the message is still there, its later slots stay as they are as well.
        let again = self.look(index).filter(|again| again.stamp == look.stamp);
        let sound = again.filter(|_| self.is_whole(index, run));
        let room = found(index, sound);
        self.uncover(index, run, copying);
        room
    }

    /// The message of a slot that is being copied.
    fn look(&self, index: usize) -> Option<Look> {
        // ORDERING: SeqCst; [copy-seen] read after the bit was set; acquires [slot-filled].
        let word = Word(self.words()[index].load(Ordering::SeqCst));
        if !is_there(word) {
            return None;
        }
        let head = self.slot(index);
        let size = head.size.load(Ordering::Relaxed);
        let attributes = if size & HAS_ATTRIBUTES == 0 {
            0
        } else {
            head.attributes.load(Ordering::Relaxed)
        };
        let look = Look {
            word,
            stamp: self.notes()[index].stamp.load(Ordering::Relaxed),
            size,
            attributes,
        };
        let len = look.len();
        (len != 0 && len <= self.shape().stored_bytes_max()).then_some(look)
    }

    /// Later slots of a run, block by block, without those that are being copied anyway.
    fn each_later(&self, index: usize, run: usize, copying: u64, act: impl Fn(usize, u64)) {
        let end = (index + run).min(self.words().len());
        for block in index / BLOCK_SLOTS..=(end - 1) / BLOCK_SLOTS {
            let mut slots = bits_between(index + 1, end, block);
            if block == index / BLOCK_SLOTS {
                slots &= !copying;
            }
            if slots != 0 {
                act(block, slots);
            }
        }
    }

    #[cold]
    fn cover(&self, index: usize, run: usize, copying: u64) {
        self.each_later(index, run, copying, |block, slots| {
            // ORDERING: SeqCst; [copy-seen].
            self.blocks()[block]
                .copying
                .fetch_or(slots, Ordering::SeqCst);
        });
        store_load_after_rmw();
    }

    #[cold]
    fn uncover(&self, index: usize, run: usize, copying: u64) {
        self.each_later(index, run, copying, |block, slots| {
            self.end_copying(block, slots);
        });
    }

    /// Ends the copy of slots, and puts the free bits of those that a sender gave back meanwhile.
    fn end_copying(&self, index: usize, slots: u64) {
        let block = &self.blocks()[index];
        // ORDERING: AcqRel; Release: the reads end before a claimant writes. Acquire:
        // [copy-ended] words that were freed before their claimant saw the bit.
        block.copying.fetch_and(!slots, Ordering::AcqRel);
        let mut hidden = slots & !block.free.load(Ordering::Relaxed);
        let mut put = 0;
        while hidden != 0 {
            let bit = hidden.trailing_zeros() as usize;
            hidden &= hidden - 1;
            let word = Word(self.words()[index * BLOCK_SLOTS + bit].load(Ordering::Acquire));
            if word.phase() == Phase::Free {
                put |= 1 << bit;
            }
        }
        if put != 0 {
            self.put_free_bits(index, put & self.shape().valid(index));
        }
    }
}
