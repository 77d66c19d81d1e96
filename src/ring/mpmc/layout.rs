//! Cells, tickets, and how positions count.

use crate::ring::slot::Slot;
use crate::sync::{AtomicUsize, Padded, const_fn};

/// In a stamp: the slot has been filled in this lap.
pub(super) const FILLED: usize = 1;
/// In a stamp, with [`FILLED`]: by a claim that was given up; readers step over it.
pub(super) const HOLE: usize = 2;

/// A slot and its stamp: { lap, HOLE, FILLED }. The lap is that of the push that may fill it next,
/// or did.
pub struct Cell<T> {
    pub(super) stamp: AtomicUsize,
    pub(super) slot: Slot<T>,
}

impl<T> Cell<T> {
    const_fn! {
        /// An empty slot in lap zero: all bits zero, so that a static ring needs no flash.
        pub(super) fn new() -> Self {
            Self { stamp: AtomicUsize::new(0), slot: Slot::new() }
        }
    }
}

/// The two tickets: the next position to push to and to pop from.
pub(super) struct Tickets {
    pub(super) tail: Padded<AtomicUsize>,
    pub(super) head: Padded<AtomicUsize>,
}

impl Tickets {
    const_fn! {
        /// Both at the start.
        pub(super) fn new() -> Self {
            Self { tail: Padded(AtomicUsize::new(0)), head: Padded(AtomicUsize::new(0)) }
        }
    }
}

/// How positions count: { lap, index }. The index is below the capacity; a lap is the next power of
/// two long, at least four, which leaves the two low bits of the lap to the stamps' marks.
#[derive(Clone, Copy)]
pub(super) struct Lap {
    pub(super) capacity: usize,
    pub(super) length: usize,
}

impl Lap {
    #[inline(always)]
    pub(super) const fn new(capacity: usize, length: usize) -> Self {
        Self { capacity, length }
    }

    #[inline(always)]
    pub(super) const fn index(self, position: usize) -> usize {
        position & (self.length - 1)
    }

    #[inline(always)]
    pub(super) const fn lap(self, position: usize) -> usize {
        position & !(self.length - 1)
    }

    /// The position after `position`; positions wrap with the machine word.
    #[inline(always)]
    pub(super) fn next(self, position: usize) -> usize {
        let next = position.wrapping_add(1);
        if self.index(position) + 1 == self.capacity {
            self.over_gap(next)
        } else {
            next
        }
    }

    /// Cold, so that it stays a branch: predicted, it keeps the capacity out of the claim's way.
    #[cold]
    fn over_gap(self, position: usize) -> usize {
        position.wrapping_add(self.length - self.capacity)
    }

    /// How far `tail` is ahead of `head`: less than two laps.
    #[inline(always)]
    pub(super) const fn distance(self, head: usize, tail: usize) -> usize {
        let laps = self.lap(tail).wrapping_sub(self.lap(head)) / self.length;
        (laps * self.capacity + self.index(tail)).wrapping_sub(self.index(head))
    }
}
