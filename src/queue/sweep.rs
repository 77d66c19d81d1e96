//! Which message comes next: ready slots from the receive cursor on, and those whose time is over.

use crate::region::arena::{Hold, stamp_sent_ms};
use crate::region::repair::extent;
use crate::region::store::Store;
use crate::region::word::{Phase, Word};
use crate::ring::blocks::{self, BLOCK_SLOTS, DUE_NONE_MS, Sweep};
use crate::sync::Ordering;

/// The most messages received at once.
pub const BATCH_MAX: usize = 10;
/// Blocks looked at for more once a receive has something.
const MORE_BLOCKS: usize = 12;
/// When to look again at a message that two former holders still read, ms.
const PINNED_RETRY_MS: u64 = 10;

/// How a receive is done.
#[derive(Debug, Clone, Copy)]
pub struct Receive {
    /// The most messages.
    pub max: usize,
    /// Who receives.
    pub owner: u32,
    /// Whether the bytes are read in place.
    pub borrowed: bool,
    /// The time, ms.
    pub now_ms: u64,
    /// When the visibility runs out, ms.
    pub due_at_ms: u64,
    /// Messages sent before this are too old, ms.
    pub oldest_ms: u64,
}

impl Store<'_> {
    /// Receives up to `max` messages and gives each to `found`, which says whether it counts.
    /// Returns how many others became visible on the way because their time was over.
    ///
    /// # Progress
    ///
    /// Lock-free: a failed compare-exchange means that another one took a message.
    #[inline(always)]
    pub fn receive(&self, how: &Receive, mut found: impl FnMut(Hold) -> bool) -> u32 {
        let cursor = self.head.receive.cursor.load(Ordering::Relaxed);
        let used = extent(self);
        let mut lap = Sweep::new(cursor, used);
        // The common case: the block at the cursor has them all, and nothing in it is due.
        let index = cursor as usize / BLOCK_SLOTS;
        let mut have = 0;
        if index < used && !self.blocks[index].is_due(how.now_ms) {
            let mask = blocks::bits_from(cursor as u32);
            have = self.receive_in(index, mask, how.max, how, &mut found);
            if have == how.max {
                return 0;
            }
            lap.next(); // visited: with a timeout of 0 s it would give the same messages again
        }
        self.receive_lap(lap, have, how, &mut found)
    }

    /// Receives the message at the cursor, in the common case that there is one and that nothing in
    /// its block is due. `None` says nothing: look by [`receive`](Store::receive).
    #[inline(always)]
    pub fn receive_next(&self, how: &Receive) -> Option<Hold> {
        let cursor = self.head.receive.cursor.load(Ordering::Relaxed);
        let index = cursor as usize / BLOCK_SLOTS;
        if index >= extent(self) {
            return None;
        }
        let block = &self.blocks[index];
        if block.is_due(how.now_ms) {
            return None;
        }
        let bit = blocks::take(&block.ready, blocks::bits_from(cursor as u32), 1);
        if bit == 0 {
            return None;
        }
        let slot = index * BLOCK_SLOTS + bit.trailing_zeros() as usize;
        self.head
            .receive
            .cursor
            .store(slot as u64 + 1, Ordering::Relaxed);
        let hold = self.hold(slot, how.owner, how.borrowed, how.due_at_ms)?;
        block.lower_due(how.due_at_ms);
        Some(hold)
    }

    /// One lap of the receive cursor, for a receive that has `have` messages already.
    #[inline(never)]
    fn receive_lap(
        &self,
        lap: Sweep,
        mut have: usize,
        how: &Receive,
        found: &mut impl FnMut(Hold) -> bool,
    ) -> u32 {
        let mut expired = 0;
        let mut more = MORE_BLOCKS;
        for (index, mask) in lap {
            let block = &self.blocks[index];
            if block.is_due(how.now_ms) {
                expired += self.expire_block(index, how.now_ms);
            }
            if block.ready.load(Ordering::Relaxed) & mask != 0 {
                have += self.receive_in(index, mask, how.max - have, how, found);
                if have == how.max {
                    break;
                }
            }
            if have != 0 {
                more -= 1;
                if more == 0 {
                    break;
                }
            }
        }
        expired
    }

    /// Receives up to `max` messages of one block.
    #[inline(always)]
    fn receive_in(
        &self,
        index: usize,
        mask: u64,
        max: usize,
        how: &Receive,
        found: &mut impl FnMut(Hold) -> bool,
    ) -> usize {
        let block = &self.blocks[index];
        let first = index * BLOCK_SLOTS;
        let mut have = 0;
        loop {
            let taken = blocks::take(&block.ready, mask, (max - have) as u32);
            if taken == 0 {
                return have;
            }
            if max > 1 {
                let mut left = taken;
                while left != 0 {
                    self.prefetch(first + left.trailing_zeros() as usize);
                    left &= left - 1;
                }
            }
            let (mut left, mut held, mut refused) = (taken, false, false);
            while left != 0 {
                let slot = first + left.trailing_zeros() as usize;
                left &= left - 1;
                let hold = self.hold(slot, how.owner, how.borrowed, how.due_at_ms);
                held |= hold.is_some();
                let counts = hold.is_some_and(&mut *found);
                have += counts as usize;
                refused |= !counts;
            }
            if held {
                block.lower_due(how.due_at_ms);
            }
            let next = first as u64 + 64 - taken.leading_zeros() as u64;
            self.head.receive.cursor.store(next, Ordering::Relaxed);
            if have == max || !refused {
                return have;
            }
        }
    }

    /// Makes messages visible whose time is over, and raises the block's bound. Returns how many.
    #[cold]
    pub fn expire_block(&self, index: usize, now_ms: u64) -> u32 {
        let block = &self.blocks[index];
        let Some(mark) = block.begin_raise() else {
            return 0;
        };
        let mut least = DUE_NONE_MS;
        let mut expired = 0u64;
        // Every slot, whatever its bits say: a bit may stand although its slot is held.
        let mut slots = self.shape.valid(index);
        while slots != 0 {
            let bit = slots.trailing_zeros() as usize;
            slots &= slots - 1;
            let slot = index * BLOCK_SLOTS + bit;
            // ORDERING: SeqCst; [due-closing] looked at after the mark.
            let seen = Word(self.words[slot].load(Ordering::SeqCst));
            if seen.phase() != Phase::Held {
                continue;
            }
            let sent_ms = stamp_sent_ms(self.slot(slot).stamp.load(Ordering::Relaxed));
            let due_at_ms = sent_ms + seen.due_ms();
            if due_at_ms > now_ms {
                least = least.min(due_at_ms);
            } else if self.expire(slot, seen) {
                expired |= 1 << bit;
            } else {
                least = least.min(now_ms.saturating_add(PINNED_RETRY_MS));
            }
        }
        if expired != 0 {
            blocks::put(&block.ready, expired);
        }
        block.finish_raise(mark, least.min(DUE_NONE_MS));
        expired.count_ones()
    }

    /// The least due time of all, as far as the blocks know; [`DUE_NONE_MS`] if there is none.
    pub fn least_due_ms(&self) -> u64 {
        let used = &self.blocks[..extent(self)];
        used.iter()
            .map(|block| block.due_ms())
            .min()
            .unwrap_or(DUE_NONE_MS)
    }
}
