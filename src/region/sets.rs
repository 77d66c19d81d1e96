//! Bits of the blocks, and the bounds of due times, together with what summarises them.

use super::arena::stamp_sent_ms;
use super::policy::RETENTION_MS;
use super::repair::extent;
use super::store::Store;
use super::word::{Phase, Word};
use crate::ring::blocks::{self, BLOCK_SLOTS};
use crate::ring::due::{DUE_NONE_MS, Due};
use crate::sync::Ordering;

/// Blocks whose slots one call looks at for what is due: what is left is the next call's.
const LOOKS_MAX: usize = 64;
/// When to look again at a message that two former holders still read, ms.
const PINNED_RETRY_MS: u64 = 10;

impl Store<'_> {
    /// Puts ready bits of a block.
    ///
    /// # Progress
    ///
    /// Wait-free where the target has a fetch-or.
    #[inline(always)]
    pub fn put_ready(&self, block: usize, set: u64) {
        blocks::put(&self.blocks()[block].ready, set);
        self.maps().ready.note(block);
    }

    /// Puts free bits of a block.
    ///
    /// # Progress
    ///
    /// As [`put_ready`](Store::put_ready).
    #[inline(always)]
    pub fn put_free_bits(&self, block: usize, set: u64) {
        blocks::put(&self.blocks()[block].free, set);
        self.maps().free.note(block);
    }

    /// Puts the free bits of a run.
    pub fn put_free(&self, index: usize, run: usize) {
        let end = (index + run).min(self.words().len());
        let mut at = index;
        while at < end {
            let (block, bit) = (at / BLOCK_SLOTS, at % BLOCK_SLOTS);
            let len = (end - at).min(BLOCK_SLOTS - bit);
            self.put_free_bits(block, (u64::MAX >> (64 - len)) << bit);
            at += len;
        }
    }

    /// Lowers the bounds over a block to `due_ms`: call it after a slot's word carries that time.
    /// Whether it is the earliest of all: then whoever sleeps until something is due sleeps too
    /// long.
    ///
    /// # Progress
    ///
    /// Lock-free, see [`Due::lower`].
    #[inline(always)]
    pub fn lower_due(&self, block: usize, due_ms: u64) -> bool {
        self.blocks()[block].due.lower(due_ms);
        if let Some(group) = self.maps().dues.get(block / 64) {
            group.lower(due_ms);
        }
        self.head().seldom.due.lower(due_ms)
    }

    /// Lowers the bounds over a block to the time at which a message that was just published is too
    /// old. Nearly always there is an older one in the block; then whoever sent that has gone up to
    /// the other bounds. Should he have stopped on the way, the age of these messages is found
    /// later: by mending, or when one is received.
    #[inline(always)]
    pub fn lower_aged(&self, block: usize, aged_at_ms: u64) {
        if !self.blocks()[block].due.covers(aged_at_ms) {
            self.lower_due_cold(block, aged_at_ms);
        }
    }

    #[cold]
    #[inline(never)]
    fn lower_due_cold(&self, block: usize, due_ms: u64) {
        self.lower_due(block, due_ms);
    }

    /// Whether something may be due at `now_ms`.
    #[inline(always)]
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.head().seldom.due.ms() <= now_ms
    }

    /// Shows `look` the blocks in which something may be due at `now_ms`, and then raises the
    /// bounds over them. `look` raises the block's own.
    ///
    /// # Complexity
    ///
    /// At most 64 blocks are shown; the bounds of all groups are read, and those of the blocks of
    /// groups in which something is due.
    #[cold]
    pub fn each_due(&self, now_ms: u64, mut look: impl FnMut(usize)) {
        let blocks = self.blocks().len();
        let mut left = LOOKS_MAX;
        // Blocks beyond the extent as well: a bound that damage has lowered there would hold those
        // over it down for ever.
        let mut look_from = |from: usize, to: usize| {
            for block in from..to {
                if self.blocks()[block].due.ms() > now_ms {
                    continue;
                }
                if left == 0 {
                    return false;
                }
                left -= 1;
                look(block);
            }
            true
        };
        let root = &self.head().seldom.due;
        if self.maps().dues.is_empty() {
            if look_from(0, blocks) {
                root.raise_over(self.dues_of(0, blocks));
            }
            return;
        }
        for (group, due) in self.maps().dues.iter().enumerate() {
            if due.ms() > now_ms {
                continue;
            }
            let (from, to) = (group * 64, (group * 64 + 64).min(blocks));
            if !look_from(from, to) {
                return;
            }
            due.raise_over(self.dues_of(from, to));
        }
        root.raise_over(self.maps().dues.iter());
    }

    /// Looks at what is due in one block, and raises its bound: gives messages sent before
    /// `oldest_ms` to `drop`, and those whose time is over at `now_ms` to `expire`; both say
    /// whether it is done. `ready` gets the bits of what has expired. Returns how many that were.
    #[cold]
    pub fn raise_block(
        &self,
        index: usize,
        (now_ms, oldest_ms): (u64, u64),
        drop: impl Fn(usize, Word) -> bool,
        expire: impl Fn(usize, Word) -> bool,
        ready: impl FnOnce(u64),
    ) -> u32 {
        let block = &self.blocks()[index];
        let Some(mark) = block.due.begin_raise() else {
            return 0;
        };
        // A retention that is damaged drops nothing.
        let sound = self.head().policy.is_sound(RETENTION_MS);
        let oldest_ms = if sound { oldest_ms } else { 0 };
        let mut least = DUE_NONE_MS;
        let mut expired = 0u64;
        // ORDERING: SeqCst; [due-closing] looked at after the mark, and before the words: who
        // publishes puts the ready bit and then looks at the bound, so either that finds the mark,
        // or this acquires the word.
        block.ready.load(Ordering::SeqCst);
        // Every slot, whatever its bits say: a bit may stand although its slot is held.
        let mut slots = self.shape().valid(index);
        while slots != 0 {
            let bit = slots.trailing_zeros() as usize;
            slots &= slots - 1;
            let slot = index * BLOCK_SLOTS + bit;
            // ORDERING: SeqCst; [due-closing] looked at after the mark.
            let seen = Word(self.words()[slot].load(Ordering::SeqCst));
            if !matches!(seen.phase(), Phase::Ready | Phase::Held) {
                continue;
            }
            let sent_ms = stamp_sent_ms(self.notes()[slot].stamp.load(Ordering::Relaxed));
            let held = seen.phase() == Phase::Held;
            let due_at_ms = sent_ms + seen.due_ms();
            let aged = sent_ms < oldest_ms;
            let aged_at_ms = sent_ms.saturating_add(now_ms.saturating_sub(oldest_ms) + 1);
            if held && due_at_ms > now_ms {
                // Its holder may finish it, however old it is.
                least = least.min(due_at_ms);
                if !aged {
                    least = least.min(aged_at_ms); // should it be released before
                }
            } else if aged && drop(slot, seen) {
                // Gone: nothing of it is left to be due.
            } else if !aged && (!held || expire(slot, seen)) {
                least = least.min(aged_at_ms);
                expired |= u64::from(held) << bit;
            } else {
                least = least.min(now_ms.saturating_add(PINNED_RETRY_MS));
            }
        }
        if expired != 0 {
            ready(expired);
        }
        block.due.finish_raise(mark, least);
        expired.count_ones()
    }

    fn dues_of(&self, from: usize, to: usize) -> impl Iterator<Item = &Due> {
        self.blocks()[from..to].iter().map(|block| &block.due)
    }

    /// Lowers all bounds to nothing, so that each block in use is looked at: what they bound was
    /// reckoned otherwise.
    pub fn forget_dues(&self) {
        for block in 0..extent(self) {
            self.lower_due(block, 0);
        }
    }

    /// Notes a block in the maps for whatever bits it has: repair does.
    pub(super) fn note_block(&self, index: usize) {
        let block = &self.blocks()[index];
        if block.free.load(Ordering::SeqCst) != 0 {
            self.maps().free.note(index);
        }
        if block.ready.load(Ordering::SeqCst) != 0 {
            self.maps().ready.note(index);
        }
    }
}
