//! Blocks, their words, and the cursors.

use crate::ring::slot::{Slot, empty_cells};
#[cfg(feature = "alloc")]
use crate::sync::Ordering;
use crate::sync::{AtomicU64, AtomicUsize, Padded, const_fn};

/// The bits below `bit`, which is at most 63.
#[inline(always)]
pub(super) const fn below(bit: usize) -> u64 {
    (1 << bit) - 1
}

/// Slots of a block: as many as a word has bits; a few under the model checker.
pub const BLOCK_SLOTS: usize = if cfg!(ringmain_loom) { 2 } else { 64 };

/// All slots of a block.
pub(super) const ALL: u64 = u64::MAX >> (64 - BLOCK_SLOTS);

/// The two words of a block, on one line. A slot is { taken, ready }: free { 0, 0 }, being filled
/// { 1, 0 }, ready { 1, 1 }, being emptied { 1, 0 }.
pub(super) struct Words {
    pub(super) taken: AtomicU64,
    pub(super) ready: AtomicU64,
}

/// 64 slots and the words that say whose they are.
pub struct Block<T> {
    pub(super) words: Padded<Words>,
    pub(super) slots: [Slot<T>; BLOCK_SLOTS],
}

impl<T> Block<T> {
    const_fn! {
        /// A block of free slots: all bits zero, so that a static bag needs no flash.
        pub(super) fn new() -> Self {
            Self {
                words: Padded(Words { taken: AtomicU64::new(0), ready: AtomicU64::new(0) }),
                slots: empty_cells!(Slot::new),
            }
        }
    }

    /// Takes the slots from `count` on out of use, for a capacity that is no multiple of 64.
    #[cfg(feature = "alloc")]
    pub(super) fn shorten(&self, count: usize) {
        // ORDERING: Relaxed; the bag is not shared yet.
        self.words
            .taken
            .store(ALL & !below(count), Ordering::Relaxed);
    }
}

/// Where the next push and the next pop begin to look: hints.
pub(super) struct Cursors {
    pub(super) push: Padded<AtomicUsize>,
    pub(super) pop: Padded<AtomicUsize>,
}

impl Cursors {
    const_fn! {
        /// Both at the start.
        pub(super) fn new() -> Self {
            Self { push: Padded(AtomicUsize::new(0)), pop: Padded(AtomicUsize::new(0)) }
        }
    }
}
