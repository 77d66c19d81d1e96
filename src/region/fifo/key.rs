//! What a deduplication id is in its table, and a message that has one.

use super::layout::{ID_WORDS, UNORDERED};
#[cfg(feature = "fifo")]
use crate::hash::{permuted_128, xxh3_64_seeded};

/// Bytes of a key before group and id.
const HEAD_BYTES: usize = 3;

/// A deduplication id, or its digest; its form and length are part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdKey {
    /// Its bytes.
    pub words: [u64; ID_WORDS],
    /// Their hash.
    pub hash: u64,
}

/// A message by its slot and its stamp.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// Its slot.
    pub slot: u32,
    /// Its stamp.
    pub stamp: u64,
    /// Of both, what its entry has until it is accepted.
    pub(super) name: u64,
}

impl Named {
    /// The message with this stamp in this slot.
    #[inline(always)]
    pub const fn new(slot: u32, stamp: u64) -> Self {
        let name = name_of(slot, stamp);
        Self { slot, stamp, name }
    }
}

/// `{ unordered:1, name:63 }`: names a message that has no number yet, as far as one who is late
/// has to be told from others.
pub(super) const fn name_of(slot: u32, stamp: u64) -> u64 {
    let mixed = (stamp ^ (slot as u64).rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29) | UNORDERED
}

impl IdKey {
    /// Of no id.
    #[cfg(feature = "fifo")]
    pub const EMPTY: Self = Self {
        words: [0; ID_WORDS],
        hash: 0,
    };

    /// Sets the hash to that of the words that count, which is seeded, so that nobody outside can
    /// choose ids that all lie in one chain.
    #[cfg(feature = "fifo")]
    #[inline(always)]
    pub fn hash_it(&mut self, seed: u64) {
        let used = self.used();
        if used != 2 {
            return self.hash_long(used, seed);
        }
        // The common case, of a fixed length.
        [self.hash, _] = permuted_128([self.words[0], self.words[1]], seed);
    }

    #[cfg(feature = "fifo")]
    #[inline(never)]
    fn hash_long(&mut self, used: usize, seed: u64) {
        let mut bytes = [0; 8 * ID_WORDS];
        for (eight, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.words) {
            *eight = word.to_le_bytes();
        }
        self.hash = xxh3_64_seeded(&bytes[..8 * used], seed);
    }

    /// How many of its words count; the others are zero. Its first word, `{ form: u8, group_len:
    /// u8, id_len: u8, .. }`, tells, so keys that have it in common have as many.
    #[inline(always)]
    pub(in crate::region) fn used(&self) -> usize {
        let [_, group_len, id_len, ..] = self.words[0].to_le_bytes();
        let len = HEAD_BYTES + usize::from(group_len) + usize::from(id_len);
        len.div_ceil(8).min(ID_WORDS)
    }
}
