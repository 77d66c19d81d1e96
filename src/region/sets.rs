//! Bits of the blocks, and the bounds of due times, together with what summarises them.

use super::repair::extent;
use super::store::Store;
use crate::ring::blocks::{self, BLOCK_SLOTS};
use crate::ring::due::Due;
use crate::sync::Ordering;

/// Blocks whose slots one call looks at for what is due: what is left is the next call's.
const LOOKS_MAX: usize = 64;

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
