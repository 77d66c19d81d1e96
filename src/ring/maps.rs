//! A bit for each block: whether the block may have bits of one kind. So a sweep over a deep queue
//! looks at one word for 64 blocks, 4096 slots, and not at each block's line.
//!
//! # Protocol
//!
//! A map is a hint that errs to one side: its bit stands whenever the block has something. Who puts
//! bits into a block does so first and then looks at the map, and sets the bit if it is not there
//! ([`note`](Map::note)). Who finds a block empty may strike its bit out: it clears the bit, and
//! then looks at the block again ([`strike`](Map::strike)). `[map-struck]`: the putter puts and
//! then looks at the map, the striker clears and then looks at the block, so one of the two sees
//! the other, and the bit is set again.
//!
//! A striker that dies between its two steps may leave a block unseen that got its bits just
//! before: repair notes every block that has bits. One that stops there does the same until it goes
//! on, or until somebody mends.
//!
//! A queue of a few blocks has no maps: each block is looked at.

use crate::sync::{AtomicU64, Ordering, store_load_after_rmw};

/// The map of one kind of bits. Empty: every block may have some.
#[derive(Debug, Clone, Copy)]
pub struct Map<'a>(pub &'a [AtomicU64]);

impl Map<'_> {
    /// Notes that `block` has something. Call it after its bits were put, by a `SeqCst`
    /// read-modify-write.
    #[inline(always)]
    pub fn note(&self, block: usize) {
        let Some(word) = self.0.get(block / 64) else {
            return;
        };
        let bit = 1 << (block % 64);
        store_load_after_rmw();
        // ORDERING: SeqCst; [map-struck] looked at after the block's bits were put.
        if word.load(Ordering::SeqCst) & bit == 0 {
            word.fetch_or(bit, Ordering::SeqCst);
        }
    }

    /// Strikes out a block whose `bits` were found to be none.
    #[cold]
    pub fn strike(&self, block: usize, bits: &AtomicU64) {
        let Some(word) = self.0.get(block / 64) else {
            return;
        };
        let bit = 1 << (block % 64);
        // ORDERING: SeqCst; [map-struck] cleared before the block is looked at again.
        word.fetch_and(!bit, Ordering::SeqCst);
        store_load_after_rmw();
        if bits.load(Ordering::SeqCst) != 0 {
            word.fetch_or(bit, Ordering::SeqCst);
        }
    }

    /// The first block at or after `from` and before `end` that may have something.
    #[inline(always)]
    pub fn next(&self, from: usize, end: usize) -> Option<usize> {
        if from >= end {
            return None;
        }
        if self.0.is_empty() {
            return Some(from);
        }
        self.search(from, end)
    }

    fn search(&self, from: usize, end: usize) -> Option<usize> {
        let mut mask = u64::MAX << (from % 64);
        for (index, word) in self.0.iter().enumerate().skip(from / 64) {
            if index * 64 >= end {
                return None;
            }
            let set = word.load(Ordering::Relaxed) & mask;
            if set != 0 {
                let block = index * 64 + set.trailing_zeros() as usize;
                return (block < end).then_some(block);
            }
            mask = u64::MAX;
        }
        None
    }
}

#[cfg(all(test, not(ringmain_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_next_block_is_the_next_bit() {
        let words = [0, 1 << 63, 0, 0b101].map(AtomicU64::new);
        let map = Map(&words);
        assert_eq!(map.next(0, 256), Some(127));
        assert_eq!(map.next(128, 256), Some(192));
        assert_eq!(map.next(193, 256), Some(194));
        assert_eq!(map.next(195, 256), None);
        assert_eq!((map.next(0, 127), map.next(127, 128)), (None, Some(127)));
        assert_eq!(Map(&[]).next(7, 8), Some(7));
        assert_eq!(Map(&[]).next(8, 8), None);
    }

    #[test]
    fn only_an_empty_block_is_struck_out() {
        let words = [AtomicU64::new(0b11)];
        let map = Map(&words);
        map.strike(0, &AtomicU64::new(0));
        map.strike(1, &AtomicU64::new(4));
        assert_eq!(words[0].load(Ordering::Relaxed), 0b10);
        map.note(0);
        assert_eq!(words[0].load(Ordering::Relaxed), 0b11);
        map.note(64); // beyond the map: nothing
    }
}
