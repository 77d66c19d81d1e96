//! Looking at a queue without taking anything: what whoever waits, or watches for those who wait,
//! has to know.

use super::repair::extent;
use super::store::Store;
use crate::ring::blocks::Block;
use crate::ring::due::DUE_NONE_MS;
use crate::sync::Ordering;

impl Store<'_> {
    fn used(&self) -> &[Block] {
        &self.blocks()[..extent(self)]
    }

    /// How many messages are visible, by the bits; a block with messages whose time is over counts
    /// as one more.
    pub fn visible(&self, now_ms: u64) -> u32 {
        if self.shape().fifo.is_fifo() {
            // A group with a ticket, and what becomes visible, counts as one each.
            let due = self.used().iter().filter(|block| block.due.ms() <= now_ms);
            return (self.tickets().len() + due.count()).min(u32::MAX as usize) as u32;
        }
        // ORDERING: SeqCst; [sleeper-flag] who looks on behalf of a sender that died reads the
        // sleepers' flag after this.
        let ready = |block: &Block| block.ready.load(Ordering::SeqCst).count_ones();
        let in_block = |block: &Block| ready(block) + u32::from(block.due.ms() <= now_ms);
        self.used().iter().map(in_block).sum()
    }

    /// Whether a message is visible, by the bits.
    pub fn has_visible(&self) -> bool {
        if self.shape().fifo.is_fifo() {
            return !self.tickets().is_empty();
        }
        let used = extent(self);
        let mut from = 0;
        while let Some(block) = self.maps().ready.next(from, used) {
            // ORDERING: SeqCst; [sleeper-flag], [waiting-bit].
            if self.blocks()[block].ready.load(Ordering::SeqCst) != 0 {
                return true;
            }
            from = block + 1;
        }
        false
    }

    /// The least due time that is not over, as far as the blocks know; `None` if there is none.
    pub fn next_due_ms(&self, now_ms: u64) -> Option<u64> {
        let dues = self.used().iter().map(|block| block.due.ms());
        dues.filter(|&due| due > now_ms && due < DUE_NONE_MS).min()
    }
}
