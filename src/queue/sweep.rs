//! Which message comes next: ready slots from the receive cursor on, and those whose time is over.

use crate::region::arena::Hold;
use crate::region::repair::extent;
use crate::region::store::Store;
use crate::region::word::Word;
use crate::ring::blocks::{self, BLOCK_SLOTS, Sweep};
use crate::sync::Ordering;

/// The most messages received at once.
pub const BATCH_MAX: usize = 10;
/// Blocks looked at for more once a receive has something.
const MORE_BLOCKS: usize = 12;

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
    /// A message received more often than this, and once, is a dead letter.
    pub receives_max: u64,
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
        let expired = if self.is_due(how.now_ms) {
            self.expire_some(how.now_ms, how.oldest_ms, how.owner)
        } else {
            0
        };
        let cursor = self.head().receive.cursor.load(Ordering::Relaxed);
        let used = extent(self);
        let mut lap = Sweep::new(cursor, used, self.maps().ready);
        // The common case: the block at the cursor has them all.
        let index = cursor as usize / BLOCK_SLOTS;
        let mut have = 0;
        if index < used {
            let mask = blocks::bits_from(cursor as u32);
            have = self.receive_in(index, mask, how.max, how, &mut found);
            if have == how.max {
                return expired;
            }
            lap.next(); // visited: with a timeout of 0 s it would give the same messages again
        }
        self.receive_lap(lap, have, how, &mut found);
        expired
    }

    /// Receives the message at the cursor, in the common case that there is one and that nothing is
    /// due. `None` says nothing: look by [`receive`](Store::receive).
    #[inline(always)]
    pub fn receive_next(&self, how: &Receive) -> Option<Hold> {
        if self.is_due(how.now_ms) {
            return None;
        }
        let cursor = self.head().receive.cursor.load(Ordering::Relaxed);
        let index = cursor as usize / BLOCK_SLOTS;
        if index >= extent(self) {
            return None;
        }
        let block = &self.blocks()[index];
        let bit = blocks::take(&block.ready, blocks::bits_from(cursor as u32), 1);
        if bit == 0 {
            return None;
        }
        let slot = index * BLOCK_SLOTS + bit.trailing_zeros() as usize;
        self.head()
            .receive
            .cursor
            .store(slot as u64 + 1, Ordering::Relaxed);
        let hold = self.hold(slot, how.owner, how.borrowed, how.due_at_ms)?;
        self.lower_due(index, how.due_at_ms);
        Some(hold)
    }

    /// One lap of the receive cursor, for a receive that has `have` messages already.
    #[inline(never)]
    fn receive_lap(
        &self,
        lap: Sweep<'_>,
        mut have: usize,
        how: &Receive,
        found: &mut impl FnMut(Hold) -> bool,
    ) {
        let mut more = MORE_BLOCKS;
        let sender = self.head().send.cursor.load(Ordering::Relaxed) as usize / BLOCK_SLOTS;
        for (index, mask) in lap {
            let ready = self.blocks()[index].ready.load(Ordering::Relaxed);
            if ready & mask != 0 {
                have += self.receive_in(index, mask, how.max - have, how, found);
                if have == how.max {
                    break;
                }
            } else if ready == 0 && index != sender {
                // Not the block into which messages come now: it would be noted again at once.
                self.maps().ready.strike(index, &self.blocks()[index].ready);
            }
            if have != 0 {
                more -= 1;
                if more == 0 {
                    break;
                }
            }
        }
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
        let block = &self.blocks()[index];
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
                self.lower_due(index, how.due_at_ms);
            }
            let next = first as u64 + 64 - taken.leading_zeros() as u64;
            self.head().receive.cursor.store(next, Ordering::Relaxed);
            if have == max || !refused {
                return have;
            }
        }
    }

    /// Makes messages visible whose time is over, and drops those sent before `oldest_ms`, in some
    /// of the blocks in which that may be so. Returns how many became visible.
    #[cold]
    pub fn expire_some(&self, now_ms: u64, oldest_ms: u64, owner: u32) -> u32 {
        let mut expired = 0;
        self.each_due(now_ms, |block| {
            expired += self.expire_block(block, now_ms, oldest_ms, owner);
        });
        expired
    }

    /// [`expire_some`](Self::expire_some) for one block; raises its bound.
    #[cold]
    pub fn expire_block(&self, index: usize, now_ms: u64, oldest_ms: u64, owner: u32) -> u32 {
        let dropped = |slot, seen| self.drop_aged(slot, seen, owner);
        let expired = |slot, seen| self.expire(slot, seen);
        self.raise_block(index, (now_ms, oldest_ms), dropped, expired, |ready| {
            self.put_ready(index, ready);
        })
    }

    /// Drops a message that is older than the retention; whether it is gone.
    #[cold]
    fn drop_aged(&self, slot: usize, seen: Word, owner: u32) -> bool {
        let run = self.measured_run(slot);
        let Ok(Some(freed)) = self.remove(slot, seen, run, 0, seen.is_borrowed(), owner) else {
            return false; // changed meanwhile, or three read it
        };
        if freed {
            self.put_free(slot, run);
        }
        self.head().counters.expired.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// The least due time of all, as far as is known;
    /// [`DUE_NONE_MS`](crate::ring::due::DUE_NONE_MS) if there is none.
    pub fn least_due_ms(&self) -> u64 {
        self.head().seldom.due.ms()
    }
}
