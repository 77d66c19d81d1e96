//! Values read in place before their slots go back to the producer.

use core::ptr;

use super::side::{At, Side};
use crate::sync::{AtomicUsize, Ordering};

/// Values at the head of the ring, in order.
///
/// Dropping it takes nothing out of the ring.
#[must_use = "a read that is not committed takes nothing out of the ring"]
pub struct Read<'r, T> {
    at: &'r mut At<T>,
    head: &'r AtomicUsize,
    len: usize,
}

// SAFETY: it stands for the consumer, which is `Send`.
unsafe impl<T: Send> Send for Read<'_, T> {}

impl<'r, T> Read<'r, T> {
    /// `len` values from the position on; they are there.
    #[inline(always)]
    pub(super) fn new(side: &'r mut Side<'_, T>, len: usize) -> Self {
        let (at, core) = side.parts();
        Self {
            at,
            head: &core.head,
            len,
        }
    }

    /// How many values it covers.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it covers none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value `index` places after the oldest.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        // SAFETY: filled, and the producer keeps off it while this read lives.
        (index < self.len).then(|| unsafe { &*self.at.slot_after(index).as_ptr() })
    }

    /// The values, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len).filter_map(|index| self.get(index))
    }

    /// The values as two slices, since a ring has an end.
    #[cfg(not(ringmain_loom))]
    #[inline]
    pub fn as_slices(&self) -> (&[T], &[T]) {
        let [(first, first_len), (second, second_len)] = self.at.runs(self.len);
        // SAFETY: both runs are filled, and the producer keeps off them while this read lives.
        unsafe {
            (
                core::slice::from_raw_parts(first.cast::<T>(), first_len),
                core::slice::from_raw_parts(second.cast::<T>(), second_len),
            )
        }
    }

    /// Drops the first `count` values (all, if there are fewer), gives their slots back to the
    /// producer at once, and tells how many.
    ///
    /// # Progress
    /// Wait-free: one store.
    #[inline]
    pub fn commit(self, count: usize) -> usize {
        let count = count.min(self.len);
        // The slots go back even when a value's drop panics: the rest is leaked, never seen twice.
        let done = Emptied {
            at: self.at,
            head: self.head,
            count,
        };
        if core::mem::needs_drop::<T>() {
            for offset in 0..count {
                // SAFETY: filled, the consumer's, and dropped once: `done` moves past it.
                unsafe { ptr::drop_in_place(done.at.slot_after(offset).as_ptr()) };
            }
        }
        count
    }
}

/// Moves the head past `count` slots when it goes.
struct Emptied<'r, T> {
    at: &'r mut At<T>,
    head: &'r AtomicUsize,
    count: usize,
}

impl<T> Drop for Emptied<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.at.skip(self.count);
        // ORDERING: Release; [slot-emptied] as in `Consumer::publish`.
        self.head.store(self.at.position, Ordering::Release);
    }
}
