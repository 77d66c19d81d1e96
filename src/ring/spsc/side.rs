//! What a producer and a consumer have in common: a place in the ring.

use core::marker::PhantomData;
use core::ptr::NonNull;

use super::core::{Core, Lap};
use crate::ring::slot::Slot;
use crate::sync::{Ordering, Padded};

/// Frees a boxed ring.
pub(super) type Free = unsafe fn(NonNull<Core>);

/// One side's own state: no one else reads it, so it lies on lines of its own.
pub(super) struct Side<'a, T> {
    pub(super) at: Padded<At<T>>,
    pub(super) core: NonNull<Core>,
    free: Option<Free>,
    side: u32,
    ring: PhantomData<&'a ()>,
}

/// Where a side stands.
pub(super) struct At<T> {
    pub(super) slots: NonNull<Slot<T>>,
    pub(super) lap: Lap,
    /// Own position; always what the shared word says.
    pub(super) position: usize,
    /// The position that this side cannot pass, as last seen: the other side's is at or beyond it.
    pub(super) limit: usize,
}

impl<T> At<T> {
    /// The own position's slot.
    #[inline(always)]
    pub(super) fn index(&self) -> usize {
        self.lap.index(self.position)
    }

    /// The slot of the own position.
    #[inline(always)]
    pub(super) fn slot(&self) -> &Slot<T> {
        // SAFETY: the index of a position is below the capacity (`Lap`), which is the length of the
        // array at `slots`; the ring outlives its handles.
        unsafe { self.slots.add(self.index()).as_ref() }
    }

    /// The slot `offset` after the own position; `offset` is below the capacity.
    #[inline(always)]
    pub(super) fn slot_after(&self, offset: usize) -> &Slot<T> {
        let mut index = self.index() + offset;
        if index >= self.lap.capacity {
            index -= self.lap.capacity;
        }
        // SAFETY: as in `slot`: `index` was brought back below the capacity.
        unsafe { self.slots.add(index).as_ref() }
    }

    /// Up to where this side may go without another look at the other side.
    #[inline(always)]
    pub(super) fn room(&self) -> usize {
        self.lap.distance(self.position, self.limit)
    }

    /// `count` slots from the own position on as two runs: first slot and length, twice.
    #[inline(always)]
    pub(super) fn runs(&self, count: usize) -> [(*const Slot<T>, usize); 2] {
        let first = count.min(self.lap.capacity - self.index());
        // SAFETY: `index` is below the capacity, the length of the array.
        let start = unsafe { self.slots.add(self.index()) };
        [
            (start.as_ptr(), first),
            (self.slots.as_ptr(), count - first),
        ]
    }

    /// Goes one slot on.
    #[inline(always)]
    pub(super) fn step(&mut self) {
        self.position = self.lap.next(self.position);
    }

    /// Goes `count` slots on, at most the capacity.
    #[inline(always)]
    pub(super) fn skip(&mut self, count: usize) {
        self.position = self.lap.after(self.position, count);
    }
}

impl<'a, T> Side<'a, T> {
    /// The handle of `side` at the position that the ring has for it.
    ///
    /// # Safety
    /// `core` and the `capacity` slots live for `'a`, or until `free` is called; there is no other
    /// handle of this side, and what the last one did is visible here.
    pub(super) unsafe fn new(
        core: NonNull<Core>,
        slots: NonNull<Slot<T>>,
        capacity: usize,
        side: u32,
        free: Option<Free>,
    ) -> Self {
        let lap = Lap::new(capacity);
        // SAFETY: the caller says that it lives.
        let shared = unsafe { core.as_ref() };
        // ORDERING: Relaxed; no other handle of this side is there to move it.
        let (position, limit) = if side == super::core::PRODUCER {
            let tail = shared.tail.load(Ordering::Relaxed);
            (tail, tail)
        } else {
            let head = shared.head.load(Ordering::Relaxed);
            (head, head)
        };
        let at = Padded(At {
            slots,
            lap,
            position,
            limit,
        });
        Self {
            at,
            core,
            free,
            side,
            ring: PhantomData,
        }
    }

    #[inline(always)]
    pub(super) fn core(&self) -> &Core {
        // SAFETY: the ring lives at least as long as its handles (`new`).
        unsafe { self.core.as_ref() }
    }

    /// The own state and the shared one.
    #[inline(always)]
    pub(super) fn parts(&mut self) -> (&mut At<T>, &Core) {
        // SAFETY: as in `core`; the own state is not part of the ring.
        (&mut self.at, unsafe { self.core.as_ref() })
    }

    /// How many values the ring holds; exact on the side that asks only in what it did itself.
    #[inline]
    pub(super) fn len(&self) -> usize {
        let core = self.core();
        // ORDERING: Relaxed; a count, by which no slot is touched. One of the two words is this
        // side's own; the other moves only towards it, so the distance is within the capacity.
        let head = core.head.load(Ordering::Relaxed);
        let tail = core.tail.load(Ordering::Relaxed);
        self.at.lap.distance(head, tail)
    }
}

impl<T> Drop for Side<'_, T> {
    fn drop(&mut self) {
        let last = self.core().leave(self.side);
        if let (true, Some(free)) = (last, self.free) {
            // SAFETY: a boxed ring whose second handle goes here; nobody else has a pointer to it.
            unsafe { free(self.core) };
        }
    }
}
