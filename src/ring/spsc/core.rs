//! What the two sides share, and the arithmetic of positions.

use crate::sync::{AtomicU32, AtomicUsize, Ordering, Padded, const_fn};

/// The side that pushes, in [`Core::sides`].
pub(super) const PRODUCER: u32 = 1;
/// The side that pops, in [`Core::sides`].
pub(super) const CONSUMER: u32 = 2;

/// The shared words, each on lines of its own: the producer writes `tail`, the consumer `head`.
pub(super) struct Core {
    /// Position of the next push. Written by the producer only.
    pub(super) tail: Padded<AtomicUsize>,
    /// Position of the next pop. Written by the consumer only.
    pub(super) head: Padded<AtomicUsize>,
    /// Who is there: { PRODUCER, CONSUMER }.
    pub(super) sides: Padded<AtomicU32>,
}

impl Core {
    const_fn! {
        /// Both positions at the start, nobody there.
        pub(super) fn new(sides: u32) -> Self {
            Self {
                tail: Padded(AtomicUsize::new(0)),
                head: Padded(AtomicUsize::new(0)),
                sides: Padded(AtomicU32::new(sides)),
            }
        }
    }

    /// Whether both sides have gone after `side` has. The last one may free the ring.
    pub(super) fn leave(&self, side: u32) -> bool {
        // ORDERING: AcqRel; [side-gone] the release half publishes all that this side did to slots
        // and positions, the acquire half lets the last one see what the other did. Pairs with
        // itself, in `is_there` and in `Spsc::try_split`.
        self.sides.fetch_and(!side, Ordering::AcqRel) & !side == 0
    }

    /// Whether `side` still has its handle.
    pub(super) fn is_there(&self, side: u32) -> bool {
        // ORDERING: Acquire; [side-gone] who sees the other gone sees all that it pushed or popped.
        self.sides.load(Ordering::Acquire) & side != 0
    }
}

/// Capacity, and how positions count: { lap, index }. The index is below the capacity, a lap is the
/// next power of two long, and positions wrap with the machine word. Positions of one slot in two
/// laps differ, so that a full ring and an empty one do.
#[derive(Clone, Copy)]
pub(super) struct Lap {
    pub(super) capacity: usize,
    /// Of the index.
    mask: usize,
    /// The last slot, if a gap follows it; else no index at all.
    edge: usize,
}

impl Lap {
    #[inline(always)]
    pub(super) const fn new(capacity: usize) -> Self {
        let mask = capacity.next_power_of_two() - 1;
        let edge = if capacity == mask + 1 {
            usize::MAX
        } else {
            capacity - 1
        };
        Self {
            capacity,
            mask,
            edge,
        }
    }

    /// The slot of `position`.
    #[inline(always)]
    pub(super) const fn index(self, position: usize) -> usize {
        position & self.mask
    }

    /// Positions from the last slot's to the next lap's first; none if the capacity is a power of
    /// two.
    #[inline(always)]
    const fn gap(self) -> usize {
        self.mask + 1 - self.capacity
    }

    /// The position after `position`.
    #[inline(always)]
    pub(super) fn next(self, position: usize) -> usize {
        if self.index(position) == self.edge {
            self.over_gap(position)
        } else {
            position.wrapping_add(1)
        }
    }

    /// Cold, so that it stays a branch: predicted, it costs the next call nothing.
    #[cold]
    fn over_gap(self, position: usize) -> usize {
        position.wrapping_add(1).wrapping_add(self.gap())
    }

    /// The position `count` after `position`; `count` is at most the capacity.
    #[inline(always)]
    pub(super) const fn after(self, position: usize, count: usize) -> usize {
        let over = self.index(position) + count >= self.capacity;
        position
            .wrapping_add(count)
            .wrapping_add(if over { self.gap() } else { 0 })
    }

    /// The same slot's position a lap later.
    #[inline(always)]
    pub(super) const fn a_lap_after(self, position: usize) -> usize {
        position.wrapping_add(self.mask + 1)
    }

    /// How far `to` is ahead of `from`, at most a lap.
    #[inline(always)]
    pub(super) const fn distance(self, from: usize, to: usize) -> usize {
        let over = (from ^ to) & !self.mask != 0;
        to.wrapping_sub(from)
            .wrapping_sub(if over { self.gap() } else { 0 })
    }
}
